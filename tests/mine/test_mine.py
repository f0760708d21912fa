"""Kinematic tags: spans and reasons from ego signals alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inland.clip import Clip, Rig, Signal, Trigger
from inland.mine import spans, tags_of

START = 1_000_000_000_000


def clip_with(triggers: tuple[Trigger, ...] = (), seconds: float = 10.0, **values: np.ndarray) -> Clip:
    t_ns = START + (np.arange(round(seconds * 10)) * 100_000_000).astype(np.int64)
    signals = {name: Signal(name, t_ns, value.astype(np.float32)) for name, value in values.items()}
    return Clip(
        id="c", drive="d", vehicle="v", start_ns=START, end_ns=int(t_ns[-1]), format="mcap", clock="recorded",
        rig=Rig(()), frame_t_ns={}, signals=signals, triggers=triggers, media="", media_bytes=0, revision=1,
        origins=("cn",), classes=(), parents=(),
    )  # fmt: skip


def test_a_hard_brake_is_tagged_with_its_span_and_strength() -> None:
    acceleration = np.zeros(100)
    acceleration[30:40] = -5.0
    (tag,) = tags_of(clip_with(acceleration_mps2=acceleration))
    assert tag.name == "hard_brake"
    assert tag.start_ns == START + 3_000_000_000
    assert tag.end_ns == START + 3_900_000_000
    assert "5.0 m/s2" in tag.reason


def test_acceleration_follows_from_speed_where_it_is_not_logged() -> None:
    speed = np.concatenate([np.full(30, 10.0), np.maximum(10.0 - 0.5 * np.arange(70), 4.0)])
    names = [tag.name for tag in tags_of(clip_with(speed_mps=speed))]
    assert names == ["hard_brake"]


def test_standing_and_the_launch_after_it() -> None:
    speed = np.concatenate([np.zeros(40), 0.2 * np.arange(60)])
    names = [tag.name for tag in tags_of(clip_with(speed_mps=speed))]
    assert names == ["standing", "launch"]


@pytest.mark.parametrize(("sign", "name"), [(1.0, "turn_left"), (-1.0, "turn_right")])
def test_a_turn_is_named_by_its_side(sign: float, name: str) -> None:
    rate = np.zeros(100)
    rate[20:60] = sign * 0.4  # 4 s at 0.4 rad/s: 92 degrees
    assert [tag.name for tag in tags_of(clip_with(yaw_rate_radps=rate))] == [name]


def test_a_bend_is_no_turn() -> None:
    rate = np.zeros(100)
    rate[20:60] = 0.1  # 23 degrees
    assert tags_of(clip_with(yaw_rate_radps=rate)) == []


def test_the_future_beyond_the_video_is_not_tagged() -> None:
    acceleration = np.zeros(140)
    acceleration[120:130] = -6.0
    clip = clip_with(acceleration_mps2=acceleration, seconds=14.0)
    short = Clip(**{**{f: getattr(clip, f) for f in Clip.__dataclass_fields__}, "end_ns": START + 10_000_000_000})
    assert tags_of(short) == []


def test_a_trigger_becomes_a_tag() -> None:
    (tag,) = tags_of(clip_with((Trigger("take_over", START + 5, "would hit a scooter"),)))
    assert (tag.name, tag.reason) == ("take_over", "would hit a scooter")


@given(st.lists(st.booleans(), max_size=60))
def test_spans_cover_exactly_what_holds(holds: list[bool]) -> None:
    mask = np.array(holds, dtype=bool)
    covered = np.zeros(len(mask), dtype=bool)
    for first, last in spans(np.arange(len(mask), dtype=float), mask, 0.0):
        assert not covered[first : last + 1].any()
        covered[first : last + 1] = True
    assert (covered == mask).all()
