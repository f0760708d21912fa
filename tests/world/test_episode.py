from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from multiprocessing.pool import Pool

import numpy as np
import pytest
from hand_made import cruise, make_log, others, state

from inland.drivers import Observation
from inland.errors import BadInput
from inland.metrics import score_episode
from inland.world.driving.expert import ExpertDriver
from inland.world.episode import StepRecord, run_episode, run_episodes
from inland.world.episode_log import EpisodeLog
from inland.world.geometry import make_path
from inland.world.state import Control, Kind
from inland.world.towns import EpisodeSpec, episode_spec, episode_specs, load_layout


class Reckless:
    """Full throttle, straight on."""

    name, digest = "reckless", "reckless"
    cameras: tuple[str, ...] = ()

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def drive(self, observation: Observation) -> Control:
        """Never brakes, never steers."""
        return Control(0.0, 2.0)


class Parked(Reckless):
    """Stands."""

    name = "parked"

    def drive(self, observation: Observation) -> Control:
        """Brakes."""
        return Control(0.0, -3.0)


def us(scenario: str, n: int) -> EpisodeSpec:
    return episode_spec("town_us", "us_oak", scenario, "develop", n)


def masters(specs: list[EpisodeSpec]) -> list[str]:
    logs = run_episodes(specs, ExpertDriver, images=False)
    scores = [score_episode(log, load_layout(log.spec.layout)) for log in logs]
    return [f"{s} {k.end} {k.infractions}" for s, k in zip(specs, scores, strict=True) if not k.success]


# Each of these runs in the simulator process: SUMO holds one simulation per process.
def expert_twice() -> tuple[bytes, bytes, str]:
    first, between, second = run_episodes(
        [us("signal_turn", 1), us("curves", 2), us("signal_turn", 1)], ExpertDriver, images=False
    )
    return first.to_bytes(), second.to_bytes(), between.end


def records(options: dict[str, object], driver: type[Reckless] | None, spec: EpisodeSpec) -> tuple[
    EpisodeLog, list[StepRecord]
]:  # fmt: skip
    kept: list[StepRecord] = []
    log = run_episode(spec, driver() if driver else ExpertDriver(), observer=kept.append, **options)  # type: ignore[arg-type]
    return log, kept


@pytest.fixture(scope="module")
def simulator() -> Iterator[Pool]:
    os.environ.setdefault("LIBSUMO_AS_TRACI", "quiet")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        yield pool


def test_the_same_seed_gives_the_same_log_whatever_ran_before(simulator: Pool) -> None:
    first, second, between = simulator.apply(expert_twice)
    assert first == second
    assert between == "completed"


def test_the_expert_masters_an_episode_of_every_scenario(simulator: Pool) -> None:
    assert simulator.apply(masters, (list(episode_specs("town_cn", "develop", 8)),)) == []


def test_a_reckless_driver_leaves_the_road_or_hits_somebody(simulator: Pool) -> None:
    log, kept = simulator.apply(records, ({"images": False}, Reckless, us("curves", 2)))
    assert log.end in ("collision", "off_route")
    assert not log.human_at_wheel.any()
    assert len(kept) == len(log.controls) == len(log.states) - 1
    assert log.states[-1].ego.speed_mps == 0.0 or log.end == "off_route"


def test_a_safety_driver_takes_over_in_time_and_hands_back(simulator: Pool) -> None:
    log, kept = simulator.apply(records, ({"images": False, "safety": True}, Reckless, us("curves", 2)))
    assert log.end == "completed"
    assert 0.05 < log.human_at_wheel.mean() < 1.0
    # It hands back at least once: somebody who takes over for good teaches nothing about the driver.
    assert (np.diff(log.human_at_wheel.astype(int)) == -1).any()
    taken = [r for r in kept if "take_over" in r.triggers]
    assert taken
    assert all(r.human_at_wheel for r in taken)
    # The command is whoever's at the wheel, the shadow what the model would have done.
    assert all(r.shadow is not None and r.shadow.acceleration_mps2 == 2.0 for r in kept)
    assert all(r.command.acceleration_mps2 == 2.0 for r in kept if not r.human_at_wheel)


def test_a_driver_that_stands_for_nothing_is_blocked(simulator: Pool) -> None:
    log, _ = simulator.apply(records, ({"images": False}, Parked, us("curves", 2)))
    assert log.end == "blocked"
    assert log.duration_s < 30


def test_a_shadow_that_disagrees_is_a_trigger(simulator: Pool) -> None:
    log, kept = simulator.apply(records, ({"images": False, "shadow": Reckless()}, None, us("signal_straight", 3)))
    assert log.human_at_wheel.all()
    assert any("disagreement" in r.triggers for r in kept)
    # Not given again within three seconds.
    at = [r.t_ns for r in kept if "disagreement" in r.triggers]
    assert np.diff(at).min(initial=3_000_000_000) >= 3_000_000_000


def test_disturbed_drives_hold_recoveries_and_end_well(simulator: Pool) -> None:
    calm, _ = simulator.apply(records, ({"images": False}, None, us("curves", 4)))
    pushed, _ = simulator.apply(records, ({"images": False, "perturb": True}, None, us("curves", 4)))
    assert pushed.end == calm.end == "completed"
    # The car is pushed off its line, and what was asked for brings it back.
    assert largest_offset(pushed) > largest_offset(calm) + 0.05
    assert largest_offset(pushed) < 1.0


def largest_offset(log: EpisodeLog) -> float:
    """How far the rear axle was from the route's path at most, metres."""
    path = make_path(log.route.path)
    return max(abs(path.project(x, y)[1]) for x, y in log.egos[:, :2])


def test_a_log_comes_back_from_its_bytes_as_it_was() -> None:
    states = [state(k, e, others((1, Kind.CAR, 50, 3, 0, k * 0.1))) for k, e in enumerate(cruise())]
    states[3] = state(3, states[3].ego)  # a moment with nobody there
    log = make_log(states)
    again = EpisodeLog.from_bytes(log.to_bytes())
    assert again.to_bytes() == log.to_bytes()
    assert [s.ego for s in again.states] == [s.ego for s in log.states]
    assert [len(s.actors) for s in again.states] == [len(s.actors) for s in log.states]
    assert (again.spec, again.end, again.route.lanes) == (log.spec, log.end, log.route.lanes)


def test_bytes_that_are_no_log_are_refused_plainly() -> None:
    data = make_log([state(k, e) for k, e in enumerate(cruise())]).to_bytes()
    for bad in (b"", b"no log", data[: len(data) // 2]):
        with pytest.raises(BadInput, match="not an episode log"):
            EpisodeLog.from_bytes(bad)
