"""The gate's numbers, its verdicts, and that they move the right way."""

from __future__ import annotations

import ast
import sys
from math import comb, log, sqrt
from pathlib import Path
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from inland import gate
from inland.gate import Pair, decide, fair_coin_p, holm, sign_flip, smallest_visible, tango_interval, wilson

Z = 1.959963984540054
RANK = {"refused": 0, "inconclusive": 1, "passed": 2}


def some(scenario: str = "a", wins: int = 0, losses: int = 0, both: int = 0, neither: int = 0) -> list[Pair]:
    outcomes = [(False, True)] * wins + [(True, False)] * losses + [(True, True)] * both + [(False, False)] * neither
    return [Pair(scenario, f, c, 100.0 * f, 100.0 * c) for f, c in outcomes]


STEADY_OLD_TOWN = some(both=80)


def drawn(seed: int, n: int, win: float, loss: float, scenarios: int = 4) -> list[Pair]:
    """Pairs of a known truth: a win with chance ``win``, a loss with ``loss``."""
    random = Random(seed)
    found = []
    for i in range(n):
        u = random.random()
        f, c = (False, True) if u < win else (True, False) if u < win + loss else (True, True)
        found.append(Pair(f"s{i % scenarios}", f, c))
    return found


def test_the_gate_imports_the_standard_library_alone() -> None:
    tree = ast.parse(Path(gate.__file__).read_text())
    imported = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    imported |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    assert {str(name).split(".")[0] for name in imported} <= set(sys.stdlib_module_names)


def test_mcnemars_exact_p_is_the_binomial_tail() -> None:
    # 9 of 10 heads or more: (10 + 1) / 2^10.
    assert fair_coin_p(9, 1) == 11 / 1024
    # No discordant pair says nothing.
    assert fair_coin_p(0, 0) == 1.0
    # 5 of 5: 1/32, the fewest wins that show anything at 0.05.
    assert fair_coin_p(5, 0) == 1 / 32
    assert fair_coin_p(4, 0) > 0.05


def test_wilsons_interval_has_its_published_value() -> None:
    # Newcombe (1998) Statistics in Medicine 17:857, table I: 81 of 263, method 3: 0.2553 to 0.3662.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    # The same table, 0 of 20: 0 to 0.1611, which is z2 / (n + z2).
    assert wilson(0, 20) == pytest.approx((0.0, Z * Z / (20 + Z * Z)))
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilsons_interval_holds_the_rate_and_lies_in_its_range(counted: tuple[int, int]) -> None:
    k, n = counted
    low, high = wilson(k, n)
    assert 0 <= low <= k / n <= high <= 1


def test_tangos_interval_with_no_discordant_pair_is_closed_form() -> None:
    # With no win and no loss the likelihood under a difference -d puts all its weight on losses, q = d; the score is
    # sqrt(n d / (1 - d)), which equals z at d = z2 / (n + z2).
    edge = Z * Z / (40 + Z * Z)
    assert tango_interval(0, 0, 40) == pytest.approx((-edge, edge), abs=1e-9)
    # 10 points are excluded from 35 pairs on: z2 / (n + z2) < 0.1 where n > 9 z2 = 34.6.
    assert tango_interval(0, 0, 34)[0] < -0.1 < tango_interval(0, 0, 35)[0]


def test_tangos_interval_when_every_pair_is_a_win_ends_at_one() -> None:
    low, high = tango_interval(14, 0, 14)
    # Under a difference d with losses none: q = (1 - d) / 2 of the rest; the score equals z where
    # (n (1 - d))^2 = z2 n (1 - d^2), so d = (n - z2) / (n + z2).
    assert low == pytest.approx((14 - Z * Z) / (14 + Z * Z), abs=1e-9)
    assert high == pytest.approx(1.0)


@pytest.mark.parametrize(("wins", "losses", "pairs"), [(12, 2, 50), (5, 9, 80), (30, 30, 160), (3, 0, 20)])
def test_tangos_bounds_are_where_a_likelihood_found_by_search_gives_a_score_of_z(
    wins: int, losses: int, pairs: int
) -> None:
    def score(d: float) -> float:
        """The score with q found by ternary search of the likelihood, not by the quadratic."""

        def likelihood(q: float) -> float:
            terms = [(wins, q + d), (losses, q), (pairs - wins - losses, 1 - 2 * q - d)]
            return sum(k * log(max(p, 1e-300)) for k, p in terms if k)

        low, high = max(0.0, -d), (1 - d) / 2
        for _ in range(200):
            a, b = low + (high - low) / 3, high - (high - low) / 3
            low, high = (a, high) if likelihood(a) < likelihood(b) else (low, b)
        q = (low + high) / 2
        return (wins - losses - pairs * d) / sqrt(pairs * (2 * q + d - d * d))

    low, high = tango_interval(wins, losses, pairs)
    assert score(low) == pytest.approx(Z, abs=1e-4)
    assert score(high) == pytest.approx(-Z, abs=1e-4)


@pytest.mark.parametrize("truth", [(0.05, 0.05), (0.10, 0.02), (0.02, 0.10), (0.3, 0.1)])
def test_tangos_interval_covers_the_truth_as_often_as_it_says(truth: tuple[float, float]) -> None:
    # Exact: the chance of every table of 40 pairs, summed where the interval holds the true difference.
    win, loss = truth
    n, covered = 40, 0.0
    for w in range(n + 1):
        for x in range(n + 1 - w):
            rest = n - w - x
            chance = comb(n, w) * comb(n - w, x) * win**w * loss**x * (1 - win - loss) ** rest
            if chance > 1e-9:
                low, high = tango_interval(w, x, n)
                covered += chance * (low <= win - loss <= high)
    assert 0.93 <= covered <= 0.985


def test_tangos_score_is_zero_where_no_pair_can_vary() -> None:
    assert gate.tango_score(0, 0, 20, 0.0) == 0.0
    assert gate.tango_score(5, 0, 20, -1.0) == float("inf")
    assert gate.tango_score(0, 5, 20, 1.0) == float("-inf")
    assert tango_interval(0, 0, 0) == (-1.0, 1.0)


@given(st.integers(1, 60), st.data())
@settings(max_examples=150, deadline=None)
def test_a_pair_that_turns_better_moves_both_bounds_up(pairs: int, data: st.DataObject) -> None:
    wins = data.draw(st.integers(0, pairs))
    losses = data.draw(st.integers(0, pairs - wins))
    low, high = tango_interval(wins, losses, pairs)
    if losses:
        assert tango_interval(wins, losses - 1, pairs) >= (low - 1e-9, high - 1e-9)
    if wins + losses < pairs:
        better = tango_interval(wins + 1, losses, pairs)
        assert better[0] >= low - 1e-9
        assert better[1] >= high - 1e-9


def test_holm_steps_down_from_the_smallest_p() -> None:
    # 0.01 < 0.05/4 falls; 0.015 < 0.05/3 falls; 0.03 >= 0.05/2 stands, and so does everything after it.
    assert holm([0.03, 0.01, 0.04, 0.015]) == (False, True, False, True)
    assert holm([]) == ()


def test_holm_finds_a_false_harm_in_at_most_one_turn_in_twenty() -> None:
    # Eight scenarios without any difference, 400 turns.
    alarms = 0
    for turn in range(400):
        random = Random(turn)
        p = []
        for _ in range(8):
            losses = sum(random.random() < 0.5 for _ in range(10))
            p.append(fair_coin_p(losses, 10 - losses))
        alarms += any(holm(p))
    assert alarms <= 0.05 * 400 + 3 * sqrt(400 * 0.05 * 0.95)


def test_a_clear_improvement_without_harm_passes() -> None:
    verdict = decide(some(wins=12, losses=1, both=30, neither=5), STEADY_OLD_TOWN)
    assert verdict.verdict == "passed"
    assert verdict.passed
    # 13 discordant pairs, 12 wins or more: (13 + 1) / 2^13.
    assert verdict.p_better == 14 / 8192
    assert verdict.overall.value == pytest.approx(11 / 48)


def test_too_few_episodes_are_inconclusive_and_say_what_they_could_have_seen() -> None:
    verdict = decide(some(wins=3, both=5), STEADY_OLD_TOWN)
    assert verdict.verdict == "inconclusive"
    assert not verdict.passed
    assert 0.5 < verdict.smallest_visible <= 1.0
    assert "not shown to be better" in verdict.reasons[0]


def test_no_episodes_at_all_are_inconclusive() -> None:
    verdict = decide([], [])
    assert verdict.verdict == "inconclusive"
    assert verdict.smallest_visible == 1.0
    assert len(verdict.reasons) == 2


def test_a_driver_that_is_worse_overall_is_refused() -> None:
    verdict = decide(some(losses=9, both=40), STEADY_OLD_TOWN)
    assert verdict.verdict == "refused"
    assert verdict.reasons[0].startswith("worse overall")


def test_a_driver_that_is_just_as_good_is_refused_where_more_episodes_would_not_help() -> None:
    # No pair differs in 400: the upper bound is z2 / (400 + z2) = 1 point, so 5 points are excluded.
    assert decide(some(both=400), STEADY_OLD_TOWN).verdict == "refused"
    # In 40 it is 8.8 points: they are not.
    assert decide(some(both=40), STEADY_OLD_TOWN).verdict == "inconclusive"


def test_harm_in_one_scenario_refuses_however_good_the_rest_is() -> None:
    # 7 losses of 7: p = 1/128 < 0.05 / 2, although 25 wins elsewhere make it better overall.
    pairs = some("good", wins=25, both=5) + some("bad", losses=7, both=13)
    verdict = decide(pairs, STEADY_OLD_TOWN)
    assert verdict.p_better < 0.05
    assert verdict.verdict == "refused"
    assert any("worse in bad" in reason for reason in verdict.reasons)


def test_a_scenario_down_by_over_20_points_on_30_pairs_refuses_without_a_test() -> None:
    # 16 losses against 9 wins: p = 0.11 is no proof of harm, yet 7 of 30 is 23 points down.
    down = some("down", wins=9, losses=16, both=5)
    verdict = decide(some("up", wins=30) + down, STEADY_OLD_TOWN)
    assert not any(t.worse for t in verdict.scenarios)
    assert verdict.verdict == "refused"
    assert any("down in down" in reason for reason in verdict.reasons)


def test_exactly_20_points_down_or_29_pairs_do_not_trip_the_rule() -> None:
    assert not any(t.dropped for t in decide(some("x", wins=6, losses=12, both=12), []).scenarios)
    assert not any(t.dropped for t in decide(some("x", wins=6, losses=14, both=9), []).scenarios)
    assert any(t.dropped for t in decide(some("x", wins=6, losses=13, both=11), []).scenarios)


def test_forgetting_the_old_town_refuses() -> None:
    verdict = decide(some(wins=20, both=20), some(losses=12, both=48))
    assert verdict.verdict == "refused"
    assert verdict.reasons[0].startswith("forgets the old town")


def test_a_significant_small_loss_in_the_old_town_refuses_only_where_10_points_are_not_excluded() -> None:
    # 6 of 100 lost: about -14 to -2. Significant, and 10 points are possible.
    assert decide(some(wins=20, both=20), some(losses=6, both=94)).verdict == "refused"
    # 10 of 400: about -5 to -1. Significant, and 10 points are excluded.
    assert decide(some(wins=20, both=20), some(losses=10, both=390)).verdict == "passed"


def test_an_old_town_with_too_few_episodes_is_inconclusive() -> None:
    verdict = decide(some(wins=20, both=20), some(both=20))
    assert verdict.verdict == "inconclusive"
    assert "not excluded" in verdict.reasons[0]


@pytest.mark.parametrize("name", ["alpha", "confidence", "power"])
def test_a_level_that_is_no_probability_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        decide([], [], **{name: 1.0})


outcomes = st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans()), min_size=1, max_size=70)


@given(outcomes, outcomes, st.data())
@settings(max_examples=120, deadline=None)
def test_a_result_that_turns_better_never_makes_the_verdict_worse(
    new: list[tuple[str, bool, bool]], old: list[tuple[str, bool, bool]], data: st.DataObject
) -> None:
    failed = [i for i, (_, _, candidate) in enumerate(new) if not candidate]
    assume(failed)
    at = data.draw(st.sampled_from(failed))
    pairs, old_pairs = [Pair(*row) for row in new], [Pair(*row) for row in old]
    better = [*pairs[:at], Pair(new[at][0], new[at][1], True), *pairs[at + 1 :]]
    assert RANK[decide(better, old_pairs).verdict] >= RANK[decide(pairs, old_pairs).verdict]


@given(outcomes, st.integers(0, 69))
@settings(max_examples=80, deadline=None)
def test_an_added_win_never_turns_passed_into_refused(new: list[tuple[str, bool, bool]], at: int) -> None:
    pairs = [Pair(*row) for row in new] + some("a", wins=12)
    if decide(pairs, STEADY_OLD_TOWN).passed:
        scenario = pairs[at % len(pairs)].scenario
        # The one exception is the rule's own: a scenario's 30th pair makes it large enough for question 3.
        assume(sum(p.scenario == scenario for p in pairs) != 29)
        assert decide([*pairs, *some(scenario, wins=1)], STEADY_OLD_TOWN).passed


@given(outcomes)
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_episodes_changes_nothing(new: list[tuple[str, bool, bool]]) -> None:
    pairs = [Pair(*row, 10.0 * i, 7.0 * (i % 5)) for i, row in enumerate(new)]
    assert decide(pairs, pairs) == decide(pairs[::-1], pairs[::-1])


def test_a_driver_without_any_difference_passes_in_at_most_one_turn_in_twenty() -> None:
    passed = sum(decide(drawn(seed, 80, 0.15, 0.15), STEADY_OLD_TOWN).passed for seed in range(200))
    assert passed <= 0.05 * 200 + 3 * sqrt(200 * 0.05 * 0.95)


def test_a_driver_25_points_better_passes_on_160_pairs_nearly_always() -> None:
    passed = sum(decide(drawn(seed, 160, 0.33, 0.08, 8), STEADY_OLD_TOWN).passed for seed in range(60))
    assert passed >= 57


def test_the_smallest_visible_difference_is_seen_four_times_in_five() -> None:
    pairs, losses = 120, 6
    visible = smallest_visible(pairs, losses)
    loss = (losses + 1) / (pairs + 2)
    seen = 0
    for seed in range(1000):
        found = drawn(seed, pairs, loss + visible, loss)
        wins = sum(p.candidate and not p.field for p in found)
        seen += fair_coin_p(wins, sum(p.field and not p.candidate for p in found)) < 0.05
    assert abs(seen / 1000 - 0.8) < 0.04


def test_more_pairs_make_smaller_differences_visible() -> None:
    visible = [smallest_visible(n, n // 20) for n in (20, 40, 80, 160, 320)]
    assert visible == sorted(visible, reverse=True)
    # Three pairs can never show anything: 1/8 > 0.05. Nor can a driver who loses everything there is.
    assert smallest_visible(3, 0) == 1.0
    assert smallest_visible(20, 20) == 1.0


def test_the_binomial_is_whole_where_it_is_certain() -> None:
    assert gate._binomial(5, 5, 1.0) == 1.0
    assert gate._binomial(5, 0, 0.0) == 1.0
    assert gate._binomial(5, 2, 1.0) == 0.0
    assert gate._binomial(5, 2, 0.5) == pytest.approx(10 / 32)


def test_sign_flips_agree_with_all_of_them_counted() -> None:
    differences = [5.0, 3.0, 8.0, -2.0, 4.0, 0.0, 6.0, 1.0]
    moved = [d for d in differences if d]
    total = sum(moved)
    # All 2^7 sign patterns.
    exact = sum(
        sum(d if pattern >> i & 1 else -d for i, d in enumerate(moved)) >= total for pattern in range(1 << len(moved))
    ) / (1 << len(moved))
    mean, p = sign_flip(differences)
    assert mean == pytest.approx(25 / 8)
    assert p == pytest.approx(exact, abs=0.01)
    assert sign_flip(differences) == (mean, p)
    assert sign_flip([0.0, 0.0]) == (0.0, 1.0)
