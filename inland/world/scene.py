"""What stands still in a town, as triangles: a `Layout` becomes painted ground and solids. Pure numpy.

The ground is flat, so it is painted as a painter would, layer over layer, with no depth to fight over. Sunlight is
baked into the colours. Triangles come in groups of one place, so that a camera draws only what it can see.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from inland.digest import digest_of
from inland.world.atlas import Picture, house_front, sign_face, sign_shape
from inland.world.layout import Block, Lane, LaneKind, Layout, Marking, Polyline, Sign

Triangles = NDArray[np.float32]
Colour = tuple[float, float, float]

GRASS: Colour = (0.36, 0.47, 0.24)
PAVEMENT: Colour = (0.62, 0.60, 0.57)
KERB: Colour = (0.80, 0.79, 0.76)
ASPHALT: Colour = (0.29, 0.29, 0.31)
TWO_WHEEL_ASPHALT: Colour = (0.36, 0.26, 0.25)
BOARD: Colour = (0.03, 0.03, 0.03)
UNLIT: Colour = (0.13, 0.12, 0.12)
POLE: Colour = (0.42, 0.44, 0.46)
TRUNK: Colour = (0.33, 0.24, 0.17)

CELL_M = 24.0
AMBIENT = 0.60
SUNLIGHT = 0.48
KERB_WIDTH_M = 0.3
DASH_M = 3.0
DASH_GAP_M = 3.0
ZEBRA_STRIPE_M = 0.5
WINDOW_BAY_M = 6.0
PLAIN, HOUSE, SHOP = 0, 1, 2
"""First layers of the texture array; sign faces follow."""

LAMP_STEP_M = 0.72
LAMP_RADIUS_M = 0.32
BOARD_DEPTH_M = 0.15


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Runs of triangles that lie together: first vertex, vertex count, bounding sphere."""

    first: NDArray[np.uint32]
    count: NDArray[np.uint32]
    centre_m: NDArray[np.float32]
    radius_m: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A layout as triangles.

    ``ground`` is float32 (V, 7): x, y, sideways x, y, colour, in painting order; a vertex lies at x, y moved
    sideways, further where a thin line would be lost between pixels. ``solids`` (V, 9): x, y, z, colour, u, v,
    texture layer. ``pictures`` is uint8 (layers, SIZE, SIZE, 3), first row lowest. ``lamps`` is (heads, 3 colours,
    x y z yaw); ``lamp_signal`` says which of ``layout.signals`` each head shows, ``lamp_shape`` its outline.
    """

    ground: NDArray[np.float32]
    ground_groups: Groups
    solids: NDArray[np.float32]
    solid_groups: Groups
    pictures: NDArray[np.uint8]
    lamps: NDArray[np.float32]
    lamp_signal: NDArray[np.int32]
    lamp_shape: tuple[str, ...]
    sun: tuple[float, float, float]


def build_scene(layout: Layout) -> Scene:
    """Turn a layout into triangles; the sun's place is seeded by the layout's name."""
    sun = _sun(layout.name)
    faces = sorted({sign.face for sign in layout.signs})
    pictures = [np.ones_like(house_front(False)), house_front(False), house_front(True)]
    pictures += [sign_face(face) for face in faces]
    layer_of = {face: 3 + at for at, face in enumerate(faces)}

    layers = _ground_layers(layout)
    ground, ground_groups = _grouped(layers)
    solids = [_block(block, sun) for block in layout.blocks]
    solids += [_sign(sign, layer_of[sign.face], sun) for sign in layout.signs]
    for signal in layout.signals:
        solids += [_signal_head(head, signal.arrow, sun) for head in signal.heads]
    solid, solid_groups = _grouped([_joined(solids, 9)])

    lamps = [
        (_lamps_of(head, signal.arrow), at, signal.arrow)
        for at, signal in enumerate(layout.signals)
        for head in np.asarray(signal.heads, np.float64).reshape(-1, 4)
    ]
    return Scene(
        ground=ground,
        ground_groups=ground_groups,
        solids=solid,
        solid_groups=solid_groups,
        pictures=np.stack([_as_bytes(picture) for picture in pictures]),
        lamps=np.array([lamp for lamp, _, _ in lamps], np.float32).reshape(-1, 3, 4),
        lamp_signal=np.array([at for _, at, _ in lamps], np.int32),
        lamp_shape=tuple(shape for _, _, shape in lamps),
        sun=sun,
    )


def _sun(name: str) -> tuple[float, float, float]:
    azimuth = int(digest_of("sun", name)[:6], 16) / 0xFFFFFF * 2 * np.pi
    height = np.radians(50)
    return (
        float(np.cos(azimuth) * np.cos(height)),
        float(np.sin(azimuth) * np.cos(height)),
        float(np.sin(height)),
    )


def _as_bytes(picture: Picture) -> NDArray[np.uint8]:
    flipped: NDArray[np.uint8] = (picture[::-1] * 255 + 0.5).astype(np.uint8)
    return flipped


# Ground


def _ground_layers(layout: Layout) -> list[Triangles]:
    lanes = layout.lanes.values()
    pavement = [_ribbon(lane.centre, lane.width_m + 1.0, PAVEMENT) for lane in lanes if _is_pavement(lane)]
    kerbs = [_ribbon(np.vstack([p, p[:1]]), 2 * KERB_WIDTH_M, KERB) for p in layout.surface]
    surface = [_polygon(p, ASPHALT) for p in layout.surface]
    two_wheel = [
        _ribbon(lane.centre, lane.width_m, TWO_WHEEL_ASPHALT)
        for lane in lanes
        if lane.kind is LaneKind.TWO_WHEEL and not lane.junction
    ]
    fills = [_marking(m) for m in layout.markings if m.style == "fill"]
    lines = [_marking(m) for m in layout.markings if m.style != "fill"]
    return [_joined(layer, 7) for layer in (pavement, kerbs, surface, two_wheel, fills, lines)]


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
        return _joined([_ribbon(dash, width, colour, line=True) for dash in dashes(closed, *step)], 7)
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
    points = points[keep]
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
    return _joined([_ribbon(line, length / stripes / 2, colour, line=True) for line in lines], 7)


def _arrow(points: Polyline, width_m: float, colour: Colour) -> Triangles:
    """An arrow painted along a polyline, its head at the last point; ``width_m`` is the head's width."""
    along = points[-1] - points[-2]
    unit = along / (np.linalg.norm(along) + 1e-9)
    left = np.array([-unit[1], unit[0]])
    head = max(width_m * 1.3, 0.8)
    neck = points[-1] - unit * head
    shaft = np.vstack([points[:-1], neck]) if np.linalg.norm(along) > head else points[:-1]
    tip = np.array([[neck + left * width_m / 2, neck - left * width_m / 2, points[-1]]])
    parts = [_coloured(tip, colour)]
    if len(shaft) > 1:
        parts.append(_ribbon(shaft, width_m * 0.35, colour, line=True))
    return _joined(parts, 7)


def _polygon(points: Polyline, colour: Colour) -> Triangles:
    return _coloured(triangulate(np.asarray(points, np.float64)[:, :2]), colour)


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


# Solids


def _lit(normals: NDArray[np.float64], sun: Sequence[float]) -> NDArray[np.float64]:
    shade: NDArray[np.float64] = AMBIENT + SUNLIGHT * np.maximum(normals @ np.array(sun), 0.0)
    return shade


def _quad(
    corners: NDArray[np.float64],
    colour: Colour,
    sun: Sequence[float],
    layer: int = PLAIN,
    repeat: tuple[float, float] = (1, 1),
) -> Triangles:
    """One flat rectangle (4, 3), counter-clockwise from its front, lower edge first -> (2, 3, 9)."""
    normal = np.cross(corners[1] - corners[0], corners[3] - corners[0])
    normal /= np.linalg.norm(normal) + 1e-12
    u, v = repeat
    uv = np.array([[0, 0], [u, 0], [u, v], [0, v]], float)
    tint = np.array(colour) * _lit(normal, sun)
    rows = np.hstack([corners, np.tile(tint, (4, 1)), uv, np.full((4, 1), layer)])
    return rows[[0, 1, 2, 0, 2, 3]].reshape(2, 3, 9).astype(np.float32)


def _box(
    block: Block,
    sun: Sequence[float],
    *,
    layer: int = PLAIN,
    colour: Colour | None = None,
    taper: float = 1.0,
) -> Triangles:
    """A block's walls and roof; ``layer`` is the walls' picture, ``taper`` shrinks the roof."""
    tint = block.colour if colour is None else colour
    forward = np.array([np.cos(block.yaw_rad), np.sin(block.yaw_rad), 0.0])
    left = np.array([-forward[1], forward[0], 0.0])
    middle = np.array([block.x_m, block.y_m, block.base_m])
    signs = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    low = [middle + forward * block.length_m / 2 * i + left * block.width_m / 2 * j for i, j in signs]
    rise = np.array([0, 0, block.height_m])
    high = [middle + taper * (corner - middle) + rise for corner in low]
    parts = []
    for at in range(4):
        to = (at + 1) % 4
        wall = np.array([low[at], low[to], high[to], high[at]])
        across = float(np.linalg.norm(low[to] - low[at]))
        repeat = (max(1, round(across / WINDOW_BAY_M)), max(1, round(block.height_m / WINDOW_BAY_M)))
        parts.append(_quad(wall, tint, sun, layer, repeat))
    parts.append(_quad(np.array(high), tint, sun))
    return np.concatenate(parts)


def _block(block: Block, sun: Sequence[float]) -> Triangles:
    style = block.style
    if style.startswith(("building", "house", "shop", "tower")):
        layer = SHOP if style.startswith("shop") else HOUSE
        return _box(block, sun, layer=layer)
    if style.startswith("tree"):
        return _tree(block, sun)
    if style.startswith("crown"):
        return _crown(block, sun)
    return _box(block, sun)


def _tree(block: Block, sun: Sequence[float]) -> Triangles:
    """A trunk with a crown in a tree's box."""
    trunk = Block("pole", block.x_m, block.y_m, block.yaw_rad, 0.3, 0.3, block.height_m * 0.4, block.base_m, TRUNK)
    crown = Block(
        "crown",
        block.x_m,
        block.y_m,
        block.yaw_rad,
        block.length_m,
        block.width_m,
        block.height_m * 0.68,
        block.base_m + block.height_m * 0.32,
        block.colour,
    )
    return np.concatenate([_box(trunk, sun), _crown(crown, sun)])


def _crown(block: Block, sun: Sequence[float]) -> Triangles:
    """Leaves: two rings of six and two tips, each facet lit by itself."""
    angle = np.arange(6) * np.pi / 3 + block.yaw_rad
    scale = np.array([block.length_m / 2, block.width_m / 2])
    rings = []
    for radius, height in ((0.75, 0.2), (1.0, 0.5), (0.6, 0.85)):
        flat = np.stack([np.cos(angle), np.sin(angle)], axis=1) * scale * radius
        rings.append(np.hstack([flat, np.full((6, 1), height * block.height_m)]))
    tips = np.array([[0, 0, 0.0], [0, 0, block.height_m]])
    facets = []
    for at in range(6):
        to = (at + 1) % 6
        facets.append([tips[0], rings[0][to], rings[0][at]])
        for lower, upper in pairwise(rings):
            facets += [[lower[at], lower[to], upper[to]], [lower[at], upper[to], upper[at]]]
        facets.append([rings[2][at], rings[2][to], tips[1]])
    corners = np.array(facets) + np.array([block.x_m, block.y_m, block.base_m])
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    tint = np.array(block.colour) * _lit(normals, sun)[:, None]
    rows = np.concatenate([corners, np.repeat(tint[:, None], 3, axis=1), np.zeros((len(corners), 3, 3))], axis=2)
    return rows.astype(np.float32)


def _facing(x: float, y: float, yaw: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where a plate at (x, y) faces, and its right-hand side as its beholder sees it."""
    front = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    return front, np.array([-front[1], front[0], 0.0])


_OUTLINES = {
    "disc": [(np.cos(a), np.sin(a)) for a in np.arange(12) * np.pi / 6],
    "octagon": [(np.cos(a) * 1.06, np.sin(a) * 1.06) for a in np.arange(8) * np.pi / 4 + np.pi / 8],
    "triangle": [(-1, -0.95), (1, -0.95), (0, 0.95)],
    "down_triangle": [(-1, 0.95), (0, -0.95), (1, 0.95)],
    "plate": [(-1, -1), (1, -1), (1, 1), (-1, 1)],
}


def _sign(sign: Sign, layer: int, sun: Sequence[float]) -> Triangles:
    """A sign plate with its face, a grey back, and a pole down to the ground."""
    front, right = _facing(sign.x_m, sign.y_m, sign.yaw_rad)
    centre = np.array([sign.x_m, sign.y_m, sign.z_m]) + front * 0.06
    outline = np.array(_OUTLINES[sign_shape(sign.face)])
    flat = np.clip(outline, -1, 1)
    corners = centre + np.outer(flat[:, 0] * sign.width_m / 2, right)
    corners[:, 2] += flat[:, 1] * sign.height_m / 2
    uv = 0.5 + flat * 0.49
    # Faces are made to be read: lit alike from every side.
    rows = np.hstack([corners, np.full((len(flat), 3), 1.0), uv, np.full((len(flat), 1), layer)])
    fan = np.array([rows[[0, i, i + 1]] for i in range(1, len(flat) - 1)])
    back = fan[:, ::-1].copy()
    back[:, :, 3:6] = np.array(POLE) * 0.8
    back[:, :, 8] = PLAIN
    pole = Block("pole", sign.x_m, sign.y_m, sign.yaw_rad, 0.09, 0.09, sign.z_m, 0.0, POLE)
    return np.concatenate([fan, back, _box(pole, sun)]).astype(np.float32)


def _lamp_offsets(arrow: str) -> tuple[float, float, float]:
    """Heights of the red, amber and green lamps over a head's middle."""
    step = LAMP_STEP_M * (0.8 if arrow == "walk" else 1.0)
    return (step / 2, 0.0, -step / 2) if arrow == "walk" else (step, 0.0, -step)


def _lamps_of(head: NDArray[np.float64], arrow: str) -> NDArray[np.float64]:
    """Where a head's red, amber and green lamps are: (3, 4) x, y, z, yaw."""
    x, y, z, yaw = head
    front, _ = _facing(x, y, yaw)
    base = np.array([x, y, z]) + front * (BOARD_DEPTH_M / 2 + 0.03)
    return np.array([[base[0], base[1], z + up, yaw] for up in _lamp_offsets(arrow)])


def _signal_head(head: NDArray[np.float64], arrow: str, sun: Sequence[float]) -> Triangles:
    """A black board with its unlit lamps."""
    x, y, z, yaw = (float(v) for v in head)
    wide, tall = (0.62, 1.35) if arrow == "walk" else (0.95, 2.45)
    board = Block("board", x, y, yaw, BOARD_DEPTH_M, wide, tall, z - tall / 2, BOARD)
    front, right = _facing(x, y, yaw)
    parts = [_box(board, sun)]
    for lamp, up in enumerate(_lamp_offsets(arrow)):
        if arrow == "walk" and lamp == 1:
            continue
        angle = np.arange(8) * np.pi / 4
        centre = np.array([x, y, z + up]) + front * (BOARD_DEPTH_M / 2 + 0.01)
        rim = centre + np.outer(np.cos(angle), right) * LAMP_RADIUS_M
        rim[:, 2] += np.sin(angle) * LAMP_RADIUS_M
        rest = np.array([*UNLIT, 0, 0, PLAIN])
        fan = np.array([[rim[0], rim[i], rim[i + 1]] for i in range(1, 7)])
        parts.append(np.concatenate([fan, np.tile(rest, (6, 3, 1))], axis=2).astype(np.float32))
    return np.concatenate(parts)


# Groups


def _joined(parts: Iterable[Triangles], columns: int) -> Triangles:
    kept = [part for part in parts if len(part)]
    return np.concatenate(kept) if kept else np.zeros((0, 3, columns), np.float32)


def _grouped(layers: Sequence[Triangles]) -> tuple[NDArray[np.float32], Groups]:
    """Sort each layer's triangles by cell; return all vertices in order and the runs."""
    vertices, first, count, centres, radii = [], [], [], [], []
    at = 0
    for layer in layers:
        if not len(layer):
            continue
        cell = np.floor(layer[:, :, :2].mean(axis=1) / CELL_M).astype(np.int64)
        key = cell[:, 0] * 100_003 + cell[:, 1]
        order = np.argsort(key, kind="stable")
        sorted_layer, key = layer[order], key[order]
        starts = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
        for start, end in zip(starts, [*starts[1:], len(key)], strict=True):
            places = sorted_layer[start:end].reshape(-1, layer.shape[2])
            # The ground has no third coordinate: its height is 0.
            where = places[:, :3] if layer.shape[2] == 9 else np.pad(places[:, :2], ((0, 0), (0, 1)))
            middle = (where.min(axis=0) + where.max(axis=0)) / 2
            centres.append(middle)
            radii.append(np.linalg.norm(where - middle, axis=1).max())
            first.append(at)
            count.append(len(places))
            vertices.append(places)
            at += len(places)
    width = layers[0].shape[2]
    return (
        np.concatenate(vertices) if vertices else np.zeros((0, width), np.float32),
        Groups(
            np.array(first, np.uint32),
            np.array(count, np.uint32),
            np.array(centres, np.float32).reshape(-1, 3),
            np.array(radii, np.float32),
        ),
    )
