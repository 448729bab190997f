"""GitHub workflow commands that put failed SLOs at their lines of the profile, in a pull request's diff.

The rules of escaping are those of GitHub's toolkit (packages/core/src/command.ts): in the message `%`, CR and
LF; in properties `:` and `,` as well. GitHub shows ten annotations of each level a step, so the most telling
come first and the last one counts the rest.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from loadtool.measure.result import Result, SloFigure
from loadtool.report import digest, figures
from loadtool.report.junit import finding
from loadtool.report.text import clean

SHOWN: Final = 10  # of each level, by GitHub

# Status of an SLO -> level of the annotation; a passed one gets none.
_LEVELS: Final = {"fail": "error", "inconclusive": "warning"}


@dataclass(frozen=True, slots=True)
class _Annotation:
    level: str
    title: str
    message: str
    line: int | None = None


def render(result: Result, *, workspace: str = "", directory: str = "") -> str:
    """The commands, one a line; empty if there is nothing to point at.

    `workspace` is the checkout (GITHUB_WORKSPACE) that paths are relative to; `directory` is the one that
    `profile_file` is relative to. Without them the path stays as it is.
    """
    file = _relative(result.profile_file, workspace, directory)
    made = [*_of_run(result), *(a for s in result.slos if (a := _of_slo(s)) is not None)]
    return "".join(f"{_command(a, file)}\n" for level in ("error", "warning") for a in _first(made, level))


def _of_run(result: Result) -> list[_Annotation]:
    if result.verdict not in digest.DISTRUSTED:
        return [_Annotation("warning", digest.name(result), clean(w)) for w in result.warnings]
    message = "\n".join(clean(line) for line in (digest.headline(result), *digest.reasons(result)))
    return [_Annotation("error", f"{digest.name(result)}: {result.verdict}", message)]


def _of_slo(slo: SloFigure) -> _Annotation | None:
    level = _LEVELS.get(slo.status)
    if level is None:
        return None
    words = "SLO failed" if level == "error" else f"SLO {slo.status}"
    return _Annotation(level, f"{words}: {slo.text}", clean(finding(slo)), slo.line)


def _first(made: list[_Annotation], level: str) -> list[_Annotation]:
    mine = [a for a in made if a.level == level]
    if len(mine) <= SHOWN:
        return mine
    rest = len(mine) - (SHOWN - 1)
    more = _Annotation(
        level, f"{figures.count(rest)} more", f"and {figures.count(rest)} more: see the report"
    )
    return [*mine[: SHOWN - 1], more]


def _command(a: _Annotation, file: str) -> str:
    properties = {
        "file": clean(file),
        "line": str(a.line) if a.line is not None else "",
        "title": clean(a.title),
    }
    pairs = ",".join(f"{key}={_property(value)}" for key, value in properties.items() if value)
    return f"::{a.level} {pairs}::{_data(a.message)}"


def _relative(file: str, workspace: str, directory: str) -> str:
    """The path as GitHub wants it, from the top of the checkout; one outside of it stays as it is."""
    if not workspace:
        return file
    top = os.path.normpath(workspace)
    path = os.path.normpath(os.path.join(directory, file))
    return os.path.relpath(path, top) if os.path.isabs(path) and path.startswith(top + os.sep) else file


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
