"""The one door: every attempt to pass the border, either way, and the bytes that follow an allowed one.

Deny by default; any error while deciding is a refusal; the ledger is written before the first byte moves.
The rules are a pure function of plain facts, `permits`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inland.border import ledger
from inland.border.keys import PAYLOAD_TYPE, peer_key, public_key, sign, statement, verify
from inland.border.manifest import Artifact, check_objects, read_manifest, size_bytes, write_manifest
from inland.clip import ALL_CLASSES
from inland.digest import digest_of
from inland.errors import BadInput, CrossingRefused, InlandError, SignatureInvalid

if TYPE_CHECKING:
    from inland.site import Site

APPROVAL = "urn:inland:approval:v1"
DIRECTIONS = ("in", "out")
WAYS = ("transmit", "view", "query", "download")
HARMLESS = {
    "model": frozenset({"synthetic", "algorithm"}),
    "scorecard": frozenset({"synthetic", "aggregate"}),
}
"""What may cross at all with a demonstration approval: kind -> the only classes that it may have."""
PLACES = {"model": "models/{digest}/", "scorecard": "scores/{digest}.json"}
"""Where an artifact's objects lie, at any site: kind -> how each key begins. What comes in can write nowhere else."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """What the border said to one attempt. ``entry`` is its place in the ledger."""

    allowed: bool
    rules: tuple[str, ...]
    needed: tuple[str, ...]
    entry: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """Everything that the rules may look at, as plain facts. ``approved`` is a checked approval's scope or
    None."""

    site_region: str
    direction: str
    region: str
    way: str
    purpose: str
    artifact: Artifact
    approved: Mapping[str, Any] | None


def approve(
    site: Site, *, direction: str, region: str, kind: str, classes: tuple[str, ...], purpose: str
) -> dict[str, Any]:
    """A demonstration approval, signed by this site and good at this site alone.

    It covers artifacts of one ``kind`` with no class beyond ``classes``, one ``direction``, one other
    ``region`` and one ``purpose``. It stands where a regulator's approval will stand.
    """
    scope = {
        "site": site.id,
        "direction": direction,
        "region": region,
        "kind": kind,
        "classes": sorted(classes),
        "purpose": purpose,
        "basis": "demonstration",
    }
    return sign(site, PAYLOAD_TYPE, statement({"approval": digest_of(scope)}, APPROVAL, scope))


def permits(attempt: Attempt) -> tuple[bool, tuple[str, ...], tuple[str, ...]]:
    """Whether an attempt may pass, the rules that decided, and what is needed where it may not.

    A forbidding rule wins over every permitting one; without a permitting one, ``default-deny`` decides.
    """
    artifact = attempt.artifact
    forbidden: list[tuple[str, str]] = []
    raw = sorted(set(artifact.classes) & set(ALL_CLASSES))
    if attempt.direction == "out" and raw:
        forbidden.append(("recordings-stay", f"an artifact without {', '.join(raw)}; recordings stay in their region"))
    if attempt.direction == "out" and artifact.kind == "model" and attempt.site_region == "cn":
        forbidden.append(("algorithms-stay", "a security assessment for algorithms trained in cn"))
    place = PLACES.get(artifact.kind, "").format(digest=artifact.digest)
    if attempt.direction == "in" and not all(place and key.startswith(place) for key in artifact.objects):
        forbidden.append(("own-place", f"objects that lie in the place of a {artifact.kind}, and nowhere else"))
    if forbidden:
        return False, tuple(rule for rule, _ in forbidden), tuple(need for _, need in forbidden)

    harmless = HARMLESS.get(artifact.kind, frozenset())
    if artifact.classes and "synthetic" in artifact.classes and set(artifact.classes) <= harmless:
        if _covers(attempt.approved, attempt):
            return True, (f"synthetic-{artifact.kind}-{attempt.direction}",), ()
        return False, ("default-deny",), (f"an approval for this {artifact.kind}, direction, region and purpose",)
    return False, ("default-deny",), ("a rule of this region that permits it",)


def cross(
    site: Site,
    artifact: Artifact,
    *,
    direction: str = "out",
    region: str,
    recipient: str,
    purpose: str,
    way: str = "transmit",
    approval: Mapping[str, Any] | None = None,
    role: str = "operator",
) -> Crossing:
    """Ask the border; write the answer to the ledger (durable when this returns); return it. Moves no byte.

    ``region`` and ``recipient`` name the other side (for ``in``, who sends). A remote view or query is a
    crossing like any other. Any error while deciding is a refusal by the rule ``evaluation-error``. Raises
    BadInput for a direction or way that does not exist, LedgerFault where the ledger does not verify.
    """
    if direction not in DIRECTIONS or way not in WAYS:
        raise BadInput(
            f"no such crossing: {direction} by {way}",
            remedy=f"use a direction of {', '.join(DIRECTIONS)} and a way of {', '.join(WAYS)}",
        )
    try:
        name = digest_of(dict(approval)) if approval else ""
        size = size_bytes(site, artifact) if direction == "out" else 0
        approved = _scope(site, approval)
        attempt = Attempt(site.region, direction, region, way, purpose, artifact, approved)
        allowed, rules, needed = permits(attempt)
    except (InlandError, ValueError, KeyError, TypeError, AttributeError) as error:
        name, size, allowed, rules = "", 0, False, ("evaluation-error",)
        needed = (f"facts that can be decided on ({type(error).__name__})",)
    entry = ledger.append(
        site,
        ledger.Event(
            role=role,
            direction=direction,
            region=region,
            recipient=recipient,
            purpose=purpose,
            way=way,
            kind=artifact.kind,
            artifact=artifact.digest,
            origins=tuple(sorted(artifact.origins)),
            classes=tuple(sorted(artifact.classes)),
            count=artifact.count,
            size_bytes=size,
            allowed=allowed,
            rules=rules,
            needed=needed,
            approval=name,
        ),
    )
    return Crossing(allowed, rules, needed, entry.n)


def move(
    sender: Site,
    receiver: Site,
    artifact: Artifact,
    *,
    purpose: str,
    approval_out: Mapping[str, Any] | None = None,
    approval_in: Mapping[str, Any] | None = None,
) -> tuple[Crossing, Crossing]:
    """Copy an artifact's objects from one site to another, through both borders; return both answers.

    The receiver must know the sender's key (`keys.register_peer`). Both ledgers are written before a byte
    moves; every object is checked against the sender's signed manifest before it is stored under the same
    key, so a second run changes nothing. Raises CrossingRefused with the refusing border's rules,
    SignatureInvalid where the manifest or an object does not match: nothing of it is stored then.
    """
    manifest = write_manifest(sender, artifact)
    out = cross(
        sender,
        artifact,
        direction="out",
        region=receiver.region,
        recipient=receiver.id,
        purpose=purpose,
        approval=approval_out,
    )
    _refuse(out, artifact, sender)
    named, digests = read_manifest(manifest, peer_key(receiver, sender.id))
    inward = cross(
        receiver,
        named,
        direction="in",
        region=sender.region,
        recipient=sender.id,
        purpose=purpose,
        approval=approval_in,
    )
    _refuse(inward, artifact, receiver)
    arrived = {key: sender.storage.get(key) for key in digests}
    check_objects(digests, arrived.__getitem__)
    for key, data in arrived.items():
        if not receiver.storage.put(key, data, if_absent=True) and receiver.storage.get(key) != data:
            raise SignatureInvalid(
                "another object of this name is already here", place=key, remedy="find out which one is right"
            )
    receiver.storage.put(_arrival(artifact), json.dumps(manifest, sort_keys=True).encode())
    return out, inward


def arrived(receiver: Site, artifact: Artifact) -> bool:
    """Whether `move` brought this artifact here whole before: its manifest is kept last."""
    return receiver.storage.exists(_arrival(artifact))


def _arrival(artifact: Artifact) -> str:
    return f"ledger/manifests/{artifact.digest}.json"


def _refuse(crossing: Crossing, artifact: Artifact, site: Site) -> None:
    if not crossing.allowed:
        raise CrossingRefused(
            f"the border of {site.region} refused {artifact.kind} {artifact.digest[:12]}",
            rules=crossing.rules,
            needed=crossing.needed,
        )


def _scope(site: Site, approval: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The scope of an approval that this site signed; None where there is none or it does not count."""
    if not approval:
        return None
    try:
        said = verify(approval, public_key(site))
    except SignatureInvalid:
        return None
    scope = said.get("predicate")
    if said.get("predicateType") != APPROVAL or not isinstance(scope, dict) or scope.get("site") != site.id:
        return None
    return scope


def _covers(approved: Mapping[str, Any] | None, attempt: Attempt) -> bool:
    if approved is None:
        return False
    asked = {
        "direction": attempt.direction,
        "region": attempt.region,
        "kind": attempt.artifact.kind,
        "purpose": attempt.purpose,
    }
    return all(approved[k] == v for k, v in asked.items()) and set(attempt.artifact.classes) <= set(approved["classes"])
