"""One flywheel turn, top to bottom: collect, ingest, mine, label, curate, train, score, gate, release, roll out.

Every station remembers what it finished: killed anywhere, the same command goes on from there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from inland.abroad import base_driver, report_abroad
from inland.border.keys import ensure_keys
from inland.curate import curate
from inland.errors import BadInput
from inland.fleet import CollectSpec, collect, vehicle_names
from inland.gate import decide
from inland.ingest import ingest
from inland.label import label
from inland.mine import mine
from inland.progress import Stopwatch
from inland.release import field_model, pack, roll_out
from inland.samples import open_samples
from inland.score import AtWheel, score
from inland.scorecard import pairs, success_rates
from inland.site import Site, init_site, is_site, open_site
from inland.sizes import TurnSize, turn_size
from inland.train import train
from inland.turn_page import write_page
from inland.world.towns import TOWNS

Report = Callable[[float, float, str], None]
OLD_TOWN = "town_us"
DRIVES_A_TURN = 10_000
"""Each turn numbers its drives from here on, so that no turn records the drives of another."""
TOWN_CLIPS = "format = 'mcap'"
"""A site's other recordings may have other rigs; the towns' driver learns from vehicles' own logs."""


def turn(path: str | Path, size: str = "demo", processes: int = 2, progress: Report | None = None) -> dict[str, Any]:
    """Turn the flywheel once at the site at ``path`` (a ``cn`` site is made where there is none).

    Returns the answer of ``inland turn --json``. A turn that was killed goes on; one that finished is followed by
    the next. Raises SiteBusy where another process writes to the site, BadInput for an unknown size or a region
    without a town.
    """
    plan = turn_size(size)
    site = open_site(path) if is_site(path) else init_site(path, "cn")
    if f"town_{site.region}" not in TOWNS:
        raise BadInput(
            f"there is no town for region {site.region!r}",
            place=site.root,
            remedy=f"the embedded towns are {', '.join(TOWNS)}; on your own recordings use ingest and train",
        )
    ensure_keys(site)
    with site.writing():
        return _turn(site, plan, processes, progress or (lambda done, total, what: None))


def _turn(site: Site, plan: TurnSize, processes: int, report: Report) -> dict[str, Any]:
    watch = Stopwatch()
    number = next_turn(site)
    town = f"town_{site.region}"

    with watch.station("base driver"):
        field = driver_in_use(site, number) or base_driver(site, plan, processes, report)
        hold_field(site, number, field)
    with watch.station("collect"):
        fleet = CollectSpec(town, plan.drives, driver=field, first=number * DRIVES_A_TURN)
        logs = collect(site, fleet, processes, report)
    with watch.station("ingest"):
        came_in = ingest(site, logs, processes=processes, progress=report)
    with watch.station("mine"):
        tags = mine(site)["tags"]
    with watch.station("label"):
        label(site, progress=report)
    with watch.station("curate"):
        dataset = curate(site, plan.recipe, TOWN_CLIPS)
    with watch.station("decode"):
        open_samples(site, dataset, plan.recipe, processes=processes, progress=report)
    with watch.station("train"):
        trained = train(site, plan.recipe, dataset, init=field, processes=processes, progress=report)
    with watch.station("score"):
        drivers = [
            AtWheel("candidate", "model", trained.model),
            AtWheel("field", "model", field),
            AtWheel("constant", "constant", trained.model),
            AtWheel("ego_only", "model", trained.ego_only),
            AtWheel("expert", "expert"),
        ]
        # Other seeds every turn: a driver must not be judged on the episodes that it was chosen by.
        first = (number - 1) * DRIVES_A_TURN
        new = score(site, drivers, town, plan.pairs, "final", first=first, processes=processes, progress=report)
        old = score(
            site, drivers[:2], OLD_TOWN, plan.old_pairs, "final", first=first, processes=processes, progress=report
        )
    with watch.station("gate"):
        verdict = decide(pairs(new), pairs(old))
        site.storage.put(f"turns/{number}/gate.json", json.dumps(asdict(verdict), indent=1).encode())
    release, rolled_out = None, None
    if verdict.passed:
        with watch.station("release"):
            release = pack(site, trained.model, [new, old], verdict, dataset=dataset.digest)
        with watch.station("roll out"):
            rolled_out = roll_out(site, release.digest, vehicle_names(fleet.vehicles))
    with watch.station("border"):
        report_abroad(site, new, min(dataset.parents))
    with watch.station("report"):
        page = write_page(
            site,
            number=number,
            size=plan.name,
            watch=watch,
            came_in=came_in,
            tags=tags,
            dataset=dataset,
            trained=trained,
            scorecards=(new, old),
            verdict=verdict,
            release=release,
            rolled_out=rolled_out,
            processes=processes,
        )
    answer = {
        "turn": number,
        "size": plan.name,
        "seconds": watch.seconds,
        "stations": [{"name": name, "seconds": seconds} for name, seconds in watch.stations],
        "dataset": {
            "id": dataset.id,
            "digest": dataset.digest,
            "clips": len(dataset.clips),
            "samples": trained.samples,
        },
        "gate": {
            "verdict": verdict.verdict,
            "passed": verdict.passed,
            "reasons": list(verdict.reasons),
            "smallest_visible": verdict.smallest_visible,
        },
        "success_rate": success_rates([new, old]),
        "release": str(site.storage.local_path(release.folder)) if release else None,
        "report": str(page),
    }
    finish_turn(site, number, answer)
    return answer


def next_turn(site: Site) -> int:
    """The number of the turn to go on with: the first one that has no answer yet."""
    number = 1
    while site.storage.exists(f"turns/{number}/turn.json"):
        number += 1
    return number


def driver_in_use(site: Site, number: int) -> str | None:
    """The field driver of turn ``number``: the one in use when it began, also where the turn was killed after its
    roll-out and goes on. None where the site has no driver yet."""
    begun = f"turns/{number}/begun.json"
    if site.storage.exists(begun):
        return str(json.loads(site.storage.get(begun))["field"])
    return field_model(site)


def hold_field(site: Site, number: int, field: str) -> None:
    """Remember the field driver of turn ``number``."""
    site.storage.put(f"turns/{number}/begun.json", json.dumps({"field": field}).encode(), if_absent=True)


def finish_turn(site: Site, number: int, answer: dict[str, Any]) -> None:
    """Write the turn's answer, which ends it, and clear the fleet's logs: their clips are in the lake."""
    site.storage.put(f"turns/{number}/turn.json", json.dumps(answer, indent=1).encode())
    site.storage.remove_tree("fleet/outbox")
