"""A simple careful ego for the simulator's tests: it rides its route as on rails and minds what is ahead.

Simulating loads libsumo: tests do it in a spawned process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from inland.digest import digest_of
from inland.world.state import EGO_SHAPE, Actors, Command, Ego, Light, WorldState
from inland.world.towns import EpisodeSpec
from inland.world.traffic.layout import Layout, Route

if TYPE_CHECKING:
    from inland.world.traffic.simulator import Simulator

STEP_S = 0.1


def simulator(spec: EpisodeSpec) -> Simulator:
    from inland.world.traffic.simulator import Simulator

    return Simulator(spec)


def corners(x: float, y: float, yaw: float, length: float, width: float) -> np.ndarray:
    c, s = np.cos(yaw), np.sin(yaw)
    local = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) * (length / 2, width / 2)
    return local @ np.array([[c, s], [-s, c]]) + (x, y)


def overlap(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two rectangles (4, 2) overlap (separating axes)."""
    for box in (a, b):
        for i in range(2):
            axis = box[i + 1] - box[i]
            pa, pb = a @ axis, b @ axis
            if pa.max() < pb.min() or pb.max() < pa.min():
                return False
    return True


def ego_box(ego: Ego, margin_m: float = 0.0) -> np.ndarray:
    ahead = EGO_SHAPE.centre_ahead_m
    x, y = ego.x_m + ahead * np.cos(ego.yaw_rad), ego.y_m + ahead * np.sin(ego.yaw_rad)
    return corners(x, y, ego.yaw_rad, EGO_SHAPE.length_m + 2 * margin_m, EGO_SHAPE.width_m + 2 * margin_m)


def touching(state: WorldState, margin_m: float = 0.0) -> list[int]:
    """Rows of the actors whose boxes overlap the ego's."""
    a, ego = state.actors, state.ego
    near = np.hypot(a.x_m - ego.x_m, a.y_m - ego.y_m) < 12
    box = ego_box(ego, margin_m)
    return [
        i
        for i in np.flatnonzero(near)
        if overlap(box, corners(a.x_m[i], a.y_m[i], a.yaw_rad[i], a.size_m[i, 0], a.size_m[i, 1]))
    ]


def ahead_of(ego: Ego, actors: Actors, i: int) -> float:
    """How far the actor's centre is ahead of the ego's centre, in the ego's axis."""
    dx, dy = actors.x_m[i] - ego.x_m, actors.y_m[i] - ego.y_m
    return float(dx * np.cos(ego.yaw_rad) + dy * np.sin(ego.yaw_rad) - EGO_SHAPE.centre_ahead_m)


@dataclass
class Rails:
    """Rides ``route``; ``s_m`` is the rear axle's place on it."""

    layout: Layout
    route: Route
    speed_mps: float
    s_m: float = 0.0
    brake_mps2: float = 6.0
    signal: int | None = field(default=None)
    stop_s_m: float = 0.0

    def __post_init__(self) -> None:
        if self.route.manoeuvres:
            start, _, command = self.route.manoeuvres[0]
            want = "left" if command == Command.LEFT else "through"
            arm = self.layout.lanes[self.route.lanes[0]].edge.removesuffix("_in")
            self.signal = next(i for i, s in enumerate(self.layout.signals) if s.id == f"{arm}_{want}")
            self.stop_s_m = start - 1.0
        d = np.gradient(self.route.path, axis=0)
        yaw = np.unwrap(np.arctan2(d[:, 1], d[:, 0]))
        self._yaw = np.convolve(np.pad(yaw, 2, mode="edge"), np.ones(5) / 5, mode="valid")
        curvature = np.abs(np.gradient(self._yaw, self.route.s_m))
        self._limit = np.minimum(self.route.limit_mps, np.sqrt(2.0 / np.maximum(curvature, 1e-3)))

    @property
    def done(self) -> bool:
        return self.s_m >= self.route.s_m[-1] - 0.5

    def pose(self) -> Ego:
        s, path = self.route.s_m, self.route.path
        x, y = np.interp(self.s_m, s, path[:, 0]), np.interp(self.s_m, s, path[:, 1])
        return Ego(float(x), float(y), float(np.interp(self.s_m, s, self._yaw)), self.speed_mps)

    def next(self, state: WorldState) -> Ego:
        front = self.s_m + EGO_SHAPE.length_m - EGO_SHAPE.rear_overhang_m
        look = np.arange(front, min(front + 45, self.route.s_m[-1] + 4), 1.0)
        v = self.speed_mps
        limits = np.interp(self.s_m + np.arange(0, 40.0), self.route.s_m, self._limit)
        allowed = float(np.min(np.sqrt(limits**2 + 2 * 1.5 * np.arange(0, 40.0))))
        accel = 1.8 * (1 - (v / max(allowed, 0.5)) ** 4)
        gap, lead = self._obstacle(state, look, front)
        if gap is not None:
            desired = 2.0 + max(0.0, v * 1.2 + v * (v - lead) / (2 * np.sqrt(1.8 * 2.5)))
            accel = min(accel, 1.8 * (1 - (v / max(allowed, 0.5)) ** 4 - (desired / max(gap, 0.3)) ** 2))
        if self.signal is not None and front < self.stop_s_m + 0.5:
            shown, room = Light(state.signals[self.signal]), self.stop_s_m - front - 0.5
            must = shown == Light.RED or (shown == Light.AMBER and v * v / 2 / 3.0 < room)
            if must:
                desired = 0.8 + max(0.0, v * 0.8 + v * v / (2 * np.sqrt(1.8 * 2.5)))
                accel = min(accel, 1.8 * (1 - (desired / max(room + 1.0, 0.3)) ** 2))
        accel = float(np.clip(accel, -self.brake_mps2, 1.8))
        self.speed_mps = max(0.0, v + accel * STEP_S)
        self.s_m = min(self.s_m + (v + self.speed_mps) / 2 * STEP_S, float(self.route.s_m[-1]))
        return self.pose()

    def _obstacle(self, state: WorldState, look: np.ndarray, front: float) -> tuple[float | None, float]:
        a = state.actors
        s, path = self.route.s_m, self.route.path
        points = np.stack([np.interp(look, s, path[:, k]) for k in (0, 1)], axis=1)
        yaw = np.interp(look, s, self._yaw)
        # The path ends before the road does: go straight on.
        beyond = np.maximum(look - s[-1], 0)
        points += beyond[:, None] * np.stack([np.cos(yaw), np.sin(yaw)], axis=1)
        best, speed = None, 0.0
        for i in np.flatnonzero(np.hypot(a.x_m - state.ego.x_m, a.y_m - state.ego.y_m) < 50):
            half_l, half_w = a.size_m[i, 0] / 2, a.size_m[i, 1] / 2
            axis = np.array([np.cos(a.yaw_rad[i]), np.sin(a.yaw_rad[i])])
            centre = np.array([a.x_m[i], a.y_m[i]], dtype=float)
            here = np.argmin(np.hypot(*(points - centre).T))
            crossing = abs(np.sin(a.yaw_rad[i] - yaw[here])) > 0.35
            for tau in (0.0, 0.5, 1.0, 1.5, 2.0, 2.5) if crossing else (0.0,):
                d = points - (centre + axis * a.speed_mps[i] * tau)
                along, across = np.abs(d @ axis), np.abs(d @ np.array([-axis[1], axis[0]]))
                near = np.hypot(np.maximum(along - half_l, 0), np.maximum(across - half_w, 0)) < 0.925 + 0.4
                if near.any():
                    gap = float(look[np.argmax(near)] - front)
                    if best is None or gap < best:
                        best = gap
                        speed = 0.0 if crossing else float(a.speed_mps[i])
        return best, speed


@dataclass
class Ride:
    """What one ride met. ``hits`` are (time_s, actor kind, was it ahead of the ego, ego speed)."""

    finished: bool
    seconds: float
    free_flow_s: float
    hits: list[tuple[float, int, bool, float]]
    stuck_s: float
    happened: dict[str, float]
    states: list[WorldState]


def ride(sim: Simulator, keep: bool = False) -> Ride:
    state = sim.reset()
    rails = Rails(sim.layout, sim.route, sim.scene.speed_mps)
    hits: list[tuple[float, int, bool, float]] = []
    hit_ids: set[int] = set()
    states, stuck, t = [], 0.0, 0.0
    while not rails.done and t < sim.time_limit_s:
        state = sim.step(rails.next(state))
        t = state.t_ns / 1e9
        stuck += 0.1 if rails.speed_mps < 0.3 else 0.0
        for i in touching(state):
            if int(state.actors.ids[i]) not in hit_ids:
                hit_ids.add(int(state.actors.ids[i]))
                ahead = ahead_of(state.ego, state.actors, i) > 0
                hits.append((t, int(state.actors.kind[i]), ahead, state.ego.speed_mps))
        if keep:
            states.append(state)
    return Ride(rails.done, t, sim.free_flow_s, hits, stuck, dict(sim.happened), states)


def ride_spec(spec: EpisodeSpec) -> Ride:
    """One careful ride, states kept (in a worker process)."""
    sim = simulator(spec)
    try:
        return ride(sim, keep=True)
    finally:
        sim.close()


def digest_states(states: list[WorldState]) -> str:
    return digest_of([(s.t_ns, s.ego, s.actors, s.signals) for s in states])


def digests_of_rides(specs: list[EpisodeSpec], steps: int) -> list[str]:
    """The first ``steps`` world states of careful rides, one after another in this process, as digests."""
    found = []
    for spec in specs:
        sim = simulator(spec)
        state = sim.reset()
        rails = Rails(sim.layout, sim.route, sim.scene.speed_mps)
        states = [state]
        for _ in range(steps):
            state = sim.step(rails.next(state))
            states.append(state)
        found.append(digest_states(states))
        sim.close()
    return found


def states_at_rest(spec: EpisodeSpec, steps: int) -> list[WorldState]:
    """The world around an ego that stays where it starts."""
    sim = simulator(spec)
    state = sim.reset()
    here = Ego(state.ego.x_m, state.ego.y_m, state.ego.yaw_rad, 0.0)
    states = [state]
    for _ in range(steps):
        states.append(sim.step(here))
    sim.close()
    return states


def contacts_of_hesitant_ride(spec: EpisodeSpec) -> list[tuple[float, int, bool, float]]:
    """What touches an ego that brakes to a stop now and then without any reason, and goes on."""
    sim = simulator(spec)
    state = sim.reset()
    rails = Rails(sim.layout, sim.route, sim.scene.speed_mps)
    met = []
    for step in range(250):
        if step % 70 > 45:
            before = rails.speed_mps
            rails.speed_mps = max(0.0, before - 0.6)
            rails.s_m += (before + rails.speed_mps) / 2 * STEP_S
            state = sim.step(rails.pose())
        else:
            state = sim.step(rails.next(state))
        met += [
            (state.t_ns / 1e9, int(state.actors.kind[i]), ahead_of(state.ego, state.actors, i) > 0, rails.speed_mps)
            for i in touching(state)
        ]
        if rails.done:
            break
    sim.close()
    return met


def sumo_front_of_ego(spec: EpisodeSpec, ego: Ego) -> tuple[float, float, float]:
    """Where SUMO has the ego's front bumper, and its angle, after a step with this pose."""
    from inland.world.traffic.stage import EGO_ID, libsumo

    sim = simulator(spec)
    sim.reset()
    sim.step(ego)
    x, y = libsumo.vehicle.getPosition(EGO_ID)
    angle = libsumo.vehicle.getAngle(EGO_ID)
    sim.close()
    return x, y, angle
