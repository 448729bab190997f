from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from machine_samples import BROWSE, NASTY, VALUES, known
from report_samples import HOSTILE, SAMPLES

from loadtool.errors import UsageError
from loadtool.measure.histogram import highest_equivalent, quantise
from loadtool.report import hlog

START_MS = 1_763_758_387_250  # 2025-11-21T20:53:07.250Z

Interval = tuple[str | None, float, float, list[int]]


def read(path: Path) -> tuple[float, list[Interval]]:
    """Start time and intervals (tag, start and length in s, values in µs), by the library's reader."""
    reader = HistogramLogReader(str(path), HdrHistogram(1, 3_600_000_000, 3))
    found: list[Interval] = []
    try:
        while (h := reader.get_next_interval_histogram()) is not None:
            start, end = h.get_start_time_stamp(), h.get_end_time_stamp()
            values = [
                step.value_iterated_to
                for step in h.get_recorded_iterator()
                for _ in range(step.count_at_value_iterated_to)
            ]
            found.append((h.get_tag(), (start - START_MS) / 1000, (end - start) / 1000, values))
        return reader.get_start_time_sec(), found
    finally:
        reader.close()


def top(*values_us: int) -> list[int]:
    """The ends of these values' buckets, in order: what HdrHistogram calls their equivalents."""
    return sorted(highest_equivalent(quantise(v)) for v in values_us)


def test_the_library_reads_back_every_interval_with_its_values(tmp_path: Path) -> None:
    file = tmp_path / "run.hlog"
    file.write_text(hlog.render(known()), encoding="utf-8")
    start, found = read(file)
    assert start * 1000 == START_MS
    browse = {c: hlog.tag_of("baseline", c, BROWSE) for c in ("ok", "lag")}
    assert [(tag, pytest.approx(at), pytest.approx(length), values) for tag, at, length, values in found] == [
        (None, 0.0, 1.0, top(700, 5000, 5000, 5000)),
        (browse["lag"], 0.0, 1.0, top(10, 10, 10, 10)),
        (browse["ok"], 0.0, 1.0, top(700, 5000, 5000, 5000)),
        ("ok", 0.0, 1.0, top(700, 5000, 5000, 5000)),
        (None, 1.0, 1.0, top(1_000_000)),
        ("ok", 1.0, 1.0, top(1_000_000)),
        (hlog.tag_of("spike", "failed", NASTY), 1.0, 2.5, top(2_000_000)),
        (hlog.tag_of("spike", "ok", BROWSE), 1.0, 2.5, top(1_000_000, 3_000_000)),  # with and without fault
        (None, 2.0, 1.0, top(2_000_000, 3_000_000)),
        ("ok", 2.0, 1.0, top(3_000_000)),
        (None, 3.0, 0.5, []),  # the run ended in it
        ("ok", 3.0, 0.5, []),
    ]


def names_of(tag: str) -> tuple[str, str, str]:
    """Phase, class and request of a tag, as a reader of the log takes it apart."""
    phase, class_, request = (unquote(part, errors="surrogatepass") for part in tag.split("/"))
    return phase, class_, request


def test_each_tag_adds_up_to_what_was_recorded_of_it(tmp_path: Path) -> None:
    file = tmp_path / "run.hlog"
    file.write_text(hlog.render(known()), encoding="utf-8")
    wanted: dict[tuple[str, str, str], list[int]] = {}
    for (phase, _, request, class_), values in VALUES.items():
        wanted.setdefault((phase, class_, request), []).extend(values)
    found = {names_of(tag): values for tag, _, _, values in read(file)[1] if tag is not None and "/" in tag}
    assert found == {names: top(*values) for names, values in wanted.items()}


def test_the_head_is_as_the_format_wants_it() -> None:
    lines = hlog.render(known()).splitlines()
    legend = lines.index('"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"')
    assert lines[:4] == [
        "#[Logged by loadtool 0.1.0, profile known]",
        "#[Histogram log format version 1.3]",
        "#[StartTime: 1763758387.250 (seconds since epoch), Fri Nov 21 20:53:07 UTC 2025]",
        "#[BaseTime: 1763758387.250 (seconds since epoch)]",
    ]
    assert all(line.startswith("#[") and line.endswith("]") for line in lines[:legend])
    assert "9 arrivals: 6 ok, 0 shed, 3 failed" in lines[legend - 1]
    row = re.compile(r"(Tag=[^\s,]+,)?\d+\.\d{3},\d+\.\d{3},\d+\.\d{3},HISTFAAA[A-Za-z0-9+/=]+")
    assert all(row.fullmatch(line) for line in lines[legend + 1 :])


def test_the_longest_time_is_in_milliseconds() -> None:
    rows = [line.split(",") for line in hlog.render(known()).splitlines() if line[0].isdigit()]
    assert [row[2] for row in rows] == ["5.003", "1000.447", "3000.319", "0.000"]


@pytest.mark.parametrize("name", ["a b", "a,b", "a\nb\r", "/", "%2C", "é", "\udcff", "", " ", "#", HOSTILE])
def test_a_tag_keeps_any_name(name: str) -> None:
    tag = hlog.tag_of(name, "ok", name)
    assert not re.search(r"[\s,]", tag)
    assert tag.isascii()
    assert names_of(tag) == (name, "ok", name)


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_result_has_a_log_that_reads_back(sample: str, tmp_path: Path) -> None:
    file = tmp_path / "run.hlog"
    file.write_text(hlog.render(SAMPLES[sample]()), encoding="utf-8", errors="backslashreplace")
    assert len(read(file)[1]) == 0  # the samples have no histograms


def test_a_start_that_is_no_time_is_left_out() -> None:
    result = known()
    result.load_started, result.started = "", "yesterday"
    assert "StartTime:" not in hlog.render(result)
    result.started = "2025-11-21T21:53:07+01:00"  # of a result without the load's own
    assert "#[StartTime: 1763758387.000 (seconds since epoch), Fri Nov 21 20:53:07 UTC 2025]" in hlog.render(
        result
    )


def test_a_histogram_that_is_none() -> None:
    result = known()
    result.series[1].hdr = "HISTFAAAnone"
    with pytest.raises(UsageError, match=r"^result: series\[1\].hdr: not an HdrHistogram in V2 form"):
        hlog.render(result)
