"""What a drive and a clip are: clocks, frames of reference, units. Pure types; no input or output.

Rig frame: x forward, y left, z up, origin at the centre of the rear axle on the ground. Local frame: ENU metres
from the clip's start. SI units, nanoseconds; names carry the unit. Nothing is resampled at rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

CLIP_NS = 10_000_000_000
"""A clip's video is at most 10 s."""
FUTURE_NS = 4_000_000_000
"""Ego signals run this much past a clip's video, so that its last frame has a future."""
ALL_CLASSES = ("faces", "plates", "persons", "places", "trajectory", "imagery")
"""A log without a valid declaration is born with all of these."""

SIGNAL_UNITS: Mapping[str, str] = {
    "speed_mps": "m/s",
    "acceleration_mps2": "m/s2",
    "yaw_rate_radps": "rad/s",
    "curvature_1pm": "1/m",  # as driven
    "command_curvature_1pm": "1/m",  # as asked for by whoever was at the wheel
    "command_acceleration_mps2": "m/s2",
    "human_at_wheel": "1",  # 1 a person drove, 0 a model
    "odometry_x_m": "m",  # dead-reckoned in ENU from the drive's start, no absolute place
    "odometry_y_m": "m",
    "odometry_yaw_rad": "rad",
    "steering_normalised": "1",  # as the log has it, -1..1, positive left
    "throttle_normalised": "1",
    "brake_normalised": "1",
    "route_command": "1",  # world.state.Command
    "route_distance_m": "m",
    "shadow_curvature_1pm": "1/m",  # what a driver in shadow would have done
    "shadow_acceleration_mps2": "m/s2",
}
"""Every ego signal that a clip may have, with its unit."""


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera of a rig. A field that the log does not know is None, never invented.

    ``position_m`` (x, y, z) and ``rotation_rad`` (roll, pitch, yaw) are in the rig frame.
    """

    name: str
    width_px: int
    height_px: int
    focal_px: tuple[float, float] | None = None
    centre_px: tuple[float, float] | None = None
    position_m: tuple[float, float, float] | None = None
    rotation_rad: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Rig:
    """The vehicle's sensors and what is known of its steering."""

    cameras: tuple[Camera, ...]
    wheelbase_m: float | None = None
    steering: str = "unknown"


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """One ego signal with its own clock: ``t_ns`` int64 (N,), ``value`` float32 (N,), NaN where missing."""

    name: str
    t_ns: NDArray[np.int64]
    value: NDArray[np.float32]
    clock: str = "vehicle"


@dataclass(frozen=True, slots=True)
class Trigger:
    """Why the vehicle kept this: take_over, disagreement, hard_brake, campaign."""

    name: str
    t_ns: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One picture as the log has it. ``codec``: 'h264' (Annex B), 'jpeg', 'raw' (RGB24)."""

    t_ns: int
    data: bytes
    codec: str
    key: bool


@dataclass(frozen=True, slots=True, eq=False)
class Fixes:
    """Absolute positions, WGS 84: restricted, kept in a table of their own, never seen by training."""

    t_ns: NDArray[np.int64]
    latitude_deg: NDArray[np.float64]
    longitude_deg: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Drive:
    """One continuous recording of one vehicle, as a reader gives it. Frames stream; signals are in memory.

    ``frames(camera)`` iterates that camera's frames in time order and may be called more than once.
    ``clock`` is 'recorded' or 'declared' (``--assume-fps``). ``declaration`` is the log's signed statement of
    what is (not) in it, unverified. ``release`` is the digest of the release that the vehicle ran, or ''.
    """

    source: str
    format: str
    vehicle: str
    rig: Rig
    signals: Mapping[str, Signal]
    frames: Callable[[str], Iterator[EncodedFrame]]
    triggers: tuple[Trigger, ...] = ()
    fixes: Fixes | None = None
    clock: str = "recorded"
    declaration: Mapping[str, object] | None = None
    release: str = ""
    cut: bool = False
    damage: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """One row of the lake: at most 10 s of a drive.

    ``frame_t_ns`` has each camera's own timestamps. ``media`` is the digest of the clip revision's one object
    (MP4 with one video stream per camera, in the order of ``rig.cameras``) or '' for signals alone.
    """

    id: str
    drive: str
    vehicle: str
    start_ns: int
    end_ns: int
    format: str
    clock: str
    rig: Rig
    frame_t_ns: Mapping[str, NDArray[np.int64]]
    signals: Mapping[str, Signal]
    triggers: tuple[Trigger, ...]
    media: str
    media_bytes: int
    revision: int
    origins: tuple[str, ...]
    classes: tuple[str, ...]
    parents: tuple[str, ...]
    release: str = ""
    place: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
