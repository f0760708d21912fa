"""What is in an artifact that crosses: its facts and every object's digest, signed by the sender."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from inland.border.keys import PAYLOAD_TYPE, sign, statement, verify
from inland.digest import sha256
from inland.errors import BadInput, SignatureInvalid

if TYPE_CHECKING:
    from inland.site import Site

MANIFEST = "urn:inland:manifest:v1"


@dataclass(frozen=True, slots=True)
class Artifact:
    """One thing that a site holds: what it is, where it comes from, and the storage keys of its bytes.

    ``kind`` is model, scorecard, release, clip or dataset. ``origins`` are the regions that its data come
    from, ``developers`` the jurisdictions of who made it, ``classes`` its data classes, ``parents`` their
    digests. ``count`` is how many things it is: 1, or the number of clips.
    """

    kind: str
    digest: str
    origins: tuple[str, ...]
    classes: tuple[str, ...]
    parents: tuple[str, ...] = ()
    developers: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    count: int = 1


def size_bytes(site: Site, artifact: Artifact) -> int:
    """How many bytes its objects have. Raises NotStored."""
    return sum(site.storage.size(key) for key in artifact.objects)


def write_manifest(site: Site, artifact: Artifact) -> dict[str, Any]:
    """The signed manifest (a DSSE envelope) of an artifact that this site holds. BadInput where it has no
    objects."""
    if not artifact.objects:
        raise BadInput(f"{artifact.kind} {artifact.digest[:12]} has no objects", remedy="name the keys of its bytes")
    digests = {key: sha256(site.storage.get(key)) for key in artifact.objects}
    facts = {**asdict(artifact), "sender": site.id, "region": site.region, "bytes": size_bytes(site, artifact)}
    return sign(site, PAYLOAD_TYPE, statement(digests, MANIFEST, facts))


def read_manifest(envelope: Mapping[str, Any], public_pem: bytes) -> tuple[Artifact, dict[str, str]]:
    """The artifact of a manifest that this key signed, and each object's SHA-256. SignatureInvalid
    otherwise."""
    said = verify(envelope, public_pem)
    if said.get("predicateType") != MANIFEST:
        raise SignatureInvalid("signed, but no manifest")
    try:
        names = Artifact.__dataclass_fields__
        facts: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in said["predicate"].items() if k in names
        }
        return Artifact(**facts), {s["name"]: s["digest"]["sha256"] for s in said["subject"]}
    except (KeyError, TypeError, AttributeError) as error:
        raise SignatureInvalid(f"a manifest without its facts: {error}") from error


def check_objects(digests: Mapping[str, str], read: Callable[[str], bytes]) -> None:
    """SignatureInvalid, naming the object, where one is not what the manifest says. Raises NotStored."""
    for key, digest in digests.items():
        if sha256(read(key)) != digest:
            raise SignatureInvalid("an object is not what its manifest says", place=key, remedy="have it sent again")
