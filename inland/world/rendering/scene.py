"""What stands still in a town, as triangles: a `Layout` becomes painted ground and solids. Pure numpy.

The ground is flat, so it is painted as a painter would, layer over layer, with no depth to fight over. Triangles
come in groups of one place, so that a camera draws only what it can see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from inland.digest import digest_of
from inland.world.rendering import solids
from inland.world.rendering.atlas import Picture, house_front, sign_face
from inland.world.rendering.ground import Layer, ground_layers, stacked
from inland.world.traffic.layout import Layout

CELL_M = 32.0


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Runs of triangles that lie together: first vertex, vertex count, bounding sphere, and whether they are fine."""

    first: NDArray[np.uint32]
    count: NDArray[np.uint32]
    centre_m: NDArray[np.float32]
    radius_m: NDArray[np.float32]
    fine: NDArray[np.bool_]


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
    hung = [replace(sign, face=_face(sign.face, layout.town)) for sign in layout.signs]
    faces = sorted({sign.face for sign in hung})
    pictures = [np.ones_like(house_front(False)), house_front(False), house_front(True)]
    pictures += [sign_face(face) for face in faces]
    layer_of = {face: 3 + at for at, face in enumerate(faces)}

    ground, ground_groups = _grouped(ground_layers(layout))
    upright = [solids.block(block, sun) for block in layout.blocks]
    small = [solids.sign(sign, layer_of[sign.face], sun) for sign in hung]
    for signal in layout.signals:
        upright += [solids.signal_head(head, signal.arrow, sun) for head in signal.heads]
    solid, solid_groups = _grouped([Layer(stacked(upright, 9)), Layer(stacked(small, 9), fine=True)])

    lamps = [
        (solids.lamps_of(head, signal.arrow), at, signal.arrow)
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


def _face(face: str, town: str) -> str:
    """American warnings are diamonds, all others triangles."""
    return f"us_{face}" if town == "town_us" and face.startswith("warning") else face


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


def _grouped(layers: Sequence[Layer]) -> tuple[NDArray[np.float32], Groups]:
    """Sort each layer's triangles by cell; return all vertices in order and the runs."""
    vertices, first, count, centres, radii, fine = [], [], [], [], [], []
    at = 0
    for layer, is_fine in layers:
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
            fine.append(is_fine)
            vertices.append(places)
            at += len(places)
    width = layers[0].triangles.shape[2]
    return (
        np.concatenate(vertices) if vertices else np.zeros((0, width), np.float32),
        Groups(
            np.array(first, np.uint32),
            np.array(count, np.uint32),
            np.array(centres, np.float32).reshape(-1, 3),
            np.array(radii, np.float32),
            np.array(fine, np.bool_),
        ),
    )
