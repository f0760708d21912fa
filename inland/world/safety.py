"""The safety driver's judgement: would the driver at the wheel fail within two seconds, and is it calm again?"""

from __future__ import annotations

import numpy as np

from inland.world.expert import Plan
from inland.world.geometry import Floats, box_corners, boxes_overlap, inside_any, wrapped
from inland.world.layout import Layout
from inland.world.planning import FRONT_M, Others, near, predict
from inland.world.state import EGO_SHAPE, Control, Ego, Light, WorldState
from inland.world.vehicle import step_vehicle

LANE_MARGIN_M = 1.4
"""How far the rear axle may be from the route's path before a safety driver takes over: within the lane."""
CALM_S = 1.5
"""A safety driver hands back after things were calm for this long."""
_EVERY = 5
"""Rolled-out states are judged every half second: with two seconds' horizon, 0.5, 1.0, 1.5 and 2.0 s."""


def would_fail(
    state: WorldState,
    layout: Layout,
    plan: Plan,
    others: Others,
    control: Control,
    s_m: float,
    horizon_s: float = 2.0,
) -> str | None:
    """Why holding ``control`` would end badly within ``horizon_s``: collision, off_road, out_of_lane, red_light.

    None where it would not. The ego is rolled out with its own vehicle model, holding the acceleration and
    turning with the path's change of curvature (a driver answers again ten times a second: a bend is no
    mistake); others move as `planning.predict` says. ``s_m`` is the ego's place on the path.
    """
    path = plan.path
    here = float(np.interp(s_m, path.s_m, path.curvature_1pm))
    ego, travelled, poses = state.ego, s_m, []
    for step in range(1, round(horizon_s * 10) + 1):
        bend = float(np.interp(travelled, path.s_m, path.curvature_1pm)) - here
        before = ego
        ego = step_vehicle(ego, Control(control.curvature_1pm + bend, control.acceleration_mps2))
        travelled += (before.speed_mps + ego.speed_mps) / 20
        if step % _EVERY == 0:
            poses.append((step, ego))
    if state.ego.speed_mps < 0.1 and ego.speed_mps < 0.1:
        return None

    if _runs_red(state, plan, s_m, travelled, ego.speed_mps, control.acceleration_mps2):
        return "red_light"
    if _meets_somebody(state, plan, others, s_m, poses):
        return "collision"
    for step, pose in poses:
        _, offset = path.project(pose.x_m, pose.y_m, s_m)
        # Further ahead the held control says less about the driver: a little more room.
        if abs(offset) > LANE_MARGIN_M + 0.3 * step / 10:
            return "out_of_lane"
    box = _box(poses[-1][1])
    if not bool(inside_any(box, layout.drivable).all()):
        return "off_road"
    return None


def is_calm(ego: Ego, plan: Plan, s_m: float) -> bool:
    """Whether the car is back in its lane, along it, and not braking hard."""
    nearest, offset = plan.path.project(ego.x_m, ego.y_m, s_m)
    _, _, yaw = plan.path.pose(nearest)
    aligned = abs(float(wrapped(ego.yaw_rad - float(yaw)))) < 0.15
    return abs(offset) < 0.5 and aligned and ego.acceleration_mps2 > -2.5


def _box(ego: Ego) -> Floats:
    """The ego's four corners, (4, 2)."""
    ahead = EGO_SHAPE.centre_ahead_m
    x, y = ego.x_m + ahead * np.cos(ego.yaw_rad), ego.y_m + ahead * np.sin(ego.yaw_rad)
    return box_corners(x, y, ego.yaw_rad, EGO_SHAPE.length_m, EGO_SHAPE.width_m)


def _runs_red(
    state: WorldState, plan: Plan, s_m: float, then_s_m: float, speed_mps: float, acceleration_mps2: float
) -> bool:
    """Whether the front passes a red light's line within the horizon, or could no longer stop after it."""
    for line, indices in plan.stops:
        lights = [int(state.signals[i]) for i in indices]
        if Light.GREEN in lights or not any(x in (Light.RED, Light.RED_AMBER) for x in lights):
            continue
        room_now = line - (s_m + FRONT_M)
        if room_now < 0 or room_now > 40:
            continue
        if then_s_m + FRONT_M > line:
            return True
        # Not braking, and at the horizon only an emergency brake would still stop before the line.
        room = max(line - (then_s_m + FRONT_M), 0.1)
        if acceleration_mps2 > -1.0 and speed_mps**2 / (2 * room) > 6.0:
            return True
    return False


def _meets_somebody(state: WorldState, plan: Plan, others: Others, s_m: float, poses: list[tuple[int, Ego]]) -> bool:
    """Whether a rolled-out box overlaps a predicted box, except of whoever runs into our rear."""
    around = near(others, state.ego, reach_m=45.0)
    if not len(around):
        return False
    x, y, yaw = predict(around, plan.path, plan.turns, s_m)
    ego = state.ego
    ahead = (around.x - ego.x_m) * np.cos(ego.yaw_rad) + (around.y - ego.y_m) * np.sin(ego.yaw_rad)
    left = (around.y - ego.y_m) * np.cos(ego.yaw_rad) - (around.x - ego.x_m) * np.sin(ego.yaw_rad)
    follower = (ahead < 0) & (np.abs(left) < 1.5)
    for step, pose in poses:
        at = 2 * (step // _EVERY) - 1  # predictions are every 0.25 s
        close = np.flatnonzero(
            ~follower & (np.hypot(x[:, at] - pose.x_m, y[:, at] - pose.y_m) < 4.0 + around.half_length)
        )
        if len(close):
            boxes = box_corners(
                x[close, at],
                y[close, at],
                yaw[close, at],
                2 * around.half_length[close],
                2 * around.half_width[close] + 0.1,
            )
            if bool(np.any(boxes_overlap(_box(pose), boxes))):
                return True
    return False
