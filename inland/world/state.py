"""What the world is at one instant: plain numbers that metrics, camera and expert all read.

Frames: the town's local frame is ENU metres from the layout's origin. A yaw is counter-clockwise from east.
The ego's pose is its rig frame: the centre of the rear axle on the ground. An actor's position is its centre.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

STEP_NS = 100_000_000
"""One world step: 0.1 s, control and camera alike."""


class Kind(IntEnum):
    """What an actor is."""

    CAR = 0
    TRUCK = 1
    BUS = 2
    SCOOTER = 3
    BICYCLE = 4
    PEDESTRIAN = 5
    OBSTACLE = 6


class Light(IntEnum):
    """What one signal shows."""

    RED = 0
    AMBER = 1
    GREEN = 2
    RED_AMBER = 3
    OFF = 4


@dataclass(frozen=True, slots=True)
class Ego:
    """The driven vehicle, in the town's local frame."""

    x_m: float
    y_m: float
    yaw_rad: float
    speed_mps: float
    acceleration_mps2: float = 0.0
    curvature_1pm: float = 0.0


@dataclass(frozen=True, slots=True)
class EgoShape:
    """The ego's box and axles. The rear axle is ``rear_overhang_m`` before the rear bumper."""

    length_m: float = 4.6
    width_m: float = 1.85
    height_m: float = 1.5
    wheelbase_m: float = 2.8
    rear_overhang_m: float = 0.95

    @property
    def centre_ahead_m(self) -> float:
        """How far the box's centre lies ahead of the rear axle."""
        return self.length_m / 2 - self.rear_overhang_m


EGO_SHAPE = EgoShape()


@dataclass(frozen=True, slots=True)
class Actors:
    """All other road users within the horizon, as columns of one length N, ordered by ``ids``.

    ``ids`` are stable over an episode, start at 1 and fit 16 bits (0 is "nothing" in an instance picture).
    ``size_m`` is length, width, height. ``paint`` is a seeded 0..255 from which the camera picks a colour.
    """

    ids: NDArray[np.int32]
    kind: NDArray[np.uint8]
    x_m: NDArray[np.float32]
    y_m: NDArray[np.float32]
    yaw_rad: NDArray[np.float32]
    speed_mps: NDArray[np.float32]
    size_m: NDArray[np.float32]
    paint: NDArray[np.uint8]
    braking: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class WorldState:
    """The world at one instant. ``signals[i]`` is the `Light` of ``layout.signals[i]``."""

    t_ns: int
    ego: Ego
    actors: Actors
    signals: NDArray[np.uint8]


class Command(IntEnum):
    """What the navigation asks of the next junction."""

    FOLLOW = 0
    LEFT = 1
    STRAIGHT = 2
    RIGHT = 3


@dataclass(frozen=True, slots=True)
class RouteHint:
    """What a car's navigation would say: the next manoeuvre and how far it is.

    ``distance_m`` counts down to where the junction begins, goes on below 0 inside it (a turn begins some metres
    in), and is capped at ``ROUTE_HORIZON_M``, where ``command`` is FOLLOW. It is no lane-level path: that would be an
    HD map.
    """

    command: Command
    distance_m: float


ROUTE_HORIZON_M = 60.0


@dataclass(frozen=True, slots=True)
class Control:
    """What a driver asks for. ``trajectory_m`` is (6, 2): rig-frame x, y every 0.5 s to 3 s, or None."""

    curvature_1pm: float
    acceleration_mps2: float
    trajectory_m: NDArray[np.float32] | None = None


TRAJECTORY_STEP_S = 0.5
TRAJECTORY_POINTS = 6
MAX_CURVATURE_1PM = 0.2
"""Turning circle of an ordinary car: radius 5 m at the rear axle."""
ACCELERATION_LIMITS_MPS2 = (-8.0, 3.0)
