"""Parents both ways."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inland import lake
from inland.errors import BadInput
from inland.lineage import ancestors, artifact, descendants, only_from_towns, record, walk
from inland.site import Site, init_site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return init_site(tmp_path / "site", "cn", "eu")


def test_a_clip_leads_to_every_release_that_it_reached_and_back(site: Site) -> None:
    record(site, "dataset", "dataset", ["clip1", "clip2"], classes=["imagery"], origins=["us"])
    record(site, "model", "model", ["dataset"], classes=["algorithm"])
    record(site, "release", "release", ["model", "dataset"])
    assert ancestors(site, "release") == ("dataset", "model", "clip1", "clip2")
    assert descendants(site, "clip1") == ("dataset", "model", "release")
    assert descendants(site, "nothing") == ()


def test_what_is_not_said_is_inherited(site: Site) -> None:
    record(site, "dataset", "dataset", [], classes=["imagery"], origins=["us"])
    record(site, "step", "samples", ["dataset"])
    row = artifact(site, "step")
    assert row["classes"] == ["imagery"]
    assert row["origins"] == ["cn", "us"]
    assert row["developers"] == ["eu"]
    with pytest.raises(BadInput, match="no artifact"):
        artifact(site, "none")


def test_recording_twice_changes_nothing(site: Site) -> None:
    record(site, "a", "model", [], classes=["algorithm"])
    record(site, "a", "model", [], classes=["imagery"])
    assert artifact(site, "a")["classes"] == ["algorithm"]


def test_a_model_is_from_towns_alone_only_if_every_clip_says_so(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"id": "town", "classes": ["trajectory", "imagery"], "origins": ["cn"]},
        {"id": "street", "classes": ["persons", "places", "trajectory", "imagery"], "origins": ["cn"]},
    ]
    scan = lake.scan

    def with_clips(at: Site, table: str, *rest: object) -> pa.Table:
        return pa.Table.from_pylist(rows) if table == "clips" else scan(at, table, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(lake, "scan", with_clips)
    for name, clips in (("clean", ["town"]), ("mixed", ["town", "street"]), ("gone", ["town", "erased"]), ("none", [])):
        record(site, f"dataset-{name}", "dataset", clips, classes=["imagery"])
        record(site, f"model-{name}", "model", [f"dataset-{name}"], classes=["algorithm"])
    found = {name: only_from_towns(site, f"model-{name}") for name in ("clean", "mixed", "gone", "none")}
    assert found == {"clean": True, "mixed": False, "gone": False, "none": False}
    assert not only_from_towns(site, "unknown")


@given(st.dictionaries(st.integers(0, 9), st.lists(st.integers(0, 9), max_size=4)))
def test_a_walk_ends_and_visits_everything_once(edges: dict[int, list[int]]) -> None:
    named = {str(a): [str(b) for b in bs] for a, bs in edges.items()}
    found = walk(named, "0")
    assert len(found) == len(set(found))
    assert "0" not in found
    for node in (*found, "0"):
        assert set(named.get(node, [])) <= {*found, "0"}
