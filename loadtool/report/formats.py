"""The formats that a result is written in: a later one is one file and one row here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from loadtool.measure.result import Result
from loadtool.measure.result_json import dump
from loadtool.report import csv, hgrm, hlog, junit, markdown
from loadtool.report.html import page


@dataclass(frozen=True, slots=True)
class Format:
    """`option` is the command line's, `suffix` that of its files; `render` gives the whole file as text.

    `beside` gives files that stand beside that one, by what their names have more before the suffix.
    """

    name: str
    option: str
    suffix: str
    render: Callable[[Result], str]
    beside: Callable[[Result], Mapping[str, str]] | None = None


def _json(result: Result) -> str:
    return json.dumps(dump(result), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


FORMATS: Final = {
    f.name: f
    for f in (
        Format("json", "--json", ".json", _json),
        Format("junit", "--junit", ".xml", junit.render),
        Format("markdown", "--markdown", ".md", markdown.render),
        Format("html", "--html", ".html", page.render),
        Format("csv", "--csv", ".csv", csv.render),
        Format("hlog", "--hlog", ".hlog", hlog.render),
        Format("hgrm", "--hgrm", ".hgrm", hgrm.render, hgrm.by_phase),
    )
}
