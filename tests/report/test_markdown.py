from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from report_samples import HOSTILE, SAMPLES, failed, passed

from loadtool.measure.result import RequestFigures
from loadtool.report import markdown
from loadtool.report.text import clean

PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
OURS = {"<br>", "<sub>", "</sub>", "<!-- -->"}


def inline(text: str) -> list[Token]:
    return [child for token in PARSER.parse(text) for child in token.children or ()]


def shown(text: str) -> str:
    """What a reader sees of one line."""
    return "".join("" if t.type == "html_inline" else t.content for t in inline(text))


def tables(text: str) -> list[list[list[str]]]:
    """The tables as rows of cells, as a reader sees them."""
    found: list[list[list[str]]] = []
    for token, following in zip(tokens := PARSER.parse(text), [*tokens[1:], None], strict=True):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type in ("td_open", "th_open") and following is not None:
            cell = "".join(c.content for c in following.children or () if c.type != "html_inline")
            found[-1][-1].append(cell)
    return found


@pytest.mark.parametrize("name", SAMPLES)
def test_the_page_holds_what_we_put_there_and_nothing_else(name: str) -> None:
    text = markdown.render(SAMPLES[name]())
    children = inline(text)
    assert {t.type for t in children} <= {
        "text",
        "softbreak",
        "html_inline",
        "strong_open",
        "strong_close",
        "text_special",
    }
    assert {t.content for t in children if t.type == "html_inline"} <= OURS
    blocks = {t.content.strip() for t in PARSER.parse(text) if t.type == "html_block"}
    assert blocks <= {"<details><summary>Generator</summary>", "</details>"} | {
        "<sub>∞: more arrivals failed than this quantile leaves room for.</sub>"
    }


@pytest.mark.parametrize("name", SAMPLES)
def test_every_row_of_a_table_has_the_cells_of_its_header(name: str) -> None:
    for table in tables(markdown.render(SAMPLES[name]())):
        assert {len(row) for row in table} == {len(table[0])}


@pytest.mark.parametrize(
    "text",
    [
        HOSTILE,
        "a | b",
        "**bold** _it_ `code` ~~gone~~",
        "[text](http://x) ![i](y)",
        "<b>x</b> &amp; &#124;",
        "\\| \\\\",
        "# heading",
        "- item",
        "1. item",
        "12) item",
        "+ x",
        "=====",
        "> quote",
        "https://example.com www.example.com",
        ":smile:",
        "$x$",
        "| --- |",
    ],
)
def test_text_is_shown_as_it_is(text: str) -> None:
    assert shown(markdown.escape(text)).strip() == clean(text).strip()
    assert shown(f"| {markdown.escape(text)} |\n| --- |").strip() == clean(text).strip()


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_text_is_shown_as_it_is(text: str) -> None:
    for shape in ("- {}\n", "| {} |\n| --- |\n"):
        assert shown(shape.format(markdown.escape(text))).strip() == clean(text).strip()


@pytest.mark.parametrize(
    "text", ["@octocat", "#123", "a@b.example", "http://x.example", "www.x.example", ":tada:"]
)
def test_github_makes_no_mention_reference_or_link_of_it(text: str) -> None:
    """GitHub looks for these in runs of text: a comment has to part them."""
    runs = re.split(r"<!-- -->", markdown.escape(text))
    assert len(runs) > 1
    assert not any(re.search(r"@\w|#\d|\w://|www\.|:\w+:", run) for run in runs)


def test_the_headline() -> None:
    assert markdown.render(failed()).splitlines()[:5] == [
        "## ❌ checkout-10x: fail",
        "",
        "2 of 5 SLOs were not met.",
        "",
        "- p99 &lt; 1s during slow-store for checkout: ∞",
    ]


def test_the_tables() -> None:
    slos, phases, requests, errors, faults, probes = tables(markdown.render(failed()))
    assert slos[2] == ["❌ fail", "error rate < 0.1%", "0.758%", "0.590 – 0.940%", "10,200"]
    assert slos[5][1] == "p99.9 < 2s during warmuponly 100 samples"
    assert phases[3] == ["spike", "500/s", "7,075", "350", "75", "61 ms", "122 ms", "∞", "488 ms", "465/s"]
    assert [row[0] for row in requests] == ["", "browse", "checkout"]
    assert errors[1] == ["timeout", "60", "0.583%", "checkout", "no answer within 2s"]
    assert faults[1] == [
        "slow-store",
        "latency 200ms ±50ms on store",
        "34.0 – 39.0 s",
        "34.01 – 39.02 s",
        "removed",
    ]
    assert probes[2] == ["store", "during slow-store", "203 ms", "203 – 203 ms", "5", "0"]


def test_a_page_stays_within_what_github_takes() -> None:
    r = passed()
    r.requests = [RequestFigures(name=f"request {i} {'x' * 80}") for i in range(5000)]
    text = markdown.render(r)
    assert "and 4,900 more" in text
    assert len(text.encode()) < 2**20
