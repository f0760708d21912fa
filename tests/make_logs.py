"""Small real logs for tests: MCAP with H.264 as a vehicle writes it, tubs, Udacity logs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from foxglove_schemas_protobuf.CameraCalibration_pb2 import CameraCalibration
from foxglove_schemas_protobuf.CompressedVideo_pb2 import CompressedVideo
from foxglove_schemas_protobuf.FrameTransforms_pb2 import FrameTransforms
from foxglove_schemas_protobuf.LocationFix_pb2 import LocationFix
from mcap.writer import CompressionType, Writer

from inland.video import Encoder, Image, encode_jpeg

START_NS = 1_780_000_000_000_000_000
STEP_NS = 100_000_000


def picture(n: int, width_px: int = 64, height_px: int = 48, seed: int = 0) -> Image:
    """A picture that differs from its neighbours in a known way: a bright square that moves."""
    rgb = np.full((height_px, width_px, 3), 60 + seed, np.uint8)
    x = (3 * n) % (width_px - 16)
    rgb[8:24, x : x + 16] = (230, 200, 40)
    return rgb


def write_mcap(
    path: Path,
    seconds: float = 3.0,
    *,
    cameras: Mapping[str, tuple[int, int]] = {"front": (64, 48), "left": (32, 24)},
    vehicle: str = "car 7",
    declaration: Mapping[str, Any] | None = None,
    time_of: Callable[[int], int] = lambda n: START_NS + n * STEP_NS,
    spoil: Callable[[str, int, bytes], bytes] | None = None,
    seed: int = 0,
    gop: int = 10,
    extra_signal_s: float = 0.0,
    chunk_size: int = 4096,
    triggers: Mapping[int, str] | None = None,
    compression: CompressionType = CompressionType.NONE,
) -> Path:
    """One drive: frames and signals at 10 Hz, fixes at 5 Hz. ``spoil`` may change the bytes of a frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        writer = Writer(file, chunk_size=chunk_size, compression=compression)
        writer.start()
        about = {"vehicle": vehicle, "software": "test", "release": "", "wheelbase_m": "2.8", "steering": "bicycle"}
        writer.add_metadata("vehicle", about)
        if declaration is not None:
            writer.add_metadata("declaration", {"envelope": json.dumps(declaration)})
        video = writer.register_schema("foxglove.CompressedVideo", "protobuf", b"")
        fix = writer.register_schema("foxglove.LocationFix", "protobuf", b"")
        calibration = writer.register_schema("foxglove.CameraCalibration", "protobuf", b"")
        transforms = writer.register_schema("foxglove.FrameTransforms", "protobuf", b"")
        json_schemas = {
            name: writer.register_schema(f"inland.{name}", "jsonschema", b"{}")
            for name in ("Ego", "Control", "Route", "Trigger")
        }
        channel = {name: writer.register_channel(f"/camera/{name}", "protobuf", video) for name in cameras}
        topic = {
            name: writer.register_channel(f"/{name.lower()}", "json", schema) for name, schema in json_schemas.items()
        }
        gnss = writer.register_channel("/gnss", "protobuf", fix)

        def log(channel_id: int, t_ns: int, data: bytes) -> None:
            writer.add_message(channel_id, t_ns, data, t_ns)

        encoders = {name: Encoder(*size, gop=gop) for name, size in cameras.items()}
        first_ns = time_of(0)
        for name, (width, height) in cameras.items():
            message = CameraCalibration(width=width, height=height, K=[50, 0, width / 2, 0, 50, height / 2, 0, 0, 1])
            where = writer.register_channel(f"/camera/{name}/calibration", "protobuf", calibration)
            log(where, first_ns, message.SerializeToString())
        poses = FrameTransforms()
        for name in cameras:
            pose = poses.transforms.add(parent_frame_id="rig", child_frame_id=name)
            pose.translation.x, pose.translation.z = 1.6, 1.5
            pose.rotation.z, pose.rotation.w = np.sin(0.5), np.cos(0.5)
        log(writer.register_channel("/tf_static", "protobuf", transforms), first_ns, poses.SerializeToString())
        frames = round(seconds * 10)
        for n in range(frames + round(extra_signal_s * 10)):
            t_ns = time_of(n)
            ego = {"speed_mps": 5.0 + 0.01 * n, "odometry_x_m": 0.5 * n, "odometry_y_m": 0.0, "odometry_yaw_rad": 0.0}
            log(topic["Ego"], t_ns, json.dumps(ego).encode())
            log(topic["Control"], t_ns, json.dumps({"command_curvature_1pm": 0.001 * n, "human_at_wheel": 1}).encode())
            if triggers and n in triggers:
                log(topic["Trigger"], t_ns, json.dumps({"name": triggers[n], "note": "test"}).encode())
            if n >= frames:
                continue
            for name, size in cameras.items():
                for frame in encoders[name].encode(picture(n, *size, seed=seed), t_ns):
                    data = spoil(name, n, frame.data) if spoil else frame.data
                    message = CompressedVideo(data=data, format="h264", frame_id=name)
                    message.timestamp.FromNanoseconds(t_ns)
                    log(channel[name], t_ns, message.SerializeToString())
            if n % 2 == 0:
                place = LocationFix(latitude=31.2 + 1e-6 * n, longitude=121.5)
                log(gnss, t_ns, place.SerializeToString())
        writer.finish()
    return path


def write_tub(folder: Path, frames: int = 30, period_ms: int = 50) -> Path:
    """A Donkeycar tub of version 2."""
    (folder / "images").mkdir(parents=True)
    lines = []
    for n in range(frames):
        name = f"{n}_cam_image_array_.jpg"
        (folder / "images" / name).write_bytes(encode_jpeg(picture(n)))
        record = {
            "_index": n,
            "_timestamp_ms": 1_600_000_000_000 + n * period_ms,
            "cam/image_array": name,
            "user/angle": 0.5,
            "user/throttle": 0.25,
            "user/mode": "user",
        }
        lines.append(json.dumps(record))
    (folder / "catalog_0.catalog").write_text("\n".join(lines) + "\n")
    index = {"paths": ["catalog_0.catalog"], "current_index": frames, "max_len": 1000, "deleted_indexes": []}
    inputs = ["cam/image_array", "user/angle", "user/throttle", "user/mode"]
    manifest = [inputs, ["image_array", "float", "float", "str"], {}, {"created_at": 1.0}, index]
    (folder / "manifest.json").write_text("\n".join(json.dumps(line) for line in manifest) + "\n")
    return folder


def write_udacity(
    folder: Path, frames: int = 30, *, header: bool = True, name_of: Callable[[str], str] = lambda name: f"IMG/{name}"
) -> Path:
    """A Udacity simulator log at 12 Hz; ``name_of`` writes a picture's name into the table."""
    (folder / "IMG").mkdir(parents=True)
    rows = ["center,left,right,steering,throttle,brake,speed"] if header else []
    start = datetime(2020, 6, 8, 4, 44, 52, tzinfo=UTC)
    for n in range(frames):
        at = start + timedelta(milliseconds=84 * n)
        stamp = at.strftime("%Y_%m_%d_%H_%M_%S_") + f"{at.microsecond // 1000:03d}"
        names = [f"{camera}_{stamp}.jpg" for camera in ("center", "left", "right")]
        for k, name in enumerate(names):
            (folder / "IMG" / name).write_bytes(encode_jpeg(picture(n, seed=40 * k)))
        rows.append(", ".join([*(name_of(name) for name in names), "0.25", "0.5", "0", "22.36936"]))
    (folder / "driving_log.csv").write_text("\n".join(rows) + "\n")
    return folder


def cut(path: Path, share: float) -> Path:
    """Cut a file to a share of its length."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def copy(source: Path, target: Path) -> Path:
    """The same log elsewhere."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    return target
