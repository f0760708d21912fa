"""Who signed, what counts, and what does not."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from hypothesis import given, settings
from hypothesis import strategies as st

from inland.border.keys import (
    PAYLOAD_TYPE,
    check_bytes,
    declaration_of,
    declare,
    ensure_keys,
    key_id,
    peer_key,
    public_key,
    register_declarer,
    sign,
    sign_bytes,
    statement,
    verify,
    verify_declaration,
)
from inland.errors import BadInput, SignatureInvalid, SiteError
from inland.site import Site, init_site

START = 1_780_000_000_000_000_000


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = init_site(tmp_path / "site", "cn")
    ensure_keys(made)
    return made


@pytest.fixture
def other(tmp_path: Path) -> Site:
    made = init_site(tmp_path / "other", "us")
    ensure_keys(made)
    return made


def test_private_keys_are_for_their_owner_alone_and_are_made_once(site: Site) -> None:
    for name in ("site", "towns"):
        path = site.storage.local_path(f"keys/{name}.key")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = public_key(site)
    ensure_keys(site)
    assert public_key(site) == before


def test_a_signed_statement_comes_back_as_it_was(site: Site) -> None:
    said = statement({"model.onnx": "ab" * 32}, "urn:test", {"n": 1, "who": "谁"})
    envelope = sign(site, PAYLOAD_TYPE, said)
    assert verify(json.loads(json.dumps(envelope)), public_key(site)) == said
    # Ed25519 is deterministic, and so is the canonical form.
    assert sign(site, PAYLOAD_TYPE, dict(reversed(said.items()))) == envelope


def test_another_sites_key_does_not_verify(site: Site, other: Site) -> None:
    with pytest.raises(SignatureInvalid, match="does not match"):
        verify(sign(site, PAYLOAD_TYPE, {"a": 1}), public_key(other))


def test_a_changed_payload_does_not_verify(site: Site) -> None:
    envelope = sign(site, PAYLOAD_TYPE, {"a": 1})
    envelope["payload"] = sign(site, PAYLOAD_TYPE, {"a": 2})["payload"]
    with pytest.raises(SignatureInvalid):
        verify(envelope, public_key(site))


def test_a_payload_of_another_type_is_not_taken_for_this_one(site: Site) -> None:
    with pytest.raises(SignatureInvalid, match="of type"):
        verify(sign(site, "text/plain", {"a": 1}), public_key(site))
    # The type is under the signature, so it cannot be written over.
    envelope = sign(site, "text/plain", {"a": 1})
    envelope["payloadType"] = PAYLOAD_TYPE
    with pytest.raises(SignatureInvalid):
        verify(envelope, public_key(site))


@pytest.mark.parametrize("payload", [b"not json", b"[1, 2]"])
def test_a_signed_payload_that_is_no_json_object_is_refused(site: Site, payload: bytes) -> None:
    with pytest.raises(SignatureInvalid, match="JSON"):
        verify(sign(site, PAYLOAD_TYPE, payload), public_key(site))


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = init_site(tmp_path_factory.mktemp("shared") / "site", "cn")
    ensure_keys(made)
    return made


@given(st.dictionaries(st.sampled_from(["payload", "payloadType", "signatures", "x"]), junk))
@settings(max_examples=80, deadline=None)
def test_junk_in_place_of_an_envelope_is_refused_and_never_crashes(shared: Site, envelope: dict[str, Any]) -> None:
    with pytest.raises(SignatureInvalid):
        verify(envelope, public_key(shared))
    assert verify_declaration(shared, envelope, "v") == ()


def test_a_site_that_lost_its_keys_says_so(tmp_path: Path) -> None:
    bare = init_site(tmp_path / "bare", "cn")
    for key in bare.storage.list("keys"):
        bare.storage.delete(key)
    with pytest.raises(SiteError, match="no key"):
        public_key(bare)
    with pytest.raises(SiteError, match="cannot sign"):
        sign(bare, PAYLOAD_TYPE, {})
    with pytest.raises(SiteError, match="not known here"):
        peer_key(bare, "somebody")


def test_a_damaged_key_says_so(site: Site) -> None:
    site.storage.put("keys/site.key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", private=True)
    with pytest.raises(SiteError, match="damaged"):
        sign(site, PAYLOAD_TYPE, {})


def test_only_ed25519_keys_are_taken(site: Site) -> None:
    elliptic = generate_private_key(SECP256R1())
    public = elliptic.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    private = elliptic.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(BadInput, match="Ed25519"):
        key_id(public)
    with pytest.raises(BadInput, match="PEM"):
        register_declarer(site, "fleet", b"hello")
    with pytest.raises(SignatureInvalid):
        check_bytes(public, "test", b"x", "00" * 64)
    site.storage.put("keys/site.key", private, private=True)
    with pytest.raises(SiteError, match="not Ed25519"):
        sign(site, PAYLOAD_TYPE, {})


def test_a_signature_for_one_purpose_is_no_signature_for_another(site: Site) -> None:
    signature = sign_bytes(site, "entry", b"data")
    check_bytes(public_key(site), "entry", b"data", signature)
    for purpose, data, said in (
        ("checkpoint", b"data", signature),
        ("entry", b"date", signature),
        ("entry", b"data", signature.upper()),
        ("entry", b"data", "zz"),
    ):
        with pytest.raises(SignatureInvalid):
            check_bytes(public_key(site), purpose, data, said)


def test_a_declaration_counts_for_its_own_vehicle_and_drive(site: Site) -> None:
    envelope = declare(site, vehicle="v1", start_ns=START, facts={"world": "embedded town"})
    assert verify_declaration(site, envelope, "v1", START) == ("faces", "plates")
    assert verify_declaration(site, envelope, "v1", START + 400_000_000) == ("faces", "plates")
    found = declaration_of(site, envelope, "v1", START)
    assert found is not None
    assert found["facts"] == {"world": "embedded town"}


def test_a_declaration_does_not_count_for_another_vehicle_drive_or_site(site: Site, other: Site) -> None:
    envelope = declare(site, vehicle="v1", start_ns=START)
    assert verify_declaration(site, envelope, "v2", START) == ()
    assert verify_declaration(site, envelope, "v1", START + 60_000_000_000) == ()
    assert verify_declaration(site, envelope, "v1") == ()
    assert verify_declaration(other, envelope, "v1", START) == ()
    assert verify_declaration(site, None, "v1", START) == ()


def test_a_declaration_counts_at_another_site_once_its_key_is_registered_there(site: Site, other: Site) -> None:
    envelope = declare(site, vehicle="v1")
    register_declarer(other, "fleet_cn", public_key(site, "towns"))
    assert verify_declaration(other, envelope, "v1", START) == ("faces", "plates")


def test_the_sites_own_key_is_no_declarer(site: Site) -> None:
    # Whoever runs the site cannot declare a real fleet's logs clean by signing as the site.
    assert verify_declaration(site, declare(site, vehicle="v1", key="site"), "v1") == ()


def test_another_signed_statement_is_no_declaration(site: Site) -> None:
    said = statement({"x": "00"}, "urn:other", {"vehicle": "v1", "absent": ["faces"]})
    assert verify_declaration(site, sign(site, PAYLOAD_TYPE, said, key="towns"), "v1") == ()


def test_a_class_that_does_not_exist_cannot_be_declared_absent(site: Site) -> None:
    with pytest.raises(BadInput, match="smells"):
        declare(site, vehicle="v1", absent=("faces", "smells"))
