"""A site is whole or is none, has one writer at a time, and hides names under its own key."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from inland import site as site_module
from inland.errors import BadInput, SiteBusy, SiteError
from inland.site import init_site, is_site, open_site


def test_a_new_site_opens_as_it_was_made(tmp_path: Path) -> None:
    made = init_site(tmp_path / "a", "cn", creator="us")
    assert open_site(tmp_path / "a") == made
    assert (made.region, made.creator) == ("cn", "us")
    assert made.id.startswith("cn-")
    assert init_site(tmp_path / "a", "cn", creator="us") == made


def test_secrets_are_the_owners_alone(tmp_path: Path) -> None:
    init_site(tmp_path / "a", "cn")
    assert (tmp_path / "a" / "keys").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "a" / "custody").stat().st_mode & 0o777 == 0o700
    secrets = [*(tmp_path / "a" / "keys").glob("*.key")]
    assert secrets
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in secrets)


def test_a_site_never_changes_its_region(tmp_path: Path) -> None:
    init_site(tmp_path / "a", "cn")
    with pytest.raises(SiteError, match="region 'cn'"):
        init_site(tmp_path / "a", "us")


def test_a_folder_with_other_files_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(SiteError, match=r"not empty: thesis\.tex"):
        init_site(tmp_path, "cn")
    with pytest.raises(SiteError, match="a file stands where"):
        init_site(tmp_path / "thesis.tex", "cn")


def test_an_init_that_was_killed_can_be_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(site_module, "_make_keys", killed)
    with pytest.raises(KeyboardInterrupt):
        init_site(tmp_path / "a", "cn")
    assert not is_site(tmp_path / "a")
    monkeypatch.undo()
    assert open_site(init_site(tmp_path / "a", "cn").root).region == "cn"


@pytest.mark.parametrize("region", ["", "CN", "c", "cn/../us", "a" * 20])
def test_a_region_is_a_short_name(tmp_path: Path, region: str) -> None:
    with pytest.raises(BadInput, match="not a region"):
        init_site(tmp_path / "a", region)


def test_what_is_no_site_is_told_with_its_remedy(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(SiteError) as caught:
            open_site(path)
        assert "inland init" in caught.value.remedy
    init_site(tmp_path / "a", "cn")
    record = tmp_path / "a" / "site.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"revision": 99}))
    with pytest.raises(SiteError, match="revision 99"):
        open_site(tmp_path / "a")
    record.write_text("{")
    with pytest.raises(SiteError, match="damaged"):
        open_site(tmp_path / "a")


def test_pseudonyms_are_stable_here_and_different_elsewhere(tmp_path: Path) -> None:
    here, there = init_site(tmp_path / "a", "cn"), init_site(tmp_path / "b", "cn")
    assert here.pseudonym("vehicle", "car 7") == open_site(here.root).pseudonym("vehicle", "car 7")
    assert here.pseudonym("vehicle", "car 7") != here.pseudonym("vehicle", "car 8")
    assert here.pseudonym("vehicle", "car 7") != here.pseudonym("place", "car 7")[3:]
    assert here.pseudonym("vehicle", "car 7") != there.pseudonym("vehicle", "car 7")
    assert here.pseudonym("vehicle", "") == ""
    assert here.id != there.id


HOLD = """
import sys, time
from inland.site import open_site
with open_site(sys.argv[1]).writing():
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_writer_is_told_who_holds_the_site_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    site = init_site(tmp_path / "a", "cn")
    environment = {**os.environ, "PYTHONPATH": str(Path(site_module.__file__).parents[1])}
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, site.root, "turn"], stdout=subprocess.PIPE, env=environment, text=True
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(SiteBusy) as caught, site.writing():
            pass
        assert f"pid {other.pid}" in caught.value.message
        assert "turn" in caught.value.message
        assert site.storage.get("site.json")  # reading goes on
    finally:
        other.send_signal(signal.SIGKILL)
        other.communicate()
    with site.writing(), site.writing():  # again inside itself
        pass
    with site.writing():
        pass
