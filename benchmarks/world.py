"""How fast the towns run: ``inland world bench``, as rows beside their targets."""

from __future__ import annotations

from typing import Any

from inland.world.bench import world_bench
from inland.world.towns import TOWNS


def run() -> dict[str, Any]:
    """Measure the towns; see `inland.world.bench`."""
    found = world_bench(seconds=10.0)
    rows = []
    for town in TOWNS:
        lines = found[town]
        front, together = lines["front_camera"], lines["processes"]
        rows += [
            {
                "name": f"{town}: front camera among {lines['actors']:.0f} actors, steps/s",
                "value": front["steps_per_s"],
                "target": front["target"],
                "met": front["steps_per_s"] >= front["target"],
            },
            {
                "name": f"{town}: {together['count']} processes, times one",
                "value": together["times_one"],
                "target": together["target_times_one"],
                "met": together["times_one"] >= together["target_times_one"],
            },
        ]
    return {"targets": rows, "lines": found}
