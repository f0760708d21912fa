"""Cutting: whatever the rig, clips are short, begin at key frames, never cross a gap and lose nothing decodable."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inland.checks import GAP_PERIODS
from inland.clip import CLIP_NS
from inland.errors import LogRejected
from inland.landing import Track, plan

MS = 1_000_000


def track(count: int, period_ms: int, gop: int, offset_ms: int = 0, gaps: dict[int, int] | None = None) -> Track:
    """Regular frames with gaps: frame number -> milliseconds more before it."""
    t_ms = np.arange(count) * period_ms + offset_ms
    for at, more in (gaps or {}).items():
        t_ms[at:] += more
    return Track((t_ms * MS).astype(np.int64), np.arange(count) % gop == 0, period_ms * MS)


@st.composite
def rigs(draw: st.DrawFn) -> dict[str, Track]:
    period = draw(st.sampled_from([40, 50, 100]))
    gop = draw(st.integers(1, 1000 // period))
    count = draw(st.integers(30, 700))
    gaps = {}
    for _ in range(draw(st.integers(0, 2))):
        gaps[draw(st.integers(1, count - 1))] = draw(st.integers(int(GAP_PERIODS * period) + 1, 40_000))
    tracks = {"front": track(count, period, gop, 0, gaps)}
    for n in range(draw(st.integers(0, 2))):
        offset = draw(st.integers(-period // 2, period // 2))
        tracks[f"side{n}"] = track(count, period, draw(st.integers(1, 1000 // period)), offset, gaps)
    return tracks


@settings(max_examples=150, deadline=None)
@given(rigs())
def test_windows_are_short_in_order_and_begin_with_key_frames(tracks: dict[str, Track]) -> None:
    windows = plan(tracks)
    for window, following in itertools.pairwise(windows):
        assert window.end_ns <= following.start_ns
        assert following.drive - window.drive in (0, 1)
    for window in windows:
        assert 0 < window.end_ns - window.start_ns <= CLIP_NS
        for name, (first, last) in window.frames.items():
            assert first == last or tracks[name].key[first]


@settings(max_examples=150, deadline=None)
@given(rigs())
def test_no_frame_is_in_two_clips_and_none_that_follows_a_key_frame_is_lost(tracks: dict[str, Track]) -> None:
    windows = plan(tracks)
    for name, of in tracks.items():
        ranges = [window.frames[name] for window in windows]
        taken = [n for first, last in ranges for n in range(first, last)]
        assert taken == sorted(set(taken))
        if name == "front":
            # After a gap the video can only be decoded from the next key frame on.
            wanted = {n for window in windows for n in range(*window.frames["front"])}
            lost = set(range(len(of.t_ns))) - wanted
            assert len(lost) <= (np.count_nonzero(np.diff(of.t_ns) > GAP_PERIODS * of.period_ns) + 1) * 25


@settings(max_examples=100, deadline=None)
@given(rigs())
def test_no_clip_crosses_a_gap(tracks: dict[str, Track]) -> None:
    front = tracks["front"]
    for window in plan(tracks):
        first, last = window.frames["front"]
        assert np.all(np.diff(front.t_ns[first:last]) <= GAP_PERIODS * front.period_ns)


def test_cameras_of_one_rate_and_phase_share_every_cut() -> None:
    tracks = {"front": track(250, 100, 10), "left": track(250, 100, 10, 3), "right": track(250, 100, 10, -3)}
    windows = plan(tracks)
    assert [w.frames for w in windows] == [dict.fromkeys(tracks, pair) for pair in ((0, 100), (100, 200), (200, 250))]
    assert [w.end_ns - w.start_ns for w in windows] == [CLIP_NS, CLIP_NS, CLIP_NS // 2]


def test_key_frames_over_ten_seconds_apart_are_rejected() -> None:
    with pytest.raises(LogRejected, match="key frames too far apart"):
        plan({"front": track(300, 100, 150)})


def test_a_camera_that_starts_late_or_stops_early_has_frames_where_it_has() -> None:
    late = track(250, 100, 10)
    late = Track(late.t_ns[120:], late.key[120:], late.period_ns)
    early = track(90, 100, 10)
    windows = plan({"front": track(250, 100, 10), "late": late, "early": early})
    assert [w.frames["late"] for w in windows] == [(0, 0), (0, 80), (80, 130)]
    assert [w.frames["early"] for w in windows] == [(0, 90), (90, 90), (90, 90)]
