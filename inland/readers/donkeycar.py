"""Donkeycar tubs, version 2: a manifest, catalogs of JSON lines, one JPEG a record.

Format: https://docs.donkeycar.com/utility/donkey/ (a manifest of five JSON lines; the fourth is the tub's
metadata, the fifth lists the catalogs and the deleted records).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from inland.clip import Drive, Rig, Signal
from inland.errors import LogRejected
from inland.readers.stills import all_present, camera_of, frames_of, settle_clock

FORMAT = "donkeycar"
CAMERA = "camera"
_IMAGE = "cam/image_array"


def recognise(path: Path) -> Path | None:
    """The tub's folder where ``path`` is its manifest (or a manifest that once was one), else None."""
    if path.name != "manifest.json":
        return None
    with path.open("rb") as file:
        head = file.read(65536)
    return path.parent if b'"cam/image_array"' in head else None


def read(path: Path, assume_fps: float | None = None) -> Iterator[Drive]:
    """The one drive of a tub. Raises LogRejected for a damaged manifest, catalog or missing pictures."""
    records = _records(path)
    if not records:
        raise LogRejected("empty log", "the tub has no records", place=str(path), remedy="record again")
    pictures = [path / "images" / Path(str(record[_IMAGE])).name for record in records]
    all_present({CAMERA: pictures}, str(path))
    stamps = [record.get("_timestamp_ms") for record in records]
    recorded = None
    if None not in stamps:
        recorded = np.array([round(float(stamp) * 1000) * 1000 for stamp in stamps], np.int64)  # type: ignore[arg-type]
    t_ns, clock = settle_clock(recorded, len(records), assume_fps)
    signals: dict[str, Signal] = {}
    for ours, theirs, sign in (
        ("steering_normalised", "user/angle", -1.0),  # theirs is positive to the right
        ("throttle_normalised", "user/throttle", 1.0),
    ):
        values = [record.get(theirs) for record in records]
        if any(isinstance(value, (int, float)) for value in values):
            signals[ours] = _signal(ours, t_ns, [_number(value, sign) for value in values])
    modes = [record.get("user/mode") for record in records]
    if any(isinstance(mode, str) for mode in modes):
        human = [float(mode == "user") if isinstance(mode, str) else np.nan for mode in modes]
        signals["human_at_wheel"] = _signal("human_at_wheel", t_ns, human)
    yield Drive(
        source=str(path),
        format=FORMAT,
        vehicle="",
        rig=Rig(cameras=(camera_of(CAMERA, pictures[0]),), steering="normalised"),
        signals=signals,
        frames=frames_of({CAMERA: list(zip((int(t) for t in t_ns), pictures, strict=True))}),
        clock=clock,
        notes={
            "steering": "user/angle, sign changed: ours is positive to the left",
            **({"clock": f"declared: {assume_fps:g} frames a second"} if clock == "declared" else {}),
        },
    )


def _records(path: Path) -> list[Mapping[str, Any]]:
    manifest = path / "manifest.json"
    try:
        lines = [json.loads(line) for line in manifest.read_text().splitlines() if line.strip()]
        index = next(line for line in lines if isinstance(line, dict) and "paths" in line)
        deleted = set(index.get("deleted_indexes", []))
        names = [Path(str(name)).name for name in index["paths"]]
    except (ValueError, StopIteration, TypeError, KeyError, OSError) as error:
        raise LogRejected(
            "damaged manifest", "it does not list the catalogs", place=str(manifest), remedy="copy the tub again"
        ) from error
    records: list[Mapping[str, Any]] = []
    for name in names:
        try:
            text = (path / name).read_bytes().decode(errors="replace")  # what is not text fails as a line, below
        except OSError as error:
            raise LogRejected(
                "missing catalog", f"{name} is not there", place=str(path), remedy="copy the tub again"
            ) from error
        for n, line in enumerate(text.splitlines(), 1):
            record = _record(line)
            if record is None:
                raise LogRejected(
                    "damaged catalog",
                    "a line is no record with an index and a picture's name",
                    place=f"{path / name}, line {n}",
                    remedy="remove the line, or copy the tub again",
                )
            if record["_index"] not in deleted and record.get(_IMAGE):
                records.append(record)
    return sorted(records, key=lambda record: int(record["_index"]))


def _record(line: str) -> Mapping[str, Any] | None:
    """A line of a catalog, or None where it is not one."""
    try:
        record = json.loads(line.rstrip("\x00 "))
    except ValueError:
        return None
    if not isinstance(record, dict) or type(record.get("_index")) is not int:
        return None
    if not isinstance(record.get(_IMAGE, ""), str):
        return None
    stamp = record.get("_timestamp_ms", 0)
    if not isinstance(stamp, (int, float)) or not 0 <= stamp < 1e15:
        return None
    return record


def _number(value: object, sign: float) -> float:
    return sign * float(value) if isinstance(value, (int, float)) else float("nan")


def _signal(name: str, t_ns: np.ndarray[Any, np.dtype[np.int64]], values: list[float]) -> Signal:
    return Signal(name=name, t_ns=t_ns, value=np.array(values, np.float32))
