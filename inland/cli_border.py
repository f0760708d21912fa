"""The border's verbs on the command line: crossing, ledger, packs, lineage, erasure, walls."""

from __future__ import annotations

import typer

border = typer.Typer(help="The border: its walls and its reports.", no_args_is_help=True, rich_markup_mode=None)
pack = typer.Typer(help="A region's rules as data.", no_args_is_help=True, rich_markup_mode=None)


def add_to(app: typer.Typer) -> None:
    """Give the border's verbs to the command line's app."""
