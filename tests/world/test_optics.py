"""What a picture loses by being video."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inland.video import Encoder, decode_packets
from inland.world.rendering.optics import like_video


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_an_even_colour_stays_what_it_is(red: int, green: int, blue: int) -> None:
    flat = np.full((4, 6, 3), (red, green, blue), np.uint8)
    assert np.abs(like_video(flat).astype(int) - flat).max() <= 1


def test_a_lamp_of_one_pixel_keeps_its_light_and_a_quarter_of_its_colour() -> None:
    grey = np.full((8, 8, 3), 90, np.uint8)
    grey[3, 3] = (230, 30, 30)
    red, green, _ = like_video(grey)[3, 3].astype(int)
    # Its block's mean colour is a quarter of (140, -60, -60) from grey: 200 / 4 = 50 between red and green.
    assert 48 <= red - green <= 52


def test_the_wheel_sees_the_colours_of_a_recording() -> None:
    picture = np.full((64, 64, 3), 90, np.uint8)
    picture[20:23, 21:24] = (230, 30, 30)
    picture[40:42, 33:35] = (20, 220, 60)
    ((_, recorded),) = decode_packets(Encoder(64, 64, 10.0).encode(picture, 0), 64, 64)
    as_seen = like_video(picture).astype(int)
    raw = np.abs(picture.astype(int) - recorded).mean()
    assert np.abs(as_seen - recorded).mean() < raw
    assert (
        np.abs(as_seen - recorded)[18:25, 19:26].mean()
        < 0.7 * np.abs(picture.astype(int) - recorded)[18:25, 19:26].mean()
    )
