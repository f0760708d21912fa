"""Who can be at the wheel: a model, the expert, a constant, an ego-only network.

A driver sees an `Observation` ten times a second and answers with a `Control`. Nothing stands between the two and
the wheel: no rule, no tracker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inland.world.state import Control, RouteHint

Image = NDArray[np.uint8]
"""(height, width, 3) RGB."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What the vehicle knows now. ``images`` is empty where the driver declares that it needs none."""

    t_ns: int
    images: Mapping[str, Image]
    speed_mps: float
    route: RouteHint


class Driver(Protocol):
    """One driver. ``cameras`` are the cameras that it looks at; an empty tuple saves the rendering."""

    name: str
    digest: str
    cameras: tuple[str, ...]

    def reset(self, seed: int) -> None:
        """Forget the past; a new episode begins."""
        ...

    def drive(self, observation: Observation) -> Control:
        """Answer one observation."""
        ...
