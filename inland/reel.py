"""Short videos for a page: a clip's front camera as it was recorded, and an episode as seen from behind the
car.

Heavy (PyAV, and a GL context for films): import it lazily; films are made in spawned workers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inland import spread, video
from inland.clip import Clip, EncodedFrame
from inland.errors import NotStored
from inland.lake import media_key
from inland.score import episode_log
from inland.scorecard import EpisodeResult, Scorecard

if TYPE_CHECKING:
    from inland.site import Site

FILM_PX = (480, 270)
FILM_CRF = 32
FILM_S = 12.0
AFTER_S = 3.0
"""A film shows this much around the moment that made the difference, so much of it after."""
STEP_NS = 100_000_000


@dataclass(frozen=True, slots=True)
class Film:
    """One episode driven by both drivers: MP4 of each, how each ended, and whether the new one did better."""

    town: str
    layout: str
    scenario: str
    n: int
    better: bool
    before_end: str
    after_end: str
    before: bytes
    after: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """What to film: an episode's kept log, and from when on."""

    log: bytes
    start_s: float


def clip_video(site: Site, clip: Clip, camera: str = "front") -> bytes:
    """One camera of a clip as an MP4 of its own, its packets copied; b'' where the clip has no such video."""
    names = [c.name for c in clip.rig.cameras]
    if not clip.media or not names:
        return b""
    index = names.index(camera) if camera in names else 0
    try:
        packets = video.clip_packets(site.storage.get(media_key(clip.media)), index)
    except NotStored:
        return b""
    return video.mux([packets], 0) if packets else b""


def turning_points(card: Scorecard, limit: int = 1) -> tuple[list[tuple[EpisodeResult, EpisodeResult, bool]], int, int]:
    """Pairs (before, after, better) to show: up to ``limit`` that the candidate newly masters and as many
    that it newly fails, each from another scenario where there is one; and how many there are of either.
    """
    before, after = card.driver("field").episodes, card.driver("candidate").episodes
    pairs = list(zip(before, after, strict=True))
    won = [(a, b, True) for a, b in pairs if b.success and not a.success]
    lost = [(a, b, False) for a, b in pairs if a.success and not b.success]
    return _spread_out(won, limit) + _spread_out(lost, limit), len(won), len(lost)


def films(site: Site, card: Scorecard, limit: int = 1, processes: int = 2) -> tuple[Film, ...]:
    """Side-by-side films of `turning_points`, rendered from the kept logs. Raises WorldError without a GL
    context."""
    shown, _, _ = turning_points(card, limit)
    cuts = []
    for a, b, better in shown:
        moment_s = (a if better else b).measures.get("duration_s", 0.0)
        cuts += [Cut(episode_log(site, result.key), moment_s + AFTER_S - FILM_S) for result in (a, b)]
    made = list(spread.map(film_of, cuts, processes=max(2, processes))) if cuts else []
    return tuple(
        Film(card.town, a.layout, a.scenario, a.n, better, _ended(a), _ended(b), made[2 * i], made[2 * i + 1])
        for i, (a, b, better) in enumerate(shown)
    )


def film_of(cut: Cut) -> bytes:
    """A stretch of an episode's kept log as an MP4 from behind the car, 10 pictures a second."""
    from inland.world.episode_log import EpisodeLog
    from inland.world.film import film
    from inland.world.towns import load_layout

    log = EpisodeLog.from_bytes(cut.log)
    length = round(FILM_S * 1e9 / STEP_NS)
    # An episode that ended before is shown to its own end.
    first = max(0, min(round(cut.start_s * 1e9 / STEP_NS), len(log.states) - length))
    frames = film(log.states[first : first + length], load_layout(log.spec.layout), size=FILM_PX)
    encoder = video.Encoder(*FILM_PX, fps=10, gop=50, crf=FILM_CRF)
    packets: list[EncodedFrame] = []
    for i, rgb in enumerate(frames):
        packets += encoder.encode(rgb, i * STEP_NS)
    return video.mux([packets], 0)


def _ended(result: EpisodeResult) -> str:
    if result.success:
        return "completed without an infraction"
    broken = list(dict.fromkeys(i.replace("_", " ") for i in result.infractions))
    if result.end not in ("completed", "collision") or not broken:
        broken.append(result.end.replace("_", " "))
    return ", ".join(broken)


def _spread_out(
    found: Sequence[tuple[EpisodeResult, EpisodeResult, bool]], limit: int
) -> list[tuple[EpisodeResult, EpisodeResult, bool]]:
    """The first ``limit``, taking every scenario once before any twice."""
    seen: dict[str, int] = {}
    ranked = []
    for order, pair in enumerate(found):
        seen[pair[0].scenario] = seen.get(pair[0].scenario, 0) + 1
        ranked.append((seen[pair[0].scenario], order, pair))
    return [pair for _, _, pair in sorted(ranked, key=lambda r: r[:2])[:limit]]
