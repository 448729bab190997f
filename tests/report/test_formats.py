from __future__ import annotations

import json

import pytest
from report_samples import SAMPLES, passed

from loadtool.errors import UsageError
from loadtool.measure.result_json import load
from loadtool.report.formats import FORMATS, render_format


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_writes_every_result(name: str, sample: str) -> None:
    text = render_format(name, SAMPLES[sample]())
    assert text.endswith("\n")
    assert text == FORMATS[name].render(SAMPLES[sample]())


@pytest.mark.parametrize("sample", SAMPLES)
def test_json_reads_back(sample: str) -> None:
    text = render_format("json", SAMPLES[sample]())
    assert render_format("json", load(json.loads(text))) == text


def test_options_and_suffixes() -> None:
    assert {(f.option, f.suffix) for f in FORMATS.values()} == {
        ("--json", ".json"),
        ("--junit", ".xml"),
        ("--markdown", ".md"),
        ("--html", ".html"),
        ("--csv", ".csv"),
        ("--hlog", ".hlog"),
        ("--hgrm", ".hgrm"),
    }


def test_a_format_that_is_not_there() -> None:
    with pytest.raises(
        UsageError, match=r"^format: got pdf, want csv or hgrm or hlog or html or json or junit or markdown$"
    ):
        render_format("pdf", passed())
