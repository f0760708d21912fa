"""What stands in a town as coloured triangles: houses, trees, poles, signs, signal heads. Pure numpy.

A solid triangle's vertex is x, y, z, colour, u, v, texture layer (9). Sunlight is baked into the colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from inland.world.rendering.atlas import sign_shape
from inland.world.rendering.ground import Colour, Triangles
from inland.world.traffic.layout import Block, Sign

BOARD: Colour = (0.03, 0.03, 0.03)
UNLIT: Colour = (0.13, 0.12, 0.12)
POLE: Colour = (0.42, 0.44, 0.46)
TRUNK: Colour = (0.33, 0.24, 0.17)

AMBIENT = 0.60
SUNLIGHT = 0.48
WINDOW_BAY_M = 6.0
SHOP_FRONT_M = 4.0
SLENDER_M = 0.35
"""Upright blocks thinner than this have three sides and no lid."""
OVERHEAD_M = 6.0
"""Lids above this are not drawn: no camera looks down on them."""
PLAIN, HOUSE, SHOP = 0, 1, 2
"""First layers of the texture array; sign faces follow."""

LAMP_STEP_M = 0.72
LAMP_RADIUS_M = 0.34
ARROW_RADIUS_M = 0.44
"""An arrow must be told from a disc, and left from right."""
BOARD_DEPTH_M = 0.15
CROWN_SIDES = 6


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
) -> Triangles:
    """A block's walls and lid; ``layer`` is the walls' picture."""
    tint = block.colour if colour is None else colour
    slender = max(block.length_m, block.width_m) < SLENDER_M
    if slender:
        angle = block.yaw_rad + np.arange(3) * 2 * np.pi / 3
        outline = np.stack([np.cos(angle), np.sin(angle)], axis=1) * max(block.length_m, block.width_m) * 0.6
    else:
        forward = np.array([np.cos(block.yaw_rad), np.sin(block.yaw_rad)]) * block.length_m / 2
        left = np.array([-np.sin(block.yaw_rad), np.cos(block.yaw_rad)]) * block.width_m / 2
        outline = np.array([-forward - left, forward - left, forward + left, -forward + left])
    low = np.hstack([outline + np.array([block.x_m, block.y_m]), np.full((len(outline), 1), block.base_m)])
    high = low + np.array([0, 0, block.height_m])
    parts = []
    for at in range(len(outline)):
        to = (at + 1) % len(outline)
        wall = np.array([low[at], low[to], high[to], high[at]])
        across = float(np.linalg.norm(low[to] - low[at]))
        repeat = (max(1, round(across / WINDOW_BAY_M)), max(1, round(block.height_m / WINDOW_BAY_M)))
        parts.append(_quad(wall, tint, sun, layer, repeat))
    if not slender and block.base_m + block.height_m < OVERHEAD_M:
        parts.append(_quad(high, tint, sun))
    if block.base_m > OVERHEAD_M / 2 and not slender:
        parts.append(_quad(low[::-1], tint, sun))
    return np.concatenate(parts)


def block(block: Block, sun: Sequence[float]) -> Triangles:
    """One static box in the look of its style: building, house, tower, shop, tree, or plain."""
    style = block.style
    if style.startswith("shop") and block.height_m > 1.5 * SHOP_FRONT_M:
        front = replace(block, height_m=SHOP_FRONT_M)
        rest = replace(block, base_m=block.base_m + SHOP_FRONT_M, height_m=block.height_m - SHOP_FRONT_M)
        return np.concatenate([_box(front, sun, layer=SHOP), _box(rest, sun, layer=HOUSE)])
    if style.startswith("shop"):
        return _box(block, sun, layer=SHOP)
    if style.startswith(("building", "house", "tower")):
        return _box(block, sun, layer=HOUSE)
    if style.startswith("tree"):
        return _tree(block, sun)
    return _box(block, sun)


def _tree(block: Block, sun: Sequence[float]) -> Triangles:
    """A trunk with a crown in a tree's box."""
    trunk = replace(block, length_m=0.3, width_m=0.3, height_m=block.height_m * 0.4, colour=TRUNK)
    crown = replace(block, height_m=block.height_m * 0.68, base_m=block.base_m + block.height_m * 0.32)
    return np.concatenate([_box(trunk, sun), _crown(crown, sun)])


def _crown(block: Block, sun: Sequence[float]) -> Triangles:
    """Leaves: one ring and two tips, each facet lit by itself."""
    angle = np.arange(CROWN_SIDES) * 2 * np.pi / CROWN_SIDES + block.yaw_rad
    ring = np.zeros((CROWN_SIDES, 3))
    ring[:, 0] = np.cos(angle) * block.length_m / 2
    ring[:, 1] = np.sin(angle) * block.width_m / 2
    ring[:, 2] = block.height_m * 0.4
    after = np.roll(ring, -1, axis=0)
    foot = np.zeros_like(ring)
    tip = np.zeros_like(ring) + np.array([0, 0, block.height_m])
    corners = np.concatenate([np.stack([foot, after, ring], axis=1), np.stack([ring, after, tip], axis=1)])
    corners += np.array([block.x_m, block.y_m, block.base_m])
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
    "disc": [(np.cos(a), np.sin(a)) for a in np.arange(10) * np.pi / 5],
    "octagon": [(np.cos(a) * 1.06, np.sin(a) * 1.06) for a in np.arange(8) * np.pi / 4 + np.pi / 8],
    "triangle": [(-1, -0.95), (1, -0.95), (0, 0.95)],
    "down_triangle": [(-1, 0.95), (0, -0.95), (1, 0.95)],
    "diamond": [(0, -1), (1, 0), (0, 1), (-1, 0)],
    "plate": [(-1, -1), (1, -1), (1, 1), (-1, 1)],
}


def sign(sign: Sign, layer: int, sun: Sequence[float]) -> Triangles:
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
    pole = Block("pole", sign.x_m, sign.y_m, sign.yaw_rad, 0.1, 0.1, sign.z_m, 0.0, POLE)
    return np.concatenate([fan, back, _box(pole, sun)]).astype(np.float32)


def _lamp_offsets(arrow: str) -> tuple[float, float, float]:
    """Heights of the red, amber and green lamps over a head's middle."""
    step = LAMP_STEP_M * (0.8 if arrow == "walk" else 1.0)
    return (step / 2, 0.0, -step / 2) if arrow == "walk" else (step, 0.0, -step)


def lamps_of(head: NDArray[np.float64], arrow: str) -> NDArray[np.float64]:
    """Where a head's red, amber and green lamps are: (3, 4) x, y, z, yaw."""
    x, y, z, yaw = head
    front, _ = _facing(x, y, yaw)
    base = np.array([x, y, z]) + front * (BOARD_DEPTH_M / 2 + 0.03)
    return np.array([[base[0], base[1], z + up, yaw] for up in _lamp_offsets(arrow)])


def signal_head(head: NDArray[np.float64], arrow: str, sun: Sequence[float]) -> Triangles:
    """A black board with its unlit lamps."""
    x, y, z, yaw = (float(v) for v in head)
    wide, tall = (0.62, 1.35) if arrow == "walk" else (0.95, 2.45)
    board = Block("board", x, y, yaw, BOARD_DEPTH_M, wide, tall, z - tall / 2, BOARD)
    front, right = _facing(x, y, yaw)
    parts = [_box(board, sun)]
    for lamp, up in enumerate(_lamp_offsets(arrow)):
        if arrow == "walk" and lamp == 1:
            continue
        angle = np.arange(4) * np.pi / 2
        centre = np.array([x, y, z + up]) + front * (BOARD_DEPTH_M / 2 + 0.01)
        rim = centre + np.outer(np.cos(angle), right) * LAMP_RADIUS_M
        rim[:, 2] += np.sin(angle) * LAMP_RADIUS_M
        fan = rim[[[0, 1, 2], [0, 2, 3]]]
        rest = np.array([*UNLIT, 0, 0, PLAIN])
        parts.append(np.concatenate([fan, np.tile(rest, (2, 3, 1))], axis=2).astype(np.float32))
    return np.concatenate(parts)
