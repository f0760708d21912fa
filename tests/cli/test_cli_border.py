"""The border's verbs: exit codes and answers that scripts read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from make_logs import write_mcap

from inland.ingest import ingest
from inland.site import init_site


def inland(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "inland.cli", *words], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("border")
    site = init_site(folder / "site", "cn")
    return folder / "site", ingest(site, [write_mcap(folder / "d.mcap", 3.0)]).committed[0]


def test_a_raw_clip_is_refused_naming_the_rules_and_what_is_needed(clip: tuple[Path, str]) -> None:
    site, ident = clip
    asked = ("cross", str(site), ident, "--to", "us", "--recipient", "hq", "--purpose", "training", "--json")
    run = inland(*asked)
    assert run.returncode == 1
    said = json.loads(run.stdout)
    assert set(said) == {"allowed", "rules", "needed", "entry"}
    assert not said["allowed"]
    assert said["rules"][0] == "out-of-vehicle-imagery-untreated"
    assert len(said["needed"]) == len(said["rules"])
    book = json.loads(inland("ledger", str(site), "verify", "--json").stdout)
    assert book["entries"] == said["entry"] + 1
    assert book["faults"] == []
    shown = json.loads(inland("ledger", str(site), "show", "--last", "1", "--json").stdout)
    assert shown["entries"][0]["event"]["rules"] == said["rules"]
    assert json.loads(inland("ledger", str(site), "prove", ident, "--json").stdout)["n"] == said["entry"]
    kept = site.parent / "kept.json"
    kept.write_text(inland("ledger", str(site), "checkpoint").stdout)
    assert inland("ledger", str(site), "verify", "--since", str(kept)).returncode == 0
    kept.write_text("{}")
    assert inland("ledger", str(site), "verify", "--since", str(kept)).returncode == 1
    assert inland("ledger", str(site), "burn").returncode == 2


def test_an_approval_is_a_compliance_officers_and_is_named_when_it_does_not_help(clip: tuple[Path, str]) -> None:
    site, ident = clip
    words = ["approve", str(site), "--to", "us", "--recipient", "hq", "--purpose", "training", "--kind", "clip"]
    words += ["--classes", "imagery", "--basis", "cac-assessment", "--days", "30", "--json"]
    assert inland(*words).returncode == 2
    made = inland(*words, "--role", "compliance_officer")
    assert made.returncode == 0
    asked = ["cross", str(site), ident, "--to", "us", "--recipient", "hq", "--purpose", "training", "--json"]
    said = json.loads(inland(*asked, "--approval", json.loads(made.stdout)["approval"]).stdout)
    assert said["needed"][-1].endswith("it lies outside in type")
    assert inland(*asked, "--approval", "nothing").returncode == 2


def test_a_changed_ledger_is_a_fault_and_exit_code_1(clip: tuple[Path, str], tmp_path: Path) -> None:
    site = init_site(tmp_path / "site", "cn")
    asked = ("--to", "us", "--recipient", "hq", "--purpose", "x", "--json")
    made = ingest(site, [write_mcap(tmp_path / "d.mcap", 2.0)]).committed[0]
    inland("cross", site.root, made, *asked)
    path = Path(site.root) / "ledger" / "entries.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"us"', b'"eu"', 1))
    run = inland("ledger", site.root, "verify", "--json")
    assert run.returncode == 1
    assert json.loads(run.stdout)["faults"]


def test_lineage_walks_from_a_clip_to_its_drive(clip: tuple[Path, str]) -> None:
    site, ident = clip
    said = json.loads(inland("lineage", str(site), ident, "--json").stdout)
    assert (said["id"], said["kind"]) == (ident, "clip")
    assert [node["kind"] for node in said["came_of"]] == ["drive"]
    assert inland("lineage", str(site), "nothing", "--json").returncode == 2


def test_a_pack_is_explained_as_a_page(tmp_path: Path) -> None:
    run = inland("pack", "explain", "cn", "--out", str(tmp_path / "cn.html"), "--json")
    assert run.returncode == 0
    assert {rule["id"] for rule in json.loads(run.stdout)["rules"]} >= {"geo-treatment-certified", "dual-control"}
    assert "数据出境安全评估" in (tmp_path / "cn.html").read_text()
