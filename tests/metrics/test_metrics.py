from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hand_made import cruise, make_log, others, state, straight_layout
from hypothesis import given
from hypothesis import strategies as st

from inland.metrics import EpisodeScore, score_episode, smoothed_derivative
from inland.world.geometry import box_corners, boxes_overlap, inside_polygon
from inland.world.state import Actors, Ego, Kind, Light

LAYOUT = straight_layout()


def score(
    egos: list[Ego],
    actors: Callable[[int], Actors] | None = None,
    light: Callable[[int], Light] = lambda _: Light.GREEN,
    end: str = "completed",
) -> EpisodeScore:
    states = [state(k, e, actors(k) if actors else None, light(k)) for k, e in enumerate(egos)]
    return score_episode(make_log(states, end), LAYOUT)


def test_a_clean_drive_is_a_success_with_full_marks() -> None:
    # 199 m at 10 m/s: 19.8 s (199 states) against a free-flow time of 20 s.
    result = score(cruise())
    assert result.success
    assert result.infractions == ()
    assert (result.driving_score, result.route_completion) == (100.0, 100.0)
    # EP: the route's last 2 m need not be driven, so progress 198 of 198 m; everything else is 1.
    assert result.pdms == pytest.approx(1.0)
    assert result.duration_s == pytest.approx(19.8)
    assert result.free_flow_ratio == pytest.approx(0.99)


def test_half_a_route_is_half_the_points() -> None:
    # From x = 0 to 99 of the 198 m that must be driven: 50 %. Out of time is no success.
    result = score(cruise(until_m=99.5), end="timeout")
    assert result.route_completion == pytest.approx(50.0)
    assert result.driving_score == pytest.approx(50.0)
    assert not result.success
    assert math.isnan(result.free_flow_ratio)
    # PDMS: NC DAC (5 EP + 5 TTC + 2 C) / 12 = (5 x 0.5 + 5 + 2) / 12.
    assert result.pdms == pytest.approx(9.5 / 12)


def test_a_car_that_is_hit_costs_by_carlas_penalty() -> None:
    # A car stands with its rear bumper at 50 - 2.25 = 47.75 m; the ego's front is 3.65 m before its rear axle,
    # so the boxes first overlap with the rear axle beyond 44.1 m: at 45.0 m, in step 45.
    result = score(cruise(until_m=45.5), lambda _: others((3, Kind.CAR, 50.0, 0.0, 0.0, 0.0)), end="collision")
    (hit,) = result.infractions
    assert (hit.name, hit.t_ns, hit.actor) == ("collision_vehicle", 4_500_000_000, 3)
    # 45 of 198 m, times 0.6.
    assert result.driving_score == pytest.approx(100 * 45 / 198 * 0.6)
    assert (result.nc, result.ttc, result.pdms) == (0.0, 0.0, 0.0)
    assert not result.success


def test_a_pedestrian_costs_half_and_an_obstacle_least() -> None:
    def hit(kind: Kind) -> EpisodeScore:
        return score(cruise(until_m=60), lambda _: others((1, kind, 50.0, 0.0, 0.0, 0.0)), end="collision")

    done = 59 / 198
    assert hit(Kind.PEDESTRIAN).driving_score == pytest.approx(100 * done * 0.5)
    assert hit(Kind.OBSTACLE).driving_score == pytest.approx(100 * done * 0.65)
    # NAVSIM forgives half for what is static and no road user.
    assert (hit(Kind.PEDESTRIAN).nc, hit(Kind.OBSTACLE).nc) == (0.0, 0.5)


def test_being_hit_from_behind_is_an_infraction_but_no_fault() -> None:
    # The other's front runs 1 m/s faster into the ego's rear.
    result = score(cruise(until_m=60), lambda k: others((1, Kind.CAR, -5.0 + 1.1 * k, 0.0, 0.0, 11.0)), end="collision")
    assert [i.name for i in result.infractions] == ["collision_vehicle"]
    assert result.nc == 1.0
    assert not result.success


def test_a_standing_ego_that_is_run_into_broke_no_rule() -> None:
    egos = [Ego(50.0, 0.0, 0.0, 0.0)] * 50
    result = score(egos, lambda k: others((1, Kind.CAR, 30.0 + 0.5 * k, 0.0, 0.0, 5.0)), end="timeout")
    assert result.infractions == ()
    assert result.nc == 1.0


def test_crossing_on_red_costs_and_amber_does_not() -> None:
    # The front passes the line at x = 100 when the rear axle passes 96.35: between steps 96 and 97.
    red = score(cruise(), light=lambda _: Light.RED)
    assert [(i.name, i.t_ns) for i in red.infractions] == [("red_light", 9_700_000_000)]
    assert red.driving_score == pytest.approx(70.0)
    assert (red.tlc, red.success) == (0.0, False)
    assert score(cruise(), light=lambda _: Light.AMBER).success
    # Red only after the front has passed.
    assert score(cruise(), light=lambda k: Light.RED if k > 97 else Light.GREEN).success


def test_leaving_the_road_costs_its_share_and_the_drivable_area() -> None:
    # 1 m/s drift is not needed: half the way lies at y = -1.5, where the right side is at -2.425, off the road.
    egos = cruise(until_m=100) + cruise(start_m=100, until_m=199, y_m=-1.5)
    result = score(egos)
    assert result.dac == 0.0
    assert result.pdms == 0.0
    assert [i.name for i in result.infractions] == ["outside_route_lanes"]
    # The jump of 1.5 m and 99 steps of 1 m lie outside, of 199 m in all.
    outside = math.hypot(1, 1.5) + 98
    assert result.outside_share == pytest.approx(outside / (99 + outside), abs=1e-3)
    assert result.driving_score == pytest.approx(100 * (1 - result.outside_share))


def test_driving_against_traffic_scores_by_the_distance_in_a_second() -> None:
    # At y = 3.5 the lane runs the other way: 10 m within one second.
    assert score(cruise(y_m=3.5)).ddc == 0.0
    # At 3 m/s it is 3 m a second: half.
    assert score(cruise(3.0, 20.0, 40.0, 3.5), end="timeout").ddc == 0.5
    assert score(cruise()).ddc == 1.0


def test_time_to_collision_looks_nine_tenths_of_a_second_ahead() -> None:
    # Ego 10 m/s behind a car at 4 m/s; closing 6 m/s, in 0.9 s 5.4 m. Its rear is at x - 2.25, ours front at 3.65.
    def with_gap(gap_m: float) -> float:
        egos = [Ego(20.0, 0.0, 0.0, 10.0)] * 2
        return score(egos, lambda _: others((1, Kind.CAR, 20 + 3.65 + gap_m + 2.25, 0, 0, 4.0)), end="timeout").ttc

    assert with_gap(5.3) == 0.0
    assert with_gap(5.5) == 1.0


def test_hard_braking_is_uncomfortable() -> None:
    soft = [Ego(float(k), 0, 0, 10.0, -2.0) for k in range(60)]
    hard = [Ego(float(k), 0, 0, 10.0, -5.0) for k in range(60)]
    assert score(soft, end="timeout").comfort == 1.0
    assert score(hard, end="timeout").comfort == 0.0


def test_progress_is_measured_against_a_reference_that_may_be_given() -> None:
    states = [state(k, e) for k, e in enumerate(cruise(until_m=99.5))]
    log = make_log(states, "timeout")
    assert score_episode(log, LAYOUT, reference_progress_m=132.0).ep == pytest.approx(99 / 132)


def test_a_derivative_of_a_parabola_is_exact() -> None:
    t = np.arange(30) * 0.1
    assert smoothed_derivative(3 * t**2 + t)[4:-4] == pytest.approx((6 * t + 1)[4:-4])


angles = st.floats(-4, 4)
places = st.floats(-6, 6)


@given(places, places, angles, places, places, angles, angles, places)
def test_whether_boxes_overlap_does_not_depend_on_the_frame(
    x: float, y: float, yaw: float, u: float, v: float, other: float, turn: float, shift: float
) -> None:
    first, second = box_corners(x, y, yaw, 4.6, 1.85), box_corners(u, v, other, 1.8, 0.7)
    c, s = math.cos(turn), math.sin(turn)
    rotation = np.array([[c, -s], [s, c]])
    moved = [b @ rotation.T + shift for b in (first, second)]
    # Shrunk and grown by a hair, so that rounding at the very edge cannot decide.
    grown = bool(boxes_overlap(first, box_corners(u, v, other, 1.801, 0.701)))
    shrunk = bool(boxes_overlap(first, box_corners(u, v, other, 1.799, 0.699)))
    if grown == shrunk:
        assert bool(boxes_overlap(*moved)) == bool(boxes_overlap(first, second)) == bool(boxes_overlap(second, first))
    if inside_polygon(second, first).any() or inside_polygon(first, second).any():
        assert grown


def test_crossed_boxes_overlap_though_no_corner_is_inside() -> None:
    assert bool(boxes_overlap(box_corners(0, 0, 0, 10, 1), box_corners(0, 0, math.pi / 2, 10, 1)))
    assert not bool(boxes_overlap(box_corners(0, 0, math.pi / 4, 2, 2), box_corners(1.9, 1.9, math.pi / 4, 2, 2)))
