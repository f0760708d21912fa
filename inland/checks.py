"""What must hold of a log before it comes in. Pure: times and sizes in, a reason or nothing out."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from inland.errors import LogRejected

Times = NDArray[np.int64]

FASTEST_FPS = 240.0
"""No vehicle camera is faster; a log that says so has conversion times in place of capture times."""
GAP_PERIODS = 3.0
"""An interval of more than this many of the camera's own median periods is a gap: the drive is split there."""
MANY_GAPS = 0.1
"""A log in which more than this share of the intervals are gaps is not one continuous recording."""
DRIVE_GAP_NS = 30_000_000_000
"""After a gap as long as this, what follows is another drive."""


def implausible_clock(t_ns: Times) -> str:
    """Why these frame times (N,) cannot be capture times, or '': the median rate is above `FASTEST_FPS`."""
    if len(t_ns) < 2:
        return ""
    period_ns = float(np.median(np.diff(t_ns)))
    if period_ns >= 1e9 / FASTEST_FPS:
        return ""
    seconds = (int(t_ns[-1]) - int(t_ns[0])) / 1e9
    if period_ns <= 0:
        return f"{len(t_ns)} frames, half of them at the same time as the one before"
    return (
        f"frames lie {period_ns / 1e6:.3g} ms apart ({len(t_ns)} in {seconds:.3g} s); "
        f"no camera takes {1e9 / period_ns:.0f} a second"
    )


def check_times(t_ns: Times, what: str) -> None:
    """Raise LogRejected unless the frame times of camera ``what`` are plausible and grow strictly."""
    why = implausible_clock(t_ns)
    if why:
        raise LogRejected(
            "implausible clock", why, place=what, remedy="give the true frame rate with --assume-fps, if you know it"
        )
    steps = np.diff(t_ns)
    if np.any(steps <= 0):
        first = int(np.flatnonzero(steps <= 0)[0])
        raise LogRejected(
            "clock jumps back" if steps[first] < 0 else "clock stands still",
            f"frame {first + 1} is {-int(steps[first]) / 1e6:.3f} ms before frame {first}"
            if steps[first] < 0
            else f"frame {first + 1} has the time of frame {first}",
            place=f"{what}, {int(t_ns[first + 1])} ns",
            remedy="record again with a monotonic clock, or cut the log there",
        )


def check_signal_times(t_ns: Times, name: str) -> None:
    """Raise LogRejected where a signal's clock jumps back (equal times are allowed: the later sample wins)."""
    steps = np.diff(t_ns)
    if np.any(steps < 0):
        first = int(np.flatnonzero(steps < 0)[0])
        raise LogRejected(
            "clock jumps back",
            f"sample {first + 1} is {-int(steps[first]) / 1e6:.3f} ms before sample {first}",
            place=f"{name}, {int(t_ns[first + 1])} ns",
            remedy="record again with a monotonic clock, or cut the log there",
        )


def period(t_ns: Times) -> int:
    """The median distance of frames, ns; 100 ms for a single frame."""
    return int(np.median(np.diff(t_ns))) if len(t_ns) > 1 else 100_000_000


def segments(t_ns: Times, what: str) -> list[tuple[int, int]]:
    """Index ranges [first, last) without a gap. Raises LogRejected('too many gaps')."""
    if len(t_ns) == 0:
        return []
    steps = np.diff(t_ns)
    gaps = np.flatnonzero(steps > GAP_PERIODS * period(t_ns))
    if len(gaps) > 1 and len(gaps) > MANY_GAPS * len(steps):
        raise LogRejected(
            "too many gaps",
            f"{len(gaps)} of {len(steps)} intervals are longer than {GAP_PERIODS:g} times the median of "
            f"{period(t_ns) / 1e6:.3g} ms",
            place=what,
            remedy="find what made the recorder drop frames; a clip needs continuous video",
        )
    edges = [0, *(int(gap) + 1 for gap in gaps), len(t_ns)]
    return list(itertools.pairwise(edges))


def check_sizes(sizes: Sequence[tuple[int, int]], what: str) -> None:
    """Raise LogRejected unless all pictures (width, height) are of one size."""
    for n, size in enumerate(sizes):
        if size != sizes[0]:
            raise LogRejected(
                "picture size changes",
                f"picture {n} is {size[0]}x{size[1]}, the first {sizes[0][0]}x{sizes[0][1]}",
                place=what,
                remedy="record one size a drive, or cut the log there",
            )


def check_present(missing: Mapping[str, int], total: int, first: str, place: str) -> None:
    """Raise LogRejected naming the first missing picture. ``missing`` counts them by camera."""
    count = sum(missing.values())
    if count:
        raise LogRejected(
            "missing pictures",
            f"{count} of {total} pictures are not there, the first is {first}",
            place=place,
            remedy="copy the whole log again, with its folder of pictures",
        )
