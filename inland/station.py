"""Finished work is remembered by its inputs, so that a killed run goes on and a repeated one costs nothing."""

from __future__ import annotations

import json
from typing import Any

from inland.digest import digest_of
from inland.site import Site


def key_of(name: str, revision: int, *inputs: Any) -> str:
    """The key of one run of station ``name``: inputs, spec and digests; never a commit, a wall time or a path.

    ``revision`` is the station's REVISION, raised by hand when its output changes.
    """
    return digest_of("station", name, revision, inputs)[:32]


def recall(site: Site, name: str, key: str) -> dict[str, Any] | None:
    """What a finished run left, or None."""
    path = f"stations/{name}/{key}.json"
    if not site.storage.exists(path):
        return None
    kept: dict[str, Any] = json.loads(site.storage.get(path))
    return kept


def keep(site: Site, name: str, key: str, result: dict[str, Any]) -> dict[str, Any]:
    """Write the result of a finished run, atomically; return it as a later `recall` will."""
    data = json.dumps(result, sort_keys=True, indent=1).encode()
    site.storage.put(f"stations/{name}/{key}.json", data)
    again: dict[str, Any] = json.loads(data)
    return again
