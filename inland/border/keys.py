"""Keys and signatures: who said this, and has a byte changed since.

A site has one Ed25519 key for what it says itself (``keys/site.key``) and one for the fleet of its embedded
towns (``keys/towns.key``). A statement is an in-toto Statement in a DSSE envelope (protocol 1.0,
https://github.com/secure-systems-lab/dsse). Public keys whose declarations about a log count are registered
in ``keys/declarers/NAME.pub``.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]

from inland.clip import ALL_CLASSES
from inland.digest import canonical_json, sha256
from inland.errors import BadInput, SignatureInvalid, SiteError

if TYPE_CHECKING:
    from inland.site import Site

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
DECLARATION = "urn:inland:declaration:v1"
SITE_KEY = "site"
TOWNS_KEY = "towns"
START_TOLERANCE_NS = 1_000_000_000
"""A declaration that names a drive's start counts for a drive that starts within this of it."""


def ensure_keys(site: Site) -> None:
    """Make the site's keys where they are missing: ``site`` and ``towns``, the latter as a declarer.

    Private keys are PEM (PKCS 8) with mode 0600 in the folder ``keys``, which is 0700. Safe to call again.
    """
    for name in (SITE_KEY, TOWNS_KEY):
        if site.storage.exists(_private(name)):
            continue
        private = Ed25519PrivateKey.generate()
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        # The public half first: a private key without it would never be found to be missing.
        site.storage.put(f"keys/{name}.pub", _public_pem(private.public_key()))
        site.storage.put(_private(name), pem, private=True)
    register_declarer(site, TOWNS_KEY, public_key(site, TOWNS_KEY))


def public_key(site: Site, name: str = SITE_KEY) -> bytes:
    """The public half of one of this site's keys, PEM. SiteError where the site has no such key."""
    if not site.storage.exists(f"keys/{name}.pub"):
        raise SiteError(
            f"this site has no key {name!r}",
            place=f"keys/{name}.pub",
            remedy="make the site with `inland init`, or restore its folder keys/ from your backup",
        )
    return site.storage.get(f"keys/{name}.pub")


def register_declarer(site: Site, name: str, public_pem: bytes) -> None:
    """Let declarations signed by this key count at this site. BadInput where it is no Ed25519 public key."""
    key_id(public_pem)
    site.storage.put(f"keys/declarers/{name}.pub", public_pem)


def key_id(public_pem: bytes) -> str:
    """A public key's name: SHA-256 of its 32 raw bytes, hex. BadInput where it is no Ed25519 public key."""
    try:
        key = serialization.load_pem_public_key(public_pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadInput("not a public key in PEM", remedy="give an Ed25519 public key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise BadInput("not an Ed25519 key", remedy="give an Ed25519 public key")
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return sha256(raw)


def sign(site: Site, payload_type: str, payload: Mapping[str, Any] | bytes, *, key: str = SITE_KEY) -> dict[str, Any]:
    """A DSSE envelope (as plain JSON) over ``payload``, signed by one of the site's keys.

    A mapping is signed in its canonical JSON form, so that equal payloads have equal envelopes: Ed25519 is
    deterministic (RFC 8032).
    """
    private = _private_key(site, key)
    body = payload if isinstance(payload, bytes) else canonical_json(payload)
    envelope = Envelope(body, payload_type, {})
    envelope.sign(CryptoSigner(private, _sslib_key(public_key(site, key))))
    plain: dict[str, Any] = envelope.to_dict()
    return plain


def verify(envelope: Mapping[str, Any], public_pem: bytes, *, payload_type: str = PAYLOAD_TYPE) -> dict[str, Any]:
    """The payload of an envelope that this key signed, as JSON.

    SignatureInvalid where the envelope is malformed, of another type, or not signed by this key.
    """
    try:
        parsed = Envelope.from_dict(json.loads(json.dumps(dict(envelope))))
        parsed.verify([_sslib_key(public_pem)], 1)
    except VerificationError as error:
        raise SignatureInvalid(
            "the signature does not match",
            place=f"key {key_id(public_pem)[:16]}",
            remedy="ask for the original",
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise SignatureInvalid(f"not a DSSE envelope: {error}", remedy="ask for the original") from error
    if parsed.payload_type != payload_type:
        raise SignatureInvalid(f"signed, but of type {parsed.payload_type!r}, not {payload_type!r}")
    try:
        payload = json.loads(parsed.payload)
    except ValueError as error:
        raise SignatureInvalid("signed, but the payload is not JSON") from error
    if not isinstance(payload, dict):
        raise SignatureInvalid("signed, but the payload is not a JSON object")
    return payload


def sign_bytes(site: Site, purpose: str, data: bytes, *, key: str = SITE_KEY) -> str:
    """A bare Ed25519 signature (128 hex digits) over ``data`` for one ``purpose``: no other one accepts
    it."""
    return _private_key(site, key).sign(_framed(purpose, data)).hex()


def check_bytes(public_pem: bytes, purpose: str, data: bytes, signature: str) -> None:
    """SignatureInvalid where `sign_bytes` did not make ``signature`` with this key, purpose and data."""
    try:
        key = serialization.load_pem_public_key(public_pem)
        if not isinstance(key, Ed25519PublicKey) or signature != signature.lower():
            raise InvalidSignature
        key.verify(bytes.fromhex(signature), _framed(purpose, data))
    except (InvalidSignature, ValueError) as error:
        raise SignatureInvalid(f"the signature does not match this {purpose}") from error


def register_peer(site: Site, name: str, public_pem: bytes) -> None:
    """Know another site by its public key: what it signs can then be checked here."""
    key_id(public_pem)
    site.storage.put(f"keys/peers/{name}.pub", public_pem)


def peer_key(site: Site, name: str) -> bytes:
    """The public key of another site. SiteError where it was never registered."""
    if not site.storage.exists(f"keys/peers/{name}.pub"):
        raise SiteError(
            f"the site {name!r} is not known here",
            place=f"keys/peers/{name}.pub",
            remedy="register its public key (its keys/site.pub, received from a person you trust)",
        )
    return site.storage.get(f"keys/peers/{name}.pub")


def statement(subjects: Mapping[str, str], predicate_type: str, predicate: Mapping[str, Any]) -> dict[str, Any]:
    """An in-toto Statement v1 about ``subjects`` (name -> SHA-256 hex)."""
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": subjects[name]}} for name in sorted(subjects)],
        "predicateType": predicate_type,
        "predicate": dict(predicate),
    }


def declare(
    site: Site,
    *,
    vehicle: str,
    start_ns: int | None = None,
    absent: tuple[str, ...] = ("faces", "plates"),
    facts: Mapping[str, str] | None = None,
    key: str = TOWNS_KEY,
) -> dict[str, Any]:
    """A signed declaration, for a log's metadata, that classes ``absent`` are not in that log.

    ``vehicle`` is the vehicle's name as the log has it. ``start_ns`` binds the declaration to the one drive
    that starts then; without it, it holds for every drive of that vehicle. ``facts`` are further plain
    statements, such as ``{"world": "synthetic"}``. BadInput for a class that does not exist.
    """
    unknown = sorted(set(absent) - set(ALL_CLASSES))
    if unknown:
        raise BadInput(f"no data class {', '.join(unknown)}", remedy=f"use some of {', '.join(ALL_CLASSES)}")
    predicate = {
        "vehicle": vehicle,
        "start_ns": start_ns,
        "absent": sorted(absent),
        "facts": dict(facts or {}),
    }
    subject = {f"drive of {vehicle}": sha256(canonical_json([vehicle, start_ns]))}
    return sign(site, PAYLOAD_TYPE, statement(subject, DECLARATION, predicate), key=key)


def verify_declaration(
    site: Site, envelope: Mapping[str, Any] | None, vehicle: str, start_ns: int | None = None
) -> tuple[str, ...]:
    """The classes that a valid declaration says are absent from the log of this vehicle's drive; else ().

    It counts only if a key in ``keys/declarers`` signed it, and it names this vehicle and, if it names a
    start, the drive's ``start_ns`` (within a second). A declaration that does not count is no error: the log
    is then born with all classes. Never raises for what a log brings.
    """
    predicate = declaration_of(site, envelope, vehicle, start_ns)
    absent = predicate.get("absent", ()) if predicate else ()
    return tuple(c for c in ALL_CLASSES if c in absent)


def declaration_of(
    site: Site, envelope: Mapping[str, Any] | None, vehicle: str, start_ns: int | None = None
) -> dict[str, Any] | None:
    """The whole predicate of a declaration that counts (see `verify_declaration`), or None."""
    if not envelope:
        return None
    for path in sorted(site.storage.list("keys/declarers/")):
        try:
            said = verify(envelope, site.storage.get(path))
        except (SignatureInvalid, BadInput):
            continue
        predicate = said.get("predicate")
        if said.get("predicateType") != DECLARATION or not isinstance(predicate, dict):
            continue
        if predicate.get("vehicle") != vehicle or not isinstance(predicate.get("absent"), list):
            continue
        named = predicate.get("start_ns")
        if named is not None and not _near(named, start_ns):
            continue
        return predicate
    return None


def _near(named: object, start_ns: int | None) -> bool:
    return isinstance(named, int) and start_ns is not None and abs(named - start_ns) <= START_TOLERANCE_NS


def _private_key(site: Site, name: str) -> Ed25519PrivateKey:
    remedy = "make keys with `inland init`, or restore the folder keys/ from your backup"
    if not site.storage.exists(_private(name)):
        raise SiteError(f"this site cannot sign as {name!r}", place=_private(name), remedy=remedy)
    try:
        private = serialization.load_pem_private_key(site.storage.get(_private(name)), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SiteError(f"the key {name!r} is damaged", place=_private(name), remedy=remedy) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise SiteError(f"the key {name!r} is not Ed25519", place=_private(name), remedy=remedy)
    return private


def _framed(purpose: str, data: bytes) -> bytes:
    return f"inland {purpose} {len(data)}\n".encode() + data


def _private(name: str) -> str:
    return f"keys/{name}.key"


def _public_pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _sslib_key(public_pem: bytes) -> SSlibKey:
    named = key_id(public_pem)
    key = serialization.load_pem_public_key(public_pem)
    return SSlibKey.from_crypto(key, named)
