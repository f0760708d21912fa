# ruff: noqa: E402 - one thread per process must be set before numpy is imported
"""How well the expert drives: ``python -m benchmarks.expert --town town_cn --episodes 400``.

Prints one JSON object: success per scenario and pooled, with the targets, and how long it takes compared with
free flow. Its failures are label noise, so this comes before every other number.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("LIBSUMO_AS_TRACI", "quiet")

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from inland.world.towns import TOWNS, EpisodeSpec, episode_specs

TARGETS = {"success_rate": 0.97, "worst_scenario": 0.94, "free_flow_ratio": 1.25}


def drive_one(spec: EpisodeSpec, images: bool = False, perturb: bool = False) -> dict[str, Any]:
    """Drive and score one episode; only plain numbers come back."""
    from inland.metrics import score_episode
    from inland.world.driving.expert import ExpertDriver
    from inland.world.episode import run_episode
    from inland.world.towns import load_layout

    start = time.perf_counter()
    log = run_episode(spec, ExpertDriver(), images=images, perturb=perturb)
    seconds = time.perf_counter() - start
    layout = load_layout(spec.layout)
    score = score_episode(log, layout)
    return {
        "spec": asdict(spec),
        "end": score.end,
        "success": score.success,
        "driving_score": score.driving_score,
        "route_completion": score.route_completion,
        "infractions": [(i.name, i.t_ns - log.states[0].t_ns, i.actor) for i in score.infractions],
        "free_flow_ratio": score.free_flow_ratio,
        "pdms": score.pdms,
        "comfort": score.comfort,
        "ttc": score.ttc,
        "duration_s": score.duration_s,
        "unhindered": unhindered(log, layout),
        "steps": len(log.states),
        "wall_s": seconds,
    }


def unhindered(log: Any, layout: Any) -> bool:
    """Whether nothing was in the way: no light but green within 60 m, nobody ahead within 3 s and 12 m."""
    from inland.world.driving.expert import Style, plan_route
    from inland.world.driving.planning import FRONT_M, leaders, near, track
    from inland.world.state import Light

    plan = plan_route(layout, log.route, Style())
    for state in log.states[::5]:
        ego = state.ego
        s_m, _ = plan.path.project(ego.x_m, ego.y_m)
        for line, indices in plan.stops:
            ahead = 0 < line - s_m - FRONT_M < 60
            if ahead and Light.GREEN not in [int(state.signals[i]) for i in indices]:
                return False
        around = near(track(state.actors, None), ego)
        if any(x.gap_m < 12 + 3 * ego.speed_mps for x in leaders(around, plan.path, s_m, margin_m=0.6)):
            return False
    return True


def _drive_job(job: tuple[EpisodeSpec, bool, bool]) -> dict[str, Any]:
    return drive_one(*job)


def _told(n: int, row: dict[str, Any]) -> dict[str, Any]:
    """Say on standard error how far it is, and name a failure as soon as it is known."""
    if n % 25 == 0:
        print(f"{n} episodes driven", file=sys.stderr, flush=True)
    if not row["success"]:
        spec = row["spec"]
        print(spec["layout"], spec["scenario"], spec["n"], row["end"], row["infractions"], file=sys.stderr)
    return row


def evaluate_expert(
    town: str,
    episodes: int,
    processes: int,
    *,
    purpose: str = "develop",
    first: int = 0,
    scenarios: Iterable[str] = (),
    images: bool = False,
    perturb: bool = False,
) -> dict[str, Any]:
    """Drive ``episodes`` of a town on ``processes`` processes and sum up.

    ``images`` renders the rig: the expert then knows whom the instance pictures show, not whom geometry allows.
    ``perturb`` disturbs the actuators now and then, as when collecting.
    """
    specs = episode_specs(town, purpose, episodes, first=first, scenarios=tuple(scenarios))
    start = time.perf_counter()
    jobs = [(spec, images, perturb) for spec in specs]
    if processes > 1:
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            rows = [_told(n, row) for n, row in enumerate(pool.imap(_drive_job, jobs, chunksize=1), 1)]
    else:
        rows = [_told(n, _drive_job(job)) for n, job in enumerate(jobs, 1)]
    return summary(town, rows, time.perf_counter() - start)


def summary(town: str, rows: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Success per scenario and pooled, beside the targets."""
    per: dict[str, Any] = {}
    for scenario in TOWNS[town].scenarios:
        mine = [r for r in rows if r["spec"]["scenario"] == scenario]
        if mine:
            ratios = sorted(r["free_flow_ratio"] for r in mine if r["success"])
            per[scenario] = {
                "episodes": len(mine),
                "success_rate": round(sum(r["success"] for r in mine) / len(mine), 4),
                "driving_score": round(sum(r["driving_score"] for r in mine) / len(mine), 2),
                "median_free_flow_ratio": round(ratios[len(ratios) // 2], 3) if ratios else None,
                "comfort": round(sum(r["comfort"] for r in mine) / len(mine), 3),
                "ttc": round(sum(r["ttc"] for r in mine) / len(mine), 3),
            }
    free = sorted(r["free_flow_ratio"] for r in rows if r["success"] and r["unhindered"])
    return {
        "town": town,
        "episodes": len(rows),
        "success_rate": round(sum(r["success"] for r in rows) / len(rows), 4),
        "worst_scenario": min(v["success_rate"] for v in per.values()),
        "free_flow_ratio": round(free[len(free) // 2], 3) if free else None,
        "free_flow_ratio_worst": round(free[-1], 3) if free else None,
        "free_flow_share_within": round(sum(r <= TARGETS["free_flow_ratio"] for r in free) / len(free), 3)
        if free
        else None,
        "unhindered_episodes": len(free),
        "targets": TARGETS,
        "scenarios": per,
        "failures": [
            {k: r[k] for k in ("end", "infractions", "route_completion", "duration_s")}
            | {k: r["spec"][k] for k in ("layout", "scenario", "n")}
            for r in rows
            if not r["success"]
        ],
        "seconds": round(seconds, 1),
        "steps_per_s": round(sum(r["steps"] for r in rows) / sum(r["wall_s"] for r in rows)),
    }


def run(episodes: int = 400, processes: int = 2) -> dict[str, Any]:
    """Both towns, for ``python -m benchmarks expert``: rows of name, value, target and whether it is met."""
    towns = {town: evaluate_expert(town, episodes, processes) for town in TOWNS}
    rows = []
    for town, found in towns.items():
        for name in ("success_rate", "worst_scenario"):
            value, target = found[name], TARGETS[name]
            rows.append({"name": f"expert {name} {town}", "value": value, "target": target, "met": value >= target})
        ratio, target = found["free_flow_ratio"], TARGETS["free_flow_ratio"]
        rows.append(
            {
                "name": f"expert free_flow_ratio {town} (median, nothing in the way)",
                "value": ratio,
                "target": target,
                "met": ratio is not None and ratio <= target,
            }
        )
    return {"targets": rows, "towns": towns}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--town", choices=sorted(TOWNS), default="town_cn")
    parser.add_argument("--episodes", type=int, default=400)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--purpose", default="develop")
    parser.add_argument("--scenario", action="append", default=[])
    parser.add_argument("--images", action="store_true", help="render the rig")
    parser.add_argument("--perturb", action="store_true", help="disturb the actuators now and then")
    chosen = parser.parse_args()
    result = evaluate_expert(
        chosen.town,
        chosen.episodes,
        chosen.processes,
        purpose=chosen.purpose,
        first=chosen.first,
        scenarios=chosen.scenario,
        images=chosen.images,
        perturb=chosen.perturb,
    )
    json.dump(result, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
