"""The border's verbs on the command line: crossing, approvals, ledger, lineage, packs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inland.answers import JsonOption, SiteArgument, answer
from inland.errors import BadInput

if TYPE_CHECKING:
    from inland.border.ledger import Entry

pack = typer.Typer(help="A region's rules as data.", no_args_is_help=True, rich_markup_mode=None)

RoleOption = Annotated[str, typer.Option(help="The actor's role.", envvar="INLAND_ROLE")]
LocationOption = Annotated[
    str, typer.Option(help="The region in which the actor sits; the site's where empty.", envvar="INLAND_LOCATION")
]


def add_to(app: typer.Typer) -> None:
    """Give the border's verbs to the command line's app."""
    app.command()(cross)
    app.command()(approve)
    app.command()(ledger)
    app.command()(lineage)
    pack.command()(explain)
    app.add_typer(pack, name="pack")


def cross(
    site: SiteArgument,
    ident: Annotated[str, typer.Argument(metavar="ID", help="A clip, dataset, model, scorecard or release.")],
    recipient: Annotated[str, typer.Option(help="The organisation on the other side.", show_default=False)],
    purpose: Annotated[str, typer.Option(help="What for.", show_default=False)],
    to: Annotated[str, typer.Option(help="The region it goes to.")] = "",
    sent_from: Annotated[str, typer.Option("--from", help="The region it comes from.")] = "",
    way: Annotated[str, typer.Option("--as", help="transmit, view, query or download.")] = "transmit",
    approval: Annotated[str, typer.Option(help="The id of an approval.")] = "",
    second: Annotated[str, typer.Option(help="The role of a second person who confirms.")] = "",
    role: RoleOption = "engineer",
    location: LocationOption = "",
    as_json: JsonOption = False,
) -> None:
    """Ask the border; the answer goes into the ledger. Exit code 0 only where it is allowed. Moves nothing."""
    from inland.border.approvals import find_approval
    from inland.border.cross import cross as station
    from inland.lineage import crossing_artifact
    from inland.site import open_site

    if bool(to) == bool(sent_from):
        raise BadInput("a crossing has one direction", remedy="give --to REGION or --from REGION")
    opened = open_site(site)
    said = station(
        opened,
        crossing_artifact(opened, ident),
        direction="out" if to else "in",
        region=to or sent_from,
        recipient=recipient,
        purpose=purpose,
        way=way,
        approval=find_approval(opened, approval) if approval else None,
        role=role,
        location=location,
        second_role=second,
    )
    answer(asdict(said), as_json)
    if not said.allowed:
        raise typer.Exit(1)


def approve(
    site: SiteArgument,
    recipient: Annotated[str, typer.Option(help="Whom it is for; '*' is anyone.", show_default=False)],
    purpose: Annotated[str, typer.Option(help="What for.", show_default=False)],
    kind: Annotated[str, typer.Option(help="clip, dataset, model, ...", show_default=False)],
    classes: Annotated[str, typer.Option(help="The data classes that it may have, by comma.", show_default=False)],
    basis: Annotated[str, typer.Option(help="cac-assessment, standard-contract, scc, ...", show_default=False)],
    days: Annotated[float, typer.Option(help="For how long.", min=0.0, show_default=False)],
    to: Annotated[str, typer.Option(help="The region it goes to.")] = "",
    sent_from: Annotated[str, typer.Option("--from", help="The region it comes from.")] = "",
    way: Annotated[str, typer.Option("--as", help="Some of transmit, view, query, download, by comma.")] = "transmit",
    artifact: Annotated[str, typer.Option(help="Ids of artifacts, by comma; '*' is all of the kind.")] = "*",
    count: Annotated[int, typer.Option(help="At most so many things in all; 0 is no bound.", min=0)] = 0,
    size: Annotated[int, typer.Option("--bytes", help="At most so many bytes in all; 0 is no bound.", min=0)] = 0,
    reference: Annotated[str, typer.Option(help="The authority's file number.")] = "",
    role: RoleOption = "engineer",
    as_json: JsonOption = False,
) -> None:
    """Enter an approval: purpose, scope, method, type, scale and expiry. A compliance officer does this."""
    import time

    from inland.border.approvals import DEMONSTRATION, Approval, until
    from inland.border.approvals import approve as station
    from inland.errors import RoleRefused
    from inland.site import open_site

    if role != "compliance_officer":
        raise RoleRefused(
            f"a {role} enters no approvals", remedy="ask a compliance officer (--role compliance_officer)"
        )
    if basis == DEMONSTRATION:
        raise BadInput("a demonstration is approved by a turn alone", remedy="name the basis of the approval")
    if bool(to) == bool(sent_from):
        raise BadInput("an approval has one direction", remedy="give --to REGION or --from REGION")
    opened = open_site(site)
    made = Approval(
        site=opened.id,
        direction="out" if to else "in",
        region=to or sent_from,
        recipient=recipient,
        purpose=purpose,
        kind=kind,
        classes=tuple(sorted(filter(None, classes.split(",")))),
        artifacts=tuple(artifact.split(",")),
        ways=tuple(way.split(",")),
        max_count=count,
        max_bytes=size,
        basis=basis,
        reference=reference,
        made_ns=time.time_ns(),
        expires_ns=until(days),
    )
    station(opened, made)
    answer({"approval": made.id, **asdict(made)}, as_json)


def ledger(
    site: SiteArgument,
    what: Annotated[str, typer.Argument(metavar="verify|show|prove|checkpoint", help="What to do.")],
    ident: Annotated[str, typer.Argument(metavar="ID", help="With prove: an entry's number, or an artifact.")] = "",
    since: Annotated[Path | None, typer.Option(help="With verify: a checkpoint that was kept elsewhere.")] = None,
    last: Annotated[int, typer.Option(help="With show: only the last so many; 0 is all.", min=0)] = 0,
    as_json: JsonOption = False,
) -> None:
    """The record of every attempt to pass the border: check it, list it, prove an entry, give its checkpoint.

    verify: exit code 1 where there is a fault.
    """
    from inland.border import ledger as book
    from inland.errors import LedgerFault
    from inland.site import open_site

    opened = open_site(site)
    if what == "show":
        entries = book.entries(opened)
        answer({"entries": [asdict(entry) for entry in (entries[-last:] if last else entries)]}, as_json)
    elif what == "prove":
        answer(book.prove(opened, _entry_of(book.entries(opened), ident)), as_json)
    elif what == "checkpoint":
        print(json.dumps(book.checkpoint(opened)))
    elif what == "verify":
        try:
            root = book.verify_since(opened, _kept(since)) if since else book.verify(opened)
            answer({"entries": len(book.entries(opened)), "root": root, "faults": []}, as_json)
        except LedgerFault as error:
            answer({"entries": None, "root": None, "faults": [str(error)]}, as_json)
            print(f"inland: {error}", file=sys.stderr)
            raise typer.Exit(1) from error
    else:
        raise BadInput(f"the ledger has no {what!r}", remedy="verify, show, prove or checkpoint")


def _entry_of(entries: Sequence[Entry], ident: str) -> int:
    if ident.isdigit() and len(ident) < 12:
        return int(ident)
    found = [entry.n for entry in entries if ident and entry.event.artifact == ident]
    if not found:
        raise BadInput(f"no entry is about {ident!r}", remedy="give an entry's number or an artifact's whole id")
    return found[-1]


def _kept(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadInput("the checkpoint cannot be read", place=str(path), remedy=str(error)) from error
    return found if isinstance(found, dict) else {}


def lineage(
    site: SiteArgument,
    ident: Annotated[str, typer.Argument(metavar="ID", help="A clip or any artifact.")],
    as_json: JsonOption = False,
) -> None:
    """What something came of, and what came of it: from clip to release and back."""
    from inland.lineage import both_ways
    from inland.site import open_site

    answer(both_ways(open_site(site), ident), as_json)


def explain(
    region: Annotated[str, typer.Argument(metavar="REGION", help="cn, eu, us, or any: the strict default.")],
    out: Annotated[Path | None, typer.Option(help="Where the page goes; pack-REGION.html where not said.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print a pack as a page, in Chinese and English: every rule and number with its source and evidence mark."""
    from inland.border.explain import page
    from inland.border.policy import load_pack

    found = load_pack(region)
    path = out or Path(f"pack-{region}.html")
    path.write_text(page(found), encoding="utf-8")
    rules = [{"id": rule.id, "effect": rule.effect, **rule.notes} for rule in found.rules]
    told = {"region": found.region, "version": found.version, "digest": found.digest, "page": str(path.resolve())}
    answer({**told, "rules": rules} if as_json else {**told, "rules": [rule["id"] for rule in rules]}, as_json)
