"""`loadtool chaos`: faults that a killed run may have left in a Toxiproxy that is not ours."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from loadtool.commands import help_pages, options
from loadtool.commands.console import note, say
from loadtool.errors import FaultError

if TYPE_CHECKING:
    from loadtool.chaos.journal import Change, Entry
    from loadtool.chaos.rollback import Leftover, Recovery

LEFT = 1

Server = Annotated[
    str | None,
    typer.Option(
        "--toxiproxy",
        metavar="URL",
        help="Only on this server; else on all of them.",
        callback=options.toxiproxy_url,
    ),
]


def mount(app: typer.Typer) -> None:
    group = typer.Typer(cls=help_pages.Group, rich_markup_mode=None, context_settings=help_pages.CONTEXT)
    group.callback()(chaos)
    group.command(
        cls=help_pages.Command,
        context_settings=help_pages.CONTEXT,
        epilog="""\b
Exit codes:
  0  no dead run has left anything
  1  one has: `loadtool chaos recover` takes it out
  3  it could not be told: a Toxiproxy, such as that of --toxiproxy, does not
     answer
""",
    )(status)
    group.command(
        cls=help_pages.Command,
        context_settings=help_pages.CONTEXT,
        epilog="""\b
Examples:
  $ loadtool chaos recover
  $ loadtool chaos recover --toxiproxy http://127.0.0.1:8474

\b
Exit codes:
  0  nothing is left
  3  something could not be taken out, and what to do by hand is said; or the
     server of --toxiproxy could not be asked
""",
    )(recover)
    app.add_typer(group, name="chaos")


def chaos() -> None:
    """See and take out what a killed run left behind.

    A run writes down each change to a Toxiproxy that is not its own before it makes it, and each command with
    an `undo` before it runs it. Only what is written there is ever touched.
    """


def status(toxiproxy: Server = None) -> None:
    """Show what runs have in a Toxiproxy, and what they have run."""
    import trio

    from loadtool.chaos import rollback

    found = trio.run(rollback.status, None, toxiproxy)
    if not found:
        _see_that_it_answers(toxiproxy)
    say("\n".join(_told(leftover) for leftover in found) or "nothing is left")
    dead = [leftover for leftover in found if not leftover.entry.alive]
    if any(leftover.remaining for leftover in dead):
        raise typer.Exit(LEFT)
    raise typer.Exit(FaultError.exit_code if any(leftover.remaining is None for leftover in dead) else 0)


def recover(toxiproxy: Server = None) -> None:
    """Take out what dead runs have left. Runs that are going on are left alone."""
    import trio

    from loadtool.chaos import rollback

    def running(command: str) -> None:
        note(f"loadtool: still running {command} (Ctrl-C ends the recovery)")

    found = trio.run(partial(rollback.recover, toxiproxy, on_long=running))
    if not found:
        _see_that_it_answers(toxiproxy)
    say("\n".join(_recovered(recovery) for recovery in found) or "nothing is left")
    stuck = [recovery for recovery in found if recovery.problems]
    for recovery in stuck:
        for problem in recovery.problems:
            note(f"loadtool: {problem}")
        if not recovery.entry.recovered_by:
            note(f"loadtool: {_dropped(recovery.entry)}")
    raise typer.Exit(FaultError.exit_code if stuck else 0)


def _see_that_it_answers(toxiproxy: str | None) -> None:
    """Where no journal has led to that server: what is left in one that is not there? Raises FaultError."""
    import trio

    from loadtool.chaos.whereabouts import see_that_it_answers

    if toxiproxy is not None:
        trio.run(see_that_it_answers, toxiproxy)


def _told(leftover: Leftover) -> str:
    if leftover.remaining is None:
        return f"{_run(leftover.entry)}: unknown: {leftover.problem}; {_dropped(leftover.entry)}"
    state = "has" if leftover.entry.alive else "has left"
    return f"{_run(leftover.entry)} {state} {_listed(leftover.remaining)}"


def _recovered(recovery: Recovery) -> str:
    done = [f"taken out: {_listed(recovery.undone)}"] if recovery.undone or not recovery.gone else []
    if recovery.gone:
        done.append(f"already gone: {_listed(recovery.gone)}")
    return f"{_run(recovery.entry)}: {'; '.join(done)}"


def _dropped(entry: Entry) -> str:
    """How to be asked no more about what cannot be taken out."""
    return f"once none of it is left, or its server is gone for good: rm {shlex.quote(str(entry.path))}"


def _run(entry: Entry) -> str:
    state = "going on" if entry.alive else "dead"
    if entry.recovered_by:
        state += f", process {entry.recovered_by} is taking out what it left"
    return f"{entry.url or 'commands'}: run {entry.run} of {entry.started} (process {entry.pid}, {state})"


def _listed(changes: Sequence[Change]) -> str:
    return ", ".join(map(_change, changes)) or "nothing"


def _change(change: Change) -> str:
    """A change; of a command, what takes it back."""
    from loadtool.chaos.command import shown

    return f"{change} ({shown(change.undo, change.directory)})" if change.undo else str(change)
