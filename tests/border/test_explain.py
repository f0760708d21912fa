"""A pack's page says everything that the pack decides by."""

from __future__ import annotations

import pytest

from inland.border.explain import page
from inland.border.policy import load_pack


@pytest.mark.parametrize("region", ["cn", "eu", "us", "jp"])
def test_the_page_has_every_rule_number_and_source_in_both_languages(region: str) -> None:
    pack = load_pack(region)
    said = page(pack)
    for rule in pack.rules:
        assert f'id="{rule.id}"' in said
        assert rule.notes["zh"] in said
    for threshold in pack.thresholds.values():
        assert threshold.zh in said
    assert "no legal advice" in said
    assert "http" not in said  # self-contained


def test_a_number_that_nobody_knows_is_said_to_fail_closed() -> None:
    assert "unknown: fails closed" in page(load_pack("cn"))
