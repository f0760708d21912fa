"""The frame of a page that people look at: one file, its own style, no network. Pure."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape

from inland.charts import words

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fbfaf7; --ink: #1c1b19; --quiet: #6b675f; --rule: #e3dfd6; --panel: #f3f0e9;
  --accent: #0b6e69; --accent-soft: #0b6e6922; --before: #a39d92; --warn: #9a3412; --warn-soft: #9a341214;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #161614; --ink: #ece8df; --quiet: #9b958a; --rule: #34322d; --panel: #1f1e1b;
    --accent: #4cc9bd; --accent-soft: #4cc9bd2b; --before: #7f796e; --warn: #f0a07a; --warn-soft: #f0a07a1c;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 17px/1.55 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK
  SC", sans-serif; font-variant-numeric: tabular-nums;
}
main { max-width: 1080px; margin: 0 auto; padding: 56px 28px 96px; }
h1, h2, .lede, .hero b {
  font-family: "Iowan Old Style", "Palatino Linotype", Palatino, Charter, "Noto Serif", Georgia, serif;
  font-weight: 600;
}
h1 { font-size: clamp(34px, 6vw, 58px); line-height: 1.05; margin: 6px 0 18px; letter-spacing: -0.02em; }
h2 { font-size: 27px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; }
h3 { font-size: 14px; margin: 26px 0 8px; color: var(--quiet); font-weight: 600; }
p { margin: 0 0 14px; max-width: 68ch; }
.kicker, .quiet { color: var(--quiet); }
.kicker { font-size: 14px; letter-spacing: 0.04em; }
.lede { font-size: clamp(20px, 2.6vw, 25px); line-height: 1.4; font-weight: 400; max-width: 46ch; }
.small { font-size: 14px; }
section { border-top: 1px solid var(--rule); margin-top: 52px; padding-top: 26px; }
.note {
  border-left: 4px solid var(--warn); background: var(--warn-soft); padding: 12px 18px; margin: 26px 0;
  max-width: 720px; border-radius: 0 6px 6px 0;
}
.note strong { color: var(--warn); }
.hero { display: flex; flex-wrap: wrap; gap: 14px 44px; margin: 30px 0 6px; align-items: flex-end; }
.hero div { min-width: 130px; }
.hero b { display: block; font-size: 44px; line-height: 1.05; letter-spacing: -0.02em; white-space: nowrap; }
.hero .arrow { color: var(--before); font-weight: 400; font-style: normal; }
.hero span { color: var(--quiet); font-size: 14px; }
.verdict { display: inline-block; padding: 3px 12px; border-radius: 99px; font-weight: 600; font-size: 15px; }
.passed { background: var(--accent); color: var(--paper); }
.refused, .inconclusive { background: var(--warn-soft); color: var(--warn); border: 1px solid var(--warn); }
ul.reasons { padding-left: 20px; margin: 10px 0 16px; max-width: 76ch; }
ul.reasons li { margin: 4px 0; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr)); gap: 8px
44px; } .chart { margin: 8px 0 4px; } .dw-row, .bar-row { display: grid; grid-template-columns: minmax(92px,
210px) 1fr minmax(50px, auto); gap: 14px; align-items: center; } .dw-row + .dw-row { border-top: 1px solid
var(--rule); } .columns .bar-row { grid-template-columns: minmax(84px, 130px) 1fr minmax(44px, auto); }
.dw-label { font-size: 15px; line-height: 1.25; overflow-wrap: anywhere; } .dw-value { font-size: 14px;
text-align: right; line-height: 16px; } .dw-value span { display: block; } .dw-value .before { color:
var(--quiet); } .dw-value .after { color: var(--accent); font-weight: 600; } .dw-ticks { position: relative;
height: 18px; font-size: 12px; color: var(--quiet); } .dw-ticks span { position: absolute; transform:
translateX(-50%); } svg.dw { width: 100%; overflow: visible; display: block; } .grid { stroke: var(--rule);
} .whisker { stroke-width: 2.5; stroke-linecap: round; opacity: 0.6; } .before .whisker { stroke:
var(--before); } .before .dot { fill: var(--paper); stroke: var(--before); stroke-width: 2.5; } .after
.whisker { stroke: var(--accent); } .after .dot { fill: var(--accent); stroke: var(--paper); stroke-width:
1; } .other .whisker { stroke: var(--quiet); } .other .dot { fill: var(--quiet); } .key { font-size: 14px;
color: var(--quiet); margin: 10px 0 0; } .key i { display: inline-block; width: 11px; height: 11px;
border-radius: 50%; margin: 0 5px 0 14px; vertical-align: -1px; } .key i:first-child { margin-left: 0; }
.key .before { border: 2.5px solid var(--before); } .key .after { background: var(--accent); } .key .other {
background: var(--quiet); } .bar-track { background: var(--accent-soft); height: 9px; border-radius: 5px;
overflow: hidden; } .bar { background: var(--accent); height: 100%; border-radius: 5px; min-width: 2px; }
.bar-row { padding: 3px 0; } .curve { position: relative; padding: 0 0 22px 44px; font-size: 12px; color:
var(--quiet); max-width: 760px; margin: 10px 0; } .plot { position: relative; height: 210px; border-left:
1px solid var(--rule); border-bottom: 1px solid var(--rule); } .plot svg { position: absolute; inset: 0;
width: 100%; height: 100%; overflow: visible; } .faint { fill: none; stroke: var(--accent); opacity: 0.22;
vector-effect: non-scaling-stroke; } .strong { fill: none; stroke: var(--accent); stroke-width: 2.2;
vector-effect: non-scaling-stroke; stroke-linejoin: round; } .held { fill: var(--paper); stroke: var(--ink);
stroke-width: 2; } .y-top, .y-low, .x-low, .x-top { position: absolute; } .y-top { left: 0; top: -8px; }
.y-low { left: 26px; bottom: 14px; } .x-low { left: 44px; bottom: 0; } .x-top { right: 0; bottom: 0; }
.clips { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 290px), 1fr)); gap: 22px
18px; margin-top: 16px; } figure { margin: 0; } video { display: block; width: 100%; background: #0003;
border-radius: 6px; aspect-ratio: 16 / 9; object-fit: cover; } figcaption { font-size: 14px; line-height:
1.4; margin-top: 7px; color: var(--quiet); overflow-wrap: anywhere; } .tag { display: inline-block;
background: var(--accent-soft); color: var(--accent); border-radius: 4px; padding: 0 7px; margin: 0 4px 4px
0; font-size: 13px; } .tag.trigger { background: var(--warn-soft); color: var(--warn); } .film { margin:
22px 0 30px; } .pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 320px),
1fr)); gap: 12px 18px; margin-top: 8px; } button { font: inherit; font-size: 14px; color: var(--accent);
background: none; border: 1px solid var(--accent); border-radius: 99px; padding: 3px 14px; cursor: pointer;
} button:hover { background: var(--accent-soft); } .scroll { overflow-x: auto; } table { border-collapse:
collapse; font-size: 15px; width: 100%; margin: 10px 0; } th { text-align: left; color: var(--quiet);
font-weight: 600; font-size: 13px; } th, td { padding: 7px 16px 7px 0; border-bottom: 1px solid var(--rule);
vertical-align: top; } td.n, th.n { text-align: right; } code { font: 0.88em ui-monospace, "SF Mono", Menlo,
Consolas, monospace; overflow-wrap: anywhere; } dl { display: grid; grid-template-columns: max-content 1fr;
gap: 5px 22px; margin: 12px 0; font-size: 15px; } dt { color: var(--quiet); } dd { margin: 0; overflow-wrap:
anywhere; } details summary { cursor: pointer; color: var(--accent); font-size: 15px; margin: 10px 0; }
footer { border-top: 1px solid var(--rule); margin-top: 60px; padding-top: 18px; color: var(--quiet);
font-size: 14px; } @media (max-width: 620px) {
  body { font-size: 16px; } main { padding: 30px 18px 64px; } section { margin-top: 40px; }
  .hero b { font-size: 34px; } .hero { gap: 14px 28px; }
  .dw-row, .bar-row { grid-template-columns: 96px 1fr 42px; gap: 10px; } .dw-label { font-size: 14px; }
  .clips { grid-template-columns: 1fr 1fr; gap: 16px 12px; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: 8px; }
}
@media print { button { display: none; } section { break-inside: avoid; } }
"""

SCRIPT = """
for (const button of document.querySelectorAll('button[data-pair]')) {
  button.addEventListener('click', () => {
    for (const video of button.closest('.film').querySelectorAll('video')) { video.currentTime = 0;
    video.play(); }
  });
}
"""
"""Plays both films of a pair together; without it each still plays by itself."""
UNITS = {"_mps2": " (m/s²)", "_mps": " (m/s)", "_1pm": " (1/m)", "_m": " (m)", "_s": " (s)", "_rad": " (rad)"}


def page(title: str, body: str) -> str:
    """A whole HTML page around ``body`` (already HTML). It may load nothing from anywhere, and says so."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; media-src data:; img-src data:"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><main>{body}</main><script>{SCRIPT}</script></body></html>\n"
    )


def with_unit(name: str) -> str:
    """A measure's name with its unit as people write it."""
    for ending, unit in UNITS.items():
        if name.endswith(ending):
            return name.removesuffix(ending) + unit
    return name


def many(count: int, thing: str) -> str:
    """A count and its thing, in the plural where it must be."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def section(title: str, said: str, body: str) -> str:
    """One section: ``said`` and ``body`` are HTML already."""
    return f"<section><h2>{title}</h2><p>{said}</p>{body}</section>"


def table(heads: Sequence[str], rows: str, numbers: int = 0) -> str:
    """A table that scrolls on a phone. ``numbers``: how many columns after the first are numbers."""
    cells = "".join(
        f'<th class="n">{words(h)}</th>' if 1 <= i <= numbers else f"<th>{words(h)}</th>" for i, h in enumerate(heads)
    )
    return f'<div class="scroll"><table><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table></div>'


def listed(items: Sequence[str]) -> str:
    """A list of sentences."""
    return '<ul class="reasons">' + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def video_tag(data: bytes) -> str:
    """A video inside the page itself; a line that says so where there is none."""
    if not data:
        return '<div class="quiet small">No video.</div>'
    source = b64encode(data).decode()
    return f'<video controls muted loop playsinline preload="metadata" src="data:video/mp4;base64,{source}"></video>'


def duration(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
