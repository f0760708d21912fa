"""The lake: a clip comes back as it went in; tables only grow, atomically, each row once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inland import lake
from inland.clip import SIGNAL_UNITS, Camera, Clip, Rig, Signal, Trigger
from inland.clip_rows import CLIPS, clip_from_rows, clip_row
from inland.errors import BadInput, NoSpace, SiteError
from inland.site import Site, init_site

numbers = st.floats(-1e6, 1e6)
texts = st.text(st.characters(codec="utf-8"), max_size=8)
times = hnp.arrays(np.int64, st.integers(0, 5), elements=st.integers(-(2**62), 2**62))
pairs, triples = st.tuples(numbers, numbers), st.tuples(numbers, numbers, numbers)


@st.composite
def signals(draw: st.DrawFn) -> dict[str, Signal]:
    found = {}
    for name in draw(st.sets(st.sampled_from(sorted(SIGNAL_UNITS)), max_size=3)):
        t_ns = draw(times)
        value = draw(hnp.arrays(np.float32, len(t_ns), elements=st.floats(width=32)))
        found[name] = Signal(name, t_ns, value, draw(texts))
    return found


cameras = st.builds(
    Camera,
    name=texts,
    width_px=st.integers(0, 2**31 - 1),
    height_px=st.integers(0, 2**31 - 1),
    focal_px=st.none() | pairs,
    centre_px=st.none() | pairs,
    position_m=st.none() | triples,
    rotation_rad=st.none() | triples,
)
clips = st.builds(
    Clip,
    id=texts.filter(bool),
    drive=texts,
    vehicle=texts,
    start_ns=st.integers(0, 2**62),
    end_ns=st.integers(0, 2**62),
    format=texts,
    clock=texts,
    rig=st.builds(Rig, st.lists(cameras, max_size=2).map(tuple), st.none() | numbers, texts),
    frame_t_ns=st.dictionaries(texts, times, max_size=3),
    signals=signals(),
    triggers=st.lists(st.builds(Trigger, texts, st.integers(0, 2**62), texts), max_size=2).map(tuple),
    media=texts,
    media_bytes=st.integers(0, 2**62),
    revision=st.integers(0, 2**31 - 1),
    origins=st.lists(texts, max_size=2).map(tuple),
    classes=st.lists(texts, max_size=2).map(tuple),
    parents=st.lists(texts, max_size=2).map(tuple),
    release=texts,
    place=texts,
    notes=st.dictionaries(texts, texts, max_size=2),
)


def same(a: Clip, b: Clip) -> bool:
    # Arrays have no equality of their own; a row has.
    return repr(clip_row(a)) == repr(clip_row(b)) and a.rig == b.rig and a.triggers == b.triggers


@settings(max_examples=60, deadline=None)
@given(st.lists(clips, max_size=4))
def test_any_clip_comes_back_from_its_row_as_it_was(given_clips: list[Clip]) -> None:
    table = pa.Table.from_pylist([clip_row(clip) for clip in given_clips], schema=CLIPS)
    for chunked in (table, pa.concat_tables([table.slice(0, 1), table.slice(1)])):
        back = clip_from_rows(chunked)
        assert len(back) == len(given_clips)
        for ours, theirs in zip(back, given_clips, strict=True):
            assert same(ours, theirs)
            for name, signal in theirs.signals.items():
                assert ours.signals[name].value.tobytes() == signal.value.tobytes()
                assert np.array_equal(ours.signals[name].t_ns, signal.t_ns)


def clip(n: int, drive: str = "d") -> Clip:
    t_ns = np.arange(5, dtype=np.int64) + n * 10
    return Clip(
        id=f"clip{n:03d}",
        drive=drive,
        vehicle="v",
        start_ns=n * 10,
        end_ns=n * 10 + 5,
        format="mcap",
        clock="recorded",
        rig=Rig((Camera("front", 64, 48),), 2.8, "bicycle"),
        frame_t_ns={"front": t_ns},
        signals={"speed_mps": Signal("speed_mps", t_ns, np.full(5, n, np.float32))},
        triggers=(),
        media="m",
        media_bytes=1,
        revision=1,
        origins=("cn",),
        classes=("imagery",),
        parents=(drive,),
    )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return init_site(tmp_path / "site", "cn")


def test_rows_come_back_by_id_and_clips_by_drive_and_time(site: Site) -> None:
    lake.add_clips(site, [clip(3, "b"), clip(1, "b")])
    lake.add_clips(site, [clip(2, "a")])
    assert lake.scan(site, "clips", ["id"])["id"].to_pylist() == ["clip001", "clip002", "clip003"]
    assert [c.id for c in lake.clips(site)] == ["clip002", "clip001", "clip003"]
    assert [c.id for c in lake.clips(site, "start_ns > 15")] == ["clip002", "clip003"]
    assert lake.count(site, "clips", "drive = 'b'") == 2
    assert [c["id"] for c in lake.clip_list(site, "drive = 'a'")] == ["clip002"]


def test_a_row_comes_in_once(site: Site) -> None:
    assert lake.add_clips(site, [clip(1), clip(2), clip(1)]) == 2
    before = lake.version(site, "clips")
    assert lake.add_clips(site, [clip(2), clip(1)]) == 0
    assert lake.version(site, "clips") == before
    assert lake.add_clips(site, [clip(2), clip(3)]) == 1
    assert lake.existing(site, "clips", ["clip003", "clip009"]) == {"clip003"}


def test_take_gives_the_rows_asked_for_in_that_order(site: Site) -> None:
    lake.add_clips(site, [clip(n) for n in range(5)])
    taken = lake.take(site, "clips", ["clip004", "clip001", "clip004"], ["start_ns"])
    assert taken.to_pydict() == {"start_ns": [40, 10, 40]}
    assert lake.take(site, "clips", []).num_rows == 0
    with pytest.raises(BadInput, match="no row clip999"):
        lake.take(site, "clips", ["clip001", "clip999"])


def test_a_table_that_nobody_wrote_is_empty(site: Site) -> None:
    assert lake.clips(site) == []
    assert lake.scan(site, "tags", ["name"]).column_names == ["name"]
    assert (lake.count(site, "labels"), lake.version(site, "labels")) == (0, 0)


def test_wrong_tables_columns_and_conditions_are_bad_input(site: Site) -> None:
    lake.add_clips(site, [clip(1)])
    for ask in (
        lambda: lake.scan(site, "nonsense"),
        lambda: lake.scan(site, "clips", where="nonsense = 3"),
        lambda: lake.scan(site, "clips", where="this is no condition"),
        lambda: lake.scan(site, "clips", ["nonsense"]),
        lambda: lake.append(site, "tags", [{"id": "1", "colour": "red"}]),
        lambda: lake.append(site, "tags", [{"name": "no id"}]),
        lambda: lake.append(site, "tags", [{"id": "1", "start_ns": "tomorrow"}]),
    ):
        with pytest.raises(BadInput):
            ask()
    assert lake.count(site, "tags") == 0


def test_positions_lie_in_custody_alone(site: Site) -> None:
    lake.append(site, "positions", [{"id": "c", "t_ns": [1], "latitude_deg": [31.2], "longitude_deg": [121.5]}])
    assert site.storage.list("custody")
    assert site.storage.list("lake") == []


def test_a_table_of_another_revision_is_refused_with_the_remedy(site: Site) -> None:
    key = lake.TABLES["tags"][0]
    schema = lake.TAGS.with_metadata({"inland_table": "tags", "inland_revision": "99"})
    lance.write_dataset(schema.empty_table(), site.storage.uri(key))
    with pytest.raises(SiteError, match="schema revision 99") as caught:
        lake.scan(site, "tags")
    assert "version of Inland" in caught.value.remedy


def test_data_are_synced_before_the_version_that_names_them(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real_sync, real_commit = os.fsync, lance.LanceDataset.commit
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.readlink(f"/proc/self/fd/{fd}")), real_sync(fd)))

    def commit(*arguments: object, **named: object) -> object:
        synced.append("COMMIT")
        return real_commit(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(lance.LanceDataset, "commit", staticmethod(commit))
    for n in (1, 2):  # the first write makes the table, the second adds to it
        synced.clear()
        lake.add_clips(site, [clip(n)])
        at = synced.index("COMMIT")
        assert any("/data/" in name for name in synced[:at])
        assert any("/_versions/" in name for name in synced[at:])
        assert any(name.endswith("/_versions") for name in synced[at:])


def test_a_first_write_that_was_killed_before_its_commit_leaves_an_empty_table(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(lance.LanceDataset, "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            lake.add_clips(site, [clip(1)])
    assert lake.clips(site) == []
    assert lake.add_clips(site, [clip(1)]) == 1


def test_a_full_disk_adds_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.add_clips(site, [clip(1)])

    def full(*_: object, **__: object) -> None:
        raise OSError("LanceError(IO): Generic LocalFileSystem error: No space left on device (os error 28)")

    with monkeypatch.context() as patch:
        patch.setattr(lake, "write_fragments", full)
        with pytest.raises(NoSpace, match="disk is full"):
            lake.add_clips(site, [clip(2)])
    assert [c.id for c in lake.clips(site)] == ["clip001"]


def test_many_small_commits_are_merged_and_keep_their_rows(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake, "COMPACT_ABOVE", 4)
    monkeypatch.setattr(lake, "INDEX_ABOVE", 8)
    for n in range(12):
        lake.add_clips(site, [clip(n)])
    dataset = lance.dataset(site.storage.uri("lake/clips.lance"))
    assert len(dataset.get_fragments()) <= 5
    for _ in range(2):  # makes the index, then brings it up to date
        lake.compact(site, "clips")
        lake.add_clips(site, [clip(20)])
        assert lake.scan(site, "clips", ["id"])["id"].to_pylist() == [f"clip{n:03d}" for n in [*range(12), 20]]
        assert lake.existing(site, "clips", ["clip003", "clip020", "x"]) == {"clip003", "clip020"}


READ = """
import sys
from inland import lake
from inland.site import open_site
site = open_site(sys.argv[1])
seen = 0
print("ready", flush=True)
while seen < 30:
    clips = lake.clips(site)
    ids = [c.id for c in clips]
    assert len(clips) >= seen and len(clips) % 3 == 0, ids  # whole commits, never fewer
    assert ids == [f"clip{n:03d}" for n in range(len(ids))], ids
    seen = len(clips)
print("done")
"""


def test_readers_see_whole_commits_while_a_writer_writes(site: Site) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(lake.__file__).parents[1])}
    reader = subprocess.Popen(
        [sys.executable, "-c", READ, site.root], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == "ready\n"
    for n in range(0, 30, 3):
        lake.add_clips(site, [clip(n), clip(n + 1), clip(n + 2)])
    assert reader.communicate(timeout=60)[0] == "done\n"
