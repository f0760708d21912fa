"""What a town's layout is, apart from traffic: lanes, junctions, markings, signals, signs, buildings.

Everything that does not move, in the town's local frame (ENU metres). The simulator, the camera, the expert and
the metrics read the same `Layout`; `inland.world.traffic.networks` makes one from a SUMO network file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Polyline = NDArray[np.float64]
"""(N, 2) points, metres."""


class LaneKind(StrEnum):
    """Who a lane is for."""

    DRIVE = "drive"
    TWO_WHEEL = "two_wheel"
    BUS = "bus"
    WALK = "walk"


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane: its centre line in driving direction. ``junction`` is the junction it lies in, or ''."""

    id: str
    edge: str
    index: int
    kind: LaneKind
    centre: Polyline
    width_m: float
    speed_limit_mps: float
    junction: str = ""
    successors: tuple[str, ...] = ()
    left_neighbour: str = ""
    right_neighbour: str = ""


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal head group for one approach lane and movement.

    ``stop_line`` is (2, 2). ``heads`` are (x, y, z, yaw) of the lamps that show it, yaw being where they face.
    ``lanes`` are the approach lanes that must obey it, ``via`` the junction lanes that it opens;
    ``arrow`` is 'left', 'straight', 'right' or '' (round), 'walk' for pedestrians.
    """

    id: str
    stop_line: Polyline
    heads: NDArray[np.float64]
    lanes: tuple[str, ...]
    via: tuple[str, ...]
    arrow: str = ""


@dataclass(frozen=True, slots=True)
class Marking:
    """Paint on the road: a polyline or polygon. ``style``: solid, dashed, stop, zebra, arrow, fill, waiting."""

    style: str
    points: Polyline
    width_m: float
    colour: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Sign:
    """An upright plate: centre (x, y, z), facing yaw, size, and which face is drawn on it."""

    face: str
    x_m: float
    y_m: float
    z_m: float
    yaw_rad: float
    width_m: float
    height_m: float


@dataclass(frozen=True, slots=True)
class Block:
    """A static box: building, kerb island, pole, tree crown. ``style`` picks its look."""

    style: str
    x_m: float
    y_m: float
    yaw_rad: float
    length_m: float
    width_m: float
    height_m: float
    base_m: float
    colour: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Anchor:
    """The fixed invented place of a layout's origin inside its region, WGS 84 degrees."""

    latitude_deg: float
    longitude_deg: float


@dataclass(frozen=True, slots=True)
class Layout:
    """One place of a town. ``drivable`` are polygons that the ego's corners must stay in, ``junctions`` their
    outlines by id, ``crossings`` zebra areas by id, ``surface`` what is drawn as asphalt."""

    name: str
    town: str
    anchor: Anchor
    lanes: Mapping[str, Lane]
    signals: tuple[Signal, ...]
    drivable: tuple[Polyline, ...]
    junctions: Mapping[str, Polyline]
    crossings: Mapping[str, Polyline]
    surface: tuple[Polyline, ...]
    markings: tuple[Marking, ...]
    signs: tuple[Sign, ...]
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """The ego's way through a layout: ``lanes`` in order (junction lanes included).

    ``path`` is (N, 2) at most 1 m apart, ``s_m`` its arc length, ``limit_mps`` the speed limit at each point,
    ``manoeuvres`` are (start_s_m, end_s_m, command) of each junction crossed.
    """

    lanes: tuple[str, ...]
    path: Polyline
    s_m: NDArray[np.float64]
    limit_mps: NDArray[np.float64]
    manoeuvres: tuple[tuple[float, float, int], ...]
