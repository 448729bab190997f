"""Standard output, for what was asked for, and standard error, for what is said about it."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
from collections.abc import Mapping
from typing import TextIO

from loadtool.errors import OutputError
from loadtool.report.palette import darkened, is_light

REPORT_WIDTH = 80
_NARROWEST = 60  # with less, tables have no room for their words
_WIDEST = 120


def say(text: str) -> None:
    """Print `text` as a line, or lines, of standard output: reports, schemas, whatever was asked for.

    A reader that has gone (`| head`) is no failure. Raises OutputError if the output can't be written.
    """
    _write(sys.stdout, text)


def note(text: str) -> None:
    """Print `text` to standard error: progress, warnings, errors.

    Never fails: what can't be said there, on a full disk or a terminal that was closed, can't be said at all,
    and it must not end a run.
    """
    with contextlib.suppress(OutputError):
        _write(sys.stderr, text)


def _write(stream: TextIO, text: str) -> None:
    if stream.isatty() and is_light(os.environ):
        text = darkened(text)
    try:
        stream.write(text if text.endswith("\n") else f"{text}\n")
        stream.flush()
    except OSError as e:
        # Whatever is still buffered must not fail again when the interpreter flushes it at exit.
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())
        if e.errno != errno.EPIPE:
            raise OutputError(f"cannot write to {stream.name}: {e.strerror}") from e


def prepare_streams() -> None:
    """Make the standard streams safe to use.

    A closed one (`>&-`) becomes /dev/null, or the next socket would take its number and be written to. A
    terminal that can't show a character gets a question mark, not an exception.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def colour(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """May this stream get colours? NO_COLOR forbids and FORCE_COLOR demands them; else terminals do."""
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    return stream.isatty() and environment.get("TERM") != "dumb"


def width() -> int:
    """Columns for a report: those of the terminal from 60 up to 120; 80 where there is none."""
    if not sys.stdout.isatty():
        return REPORT_WIDTH
    return max(_NARROWEST, min(shutil.get_terminal_size((REPORT_WIDTH, 24)).columns, _WIDEST))


def interactive(environment: Mapping[str, str] = os.environ) -> bool:
    """Can a live view be drawn: a terminal at both outputs, that can move its cursor, and nobody's CI?"""
    return (
        sys.stdout.isatty()
        and sys.stderr.isatty()
        and environment.get("TERM") != "dumb"
        and not environment.get("CI")
    )
