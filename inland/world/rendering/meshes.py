"""Triangle meshes of what moves: cars, trucks, buses, two-wheelers with riders, people, obstacles, lit lamps.

A mesh is float32 (T * 3, 11): position (3), normal (3), colour (3), paint, glow. It is modelled in metres at a
nominal size, x forward, y left, z up, origin at the box's centre on the ground; the camera scales it to an actor's
size. ``paint`` is how far the actor's own colour replaces the vertex's; ``glow`` is 1 for brake lights and 2 for
what shines always. Few triangles: a picture is 256 pixels wide.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inland.world.state import Kind

Mesh = NDArray[np.float32]
Colour = tuple[float, float, float]
Point = tuple[float, float, float]

GLASS: Colour = (0.10, 0.13, 0.17)
TYRE: Colour = (0.05, 0.05, 0.05)
CHROME: Colour = (0.45, 0.46, 0.48)
HEADLIGHT: Colour = (0.95, 0.95, 0.85)
TAIL: Colour = (0.45, 0.03, 0.03)
SKIN: Colour = (0.80, 0.58, 0.44)
TROUSERS: Colour = (0.13, 0.14, 0.20)
HAIR: Colour = (0.10, 0.07, 0.05)
WHITE: Colour = (0.9, 0.9, 0.9)
RED: Colour = (0.8, 0.1, 0.06)
HELMET: Colour = (0.93, 0.78, 0.12)
COURIER_CASE: Colour = (0.98, 0.75, 0.05)


def _face(points: Sequence[Point], outward: Point, colour: Colour, paint: float, glow: float) -> Mesh:
    """A convex polygon as a fan, wound so that ``outward`` is its front."""
    corner = np.array(points, np.float64)
    normal = np.cross(corner[1] - corner[0], corner[2] - corner[0])
    if normal @ np.array(outward) < 0:
        corner, normal = corner[::-1], -normal
    normal /= np.linalg.norm(normal) + 1e-12
    fan = np.concatenate([corner[[0, i, i + 1]] for i in range(1, len(corner) - 1)])
    rest = np.array([*normal, *colour, paint, glow])
    return np.hstack([fan, np.tile(rest, (len(fan), 1))]).astype(np.float32)


def frustum(
    low: Point,
    high: Point,
    colour: Colour,
    *,
    paint: float = 0.0,
    glow: float = 0.0,
    top: tuple[float, float, float, float] | None = None,
    top_colour: Colour | None = None,
    top_paint: float | None = None,
    lid: bool = True,
) -> Mesh:
    """A box from ``low`` to ``high`` without its underside; ``top`` (x0, x1, y0, y1) tapers it upwards."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    u0, u1, v0, v1 = top if top is not None else (x0, x1, y0, y1)
    bottom: list[Point] = [(x0, y0, z0), (x1, y0, z0), (x1, y1, z0), (x0, y1, z0)]
    upper: list[Point] = [(u0, v0, z1), (u1, v0, z1), (u1, v1, z1), (u0, v1, z1)]
    outward: list[Point] = [(0, -1, 0), (1, 0, 0), (0, 1, 0), (-1, 0, 0)]
    faces = [
        _face((bottom[i], bottom[(i + 1) % 4], upper[(i + 1) % 4], upper[i]), outward[i], colour, paint, glow)
        for i in range(4)
    ]
    if lid:
        lid_paint = paint if top_paint is None else top_paint
        faces.append(_face(upper, (0, 0, 1), colour if top_colour is None else top_colour, lid_paint, glow))
    return np.concatenate(faces)


def _patch(x: float, y0: float, y1: float, z0: float, z1: float, colour: Colour, glow: float = 0.0) -> Mesh:
    """An upright plate across the vehicle at ``x``, facing away from its middle: a light, a number plate."""
    corners: list[Point] = [(x, y0, z0), (x, y1, z0), (x, y1, z1), (x, y0, z1)]
    return _face(corners, (1.0 if x > 0 else -1.0, 0, 0), colour, 0.0, glow)


def _wheel(x: float, y: float, radius: float, width: float) -> Mesh:
    """A wheel as a hexagonal prism across the vehicle, its outer face showing."""
    angle = np.arange(6) * np.pi / 3
    ring = [(x + radius * float(np.cos(a)), radius + radius * float(np.sin(a))) for a in angle]
    side = 1.0 if y > 0 else -1.0
    outer = y + side * width / 2
    inner = y - side * width / 2
    parts = [_face([(px, outer, pz) for px, pz in ring], (0, side, 0), TYRE, 0.0, 0.0)]
    hub = [(x + 0.5 * (px - x), outer + 0.01 * side, radius + 0.5 * (pz - radius)) for px, pz in ring[::2]]
    parts.append(_face(hub, (0, side, 0), CHROME, 0.0, 0.0))
    for (ax, az), (bx, bz) in zip(ring, ring[1:] + ring[:1], strict=True):
        away = ((ax + bx) / 2 - x, 0.0, (az + bz) / 2 - radius)
        corners: list[Point] = [(ax, outer, az), (bx, outer, bz), (bx, inner, bz), (ax, inner, az)]
        parts.append(_face(corners, away, TYRE, 0.0, 0.0))
    return np.concatenate(parts)


def _car() -> Mesh:
    parts = [
        frustum((-2.3, -0.9, 0.28), (2.3, 0.9, 0.82), WHITE, paint=1, top=(-2.22, 2.2, -0.84, 0.84)),
        frustum((-2.2, -0.86, 0.12), (2.2, 0.86, 0.28), TYRE),
        frustum((-2.0, -0.82, 0.82), (1.1, 0.82, 1.42), GLASS, top=(-1.5, 0.35, -0.66, 0.66)),
        frustum((-1.55, -0.68, 1.40), (0.40, 0.68, 1.5), WHITE, paint=1, top=(-1.4, 0.3, -0.6, 0.6)),
        _patch(2.31, 0.5, 0.85, 0.55, 0.74, HEADLIGHT, 2),
        _patch(2.31, -0.85, -0.5, 0.55, 0.74, HEADLIGHT, 2),
        _patch(-2.31, 0.42, 0.88, 0.52, 0.80, TAIL, 1),
        _patch(-2.31, -0.88, -0.42, 0.52, 0.80, TAIL, 1),
        _patch(-2.31, -0.28, 0.28, 0.42, 0.56, WHITE),
    ]
    parts += [_wheel(x, y, 0.33, 0.2) for x in (-1.4, 1.45) for y in (-0.83, 0.83)]
    return np.concatenate(parts)


def _car_far() -> Mesh:
    return np.concatenate(
        [
            frustum((-2.3, -0.9, 0.1), (2.3, 0.9, 0.82), WHITE, paint=1),
            frustum((-2.0, -0.82, 0.82), (1.1, 0.82, 1.5), GLASS, top=(-1.5, 0.35, -0.66, 0.66), top_paint=1),
            _patch(2.31, -0.85, 0.85, 0.55, 0.72, HEADLIGHT),
            _patch(-2.31, -0.88, -0.35, 0.48, 0.82, TAIL, 1),
            _patch(-2.31, 0.35, 0.88, 0.48, 0.82, TAIL, 1),
        ]
    )


def _truck(far: bool) -> Mesh:
    parts = [
        frustum((1.6, -1.2, 0.5), (3.5, 1.2, 2.7), WHITE, paint=1, top=(1.6, 3.3, -1.15, 1.15)),
        frustum((-3.5, -1.25, 0.9), (1.4, 1.25, 3.2), (0.78, 0.78, 0.75), paint=0.25),
        frustum((-3.4, -1.0, 0.45), (3.3, 1.0, 0.9), (0.12, 0.12, 0.13)),
        _patch(3.52, -1.0, 1.0, 1.6, 2.4, GLASS),
        _patch(-3.52, 0.7, 1.15, 0.6, 0.9, TAIL, 1),
        _patch(-3.52, -1.15, -0.7, 0.6, 0.9, TAIL, 1),
        _patch(3.52, 0.7, 1.1, 0.7, 0.95, HEADLIGHT, 2),
        _patch(3.52, -1.1, -0.7, 0.7, 0.95, HEADLIGHT, 2),
    ]
    if not far:
        parts += [_wheel(x, y, 0.48, 0.3) for x in (-2.4, 2.4) for y in (-1.08, 1.08)]
    return np.concatenate(parts)


def _bus(far: bool) -> Mesh:
    parts = [
        frustum((-6.0, -1.27, 0.35), (6.0, 1.27, 1.25), WHITE, paint=1),
        frustum((-5.98, -1.25, 1.25), (5.98, 1.25, 2.5), GLASS),
        frustum((-6.0, -1.27, 2.5), (6.0, 1.27, 3.0), WHITE, paint=1),
        _patch(-6.02, 0.8, 1.2, 0.6, 1.1, TAIL, 1),
        _patch(-6.02, -1.2, -0.8, 0.6, 1.1, TAIL, 1),
        _patch(6.02, 0.7, 1.15, 0.6, 0.85, HEADLIGHT, 2),
        _patch(6.02, -1.15, -0.7, 0.6, 0.85, HEADLIGHT, 2),
        _patch(6.02, -0.8, 0.8, 2.55, 2.9, (0.95, 0.6, 0.1), 2),
    ]
    if not far:
        parts += [_wheel(x, y, 0.5, 0.3) for x in (-3.4, 3.2) for y in (-1.14, 1.14)]
    return np.concatenate(parts)


def _rider(lean: float, seat: float) -> list[Mesh]:
    """A person sitting astride: legs, torso in the rider's own colour, helmet."""
    return [
        frustum((-0.22, -0.24, seat - 0.42), (0.22, 0.24, seat), TROUSERS),
        frustum(
            (-0.25, -0.24, seat),
            (0.12, 0.24, seat + 0.55),
            WHITE,
            paint=1,
            top=(-0.18 + lean, 0.14 + lean, -0.2, 0.2),
        ),
        frustum((0.0, -0.33, seat + 0.2), (0.45 + lean, 0.33, seat + 0.38), WHITE, paint=0.9),
        frustum((-0.1 + lean, -0.11, seat + 0.55), (0.14 + lean, 0.11, seat + 0.68), SKIN),
        frustum((-0.14 + lean, -0.14, seat + 0.66), (0.16 + lean, 0.14, seat + 0.9), HELMET),
    ]


def _rider_far(seat: float) -> list[Mesh]:
    """A rider of a few pixels: legs, torso, helmet."""
    return [
        frustum((-0.25, -0.3, seat - 0.35), (0.3, 0.3, seat + 0.55), WHITE, paint=1, lid=False),
        frustum((-0.12, -0.16, seat + 0.55), (0.2, 0.16, seat + 0.9), HELMET),
    ]


def _two_wheeler_far(seat: float, box: bool) -> Mesh:
    """A two-wheeler of a few pixels."""
    parts = [
        frustum((-0.85, -0.13, 0.0), (0.75, 0.13, 0.7), (0.12, 0.12, 0.13)),
        _patch(0.76, -0.12, 0.12, 0.6, 0.85, HEADLIGHT, 2),
        _patch(-0.87, -0.14, 0.14, 0.45, 0.68, TAIL, 1),
        *_rider_far(seat),
    ]
    if box:
        parts.append(frustum((-0.88, -0.3, 0.75), (-0.32, 0.3, 1.3), COURIER_CASE))
    return np.concatenate(parts)


def _scooter(box: bool) -> Mesh:
    """An electric scooter 1.8 x 0.7 x 1.65 m with its rider; ``box`` adds a courier's case."""
    parts = [
        frustum((-0.8, -0.17, 0.3), (0.05, 0.17, 0.72), (0.16, 0.16, 0.18)),
        frustum((0.0, -0.17, 0.22), (0.5, 0.17, 0.36), (0.2, 0.2, 0.2)),
        frustum((0.5, -0.17, 0.3), (0.66, 0.17, 0.98), WHITE, paint=0.7),
        frustum((0.42, -0.34, 0.98), (0.54, 0.34, 1.06), TYRE),
        _patch(0.68, -0.12, 0.12, 0.7, 0.9, HEADLIGHT, 2),
        _patch(-0.82, -0.14, 0.14, 0.5, 0.68, TAIL, 1),
        *_rider(0.06, 0.75),
    ]
    if box:
        parts.append(frustum((-0.88, -0.3, 0.75), (-0.32, 0.3, 1.3), COURIER_CASE))
    parts += [_wheel(x, y, 0.23, 0.1) for x in (-0.62, 0.66) for y in (-0.06, 0.06)]
    return np.concatenate(parts)


def _bicycle() -> Mesh:
    """A bicycle 1.7 x 0.6 x 1.75 m with its rider."""
    parts = [
        frustum((-0.5, -0.04, 0.45), (0.45, 0.04, 0.62), (0.25, 0.3, 0.35), paint=0.4),
        frustum((0.38, -0.3, 0.95), (0.48, 0.3, 1.02), TYRE),
        frustum((0.42, -0.03, 0.4), (0.5, 0.03, 0.98), CHROME),
        *_rider(0.12, 0.85),
    ]
    parts += [_wheel(x, y, 0.33, 0.05) for x in (-0.52, 0.52) for y in (-0.03, 0.03)]
    return np.concatenate(parts)


def _pedestrian(far: bool) -> Mesh:
    """A walking person 0.5 x 0.6 x 1.75 m."""
    if far:
        return np.concatenate(
            [
                frustum((-0.16, -0.17, 0.0), (0.16, 0.17, 0.85), TROUSERS, lid=False),
                frustum((-0.14, -0.25, 0.82), (0.14, 0.25, 1.45), WHITE, paint=1, lid=False),
                frustum((-0.12, -0.12, 1.45), (0.13, 0.12, 1.75), SKIN, top_colour=HAIR),
            ]
        )
    return np.concatenate(
        [
            frustum((-0.06, 0.03, 0.0), (0.1, 0.17, 0.85), TROUSERS, top=(-0.1, 0.08, 0.03, 0.17)),
            frustum((-0.22, -0.17, 0.0), (-0.08, -0.03, 0.85), TROUSERS, top=(-0.1, 0.08, -0.17, -0.03)),
            frustum((-0.12, -0.2, 0.82), (0.12, 0.2, 1.45), WHITE, paint=1, top=(-0.12, 0.12, -0.24, 0.24)),
            frustum((-0.05, 0.22, 0.8), (0.16, 0.3, 1.42), WHITE, paint=0.85, top=(-0.06, 0.06, 0.22, 0.3)),
            frustum((-0.16, -0.3, 0.8), (0.05, -0.22, 1.42), WHITE, paint=0.85, top=(-0.06, 0.06, -0.3, -0.22)),
            frustum((-0.1, -0.1, 1.45), (0.12, 0.1, 1.66), SKIN),
            frustum((-0.12, -0.12, 1.6), (0.1, 0.12, 1.76), HAIR),
        ]
    )


def _obstacle() -> Mesh:
    """A works barrier 1 x 1 x 1 m in red and white bands."""
    bands = [((0.0, 0.34), RED), ((0.34, 0.67), WHITE), ((0.67, 1.0), RED)]
    return np.concatenate([frustum((-0.5, -0.5, low), (0.5, 0.5, high), colour) for (low, high), colour in bands])


NOMINAL_M: dict[Kind, tuple[float, float, float]] = {
    Kind.CAR: (4.6, 1.85, 1.5),
    Kind.TRUCK: (7.0, 2.5, 3.2),
    Kind.BUS: (12.0, 2.55, 3.0),
    Kind.SCOOTER: (1.8, 0.7, 1.65),
    Kind.BICYCLE: (1.7, 0.6, 1.75),
    Kind.PEDESTRIAN: (0.5, 0.6, 1.75),
    Kind.OBSTACLE: (1.0, 1.0, 1.0),
}
"""Length, width, height at which each kind is modelled."""

VARIANTS = 4
"""Meshes per kind: near, near second look, far, far second look (a scooter's second look has a courier's case)."""


def actor_meshes() -> list[Mesh]:
    """All actor meshes, at index ``kind * VARIANTS + 2 * far + second look``."""
    meshes: list[Mesh] = []
    for kind in Kind:
        for far in (False, True):
            for second in (False, True):
                meshes.append(_actor_mesh(kind, far, second))
    return meshes


def _actor_mesh(kind: Kind, far: bool, second: bool) -> Mesh:
    if kind is Kind.CAR:
        return _car_far() if far else _car()
    if kind is Kind.TRUCK:
        return _truck(far)
    if kind is Kind.BUS:
        return _bus(far)
    if kind is Kind.SCOOTER:
        return _two_wheeler_far(0.75, second) if far else _scooter(second)
    if kind is Kind.BICYCLE:
        return _two_wheeler_far(0.85, False) if far else _bicycle()
    if kind is Kind.PEDESTRIAN:
        return _pedestrian(far)
    return _obstacle()


LAMP_SHAPES = ("", "left", "straight", "right", "walk")
"""Outlines of a lit lamp, by a signal's ``arrow``."""


def lamp_outline(shape: str) -> NDArray[np.float32]:
    """A lit lamp's triangles, float32 (T * 3, 2): right and up as its beholder sees it, within a unit circle."""
    if shape in ("left", "straight", "right"):
        up = np.array(
            [
                [(-0.95, 0.1), (0.95, 0.1), (0.0, 1.05)],
                [(-0.33, -1.0), (0.33, -1.0), (0.33, 0.1)],
                [(-0.33, -1.0), (0.33, 0.1), (-0.33, 0.1)],
            ],
            np.float32,
        ).reshape(-1, 2)
        if shape == "straight":
            return up
        # A quarter turn counter-clockwise points left, clockwise right.
        turned = np.stack([-up[:, 1], up[:, 0]], axis=1)
        return turned if shape == "left" else np.stack([up[:, 1], -up[:, 0]], axis=1)
    if shape == "walk":
        boxes = [(-0.28, 0.62, 0.28, 1.0), (-0.45, -0.2, 0.45, 0.6), (-0.4, -1.0, -0.08, -0.2), (0.08, -1.0, 0.4, -0.2)]
        quads = [[(a, b), (c, b), (c, d), (a, b), (c, d), (a, d)] for a, b, c, d in boxes]
        return np.array(quads, np.float32).reshape(-1, 2)
    angle = np.arange(11) * 2 * np.pi / 10
    rim = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    fan = [[(0.0, 0.0), tuple(rim[i]), tuple(rim[i + 1])] for i in range(10)]
    return np.array(fan, np.float32).reshape(-1, 2)
