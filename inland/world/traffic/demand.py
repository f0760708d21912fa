"""Who else is on the road: the background demand of an episode, as plain data drawn from its seed."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from inland.world.state import Kind, Light
from inland.world.traffic.layout import Lane, LaneKind, Layout, Route
from inland.world.traffic.lights import ARMS, Programme
from inland.world.traffic.roads import arc_length, cut, edge_lanes

KINDS: dict[str, Kind] = {
    "car": Kind.CAR,
    "suv": Kind.CAR,
    "van": Kind.CAR,
    "truck": Kind.TRUCK,
    "bus": Kind.BUS,
    "scooter": Kind.SCOOTER,
    "courier": Kind.SCOOTER,
    "bicycle": Kind.BICYCLE,
    "walker": Kind.PEDESTRIAN,
}
"""SUMO vehicle type (``networks/types.add.xml``) -> what it is."""
MOTOR = ("car", "car", "car", "suv", "suv", "van")
REACH_M = 140.0
"""From the middle of the ego's route: nobody is placed beyond, where the ego would never see them."""
RIGHT_TURNS = 0.3
"""Share of those who may turn right who draw their way freely; all others go straight on."""
TWO_WHEELERS = ("scooter", "scooter", "courier", "courier", "bicycle")


@dataclass(frozen=True, slots=True)
class Vehicle:
    """One vehicle that departs: on ``edges``, from ``lane`` (its index), ``at_m`` after the lane's beginning.

    A negative speed is the fastest that is safe there (a given speed that is not keeps it from departing).
    """

    id: str
    type: str
    edges: tuple[str, ...]
    lane: int
    at_m: float
    speed_mps: float
    depart_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Walker:
    """One person who walks along ``edges`` (walks of either side, crossings are found) after ``wait_s``."""

    id: str
    edges: tuple[str, ...]
    at_m: float
    to_m: float
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Density:
    """Mean gaps between vehicles of a lane, and how many walk. 0 is none.

    ``two_wheel_gap_beside_m`` is the gap along the ego's own roads, where it differs.
    """

    car_gap_m: float = 50.0
    two_wheel_gap_m: float = 0.0
    walkers: int = 12
    inflow_per_lane_hz: float = 0.06
    two_wheel_gap_beside_m: float = 0.0


@dataclass(frozen=True, slots=True)
class Clear:
    """A stretch of a lane in which the demand puts nobody, because the ego or the script needs it.

    Nobody at all turns right from such a lane: who waits there for people on a crossing blocks the whole lane.
    """

    lane: str
    from_m: float
    to_m: float


def vehicles(
    layout: Layout, route: Route, programme: Programme, density: Density, clear: tuple[Clear, ...], rng: random.Random
) -> Iterator[Vehicle]:
    """Vehicles on the road lanes near the ego's route at the start, and those that come in later at the far ends."""
    middle = route.path[len(route.path) // 2]
    own_edges = {layout.lanes[k].edge for k in route.lanes}
    count = 0
    for arm in ARMS:
        for way in ("in", "out"):
            for lane in edge_lanes(layout.lanes, f"{arm}_{way}", (LaneKind.DRIVE, LaneKind.TWO_WHEEL)):
                two_wheel = lane.kind == LaneKind.TWO_WHEEL
                gap_m = density.two_wheel_gap_m if two_wheel else density.car_gap_m
                if two_wheel and density.two_wheel_gap_beside_m and lane.edge in own_edges:
                    gap_m = density.two_wheel_gap_beside_m
                if not gap_m:
                    continue
                routes = onward(layout, lane) if way == "in" else [(lane.edge,)]
                straight = [r for r in routes if not _turns_right(r)] or routes
                if any(c.lane == lane.id for c in clear):
                    routes = straight
                for at_m, speed in _spread(layout, lane, programme, gap_m, rng):
                    kind = rng.choice(TWO_WHEELERS if two_wheel else MOTOR)
                    # A bus and a scooter that share a lane can wait for each other for ever: none in the ego's lane.
                    if not two_wheel and rng.random() < 0.06 and not any(c.lane == lane.id for c in clear):
                        kind = rng.choice(("truck", "bus"))
                    edges = rng.choice(routes if rng.random() < RIGHT_TURNS else straight)
                    if any(c.lane == lane.id and c.from_m <= at_m <= c.to_m for c in clear):
                        continue
                    place = cut(lane.centre, at_m, at_m + 0.5)[0]
                    if math.hypot(*(place - middle)) > REACH_M:
                        continue
                    count += 1
                    yield Vehicle(f"v{count}", kind, edges, lane.index, at_m, speed)
                if way == "in":
                    hz = density.inflow_per_lane_hz * (3 if two_wheel else 1)
                    at_s = rng.expovariate(hz) + 1.0
                    while at_s < 40.0:
                        kind = rng.choice(TWO_WHEELERS if two_wheel else MOTOR)
                        count += 1
                        yield Vehicle(
                            f"v{count}", kind, rng.choice(routes), lane.index, 12.0, 0.6 * _cruise(lane), at_s
                        )
                        at_s += 2.0 + rng.expovariate(hz)


def onward(layout: Layout, lane: Lane) -> list[tuple[str, ...]]:
    """The routes (edges) that a lane into the junction allows without changing lanes."""
    routes: list[tuple[str, ...]] = []
    for via in lane.successors:
        following = via
        while layout.lanes[following].junction:
            following = layout.lanes[following].successors[0]
        routes.append((lane.edge, layout.lanes[following].edge))
    return routes


def _turns_right(edges: tuple[str, ...]) -> bool:
    arms = [ARMS.index(edge[0]) for edge in edges]
    return len(arms) == 2 and (arms[1] - arms[0]) % 4 == 3


def _cruise(lane: Lane) -> float:
    return 6.0 if lane.kind == LaneKind.TWO_WHEEL else lane.speed_limit_mps


def _spread(
    layout: Layout, lane: Lane, programme: Programme, gap_m: float, rng: random.Random
) -> Iterator[tuple[float, float]]:
    """Positions from the lane's end backwards: at a red light some who wait, then those who come."""
    length = _length(layout, lane.id)
    two_wheel = lane.kind == LaneKind.TWO_WHEEL
    body = 2.5 if two_wheel else 9.0
    signal = next((s for s in layout.signals if lane.id in s.lanes), None)
    stopping = signal is not None and programme.light(signal.id, 0.0) != Light.GREEN
    at = length - (rng.uniform(1.0, 2.0) if stopping else rng.uniform(3.0, gap_m))
    waiting = rng.randrange(0, 6 if two_wheel else 3) if stopping else 0
    while at > 12.0:
        if waiting > 0:
            yield at, 0.0
            waiting -= 1
            at -= body + rng.uniform(0.0, 1.5)
        else:
            yield at, -1.0
            at -= body + rng.expovariate(1.0 / gap_m)


def walkers(layout: Layout, programme: Programme, density: Density, rng: random.Random) -> Iterator[Walker]:
    """People on the walks, some of whom cross at the junction.

    Who crosses waits on the walk until the light will be green on arrival: SUMO's drivers give way to anybody who
    stands at a crossing, even at a red light, and would never turn.
    """
    for n in range(density.walkers):
        i, way = rng.randrange(4), rng.choice(("in", "out"))
        arm, edge = ARMS[i], f"{ARMS[i]}_{way}"
        length = _length(layout, f"{edge}_0")
        from_corner_m = rng.uniform(2.0, 30.0) if rng.random() < 0.6 else rng.uniform(20.0, 120.0)
        at_m = length - from_corner_m if way == "in" else from_corner_m
        before, after, ahead = (ARMS[(i + k) % 4] for k in (-1, 1, 2))
        if way == "in":
            over = {arm: (f"{arm}_out", f"{after}_in"), before: (f"{before}_in", f"{ahead}_out")}
            round_the_corner = f"{before}_out"
        else:
            over = {arm: (f"{arm}_in", f"{before}_out"), after: (f"{after}_out", f"{ahead}_in")}
            round_the_corner = f"{after}_in"
        choice = rng.random()
        crossed = rng.choice(sorted(over))
        wait_s = _until_walk(programme, crossed, (from_corner_m + 6.0) / 1.4)
        if choice < 0.45 and wait_s is not None:
            to = rng.choice(over[crossed])
        elif choice < 0.6:
            to, wait_s = round_the_corner, 0.0
        else:
            to_m = min(max(at_m + rng.choice((-1, 1)) * rng.uniform(40.0, 80.0), 3.0), length - 3.0)
            yield Walker(f"p{n}", (edge,), at_m, to_m)
            continue
        to_m = _length(layout, f"{to}_0") - 80.0 if to.endswith("_in") else 80.0
        yield Walker(f"p{n}", (edge, to), at_m, to_m, (wait_s or 0.0) + rng.uniform(0.0, 0.8))


def _until_walk(programme: Programme, arm: str, travel_s: float) -> float | None:
    """How long to wait so as to reach a crossing when its walk light turns green; None if not within 40 s."""
    for tenth in range(400):
        now, earlier = (programme.light(f"{arm}_walk", travel_s + k / 10) for k in (tenth, tenth - 1))
        if now == Light.GREEN and earlier != Light.GREEN:
            return tenth / 10
    return None


def _length(layout: Layout, lane: str) -> float:
    return float(arc_length(layout.lanes[lane].centre)[-1])
