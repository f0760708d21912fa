"""Who the rig can see, by geometry, where no picture is rendered: an approximation of the instance picture.

A road user is seen where it lies in a camera's field of view, covers a few pixels, and is not hidden behind
somebody at least as tall. Buildings hide nobody here; the rendered instance picture is the truth.
"""

from __future__ import annotations

from math import pi, radians, tan

import numpy as np
from numpy.typing import NDArray

from inland.world.geometry import wrapped
from inland.world.state import WorldState

SEEN_PIXELS = 6
"""A road user is seen where this many pixels of an instance picture show it."""
MEMORY_NS = 2_000_000_000
"""How long a road user that was seen counts as known."""

VIEWS = (
    (1.6, 0.0, 0.0, radians(50), 128 / tan(radians(50))),
    (1.9, 0.95, radians(140), radians(45), 64 / tan(radians(45))),
    (1.9, -0.95, radians(-140), radians(45), 64 / tan(radians(45))),
)
"""The towns' rig (camera.RIG): x, y, yaw in the rig frame, half the field of view, focal length in pixels."""


def in_sight(state: WorldState) -> NDArray[np.int32]:
    """Ids of the road users that the towns' rig sees in this state, by geometry."""
    actors, ego = state.actors, state.ego
    if not len(actors):
        return actors.ids
    cos, sin = np.cos(ego.yaw_rad), np.sin(ego.yaw_rad)
    dx, dy = actors.x_m - ego.x_m, actors.y_m - ego.y_m
    along, left = dx * cos + dy * sin, dy * cos - dx * sin
    length, width, height = actors.size_m.T.astype(float)
    relative = actors.yaw_rad - ego.yaw_rad
    seen = np.zeros(len(actors), dtype=bool)
    for x, y, yaw, half_view, focal in VIEWS:
        distance = np.maximum(np.hypot(along - x, left - y), 0.5)
        bearing = np.arctan2(left - y, along - x)
        across = length * np.abs(np.sin(relative - bearing)) + width * np.abs(np.cos(relative - bearing))
        half = np.arctan2(across / 2, distance)
        pixels = focal**2 * across * height / distance**2
        shown = (np.abs(wrapped(bearing - yaw)) - half < half_view) & (pixels >= SEEN_PIXELS) & (half < pi / 2)
        who = np.flatnonzero(shown)
        # Only a few near, tall ones can hide others.
        hiding = who[(height[who] >= 1.3) & (distance[who] < 40.0)]
        if len(hiding):
            apart = np.abs(wrapped(bearing[who, None] - bearing[hiding]))
            covered = (
                (apart + 0.6 * half[who, None] < half[hiding])
                & (distance[hiding] + 0.5 < distance[who, None])
                & (height[hiding] >= height[who, None] - 0.15)
            )
            who = who[~covered.any(1)]
        seen[who] = True
    return actors.ids[seen]


class Memory:
    """Ids seen within the last `MEMORY_NS`."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}

    def add(self, t_ns: int, ids: NDArray[np.int32]) -> frozenset[int]:
        """Take in what is seen now; return everybody who counts as known."""
        self._last.update(dict.fromkeys(ids.tolist(), t_ns))
        self._last = {i: t for i, t in self._last.items() if t_ns - t <= MEMORY_NS}
        return frozenset(self._last)
