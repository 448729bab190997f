"""What docs/capacity.md tells of options, figures and exit codes is what the code has."""

from __future__ import annotations

import re
from pathlib import Path

import typer

from loadtool import cli
from loadtool.capacity import Options
from loadtool.cut_load import SHARES
from loadtool.judge.capacity import LEAST_RATE, LEAST_SHARE, MULTIPLES
from loadtool.judge.capacity_result import EXIT_CODES
from loadtool.judge.capacity_step import LONGER

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "capacity.md").read_text(encoding="utf-8")
GROUP = typer.main.get_command(cli.app)


def test_every_option_that_is_named_exists() -> None:
    known = {
        flag
        for name in ("capacity", "spike")
        for parameter in GROUP.commands[name].params  # type: ignore[attr-defined]  # a group
        for flag in parameter.opts
    }
    assert set(re.findall(r"--[a-z][a-z-]*", TEXT)) <= known


def test_figures_are_those_of_the_code() -> None:
    assert MULTIPLES == (1.0, 1.5, 2.0)
    assert SHARES == (0.5, 0.1)
    assert LEAST_SHARE == 1 / 64
    assert f"a 64th of the first or, if that is more, {LEAST_RATE:g}/s" in TEXT
    assert LONGER == 3
    assert (Options().step_s, Options().confirm_s, Options().precision) == (10, 30, 0.02)
    rows = {int(code) for code in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)}
    assert rows - {2} == set(EXIT_CODES.values())


def test_too_few_arrivals_are_told_wherever_exit_code_3_is() -> None:
    assert EXIT_CODES["too-few"] == 3
    (row,) = re.findall(r"^\| 3 \| (.+) \|$", TEXT, re.MULTILINE)
    epilog = GROUP.commands["capacity"].epilog  # type: ignore[attr-defined]  # a group
    for told in (row, epilog):
        assert "too few to be sure of an SLO" in " ".join(told.split())
    assert "not called found (`too-few`)" in " ".join(TEXT.split())
