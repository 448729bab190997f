"""The pages of --help: grouped options, examples kept as typed, a little colour, and no slow import."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from loadtool.commands.console import colour

HELP_OPTIONS = ("-h", "--help")
CONTEXT: dict[Any, Any] = {"help_option_names": list(HELP_OPTIONS)}

_BOLD, _CYAN, _DIM, _RESET = "\x1b[1m", "\x1b[36m", "\x1b[2m", "\x1b[0m"
_HEADING = re.compile(r"^(\S[^:\n]*:)(?=\s|$)", re.MULTILINE)
_OPTION = re.compile(r"^(  +)(-[^\s].*?)(?=  |$)", re.MULTILINE)
_COMMAND = re.compile(r"^(  )([a-z]+)(?=   *[A-Z])", re.MULTILINE)
_PROMPT = re.compile(r"^( +)(\$ )(.*)$", re.MULTILINE)


class Command(TyperCommand):
    """A command whose options stand under the headings of their `rich_help_panel`."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            if parameter.param_type_name == "argument":
                panels.setdefault("Arguments", []).append((str(parameter.metavar), record[1]))
            else:
                title = getattr(parameter, "rich_help_panel", None) or "Options"
                panels.setdefault(title, []).append(record)
        for title, records in panels.items():
            with formatter.section(title):
                formatter.write_dl(records)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        # typer's own dots, after an argument that may be given several times, double those of its metavar.
        return [piece.removesuffix("}...").strip("{}") for piece in super().collect_usage_pieces(ctx)]


class Group(TyperGroup):
    """A group of such commands."""


def page(root: Any, words: Sequence[str]) -> str | None:
    """The help page that these words of a command line ask for, or None if they ask for none.

    Answers before any option is parsed: typer imports pydantic for that, which takes longer than the rest.
    """
    if "--" in words:
        words = words[: list(words).index("--")]
    if not any(word in HELP_OPTIONS for word in words):
        return None
    command = root
    ctx = typer.Context(command, info_name="loadtool", **command.context_settings)
    for word in words:
        commands = getattr(command, "commands", None)
        if commands is None:
            break
        if word.startswith("-"):
            continue
        if word not in commands:
            return None  # the ordinary way says so, and what was meant
        command = commands[word]
        ctx = typer.Context(command, info_name=word, parent=ctx, **command.context_settings)
    text = str(ctx.get_help())
    return paint(text) if colour(sys.stdout) else text


def paint(text: str) -> str:
    """The page with headings, options, commands and examples in colour."""
    text = _HEADING.sub(rf"{_BOLD}\1{_RESET}", text)
    text = _OPTION.sub(rf"\1{_CYAN}\2{_RESET}", text)
    text = _COMMAND.sub(rf"\1{_CYAN}\2{_RESET}", text)
    return _PROMPT.sub(rf"\1{_DIM}\2{_RESET}{_CYAN}\3{_RESET}", text)
