"""The embedded towns: their layouts, scenarios, and which episodes belong to a suite.

``town_us`` is orderly. ``town_cn`` has what makes Chinese streets hard. They are not reality.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from inland.digest import digest_of, seed_of
from inland.errors import BadInput
from inland.world.rendering import dressing, paint
from inland.world.traffic.layout import Anchor, Layout
from inland.world.traffic.roads import Network, read_network

NETWORKS = Path(__file__).parent / "traffic" / "networks"
HELD_OUT_SHARE = 3
"""One in this many episodes of an evaluation runs on a layout that was never collected on."""
PURPOSES = ("collect", "labeller", "develop", "final")


@dataclass(frozen=True, slots=True)
class Town:
    """One town. ``held_out`` layouts are never collected on."""

    name: str
    region: str
    layouts: tuple[str, ...]
    held_out: tuple[str, ...]
    scenarios: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EpisodeSpec:
    """One simulated drive: everything that decides it. ``seed`` is `inland.digest.seed_of` its purpose and place."""

    town: str
    layout: str
    scenario: str
    purpose: str
    n: int
    seed: int


_ORDERLY = ("signal_straight", "signal_turn", "hard_stop", "curves")
TOWNS: Mapping[str, Town] = {
    "town_us": Town("town_us", "us", ("us_oak", "us_elm"), ("us_ash",), _ORDERLY),
    "town_cn": Town(
        "town_cn",
        "cn",
        ("cn_huai", "cn_liu"),
        ("cn_tong",),
        (*_ORDERLY, "scooter_flow", "cut_in", "late_crossing_crowd", "right_turn_across_scooters"),
    ),
}
ANCHORS: Mapping[str, Anchor] = {
    "us_oak": Anchor(39.5021, -98.3010),
    "us_elm": Anchor(41.2040, -96.7025),
    "us_ash": Anchor(37.6033, -93.9044),
    "cn_huai": Anchor(34.2050, 108.6012),
    "cn_liu": Anchor(30.7061, 114.9023),
    "cn_tong": Anchor(27.3072, 112.1034),
}
"""Fixed invented places, inside each region: no real street lies where a layout's origin is."""


def town_of(layout: str) -> Town:
    """The town that a layout belongs to. Raises BadInput for an unknown layout."""
    for town in TOWNS.values():
        if layout in town.layouts + town.held_out:
            return town
    known = ", ".join(k for t in TOWNS.values() for k in t.layouts + t.held_out)
    raise BadInput(f"no layout {layout!r}", remedy=f"one of: {known}")


@cache
def load_layout(name: str) -> Layout:
    """One layout, complete. Cached: layouts do not change. Raises BadInput for an unknown name."""
    town = town_of(name)
    network = load_network(name)
    lights = dressing.signals(network, town.name)
    areas = dressing.drivable_areas(network)
    return Layout(
        name=name,
        town=town.name,
        anchor=ANCHORS[name],
        lanes=network.lanes,
        signals=lights,
        drivable=areas,
        junctions=network.shapes,
        crossings=network.crossings,
        surface=areas,
        markings=paint.markings(network, name, town.name, lights),
        signs=dressing.signs(network, town.name),
        blocks=dressing.blocks(network, name, town.name),
    )


@cache
def load_network(layout: str) -> Network:
    """The layout's road network as its file has it."""
    return read_network(network_path(layout))


def network_path(layout: str) -> Path:
    """Where the layout's SUMO network lies in the package."""
    return NETWORKS / f"{layout}.net.xml"


def episode_spec(town: str, layout: str, scenario: str, purpose: str, n: int) -> EpisodeSpec:
    """The n-th episode of a purpose, town and scenario, on the given layout.

    Raises BadInput for an unknown name, and for a purpose that collects on a layout held out for evaluation.
    """
    home = TOWNS.get(town)
    if home is None:
        raise BadInput(f"no town {town!r}", remedy=f"one of: {', '.join(TOWNS)}")
    if scenario not in home.scenarios:
        raise BadInput(f"no scenario {scenario!r} in {town}", remedy=f"one of: {', '.join(home.scenarios)}")
    if purpose not in PURPOSES:
        raise BadInput(f"no purpose {purpose!r}", remedy=f"one of: {', '.join(PURPOSES)}")
    if layout not in home.layouts + home.held_out:
        raise BadInput(f"no layout {layout!r} in {town}", remedy=f"one of: {', '.join(home.layouts + home.held_out)}")
    if layout in home.held_out and purpose in ("collect", "labeller"):
        raise BadInput(f"{layout} is held out: nothing is collected there", remedy=f"one of: {home.layouts}")
    return EpisodeSpec(town, layout, scenario, purpose, n, seed_of(purpose, town, scenario, n))


def episode_specs(
    town: str, purpose: str, total: int, *, first: int = 0, scenarios: tuple[str, ...] = ()
) -> tuple[EpisodeSpec, ...]:
    """``total`` episodes, spread evenly over the scenarios (all, or the given), always the same ones.

    ``first`` starts the count of each scenario's episodes later: other seeds of the same purpose. ``collect`` and
    ``labeller`` stay on the collected layouts; in ``develop`` and ``final`` about a third of each scenario's
    episodes run on held-out layouts. Raises BadInput for an unknown town, scenario or purpose.
    """
    home = TOWNS.get(town)
    if home is None:
        raise BadInput(f"no town {town!r}", remedy=f"one of: {', '.join(TOWNS)}")
    chosen = scenarios or home.scenarios
    specs = []
    for i in range(total):
        scenario, n = chosen[i % len(chosen)], first + i // len(chosen)
        # Which layout must not follow from the same count as the scenario's own variation, or from its order.
        turn = n + home.scenarios.index(scenario) if scenario in home.scenarios else n
        held_out = purpose not in ("collect", "labeller") and turn % HELD_OUT_SHARE == 0
        pool = home.held_out if held_out else home.layouts
        draw = int(digest_of("layout", purpose, town, scenario, n)[:8], 16)
        specs.append(episode_spec(town, pool[draw % len(pool)], scenario, purpose, n))
    return tuple(specs)
