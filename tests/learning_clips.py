"""Small made-up drives to learn from: a bright post stands where the road turns, so only who looks can steer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from inland.clip import Camera, Clip, Rig, Signal, Trigger
from inland.recipes import CameraInput, Recipe
from inland.site import Site

CAMERAS = (CameraInput("front", 64, 48, 8, 40), CameraInput("left", 32, 24, 0, 24, shrink=2, encoder="side"))
TINY = Recipe(
    "tiny", CAMERAS, steps=30, batch=16, warmup_steps=3, learning_rate=3e-3, checkpoint_steps=10, average=0.9, threads=1
)
STEP_NS = 100_000_000


def signal(name: str, t_ns: NDArray[np.int64], value: NDArray[np.floating]) -> Signal:
    return Signal(name, t_ns, np.asarray(value, np.float32))


def made_clip(
    n: int = 0,
    *,
    frames: int = 40,
    drive: str | None = None,
    begin_ns: int = 1_000_000_000,
    drop: tuple[str, ...] = (),
    more: Mapping[str, Signal] | None = None,
    triggers: tuple[Trigger, ...] = (),
    release: str = "",
) -> tuple[Clip, bytes]:
    """A clip that depends on ``n`` alone, and its MP4. Ego signals run 4 s past the video."""
    from inland.video import Encoder, mux

    rng = np.random.default_rng(n)
    t_ns = begin_ns + STEP_NS * np.arange(frames, dtype=np.int64)
    ego_t = begin_ns + STEP_NS * np.arange(frames + 40, dtype=np.int64)
    curvature = 0.08 * np.sin(np.arange(len(ego_t)) / 9 + rng.uniform(0, 6))
    speed = 6.0 + np.cos(np.arange(len(ego_t)) / 15 + rng.uniform(0, 6))
    rate = speed * curvature
    yaw = np.concatenate([[0.0], np.cumsum(0.05 * (rate[1:] + rate[:-1]))])
    middle, step_m = 0.5 * (yaw[1:] + yaw[:-1]), 0.05 * (speed[1:] + speed[:-1])
    x, y = (np.concatenate([[0.0], np.cumsum(step_m * f(middle))]) for f in (np.cos, np.sin))
    signals = {
        "speed_mps": signal("speed_mps", ego_t, speed),
        "yaw_rate_radps": signal("yaw_rate_radps", ego_t, speed * curvature),
        "curvature_1pm": signal("curvature_1pm", ego_t, curvature),
        "odometry_x_m": signal("odometry_x_m", ego_t, x),
        "odometry_y_m": signal("odometry_y_m", ego_t, y),
        "odometry_yaw_rad": signal("odometry_yaw_rad", ego_t, yaw),
        "command_curvature_1pm": signal("command_curvature_1pm", ego_t, curvature),
        "command_acceleration_mps2": signal("command_acceleration_mps2", ego_t, np.gradient(speed, 0.1)),
        "human_at_wheel": signal("human_at_wheel", ego_t, np.ones(len(ego_t))),
        "route_command": signal("route_command", ego_t, np.zeros(len(ego_t))),
        "route_distance_m": signal("route_distance_m", ego_t, np.full(len(ego_t), 60.0)),
    }
    signals = {**{k: v for k, v in signals.items() if k not in drop}, **(more or {})}
    packets: list[list] = [[], []]
    encoders = [Encoder(64, 48), Encoder(32, 24)]
    for k in range(frames):
        front = np.full((48, 64, 3), 60, np.uint8)
        at = round(32 - curvature[k] * 300)
        front[10:38, max(at - 3, 0) : at + 4] = 240
        left = np.full((24, 32, 3), 90, np.uint8)
        for stream, (encoder, picture) in enumerate(zip(encoders, (front, left), strict=True)):
            packets[stream] += encoder.encode(picture, int(t_ns[k]))
    media = mux(packets, begin_ns)
    ident = hashlib.sha256(f"clip {n} {drive} {begin_ns}".encode()).hexdigest()
    clip = Clip(
        id=ident,
        drive=drive or f"drive-{n}",
        vehicle="vehicle-a",
        start_ns=int(t_ns[0]),
        end_ns=int(t_ns[-1]),
        format="mcap",
        clock="recorded",
        rig=Rig((Camera("front", 64, 48), Camera("left", 32, 24))),
        frame_t_ns={"front": t_ns, "left": t_ns.copy()},
        signals=signals,
        triggers=triggers,
        media=hashlib.sha256(media).hexdigest(),
        media_bytes=len(media),
        revision=0,
        origins=("us",),
        classes=("imagery",),
        parents=(),
        release=release,
    )
    return clip, media


def filled_site(folder: object, clips: int = 6) -> Site:
    """A site whose lake has that many made-up drives."""
    from inland import lake
    from inland.site import init_site

    site = init_site(str(folder), "us")
    made = [made_clip(n) for n in range(clips)]
    for clip, media in made:
        site.storage.put(lake.media_key(clip.media), media)
    lake.add_clips(site, [clip for clip, _ in made])
    return site
