"""An episode as a film: its logged states drawn again from behind and above the ego, for people to look at."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from inland.clip import Rig
from inland.world.rendering.camera import town_camera
from inland.world.rendering.optics import pinhole
from inland.world.state import WorldState
from inland.world.traffic.layout import Layout


@cache
def chase_rig(size: tuple[int, int]) -> Rig:
    """One camera behind and above the ego, looking a little down; ``size`` is width and height in pixels."""
    return Rig(cameras=(pinhole("chase", *size, 80.0, (-7.5, 0.0, 4.2), pitch_deg=14.0),))


def film(
    states: Iterable[WorldState], layout: Layout, rig: Rig | None = None, size: tuple[int, int] = (480, 270)
) -> list[NDArray[np.uint8]]:
    """Draw ``states`` as RGB frames (H, W, 3), one each, with the ego in them where the view is from behind.

    ``rig`` is whose first camera looks (its own size then counts); None is a chase view of ``size``. Raises
    WorldError where no GL context opens.
    """
    chosen = chase_rig(size) if rig is None else rig
    name = chosen.cameras[0].name
    camera = town_camera(layout, chosen, samples=4)
    return [camera.render(state, (name,), ids=False, depth=False, draw_ego=rig is None)[name].rgb for state in states]
