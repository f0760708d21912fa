"""The towns' fleet: vehicles that drive, record, and hand in logs like any real vehicle.

A vehicle is driven by a person (the expert) with the field driver in shadow, or by the field driver under a
safety driver who takes over. Its log goes to ``fleet/outbox`` and enters the site by the same door as anyone's.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inland import spread
from inland.border.keys import declare
from inland.digest import digest_of
from inland.errors import BadInput
from inland.station import keep, key_of, recall

if TYPE_CHECKING:
    from inland.site import Site
    from inland.world.towns import EpisodeSpec

REVISION = 2
Report = Callable[[float, float, str], None]


@dataclass(frozen=True, slots=True)
class CollectSpec:
    """What a fleet is sent out to record.

    ``driver`` is 'expert', or a model's digest: then ``under_safety`` of the drives are driven by that model under a
    safety driver, and the rest by people with the model in shadow. ``perturbed`` of the people's drives have
    short disturbances, so that recovery is in the data. ``first`` numbers the first drive: other drives, other seeds.
    """

    town: str
    drives: int
    driver: str = "expert"
    first: int = 0
    vehicles: int = 12
    under_safety: float = 0.5
    perturbed: float = 0.8
    scenarios: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Drive:
    """One drive of one vehicle, as a worker gets it."""

    site: Site
    episode: EpisodeSpec
    log: str
    vehicle: str
    driver: str
    under_safety: bool
    perturb: bool
    release: str
    declaration: dict[str, Any]


def vehicle_names(count: int) -> list[str]:
    """The names of the fleet's vehicles."""
    return [f"vehicle-{n:03d}" for n in range(count)]


def installed_release(site: Site, vehicle: str) -> str:
    """The digest of the release that a vehicle runs, or ''."""
    path = f"fleet/{vehicle}/installed.json"
    if not site.storage.exists(path):
        return ""
    return str(json.loads(site.storage.get(path)).get("release", ""))


def collect(site: Site, spec: CollectSpec, processes: int = 2, progress: Report | None = None) -> list[str]:
    """Send the fleet out; return the paths of the logs that it hands in.

    Idempotent: a drive whose log is there is not driven again, so a killed run goes on. A log gets its name only
    when it is whole. Raises BadInput for a driver that the site does not have, WorldError where the towns do
    not run.
    """
    from inland.score import WORLD_REVISION
    from inland.world.driving.expert import REVISION as EXPERT_REVISION
    from inland.world.recorder import drive_start_ns
    from inland.world.towns import episode_specs

    key = key_of("collect", REVISION, WORLD_REVISION, EXPERT_REVISION, spec)
    outbox = f"fleet/outbox/{key}"
    if spec.driver != "expert" and not site.storage.exists(f"models/{spec.driver}/manifest.json"):
        raise BadInput(f"this site has no model {spec.driver}", remedy="train one, or collect with driver 'expert'")
    episodes = episode_specs(spec.town, "collect", spec.drives, first=spec.first, scenarios=spec.scenarios)
    vehicles = vehicle_names(spec.vehicles)
    jobs = []
    for n, episode in enumerate(episodes):
        # What a drive is like follows from its own number, so that more drives leave the earlier ones as they were.
        draw = int(digest_of("how", episode.seed)[:8], 16) / 0x1_0000_0000
        under_safety = spec.driver != "expert" and draw < spec.under_safety
        left = (draw - spec.under_safety) / (1 - spec.under_safety) if spec.driver != "expert" else draw
        vehicle = vehicles[(spec.first + n) % len(vehicles)]
        start_ns = drive_start_ns(episode.seed)
        jobs.append(
            _Drive(
                site=site,
                episode=episode,
                log=f"{outbox}/{vehicle}-{start_ns}.mcap",
                vehicle=vehicle,
                driver=spec.driver,
                under_safety=under_safety,
                perturb=not under_safety and left < spec.perturbed,
                release=installed_release(site, vehicle),
                declaration=declare(
                    site,
                    vehicle=vehicle,
                    start_ns=start_ns,
                    absent=("faces", "plates", "persons", "places"),
                    facts={"world": "embedded town"},
                ),
            )
        )
    logs = [job.log for job in jobs]
    # A turn clears the outbox at its end: what is remembered then names logs that are gone.
    if recall(site, "collect", key) is None or not all(site.storage.exists(log) for log in logs):
        missing = [job for job in jobs if not site.storage.exists(job.log)]
        done = len(jobs) - len(missing)
        for _ in spread.map(_drive_and_record, missing, processes=processes):
            done += 1
            if progress is not None:
                progress(done, len(jobs), f"drives in {spec.town}")
        keep(site, "collect", key, {"logs": logs})
    return [str(site.storage.local_path(log)) for log in logs]


def _drive_and_record(job: _Drive) -> str:
    """Drive one episode and write its log (runs in a worker process)."""
    from inland.drivers import open_model
    from inland.world.driving.expert import ExpertDriver
    from inland.world.episode import run_episode
    from inland.world.recorder import Recorder

    model = open_model(job.site, job.driver, "field") if job.driver != "expert" else None
    with job.site.storage.workspace("drive") as folder:
        path = Path(folder) / "drive.mcap"
        with Recorder(
            path, job.episode, vehicle=job.vehicle, release=job.release, declaration=job.declaration
        ) as recorder:
            run_episode(
                job.episode,
                model if job.under_safety and model is not None else ExpertDriver(),
                shadow=None if job.under_safety else model,
                safety=job.under_safety,
                perturb=job.perturb,
                observer=recorder,
            )
        job.site.storage.put_file(job.log, path)
    return job.log
