"""How often the gate finds that the old town holds, by the number of pairs: exact, from every possible table.

Run: ``python -m benchmarks.gate_power``. It says how many episodes a turn needs, before any is driven.
"""

from __future__ import annotations

import json
from math import comb

from inland.gate import tango_interval

PAIRS = (32, 40, 48, 64, 96, 128, 160)
TRUTHS = ((0.0, 0.0), (0.05, 0.05), (0.10, 0.05), (0.10, 0.02), (0.20, 0.05), (0.05, 0.10))
"""Chances of a win and of a loss in one pair."""


def chance_to_hold(pairs: int, win: float, loss: float, margin: float = 0.10) -> float:
    """The chance that the interval of the paired difference lies above -``margin``."""
    total = 0.0
    for wins in range(pairs + 1):
        for losses in range(pairs + 1 - wins):
            rest = pairs - wins - losses
            chance = comb(pairs, wins) * comb(pairs - wins, losses) * win**wins * loss**losses
            chance *= (1 - win - loss) ** rest
            if chance > 1e-7 and tango_interval(wins, losses, pairs)[0] > -margin:
                total += chance
    return total


if __name__ == "__main__":
    rows = [
        {"win": win, "loss": loss, **{str(n): round(chance_to_hold(n, win, loss), 2) for n in PAIRS}}
        for win, loss in TRUTHS
    ]
    print(json.dumps({"chance that the old town is found to hold": rows}))
