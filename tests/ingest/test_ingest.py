"""Ingest: one door; what is good comes in whole and once, what is not goes to quarantine with its reason."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from make_logs import START_NS, STEP_NS, copy, cut, write_mcap, write_tub, write_udacity
from mcap.writer import CompressionType

from inland import lake
from inland.clip import ALL_CLASSES, CLIP_NS, FUTURE_NS, Clip
from inland.errors import BadInput, NoSpace
from inland.ingest import IngestResult, ingest
from inland.site import Site, init_site
from inland.video import decode_clip


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return init_site(tmp_path / "site", "cn")


def quarantine(site: Site) -> list[dict[str, str]]:
    keys = [key for key in site.storage.list("quarantine") if key.endswith("reason.json")]
    return [json.loads(site.storage.get(key)) for key in keys]


def pictures(site: Site, clip: Clip, camera: str) -> int:
    index = [c.name for c in clip.rig.cameras].index(camera)
    return len(list(decode_clip(site.storage.get(lake.media_key(clip.media)), index)))


def test_a_drive_becomes_clips_of_at_most_ten_seconds_without_losing_a_frame(site: Site, tmp_path: Path) -> None:
    log = write_mcap(tmp_path / "d.mcap", 23.0, triggers={150: "hard_brake"})
    result = ingest(site, [log])
    clips = lake.clips(site)
    assert [c.id for c in clips] == list(result.committed)
    assert [(c.end_ns - c.start_ns) / 1e9 for c in clips] == [10.0, 10.0, 3.0]
    for camera in ("front", "left"):
        times = np.concatenate([c.frame_t_ns[camera] for c in clips])
        assert times.tolist() == [START_NS + n * STEP_NS for n in range(230)]
        assert [pictures(site, c, camera) for c in clips] == [100, 100, 30]
    for clip in clips:
        assert clip.end_ns - clip.start_ns <= CLIP_NS
        speed = clip.signals["speed_mps"].t_ns
        assert speed[0] <= clip.start_ns
        assert speed[-1] == min(clip.end_ns + FUTURE_NS, START_NS + 229 * STEP_NS)
    assert [[t.name for t in c.triggers] for c in clips] == [[], ["hard_brake"], []]
    assert len({c.drive for c in clips}) == 1
    assert site.storage.list("landing") == []


def test_a_clip_knows_its_origin_and_hides_vehicle_and_place(site: Site, tmp_path: Path) -> None:
    ingest(site, [write_mcap(tmp_path / "d.mcap", 2.0, vehicle="LSVAA49J132047371")])
    (clip,) = lake.clips(site)
    assert clip.origins == ("cn",)
    assert clip.classes == ALL_CLASSES  # no declaration
    assert clip.vehicle.startswith("vehicle-")
    assert clip.place.startswith("place-")
    row = repr(clip)
    assert "LSVAA49J132047371" not in row
    assert "31.2" not in row
    positions = lake.scan(site, "positions").to_pylist()
    assert [p["id"] for p in positions] == [clip.id]
    assert positions[0]["latitude_deg"][0] == 31.2
    assert site.storage.list("custody")


def test_only_a_valid_declaration_takes_classes_away(site: Site, tmp_path: Path) -> None:
    from inland.border.keys import declare

    said = declare(site, vehicle="car 7", start_ns=START_NS, absent=("faces", "plates"), facts={"world": "town"})
    ingest(site, [write_mcap(tmp_path / "a.mcap", 1.0, declaration=said)])
    (clip,) = lake.clips(site)
    assert clip.classes == ("persons", "places", "trajectory", "imagery")
    assert clip.notes["declared world"] == "town"
    forged = {**said, "signatures": [{**said["signatures"][0], "sig": "AAAA"}]}
    other = declare(site, vehicle="car 8", absent=("faces",))
    ingest(site, [write_mcap(tmp_path / "b.mcap", 1.0, declaration=forged, seed=50)])
    ingest(site, [write_mcap(tmp_path / "c.mcap", 1.0, declaration=other, seed=100)])
    assert sorted(len(c.classes) for c in lake.clips(site)) == [4, 6, 6]
    assert ["declared world" in c.notes for c in lake.clips(site)].count(True) == 1


def test_the_same_log_twice_is_already_there_wherever_it_lies(site: Site, tmp_path: Path) -> None:
    log = write_mcap(tmp_path / "d.mcap", 12.0)
    first = ingest(site, [log])
    before = lake.version(site, "clips")
    again = ingest(site, [log, copy(log, tmp_path / "elsewhere" / "x.mcap")])
    assert again.committed == ()
    assert again.already_there == first.committed  # each once
    assert lake.version(site, "clips") == before
    # The memory of what came in is no more than that: the rows decide.
    site.storage.remove_tree("stations")
    assert ingest(site, [log]).already_there == first.committed


def test_a_log_without_video_becomes_clips_of_signals(site: Site, tmp_path: Path) -> None:
    ingest(site, [write_mcap(tmp_path / "d.mcap", 0.0, cameras={}, extra_signal_s=25.0)])
    clips = lake.clips(site)
    assert [(c.media, c.media_bytes, c.rig.cameras) for c in clips] == [("", 0, ())] * 3
    assert [len(c.signals["speed_mps"].t_ns) for c in clips] == [141, 141, 50]


def test_drives_with_equal_pictures_share_media_and_keep_their_own_rows(site: Site, tmp_path: Path) -> None:
    for n in range(2):
        later = START_NS + n * 3_600_000_000_000
        write_mcap(tmp_path / "logs" / f"{n}.mcap", 11.0, time_of=lambda k, later=later: later + k * STEP_NS)
    ingest(site, [tmp_path / "logs"], processes=1)
    clips = lake.clips(site)
    assert len({c.id for c in clips}) == 4
    assert len({c.media for c in clips}) == len(site.storage.list("media")) == 2


def test_equal_logs_have_equal_clips_at_every_site(tmp_path: Path) -> None:
    log = write_mcap(tmp_path / "d.mcap", 12.0)
    found = []
    for name in ("a", "b"):
        made = init_site(tmp_path / name, "cn")
        ingest(made, [log])
        found.append([(c.id, c.drive, c.media) for c in lake.clips(made)])
    assert found[0] == found[1]


def test_a_tub_3_ms_apart_is_quarantined_and_comes_in_with_a_declared_rate(site: Site, test_data: Path) -> None:
    result = ingest(site, [test_data / "donkeycar_tub"])
    assert result.committed == ()
    (bad,) = result.quarantined
    assert bad.kind == "implausible clock"
    assert "3 ms apart" in bad.reason
    assert "--assume-fps" in bad.remedy
    assert len(quarantine(site)) == 1
    result = ingest(site, [test_data / "donkeycar_tub"], assume_fps=20)
    assert result.quarantined == ()
    clips = lake.clips(site)
    assert [len(c.frame_t_ns["camera"]) for c in clips] == [200] * 5
    assert {c.clock for c in clips} == {"declared"}
    assert clips[0].notes["clock"] == "declared: 20 frames a second"
    assert quarantine(site) == []
    assert site.storage.list("quarantine") == []


def test_real_udacity_rows_come_in(site: Site, test_data: Path, tmp_path: Path) -> None:
    # The first 20 s: all of it is a matter of the benchmark.
    rows = (test_data / "udacity_sim" / "driving_log.csv").read_text().splitlines()[:241]
    (tmp_path / "driving_log.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "IMG").symlink_to(test_data / "udacity_sim" / "IMG")
    result = ingest(site, [tmp_path / "driving_log.csv"])
    clips = lake.clips(site)
    assert len(result.committed) == len(clips) == 2
    assert sum(len(c.frame_t_ns["center"]) for c in clips) == 240
    assert pictures(site, clips[1], "right") == len(clips[1].frame_t_ns["right"])


def bad_clock(n: int) -> int:
    return START_NS + n * STEP_NS - (20 * STEP_NS if n >= 15 else 0)


def broken(camera: str, n: int, data: bytes) -> bytes:
    return data[:6] + b"\xa5" * 50 if n == 17 else data


@pytest.mark.parametrize(
    ("make", "kind", "says"),
    [
        (lambda folder: write_mcap(folder / "d.mcap", 3.0, time_of=bad_clock), "clock jumps back", "frame 15 is"),
        (lambda folder: write_mcap(folder / "d.mcap", 3.0, spoil=broken), "does not decode", ""),
        (lambda folder: write_mcap(folder / "d.mcap", 12.0, gop=500), "key frames too far apart", ""),
        (lambda folder: cut(write_mcap(folder / "d.mcap", 1.0), 0.05), "empty log", "cut before"),
        (lambda folder: write_tub(folder / "tub", 300, period_ms=3), "implausible clock", "3 ms apart"),
    ],
    ids=["clock jumps back", "does not decode", "no key frames", "nothing whole", "implausible clock"],
)
def test_a_bad_log_is_quarantined_with_its_reason_and_the_good_one_beside_it_comes_in(
    site: Site, tmp_path: Path, make: Callable[[Path], Path], kind: str, says: str
) -> None:
    make(tmp_path / "logs" / "bad")
    write_mcap(tmp_path / "logs" / "good" / "g.mcap", 2.0, seed=9)
    result = ingest(site, [tmp_path / "logs"], processes=1)
    assert len(result.committed) == lake.count(site, "clips") == 1
    (bad,) = result.quarantined
    assert bad.kind == kind
    assert bad.reason.startswith(kind)
    assert says in bad.reason
    assert bad.remedy
    (entry,) = quarantine(site)
    assert entry["path"] == bad.path
    assert entry["reason"] == bad.reason
    assert site.storage.list("landing") == []
    assert len(site.storage.list("media")) == 1


def test_a_repaired_tub_leaves_quarantine(site: Site, tmp_path: Path) -> None:
    tub = write_tub(tmp_path / "tub", 20)
    lost = tub / "images" / "3_cam_image_array_.jpg"
    data = lost.read_bytes()
    lost.unlink()
    (bad,) = ingest(site, [tub]).quarantined
    assert "3_cam_image_array_.jpg" in bad.reason
    packed = next(key for key in site.storage.list("quarantine") if key.endswith(".tar"))
    with tarfile.open(fileobj=BytesIO(site.storage.get(packed))) as archive:
        assert "manifest.json" in archive.getnames()
    assert ingest(site, [tub]).quarantined[0].reason == bad.reason  # tried again, one entry
    assert len(quarantine(site)) == 1
    lost.write_bytes(data)
    assert len(ingest(site, [tub]).committed) == 1
    assert quarantine(site) == []


class Teller:
    """Progress that remembers."""

    def __init__(self) -> None:
        self.done: list[tuple[float, float]] = []
        self.said: list[str] = []

    def __call__(self, done: float, total: float, what: str) -> None:
        self.done.append((done, total))

    def say(self, line: str) -> None:
        self.said.append(line)


def test_a_cut_log_gives_what_is_whole_and_says_so(site: Site, tmp_path: Path) -> None:
    log = write_mcap(tmp_path / "d.mcap", 25.0)
    whole = init_site(tmp_path / "other", "cn")
    complete = ingest(whole, [log]).committed
    teller = Teller()
    result = ingest(site, [cut(log, 0.6)], progress=teller)
    assert result.in_part == {str(log): "truncated: it ends early; what was whole came in"}
    assert teller.said == [f"{log} came in in part: truncated: it ends early; what was whole came in"]
    assert teller.done[-1] == (1, 1)
    assert result.committed[0] == complete[0]
    clips = lake.clips(site)
    assert 120 <= sum(len(c.frame_t_ns["front"]) for c in clips) <= 160
    assert "every whole chunk" in clips[0].notes["cut"]
    assert {c.drive for c in clips} == {c.drive for c in lake.clips(whole)}


def test_a_cut_log_and_the_whole_one_are_one_set_of_clips_in_either_order(tmp_path: Path) -> None:
    whole = write_mcap(tmp_path / "whole.mcap", 25.0)
    part = cut(copy(whole, tmp_path / "cut" / "d.mcap"), 0.6)
    alone = init_site(tmp_path / "alone", "cn")
    wanted = ingest(alone, [whole]).committed
    for n, order in enumerate(([part, whole], [whole, part], [tmp_path])):
        site = init_site(tmp_path / f"site{n}", "cn")
        for path in order:
            ingest(site, [path])
        assert {clip.id for clip in lake.clips(site)} == set(wanted)
        assert ingest(site, [whole]).already_there == wanted
        assert ingest(site, [part]).already_there == wanted[: len(ingest(alone, [part]).already_there)]


def test_a_shorter_clip_stays_readable_for_the_dataset_that_holds_it(site: Site, tmp_path: Path) -> None:
    whole = write_mcap(tmp_path / "whole.mcap", 25.0)
    first = ingest(site, [cut(copy(whole, tmp_path / "cut" / "d.mcap"), 0.6)]).committed
    ingest(site, [whole])
    assert set(first) - {clip.id for clip in lake.clips(site)}
    assert set(first) <= {clip.id for clip in lake.clips(site, superseded=True)}


def test_one_recording_with_two_declared_rates_does_not_mix(site: Site, tmp_path: Path) -> None:
    tub = write_tub(tmp_path / "tub", 300, period_ms=3)
    at_20 = ingest(site, [tub], assume_fps=20).committed
    at_10 = ingest(site, [tub], assume_fps=10).committed
    assert {clip.id for clip in lake.clips(site)} == {*at_20, *at_10}


@pytest.mark.parametrize("compression", [CompressionType.NONE, CompressionType.ZSTD])
def test_one_damaged_chunk_costs_its_own_frames_and_is_named(
    site: Site, tmp_path: Path, compression: CompressionType
) -> None:
    log = write_mcap(tmp_path / "d.mcap", 12.0, compression=compression)
    data = bytearray(log.read_bytes())
    chunks = [n for n, record in enumerate(_chunk_bodies(bytes(data)))]
    at = _chunk_bodies(bytes(data))[len(chunks) // 2]
    data[at + 40 : at + 60] = bytes(20)
    log.write_bytes(data)
    result = ingest(site, [log])
    assert result.quarantined == ()
    (reason,) = result.in_part.values()
    assert reason.startswith("damaged in part: chunk ")
    assert "near byte" in reason
    clips = lake.clips(site)
    assert len({clip.drive for clip in clips}) == 1
    frames = sum(len(clip.frame_t_ns["front"]) for clip in clips)
    assert 95 <= frames < 120  # up to the next key frame, a second on
    assert all(pictures(site, clip, "front") == len(clip.frame_t_ns["front"]) for clip in clips)
    for clip in clips:  # no clip hides what is missing
        assert np.all(np.diff(clip.frame_t_ns["front"]) <= 3 * STEP_NS)


def _chunk_bodies(data: bytes) -> list[int]:
    """Where the compressed records of each chunk begin (https://mcap.dev/spec, opcode 6)."""
    at, found = 8, []
    while at + 9 <= len(data) - 8:
        length = int.from_bytes(data[at + 1 : at + 9], "little")
        if data[at] == 6:
            body = at + 9 + 8 + 8 + 8 + 4
            found.append(body + 4 + int.from_bytes(data[body : body + 4], "little") + 8)
        at += 9 + length
    return found


def test_a_gap_splits_clips_and_a_long_one_the_drive(site: Site, tmp_path: Path) -> None:
    def time_of(n: int) -> int:
        return START_NS + n * STEP_NS + (2_000_000_000 if n >= 20 else 0) + (60_000_000_000 if n >= 40 else 0)

    ingest(site, [write_mcap(tmp_path / "d.mcap", 6.0, time_of=time_of)])
    clips = sorted(lake.clips(site), key=lambda c: c.start_ns)
    assert [len(c.frame_t_ns["front"]) for c in clips] == [20, 20, 20]
    assert [len(c.frame_t_ns["left"]) for c in clips] == [20, 20, 20]
    assert clips[0].drive == clips[1].drive != clips[2].drive


def test_an_empty_folder_is_bad_input_and_leaves_the_site_as_it_was(site: Site, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="no log found"):
        ingest(site, [tmp_path / "empty"])
    assert site.storage.list("lake") == []


def test_a_rate_that_no_camera_has_is_refused(site: Site, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not a frame rate"):
        ingest(site, [write_tub(tmp_path / "tub", 3)], assume_fps=1000)


def test_a_full_disk_keeps_what_came_in_before_and_nothing_half_written(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mcap(tmp_path / "logs" / "a.mcap", 2.0)
    write_mcap(tmp_path / "logs" / "b.mcap", 2.0, seed=5)
    from inland import landing

    real, count = landing.mux, 0

    def full(*arguments: object) -> bytes:
        nonlocal count
        count += 1
        if count > 1:
            monkeypatch.setattr(Path, "write_bytes", no_space)
        return real(*arguments)  # type: ignore[arg-type]

    def no_space(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(landing, "mux", full)
    with pytest.raises(NoSpace, match="disk is full") as caught:
        ingest(site, [tmp_path / "logs"], processes=1)
    assert lake.count(site, "clips") == 1
    assert isinstance(caught.value.so_far, IngestResult)
    assert caught.value.so_far.committed == tuple(clip.id for clip in lake.clips(site))
    assert site.storage.list("landing") == []
    monkeypatch.undo()
    result = ingest(site, [tmp_path / "logs"])
    assert (len(result.committed), len(result.already_there)) == (1, 1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a small disk needs the right to mount one")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_disk_that_fills_up_anywhere_keeps_whole_clips_and_the_rest_comes_in_later(
    small_disk: Path, tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    for n in range(4):
        write_mcap(logs / f"{n}.mcap", 30.0, seed=50 * n, cameras={"front": (64, 48)})
    write_tub(logs / "tub", 300, period_ms=3)
    for n, filled_kb in enumerate(range(2300, 2900, 250)):
        site = init_site(small_disk / str(n), "cn")
        (small_disk / "fill").write_bytes(bytes(filled_kb * 1000))
        with pytest.raises(NoSpace, match="disk is full"):
            ingest(site, [logs], processes=1)
        clips = lake.clips(site)
        assert all(pictures(site, clip, "front") == len(clip.frame_t_ns["front"]) for clip in clips)
        (small_disk / "fill").unlink()
        result = ingest(site, [logs], processes=1)
        assert len(result.committed) + len(clips) == lake.count(site, "clips") == 12
        assert len(result.quarantined) == len(quarantine(site)) == 1
        assert site.storage.list("scratch") == site.storage.list("landing") == []
        shutil.rmtree(small_disk / str(n))


KILLED = """
import importlib, os, signal, sys
from inland.ingest import ingest
from inland.site import open_site

where, name, call = sys.argv[3], sys.argv[4], int(sys.argv[5])
importlib.import_module("inland.ingest").BATCH_LOGS = 1
module = importlib.import_module(where)
owner = module.Storage if where == "inland.storage" else module
real, count = getattr(owner, name), 0

def deadly(*arguments, **named):
    global count
    count += 1
    if count == call:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **named)

setattr(owner, name, deadly)
ingest(open_site(sys.argv[1]), [sys.argv[2]], processes=1)
"""


def rows(site: Site) -> list[dict[str, object]]:
    # Pseudonyms differ between sites by design.
    found = lake.scan(site, "clips").drop_columns(["vehicle", "place"]).to_pylist()
    return found + lake.scan(site, "positions").to_pylist()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Site]:
    folder = tmp_path_factory.mktemp("undisturbed")
    for n in range(3):
        write_mcap(folder / "logs" / f"{n}.mcap", 11.0, seed=50 * n)
    site = init_site(folder / "site", "cn")
    ingest(site, [folder / "logs"], processes=1)
    return folder / "logs", site


@pytest.mark.parametrize(
    ("module", "name", "call"),
    [
        ("inland.storage", "stage", 4),  # media of the second log half staged
        ("inland.storage", "put_file", 4),  # media of the second log half stored
        ("inland.lake", "append", 3),  # before the second log's positions
        ("inland.lake", "append", 4),  # before the second log's rows
        ("inland.lake", "write_fragments", 4),  # within that commit
        ("inland.station", "keep", 2),  # rows there, not yet remembered
    ],
)
def test_killed_anywhere_and_run_again_the_tables_are_the_same(
    undisturbed: tuple[Path, Site], tmp_path: Path, module: str, name: str, call: int
) -> None:
    logs, other = undisturbed
    site = init_site(tmp_path / "site", "cn")
    command = [sys.executable, "-c", KILLED, site.root, str(logs), module, name, str(call)]
    environment = {**os.environ, "PYTHONPATH": str(Path(lake.__file__).parents[1])}
    run = subprocess.run(command, env=environment, check=False)
    assert run.returncode == -signal.SIGKILL
    assert 0 < lake.count(site, "clips") < 6
    ingest(site, [logs], processes=1)
    assert rows(site) == rows(other)
    assert site.storage.list("media") == other.storage.list("media")
    assert site.storage.list("landing") == []


def test_two_processes_give_the_same_rows_as_one(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    for n in range(3):
        write_mcap(logs / f"{n}.mcap", 3.0, seed=50 * n)
    write_udacity(logs / "track", 20)
    found = []
    for processes in (1, 2):
        site = init_site(tmp_path / str(processes), "cn")
        ingest(site, [logs], processes=processes)
        found.append(rows(site))
    assert found[0] == found[1]
    assert len(found[0]) == 4 + 3
