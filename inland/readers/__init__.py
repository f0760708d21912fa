"""Log formats: each file here turns one format into drives.

A reader is a module with ``FORMAT``, ``find(folder_files) -> logs`` and ``read(log, assume_fps) -> drives``. It
recognises its logs by content, streams frames, and raises `LogRejected` for a log that it cannot read.
"""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from inland.clip import Drive
from inland.errors import BadInput

FORMATS = ("mcap", "donkeycar", "udacity")


class Reader(Protocol):
    """What a module of this package offers."""

    FORMAT: str

    def recognise(self, path: Path) -> Path | None:
        """The log that this file belongs to as its main file (the file itself, or its folder), or None."""
        ...

    def read(self, path: Path, assume_fps: float | None = None) -> Iterator[Drive]:
        """The drives of one log. ``assume_fps`` stands in for a clock that is missing or implausible."""
        ...


@dataclass(frozen=True, slots=True, order=True)
class Log:
    """One log on disk: a file, or a folder."""

    path: str
    format: str


def find_logs(paths: Iterable[str | Path]) -> tuple[list[Log], list[str]]:
    """Every log at or below ``paths``, sorted; and those files that were named but belong to no known format.

    A folder is searched; its files that belong to no log are ignored. Raises BadInput for a path that is not
    there, and where no path holds any log.
    """
    logs: set[Log] = set()
    strangers: set[str] = set()
    given = [Path(os.path.abspath(path)) for path in paths]
    for path in given:
        if path.is_dir():
            logs.update(_below(path))
        elif path.is_file():
            log = _recognise(path)
            if log is None:
                strangers.add(str(path))
            else:
                logs.add(log)
        else:
            raise BadInput("no such file or folder", place=str(path), remedy="check the path")
    if not logs and not strangers:
        raise BadInput(
            "no log found",
            place=", ".join(str(path) for path in given),
            remedy=f"give folders or files that hold logs of a known format: {', '.join(FORMATS)}",
        )
    return sorted(logs), sorted(strangers)


def read(log: Log, assume_fps: float | None = None) -> Iterator[Drive]:
    """The drives of one log. Raises LogRejected."""
    return _reader(log.format).read(Path(log.path), assume_fps)


def files_of(log: Log) -> list[Path]:
    """The files that make up a log, sorted: what is kept of one that could not come in."""
    path = Path(log.path)
    if log.format == "udacity":
        beside = path.parent / "IMG"
        pictures = beside.iterdir() if beside.is_dir() else path.parent.glob("*.jpg")
        return [path, *sorted(picture for picture in pictures if picture.is_file())]
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    return [path]


def digest_of_log(log: Log) -> str:
    """A log's name by its content: file names and bytes, without where it lies. Hex SHA-256."""
    whole = hashlib.sha256(log.format.encode())
    base = Path(log.path) if Path(log.path).is_dir() else Path(log.path).parent
    for path in files_of(log):
        # The name of a log that is one file says nothing about what is in it.
        name = path.relative_to(base).as_posix() if path != Path(log.path) else ""
        with path.open("rb") as file:
            whole.update(f"\n{name} {hashlib.file_digest(file, 'sha256').hexdigest()}".encode())
    return whole.hexdigest()


def _reader(name: str) -> Reader:
    return cast(Reader, importlib.import_module(f"inland.readers.{name}"))


def _below(folder: Path) -> Iterator[Log]:
    for place, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            # A log may hold thousands of pictures beside its main file; they are never one.
            if not name.lower().endswith((".jpg", ".jpeg", ".png")):
                log = _recognise(Path(place, name))
                if log is not None:
                    yield log


def _recognise(path: Path) -> Log | None:
    if not path.is_file():  # a link to nowhere, a pipe: nothing that could be read to its end
        return None
    for name in FORMATS:
        main = _reader(name).recognise(path)
        if main is not None:
            return Log(path=str(main), format=name)
    return None
