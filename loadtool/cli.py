"""`loadtool`: the command line. With loadtool/commands/, the only place that prints or exits."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from loadtool import __version__
from loadtool.commands import (
    capacity,
    chaos,
    compare,
    help_pages,
    history,
    import_log,
    plan,
    profile,
    report,
    serve,
    spike,
    try_once,
)
from loadtool.commands.console import note, prepare_streams, say
from loadtool.commands.loading import loading
from loadtool.errors import LoadtoolError, SetupError, UsageError
from loadtool.signals import Ended

INTERRUPTED = 130
BUG = 3
NO_THREAD = (
    "the system allows no more threads: raise the limit of processes (`ulimit -u`, a container's pids)"
)
NO_FILE = "the system allows no more open files (%s): raise `ulimit -n`"

app = typer.Typer(
    name="loadtool",
    cls=help_pages.Group,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=help_pages.CONTEXT,
    epilog="""\b
Start here:
  $ loadtool init checkout.yaml             a commented profile to fill in
  $ loadtool try --profile checkout.yaml    each request once: is it right?
  $ loadtool plan --profile checkout.yaml   what a run would do
  $ loadtool spike --profile checkout.yaml  the run, its report and exit code

\b
Exit codes:
  0    every SLO passed
  1    at least one SLO failed
  2    the command line or the profile is wrong; nothing was sent
  3    invalid or inconclusive: the run proves nothing either way
  130  interrupted (143: by SIGTERM, 129: by a closed terminal); never a pass
""",
)


def build() -> str:
    """Which build this is, in words: the measuring code as plain Python, or compiled."""
    from loadtool.engine.build import compiled

    kind = "compiled" if compiled() else "plain Python"
    return f"{kind} build, {platform.python_implementation()} {platform.python_version()}"


def _version(wanted: bool) -> None:
    if wanted:
        say(f"loadtool {__version__} ({build()})")
        raise typer.Exit


@app.callback()
def loadtool(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and which build it is.", is_eager=True, callback=_version
        ),
    ] = False,
) -> None:
    """What happens to my service when traffic jumps tenfold while its database is slow, and does it come
    back by itself? Answered with a number, a picture and an exit code."""  # fmt: skip


for room in (spike, capacity, plan, try_once, report, compare, history, profile, import_log, serve, chaos):
    room.mount(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code. Nothing escapes as a traceback."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    prepare_streams()
    try:
        with loading():
            group = typer.main.get_command(app)
        if not words:
            note(help_pages.page(group, ["--help"]) or "")
            return 2
        page = help_pages.page(group, words)
        if page is not None:
            say(page)
            return 0
        # Not by calling the app: typer would answer mistakes and Ctrl-C itself, in other words than ours.
        with loading():  # of pydantic, by typer
            made = group.make_context("loadtool", words)
        with made as context:
            group.invoke(context)
    except typer.Exit as e:
        return e.exit_code
    except BaseException as e:
        return _told(e)
    return 0


def _told(error: BaseException) -> int:
    """Say what went wrong, a line for each thing; the exit code."""
    leaves = [_as_ours(leaf) for leaf in _leaves(error)]
    bugs = [e for e in leaves if not isinstance(e, LoadtoolError | KeyboardInterrupt)]
    if bugs:
        _bug(error, bugs[0])
        return BUG
    known = [e for e in leaves if isinstance(e, LoadtoolError)]
    said = (
        line for e in known for text in (str(e), *getattr(e, "__notes__", ())) for line in text.splitlines()
    )
    for line in dict.fromkeys(said):
        note(f"loadtool: {line}")
    if any(isinstance(e, KeyboardInterrupt) for e in leaves):
        note("loadtool: interrupted")
        return next((e.exit_code for e in leaves if isinstance(e, Ended)), INTERRUPTED)
    return max((e.exit_code for e in known), default=BUG)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _as_ours(error: BaseException) -> BaseException:
    """What typer says of a command line, or Python of a thread or file refused, as one line of ours."""
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return SetupError(NO_THREAD)
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return SetupError(NO_FILE % errno.errorcode[error.errno])
    said = getattr(error, "format_message", None)
    if said is None:
        return error
    context = getattr(error, "ctx", None)
    page = f" Try '{context.command_path} --help'." if context is not None else ""
    text = " ".join(str(said()).split())
    return UsageError(f"{text[:1].lower()}{text[1:]}{'' if text.endswith(('.', '?', ')')) else '.'}{page}")


def _bug(whole: BaseException, first: BaseException) -> None:
    """An exception that nobody expected is a bug of ours: one line, and a traceback for whoever mends it."""
    what = " ".join(f"{type(first).__name__}: {first}".split())
    if os.environ.get("LOADTOOL_DEBUG"):
        note("".join(traceback.format_exception(whole)))
        note(f"loadtool: a bug in loadtool {__version__}: {what}")
        return
    where = "LOADTOOL_DEBUG=1 shows where"
    # A full disk may be the reason why we are here; the hint above still helps then.
    with contextlib.suppress(OSError):
        descriptor, name = tempfile.mkstemp(prefix="loadtool-bug-", suffix=".txt")
        with open(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(f"loadtool {__version__} ({build()}), {platform.platform()}\n\n")
            file.writelines(traceback.format_exception(whole))
        where = f"its traceback is in {name}"
    note(f"loadtool: a bug in loadtool {__version__}: {what} ({where})")
