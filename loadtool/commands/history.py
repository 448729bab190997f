"""`loadtool history`: the last runs of each profile as a trend table."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from loadtool.commands import console, help_pages, options
from loadtool.errors import UsageError


def mount(app: typer.Typer) -> None:
    app.command(
        cls=help_pages.Command,
        context_settings=help_pages.CONTEXT,
        epilog="""\b
Examples:
  $ loadtool history
  $ loadtool history loadtool-results --limit 20
  $ loadtool history --json

\b
Exit codes:
  0  shown
  2  there is no result in that directory

Arrows are steps of 5% and more from the run before. Whether a step is real: loadtool compare.
""",
    )(history)


def history(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where runs left their results.")
    ] = Path("loadtool-results"),
    limit: Annotated[
        int,
        typer.Option("--limit", metavar="N", help="Runs of each profile.",
                     parser=options.whole_number("--limit", 1)),
    ] = 10,
    json: Annotated[bool, typer.Option("--json", help="For programs, on standard output.")] = False,
) -> None:  # fmt: skip
    """Show the last runs of each profile as a trend."""
    from loadtool.report import history as trend
    from loadtool.report.result_file import RESULT_NAME, read

    if not directory.is_dir():
        raise UsageError(f"{directory}: no such directory; name the one that holds the results of runs")
    found = {*directory.glob(f"*/{RESULT_NAME}"), *directory.glob("*.json")}
    files = sorted(file for file in found if os.path.isfile(file))  # a pipe would keep it waiting
    entries, broken = [], []
    for file in files:
        try:
            entries.append(trend.Entry.of(read(file), str(file)))
        except UsageError as e:
            broken.append(str(e))
    for problem in broken:
        console.note(f"loadtool: left out: {problem}")
    if not entries:
        raise UsageError(f"{directory}: no result in it that can be read")
    groups = trend.grouped(entries, limit)
    if json:
        console.say(trend.data(groups, broken))
    else:
        console.say(trend.terminal(groups, width=console.width(), color=console.colour(sys.stdout)))
