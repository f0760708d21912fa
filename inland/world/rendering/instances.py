"""What moves or shines, as rows for instanced drawing: actors, lit lamps, and the draw commands. Pure numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inland.world.rendering.meshes import LAMP_SHAPES, NOMINAL_M, VARIANTS
from inland.world.rendering.scene import Scene
from inland.world.rendering.solids import ARROW_RADIUS_M, LAMP_RADIUS_M
from inland.world.state import EGO_SHAPE, Actors, Ego, Kind, Light

EGO_ID = 0xFFFF
"""The ego's id where it is drawn: in a view from behind."""
COMMAND_WORDS = 5
"""moderngl strides indirect commands by 20 bytes; without indices the fifth word is unused."""


def commands(count: NDArray[np.uint32], first: NDArray[np.uint32], amount: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Indirect draw commands (vertices, instances, first vertex, first instance) for instances sorted by mesh."""
    start = np.concatenate([[0], np.cumsum(amount)[:-1]])
    used = np.flatnonzero(amount)
    table = np.zeros((len(used), COMMAND_WORDS), np.uint32)
    table[:, :4] = np.stack([count[used], amount[used], first[used], start[used]], axis=1)
    return table


def joined(table: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The same draw commands with those that follow on from one another as one: each costs some microseconds."""
    if not len(table):
        return table
    count, first = table[:, 0], table[:, 2]
    begins = np.flatnonzero(np.concatenate([[True], first[1:] != first[:-1] + count[:-1]]))
    fewer = table[begins]
    fewer[:, 0] = np.add.reduceat(count, begins)
    return fewer


_CAR_PAINTS = np.array(
    [
        (0.92, 0.92, 0.92),
        (0.16, 0.17, 0.19),
        (0.62, 0.64, 0.66),
        (0.36, 0.38, 0.41),
        (0.70, 0.10, 0.09),
        (0.12, 0.25, 0.55),
        (0.85, 0.78, 0.62),
        (0.10, 0.38, 0.30),
        (0.90, 0.55, 0.12),
        (0.30, 0.55, 0.75),
    ],
    np.float32,
)
_CLOTHES = np.array(
    [
        (0.85, 0.15, 0.15),
        (0.15, 0.35, 0.80),
        (0.95, 0.80, 0.15),
        (0.90, 0.90, 0.88),
        (0.20, 0.55, 0.30),
        (0.55, 0.25, 0.60),
        (0.95, 0.50, 0.15),
        (0.20, 0.70, 0.75),
    ],
    np.float32,
)
_NOMINAL = np.array([NOMINAL_M[kind] for kind in Kind], np.float32)
_LARGE = np.isin(np.arange(len(Kind)), (Kind.CAR, Kind.TRUCK, Kind.BUS))


def instances(
    actors: Actors, ego: Ego | None = None
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
    """Actors as instance records (N, 12), their near meshes (N,), and their reach in metres (N,).

    A record is x, y, cos yaw, sin yaw; scale of length, width, height, braking; red, green, blue, id.
    An ego that is given is appended as a car of its own colour.
    """
    amount = len(actors)
    records = np.empty((amount + (ego is not None), 12), np.float32)
    kind = actors.kind.astype(np.int64)
    paint = actors.paint.astype(np.int64)
    rows = records[:amount]
    rows[:, 0] = actors.x_m
    rows[:, 1] = actors.y_m
    rows[:, 2] = np.cos(actors.yaw_rad)
    rows[:, 3] = np.sin(actors.yaw_rad)
    rows[:, 4:7] = actors.size_m / _NOMINAL[kind]
    rows[:, 7] = actors.braking
    rows[:, 8:11] = np.where(
        _LARGE[kind][:, None], _CAR_PAINTS[paint % len(_CAR_PAINTS)], _CLOTHES[paint % len(_CLOTHES)]
    )
    rows[:, 11] = actors.ids
    reach: NDArray[np.float32] = np.empty(len(records), np.float32)
    reach[:amount] = np.hypot(actors.size_m[:, 0], actors.size_m[:, 1]) / 2 + actors.size_m[:, 2]
    mesh: NDArray[np.int64] = np.empty(len(records), np.int64)
    # The second look is decided by another bit of the paint than the colour.
    mesh[:amount] = kind * VARIANTS + ((paint >> 4) & 1)
    if ego is None:
        return records, mesh, reach
    ahead = EGO_SHAPE.centre_ahead_m
    cos, sin = np.cos(ego.yaw_rad), np.sin(ego.yaw_rad)
    size = np.array([EGO_SHAPE.length_m, EGO_SHAPE.width_m, EGO_SHAPE.height_m]) / _NOMINAL[Kind.CAR]
    braking = float(ego.acceleration_mps2 < -0.5)
    records[amount] = (
        *(ego.x_m + ahead * cos, ego.y_m + ahead * sin, cos, sin),
        *(*size, braking),
        *(0.05, 0.75, 0.85, EGO_ID),
    )
    mesh[amount] = int(Kind.CAR) * VARIANTS
    reach[amount] = EGO_SHAPE.length_m
    return records, mesh, reach


_RED = (1.0, 0.05, 0.02)
_AMBER = (1.0, 0.70, 0.0)
_GREEN = (0.05, 1.0, 0.35)
_LIT: dict[int, tuple[int, ...]] = {
    Light.RED: (0,),
    Light.AMBER: (1,),
    Light.GREEN: (2,),
    Light.RED_AMBER: (0, 1),
    Light.OFF: (),
}


def lit_lamps(scene: Scene, signals: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The lamps that shine: (N, 9) x, y, z, yaw, red, green, blue, radius, index into LAMP_SHAPES."""
    rows = []
    for lamps, signal, shape in zip(scene.lamps, scene.lamp_signal, scene.lamp_shape, strict=True):
        for lamp in _LIT[int(signals[signal])]:
            # People on foot see no amber: their red man stays.
            at = 0 if shape == "walk" and lamp == 1 else lamp
            outline = LAMP_SHAPES.index(shape) if shape in LAMP_SHAPES else 0
            colour = (_RED, _AMBER, _GREEN)[at]
            radius = ARROW_RADIUS_M if outline else LAMP_RADIUS_M
            rows.append((*lamps[at], *colour, radius, outline))
    return np.array(rows, np.float32).reshape(-1, 9)
