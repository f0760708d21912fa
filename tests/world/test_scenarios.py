from __future__ import annotations

import math
import multiprocessing
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from rails import Ride, ride_spec

from inland.world.state import EGO_SHAPE, Command, Kind, Light, WorldState
from inland.world.towns import TOWNS, EpisodeSpec, episode_spec, episode_specs, load_layout
from inland.world.traffic.layout import Route
from inland.world.traffic.lights import ARMS
from inland.world.traffic.roads import make_route
from inland.world.traffic.scenarios import SCENARIOS, Scene

TWO_WHEELERS = (Kind.SCOOTER, Kind.BICYCLE)
PER_SCENARIO = 2


def scene_of(spec: EpisodeSpec) -> Scene:
    return SCENARIOS[spec.scenario].plan(load_layout(spec.layout), random.Random(spec.seed))


def route_of(spec: EpisodeSpec) -> Route:
    scene = scene_of(spec)
    return make_route(load_layout(spec.layout), scene.lanes, scene.start_m, scene.end_m)


def on_route(route: Route, x: float, y: float) -> tuple[float, float, float]:
    """Along the route (m), to its left (m), and the route's yaw there."""
    i = min(int(np.argmin(np.hypot(route.path[:, 0] - x, route.path[:, 1] - y))), len(route.path) - 2)
    step = route.path[i + 1] - route.path[i]
    step = step / np.hypot(*step)
    dx, dy = x - route.path[i, 0], y - route.path[i, 1]
    return (
        float(route.s_m[i] + dx * step[0] + dy * step[1]),
        float(step[0] * dy - step[1] * dx),
        math.atan2(step[1], step[0]),
    )


@pytest.fixture(scope="module")
def rides() -> Iterator[dict[EpisodeSpec, Ride]]:
    """Careful rides through every scenario, on collected and held-out layouts."""
    specs = [
        spec
        for town in ("town_us", "town_cn")
        for spec in episode_specs(town, "develop", PER_SCENARIO * len(TOWNS[town].scenarios), first=40)
    ]
    with multiprocessing.get_context("spawn").Pool(1) as worker:
        yield dict(zip(specs, worker.map(ride_spec, specs, chunksize=1), strict=True))


def of(rides: dict[EpisodeSpec, Ride], scenario: str, town: str = "town_cn") -> list[tuple[EpisodeSpec, Ride]]:
    found = [(s, r) for s, r in rides.items() if s.scenario == scenario and s.town == town]
    assert len(found) == PER_SCENARIO
    return found


def test_a_careful_driver_masters_every_scenario(rides: Any) -> None:
    for spec, ride in rides.items():
        assert ride.hits == [], spec
        assert ride.finished, (spec, ride.seconds, ride.stuck_s)


@pytest.mark.parametrize("town", list(TOWNS))
def test_where_nothing_is_in_the_way_the_free_flow_time_can_be_driven(town: str, rides: Any) -> None:
    for _, ride in of(rides, "curves", town):
        assert 0.85 < ride.seconds / ride.free_flow_s < 1.4


@pytest.mark.parametrize("town", list(TOWNS))
def test_the_lead_brakes_hard_before_the_ego(town: str, rides: Any) -> None:
    for spec, ride in of(rides, "hard_stop", town):
        route, hardest = route_of(spec), 0.0
        speeds: dict[int, float] = {}
        for state in ride.states:
            a, own = state.actors, on_route(route, state.ego.x_m, state.ego.y_m)[0]
            for i in np.flatnonzero(a.kind <= Kind.BUS):
                s, left, _ = on_route(route, a.x_m[i], a.y_m[i])
                key = int(a.ids[i])
                if abs(left) < 1.2 and 0 < s - own < 45 and key in speeds and s < route.s_m[-1] - 2:
                    hardest = max(hardest, (speeds[key] - a.speed_mps[i]) / 0.1)
                speeds[key] = float(a.speed_mps[i])
        assert hardest > 3.4


def test_a_car_cuts_in_three_to_five_metres_ahead(rides: Any) -> None:
    for spec, ride in of(rides, "cut_in"):
        route = route_of(spec)
        lane = load_layout(spec.layout).lanes[scene_of(spec).lanes[0]]
        gaps = []
        beside: set[int] = set()
        for state in ride.states:
            a = state.actors
            front = on_route(route, state.ego.x_m, state.ego.y_m)[0] + EGO_SHAPE.length_m - EGO_SHAPE.rear_overhang_m
            for i in np.flatnonzero(a.kind == Kind.CAR):
                half = a.size_m[i, 0] / 2
                nose = a.x_m[i] + half * np.cos(a.yaw_rad[i]), a.y_m[i] + half * np.sin(a.yaw_rad[i])
                s, left, _ = on_route(route, *nose)
                key = int(a.ids[i])
                if -12 < s - front < 16 and lane.width_m * 0.6 < left < lane.width_m * 1.4:
                    beside.add(key)
                elif key in beside and left < lane.width_m / 2 and s > front:
                    gaps.append(s - 2 * half - front)
                    beside.discard(key)
        assert len(gaps) == 1, (spec, gaps, ride.happened)
        assert 2.8 < gaps[0] < 5.2, (spec, gaps, ride.happened)
        assert gaps[0] == pytest.approx(ride.happened["cut_in_gap_m"], abs=0.5)


def test_the_ego_rides_among_many_two_wheelers_and_some_ride_in_its_lane(rides: Any) -> None:
    for spec, ride in of(rides, "scooter_flow"):
        route = route_of(spec)
        near, in_lane = [], set()
        for state in ride.states[::5]:
            a = state.actors
            wheels = np.isin(a.kind, TWO_WHEELERS)
            near.append(int(np.sum(wheels & (np.hypot(a.x_m - state.ego.x_m, a.y_m - state.ego.y_m) < 40))))
            own = on_route(route, state.ego.x_m, state.ego.y_m)[0]
            for i in np.flatnonzero(wheels):
                s, left, yaw = on_route(route, a.x_m[i], a.y_m[i])
                if 3 < s - own < 35 and abs(left) < 1.5 and math.cos(a.yaw_rad[i] - yaw) > 0.9:
                    in_lane.add(int(a.ids[i]))
        assert max(near) >= 10
        assert in_lane


def test_people_are_before_the_ego_when_its_light_turns_green(rides: Any) -> None:
    for spec, ride in of(rides, "late_crossing_crowd"):
        layout, scene = load_layout(spec.layout), scene_of(spec)
        arm = layout.lanes[scene.lanes[0]].edge[0]
        turn = "left" if route_of(spec).manoeuvres[0][2] == Command.LEFT else "through"
        at = next(i for i, s in enumerate(layout.signals) if s.id == f"{arm}_{turn}")
        walk = next(s for s in layout.signals if s.id == f"{arm}_walk")
        assert before_after_green(ride.states, at, walk.stop_line) >= 2


def before_after_green(states: list[WorldState], signal: int, crossing: np.ndarray) -> int:
    """The most people on a crossing (its middle line) during the first second of a signal's green."""
    along = crossing[1] - crossing[0]
    length = float(np.hypot(*along))
    along = along / length
    most = 0
    for before, state in zip(states, states[8:], strict=False):
        if before.signals[signal] == Light.RED and state.signals[signal] == Light.GREEN:
            a = state.actors
            walks = a.kind == Kind.PEDESTRIAN
            d = np.stack([a.x_m, a.y_m], axis=1)[walks] - crossing[0]
            s, aside = d @ along, np.abs(d @ np.array([-along[1], along[0]]))
            most = max(most, int(np.sum((s > 0) & (s < length) & (aside < 2.5))))
    return most


def test_scooters_go_straight_on_across_the_egos_right_turn(rides: Any) -> None:
    for spec, ride in of(rides, "right_turn_across_scooters"):
        route = route_of(spec)
        start, end, command = route.manoeuvres[0]
        assert command == Command.RIGHT
        straight = route.path[0:2]
        heading = math.atan2(*(straight[1] - straight[0])[::-1])
        crossed: set[int] = set()
        for state in ride.states:
            a = state.actors
            for i in np.flatnonzero(np.isin(a.kind, TWO_WHEELERS)):
                s, left, yaw = on_route(route, a.x_m[i], a.y_m[i])
                across = abs(math.sin(a.yaw_rad[i] - yaw)) > 0.2
                if start < s < end + 2 and abs(left) < 1.2 and across and a.speed_mps[i] > 0.5:
                    crossed.add(int(a.ids[i]))
        assert len(crossed) >= 2, (spec, heading)


@pytest.mark.parametrize("town", list(TOWNS))
def test_curves_bend(town: str) -> None:
    for n in range(20):
        route = route_of(episode_spec(town, TOWNS[town].layouts[n % 2], "curves", "collect", n))
        step = np.diff(route.path, axis=0)
        yaw = np.unwrap(np.arctan2(step[:, 1], step[:, 0]))
        assert np.ptp(yaw) > math.radians(30)
        assert 100 < route.s_m[-1] < 230


def test_turns_go_both_ways_and_lights_are_met_in_every_colour() -> None:
    commands, shown = set(), set()
    for n in range(40):
        spec = episode_spec("town_us", "us_oak", "signal_turn", "collect", n)
        scene, route = scene_of(spec), route_of(spec)
        commands.add(route.manoeuvres[0][2])
        arm = load_layout(spec.layout).lanes[scene.lanes[0]].edge[0]
        assert arm in ARMS
        signal = f"{arm}_{'left' if route.manoeuvres[0][2] == Command.LEFT else 'through'}"
        shown.add(scene.programme.light(signal, route.manoeuvres[0][0] / 11.0))
    assert commands == {Command.LEFT, Command.RIGHT}
    assert shown == {Light.RED, Light.AMBER, Light.GREEN}


@pytest.mark.parametrize("scenario", sorted(SCENARIOS))
def test_a_seed_decides_the_scene_and_another_seed_changes_it(scenario: str) -> None:
    town = "town_cn"
    first, second = (episode_spec(town, "cn_liu", scenario, "collect", n) for n in (0, 1))
    assert scene_of(first) == scene_of(first)
    assert scene_of(first) != scene_of(second)
