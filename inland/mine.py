"""Mining: which situations a clip holds, as short readable functions of its ego signals and triggers.

Each tag has a time span and a reason that a person can check. Tags that need to see other road users come from
tracks of the auto-labeller, not from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inland.clip import Clip, Signal
from inland.digest import digest_of

if TYPE_CHECKING:
    from inland.site import Site

REVISION = 1

HARD_BRAKE_MPS2 = -3.0
STANDING_MPS = 0.3
STANDING_S = 2.0
TURN_RAD = np.radians(45.0)
LAUNCH_MPS = 3.0
SMOOTH_S = 0.3


@dataclass(frozen=True, slots=True)
class Tag:
    """One occurrence of a kind of situation in a clip."""

    clip: str
    name: str
    start_ns: int
    end_ns: int
    reason: str


def _signal(clip: Clip, name: str) -> Signal | None:
    signal = clip.signals.get(name)
    return signal if signal is not None and len(signal.t_ns) > 2 else None


def _inside(clip: Clip, signal: Signal) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times (s from the clip's start) and values within the clip's video, without missing values."""
    keep = (signal.t_ns >= clip.start_ns) & (signal.t_ns <= clip.end_ns) & np.isfinite(signal.value)
    return (signal.t_ns[keep] - clip.start_ns) / 1e9, signal.value[keep].astype(np.float64)


def spans(t_s: NDArray[np.float64], holds: NDArray[np.bool_], shortest_s: float) -> list[tuple[int, int]]:
    """Index pairs (first, last) of the runs where ``holds`` for at least ``shortest_s`` seconds."""
    if len(holds) == 0:
        return []
    edges = np.flatnonzero(np.diff(np.concatenate([[False], holds, [False]]).astype(np.int8)))
    runs = [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return [(a, b) for a, b in runs if t_s[b] - t_s[a] >= shortest_s]


def acceleration(clip: Clip) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Times and longitudinal acceleration: as logged, else from speed over `SMOOTH_S`."""
    logged = _signal(clip, "acceleration_mps2")
    if logged is not None:
        return _inside(clip, logged)
    speed = _signal(clip, "speed_mps")
    if speed is None:
        return None
    t_s, v_mps = _inside(clip, speed)
    if len(t_s) < 3 or t_s[-1] - t_s[0] < SMOOTH_S:
        return None
    ahead = np.interp(t_s + SMOOTH_S / 2, t_s, v_mps)
    behind = np.interp(t_s - SMOOTH_S / 2, t_s, v_mps)
    return t_s, (ahead - behind) / SMOOTH_S


def hard_brakes(clip: Clip) -> Iterable[Tag]:
    """Braking harder than 3 m/s2 for at least 0.2 s."""
    found = acceleration(clip)
    if found is None:
        return
    t_s, a_mps2 = found
    for a, b in spans(t_s, a_mps2 < HARD_BRAKE_MPS2, 0.2):
        yield _tag(clip, "hard_brake", t_s[a], t_s[b], f"braked at {-a_mps2[a : b + 1].min():.1f} m/s2")


def standings(clip: Clip) -> Iterable[Tag]:
    """Standing still for at least 2 s."""
    speed = _signal(clip, "speed_mps")
    if speed is None:
        return
    t_s, v_mps = _inside(clip, speed)
    for a, b in spans(t_s, np.abs(v_mps) < STANDING_MPS, STANDING_S):
        yield _tag(clip, "standing", t_s[a], t_s[b], f"stood for {t_s[b] - t_s[a]:.1f} s")


def launches(clip: Clip) -> Iterable[Tag]:
    """From standing to 3 m/s: the start after a stop."""
    speed = _signal(clip, "speed_mps")
    if speed is None:
        return
    t_s, v_mps = _inside(clip, speed)
    for _, b in spans(t_s, np.abs(v_mps) < STANDING_MPS, 0.5):
        faster = np.flatnonzero(v_mps[b:] > LAUNCH_MPS)
        if len(faster):
            end = b + int(faster[0])
            yield _tag(clip, "launch", t_s[b], t_s[end], f"reached {LAUNCH_MPS:.0f} m/s in {t_s[end] - t_s[b]:.1f} s")


def turns(clip: Clip) -> Iterable[Tag]:
    """A turn of at least 45 degrees one way, standing apart."""
    rate = _signal(clip, "yaw_rate_radps")
    if rate is None:
        return
    t_s, yaw_rate = _inside(clip, rate)
    if len(t_s) < 3:
        return
    for name, sign in (("turn_left", 1.0), ("turn_right", -1.0)):
        for a, b in spans(t_s, sign * yaw_rate > 0.05, 0.5):
            turned = float(np.trapezoid(yaw_rate[a : b + 1], t_s[a : b + 1]))
            if abs(turned) >= TURN_RAD:
                yield _tag(clip, name, t_s[a], t_s[b], f"turned {abs(np.degrees(turned)):.0f} degrees")


def triggered(clip: Clip) -> Iterable[Tag]:
    """What the vehicle itself said: its triggers."""
    for trigger in clip.triggers:
        yield Tag(clip.id, trigger.name, trigger.t_ns, trigger.t_ns, trigger.note or "said by the vehicle")


def _tag(clip: Clip, name: str, start_s: float, end_s: float, reason: str) -> Tag:
    return Tag(clip.id, name, clip.start_ns + round(start_s * 1e9), clip.start_ns + round(end_s * 1e9), reason)


TAGGERS: Sequence[Callable[[Clip], Iterable[Tag]]] = (hard_brakes, standings, launches, turns, triggered)


def tags_of(clip: Clip) -> list[Tag]:
    """All tags of one clip, in time order."""
    return sorted(
        (tag for tagger in TAGGERS for tag in tagger(clip)),
        key=lambda tag: (tag.start_ns, tag.name, tag.end_ns),
    )


def mine(site: Site) -> dict[str, Any]:
    """Tag every clip that this revision has not tagged; return the number of clips and of tags by name.

    Idempotent: a tag's id follows from the clip, its name, its span and `REVISION`.
    """
    from inland.lake import append, clips, scan

    before = scan(site, "tags", ["clip", "revision"]).to_pylist()
    done = {row["clip"] for row in before if row["revision"] == REVISION}
    fresh = [clip for clip in clips(site) if clip.id not in done]
    found = [tag for clip in fresh for tag in tags_of(clip)]
    rows = [
        {
            "id": digest_of("tag", REVISION, tag)[:32],
            "clip": tag.clip,
            "name": tag.name,
            "start_ns": tag.start_ns,
            "end_ns": tag.end_ns,
            "reason": tag.reason,
            "revision": REVISION,
        }
        for tag in found
    ]
    with site.writing():
        append(site, "tags", {row["id"]: row for row in rows}.values())
    names = [row["name"] for row in scan(site, "tags", ["name"]).to_pylist()]
    return {
        "clips": len(fresh),
        "tags": {name: names.count(name) for name in sorted(set(names))},
    }
