from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hand_made import LINE_M, others, state, straight_layout, straight_route
from hypothesis import given
from hypothesis import strategies as st

from inland.drivers import Observation
from inland.world.driving.expert import ExpertDriver, plan_route, style_of
from inland.world.driving.flows import flows_of, follow_flow
from inland.world.driving.planning import FRONT_M, Leader, follow, must_stop, predict, track
from inland.world.driving.safety import is_calm, would_fail
from inland.world.driving.sight import VIEWS, Memory, in_sight
from inland.world.driving.vehicle import step_vehicle
from inland.world.episode import RIG_SIZES, route_hint
from inland.world.geometry import make_path
from inland.world.state import Actors, Command, Control, Ego, Kind, Light, RouteHint, WorldState
from inland.world.towns import load_layout
from inland.world.traffic.layout import Lane, LaneKind

LAYOUT, ROUTE = straight_layout(), straight_route()
HINT = RouteHint(Command.FOLLOW, 60.0)


def drive(
    ego: Ego,
    actors: object = lambda k: others(),
    light: object = lambda k: Light.GREEN,
    steps: int = 300,
    seen: object = None,
) -> list[WorldState]:
    """Let the expert drive on the hand-made road; ``actors`` and ``light`` are functions of the step."""
    expert = ExpertDriver()
    expert.reset(5)
    states = []
    for k in range(steps):
        now = state(k, ego, actors(k), light(k))  # type: ignore[operator]
        states.append(now)
        known = now.actors.ids.tolist() if seen is None else seen
        expert.see(now, LAYOUT, ROUTE, known)  # type: ignore[arg-type]
        ego = step_vehicle(ego, expert.drive(Observation(now.t_ns, {}, ego.speed_mps, HINT)))
        if ego.x_m > 197:
            break
    return states


def smallest_gap(states: list[WorldState]) -> float:
    """From the ego's front bumper to the rear of the nearest car in its lane."""
    return min(float(np.min(s.actors.x_m - 2.25 - s.ego.x_m - FRONT_M)) for s in states if len(s.actors))


def test_with_nothing_in_the_way_it_drives_near_the_limit() -> None:
    states = drive(Ego(0, 0, 0, 11.0))
    # 198 m at 12 m/s are 16.5 s.
    assert len(states) * 0.1 < 1.25 * 16.5
    assert max(s.ego.speed_mps for s in states) <= 12.0 + 0.1


def test_it_comes_back_to_its_lane_after_a_push() -> None:
    states = drive(Ego(0, 0.8, 0.1, 9.0), steps=60)
    assert abs(states[-1].ego.y_m) < 0.1
    assert abs(states[-1].ego.yaw_rad) < 0.02


def test_it_stops_before_a_red_light_and_goes_on_green() -> None:
    states = drive(Ego(30, 0, 0, 12.0), light=lambda k: Light.RED if k < 150 else Light.GREEN)
    stopped = states[149].ego
    assert stopped.speed_mps < 0.1
    assert LINE_M - 4.0 < stopped.x_m + FRONT_M < LINE_M
    assert min(s.ego.acceleration_mps2 for s in states) > -4.0
    assert states[-1].ego.x_m > 190


def test_it_drives_on_where_amber_comes_too_late_to_stop() -> None:
    # 12 m/s, front 15 m before the line: stopping would need 4.8 m/s2.
    states = drive(Ego(LINE_M - 15 - FRONT_M, 0, 0, 12.0), light=lambda k: Light.AMBER, steps=30)
    assert states[-1].ego.x_m > LINE_M


@pytest.mark.parametrize("brake", [3.5, 6.5])
def test_it_does_not_hit_a_leader_that_brakes_hard(brake: float) -> None:
    def lead(k: int) -> Actors:
        t = max(0.0, k * 0.1 - 2.0)
        t = min(t, 10.0 / brake)
        return others((1, Kind.CAR, 24.0 + 10 * (min(k * 0.1, 2.0) + t) - brake * t * t / 2, 0, 0, 10.0 - brake * t))

    states = drive(Ego(0, 0, 0, 10.0), lead, steps=150)
    assert smallest_gap(states) > 0.5
    assert states[-1].ego.speed_mps < 0.1


def test_a_close_cut_in_at_equal_speed_is_no_emergency() -> None:
    # Merges 4 m ahead within two seconds at our speed: give room, do not stamp on the brake.
    def cutter(k: int) -> Actors:
        y = 3.5 * max(0.0, 1 - k / 20)
        return others((1, Kind.CAR, 20 + 3.65 + 4 + 2.25 + k, y, 0, 10.0))

    states = drive(Ego(20, 0, 0, 10.0), cutter, steps=60)
    assert smallest_gap(states) > 3.0
    assert min(s.ego.acceleration_mps2 for s in states) > -4.0


def test_it_lets_a_pedestrian_cross() -> None:
    def walker(k: int) -> Actors:
        return others((1, Kind.PEDESTRIAN, 50.0, -6 + 0.14 * k, np.pi / 2, 1.4))

    states = drive(Ego(20, 0, 0, 10.0), walker, steps=150)
    for s in states:
        inside = abs(float(s.actors.y_m[0])) < 0.925 + 0.25
        assert not (inside and s.ego.x_m + FRONT_M > 49.75 and s.ego.x_m - 0.95 < 50.25)
    assert states[-1].ego.x_m > 60


def test_what_was_not_seen_is_not_used() -> None:
    # The same parked car, unseen: the expert drives into it. What the learner cannot see the expert may not use.
    parked = lambda k: others((1, Kind.CAR, 80.0, 0, 0, 0.0))  # noqa: E731
    assert smallest_gap(drive(Ego(20, 0, 0, 10.0), parked)) > 0.5
    assert smallest_gap(drive(Ego(20, 0, 0, 10.0), parked, seen=())) < 0.0


def test_it_passes_a_scooter_at_the_edge_with_room_to_spare() -> None:
    scooter = lambda k: others((1, Kind.SCOOTER, 60.0, -1.7, 0, 0.0))  # noqa: E731
    states = drive(Ego(20, 0, 0, 8.0), scooter)
    beside = [s.ego.y_m for s in states if 55 < s.ego.x_m < 60]
    assert states[-1].ego.x_m > 190
    # Its left edge is at -1.35; ours at y - 0.925.
    assert min(beside) - 0.925 + 1.35 > 0.6


def test_style_varies_with_the_seed_and_only_with_it() -> None:
    assert style_of(1) == style_of(1)
    assert len({style_of(k).time_gap_s for k in range(20)}) == 20


@given(st.floats(0, 15), st.floats(0.2, 60), st.floats(0, 15))
def test_following_never_brakes_harder_than_tyres_need(speed: float, gap: float, lead: float) -> None:
    a = follow(speed, Leader(gap, lead, 0.0, 1, 0), 1.3, 1.8)
    assert a <= 1.8
    if lead >= speed:
        assert a >= -2.5
    # Closer is never faster.
    assert a >= follow(speed, Leader(max(gap - 1, 0.1), lead, 0.0, 1, 0), 1.3, 1.8) - 1e-9


def test_lights_are_obeyed_as_a_person_would() -> None:
    assert must_stop(Light.RED, 10, 5)
    assert not must_stop(Light.RED, 10, -1)
    assert must_stop(Light.AMBER, 10, 30)
    assert not must_stop(Light.AMBER, 10, 10)
    assert not must_stop(Light.GREEN, 10, 10)


def test_whoever_drives_along_the_road_is_predicted_round_its_bend() -> None:
    # A left bend of radius 40 m; a car 20 m ahead in our lane keeps to it.
    angle = np.linspace(0, 2, 200)
    path = make_path(np.stack([40 * np.sin(angle), 40 * (1 - np.cos(angle))], -1))
    car = track(others((1, Kind.CAR, 40 * np.sin(0.5), 40 * (1 - np.cos(0.5)), 0.5, 8.0)), None)
    x, y, _ = predict(car, path, (), 0.0)
    off = np.hypot(x[0], y[0] - 40) - 40
    assert np.abs(off).max() < 0.1
    # With a junction at its place, it is predicted straight on.
    x, y, _ = predict(car, path, ((10.0, 60.0),), 0.0)
    assert np.hypot(x[0, -1], y[0, -1] - 40) - 40 > 5


def test_who_is_in_a_lane_that_only_turns_left_is_expected_to_turn_left() -> None:
    town = load_layout("us_oak")
    flows = flows_of(town)
    lanes = [k for k in town.lanes.values() if k.edge == "e_in" and k.kind == LaneKind.DRIVE]
    [left] = [k for k in lanes if len(k.successors) == 1]
    [mixed] = [k for k in lanes if len(k.successors) == 2]

    def turned(lane: Lane) -> float | None:
        (x0, y0), (x1, y1) = lane.centre[-2], lane.centre[-1]
        yaw = float(np.arctan2(y1 - y0, x1 - x0))
        where = follow_flow(flows, x1 - 3 * np.cos(yaw), y1 - 3 * np.sin(yaw), yaw, 9.0)
        return None if where is None else float(where[2][-1] - yaw)

    assert turned(left) == pytest.approx(np.pi / 2, abs=0.5)
    # Where a lane leads two ways, nothing is claimed; off the road, neither.
    assert turned(mixed) is None
    assert follow_flow(flows, 500.0, 500.0, 0.0, 9.0) is None


def test_the_safety_driver_sees_what_is_coming() -> None:
    plan = plan_route(LAYOUT, ROUTE, style_of(5))

    def why(ego: Ego, control: Control, actors: Actors | None = None, light: Light = Light.GREEN) -> str | None:
        now = state(0, ego, actors, light)
        return would_fail(now, LAYOUT, plan, track(now.actors, None), control, ego.x_m)

    straight, ego = Control(0.0, 0.0), Ego(20, 0, 0, 10.0)
    assert why(ego, straight) is None
    assert why(ego, straight, others((1, Kind.CAR, 40, 0, 0, 0.0))) == "collision"
    assert why(ego, Control(0, -6.0), others((1, Kind.CAR, 40, 0, 0, 0.0))) is None
    assert why(ego, straight, others((1, Kind.CAR, 14, 0, 0, 12.0))) is None  # it must keep its distance
    # Closing at 3 m/s with 6 m left: nothing happens within 2 s, but a hard stop ahead could not be answered.
    assert why(Ego(20, 0, 0, 13.0), straight, others((1, Kind.CAR, 31.9, 0, 0, 10.0))) == "too_close"
    assert why(ego, straight, others((1, Kind.CAR, 31.9, 0, 0, 10.0))) is None  # it merged at our speed
    assert why(ego, Control(0.03, 0.0)) == "out_of_lane"
    assert why(Ego(85, 0, 0, 10.0), straight, light=Light.RED) == "red_light"
    assert why(Ego(85, 0, 0, 10.0), Control(0, -8.0), light=Light.RED) is None
    # Amber counts as red for whoever could stop comfortably (here by 2.2 m/s2) and does not brake.
    assert why(Ego(73.5, 0, 0, 10.0), Control(0.0, 2.0), light=Light.AMBER) == "red_light"
    assert why(Ego(85, 0, 0, 10.0), straight, light=Light.AMBER) is None
    assert is_calm(ego, plan, 20.0)
    assert not is_calm(dataclasses.replace(ego, y_m=0.8), plan, 20.0)


def test_the_rig_does_not_see_behind_a_truck_or_far_away() -> None:
    row = others(
        (1, Kind.TRUCK, 20, 0, 0, 0), (2, Kind.PEDESTRIAN, 30, 0, 0, 0), (3, Kind.PEDESTRIAN, 30, 15, 0, 0),
        (4, Kind.PEDESTRIAN, 125, -40, 0, 0), (5, Kind.SCOOTER, -8, -3, 0, 5),
    )  # fmt: skip
    size = row.size_m.copy()
    size[0] = (8.0, 2.4, 3.0)
    seen = in_sight(state(0, Ego(0, 0, 0, 5.0), dataclasses.replace(row, size_m=size)))
    assert seen.tolist() == [1, 3, 5]


def test_geometry_and_pictures_speak_of_the_same_rig() -> None:
    from inland.world.rendering.camera import RIG

    assert {k.name: (k.width_px, k.height_px) for k in RIG.cameras} == RIG_SIZES
    for camera, (x, y, yaw, half_view, focal) in zip(RIG.cameras, VIEWS, strict=True):
        assert camera.position_m is not None
        assert camera.rotation_rad is not None
        assert camera.focal_px is not None
        assert (camera.position_m[0], camera.position_m[1]) == (x, y)
        assert np.cos(camera.rotation_rad[2] - yaw) == pytest.approx(1.0)
        assert camera.focal_px[0] == pytest.approx(focal)
        assert np.arctan(camera.width_px / 2 / focal) == pytest.approx(half_view)


def test_memory_lasts_two_seconds() -> None:
    memory = Memory()
    assert memory.add(0, np.array([7], np.int32)) == {7}
    assert memory.add(2_000_000_000, np.array([], np.int32)) == {7}
    assert memory.add(2_100_000_000, np.array([], np.int32)) == frozenset()


def test_the_route_hint_counts_down_to_the_junction() -> None:
    far, near, inside, after = (route_hint(ROUTE, s) for s in (10.0, 60.0, 105.0, 130.0))
    assert (far.command, far.distance_m) == (Command.FOLLOW, 60.0)
    assert (near.command, near.distance_m) == (Command.STRAIGHT, pytest.approx(LINE_M - 60 - FRONT_M))
    assert (inside.command, inside.distance_m) == (Command.STRAIGHT, pytest.approx(LINE_M - 105 - FRONT_M))
    assert after.command == Command.FOLLOW
