"""MCAP logs: the towns' vehicles' (docs/architecture.md), and any other with foxglove video or pictures.

Read as a stream, so that a cut file gives back every whole chunk. Formats: https://mcap.dev/spec and
https://docs.foxglove.dev/docs/sdk/schemas.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from foxglove_schemas_protobuf.CameraCalibration_pb2 import CameraCalibration
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.CompressedVideo_pb2 import CompressedVideo
from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
from foxglove_schemas_protobuf.FrameTransforms_pb2 import FrameTransforms
from foxglove_schemas_protobuf.LocationFix_pb2 import LocationFix
from google.protobuf.message import DecodeError
from mcap.data_stream import ReadDataStream
from mcap.exceptions import EndOfFile, InvalidMagic, McapError
from mcap.records import Channel, Chunk, Footer, Message, Metadata, Schema
from mcap.stream_reader import StreamReader, get_chunk_data_stream

from inland.clip import SIGNAL_UNITS, Camera, Drive, EncodedFrame, Fixes, Rig, Signal, Trigger
from inland.errors import LogRejected
from inland.video import is_key_frame, picture_size

FORMAT = "mcap"
MAGIC = b"\x89MCAP0\r\n"
_VIDEO, _IMAGE = "foxglove.CompressedVideo", "foxglove.CompressedImage"
_MESSAGE, _CHANNEL, _SCHEMA = 0x05, 0x04, 0x03


def recognise(path: Path) -> Path | None:
    """The file itself where it begins as an MCAP (or is named like one), else None."""
    if path.suffix.lower() == ".mcap":
        return path
    with path.open("rb") as file:
        return path if file.read(len(MAGIC)) == MAGIC else None


def read(path: Path, assume_fps: float | None = None) -> Iterator[Drive]:
    """The one drive of a log. ``assume_fps`` is not used: signals and video have clocks of their own.

    Raises LogRejected for a file that is no MCAP, is damaged in its middle, or holds neither video nor signals.
    """
    found = _survey(path)
    if not found.first_frame and not found.signals:
        raise LogRejected(
            "empty log",
            "the file was cut before its first whole chunk" if found.cut else "no video and no signals that are known",
            place=str(path),
            remedy="record again; topics and schemas are listed in docs/architecture.md",
        )
    notes = {"software": found.vehicle["software"]} if found.vehicle.get("software") else {}
    if found.cut:
        notes["cut"] = "the file ends early; every whole chunk came in"
    if found.damage:
        notes["damage"] = f"{found.damage}; every whole chunk came in"
    yield Drive(
        source=str(path),
        format=FORMAT,
        vehicle=found.vehicle.get("vehicle", ""),
        rig=found.rig(),
        signals={name: found.signal(name) for name in sorted(found.signals)},
        frames=lambda camera: _frames(path, camera),
        triggers=tuple(found.triggers),
        fixes=found.fixes(),
        declaration=found.declaration,
        release=found.vehicle.get("release", ""),
        cut=found.cut,
        damage=found.damage,
        notes=notes,
    )


@dataclass
class _Survey:
    """What one pass over a log gathers: everything but the pictures."""

    first_frame: dict[str, EncodedFrame] = field(default_factory=dict)
    calibrations: dict[str, CameraCalibration] = field(default_factory=dict)
    transforms: dict[str, FrameTransform] = field(default_factory=dict)
    signals: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    triggers: list[Trigger] = field(default_factory=list)
    places: list[tuple[int, float, float]] = field(default_factory=list)
    vehicle: dict[str, str] = field(default_factory=dict)
    declaration: Mapping[str, object] | None = None
    cut: bool = False
    damage: str = ""

    def rig(self) -> Rig:
        """Cameras in the order front first, then by name; what the log does not tell is None."""
        names = sorted(self.first_frame, key=lambda name: (name != "front", name))
        wheelbase = self.vehicle.get("wheelbase_m", "")
        return Rig(
            cameras=tuple(self._camera(name) for name in names),
            wheelbase_m=_float(wheelbase),
            steering=self.vehicle.get("steering", "") or "unknown",
        )

    def _camera(self, name: str) -> Camera:
        width_px, height_px = picture_size(self.first_frame[name])
        calibration, transform = self.calibrations.get(name), self.transforms.get(name)
        focal = centre = position = rotation = None
        if calibration is not None and len(calibration.K) == 9 and calibration.K[0] > 0:
            focal = (float(calibration.K[0]), float(calibration.K[4]))
            centre = (float(calibration.K[2]), float(calibration.K[5]))
        if transform is not None:
            at, turn = transform.translation, transform.rotation
            position = (float(at.x), float(at.y), float(at.z))
            rotation = _roll_pitch_yaw(turn.x, turn.y, turn.z, turn.w)
        return Camera(name, width_px, height_px, focal, centre, position, rotation)

    def signal(self, name: str) -> Signal:
        samples = self.signals[name]
        return Signal(
            name=name,
            t_ns=np.array([t for t, _ in samples], np.int64),
            value=np.array([value for _, value in samples], np.float32),
        )

    def fixes(self) -> Fixes | None:
        if not self.places:
            return None
        return Fixes(
            t_ns=np.array([p[0] for p in self.places], np.int64),
            latitude_deg=np.array([p[1] for p in self.places], np.float64),
            longitude_deg=np.array([p[2] for p in self.places], np.float64),
        )


def _survey(path: Path) -> _Survey:
    found = _Survey()
    lost: list[_Lost] = []
    for record in _records(path, found):
        if isinstance(record, _Lost):
            lost.append(record)
            continue
        if isinstance(record, Metadata):
            if record.name == "vehicle":
                found.vehicle = dict(record.metadata)
            elif record.name == "declaration":
                found.declaration = _envelope(record.metadata)
            continue
        topic, schema, encoding, t_ns, data = record
        try:
            if encoding == "protobuf":
                _take_protobuf(found, topic, schema, t_ns, data)
            elif encoding == "json":
                _take_json(found, schema, t_ns, data)
        except (DecodeError, ValueError, TypeError) as error:
            raise LogRejected(
                "damaged message", str(error), place=f"{path}, {topic} at {t_ns} ns", remedy="record again"
            ) from error
    if lost:
        more = f", and {len(lost) - 1} more" if len(lost) > 1 else ""
        found.damage = f"chunk {lost[0].chunk} near byte {lost[0].byte}: {lost[0].why}{more}"
    return found


def _take_protobuf(found: _Survey, topic: str, schema: str, t_ns: int, data: bytes) -> None:
    if schema in {_VIDEO, _IMAGE}:
        name = _camera_name(topic)
        if name not in found.first_frame:
            frame = _frame(schema, t_ns, data, topic)
            if frame.key:
                found.first_frame[name] = frame
    elif schema == "foxglove.CameraCalibration":
        found.calibrations[_camera_name(topic)] = CameraCalibration.FromString(data)
    elif schema == "foxglove.FrameTransforms":
        for transform in FrameTransforms.FromString(data).transforms:
            found.transforms[transform.child_frame_id] = transform
    elif schema == "foxglove.FrameTransform":
        transform = FrameTransform.FromString(data)
        found.transforms[transform.child_frame_id] = transform
    elif schema == "foxglove.LocationFix":
        fix = LocationFix.FromString(data)
        found.places.append((t_ns, fix.latitude, fix.longitude))


def _take_json(found: _Survey, schema: str, t_ns: int, data: bytes) -> None:
    message = json.loads(data)
    if not isinstance(message, dict):
        return
    if schema == "inland.Trigger":
        note = str(message.get("note", ""))
        found.triggers.append(Trigger(name=str(message.get("name", "")), t_ns=t_ns, note=note))
        return
    for name, value in message.items():
        if name in SIGNAL_UNITS:
            number = float("nan") if value is None else float(value)
            found.signals.setdefault(name, []).append((t_ns, number))


def _frames(path: Path, camera: str) -> Iterator[EncodedFrame]:
    """One camera's frames, from its first key frame on, and from the next one on after a damaged chunk: what lies
    before a key frame cannot be decoded."""
    begun = False
    for record in _records(path, None, camera):
        if isinstance(record, _Lost):
            begun = False
            continue
        if isinstance(record, Metadata):
            continue
        topic, schema, _, t_ns, data = record
        try:
            frame = _frame(schema, t_ns, data, topic)
        except DecodeError as error:
            raise LogRejected(
                "damaged message", str(error), place=f"{path}, {topic} at {t_ns} ns", remedy="record again"
            ) from error
        begun = begun or frame.key
        if begun:
            yield frame


def _frame(schema: str, t_ns: int, data: bytes, topic: str) -> EncodedFrame:
    if schema == _VIDEO:
        video = CompressedVideo.FromString(data)
        codec = video.format.lower()
        if codec != "h264":
            raise _unknown_codec(codec, topic)
        payload = bytes(video.data)
        return EncodedFrame(_stamp(video, t_ns), payload, "h264", is_key_frame(payload))
    image = CompressedImage.FromString(data)
    if image.format.lower() not in {"jpeg", "jpg"}:
        raise _unknown_codec(image.format, topic)
    return EncodedFrame(_stamp(image, t_ns), bytes(image.data), "jpeg", True)


_Record = tuple[str, str, str, int, bytes]  # topic, schema, encoding, log time, data


@dataclass(frozen=True, slots=True)
class _Lost:
    """A chunk (counted from 0) that lies whole in the file and cannot be read, and where it ends in it."""

    chunk: int
    byte: int
    why: str


def _records(path: Path, found: _Survey | None, camera: str | None = None) -> Iterator[_Record | Metadata | _Lost]:
    """Messages and metadata in the file's order; with ``camera`` that camera's pictures alone.

    A file that ends early ends here without an error, and is noted in ``found.cut``. A chunk that cannot be read
    is passed over and named: its neighbours are none the worse for it.
    """
    chunks = 0
    schemas: dict[int, str] = {0: ""}
    channels: dict[int, tuple[str, str, str]] = {}
    wanted: set[int] = set()
    ended = False

    def learn(record: Schema | Channel) -> None:
        if isinstance(record, Schema):
            schemas[record.id] = record.name
            return
        schema = schemas.get(record.schema_id, "")
        channels[record.id] = (record.topic, schema, record.message_encoding)
        pictures = schema in {_VIDEO, _IMAGE} and record.message_encoding == "protobuf"
        if camera is None or (pictures and _camera_name(record.topic) == camera):
            wanted.add(record.id)

    with path.open("rb") as file:
        try:
            for record in StreamReader(file, emit_chunks=True).records:
                if isinstance(record, Chunk):
                    chunks += 1
                    try:
                        data = _chunk_data(record)
                    except _UnreadableChunk as error:
                        yield _Lost(chunks - 1, file.tell(), str(error))
                        continue
                    for inner in _chunk(data, wanted):
                        if isinstance(inner, Message):
                            yield (*channels[inner.channel_id], inner.log_time, inner.data)
                        else:
                            learn(inner)
                elif isinstance(record, (Schema, Channel)):
                    learn(record)
                elif isinstance(record, Message):
                    if record.channel_id in wanted:
                        yield (*channels[record.channel_id], record.log_time, record.data)
                elif isinstance(record, Metadata):
                    yield record
                ended = ended or isinstance(record, Footer)
        except InvalidMagic as error:
            if not ended:
                raise LogRejected(
                    "not an MCAP", "the file does not begin as one", place=str(path), remedy="copy it again"
                ) from error
        except (EndOfFile, struct.error) as error:  # the library raises either where a record is short
            if file.read(1):
                raise _damaged(path, f"a record near byte {file.tell()} does not parse") from error
        except (McapError, UnicodeDecodeError) as error:
            raise _damaged(path, str(error)) from error
    if found is not None:
        found.cut = not ended


class _UnreadableChunk(Exception):
    """Stays in this file: a chunk whose bytes do not decompress or are not those that were written."""


def _chunk_data(chunk: Chunk) -> bytes:
    try:
        stream, length = get_chunk_data_stream(chunk)
        data = bytes(stream.read(length))
    except Exception as error:  # each compression library raises its own
        raise _UnreadableChunk(f"it does not decompress ({type(error).__name__})") from error
    if chunk.uncompressed_crc and zlib.crc32(data) != chunk.uncompressed_crc:
        raise _UnreadableChunk("its checksum does not match")
    return data


def _chunk(data: bytes, wanted: set[int]) -> Iterator[Message | Schema | Channel]:
    """The records of one chunk; messages of other channels are passed over without being parsed."""
    position = 0
    while position + 9 <= len(data):
        opcode = data[position]
        size = int.from_bytes(data[position + 1 : position + 9], "little")
        body = data[position + 9 : position + 9 + size]
        position += 9 + size
        if opcode == _MESSAGE:
            if int.from_bytes(body[:2], "little") in wanted:
                yield Message.read(ReadDataStream(BytesIO(body)), len(body))
        elif opcode == _SCHEMA:
            yield Schema.read(ReadDataStream(BytesIO(body)))
        elif opcode == _CHANNEL:
            yield Channel.read(ReadDataStream(BytesIO(body)))


def _camera_name(topic: str) -> str:
    """``/camera/front`` and ``/camera/front/calibration`` are camera ``front``; other topics name themselves."""
    parts = [part for part in topic.split("/") if part]
    if len(parts) >= 2 and parts[0] == "camera":
        return parts[1]
    if parts and parts[-1] in {"calibration", "camera_info", "compressed", "image", "video"}:
        parts = parts[:-1] or parts
    return "_".join(parts) or "camera"


def _stamp(message: Any, log_time: int) -> int:
    """The capture time where the message has one, else when it was logged."""
    at = message.timestamp
    return int(at.seconds) * 1_000_000_000 + int(at.nanos) or log_time


def _envelope(metadata: Mapping[str, str]) -> Mapping[str, object] | None:
    """A DSSE envelope, kept as JSON in one of the record's values."""
    for value in metadata.values():
        try:
            envelope = json.loads(value)
        except ValueError:
            continue
        if isinstance(envelope, dict) and "payload" in envelope:
            return envelope
    return None


def _float(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _roll_pitch_yaw(x: float, y: float, z: float, w: float) -> tuple[float, float, float]:
    """A unit quaternion as roll, pitch, yaw (rotations about x, then y, then z of the fixed frame)."""
    roll = math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    pitch = math.asin(max(-1.0, min(1.0, 2 * (w * y - z * x))))
    yaw = math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    return roll, pitch, yaw


def _unknown_codec(codec: str, topic: str) -> LogRejected:
    return LogRejected(
        "unknown codec", f"{codec or 'none named'}", place=topic, remedy="record H.264 (Annex B) or JPEG pictures"
    )


def _damaged(path: Path, why: str) -> LogRejected:
    return LogRejected("damaged file", why, place=str(path), remedy="copy the log again from the vehicle")
