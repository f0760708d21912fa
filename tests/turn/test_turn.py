"""A turn from end to end: one at a time, killed at any moment, its answer and its page."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from inland.border import ledger
from inland.errors import BadInput, SiteBusy
from inland.site import init_site, open_site
from inland.turn import turn

TINY = Path(__file__).with_name("tiny_turn.py")


def start(site: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(TINY), str(site)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(site: Path) -> dict[str, Any]:
    process = start(site)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err[-2000:]
    answer: dict[str, Any] = json.loads(out)
    return answer


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    site = tmp_path_factory.mktemp("turn") / "site"
    return site, finish(site)


def test_a_turn_answers_what_its_command_promises(undisturbed: tuple[Path, dict[str, Any]]) -> None:
    _, answer = undisturbed
    assert [s["name"] for s in answer["stations"]][:3] == ["base driver", "collect", "ingest"]
    assert answer["seconds"] >= sum(s["seconds"] for s in answer["stations"]) - 1.0
    assert set(answer["dataset"]) == {"id", "digest", "clips", "samples"}
    assert answer["gate"]["verdict"] in ("passed", "refused", "inconclusive")
    assert answer["gate"]["passed"] is (answer["gate"]["verdict"] == "passed")
    assert (answer["release"] is None) is not answer["gate"]["passed"]
    rates = answer["success_rate"]
    assert set(rates["town_cn"]) == {"candidate", "field", "constant", "ego_only", "expert"}
    assert {"candidate", "field"} <= set(rates["town_us"])
    for rate in rates["town_cn"].values():
        assert 0.0 <= rate["low"] <= rate["value"] <= rate["high"] <= 1.0


def test_its_page_is_one_file_that_loads_nothing(undisturbed: tuple[Path, dict[str, Any]]) -> None:
    page = Path(undisturbed[1]["report"]).read_text()
    assert "They are not reality" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert "data:video/mp4" in page


def test_what_crossed_and_what_was_refused_is_in_the_ledger(undisturbed: tuple[Path, dict[str, Any]]) -> None:
    site = open_site(undisturbed[0])
    ledger.verify(site)
    seen = [(e.event.direction, e.event.kind, e.event.allowed) for e in ledger.entries(site)]
    assert seen == [("in", "model", True), ("out", "scorecard", True), ("out", "clip", False)]


def test_a_log_holds_no_truth_and_the_outbox_is_cleared(undisturbed: tuple[Path, dict[str, Any]]) -> None:
    site = open_site(undisturbed[0])
    assert not site.storage.list("fleet/outbox")
    assert len(site.storage.list("media")) > 0


def test_killed_at_several_moments_it_goes_on_to_the_same_dataset(
    undisturbed: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    site = tmp_path / "site"
    kills = 0
    for after_s in (7.0, 11.0, 9.0):
        process = start(site)
        time.sleep(after_s)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.communicate(timeout=60)
        if (site / "turns" / "1" / "turn.json").exists():
            break
    assert kills > 0
    answer = (
        json.loads((site / "turns" / "1" / "turn.json").read_text())
        if (site / "turns" / "1" / "turn.json").exists()
        else finish(site)
    )
    assert answer["turn"] == 1
    assert answer["dataset"] == undisturbed[1]["dataset"]


def test_a_second_turn_at_once_is_refused_and_names_the_first(tmp_path: Path) -> None:
    site = init_site(tmp_path / "site", "cn")
    code = (
        "import sys, time; from inland.site import open_site\n"
        "with open_site(sys.argv[1]).writing():\n    print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, site.root], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "held"
        with pytest.raises(SiteBusy, match=str(holder.pid)):
            turn(site.root, size="quick")
    finally:
        holder.kill()
        holder.communicate()


def test_a_region_without_a_town_is_told_what_it_can_do(tmp_path: Path) -> None:
    init_site(tmp_path / "site", "eu")
    with pytest.raises(BadInput, match="no town for region 'eu'"):
        turn(tmp_path / "site", size="quick")


def test_an_unknown_size_names_the_sizes(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="quick, demo, standard"):
        turn(tmp_path / "site", size="huge")
    assert not (tmp_path / "site").exists()
