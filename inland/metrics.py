"""Scores of one episode, from its logged world states only.

The definitions are those of the CARLA leaderboard (driving score, route completion, infractions, success) and of
NAVSIM (PDMS and its sub-scores), written afresh for our states; where a town has no equal, the docstring says what
is done instead. Nothing here knows what a driver is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inland.world.driving.planning import FRONT_M, stop_lines
from inland.world.episode_log import EpisodeLog
from inland.world.geometry import Path, box_corners, boxes_overlap, inside_any, make_path, wrapped
from inland.world.state import EGO_SHAPE, STEP_NS, Kind, Light
from inland.world.traffic.layout import LaneKind, Layout, Route

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

PENALTIES = {
    "collision_pedestrian": 0.5,
    "collision_vehicle": 0.6,
    "collision_static": 0.65,
    "red_light": 0.7,
}
"""CARLA leaderboard: factors of the driving score, one for each occurrence."""
FINISH_M = 2.0
MOVING_MPS = 0.1
LANE_SLACK_M = 0.5
"""The ego's centre may be this far beyond its lane's edge before it counts as outside the route's lanes."""
COMFORT = {
    "longitudinal_acceleration": (-4.05, 2.40),
    "lateral_acceleration": (-4.89, 4.89),
    "jerk": (-8.37, 8.37),
    "longitudinal_jerk": (-4.13, 4.13),
    "yaw_acceleration": (-1.93, 1.93),
    "yaw_rate": (-0.95, 0.95),
}
"""NAVSIM comfort bounds, SI units."""
TTC_TIMES_S = (0.0, 0.3, 0.6, 0.9)
STEP_S = STEP_NS / 1e9


@dataclass(frozen=True, slots=True)
class Infraction:
    """One rule broken: its name, when, and the other road user's id (0 where there is none)."""

    name: str
    t_ns: int
    actor: int = 0


@dataclass(frozen=True, slots=True)
class EpisodeScore:
    """What one episode is worth. ``driving_score`` and ``route_completion`` are 0..100, the rest 0..1.

    ``nc`` no at-fault collision, ``dac`` drivable area, ``ttc`` time to collision, ``ep`` ego progress,
    ``comfort``, ``ddc`` driving direction, ``tlc`` traffic lights. ``free_flow_ratio`` is the duration over the
    free-flow time, NaN where the route was not completed.
    """

    success: bool
    driving_score: float
    route_completion: float
    infractions: tuple[Infraction, ...]
    end: str
    pdms: float
    nc: float
    dac: float
    ttc: float
    ep: float
    comfort: float
    ddc: float
    tlc: float
    progress_m: float
    outside_share: float
    duration_s: float
    free_flow_ratio: float


def score_episode(
    log: EpisodeLog,
    layout: Layout,
    route: Route | None = None,
    *,
    reference_progress_m: float | None = None,
) -> EpisodeScore:
    """Score one episode.

    ``route`` defaults to the log's own. ``reference_progress_m`` is a rule-based planner's progress for EP; by
    default the whole route, which a planner in free flow completes.
    """
    route = route or log.route
    path = make_path(route.path)
    egos = log.egos
    t_ns = np.array([s.t_ns for s in log.states], dtype=np.int64)
    s = _along(path, egos)
    corners = ego_corners(egos)

    contacts = _contacts(log, egos, corners)
    reds = _red_lights(log, layout, route, path, s)
    off_road = ~inside_any(corners, layout.drivable).all(-1)
    outside = off_road | _outside_lanes(layout, route, path, egos, s)
    step_m = np.r_[0.0, np.hypot(*np.diff(egos[:, :2], axis=0).T)]
    travelled = float(step_m.sum())
    outside_share = float(step_m[outside].sum() / travelled) if travelled > 0 else 0.0

    infractions = [Infraction(c.name, int(t_ns[c.step]), c.actor) for c in contacts]
    infractions += [Infraction("red_light", int(t_ns[k])) for k in reds]
    if outside_share > 0:
        infractions.append(Infraction("outside_route_lanes", int(t_ns[int(np.argmax(outside))])))
    infractions.sort(key=lambda i: (i.t_ns, i.name, i.actor))

    progress = float(s.max() - s[0])
    whole = max(path.length_m - FINISH_M - float(s[0]), 1e-6)
    completion = min(max(progress / whole, 0.0), 1.0)
    driving = 100 * completion * (1 - outside_share)
    for infraction in infractions:
        driving *= PENALTIES.get(infraction.name, 1.0)

    nc = min([1.0] + [c.fault for c in contacts])
    dac = 0.0 if off_road.any() else 1.0
    ttc = _time_to_collision(log, egos, _in_several_lanes(layout, route, path, corners, s))
    # NAVSIM's planner drives beside the agent; ours is free flow over the whole route.
    reference = max(whole if reference_progress_m is None else reference_progress_m, progress, 1e-6)
    ep = min(max(progress / reference, 0.0), 1.0)
    comfort = _comfort(egos)
    duration = log.duration_s
    return EpisodeScore(
        success=completion >= 1.0 and log.end == "completed" and not infractions,
        driving_score=driving,
        route_completion=100 * completion,
        infractions=tuple(infractions),
        end=log.end,
        pdms=nc * dac * (5 * ep + 5 * ttc + 2 * comfort) / 12,
        nc=nc,
        dac=dac,
        ttc=ttc,
        ep=ep,
        comfort=comfort,
        ddc=_direction(layout, egos, step_m),
        tlc=0.0 if reds else 1.0,
        progress_m=progress,
        outside_share=outside_share,
        duration_s=duration,
        free_flow_ratio=duration / log.free_flow_s if completion >= 1.0 else float("nan"),
    )


def ego_corners(egos: Floats) -> Floats:
    """Corners (N, 4, 2) of the ego's box at rig poses (N, >=3): front left, rear left, rear right, front right."""
    ahead = EGO_SHAPE.centre_ahead_m
    x, y = egos[:, 0] + ahead * np.cos(egos[:, 2]), egos[:, 1] + ahead * np.sin(egos[:, 2])
    n = len(egos)
    return box_corners(x, y, egos[:, 2], np.full(n, EGO_SHAPE.length_m), np.full(n, EGO_SHAPE.width_m))


def _along(path: Path, egos: Floats) -> Floats:
    """Arc length of the rear axle at each state."""
    s = np.empty(len(egos))
    near: float | None = None
    for k in range(len(egos)):
        s[k], _ = path.project(float(egos[k, 0]), float(egos[k, 1]), near)
        near = s[k]
    return s


@dataclass(frozen=True, slots=True)
class _Contact:
    name: str
    step: int
    actor: int
    fault: float


def _contacts(log: EpisodeLog, egos: Floats, corners: Floats) -> list[_Contact]:
    """First contact with each road user while the ego moves.

    A standing ego that is run into has broken no rule, here as in CARLA. ``fault`` is NAVSIM's NC for it: 1 where
    the ego is not at fault (run into from behind, or from the side while in its lane), 0.5 static, else 0.
    """
    found: dict[int, _Contact] = {}
    half = EGO_SHAPE.length_m / 2
    for k, state in enumerate(log.states):
        if egos[k, 3] <= MOVING_MPS or not len(state.actors):
            continue
        actors = state.actors
        centre = corners[k].mean(0)
        away = np.hypot(actors.x_m - centre[0], actors.y_m - centre[1])
        close = np.flatnonzero(away < half + 1.0 + np.hypot(actors.size_m[:, 0], actors.size_m[:, 1]) / 2)
        if not len(close):
            continue
        size = actors.size_m[close]
        boxes = box_corners(actors.x_m[close], actors.y_m[close], actors.yaw_rad[close], size[:, 0], size[:, 1])
        for i in np.flatnonzero(boxes_overlap(corners[k], boxes)):
            row = close[i]
            actor = int(actors.ids[row])
            if actor in found:
                continue
            kind = int(actors.kind[row])
            name = {Kind.PEDESTRIAN: "collision_pedestrian", Kind.OBSTACLE: "collision_static"}.get(
                Kind(kind), "collision_vehicle"
            )
            fault = _fault(egos[k], float(actors.speed_mps[row]), boxes[i])
            found[actor] = _Contact(name, k, actor, max(fault, 0.5) if name == "collision_static" else fault)
    return sorted(found.values(), key=lambda c: (c.step, c.actor))


def _fault(ego: Floats, other_speed_mps: float, box: Floats) -> float:
    """0 where the ego is at fault: the other stands, or the ego's front touches it; 1 otherwise.

    NAVSIM also blames a lateral contact while the ego is in several lanes; our routes change no lane, and a side
    that is touched while the ego turns across others' way (its front half) is counted as front.
    """
    if other_speed_mps < 0.05:
        return 0.0
    heading = np.array([np.cos(ego[2]), np.sin(ego[2])])
    start = ego[:2] + heading * EGO_SHAPE.centre_ahead_m
    middle = start + heading * EGO_SHAPE.length_m / 4
    front = box_corners(middle[0], middle[1], ego[2], EGO_SHAPE.length_m / 2 + 0.02, EGO_SHAPE.width_m + 0.02)
    return 0.0 if bool(boxes_overlap(front, box)) else 1.0


def _red_lights(log: EpisodeLog, layout: Layout, route: Route, path: Path, s: Floats) -> list[int]:
    """Steps at which the front bumper crossed a stop line of the route whose light was red."""
    steps = []
    front = s + FRONT_M
    for line, indices in stop_lines(layout, route, path):
        crossed = np.flatnonzero((front[:-1] <= line) & (front[1:] > line))
        if len(crossed):
            k = int(crossed[0]) + 1
            lights = {int(log.states[k].signals[i]) for i in indices}
            if Light.GREEN not in lights and lights & {int(Light.RED), int(Light.RED_AMBER)}:
                steps.append(k)
    return steps


def _half_widths(layout: Layout, route: Route, path: Path) -> Floats:
    """Half the lane's width at each point of the path."""
    ends, widths = [], []
    for name in route.lanes:
        lane = layout.lanes[name]
        s, _ = path.project(float(lane.centre[-1, 0]), float(lane.centre[-1, 1]))
        ends.append(s)
        widths.append(lane.width_m)
    at = np.clip(np.searchsorted(np.maximum.accumulate(ends), path.s_m), 0, len(widths) - 1)
    return np.asarray(widths, dtype=np.float64)[at] / 2


def _outside_lanes(layout: Layout, route: Route, path: Path, egos: Floats, s: Floats) -> Bools:
    """Whether the ego's centre is outside the route's lane, at each state."""
    half = np.interp(s + EGO_SHAPE.centre_ahead_m, path.s_m, _half_widths(layout, route, path))
    x, y, yaw = path.pose(s + EGO_SHAPE.centre_ahead_m)
    centre = egos[:, :2] + EGO_SHAPE.centre_ahead_m * np.stack([np.cos(egos[:, 2]), np.sin(egos[:, 2])], -1)
    left = (centre[:, 1] - y) * np.cos(yaw) - (centre[:, 0] - x) * np.sin(yaw)
    return np.asarray(np.abs(left) > half + LANE_SLACK_M, dtype=np.bool_)


def _in_several_lanes(layout: Layout, route: Route, path: Path, corners: Floats, s: Floats) -> Bools:
    """Whether the ego's body lies across the edge of its lane or in a junction, at each state."""
    half = np.interp(s, path.s_m, _half_widths(layout, route, path))
    lateral = np.empty(corners.shape[:2])
    for c, ahead in enumerate((FRONT_M, -EGO_SHAPE.rear_overhang_m, -EGO_SHAPE.rear_overhang_m, FRONT_M)):
        x, y, yaw = path.pose(s + ahead)
        lateral[:, c] = (corners[:, c, 1] - y) * np.cos(yaw) - (corners[:, c, 0] - x) * np.sin(yaw)
    across = (np.abs(lateral) > half[:, None] + 0.1).any(-1)
    for start, end, _ in route.manoeuvres:
        across |= (s + FRONT_M > start) & (s < end)
    return np.asarray(across, dtype=np.bool_)


def _time_to_collision(log: EpisodeLog, egos: Floats, in_several: Bools) -> float:
    """NAVSIM's TTC: 0 where projecting everybody at constant velocity by up to 0.9 s makes the ego touch somebody.

    Counted are those within 30 degrees ahead and, where the ego is in several lanes or a junction, all that are
    not behind (beyond 150 degrees). A standing ego does not count.
    """
    for k, state in enumerate(log.states):
        speed, actors = egos[k, 3], state.actors
        if speed <= MOVING_MPS or not len(actors):
            continue
        dx, dy = actors.x_m - egos[k, 0], actors.y_m - egos[k, 1]
        angle = np.abs(wrapped(np.arctan2(dy, dx) - egos[k, 2]))
        counted = (angle < np.radians(150)) if in_several[k] else (angle < np.radians(30))
        reach = 6.0 + 0.9 * (speed + actors.speed_mps) + actors.size_m[:, 0] / 2
        rows = np.flatnonzero(counted & (np.hypot(dx, dy) < reach))
        if not len(rows):
            continue
        times = np.asarray(TTC_TIMES_S)
        moved = np.repeat(egos[k : k + 1], len(times), axis=0)
        moved[:, 0] += speed * np.cos(egos[k, 2]) * times
        moved[:, 1] += speed * np.sin(egos[k, 2]) * times
        yaw, v = actors.yaw_rad[rows].astype(float), actors.speed_mps[rows].astype(float)
        x = actors.x_m[rows, None] + (v * np.cos(yaw))[:, None] * times
        y = actors.y_m[rows, None] + (v * np.sin(yaw))[:, None] * times
        size = actors.size_m[rows]
        shape = x.shape
        boxes = box_corners(
            x,
            y,
            np.broadcast_to(yaw[:, None], shape),
            np.broadcast_to(size[:, :1], shape),
            np.broadcast_to(size[:, 1:2], shape),
        )
        if bool(np.any(boxes_overlap(ego_corners(moved)[None], boxes))):
            return 0.0
    return 1.0


def smoothed_derivative(values: Floats, window: int = 9) -> Floats:
    """d/dt of samples at the world's step: slope of the least-squares parabola over ``window`` samples.

    NAVSIM smooths with a Savitzky-Golay filter of order 2, which this is. Too short a series gives zeros.
    """
    half = window // 2
    if len(values) < 3:
        return np.zeros_like(values)
    k = np.arange(-half, half + 1)
    weights = k / float((k**2).sum()) / STEP_S
    return np.convolve(np.pad(values, half, mode="edge"), weights[::-1], mode="valid")


def _comfort(egos: Floats) -> float:
    """1 where acceleration, jerk and yaw motion stay within NAVSIM's bounds throughout, else 0."""
    speed, acceleration, curvature = egos[:, 3], egos[:, 4], egos[:, 5]
    lateral, yaw_rate = speed**2 * curvature, speed * curvature
    along_jerk, across_jerk = smoothed_derivative(acceleration), smoothed_derivative(lateral)
    measured = {
        "longitudinal_acceleration": acceleration,
        "lateral_acceleration": lateral,
        "jerk": np.hypot(along_jerk, across_jerk),
        "longitudinal_jerk": along_jerk,
        "yaw_acceleration": smoothed_derivative(yaw_rate),
        "yaw_rate": yaw_rate,
    }
    within = all(bool(((v >= COMFORT[n][0]) & (v <= COMFORT[n][1])).all()) for n, v in measured.items())
    return 1.0 if within else 0.0


def _direction(layout: Layout, egos: Floats, step_m: Floats) -> float:
    """NAVSIM's DDC: distance driven in lanes against traffic within any second: under 2 m 1, under 6 m 0.5, else 0."""
    samples = []
    for lane in layout.lanes.values():
        if lane.kind == LaneKind.WALK or lane.junction:
            continue
        path = make_path(lane.centre, step_m=1.0)
        samples.append(np.column_stack([path.points, path.yaw_rad, np.full(len(path.s_m), lane.width_m / 2)]))
    if not samples:
        return 1.0
    lanes = np.concatenate(samples)
    ahead = EGO_SHAPE.centre_ahead_m
    x, y = egos[:, 0] + ahead * np.cos(egos[:, 2]), egos[:, 1] + ahead * np.sin(egos[:, 2])
    around = (lanes[:, 0] > x.min() - 5) & (lanes[:, 0] < x.max() + 5)
    lanes = lanes[around & (lanes[:, 1] > y.min() - 5) & (lanes[:, 1] < y.max() + 5)]
    near = (x[:, None] - lanes[:, 0]) ** 2 + (y[:, None] - lanes[:, 1]) ** 2 < (lanes[:, 3] + 0.2) ** 2
    facing = np.cos(egos[:, 2, None] - lanes[:, 2]) > 0
    against = (near & ~facing).any(-1) & ~(near & facing).any(-1)
    window = np.ones(round(1.0 / STEP_S))
    worst = float(np.convolve(np.where(against, step_m, 0.0), window).max())
    return 1.0 if worst < 2.0 else 0.5 if worst < 6.0 else 0.0
