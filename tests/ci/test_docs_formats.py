"""What docs/formats.md tells of options, columns, tags and metrics is what the code has."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from loadtool import cli
from loadtool.measure.books import Books
from loadtool.measure.histogram import Histogram
from loadtool.measure.outcome import CLASSES, ERROR_KINDS, H_OK, OUTCOMES
from loadtool.measure.result import Cell, Engine, HistogramEntry, PhaseFigures, Result, Slice
from loadtool.measure.slow_arrival import SLOWEST, SlowArrival
from loadtool.measure.snapshot import PhaseNow, Snapshot
from loadtool.report import hlog, prometheus
from loadtool.report.csv import columns
from loadtool.report.formats import FORMATS
from loadtool.report.stage import Bar, Stage

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")


SUFFIXES = {"counter": "_total", "info": "_info"}  # that the parser takes off a family's name


def rows(header: str) -> list[str]:
    """First cells of the table under this header."""
    table = TEXT.partition(f"| {header} |")[2].partition("\n\n")[0]
    return re.findall(r"^\| (.+?) \|", table, re.MULTILINE)


def names(cells: list[str]) -> list[str]:
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def result() -> Result:
    """One phase, one request, two answers."""
    answers = Histogram()
    answers.record(5000, 2)
    return Result(
        "0", "2026-01-01T00:00:00Z", 1, {"name": "p"}, "p.yaml", Engine(), 1.0, 500.0,
        phases=[PhaseFigures(name="spike", start_s=0.0, end_s=1.0, scheduled=2, ok=2)],
        series=[Slice(0.0, scheduled=2, ok=2, hdr=answers.encode())],
        cells=[Cell("spike", [], "GET /cart", 1.0, 2, 2, 0, {}, 2, 2, {"ok": 10.0}, {"ok": 5.0})],
        histograms=[HistogramEntry("spike", [], "GET /cart", "ok", answers.encode())],
    )  # fmt: skip


def test_every_format_is_told() -> None:
    assert names(rows("option")) == [*(f.option for f in FORMATS.values()), "--prometheus"]


def test_the_columns_of_csv_are_told() -> None:
    told = names(rows("column"))
    place = told.index("error_…")
    told[place : place + 1] = [f"error_{kind}" for kind in ERROR_KINDS]
    assert told == columns(ERROR_KINDS)
    (row,) = csv.DictReader(io.StringIO(FORMATS["csv"].render(result()), newline=""))
    assert list(row) == told


def test_the_tags_and_classes_of_the_log_are_told() -> None:
    classes = TEXT.partition("Classes: ")[2].partition("single attempt")[0]
    assert tuple(dict.fromkeys(re.findall(r"`(\w+)`", classes))) == CLASSES
    tag = hlog.tag_of("spike", "ok", "GET /cart")
    assert f"`Tag={tag}`" in TEXT
    assert f"\nTag={tag}," in FORMATS["hlog"].render(result())
    assert f"Tag={hlog.OK_TAG}`" in TEXT


def test_every_metric_is_told_with_its_labels() -> None:
    books = Books(scheduled=1, counts=[1, *[0] * (len(OUTCOMES) - 1)], values={H_OK: Histogram()})
    phase = PhaseNow("spike", "spike", 1, 1, 0, 0, 1.0, 1.0, 1.0, books=books)
    now = Snapshot(
        1.0, 1, 1, 1, {}, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, (phase,), 0, 0, 0, (), 1, 1, {}
    )  # fmt: skip
    stage = Stage("p", "http://h", (Bar("spike", 0.0, 1.0),), (Bar("slow", 0.0, 1.0),))
    _, text = prometheus.render(prometheus.State(stage, now), prometheus.OPENMETRICS)
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        labels = {label for sample in family.samples for label in sample.labels}
        found[family.name + SUFFIXES.get(family.type, "")] = labels - {"le"}
    told = {}
    table = TEXT.partition("| metric | labels |")[2].partition("\n\n")[0]
    for cells, labelled in re.findall(r"^\| (`loadtool.*?) \|(.*?)\|", table, re.MULTILINE):
        told |= {name: set(names([labelled])) for name in names([cells])}
    assert told == found
    (attempts,) = re.findall(r"^\| `loadtool_attempts_total` \|.*\| (.*) \|$", TEXT, re.MULTILINE)
    assert f"# HELP loadtool_attempts {attempts[0].upper()}{attempts[1:]}.\n" in text.decode()
    assert f"| `attempts` | {attempts} |" in TEXT


def test_the_example_of_a_slow_arrival_is_one() -> None:
    example = json.loads(TEXT.partition("```json\n")[2].partition("```")[0])
    assert list(example) == [field.name for field in fields(SlowArrival)]
    assert f"The\nreport names the {'ten' if SLOWEST == 10 else SLOWEST} slowest arrivals" in TEXT


def test_the_report_writes_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The documentation's own command."""
    line = next(line for line in TEXT.splitlines() if line.startswith("$ loadtool report"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "result.json").write_text(FORMATS["json"].render(result()))
    assert cli.main(shlex.split(line)[2:]) == 0
    written = re.findall(r"^wrote (.*)$", capsys.readouterr().out, re.MULTILINE)
    assert sorted(written) == ["run.csv", "run.hgrm", "run.hlog", "run.spike.hgrm"]
    assert "run.spike.hgrm" in TEXT
