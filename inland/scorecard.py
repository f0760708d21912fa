"""What a suite's result is: drivers on the same episodes, each number with its interval. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from inland import gate
from inland.errors import BadInput

BOOTSTRAP_DRAWS = 2_000
BOOTSTRAP_SEED = 20_260_502


@dataclass(frozen=True, slots=True)
class Estimate:
    """A rate or a mean with its 95% interval and the episodes behind it."""

    value: float
    low: float
    high: float
    episodes: int


@dataclass(frozen=True, slots=True)
class EpisodeResult:
    """One driver in one episode. ``measures`` are the metrics' numbers by name, ``key`` names the kept
    log."""

    layout: str
    scenario: str
    n: int
    seed: int
    success: bool
    driving_score: float
    end: str
    infractions: tuple[str, ...]
    measures: Mapping[str, float]
    key: str


@dataclass(frozen=True, slots=True)
class Part:
    """Results over some episodes: all of a driver's, or those of one scenario."""

    success: Estimate
    driving_score: Estimate
    measures: Mapping[str, float]
    infractions: Mapping[str, int]
    ends: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class DriverScore:
    """One driver's part of a scorecard."""

    role: str
    kind: str
    digest: str
    pooled: Part
    scenarios: Mapping[str, Part]
    episodes: tuple[EpisodeResult, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Scorecard:
    """A suite's result: ``town``, the seeds' ``purpose``, and each driver on the same episodes.

    ``digest`` names what was measured (drivers, episodes, revisions); ``evidence`` where it comes from.
    """

    town: str
    purpose: str
    digest: str
    drivers: tuple[DriverScore, ...]
    evidence: tuple[str, ...] = ("towns",)

    def driver(self, role: str) -> DriverScore:
        """One driver's part. BadInput where the scorecard has no such role."""
        for scored in self.drivers:
            if scored.role == role:
                return scored
        raise BadInput(
            f"no driver {role!r} on this scorecard", remedy=f"one of: {', '.join(d.role for d in self.drivers)}"
        )


def driver_score(role: str, kind: str, digest: str, results: Sequence[EpisodeResult]) -> DriverScore:
    """One driver's part of a scorecard from its episodes."""
    scenarios = sorted({r.scenario for r in results})
    return DriverScore(
        role=role,
        kind=kind,
        digest=digest,
        pooled=part_of(results),
        scenarios={s: part_of([r for r in results if r.scenario == s]) for s in scenarios},
        episodes=tuple(results),
    )


def estimate_rate(outcomes: Sequence[bool]) -> Estimate:
    """A success rate with Wilson's 95% interval."""
    low, high = gate.wilson(sum(outcomes), len(outcomes))
    return Estimate(sum(outcomes) / max(len(outcomes), 1), low, high, len(outcomes))


def estimate_mean(values: Sequence[float]) -> Estimate:
    """A mean with its 95% percentile bootstrap interval; seeded, so the same values give the same
    interval."""
    if not values:
        return Estimate(0.0, 0.0, 0.0, 0)
    array = np.asarray(values, np.float64)
    draws = np.random.default_rng(BOOTSTRAP_SEED).integers(0, len(array), (BOOTSTRAP_DRAWS, len(array)))
    low, high = np.quantile(array[draws].mean(axis=1), (0.025, 0.975))
    return Estimate(float(array.mean()), float(low), float(high), len(array))


def part_of(results: Sequence[EpisodeResult]) -> Part:
    """What some episodes say together."""
    names = sorted({name for r in results for name in r.measures})
    measured = {name: [r.measures[name] for r in results if name in r.measures] for name in names}
    return Part(
        success=estimate_rate([r.success for r in results]),
        driving_score=estimate_mean([r.driving_score for r in results]),
        measures={name: float(np.mean(values)) for name, values in measured.items()},
        infractions=dict(sorted(Counter(i for r in results for i in r.infractions).items())),
        ends=dict(sorted(Counter(r.end for r in results).items())),
    )


def pairs(card: Scorecard, field_role: str = "field", candidate_role: str = "candidate") -> list[gate.Pair]:
    """Both drivers' results, episode by episode, as the gate takes them. BadInput where a role is missing."""
    before, after = card.driver(field_role), card.driver(candidate_role)
    return [
        gate.Pair(a.scenario, a.success, b.success, a.driving_score, b.driving_score)
        for a, b in zip(before.episodes, after.episodes, strict=True)
    ]


def success_rates(cards: Sequence[Scorecard]) -> dict[str, dict[str, dict[str, float]]]:
    """``{town: {role: {value, low, high, episodes}}}`` of several scorecards, as a turn answers it."""
    return {c.town: {d.role: asdict(d.pooled.success) for d in c.drivers} for c in cards}


def to_json(card: Scorecard) -> dict[str, Any]:
    """A scorecard as plain JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(card)))
    return plain


def from_json(plain: Mapping[str, Any]) -> Scorecard:
    """The scorecard that `to_json` wrote. BadInput where it is none."""
    try:
        drivers = tuple(
            DriverScore(
                d["role"],
                d["kind"],
                d["digest"],
                _part(d["pooled"]),
                {name: _part(part) for name, part in d["scenarios"].items()},
                tuple(result_from_json(e) for e in d["episodes"]),
            )
            for d in plain["drivers"]
        )
        return Scorecard(plain["town"], plain["purpose"], plain["digest"], drivers, tuple(plain["evidence"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"not a scorecard: {error}", remedy="score again") from error


def result_from_json(plain: Mapping[str, Any]) -> EpisodeResult:
    """One episode's result from its JSON."""
    return EpisodeResult(**{**plain, "infractions": tuple(plain["infractions"])})


def _part(plain: Mapping[str, Any]) -> Part:
    return Part(
        Estimate(**plain["success"]),
        Estimate(**plain["driving_score"]),
        plain["measures"],
        plain["infractions"],
        plain["ends"],
    )
