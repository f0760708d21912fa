"""Configurations of training: functions that return dataclasses. Each knob is a field with its reason.

A user's own network plugs in by ``Recipe.make_model``, an import string ``module:function``; the function takes
the recipe and returns a `torch.nn.Module` with the face of `inland.model.Network`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from inland.errors import BadInput


@dataclass(frozen=True, slots=True)
class CameraInput:
    """One camera as a network takes it: the recorded picture, the rows kept, the whole-number shrink.

    The kept rows ``top_px:bottom_px`` are averaged over ``shrink`` x ``shrink`` pixels. ``mirrored`` flips
    the picture left to right, so that two cameras that look along the two sides can share one set of
    weights. ``encoder`` names that set.
    """

    name: str
    width_px: int
    height_px: int
    top_px: int
    bottom_px: int
    shrink: int = 1
    mirrored: bool = False
    encoder: str = "front"

    @property
    def input_px(self) -> tuple[int, int]:
        """Height and width after crop and shrink."""
        return (self.bottom_px - self.top_px) // self.shrink, self.width_px // self.shrink


@dataclass(frozen=True, slots=True)
class FrameWeights:
    """How often a frame is drawn in an epoch, relative to 1. Where several apply, the largest counts.

    A standing frame that none of the others names is thinned: thousands of pictures of one red light teach
    that the speed stays what it was. The values are those of the measured prototype.
    """

    standing: float = 0.1
    hard_brake: float = 4.0
    take_over: float = 4.0
    recovering: float = 2.0
    turning: float = 2.0
    starting: float = 2.0


@dataclass(frozen=True, slots=True)
class LossWeights:
    """What each output's error counts, each in the scaled units of `inland.model.SCALES`."""

    curvature: float = 1.0
    acceleration: float = 1.0
    trajectory: float = 0.25
    steering: float = 1.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """One configuration of curation and training. All of it enters the digest of what comes out.

    ``depth`` is the one dial of the network's size. ``frames`` pictures of each camera, ``history_step_s``
    apart. ``speed_dropout`` hides the speed and ``camera_dropout`` one camera other than the first, in that
    share of the samples: a network that sees its own speed learns to keep it. ``feature_dropout`` hides that share
    of what the encoders found: few drives are soon learnt by heart. ``image_jitter`` is the largest
    relative change of brightness and contrast. ``mirror`` is the share of samples that are flipped left to right
    with their targets (for one camera that looks ahead, where traffic keeps to no side), ``shift_px`` the largest
    random shift of the prepared pictures. ``average`` is the decay of the exponential mean of the
    weights that is what ships (0: the last weights). ``precision`` 'auto' multiplies in bfloat16 where the device
    has it in hardware (weights and loss stay float32), 'float32' nowhere.
    """

    name: str
    cameras: tuple[CameraInput, ...]
    depth: int = 0
    frames: int = 2
    history_step_s: float = 0.5
    steps: int = 1000
    batch: int = 128
    learning_rate: float = 2e-3
    warmup_steps: int = 50
    weight_decay: float = 0.02
    average: float = 0.99
    speed_dropout: float = 0.3
    camera_dropout: float = 0.05
    feature_dropout: float = 0.1
    image_jitter: float = 0.15
    mirror: float = 0.0
    shift_px: int = 0
    frame_weights: FrameWeights = FrameWeights()
    loss_weights: LossWeights = LossWeights()
    held_out: float = 0.15
    seed: int = 1
    threads: int = 0
    precision: str = "auto"
    checkpoint_steps: int = 100
    make_model: str = "inland.model:make_network"

    def with_(self, **changes: object) -> Recipe:
        """A copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


TOWN_CAMERAS = (
    # Rows 28:124 hold signal heads from 8 m on and the road from 3 m on: the camera looks level, 1.5 m up.
    CameraInput("front", 256, 144, 28, 124),
    CameraInput("left", 128, 72, 20, 68, encoder="side"),
    CameraInput("right", 128, 72, 20, 68, mirrored=True, encoder="side"),
)

TOWN_HELD_OUT = 0.06
"""Closed loop decides in the towns; what is held out here only feeds a table of the page."""


def base() -> Recipe:
    """The towns' rig, from scratch: the driver that a fleet starts with."""
    return Recipe("base", TOWN_CAMERAS, held_out=TOWN_HELD_OUT)


def local() -> Recipe:
    """The towns' rig, on from a driver that exists: gentler steps, fewer of them."""
    return Recipe("local", TOWN_CAMERAS, steps=1000, learning_rate=1e-3, held_out=TOWN_HELD_OUT)


def quick() -> Recipe:
    """The path only: too little training to drive."""
    return Recipe("quick", TOWN_CAMERAS, steps=40, batch=32, warmup_steps=5)


def udacity() -> Recipe:
    """The centre camera of the Udacity simulator: 320x160, without sky and bonnet. Two minutes of driving are few,
    so pictures are mirrored and shifted."""
    camera = CameraInput("center", 320, 160, 56, 136, shrink=2)
    return Recipe("udacity", (camera,), steps=250, batch=64, frames=1, image_jitter=0.3, mirror=0.5, shift_px=3)


def tub() -> Recipe:
    """A Donkeycar: one camera 160x120, no speed."""
    camera = CameraInput("camera", 160, 120, 40, 120, shrink=2)
    return Recipe("tub", (camera,), steps=250, batch=64, frames=1, image_jitter=0.3, mirror=0.5, shift_px=3)


RECIPES: dict[str, Callable[[], Recipe]] = {
    "base": base,
    "local": local,
    "quick": quick,
    "udacity": udacity,
    "tub": tub,
}


def get(name: str) -> Recipe:
    """The recipe of that name, or what ``module:function`` gives. Raises BadInput that lists the names."""
    module_name, _, function_name = name.partition(":")
    if function_name:
        try:
            recipe = getattr(importlib.import_module(module_name), function_name)()
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise BadInput(f"cannot import recipe {name!r}: {error}", remedy="give module:function") from error
        if not isinstance(recipe, Recipe):
            raise BadInput(f"{name} gave no inland.recipes.Recipe", remedy="return a Recipe")
        return recipe
    if name not in RECIPES:
        raise BadInput(f"no recipe {name!r}", remedy=f"one of {', '.join(RECIPES)}, or module:function")
    return RECIPES[name]()
