"""The release decision: is the candidate better than the driver in use, and does it harm nowhere?

Pure and written with the standard library alone, so that anyone can check the whole of it. Every episode is
run by both drivers on the same seed; a `Pair` is the two results. Success rate decides, because it is what
a release promises (completed with no infraction); the driving score is reported beside it.

Four questions, and what answers them:

1. Better overall? McNemar's exact test on all pairs, one-sided. Pairs with equal results say nothing of the
   difference; of the others, under "no difference", each is a win or a loss like a fair coin, whatever its
   scenario. It needs no large-sample approximation and no equal difficulty of the scenarios.
2. Worse in a scenario? The same test the other way round in each, with Holm's correction over the scenarios.
3. Down by over 20 points in a scenario of 30 pairs or more? Then no test is asked.
4. Forgotten the old town? Tango's score interval of the paired difference there must lie above -10 points.

Sources: McNemar (1947) Psychometrika 12:153; Holm (1979) Scand. J. Statist. 6:65; Tango (1998) Statistics in
Medicine 17:891; Wilson (1927) JASA 22:209; Pitman (1937) for the sign-flip test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb, exp, lgamma, log, log1p, sqrt
from random import Random
from statistics import NormalDist, fmean

SIGN_FLIPS = 4_000
SIGN_FLIP_SEED = 20_260_501
"""The sign-flip test draws with a fixed seed: the same pairs always give the same number."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One episode run by both drivers: success and driving score (0 to 100) of each."""

    scenario: str
    field: bool
    candidate: bool
    field_score: float = 0.0
    candidate_score: float = 0.0


@dataclass(frozen=True, slots=True)
class Difference:
    """Candidate's success rate minus the field driver's, as a fraction, with its interval.

    ``wins`` are pairs that only the candidate masters, ``losses`` those that only the field driver does.
    """

    pairs: int
    wins: int
    losses: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ScenarioTest:
    """One scenario's test for harm. ``worse`` is after Holm's correction; ``dropped`` is question 3."""

    scenario: str
    difference: Difference
    p_worse: float
    worse: bool
    dropped: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says: ``verdict`` is 'passed', 'refused' or 'inconclusive'; only 'passed' ships.

    ``smallest_visible`` is the smallest true improvement (a fraction) that these pairs would have shown
    with 80% probability. The driving score's difference and its p are extra: they decide nothing.
    """

    verdict: str
    passed: bool
    reasons: tuple[str, ...]
    smallest_visible: float
    overall: Difference
    p_better: float
    p_worse: float
    scenarios: tuple[ScenarioTest, ...]
    old_town: Difference
    driving_score_difference: float
    p_driving_score: float


def decide(
    pairs: Sequence[Pair],
    old_town_pairs: Sequence[Pair],
    *,
    alpha: float = 0.05,
    confidence: float = 0.95,
    drop_limit: float = 0.20,
    drop_pairs: int = 30,
    old_town_margin: float = 0.10,
    worthwhile: float = 0.05,
    power: float = 0.80,
) -> Verdict:
    """Decide on a release from paired results in the new town and in the old one.

    - *refused*: harm is shown (worse overall, a scenario worse after Holm's correction or down by more than
      ``drop_limit`` on at least ``drop_pairs`` pairs, the old town's difference at or below
      -``old_town_margin`` or significantly negative with such a loss not excluded), or the interval's upper
      end overall excludes an improvement of ``worthwhile``: more episodes would not help.
    - *passed*: better overall at ``alpha``, no harm, and the old town's lower bound above
      -``old_town_margin``.
    - *inconclusive*: neither; ``smallest_visible`` says what these episodes could have shown.

    Raises ValueError for a level outside (0, 1).
    """
    for name, level in (("alpha", alpha), ("confidence", confidence), ("power", power)):
        if not 0 < level < 1:
            raise ValueError(f"{name} must lie between 0 and 1, not {level}")
    overall = difference(pairs, confidence)
    old_town = difference(old_town_pairs, confidence)
    scenarios = _scenario_tests(pairs, alpha, confidence, drop_limit, drop_pairs)
    p_better = fair_coin_p(overall.wins, overall.losses)
    p_worse = fair_coin_p(overall.losses, overall.wins)
    better = p_better < alpha

    harm = _harm(overall, p_worse < alpha, scenarios, old_town, old_town_margin)
    if not better and overall.high < worthwhile:
        harm.append(f"not better: {_points(overall)}; an improvement of {worthwhile * 100:.0f} points is excluded")
    visible = smallest_visible(overall.pairs, overall.losses, alpha=alpha, power=power)
    doubts = []
    if not better:
        doubts.append(
            f"not shown to be better: {_points(overall)}, p = {p_better:.3f}; "
            f"{overall.pairs} pairs can show {visible * 100:.0f} points or more"
        )
    if old_town.low <= -old_town_margin:
        doubts.append(
            f"the old town: {_points(old_town)}; a loss of {old_town_margin * 100:.0f} points is not excluded"
        )
    if harm:
        verdict, reasons = "refused", harm
    elif doubts:
        verdict, reasons = "inconclusive", doubts
    else:
        verdict = "passed"
        reasons = [
            f"better overall: {_points(overall)}, p = {p_better:.2g}",
            f"no scenario is worse ({len(scenarios)} tested)",
            f"the old town holds: {_points(old_town)}",
        ]
    score_difference, score_p = sign_flip([p.candidate_score - p.field_score for p in pairs])
    return Verdict(
        verdict=verdict,
        passed=verdict == "passed",
        reasons=tuple(reasons),
        smallest_visible=visible,
        overall=overall,
        p_better=p_better,
        p_worse=p_worse,
        scenarios=scenarios,
        old_town=old_town,
        driving_score_difference=score_difference,
        p_driving_score=score_p,
    )


def difference(pairs: Sequence[Pair], confidence: float = 0.95) -> Difference:
    """The paired difference of success rates and Tango's score interval; (-1, 1) where there are no pairs."""
    wins = sum(p.candidate and not p.field for p in pairs)
    losses = sum(p.field and not p.candidate for p in pairs)
    low, high = tango_interval(wins, losses, len(pairs), confidence)
    return Difference(len(pairs), wins, losses, (wins - losses) / max(len(pairs), 1), low, high)


def fair_coin_p(heads: int, tails: int) -> float:
    """P(at least ``heads`` heads) in ``heads + tails`` throws of a fair coin: McNemar's exact one-sided p.

    It is computed in whole numbers, so it is exact to the last bit of a float.
    """
    throws = heads + tails
    return sum(comb(throws, k) for k in range(heads, throws + 1)) / (1 << throws)


def holm(p_values: Sequence[float], alpha: float = 0.05) -> tuple[bool, ...]:
    """Which hypotheses fall, keeping the chance of any false alarm at ``alpha`` (Holm's step-down)."""
    fallen = [False] * len(p_values)
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda j: p_values[j])):
        if p_values[i] >= alpha / (len(p_values) - rank):
            break
        fallen[i] = True
    return tuple(fallen)


def wilson(successes: int, episodes: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a rate; (0, 1) where there are no episodes."""
    if episodes == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate = successes / episodes
    centre = rate + z * z / (2 * episodes)
    half = z * sqrt(rate * (1 - rate) / episodes + z * z / (4 * episodes * episodes))
    scale = 1 + z * z / episodes
    # Rounding must not push a bound past the rate at 0 and 1, where they coincide.
    return max(0.0, min(rate, (centre - half) / scale)), min(1.0, max(rate, (centre + half) / scale))


@lru_cache(maxsize=4096)
def tango_interval(wins: int, losses: int, pairs: int, confidence: float = 0.95) -> tuple[float, float]:
    """Tango's score interval of ``(wins - losses) / pairs``: the differences that its score test keeps.

    Near its level from some 20 pairs on and, unlike Wald's, it does not collapse to a point where no pair
    differs: there it is +-z2 / (n + z2).
    """
    if pairs == 0:
        return -1.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    estimate = (wins - losses) / pairs

    def edge(outside: float) -> float:
        # The score falls as the supposed difference grows, so each side has one crossing: bisect to it.
        inside = estimate
        for _ in range(60):
            middle = (inside + outside) / 2
            if abs(tango_score(wins, losses, pairs, middle)) < z:
                inside = middle
            else:
                outside = middle
        return inside

    return edge(-1.0), edge(1.0)


def tango_score(wins: int, losses: int, pairs: int, supposed: float) -> float:
    """How many standard errors the data lie from a ``supposed`` difference (Tango's Z).

    With q the chance of a loss and q + d that of a win, the likelihood is (q+d)^wins q^losses (1-2q-d)^rest.
    Setting its derivative to zero gives 2n q^2 + B q + C = 0 with B = (2n - wins + losses) d - wins -
    losses and C = -losses d (1 - d); its larger root is the estimate of q under d. The variance of (wins -
    losses) is n (2q + d - d^2).
    """
    b = (2 * pairs - wins + losses) * supposed - wins - losses
    c = -losses * supposed * (1 - supposed)
    chance_of_loss = (sqrt(max(b * b - 8 * pairs * c, 0.0)) - b) / (4 * pairs)
    variance = pairs * (2 * chance_of_loss + supposed * (1 - supposed))
    distance = wins - losses - pairs * supposed
    if variance <= 1e-12:
        return 0.0 if abs(distance) < 1e-9 else (float("inf") if distance > 0 else float("-inf"))
    return distance / sqrt(variance)


def smallest_visible(pairs: int, losses: int, *, alpha: float = 0.05, power: float = 0.80) -> float:
    """The smallest true improvement that McNemar's exact test on ``pairs`` would show with chance ``power``.

    The chance of a loss is taken as observed, with one pair either way added: (losses + 1) / (pairs + 2).
    Exact power, bisected to 0.1 points. 1.0 where nothing could have been shown.
    """
    loss = (losses + 1) / (pairs + 2)
    low, high = 0.0, max(0.0, 1.0 - 2 * loss)  # wins and losses together are at most all pairs
    if _power(pairs, loss, high, alpha) < power:
        return 1.0
    while high - low > 0.001:
        middle = (low + high) / 2
        if _power(pairs, loss, middle, alpha) < power:
            low = middle
        else:
            high = middle
    return high


def sign_flip(differences: Sequence[float]) -> tuple[float, float]:
    """Mean of paired ``differences`` and the one-sided p that it is above zero, by random sign flips.

    Under "no difference" each difference is as likely to have the other sign. ``SIGN_FLIPS`` draws with a
    fixed seed; the observed one counts as a draw, so p is never 0 (Phipson and Smyth 2010).
    """
    moved = sorted(d for d in differences if d != 0)  # in one order, so that the draws mean the same
    if not moved:
        return 0.0, 1.0
    observed = sum(moved)
    random = Random(SIGN_FLIP_SEED)
    as_far = 0
    for _ in range(SIGN_FLIPS):
        signs = random.getrandbits(len(moved))
        flipped = sum(d if signs >> i & 1 else -d for i, d in enumerate(moved))
        as_far += flipped >= observed - 1e-9
    return fmean(differences), (as_far + 1) / (SIGN_FLIPS + 1)


def _scenario_tests(
    pairs: Sequence[Pair], alpha: float, confidence: float, drop_limit: float, drop_pairs: int
) -> tuple[ScenarioTest, ...]:
    names = sorted({p.scenario for p in pairs})
    found = [difference([p for p in pairs if p.scenario == name], confidence) for name in names]
    p_worse = [fair_coin_p(d.losses, d.wins) for d in found]
    worse = holm(p_worse, alpha)
    # In whole pairs, so that exactly 20 points is not "over 20" by rounding.
    dropped = [d.pairs >= drop_pairs and d.losses - d.wins > drop_limit * d.pairs + 1e-9 for d in found]
    return tuple(ScenarioTest(*row) for row in zip(names, found, p_worse, worse, dropped, strict=True))


def _harm(
    overall: Difference,
    worse: bool,
    scenarios: Sequence[ScenarioTest],
    old_town: Difference,
    old_town_margin: float,
) -> list[str]:
    harm = []
    if worse:
        harm.append(f"worse overall: {_points(overall)}")
    for test in scenarios:
        if test.worse:
            harm.append(f"worse in {test.scenario}: {_points(test.difference)}, p = {test.p_worse:.2g}")
        elif test.dropped:
            harm.append(f"down in {test.scenario}: {_points(test.difference)}")
    lost = old_town.value <= -old_town_margin or old_town.high < 0
    if old_town.pairs and lost and old_town.low <= -old_town_margin:
        harm.append(f"forgets the old town: {_points(old_town)}")
    return harm


def _points(d: Difference) -> str:
    return (
        f"{d.value * 100:+.0f} points on {d.pairs} pairs "
        f"({d.wins} won, {d.losses} lost; interval {d.low * 100:+.0f} to {d.high * 100:+.0f})"
    )


def _power(pairs: int, loss: float, improvement: float, alpha: float) -> float:
    """The chance that the test shows better, where losses come with chance ``loss``, wins with more."""
    win = loss + improvement
    total = 0.0
    for losses in range(pairs + 1):
        weight = _binomial(pairs, losses, loss)
        if weight < 1e-9:
            continue
        needed = _wins_needed(losses, alpha)
        rest = pairs - losses
        total += weight * sum(_binomial(rest, k, win / (1 - loss)) for k in range(needed, rest + 1))
    return total


@lru_cache(maxsize=4096)
def _wins_needed(losses: int, alpha: float) -> int:
    """The fewest wins that show "better" beside so many losses."""
    wins = losses
    while fair_coin_p(wins, losses) >= alpha:
        wins += 1
    return wins


def _binomial(n: int, k: int, p: float) -> float:
    if p <= 0 or p >= 1:
        return float(k == (n if p >= 1 else 0))
    return exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(p) + (n - k) * log1p(-p))
