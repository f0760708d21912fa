from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.records import Chunk, Message, Metadata
from mcap.stream_reader import StreamReader, breakup_chunk

from inland.clip import SIGNAL_UNITS
from inland.errors import NoSpace
from inland.readers.mcap import read
from inland.video import decode_packets
from inland.world.driving.vehicle import step_vehicle
from inland.world.episode import StepRecord
from inland.world.recorder import Recorder, drive_start_ns, geodetic, quaternion
from inland.world.rendering.camera import RIG
from inland.world.state import STEP_NS, Actors, Command, Control, Ego, RouteHint, WorldState
from inland.world.towns import EpisodeSpec, episode_spec, load_layout
from inland.world.traffic.layout import Anchor

SPEC = episode_spec("town_us", "us_oak", "curves", "collect", 3)
NOBODY = Actors(
    *(np.zeros(0, t) for t in (np.int32, np.uint8, np.float32, np.float32, np.float32, np.float32)),
    size_m=np.zeros((0, 3), np.float32),
    paint=np.zeros(0, np.uint8),
    braking=np.zeros(0, np.bool_),
)


def steps(count: int, *, noisy: bool = False, seed: int = 0) -> Iterator[StepRecord]:
    rng = np.random.default_rng(seed)
    ego = Ego(12.0, -30.0, 1.0, 8.0)
    for n in range(count):
        asked = Control(0.03 * math.sin(n / 10), 0.5)
        images = {}
        for camera in RIG.cameras:
            shape = (camera.height_px, camera.width_px, 3)
            smooth = np.broadcast_to((np.arange(camera.width_px) + 3 * n)[None, :, None] % 256, shape)
            images[camera.name] = rng.integers(0, 256, shape).astype(np.uint8) if noisy else smooth.astype(np.uint8)
        yield StepRecord(
            t_ns=n * STEP_NS,
            state=WorldState(n * STEP_NS, ego, NOBODY, np.zeros(0, np.uint8)),
            images=images,
            command=asked,
            human_at_wheel=n % 7 != 0,
            shadow=Control(0.01, -1.0) if n % 2 else None,
            route=RouteHint(Command.LEFT, max(0.0, 50.0 - n)),
            triggers=("take_over",) if n == 12 else (),
        )
        ego = step_vehicle(ego, asked)


def record(output: io.BytesIO | Path, count: int = 35, spec: EpisodeSpec = SPEC, **options: bool) -> list[StepRecord]:
    done = list(steps(count, **options))
    envelope = {"payload": "e30=", "payloadType": "application/vnd.in-toto+json", "signatures": []}
    with Recorder(output, spec, vehicle="vehicle-007", release="abc123", declaration=envelope) as recorder:
        for step in done:
            recorder(step)
    return done


def chunks(data: bytes) -> list[tuple[int, list[tuple[int, bytes]]]]:
    """Where each chunk ends, and what is in it."""
    stream = io.BytesIO(data)
    found = []
    for item in StreamReader(stream, emit_chunks=True).records:
        if isinstance(item, Chunk):
            inside = [(r.log_time, r.data) for r in breakup_chunk(item) if isinstance(r, Message)]
            found.append((stream.tell(), inside))
    return found


def test_a_drive_comes_back_as_it_was_driven(tmp_path: Path) -> None:
    log = tmp_path / "drive.mcap"
    done = record(log)
    drive = next(read(log))
    start = drive_start_ns(SPEC.seed)
    times = np.array([start + s.t_ns for s in done])
    assert (drive.vehicle, drive.release, drive.cut) == ("vehicle-007", "abc123", False)
    assert drive.declaration is not None
    assert drive.declaration["payload"] == "e30="
    for camera, logged in zip(RIG.cameras, drive.rig.cameras, strict=True):
        assert logged.name == camera.name
        assert logged.focal_px == pytest.approx(camera.focal_px)
        assert logged.position_m == pytest.approx(camera.position_m)
        assert logged.rotation_rad == pytest.approx(camera.rotation_rad)
        frames = list(drive.frames(camera.name))
        np.testing.assert_array_equal([f.t_ns for f in frames], times)
        keys = [n for n, f in enumerate(frames) if f.key]
        assert max(np.diff([*keys, len(frames)])) <= 10
        for (_, picture), step in zip(decode_packets(frames), done, strict=True):
            assert np.abs(picture.astype(int) - step.images[camera.name]).mean() < 12
    assert drive.rig.wheelbase_m == pytest.approx(2.8)
    wanted = {
        "speed_mps": [s.state.ego.speed_mps for s in done],
        "curvature_1pm": [s.state.ego.curvature_1pm for s in done],
        "yaw_rate_radps": [s.state.ego.curvature_1pm * s.state.ego.speed_mps for s in done],
        "command_curvature_1pm": [s.command.curvature_1pm for s in done],
        "human_at_wheel": [s.human_at_wheel for s in done],
        "route_distance_m": [s.route.distance_m for s in done],
        "shadow_acceleration_mps2": [s.shadow.acceleration_mps2 for s in done if s.shadow],
    }
    for name, values in wanted.items():
        np.testing.assert_allclose(drive.signals[name].value, values, atol=1e-5)
    np.testing.assert_array_equal(drive.signals["speed_mps"].t_ns, times)
    np.testing.assert_array_equal(drive.signals["shadow_curvature_1pm"].t_ns, times[1::2])
    assert [(t.name, t.t_ns) for t in drive.triggers] == [("take_over", start + 12 * STEP_NS)]


def test_odometry_is_dead_reckoned_from_the_start_and_nearly_right(tmp_path: Path) -> None:
    log = tmp_path / "drive.mcap"
    done = record(log, 100)
    signals = next(read(log)).signals
    x, y = signals["odometry_x_m"].value, signals["odometry_y_m"].value
    assert (x[0], y[0]) == (0, 0)
    true = np.array([(s.state.ego.x_m - 12, s.state.ego.y_m + 30) for s in done])
    error = np.hypot(x - true[:, 0], y - true[:, 1])
    assert 0 < error[-1] < 0.01 * np.hypot(*true[-1])
    # What a hindsight label needs: 3 s of it, seen from within.
    assert np.abs(error[30:] - error[:-30]).max() < 0.15


def test_fixes_lie_where_the_layouts_anchor_says(tmp_path: Path) -> None:
    log = tmp_path / "drive.mcap"
    done = record(log, 21)
    fixes = next(read(log)).fixes
    assert fixes is not None
    np.testing.assert_array_equal(np.diff(fixes.t_ns), 200_000_000)
    anchor = load_layout(SPEC.layout).anchor
    for latitude, longitude, step in zip(fixes.latitude_deg, fixes.longitude_deg, done[::2], strict=True):
        right = geodetic(anchor, step.state.ego.x_m, step.state.ego.y_m)
        assert abs(latitude - right[0]) < 5 / 111_000
        assert abs(longitude - right[1]) < 5 / 80_000
    assert fixes.latitude_deg[0] != geodetic(anchor, 12.0, -30.0)[0]


def _earth_centred(latitude_deg: float, longitude_deg: float) -> np.ndarray:
    """Textbook WGS 84 conversion, to check the recorder's by another way."""
    a, e2 = 6378137.0, 0.00669437999014
    lat, lon = math.radians(latitude_deg), math.radians(longitude_deg)
    n = a / math.sqrt(1 - e2 * math.sin(lat) ** 2)
    return np.array(
        [n * math.cos(lat) * math.cos(lon), n * math.cos(lat) * math.sin(lon), n * (1 - e2) * math.sin(lat)]
    )


@settings(max_examples=50, deadline=None)
@given(lat=st.floats(-60, 60), lon=st.floats(-179, 179), x=st.floats(-500, 500), y=st.floats(-500, 500))
def test_local_metres_become_degrees_of_the_same_length(lat: float, lon: float, x: float, y: float) -> None:
    there = geodetic(Anchor(lat, lon), x, y)
    distance = np.linalg.norm(_earth_centred(*there) - _earth_centred(lat, lon))
    assert distance == pytest.approx(math.hypot(x, y), abs=0.1)


@settings(max_examples=50, deadline=None)
@given(roll=st.floats(-3, 3), pitch=st.floats(-1.5, 1.5), yaw=st.floats(-3, 3))
def test_a_quaternion_turns_as_roll_pitch_yaw_do(roll: float, pitch: float, yaw: float) -> None:
    from inland.clip import Camera
    from inland.world.rendering.optics import rotation

    x, y, z, w = quaternion(roll, pitch, yaw)
    turned = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    np.testing.assert_allclose(turned, rotation(Camera("c", 2, 2, rotation_rad=(roll, pitch, yaw))), atol=1e-9)


@pytest.mark.parametrize("noisy", [False, True])
def test_chunks_are_small_and_short(noisy: bool) -> None:
    output = io.BytesIO()
    record(output, 25, noisy=noisy)
    found = chunks(output.getvalue())
    assert len(found) >= 3
    for _, messages in found:
        assert sum(len(data) for _, data in messages) <= 64 * 1024
        assert messages[-1][0] - messages[0][0] < 1_000_000_000


def test_a_log_cut_anywhere_gives_back_every_whole_chunk(tmp_path: Path) -> None:
    output = io.BytesIO()
    record(output)
    data = output.getvalue()
    found = chunks(data)
    cuts = np.random.default_rng(0).integers(1000, len(data), 12).tolist()
    for cut in [*cuts, *(end for end, _ in found), *(end - 1 for end, _ in found)]:
        whole = [messages for end, messages in found if end <= cut]
        log = tmp_path / "cut.mcap"
        log.write_bytes(data[:cut])
        if not whole:
            continue
        drive = next(read(log))
        assert drive.cut
        times = {t for messages in whole for t, _ in messages}
        assert times <= set(drive.signals["speed_mps"].t_ns.tolist())
        frames = [f.t_ns for f in drive.frames("front")]
        assert frames == sorted(times)


def test_every_chunk_is_on_its_way_to_the_disk_before_the_next_begins(tmp_path: Path) -> None:
    log = tmp_path / "drive.mcap"
    recorder = Recorder(log, SPEC, vehicle="v")
    for step in steps(25):
        recorder(step)
    # The process dies here: nothing more is flushed.
    seen = next(read(log)).signals["speed_mps"].t_ns
    assert len(seen) == 20
    recorder.close(whole=False)
    assert next(read(log)).cut


def test_a_log_holds_only_what_a_production_car_knows() -> None:
    output = io.BytesIO()
    record(output, 12)
    allowed = {*SIGNAL_UNITS, "name", "note"}
    texts = []
    for item in StreamReader(io.BytesIO(output.getvalue())).records:
        if isinstance(item, Message) and item.data[:1] == b"{":
            assert json.loads(item.data).keys() <= allowed
        if isinstance(item, Metadata):
            texts.append(json.dumps(item.metadata))
        elif isinstance(item, Message):
            texts.append(item.data.decode("latin1"))
    everything = "".join(texts)
    for secret in (SPEC.scenario, SPEC.layout, SPEC.purpose, str(SPEC.seed), "expert", "actor"):
        assert secret not in everything


def test_equal_drives_give_equal_bytes_and_a_drives_time_follows_from_its_seed() -> None:
    one, two, other = io.BytesIO(), io.BytesIO(), io.BytesIO()
    record(one, 12)
    record(two, 12)
    record(other, 12, episode_spec("town_us", "us_oak", "curves", "collect", 4))
    assert one.getvalue() == two.getvalue() != other.getvalue()
    first_of_2026, last_of_2026 = 1_767_225_600_000_000_000, 1_798_761_600_000_000_000
    starts = {drive_start_ns(seed) for seed in range(200)}
    assert len(starts) == 200
    assert all(first_of_2026 <= s < last_of_2026 for s in starts)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_a_full_disk_is_said_once_and_clearly() -> None:
    with pytest.raises(NoSpace, match="disk is full"):
        Recorder("/dev/full", SPEC, vehicle="v")


def test_a_drive_that_fails_leaves_what_was_recorded(tmp_path: Path) -> None:
    log = tmp_path / "drive.mcap"

    def fail() -> None:
        with Recorder(log, SPEC, vehicle="v") as recorder:
            for step in steps(15):
                recorder(step)
            raise RuntimeError("the simulator died")

    with pytest.raises(RuntimeError):
        fail()
    drive = next(read(log))
    assert drive.cut
    assert len(drive.signals["speed_mps"].t_ns) == 10
