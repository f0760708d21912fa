"""The order in which samples are drawn, and a thread that reads ahead.

The order of samples is a pure function of (seed, epoch), and a position in it is two integers: a killed run
goes on in mid-epoch, on any number of ranks, with exactly the samples that it would have seen.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from inland.errors import TrainingError

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Position:
    """Where in the stream of samples the next batch begins."""

    epoch: int = 0
    offset: int = 0


def epoch_rows(rows: NDArray[np.int64], weight: NDArray[np.float32], seed: int, epoch: int) -> NDArray[np.int64]:
    """The samples of one epoch in their order: row ``r`` comes ``weight[r]`` times on average.

    The whole part of a weight is taken always, its fraction by a coin; then all are shuffled. A pure function
    of its arguments.
    """
    rng = np.random.default_rng([seed, epoch])
    whole = np.floor(weight[rows]).astype(np.int64)
    times = whole + (rng.random(len(rows)) < weight[rows] - whole)
    return rng.permutation(np.repeat(rows, times))


def stream(
    rows: NDArray[np.int64], weight: NDArray[np.float32], seed: int, batch: int, position: Position
) -> Iterator[tuple[NDArray[np.int64], Position]]:
    """Batches of row numbers from ``position`` on, without end, each with the position after it.

    An epoch's last batch is filled from the next epoch. Raises TrainingError where there is nothing to draw.
    """
    if len(rows) == 0 or float(weight[rows].sum()) <= 0:
        raise TrainingError(
            "no frame to train on: none has a target, a first camera and its history",
            remedy="look at the dataset's make-up; ingest logs that fit the recipe",
        )
    epoch, offset = position.epoch, position.offset
    order = epoch_rows(rows, weight, seed, epoch)
    while True:
        parts: list[NDArray[np.int64]] = []
        need = batch
        while need:
            part = order[offset : offset + need]
            parts.append(part)
            need -= len(part)
            offset += len(part)
            if need:
                epoch, offset = epoch + 1, 0
                order = epoch_rows(rows, weight, seed, epoch)
        yield np.concatenate(parts), Position(epoch, offset)


def prefetch(batches: Iterator[Item], ahead: int = 2) -> Generator[Item, None, None]:
    """Run an iterator in one background thread, ``ahead`` items before its use; errors come out here.

    A thread and no worker processes: reading releases the interpreter's lock, nothing is pickled, and there is
    nothing that could hang. Closing the generator ends the thread.
    """
    waiting: queue.Queue[tuple[str, Any]] = queue.Queue(maxsize=ahead)
    ended = threading.Event()

    def put(kind: str, item: Any) -> bool:
        while not ended.is_set():
            try:
                waiting.put((kind, item), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in batches:
                if not put("item", item):
                    return
            put("end", None)
        except BaseException as error:  # handed over whole, whatever it is
            put("error", error)

    thread = threading.Thread(target=work, name="inland-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            kind, item = waiting.get()
            if kind == "error":
                raise item
            if kind == "end":
                return
            yield item
    finally:
        ended.set()
        thread.join()
