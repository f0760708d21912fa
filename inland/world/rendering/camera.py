"""The towns' camera: a world state as pictures, with depth and instance ids from the same pass (moderngl on EGL).

All towns of one process share one GL context. Open it in the process that draws (after a spawn), in one thread.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inland.clip import Rig
from inland.errors import WorldError
from inland.world.rendering.drawing import Drawing, Frame, Target
from inland.world.rendering.instances import EGO_ID
from inland.world.rendering.optics import pinhole
from inland.world.rendering.scene import build_scene
from inland.world.state import EGO_SHAPE, WorldState
from inland.world.traffic.layout import Layout

if TYPE_CHECKING:
    import moderngl

__all__ = ["EGO_ID", "RIG", "Frame", "TownCamera", "seen", "town_camera"]

RIG = Rig(
    cameras=(
        pinhole("front", 256, 144, 100.0, (1.6, 0.0, 1.5)),
        pinhole("left", 128, 72, 90.0, (1.9, 0.95, 1.1), 140.0),
        pinhole("right", 128, 72, 90.0, (1.9, -0.95, 1.1), -140.0),
    ),
    wheelbase_m=EGO_SHAPE.wheelbase_m,
    steering="curvature",
)
"""The towns' rig: a wide front camera and two that look back along the sides."""


def seen(frames: Mapping[str, Frame], threshold_px: int) -> NDArray[np.int32]:
    """Ids of the actors that cover at least ``threshold_px`` pixels in one of the pictures, ascending."""
    found: NDArray[np.int32] = np.zeros(0, np.int32)
    for frame in frames.values():
        if frame.ids is None:
            raise WorldError("these frames have no instance ids", remedy="render(..., ids=True)")
        pixels = np.bincount(frame.ids[frame.ids > 0])
        found = np.union1d(found, np.flatnonzero(pixels >= max(threshold_px, 1))).astype(np.int32)
    return found


_shared: dict[str, Any] = {}


def _context() -> moderngl.Context:
    """This process's GL context, opened at the first call."""
    if "context" not in _shared:
        # One simulator process, one core: Mesa's software rasteriser must not spread over the others, and with no
        # thread of its own it is also the fastest for pictures this small.
        os.environ["LP_NUM_THREADS"] = "0"
        os.environ.setdefault("MESA_SHADER_CACHE_DISABLE", "1")
        try:
            import moderngl

            backend: Any = "egl"  # moderngl's types say otherwise
            _shared["context"] = moderngl.create_context(standalone=True, backend=backend)
        except Exception as error:
            raise WorldError(
                f"no OpenGL context opens on EGL: {error}",
                remedy="install libegl1 libgl1 libgl1-mesa-dri (Debian, Ubuntu: apt-get install "
                "--no-install-recommends libegl1 libgl1 libgl1-mesa-dri)",
            ) from error
    context: moderngl.Context = _shared["context"]
    return context


class TownCamera:
    """Draws one layout through one rig. The GL objects are made at the first picture.

    ``samples`` 4 smooths edges, for people; models need it less than they need the speed (three times).
    """

    def __init__(self, layout: Layout, rig: Rig = RIG, *, samples: int = 0) -> None:
        self.layout = layout
        self.rig = rig
        self._samples = samples
        self._cameras = {camera.name: camera for camera in rig.cameras}
        self._gl: Drawing | None = None
        self._targets: dict[tuple[tuple[str, ...], bool], Target] = {}

    def render(
        self,
        state: WorldState,
        cameras: Sequence[str] = ("front",),
        *,
        ids: bool = True,
        depth: bool = True,
        draw_ego: bool = False,
    ) -> dict[str, Frame]:
        """Draw ``state`` through ``cameras``; depth and ids come from the same pass as RGB.

        The ego is not in its own pictures unless ``draw_ego``, as id EGO_ID (a view from behind needs it).
        Raises WorldError where no GL context opens or a camera is not the rig's.
        """
        names = tuple(cameras)
        unknown = [name for name in names if name not in self._cameras]
        if unknown:
            raise WorldError(f"the rig has no camera {unknown[0]!r}", place=", ".join(self._cameras))
        with _context() as context:
            if self._gl is None:
                self._gl = Drawing(context, build_scene(self.layout))
            key = (names, ids or depth)
            if key not in self._targets:
                chosen = [self._cameras[name] for name in names]
                self._targets[key] = Target(context, chosen, labels=ids or depth, samples=self._samples)
            target = self._targets[key]
            self._gl.update(state, draw_ego)
            target.clear()
            for camera, viewport in zip(target.cameras, target.viewports, strict=True):
                self._gl.draw(target, camera, viewport, state.ego)
            return target.read(ids, depth)

    def seen(self, frames: Mapping[str, Frame], threshold_px: int) -> NDArray[np.int32]:
        """Ids of the actors that cover at least ``threshold_px`` pixels in one of the pictures, ascending."""
        return seen(frames, threshold_px)

    def close(self) -> None:
        """Free what this layout holds on the GL side; a later picture makes it anew."""
        if self._gl is None:
            return
        with _context():
            self._gl.release()
            for target in self._targets.values():
                target.release()
        self._gl = None
        self._targets.clear()


_kept: dict[tuple[str, Rig, int], TownCamera] = {}
CAMERAS_KEPT = 8


def town_camera(layout: Layout, rig: Rig = RIG, *, samples: int = 0) -> TownCamera:
    """This process's camera for a layout, kept from one episode to the next."""
    key = (layout.name, rig, samples)
    if key in _kept and _kept[key].layout is not layout:
        # Another layout of the same name (a test's own): the old one's triangles are of no use.
        _kept.pop(key).close()
    if key not in _kept:
        if len(_kept) >= CAMERAS_KEPT:
            _kept.pop(next(iter(_kept))).close()
        _kept[key] = TownCamera(layout, rig, samples=samples)
    return _kept[key]
