"""Pure decisions about a known path: where others will be, who is ahead, when to stop, how to steer.

All of it is plain numpy over the road users near the ego; nothing here knows what a driver or an episode is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inland.world.geometry import Path, wrapped
from inland.world.state import EGO_SHAPE, Actors, Ego, Kind, Light
from inland.world.traffic.layout import Layout, Route

Floats = NDArray[np.float64]

FRONT_M = EGO_SHAPE.length_m - EGO_SHAPE.rear_overhang_m
"""From the rear axle to the front bumper."""
HORIZON_S = 4.0
ACTUATOR_LAG_S = 0.2
PREDICTION_TIMES_S = np.arange(0.25, HORIZON_S + 0.01, 0.25)
LATERAL_PERSISTENCE_S = 1.2
"""How long a drift across the lane is believed to go on: about what is left of a lane change."""


@dataclass(frozen=True, slots=True, eq=False)
class Others:
    """Road users as the expert tracks them: columns of length N. Velocity is of the centre, in the town's frame."""

    ids: NDArray[np.int32]
    kind: NDArray[np.uint8]
    x: Floats
    y: Floats
    yaw: Floats
    vx: Floats
    vy: Floats
    yaw_rate: Floats
    acceleration: Floats
    half_length: Floats
    half_width: Floats

    def __len__(self) -> int:
        return len(self.ids)

    def pick(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Others:
        """Some of them, by mask or index."""
        return Others(*(getattr(self, name)[which] for name in Others.__slots__))


def track(actors: Actors, before: Others | None, step_s: float = 0.1) -> Others:
    """Road users with velocity, yaw rate and acceleration from successive states, lightly smoothed.

    A new one gets the velocity along its heading. ``before`` is the last call's answer.
    """
    ids = actors.ids
    x, y = actors.x_m.astype(float), actors.y_m.astype(float)
    yaw, speed = actors.yaw_rad.astype(float), actors.speed_mps.astype(float)
    vx, vy = speed * np.cos(yaw), speed * np.sin(yaw)
    yaw_rate, acceleration = np.zeros(len(ids)), np.zeros(len(ids))
    if before is not None and len(before) and len(ids):
        order = np.argsort(before.ids)
        at = order[np.clip(np.searchsorted(before.ids[order], ids), 0, len(order) - 1)]
        known = before.ids[at] == ids
        # Speed along the heading is as the simulator has it; sideways it is what the positions say.
        cos, sin = np.cos(yaw), np.sin(yaw)
        sideways = ((y - before.y[at]) * cos - (x - before.x[at]) * sin) / step_s
        was = before.vy[at] * cos - before.vx[at] * sin
        sideways = np.clip(np.where(known, 0.5 * was + 0.5 * np.clip(sideways, -2.5, 2.5), 0.0), -2.5, 2.5)
        vx, vy = speed * cos - sideways * sin, speed * sin + sideways * cos
        turn = wrapped(yaw - before.yaw[at]) / step_s
        yaw_rate = np.where(known, 0.6 * before.yaw_rate[at] + 0.4 * np.clip(turn, -1.2, 1.2), 0.0)
        gain = (speed - np.hypot(before.vx[at], before.vy[at])) / (2 * step_s)
        acceleration = np.where(known, 0.6 * before.acceleration[at] + 0.4 * np.clip(gain, -9.0, 4.0), 0.0)
    size = actors.size_m.astype(float)
    return Others(ids, actors.kind, x, y, yaw, vx, vy, yaw_rate, acceleration, size[:, 0] / 2, size[:, 1] / 2)


def near(others: Others, ego: Ego, reach_m: float = 75.0) -> Others:
    """Those that can matter within the horizon: close, or moving and able to come close."""
    dx, dy = others.x - ego.x_m, others.y - ego.y_m
    distance = np.hypot(dx, dy)
    ahead = dx * np.cos(ego.yaw_rad) + dy * np.sin(ego.yaw_rad)
    reachable = distance < 8.0 + HORIZON_S * (np.hypot(others.vx, others.vy) + ego.speed_mps)
    return others.pick((distance < reach_m) & (reachable | (ahead > 0)) & (ahead > -40.0))


def within_reach(others: Others, path: Path, s_m: float) -> Others:
    """Those who stand on the way ahead or beside it, or could come there within the horizon."""
    low, high = path.window(s_m - 50.0, s_m + 80.0)
    coarse = path.points[low : high : max(1, round(2.0 / path.step_m))]
    away2 = np.min((others.x[:, None] - coarse[:, 0]) ** 2 + (others.y[:, None] - coarse[:, 1]) ** 2, axis=1)
    reach = 4.5 + others.half_length + HORIZON_S * np.hypot(others.vx, others.vy)
    return others.pick(away2 < reach**2)


def predict(
    others: Others, path: Path, turns: tuple[tuple[float, float], ...], near_s_m: float
) -> tuple[Floats, Floats, Floats]:
    """Where others will be at `PREDICTION_TIMES_S`: x, y, yaw, each (N, T).

    Whoever moves along the ego's road (heading within 25 degrees of the path, or against it) keeps to the road:
    constant speed along the path, an offset that drifts for `LATERAL_PERSISTENCE_S`. At a junction (``turns``,
    spans of arc length) it goes straight on. Everybody else moves with constant velocity and turn rate.
    """
    t = PREDICTION_TIMES_S
    speed = np.hypot(others.vx, others.vy)
    course = np.where(speed > 0.3, np.arctan2(others.vy, others.vx), others.yaw)
    slowing = np.minimum(others.acceleration, 0.0)
    braked = np.minimum(t, 1.5)
    gone = np.maximum.accumulate(
        np.maximum(speed[:, None] * t + 0.5 * slowing[:, None] * braked * (2 * t - braked), 0.0), axis=1
    )

    # Constant turn rate for two seconds, then straight on: nobody turns for ever.
    rate = np.where(others.kind == Kind.PEDESTRIAN, 0.0, others.yaw_rate)
    bend = course[:, None] + rate[:, None] * np.minimum(t, 2.0)
    middle = np.concatenate([course[:, None] + rate[:, None] * 0.125, (bend[:, 1:] + bend[:, :-1]) / 2], axis=1)
    step = np.diff(gone, axis=1, prepend=0.0)
    x = others.x[:, None] + np.cumsum(step * np.cos(middle), axis=1)
    y = others.y[:, None] + np.cumsum(step * np.sin(middle), axis=1)
    yaw = others.yaw[:, None] + bend - course[:, None]

    low, high = path.window(near_s_m - 45.0, near_s_m + 85.0)
    window = path.points[low:high]
    if not len(others):
        return x, y, yaw
    away = (others.x[:, None] - window[:, 0]) ** 2 + (others.y[:, None] - window[:, 1]) ** 2
    at = low + np.argmin(away, axis=1)
    s_at, yaw_at = path.s_m[at], path.yaw_rad[at]
    offset = -(others.x - path.points[at, 0]) * np.sin(yaw_at) + (others.y - path.points[at, 1]) * np.cos(yaw_at)
    relative = wrapped(course - yaw_at)
    with_us, against = np.abs(relative) < 0.44, np.abs(relative) > np.pi - 0.44
    bound_low, bound_high = np.full(len(at), -np.inf), np.full(len(at), np.inf)
    inside = np.zeros(len(at), dtype=bool)
    for start, end in turns:
        inside |= (s_at >= start) & (s_at <= end)
        bound_high = np.where(s_at < start, np.minimum(bound_high, start), bound_high)
        bound_low = np.where(s_at > end, np.maximum(bound_low, end), bound_low)
    follows = (with_us | against) & ~inside & (np.abs(offset) < 12.0) & (others.kind != Kind.PEDESTRIAN)
    # The ends of the window are not the path's nearest point for those beyond it.
    follows &= (at > low) & (at < high - 1)
    if follows.any():
        f = np.flatnonzero(follows)
        s_t = s_at[f, None] + gone[f] * np.cos(relative[f, None])
        kept = np.clip(s_t, bound_low[f, None], bound_high[f, None])
        beyond = s_t - kept
        drift = speed[f, None] * np.sin(relative[f, None]) * np.minimum(t, LATERAL_PERSISTENCE_S)
        px, py, pyaw = path.pose(kept)
        lateral = offset[f, None] + drift
        x[f] = px + beyond * np.cos(pyaw) - lateral * np.sin(pyaw)
        y[f] = py + beyond * np.sin(pyaw) + lateral * np.cos(pyaw)
        yaw[f] = pyaw + wrapped(others.yaw[f] - yaw_at[f])[:, None]
    return x, y, yaw


def clearances(
    pose: tuple[Floats, Floats, Floats], x: Floats, y: Floats, yaw: Floats, half_length: Floats, half_width: Floats
) -> tuple[Floats, Floats, Floats]:
    """Free room between the ego's box, its rear axle at ``pose``, and boxes, in the ego's own axes.

    Returns (along, across, ahead): the boxes overlap where along and across are both negative (a little early
    for boxes at an angle, never late); ``ahead`` is the centre's place before (+) or behind (-) the ego's centre.
    """
    ex, ey, eyaw = pose
    cos, sin = np.cos(eyaw), np.sin(eyaw)
    dx, dy = x - ex, y - ey
    ahead = dx * cos + dy * sin - EGO_SHAPE.centre_ahead_m
    left = dy * cos - dx * sin
    c, s = np.abs(np.cos(yaw - eyaw)), np.abs(np.sin(yaw - eyaw))
    along = np.abs(ahead) - EGO_SHAPE.length_m / 2 - half_length * c - half_width * s
    across = np.abs(left) - EGO_SHAPE.width_m / 2 - half_length * s - half_width * c
    return along, across, ahead


def shifted(
    pose: tuple[Floats, Floats, Floats], gone_m: Floats, offsets_m: tuple[float, float]
) -> tuple[Floats, Floats, Floats]:
    """Poses moved aside (positive left) by an offset that goes from the first to the second over some metres."""
    now, then = offsets_m
    x, y, yaw = pose
    aside = then + (now - then) * np.exp(-gone_m / 4.0)
    return x - aside * np.sin(yaw), y + aside * np.cos(yaw), yaw


@dataclass(frozen=True, slots=True)
class Leader:
    """Who is in the way now: the way left until touching, its speed along the path, its acceleration, who."""

    gap_m: float
    speed_mps: float
    acceleration_mps2: float
    actor: int
    kind: int


def leaders(
    others: Others,
    path: Path,
    s_m: float,
    offsets_m: tuple[float, float] = (0.0, 0.0),
    reach_m: float = 60.0,
    margin_m: float = 0.2,
) -> list[Leader]:
    """Road users in the strip that the ego's body will sweep, who move along it or stand.

    ``offsets_m`` are the ego's offset from the path now and the one that it goes to.
    """
    if not len(others):
        return []
    way = np.arange(0.0, reach_m, 1.0)
    pose = shifted(path.pose(s_m + way), way, offsets_m)
    column = (pose[0][:, None], pose[1][:, None], pose[2][:, None])
    along, across, ahead = clearances(column, others.x, others.y, others.yaw, others.half_length, others.half_width)
    # Whoever is beside us now is in the way only where we would really touch.
    beside = along[0] < 0.0
    blocked = (along < 1.0) & (across < np.where(beside, 0.0, margin_m)) & (ahead > 0.0)
    # Whoever's centre is not before ours now is beside or behind us: prediction deals with it.
    found = blocked.any(0) & (ahead[0] > 0.0)
    answer = []
    for i in np.flatnonzero(found):
        first = int(np.argmax(blocked[:, i]))
        heading = float(pose[2][first])
        forward = float(others.vx[i] * np.cos(heading) + others.vy[i] * np.sin(heading))
        aside = float(others.vy[i] * np.cos(heading) - others.vx[i] * np.sin(heading))
        if abs(aside) > 0.6 and abs(aside) > 0.8 * abs(forward):
            continue  # it crosses: prediction deals with it
        gap = max(float(way[first] + along[first, i]), 0.0)
        answer.append(Leader(gap, forward, float(others.acceleration[i]), int(others.ids[i]), int(others.kind[i])))
    return answer


def follow(
    speed_mps: float, leader: Leader, time_gap_s: float, comfort_mps2: float, standstill_m: float = 2.0
) -> float:
    """Acceleration behind a leader: the intelligent driver model (Treiber et al. 2000), without its panic.

    The model brakes far harder than needed when somebody merges closely at equal speed; braking is bounded by
    what kinematics asks for, and 2.5 m/s2 above that restores the gap.
    """
    lead = max(leader.speed_mps, 0.0)
    closing = speed_mps - leader.speed_mps
    gap = max(leader.gap_m, 0.1)
    desired = standstill_m + max(0.0, speed_mps * time_gap_s + speed_mps * closing / (2 * np.sqrt(comfort_mps2 * 2.0)))
    wish = comfort_mps2 * (1.0 - (desired / gap) ** 2)
    room = max(gap - 1.0, 0.2)
    needed = closing**2 / (2 * room) if closing > 0 else 0.0
    if leader.acceleration_mps2 < -0.5:
        lead_stop = lead**2 / (2 * -leader.acceleration_mps2)
        needed = max(needed, speed_mps**2 / (2 * max(room + lead_stop, 0.2)))
    return float(max(wish, -max(2.5, 1.25 * needed + 0.3)))


def room_to_pass(others: Others, path: Path, s_m: float, reach_m: float = 28.0, wish_m: float = 0.7) -> float:
    """How far to keep from the middle of the lane, positive left, to pass those at its edges with room to spare.

    Somebody who reaches into the lane but leaves a way past makes us give up to 0.5 m; somebody on either side
    balances. Whoever blocks the lane is nobody to pass.
    """
    if not len(others):
        return 0.0
    low, high = path.window(s_m - 2.0, s_m + reach_m)
    window = path.points[low:high]
    away = (others.x[:, None] - window[:, 0]) ** 2 + (others.y[:, None] - window[:, 1]) ** 2
    nearest = np.argmin(away, axis=1)
    at = low + nearest
    yaw = path.yaw_rad[at]
    offset = (others.y - path.points[at, 1]) * np.cos(yaw) - (others.x - path.points[at, 0]) * np.sin(yaw)
    relative = others.yaw - yaw
    reach = others.half_length * np.abs(np.sin(relative)) + others.half_width * np.abs(np.cos(relative))
    room = np.abs(offset) - reach - EGO_SHAPE.width_m / 2
    drift = others.vy * np.cos(yaw) - others.vx * np.sin(yaw)
    inner = (nearest > 0) & (nearest < len(window) - 1) & (np.abs(drift) < 1.0)
    inner &= (room > -0.4) & (room < wish_m)
    right = float(np.max(np.where(inner & (offset < 0), wish_m - room, 0.0)))
    left = float(np.max(np.where(inner & (offset > 0), wish_m - room, 0.0)))
    return min(max(right - left, -0.5), 0.5)


def first_conflicts(
    candidates: Floats,
    ego: Ego,
    s_m: float,
    offsets_m: tuple[float, float],
    path: Path,
    top_speed_mps: float,
    others: Others,
    predicted: tuple[Floats, Floats, Floats],
) -> tuple[Floats, Floats]:
    """When each constant acceleration (K,) first comes close to each of the others, and when it touches them.

    Both are seconds (K, N), infinity where it does neither. The ego keeps to the path, its offset going from the
    first of ``offsets_m`` to the second. Whoever is behind us in our own lane must keep its distance.
    """
    t = PREDICTION_TIMES_S
    v0 = ego.speed_mps
    a = candidates[:, None]
    # The actuator lags: for its lag the old acceleration lasts, to first order.
    early = np.minimum(t, ACTUATOR_LAG_S)
    late = np.maximum(t - ACTUATOR_LAG_S, 0.0)
    v_early = np.maximum(v0 + ego.acceleration_mps2 * early, 0.0)
    v = np.clip(v_early + a * late, 0.0, max(top_speed_mps, v0))
    stopping = v_early**2 / (2 * np.maximum(-a, 1e-6))
    gone = (v0 + v_early) / 2 * early + np.where((a < 0) & (v <= 0), stopping, (v_early + v) / 2 * late)
    px, py, pyaw = path.pose(s_m + gone)
    px, py, pyaw = shifted((px, py, pyaw), gone, offsets_m)
    pose = (px[:, None, :], py[:, None, :], pyaw[:, None, :])
    half_length, half_width = others.half_length[:, None], others.half_width[:, None]
    along, across, _ = clearances(pose, *predicted, half_length, half_width)

    here = (np.array([ego.x_m]), np.array([ego.y_m]), np.array([ego.yaw_rad]))
    along_now, across_now, ahead_now = clearances(
        here, others.x, others.y, others.yaw, others.half_length, others.half_width
    )
    behind = ((ahead_now < 0) & (across_now < 0.1)) | (ahead_now < -EGO_SHAPE.length_m / 2)
    behind &= in_our_lane(others, path, s_m)
    beside = (ahead_now < EGO_SHAPE.length_m / 2) & (along_now < 3.0)
    soft = others.kind >= Kind.SCOOTER
    still = np.hypot(others.vx, others.vy) < 0.5
    keep_across = np.where(beside, 0.1, np.where(soft & ~still, 0.45, np.where(soft, 0.3, 0.25)))[:, None]
    keep_along = np.where(soft, 1.0, 0.8)[:, None]
    # Who comes towards us keeps to their own side: a prediction that says otherwise is believed only when near.
    counts = ~behind[:, None] & ((np.abs(wrapped(predicted[2] - pyaw[:, None, :])) < 2.6) | (t < 1.6))
    close = (along < keep_along) & (across < keep_across) & counts
    touch = (along < 0.15) & (across < 0.08) & counts

    def first(hit: NDArray[np.bool_]) -> Floats:
        return np.where(np.any(hit, axis=2), t[np.argmax(hit, axis=2)], np.inf)

    return first(close), first(touch)


def in_our_lane(others: Others, path: Path, s_m: float) -> NDArray[np.bool_]:
    """Whether others, (N,), are on the way that we came and move along it: they must keep their distance."""
    low, high = path.window(s_m - 50.0, s_m + 5.0)
    window = path.points[low:high]
    away = (others.x[:, None] - window[:, 0]) ** 2 + (others.y[:, None] - window[:, 1]) ** 2
    at = low + np.argmin(away, axis=1)
    yaw = path.yaw_rad[at]
    offset = (others.y - path.points[at, 1]) * np.cos(yaw) - (others.x - path.points[at, 0]) * np.sin(yaw)
    return np.asarray((np.abs(offset) < 1.0) & (np.cos(others.yaw - yaw) > 0.8), dtype=np.bool_)


def speed_profile(path: Path, limit_mps: Floats, lateral_mps2: float, braking_mps2: float) -> Floats:
    """Comfortable speed at each point of the path: limit, lateral acceleration, and braking in time for both."""
    profile = np.minimum(limit_mps, np.sqrt(lateral_mps2 / np.maximum(np.abs(path.curvature_1pm), 1e-4)))
    for i in range(len(profile) - 2, -1, -1):
        profile[i] = min(profile[i], np.sqrt(profile[i + 1] ** 2 + 2 * braking_mps2 * path.step_m))
    return np.asarray(profile, dtype=np.float64)


def steer(ego: Ego, path: Path, s_m: float, offset_m: float) -> float:
    """Curvature that follows the path: its own, previewed over the steering's lag, plus feedback on offset and yaw.

    Seen along the path, the offset obeys e'' = curvature - path's curvature; the gains damp it critically over a
    characteristic length that grows with speed.
    """
    reach = max(2.5, 0.7 * ego.speed_mps)
    _, _, yaw = path.pose(s_m + 0.1 * ego.speed_mps)
    heading = float(wrapped(ego.yaw_rad + 0.1 * ego.speed_mps * ego.curvature_1pm - float(yaw)))
    ahead = float(np.interp(s_m + 0.2 * ego.speed_mps, path.s_m, path.curvature_1pm))
    offset = min(max(offset_m, -2.0), 2.0)
    return ahead - offset / reach**2 - 2.0 * float(np.sin(heading)) / reach


def stop_at(speed_mps: float, room_m: float, comfort_mps2: float) -> float | None:
    """Acceleration that stops within ``room_m``, or None while there is no need to brake yet."""
    if room_m <= 0.3:
        return -2.0 if speed_mps < 2.0 else -max(2.0, speed_mps**2 / 0.6)
    needed = speed_mps**2 / (2 * room_m)
    if needed < 0.8 * comfort_mps2 and room_m > 2.0:
        return None
    return -max(needed, 0.3) if speed_mps > 0.05 else -0.5


def must_stop(light: int, speed_mps: float, room_m: float, decided: bool = False) -> bool:
    """Whether a light asks to stop at its line, ``room_m`` before the front bumper: red always, amber if it can.

    Whoever has ``decided`` to stop for amber keeps to it while any brake can still do it.
    """
    if light in (Light.RED, Light.RED_AMBER):
        return room_m > -0.5
    if light == Light.AMBER:
        return room_m > 0.0 and speed_mps**2 / (2 * max(room_m, 0.1)) < (6.0 if decided else 3.0)
    return False


def stop_lines(layout: Layout, route: Route, path: Path) -> tuple[tuple[float, tuple[int, ...]], ...]:
    """The route's stop lines: (arc length, indices of the signals that open its next junction lane)."""
    found: dict[float, list[int]] = {}
    for lane, after in zip(route.lanes[:-1], route.lanes[1:], strict=True):
        for index, signal in enumerate(layout.signals):
            if lane in signal.lanes and (after in signal.via or not signal.via) and signal.arrow != "walk":
                middle = signal.stop_line.mean(0)
                s, _ = path.project(float(middle[0]), float(middle[1]))
                found.setdefault(round(s, 1), []).append(index)
    return tuple((s, tuple(found[s])) for s in sorted(found))
