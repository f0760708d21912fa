"""The command line: every verb is a function of the package and a command here, with ``--json``.

Standard output carries the answer and nothing else; progress, warnings and errors go to standard error.
Exit codes: 0 done, 1 done in part (the answer says what not), 2 not done (the message says why and what to do).
"""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from inland.answers import JsonOption, SiteArgument, answer
from inland.cli_border import add_to
from inland.errors import InlandError
from inland.progress import Progress

app = typer.Typer(
    name="inland",
    help="A training centre for end-to-end driving models that keeps its data inside one country.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
world = typer.Typer(help="The embedded towns.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(world, name="world")
add_to(app)

ProcessesOption = Annotated[int, typer.Option(help="Worker processes.", min=1)]


def main() -> None:
    """Run the command line; turn deliberate errors into a message and exit code 2."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        # numpy's threads only get in the way of our processes; torch sets its own number where it trains.
        os.environ.setdefault(name, "1")
    # Threads that wait for each other by spinning run three times slower beside any other busy process.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except InlandError as error:
        print(f"inland: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("inland: stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(130)


@app.command()
def init(
    site: SiteArgument,
    region: Annotated[str, typer.Option(help="The region: cn, eu, us, ...", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Make a site: one region, one root, one lake, one border."""
    from inland.border.keys import ensure_keys
    from inland.site import init_site

    made = init_site(site, region)
    ensure_keys(made)
    answer({"id": made.id, "region": made.region, "site": made.root}, as_json)


@app.command()
def ingest(
    site: SiteArgument,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Logs, or folders of logs.")],
    assume_fps: Annotated[
        float | None,
        typer.Option(help="Declare the frame rate of logs whose clock is missing or implausible."),
    ] = None,
    processes: ProcessesOption = 2,
    as_json: JsonOption = False,
) -> None:
    """Land logs, check them, redact them and commit them as clips; or quarantine them with the reason."""
    from inland.ingest import IngestResult
    from inland.ingest import ingest as station
    from inland.site import open_site

    result, stopped = IngestResult((), (), ()), None
    with Progress("ingest") as progress:
        try:
            result = station(
                open_site(site), list(paths), assume_fps=assume_fps, processes=processes, progress=progress
            )
        except InlandError as error:
            # The answer is printed whatever the exit code: a script that reads it need not guess what came in.
            stopped = error
            result = error.so_far if isinstance(error.so_far, IngestResult) else result
    told = {
        "committed": list(result.committed),
        "already_there": list(result.already_there),
        # What was whole of a cut or damaged log is in; the rest is answered like any log that did not come in.
        "quarantined": [{"path": bad.path, "reason": bad.reason} for bad in result.quarantined]
        + [{"path": path, "reason": reason} for path, reason in result.in_part.items()],
    }
    for bad in result.quarantined:
        print(f"quarantined {bad.path}: {bad.reason}", file=sys.stderr)
        if bad.remedy:
            print(f"  remedy: {bad.remedy}", file=sys.stderr)
    answer(told, as_json)
    if stopped is not None:
        raise stopped
    if result.quarantined or result.in_part:
        raise typer.Exit(1)


@app.command()
def clips(
    site: SiteArgument,
    where: Annotated[str | None, typer.Option(help="A filter on columns, such as \"format = 'mcap'\".")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the clips of the lake."""
    from inland.lake import clip_list
    from inland.site import open_site

    answer({"clips": clip_list(open_site(site), where)}, as_json)


@app.command()
def collect(
    site: SiteArgument,
    town: Annotated[str, typer.Option(help="town_us or town_cn.")] = "town_cn",
    drives: Annotated[int, typer.Option(help="How many drives to record.", min=1)] = 16,
    driver: Annotated[
        str, typer.Option(help="'expert', or a model's digest: driven under a safety driver.")
    ] = "expert",
    processes: ProcessesOption = 2,
    as_json: JsonOption = False,
) -> None:
    """Let the towns' vehicles drive and record; their logs land in SITE/fleet/outbox, ready to ingest."""
    from inland.fleet import CollectSpec
    from inland.fleet import collect as station
    from inland.site import open_site

    with Progress("collect") as progress:
        logs = station(open_site(site), CollectSpec(town=town, drives=drives, driver=driver), processes, progress)
    answer({"logs": logs}, as_json)


@app.command()
def mine(site: SiteArgument, as_json: JsonOption = False) -> None:
    """Tag the clips that have no tags yet."""
    from inland.mine import mine as station
    from inland.site import open_site

    answer(station(open_site(site)), as_json)


@app.command()
def train(
    site: SiteArgument,
    recipe: Annotated[str, typer.Option(help="A recipe of inland.recipes, or module:function.")],
    processes: ProcessesOption = 2,
    as_json: JsonOption = False,
) -> None:
    """Label, curate, decode and train by a recipe; report the open-loop error beside the baselines."""
    from inland.site import open_site
    from inland.train import train_recipe

    with Progress("train") as progress:
        result = train_recipe(open_site(site), recipe, processes=processes, progress=progress)
    answer(dataclasses.asdict(result), as_json)


@app.command()
def score(
    site: SiteArgument,
    model: Annotated[str, typer.Argument(help="A model's digest (or its beginning), 'field', 'expert' or 'constant'.")],
    suite: Annotated[str, typer.Option(help="The town to drive in.")] = "town_cn",
    episodes: Annotated[int, typer.Option(min=1, help="How many episodes.")] = 50,
    processes: ProcessesOption = 2,
    as_json: JsonOption = False,
) -> None:
    """Drive a model closed loop through a town's suite and score it."""
    from inland.score import score_one
    from inland.site import open_site

    with Progress("score") as progress:
        told = score_one(open_site(site), model, suite=suite, episodes=episodes, processes=processes, progress=progress)
    answer(told, as_json)


@app.command()
def turn(
    site: SiteArgument,
    size: Annotated[str, typer.Option(help="quick, demo or standard.")] = "demo",
    processes: ProcessesOption = 2,
    as_json: JsonOption = False,
) -> None:
    """Turn the flywheel once: collect, ingest, mine, label, curate, train, score, gate, release, roll out."""
    from inland.turn import turn as whole_turn

    with Progress("turn") as progress:
        result = whole_turn(site, size=size, processes=processes, progress=progress)
    answer(result, as_json)


@world.command("bench")
def world_bench(
    seconds: Annotated[float, typer.Option(help="How long each measurement lasts.")] = 10.0,
    as_json: JsonOption = False,
) -> None:
    """Measure the towns: steps per second, with camera, encoding and logging, in one process and in two."""
    from inland.world.bench import world_bench as bench

    answer(bench(seconds=seconds), as_json)


@world.command("check")
def world_check(as_json: JsonOption = False) -> None:
    """Say whether simulator, camera and training can run on this machine."""
    from inland.world.check import PACKAGES, check_machine

    found = check_machine()
    answer({name: {"works": works, "said": said} for name, (works, said) in found.items()}, as_json)
    if not all(works for works, _ in found.values()):
        print(f"If a library is missing, on Debian or Ubuntu install: {PACKAGES}", file=sys.stderr)
        raise typer.Exit(1)


if __name__ == "__main__":
    main()
