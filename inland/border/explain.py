# ruff: noqa: RUF001 - Chinese has punctuation of its own
"""A pack as a page that a lawyer reads, in Chinese and English. Pure: a pack in, HTML out."""

from __future__ import annotations

from html import escape

from inland.border.policy import Pack

MARKS = {
    "V": "read on the page named / 已查阅所列页面",
    "V-sec": "as V, a secondary source / 二手来源",
    "V-draft": "as V, a draft / 草案",
    "V-garbled": "read in a garbled mirror / 乱序镜像",
    "M": "from memory, not checked / 未核对",
    "?": "not found: fails closed / 未查到，从严处理",
    "house": "this project's own choice / 本项目自定",
}
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1b2430}
article{border-left:4px solid #8aa;padding:.4rem 1rem;margin:1rem 0}article.forbid{border-color:#b4442c}
article.permit{border-color:#2c7a4b}h1{font-size:1.6rem}h3{margin:.2rem 0;font-size:1.05rem}
small,dt{color:#5a6675}dl{display:grid;grid-template-columns:auto 1fr;gap:.1rem 1rem;margin:.4rem 0}dd{margin:0}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #dde;padding:.3rem .5rem;text-align:left;
vertical-align:top}pre{white-space:pre-wrap;background:#f4f6f8;padding:.5rem;font-size:12px}
"""


def page(pack: Pack) -> str:
    """One self-contained page: every rule in legal order, every threshold, the derivation table."""
    name, zh = str(pack.facts.get("name", pack.region)), str(pack.facts.get("name_zh", ""))
    gates = sorted((r for r in pack.rules if r.effect == "forbid"), key=lambda rule: int(rule.notes["order"]))
    permits = [rule for rule in pack.rules if rule.effect == "permit"]
    parts = [
        f"<h1>{escape(name)} / {escape(zh)}</h1>",
        f"<p>Pack {escape(pack.region)}, version {escape(pack.version)}, <small>{pack.digest}</small></p>",
        "<p><strong>This is no legal advice. 本页不构成法律意见。</strong> "
        "What no rule permits is refused; a gate wins over every permission. "
        "未经许可一律拒绝；任一关口均优先于许可。</p>",
        f"<p>Otherwise needed / 此外需要: {escape(str(pack.facts['default_needs']))}</p>",
        "<h2>Gates, in their legal order / 关口（按法定顺序）</h2>",
        *(_rule(rule.effect, rule.id, dict(rule.notes), rule.text) for rule in gates),
        "<h2>Permissions / 许可</h2>",
        *(_rule(rule.effect, rule.id, dict(rule.notes), rule.text) for rule in permits),
        "<h2>Numbers / 阈值</h2><table><tr><th>name</th><th>value</th><th>English</th><th>中文</th><th>source</th>"
        "<th>evidence</th></tr>",
        *(
            f"<tr><td>{escape(t.name)}</td><td>{'unknown: fails closed / 未知' if t.value is None else t.value}</td>"
            f"<td>{escape(t.en)}</td><td>{escape(t.zh)}</td><td>{escape(t.source)}</td>"
            f"<td>{escape(t.evidence)}{', overridable' if t.overridable else ''}</td></tr>"
            for t in pack.thresholds.values()
        ),
        "</table><h2>What a step makes of a class / 派生规则</h2>",
        "<table><tr><th>class</th><th>step</th><th>becomes</th></tr>",
        *(
            f"<tr><td>{escape(parent)}</td><td>{escape(step)}</td><td>{escape(', '.join(child))}</td></tr>"
            for (parent, step), child in pack.derivation.items()
        ),
        "</table><h2>Evidence marks / 证据标记</h2><dl>",
        *(f"<dt>{escape(mark)}</dt><dd>{escape(said)}</dd>" for mark, said in MARKS.items()),
        "</dl>",
    ]
    head = f'<meta charset="utf-8"><title>{escape(pack.region)}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>'


def _rule(effect: str, ident: str, notes: dict[str, str], text: str) -> str:
    body = text[text.index("permit" if effect == "permit" else "forbid") :].strip()
    needs = f"<dt>needs</dt><dd>{escape(notes['needs'])}</dd>" if "needs" in notes else ""
    return (
        f'<article class="{effect}" id="{escape(ident)}"><h3>{escape(ident)}</h3><p>{escape(notes["en"])}<br>'
        f'<span lang="zh">{escape(notes["zh"])}</span></p><dl><dt>law</dt><dd>{escape(notes["law"])}, '
        f"{escape(notes['article'])} ({escape(notes['date'])})</dd><dt>source</dt><dd>{escape(notes['source'])}, "
        f"evidence {escape(notes['evidence'])}</dd>{needs}</dl><details><summary>rule</summary>"
        f"<pre>{escape(body)}</pre></details></article>"
    )
