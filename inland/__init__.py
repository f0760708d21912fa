"""Inland: a training centre for end-to-end driving models that stands inside one country and keeps its data there.

Public names are imported on first use, so that ``import inland`` costs nothing and loads no torch, Lance or SUMO.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

__version__ = "0.1.0"

# Nothing phones home. ONNX Runtime's Linux wheels (1.31) write a device id and events below the home folder and upload
# them unless this is set before they are imported; every process of ours imports this package first.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ.setdefault("DO_NOT_TRACK", "1")

_HOME = {
    "Site": "inland.site",
    "init_site": "inland.site",
    "open_site": "inland.site",
    "ingest": "inland.ingest",
    "mine": "inland.mine",
    "label": "inland.label",
    "curate": "inland.curate",
    "train": "inland.train",
    "score": "inland.score",
    "decide": "inland.gate",
    "cross": "inland.border.cross",
    "collect": "inland.fleet",
    "turn": "inland.turn",
    "InlandError": "inland.errors",
}

__all__ = ["__version__", *sorted(_HOME)]  # noqa: PLE0604  (names are resolved by __getattr__)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'inland' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
