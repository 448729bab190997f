from __future__ import annotations

import json

import pytest
from report_samples import SAMPLES

from loadtool.measure.result_json import load
from loadtool.report.formats import FORMATS


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_writes_every_result(name: str, sample: str) -> None:
    text = FORMATS[name].render(SAMPLES[sample]())
    assert text.endswith("\n")


@pytest.mark.parametrize("sample", SAMPLES)
def test_json_reads_back(sample: str) -> None:
    text = FORMATS["json"].render(SAMPLES[sample]())
    assert FORMATS["json"].render(load(json.loads(text))) == text


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
