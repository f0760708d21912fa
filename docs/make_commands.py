"""Writes docs/commands.md from the program's own help: ``python docs/make_commands.py``."""

from __future__ import annotations

from pathlib import Path

import typer
from typer.testing import CliRunner

WIDTH = 100
HEAD = """# Commands

Written from the program's own help by `python docs/make_commands.py`; a test holds the two together. Every verb
answers one JSON object on standard output with `--json`; progress and messages go to standard error. Exit codes: 0
done, 1 done in part (the answer says what not), 2 not done (the message says why and what to do).
"""


def page() -> str:
    """The page, as the code stands."""
    from inland.cli import app

    parts = [HEAD]
    for words in verbs(app):
        said = CliRunner().invoke(app, [*words, "--help"], terminal_width=WIDTH, env={"COLUMNS": str(WIDTH)}).output
        text = "\n".join(line.rstrip() for line in said.strip().splitlines())
        parts.append(f"## `inland {' '.join(words)}`\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def verbs(app: typer.Typer) -> list[list[str]]:
    """The words of every command, in the order of the code."""
    found = [[str(c.name or (c.callback.__name__ if c.callback else ""))] for c in app.registered_commands]
    for group in app.registered_groups:
        if group.typer_instance is not None:
            found += [[str(group.name), *words] for words in verbs(group.typer_instance)]
    return found


if __name__ == "__main__":
    Path(__file__).with_name("commands.md").write_text(page())
