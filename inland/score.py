"""Drivers x episodes -> scorecard: every driver on the same seeds, closed loop, each result with its
interval.

One driver's result in one episode is kept in ``scores/episodes/`` by the digest of driver, episode and the
revisions of world and metrics: the expert and the baselines are driven once, a killed run goes on, a
repeated one costs nothing. The log of world states is kept beside it, so that any episode can be filmed or
measured again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING, Any

from inland import spread
from inland.digest import digest_of
from inland.errors import BadInput, NotStored
from inland.scorecard import EpisodeResult, Scorecard, driver_score, result_from_json, to_json

if TYPE_CHECKING:
    from inland.drivers import Driver
    from inland.site import Site
    from inland.world.towns import EpisodeSpec

REVISION = 1
"""Of this station: raised when the same episodes would give another scorecard."""
WORLD_REVISION = 2
"""Of the towns: raised by hand when the same driver would drive the same episode otherwise, or be measured
otherwise (traffic, scenarios, vehicle, camera, episode, metrics)."""
KINDS = ("model", "constant", "expert")
Report = Callable[[float, float, str], None]


@dataclass(frozen=True, slots=True)
class AtWheel:
    """Who drives, as plain data that a worker can open.

    ``role`` is the name on the scorecard: candidate, field, constant, ego_only or expert. ``kind`` is 'model'
    (an ego-only network is one too: its manifest says that it looks at nothing), 'constant' (the mean
    controls of the data that ``model`` was trained on) or 'expert'. ``model`` names ``models/MODEL`` of the
    site.
    """

    role: str
    kind: str
    model: str = ""


def score(
    site: Site,
    drivers: Sequence[AtWheel],
    town: str,
    episodes: int,
    purpose: str = "develop",
    *,
    first: int = 0,
    processes: int = 2,
    progress: Report | None = None,
) -> Scorecard:
    """Drive ``drivers`` through the same ``episodes`` of a town and keep ``scores/DIGEST.json``.

    ``purpose`` 'final' is for gate and benchmark alone. ``first`` starts each scenario's count later: other
    seeds. Idempotent; runs only what was never run. Raises BadInput for an unknown town, driver or model,
    or two drivers of one role; WorldError where the towns do not run here.
    """
    from inland.world.towns import episode_specs

    roles = [d.role for d in drivers]
    if len(set(roles)) != len(roles):
        raise BadInput(f"two drivers of one role: {', '.join(roles)}", remedy="give each its own role")
    specs = episode_specs(town, purpose, episodes, first=first)
    digests = [driver_digest(site, driver) for driver in drivers]
    for driver in drivers:
        if driver.kind == "model":
            _fits_rig(site, driver.model)
    jobs = [
        _Job(site, driver, spec, episode_key(digest, spec))
        for spec in specs
        for driver, digest in zip(drivers, digests, strict=True)
    ]
    results: dict[str, EpisodeResult] = {}
    missing: dict[str, _Job] = {}
    for job in jobs:
        kept = _recall(site, job.key)
        if kept is not None:
            results[job.key] = kept
        else:
            missing.setdefault(job.key, job)  # field and candidate may be one model: drive it once
    for done, driven in enumerate(spread.map(_drive, list(missing.values()), processes=processes), 1):
        result, log = driven
        # The log first: a result whose log is missing would never be driven again.
        site.storage.put(_log_path(result.key), log)
        site.storage.put(_result_path(result.key), json.dumps(asdict(result), sort_keys=True).encode())
        results[result.key] = result
        if progress is not None:
            progress(done, len(missing), f"episodes in {town}")
    scored = tuple(
        driver_score(driver.role, driver.kind, digest, [results[episode_key(digest, spec)] for spec in specs])
        for driver, digest in zip(drivers, digests, strict=True)
    )
    card = Scorecard(
        town, purpose, digest_of(REVISION, roles, digests, [asdict(s) for s in specs], WORLD_REVISION)[:32], scored
    )
    site.storage.put(f"scores/{card.digest}.json", json.dumps(to_json(card), sort_keys=True).encode())
    return card


def score_one(
    site: Site,
    model: str,
    *,
    suite: str = "town_cn",
    episodes: int = 50,
    purpose: str = "develop",
    processes: int = 2,
    progress: Report | None = None,
) -> dict[str, Any]:
    """One driver through a suite, as the command line answers it: rates are fractions, with 95% intervals.

    ``model`` is 'expert', 'field' (the release in use), 'constant' (of the release in use), or a model's
    digest or its beginning. Raises BadInput where there is no such driver.
    """
    driver = _named(site, model)
    card = score(site, [driver], suite, episodes, purpose, processes=processes, progress=progress)
    scored = card.drivers[0]
    return {
        "suite": suite,
        "purpose": purpose,
        "model": driver.model or driver.kind,
        "success_rate": asdict(scored.pooled.success),
        "driving_score": asdict(scored.pooled.driving_score),
        "measures": dict(scored.pooled.measures),
        "infractions": dict(scored.pooled.infractions),
        "scenarios": {name: asdict(part.success) for name, part in scored.scenarios.items()},
        "scorecard": str(site.storage.local_path(f"scores/{card.digest}.json")),
        "evidence": "towns only",
    }


def episode_log(site: Site, key: str) -> bytes:
    """The kept log of one driven episode, for `EpisodeLog.from_bytes`. Raises NotStored."""
    return site.storage.get(_log_path(key))


def driver_digest(site: Site, driver: AtWheel) -> str:
    """What decides how a driver drives, named by digest. BadInput for an unknown kind or model."""
    if driver.kind == "expert":
        from inland.world.driving.expert import ExpertDriver

        return ExpertDriver().digest
    if driver.kind not in KINDS:
        raise BadInput(f"no kind of driver {driver.kind!r}", remedy=f"one of: {', '.join(KINDS)}")
    try:
        manifest = json.loads(site.storage.get(f"models/{driver.model}/manifest.json"))
    except NotStored as error:
        raise BadInput(
            f"this site has no model {driver.model!r}",
            place=f"models/{driver.model}",
            remedy="name one that `inland train` made",
        ) from error
    return digest_of("constant", manifest["constant"]) if driver.kind == "constant" else digest_of(manifest)


def episode_key(digest: str, spec: EpisodeSpec) -> str:
    """The name under which one driver's result in one episode is kept."""
    return digest_of("episode", digest, asdict(spec), WORLD_REVISION)[:40]


@dataclass(frozen=True, slots=True)
class _Job:
    site: Site
    driver: AtWheel
    spec: EpisodeSpec
    key: str


def _drive(job: _Job) -> tuple[EpisodeResult, bytes]:
    """Drive and measure one episode (runs in a worker process); write nothing."""
    from inland.metrics import score_episode
    from inland.world.episode import run_episode
    from inland.world.towns import load_layout

    log = run_episode(job.spec, _open(job.site, job.driver))
    measured = score_episode(log, load_layout(job.spec.layout), log.route)
    spec = job.spec
    result = EpisodeResult(
        layout=spec.layout,
        scenario=spec.scenario,
        n=spec.n,
        seed=spec.seed,
        success=bool(measured.success),
        driving_score=float(measured.driving_score),
        end=str(log.end),
        infractions=tuple(str(infraction.name) for infraction in measured.infractions),
        measures=_numbers(asdict(measured)),
        key=job.key,
    )
    return result, log.to_bytes()


@lru_cache(maxsize=16)
def _open(site: Site, driver: AtWheel) -> Driver:
    """The driver itself, opened once per worker."""
    from inland.drivers import open_constant, open_model
    from inland.world.driving.expert import ExpertDriver

    if driver.kind == "expert":
        return ExpertDriver()
    opener = open_constant if driver.kind == "constant" else open_model
    return opener(site, driver.model, driver.role)


def _numbers(measured: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Every number of a metrics record by name; what `EpisodeResult` names itself is left out."""
    found: dict[str, float] = {}
    for name, value in measured.items():
        if isinstance(value, Mapping):
            found.update(_numbers(value, f"{prefix}{name}."))
        # NaN is a measure that this episode does not have: left out, never invented.
        elif isinstance(value, (int, float)) and name not in ("success", "driving_score") and isfinite(value):
            found[prefix + name] = float(value)
    return found


def _named(site: Site, model: str) -> AtWheel:
    if model == "expert":
        return AtWheel("expert", "expert")
    known = sorted({key.split("/")[1] for key in site.storage.list("models/") if key.endswith("manifest.json")})
    if model in ("field", "constant"):
        from inland.release import field_model

        in_use = field_model(site)
        if in_use is None:
            raise BadInput("no driver is in use at this site", remedy="name a model, or release one")
        return AtWheel(model, "model" if model == "field" else "constant", in_use)
    matching = [name for name in known if name.startswith(model)]
    if len(matching) != 1:
        raise BadInput(
            f"{'no' if not matching else 'more than one'} model begins with {model!r}",
            place="models/",
            remedy=f"one of: {', '.join(['expert', *(n[:16] for n in known)])}",
        )
    return AtWheel("model", "model", matching[0])


def _fits_rig(site: Site, model: str) -> None:
    """BadInput where the model looks at cameras that the towns' vehicles do not have, before anything is driven."""
    from inland.world.rendering.camera import RIG

    manifest = json.loads(site.storage.get(f"models/{model}/manifest.json"))
    have = {camera.name: (camera.width_px, camera.height_px) for camera in RIG.cameras}
    wants = {camera["name"]: (camera["width_px"], camera["height_px"]) for camera in manifest["cameras"]}
    strange = {name: size for name, size in wants.items() if have.get(name) != size}
    if manifest["looks"] and strange:
        raise BadInput(
            "the model is for another rig: it looks at "
            + ", ".join(f"{name} ({width}x{height})" for name, (width, height) in strange.items()),
            place=f"models/{model}/manifest.json: cameras",
            remedy="the towns' vehicles have "
            + ", ".join(f"{name} ({width}x{height})" for name, (width, height) in have.items())
            + "; train with a recipe of the towns' rig (base, local)",
        )


def _recall(site: Site, key: str) -> EpisodeResult | None:
    path = _result_path(key)
    return result_from_json(json.loads(site.storage.get(path))) if site.storage.exists(path) else None


def _result_path(key: str) -> str:
    return f"scores/episodes/{key[:2]}/{key}.json"


def _log_path(key: str) -> str:
    return f"scores/episodes/{key[:2]}/{key}.npz"
