"""What docs/capacity.md shows is what the commands take and answer."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from loadtool import cli
from loadtool.capacity import Options
from loadtool.cut_load import SHARES
from loadtool.judge.capacity import LEAST_SHARE, MULTIPLES
from loadtool.judge.capacity_result import EXIT_CODES

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "capacity.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ loadtool (.*)$", TEXT, re.MULTILINE)
GROUP = typer.main.get_command(cli.app)


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_is_taken(line: str) -> None:
    name, *words = shlex.split(line)
    command = GROUP.commands[name]  # type: ignore[attr-defined]  # a group has commands
    context = command.make_context(name, words)
    assert str(context.params["profile"]) == "checkout.yaml"
    given = {word.lstrip("-").replace("-", "_") for word in words if word.startswith("--")}
    assert given <= {"most" if key == "max" else key for key in context.params} | {"max"}


def test_there_are_commands_and_every_option_that_is_named_exists() -> None:
    assert len(COMMANDS) == 5
    known = {
        flag
        for name in ("capacity", "spike")
        for parameter in GROUP.commands[name].params  # type: ignore[attr-defined]  # as above
        for flag in parameter.opts
    }
    assert set(re.findall(r"--[a-z][a-z-]*", TEXT)) <= known


def test_figures_are_those_of_the_code() -> None:
    assert MULTIPLES == (1.0, 1.5, 2.0)
    assert SHARES == (0.5, 0.1)
    assert LEAST_SHARE == 1 / 64
    assert (Options().step_s, Options().confirm_s, Options().precision) == (10, 30, 0.02)
    rows = {int(code) for code in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)}
    assert rows - {2} == set(EXIT_CODES.values())
