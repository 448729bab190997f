"""Faults in reports: those that come again, and what commands wrote."""

from __future__ import annotations

import re
from dataclasses import replace

from report_samples import HOSTILE, passed

from loadtool.measure.result import FaultFigure, Result
from loadtool.report import faults, markdown, terminal
from loadtool.report.faults import FaultRow


def blink(start: float, *, problem: str = "", removed: bool = True, output: str = "") -> FaultFigure:
    started = None if problem.startswith("could not be placed") else start + 0.01
    return FaultFigure(
        "blink", "run stop db", "", "run", [start, start + 2], started, start + 2.01, removed, problem, output
    )


def with_faults(*figures: FaultFigure) -> Result:
    r = passed()
    r.faults = list(figures)
    return r


def test_one_that_comes_once_has_its_own_times() -> None:
    (row,) = faults.rows(passed())
    text = "latency 200ms ±50ms on store"
    assert row == FaultRow("slow-store", text, "34.0 – 39.0 s", "34.01 – 39.02 s", "removed", (), ())


def test_one_that_comes_again_has_one_row() -> None:
    (row,) = faults.rows(with_faults(blink(10), blink(20), blink(30)))
    assert row == FaultRow(
        "blink", "run stop db", "3 × 2.0 s in 10.0 – 32.0 s", "3 of 3 placed", "undone", (), ()
    )


def test_a_single_time_that_fails_shows() -> None:
    refused = "could not be placed: refused"
    row, slow = faults.rows(
        with_faults(blink(10), blink(20, problem=refused), blink(30, removed=False), *passed().faults)
    )
    assert (row.actual, row.removal) == ("2 of 3 placed", "NOT UNDONE")
    assert row.problems == (f"at 20.0 s: {refused}",)
    assert row.remarks == ()
    assert slow.name == "slow-store"


def test_what_was_late_is_remarked_and_no_problem() -> None:
    late = replace(blink(20), remark="placed 0.4 s late")
    (row,) = faults.rows(with_faults(late))
    assert (row.problems, row.remarks) == ((), ("placed 0.4 s late",))
    (row,) = faults.rows(with_faults(blink(10), late))
    assert (row.problems, row.remarks) == ((), ("at 20.0 s: placed 0.4 s late",))
    for shown in (terminal.render(with_faults(late)), markdown.render(with_faults(late))):
        assert "placed 0.4 s late" in shown


def test_what_commands_wrote_is_kept_to_its_end() -> None:
    long = "".join(f"line {n}\n" for n in range(30))
    first, second = faults.outputs(with_faults(blink(10, output=long), blink(20), blink(30, output="done")))
    assert (first.title, second.title) == ("blink at 10.0 s wrote", "blink at 30.0 s wrote")
    assert (first.lines[0], first.lines[-1], first.omitted) == ("line 20", "line 29", 20)
    assert first.more == " (20 lines more in result.json)"
    assert (second.lines, second.more) == (("done",), "")
    (only,) = faults.outputs(with_faults(blink(10, output="a\n\n")))
    assert (only.title, only.lines) == ("blink wrote", ("a",))


def test_the_terminal_shows_it() -> None:
    text = terminal.render(with_faults(blink(10, output="stopped db\n"), blink(20)))
    assert " blink  run stop db  2 × 2.0 s in 10.0 – 22.0 s  2 of 2 placed  undone" in text
    assert "\n blink at 10.0 s wrote:\n   stopped db\n" in text
    lanes = [line for line in text.splitlines() if line.endswith("█ blink")]
    assert len(lanes) == 2, "one under the rates, one under the probes"


def test_markdown_shows_it_as_it_stands() -> None:
    text = markdown.render(with_faults(blink(10, output="*stopped* <b>@db</b>\n\nwell"), blink(20)))
    assert "| blink | run stop db | 2 × 2.0 s in 10.0 – 22.0 s | 2 of 2 placed | undone |" in text
    assert (
        "<details><summary>blink at 10.0 s wrote</summary>\n"
        "<pre>\n*stopped* &lt;b&gt;@db&lt;/b&gt;\n&nbsp;\nwell\n</pre>\n</details>"
    ) in text


def test_hostile_output_stays_text() -> None:
    r = with_faults(blink(10, output=f"{HOSTILE}\n</pre>\n```\n::error::x\n##[error]x"))
    shown = terminal.render(r)
    assert "\x1b" not in shown
    assert not re.search(r"^\s*::", shown, flags=re.MULTILINE)
    assert markdown.render(r).count("</pre>") == 1
    assert not re.search(r"^::|##\[", markdown.render(r), flags=re.MULTILINE)


def test_the_terminal_shows_a_hundred_and_counts_the_rest() -> None:
    many = [replace(blink(i), name=f"blink{i}") for i in range(102)]
    text = terminal.render(with_faults(*many))
    assert " blink99 " in text
    assert "\n and 2 more\n" in text
    assert "more\n" not in terminal.render(with_faults(*many[:100]))
