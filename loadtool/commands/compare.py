"""`loadtool compare`: is a candidate better or worse than a baseline, and is that real?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loadtool.commands import comparing, console, help_pages, options
from loadtool.errors import OutputError, UsageError, got
from loadtool.signals import ending_by_exception

BETWEEN = "vs"


def mount(app: typer.Typer) -> None:
    app.command(
        cls=help_pages.Command,
        context_settings=help_pages.CONTEXT,
        epilog="""\b
Examples:
  $ loadtool compare baseline.json candidate.json
  $ loadtool compare main-*.json vs branch-*.json      several runs a side
  $ loadtool compare main.json branch.json --fail-if 'p99 worse by 10%'

\b
Exit codes:
  0  compared, and no gate holds
  1  a gate holds: the candidate is worse by so much, and certainly worse
  2  the command line is wrong, a result can't be read, the profiles differ,
     or a file can't be written; none is then
  3  a gate could not be decided, or a file was lost while it was being
     written

Each figure is better, same, worse or can't tell, with the probability that the difference is real.
""",
    )(compare)


def compare(
    results: Annotated[
        list[str],
        typer.Argument(
            metavar="BASELINE... [vs] CANDIDATE...", show_default=False,
            help="Results, or their directories: two, or with the word vs between them any number a side.",
        ),
    ],
    fail_if: comparing.FailIf = None,
    different_profiles: comparing.DifferentProfiles = False,
    force: comparing.Force = False,
    json: Annotated[Path | None, options.file("--json", "The figures, for programs.")] = None,
    markdown: options.Markdown = None,
    html: Annotated[Path | None, options.file("--html", "A page for a browser.")] = None,
) -> None:  # fmt: skip
    """Compare runs: better, worse, or just chance?"""
    from loadtool.commands import outputs
    from loadtool.report.comparison_formats import FORMATS
    from loadtool.report.result_file import file_of, read, write_text_atomically

    before, after = _sides(results)
    wanted = outputs.wanted(
        {"json": json, "markdown": markdown, "html": html},
        inputs=[
            (name, file_of(p)) for name, side in (("BASELINE", before), ("CANDIDATE", after)) for p in side
        ],
    )
    gates = comparing.parse_gates(fail_if or ())
    baseline = comparing.Baseline.read(before, gates, different_profiles=different_profiles, force=force)
    compared = baseline.against([read(path) for path in after], [file_of(path) for path in after])
    outputs.prove_writable(wanted)
    console.say(compared.terminal())
    failures: list[OutputError] = []
    for want in wanted:
        try:
            text = FORMATS[want.format](compared.comparison, compared.gates)
            with ending_by_exception():
                write_text_atomically(text, want.path)
            console.say(f"wrote {want.path}")
        except OutputError as e:
            failures.append(e)
    outputs.complain(failures)
    raise typer.Exit(compared.exit_code or (OutputError.exit_code if failures else 0))


def _sides(words: list[str]) -> tuple[list[Path], list[Path]]:
    """The files of either side. Raises UsageError."""
    if words.count(BETWEEN) > 1:
        raise UsageError(f"got the word {BETWEEN} {words.count(BETWEEN)} times, want it once")
    if BETWEEN in words:
        place = words.index(BETWEEN)
        before, after = words[:place], words[place + 1 :]
        if not before or not after:
            where = "after" if before else "before"
            raise UsageError(f"{BETWEEN}: got no result {where} it, want some on both sides")
    elif len(words) == 2:
        before, after = words[:1], words[1:]
    else:
        want = f"two results, or several a side: a1.json a2.json {BETWEEN} b1.json b2.json"
        raise UsageError(got(f"{len(words)} result{'s' if len(words) > 1 else ''}", want))
    return [Path(word) for word in before], [Path(word) for word in after]
