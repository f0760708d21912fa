"""An ideal camera's geometry: where it looks, how it projects, what lies between its edges. Pure numpy.

A camera's axes are the rig's: x along the optical axis, y left, z up. Its rotation (roll, pitch, yaw) turns the
camera's axes into the rig's: R = Rz(yaw) Ry(pitch) Rx(roll); a positive pitch looks down.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inland.clip import Camera
from inland.errors import WorldError

NEAR_M = 0.25
FAR_M = 320.0


def pinhole(
    name: str,
    width_px: int,
    height_px: int,
    fov_deg: float,
    position_m: tuple[float, float, float],
    yaw_deg: float = 0.0,
    pitch_deg: float = 0.0,
) -> Camera:
    """An ideal camera with ``fov_deg`` horizontal field of view."""
    focal = width_px / 2 / float(np.tan(np.radians(fov_deg) / 2))
    return Camera(
        name=name,
        width_px=width_px,
        height_px=height_px,
        focal_px=(focal, focal),
        centre_px=(width_px / 2, height_px / 2),
        position_m=position_m,
        rotation_rad=(0.0, float(np.radians(pitch_deg)), float(np.radians(yaw_deg))),
    )


@cache
def rotation(camera: Camera) -> NDArray[np.float64]:
    """The (3, 3) rotation from a camera's axes to its rig's."""
    roll, pitch, yaw = camera.rotation_rad or (0.0, 0.0, 0.0)
    cr, sr, cp, sp, cy, sy = (f(a) for a in (roll, pitch, yaw) for f in (np.cos, np.sin))
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    turned: NDArray[np.float64] = about_z @ about_y @ about_x
    turned.flags.writeable = False
    return turned


@cache
def projection(camera: Camera) -> NDArray[np.float64]:
    """The (4, 4) matrix from camera axes to clip space, with the top row of the picture lowest, as GL reads it."""
    if camera.focal_px is None or camera.centre_px is None:
        raise WorldError(
            f"camera {camera.name!r} has no intrinsics", remedy="give it focal_px and centre_px, or use RIG"
        )
    width, height = camera.width_px, camera.height_px
    fx, fy = camera.focal_px
    cx, cy = camera.centre_px
    depth, offset = (FAR_M + NEAR_M) / (FAR_M - NEAR_M), -2 * FAR_M * NEAR_M / (FAR_M - NEAR_M)
    matrix: NDArray[np.float64] = np.array(
        [
            [2 * cx / width - 1, -2 * fx / width, 0, 0],
            [2 * cy / height - 1, 0, -2 * fy / height, 0],
            [depth, 0, 0, offset],
            [1, 0, 0, 0],
        ]
    )
    matrix.flags.writeable = False
    return matrix


def side_planes(camera: Camera, axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inward normals (2, 3), in the world, of the planes through the eye and the picture's left and right edges."""
    turned: NDArray[np.float64] = _sides(camera) @ axes.T
    return turned


@cache
def _sides(camera: Camera) -> NDArray[np.float64]:
    """The same in the camera's own axes."""
    focal = camera.focal_px[0] if camera.focal_px else 1.0
    centre = camera.centre_px[0] if camera.centre_px else camera.width_px / 2
    left = np.array([centre, -focal, 0.0])
    right = np.array([camera.width_px - centre, focal, 0.0])
    return np.stack([left / np.linalg.norm(left), right / np.linalg.norm(right)])


def visible(
    place: NDArray[np.floating[Any]],
    radius: NDArray[np.float32],
    axes: NDArray[np.float64],
    sides: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Which spheres, centred at ``place`` (N, 3) from the eye, may show between the side planes, before FAR_M."""
    ahead = place @ axes[:, 0]
    inside: NDArray[np.bool_] = (
        (ahead > -radius) & (ahead < FAR_M + radius) & (np.min(place @ sides.T, axis=1) > -radius)
    )
    return inside


def like_video(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture (H, W, 3) with the colour of each 2x2 block shared, its brightness kept: 4:2:0, as video stores it.

    A driver then sees at the wheel what it saw in recordings: a far lamp of two pixels loses half of its colour in any
    4:2:0 video, and would otherwise shine brighter when driving than it ever did in training. H and W are even.
    """
    wide = rgb.astype(np.int16)
    # The mean of each block, rounded down; whole numbers throughout, so equal on every machine.
    blocks = (wide[0::2, 0::2] + wide[0::2, 1::2] + wide[1::2, 0::2] + wide[1::2, 1::2]) >> 2
    brightness, of_blocks = _luma(wide), _luma(blocks)
    out = blocks.repeat(2, 0).repeat(2, 1)
    out += (brightness - of_blocks.repeat(2, 0).repeat(2, 1))[..., None]
    return out.clip(0, 255).astype(np.uint8)


def _luma(rgb: NDArray[np.int16]) -> NDArray[np.int16]:
    """How bright a colour looks, ITU-R BT.601 in 128ths: 38 red, 75 green, 15 blue (the sum fits 16 bits)."""
    weighted: NDArray[np.int16] = rgb[..., 0] * np.int16(38) + rgb[..., 1] * np.int16(75) + rgb[..., 2] * np.int16(15)
    return weighted >> 7
