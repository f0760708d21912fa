from __future__ import annotations

import math
import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.pool import Pool
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rails import contacts_of_hesitant_ride, digests_of_rides, states_at_rest, sumo_front_of_ego, touching

from inland.world.state import EGO_SHAPE, Ego
from inland.world.towns import TOWNS, EpisodeSpec, episode_spec, episode_specs
from inland.world.traffic.manners import Box, must_brake

PLACES = [
    (town.name, layout, scenario)
    for town in TOWNS.values()
    for layout in town.layouts + town.held_out
    for scenario in town.scenarios
]


def pool() -> Pool:
    return multiprocessing.get_context("spawn").Pool(1)


@pytest.fixture(scope="module")
def away() -> Iterator[Callable[..., Any]]:
    """Run a function in one spawned simulator process, which lives through this module."""
    with pool() as worker:
        yield lambda function, *args: worker.apply(function, args)


@pytest.fixture(scope="module")
def stands(away: Callable[..., Any]) -> dict[tuple[str, str, str], Any]:
    """50 steps around an ego that stands where it starts, for every scenario of every layout."""
    return {
        place: away(states_at_rest, episode_spec(place[0], place[1], place[2], "develop", 0), 50) for place in PLACES
    }


@pytest.mark.parametrize("place", PLACES, ids="-".join)
def test_every_scenario_runs_on_every_layout(place: tuple[str, str, str], stands: Any) -> None:
    states = stands[place]
    assert [s.t_ns for s in states] == [k * 100_000_000 for k in range(51)]
    assert all(len(s.signals) == 12 for s in states)
    assert max(len(s.actors) for s in states) > 3


@pytest.mark.parametrize("place", PLACES, ids="-".join)
def test_nobody_drives_into_an_ego_that_stands(place: tuple[str, str, str], stands: Any) -> None:
    assert not any(touching(state) for state in stands[place])


@pytest.mark.parametrize("place", PLACES, ids="-".join)
def test_actors_keep_their_ids_and_move_smoothly(place: tuple[str, str, str], stands: Any) -> None:
    before: dict[int, tuple[float, ...]] = {}
    for state in stands[place]:
        a = state.actors
        assert np.all(np.diff(a.ids) > 0)
        assert a.ids.min(initial=1) >= 1
        assert np.all(np.hypot(a.x_m - state.ego.x_m, a.y_m - state.ego.y_m) < 140)
        now = {
            int(a.ids[i]): (int(a.kind[i]), *map(float, a.size_m[i]), int(a.paint[i]), a.x_m[i], a.y_m[i])
            for i in range(len(a))
        }
        for key, row in now.items():
            if key in before:
                assert row[:5] == before[key][:5]
                moved = math.hypot(row[5] - before[key][5], row[6] - before[key][6])
                assert moved < 1.7, (state.t_ns, row)
        before = now


@pytest.mark.parametrize("town", list(TOWNS))
def test_the_same_seed_gives_the_same_world_whatever_ran_before(town: str) -> None:
    specs = list(episode_specs(town, "develop", len(TOWNS[town].scenarios)))
    one, other = specs[0], specs[-1]
    with pool() as first, pool() as second:
        alone = first.apply(digests_of_rides, ([one], 60))
        after = second.apply(digests_of_rides, ([other, one, one], 60))
    assert alone[0] == after[1] == after[2]
    assert alone[0] != after[0]


def test_another_seed_is_another_world(away: Callable[..., Any]) -> None:
    specs = [episode_spec("town_cn", "cn_huai", "curves", "develop", n) for n in range(3)]
    assert len(set(away(digests_of_rides, specs, 5))) == 3


@pytest.mark.parametrize("yaw", [0.3, 2.0, -2.5])
def test_the_egos_pose_arrives_in_sumo_as_front_bumper_and_compass_angle(yaw: float, away: Callable[..., Any]) -> None:
    spec = episode_spec("town_us", "us_oak", "curves", "develop", 0)
    x, y, angle = away(sumo_front_of_ego, spec, Ego(10.0, -20.0, yaw, 3.0))
    reach = EGO_SHAPE.length_m - EGO_SHAPE.rear_overhang_m
    assert (x, y) == pytest.approx((10.0 + reach * math.cos(yaw), -20.0 + reach * math.sin(yaw)), abs=0.01)
    assert (angle - (90 - math.degrees(yaw))) % 360 == pytest.approx(0.0, abs=0.1) or angle % 360 == pytest.approx(
        (90 - math.degrees(yaw)) % 360, abs=0.1
    )


@pytest.mark.parametrize(
    "spec",
    [*episode_specs("town_us", "develop", 4, first=20), *episode_specs("town_cn", "develop", 8, first=20)],
    ids=lambda s: f"{s.scenario}-{s.layout}",
)
def test_nobody_rams_an_ego_that_brakes_for_no_reason(spec: EpisodeSpec, away: Callable[..., Any]) -> None:
    behind_or_beside = [met for met in away(contacts_of_hesitant_ride, spec) if not met[2] or met[3] < 0.3]
    assert behind_or_beside == []


SIZES = st.tuples(st.floats(0.5, 11), st.floats(0.5, 2.5))


@given(st.floats(-math.pi, math.pi), SIZES, st.floats(0.1, 12), st.floats(-0.4, 0.4))
def test_who_comes_straight_at_a_standing_ego_brakes_in_time(
    yaw: float, size: tuple[float, float], speed: float, aside: float
) -> None:
    ego = Box(0.0, 0.0, 0.7, 4.6, 1.85, 0.0)
    from_m = 30.0
    x, y = -from_m * math.cos(yaw) - aside * math.sin(yaw), -from_m * math.sin(yaw) + aside * math.cos(yaw)
    other = Box(x, y, yaw, *size, speed)
    for _ in range(400):
        slower = max(0.0, other.speed_mps - 0.5) if must_brake(other, ego) else other.speed_mps
        step = slower * 0.1
        other = Box(other.x_m + step * math.cos(yaw), other.y_m + step * math.sin(yaw), yaw, *size, slower)
        nose = (other.x_m + size[0] / 2 * math.cos(yaw), other.y_m + size[0] / 2 * math.sin(yaw))
        c, s = math.cos(0.7), math.sin(0.7)
        along, across = nose[0] * c + nose[1] * s, -nose[0] * s + nose[1] * c
        assert not (abs(along) < 2.3 and abs(across) < 0.925)


@given(st.floats(1, 12), st.floats(2.2, 6))
def test_who_passes_beside_the_ego_does_not_brake(speed: float, aside: float) -> None:
    ego = Box(0.0, 0.0, 0.0, 4.6, 1.85, 0.0)
    for x in np.arange(-20.0, 10.0, 1.0):
        assert not must_brake(Box(x, aside, 0.0, 4.5, 1.8, speed), ego)
        assert not must_brake(Box(x, -aside, math.pi, 4.5, 1.8, speed), ego)
