"""What a verb prints: one JSON object, or lines that a person reads. The options that all verbs share."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import typer

SiteArgument = Annotated[Path, typer.Argument(metavar="SITE", help="The site's folder.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer as one JSON object.")]


def answer(value: dict[str, Any], as_json: bool) -> None:
    """Print a verb's answer: one JSON object, or lines that a person reads."""
    if as_json:
        print(json.dumps(value, default=_plain))
        return
    for name, item in value.items():
        if isinstance(item, list):
            print(f"{name}: {len(item)}")
            for entry in item[:40]:
                print("  " + (_line(entry) if isinstance(entry, dict) else str(entry)))
            if len(item) > 40:
                print(f"  ... and {len(item) - 40} more (all with --json)")
        elif isinstance(item, dict):
            print(f"{name}:")
            for key, entry in item.items():
                print(f"  {key}: {_line(entry) if isinstance(entry, dict) else entry}")
        else:
            print(f"{name}: {item}")


def _line(entry: dict[str, Any]) -> str:
    return "  ".join(f"{key}={value}" for key, value in entry.items())


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"not plain data: {type(value).__name__}")
