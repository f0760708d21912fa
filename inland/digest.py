"""Digests of plain data: one canonical form, so that equal inputs have equal names on any machine."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np


def canonical(value: Any) -> Any:
    """Return ``value`` as JSON types: dataclasses by field name with their class, arrays by dtype, shape, bytes.

    Raises TypeError for anything else, so that nothing enters a digest by its memory address.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: canonical(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, Enum):
        return canonical(value.value)
    if isinstance(value, np.ndarray):
        return {"array": str(value.dtype), "shape": list(value.shape), "sha256": sha256(value.tobytes())}
    if isinstance(value, np.generic):
        return canonical(value.item())
    if isinstance(value, bytes):
        return {"bytes": sha256(value)}
    if isinstance(value, Mapping):
        return {str(k): canonical(value[k]) for k in sorted(value, key=str)}
    if isinstance(value, (list, tuple)):
        return [canonical(v) for v in value]
    if isinstance(value, (set, frozenset)):
        return sorted((canonical(v) for v in value), key=str)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"no canonical form for {type(value).__name__}")


def canonical_json(value: Any) -> bytes:
    """The canonical form as UTF-8 JSON: sorted keys, no spaces."""
    return json.dumps(
        canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def sha256(data: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(data).hexdigest()


def digest_of(*values: Any) -> str:
    """Hex SHA-256 of the canonical JSON of ``values``."""
    return sha256(canonical_json(values))


def seed_of(purpose: str, town: str, scenario: str, n: int) -> int:
    """A 31-bit seed that belongs to one purpose: collect, labeller, develop or final (never shared)."""
    return int(digest_of("seed", purpose, town, scenario, n)[:8], 16) & 0x7FFFFFFF
