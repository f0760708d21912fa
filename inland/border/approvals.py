"""Approvals as objects: signed by the site, good for exactly what they name, and for nothing after they expire.

An approval says for what purpose, to whom, by which ways, of which kind and classes, how much and until when
(the five fields of an assessed export: purpose, scope, method, type, scale; CN-AUTO-05). It lies in
``approvals/ID.json``, a DSSE envelope; its id is the digest of its statement.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from inland.border.keys import PAYLOAD_TYPE, public_key, sign, statement, verify
from inland.digest import digest_of
from inland.errors import BadInput, SignatureInvalid

if TYPE_CHECKING:
    from inland.site import Site

APPROVAL = "urn:inland:approval:v1"
WAYS = ("transmit", "view", "query", "download")
ANY = "*"
DEMONSTRATION = "demonstration"
"""The basis of what a turn approves for itself: the embedded towns' own artifacts, at this site alone."""


@dataclass(frozen=True, slots=True)
class Approval:
    """What is approved. ``artifacts`` are digests, or ('*',) for all of the kind; ``recipient`` '*' is anyone.

    ``max_count`` and ``max_bytes`` bound all crossings under this approval together; 0 is no bound.
    ``made_ns`` and ``expires_ns`` (0: never) are times; one made in the future does not count yet.
    """

    site: str
    direction: str
    region: str
    recipient: str
    purpose: str
    kind: str
    classes: tuple[str, ...]
    artifacts: tuple[str, ...] = (ANY,)
    ways: tuple[str, ...] = ("transmit",)
    max_count: int = 0
    max_bytes: int = 0
    basis: str = DEMONSTRATION
    reference: str = ""
    made_ns: int = 0
    expires_ns: int = 0

    @property
    def id(self) -> str:
        """Its name: equal approvals are one."""
        return digest_of(asdict(self))[:32]


@dataclass(frozen=True, slots=True)
class Asked:
    """One attempt, as far as an approval can speak of it. ``used_count`` and ``used_bytes`` passed under it before."""

    site: str
    direction: str
    region: str
    recipient: str
    purpose: str
    way: str
    kind: str
    artifact: str
    classes: tuple[str, ...]
    count: int
    size_bytes: int
    t_ns: int
    used_count: int = 0
    used_bytes: int = 0


def approve(site: Site, approval: Approval) -> dict[str, Any]:
    """Sign an approval and keep it; return its envelope. Raises BadInput for one that could never count."""
    if approval.direction not in ("in", "out") or not approval.ways or not set(approval.ways) <= set(WAYS):
        raise BadInput("an approval of no direction or way", remedy=f"in or out, by some of {', '.join(WAYS)}")
    if approval.site != site.id:
        raise BadInput(f"an approval made out to {approval.site!r}", place=site.id, remedy="approve at the site itself")
    if not (approval.purpose and approval.region and approval.recipient and approval.kind and approval.basis):
        raise BadInput(
            "an approval with an empty field", remedy="name purpose, region, recipient, kind and basis; '*' is anyone"
        )
    envelope = sign(
        site, PAYLOAD_TYPE, statement({"approval": digest_of(asdict(approval))}, APPROVAL, asdict(approval))
    )
    site.storage.put(f"approvals/{approval.id}.json", json.dumps(envelope, sort_keys=True).encode())
    return envelope


def find_approval(site: Site, ident: str) -> Mapping[str, Any]:
    """The envelope of an approval of this site. Raises BadInput that names those there are."""
    key = f"approvals/{ident}.json"
    if not site.storage.exists(key):
        known = [name.rpartition("/")[2].removesuffix(".json") for name in site.storage.list("approvals")]
        raise BadInput(
            f"no approval {ident!r}",
            place=key,
            remedy=f"one of: {', '.join(known) or 'none yet; see `inland approve`'}",
        )
    envelope: Mapping[str, Any] = json.loads(site.storage.get(key))
    return envelope


def read_approval(site: Site, envelope: Mapping[str, Any] | None) -> Approval | None:
    """The approval that this site signed; None where there is none, or the envelope does not count."""
    if not envelope:
        return None
    try:
        said = verify(envelope, public_key(site))
        if said.get("predicateType") != APPROVAL:
            return None
        facts: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in said["predicate"].items()}
        return Approval(**facts)
    except (SignatureInvalid, TypeError, KeyError, AttributeError):
        return None


def outside(approval: Approval, asked: Asked) -> tuple[str, ...]:
    """In which fields an attempt lies outside an approval; () where it is covered. Pure."""
    said = {
        "site": approval.site == asked.site,
        "direction": approval.direction == asked.direction,
        "region": approval.region == asked.region,
        "recipient": approval.recipient in (ANY, asked.recipient),
        "purpose": approval.purpose == asked.purpose,
        "method": asked.way in approval.ways,
        "type": approval.kind == asked.kind and set(asked.classes) <= set(approval.classes),
        "scope": ANY in approval.artifacts or asked.artifact in approval.artifacts,
        "scale": _within(approval.max_count, asked.used_count + asked.count)
        and _within(approval.max_bytes, asked.used_bytes + asked.size_bytes),
        "expiry": approval.made_ns <= asked.t_ns and (not approval.expires_ns or asked.t_ns < approval.expires_ns),
    }
    return tuple(field for field, holds in said.items() if not holds)


def _within(most: int, wanted: int) -> bool:
    return not most or wanted <= most


def demonstration(
    site: Site, *, direction: str, region: str, recipient: str, kind: str, classes: tuple[str, ...], purpose: str
) -> dict[str, Any]:
    """What a turn approves for itself: one kind and its classes, of the embedded towns, at this site alone."""
    return approve(
        site,
        Approval(
            site=site.id,
            direction=direction,
            region=region,
            recipient=recipient,
            purpose=purpose,
            kind=kind,
            classes=tuple(sorted(classes)),
        ),
    )


def until(days: float) -> int:
    """The time ``days`` from now, ns."""
    return time.time_ns() + round(days * 86400e9)
