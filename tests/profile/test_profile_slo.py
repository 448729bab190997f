"""slo: the grammar, its messages, and what counts as good."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtool import units
from loadtool.profile.model import Profile
from loadtool.profile.slo import METRICS, OPERATORS, Slo, good_within, parse_slo

WANT_METRIC = (
    "want one of p99, ok p99, shed p99, service p99, max, mean, error rate, shed rate, goodput, rate, "
    "goodput retention, end retention, honest rejection, recovery, hysteresis, retry amplification, "
    "latency growth"
)
GOOD: list[tuple[str, dict[str, Any], str]] = [
    (
        "p95 < 250ms during baseline",
        {"metric": "quantile", "quantile": 0.95, "op": "<", "threshold": 250.0, "during": "baseline"},
        "p95 < 250ms during baseline",
    ),
    (
        "p99.9<=1m30s",
        {"metric": "quantile", "quantile": 0.999, "op": "<=", "threshold": 90_000.0},
        "p99.9 <= 1m30s",
    ),
    ("p99.99 < 1s", {"metric": "quantile", "quantile": 0.9999}, "p99.99 < 1s"),
    ("p50 < 1s", {"metric": "quantile", "quantile": 0.5}, "p50 < 1s"),
    ("ok p99 < 1s", {"metric": "ok quantile", "quantile": 0.99}, "ok p99 < 1s"),
    ("shed p99 < 50ms", {"metric": "shed quantile", "quantile": 0.99, "threshold": 50.0}, "shed p99 < 50ms"),
    ("service p90 < 1.5s", {"metric": "service quantile", "quantile": 0.9}, "service p90 < 1.5s"),
    ("max < 2s", {"metric": "max", "quantile": None, "kind": "time"}, "max < 2s"),
    ("mean < 2s", {"metric": "mean", "quantile": None, "kind": "time"}, "mean < 2s"),
    ("error rate < 0.1%", {"metric": "error rate", "threshold": 0.001, "kind": "share"}, "error rate < 0.1%"),
    ("error  rate < 0.001", {"metric": "error rate", "threshold": 0.001}, "error rate < 0.1%"),
    ("shed rate > 10 %", {"metric": "shed rate", "op": ">", "threshold": 0.1}, "shed rate > 10%"),
    ("goodput >= 90/s", {"metric": "goodput", "threshold": 90.0, "kind": "per_second"}, "goodput >= 90/s"),
    ("rate >= 5000 rpm", {"metric": "rate", "threshold": 5000 / 60}, "rate >= 5000/m"),
    (
        'p99 < 1s for "GET /a b" during slow-store',
        {"during": "slow-store", "request": "GET /a b"},
        'p99 < 1s during slow-store for "GET /a b"',
    ),
    ("p99 < 1s for 'a \"b\"'", {"request": 'a "b"'}, r'p99 < 1s for "a \"b\""'),
    (
        "goodput retention >= 90%",
        {"metric": "goodput retention", "threshold": 0.9, "kind": "share"},
        "goodput retention >= 90%",
    ),
    ("end retention > 0.5", {"metric": "end retention", "threshold": 0.5}, "end retention > 50%"),
    ("honest rejection >= 95%", {"metric": "honest rejection"}, "honest rejection >= 95%"),
    ("recovery < 10s", {"metric": "recovery", "threshold": 10_000.0, "kind": "time"}, "recovery < 10s"),
    ("hysteresis <= 2% during spike", {"metric": "hysteresis"}, "hysteresis <= 2% during spike"),
    (
        "retry amplification < 1.1",
        {"metric": "retry amplification", "threshold": 1.1, "kind": "ratio"},
        "retry amplification < 1.1x",
    ),
    ("latency growth <= 2 x", {"metric": "latency growth", "threshold": 2.0}, "latency growth <= 2x"),
    ("latency growth < 150%", {"metric": "latency growth", "threshold": 1.5}, "latency growth < 1.5x"),
    ("max < 1s during for for in", {"during": "for", "request": "in"}, "max < 1s during for for in"),
    ("p99<1s in any 10s", {"window_ns": 10 * units.SECOND, "abort": False}, "p99 < 1s in any 10s"),
    (
        "error rate < 5% abort after 1m for x in any 1.5s during a",
        {"window_ns": 1_500 * units.MILLISECOND, "after_ns": 60 * units.SECOND, "request": "x"},
        "error rate < 5% in any 1.5s during a for x abort after 1m",
    ),
    ("max < 1s abort", {"abort": True, "after_ns": 0, "window_ns": None}, "max < 1s abort"),
    ("max < 1s for 'abort'", {"abort": False, "request": "abort"}, "max < 1s for abort"),
]  # fmt: skip
QUOTES = "; put a name with spaces in quotes"
BAD = [
    ("", "column 1: got nothing, want one of <=, >=, <, > between metric and value"),
    ("p95 250ms", "column 10: got nothing, want one of <=, >=, <, > between metric and value"),
    ("p95 == 1s", "column 5: got ==, want one of <=, >=, <, > between metric and value"),
    ("p95 = 1s", "column 5: got =, want one of <=, >=, <, > between metric and value"),
    ("< 5s", "column 1: got <, want a metric such as p99, before the operator"),
    ("p95 <", "column 6: got nothing, want a value after <"),
    ("p95 < during spike", "column 7: got during, want a value after <"),
    ("p100 < 1s", f"column 1: got p100, {WANT_METRIC}"),
    ("p0 < 1s", f"column 1: got p0, {WANT_METRIC}"),
    ("  speed < 1s", f"column 3: got speed, {WANT_METRIC}"),
    ("erro rate < 1%", f"column 1: got erro rate, {WANT_METRIC}; did you mean error rate?"),
    ("P99 < 1s", f"column 1: got P99, {WANT_METRIC}; did you mean p99?"),
    ("p99 < 5", "column 7: got 5, want a duration with its unit: write 5s or 5ms"),
    ("p99 < 5%", "column 7: got 5%, want a duration such as 250ms, 5s or 1m30s"),
    ("p99 < 0s", "column 7: got 0, want a duration above 0 such as 250ms, 5s or 1m30s"),
    ("p99 < 2h", "column 7: got 2h, want a time of at most 1h"),
    ("error rate < 5", "column 14: got 5, want a share such as 10% or 0.1, from 0 to 1"),
    ("error rate < 5ms", "column 14: got 5ms, want a share such as 10% or 0.1, from 0 to 1"),
    ("latency growth < -2", "column 18: got -2, want a ratio such as 1.1 or 2x"),
    ("latency growth < 2s", "column 18: got 2s, want a ratio such as 1.1 or 2x"),
    ("recovery < 5", "column 12: got 5, want a duration with its unit: write 5s or 5ms"),
    ("goodput retention > 90", "column 21: got 90, want a share such as 10% or 0.1, from 0 to 1"),
    ("goodput > -5/s", "column 11: got -5/s, want a rate such as 50/s"),
    ("p99 < 1s during", "column 16: got nothing, want the name of a phase or fault after during"),
    ("p99 < 1s for", "column 13: got nothing, want the name of a request after for"),
    (
        "p99 < 1s for GET /x",
        "column 18: got /x, want in any or during or abort; put a name with spaces in quotes",
    ),
    (
        "p99 < 1s during a b",
        "column 19: got b, want in any or for or abort; put a name with spaces in quotes",
    ),
    ("p99 < 1s during a for b c", "column 25: got c, want in any or abort" + QUOTES),
    (
        "p99 < 1s during a during b",
        "column 19: got during, want in any or for or abort; put a name with spaces in quotes",
    ),
    ("p99 < 1s in 10s", "column 13: got 10s, want any after in"),
    ("p99 < 1s in", "column 12: got nothing, want any after in"),
    ("p99 < 1s in any", "column 16: got nothing, want a time such as 10s after in any"),
    ("p99 < 1s in any 10", "column 17: got 10, want a duration with its unit: write 10s or 10ms"),
    ("p99 < 1s in any 10ms", "column 17: got 10ms, want a time of at least 1s"),
    ("p99 < 1s in any 10s in any 10s", "column 21: got in, want during or for or abort"),
    ("p99 < 1s abort after", "column 21: got nothing, want a time such as 10s after abort after"),
    ("p99 < 1s abort after 0s", "column 22: got 0, want a duration above 0 such as 250ms, 5s or 1m30s"),
    ("p99 < 1s abort 5s", "column 16: got 5s, want in any or during or for"),
    ("p99 < 'x", "column 6: a quote is not closed"),
]


@pytest.mark.parametrize(("text", "fields", "canonical"), GOOD)
def test_objectives(text: str, fields: dict[str, Any], canonical: str) -> None:
    slo = parse_slo(text, 7)
    assert (slo.text, slo.line) == (text, 7)
    assert {name: getattr(slo, name) for name in fields} == fields
    assert str(slo) == canonical


@pytest.mark.parametrize(("text", "message"), BAD)
def test_what_is_no_objective(text: str, message: str) -> None:
    with pytest.raises(ValueError) as e:  # noqa: PT011 - the whole text is compared
        parse_slo(text)
    assert str(e.value) == message


def _slos() -> st.SearchStrategy[Slo]:
    quantiles = st.integers(1, 9_999).map(lambda n: n / 10_000)
    values = {
        "time": st.integers(1, 3600 * units.SECOND).map(lambda ns: ns / 1e6),
        "share": st.floats(0, 1),
        "per_second": st.floats(0, 1e9),
        "ratio": st.floats(0, allow_infinity=False),
    }

    def of(metric: str, after: int | None) -> st.SearchStrategy[Slo]:
        row = METRICS[metric]
        return st.builds(
            Slo,
            text=st.just(""),
            line=st.none(),
            metric=st.just(metric),
            quantile=quantiles if row.quantile else st.none(),
            op=st.sampled_from(OPERATORS),
            threshold=values[row.kind],
            kind=st.just(row.kind),
            during=st.none() | st.from_regex(r"[A-Za-z][\w-]*", fullmatch=True),
            request=st.none() | st.text(min_size=1).filter(str.strip),
            window_ns=st.none() | st.integers(units.SECOND, 3600 * units.SECOND),
            abort=st.just(after is not None),
            after_ns=st.just(after or 0),
        )

    afters = st.none() | st.integers(0, 3600 * units.SECOND)
    return st.tuples(st.sampled_from(list(METRICS)), afters).flatmap(lambda drawn: of(*drawn))


@given(_slos())
def test_every_objective_reads_back(slo: Slo) -> None:
    assert replace(parse_slo(str(slo)), text="") == slo


@given(st.text() | st.text(alphabet="p9 <>=\"'%msduringforinanyabort", max_size=30))
def test_any_text_is_an_objective_or_a_value_error(text: str) -> None:
    try:
        slo = parse_slo(text)
    except ValueError as e:
        message = str(e)
    else:
        message = "column"
        assert parse_slo(str(slo)) == replace(slo, text=str(slo))
    assert message.startswith("column")


def _profile(**more: object) -> Profile:
    phases = [{"name": "a", "rate": 1, "for": "1s"}]
    requests = [{"name": "r", "get": "/"}]
    return Profile.model_validate(
        {"name": "x", "target": "demo", "requests": requests, "phases": phases, **more}
    )


@pytest.mark.parametrize(
    ("texts", "ms"),
    [
        ([], 1000),
        (["p99 < 250ms"], 250),
        (["p99 < 250ms", "p95 < 300ms during a", "p90 < 5s", "p50 < 9s"], 300),
        (["shed p99 < 5s", "service p99 < 9s", "mean < 7s", "error rate < 1%"], 1000),
        (["ok p99 <= 2s", "p99 < 1s"], 2000),
        (["max < 3s", "p99 < 1s"], 3000),
        (["p99 > 5s"], 1000),  # not a bound from above
    ],
)
def test_good_is_what_the_loosest_high_quantile_allows(texts: list[str], ms: int) -> None:
    assert good_within(_profile(), [parse_slo(t) for t in texts]) == ms * units.MILLISECOND


def test_good_within_of_the_profile_wins() -> None:
    assert good_within(_profile(good_within="70ms"), [parse_slo("p99 < 1s")]) == 70 * units.MILLISECOND


@pytest.mark.parametrize(
    ("op", "below", "equal", "above"),
    [
        ("<", True, False, False),
        ("<=", True, True, False),
        (">", False, False, True),
        (">=", False, True, True),
    ],
)
def test_the_operator_says_which_values_meet_the_objective(
    op: str, below: bool, equal: bool, above: bool
) -> None:
    slo = parse_slo(f"p99 {op} 250ms")
    assert [slo.meets(ms) for ms in (249.999, 250.0, 250.001)] == [below, equal, above]
