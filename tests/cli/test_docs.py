"""The documents name what is there, and nothing that is not."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_architecture_names_every_module_of_the_house_and_no_other() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    house = page.split("## The house")[1].split("## A site on disk")[0]
    named = set(re.findall(r"(\w+\.py)\b", house)) - {"ledger.py"}
    there = {path.name for path in (ROOT / "inland").glob("*.py")} - {"__init__.py"}
    assert named == there


def test_links_of_the_readme_lead_somewhere() -> None:
    page = (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", page):
        assert target.startswith("http") or (ROOT / target).exists(), target
