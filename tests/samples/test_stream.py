from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inland.digest import digest_of
from inland.errors import TrainingError
from inland.stream import Position, epoch_rows, prefetch, stream

ROWS = np.arange(5, 42)


def weights(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).choice([0.1, 1.0, 2.0, 4.0], 50).astype(np.float32)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 5), st.integers(1, 60), st.integers(0, 12))
def test_a_stream_resumed_anywhere_gives_the_samples_that_it_would_have_given(seed: int, batch: int, at: int) -> None:
    whole = list(itertools.islice(stream(ROWS, weights(seed), seed, batch, Position()), 16))
    position = whole[at - 1][1] if at else Position()
    rest = list(itertools.islice(stream(ROWS, weights(seed), seed, batch, position), 16 - at))
    for (a, p), (b, q) in zip(whole[at:], rest, strict=True):
        np.testing.assert_array_equal(a, b)
        assert p == q


@given(st.integers(1, 4))
def test_ranks_share_a_batch_whatever_their_number(world: int) -> None:
    rows, _ = next(stream(ROWS, weights(0), 0, 24, Position()))
    shares = [rows[rank::world] for rank in range(world)]
    assert sorted(np.concatenate(shares)) == sorted(rows)


def test_a_row_comes_as_often_as_its_weight_says() -> None:
    weight = weights(3)
    drawn = np.concatenate([epoch_rows(ROWS, weight, 9, epoch) for epoch in range(400)])
    counts = np.bincount(drawn, minlength=50)[ROWS] / 400
    # the standard error of a coin over 400 epochs is at most 0.025
    np.testing.assert_allclose(counts, weight[ROWS], atol=0.1)
    assert not np.array_equal(epoch_rows(ROWS, weight, 9, 0)[:20], epoch_rows(ROWS, weight, 9, 1)[:20])


def test_no_rows_is_an_error_and_no_endless_loop() -> None:
    with pytest.raises(TrainingError, match="no frame to train on"):
        next(stream(np.zeros(0, np.int64), weights(0), 0, 4, Position()))


def test_reading_ahead_keeps_the_order_and_hands_over_errors() -> None:
    assert list(prefetch(iter(range(50)))) == list(range(50))

    def breaks() -> Iterator[int]:
        yield 1
        raise ValueError("a bad clip")

    read = prefetch(breaks())
    assert next(read) == 1
    with pytest.raises(ValueError, match="a bad clip"):
        next(read)


def test_closing_early_leaves_no_thread_behind() -> None:
    read = prefetch(itertools.count())
    assert next(read) == 0
    read.close()
    assert not [t for t in threading.enumerate() if t.name == "inland-prefetch"]


def test_the_order_of_samples_is_the_same_on_every_machine() -> None:
    # A change here changes every trained model: raise REVISION in inland/train.py with it.
    rows = np.concatenate([batch for batch, _ in itertools.islice(stream(ROWS, weights(0), 7, 5, Position()), 40)])
    assert digest_of(rows.astype(np.int64))[:16] == "a74d5c321fd0d1af"
