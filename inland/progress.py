"""Progress of long work, on standard error: one line that moves in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TextIO

QUIET_S = 15.0
"""Where nobody watches a terminal, say something at most this often."""


class Progress:
    """Says how far a piece of work is. Calling it is cheap; printing is rationed.

    A station takes any callable ``progress(done, total, what)``; this is the one that prints.
    """

    def __init__(self, name: str, stream: TextIO | None = None) -> None:
        self._name = name
        self._stream = stream if stream is not None else sys.stderr
        self._tty = self._stream.isatty()
        self._last = 0.0
        self._what = ""
        self._began = time.monotonic()
        self._open = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_line()

    def __call__(self, done: float, total: float, what: str = "") -> None:
        """Say that ``done`` of ``total`` are done; ``what`` names the step."""
        now = time.monotonic()
        if what != self._what:
            self._end_line()
            self._what, self._began, self._last = what, now, 0.0
        rest = 0.2 if self._tty else QUIET_S
        if now - self._last < rest and done < total:
            return
        self._last = now
        spent = now - self._began
        left = f", {spent / done * (total - done):.0f} s left" if 0 < done < total and spent > 2 else ""
        count = f" {done:g}/{total:g}" if total else ""
        line = f"{self._name}: {what}{count} ({spent:.0f} s{left})"
        if self._tty:
            print(f"\r\x1b[2K{line}", end="", file=self._stream, flush=True)
            self._open = True
        else:
            print(line, file=self._stream, flush=True)

    def say(self, line: str) -> None:
        """Print one line of its own."""
        self._end_line()
        print(f"{self._name}: {line}", file=self._stream, flush=True)

    def _end_line(self) -> None:
        if self._open:
            print(file=self._stream, flush=True)
            self._open = False


class Stopwatch:
    """How long each station of a run took."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.stations: list[tuple[str, float]] = []

    @contextmanager
    def station(self, name: str) -> Iterator[None]:
        """Time what happens inside under ``name``."""
        began = time.monotonic()
        yield
        self.stations.append((name, round(time.monotonic() - began, 2)))

    @property
    def seconds(self) -> float:
        """Since the watch was made."""
        return round(time.monotonic() - self._began, 2)
