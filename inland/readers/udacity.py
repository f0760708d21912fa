"""Logs of the Udacity self-driving-car simulator: ``driving_log.csv`` and a folder of pictures.

Columns: centre, left and right picture, steering (-1..1, positive to the right), throttle, brake, speed (mph).
The clock is in the pictures' names, local time without a zone; it is read as UTC.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inland.clip import Drive, Rig, Signal
from inland.errors import LogRejected
from inland.readers.stills import all_present, camera_of, frames_of, settle_clock

FORMAT = "udacity"
CAMERAS = ("center", "left", "right")
MPS_PER_MPH = 0.44704
_TIME = re.compile(r"(\d{4})_(\d\d)_(\d\d)_(\d\d)_(\d\d)_(\d\d)_(\d{3})\.\w+$")
_PICTURE = re.compile(r"\.(jpe?g|png)$", re.IGNORECASE)


def recognise(path: Path) -> Path | None:
    """The file itself where it is such a log: seven columns, pictures and numbers, with or without a header."""
    if path.suffix.lower() != ".csv":
        return None
    with path.open("rb") as file:
        head = file.read(4096).decode(errors="replace").lstrip("\ufeff")
    lines = head.splitlines()[:2]
    rows = list(csv.reader(lines, skipinitialspace=True))
    if not rows or len(rows[0]) != 7:
        return None
    if [cell.strip().lower() for cell in rows[0][:4]] == ["center", "left", "right", "steering"]:
        return path
    return path if _is_data(rows[0]) else None


def read(path: Path, assume_fps: float | None = None) -> Iterator[Drive]:
    """The one drive of a log. Raises LogRejected for a damaged row or missing pictures."""
    rows = _rows(path)
    if not rows:
        raise LogRejected("empty log", "it has no rows", place=str(path), remedy="record again")
    cameras = [n for n, _ in enumerate(CAMERAS) if any(row[n] for row in rows)]
    pictures = {CAMERAS[n]: [_picture(path, row[n]) for row in rows] for n in cameras}
    all_present(pictures, str(path))
    times = {name: _times(paths) for name, paths in pictures.items()}
    main = CAMERAS[cameras[0]]
    clocks = {name: settle_clock(times[name], len(rows), assume_fps) for name in pictures}
    t_ns, clock = clocks[main]
    table = np.array([[float(cell) for cell in row[3:]] for row in rows], np.float64)
    columns = {
        "steering_normalised": -table[:, 0],
        "throttle_normalised": table[:, 1],
        "brake_normalised": table[:, 2],
        "speed_mps": table[:, 3] * MPS_PER_MPH,
    }
    with np.errstate(over="ignore"):  # a number too large for a float is no measurement: `landing` masks it
        values32 = {name: values.astype(np.float32) for name, values in columns.items()}
    declared = {"clock": f"declared: {assume_fps:g} frames a second"} if clock == "declared" else {}
    yield Drive(
        source=str(path),
        format=FORMAT,
        vehicle="",
        rig=Rig(cameras=tuple(camera_of(name, paths[0]) for name, paths in pictures.items()), steering="normalised"),
        signals={name: Signal(name=name, t_ns=t_ns, value=values) for name, values in values32.items()},
        frames=frames_of(
            {name: list(zip((int(t) for t in clocks[name][0]), paths, strict=True)) for name, paths in pictures.items()}
        ),
        clock=clock,
        notes={
            "steering": "sign changed: ours is positive to the left",
            "speed": "from miles an hour",
            **(declared or {"clock": "from the pictures' names, local time without a zone"}),
        },
    )


def _rows(path: Path) -> list[list[str]]:
    """Data rows: three picture names (as written) and four numbers."""
    rows = []
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        for n, cells in enumerate(csv.reader(file, skipinitialspace=True), 1):
            row = [cell.strip() for cell in cells]
            if not any(row) or (n == 1 and not _is_data(row)):
                continue
            if not _is_data(row):
                raise LogRejected(
                    "damaged row",
                    "expected three pictures and four numbers",
                    place=f"{path}, line {n}",
                    remedy="remove the line, or copy the log again",
                )
            rows.append(row)
    return rows


def _is_data(row: Sequence[str]) -> bool:
    if len(row) != 7 or not any(_PICTURE.search(cell.strip()) for cell in row[:3]):
        return False
    try:
        return all(np.isfinite(float(cell)) for cell in row[3:])
    except ValueError:
        return False


def _picture(log: Path, written: str) -> Path:
    """Where a picture lies. Logs name it absolutely on the machine that recorded, POSIX or Windows, or not at
    all by folder: only its own name counts, in ``IMG`` beside the log or beside the log itself."""
    name = re.split(r"[/\\]", written)[-1]
    beside = log.parent / "IMG"
    return beside / name if beside.is_dir() else log.parent / name


def _times(pictures: Sequence[Path]) -> NDArray[np.int64] | None:
    times = []
    for picture in pictures:
        found = _TIME.search(picture.name)
        if not found:
            return None
        year, month, day, hour, minute, second, ms = (int(part) for part in found.groups())
        try:
            moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        except ValueError:
            return None
        times.append(int(moment.timestamp()) * 1_000_000_000 + ms * 1_000_000)
    return np.array(times, np.int64)
