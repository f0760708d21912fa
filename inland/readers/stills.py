"""What the formats that keep one picture a file have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inland.checks import check_present, implausible_clock
from inland.clip import Camera, EncodedFrame
from inland.errors import LogRejected
from inland.video import picture_size


def frames_of(
    pictures: Mapping[str, Sequence[tuple[int, Path]]],
) -> Callable[[str], Iterator[EncodedFrame]]:
    """``Drive.frames`` over files: per camera (t_ns, file) in order."""

    def frames(camera: str) -> Iterator[EncodedFrame]:
        for t_ns, path in pictures[camera]:
            yield EncodedFrame(t_ns=t_ns, data=path.read_bytes(), codec="jpeg", key=True)

    return frames


def all_present(pictures: Mapping[str, Sequence[Path]], place: str) -> None:
    """Raise LogRejected('missing pictures') naming the first one."""
    # One listing per folder: a check per file is slow for long logs.
    folders = {path.parent for paths in pictures.values() for path in paths}
    there = {folder: {entry.name for entry in folder.iterdir()} if folder.is_dir() else set() for folder in folders}
    missing = {name: [p for p in paths if p.name not in there[p.parent]] for name, paths in pictures.items()}
    first = next((paths[0].name for paths in missing.values() if paths), "")
    counts = {name: len(paths) for name, paths in missing.items()}
    check_present(counts, sum(len(paths) for paths in pictures.values()), first, place)


def camera_of(name: str, picture: Path) -> Camera:
    """A camera of which the log tells nothing but its pictures' size."""
    try:
        frame = EncodedFrame(t_ns=0, data=picture.read_bytes(), codec="jpeg", key=True)
        width_px, height_px = picture_size(frame)
    except LogRejected as error:
        error.place, error.remedy = picture.name, "only JPEG pictures are read; convert others"
        raise
    except OSError as error:
        raise LogRejected(
            "missing pictures", f"{error.strerror}", place=str(picture), remedy="copy the whole log again"
        ) from error
    return Camera(name=name, width_px=width_px, height_px=height_px)


def settle_clock(t_ns: NDArray[np.int64] | None, count: int, assume_fps: float | None) -> tuple[NDArray[np.int64], str]:
    """The frame times (N,) to use, and 'recorded' or 'declared'.

    Recorded times are kept where they are plausible, or where nobody declares a rate (the check then rejects
    them). None means that the log has no times at all.
    """
    if t_ns is not None and (assume_fps is None or not implausible_clock(t_ns)):
        return t_ns, "recorded"
    if assume_fps is None:
        raise LogRejected(
            "no clock",
            "neither the log nor its picture names hold times",
            remedy="give the true frame rate with --assume-fps, if you know it",
        )
    start = int(t_ns[0]) if t_ns is not None and len(t_ns) else 0
    return start + np.round(np.arange(count) * (1e9 / assume_fps)).astype(np.int64), "declared"
