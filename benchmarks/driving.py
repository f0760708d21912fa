"""What a turn does for the driver: ``inland turn --size SIZE`` on a fresh site, beside the targets.

``python -m benchmarks.driving --size demo``; ``make bench`` runs the standard size, which takes about an hour. The site
is kept in ``sites/`` so that a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

SITES = Path(__file__).parents[1] / "sites"


def run(size: str = "standard") -> dict[str, Any]:
    """Turn once and compare; the answer of the turn is kept whole."""
    from inland.progress import Progress
    from inland.release import field_model
    from inland.site import is_site, open_site
    from inland.sizes import turn_size
    from inland.turn import turn

    path = SITES / f"bench-{size}"
    finished = path / "turns" / "1" / "turn.json"
    if is_site(path) and finished.exists() and field_model(open_site(path)):
        answer = json.loads(finished.read_text())
    else:
        with Progress(f"turn {size}") as progress:
            answer = turn(path, size=size, processes=2, progress=progress)
    card = json.loads((path / "turns" / "1" / "gate.json").read_text())
    rates = answer["success_rate"]["town_cn"]
    gain = card["overall"]["value"]
    rows = [
        _row("town_cn pairs", card["overall"]["pairs"], 160 if size == "standard" else 40),
        _row("paired p, candidate against field", card["p_better"], 0.05, least=False),
        _row("candidate above ego_only, points", _points(rates, "ego_only"), 20),
        _row("candidate above constant, points", _points(rates, "constant"), 20),
    ]
    if size == "standard":
        rows += [
            _row("success rate up by, points", round(100 * gain, 1), 25),
            _row("its lower bound, points", round(100 * card["overall"]["low"], 1), 10),
            _row("town_us lower bound, points", round(100 * card["old_town"]["low"], 1), -10),
        ]
    rows.append(_row("minutes", round(answer["seconds"] / 60, 1), turn_size(size).budget_minutes, least=False))
    answer.pop("report"), answer.pop("release")
    return {"targets": rows, "answer": answer}


def _points(rates: dict[str, Any], other: str) -> float:
    return round(100 * (rates["candidate"]["value"] - rates[other]["value"]), 1)


def _row(name: str, value: float, target: float, least: bool = True) -> dict[str, Any]:
    return {"name": name, "value": value, "target": target, "met": value >= target if least else value <= target}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="demo", choices=("quick", "demo", "standard"))
    json.dump(run(parser.parse_args().size), sys.stdout, indent=1)
