"""Approvals as objects: kept, found, and worth nothing where they are not what they seem."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from inland.border.approvals import Approval, approve, find_approval, read_approval, until
from inland.border.keys import PAYLOAD_TYPE, sign, statement
from inland.errors import BadInput
from inland.site import Site, init_site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return init_site(tmp_path / "cn", "cn")


def made(site: Site) -> Approval:
    return Approval(site.id, "out", "us", "hq", "training", "model", ("algorithm",), expires_ns=until(30))


def test_an_approval_is_kept_and_found_by_its_id(site: Site) -> None:
    approval = made(site)
    envelope = approve(site, approval)
    assert find_approval(site, approval.id) == envelope
    assert read_approval(site, envelope) == approval
    with pytest.raises(BadInput, match="no approval") as caught:
        find_approval(site, "0" * 32)
    assert approval.id in caught.value.remedy


def test_another_signed_statement_is_no_approval(site: Site) -> None:
    other = sign(site, PAYLOAD_TYPE, statement({"x": "0" * 64}, "urn:inland:manifest:v1", {}))
    odd = sign(site, PAYLOAD_TYPE, statement({"x": "0" * 64}, "urn:inland:approval:v1", {"site": site.id}))
    assert read_approval(site, other) is None
    assert read_approval(site, odd) is None
    assert read_approval(site, None) is None


@pytest.mark.parametrize(
    "change", [{"direction": "up"}, {"ways": ()}, {"ways": ("pigeon",)}, {"site": "us-1"}, {"purpose": ""}]
)
def test_an_approval_that_could_never_count_is_not_made(site: Site, change: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        approve(site, replace(made(site), **change))  # type: ignore[arg-type]
    assert site.storage.list("approvals") == []
