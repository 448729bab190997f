"""What a signal does from the end of a load on: nothing that was measured or told is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
from run_harness import Live, eventually, running

from loadtool import signals
from loadtool.drive import Heed
from loadtool.signals import Aftermath, Ended

INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
SHORT = """\
name: short
target: demo
requests: [{name: browse, get: /products/7}]
phases: [{name: baseline, rate: 40/s, for: 500ms}]
validity: {lag: 10s}
"""
LONG = SHORT.replace("500ms", "300s")


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        (["hold", "let go", "told"], 7),
        (["hold", "let go", TERM], 143),
        (["hold", "let go", HUP], 129),
        (["hold", "let go", INT], 130),
        (["hold", TERM, "let go"], 143),
        (["hold", TERM, INT, "let go"], 143),
        (["hold", HUP, TERM, "let go"], 129),
        (["heard", "hold", "let go", "told"], 129),
        (["heard", "hold", HUP, "let go", HUP, "told"], 129),
        (["heard", "hold", TERM, "let go"], 129),
        (["heard", "hold", "let go", INT], 129),
    ],
    ids=lambda case: " ".join(map(str, case)) if isinstance(case, list) else None,
)
def test_the_first_signal_is_the_exit_code(steps: list[str | signal.Signals], code: int) -> None:
    """`heard`: a closed terminal while the load went on. Each but the last step lets the command go on."""
    before = [signal.getsignal(number) for number in (INT, TERM, HUP)]
    with Aftermath() as aftermath:
        done: list[str] = []
        try:
            for step in steps:
                done.append(f"{step}")
                match step:
                    case signal.Signals():
                        signal.raise_signal(step)
                    case "heard":
                        aftermath.first = HUP
                    case "hold":
                        aftermath.hold()
                    case "let go":
                        aftermath.let_go()
        except Ended as e:
            ended_with = e.exit_code
            signal.raise_signal(INT)  # while it cleans up, nothing more happens
            signal.raise_signal(TERM)
        else:
            ended_with = aftermath.exit_code(7)
        assert ended_with == code
        assert done[-1] == f"{steps[-1]}"
    assert [signal.getsignal(number) for number in (INT, TERM, HUP)] == before


def test_last_words_that_nobody_reads_do_not_hold_it_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(signals.time, "monotonic", lambda: now)
    with Aftermath() as aftermath:
        aftermath.hold()
        aftermath.let_go()
        with pytest.raises(Ended):
            signal.raise_signal(TERM)
        signal.raise_signal(INT)
        now += 2.0
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(INT)


def test_what_the_end_of_a_load_has_not_taken_is_held_back() -> None:
    """trio delivers it again when it stops to hear signals: it would end the process before its report."""

    async def load() -> None:
        async def work() -> None:
            signal.raise_signal(TERM)

        await Heed(lambda _: None, lambda: None, aftermath).during(work)
        signal.raise_signal(INT)  # trio itself would answer with an exception, and the result be lost

    with Aftermath() as aftermath:
        trio.run(load)
        assert aftermath.first in (TERM, INT)
        with pytest.raises(Ended):
            aftermath.let_go()


@contextmanager
def telling(directory: Path, profile: str, first: signal.Signals | None) -> Iterator[Live]:
    """A run, ended by `first` if by anything, whose report waits for a reader of its page."""
    os.mkfifo(directory / "page.html")
    with running(directory, profile, "--json", "kept.json", "--html", "page.html") as live:
        if first is not None:
            live.wait_for("baseline")
            live.send(first)
        eventually("the report", lambda: (directory / "kept.json").exists() or live.ended())
        yield live


def leftovers(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.rglob("*.tmp"))


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [(None, TERM, 143), (None, HUP, 129), (None, INT, 130), (TERM, INT, 143), (HUP, TERM, 129)],
)
def test_a_signal_while_the_report_is_made_says_where_the_result_is(
    tmp_path: Path, first: signal.Signals | None, second: signal.Signals, code: int
) -> None:
    with telling(tmp_path, SHORT if first is None else LONG, first) as live:
        live.send(second)
        done = live.end()
    (file,) = done.results
    place = file.parent.relative_to(tmp_path)
    hint = f"the result is in {place}/result.json: `loadtool report {place}` makes the report again"
    assert (done.code, done.err.splitlines()[-2:]) == (code, [hint, "loadtool: interrupted"])
    assert json.loads((tmp_path / "kept.json").read_text()) == done.result
    assert leftovers(tmp_path) == []


def test_a_terminal_that_says_twice_that_it_is_closed_gets_its_report(tmp_path: Path) -> None:
    with telling(tmp_path, LONG, HUP) as live:
        live.send(HUP)
        page: list[str] = []
        reader = threading.Thread(
            target=lambda: page.append((tmp_path / "page.html").read_text()), daemon=True
        )
        reader.start()
        done = live.end()
        reader.join(60)
    assert (done.code, done.result["interrupted"]) == (129, "SIGHUP")
    assert page[0].startswith("<!doctype html>")
    assert "INTERRUPTED" in done.out


def python(program: str, *words: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """`loadtool` with these words after `program` has changed something in it."""
    whole = f"import os, signal, sys\n{program}\nfrom loadtool.__main__ import main\nsys.exit(main())\n"
    return subprocess.run(
        [sys.executable, "-c", whole, *words], cwd=directory, capture_output=True, text=True, timeout=100
    )


@pytest.mark.parametrize("number", [INT, TERM])
@pytest.mark.parametrize(
    ("command", "module", "function"),
    [("spike", "loadtool.run", "spike"), ("capacity", "loadtool.capacity", "capacity")],
)
def test_a_signal_before_the_report_is_begun_says_where_the_result_is(
    tmp_path: Path, command: str, module: str, function: str, number: signal.Signals
) -> None:
    (tmp_path / "p.yaml").write_text(f"{SHORT}slos: [error rate < 99%]\n")
    program = f"""\
import {module} as module
real = module.{function}
def interrupted(load, options, view):
    done = real(load, options, view)
    os.kill(os.getpid(), {number:d})
    return done
module.{function} = interrupted
"""
    quick = ("--start", "20/s", "--max", "20/s", "--hold", "1s", "--confirm-for", "1s")
    options = quick if command == "capacity" else ()
    done = python(program, command, "-p", "p.yaml", "--plain", *options, directory=tmp_path)
    (file,) = tmp_path.glob("loadtool-results/*/*.json")
    hint, last = done.stderr.splitlines()[-2:]
    assert (done.returncode, done.stdout, last) == (128 + number, "", "loadtool: interrupted")
    assert f" is in {file.relative_to(tmp_path)}" in hint


@pytest.mark.parametrize("number", [TERM, HUP])
def test_a_signal_leaves_no_half_of_a_file(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path, SHORT) as live:
        done = live.end()
    result = str(done.results[0])
    before = f"os.replace = lambda *_: os.kill(os.getpid(), {number:d})"
    line = '127.0.0.1 - - [01/Mar/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 5'
    (tmp_path / "access.log").write_text(f"{line}\n" * 2)
    for words in (
        ["report", result, "--html", "x.html"],
        ["compare", result, result, "--html", "x.html"],
        ["import", "access.log", "-o", "imported"],
    ):
        told = python(before, *words, directory=tmp_path)
        assert told.returncode == 128 + number
        assert told.stderr == "loadtool: interrupted\n"
        assert leftovers(tmp_path) == []


@pytest.mark.parametrize("number", [INT, TERM, HUP])
def test_what_is_ignored_does_not_end_the_writing_of_a_report(number: signal.Signals) -> None:
    """A shell has a script's jobs in the background ignore Ctrl-C: `loadtool report … &` goes on."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with signals.ending_by_exception():
            signal.raise_signal(number)
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_what_is_not_ignored_ends_it() -> None:
    with pytest.raises(Ended), signals.ending_by_exception():
        signal.raise_signal(TERM)
