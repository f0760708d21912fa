"""A town's flat ground as coloured triangles: pavement, kerbs, asphalt and all that is painted on it. Pure numpy.

A ground triangle's vertex is x, y, sideways x, y, colour (7). It lies at x, y moved sideways; the camera moves it
further where a thin line would be lost between pixels.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inland.world.traffic.layout import Lane, LaneKind, Layout, Marking, Polyline

Triangles = NDArray[np.float32]
Colour = tuple[float, float, float]

GRASS: Colour = (0.36, 0.47, 0.24)
PAVEMENT: Colour = (0.62, 0.60, 0.57)
KERB: Colour = (0.80, 0.79, 0.76)
ASPHALT: Colour = (0.29, 0.29, 0.31)

KERB_WIDTH_M = 0.3
DASH_M = 3.0
DASH_GAP_M = 3.0
ZEBRA_STRIPE_M = 0.5
ARROW_DRAWN_OUT = 2.0
SMOOTH_M = 0.03
"""How far a drawn line may lie beside the layout's."""


class Layer(NamedTuple):
    """Triangles (T, 3, columns) that are drawn together; ``fine`` ones are left out where they are too far to see."""

    triangles: Triangles
    fine: bool = False


def ground_layers(layout: Layout) -> list[Layer]:
    """The ground's layers in the order in which a painter would paint them."""
    lanes = layout.lanes.values()
    pavement = [_ribbon(lane.centre, lane.width_m + 1.0, PAVEMENT) for lane in lanes if _is_pavement(lane)]
    kerbs = [_ribbon(np.vstack([p, p[:1]]), 2 * KERB_WIDTH_M, KERB) for p in layout.surface]
    surface = [_polygon(p, ASPHALT) for p in layout.surface]
    fills = [_marking(m) for m in layout.markings if m.style == "fill"]
    lines = [_marking(m) for m in layout.markings if m.style != "fill"]
    return [
        Layer(stacked(pavement, 7), fine=True),
        Layer(stacked(kerbs, 7), fine=True),
        Layer(stacked(surface, 7)),
        Layer(stacked(fills, 7), fine=True),
        Layer(stacked(lines, 7), fine=True),
    ]


def _is_pavement(lane: Lane) -> bool:
    return lane.kind is LaneKind.WALK and not lane.junction


def _marking(marking: Marking) -> Triangles:
    points = np.asarray(marking.points, np.float64)
    style, width, colour = marking.style, marking.width_m, marking.colour
    if style == "zebra":
        return _zebra(points, width, colour)
    if style == "arrow":
        return _arrow(points, width, colour)
    if style == "fill" and len(points) > 2:
        return _polygon(points, colour)
    if style in ("dashed", "waiting"):
        closed = np.vstack([points, points[:1]]) if style == "waiting" and len(points) > 2 else points
        step = (DASH_M, DASH_GAP_M) if style == "dashed" else (1.0, 0.8)
        return stacked([_ribbon(dash, width, colour, line=True) for dash in dashes(closed, *step)], 7)
    return _ribbon(points, width, colour, line=True)


def dashes(points: Polyline, dash_m: float, gap_m: float) -> list[Polyline]:
    """Cut a polyline into pieces ``dash_m`` long with gaps between, from its start."""
    s = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    pieces = []
    for start in np.arange(0.0, s[-1], dash_m + gap_m):
        end = min(start + dash_m, s[-1])
        if end - start < 0.1:
            continue
        at = np.concatenate([[start], s[(s > start) & (s < end)], [end]])
        pieces.append(np.stack([np.interp(at, s, points[:, 0]), np.interp(at, s, points[:, 1])], axis=1))
    return pieces


def _ribbon(points: Polyline, width_m: float, colour: Colour, *, line: bool = False) -> Triangles:
    """A band along a polyline, mitred at its bends, as (T, 3, 7) triangles; a ``line`` never gets too thin to see."""
    points = np.asarray(points, np.float64)[:, :2]
    keep = np.concatenate([[True], np.linalg.norm(np.diff(points, axis=0), axis=1) > 1e-6])
    points = simplified(points[keep], SMOOTH_M)
    if len(points) < 2:
        return np.zeros((0, 3, 7), np.float32)
    along = np.diff(points, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    closed = len(points) > 3 and bool(np.allclose(points[0], points[-1]))
    before = np.vstack([along[-1:] if closed else along[:1], along])
    after = np.vstack([along, along[:1] if closed else along[-1:]])
    tangent = before + after
    length = np.linalg.norm(tangent, axis=1, keepdims=True)
    tangent = np.where(length > 1e-3, tangent / np.maximum(length, 1e-3), after)
    # A mitre grows as 1 / cos(half the bend); past 60 degrees it is cut.
    stretch = 1 / np.maximum(np.sum(tangent * after, axis=1, keepdims=True), 0.5)
    left = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1) * stretch * width_m / 2
    a, b = np.hstack([points, left]), np.hstack([points, -left])
    quads = np.stack([b[:-1], b[1:], a[1:], b[:-1], a[1:], a[:-1]], axis=1).reshape(-1, 3, 4)
    if not line:
        quads = np.concatenate([quads[..., :2] + quads[..., 2:], np.zeros_like(quads[..., :2])], axis=2)
    return _coloured(quads, colour)


def simplified(points: Polyline, tolerance_m: float) -> Polyline:
    """The polyline (N, 2) without the points that lie within ``tolerance_m`` of the rest (Douglas and Peucker)."""
    return points[_needed(points, tolerance_m)]


def _needed(points: Polyline, tolerance_m: float) -> NDArray[np.bool_]:
    """Which points of a polyline a simpler one must keep."""
    kept = np.zeros(len(points), np.bool_)
    kept[[0, -1]] = True
    todo = [(0, len(points) - 1)]
    while todo:
        start, end = todo.pop()
        if end - start < 2:
            continue
        between = points[start + 1 : end] - points[start]
        chord = points[end] - points[start]
        length = float(np.linalg.norm(chord))
        # Where a ring closes there is no chord: its farthest point splits it.
        away = np.abs(_cross(chord, between)) / length if length > 1e-6 else np.linalg.norm(between, axis=1)
        farthest = start + 1 + int(np.argmax(away))
        if away.max() > tolerance_m:
            kept[farthest] = True
            todo += [(start, farthest), (farthest, end)]
    return kept


def _zebra(points: Polyline, width_m: float, colour: Colour) -> Triangles:
    """Stripes along the traffic over a crossing: a polygon, or a polyline (the walking line) ``width_m`` wide."""
    if len(points) == 2:
        middle, along = points.mean(axis=0), points[1] - points[0]
        length, depth = float(np.linalg.norm(along)), max(width_m, 2.5)
    else:
        edges = np.diff(np.vstack([points, points[:1]]), axis=0)
        along = edges[np.argmax(np.linalg.norm(edges, axis=1))]
        unit = along / np.linalg.norm(along)
        u, v = points @ unit, points @ np.array([-unit[1], unit[0]])
        length, depth = float(np.ptp(u)), float(np.ptp(v))
        middle = unit * (u.max() + u.min()) / 2 + np.array([-unit[1], unit[0]]) * (v.max() + v.min()) / 2
    unit = along / np.linalg.norm(along)
    across = np.array([-unit[1], unit[0]]) * depth / 2
    stripes = max(1, int(length / (2 * ZEBRA_STRIPE_M)))
    offsets = (np.arange(stripes) - (stripes - 1) / 2) * (length / stripes)
    lines = [np.stack([middle + unit * at - across, middle + unit * at + across]) for at in offsets]
    return stacked([_ribbon(line, length / stripes / 2, colour, line=True) for line in lines], 7)


def _arrow(points: Polyline, width_m: float, colour: Colour) -> Triangles:
    """An arrow painted along a polyline, its head at the last point; ``width_m`` is the head's width.

    The head is drawn out along the lane, as on real roads, since it is seen at a grazing angle.
    """
    lane = (points[1] - points[0]) / (np.linalg.norm(points[1] - points[0]) + 1e-9)
    along = points[-1] - points[-2]
    unit = along / (np.linalg.norm(along) + 1e-9)
    back, side = (
        v + (ARROW_DRAWN_OUT - 1) * (v @ lane) * lane
        for v in (unit * width_m, np.array([-unit[1], unit[0]]) * width_m * 0.6)
    )
    neck = points[-1] - back
    # A last piece shorter than the head has no shaft of its own.
    has_shaft = float(along @ along) > float(back @ back)
    shaft = np.vstack([points[:-1], neck]) if has_shaft else np.vstack([points[:-2], points[-2] + along / 4])
    parts = [_coloured(np.array([[neck + side, neck - side, points[-1]]]), colour)]
    parts.append(_ribbon(shaft, width_m * 0.35, colour, line=True))
    return stacked(parts, 7)


def _polygon(points: Polyline, colour: Colour) -> Triangles:
    points = np.asarray(points, np.float64)[:, :2]
    rungs = _strip(points)
    return _coloured(triangulate(points) if rungs is None else rungs, colour)


def _strip(points: Polyline) -> NDArray[np.float64] | None:
    """A polygon that runs along one edge and back along the other, point for point, as triangles (T, 3, 2).

    None where it is no such strip. Slices across a strip are drawn faster than the long splinters that clipped
    ears leave.
    """
    if len(points) % 2 or len(points) < 4:
        return None
    left, right = points[: len(points) // 2], points[len(points) // 2 :][::-1]
    keep = _needed(left, SMOOTH_M) | _needed(right, SMOOTH_M)
    a, b = left[keep], right[keep]
    quads = np.stack([b[:-1], b[1:], a[1:], b[:-1], a[1:], a[:-1]], axis=1).reshape(-1, 3, 2)
    signed = _cross(quads[:, 1] - quads[:, 0], quads[:, 2] - quads[:, 0])
    whole = points[:, 0] @ np.roll(points[:, 1], -1) - np.roll(points[:, 0], -1) @ points[:, 1]
    alike = bool((signed > 0).all() or (signed < 0).all())
    return quads if alike and abs(abs(signed.sum()) - abs(whole)) < 0.02 * abs(whole) else None


def triangulate(points: Polyline) -> NDArray[np.float64]:
    """Cut a simple polygon (N, 2), either way round, into triangles (T, 3, 2) by clipping ears."""
    points = np.asarray(points, np.float64)
    if len(points) > 1 and np.allclose(points[0], points[-1]):
        points = points[:-1]
    x, y = points[:, 0], points[:, 1]
    if np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) < 0:
        points = points[::-1]
    ring = list(range(len(points)))
    triangles = []
    while len(ring) > 3:
        at = _next_ear(points, ring)
        triangles.append(points[[ring[at - 1], ring[at], ring[(at + 1) % len(ring)]]])
        del ring[at]
    triangles.append(points[ring])
    return np.array(triangles)


def _next_ear(points: Polyline, ring: list[int]) -> int:
    """A corner of the ring that can be cut off; where rounding leaves none, the most convex one."""
    corner = points[ring]
    before, after = np.roll(corner, 1, axis=0), np.roll(corner, -1, axis=0)
    bend = _cross(corner - before, after - corner)
    for at in (int(k) for k in np.flatnonzero(bend > 1e-12)):
        near = [(at - 1) % len(ring), int(at), (at + 1) % len(ring)]
        others = np.delete(corner, near, axis=0)
        a, b, c = before[at], corner[at], after[at]
        inside = (
            (_cross(b - a, others - a) > 1e-12)
            & (_cross(c - b, others - b) > 1e-12)
            & (_cross(a - c, others - c) > 1e-12)
        )
        if not inside.any():
            return at
    return int(np.argmin(np.abs(bend)))


def _cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    product: NDArray[np.float64] = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return product


def _coloured(triangles: NDArray[np.float64], colour: Colour) -> Triangles:
    """(T, 3, 2 or 4) -> (T, 3, 7), all wound counter-clockwise from above."""
    if triangles.shape[2] == 2:
        triangles = np.pad(triangles, ((0, 0), (0, 0), (0, 2)))
    a, b, c = np.moveaxis(triangles[..., :2] + triangles[..., 2:], 1, 0)
    wrong = _cross(b - a, c - a) < 0
    triangles = np.where(wrong[:, None, None], triangles[:, ::-1], triangles)
    tint = np.broadcast_to(np.array(colour), (len(triangles), 3, 3))
    return np.concatenate([triangles, tint], axis=2).astype(np.float32)


def stacked(parts: Iterable[Triangles], columns: int) -> Triangles:
    """Several lots of triangles as one."""
    kept = [part for part in parts if len(part)]
    return np.concatenate(kept) if kept else np.zeros((0, 3, columns), np.float32)
