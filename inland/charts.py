"""Small charts as inline SVG and HTML: no script, no network, readable at any width. Pure.

Positions are percentages, so that a chart stretches while its text keeps its size; colours come from the
page's CSS variables, so that light and dark follow by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

ROW_PX = 16
SMOOTHING = 0.9
"""Of the loss curve: the share of the running mean that is kept at each point."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One value with its interval, as fractions. ``style`` is 'before', 'after' or 'other'."""

    name: str
    style: str
    value: float
    low: float
    high: float
    episodes: int


def dot_and_whisker(rows: Sequence[tuple[str, Sequence[Mark]]]) -> str:
    """One row a scenario or driver: a dot a mark with its interval as a whisker, on a scale of 0 to 100%."""
    ticks = "".join(f'<span style="left:{t}%">{t}%</span>' for t in (0, 25, 50, 75, 100))
    drawn = [f'<div class="dw-row dw-axis"><div></div><div class="dw-ticks">{ticks}</div><div></div></div>']
    for label, marks in rows:
        height = ROW_PX * len(marks) + 8
        lines = "".join(f'<line class="grid" x1="{t}%" x2="{t}%" y1="0" y2="{height}"/>' for t in (0, 25, 50, 75, 100))
        dots = "".join(_mark(mark, ROW_PX * i + 4 + ROW_PX / 2) for i, mark in enumerate(marks))
        said = "".join(f'<span class="{mark.style}">{percent(mark.value)}</span>' for mark in marks)
        drawn.append(
            f'<div class="dw-row"><div class="dw-label">{words(label)}</div>'
            f'<svg class="dw" height="{height}" role="img" aria-label="{_spoken(label, marks)}">{lines}{dots}</svg>'
            f'<div class="dw-value">{said}</div></div>'
        )
    return f'<div class="chart">{"".join(drawn)}</div>'


def bars(rows: Sequence[tuple[str, float, str]]) -> str:
    """Horizontal bars: (label, value, text beside it). The longest fills the width."""
    longest = max((value for _, value, _ in rows), default=0.0) or 1.0
    drawn = "".join(
        f'<div class="bar-row"><div class="dw-label">{words(label)}</div>'
        f'<div class="bar-track"><div class="bar" style="width:{100 * value / longest:.2f}%"></div></div>'
        f'<div class="dw-value">{escape(text)}</div></div>'
        for label, value, text in rows
    )
    return f'<div class="chart">{drawn}</div>'


def line_chart(points: Sequence[tuple[float, float]], held_out: Sequence[tuple[float, float]] = ()) -> str:
    """A loss curve: every point faint, a running mean strong, held-out values as dots. x is the step."""
    if not points:
        return '<p class="quiet">No curve was kept.</p>'
    ordered = sorted(points)
    x_end = max(ordered[-1][0], 1.0)
    smooth = running_mean([y for _, y in ordered])
    # The first few points are far off and would press the rest flat.
    settled = sorted(y for _, y in ordered)[: max(1, int(len(ordered) * 0.98))] + [y for _, y in held_out]
    top = max(settled) or 1.0

    def path(values: Sequence[tuple[float, float]]) -> str:
        return " ".join(f"{1000 * x / x_end:.1f},{300 - 300 * min(y / top, 1.0):.1f}" for x, y in values)

    strong = path([(x, y) for (x, _), y in zip(ordered, smooth, strict=True)])
    dots = "".join(
        f'<circle class="held" cx="{100 * x / x_end:.2f}%" cy="{100 - 100 * min(y / top, 1):.2f}%" r="4"/>'
        for x, y in held_out
    )
    return (
        f'<div class="curve"><span class="y-top">{top:.3g}</span><span class="y-low">0</span>'
        '<div class="plot"><svg viewBox="0 0 1000 300" preserveAspectRatio="none" role="img" '
        f'aria-label="training loss, {ordered[0][1]:.3g} at first, {smooth[-1]:.3g} at the end">'
        f'<polyline class="faint" points="{path(ordered)}"/><polyline class="strong" points="{strong}"/></svg>'
        f'<svg class="over">{dots}</svg></div>'
        f'<span class="x-low">step 0</span><span class="x-top">{x_end:.0f}</span></div>'
    )


def running_mean(values: Sequence[float], kept: float = SMOOTHING) -> list[float]:
    """The exponential running mean, corrected for its start, so that a constant stays what it is."""
    mean, weight, smooth = 0.0, 0.0, []
    for value in values:
        mean = kept * mean + (1 - kept) * value
        weight = kept * weight + (1 - kept)
        smooth.append(mean / weight)
    return smooth


def counts(table: Mapping[str, int], limit: int = 12) -> str:
    """Bars of counts, the largest first; beyond ``limit`` the rest is one bar."""
    ordered = sorted(table.items(), key=lambda item: (-item[1], item[0]))
    rows = [(name, float(n), f"{n:,}") for name, n in ordered[:limit]]
    rest = sum(n for _, n in ordered[limit:])
    return bars([*rows, ("others", float(rest), f"{rest:,}")] if rest else rows)


def percent(fraction: float) -> str:
    """A fraction as whole percent."""
    return f"{100 * fraction:.0f}%"


def words(name: str) -> str:
    """An identifier as words, safe in HTML."""
    return escape(name.replace("_", " "))


def _mark(mark: Mark, y: float) -> str:
    low, high, value = 100 * mark.low, 100 * mark.high, 100 * mark.value
    said = f"{mark.name}: {percent(mark.value)} ({low:.0f} to {high:.0f}) of {mark.episodes}"
    return (
        f'<g class="{mark.style}"><title>{escape(said)}</title>'
        f'<line class="whisker" x1="{low:.2f}%" x2="{high:.2f}%" y1="{y}" y2="{y}"/>'
        f'<circle class="dot" cx="{value:.2f}%" cy="{y}" r="5"/></g>'
    )


def _spoken(label: str, marks: Sequence[Mark]) -> str:
    said = "; ".join(f"{m.name} {percent(m.value)}, {100 * m.low:.0f} to {100 * m.high:.0f}" for m in marks)
    return escape(f"{label.replace('_', ' ')}: {said}")
