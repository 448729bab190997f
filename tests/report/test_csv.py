from __future__ import annotations

import csv
import io

import pytest
from machine_samples import known
from report_samples import SAMPLES

from loadtool.measure.outcome import ERROR_KINDS
from loadtool.report.csv import render


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_a_line_a_slice() -> None:
    found = read(render(known()))
    picked = [
        {k: v for k, v in row.items() if not k.startswith("error_") or k in ("error_status", "error_timeout")}
        for row in found
    ]
    names = (
        "t_s", "length_s", "phase", "active_faults", "scheduled", "ok", "shed", "errors", "error_status",
        "error_timeout", "good", "attempts", "in_flight", "p50_ms", "p99_ms", "lag_p99_ms",
    )  # fmt: skip
    assert [tuple(row[name] for name in names) for row in picked] == [
        ("0", "1", "baseline", "", "4", "4", "0", "0", "0", "0", "4", "4", "0", "5.003", "5.003", "0.01"),
        ("1", "1", "spike", "", "1", "1", "0", "0", "0", "0", "1", "1", "1", "1000.447", "inf", ""),
        ("2", "1", "spike", "slow", "4", "1", "0", "3", "1", "2", "1", "4", "2", "inf", "inf", ""),
        ("3", "0.5", "spike", "", "0", "0", "0", "0", "0", "0", "0", "0", "3", "", "", ""),
    ]
    assert tuple(picked[0]) == names


def test_it_is_rfc_4180() -> None:
    result = known()
    result.phases[1].name = 'a"b, c\nd'
    text = render(result)
    assert text.endswith("\r\n")
    assert '"a""b, c\nd"' in text
    assert [row["phase"] for row in read(text)] == ["baseline", 'a"b, c\nd', 'a"b, c\nd', 'a"b, c\nd']
    plain = render(known())
    assert plain.count("\r\n") == plain.count("\n") == 5
    assert {line.count(",") for line in plain.splitlines()} == {plain.splitlines()[0].count(",")}


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_line_adds_up_and_has_the_same_columns(sample: str) -> None:
    result = SAMPLES[sample]()
    rows = read(render(result))
    assert len(rows) == len(result.series)
    for row in rows:
        assert int(row["scheduled"]) == int(row["ok"]) + int(row["shed"]) + int(row["errors"])
        assert int(row["errors"]) == sum(int(row[f"error_{kind}"]) for kind in ERROR_KINDS)


def test_a_kind_of_a_newer_version_has_its_column() -> None:
    result = known()
    result.series[0].errors = {"melted": 3}
    assert [row["error_melted"] for row in read(render(result))] == ["3", "0", "0", "0"]


def test_a_slice_across_two_phases_has_both() -> None:
    result = known()
    result.phases[0].end_s = result.phases[1].start_s = 1.5
    assert [row["phase"] for row in read(render(result))][:3] == ["baseline", "baseline;spike", "spike"]
