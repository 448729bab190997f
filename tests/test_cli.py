"""The command line: its pages, its exit codes, what it says when something goes wrong."""

from __future__ import annotations

import errno
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loadtool import __main__, cli, run
from loadtool.commands import help_pages
from loadtool.errors import (
    FaultError,
    Interrupted,
    LoadtoolError,
    Mistake,
    OutputError,
    ProfileError,
    SetupError,
    UsageError,
)
from loadtool.signals import Ended

COMMANDS = (
    ["spike"], ["capacity"], ["plan"], ["try"], ["report"], ["init"], ["schema"], ["import"], ["target"],
    ["compare"], ["history"], ["toxiproxy"], ["chaos"], ["chaos", "status"], ["chaos", "recover"],
)  # fmt: skip

SEED = "a whole number from 0 to 9223372036854775807"

SLOW = ("trio", "httpx", "rich", "pydantic", "jinja2", "ruamel", "hdrh", "plotext")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same behaviour on a developer's terminal and in CI."""
    for name in ("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "NO_COLOR", "FORCE_COLOR", "LOADTOOL_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


# Pages


@pytest.mark.parametrize("words", [[], *COMMANDS], ids=" ".join)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_has_a_page_of_80_columns(
    words: list[str], flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*words, flag]) == 0
    page, err = capsys.readouterr()
    assert err == ""
    assert page.startswith(f"Usage: {' '.join(['loadtool', *words])} ")
    assert max(map(len, page.splitlines())) <= 80
    for meant in ("[ARGS]...", "BASELINE...", "CANDIDATE..."):
        page = page.replace(meant, "")
    assert "..." not in page, "a line of help was cut short"
    assert re.search(r"[{}]|\\b", page) is None, "marks for typer"


@pytest.mark.parametrize("words", [c for c in COMMANDS if c not in (["chaos"], ["schema"])], ids=" ".join)
def test_pages_tell_exit_codes_or_examples(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    cli.main([*words, "--help"])
    page = capsys.readouterr().out
    assert "Exit codes" in page or "Ctrl-C ends it." in page


@pytest.mark.parametrize("words", [["--help"], ["spike", "--help"], ["chaos", "recover", "-h"]], ids=" ".join)
def test_help_imports_nothing_slow(words: list[str]) -> None:
    program = (
        "import sys\nfrom loadtool.cli import main\n"
        f"code = main({words!r})\n"
        f"print(set({SLOW!r}) & set(sys.modules), file=sys.stderr)\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "set()\n")


def test_without_a_command_the_page_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    # A pipeline whose variable is empty must not pass.
    assert cli.main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Usage: loadtool ")


def test_colours_of_a_page_change_no_letter(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["spike", "--help"])
    page = capsys.readouterr().out
    painted = help_pages.paint(page)
    assert painted != page
    assert "\x1b[36m--junit FILE\x1b[0m" in painted
    plain = painted
    for style in ("\x1b[1m", "\x1b[36m", "\x1b[2m", "\x1b[0m"):
        plain = plain.replace(style, "")
    assert plain == page


def test_version_says_which_build(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    words = capsys.readouterr().out
    assert words.startswith("loadtool 0.")
    assert "plain Python build" in words


@pytest.mark.parametrize(
    ("command", "usage", "argument"),
    [
        ("report", "[OPTIONS] RESULT_JSON", "  RESULT_JSON  A run's result.json, or its directory."),
        ("init", "[OPTIONS] [FILE]", "  FILE  The profile to write.  [default: loadtool.yaml]"),
    ],
)
def test_arguments_are_named_as_they_are_typed(
    command: str, usage: str, argument: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main([command, "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Usage: loadtool {command} {usage}"
    assert any(line.startswith(argument) for line in lines)


# Mistakes on the command line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["spkie"], "no such command 'spkie'. Did you mean 'spike'? Try 'loadtool --help'."),
        (["spkie", "--help"], "no such command 'spkie'. Did you mean 'spike'? Try 'loadtool --help'."),
        (["spike"], "missing option '--profile' / '-p'. Try 'loadtool spike --help'."),
        (["spike", "-p", "x.yaml", "extra"], "unexpected extra argument"),
        (["spike", "-p", "x.yaml", "--worker", "2"], "no such option: --worker"),
        (["spike", "-p", "x.yaml", "--workers", "0"], "--workers: got 0, want a whole number of at least 1"),
        (
            ["spike", "-p", "x.yaml", "--workers", "1.5"],
            "--workers: got 1.5, want a whole number of at least 1",
        ),
        (["spike", "-p", "x.yaml", "--workers", "9" * 99], "--workers: got 999"),
        (["spike", "-p", "x.yaml", "--seed", "many"], f"--seed: got many, want {SEED}"),
        (["plan", "-p", "x.yaml", "--seed", "-1"], f"--seed: got -1, want {SEED}"),
        (["spike", "-p", "x.yaml", "--workers=--5"], "--workers: got --5, want a whole number of at least 1"),
        (["plan", "-p", "x.yaml", "--seed=--5"], f"--seed: got --5, want {SEED}"),
        (["plan", "-p", "x.yaml", "--seed", str(2**63)], f"--seed: got {2**63}, want {SEED}"),
        (["toxiproxy", "--seed", str(2**64)], f"--seed: got {2**64}, want {SEED}"),
        (["spike", "-p", "x.yaml", "--toxiproxy", "x:1"], "--toxiproxy: got x:1, want a URL such as http://"),
        (["chaos", "recover", "--toxiproxy", "x"], "--toxiproxy: got x, want a URL such as http://"),
        (["toxiproxy", "--port", "65536"], "--port: got 65536, want a whole number from 0 to 65535"),
        (["capacity", "-p", "x.yaml", "--start", "1e300"], "--start: got 1e+300/s, want at most 10000000/s"),
        (["capacity", "-p", "x.yaml", "--max", "11000k/s"], "--max: got 11000000/s, want at most 10000000/s"),
        (["report"], "missing argument 'RESULT_JSON'. Try 'loadtool report --help'."),
    ],
    ids=str,
)
def test_a_wrong_command_line_exits_2(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("loadtool: ")
    assert err.count("\n") == 1
    assert said in err


# What goes wrong later


class Raising:
    """Stands in for a run that ends with an exception."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
        self.error = error
        monkeypatch.setattr(run, "spike", self)

    def __call__(self, *_: object) -> run.Finished:
        raise self.error


MISTAKES = ProfileError([Mistake("p.yaml", 9, "b", "second"), Mistake("p.yaml", 3, "a", "first")])


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (LoadtoolError("it broke"), 3, "loadtool: it broke\n"),
        (UsageError("--out: no"), 2, "loadtool: --out: no\n"),
        (MISTAKES, 2, "loadtool: p.yaml:3: a: first\nloadtool: p.yaml:9: b: second\n"),
        (SetupError("no demo"), 3, "loadtool: no demo\n"),
        (FaultError("stuck"), 3, "loadtool: stuck\n"),
        (OutputError("full"), 3, "loadtool: full\n"),
        (Interrupted(signal.SIGINT), 130, "loadtool: interrupted before the load began; nothing was sent\n"),
        (Interrupted(signal.SIGTERM), 143, "loadtool: interrupted before the load began; nothing was sent\n"),
        (KeyboardInterrupt(), 130, "loadtool: interrupted\n"),
        (Ended(signal.SIGTERM), 143, "loadtool: interrupted\n"),
        (BaseExceptionGroup("", [UsageError("one"), UsageError("one")]), 2, "loadtool: one\n"),
        (BaseExceptionGroup("", [KeyboardInterrupt()]), 130, "loadtool: interrupted\n"),
        (RuntimeError("can't start new thread"), 3, f"loadtool: {cli.NO_THREAD}\n"),
        (OSError(errno.EMFILE, "x"), 3, f"loadtool: {cli.NO_FILE % 'EMFILE'}\n"),
        (BaseExceptionGroup("", [OSError(errno.ENFILE, "x")]), 3, f"loadtool: {cli.NO_FILE % 'ENFILE'}\n"),
    ],
    ids=repr,
)
def test_an_error_is_a_line_and_an_exit_code(
    error: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Raising(monkeypatch, error)
    assert cli.main(["spike", "-p", "p.yaml", "--quiet"]) == code
    assert capsys.readouterr() == ("", said)


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("a\nb"), BaseExceptionGroup("", [ZeroDivisionError("a\nb")])]
)
def test_a_bug_never_passes_and_keeps_its_traceback(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    Raising(monkeypatch, error)
    assert cli.main(["spike", "-p", "p.yaml", "--quiet"]) == 3
    (kept,) = tmp_path.glob("loadtool-bug-*.txt")
    expected = f"loadtool: a bug in loadtool 0.1.0: ZeroDivisionError: a b (its traceback is in {kept})\n"
    assert capsys.readouterr().err == expected
    assert "Traceback (most recent call last)" in kept.read_text()


def test_a_bug_s_traceback_is_shown_on_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("LOADTOOL_DEBUG", "1")
    Raising(monkeypatch, ZeroDivisionError("x"))
    assert cli.main(["spike", "-p", "p.yaml", "--quiet"]) == 3
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert err.endswith("loadtool: a bug in loadtool 0.1.0: ZeroDivisionError: x\n")
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_modules_load_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    monkeypatch.setattr(cli, "main", interrupted)
    try:
        assert __main__.main() == 130
        assert {signal.getsignal(number) for number in handlers} == {signal.SIG_IGN}
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert capsys.readouterr() == ("", "loadtool: interrupted\n")
