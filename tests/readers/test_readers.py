"""Readers: a log is recognised by its content and read in its own units and clock, or rejected with the reason."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from hypothesis import given, settings
from hypothesis import strategies as st
from make_logs import START_NS, STEP_NS, cut, picture, write_mcap, write_tub, write_udacity
from mcap.writer import CompressionType, Writer

from inland.clip import Drive
from inland.errors import BadInput, LogRejected
from inland.readers import Log, digest_of_log, find_logs, read
from inland.video import decode_packets, encode_jpeg


def only_drive(path: Path, assume_fps: float | None = None) -> Drive:
    logs, _ = find_logs([path])
    drives = list(read(logs[0], assume_fps))
    assert len(logs) == len(drives) == 1
    return drives[0]


def test_a_folder_is_searched_and_files_of_no_log_are_ignored(tmp_path: Path) -> None:
    write_mcap(tmp_path / "a" / "drive.mcap", 1.0)
    write_tub(tmp_path / "b" / "tub", 3)
    write_udacity(tmp_path / "c" / "track", 3)
    (tmp_path / "README.md").write_text("no log")
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "table.csv").write_text("a,b,c,d,e,f,g\n1,2,3,4,5,6,7\n")
    (tmp_path / "preview.jpg").write_bytes(b"\xff\xd8")
    logs, strangers = find_logs([tmp_path])
    assert [(log.format, Path(log.path).name) for log in logs] == [
        ("mcap", "drive.mcap"),
        ("donkeycar", "tub"),
        ("udacity", "driving_log.csv"),
    ]
    assert strangers == []


def test_a_named_file_that_is_no_log_is_told_apart_from_an_ignored_one(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no log")
    assert find_logs([tmp_path / "notes.txt"]) == ([], [str(tmp_path / "notes.txt")])


def test_an_empty_folder_and_a_missing_path_are_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no log found"):
        find_logs([tmp_path])
    with pytest.raises(BadInput, match="no such file"):
        find_logs([tmp_path / "absent"])


def test_a_logs_digest_is_its_content_wherever_it_lies(tmp_path: Path) -> None:
    here = write_mcap(tmp_path / "a.mcap", 1.0)
    there = write_mcap(tmp_path / "deep" / "other.mcap", 1.0)
    assert digest_of_log(Log(str(here), "mcap")) == digest_of_log(Log(str(there), "mcap"))
    tub = write_tub(tmp_path / "tub", 3)
    before = digest_of_log(Log(str(tub), "donkeycar"))
    (tub / "images" / "1_cam_image_array_.jpg").unlink()
    assert digest_of_log(Log(str(tub), "donkeycar")) != before


def test_mcap_gives_video_signals_rig_and_places(tmp_path: Path) -> None:
    drive = only_drive(write_mcap(tmp_path / "d.mcap", 2.0, declaration={"payload": "x"}, triggers={5: "hard_brake"}))
    assert (drive.vehicle, drive.format, drive.clock, drive.cut) == ("car 7", "mcap", "recorded", False)
    assert [c.name for c in drive.rig.cameras] == ["front", "left"]
    front = drive.rig.cameras[0]
    assert (front.width_px, front.height_px, front.focal_px, front.centre_px) == (64, 48, (50, 50), (32, 24))
    assert front.position_m == (1.6, 0.0, 1.5)
    assert front.rotation_rad == pytest.approx((0, 0, 1.0))
    assert drive.rig.wheelbase_m == 2.8
    speed = drive.signals["speed_mps"]
    assert speed.t_ns.tolist() == [START_NS + n * STEP_NS for n in range(20)]
    assert speed.value[3] == pytest.approx(5.03)
    assert drive.signals["human_at_wheel"].value.tolist() == [1.0] * 20
    assert [(t.name, t.t_ns) for t in drive.triggers] == [("hard_brake", START_NS + 5 * STEP_NS)]
    assert drive.fixes is not None
    assert len(drive.fixes.t_ns) == 10
    assert drive.fixes.latitude_deg[0] == 31.2
    assert drive.declaration == {"payload": "x"}
    for camera in ("front", "left", "front"):  # frames may be read more than once
        frames = list(drive.frames(camera))
        assert [f.t_ns for f in frames] == speed.t_ns.tolist()
        assert [f.key for f in frames] == [n % 10 == 0 for n in range(20)]
        assert len(list(decode_packets(frames))) == 20


@pytest.mark.parametrize("compression", [CompressionType.ZSTD, CompressionType.LZ4])
def test_compressed_chunks_read_like_plain_ones(tmp_path: Path, compression: CompressionType) -> None:
    plain = only_drive(write_mcap(tmp_path / "a.mcap", 2.0))
    packed = only_drive(write_mcap(tmp_path / "b.mcap", 2.0, compression=compression))
    assert [f.data for f in packed.frames("left")] == [f.data for f in plain.frames("left")]
    assert np.array_equal(packed.signals["speed_mps"].value, plain.signals["speed_mps"].value)


def write_images(path: Path, codec: str) -> Path:
    """An MCAP of somebody else's: foxglove pictures on a topic of their own, times in the header alone."""
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start()
        schema = writer.register_schema("foxglove.CompressedImage", "protobuf", b"")
        channel = writer.register_channel("/sensing/front/compressed", "protobuf", schema)
        for n in range(5):
            message = CompressedImage(data=encode_jpeg(picture(n)), format=codec)
            message.timestamp.FromNanoseconds(START_NS + n * STEP_NS)
            writer.add_message(channel, 1 + n, message.SerializeToString(), 1 + n)
        writer.finish()
    return path


def test_an_mcap_of_pictures_is_read_with_the_times_of_capture(tmp_path: Path) -> None:
    drive = only_drive(write_images(tmp_path / "d.mcap", "jpeg"))
    (camera,) = drive.rig.cameras
    assert (camera.name, camera.width_px, camera.height_px, camera.focal_px) == ("sensing_front", 64, 48, None)
    assert [f.t_ns for f in drive.frames(camera.name)] == [START_NS + n * STEP_NS for n in range(5)]
    assert (drive.vehicle, drive.signals, drive.fixes, drive.rig.wheelbase_m) == ("", {}, None, None)
    with pytest.raises(LogRejected, match="unknown codec: webp"):
        only_drive(write_images(tmp_path / "e.mcap", "webp"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mcap(tmp_path_factory.mktemp("log") / "d.mcap", 3.0, chunk_size=2000)


@settings(max_examples=25, deadline=None)
@given(share=st.floats(0.2, 0.999))
def test_a_truncated_log_gives_back_every_whole_chunk(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    original = only_drive(whole)
    data = whole.read_bytes()
    path = tmp_path_factory.mktemp("cut") / "d.mcap"
    path.write_bytes(data[: int(len(data) * share)])
    drive = only_drive(path)
    assert drive.cut
    frames, complete = list(drive.frames("front")), list(original.frames("front"))
    assert [f.data for f in frames] == [f.data for f in complete[: len(frames)]]
    speed, known = drive.signals["speed_mps"], original.signals["speed_mps"]
    assert np.array_equal(speed.value, known.value[: len(speed.value)])
    # The index at the end is about a third of so small a file; the messages lie in what is before it.
    assert len(frames) >= min(30, int(30 * share) - 8)


def test_a_log_cut_before_its_first_chunk_is_empty(tmp_path: Path) -> None:
    path = cut(write_mcap(tmp_path / "d.mcap", 1.0), 0.02)
    with pytest.raises(LogRejected, match="empty log: the file was cut"):
        only_drive(path)


def test_a_flipped_byte_in_a_chunk_loses_that_chunk_alone_and_names_it(tmp_path: Path) -> None:
    path = write_mcap(tmp_path / "d.mcap", 2.0)
    whole = [frame.t_ns for frame in only_drive(path).frames("front")]
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0xFF
    path.write_bytes(bytes(data))
    drive = only_drive(path)
    assert drive.damage.startswith("chunk ")
    assert "checksum" in drive.damage
    frames = list(drive.frames("front"))
    assert 0 < len(frames) < len(whole)
    assert {frame.t_ns for frame in frames} < set(whole)
    assert len(list(decode_packets(frames))) == len(frames)


def test_a_file_that_only_is_named_like_an_mcap_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "d.mcap").write_bytes(b"something else entirely")
    with pytest.raises(LogRejected, match="not an MCAP"):
        only_drive(tmp_path / "d.mcap")


def test_a_tub_gives_steering_positive_to_the_left(tmp_path: Path) -> None:
    drive = only_drive(write_tub(tmp_path / "tub", 10))
    assert drive.signals["steering_normalised"].value.tolist() == [-0.5] * 10
    assert drive.signals["throttle_normalised"].value.tolist() == [0.25] * 10
    assert drive.signals["human_at_wheel"].value.tolist() == [1.0] * 10
    assert "sign changed" in drive.notes["steering"]
    frames = list(drive.frames("camera"))
    assert [f.t_ns - frames[0].t_ns for f in frames] == [n * 50_000_000 for n in range(10)]


def test_deleted_records_of_a_tub_stay_out(tmp_path: Path) -> None:
    tub = write_tub(tmp_path / "tub", 10)
    lines = (tub / "manifest.json").read_text().splitlines()
    index = json.loads(lines[4]) | {"deleted_indexes": [2, 3]}
    (tub / "manifest.json").write_text("\n".join([*lines[:4], json.dumps(index)]))
    (tub / "images" / "2_cam_image_array_.jpg").unlink()
    assert len(list(only_drive(tub).frames("camera"))) == 8


def test_a_tub_with_missing_pictures_names_the_first(tmp_path: Path) -> None:
    tub = write_tub(tmp_path / "tub", 10)
    for n in (4, 7):
        (tub / "images" / f"{n}_cam_image_array_.jpg").unlink()
    with pytest.raises(LogRejected, match=r"missing pictures: 2 of 10 .* 4_cam_image_array_\.jpg"):
        only_drive(tub)


def test_damaged_tubs_name_the_line(tmp_path: Path) -> None:
    tub = write_tub(tmp_path / "tub", 3)
    catalog = tub / "catalog_0.catalog"
    catalog.write_text(catalog.read_text() + "{broken\n")
    with pytest.raises(LogRejected, match="damaged catalog") as caught:
        only_drive(tub)
    assert caught.value.place.endswith("line 4")
    catalog.unlink()
    with pytest.raises(LogRejected, match="missing catalog"):
        only_drive(tub)


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize(
    "name_of",
    [
        lambda name: f"IMG/{name}",
        lambda name: f"/Users/a b/run 1/IMG/{name}",
        lambda name: f"C:\\Users\\a b\\Desktop\\IMG\\{name}",
        lambda name: f"  {name} ",
    ],
    ids=["relative", "posix", "windows", "bare with spaces"],
)
def test_udacity_logs_are_read_however_they_write_paths(tmp_path: Path, header: bool, name_of) -> None:  # type: ignore[no-untyped-def]
    drive = only_drive(write_udacity(tmp_path / "track", 6, header=header, name_of=name_of))
    assert [c.name for c in drive.rig.cameras] == ["center", "left", "right"]
    assert drive.signals["steering_normalised"].value.tolist() == [-0.25] * 6
    assert drive.signals["speed_mps"].value == pytest.approx([10.0] * 6, rel=1e-4)
    for camera in ("center", "left", "right"):
        frames = list(drive.frames(camera))
        assert [f.t_ns - frames[0].t_ns for f in frames] == [n * 84_000_000 for n in range(6)]
        assert frames[0].t_ns == 1_591_591_492_000_000_000  # 2020-06-08 04:44:52 UTC


def test_a_udacity_log_without_times_needs_a_declared_rate(tmp_path: Path) -> None:
    track = write_udacity(tmp_path / "track", 6)
    table = (track / "driving_log.csv").read_text()
    for path in sorted((track / "IMG").iterdir()):
        new = path.name.split("_")[0] + "_" + path.stem[-6:-4] + path.stem[-3:] + ".jpg"
        table = table.replace(path.name, new)
        path.rename(path.with_name(new))
    (track / "driving_log.csv").write_text(table)
    with pytest.raises(LogRejected, match="no clock") as caught:
        only_drive(track)
    assert "--assume-fps" in caught.value.remedy
    drive = only_drive(track, assume_fps=10)
    assert drive.clock == "declared"
    assert [f.t_ns for f in drive.frames("center")] == [n * 100_000_000 for n in range(6)]


def test_a_damaged_row_is_named_by_its_line(tmp_path: Path) -> None:
    track = write_udacity(tmp_path / "track", 3)
    log = track / "driving_log.csv"
    log.write_text(log.read_text() + "IMG/x.jpg,IMG/y.jpg\n")
    with pytest.raises(LogRejected, match="damaged row") as caught:
        only_drive(track)
    assert caught.value.place.endswith("line 5")


def test_the_real_udacity_rows_are_one_drive_of_two_minutes(test_data: Path) -> None:
    drive = only_drive(test_data / "udacity_sim")
    t_ns = drive.signals["speed_mps"].t_ns
    assert len(t_ns) == 1500
    assert 110e9 < t_ns[-1] - t_ns[0] < 130e9
    assert drive.signals["steering_normalised"].value[0] == pytest.approx(0.08628917)
    assert (drive.rig.cameras[0].width_px, drive.rig.cameras[0].height_px) == (320, 160)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"\xff\xfe{", "not text"),
        (b"[1, 2]", "no record"),
        (b'{"_index": "4", "cam/image_array": "4_cam_image_array_.jpg"}', "an index that is no number"),
        (b'{"_index": 4, "cam/image_array": 17}', "a picture that is no name"),
        (b'{"_index": 4, "cam/image_array": "a.jpg", "_timestamp_ms": "noon"}', "a time that is none"),
        (b'{"_index": 4, "cam/image_array": "a.jpg", "_timestamp_ms": -1e300}', "a time out of the world"),
    ],
)
def test_a_catalog_line_that_is_no_record_is_named_with_file_and_line(tmp_path: Path, line: bytes, why: str) -> None:
    tub = write_tub(tmp_path / "tub", 5)
    catalog = next(tub.glob("*.catalog"))
    lines = catalog.read_bytes().splitlines()
    catalog.write_bytes(b"\n".join([*lines[:2], line, *lines[3:]]))
    with pytest.raises(LogRejected, match="damaged catalog") as caught:
        list(read(Log(str(tub), "donkeycar")))
    assert caught.value.place.endswith(f"{catalog.name}, line 3")
    assert "KeyError" not in str(caught.value)
