"""What a region's rules say to one attempt to pass the border: packs as data, decided by Cedar.

A pack is a folder: ``policy.cedar`` (each rule with its law, article, date, evidence mark and source), ``pack.toml``
(thresholds, lists, derivation table, timers, each number with its source) and ``cases.toml`` (what a lawyer reads and
the tests run). It is checked against a schema when it is loaded, and parsed once. Deny by default; a rule that forbids
wins over every rule that permits; any error while evaluating is a refusal. Nothing here claims to be legal advice.

Facts come in as a `Request`, the answer goes out as a `Decision`: no site, no clock and no file is needed for it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import cedarpy

from inland.errors import BadInput, PackError

PACKS = Path(__file__).parent / "packs"
DIRECTIONS = {"out": "outbound", "in": "inbound"}
"""Ours, and Cedar's, in which ``in`` is a reserved word."""
ROLES = ("engineer", "labeller", "custodian", "compliance_officer", "vehicle", "auditor")
EVIDENCE = ("V", "V-sec", "V-draft", "V-garbled", "M", "?", "house")
"""Marks of how well a rule is known (docs/packs.md); ``house`` is this project's own choice."""
ANNOTATIONS = ("id", "law", "article", "date", "evidence", "source", "en", "zh")
"""What every rule must carry; a rule that forbids also ``needs`` (what would be needed) and ``order``."""
MOST = 2**62
"""What an unknown threshold counts as where reaching it permits; 0 is what it counts as where reaching it forbids."""


@dataclass(frozen=True, slots=True)
class Approved:
    """An approval whose signature, scope and expiry were checked against this very attempt."""

    id: str
    basis: str


@dataclass(frozen=True, slots=True)
class Request:
    """Everything that a rule may look at, as plain facts.

    ``direction`` is 'in' or 'out', ``region`` the other side, ``way`` transmit, view, query or download, ``location``
    the region in which the actor sits. ``persons`` and ``sensitive_persons`` are this calendar year's upper bounds of
    the legal entity, this crossing included. ``records`` name the valid evidence about this very artifact.
    """

    site_region: str
    direction: str
    region: str
    recipient: str
    purpose: str
    way: str
    role: str
    location: str
    kind: str
    origins: tuple[str, ...]
    developers: tuple[str, ...]
    classes: tuple[str, ...]
    count: int = 1
    size_bytes: int = 0
    persons: int = 0
    sensitive_persons: int = 0
    smallest_cell: int = 0
    approval: Approved | None = None
    records: tuple[str, ...] = ()
    second_role: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer: ``rules`` decided it (never none), ``needed`` is what a refusal asks for, in legal order."""

    allowed: bool
    rules: tuple[str, ...]
    needed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Threshold:
    """One number of a pack. ``value`` None is a number that nobody could read: it fails closed."""

    name: str
    value: int | None
    fails_closed_at: int
    source: str
    evidence: str
    overridable: bool
    en: str
    zh: str

    @property
    def effective(self) -> int:
        """What the rules count with."""
        return self.fails_closed_at if self.value is None else self.value


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as it is written: its annotations, its effect (permit or forbid), its text and its line."""

    id: str
    effect: str
    notes: Mapping[str, str]
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Pack:
    """A region's rules, checked and parsed. ``digest`` covers every byte of them, overrides included."""

    region: str
    version: str
    digest: str
    rules: tuple[Rule, ...]
    thresholds: Mapping[str, Threshold]
    lists: Mapping[str, tuple[str, ...]]
    derivation: Mapping[tuple[str, str], tuple[str, ...]]
    facts: Mapping[str, Any]
    policies: Any
    schema: Any


def load_pack(region: str, overrides: Mapping[str, int] | None = None, folder: Path = PACKS) -> Pack:
    """The pack of a region, or the strict ``default`` where the region has none.

    ``overrides`` are an operator's own values for thresholds that allow it. Raises PackError naming file and line
    where the pack does not parse, contradicts itself, or has a rule or number without a source.
    """
    return _load(region if (folder / region).is_dir() else "default", tuple(sorted((overrides or {}).items())), folder)


@lru_cache(maxsize=32)
def _load(region: str, overrides: tuple[tuple[str, int], ...], folder: Path) -> Pack:
    rules_at, data_at, schema_at = folder / region / "policy.cedar", folder / region / "pack.toml", folder / "schema"
    try:
        text, raw, pattern = rules_at.read_text(), data_at.read_bytes(), schema_at.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise PackError("a pack's file cannot be read", place=str(rules_at.parent), remedy=str(error)) from error
    try:
        facts = tomllib.loads(raw.decode())
    except (ValueError, UnicodeDecodeError) as error:
        raise PackError(f"not TOML: {error}", place=str(data_at), remedy="mend the line that is named") from error
    rules = _rules(text, rules_at)
    thresholds = _thresholds(facts, data_at, dict(overrides))
    lists = {name: tuple(values) for name, values in facts.get("lists", {}).items()}
    schema = pattern.replace("LIMITS", ", ".join(f"{name}: Long" for name in sorted(thresholds)))
    schema = schema.replace("LISTS", ", ".join(f"{name}: Set<String>" for name in sorted(lists)))
    joined = "\n".join(rule.text for rule in rules)
    for problem in cedarpy.validate_policies(joined, schema).errors:
        where = re.search(r"policy(\d+)", problem.policy_id or problem.error)
        line = rules[int(where[1])].line if where else 1
        raise PackError(problem.error, place=f"{rules_at}, line {line}", remedy="name a fact of the schema")
    digest = sha256(json.dumps([region, text, raw.decode(), pattern, overrides]).encode()).hexdigest()
    return Pack(
        region=region,
        version=str(facts.get("version", "")),
        digest=digest,
        rules=rules,
        thresholds=thresholds,
        lists=lists,
        derivation=_derivation(facts, data_at),
        facts=facts,
        policies=cedarpy.PolicySet.from_str(joined),
        schema=cedarpy.Schema.from_str(schema),
    )


def decide(pack: Pack, request: Request) -> Decision:
    """What the pack says to this attempt. Never raises: what cannot be decided is refused."""
    try:
        answer = cedarpy.is_authorized(
            {
                "principal": {"type": "Role", "id": request.role},
                "action": {"type": "Action", "id": DIRECTIONS[request.direction]},
                "resource": {"type": "Artifact", "id": "this"},
                "context": _context(pack, request),
            },
            pack.policies,
            [{"uid": {"type": "Artifact", "id": "this"}, "attrs": _artifact(request), "parents": []}],
            pack.schema,
        )
        errors = list(answer.diagnostics.errors)
    except Exception as error:  # whatever the engine makes of odd facts, the answer is no
        return Decision(False, ("evaluation-error",), (f"facts that can be decided on ({type(error).__name__})",))
    if errors or answer.decision is cedarpy.Decision.NoDecision:
        return Decision(False, ("evaluation-error",), ("facts that can be decided on",))
    fired = [pack.rules[int(name.removeprefix("policy"))] for name in answer.diagnostics.reasons]
    if answer.allowed:
        return Decision(True, tuple(sorted(rule.id for rule in fired)), ())
    if not fired:
        return Decision(False, ("default-deny",), (str(pack.facts["default_needs"]),))
    fired.sort(key=lambda rule: (int(rule.notes["order"]), rule.id))
    return Decision(False, tuple(rule.id for rule in fired), tuple(rule.notes["needs"] for rule in fired))


def _artifact(request: Request) -> dict[str, Any]:
    return {
        "kind": request.kind,
        "origins": list(request.origins),
        "developers": list(request.developers),
        "developers_known": bool(request.developers),
        "classes": list(request.classes),
        "count": request.count,
        "size_bytes": request.size_bytes,
    }


def _context(pack: Pack, request: Request) -> dict[str, Any]:
    return {
        "site_region": request.site_region,
        "region": request.region,
        "recipient": request.recipient,
        "purpose": request.purpose,
        "way": request.way,
        "location": request.location,
        "persons": request.persons,
        "sensitive_persons": request.sensitive_persons,
        "smallest_cell": request.smallest_cell,
        "approved": request.approval is not None,
        "basis": request.approval.basis if request.approval else "",
        "records": list(request.records),
        "second_role": request.second_role,
        "limits": {name: threshold.effective for name, threshold in pack.thresholds.items()},
        "lists": {name: list(values) for name, values in pack.lists.items()},
    }


def _rules(text: str, path: Path) -> tuple[Rule, ...]:
    """The rules of a file, each parsed by itself, so that an error names its line."""
    starts = [match.start() for match in re.finditer(r"^@id\(", text, re.MULTILINE)]
    if not starts or _code(text[: starts[0]]):
        raise PackError("a rule without @id", place=f"{path}, line 1", remedy="begin each rule with @id")
    rules: list[Rule] = []
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        line = text.count("\n", 0, start) + 1
        place = f"{path}, line {line}"
        body = text[start:end]
        try:
            parsed = json.loads(cedarpy.policies_to_json_str(body))["staticPolicies"]
        except ValueError as error:
            raise PackError(f"not a Cedar rule: {error}", place=place, remedy="see docs/packs.md") from error
        if len(parsed) != 1:
            raise PackError("a rule without @id follows this one", place=place, remedy="begin each rule with @id")
        (rule,) = parsed.values()
        notes = {name: str(value or "") for name, value in rule.get("annotations", {}).items()}
        wanted = ANNOTATIONS if rule["effect"] == "permit" else (*ANNOTATIONS, "needs", "order")
        missing = [name for name in wanted if not notes.get(name)]
        if missing:
            raise PackError(f"a rule without {', '.join(missing)}", place=place, remedy="say where it comes from")
        if notes["evidence"] not in EVIDENCE:
            raise PackError(
                f"no evidence mark {notes['evidence']!r}", place=place, remedy=f"one of {', '.join(EVIDENCE)}"
            )
        if not re.fullmatch(r"\d+", notes.get("order", "0")):
            raise PackError("an order that is no number", place=place, remedy="give its place among the gates")
        if rule["effect"] == "permit" and not rule["conditions"]:
            raise PackError("it permits everything", place=place, remedy="say when")
        if any(other.id == notes["id"] for other in rules):
            raise PackError(f"a second rule {notes['id']!r}", place=place, remedy="give it another @id")
        rules.append(Rule(notes["id"], rule["effect"], notes, body, line))
    return tuple(rules)


def _code(text: str) -> str:
    return re.sub(r"//[^\n]*|\s", "", text)


def _thresholds(facts: Mapping[str, Any], path: Path, overrides: dict[str, int]) -> dict[str, Threshold]:
    found: dict[str, Threshold] = {}
    for name, row in facts.get("thresholds", {}).items():
        place = f"{path}, [thresholds.{name}]"
        missing = [key for key in ("source", "evidence", "fails_closed_at", "en", "zh") if key not in row]
        if missing:
            raise PackError(f"a number without {', '.join(missing)}", place=place, remedy="say where it comes from")
        if row["evidence"] not in EVIDENCE:
            raise PackError(f"no evidence mark {row['evidence']!r}", place=place, remedy=f"one of {EVIDENCE}")
        value = overrides.pop(name, None)
        if value is not None and not row.get("overridable", False):
            raise PackError(f"{name} may not be overridden", place=place, remedy="remove it from the overrides")
        found[name] = Threshold(
            name=name,
            value=row.get("value") if value is None else value,
            fails_closed_at=int(row["fails_closed_at"]),
            source=row["source"],
            evidence=row["evidence"] if value is None else "house",
            overridable=bool(row.get("overridable", False)),
            en=row["en"],
            zh=row["zh"],
        )
    if overrides:
        raise PackError(f"no threshold {min(overrides)!r}", place=str(path), remedy=f"one of {', '.join(found)}")
    if not isinstance(facts.get("default_needs"), str):
        raise PackError("no default_needs", place=str(path), remedy="say what an attempt that no rule permits needs")
    return found


def _derivation(facts: Mapping[str, Any], path: Path) -> dict[tuple[str, str], tuple[str, ...]]:
    """(parent class, step) -> child classes. A pair that is not listed inherits (`classes.derive`)."""
    table: dict[tuple[str, str], tuple[str, ...]] = {}
    for n, row in enumerate(facts.get("derivation", [])):
        try:
            key, becomes = (str(row["class"]), str(row["step"])), tuple(str(name) for name in row["becomes"])
            lowers = row["class"] not in becomes
        except (KeyError, TypeError) as error:
            raise PackError(
                "a derivation without class, step and becomes", place=f"{path}, [[derivation]] {n + 1}", remedy="add it"
            ) from error
        if key in table or (lowers and not row.get("source")):
            raise PackError(
                f"{key[0]} at {key[1]} is listed twice, or lowers a class without a source",
                place=f"{path}, [[derivation]] {n + 1}",
                remedy="keep one, and say where it comes from",
            )
        table[key] = becomes
    return table


def check_request(request: Request) -> None:
    """BadInput where a person gave a direction, way or role that does not exist."""
    ways = ("transmit", "view", "query", "download")
    if request.direction not in DIRECTIONS or request.way not in ways or request.role not in ROLES:
        raise BadInput(
            f"no such crossing: {request.direction} by {request.way} as {request.role}",
            remedy=f"directions {', '.join(DIRECTIONS)}; ways {', '.join(ways)}; roles {', '.join(ROLES)}",
        )
