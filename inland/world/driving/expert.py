"""The expert: a privileged driver that decides only on what the rig has seen in the last two seconds.

It knows the route's path, the signals and the exact place of everybody that was seen; the learner does not. What
the learner cannot see, the expert may not use. Its style varies with the seed, so that nobody learns one rigid
way of driving. Its failures are noise in the labels.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inland.drivers import Observation
from inland.world.driving.flows import Flows, flows_of, keep_to_lanes, road_of
from inland.world.driving.planning import (
    FRONT_M,
    Others,
    first_conflicts,
    follow,
    leaders,
    must_stop,
    near,
    predict,
    room_to_pass,
    speed_profile,
    steer,
    stop_at,
    stop_lines,
    track,
    within_reach,
)
from inland.world.geometry import Path, make_path
from inland.world.state import TRAJECTORY_POINTS, TRAJECTORY_STEP_S, Control, Kind, Light, WorldState
from inland.world.traffic.layout import Layout, Route

CANDIDATES_MPS2 = np.array([1.0, 0.5, 0.0, -0.5, -1.0, -1.5, -2.0, -2.5, -3.0, -4.0, -5.5, -8.0])
"""Constant accelerations that are tried, weakest braking first, where the wish of the moment meets somebody."""
CREEP_MPS = 1.5
"""How fast the expert squeezes past somebody who stands close."""
SIGNAL_SIGHT_M = 70.0
"""From how far the expert reads a light."""
REVISION = 2
"""Raised by hand when the expert drives differently: it is part of the driver's digest."""


@dataclass(frozen=True, slots=True)
class Style:
    """How one expert drives, drawn from its seed."""

    time_gap_s: float = 1.3
    acceleration_mps2: float = 1.8
    braking_mps2: float = 1.9
    speed_fraction: float = 0.97
    lateral_mps2: float = 1.9


def style_of(seed: int) -> Style:
    """The style that belongs to a seed."""
    rng = np.random.default_rng([seed, 11])
    return Style(
        time_gap_s=float(rng.uniform(1.0, 1.6)),
        acceleration_mps2=float(rng.uniform(1.6, 2.2)),
        braking_mps2=float(rng.uniform(1.6, 2.2)),
        speed_fraction=float(rng.uniform(0.93, 1.0)),
        lateral_mps2=float(rng.uniform(1.7, 2.1)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What the expert knows of its way before it drives off.

    ``stops`` are (arc length of the stop line, indices of the layout's signals that speak for it); ``turns`` are
    the junctions' spans of arc length, ``profile_mps`` the comfortable speed at each point of ``path``, which runs
    on beyond the route's start (arc length 0) and end (``end_m``).
    """

    path: Path
    profile_mps: NDArray[np.float64]
    stops: tuple[tuple[float, tuple[int, ...]], ...]
    turns: tuple[tuple[float, float], ...]
    flows: Flows
    end_m: float


def plan_route(layout: Layout, route: Route, style: Style) -> Plan:
    """Everything about the route that does not change while driving."""
    road, before_m = road_of(layout, route)
    path = make_path(road, start_m=-before_m)
    limit = np.interp(path.s_m, route.s_m, route.limit_mps) * style.speed_fraction
    spans = tuple((start, end) for start, end, _ in route.manoeuvres)
    return Plan(
        path=path,
        profile_mps=speed_profile(path, limit, style.lateral_mps2, style.braking_mps2),
        stops=stop_lines(layout, route, path),
        turns=spans,
        flows=_flows(layout),
        end_m=float(route.s_m[-1]),
    )


_FLOWS: dict[str, tuple[Layout, Flows]] = {}


def _flows(layout: Layout) -> Flows:
    """The layout's flows, made once per process."""
    kept = _FLOWS.get(layout.name)
    if kept is None or kept[0] is not layout:
        kept = _FLOWS[layout.name] = (layout, flows_of(layout))
    return kept[1]


class ExpertDriver:
    """A `Driver` that must be shown the world (`see`) before each `drive`."""

    name = "expert"
    cameras: tuple[str, ...] = ()
    digest = f"expert-{REVISION}"

    def __init__(self) -> None:
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Forget the past; take the style of this seed."""
        self._style = style_of(seed)
        self._route: Route | None = None
        self._plan: Plan | None = None
        self._others: Others | None = None
        self._visible: Others | None = None
        self._state: WorldState | None = None
        self._s_m, self._offset_m = 0.0, 0.0
        self._aside_m = 0.0
        self._command_mps2 = 0.0
        self._drove = False
        self._stopping_m: float | None = None

    def see(self, state: WorldState, layout: Layout, route: Route, seen: Collection[int]) -> None:
        """Take in the world of this step; ``seen`` are ids of road users that the rig saw within two seconds.

        Call it once a step, also while somebody else drives: the expert then knows how others move.
        """
        near_s_m: float | None = self._s_m
        if self._plan is None or route is not self._route:
            self._route, self._plan, near_s_m = route, plan_route(layout, route, self._style), None
        elif self._state is not None and not self._drove:
            # Somebody else drove: the jerk limit starts from what the car does. Never from one's own drive: brakes that
            # fail would then talk the driver, and so the label, out of braking.
            measured = state.ego.acceleration_mps2
            self._command_mps2 = min(max(self._command_mps2, measured - 0.5), measured + 0.5)
        self._drove = False
        self._s_m, self._offset_m = self._plan.path.project(state.ego.x_m, state.ego.y_m, near_s_m)
        self._state = state
        self._others = track(state.actors, self._others)
        ids = np.fromiter(seen, dtype=np.int32, count=len(seen))
        self._visible = near(self._others.pick(np.isin(self._others.ids, ids)), state.ego)

    def drive(self, observation: Observation) -> Control:
        """Answer for the world last seen; the observation itself adds nothing."""
        if self._state is None or self._plan is None or self._visible is None:
            raise RuntimeError("the expert must see() the world before it drives")
        state, plan, style = self._state, self._plan, self._style
        ego, path = state.ego, plan.path
        s, offset = self._s_m, self._offset_m
        self._visible = within_reach(self._visible, path, s)
        aim = room_to_pass(self._visible, path, s)
        self._aside_m += min(max(aim - self._aside_m, -0.04), 0.04)
        offsets = (offset, self._aside_m)
        wish = min(
            self._cruise(s, ego.speed_mps),
            self._behind_others(s, ego.speed_mps, plan, offsets),
            self._at_lights(s, ego.speed_mps, state.signals, plan, style),
        )
        wish = self._avoid(wish, state, plan, s, offsets)
        acceleration = self._smooth(wish, ego.speed_mps)
        self._command_mps2 = acceleration
        self._drove = True
        return Control(
            curvature_1pm=steer(ego, path, s, offset - self._aside_m),
            acceleration_mps2=acceleration,
            trajectory_m=ahead_on_path(path, s, ego.x_m, ego.y_m, ego.yaw_rad, ego.speed_mps, acceleration),
        )

    def _cruise(self, s_m: float, speed_mps: float) -> float:
        """Towards the comfortable speed a little ahead."""
        assert self._plan is not None
        style, plan = self._style, self._plan
        target = float(np.interp(s_m + 0.4 * speed_mps, plan.path.s_m, plan.profile_mps))
        return min(max((target - speed_mps) / 0.7, -3.0), style.acceleration_mps2)

    def _behind_others(self, s_m: float, speed_mps: float, plan: Plan, offsets_m: tuple[float, float]) -> float:
        """Keep a distance to whoever is ahead, and stay out of a junction that cannot be left."""
        style, others = self._style, self._visible
        wish = style.acceleration_mps2
        if others is None:
            return wish
        for leader in leaders(others, plan.path, s_m, offsets_m):
            wish = min(wish, follow(speed_mps, leader, style.time_gap_s, style.acceleration_mps2))
            if leader.speed_mps > 1.5 or leader.kind > Kind.BUS:
                continue  # two-wheelers and people clear a junction by themselves
            rear = s_m + FRONT_M + leader.gap_m
            for start, end in plan.turns:
                front = s_m + FRONT_M
                if front < start < rear < end + 7.0:
                    braking = stop_at(speed_mps, start - 1.0 - front, style.braking_mps2)
                    wish = min(wish, style.acceleration_mps2 if braking is None else braking)
        return wish

    def _at_lights(self, s_m: float, speed_mps: float, signals: NDArray[np.uint8], plan: Plan, style: Style) -> float:
        """Stop for red, and for amber where that is comfortable."""
        wish, comfort = style.acceleration_mps2, style.braking_mps2
        for line, indices in plan.stops:
            room = line - (s_m + FRONT_M)
            if not -1.0 < room < SIGNAL_SIGHT_M:
                continue
            lights = [int(signals[i]) for i in indices]
            decided = line == self._stopping_m
            if Light.GREEN in lights or not any(must_stop(x, speed_mps, room, decided) for x in lights):
                continue
            self._stopping_m = line
            braking = stop_at(speed_mps, room - (0.4 if speed_mps**2 > 5.0 * max(room, 0.1) else 1.0), comfort)
            if braking is not None:
                wish = min(wish, braking)
        return wish

    def _avoid(self, wish: float, state: WorldState, plan: Plan, s_m: float, offsets_m: tuple[float, float]) -> float:
        """The strongest acceleration, up to the wish, that keeps clear of everybody within the horizon.

        Where nothing keeps clear but something does not touch, creep: whoever stands too close already cannot be
        given more room by waiting.
        """
        others = self._visible
        if others is None or not len(others):
            return wish
        predicted = predict(others, plan.path, plan.turns, s_m)
        tried = np.r_[wish, CANDIDATES_MPS2[wish > CANDIDATES_MPS2]]
        top = float(np.interp(s_m, plan.path.s_m, plan.profile_mps)) + 0.5

        def meet() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            return first_conflicts(tried, state.ego, s_m, offsets_m, plan.path, top, others, predicted)

        close_to, touch_to = meet()
        # Somebody seems to be in the way: is it so too if they keep to the lanes that they are on?
        if keep_to_lanes(plan.flows, others, predicted, np.flatnonzero(np.isfinite(close_to).any(0))):
            close_to, touch_to = meet()
        close, touch = close_to.min(1), touch_to.min(1)
        comfortable = np.isinf(close) & ((tried >= -3.0) | (tried == wish))
        if comfortable.any():
            return float(tried[int(np.argmax(comfortable))])
        free = np.isinf(touch)
        if not free.any():
            # Nothing avoids it on prediction: the latest touch, and of those the strongest braking.
            return float(tried[np.flatnonzero(touch == touch.max())[-1]])
        gentle = (CREEP_MPS - state.ego.speed_mps) / 0.7
        return min(float(tried[int(np.argmax(free))]), max(gentle, -2.5))

    def _smooth(self, wish: float, speed_mps: float) -> float:
        """Bound jerk unless it is an emergency; hold still at rest."""
        before = self._command_mps2
        if speed_mps < 0.3 and wish > 0:
            before = max(before, 0.0)
        if speed_mps < 0.2 and wish <= 0:
            return -0.5
        if wish < -3.5:
            return max(wish, -8.0)
        # A foot leaves the throttle at once.
        return min(max(wish, min(before, 0.0) - 0.5), before + 0.35)


def ahead_on_path(
    path: Path, s_m: float, x_m: float, y_m: float, yaw_rad: float, speed_mps: float, acceleration_mps2: float
) -> NDArray[np.float32]:
    """The next 3 s along the path at a constant acceleration, in the rig frame: (6, 2) float32."""
    t = TRAJECTORY_STEP_S * np.arange(1, TRAJECTORY_POINTS + 1)
    until = np.minimum(t, speed_mps / -acceleration_mps2) if acceleration_mps2 < -1e-3 else t
    x, y, _ = path.pose(s_m + speed_mps * until + acceleration_mps2 * until**2 / 2)
    dx, dy = x - x_m, y - y_m
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    return np.stack([dx * cos + dy * sin, dy * cos - dx * sin], -1).astype(np.float32)
