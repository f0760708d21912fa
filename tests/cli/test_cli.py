"""The command line: answers, exit codes, and help that the documents agree with."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

from inland.site import init_site

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "lance", "av", "libsumo", "moderngl", "onnxruntime", "pyarrow", "gymnasium")


def inland(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "inland.cli", *words], capture_output=True, text=True, cwd=ROOT, check=False
    )


def test_the_commands_page_is_what_the_program_says() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "make_commands.py"))["page"]()
    assert (ROOT / "docs" / "commands.md").read_text() == page, "run: python docs/make_commands.py"


def test_help_and_import_load_nothing_heavy() -> None:
    code = f"import sys, inland, inland.cli; print([m for m in {HEAVY!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert run.stdout.strip() == "[]"


def test_every_public_name_resolves() -> None:
    import inland as package

    for name in package.__all__:
        assert getattr(package, name) is not None


def test_init_answers_one_json_object_and_can_be_repeated(tmp_path: Path) -> None:
    first = inland("init", str(tmp_path / "site"), "--region", "cn", "--json")
    again = inland("init", str(tmp_path / "site"), "--region", "cn", "--json")
    assert first.returncode == again.returncode == 0
    assert json.loads(first.stdout) == json.loads(again.stdout)
    assert json.loads(first.stdout)["region"] == "cn"


def test_no_site_is_an_error_with_a_remedy_and_nothing_on_standard_output(tmp_path: Path) -> None:
    run = inland("clips", str(tmp_path / "nowhere"), "--json")
    assert run.returncode == 2
    assert run.stdout == ""
    assert "remedy: make one with `inland init" in run.stderr
    assert "Traceback" not in run.stderr


def test_an_empty_folder_is_said_to_hold_no_log(tmp_path: Path) -> None:
    site = tmp_path / "site"
    init_site(site, "cn")
    (tmp_path / "logs").mkdir()
    run = inland("ingest", str(site), str(tmp_path / "logs"), "--json")
    assert run.returncode == 2
    assert json.loads(run.stdout) == {"committed": [], "already_there": [], "quarantined": []}
    assert str(tmp_path / "logs") in run.stderr
    assert "Traceback" not in run.stderr


def test_a_quarantined_log_is_answered_and_makes_exit_code_one(tmp_path: Path, test_data: Path) -> None:
    site = tmp_path / "site"
    init_site(site, "cn")
    run = inland("ingest", str(site), str(test_data / "donkeycar_tub"), "--json")
    answer = json.loads(run.stdout)
    assert run.returncode == 1
    assert answer["committed"] == []
    (bad,) = answer["quarantined"]
    assert bad["reason"].startswith("implausible clock")


def test_the_tub_comes_in_with_a_declared_clock_and_says_so(tmp_path: Path, test_data: Path) -> None:
    site = tmp_path / "site"
    init_site(site, "cn")
    run = inland("ingest", str(site), str(test_data / "donkeycar_tub"), "--assume-fps", "20", "--json")
    answer = json.loads(run.stdout)
    assert run.returncode == 0, run.stderr
    # 1,000 frames at 20 fps are 50 s: clips of at most 10 s, cut at key frames.
    assert len(answer["committed"]) >= 5
    listed = json.loads(inland("clips", str(site), "--json").stdout)["clips"]
    assert {clip["clock"] for clip in listed} == {"declared"}
    again = json.loads(
        inland("ingest", str(site), str(test_data / "donkeycar_tub"), "--assume-fps", "20", "--json").stdout
    )
    assert sorted(again["already_there"]) == sorted(answer["committed"])
    assert again["committed"] == []
