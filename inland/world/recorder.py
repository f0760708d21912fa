"""A town vehicle's recorder: a drive as an MCAP log, like any production car's (docs/architecture.md).

It writes what the car knows and nothing else: no scenario, no seed, no other road users. The truth stays in the
episode's own log (`EpisodeLog.to_bytes`), which only tests and metrics open. Formats: https://mcap.dev/spec,
https://docs.foxglove.dev/docs/sdk/schemas. Heavy (PyAV): import it lazily.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from foxglove_schemas_protobuf.CameraCalibration_pb2 import CameraCalibration
from foxglove_schemas_protobuf.CompressedVideo_pb2 import CompressedVideo
from foxglove_schemas_protobuf.FrameTransforms_pb2 import FrameTransforms
from foxglove_schemas_protobuf.LocationFix_pb2 import LocationFix
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from mcap.well_known import MessageEncoding, SchemaEncoding
from mcap.writer import CompressionType, Writer

from inland.clip import SIGNAL_UNITS, Camera, Rig
from inland.digest import digest_of
from inland.errors import BadInput, NoSpace, StorageError
from inland.video import Encoder
from inland.world.episode import StepRecord
from inland.world.rendering.camera import RIG
from inland.world.state import STEP_NS, Ego
from inland.world.towns import EpisodeSpec, load_layout
from inland.world.traffic.layout import Anchor

CHUNK_BYTES = 60_000
CHUNK_NS = 1_000_000_000
FIX_EVERY_NS = 200_000_000
FRAMES_PER_S = 1_000_000_000 / STEP_NS
SOFTWARE = "inland towns"

FIX_BIAS_M = 0.8
FIX_NOISE_M = 0.15
WHEEL_SCALE_ERROR = 0.001
GYRO_BIAS_RADPS = 1e-4

_2026_S = 1_767_225_600
_DAYS = 330

_JSON_TOPICS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "/ego": (
        "inland.Ego",
        (
            "speed_mps",
            "acceleration_mps2",
            "yaw_rate_radps",
            "curvature_1pm",
            "odometry_x_m",
            "odometry_y_m",
            "odometry_yaw_rad",
        ),
    ),
    "/control": (
        "inland.Control",
        ("command_curvature_1pm", "command_acceleration_mps2", "human_at_wheel"),
    ),
    "/shadow": ("inland.Shadow", ("shadow_curvature_1pm", "shadow_acceleration_mps2")),
    "/route": ("inland.Route", ("route_command", "route_distance_m")),
}


def drive_start_ns(seed: int) -> int:
    """When a town's drive starts: an instant of 2026 that follows from its seed, in ns since the epoch."""
    second = int(digest_of("drive start", seed)[:12], 16) % (_DAYS * 86_400)
    return (_2026_S + second) * 1_000_000_000


class Recorder:
    """Writes one drive; call it with every `StepRecord` of an episode, then leave its ``with`` block.

    ``output`` is a path or a binary stream. The noise of fixes and odometry and the start of the drive follow from
    ``spec.seed``; nothing else of ``spec`` but its layout's anchor reaches the log. ``declaration`` is a DSSE
    envelope, ``release`` the digest of the release that the vehicle runs. Chunks hold at most 64 KB or 1 s and
    are flushed, so that a file cut anywhere gives back every whole chunk. Raises NoSpace on a full disk.
    """

    def __init__(
        self,
        output: str | Path | IO[bytes],
        spec: EpisodeSpec,
        *,
        vehicle: str,
        release: str = "",
        declaration: Mapping[str, object] | None = None,
        rig: Rig = RIG,
        crf: int | None = None,
    ) -> None:
        self._rig = rig
        self._crf = crf
        self._start_ns = drive_start_ns(spec.seed)
        self._anchor = load_layout(spec.layout).anchor
        self._place = _Place(spec.seed)
        self._encoders: dict[str, Encoder] = {}
        self._channels: dict[str, int] = {}
        self._sequence: dict[int, int] = {}
        self._chunk_bytes = 0
        self._chunk_start_ns = 0
        self._last_fix_ns = -FIX_EVERY_NS
        self._owns = isinstance(output, (str, Path))
        self._where = str(output) if self._owns else "the stream"
        self._stream: IO[bytes] = (
            open(output, "wb")  # noqa: SIM115 (closed by close)
            if isinstance(output, (str, Path))
            else output
        )
        # Chunks are closed here, by size and by time; the writer's own limit must not interfere.
        self._writer: Any = Writer(self._stream, chunk_size=1 << 30, compression=CompressionType.ZSTD)
        try:
            self._guarded(lambda: self._begin(vehicle, release, declaration))
        except StorageError:
            self._let_go()
            raise

    def __call__(self, record: StepRecord) -> None:
        """Log one step."""
        self._guarded(lambda: self._log(record))

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(whole=kind is None)

    def close(self, *, whole: bool = True) -> None:
        """Write the index and close. Without ``whole`` the log stays as if cut: what was flushed is readable."""
        try:
            if whole:
                self._guarded(self._finish)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        if self._owns:
            # What a full disk did not take at the flush, it does not take at the close either: said once.
            with contextlib.suppress(OSError):
                self._stream.close()

    # The file

    def _begin(self, vehicle: str, release: str, declaration: Mapping[str, object] | None) -> None:
        self._writer.start(profile="", library=SOFTWARE)
        facts = {
            "vehicle": vehicle,
            "software": SOFTWARE,
            "release": release,
            "wheelbase_m": "" if self._rig.wheelbase_m is None else repr(self._rig.wheelbase_m),
            "steering": self._rig.steering,
        }
        self._writer.add_metadata("vehicle", facts)
        if declaration is not None:
            self._writer.add_metadata("declaration", {"envelope": json.dumps(declaration, sort_keys=True)})
        for topic, (name, fields) in _JSON_TOPICS.items():
            self._json_channel(topic, name, {f: {"type": "number", "description": SIGNAL_UNITS[f]} for f in fields})
        self._json_channel("/trigger", "inland.Trigger", {"name": {"type": "string"}, "note": {"type": "string"}})
        self._protobuf_channel("/gnss", LocationFix)
        self._stream.flush()

    def _finish(self) -> None:
        self._end_chunk()
        self._writer.finish()
        self._stream.flush()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoSpace(
                    "the disk is full; what was recorded before is readable",
                    place=self._where,
                    remedy="free some space and drive again",
                ) from error
            raise StorageError(f"the log cannot be written: {error}", place=self._where) from error

    def _json_channel(self, topic: str, name: str, fields: Mapping[str, object]) -> None:
        schema = {"title": name, "type": "object", "properties": fields}
        schema_id = self._writer.register_schema(
            name, SchemaEncoding.JSONSchema, json.dumps(schema, sort_keys=True).encode()
        )
        self._channels[topic] = self._writer.register_channel(topic, MessageEncoding.JSON, schema_id)

    def _protobuf_channel(self, topic: str, message: Any) -> None:
        schema_id = self._writer.register_schema(
            message.DESCRIPTOR.full_name, SchemaEncoding.Protobuf, _descriptors(message)
        )
        self._channels[topic] = self._writer.register_channel(topic, MessageEncoding.Protobuf, schema_id)

    def _add(self, topic: str, t_ns: int, data: bytes) -> None:
        full = self._chunk_bytes + len(data) + 32 > CHUNK_BYTES or t_ns - self._chunk_start_ns >= CHUNK_NS
        if self._chunk_bytes and full:
            self._end_chunk()
        if not self._chunk_bytes:
            self._chunk_start_ns = t_ns
        channel = self._channels[topic]
        number = self._sequence.get(channel, 0)
        self._sequence[channel] = number + 1
        self._writer.add_message(channel, log_time=t_ns, publish_time=t_ns, sequence=number, data=data)
        self._chunk_bytes += len(data) + 32

    def _end_chunk(self) -> None:
        # mcap's writer ends a chunk by its size alone and has no public way to end one by time.
        self._writer._Writer__finalize_chunk()
        self._stream.flush()
        self._chunk_bytes = 0

    # One step

    def _log(self, record: StepRecord) -> None:
        t_ns = self._start_ns + record.t_ns
        ego = record.state.ego
        if "/tf_static" not in self._channels and record.images:
            self._describe_cameras(t_ns, [c for c in self._rig.cameras if c.name in record.images])
        for name, rgb in record.images.items():
            self._log_picture(name, rgb, t_ns)
        x, y, yaw = self._place.odometry(ego)
        self._log_numbers(
            "/ego",
            t_ns,
            ego.speed_mps,
            ego.acceleration_mps2,
            ego.speed_mps * ego.curvature_1pm,
            ego.curvature_1pm,
            x,
            y,
            yaw,
        )
        command = record.command
        human = float(record.human_at_wheel)
        self._log_numbers("/control", t_ns, command.curvature_1pm, command.acceleration_mps2, human)
        if record.shadow is not None:
            self._log_numbers("/shadow", t_ns, record.shadow.curvature_1pm, record.shadow.acceleration_mps2)
        self._log_numbers("/route", t_ns, float(record.route.command), record.route.distance_m)
        if record.t_ns - self._last_fix_ns >= FIX_EVERY_NS:
            self._last_fix_ns = record.t_ns
            self._log_fix(t_ns, ego)
        for trigger in record.triggers:
            name, _, note = trigger.partition(":")
            self._add("/trigger", t_ns, json.dumps({"name": name, "note": note.strip()}).encode())

    def _log_numbers(self, topic: str, t_ns: int, *values: float) -> None:
        names = _JSON_TOPICS[topic][1]
        message = {name: round(float(value), 6) for name, value in zip(names, values, strict=True)}
        self._add(topic, t_ns, json.dumps(message).encode())

    def _log_picture(self, name: str, rgb: Any, t_ns: int) -> None:
        encoder = self._encoders.get(name)
        if encoder is None:
            height, width = rgb.shape[:2]
            # A key frame every second at most, so that every chunk of 1 s can be decoded.
            options = {} if self._crf is None else {"crf": self._crf}
            encoder = Encoder(width, height, fps=FRAMES_PER_S, gop=round(FRAMES_PER_S), **options)
            self._encoders[name] = encoder
            if f"/camera/{name}" not in self._channels:
                raise BadInput(
                    f"a picture of camera {name!r}, which the drive's first step did not have",
                    remedy="render the same cameras at every step",
                )
        for frame in encoder.encode(rgb, t_ns):
            video = CompressedVideo(frame_id=name, data=frame.data, format="h264")
            video.timestamp.FromNanoseconds(frame.t_ns)
            self._add(f"/camera/{name}", frame.t_ns, video.SerializeToString(deterministic=True))

    def _log_fix(self, t_ns: int, ego: Ego) -> None:
        latitude, longitude = geodetic(self._anchor, *self._place.fix(ego))
        variance = FIX_BIAS_M**2 + FIX_NOISE_M**2
        fix = LocationFix(
            frame_id="gnss",
            latitude=round(latitude, 8),
            longitude=round(longitude, 8),
            altitude=0.0,
            position_covariance=[variance, 0, 0, 0, variance, 0, 0, 0, 4 * variance],
            position_covariance_type=LocationFix.PositionCovarianceType.APPROXIMATED,
        )
        fix.timestamp.FromNanoseconds(t_ns)
        self._add("/gnss", t_ns, fix.SerializeToString(deterministic=True))

    def _describe_cameras(self, t_ns: int, cameras: list[Camera]) -> None:
        transforms = FrameTransforms()
        for camera in cameras:
            self._protobuf_channel(f"/camera/{camera.name}", CompressedVideo)
            self._protobuf_channel(f"/camera/{camera.name}/calibration", CameraCalibration)
            if camera.focal_px is not None and camera.centre_px is not None:
                message = calibration(camera)
                message.timestamp.FromNanoseconds(t_ns)
                self._add(f"/camera/{camera.name}/calibration", t_ns, message.SerializeToString(deterministic=True))
            if camera.position_m is None or camera.rotation_rad is None:
                continue
            transform = transforms.transforms.add(parent_frame_id="rig", child_frame_id=camera.name)
            transform.timestamp.FromNanoseconds(t_ns)
            at, turn = transform.translation, transform.rotation
            at.x, at.y, at.z = camera.position_m
            turn.x, turn.y, turn.z, turn.w = quaternion(*camera.rotation_rad)
        self._protobuf_channel("/tf_static", FrameTransforms)
        self._add("/tf_static", t_ns, transforms.SerializeToString(deterministic=True))


class _Place:
    """Where the vehicle believes it is: dead reckoning and fixes, each with its own small seeded error."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 41])
        self._rng = rng
        self._scale = 1.0 + float(rng.normal(0, WHEEL_SCALE_ERROR))
        self._gyro_rad = float(rng.normal(0, GYRO_BIAS_RADPS)) * STEP_NS / 1e9
        self._bias_m = rng.normal(0, FIX_BIAS_M, 2)
        self._last: Ego | None = None
        self._x_m = self._y_m = self._yaw_rad = 0.0

    def odometry(self, ego: Ego) -> tuple[float, float, float]:
        """East and north metres since the drive's start, and yaw, from wheels and gyroscope."""
        last, self._last = self._last, ego
        if last is None:
            self._yaw_rad = math.remainder(ego.yaw_rad, math.tau)
            return 0.0, 0.0, self._yaw_rad
        turn = math.remainder(ego.yaw_rad - last.yaw_rad, math.tau)
        # Wheels and gyroscope of a car at rest do not drift: the car knows that it stands.
        moved = math.hypot(ego.x_m - last.x_m, ego.y_m - last.y_m)
        turn += self._gyro_rad if moved > 1e-4 else 0.0
        # An arc's chord lies half its turn off its beginning.
        heading = self._yaw_rad + turn / 2
        self._x_m += moved * self._scale * math.cos(heading)
        self._y_m += moved * self._scale * math.sin(heading)
        self._yaw_rad += turn
        return self._x_m, self._y_m, self._yaw_rad

    def fix(self, ego: Ego) -> tuple[float, float]:
        """The town's local metres with a receiver's error: a bias for the drive and noise for each fix."""
        noise = self._rng.normal(0, FIX_NOISE_M, 2) + self._bias_m
        return ego.x_m + float(noise[0]), ego.y_m + float(noise[1])


def geodetic(anchor: Anchor, x_m: float, y_m: float) -> tuple[float, float]:
    """WGS 84 latitude and longitude, degrees, of a local ENU place near the anchor.

    By the ellipsoid's radii of curvature at the anchor (NIMA TR8350.2): good to millimetres within a town.
    """
    a, e2 = 6_378_137.0, 6.694_379_990_14e-3
    w = 1 - e2 * math.sin(math.radians(anchor.latitude_deg)) ** 2
    meridian, prime = a * (1 - e2) / w**1.5, a / math.sqrt(w)
    latitude = anchor.latitude_deg + math.degrees(y_m / meridian)
    longitude = anchor.longitude_deg + math.degrees(x_m / (prime * math.cos(math.radians(anchor.latitude_deg))))
    return latitude, longitude


def quaternion(roll: float, pitch: float, yaw: float) -> tuple[float, float, float, float]:
    """x, y, z, w of the rotation Rz(yaw) Ry(pitch) Rx(roll)."""
    cr, sr, cp, sp, cy, sy = (f(a / 2) for a in (roll, pitch, yaw) for f in (math.cos, math.sin))
    return (
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
        cr * cp * cy + sr * sp * sy,
    )


def calibration(camera: Camera) -> CameraCalibration:
    """A camera's pinhole intrinsics as foxglove has them (no distortion, no time yet)."""
    if camera.focal_px is None or camera.centre_px is None:
        raise BadInput(f"camera {camera.name!r} has no intrinsics", remedy="give it focal_px and centre_px")
    (fx, fy), (cx, cy) = camera.focal_px, camera.centre_px
    return CameraCalibration(
        frame_id=camera.name,
        width=camera.width_px,
        height=camera.height_px,
        K=[fx, 0, cx, 0, fy, cy, 0, 0, 1],
        R=[1, 0, 0, 0, 1, 0, 0, 0, 1],
        P=[fx, 0, cx, 0, 0, fy, cy, 0, 0, 0, 1, 0],
    )


def _descriptors(message: Any) -> bytes:
    """A protobuf message type with all that it builds on, as MCAP wants its schema."""
    files = FileDescriptorSet()
    seen: set[str] = set()

    def add(file: Any) -> None:
        if file.name in seen:
            return
        seen.add(file.name)
        for dependency in file.dependencies:
            add(dependency)
        file.CopyToProto(files.file.add())

    add(message.DESCRIPTOR.file)
    return bytes(files.SerializeToString(deterministic=True))
