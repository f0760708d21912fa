"""Gathers what a turn's page says, from the site's own tables and the stations' results."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inland import lake
from inland.border import ledger
from inland.clip import Clip
from inland.curate import Dataset
from inland.gate import Verdict
from inland.ingest import IngestResult
from inland.progress import Stopwatch
from inland.reel import clip_video, films
from inland.release import Release, RollOut
from inland.report import ClipCard, DatasetFacts, LossCurve, TurnFacts, write_report
from inland.scorecard import Scorecard
from inland.site import Site
from inland.train import TrainResult

CARDS = 9
TELLING = ("take_over", "hard_brake", "disagreement", "launch", "turn_left", "turn_right")
"""Tags that make a clip worth showing, the most telling first."""


def write_page(
    site: Site,
    *,
    number: int,
    size: str,
    watch: Stopwatch,
    came_in: IngestResult,
    tags: Mapping[str, int],
    dataset: Dataset,
    trained: TrainResult,
    scorecards: Sequence[Scorecard],
    verdict: Verdict,
    release: Release | None,
    rolled_out: RollOut | None,
    processes: int,
) -> Path:
    """Write ``turns/N/report.html`` and return its path."""
    inside = {clip for clip, _ in dataset.clips}
    clips = [clip for clip in lake.clips(site, superseded=True) if clip.id in inside]
    new = (*came_in.committed, *came_in.already_there)
    facts = TurnFacts(
        site=site.id,
        region=site.region,
        turn=number,
        size=size,
        seconds=watch.seconds,
        stations=tuple(watch.stations),
        committed=len(new),
        quarantined=tuple((bad.path, bad.reason) for bad in came_in.quarantined),
        clips=_cards(site, [clip for clip in clips if clip.id in set(new)]),
        tags=tags,
        triggers=dict(sorted(Counter(t.name for clip in clips for t in clip.triggers).items())),
        dataset=_dataset_facts(dataset, trained),
        losses=_loss_curves(site, trained),
        open_loop={
            driver: {name: value for name, value in errors.items() if value is not None}
            for driver, errors in trained.open_loop.items()
        },
        scorecards=tuple(scorecards),
        verdict=verdict,
        films=films(site, scorecards[0], processes=processes),
        release=release,
        roll_out=rolled_out,
        crossings={site.region: ledger.entries(site)},
    )
    return write_report(site, facts)


def _cards(site: Site, clips: Sequence[Clip]) -> tuple[ClipCard, ...]:
    """Clips to show: those with the most telling tags first, each kind of situation before any twice."""
    tags: dict[str, list[str]] = {clip.id: [] for clip in clips}
    for row in lake.scan(site, "tags", ["clip", "name"]).to_pylist():
        if row["clip"] in tags and row["name"] not in tags[row["clip"]]:
            tags[row["clip"]].append(row["name"])
    by_tag = {name: [clip for clip in clips if name in tags[clip.id]] for name in TELLING}
    chosen: dict[str, Clip] = {}
    for n in range(CARDS):
        for name in TELLING:
            if n < len(by_tag[name]) and len(chosen) < CARDS:
                chosen.setdefault(by_tag[name][n].id, by_tag[name][n])
    return tuple(
        ClipCard(
            id=clip.id,
            vehicle=clip.vehicle,
            seconds=(clip.end_ns - clip.start_ns) / 1e9,
            tags=tuple(name for name in tags[clip.id] if name not in {t.name for t in clip.triggers}),
            triggers=tuple(dict.fromkeys(trigger.name for trigger in clip.triggers)),
            video=clip_video(site, clip),
        )
        for clip in chosen.values()
    )


def _dataset_facts(dataset: Dataset, trained: TrainResult) -> DatasetFacts:
    parts: dict[str, dict[str, int]] = {"frames": {}, "triggers": {}}
    for name, count in dataset.make_up.items():
        head, _, rest = name.partition("_")
        if head in parts and rest:
            parts[head][rest] = count
    return DatasetFacts(
        id=dataset.id,
        digest=dataset.digest,
        clips=len(dataset.clips),
        samples=trained.samples,
        split_by=dataset.split_by,
        parts={name: part for name, part in parts.items() if part},
    )


def _loss_curves(site: Site, trained: TrainResult) -> tuple[LossCurve, ...]:
    curves = []
    for name, model in (("candidate", trained.model), ("ego only", trained.ego_only)):
        if not model:
            continue
        record: dict[str, Any] = json.loads(site.storage.get(f"models/{model}/training.json"))
        curves.append(LossCurve(name, tuple((float(point[0]), float(point[1])) for point in record["loss"])))
    return tuple(curves)
