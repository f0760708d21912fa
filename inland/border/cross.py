"""The one door: every attempt to pass the border, either way, and the bytes that follow an allowed one.

Deny by default; any error while deciding is a refusal; the ledger is written before the first byte moves.
What a region's rules say is `policy.decide`, a pure function of plain facts; here the facts are gathered.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from inland.border import ledger
from inland.border.approvals import Asked, outside, read_approval
from inland.border.keys import peer_key
from inland.border.manifest import Artifact, check_objects, read_manifest, size_bytes, write_manifest
from inland.border.policy import Approved, Decision, Request, check_request, decide, load_pack
from inland.errors import BadInput, CrossingRefused, InlandError, SignatureInvalid

if TYPE_CHECKING:
    from inland.site import Site

PLACES = {"model": "models/{digest}/", "scorecard": "scores/{digest}.json"}
"""Where an artifact's objects lie, at any site: kind -> how each key begins. What comes in can write nowhere else."""
OVERRIDES = "policy/overrides.json"
"""An operator's own values for thresholds that the pack lets them set: name -> number."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """What the border said to one attempt. ``entry`` is its place in the ledger."""

    allowed: bool
    rules: tuple[str, ...]
    needed: tuple[str, ...]
    entry: int


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
    role: str = "engineer",
    location: str = "",
    second_role: str = "",
    records: tuple[str, ...] = (),
) -> Crossing:
    """Ask the border; write the answer to the ledger (durable when this returns); return it. Moves no byte.

    ``region`` and ``recipient`` name the other side (for ``in``, who sends). A remote view or query is a
    crossing like any other; ``location`` is the region in which the actor sits ('': the site's). ``records`` name
    evidence about this very artifact that the caller has verified. Any error while deciding is a refusal by the rule
    ``evaluation-error``. Raises BadInput for a direction, way or role that does not exist, LedgerFault where the
    ledger does not verify.
    """
    request = Request(
        site_region=site.region,
        direction=direction,
        region=region,
        recipient=recipient,
        purpose=purpose,
        way=way,
        role=role,
        location=location or site.region,
        kind=artifact.kind,
        origins=artifact.origins,
        developers=artifact.developers,
        classes=artifact.classes,
        count=artifact.count,
        records=records,
        second_role=second_role,
    )
    check_request(request)
    pack, name, size = "", "", 0
    try:
        size = size_bytes(site, artifact) if direction == "out" else 0
        rules = load_pack(site.region, _overrides(site))
        pack = rules.digest
        approved, name, missing = _approved(site, approval, request, artifact, size)
        said = _own_place(request, artifact) or decide(rules, replace(request, approval=approved, size_bytes=size))
        if not said.allowed and missing:
            said = Decision(False, said.rules, (*said.needed, missing))
    except (InlandError, ValueError, KeyError, TypeError, AttributeError) as error:
        said = Decision(False, ("evaluation-error",), (f"facts that can be decided on ({type(error).__name__})",))
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
            allowed=said.allowed,
            rules=said.rules,
            needed=said.needed,
            approval=name,
            location=location or site.region,
            second=second_role,
            pack=pack,
        ),
    )
    return Crossing(said.allowed, said.rules, said.needed, entry.n)


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
        records=("provenance",),  # its manifest verified just now
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
    return f"manifests/{artifact.digest}.json"


def _refuse(crossing: Crossing, artifact: Artifact, site: Site) -> None:
    if not crossing.allowed:
        raise CrossingRefused(
            f"the border of {site.region} refused {artifact.kind} {artifact.digest[:12]}",
            rules=crossing.rules,
            needed=crossing.needed,
        )


def _own_place(request: Request, artifact: Artifact) -> Decision | None:
    """What comes in lies in the place of its kind, whatever any pack says; else it could replace a key or a driver."""
    place = PLACES.get(artifact.kind, "").format(digest=artifact.digest)
    if request.direction == "in" and not all(place and key.startswith(place) for key in artifact.objects):
        need = f"objects that lie in the place of a {artifact.kind}, and nowhere else"
        return Decision(False, ("own-place",), (need,))
    return None


def _approved(
    site: Site, envelope: Mapping[str, Any] | None, request: Request, artifact: Artifact, size: int
) -> tuple[Approved | None, str, str]:
    """The approval as the rules may see it, its id for the ledger, and in which fields it does not cover this."""
    if not envelope:
        return None, "", ""
    approval = read_approval(site, envelope)
    if approval is None:
        return None, "", "an approval that this site signed"
    used = [e.event for e in ledger.entries(site) if e.event.allowed and e.event.approval == approval.id]
    fields = outside(
        approval,
        Asked(
            site=site.id,
            direction=request.direction,
            region=request.region,
            recipient=request.recipient,
            purpose=request.purpose,
            way=request.way,
            kind=artifact.kind,
            artifact=artifact.digest,
            classes=artifact.classes,
            count=artifact.count,
            size_bytes=size,
            t_ns=time.time_ns(),
            used_count=sum(event.count for event in used),
            used_bytes=sum(event.size_bytes for event in used),
        ),
    )
    if fields:
        return None, approval.id, f"an approval that covers this attempt: it lies outside in {', '.join(fields)}"
    return Approved(approval.id, approval.basis), approval.id, ""


def _overrides(site: Site) -> Mapping[str, int]:
    if not site.storage.exists(OVERRIDES):
        return {}
    found = json.loads(site.storage.get(OVERRIDES))
    if not isinstance(found, dict) or not all(type(value) is int for value in found.values()):
        raise BadInput("not a table of numbers", place=OVERRIDES, remedy="give threshold names and whole numbers")
    return found
