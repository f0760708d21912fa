"""The one door: what passes, what does not, and that the ledger knows before a byte moves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inland.border import ledger
from inland.border.approvals import Approval, demonstration
from inland.border.approvals import approve as keep_approval
from inland.border.cross import cross, move
from inland.border.keys import ensure_keys, public_key, register_peer, sign, verify
from inland.border.manifest import Artifact, check_objects, read_manifest, write_manifest
from inland.errors import BadInput, CrossingRefused, LedgerFault, SignatureInvalid, SiteError
from inland.site import Site, init_site
from inland.storage import Storage

SCOPE: dict[str, Any] = {"kind": "model", "classes": ("synthetic", "algorithm"), "purpose": "first driver"}
FILES = {"models/m1/model.onnx": b"weights", "models/m1/manifest.json": b"{}"}


def approve(site: Site, **scope: Any) -> dict[str, Any]:
    return demonstration(site, **{"recipient": "*", **scope})


def artifact(**changes: Any) -> Artifact:
    facts: dict[str, Any] = {
        "kind": "model",
        "digest": "m1",
        "origins": ("us",),
        "classes": ("synthetic", "algorithm"),
        "objects": tuple(FILES),
    }
    return Artifact(**{**facts, **changes})


@pytest.fixture
def abroad(tmp_path: Path) -> Site:
    made = init_site(tmp_path / "us", "us")
    ensure_keys(made)
    for key, data in FILES.items():
        made.storage.put(key, data)
    return made


@pytest.fixture
def site(tmp_path: Path, abroad: Site) -> Site:
    made = init_site(tmp_path / "cn", "cn")
    ensure_keys(made)
    register_peer(made, abroad.id, public_key(abroad))
    return made


def both(abroad: Site, site: Site) -> dict[str, Any]:
    return {
        "purpose": "first driver",
        "approval_out": approve(abroad, direction="out", region="cn", **SCOPE),
        "approval_in": approve(site, direction="in", region="us", **SCOPE),
    }


@pytest.mark.parametrize(
    "key", ["keys/declarers/evil.pub", "fleet/in_use.json", "models/other/model.onnx", "scores/m1.json"]
)
def test_what_comes_in_can_write_nowhere_but_in_its_own_place(abroad: Site, site: Site, key: str) -> None:
    abroad.storage.put(key, b"evil")
    with pytest.raises(CrossingRefused) as caught:
        move(abroad, site, artifact(objects=(*FILES, key)), **both(abroad, site))
    assert caught.value.rules == ("own-place",)
    assert not site.storage.exists(key)
    assert site.storage.list("models") == []


def test_what_comes_in_replaces_nothing_that_is_there(abroad: Site, site: Site) -> None:
    site.storage.put("models/m1/manifest.json", b"mine")
    with pytest.raises(SignatureInvalid, match="already here"):
        move(abroad, site, artifact(), **both(abroad, site))
    assert site.storage.get("models/m1/manifest.json") == b"mine"


def test_without_a_rule_that_permits_it_nothing_passes(site: Site) -> None:
    card = artifact(kind="scorecard", classes=("synthetic", "aggregate"), objects=())
    said = cross(site, card, region="us", recipient="x", purpose="research")
    assert not said.allowed
    assert said.rules == ("default-deny",)
    assert said.needed


def test_a_recording_never_goes_out_whatever_approval_is_shown(site: Site) -> None:
    site.storage.put("media/ab/abcd", b"video")
    clip = artifact(kind="clip", origins=("cn",), classes=("imagery", "persons"), objects=("media/ab/abcd",))
    approval = approve(
        site, direction="out", region="us", kind="clip", classes=("imagery", "persons"), purpose="research"
    )
    said = cross(site, clip, region="us", recipient="x", purpose="research", approval=approval)
    assert not said.allowed
    assert said.rules[0] == "out-of-vehicle-imagery-untreated"
    event = ledger.entries(site)[said.entry].event
    assert (event.rules, event.allowed, event.approval != "", event.pack != "") == (said.rules, False, True, True)


@pytest.mark.parametrize("way", ["view", "query", "download", "transmit"])
def test_looking_from_abroad_is_a_crossing_like_any_other(site: Site, way: str) -> None:
    said = cross(
        site,
        artifact(kind="clip", classes=("imagery",), objects=()),
        region="us",
        recipient="x",
        purpose="look",
        way=way,
    )
    assert not said.allowed
    assert ledger.entries(site)[said.entry].event.way == way


def test_a_model_of_recordings_does_not_leave_cn(site: Site) -> None:
    site.storage.put("models/m1/model.onnx", b"w")
    site.storage.put("models/m1/manifest.json", b"{}")
    real = artifact(classes=("algorithm", "trained_on:imagery"))
    approval = approve(site, direction="out", region="us", **{**SCOPE, "classes": real.classes})
    said = cross(site, real, region="us", recipient="x", purpose="first driver", approval=approval)
    assert said.rules == ("weights-are-algorithm-data", "weights-leak-report", "dual-control")


def test_a_person_abroad_who_asks_at_home_asks_from_abroad(site: Site) -> None:
    card = artifact(kind="scorecard", classes=("synthetic", "aggregate"), objects=())
    approval = approve(site, direction="out", region="us", kind="scorecard", classes=card.classes, purpose="compare")
    asked: dict[str, Any] = {"region": "us", "recipient": "x", "purpose": "compare", "approval": approval}
    assert cross(site, card, **asked).allowed
    assert cross(site, card, **asked, location="eu").rules == ("actor-abroad",)
    assert cross(site, card, **asked, role="labeller").rules == ("roles-that-send",)


def test_an_operators_own_number_counts_where_the_pack_allows_it(site: Site) -> None:
    counts = artifact(kind="aggregate", classes=("aggregate",), objects=())
    asked: dict[str, Any] = {"region": "us", "recipient": "x", "purpose": "compare"}
    assert cross(site, counts, **asked).rules == ("minimum-cell",)
    site.storage.put("policy/overrides.json", b'{"assess_sensitive": 1}')
    assert cross(site, counts, **asked).rules == ("evaluation-error",)
    site.storage.put("policy/overrides.json", b'["minimum_cell"]')
    assert cross(site, counts, **asked).rules == ("evaluation-error",)
    site.storage.put("policy/overrides.json", b'{"minimum_cell": 0}')
    assert cross(site, counts, **asked).allowed


def test_a_scorecard_of_the_towns_may_go_out_under_its_own_approval(site: Site) -> None:
    site.storage.put("scores/a.json", b"{}")
    card = artifact(kind="scorecard", classes=("synthetic", "aggregate"), objects=("scores/a.json",))
    asked: dict[str, Any] = {"region": "us", "recipient": "x", "purpose": "compare"}
    assert not cross(site, card, **asked).allowed
    approval = approve(site, direction="out", region="us", kind="scorecard", classes=card.classes, purpose="compare")
    said = cross(site, card, **asked, approval=approval)
    assert said.allowed
    assert said.rules == ("demonstration-synthetic",)
    assert ledger.entries(site)[said.entry].event.size_bytes == 2


def test_a_synthetic_model_passes_both_borders_and_arrives_whole(abroad: Site, site: Site) -> None:
    out, inward = move(abroad, site, artifact(), **both(abroad, site))
    assert (out.allowed, inward.allowed) == (True, True)
    assert {key: site.storage.get(key) for key in FILES} == FILES
    assert [e.event.direction for e in ledger.entries(abroad)] == ["out"]
    assert [e.event.direction for e in ledger.entries(site)] == ["in"]
    kept = json.loads(site.storage.get("manifests/m1.json"))
    assert read_manifest(kept, public_key(abroad))[0] == artifact()
    # A second run changes nothing but the ledgers.
    move(abroad, site, artifact(), **both(abroad, site))
    assert {key: site.storage.get(key) for key in FILES} == FILES


def test_a_model_of_real_recordings_does_not_come_in_as_synthetic(abroad: Site, site: Site) -> None:
    real = artifact(classes=("synthetic", "algorithm", "trained_on:imagery"))
    with pytest.raises(CrossingRefused) as caught:
        move(abroad, site, real, **both(abroad, site))
    assert caught.value.rules == ("synthetic-is-unmixed",)
    assert site.storage.list("models") == []


@pytest.mark.parametrize("missing", ["approval_out", "approval_in"])
def test_one_borders_approval_is_not_enough(abroad: Site, site: Site, missing: str) -> None:
    with pytest.raises(CrossingRefused) as caught:
        move(abroad, site, artifact(), **{**both(abroad, site), missing: None})
    assert "approval" in str(caught.value)
    assert site.storage.list("models") == []
    refused = ledger.entries(abroad if missing == "approval_out" else site)
    assert [e.event.allowed for e in refused] == [False]


@pytest.mark.parametrize(
    "change",
    [
        {"direction": "out"},
        {"region": "eu"},
        {"kind": "scorecard"},
        {"classes": ("synthetic",)},
        {"purpose": "anything"},
        {"recipient": "someone else"},
    ],
)
def test_an_approval_counts_for_nothing_but_its_scope(site: Site, change: dict[str, Any]) -> None:
    approval = approve(site, **{"direction": "in", "region": "us", **SCOPE, **change})
    said = cross(
        site, artifact(), direction="in", region="us", recipient="us-1", purpose="first driver", approval=approval
    )
    assert said.rules == ("default-deny",)
    assert "it lies outside in" in said.needed[-1]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"expires_ns": 1}, "expiry"),
        ({"made_ns": 2**62}, "expiry"),  # the clock was set back since
        ({"ways": ("view",)}, "method"),
        ({"artifacts": ("another",)}, "scope"),
        ({"max_count": 1}, "scale"),
        ({"max_bytes": 3}, "scale"),
    ],
)
def test_outside_any_field_of_an_approval_a_crossing_is_refused_and_the_field_named(
    site: Site, change: dict[str, Any], field: str
) -> None:
    site.storage.put("scores/a.json", b"{}")
    card = artifact(kind="scorecard", classes=("synthetic", "aggregate"), objects=("scores/a.json",))
    base: dict[str, Any] = {"site": site.id, "direction": "out", "region": "us", "recipient": "x", "purpose": "compare"}
    made = keep_approval(site, Approval(**base, kind="scorecard", classes=card.classes, **change))
    asked: dict[str, Any] = {"region": "us", "recipient": "x", "purpose": "compare", "approval": made}
    said = [cross(site, card, **asked) for _ in range(2)]  # what is cumulative is passed by the second
    assert not said[-1].allowed
    assert said[-1].needed[-1].endswith(f"it lies outside in {field}")
    assert said[0].allowed == (field == "scale")


def test_another_sites_approval_does_not_count(abroad: Site, site: Site) -> None:
    asked: dict[str, Any] = {"direction": "in", "region": "us", "recipient": "us-1", "purpose": "first driver"}
    foreign = approve(abroad, direction="in", region="us", **SCOPE)
    assert not cross(site, artifact(), **asked, approval=foreign).allowed
    # Signed here, but made out to another site.
    said = verify(foreign, public_key(abroad))
    assert not cross(site, artifact(), **asked, approval=sign(site, "application/vnd.in-toto+json", said)).allowed
    assert not cross(site, artifact(), **asked, approval={"payload": "x"}).allowed


def test_an_error_while_deciding_is_a_refusal_and_is_in_the_ledger(site: Site) -> None:
    absent = artifact(kind="scorecard", objects=("scores/none.json",))
    said = cross(site, absent, region="us", recipient="x", purpose="compare")
    assert not said.allowed
    assert said.rules == ("evaluation-error",)
    assert ledger.entries(site)[0].event.rules == ("evaluation-error",)


def test_a_direction_or_way_that_does_not_exist_is_an_error(site: Site) -> None:
    with pytest.raises(BadInput, match="sideways"):
        cross(site, artifact(), direction="sideways", region="us", recipient="x", purpose="p")
    with pytest.raises(BadInput, match="pigeon"):
        cross(site, artifact(), way="pigeon", region="us", recipient="x", purpose="p")


def test_the_ledgers_are_written_before_the_first_byte_moves(
    abroad: Site, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries_at_put: list[tuple[int, int]] = []
    put = Storage.put

    def watched(self: Storage, key: str, data: bytes, if_absent: bool = False, private: bool = False) -> bool:
        if key in FILES and self.root == site.root:
            entries_at_put.append((len(ledger.entries(abroad)), len(ledger.entries(site))))
        return put(self, key, data, if_absent, private)

    monkeypatch.setattr(Storage, "put", watched)
    move(abroad, site, artifact(), **both(abroad, site))
    assert entries_at_put == [(1, 1), (1, 1)]


def test_nothing_moves_where_the_ledger_cannot_be_written(
    abroad: Site, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise LedgerFault("broken")

    monkeypatch.setattr(ledger, "append", broken)
    with pytest.raises(LedgerFault):
        move(abroad, site, artifact(), **both(abroad, site))
    assert site.storage.list("models") == []


def test_nothing_comes_from_a_site_whose_key_is_not_known(abroad: Site, tmp_path: Path) -> None:
    stranger = init_site(tmp_path / "stranger", "cn")
    ensure_keys(stranger)
    with pytest.raises(SiteError, match="not known here"):
        move(abroad, stranger, artifact(), **both(abroad, stranger))
    assert stranger.storage.list("models") == []


def test_an_object_that_changes_on_its_way_is_not_stored(
    abroad: Site, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    get = Storage.get
    reads: dict[str, int] = {}

    def changing(self: Storage, key: str) -> bytes:
        data = get(self, key)
        if key in FILES:
            reads[key] = reads.get(key, 0) + 1
            return data if reads[key] == 1 else data + b"!"
        return data

    monkeypatch.setattr(Storage, "get", changing)
    with pytest.raises(SignatureInvalid, match="not what its manifest says"):
        move(abroad, site, artifact(), **both(abroad, site))
    assert site.storage.list("models") == []


def test_a_manifest_names_every_object_and_is_checked_against_it(abroad: Site) -> None:
    manifest = write_manifest(abroad, artifact())
    named, digests = read_manifest(manifest, public_key(abroad))
    assert named == artifact()
    assert set(digests) == set(FILES)
    check_objects(digests, FILES.__getitem__)
    with pytest.raises(SignatureInvalid):
        check_objects(digests, lambda key: FILES[key] + b"!")
    with pytest.raises(BadInput, match="no objects"):
        write_manifest(abroad, artifact(objects=()))
    with pytest.raises(SignatureInvalid, match="no manifest"):
        read_manifest(approve(abroad, direction="in", region="us", **SCOPE), public_key(abroad))
