"""The scripted scenarios: for each, what is drawn from the seed before it starts, and what its script does.

A script is a generator: what stands before its first ``yield`` happens at the start, and each ``yield`` waits one
step (0.1 s). Every scenario can be mastered by a careful driver who reacts only to what can be seen.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from inland.world.traffic.demand import Clear, Density, Vehicle, Walker
from inland.world.traffic.layout import LaneKind, Layout
from inland.world.traffic.lights import ARMS, Programme, programme_for
from inland.world.traffic.roads import arc_length, edge_lanes

if TYPE_CHECKING:
    from inland.world.traffic.stage import Stage

Script = Iterator[None]
STEP_S = 0.1


@dataclass(frozen=True, slots=True)
class Scene:
    """An episode before its first instant. ``lanes`` are the road lanes that the ego drives, in order.

    It starts with its rear axle ``start_m`` after the first lane's beginning and ends ``end_m`` after the last's.
    ``wait_s`` is how long a light or a crowd may rightly keep it. ``knobs`` are numbers that the script reads.
    """

    lanes: tuple[str, ...]
    start_m: float
    end_m: float
    speed_mps: float
    programme: Programme
    density: Density
    clear: tuple[Clear, ...]
    wait_s: float = 0.0
    knobs: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scenario:
    """``plan`` draws the scene, ``script`` plays it."""

    plan: Callable[[Layout, random.Random], Scene]
    script: Callable[[Stage, Scene], Script]


# --- where the ego goes -------------------------------------------------------------------------------------------


def _length(layout: Layout, lane: str) -> float:
    return float(arc_length(layout.lanes[lane].centre)[-1])


def _density(layout: Layout, rng: random.Random) -> Density:
    if layout.town == "town_us":
        return Density(car_gap_m=rng.uniform(40, 70), walkers=rng.randrange(10, 22))
    return Density(car_gap_m=rng.uniform(45, 75), two_wheel_gap_m=rng.uniform(18, 30), walkers=rng.randrange(14, 28))


def _room_for_the_ego(lane: str, start_m: float, ahead_m: float) -> tuple[Clear, ...]:
    return (Clear(lane, start_m - 22.0, start_m + ahead_m),)


def _through_junction(
    layout: Layout, rng: random.Random, turn: str, *, green_after_s: float | None = None, crowd: bool = False
) -> Scene:
    """From about 80 m before the junction to about 65 m after it.

    ``green_after_s`` is when the ego's green begins, counted from its arrival at an unhindered pace; by default the
    light is green on arrival (a third), or just about to be (half), or has just turned amber.
    """
    arm = rng.choice(ARMS)
    step = {"l": 1, "s": 2, "r": 3}[turn]
    start = edge_lanes(layout.lanes, f"{arm}_in", (LaneKind.DRIVE,))
    end = edge_lanes(layout.lanes, f"{ARMS[(ARMS.index(arm) + step) % 4]}_out", (LaneKind.DRIVE,))
    pair = (start[-1].id, end[1].id) if turn == "l" else (start[0].id, end[0].id)
    before_m = rng.uniform(65, 95)
    start_m = _length(layout, pair[0]) - before_m
    speed = start[0].speed_limit_mps * rng.choice((0.0, rng.uniform(0.4, 1.0), rng.uniform(0.7, 1.0)))
    arrive_s = before_m / (0.85 * start[0].speed_limit_mps) + (3.5 if speed < 3 else 1.0)
    if green_after_s is None:
        roll = rng.random()
        green_after_s = (
            -rng.uniform(1.0, 6.0) if roll < 0.33 else rng.uniform(0.5, 8.0) if roll < 0.83 else -rng.uniform(13, 16)
        )
    programme = programme_for(arm, turn, arrive_s + green_after_s)
    ahead_m = rng.uniform(25, 60)
    if crowd:  # they walk on into the green, which is longer for it; the ego is the first at the line
        programme = programme_for(arm, turn, arrive_s + green_after_s, late_walk_s=10.0, green_s=22.0)
        ahead_m = before_m
    return Scene(
        pair,
        start_m,
        rng.uniform(55, 75),
        speed,
        programme,
        _density(layout, rng),
        _room_for_the_ego(pair[0], start_m, ahead_m),
        wait_s=28.0 if turn == "l" else 18.0,
    )


def _along_road(
    layout: Layout, rng: random.Random, ways: tuple[str, ...], ahead_m: float, arms: tuple[str, ...] = ARMS
) -> Scene:
    """Along one arm, away from the junction or towards it (ending well before its stop line)."""
    edge = f"{rng.choice(arms)}_{rng.choice(ways)}"
    lane = edge_lanes(layout.lanes, edge, (LaneKind.DRIVE,))[0].id
    length = _length(layout, lane)
    start_m = rng.uniform(25, 40)
    end_m = length - (rng.uniform(12, 25) if edge.endswith("out") else rng.uniform(48, 60))
    speed = layout.lanes[lane].speed_limit_mps * rng.uniform(0.3, 0.95)
    programme = programme_for("n", "s", rng.uniform(-15, 15))
    room = _room_for_the_ego(lane, start_m, ahead_m)
    return Scene((lane,), start_m, end_m, speed, programme, _density(layout, rng), room)


# --- the orderly ones ---------------------------------------------------------------------------------------------


def plan_signal_straight(layout: Layout, rng: random.Random) -> Scene:
    """Straight on at the lights."""
    return _through_junction(layout, rng, "s")


def plan_signal_turn(layout: Layout, rng: random.Random) -> Scene:
    """Left on a protected arrow, or right on green past those who walk."""
    return _through_junction(layout, rng, rng.choice("lr"))


def plan_curves(layout: Layout, rng: random.Random) -> Scene:
    """A winding road (the northern and southern arms have two bends), others far ahead."""
    return _along_road(layout, rng, ("in", "out"), rng.uniform(60, 120), arms=("n", "s"))


def no_script(stage: Stage, scene: Scene) -> Script:
    """The lights and the traffic are the scenario."""
    while True:
        yield


def plan_hard_stop(layout: Layout, rng: random.Random) -> Scene:
    """Behind another car, the lane clear before it."""
    return _along_road(layout, rng, ("out",), ahead_m=400.0)


def hard_stop(stage: Stage, scene: Scene) -> Script:
    """The car ahead brakes hard, once or twice, to a stop or nearly, and goes on."""
    rng, lane = stage.rng, stage.layout.lanes[scene.lanes[0]]
    gap_m = max(9.0, scene.speed_mps * rng.uniform(1.1, 2.2))
    kind = rng.choice(("car", "suv", "van", "truck"))
    at_m = scene.start_m + 3.65 + gap_m + 7.2
    lead = stage.add(Vehicle("lead", kind, (lane.edge,), lane.index, at_m, scene.speed_mps))
    yield
    cruise = lane.speed_limit_mps * rng.uniform(0.7, 0.95)
    speed = scene.speed_mps
    for _ in range(rng.choice((1, 1, 2))):
        for _ in range(rng.randrange(30, 70)):
            speed = min(cruise, speed + 1.5 * STEP_S)
            stage.hold(lead, speed)
            yield
        brake, low = rng.uniform(3.5, 6.5), rng.choice((0.0, 0.0, rng.uniform(1.0, 4.0)))
        stage.happened["lead_brakes_mps2"] = brake
        while speed > low:
            speed = max(low, speed - brake * STEP_S)
            stage.hold(lead, speed)
            yield
        for _ in range(rng.randrange(5, 30)):
            yield
    while stage.present(lead):
        speed = min(cruise, speed + 1.5 * STEP_S)
        stage.hold(lead, speed)
        yield
    while True:
        yield


# --- what makes town_cn hard --------------------------------------------------------------------------------------


def plan_scooter_flow(layout: Layout, rng: random.Random) -> Scene:
    """Straight on in the lane beside a dense stream of two-wheelers."""
    scene = _through_junction(layout, rng, "s")
    density = Density(
        car_gap_m=rng.uniform(60, 90),
        two_wheel_gap_m=rng.uniform(18, 30),
        two_wheel_gap_beside_m=rng.uniform(4, 8),
        walkers=10,
    )
    return _with(scene, density=density)


def scooter_flow(stage: Stage, scene: Scene) -> Script:
    """Scooters a little ahead swing out into the ego's lane, ride there for a while, and go back where they can."""
    rng = stage.rng
    swinging: list[Script] = []
    used: set[str] = set()
    yield
    pause = rng.randrange(3, 15)
    while True:
        pause -= 1
        if pause <= 0 and len(swinging) < 2:
            rider = _who_could_swing_out(stage, used)
            pause = 4
            if rider:
                used.add(rider)
                swinging.append(_swing_out(stage, rider))
                pause = rng.randrange(6, 25)
        for swing in list(swinging):
            if next(swing, "over") == "over":
                swinging.remove(swing)
        yield


def _who_could_swing_out(stage: Stage, used: set[str]) -> str:
    """A rider beside the ego's lane, far enough ahead for its speed, well before or after the junction."""
    junction_m, after_m, _ = stage.route.manoeuvres[0]
    own_m = stage.ego_front_m()
    near = {name: stage.ahead(name) for name in stage.vehicles(within_m=45.0)}
    in_lane = [forward for forward, left in near.values() if abs(left) < 1.8 and forward > -5.0]
    for name, (forward, left) in near.items():
        s_m = own_m + forward
        free_road = s_m < junction_m - 22.0 or after_m + 6.0 < s_m < stage.route.s_m[-1] - 22.0
        room_m = 7.0 + 2.0 * max(0.0, stage.ego.speed_mps - stage.speed(name))
        beside = room_m < forward < room_m + 20.0 and -4.2 < left < -2.0 and stage.speed(name) > 1.5
        if name not in used and free_road and beside and all(abs(forward - k) > 6.0 for k in in_lane):
            return name
    return ""


def _swing_out(stage: Stage, rider: str) -> Script:
    """One rider, placed exactly while it moves sideways, and under SUMO's rules while it rides in the ego's lane."""
    rng = stage.rng
    lane_left = stage.ahead(rider)[1]
    stage.happened["swung_out"] = stage.happened.get("swung_out", 0.0) + 1.0
    yield from _slide(stage, rider, rng.uniform(-0.9, 0.2), rng.uniform(1.2, 2.2))
    for _ in range(rng.randrange(15, 50)):
        yield
    for _ in range(20):
        if not stage.present(rider):
            return
        own_m = stage.ahead(rider)[0]
        others = [stage.ahead(k) for k in stage.vehicles(within_m=45.0) if k != rider]
        if all(abs(forward - own_m) > 4.0 or left > -1.5 for forward, left in others):
            yield from _slide(stage, rider, lane_left, rng.uniform(1.2, 2.2))
            return
        for _ in range(5):
            yield


def _slide(stage: Stage, rider: str, to_left_m: float, seconds: float) -> Script:
    """Move sideways at a steady speed, unless somebody is close ahead there or the route ends."""
    if not stage.present(rider):
        return
    forward, from_left_m = stage.ahead(rider)
    speed = max(3.0, stage.speed(rider))
    front_m = stage.ego_front_m() + forward + stage.length(rider)
    steps = round(seconds / STEP_S)
    for k in range(1, steps + 1):
        front_m += speed * STEP_S
        if front_m > stage.route.s_m[-1] - 2.0 or not stage.present(rider):
            return
        share = k / steps
        eased = share * share * (3.0 - 2.0 * share)
        left = from_left_m + (to_left_m - from_left_m) * eased
        lean = 6.0 * share * (1.0 - share) * (to_left_m - from_left_m) / seconds / speed
        stage.put(rider, front_m, left, lean, speed, False)
        yield


def plan_cut_in(layout: Layout, rng: random.Random) -> Scene:
    """Along a road in the right-hand lane, another car in the lane beside."""
    scene = _along_road(layout, rng, ("out",), ahead_m=400.0)
    lane = layout.lanes[scene.lanes[0]]
    beside = Clear(lane.left_neighbour, scene.start_m - 35.0, scene.start_m + 400.0)
    limit = lane.speed_limit_mps
    return _with(scene, clear=(*scene.clear, beside), speed_mps=limit * rng.uniform(0.5, 0.9))


def cut_in(stage: Stage, scene: Scene) -> Script:
    """A car overtakes on the left, slips in 3 to 5 m ahead, and slows a little."""
    rng, lane = stage.rng, stage.layout.lanes[scene.lanes[0]]
    beside = stage.layout.lanes[lane.left_neighbour]
    width_m = (lane.width_m + beside.width_m) / 2
    front, speed = stage.ego_front_m() + rng.uniform(-6.0, 1.0), scene.speed_mps
    at_m = max(8.0, scene.start_m + front)
    kind = rng.choice(("car", "suv"))
    cutter = stage.add(Vehicle("cutter", kind, (lane.edge,), beside.index, at_m, speed))
    yield
    length_m = stage.length(cutter)
    gap_m, faster = rng.uniform(3.2, 4.8), rng.uniform(1.5, 3.0)
    begin_s, merge_s = stage.t_s + rng.uniform(0.3, 4.0), rng.uniform(1.4, 2.4)
    left, slow_to, brake = width_m, -1.0, rng.uniform(0.8, 2.2)
    while front < stage.route.s_m[-1] - 3.0 and stage.present(cutter):
        # The ego has already moved in this step, the cutter not yet.
        ego, gap = stage.ego.speed_mps, front + speed * STEP_S - length_m - stage.ego_front_m()
        if left < width_m or gap >= gap_m - 0.3:  # far enough ahead: in it comes, and keeps its gap meanwhile
            left = max(0.0, left - width_m * STEP_S / merge_s)
            target = ego + max(-1.0, min(1.0, gap_m - gap))
        else:
            target = ego if stage.t_s < begin_s else ego + min(faster, 0.4 + 0.8 * (gap_m - gap))
        if left < width_m / 2 and slow_to < 0.0:
            stage.happened["cut_in_gap_m"] = gap
            slow_to = speed * rng.uniform(0.55, 0.85)
        if slow_to >= 0.0:
            target = slow_to
        limit = brake if slow_to >= 0.0 else 3.0
        change = max(-limit * STEP_S, min(2.5 * STEP_S, max(target, 2.0) - speed))
        speed += change
        front += speed * STEP_S
        if slow_to >= 0.0 and left == 0.0 and speed <= slow_to + 0.01:
            break
        share = left / width_m
        eased_m = width_m * share * share * (3.0 - 2.0 * share)
        lean = -6.0 * share * (1.0 - share) * width_m / merge_s / max(speed, 3.0)
        stage.put(cutter, front, eased_m, lean, speed, change < -0.5 * STEP_S)
        yield
    for _ in range(rng.randrange(10, 30)):
        if stage.present(cutter):
            stage.hold(cutter, speed)
        yield
    if stage.present(cutter):
        stage.release(cutter)
    while True:
        yield


def plan_late_crossing_crowd(layout: Layout, rng: random.Random) -> Scene:
    """The ego's light turns green while a crowd is still before it."""
    turn = rng.choice("ssl" if layout.town == "town_cn" else "s")
    return _through_junction(layout, rng, turn, green_after_s=rng.uniform(-2.0, 4.0), crowd=True)


def late_crossing_crowd(stage: Stage, scene: Scene) -> Script:
    """People step off on late amber and are still walking when the ego's light has turned green."""
    rng = stage.rng
    edge = stage.layout.lanes[scene.lanes[0]].edge
    arm = edge.removesuffix("_in")
    length = stage.lane_length(f"{edge}_0")
    green_s = scene.programme.start_s
    crowd = sorted(green_s - rng.uniform(5.5, 9.5) for _ in range(rng.randrange(4, 10)))
    for n, at_s in enumerate(crowd):
        while stage.t_s < at_s - 2.5:
            yield
        from_right = rng.random() < 0.5
        ways = (f"{arm}_in", f"{arm}_out") if from_right else (f"{arm}_out", f"{arm}_in")
        at_m = length - rng.uniform(0.3, 2.5) if from_right else rng.uniform(0.3, 2.5)
        to_m = 40.0 if from_right else length - 40.0
        stage.add_walker(Walker(f"crowd{n}", ways, at_m, to_m), rng.uniform(0.75, 1.1))
    while True:
        yield


def plan_right_turn_across_scooters(layout: Layout, rng: random.Random) -> Scene:
    """A right turn on green; on the right, scooters go straight on."""
    scene = _through_junction(layout, rng, "r", green_after_s=rng.choice((-rng.uniform(1, 6), rng.uniform(0.5, 5))))
    density = _density(layout, rng)
    return _with(scene, density=density, wait_s=22.0)


def right_turn_across_scooters(stage: Stage, scene: Scene) -> Script:
    """A stream of scooters comes up on the right and goes straight on across the ego's turn, then thins out."""
    rng = stage.rng
    lane = stage.layout.lanes[scene.lanes[0]]
    arm = lane.edge.removesuffix("_in")
    ahead = f"{ARMS[(ARMS.index(arm) + 2) % 4]}_out"
    at_m = scene.start_m + rng.uniform(0.0, 25.0)
    for n in range(rng.randrange(5, 11)):
        kind = rng.choice(("scooter", "courier", "courier", "bicycle"))
        stage.add(Vehicle(f"stream{n}", kind, (lane.edge, ahead), lane.index - 1, max(at_m, 5.0), 4.5))
        at_m -= rng.uniform(3.5, 9.0)
    while True:
        yield


def _with(scene: Scene, **changes: object) -> Scene:
    values = {k: getattr(scene, k) for k in Scene.__slots__}
    values.update(changes)
    return Scene(**values)


SCENARIOS: Mapping[str, Scenario] = {
    "signal_straight": Scenario(plan_signal_straight, no_script),
    "signal_turn": Scenario(plan_signal_turn, no_script),
    "hard_stop": Scenario(plan_hard_stop, hard_stop),
    "curves": Scenario(plan_curves, no_script),
    "scooter_flow": Scenario(plan_scooter_flow, scooter_flow),
    "cut_in": Scenario(plan_cut_in, cut_in),
    "late_crossing_crowd": Scenario(plan_late_crossing_crowd, late_crossing_crowd),
    "right_turn_across_scooters": Scenario(plan_right_turn_across_scooters, right_turn_across_scooters),
}
