"""A release: a model with its evidence, signed; its way to vehicles, and back.

``releases/DIGEST/`` has the ONNX file that drove in the episodes, its manifest, the scorecards, the
verdict, and ``release.json``: an in-toto statement over the digests of all of them in a DSSE envelope. Only
a passed verdict is packed. A vehicle checks signature and digests itself, before it installs anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from inland.border.keys import PAYLOAD_TYPE, public_key, sign, statement, verify
from inland.digest import canonical_json, digest_of, sha256
from inland.errors import BadInput, NotStored, SignatureInvalid
from inland.lineage import made_of, record
from inland.scorecard import to_json

if TYPE_CHECKING:
    from inland.gate import Verdict
    from inland.scorecard import Scorecard
    from inland.site import Site

RELEASE = "urn:inland:release:v1"
IN_USE = "fleet/in_use.json"
MODEL_FILES = ("model.onnx", "manifest.json")
NAMES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    # MIIT, meeting with the makers of 16 April 2025: what such a system may not be called. The Chinese
    # words beside the reported English ones are an operator's setting, not a quotation.
    "cn": (
        "combined driver assistance",
        (
            "autonomous",
            "self-driving",
            "smart driving",
            "intelligent driving",
            "driverless",
            "autopilot",
            "自动驾驶",
            "无人驾驶",
            "智能驾驶",
            "智驾",
        ),
    ),
}
OTHER_NAMES = ("driver assistance", ("autonomous", "self-driving", "driverless"))
"""Where a region says nothing: what needs a driver is not called what needs none."""


@dataclass(frozen=True, slots=True)
class Release:
    """A packed release. ``digest`` names it everywhere, also in every log of a vehicle that runs it."""

    digest: str
    name: str
    model: str
    folder: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RollOut:
    """What became of a release at each vehicle: ``refused`` are (vehicle, reason)."""

    release: str
    installed: tuple[str, ...]
    already: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]


def pack(
    site: Site,
    model: str,
    scorecards: Sequence[Scorecard],
    verdict: Verdict,
    *,
    dataset: str,
    name: str = "",
) -> Release:
    """Make and sign the release of ``models/MODEL``; the same inputs give the same release.

    ``dataset`` is its training dataset's digest. The release names every artifact that the model came of (the
    clips are in the datasets), and is itself written into the lake as the child of model and dataset.
    ``name`` defaults to what the region calls such a system, and the model's first digits. Raises BadInput
    where the verdict is not 'passed', the region forbids the name, or the site lacks the model.
    """
    if not verdict.passed:
        raise BadInput(
            f"the gate's verdict is {verdict.verdict!r}: " + "; ".join(verdict.reasons),
            place=f"models/{model}",
            remedy="only a passed verdict ships; the driver in use stays in use",
        )
    name = name or f"{allowed_name(site.region)} {model[:8]}"
    problems = name_problems(name, site.region)
    if problems:
        raise BadInput(
            f"{site.region} forbids the name {name!r}: it says {', '.join(problems)}",
            remedy=f"call it {allowed_name(site.region)!r}",
        )
    try:
        files = {file: site.storage.get(f"models/{model}/{file}") for file in MODEL_FILES}
    except NotStored as error:
        raise BadInput(f"this site has no model {model!r}", place=f"models/{model}", remedy="train one") from error
    evidence = sorted({origin for card in scorecards for origin in card.evidence})
    files["scorecard.json"] = canonical_json([to_json(card) for card in scorecards])
    files["verdict.json"] = canonical_json(asdict(verdict))
    facts = {
        "name": name,
        "region": site.region,
        "site": site.id,
        "model": model,
        "dataset": dataset,
        "verdict": verdict.verdict,
        "reasons": list(verdict.reasons),
        "evidence": {"origins": evidence, "stamp": stamp(evidence)},
        "success_rate": {c.town: {d.role: asdict(d.pooled.success) for d in c.drivers} for c in scorecards},
        "lineage": sorted(made_of(site, model)),
        "approvals": [],
    }
    said = statement({file: sha256(data) for file, data in files.items()}, RELEASE, facts)
    digest = digest_of(said)[:32]
    folder = f"releases/{digest}"
    for file, data in files.items():
        site.storage.put(f"{folder}/{file}", data)
    # Last, so that a folder with a release.json is whole.
    site.storage.put(f"{folder}/release.json", json.dumps(sign(site, PAYLOAD_TYPE, said), indent=1).encode())
    record(site, digest, "release", [model, dataset], station="release", details={"name": name})
    return Release(digest, name, model, folder, facts)


def open_release(site: Site, digest: str) -> Release:
    """A release of this site, verified. BadInput where there is none, SignatureInvalid where it was
    changed."""
    folder = f"releases/{digest}"
    if not site.storage.exists(f"{folder}/release.json"):
        raise BadInput(f"this site has no release {digest!r}", place="releases/", remedy="check the digest")
    facts = check_release(lambda file: site.storage.get(f"{folder}/{file}"), public_key(site), digest)
    return Release(digest, facts["name"], facts["model"], folder, facts)


def check_release(read: Callable[[str], bytes], public_pem: bytes, digest: str) -> dict[str, Any]:
    """The facts of a release whose signature, digest and every file hold: what a vehicle runs, without a
    site.

    ``read`` gives a file of the release by name. Raises SignatureInvalid naming what does not match.
    """
    try:
        envelope = json.loads(read("release.json"))
        said = verify(envelope, public_pem)
    except ValueError as error:
        raise SignatureInvalid("release.json is not JSON", remedy="fetch the release again") from error
    if said.get("predicateType") != RELEASE or digest_of(said)[:32] != digest:
        raise SignatureInvalid("signed, but another release", place="release.json", remedy="fetch the release again")
    for subject in said["subject"]:
        file = subject["name"]
        try:
            data = read(file)
        except NotStored as error:
            raise SignatureInvalid(f"{file} is missing", remedy="fetch the release again") from error
        if sha256(data) != subject["digest"]["sha256"]:
            raise SignatureInvalid(f"{file} is not what was signed", place=file, remedy="fetch the release again")
    facts: dict[str, Any] = said["predicate"]
    return facts


def roll_out(site: Site, release: str, vehicles: Sequence[str]) -> RollOut:
    """Offer a release to vehicles; each checks it against the key that it trusts, and installs or refuses.

    A vehicle trusts the key that was current when it joined the fleet (``fleet/VEHICLE/trusted.pub``). The
    release is in use (`field_model`) once no vehicle refused. Idempotent. Raises BadInput for an unknown
    release.
    """
    folder = f"releases/{release}"
    if not site.storage.exists(f"{folder}/release.json"):
        raise BadInput(f"this site has no release {release!r}", place="releases/", remedy="check the digest")
    installed, already, refused = [], [], []
    model = ""
    for vehicle in vehicles:
        trusted = f"fleet/{vehicle}/trusted.pub"
        if not site.storage.exists(trusted):
            site.storage.put(trusted, public_key(site))
        try:
            facts = check_release(lambda file: site.storage.get(f"{folder}/{file}"), site.storage.get(trusted), release)
        except SignatureInvalid as error:
            refused.append((vehicle, error.message))
            continue
        model = facts["model"]
        now = installed_on(site, vehicle)
        if now.get("release") == release:
            already.append(vehicle)
            continue
        before = [{"release": now["release"], "model": now["model"]}, *now["before"]] if now else []
        _install(site, vehicle, {"release": release, "model": model, "before": before})
        installed.append(vehicle)
    if model and not refused:
        take_into_use(site, model, release)
    return RollOut(release, tuple(installed), tuple(already), tuple(refused))


def roll_back(site: Site, vehicles: Sequence[str]) -> dict[str, str]:
    """Put each vehicle back on the release before; return vehicle -> release ('' where it had none).

    The driver that was in use before is in use again. BadInput where a vehicle runs no release.
    """
    back: dict[str, str] = {}
    dropped = set()
    for vehicle in vehicles:
        now = installed_on(site, vehicle)
        if not now:
            raise BadInput(f"{vehicle} runs no release", place=f"fleet/{vehicle}", remedy="roll one out first")
        earlier, *rest = now["before"] or [{"release": "", "model": ""}]
        if earlier["release"]:
            _install(site, vehicle, {**earlier, "before": rest})
        else:
            site.storage.delete(f"fleet/{vehicle}/installed.json")
        back[vehicle] = earlier["release"]
        dropped.add(now["release"])
    in_use = _in_use(site)
    if in_use and in_use["release"] in dropped and in_use["before"]:
        earlier, *rest = in_use["before"]
        site.storage.put(IN_USE, canonical_json({**earlier, "before": rest}))
    return back


def installed_on(site: Site, vehicle: str) -> dict[str, Any]:
    """What a vehicle runs: ``release``, ``model`` and ``before`` (earlier ones, latest first); {} where
    nothing."""
    path = f"fleet/{vehicle}/installed.json"
    if not site.storage.exists(path):
        return {}
    found: dict[str, Any] = json.loads(site.storage.get(path))
    return found


def field_model(site: Site) -> str | None:
    """The model of the driver now in use at this site, or None."""
    in_use = _in_use(site)
    return str(in_use["model"]) if in_use else None


def take_into_use(site: Site, model: str, release: str = "") -> None:
    """Say which driver is in use: that of a release, or (``release`` '') one that arrived over the border."""
    now = _in_use(site)
    if now and (now["model"], now["release"]) == (model, release):
        return
    before = [{"model": now["model"], "release": now["release"]}, *now["before"]] if now else []
    site.storage.put(IN_USE, canonical_json({"model": model, "release": release, "before": before}))


def allowed_name(region: str) -> str:
    """What such a system may be called in a region."""
    return NAMES.get(region, OTHER_NAMES)[0]


def name_problems(name: str, region: str) -> tuple[str, ...]:
    """The words of ``name`` that the region forbids, however they are spaced, hyphenated or written large."""
    plain = _letters(name)
    return tuple(word for word in NAMES.get(region, OTHER_NAMES)[1] if _letters(word) in plain)


def stamp(origins: Sequence[str]) -> str:
    """What a release says of its evidence: ``towns only`` where none is from real roads."""
    return "towns only" if set(origins) <= {"towns"} else f"from {', '.join(sorted(origins))}"


def _in_use(site: Site) -> dict[str, Any]:
    """``model``, ``release`` and ``before`` of the driver in use; {} where there is none."""
    if not site.storage.exists(IN_USE):
        return {}
    found: dict[str, Any] = json.loads(site.storage.get(IN_USE))
    return found


def _install(site: Site, vehicle: str, record: Mapping[str, Any]) -> None:
    site.storage.put(f"fleet/{vehicle}/installed.json", canonical_json(record))


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())
