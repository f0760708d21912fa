"""Scoring: the same seeds for everyone, nothing driven twice, a killed run goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inland import score as scoring
from inland import spread
from inland.errors import BadInput
from inland.release import take_into_use
from inland.score import AtWheel, driver_digest, episode_log, score, score_one
from inland.scorecard import EpisodeResult, Scorecard, pairs, success_rates, to_json
from inland.site import Site, init_site

EXPERT = AtWheel("expert", "expert")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = init_site(tmp_path / "site", "cn")
    for name in ("abc1", "abd2"):
        front = {"name": "front", "width_px": 256, "height_px": 144}
        manifest = {"name": name, "constant": {"0": [0.0, 0.5]}, "looks": True, "cameras": [front]}
        made.storage.put(f"models/{name}/manifest.json", json.dumps(manifest).encode())
    return made


def made_up(job: Any) -> tuple[EpisodeResult, bytes]:
    """Instead of driving: success follows from the driver and the seed."""
    good = job.driver.kind == "expert" or job.spec.seed % 2 == 0
    spec = job.spec
    result = EpisodeResult(
        spec.layout, spec.scenario, spec.n, spec.seed, good, 100.0 if good else 40.0, "completed", (), {"pdms": 0.5},
        job.key,
    )  # fmt: skip
    return result, b"log of " + job.key.encode()


@pytest.fixture
def driven(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was driven, by key; nothing is really driven."""
    keys: list[str] = []

    def here(function: Callable[[Any], Any], items: list[Any], **_: Any) -> Iterator[Any]:
        for item in items:
            keys.append(item.key)
            yield made_up(item)

    monkeypatch.setattr(spread, "map", here)
    return keys


MODELS = (AtWheel("candidate", "model", "abc1"), AtWheel("field", "model", "abd2"), EXPERT)


def test_every_driver_drives_the_same_episodes(site: Site, driven: list[str]) -> None:
    card = score(site, MODELS, "town_cn", 16)
    seeds = [[(e.scenario, e.layout, e.seed) for e in d.episodes] for d in card.drivers]
    assert seeds[0] == seeds[1] == seeds[2]
    assert len(set(seeds[0])) == 16
    assert len(driven) == len(set(driven)) == 48
    assert [p.scenario for p in pairs(card)] == [e.scenario for e in card.drivers[0].episodes]
    assert card.driver("expert").pooled.success.value == 1.0


def test_a_repeated_run_drives_nothing_and_says_the_same(site: Site, driven: list[str]) -> None:
    first = score(site, MODELS, "town_cn", 8)
    count = len(driven)
    assert score(site, MODELS, "town_cn", 8) == first
    assert len(driven) == count
    kept = json.loads(site.storage.get(f"scores/{first.digest}.json"))
    assert kept == to_json(first)


def test_more_episodes_keep_those_that_were_driven(site: Site, driven: list[str]) -> None:
    score(site, [EXPERT], "town_us", 8)
    score(site, [EXPERT], "town_us", 12)
    assert len(driven) == 12


def test_baselines_are_not_driven_again_beside_another_candidate(site: Site, driven: list[str]) -> None:
    score(site, MODELS, "town_cn", 8)
    driven.clear()
    score(site, [AtWheel("candidate", "model", "abd2"), *MODELS[1:]], "town_cn", 8)
    assert driven == []


def test_one_model_in_two_roles_is_driven_once(site: Site, driven: list[str]) -> None:
    card = score(site, [AtWheel("candidate", "model", "abc1"), AtWheel("field", "model", "abc1")], "town_us", 4)
    assert len(driven) == 4
    assert card.drivers[0].episodes == card.drivers[1].episodes


def test_a_killed_run_goes_on_where_it_was(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[str] = []
    dies_after = [5]

    def here(function: Callable[[Any], Any], items: list[Any], **_: Any) -> Iterator[Any]:
        for item in items:
            if len(keys) == dies_after[0]:
                raise KeyboardInterrupt
            keys.append(item.key)
            yield made_up(item)

    monkeypatch.setattr(spread, "map", here)
    with pytest.raises(KeyboardInterrupt):
        score(site, MODELS, "town_cn", 8)
    dies_after[0] = -1
    again = score(site, MODELS, "town_cn", 8)
    assert len(keys) == len(set(keys)) == 24
    fresh = init_site(Path(site.root).parent / "fresh", "cn")
    for name in ("abc1", "abd2"):
        fresh.storage.put(f"models/{name}/manifest.json", site.storage.get(f"models/{name}/manifest.json"))
    assert score(fresh, MODELS, "town_cn", 8) == again


def test_a_result_is_kept_only_after_its_log(site: Site, driven: list[str]) -> None:
    card = score(site, [EXPERT], "town_us", 2)
    for episode in card.drivers[0].episodes:
        assert episode_log(site, episode.key) == b"log of " + episode.key.encode()


def test_another_purpose_has_other_seeds(site: Site, driven: list[str]) -> None:
    develop = score(site, [EXPERT], "town_us", 8, "develop")
    final = score(site, [EXPERT], "town_us", 8, "final")
    seeds = [{e.seed for e in card.drivers[0].episodes} for card in (develop, final)]
    assert not seeds[0] & seeds[1]
    assert develop.digest != final.digest


def test_a_raised_world_revision_forgets_what_was_driven(
    site: Site, driven: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    score(site, [EXPERT], "town_us", 2)
    monkeypatch.setattr(scoring, "WORLD_REVISION", scoring.WORLD_REVISION + 1)
    score(site, [EXPERT], "town_us", 2)
    assert len(driven) == 4


def test_bad_questions_are_answered_plainly(site: Site, driven: list[str]) -> None:
    with pytest.raises(BadInput, match="one role"):
        score(site, [EXPERT, EXPERT], "town_us", 2)
    with pytest.raises(BadInput, match="no model"):
        score(site, [AtWheel("candidate", "model", "zzz")], "town_us", 2)
    with pytest.raises(BadInput, match="kind of driver"):
        score(site, [AtWheel("candidate", "ghost", "abc1")], "town_us", 2)
    with pytest.raises(BadInput, match="no town"):
        score(site, [EXPERT], "town_xx", 2)


def test_a_driver_is_named_by_what_decides_how_it_drives(site: Site) -> None:
    site.storage.put("models/same/manifest.json", site.storage.get("models/abc1/manifest.json"))
    digests = [driver_digest(site, AtWheel("candidate", "model", name)) for name in ("abc1", "abd2", "same")]
    assert digests[0] == digests[2] != digests[1]
    constants = [driver_digest(site, AtWheel("constant", "constant", name)) for name in ("abc1", "abd2")]
    # Both models were trained on data with the same mean controls: one constant driver.
    assert constants[0] == constants[1]


def test_one_driver_is_scored_by_name_or_by_the_beginning_of_its_digest(site: Site, driven: list[str]) -> None:
    answer = score_one(site, "abc", suite="town_us", episodes=4)
    assert answer["model"] == "abc1"
    assert set(answer["success_rate"]) == {"value", "low", "high", "episodes"}
    assert answer["evidence"] == "towns only"
    assert Path(answer["scorecard"]).exists()
    assert score_one(site, "expert", suite="town_us", episodes=4)["success_rate"]["value"] == 1.0
    with pytest.raises(BadInput, match="more than one"):
        score_one(site, "ab")
    with pytest.raises(BadInput, match="no model begins"):
        score_one(site, "zz")
    with pytest.raises(BadInput, match="no driver is in use"):
        score_one(site, "field")
    take_into_use(site, "abd2")
    assert score_one(site, "field", suite="town_us", episodes=4)["model"] == "abd2"
    assert score_one(site, "constant", suite="town_us", episodes=4)["model"] == "abd2"


def test_success_rates_are_given_by_town_and_driver(site: Site, driven: list[str]) -> None:
    cards: list[Scorecard] = [score(site, [EXPERT], town, 4) for town in ("town_cn", "town_us")]
    rates = success_rates(cards)
    assert set(rates) == {"town_cn", "town_us"}
    assert rates["town_cn"]["expert"]["episodes"] == 4


def test_the_real_expert_is_driven_measured_and_kept_as_a_film_can_use_it(tmp_path: Path) -> None:
    from inland.metrics import score_episode
    from inland.world.episode_log import EpisodeLog
    from inland.world.towns import load_layout

    site = init_site(tmp_path / "site", "us")
    card = score(site, [EXPERT], "town_us", 2, processes=2)
    for result in card.drivers[0].episodes:
        log = EpisodeLog.from_bytes(episode_log(site, result.key))
        measured = score_episode(log, load_layout(result.layout))
        assert measured.driving_score == result.driving_score
        assert measured.success == result.success
        assert measured.route_completion == result.measures["route_completion"]
        assert all(np.isfinite(v) for v in result.measures.values())


def test_a_model_for_another_rig_is_refused_before_anything_is_driven(site: Site, driven: list[str]) -> None:
    centre = {"name": "center", "width_px": 320, "height_px": 160}
    manifest = {"name": "udacity", "looks": True, "cameras": [centre], "constant": {}}
    site.storage.put("models/f00/manifest.json", json.dumps(manifest).encode())
    with pytest.raises(BadInput, match=r"another rig: it looks at center \(320x160\)") as caught:
        score_one(site, "f00", suite="town_us", episodes=4)
    assert "front (256x144)" in caught.value.remedy
    assert driven == []
