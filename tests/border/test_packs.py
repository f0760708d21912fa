"""The packs: what each answers, case by case, and that a pack which is not fit to decide by is refused."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inland.border.policy import PACKS, Approved, Decision, Request, check_request, decide, load_pack
from inland.errors import BadInput, PackError

REGIONS = ("cn", "eu", "us", "default")
FEWEST = {"cn": 40, "us": 20, "eu": 15, "default": 8}
CASES = [
    pytest.param(region, case, id=f"{region}: {case['what']}")
    for region in REGIONS
    for case in tomllib.loads((PACKS / region / "cases.toml").read_text())["case"]
]
TUPLES = ("classes", "origins", "developers", "records")


def request_of(region: str, case: dict[str, Any]) -> Request:
    facts: dict[str, Any] = {
        "site_region": region,
        "direction": "out",
        "region": "us",
        "recipient": "headquarters",
        "purpose": "training",
        "way": "transmit",
        "role": "engineer",
        "location": region,
        "origins": (),
        "developers": (),
    }
    facts |= {key: value for key, value in case.items() if key not in ("what", "answer", "rules", "basis", "limits")}
    facts |= {key: tuple(facts[key]) for key in TUPLES if key in facts}
    return Request(**facts, approval=Approved("a", case["basis"]) if "basis" in case else None)


@pytest.mark.parametrize(("region", "case"), CASES)
def test_the_pack_answers_as_its_table_of_cases_says(region: str, case: dict[str, Any]) -> None:
    said = decide(load_pack(region, case.get("limits")), request_of(region, case))
    assert ("allowed" if said.allowed else "refused", list(said.rules)) == (case["answer"], case["rules"])
    assert said.allowed != bool(said.needed)


@pytest.mark.parametrize("region", REGIONS)
def test_every_rule_of_a_pack_decides_at_least_one_case(region: str) -> None:
    cases = [param.values[1] for param in CASES if param.values[0] == region]
    assert len(cases) >= FEWEST[region]
    decided = {rule for case in cases for rule in case["rules"]}  # type: ignore[index]
    assert {rule.id for rule in load_pack(region).rules} - decided <= {
        # Shared by all packs, and shown in another pack's table.
        "weights-leak-report", "minimum-cell", "dual-control", "roles-that-send", "actor-abroad",
        "synthetic-is-unmixed", "inbound-with-provenance",
    }  # fmt: skip


CLASSES = (
    "faces", "plates", "persons", "places", "trajectory", "imagery", "labels", "embeddings", "algorithm",
    "trained_on:imagery", "faces_treated", "synthetic", "aggregate", "flow", "something new",
)  # fmt: skip
REQUESTS = st.builds(
    Request,
    site_region=st.just("cn"),
    direction=st.just("out"),
    region=st.sampled_from(["us", "eu"]),
    recipient=st.text(max_size=5),
    purpose=st.sampled_from(["training", "foreign-legal-request", ""]),
    way=st.sampled_from(["transmit", "view", "query", "download"]),
    role=st.sampled_from(["engineer", "compliance_officer", "custodian"]),
    location=st.sampled_from(["cn", "us"]),
    kind=st.sampled_from(["clip", "model", "dataset", "aggregate", "scorecard", "page"]),
    origins=st.just(("cn",)),
    developers=st.just(("cn",)),
    classes=st.sets(st.sampled_from(CLASSES), max_size=5).map(lambda found: tuple(sorted(found))),
    count=st.integers(0, 10**9),
    persons=st.integers(0, 2 * 10**6),
    sensitive_persons=st.integers(0, 20000),
    smallest_cell=st.integers(0, 200),
    approval=st.sampled_from(["demonstration", "standard-contract", "exempt", "certification", "", None]).map(
        lambda basis: None if basis is None else Approved("a", basis)
    ),
    records=st.sets(
        st.sampled_from(
            ["geo-treatment:certified", "surveying-custodian", "mnr-approval", "leak-report:passed", "dpia"]
        )
    ).map(tuple),
    second_role=st.sampled_from(["", "compliance_officer"]),
)


@given(REQUESTS)
def test_without_an_assessment_no_important_data_leaves_cn_whatever_else_is_shown(request_: Request) -> None:
    said = decide(load_pack("cn"), request_)
    assert said.rules
    important = {"faces", "plates", "persons", "imagery", "labels", "embeddings", "faces_treated"}
    if important & set(request_.classes):
        assert not said.allowed
        assert said.rules != ("evaluation-error",)


@given(REQUESTS, st.sampled_from(CLASSES))
def test_another_class_of_recordings_never_turns_a_refusal_into_a_permission(request_: Request, more: str) -> None:
    if more == "synthetic":
        return  # that class is a claim about origin, which `synthetic-is-unmixed` guards
    pack = load_pack("cn")
    wider = replace(request_, classes=tuple(sorted({*request_.classes, more})))
    if decide(pack, wider).allowed and request_.classes:
        assert decide(pack, request_).allowed


def test_facts_that_cedar_cannot_take_are_refused_and_not_an_error() -> None:
    odd = request_of("cn", {"kind": "clip", "classes": ["imagery"], "count": 10**30})
    assert decide(load_pack("cn"), odd) == Decision(
        False, ("evaluation-error",), ("facts that can be decided on (ValueError)",)
    ) or decide(load_pack("cn"), odd).rules == ("evaluation-error",)
    sideways = replace(odd, direction="sideways", count=1)
    assert decide(load_pack("cn"), sideways).rules == ("evaluation-error",)


def test_a_region_without_a_pack_gets_the_strict_one() -> None:
    assert load_pack("jp").region == "default"


def test_an_unknown_number_fails_closed_until_an_operator_enters_it() -> None:
    asked = request_of("cn", {"kind": "dataset", "classes": ["manifest"], "basis": "standard-contract"})
    asked = replace(asked, second_role="compliance_officer")
    assert load_pack("cn").thresholds["training_items_important"].value is None
    assert decide(load_pack("cn"), asked).rules == ("important-data-assessment",)
    entered = load_pack("cn", {"training_items_important": 1000})
    assert decide(entered, asked).allowed
    assert entered.thresholds["training_items_important"].evidence == "house"
    assert entered.digest != load_pack("cn").digest


@pytest.mark.parametrize(("name", "why"), [("assess_sensitive", "may not be overridden"), ("nothing", "no threshold")])
def test_what_may_not_be_overridden_is_not(name: str, why: str) -> None:
    with pytest.raises(PackError, match=why):
        load_pack("cn", {name: 1})


def _edit(file: str, old: str, new: str) -> Callable[[Path], None]:
    def edit(pack: Path) -> None:
        text = (pack / file).read_text()
        assert old in text
        (pack / file).write_text(text.replace(old, new, 1))

    return edit


BROKEN = {
    "does not parse": (_edit("policy.cedar", "when { context.approved &&", "when { context.approved &&&"), "line 21"),
    "misspelt fact": (_edit("policy.cedar", "context.approved &&", "context.aproved &&"), "policy.cedar, line"),
    "unknown threshold": (_edit("policy.cedar", "limits.minimum_cell", "limits.minimum_sell"), "policy.cedar, line"),
    "no source": (_edit("policy.cedar", '@source("CN-DSL-01")\n', ""), "policy.cedar, line"),
    "empty source": (_edit("policy.cedar", '@source("CN-DSL-01")', '@source("")'), "policy.cedar, line"),
    "no such evidence mark": (_edit("policy.cedar", '@evidence("V-sec")', '@evidence("sure")'), "policy.cedar, line"),
    "two rules of one name": (
        _edit("policy.cedar", '@id("dual-control")', '@id("minimum-cell")'),
        "policy.cedar, line",
    ),
    "order is no number": (_edit("policy.cedar", '@order("90")', '@order("last")'), "policy.cedar, line"),
    "permits everything": (
        _edit(
            "policy.cedar",
            'permit (principal, action == Action::"outbound", resource)\nwhen { context.approved && '
            "context.lists.export_bases.contains(context.basis) };",
            "permit (principal, action, resource);",
        ),
        "policy.cedar, line",
    ),
    "a rule without a name": (
        _edit("policy.cedar", "unless { false };", "unless { false };\nforbid (principal, action, resource);"),
        "policy.cedar, line",
    ),
    "a rule before the first name": (
        _edit("policy.cedar", "// The border", "forbid (principal, action, resource);\n// The border"),
        "policy.cedar, line 1",
    ),
    "numbers are not TOML": (_edit("pack.toml", "value = 100000", "value = = 1"), "pack.toml"),
    "a number without a source": (
        _edit("pack.toml", 'source = "CN-AUTO-08"\nevidence = "V-sec"\nen = "from this', 'evidence = "V"\nen = "from'),
        "thresholds.assess_nonsensitive",
    ),
    "a number with an odd mark": (_edit("pack.toml", 'evidence = "V-sec"\nen', 'evidence = "yes"\nen'), "thresholds."),
    "no default": (_edit("pack.toml", "default_needs", "needs"), "pack.toml"),
    "a derivation twice": (
        _edit("pack.toml", 'class = "faces"\nstep = "train"', 'class = "imagery"\nstep = "train"'),
        "[[derivation]] 4",
    ),
    "a derivation that lowers without a source": (
        _edit("pack.toml", 'source = "CN-AUTO-12 (feature data)"\n', ""),
        "[[derivation]] 2",
    ),
    "a derivation without a step": (_edit("pack.toml", 'step = "embed"\n', ""), "[[derivation]] 2"),
    "not text": (lambda pack: (pack / "policy.cedar").write_bytes(b"\xff\xfe") and None, "cn"),
}


@pytest.mark.parametrize(("edit", "place"), BROKEN.values(), ids=BROKEN)
def test_a_pack_that_is_not_fit_to_decide_by_is_refused_naming_file_and_line(
    tmp_path: Path, edit: Callable[[Path], None], place: str
) -> None:
    shutil.copytree(PACKS, tmp_path / "packs")
    edit(tmp_path / "packs" / "cn")
    with pytest.raises(PackError) as caught:
        load_pack("cn", folder=tmp_path / "packs")
    assert place in caught.value.place
    assert caught.value.remedy


@pytest.mark.parametrize("change", [{"direction": "up"}, {"way": "pigeon"}, {"role": "guest"}])
def test_a_direction_way_or_role_that_does_not_exist_is_bad_input(change: dict[str, str]) -> None:
    with pytest.raises(BadInput, match="no such crossing"):
        check_request(replace(request_of("cn", {"kind": "clip", "classes": []}), **change))  # type: ignore[arg-type]
