"""Films and clips for the page: the right camera, the right seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hand_made import SPEC, cruise, make_log, state
from turn_sample import ALL, scorecard

from inland import reel
from inland.clip import Camera, Clip, Rig
from inland.errors import WorldError
from inland.lake import media_key
from inland.reel import Cut, clip_video, film_of, films, turning_points
from inland.scorecard import Scorecard
from inland.site import Site, init_site
from inland.video import Encoder, decode_clip, mux
from inland.world.state import Light
from inland.world.towns import load_layout


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return init_site(tmp_path / "site", "cn")


def a_clip(media: str, *cameras: str) -> Clip:
    rig = Rig(tuple(Camera(name, 64, 48) for name in cameras))
    return Clip(
        id="c", drive="d", vehicle="v", start_ns=0, end_ns=10, format="mcap", clock="recorded", rig=rig,
        frame_t_ns={}, signals={}, triggers=(), media=media, media_bytes=1, revision=1, origins=("cn",), classes=(),
        parents=(),
    )  # fmt: skip


def one_colour(value: int, frames: int = 5) -> list:  # type: ignore[type-arg]
    encoder = Encoder(64, 48)
    picture = np.full((48, 64, 3), value, np.uint8)
    return [packet for i in range(frames) for packet in encoder.encode(picture, i * 100_000_000)]


def test_a_clips_video_is_its_front_camera_alone(site: Site) -> None:
    digest = "ab" * 32
    site.storage.put(media_key(digest), mux([one_colour(40), one_colour(200)], 0))
    shown = clip_video(site, a_clip(digest, "left", "front"))
    pictures = list(decode_clip(shown, 0))
    assert len(pictures) == 5
    assert abs(float(pictures[0].mean()) - 200) < 5
    # Where no camera is called front, the first one.
    assert abs(float(next(decode_clip(clip_video(site, a_clip(digest, "left", "right")), 0)).mean()) - 40) < 5


def test_a_clip_without_video_shows_none(site: Site) -> None:
    assert clip_video(site, a_clip("", "front")) == b""
    assert clip_video(site, a_clip("cd" * 32, "front")) == b""
    assert clip_video(site, a_clip("cd" * 32)) == b""


def test_a_film_is_the_stretch_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    log = make_log([state(i, ego) for i, ego in enumerate(cruise())]).to_bytes()
    filmed: list[tuple[int, int]] = []

    def film(states: tuple, layout: object, size: tuple[int, int]) -> list[np.ndarray]:  # type: ignore[type-arg]
        filmed.append((states[0].t_ns // 100_000_000, states[-1].t_ns // 100_000_000))
        return [np.zeros((size[1], size[0], 3), np.uint8) for _ in states[:3]]

    monkeypatch.setattr("inland.world.film.film", film)
    # 199 states: from 3 s on; one that ended before; and from before its start.
    for start_s in (3.0, 15.0, -4.0):
        assert len(list(decode_clip(film_of(Cut(log, start_s)), 0))) == 3
    assert filmed == [(30, 149), (79, 198), (0, 119)]


def test_a_log_becomes_a_real_film() -> None:
    layout = load_layout(SPEC.layout)
    lights = np.full(len(layout.signals), Light.RED, np.uint8)
    log = make_log([replace(state(i, ego), signals=lights) for i, ego in enumerate(cruise(until_m=5.0))])
    try:
        pictures = list(decode_clip(film_of(Cut(log.to_bytes(), 0.0)), 0))
    except WorldError as error:
        pytest.skip(str(error))
    assert len(pictures) == 5
    assert pictures[0].shape == (270, 480, 3)
    assert pictures[0].std() > 10


def test_both_films_of_a_pair_show_the_seconds_around_the_failure(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    card: Scorecard = scorecard("town_cn", {"field": 0.5, "candidate": 0.5}, 6, ALL)
    cuts: list[Cut] = []

    def here(function: object, items: list[Cut], processes: int) -> list[bytes]:
        cuts.extend(items)
        return [f"film {i}".encode() for i in range(len(items))]

    monkeypatch.setattr(reel.spread, "map", here)
    monkeypatch.setattr(reel, "episode_log", lambda site, key: key.encode())
    made = films(site, card)
    assert [film.better for film in made] == [True, False]
    assert [(film.before, film.after) for film in made] == [(b"film 0", b"film 1"), (b"film 2", b"film 3")]
    assert made[0].before_end == "collision vehicle"
    assert made[0].after_end == "completed without an infraction"
    for i in (0, 2):
        assert cuts[i].start_s == cuts[i + 1].start_s
    shown, _, _ = turning_points(card)
    assert [cut.log.decode() for cut in cuts] == [r.key for a, b, _ in shown for r in (a, b)]


def test_where_nothing_changed_nothing_is_filmed(site: Site) -> None:
    assert films(site, scorecard("town_cn", {"field": 1.0, "candidate": 1.0}, 2, ALL)) == ()
