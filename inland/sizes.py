"""How large a turn is: three sizes, each a function that returns a dataclass."""

from __future__ import annotations

from dataclasses import dataclass

from inland.errors import BadInput
from inland.recipes import Recipe, base, local, quick


@dataclass(frozen=True, slots=True)
class TurnSize:
    """What a turn does at each station.

    ``base_drives`` are recorded in ``town_us`` to train the first driver by ``base_recipe``; ``drives`` in the
    site's own town to train the candidate by ``recipe``. ``pairs`` and ``old_pairs`` are the `final` episodes that
    every driver of the scorecard drives in the new and in the old town. The budgets are for 2 cores.
    """

    name: str
    base_drives: int
    drives: int
    base_recipe: Recipe
    recipe: Recipe
    pairs: int
    old_pairs: int
    budget_minutes: float


def quick_turn() -> TurnSize:
    """The path only, in two minutes: too little of everything to drive."""
    return TurnSize("quick", 4, 8, quick(), quick(), 8, 4, 2)


def demo_turn() -> TurnSize:
    """Ten minutes: the candidate beats the driver in use where the region is hard."""
    return TurnSize(
        "demo",
        base_drives=36,
        drives=84,
        base_recipe=base().with_(steps=450),
        recipe=local().with_(steps=700),
        pairs=48,
        # Fewer cannot show that the old town holds: docs/decisions/gate-exact-paired-tests.md.
        old_pairs=96,
        budget_minutes=10,
    )


def standard_turn() -> TurnSize:
    """An hour: the driving numbers are claimed here."""
    return TurnSize(
        "standard",
        base_drives=160,
        drives=320,
        base_recipe=base().with_(steps=2000),
        recipe=local().with_(steps=5000),
        pairs=160,
        old_pairs=128,
        budget_minutes=60,
    )


SIZES = {"quick": quick_turn, "demo": demo_turn, "standard": standard_turn}


def turn_size(name: str) -> TurnSize:
    """The size of that name. Raises BadInput that lists the names."""
    if name not in SIZES:
        raise BadInput(f"no size {name!r}", remedy=f"one of: {', '.join(SIZES)}")
    return SIZES[name]()
