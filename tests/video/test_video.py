"""Video: equal pictures give equal bytes, and what goes in comes out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_logs import picture

from inland.clip import EncodedFrame
from inland.errors import BadInput, LogRejected
from inland.video import (
    Encoder,
    clip_packets,
    decode_clip,
    decode_packets,
    encode_frames,
    encode_jpeg,
    is_key_frame,
    key_frames,
    mux,
    picture_size,
    poster,
)


def encode(count: int, width: int = 64, height: int = 48, start_ns: int = 0, gop: int = 10) -> list[EncodedFrame]:
    encoder = Encoder(width, height, gop=gop)
    return [f for n in range(count) for f in encoder.encode(picture(n, width, height), start_ns + n * 100_000_000)]


def test_equal_pictures_give_equal_bytes_and_one_packet_each() -> None:
    first, again = encode(25), encode(25)
    assert [f.data for f in first] == [f.data for f in again]
    assert [f.t_ns for f in first] == [n * 100_000_000 for n in range(25)]


def test_a_key_frame_comes_every_second_and_is_recognised_in_the_bytes() -> None:
    frames = encode(25)
    assert key_frames(frames) == [0, 10, 20]
    assert [is_key_frame(f.data) for f in frames] == [f.key for f in frames]
    assert all(f.data.startswith(b"\x00\x00\x00\x01") for f in frames)


def test_decoded_pictures_are_near_the_originals_and_keep_their_times() -> None:
    decoded = list(decode_packets(encode(12, start_ns=7)))
    assert [t for t, _ in decoded] == [7 + n * 100_000_000 for n in range(12)]
    for n, (_, rgb) in enumerate(decoded):
        assert np.abs(rgb.astype(int) - picture(n).astype(int)).mean() < 6


def test_a_clip_holds_each_cameras_packets_as_they_were() -> None:
    front, left = encode(20), encode(15, 32, 24, start_ns=50_000_000)
    media = mux([front, left], 0)
    assert media == mux([front, left], 0)
    for camera, frames in enumerate([front, left]):
        packets = clip_packets(media, camera)
        assert [p.t_ns for p in packets] == [f.t_ns for f in frames]
        assert [p.key for p in packets] == [f.key for f in frames]
        direct = [rgb for _, rgb in decode_packets(frames)]
        for ours, theirs in zip(decode_clip(media, camera), direct, strict=True):
            assert np.array_equal(ours, theirs)


MEDIA = mux([encode(35)], 0)
WHOLE = list(decode_clip(MEDIA, 0))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 36), st.integers(0, 36))
def test_any_window_of_a_clip_decodes_to_the_same_pictures(first: int, last: int) -> None:
    window = list(decode_clip(MEDIA, 0, first, last))
    assert len(window) == len(WHOLE[first:last])
    for ours, theirs in zip(window, WHOLE[first:last], strict=True):
        assert np.array_equal(ours, theirs)


def test_the_poster_is_a_picture_of_the_middle() -> None:
    assert picture_size(EncodedFrame(0, poster(MEDIA), "jpeg", True)) == (64, 48)


def test_stills_are_encoded_and_odd_sides_lose_their_last_line() -> None:
    stills = [EncodedFrame(n, encode_jpeg(picture(n, 65, 49)), "jpeg", True) for n in range(3)]
    raw = [EncodedFrame(n, picture(n, 65, 49).tobytes(), "raw", True) for n in range(3)]
    for frames in (stills, raw):
        encoded = encode_frames(frames, 65, 49, 10.0)
        assert picture_size(encoded[0]) == (64, 48)
        assert [f.t_ns for f in encoded] == [0, 1, 2]
        assert len(list(decode_packets(encoded))) == 3


def test_a_damaged_packet_is_named_by_its_time() -> None:
    frames = encode(12)
    frames[7] = replace(frames[7], data=frames[7].data[:5] + b"\xa5" * 40)
    with pytest.raises(LogRejected, match="does not decode") as caught:
        list(decode_packets(frames))
    assert caught.value.reason == "does not decode"
    assert str(frames[7].t_ns) in caught.value.place


@pytest.mark.parametrize("data", [b"", b"no video at all", b"\x00\x00\x00\x01\x65"])
def test_bytes_that_are_no_video_are_rejected(data: bytes) -> None:
    frame = EncodedFrame(0, data, "h264", True)
    with pytest.raises(LogRejected, match="does not decode"):
        picture_size(frame)
    with pytest.raises(LogRejected, match="does not decode"):
        mux([[frame]], 0)


def test_a_damaged_jpeg_and_an_unknown_codec_are_rejected() -> None:
    for frame in (EncodedFrame(0, b"\xff\xd8 broken", "jpeg", True), EncodedFrame(0, b"x", "gif", True)):
        with pytest.raises(LogRejected, match="does not decode"):
            list(decode_packets([frame]))


def test_media_that_are_no_mp4_are_rejected() -> None:
    with pytest.raises(LogRejected, match="does not decode"):
        clip_packets(b"no file of any kind", 0)
    with pytest.raises(LogRejected, match="does not decode"):
        clip_packets(MEDIA, 3)


def test_a_picture_of_another_size_is_refused() -> None:
    encoder = Encoder(64, 48)
    with pytest.raises(BadInput, match="64x48"):
        encoder.encode(picture(0, 32, 24), 0)
    with pytest.raises(BadInput, match="even sides"):
        Encoder(65, 48)
