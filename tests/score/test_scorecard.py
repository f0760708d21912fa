"""A scorecard's numbers and its form on disk."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inland.errors import BadInput
from inland.scorecard import EpisodeResult, Scorecard, driver_score, estimate_mean, from_json, pairs, part_of, to_json


def result(success: bool, scenario: str = "a", score: float = 50.0, infractions: tuple[str, ...] = ()) -> EpisodeResult:
    return EpisodeResult("us_oak", scenario, 0, 7, success, score, "completed", infractions, {"pdms": score / 100}, "k")


episodes = st.lists(
    st.builds(
        result,
        st.booleans(),
        st.sampled_from("abc"),
        st.floats(0, 100),
        st.lists(st.sampled_from(["red_light", "collision_vehicle"]), max_size=3).map(tuple),
    ),
    min_size=1,
    max_size=20,
)


@given(episodes)
def test_a_scorecard_survives_its_json(results: list[EpisodeResult]) -> None:
    card = Scorecard("town_us", "final", "d", (driver_score("field", "model", "x", results),))
    assert from_json(json.loads(json.dumps(to_json(card)))) == card


@given(episodes)
def test_the_scenarios_parts_make_up_the_whole(results: list[EpisodeResult]) -> None:
    scored = driver_score("field", "model", "x", results)
    parts = scored.scenarios.values()
    assert sum(p.success.episodes for p in parts) == scored.pooled.success.episodes
    assert sum(sum(p.infractions.values()) for p in parts) == sum(len(r.infractions) for r in results)


def test_a_part_counts_what_happened() -> None:
    part = part_of([result(True, score=100.0), result(False, score=60.0, infractions=("red_light", "red_light"))])
    assert part.success.value == 0.5
    assert part.driving_score.value == 80.0
    assert part.measures == {"pdms": 0.8}
    assert part.infractions == {"red_light": 2}
    assert part.ends == {"completed": 2}


def test_a_mean_has_a_bootstrap_interval_that_is_the_same_each_time() -> None:
    values = list(np.random.default_rng(0).normal(50, 10, 100))
    found = estimate_mean(values)
    assert found == estimate_mean(values)
    # The standard error of a mean of 100 values with deviation 10 is 1: the interval is near +-1.96.
    assert found.value - found.low == pytest.approx(1.96, abs=0.35)
    assert found.high - found.value == pytest.approx(1.96, abs=0.35)
    assert estimate_mean([]).episodes == 0
    assert estimate_mean([3.0, 3.0]).low == 3.0


def test_pairs_need_both_drivers() -> None:
    card = Scorecard("town_us", "final", "d", (driver_score("field", "model", "x", [result(True)]),))
    with pytest.raises(BadInput, match="candidate"):
        pairs(card)


def test_something_else_is_no_scorecard() -> None:
    with pytest.raises(BadInput, match="not a scorecard"):
        from_json({"drivers": [{}]})
