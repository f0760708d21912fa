"""The page of a turn: what came in, what was learned, how it drives, what the gate said, what crossed the
border.

`write_report` turns `TurnFacts` into one self-contained ``turns/N/report.html``. Nothing here measures
anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from inland.charts import Mark, bars, counts, dot_and_whisker, line_chart, percent, words
from inland.page import duration, listed, many, page, section, table, video_tag, with_unit

if TYPE_CHECKING:
    from pathlib import Path

    from inland.border.ledger import Entry
    from inland.gate import Verdict
    from inland.reel import Film
    from inland.release import Release, RollOut
    from inland.scorecard import Estimate, Scorecard
    from inland.site import Site

NOT_REALITY = "These scores are from the embedded towns. They are not reality."
STYLES = {"field": "before", "candidate": "after"}
ROLES = {
    "field": "driver in use",
    "candidate": "candidate",
    "constant": "constant",
    "ego_only": "ego only",
    "expert": "expert",
}


ABOUT = {
    "constant": "Constant gives the mean training controls of the route command, blind.",
    "ego_only": "Ego only is the same network, trained as long, with its images blanked.",
    "expert": "The expert made the training data; it knows what the rig could have seen.",
}


@dataclass(frozen=True, slots=True)
class ClipCard:
    """One clip to show: ``video`` is its front camera as MP4 (`inland.reel.clip_video`), b'' for none."""

    id: str
    vehicle: str
    seconds: float
    tags: tuple[str, ...]
    triggers: tuple[str, ...]
    video: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class LossCurve:
    """One training: (step, loss) points, and held-out ones where there are."""

    name: str
    points: tuple[tuple[float, float], ...]
    held_out: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """A dataset's make-up: ``parts`` are headed tables of counts, such as ``{"by trigger": {"take_over":
    31}}``."""

    id: str
    digest: str
    clips: int
    samples: int
    split_by: str
    parts: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class TurnFacts:
    """Everything that the page of a turn says; each part may be left empty, and its section says so.

    ``stations`` are (name, seconds) in order. ``scorecards`` have the turn's own town first. ``open_loop`` is
    driver -> measure -> value. ``crossings`` are a site's region -> its ledger's entries.
    """

    site: str
    region: str
    turn: int
    size: str
    seconds: float
    stations: tuple[tuple[str, float], ...]
    committed: int = 0
    quarantined: tuple[tuple[str, str], ...] = ()
    clips: tuple[ClipCard, ...] = ()
    tags: Mapping[str, int] = field(default_factory=dict)
    triggers: Mapping[str, int] = field(default_factory=dict)
    dataset: DatasetFacts | None = None
    losses: tuple[LossCurve, ...] = ()
    open_loop: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    scorecards: tuple[Scorecard, ...] = ()
    verdict: Verdict | None = None
    films: tuple[Film, ...] = ()
    release: Release | None = None
    roll_out: RollOut | None = None
    crossings: Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)


def write_report(site: Site, facts: TurnFacts) -> Path:
    """Write ``turns/N/report.html`` and return its path. Raises NoSpace."""
    key = f"turns/{facts.turn}/report.html"
    site.storage.put(key, render(facts).encode())
    return site.storage.local_path(key)


def render(facts: TurnFacts) -> str:
    """The whole page."""
    parts = (
        _head(facts),
        _arrivals(facts),
        _dataset(facts),
        _training(facts),
        _driving(facts),
        _films(facts),
        _gate(facts),
        _release(facts),
        _border(facts),
        _time(facts),
    )
    foot = (
        f"<footer>{NOT_REALITY} Site <code>{escape(facts.site)}</code>, size {escape(facts.size)}. This page is one "
        "file and loads nothing.</footer>"
    )
    return page(f"Turn {facts.turn}, {facts.region}", "".join(parts) + foot)


def _head(facts: TurnFacts) -> str:
    verdict = facts.verdict
    hero = []
    for card in facts.scorecards:
        before, after = _pooled(card, "field"), _pooled(card, "candidate")
        if after is not None:
            start = f'<em class="arrow">{percent(before.value)} →</em> ' if before else ""
            hero.append(
                f"<div><b>{start}{percent(after.value)}</b><span>success in {words(card.town)}, "
                f"{after.episodes} episodes</span></div>"
            )
    hero.append(f"<div><b>{duration(facts.seconds)}</b><span>from start to end</span></div>")
    badge = f'<span class="verdict {verdict.verdict}">{verdict.verdict}</span>' if verdict else ""
    return (
        f'<p class="kicker">Inland · region {escape(facts.region)} · turn {facts.turn} {badge}</p>'
        f"<h1>{_headline(facts)}</h1>"
        f'<p class="lede">{_lede(facts)}</p>'
        f'<div class="hero">{"".join(hero)}</div>'
        f'<div class="note"><strong>{NOT_REALITY}</strong> They say how drivers compare on the same simulated '
        "streets, and nothing about real roads.</div>"
    )


def _headline(facts: TurnFacts) -> str:
    if facts.verdict is None:
        return "A turn without a verdict"
    return {
        "passed": "A better driver goes out",
        "refused": "The candidate stays in",
        "inconclusive": "Not enough to say",
    }[facts.verdict.verdict]


def _lede(facts: TurnFacts) -> str:
    came = f"{facts.committed:,} clips came in" if facts.committed else "No clip came in"
    learned = f", a dataset of {facts.dataset.samples:,} samples was made of them" if facts.dataset else ""
    verdict = facts.verdict
    if verdict is None:
        return f"{came}{learned}. Nothing was judged."
    said = {
        "passed": f"and the driver trained on it is better by {verdict.overall.value * 100:.0f} points. It has been "
        "signed" + (f" and is now on {many(_installed(facts), 'vehicle')}." if _installed(facts) else "."),
        "refused": "but the driver trained on it was refused. The driver in use stays in use.",
        "inconclusive": "but what was driven does not show that the new driver is better. The driver in use stays "
        "in use.",
    }[verdict.verdict]
    return f"{came}{learned}, {said}"


def _arrivals(facts: TurnFacts) -> str:
    cards = "".join(_clip(card) for card in facts.clips)
    lost = ""
    if facts.quarantined:
        rows = "".join(f"<tr><td>{escape(path)}</td><td>{escape(why)}</td></tr>" for path, why in facts.quarantined)
        lost = f"<h3>Quarantined</h3>{table(('log', 'reason'), rows)}"
    parts = [("Why vehicles kept them", facts.triggers), ("What is in them", facts.tags)]
    columns = "".join(f"<div><h3>{title}</h3>{counts(table)}</div>" for title, table in parts if table)
    return section(
        "What came in",
        f"{facts.committed:,} clips were committed, {many(len(facts.quarantined), 'log')} quarantined.",
        f'<div class="columns">{columns}</div><div class="clips">{cards}</div>{lost}',
    )


def _clip(card: ClipCard) -> str:
    labels = "".join(f'<span class="tag trigger">{words(t)}</span>' for t in card.triggers)
    labels += "".join(f'<span class="tag">{words(t)}</span>' for t in card.tags if t not in card.triggers)
    return (
        f"<figure>{video_tag(card.video)}<figcaption>{labels}<br>{card.seconds:.1f} s, {escape(card.vehicle[:16])}, "
        f"clip <code>{escape(card.id[:12])}</code></figcaption></figure>"
    )


def _dataset(facts: TurnFacts) -> str:
    made = facts.dataset
    if made is None:
        return section("What it learned from", "No dataset was made.", "")
    columns = "".join(f"<div><h3>{words(name)}</h3>{counts(table)}</div>" for name, table in made.parts.items())
    said = (
        f"{made.clips:,} clips, {made.samples:,} samples; held out by {escape(made.split_by)}. Dataset "
        f"<code>{escape(made.id)}</code>, digest <code>{escape(made.digest[:16])}</code>."
    )
    return section("What it learned from", said, f'<div class="columns">{columns}</div>')


def _training(facts: TurnFacts) -> str:
    curves = "".join(f"<div><h3>{words(c.name)}</h3>{line_chart(c.points, c.held_out)}</div>" for c in facts.losses)
    names = sorted({name for measured in facts.open_loop.values() for name in measured})
    rows = "".join(
        f"<tr><td>{words(driver)}</td>"
        + "".join(f'<td class="n">{measured[n]:.4g}</td>' if n in measured else "<td></td>" for n in names)
        + "</tr>"
        for driver, measured in facts.open_loop.items()
    )
    errors = (
        f"<h3>Error on held-out clips</h3>{table(('driver', *map(with_unit, names)), rows, numbers=len(names))}"
        '<p class="quiet small">Open-loop error informs; it never decides. A driver that copies well on paper can '
        "fail on the street.</p>"
        if rows
        else ""
    )
    said = (
        "Loss by step; the line is its running mean, the dots are held-out clips." if curves else "Nothing was trained."
    )
    return section("How it trained", said, f'<div class="columns">{curves}</div>{errors}')


def _driving(facts: TurnFacts) -> str:
    body = []
    for card in facts.scorecards:
        order = list(ROLES)
        drivers = sorted(card.drivers, key=lambda d: order.index(d.role) if d.role in order else len(order))
        shown = [d for d in drivers if d.role in STYLES]
        names = sorted({s for d in card.drivers for s in d.scenarios})
        by_scenario = [
            (name, [_mark(d.role, d.scenarios[name].success) for d in shown if name in d.scenarios]) for name in names
        ]
        by_driver = [(ROLES.get(d.role, d.role), [_mark(d.role, d.pooled.success)]) for d in drivers]
        body.append(
            f"<h3>{words(card.town)}: success rate per scenario</h3>{dot_and_whisker(by_scenario)}"
            '<p class="key"><i class="before"></i>driver in use<i class="after"></i>candidate'
            "; lines are 95% intervals</p>"
            f"<h3>{words(card.town)}: every driver on the same {_episodes(card)} episodes</h3>"
            f"{dot_and_whisker(by_driver)}{_blind(card)}{_numbers(card)}"
        )
    said = "Success means that the route was completed with no infraction, by the CARLA leaderboard's definition."
    return section("How it drives", said if body else "Nothing was driven.", "".join(body))


def _blind(card: Scorecard) -> str:
    said = [text for role, text in ABOUT.items() if any(d.role == role for d in card.drivers)]
    return f'<p class="quiet small">{" ".join(said)}</p>' if said else ""


def _numbers(card: Scorecard) -> str:
    columns = ("route_completion", "pdms", "nc", "dac", "ttc", "ep", "comfort")
    rows = []
    for driver in card.drivers:
        part = driver.pooled
        score = part.driving_score
        broken = ", ".join(f"{n} {words(name)}" for name, n in part.infractions.items()) or "none"
        cells = "".join(
            f'<td class="n">{part.measures[c]:.3g}</td>' if c in part.measures else "<td></td>" for c in columns
        )
        rows.append(
            f"<tr><td>{words(driver.role)}</td><td class=n>{score.value:.1f} "
            f'<span class="quiet">({score.low:.0f} to {score.high:.0f})</span></td>{cells}<td>{broken}</td></tr>'
        )
    heads = ("driver", "driving score", "route %", "PDMS", "NC", "DAC", "TTC", "EP", "comfort", "infractions")
    return f"<details><summary>All numbers</summary>{table(heads, ''.join(rows), numbers=8)}</details>"


def _films(facts: TurnFacts) -> str:
    body = []
    for film in facts.films:
        title = "The new driver masters it" if film.better else "The new driver does worse"
        body.append(
            f'<div class="film"><h3>{title}: {words(film.scenario)}, {words(film.town)}, {escape(film.layout)}, '
            f'episode {film.n}</h3><button data-pair type="button">Play both</button><div class="pair">'
            f"<figure>{video_tag(film.before)}<figcaption>Driver in use: {escape(film.before_end)}</figcaption>"
            f"</figure><figure>{video_tag(film.after)}<figcaption>Candidate: {escape(film.after_end)}</figcaption>"
            "</figure>"
            "</div></div>"
        )
    missing = [
        said
        for better, said in ((True, "No episode was newly mastered."), (False, "No episode got worse."))
        if not any(f.better == better for f in facts.films)
    ]
    said = " ".join(["The same seconds on the same street, driven by both.", *missing])
    return section("What changed on the street", said if body else " ".join(missing), "".join(body))


def _gate(facts: TurnFacts) -> str:
    verdict = facts.verdict
    if verdict is None:
        return section("What the gate said", "Nothing: no verdict was asked for.", "")
    rows = "".join(
        f"<tr><td>{words(t.scenario)}</td><td class=n>{t.difference.pairs}</td><td class=n>{t.difference.wins}</td>"
        f"<td class=n>{t.difference.losses}</td><td class=n>{t.difference.value * 100:+.0f}</td>"
        f"<td class=n>{t.p_worse:.3f}</td><td>{'worse' if t.worse else 'dropped' if t.dropped else ''}</td></tr>"
        for t in verdict.scenarios
    )
    heads = ("scenario", "pairs", "won", "lost", "points", "p worse", "harm")
    return section(
        "What the gate said",
        f'<span class="verdict {verdict.verdict}">{verdict.verdict}</span>',
        listed(verdict.reasons) + f"<dl><dt>better overall, exact paired test</dt><dd>p = {verdict.p_better:.2g}</dd>"
        f"<dt>smallest improvement it could have seen</dt><dd>{verdict.smallest_visible * 100:.0f} points</dd>"
        f"<dt>old town, paired difference</dt><dd>{verdict.old_town.value * 100:+.0f} points, "
        f"{verdict.old_town.low * 100:+.0f} to {verdict.old_town.high * 100:+.0f}</dd>"
        f"<dt>driving score</dt><dd>{verdict.driving_score_difference:+.1f}, p = {verdict.p_driving_score:.2g} "
        "(reported; it does not decide)</dd></dl>"
        f"<details><summary>Scenario by scenario</summary>{table(heads, rows, numbers=5)}</details>",
    )


def _release(facts: TurnFacts) -> str:
    made = facts.release
    if made is None:
        return section("The release", "There is none: only a passed verdict ships.", "")
    evidence = made.facts["evidence"]
    rows = [
        ("name", escape(made.name)),
        ("digest", f"<code>{escape(made.digest)}</code>"),
        ("model", f"<code>{escape(made.model)}</code>"),
        ("dataset", f"<code>{escape(str(made.facts['dataset']))}</code>"),
        ("evidence", f'<span class="tag trigger">{escape(str(evidence["stamp"]))}</span>'),
    ]
    out = facts.roll_out
    if out is not None:
        rows.append(("installed on", many(_installed(facts), "vehicle")))
        rows += [(f"refused by {escape(vehicle)}", escape(why)) for vehicle, why in out.refused]
    said = "Signed with the site's key; every vehicle checked signature and digests before it installed."
    return section("The release", said, f"<dl>{''.join(f'<dt>{k}</dt><dd>{v}</dd>' for k, v in rows)}</dl>")


def _border(facts: TurnFacts) -> str:
    rows = []
    for region, entries in facts.crossings.items():
        for entry in entries:
            event = entry.event
            way = "in from" if event.direction == "in" else "out to"
            answer = "allowed" if event.allowed else "refused"
            badge = f'<span class="tag{"" if event.allowed else " trigger"}">{answer}</span>'
            needed = (
                f'<br><span class="quiet small">needed: {escape("; ".join(event.needed))}</span>'
                if event.needed
                else ""
            )
            rows.append(
                f"<tr><td>{escape(region)}</td><td>{way} {escape(event.region)}</td><td>{escape(event.kind)} "
                f"<code>{escape(event.artifact[:12])}</code><br><span class='quiet small'>"
                f"{escape(', '.join(event.classes))}</span></td><td>{escape(event.purpose)}</td>"
                f"<td>{badge}</td><td>{escape(', '.join(event.rules))}{needed}</td></tr>"
            )
    heads = ("border of", "way", "what", "purpose", "answer", "rules")
    said = (
        "Every attempt, allowed or not, was written to a signed ledger before a byte moved."
        if rows
        else "Nothing tried to cross."
    )
    return section("At the border", said, table(heads, "".join(rows)) if rows else "")


def _time(facts: TurnFacts) -> str:
    spent = bars([(name, seconds, duration(seconds)) for name, seconds in facts.stations])
    return section("Where the time went", f"{duration(facts.seconds)} in all.", spent)


def _mark(role: str, rate: Estimate) -> Mark:
    return Mark(role, STYLES.get(role, "other"), rate.value, rate.low, rate.high, rate.episodes)


def _pooled(card: Scorecard, role: str) -> Estimate | None:
    return next((d.pooled.success for d in card.drivers if d.role == role), None)


def _episodes(card: Scorecard) -> int:
    return max((d.pooled.success.episodes for d in card.drivers), default=0)


def _installed(facts: TurnFacts) -> int:
    return len(facts.roll_out.installed) + len(facts.roll_out.already) if facts.roll_out else 0
