"""`loadtool report`: any report again, from a result.json."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from loadtool.commands import comparing, console, help_pages, options
from loadtool.errors import OutputError
from loadtool.signals import ending_by_exception


def mount(app: typer.Typer) -> None:
    app.command(
        cls=help_pages.Command,
        context_settings=help_pages.CONTEXT,
        epilog="""\b
Examples:
  $ loadtool report loadtool-results/20260301T120000Z-demo
  $ loadtool report result.json --junit slos.xml --markdown summary.md
  $ loadtool report result.json --html report.html

\b
Exit codes:
  0  the report was made, whatever its verdict
  2  the command line is wrong, a result can't be read, the profiles differ
     (--baseline), or a file can't be written; none is then
  3  a file was lost while it was being written
""",
    )(report)


def report(
    result_json: Annotated[
        Path,
        typer.Argument(
            metavar="RESULT_JSON", help="A run's result.json, or its directory.", show_default=False
        ),
    ],
    json: options.Json = None,
    junit: options.Junit = None,
    markdown: options.Markdown = None,
    html: options.Html = None,
    csv: options.Csv = None,
    hlog: options.Hlog = None,
    hgrm: options.Hgrm = None,
    baseline: comparing.Baselines = None,
    different_profiles: comparing.DifferentProfiles = False,
) -> None:
    """Show the report of a past run, and write its other forms."""
    from loadtool.commands import outputs
    from loadtool.report import terminal
    from loadtool.report.result_file import file_of, read

    wanted = outputs.wanted(
        {
            "json": json, "junit": junit, "markdown": markdown, "html": html,
            "csv": csv, "hlog": hlog, "hgrm": hgrm,
        },
        results=[
            ("RESULT_JSON", file_of(result_json)),
            *(("--baseline", file_of(path)) for path in baseline or ()),
        ],
    )  # fmt: skip
    result = read(result_json)
    reference = comparing.Baseline.of(baseline or (), different_profiles=different_profiles)
    compared = reference.against([result], [file_of(result_json)]) if reference is not None else None
    outputs.prove_writable(wanted)
    with ending_by_exception():
        written, failures = outputs.write(result, wanted)
    console.say(terminal.render(result, width=console.width(), color=console.colour(sys.stdout)))
    if compared is not None:
        console.say("\n" + compared.terminal())
    if written:
        console.say("\n" + "\n".join(f"wrote {path}" for path in written))
    outputs.complain(failures)
    raise typer.Exit(OutputError.exit_code if failures else 0)
