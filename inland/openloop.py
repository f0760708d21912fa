"""Open-loop error: how far a driver's answers lie from the labels of held-out frames. It informs, it never gates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from inland.world.state import TRAJECTORY_POINTS

Floats = NDArray[np.float32]


def mean_absolute_errors(answers: Floats, targets: Floats) -> dict[str, float | None]:
    """Per output the mean absolute error over frames that have that target, None where none has.

    Both are (N, 15) as `inland.model.OUTPUTS`, in SI units; the trajectory's is the mean distance in metres over
    its points (average displacement error).
    """
    out: dict[str, float | None] = {}
    for column, name in enumerate(("curvature_1pm", "acceleration_mps2", "steering_normalised")):
        known = np.isfinite(targets[:, column])
        apart = np.abs(answers[known, column] - targets[known, column])
        out[name] = float(apart.mean(dtype=np.float64)) if known.any() else None
    apart = (answers[:, 3:] - targets[:, 3:]).reshape(-1, TRAJECTORY_POINTS, 2)
    distance = np.hypot(apart[..., 0], apart[..., 1])
    known = np.isfinite(distance)
    out["trajectory_m"] = float(distance[known].mean(dtype=np.float64)) if known.any() else None
    return out


def constant_table(commands: NDArray[np.int64], targets: Floats) -> dict[int, Floats]:
    """Mean targets of each route command, and of all as -1: (15,) each, 0 where no frame has that target.

    ``commands`` (N,) holds -1 where the command is not known.
    """
    table: dict[int, Floats] = {}
    for command in (-1, *np.unique(commands[commands >= 0]).tolist()):
        mine = targets if command == -1 else targets[commands == command]
        known = np.isfinite(mine)
        total = np.where(known, mine, 0.0).sum(0, dtype=np.float64)
        table[int(command)] = (total / np.maximum(known.sum(0), 1)).astype(np.float32)
    return table


def constant_answers(table: Mapping[int, Floats], commands: NDArray[np.int64]) -> Floats:
    """What the constant driver answers to each command, (N, 15)."""
    rows = [table.get(int(command), table[-1]) for command in commands]
    return np.stack(rows) if rows else np.zeros((0, len(table[-1])), np.float32)


def commands_of(route: Floats) -> NDArray[np.int64]:
    """The command in each route feature (N, 5), -1 where it is not known."""
    return np.where(route[:, :4].any(1), route[:, :4].argmax(1), -1).astype(np.int64)
