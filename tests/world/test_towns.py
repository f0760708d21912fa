from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inland.digest import seed_of
from inland.errors import BadInput
from inland.world.state import Command, Light
from inland.world.towns import TOWNS, episode_spec, episode_specs, load_layout
from inland.world.traffic.layout import LaneKind
from inland.world.traffic.lights import programme_for
from inland.world.traffic.roads import arc_length, free_flow_s, make_route

LAYOUTS = [name for town in TOWNS.values() for name in town.layouts + town.held_out]
ARMS = "nesw"


def inside(polygon: np.ndarray, point: np.ndarray) -> bool:
    a, b = polygon, np.roll(polygon, -1, axis=0)
    crosses = (a[:, 1] > point[1]) != (b[:, 1] > point[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        at = (b[:, 0] - a[:, 0]) * (point[1] - a[:, 1]) / (b[:, 1] - a[:, 1]) + a[:, 0]
    return bool(np.sum(crosses & (point[0] < at)) % 2)


def test_every_town_holds_a_layout_out() -> None:
    for town in TOWNS.values():
        assert len(town.layouts) >= 1
        assert town.held_out
        assert not set(town.layouts) & set(town.held_out)


@pytest.mark.parametrize("town", list(TOWNS))
@pytest.mark.parametrize("purpose", ["collect", "labeller"])
def test_nothing_is_collected_on_a_held_out_layout(town: str, purpose: str) -> None:
    used = {spec.layout for spec in episode_specs(town, purpose, 200)}
    assert used == set(TOWNS[town].layouts)
    with pytest.raises(BadInput, match="held out"):
        episode_spec(town, TOWNS[town].held_out[0], "curves", purpose, 0)


@pytest.mark.parametrize("town", list(TOWNS))
@pytest.mark.parametrize("purpose", ["develop", "final"])
def test_an_evaluation_spends_a_third_of_each_scenario_on_held_out_layouts(town: str, purpose: str) -> None:
    specs = episode_specs(town, purpose, 30 * len(TOWNS[town].scenarios))
    for scenario in TOWNS[town].scenarios:
        own = [s for s in specs if s.scenario == scenario]
        assert len(own) == 30
        assert sum(s.layout in TOWNS[town].held_out for s in own) == 10


@given(st.sampled_from(list(TOWNS)), st.sampled_from(["collect", "develop", "final"]), st.integers(1, 60))
def test_a_longer_suite_begins_as_the_shorter_one(town: str, purpose: str, total: int) -> None:
    specs = episode_specs(town, purpose, total)
    assert specs == episode_specs(town, purpose, total + 7)[:total]
    assert len(set(specs)) == total
    assert all(s.seed == seed_of(purpose, town, s.scenario, s.n) for s in specs)


def test_purposes_share_no_seed() -> None:
    seeds = [{s.seed for s in episode_specs("town_cn", p, 400)} for p in ("collect", "labeller", "develop", "final")]
    assert len(set.union(*seeds)) == sum(len(s) for s in seeds)


@pytest.mark.parametrize(
    ("change", "says"),
    [({"town": "town_xx"}, "town_us"), ({"scenario": "ice"}, "curves"), ({"purpose": "fun"}, "collect")],
)
def test_an_unknown_name_is_told_what_there_is(change: dict[str, str], says: str) -> None:
    given_names = {"town": "town_us", "layout": "us_oak", "scenario": "curves", "purpose": "collect"} | change
    with pytest.raises(BadInput, match=says):
        episode_spec(**given_names, n=0)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_way_through_the_junction_is_connected_and_drivable(name: str) -> None:
    layout = load_layout(name)
    for i, arm in enumerate(ARMS):
        lanes = sorted(
            (k for k in layout.lanes.values() if k.edge == f"{arm}_in" and k.kind == LaneKind.DRIVE),
            key=lambda k: k.index,
        )
        for step, lane, command in ((1, lanes[-1], Command.LEFT), (2, lanes[0], Command.STRAIGHT)):
            out = sorted(
                (
                    k
                    for k in layout.lanes.values()
                    if k.edge == f"{ARMS[(i + step) % 4]}_out" and k.kind == LaneKind.DRIVE
                ),
                key=lambda k: k.index,
            )
            end = out[1] if command == Command.LEFT else out[0]
            route = make_route(layout, (lane.id, end.id), arc_length(lane.centre)[-1] - 60.0, 50.0)
            steps = np.hypot(*np.diff(route.path, axis=0).T)
            assert steps.max() <= 1.01
            assert [m[2] for m in route.manoeuvres] == [command]
            assert abs(route.manoeuvres[0][0] - 60.0) < 1.0
            assert 9.0 < free_flow_s(route) < 30.0
            for point in route.path[::5]:
                assert any(inside(area, point) for area in layout.drivable), (lane.id, point)


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_signal_stands_before_its_stop_line_and_faces_the_driver(name: str) -> None:
    layout = load_layout(name)
    for signal in layout.signals:
        if signal.arrow == "walk":
            continue
        assert signal.lanes
        assert signal.via
        for lane_id in signal.lanes:
            end = layout.lanes[lane_id].centre[-1]
            towards = end - layout.lanes[lane_id].centre[-2]
            assert np.min(np.hypot(*(signal.stop_line - end).T)) < 8.0
            for x, y, z, yaw in signal.heads:
                assert 3.0 < z < 6.0
                assert (np.array([x, y]) - end) @ towards > 0
                assert np.array([np.cos(yaw), np.sin(yaw)]) @ towards < 0


@pytest.mark.parametrize("name", LAYOUTS)
def test_nothing_is_built_on_the_road(name: str) -> None:
    layout = load_layout(name)
    roads = [k for k in layout.lanes.values() if k.kind != LaneKind.WALK]
    for block in layout.blocks:
        if block.style == "pole" or block.base_m > 0:
            continue
        c, s = np.cos(block.yaw_rad), np.sin(block.yaw_rad)
        for lane in roads:
            d = lane.centre - (block.x_m, block.y_m)
            along, across = np.abs(d @ (c, s)), np.abs(d @ (-s, c))
            out = np.hypot(np.maximum(along - block.length_m / 2, 0), np.maximum(across - block.width_m / 2, 0))
            assert out.min() > lane.width_m / 2, (block, lane.id)


@given(st.sampled_from(ARMS), st.sampled_from("lsr"), st.floats(-60, 60), st.floats(0, 120))
def test_crossing_movements_are_never_green_together(arm: str, turn: str, start_s: float, t_s: float) -> None:
    programme = programme_for(arm, turn, start_s)
    open_now = {
        f"{a}_{m}"
        for a in ARMS
        for m in ("through", "left")
        if programme.light(f"{a}_{m}", t_s) in (Light.GREEN, Light.AMBER)
    }
    assert not ({k[0] for k in open_now} & set("ns") and {k[0] for k in open_now} & set("ew"))
    assert len({k.split("_")[1] for k in open_now}) <= 1


@given(st.sampled_from(ARMS), st.sampled_from("lsr"), st.floats(0, 60))
def test_a_green_ends_in_three_seconds_of_amber(arm: str, turn: str, start_s: float) -> None:
    programme = programme_for(arm, turn, start_s)
    signal = f"{arm}_{'left' if turn == 'l' else 'through'}"
    shown = [programme.light(signal, start_s + 0.05 + k / 10) for k in range(round(programme.cycle_s * 10))]
    assert shown[0] == Light.GREEN
    assert 28 <= shown.count(Light.AMBER) <= 31
    last_green = max(k for k, light in enumerate(shown) if light == Light.GREEN)
    assert shown[last_green + 1] == Light.AMBER
    assert programme.cycle_s < 50
