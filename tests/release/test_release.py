"""A release: only what passed, under a name that the region allows, and vehicles that check it themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inland.border.keys import ensure_keys, public_key
from inland.errors import BadInput, NotStored, SignatureInvalid
from inland.gate import Pair, Verdict, decide
from inland.lineage import artifact, descendants, record
from inland.release import (
    Release,
    allowed_name,
    check_release,
    field_model,
    installed_on,
    name_problems,
    open_release,
    pack,
    roll_back,
    roll_out,
    stamp,
    take_into_use,
)
from inland.scorecard import EpisodeResult, Scorecard, driver_score
from inland.site import Site, init_site

PASSED = decide([Pair("a", False, True)] * 20 + [Pair("a", True, True)] * 20, [Pair("a", True, True)] * 60)
FLEET = ("vehicle-000", "vehicle-001")


def card() -> Scorecard:
    episode = EpisodeResult("cn_tong", "cut_in", 0, 1, True, 100.0, "completed", (), {"pdms": 1.0}, "k")
    return Scorecard("town_cn", "final", "d" * 32, (driver_score("candidate", "model", "x", [episode]),))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = init_site(tmp_path / "site", "cn")
    ensure_keys(made)
    for name in ("m1", "m2"):
        made.storage.put(f"models/{name}/model.onnx", f"network {name}".encode())
        made.storage.put(f"models/{name}/manifest.json", b'{"format": "x"}')
        record(made, name, "model", ["ds"], classes=["algorithm"])
    record(made, "ds", "dataset", ["clip1", "clip2"], classes=["imagery"])
    return made


def packed(site: Site, model: str = "m1", verdict: Verdict = PASSED, name: str = "") -> Release:
    return pack(site, model, [card()], verdict, dataset="ds", name=name)


def test_a_release_carries_its_evidence_and_says_where_it_comes_from(site: Site) -> None:
    release = packed(site)
    assert release.name == "combined driver assistance m1"
    assert release.facts["evidence"] == {"origins": ["towns"], "stamp": "towns only"}
    assert release.facts["dataset"] == "ds"
    assert release.facts["lineage"] == ["ds"]
    assert release.facts["success_rate"]["town_cn"]["candidate"]["value"] == 1.0
    assert site.storage.get(f"{release.folder}/model.onnx") == b"network m1"
    assert json.loads(site.storage.get(f"{release.folder}/scorecard.json"))[0]["town"] == "town_cn"
    assert open_release(site, release.digest) == release


def test_a_clip_leads_to_the_release_that_it_reached(site: Site) -> None:
    release = packed(site)
    assert set(descendants(site, "clip1")) == {"ds", "m1", "m2", release.digest}
    assert artifact(site, release.digest)["classes"] == ["algorithm", "imagery"]


def test_the_same_inputs_give_the_same_release(site: Site) -> None:
    first = packed(site)
    whole = site.storage.get(f"{first.folder}/release.json")
    assert packed(site) == first
    assert site.storage.get(f"{first.folder}/release.json") == whole


@pytest.mark.parametrize(
    "verdict", [decide([], []), decide([Pair("a", True, False)] * 20, [Pair("a", True, True)] * 60)]
)
def test_only_a_passed_verdict_ships(site: Site, verdict: Verdict) -> None:
    with pytest.raises(BadInput, match=verdict.verdict):
        packed(site, verdict=verdict)
    assert site.storage.list("releases") == []


@pytest.mark.parametrize(
    "name",
    [
        "Autonomous Drive 2",
        "SELF DRIVING",
        "self-driving kit",
        "Smart  Driving",
        "AutoPilot",
        "高阶智驾",
        "自动驾驶 v2",
    ],
)
def test_the_region_forbids_names_however_they_are_written(site: Site, name: str) -> None:
    assert name_problems(name, "cn")
    with pytest.raises(BadInput, match="combined driver assistance"):
        packed(site, name=name)


def test_names_that_the_region_allows_pass() -> None:
    assert name_problems(allowed_name("cn") + " 3", "cn") == ()
    assert name_problems("组合驾驶辅助", "cn") == ()
    assert name_problems("smart driving", "us") == ()
    assert name_problems("driverless", "eu") == ("driverless",)


def test_evidence_from_real_roads_is_not_stamped_towns_only() -> None:
    assert stamp(["towns"]) == "towns only"
    assert stamp(["towns", "test track"]) == "from test track, towns"


def test_vehicles_install_what_they_have_checked(site: Site) -> None:
    release = packed(site)
    out = roll_out(site, release.digest, FLEET)
    assert (out.installed, out.already, out.refused) == (FLEET, (), ())
    assert installed_on(site, FLEET[0])["release"] == release.digest
    assert field_model(site) == "m1"
    again = roll_out(site, release.digest, FLEET)
    assert (again.installed, again.already) == ((), FLEET)


@pytest.mark.parametrize("file", ["model.onnx", "manifest.json", "scorecard.json", "verdict.json"])
def test_vehicles_refuse_a_release_with_a_changed_file(site: Site, file: str) -> None:
    take_into_use(site, "m2")
    release = packed(site)
    path = f"{release.folder}/{file}"
    site.storage.put(path, site.storage.get(path) + b" ")
    out = roll_out(site, release.digest, FLEET)
    assert out.installed == ()
    assert [vehicle for vehicle, _ in out.refused] == list(FLEET)
    assert file in out.refused[0][1]
    assert field_model(site) == "m2"
    with pytest.raises(SignatureInvalid, match=file):
        open_release(site, release.digest)


def test_vehicles_refuse_a_release_with_a_missing_file(site: Site) -> None:
    release = packed(site)
    site.storage.delete(f"{release.folder}/model.onnx")
    assert "missing" in roll_out(site, release.digest, FLEET).refused[0][1]


def test_vehicles_refuse_what_another_site_signed(site: Site, tmp_path: Path) -> None:
    roll_out(site, packed(site).digest, FLEET)
    other = init_site(tmp_path / "other", "cn")
    ensure_keys(other)
    for key in site.storage.list("models"):
        other.storage.put(key, site.storage.get(key))
    forged = packed(other, "m2")
    for key in other.storage.list(forged.folder):
        site.storage.put(key, other.storage.get(key))
    out = roll_out(site, forged.digest, FLEET)
    assert [vehicle for vehicle, _ in out.refused] == list(FLEET)
    assert field_model(site) == "m1"


def test_vehicles_refuse_an_old_release_under_a_new_name(site: Site) -> None:
    # A signed older release, put where another is expected: a roll-back attack.
    old, new = packed(site, "m1"), packed(site, "m2")
    for file in ("release.json", "model.onnx", "manifest.json"):
        site.storage.put(f"{new.folder}/{file}", site.storage.get(f"{old.folder}/{file}"))
    assert "another release" in roll_out(site, new.digest, FLEET).refused[0][1]


def test_a_release_that_is_no_json_is_refused(site: Site) -> None:
    def read(file: str) -> bytes:
        return b"{"

    with pytest.raises(SignatureInvalid, match="not JSON"):
        check_release(read, public_key(site), "x")


def test_a_roll_back_returns_to_the_driver_before(site: Site) -> None:
    take_into_use(site, "m0")
    first, second = packed(site, "m1"), packed(site, "m2")
    roll_out(site, first.digest, FLEET)
    roll_out(site, second.digest, FLEET)
    assert field_model(site) == "m2"
    assert roll_back(site, FLEET) == dict.fromkeys(FLEET, first.digest)
    assert field_model(site) == "m1"
    assert installed_on(site, FLEET[0])["release"] == first.digest
    assert roll_back(site, FLEET) == dict.fromkeys(FLEET, "")
    assert field_model(site) == "m0"
    assert installed_on(site, FLEET[0]) == {}
    with pytest.raises(BadInput, match="runs no release"):
        roll_back(site, FLEET)


def test_what_is_not_there_is_named(site: Site) -> None:
    with pytest.raises(BadInput, match="no model"):
        packed(site, "m9")
    with pytest.raises(BadInput, match="no release"):
        roll_out(site, "none", FLEET)
    with pytest.raises(BadInput, match="no release"):
        open_release(site, "none")
    assert field_model(site) is None
    with pytest.raises(NotStored):
        site.storage.get("fleet/in_use.json")
