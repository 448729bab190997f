"""Gauges in reports: what a service said of itself, beside the load."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_samples import failed

from loadtool.measure.result import Probe, Result
from loadtool.measure.result_json import dump, load
from loadtool.report import digest, gauges, markdown, terminal
from loadtool.report.html import over_time
from loadtool.report.html.story import story_of

# What was read at 0 s, 1 s, …; None: it failed.
READ = [0.0, 4.0, None, 1234.5, 10.0]


def sample() -> Result:
    r = failed()
    queue = [
        Probe("queue", float(t), v is not None, 2.0, "" if v is not None else "status 503", False, v)
        for t, v in enumerate(READ)
    ]
    r.probes = [*r.probes, *queue, Probe("queue", 74.5, True, 2.0, "", True, 3.0)]
    asked = [{"name": "queue", "get": "/metrics", "value": "demo_queued", "every": "1s"}]
    r.profile = {**r.profile, "probes": asked}
    return r


def test_a_row_has_the_least_the_most_and_the_last() -> None:
    (row,) = gauges.rows(sample())
    assert (row.n, row.failed, row.wrong) == (5, 1, "status 503")
    assert (row.least, row.median, row.most, row.most_at_s, row.afterwards) == (0, 7, 1234.5, 3, 3)


@pytest.mark.parametrize(
    ("number", "text"), [(None, "n/a"), (0.0, "0"), (12.0, "12"), (1234567.0, "1,234,567")]
)
def test_values_read_as_they_are(number: float | None, text: str) -> None:
    assert gauges.value(number) == text


def test_the_terminal_shows_it_beside_the_load() -> None:
    shown = terminal.render(sample(), width=100)
    section = shown.partition("Gauges")[2].partition("Generator")[0]
    row = next(line for line in section.splitlines() if line.strip().startswith("queue"))
    assert row.split() == ["queue", "7", "0", "–", "1,234", "3.0", "s", "3", "5", "1"]
    assert "queue: status 503" in section
    drawn = [line for line in section.splitlines() if line.strip().startswith("queue") and "█" in line]
    assert len(drawn) == 1, "a picture on the axis of time"


def test_markdown_has_the_same_row() -> None:
    assert "| queue | 7 | 0 – 1,234 | 3.0 s | 3 | 5 | 1 |" in markdown.render(sample())


def test_times_of_probes_are_those_of_other_probes() -> None:
    with_, without = sample(), failed()
    assert digest.probes(with_) == digest.probes(without)


def test_a_gauge_that_never_answered() -> None:
    r = sample()
    r.probes = [replace(p, ok=False, value=None, detail="status 404") for p in r.probes if p.name == "queue"]
    (row,) = gauges.rows(r)
    assert row.told == ("n/a", "n/a – n/a", "n/a", "n/a")
    assert "queue: status 404" in terminal.render(r)


def test_without_gauges_nothing_is_said_of_them() -> None:
    assert "Gauges" not in terminal.render(failed()) + markdown.render(failed())


def test_values_survive_the_file() -> None:
    r = sample()
    assert load(dump(r)).probes == r.probes


def test_the_page_draws_what_was_read() -> None:
    drawing = over_time.gauge_values(story_of(sample()))
    assert drawing is not None
    (trace,) = drawing.traces
    assert (trace["name"], trace["x"], trace["y"]) == ("queue", [0, 1, 2, 3, 4], READ)
    assert trace["customdata"][2:4] == ["failed: status 503", "1,234"]
    assert "queue: 0 to 1,234 (at 3.0 s), 3 afterwards." in drawing.summary
    times = over_time.probes(story_of(sample()))
    assert times is not None
    assert [t["name"] for t in times.traces] == ["store"]
    assert over_time.gauge_values(story_of(failed())) is None
