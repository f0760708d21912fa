"""Checks: a clock that cannot be one is found, a gap is measured against the camera itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inland.checks import check_signal_times, check_sizes, check_times, implausible_clock, segments
from inland.errors import LogRejected

TEN_HZ = np.arange(100, dtype=np.int64) * 100_000_000


def test_frames_3_ms_apart_are_no_capture_times() -> None:
    times = np.arange(1000, dtype=np.int64) * 3_000_000
    assert "3 ms apart" in implausible_clock(times)
    with pytest.raises(LogRejected, match="implausible clock") as caught:
        check_times(times, "front")
    assert caught.value.reason == "implausible clock"


@given(st.floats(1.0, 239.0))
def test_every_rate_of_a_real_camera_is_plausible(fps: float) -> None:
    times = np.round(np.arange(200) * 1e9 / fps).astype(np.int64)
    assert implausible_clock(times) == ""
    check_times(times, "front")


@given(st.integers(1, 99), st.integers(1, 10**10))
def test_a_clock_that_jumps_back_anywhere_is_found_and_named(at: int, back_ns: int) -> None:
    times = TEN_HZ.copy()
    times[at:] -= back_ns + 100_000_000
    with pytest.raises(LogRejected, match="clock jumps back") as caught:
        check_times(times, "front")
    assert f"frame {at} is" in caught.value.message
    with pytest.raises(LogRejected, match="clock jumps back"):
        check_signal_times(times, "speed_mps")


def test_a_frame_with_the_time_of_the_one_before_is_found() -> None:
    times = TEN_HZ.copy()
    times[50] = times[49]
    with pytest.raises(LogRejected, match="clock stands still"):
        check_times(times, "front")


@given(st.sets(st.integers(1, 99), max_size=5), st.integers(301, 10_000))
def test_a_gap_splits_and_the_parts_are_all_that_there_was(at: set[int], gap_ms: int) -> None:
    times = TEN_HZ.copy()
    for n in at:
        times[n:] += gap_ms * 1_000_000
    parts = segments(times, "front")
    assert [a for a, _ in parts] == [0, *sorted(at)]
    assert [b for _, b in parts] == [*sorted(at), 100]


def test_gaps_are_measured_against_the_cameras_own_rate() -> None:
    two_hz = np.arange(20, dtype=np.int64) * 500_000_000
    assert segments(two_hz, "front") == [(0, 20)]


def test_a_log_full_of_gaps_is_rejected() -> None:
    times = TEN_HZ.copy()
    for n in range(0, 100, 8):
        times[n:] += 400_000_000
    with pytest.raises(LogRejected, match="too many gaps"):
        segments(times, "front")


def test_a_change_of_picture_size_is_found() -> None:
    check_sizes([(4, 3), (4, 3)], "front")
    with pytest.raises(LogRejected, match="picture 1 is 4x4, the first 4x3"):
        check_sizes([(4, 3), (4, 4)], "front")
