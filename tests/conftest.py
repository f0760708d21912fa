"""Fixtures that every feature's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real recordings, or a skip that says how to get it."""
    folder = os.environ.get("INLAND_TEST_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("set INLAND_TEST_DATA to the folder of real recordings")
    return Path(folder)
