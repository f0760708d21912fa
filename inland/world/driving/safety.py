"""The safety driver's judgement: would the driver at the wheel fail within two seconds, and is it calm again?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inland.world.driving.expert import Plan
from inland.world.driving.flows import keep_to_lanes
from inland.world.driving.planning import FRONT_M, Others, in_our_lane, leaders, near, predict
from inland.world.driving.vehicle import step_vehicle
from inland.world.geometry import Floats, box_corners, boxes_overlap, inside_any, wrapped
from inland.world.state import EGO_SHAPE, Control, Ego, Kind, Light, WorldState
from inland.world.traffic.layout import Layout

LANE_MARGIN_M = 1.4
"""How far the rear axle may be from the route's path before a safety driver takes over: within the lane."""
SLACK_MPS = 0.3
"""How much further aside a rolled-out car may be for each second that it lies ahead."""
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
    """Why holding ``control`` would end badly within ``horizon_s``, or None.

    Reasons: collision, too_close, off_road, out_of_lane, red_light. The ego is rolled out with its own vehicle
    model, holding the acceleration and turning with the path's change of curvature (a driver answers again ten
    times a second: a bend is no mistake); others move as `planning.predict` says. ``s_m`` is the ego's place on
    the path.
    """
    path = plan.path
    # Steering lags, so that a driver steers for the road a fifth of a second ahead.
    preview = 0.2 * state.ego.speed_mps
    here = float(np.interp(s_m + preview, path.s_m, path.curvature_1pm))
    ego, travelled, poses = state.ego, s_m, []
    for step in range(1, round(horizon_s * 10) + 1):
        bend = float(np.interp(travelled + preview, path.s_m, path.curvature_1pm)) - here
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
    if control.acceleration_mps2 > -1.5 and _too_close(state.ego, plan, others, s_m):
        return "too_close"
    for step, pose in poses:
        # Further ahead the held control says less about the driver: a little more room.
        slack = SLACK_MPS * step / 10
        reached, offset = path.project(pose.x_m, pose.y_m, s_m)
        if abs(offset) > LANE_MARGIN_M + slack:
            return "out_of_lane"
        # Where the town ends, so does its drivable area; the episode ends before.
        within = reached + FRONT_M < path.length_m
        if within and not bool(inside_any(_box(pose, narrower_m=2 * slack), layout.drivable).all()):
            return "off_road"
    return None


def is_calm(ego: Ego, plan: Plan, s_m: float) -> bool:
    """Whether the car is back in its lane, along it, and not braking hard."""
    nearest, offset = plan.path.project(ego.x_m, ego.y_m, s_m)
    _, _, yaw = plan.path.pose(nearest)
    aligned = abs(float(wrapped(ego.yaw_rad - float(yaw)))) < 0.15
    return abs(offset) < 0.5 and aligned and ego.acceleration_mps2 > -2.5


def _box(ego: Ego, narrower_m: float = 0.0) -> Floats:
    """The ego's four corners, (4, 2); its width less ``narrower_m``."""
    ahead = EGO_SHAPE.centre_ahead_m
    x, y = ego.x_m + ahead * np.cos(ego.yaw_rad), ego.y_m + ahead * np.sin(ego.yaw_rad)
    return box_corners(x, y, ego.yaw_rad, EGO_SHAPE.length_m, EGO_SHAPE.width_m - narrower_m)


def _runs_red(
    state: WorldState, plan: Plan, s_m: float, then_s_m: float, speed_mps: float, acceleration_mps2: float
) -> bool:
    """Whether the front passes a red light's line within the horizon, or could no longer stop after it."""
    speed_now_mps = state.ego.speed_mps
    for line, indices in plan.stops:
        lights = [int(state.signals[i]) for i in indices]
        room_now = line - (s_m + FRONT_M)
        if Light.GREEN in lights or not 0 < room_now < 40:
            continue
        if not any(x in (Light.RED, Light.RED_AMBER) for x in lights):
            # Amber is as red to whoever could stop comfortably and does not brake.
            could_stop = speed_now_mps**2 / (2 * room_now) < 2.5
            if Light.AMBER not in lights or not could_stop or acceleration_mps2 < -1.0:
                continue
        if then_s_m + FRONT_M > line:
            return True
        # Not braking, and at the horizon only an emergency brake would still stop before the line.
        room = max(line - (then_s_m + FRONT_M), 0.1)
        if acceleration_mps2 > -1.0 and speed_mps**2 / (2 * room) > 6.0:
            return True
    return False


def _too_close(ego: Ego, plan: Plan, others: Others, s_m: float) -> bool:
    """Whether a hard stop of the car ahead could no longer be answered by one of ours, 0.4 s later.

    The longitudinal distance of responsibility-sensitive safety (Shalev-Shwartz et al. 2017), with 6 m/s2 for
    whoever is ahead and 7.5 m/s2 for us, and half a metre to spare.
    """
    for leader in leaders(near(others, ego, reach_m=45.0), plan.path, s_m, reach_m=30.0):
        theirs = max(leader.speed_mps, 0.0) ** 2 / 12.0
        needed = 0.4 * ego.speed_mps + ego.speed_mps**2 / 15.0 - theirs + 0.5
        if leader.kind <= Kind.BUS and ego.speed_mps > 2.0 and leader.gap_m < needed:
            return True
    return False


def _meets_somebody(state: WorldState, plan: Plan, others: Others, s_m: float, poses: list[tuple[int, Ego]]) -> bool:
    """Whether a rolled-out box overlaps a predicted box, except of whoever runs into our rear."""
    around = near(others, state.ego, reach_m=45.0)
    if not len(around):
        return False
    predicted = predict(around, plan.path, plan.turns, s_m)
    ego = state.ego
    ahead = (around.x - ego.x_m) * np.cos(ego.yaw_rad) + (around.y - ego.y_m) * np.sin(ego.yaw_rad)
    around_us = ~((ahead < 0) & in_our_lane(around, plan.path, s_m))
    met = _met(around, predicted, poses, around_us)
    if len(met) and keep_to_lanes(plan.flows, around, predicted, met):
        met = _met(around, predicted, poses, around_us)
    return len(met) > 0


def _met(
    others: Others,
    predicted: tuple[Floats, Floats, Floats],
    poses: list[tuple[int, Ego]],
    counts: NDArray[np.bool_],
) -> NDArray[np.intp]:
    """Which of the others a rolled-out box overlaps."""
    x, y, yaw = predicted
    met: set[int] = set()
    for step, pose in poses:
        at = 2 * (step // _EVERY) - 1  # predictions are every 0.25 s
        reach = 4.0 + others.half_length
        close = np.flatnonzero(counts & (np.hypot(x[:, at] - pose.x_m, y[:, at] - pose.y_m) < reach))
        if len(close):
            length, width = 2 * others.half_length[close], 2 * others.half_width[close] + 0.1
            boxes = box_corners(x[close, at], y[close, at], yaw[close, at], length, width)
            met.update(close[boxes_overlap(_box(pose), boxes)].tolist())
    return np.array(sorted(met), dtype=np.intp)
