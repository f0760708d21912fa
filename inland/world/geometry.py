"""Plane geometry that driving needs: oriented boxes, polygons, a path and its arc length. Pure numpy.

All positions are metres in the town's local frame (ENU), all yaws counter-clockwise from east.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inland.world.state import EGO_SHAPE, Ego, WorldState

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def wrapped(angle_rad: ArrayLike) -> Floats:
    """Angles brought to (-pi, pi]."""
    angle = np.asarray(angle_rad, dtype=np.float64)
    return np.asarray(np.pi - np.mod(np.pi - angle, 2 * np.pi), dtype=np.float64)


def ego_box(ego: Ego) -> tuple[float, float, float, float, float]:
    """The ego's box as centre x, centre y, yaw, length, width."""
    ahead = EGO_SHAPE.centre_ahead_m
    return (
        ego.x_m + ahead * float(np.cos(ego.yaw_rad)),
        ego.y_m + ahead * float(np.sin(ego.yaw_rad)),
        ego.yaw_rad,
        EGO_SHAPE.length_m,
        EGO_SHAPE.width_m,
    )


def box_corners(x: ArrayLike, y: ArrayLike, yaw: ArrayLike, length: ArrayLike, width: ArrayLike) -> Floats:
    """Corners (..., 4, 2) of oriented boxes given by centre, yaw and size, front left first."""
    x, y, yaw = np.asarray(x, float), np.asarray(y, float), np.asarray(yaw, float)
    along = np.asarray(length, float)[..., None] / 2 * np.array([1.0, -1.0, -1.0, 1.0])
    across = np.asarray(width, float)[..., None] / 2 * np.array([1.0, 1.0, -1.0, -1.0])
    cos, sin = np.cos(yaw)[..., None], np.sin(yaw)[..., None]
    return np.stack([x[..., None] + along * cos - across * sin, y[..., None] + along * sin + across * cos], axis=-1)


def boxes_overlap(first: Floats, second: Floats) -> Bools:
    """Whether oriented boxes overlap, by the separating-axis theorem: exact; touching is no overlap.

    ``first`` and ``second`` are corners (..., 4, 2) that broadcast against each other; returns (...,).
    """
    separated: Bools | None = None
    for box in (first, second):
        for a, b in ((0, 1), (1, 2)):
            axis = box[..., b, :] - box[..., a, :]
            one = (first * axis[..., None, :]).sum(-1)
            two = (second * axis[..., None, :]).sum(-1)
            gap = (one.max(-1) <= two.min(-1)) | (two.max(-1) <= one.min(-1))
            separated = gap if separated is None else separated | gap
    return np.asarray(~np.asarray(separated), dtype=np.bool_)


def inside_polygon(points: Floats, polygon: Floats) -> Bools:
    """Whether points (..., 2) lie in a polygon (N, 2), by the even-odd rule."""
    x, y = points[..., 0, None], points[..., 1, None]
    x0, y0 = polygon[:, 0], polygon[:, 1]
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    straddles = (y0 > y) != (y1 > y)
    rise = np.where(y1 == y0, 1.0, y1 - y0)
    crosses = straddles & (x < x0 + (y - y0) / rise * (x1 - x0))
    return np.asarray(crosses.sum(-1) % 2 == 1, dtype=np.bool_)


def inside_any(points: Floats, polygons: tuple[Floats, ...]) -> Bools:
    """Whether points (..., 2) lie in at least one of the polygons; bounding boxes first."""
    flat = points.reshape(-1, 2)
    inside = np.zeros(len(flat), dtype=np.bool_)
    for polygon in polygons:
        low, high = polygon.min(0), polygon.max(0)
        candidates = np.flatnonzero(~inside & (flat >= low).all(-1) & (flat <= high).all(-1))
        if len(candidates):
            inside[candidates] = inside_polygon(flat[candidates], polygon)
    return inside.reshape(points.shape[:-1])


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """A path resampled at an even step, smoothed, with yaw and curvature at each point.

    ``points`` (N, 2), ``s_m``, ``yaw_rad`` (unwrapped) and ``curvature_1pm`` (N,).
    """

    points: Floats
    s_m: Floats
    yaw_rad: Floats
    curvature_1pm: Floats
    step_m: float

    @property
    def length_m(self) -> float:
        """Arc length at the path's end."""
        return float(self.s_m[-1])

    def pose(self, s_m: ArrayLike) -> tuple[Floats, Floats, Floats]:
        """x, y, yaw at arc lengths; beyond either end the path goes straight on."""
        s = np.asarray(s_m, dtype=np.float64)
        x = np.interp(s, self.s_m, self.points[:, 0])
        y = np.interp(s, self.s_m, self.points[:, 1])
        yaw = np.interp(s, self.s_m, self.yaw_rad)
        beyond = s - np.clip(s, self.s_m[0], self.s_m[-1])
        return x + beyond * np.cos(yaw), y + beyond * np.sin(yaw), yaw

    def window(self, from_s_m: float, to_s_m: float) -> tuple[int, int]:
        """Indices (first, last + 1) of the points between two arc lengths; always at least two points."""
        start, count = float(self.s_m[0]), len(self.s_m)
        first = min(max(int((from_s_m - start) / self.step_m), 0), count - 2)
        return first, min(max(int((to_s_m - start) / self.step_m) + 2, first + 2), count)

    def project(self, x_m: float, y_m: float, near_s_m: float | None = None) -> tuple[float, float]:
        """Arc length and signed offset (positive left) of the nearest point of the path.

        ``near_s_m`` restricts the search to 15 m around a known place, so that a path that comes near itself
        is not confused.
        """
        first, last = 0, len(self.s_m)
        if near_s_m is not None:
            first, last = self.window(near_s_m - 15.0, near_s_m + 15.0)
        window = self.points[first:last]
        i = first + int(np.argmin((window[:, 0] - x_m) ** 2 + (window[:, 1] - y_m) ** 2))
        yaw = float(self.yaw_rad[i])
        dx, dy = x_m - float(self.points[i, 0]), y_m - float(self.points[i, 1])
        cos, sin = float(np.cos(yaw)), float(np.sin(yaw))
        return float(self.s_m[i]) + dx * cos + dy * sin, dy * cos - dx * sin


def make_path(points: Floats, step_m: float = 0.5, smoothing_m: float = 1.5, start_m: float = 0.0) -> Path:
    """A `Path` from a polyline (N, 2): evenly resampled, its curvature smoothed over about ``smoothing_m``.

    Arc length is that of the polyline, from ``start_m`` on, so that ``s_m`` agrees with `Route.s_m`.
    """
    raw = np.asarray(points, dtype=np.float64)
    length = np.hypot(*np.diff(raw, axis=0).T)
    raw, length = raw[np.r_[True, length > 1e-6]], length[length > 1e-6]
    s_raw = np.r_[0.0, np.cumsum(length)]
    count = max(2, int(np.floor(s_raw[-1] / step_m)) + 1)
    s = np.linspace(0.0, s_raw[-1], count)
    even = np.stack([np.interp(s, s_raw, raw[:, k]) for k in (0, 1)], -1)
    step = float(s[1] - s[0])
    yaw = np.unwrap(np.arctan2(np.gradient(even[:, 1], step), np.gradient(even[:, 0], step)))
    reach = max(1, round(2 * smoothing_m / step))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / smoothing_m) ** 2)
    kernel /= kernel.sum()
    smooth = np.convolve(np.pad(yaw, reach, mode="edge"), kernel, mode="valid")
    return Path(even, s + start_m, smooth, np.gradient(smooth, step), step)


def touching(state: WorldState) -> NDArray[np.int32]:
    """Ids of the road users whose boxes overlap the ego's box now."""
    x, y, yaw, length, width = ego_box(state.ego)
    actors = state.actors
    # No box is longer than 20 m: whoever is further away cannot touch.
    near = np.flatnonzero((actors.x_m - x) ** 2 + (actors.y_m - y) ** 2 < (10.0 + length) ** 2)
    if not len(near):
        return actors.ids[:0]
    ego = box_corners(x, y, yaw, length, width)
    size = actors.size_m[near]
    boxes = box_corners(actors.x_m[near], actors.y_m[near], actors.yaw_rad[near], size[:, 0], size[:, 1])
    return actors.ids[near[boxes_overlap(ego, boxes)]]
