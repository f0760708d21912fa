"""The page of a turn: whole, honest, and loading nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turn_sample import ALL, scorecard, tiny_video, turn_facts

from inland.charts import Mark, bars, counts, dot_and_whisker, line_chart, running_mean, words
from inland.gate import decide
from inland.page import duration, many, with_unit
from inland.reel import turning_points
from inland.report import NOT_REALITY, TurnFacts, render, write_report
from inland.site import init_site

VOID = {"meta", "br", "line", "circle", "polyline", "input", "img"}


class Balanced(HTMLParser):
    """Every tag that opens, closes, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "href", "poster", "srcset")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def facts() -> TurnFacts:
    return turn_facts(tiny_video(), tiny_video())


def test_the_page_is_well_formed_and_loads_nothing(facts: TurnFacts) -> None:
    text = render(facts)
    page = Balanced(text)
    assert page.open == []
    assert page.sources
    assert all(source.startswith("data:video/mp4;base64,") for source in page.sources)
    assert "http:" not in text
    assert "https:" not in text
    assert "url(" not in text
    assert "@import" not in text


def test_the_page_says_that_towns_are_not_reality(facts: TurnFacts) -> None:
    assert render(facts).count(NOT_REALITY) >= 2


def test_the_page_says_what_happened(facts: TurnFacts) -> None:
    text = re.sub(r"data:video[^\"]*", "", render(facts))
    for said in (
        "A better driver goes out", "take over", "vehicle-003.mcap", "right turn across scooters", "base driver",
        "town us", "combined driver assistance", "towns only", "synthetic-model-in", "recordings-stay", "refused",
        "The new driver masters it", "The new driver does worse", "18,212", "9 min 23 s", "acceleration (m/s²)",
    ):  # fmt: skip
        assert said in text, said
    assert text.count("<video") == 6 + 4


def test_the_driver_in_use_comes_first_whatever_order_they_were_scored_in(facts: TurnFacts) -> None:
    cards = tuple(replace(card, drivers=card.drivers[::-1]) for card in facts.scorecards)
    assert render(replace(facts, scorecards=cards)).count('<g class="before">') == render(facts).count(
        '<g class="before">'
    )
    drawn = re.findall(r'<g class="(before|after)">', render(replace(facts, scorecards=cards)))
    assert drawn[:2] == ["before", "after"]


def test_an_empty_turn_has_a_page_too() -> None:
    text = render(TurnFacts("cn-1", "cn", 0, "quick", 3.0, ()))
    assert Balanced(text).open == []
    assert "A turn without a verdict" in text
    assert "Nothing tried to cross." in text
    assert NOT_REALITY in text


@pytest.mark.parametrize(("rate", "headline"), [(0.1, "The candidate stays in"), (0.46, "Not enough to say")])
def test_a_turn_that_did_not_pass_does_not_look_as_if_it_had(rate: float, headline: str) -> None:
    card = scorecard("town_cn", {"field": 0.45, "candidate": rate}, 5, ALL)
    from inland.scorecard import pairs

    verdict = decide(pairs(card), [])
    text = render(replace(turn_facts(), scorecards=(card,), verdict=verdict, release=None, roll_out=None))
    assert headline in text
    assert "stays in use" in text
    assert "There is none: only a passed verdict ships." in text
    assert "A better driver" not in text


def test_names_from_outside_cannot_become_markup(facts: TurnFacts) -> None:
    evil = "<script>alert(1)</script>"
    clip = replace(facts.clips[0], tags=(evil,), triggers=(evil,), vehicle=evil, id=evil)
    text = render(replace(facts, clips=(clip,), quarantined=((evil, evil),), tags={evil: 3}, site=evil))
    assert "<script>alert" not in text
    assert text.count("<script>") == 1


def test_the_page_is_written_below_its_turn(facts: TurnFacts, tmp_path: Path) -> None:
    site = init_site(tmp_path / "site", "cn")
    path = write_report(site, facts)
    assert path == Path(site.root) / "turns" / "1" / "report.html"
    assert path.read_text() == render(facts)


def test_turning_points_show_a_win_and_a_loss_from_different_scenarios_first() -> None:
    card = scorecard("town_cn", {"field": 0.5, "candidate": 0.5}, 12, ALL)
    shown, won, lost = turning_points(card, 3)
    better = [a for a, _, good in shown if good]
    worse = [a for a, _, good in shown if not good]
    assert len(better) == len(worse) == 3
    assert len({a.scenario for a in better}) == 3
    assert won > 3
    assert lost > 3
    assert all(b.success != a.success for a, b, _ in shown)


def test_a_mark_lies_where_its_value_is() -> None:
    svg = dot_and_whisker([("cut_in", [Mark("field", "before", 0.4, 0.25, 0.55, 20)])])
    assert 'cx="40.00%"' in svg
    assert 'x1="25.00%" x2="55.00%"' in svg
    assert "field: 40% (25 to 55) of 20" in svg


def test_the_longest_bar_fills_its_track_and_the_rest_are_in_proportion() -> None:
    assert re.findall(r"width:([\d.]+)%", bars([("a", 4.0, "4"), ("b", 1.0, "1")])) == ["100.00", "25.00"]
    assert bars([]) == '<div class="chart"></div>'


def test_many_counts_are_cut_to_the_largest_and_the_rest() -> None:
    text = counts({f"t{i:02d}": i for i in range(1, 21)}, limit=3)
    assert text.count("bar-row") == 4
    assert f">{sum(range(1, 18))}<" in text


@given(st.floats(0.01, 1e6), st.integers(1, 50))
def test_a_constant_loss_has_a_constant_running_mean(value: float, count: int) -> None:
    assert running_mean([value] * count) == pytest.approx([value] * count)


def test_a_curve_ends_at_its_last_step() -> None:
    text = line_chart([(0, 2.0), (50, 1.0), (100, 0.5)], [(100, 0.7)])
    assert ">100<" in text
    assert 'cx="100.00%"' in text
    assert "No curve" in line_chart([])


def test_words_and_times_and_units_are_as_people_write_them() -> None:
    assert words("right_turn<b>") == "right turn&lt;b&gt;"
    assert [duration(s) for s in (0.42, 14.2, 62, 3720)] == ["0.4 s", "14 s", "1 min 02 s", "1 h 02 min"]
    assert (many(1, "log"), many(1200, "log")) == ("1 log", "1,200 logs")
    assert (with_unit("curvature_1pm"), with_unit("loss")) == ("curvature (1/m)", "loss")
