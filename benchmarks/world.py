"""How fast the towns run: ``inland world bench``, as rows beside their targets."""

from __future__ import annotations

from typing import Any

from inland.world.bench import world_bench


def run() -> dict[str, Any]:
    """Measure the towns; see `inland.world.bench`."""
    found = world_bench(seconds=10.0)
    rows = []
    for name, line in found.items():
        if not isinstance(line, dict):
            continue
        if "target" in line:
            value, target = line["steps_per_s"], line["target"]
            rows.append({"name": f"{name}, steps/s", "value": value, "target": target, "met": value >= target})
        if "target_times_one" in line:
            value, target = line["times_one"], line["target_times_one"]
            rows.append({"name": f"{name}, times one", "value": value, "target": target, "met": value >= target})
    return {"targets": rows, "lines": found}
