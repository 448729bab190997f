"""Streams: who gets colours and a live view, and what happens when one can't be written to."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadtool.commands import console, views
from loadtool.drive import Silent
from loadtool.report.plain import PlainView


def test_a_reader_that_leaves_is_no_failure() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "loadtool", "--help"], stdout=closed, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no /dev/full")
def test_a_full_disk_behind_standard_output_is_said() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "loadtool", "--help"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 3
    assert done.stderr == b"loadtool: cannot write to <stdout>: No space left on device\n"


@pytest.mark.parametrize(
    ("closed", "words", "code"),
    [
        (">&-", "--version", 0),
        ("2>&-", "--version", 0),
        ("<&-", "--version", 0),
        ("<&- >&- 2>&-", "--version", 0),
        (">&- 2>&-", "report nothing", 2),
    ],
)
def test_closed_streams_are_no_failure(closed: str, words: str, code: int, tmp_path: Path) -> None:
    """Shells, cron and supervisors may start programs without one of the standard streams."""
    script = f"{sys.executable} -m loadtool {words} {closed}"
    assert subprocess.run(["sh", "-c", script], cwd=tmp_path, check=False).returncode == code
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_without_unicode_gets_question_marks() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loadtool", "report", "—"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(b"loadtool: ?: cannot be read:")


class Stream:
    def __init__(self, terminal: bool) -> None:
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize(
    ("terminal", "environment", "coloured"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
        (False, {"FORCE_COLOR": "1"}, True),
        (True, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_who_gets_colours(terminal: bool, environment: dict[str, str], coloured: bool) -> None:
    assert console.colour(Stream(terminal), environment) is coloured  # type: ignore[arg-type]  # isatty is all it asks


@pytest.mark.parametrize(
    ("out", "err", "environment", "live"),
    [
        (True, True, {}, True),
        (False, True, {}, False),
        (True, False, {}, False),
        (True, True, {"TERM": "dumb"}, False),
        (True, True, {"CI": "true"}, False),
    ],
)
def test_who_gets_a_live_view(
    out: bool, err: bool, environment: dict[str, str], live: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Stream(out))
    monkeypatch.setattr(sys, "stderr", Stream(err))
    assert console.interactive(environment) is live


def test_without_a_terminal_progress_is_plain_lines_or_none() -> None:
    assert isinstance(views.choose(plain=False, quiet=False), PlainView)  # pytest has no terminal
    assert isinstance(views.choose(plain=True, quiet=True), Silent)


class Recording:
    shows_slos = True

    def __init__(self) -> None:
        self.calls: list[str] = []

    def notice(self, text: str) -> None:
        self.calls.append(f"notice {text}")

    def begin(self, stage: object) -> None:
        self.calls.append("begin")

    def wants(self, *_: object) -> bool:
        return True

    def update(self, *_: object) -> None:
        self.calls.append("update")

    def end(self) -> None:
        self.calls.append("end")


def test_notices_before_the_live_view_has_a_screen_are_lines_above_it() -> None:
    view, lines = Recording(), list[str]()
    patient = views.Patient(view, lines.append)
    patient.notice("setup")
    patient.begin(None)  # type: ignore[arg-type]  # the recorder does not look at it
    patient.notice("interrupted")
    patient.end()
    patient.notice("late")
    assert lines == ["setup", "late"]
    assert view.calls == ["begin", "notice interrupted", "end"]


class Vanishing(Recording):
    """A view whose terminal goes away."""

    def update(self, *_: object) -> None:
        super().update()
        raise OSError(errno.EIO, "Input/output error")


def test_a_terminal_that_goes_away_ends_the_view_and_nothing_else() -> None:
    view, lines = Vanishing(), list[str]()
    patient = views.Patient(view, lines.append)
    patient.begin(None)  # type: ignore[arg-type]  # the recorder does not look at it
    for _ in range(2):
        patient.update(None, (), ())  # type: ignore[arg-type]  # nor at this
    patient.notice("interrupted")
    patient.end()
    assert view.calls == ["begin", "update"]
    assert lines == ["interrupted"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no /dev/full")
@pytest.mark.parametrize(("words", "code"), [("report nothing", 2), ("", 2), ("nonsense", 2)])
def test_what_cannot_be_said_about_it_changes_nothing(words: str, code: int, tmp_path: Path) -> None:
    script = f"{sys.executable} -m loadtool {words} 2>/dev/full"
    assert subprocess.run(["sh", "-c", script], cwd=tmp_path, check=False).returncode == code


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "background", "shown"),
    [
        (Terminal(), "0;15", "\x1b[38;5;94mshed\x1b[0m\n"),
        (Terminal(), "15;0", "\x1b[33mshed\x1b[0m\n"),
        (io.StringIO(), "0;15", "\x1b[33mshed\x1b[0m\n"),  # a file, with FORCE_COLOR
    ],
)
def test_a_light_terminal_gets_darker_colours(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, background: str, shown: str
) -> None:
    monkeypatch.setenv("COLORFGBG", background)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr("sys.stdout", stream)
    console.say("\x1b[33mshed\x1b[0m")
    assert stream.getvalue() == shown


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stdout", "columns", "wide"),
    [
        (Terminal(), 40, 60),  # its tables have no room for their words in less
        (Terminal(), 72, 72),
        (Terminal(), 100, 100),
        (Terminal(), 300, 120),
        (io.StringIO(), 40, 80),  # a file or a pipe
        (io.StringIO(), 300, 80),
    ],
)
def test_a_report_is_as_wide_as_the_terminal(
    stdout: io.StringIO, columns: int, wide: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setenv("COLUMNS", str(columns))
    assert console.width() == wide
