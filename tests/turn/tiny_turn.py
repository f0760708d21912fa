"""A whole turn in miniature, as a process that a test can kill: ``python tiny_turn.py SITE``."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import inland.sizes
from inland.recipes import Recipe
from inland.sizes import TurnSize, quick_turn


def tiny() -> TurnSize:
    """Two drives each, a few steps, a few episodes."""
    plan = quick_turn()
    small: Recipe = plan.recipe.with_(steps=6, batch=8, checkpoint_steps=2, threads=1, held_out=0.4)
    return replace(plan, name="tiny", base_drives=2, drives=3, base_recipe=small, recipe=small, pairs=2, old_pairs=1)


if __name__ == "__main__":
    inland.sizes.SIZES["tiny"] = tiny  # this process's own table, and only for the test
    from inland.turn import turn

    print(json.dumps(turn(sys.argv[1], size="tiny", processes=2, progress=None)))
