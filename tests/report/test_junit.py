from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml, Property, TestCase, TestSuite
from report_samples import SAMPLES, failed, passed

from loadtool.measure.result import Result
from loadtool.report import junit


def read(result: Result) -> TestSuite:
    """The one suite of a report, by a parser that we did not write."""
    (suite,) = JUnitXml.fromstring(junit.render(result).encode())
    return suite


def cases(result: Result) -> dict[str, TestCase]:
    return {case.name: case for case in read(result)}


def outcome(case: TestCase) -> list[tuple[str, str]]:
    return [(type(r).__name__.lower(), r.type) for r in case.result]


PASSED: list[tuple[str, str]] = []


@pytest.mark.parametrize(
    ("name", "run", "slos"),
    [
        ("passed", PASSED, [PASSED, PASSED, PASSED, PASSED]),
        (
            "failed",
            PASSED,
            [PASSED, [("failure", "slo")], [("failure", "slo")], PASSED, [("error", "inconclusive")]],
        ),
        ("invalid", [("error", "invalid")], [[("error", "invalid")]] * 4),
        ("all_failed", [("error", "invalid")], [[("error", "invalid")]]),
        ("interrupted", [("error", "interrupted")], [[("error", "interrupted")]] * 4),
        ("empty", [("error", "interrupted")], [[("error", "inconclusive")]]),
    ],
)
def test_a_testcase_for_the_run_and_one_for_each_slo(
    name: str, run: list[tuple[str, str]], slos: list[list[tuple[str, str]]]
) -> None:
    first, *rest = list(read(SAMPLES[name]()))
    assert first.name == "run is valid"
    assert outcome(first) == run
    assert [outcome(case) for case in rest] == slos


def test_a_run_cut_short_keeps_its_failures() -> None:
    r = failed()
    r.verdict, r.interrupted, r.reasons = "interrupted", "SIGINT", ["interrupted by SIGINT after 36.4 s"]
    assert [outcome(c) for c in read(r)][1:4] == [
        [("error", "interrupted")],
        [("failure", "slo")],
        [("failure", "slo")],
    ]


def test_one_that_is_invalid_as_well_has_none() -> None:
    """As without the Ctrl-C: a lost worker's arrivals alone may have failed an SLO."""
    r = failed()
    r.verdict, r.interrupted, r.generator.workers_lost = "interrupted", "SIGINT", 1
    r.problems = ["worker 2 of 2 was lost (SIGKILL)"]
    r.reasons = ["interrupted by SIGINT after 36.4 s", *r.problems]
    run, *slos = read(r)
    assert outcome(run) == [("error", "interrupted")]
    assert [outcome(case) for case in slos] == [[("error", "invalid")]] * len(r.slos)
    assert slos[0].result[0].message.startswith("the run is invalid, so this proves nothing: measured ")


@pytest.mark.parametrize("name", SAMPLES)
def test_the_counts_are_those_of_the_cases(name: str) -> None:
    suite = read(SAMPLES[name]())
    results = [r for case in suite for r in case.result]
    assert suite.tests == len(list(suite))
    assert suite.failures == sum(isinstance(r, Failure) for r in results)
    assert suite.errors == sum(isinstance(r, Error) for r in results)
    root = ET.fromstring(junit.render(SAMPLES[name]()))
    assert {k: root.get(k) for k in ("tests", "failures", "errors")} == {
        "tests": str(suite.tests),
        "failures": str(suite.failures),
        "errors": str(suite.errors),
    }


def test_classnames_are_profile_and_phase() -> None:
    assert [(c.classname, c.name) for c in read(passed())] == [
        ("checkout-10x.run", "run is valid"),
        ("checkout-10x.baseline", "p95 < 250ms during baseline"),
        ("checkout-10x.run", "error rate < 1%"),
        ("checkout-10x.slow-store", "p99 < 1s during slow-store for checkout"),
        ("checkout-10x.run", "shed p99 < 50ms"),
    ]


def test_a_failure_has_value_threshold_interval_and_place() -> None:
    (failure,) = cases(failed())["error rate < 0.1%"].result
    assert failure.message == "measured 0.758%, threshold 0.1%, 95% interval 0.590 – 0.940%, 10,200 samples"
    assert failure.text.splitlines() == ["error rate < 0.1%", failure.message, "profiles/checkout.yaml:42"]


def test_what_could_not_be_decided_says_why() -> None:
    (error,) = cases(failed())["p99.9 < 2s during warmup"].result
    assert error.message == (
        "measured 96 ms, threshold 2 s, 95% interval 96 ms – ∞, 100 samples, only 100 samples"
    )


def test_an_invalid_run_says_why() -> None:
    (error,) = cases(SAMPLES["invalid"]())["run is valid"].result
    assert error.message == "this run proves nothing about the target."
    assert error.text.splitlines()[1].startswith("send lag p99 was 48 ms in spike, over 10 ms")


def test_properties() -> None:
    properties: list[Property] = list(read(failed()).properties())  # type: ignore[no-untyped-call]  # not ours
    assert {p.name: p.value for p in properties} == {
        "version": "0.1.0",
        "verdict": "fail",
        "seed": "42",
        "profile": "profiles/checkout.yaml",
        "target": "http://127.0.0.1:8080",
        "started": "2025-11-21T20:53:07Z",
        "transport": "http1",
        "workers": "1",
    }


def test_a_hostile_name_is_text_without_escapes_and_forbidden_characters() -> None:
    assert read(SAMPLES["hostile"]()).name == (
        "red [bold]b[/bold] | <script>alert(1)</script> & \\r\\n::error::x \\u202e   `tick` \\"
    )


@given(st.text(st.characters()), st.text(st.characters()))
def test_any_text_makes_a_document(name: str, note: str) -> None:
    r = failed()
    r.profile = {"name": name}
    r.slos = [r.slos[1]]
    r.slos[0].note = r.slos[0].text = note
    assert len(list(read(r))) == 2


def test_a_status_is_text_without_forbidden_characters() -> None:
    r = failed()
    r.slos[0].status = "\x1b[31mod\x00d"
    assert outcome(list(read(r))[1]) == [("error", "odd")]
