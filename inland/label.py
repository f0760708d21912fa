"""Hindsight: what a good driver did, read from the log's own future. Nothing is invented, only masked.

For each frame of a clip's first camera: the trajectory of the next 3 s, and the controls. Where a person was at
the wheel and the log has their commands, these are the label; a log without commands is read from its future.
What a model did at the wheel is never a label: those values are NaN, and NaN means masked everywhere downstream.

Alignment: a step-like signal (a command, who is at the wheel, the route) counts where a sample lies within
TOLERANCE_NS of the wanted time; a smooth one (speed, odometry) is interpolated between samples at most GAP_NS
apart. Beyond that the value is masked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inland.clip import Clip, Signal
from inland.digest import digest_of
from inland.world.state import TRAJECTORY_POINTS, TRAJECTORY_STEP_S

if TYPE_CHECKING:
    from inland.site import Site

REVISION = 4
TOLERANCE_NS = 60_000_000
GAP_NS = 250_000_000
STEERING_WINDOW_NS = 400_000_000
"""A log's own steering is averaged this far to both sides."""
DISTURBED_MPS2 = 0.5
TAKE_OVER_NS = 2_000_000_000
"""Frames this near to a take-over are about it: what led there, and how a person put it right."""

HARD_BRAKE_MPS2 = -2.0
"""From here on a frame is worth more: calm drivers brake at 1 to 1.5 m/s2 for what they saw coming."""

Floats = NDArray[np.float32]
Times = NDArray[np.int64]


class Flag(IntFlag):
    """What kind of moment a frame is; `curate` weighs by it."""

    STANDING = 1  # and about to stay so
    STARTING = 2  # standing, and about to move
    HARD_BRAKE = 4
    TAKE_OVER = 8
    TURNING = 16
    RECOVERING = 32  # a disturbance has just pushed the car off what was commanded


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """The labels of one clip: arrays over its N frames, NaN where masked.

    ``trajectory_m`` (N, 6, 2) is in the rig frame at the frame's time, every 0.5 s. ``speed_mps`` and ``route``
    (N, 2: command, distance in m) are inputs, aligned here once for all. ``flags`` (N,) are `Flag` bits.
    """

    clip: str
    t_ns: Times
    trajectory_m: Floats
    curvature_1pm: Floats
    acceleration_mps2: Floats
    steering_normalised: Floats
    speed_mps: Floats
    route: Floats
    flags: NDArray[np.uint8]


def nearest(signal: Signal | None, t_ns: Times) -> Floats:
    """A step-like signal at ``t_ns``: the sample within TOLERANCE_NS, else NaN."""
    if signal is None or len(signal.t_ns) == 0:
        return np.full(len(t_ns), np.nan, np.float32)
    right = np.clip(np.searchsorted(signal.t_ns, t_ns), 1, max(len(signal.t_ns) - 1, 1))
    right = np.minimum(right, len(signal.t_ns) - 1)
    left = np.maximum(right - 1, 0)
    pick = np.where(t_ns - signal.t_ns[left] <= signal.t_ns[right] - t_ns, left, right)
    near = np.abs(signal.t_ns[pick] - t_ns) <= TOLERANCE_NS
    return np.where(near, signal.value[pick], np.nan).astype(np.float32)


def between(signal: Signal | None, t_ns: Times) -> NDArray[np.float64]:
    """A smooth signal at ``t_ns``: linear between samples at most GAP_NS apart, else NaN. No extrapolation."""
    if signal is None:
        return np.full(len(t_ns), np.nan)
    known = np.isfinite(signal.value)
    times, values = signal.t_ns[known], signal.value[known].astype(np.float64)
    if len(times) == 0:
        return np.full(len(t_ns), np.nan)
    right = np.clip(np.searchsorted(times, t_ns), 0, len(times) - 1)
    left = np.where(times[right] == t_ns, right, np.maximum(right - 1, 0))
    span = times[right] - times[left]
    share = np.where(span > 0, (t_ns - times[left]) / np.maximum(span, 1), 0.0)
    out = values[left] + share * (values[right] - values[left])
    inside = (t_ns >= times[0]) & (t_ns <= times[-1]) & (span <= GAP_NS)
    return np.where(inside, out, np.nan)


def hindsight(clip: Clip) -> Labels:
    """The labels of one clip, pure. Frame times are those of the rig's first camera."""
    first = clip.rig.cameras[0].name if clip.rig.cameras else ""
    t_ns = np.asarray(clip.frame_t_ns.get(first, np.zeros(0, np.int64)), np.int64)
    signals = clip.signals
    speed = between(signals.get("speed_mps"), t_ns)
    person = _person_at_wheel(clip)
    by_person = person(t_ns) == 1.0

    command_curvature = nearest(signals.get("command_curvature_1pm"), t_ns)
    command_acceleration = nearest(signals.get("command_acceleration_mps2"), t_ns)
    later = between(signals.get("speed_mps"), t_ns + 500_000_000)
    driven_acceleration = (later - speed) / 0.5
    driven_curvature = _driven_curvature(signals, t_ns)
    curvature = np.where(np.isfinite(command_curvature), command_curvature, driven_curvature)
    acceleration = np.where(np.isfinite(command_acceleration), command_acceleration, driven_acceleration)
    steering = _steering(signals.get("steering_normalised"), t_ns)

    trajectory = _trajectory(signals, t_ns)
    for k in range(TRAJECTORY_POINTS):
        # A path is a person's only if a person drove all of it up to that point.
        until = t_ns + round((k + 1) * TRAJECTORY_STEP_S * 1e9)
        trajectory[~(by_person & (person(until) == 1.0)), k:] = np.nan

    flags = _flags(clip, t_ns, speed, np.where(by_person, curvature, np.nan), acceleration)
    return Labels(
        clip=clip.id,
        t_ns=t_ns,
        trajectory_m=trajectory.astype(np.float32),
        curvature_1pm=np.where(by_person, curvature, np.nan).astype(np.float32),
        acceleration_mps2=np.where(by_person, acceleration, np.nan).astype(np.float32),
        steering_normalised=np.where(by_person, steering, np.nan).astype(np.float32),
        speed_mps=speed.astype(np.float32),
        route=np.stack(
            [nearest(signals.get("route_command"), t_ns), nearest(signals.get("route_distance_m"), t_ns)], 1
        ),
        flags=flags,
    )


def _person_at_wheel(clip: Clip) -> Callable[[Times], Floats]:
    """Who drove. A log that does not say was driven by a person, unless a release was installed."""
    signal = clip.signals.get("human_at_wheel")
    if signal is not None:
        return lambda t_ns: nearest(signal, t_ns)
    known = np.float32(1.0 if clip.release == "" else np.nan)
    return lambda t_ns: np.full(len(t_ns), known, np.float32)


def _driven_curvature(signals: Mapping[str, Signal], t_ns: Times) -> NDArray[np.float64]:
    """Mean curvature of the next 0.3 s: yaw rate over speed, defined above 1 m/s; else the logged curvature."""
    ahead = [t_ns + offset for offset in (0, 100_000_000, 200_000_000, 300_000_000)]
    if "yaw_rate_radps" in signals:
        rate = np.mean([between(signals["yaw_rate_radps"], t) for t in ahead], axis=0)
        speed = np.mean([between(signals.get("speed_mps"), t) for t in ahead], axis=0)
        out: NDArray[np.float64] = np.where(speed > 1.0, rate / np.maximum(speed, 1.0), np.nan)
        return out
    return np.asarray(np.mean([between(signals.get("curvature_1pm"), t) for t in ahead], axis=0))


def _steering(signal: Signal | None, t_ns: Times) -> NDArray[np.float64]:
    """Mean steering around each time: keys that are tapped and hands that correct mean the arc between.

    70% of the rows of the Udacity drive have no key pressed; a network that learns the taps one by one learns
    noise. Only what the log has within the clip counts; NaN where it has nothing at the time itself.
    """
    offsets = np.arange(-STEERING_WINDOW_NS, STEERING_WINDOW_NS + 1, 100_000_000)
    around = np.stack([between(signal, t_ns + offset) for offset in offsets])
    known = np.isfinite(around)
    mean = np.where(known, around, 0.0).sum(0) / np.maximum(known.sum(0), 1)
    return np.where(np.isfinite(nearest(signal, t_ns)), mean, np.nan)


def _pose(signals: Mapping[str, Signal]) -> tuple[Signal, Signal, Signal] | None:
    """x, y and yaw over time: odometry where logged, else integrated from speed and yaw rate (or curvature)."""
    logged = tuple(signals.get(f"odometry_{name}") for name in ("x_m", "y_m", "yaw_rad"))
    if logged[0] is not None and logged[1] is not None and logged[2] is not None:
        # float32 radians that wrap would interpolate through zero.
        yaw = np.unwrap(logged[2].value.astype(np.float64)).astype(np.float32)
        return logged[0], logged[1], Signal("odometry_yaw_rad", logged[2].t_ns, yaw)
    speed = signals.get("speed_mps")
    turn = signals.get("yaw_rate_radps") or signals.get("curvature_1pm")
    if speed is None or turn is None or len(speed.t_ns) < 2:
        return None
    times = speed.t_ns
    rate = between(turn, times)
    if turn.name == "curvature_1pm":
        rate = rate * speed.value
    step_s = np.diff(times) / 1e9
    broken = (np.diff(times) > GAP_NS) | ~np.isfinite(rate[1:] + rate[:-1] + speed.value[1:] + speed.value[:-1])
    yaw64 = np.concatenate([[0.0], np.cumsum(np.where(broken, 0.0, 0.5 * (rate[1:] + rate[:-1]) * step_s))])
    middle = 0.5 * (yaw64[1:] + yaw64[:-1])
    travelled = np.where(broken, 0.0, 0.5 * (speed.value[1:] + speed.value[:-1]) * step_s)
    # Nothing is known across a break: each side of it is a track of its own, NaN between.
    lost = np.concatenate([broken, [False]]) | np.concatenate([[False], broken])
    x = np.concatenate([[0.0], np.cumsum(travelled * np.cos(middle))])
    y = np.concatenate([[0.0], np.cumsum(travelled * np.sin(middle))])
    tracks = (np.where(lost, np.nan, track).astype(np.float32) for track in (x, y, yaw64))
    return tuple(  # type: ignore[return-value]
        Signal(name, times, track) for name, track in zip(("x_m", "y_m", "yaw_rad"), tracks, strict=True)
    )


def _trajectory(signals: Mapping[str, Signal], t_ns: Times) -> NDArray[np.float64]:
    """(N, 6, 2): where the rig's origin will be, in the rig frame of now."""
    out = np.full((len(t_ns), TRAJECTORY_POINTS, 2), np.nan)
    pose = _pose(signals)
    if pose is None or len(t_ns) == 0:
        return out
    x, y, yaw = (between(signal, t_ns) for signal in pose)
    for k in range(TRAJECTORY_POINTS):
        until = t_ns + round((k + 1) * TRAJECTORY_STEP_S * 1e9)
        east, north = between(pose[0], until) - x, between(pose[1], until) - y
        out[:, k, 0] = np.cos(yaw) * east + np.sin(yaw) * north
        out[:, k, 1] = -np.sin(yaw) * east + np.cos(yaw) * north
    return out


def _flags(
    clip: Clip,
    t_ns: Times,
    speed: NDArray[np.float64],
    curvature: NDArray[np.float64],
    acceleration: NDArray[np.float64],
) -> NDArray[np.uint8]:
    soon = between(clip.signals.get("speed_mps"), t_ns + 1_000_000_000)
    still = speed < 0.3
    leaving = still & (soon >= 0.5)
    taken = [trigger.t_ns for trigger in clip.triggers if trigger.name == "take_over"]
    found = {
        Flag.STANDING: still & ~leaving,
        Flag.STARTING: leaving,
        Flag.HARD_BRAKE: (acceleration < HARD_BRAKE_MPS2) & ~still,
        Flag.TURNING: np.abs(curvature) > 0.02,
        Flag.TAKE_OVER: np.any([np.abs(t_ns - t) <= TAKE_OVER_NS for t in taken] or [still & False], axis=0),
        Flag.RECOVERING: _disturbed(clip.signals, t_ns) & ~still,
    }
    return sum(
        (np.where(mask, np.uint8(flag), np.uint8(0)) for flag, mask in found.items()), np.zeros_like(still, np.uint8)
    )


def _disturbed(signals: Mapping[str, Signal], t_ns: Times) -> NDArray[np.bool_]:
    """Whether within the last 1.5 s the car turned otherwise than commanded by more than actuators lag."""
    hit = np.zeros(len(t_ns), np.bool_)
    driven, asked = signals.get("curvature_1pm"), signals.get("command_curvature_1pm")
    if driven is None or asked is None or len(asked.t_ns) < 4:
        return hit
    # In terms of lateral acceleration: the same push turns a slow car much and a fast one little.
    pull = np.maximum(between(signals.get("speed_mps"), asked.t_ns), 3.0) ** 2
    off = np.abs(between(driven, asked.t_ns) - asked.value) * pull
    # A car lags what is asked of it while that changes; a disturbance shows also while it does not.
    steady = np.abs(asked.value - np.roll(asked.value, 3)) * pull < DISTURBED_MPS2
    steady[:3] = False
    for t in asked.t_ns[(off > DISTURBED_MPS2) & steady]:
        hit |= (t_ns >= t) & (t_ns - t <= 1_500_000_000)
    return hit


FIELDS = ("trajectory_m", "curvature_1pm", "acceleration_mps2", "steering_normalised", "speed_mps", "route", "flags")


def label_row(labels: Labels) -> dict[str, Any]:
    """One row of the lake's table ``labels``."""
    fields = []
    for name in FIELDS:
        value = np.asarray(getattr(labels, name), np.float32).reshape(len(labels.t_ns), -1)
        width = 2 * TRAJECTORY_POINTS if name == "trajectory_m" else 2 if name == "route" else 1
        fields.append({"name": name, "width": width, "value": value.ravel()})
    return {
        "id": label_id(labels.clip),
        "clip": labels.clip,
        "source": "hindsight",
        "revision": REVISION,
        "t_ns": labels.t_ns,
        "fields": fields,
    }


def label_id(clip: str) -> str:
    """The id of a clip's row in the lake's table ``labels``."""
    return digest_of("hindsight", REVISION, clip)[:32]


def labels_of_row(row: Mapping[str, Any]) -> Labels:
    """The inverse of `label_row`."""
    t_ns = np.asarray(row["t_ns"], np.int64)
    parts = {
        field["name"]: np.asarray(field["value"], np.float32).reshape(len(t_ns), field["width"])
        for field in row["fields"]
    }
    return Labels(
        clip=row["clip"],
        t_ns=t_ns,
        trajectory_m=parts["trajectory_m"].reshape(-1, TRAJECTORY_POINTS, 2),
        route=parts["route"],
        flags=parts["flags"][:, 0].astype(np.uint8),
        **{name: parts[name][:, 0] for name in FIELDS[1:5]},
    )


@dataclass(frozen=True, slots=True)
class LabelResult:
    """What `label` did."""

    labelled: int
    already_there: int


def label(
    site: Site, where: str | None = None, *, progress: Callable[[float, float, str], None] | None = None
) -> LabelResult:
    """Label every clip of the lake (or those that match ``where``) that has no labels of this revision."""
    from inland import lake

    clips = lake.clips(site, where)
    there = lake.existing(site, "labels", [label_id(clip.id) for clip in clips])
    missing = [clip for clip in clips if label_id(clip.id) not in there]
    for begin in range(0, len(missing), 256):
        lake.append(site, "labels", (label_row(hindsight(clip)) for clip in missing[begin : begin + 256]))
        if progress is not None:
            progress(min(begin + 256, len(missing)), len(missing), "label")
    return LabelResult(len(missing), len(clips) - len(missing))


def read_labels(site: Site, clips: Sequence[str]) -> Iterable[Labels]:
    """The labels of ``clips``, in that order. Raises BadInput where one has none."""
    from inland import lake

    table = lake.take(site, "labels", [label_id(clip) for clip in clips])
    return [labels_of_row(row) for row in table.to_pylist()]
