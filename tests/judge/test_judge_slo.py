"""SLOs: values by arithmetic, which cells they cover, and when they can't be decided."""

from __future__ import annotations

import pytest
from judge_samples import Part, judge_slos, result_of
from overload_runs import Run, failed, ok, schedule

from loadtool.errors import UsageError
from loadtool.judge.slo import METRICS
from loadtool.measure.outcome import ABORTED
from loadtool.measure.result import Result, SloFigure
from loadtool.measure.result_json import dump, load
from loadtool.profile.slo import METRICS as GRAMMAR


def judged(slo: str, *parts: Part) -> SloFigure:
    (figure,) = judge_slos(result_of(*parts, slos=[slo]))
    return figure


def test_every_metric_of_the_grammar_has_a_row() -> None:
    assert METRICS.keys() == GRAMMAR.keys()


# 1000 arrivals in 20 s: 900 ok within 1 … 900 ms (800 of them good), 60 shed, 40 failed (30 answered).
MIXED = Part(
    seconds=20.0,
    ok=[1000 * k for k in range(1, 901)],
    good=800,
    shed=[500 * k for k in range(1, 61)],
    status=[2_000_000] * 30,
    errors={"timeout": 10},
)


@pytest.mark.parametrize(
    ("slo", "metric", "value", "samples"),
    [
        ("p50 < 1s", "p50", 470.0, 940),  # rank 470 of 940
        ("p95 < 1s", "p95", 893.0, 940),
        ("p95.7 < 1s", "p95.7", 900.0, 940),  # rank 899.58 → 900, the last ok one
        ("p95.75 < 1s", "p95.75", None, 940),  # rank 901
        ("ok p99 < 1s", "ok p99", 891.0, 900),
        ("shed p50 < 50ms", "shed p50", 15.0, 60),
        ("service p50 < 1s", "service p50", 435.0, 990),  # 60 sheds of up to 30 ms lie among them: rank 495
        ("max < 3s", "max", 2000.0, 930),
        ("mean < 1s", "mean", (900 * 901 / 2 + 30 * 2000) / 930, 930),
        ("error rate < 10%", "error rate", 0.04, 1000),
        ("shed rate < 10%", "shed rate", 0.06, 1000),
        ("goodput > 10/s", "goodput", 40.0, 1000),
        ("rate > 10/s", "rate", 45.0, 1000),
    ],
)
def test_values(slo: str, metric: str, value: float | None, samples: int) -> None:
    figure = judged(slo, MIXED)
    assert (figure.text, figure.line, figure.metric) == (slo, 11, metric)
    assert figure.samples == samples
    if value is None:
        assert figure.value is None
        assert figure.status == "fail"
    else:
        assert figure.value == pytest.approx(value, rel=0.0005)
        assert figure.status == "pass"
    if metric in ("max", "mean"):
        assert figure.ci95 is None
    else:
        assert figure.ci95 is not None
        low, high = figure.ci95
        assert low is not None
        assert value is None or low <= figure.value  # type: ignore[operator]  # it is a number here
        assert high is None or value is None or high >= value


@pytest.mark.parametrize(
    ("slo", "status"),
    [
        ("error rate < 4%", "fail"),
        ("error rate <= 4%", "pass"),
        ("error rate > 4%", "fail"),
        ("error rate >= 4%", "pass"),
        ("goodput >= 40/s", "pass"),
        ("goodput > 40/s", "fail"),
        ("max <= 2s", "pass"),
        ("max < 2s", "fail"),
        ("p99 > 1s", "pass"),  # infinite
        ("p99 < 1h", "fail"),
    ],
)
def test_operators(slo: str, status: str) -> None:
    assert judged(slo, MIXED).status == status


PARTS = (
    Part("warmup", ok=[1000] * 100),
    Part("baseline", ok=[2000] * 100),
    Part("baseline", request="checkout", ok=[3000] * 100),
    Part("spike", ok=[4000] * 100, seconds=5),
    Part("spike", ("slow",), ok=[5000] * 100, seconds=3),
    Part("spike", ("slow",), request="check out", ok=[6000] * 100, seconds=3),
    Part("recovery", ("slow", "down"), ok=[7000] * 100, seconds=2),
)


@pytest.mark.parametrize(
    ("slo", "samples", "longest", "seconds"),
    [
        ("max < 1s", 600, 7.0, 20.0),  # everything but the warm-up
        ("max < 1s during warmup", 100, 1.0, 10.0),
        ("max < 1s during baseline", 200, 3.0, 10.0),
        ("max < 1s during spike", 300, 6.0, 8.0),
        ("max < 1s during slow", 300, 7.0, 5.0),  # a fault over two phases
        ("max < 1s during down", 100, 7.0, 2.0),
        ("max < 1s for checkout", 100, 3.0, 10.0),
        ("max < 1s during slow for 'check out'", 100, 6.0, 3.0),
        ("max < 1s for browse", 400, 7.0, 20.0),
    ],
)
def test_which_cells_are_covered(slo: str, samples: int, longest: float, seconds: float) -> None:
    figure = judged(slo, *PARTS)
    assert (figure.samples, figure.value) == (samples, longest)
    assert judged(slo.replace("max < 1s", "goodput > 1/s"), *PARTS).value == samples / seconds


def test_a_figure_says_what_it_is_about() -> None:
    figure = judged("max < 1s during slow for 'check out'", *PARTS)
    assert (figure.phase, figure.request, figure.threshold) == ("slow", "check out", 1000.0)


def test_a_phase_goes_before_a_fault_of_the_same_name() -> None:
    parts = (Part("spike", ok=[1000]), Part("recovery", ("spike",), ok=[2000]))
    assert judged("max < 1s during spike", *parts).value == 1.0


def fast(n: int, slow: int = 0, failed: int = 0) -> Part:
    return Part(ok=[10_000] * n + [900_000] * slow, errors={"timeout": failed})


ONE, FORTY = (f"{n} under way when the run ended" for n in ("1 arrival was", "40 arrivals were"))


@pytest.mark.parametrize(
    ("errors", "slo", "status", "value", "note"),
    [
        # 960 ok in 10 ms, and up to 40 more.
        ({"aborted": 40}, "error rate < 1%", "inconclusive", 0.04, FORTY),
        ({"timeout": 40}, "error rate < 1%", "fail", 0.04, ""),
        ({"aborted": 30, "timeout": 10}, "error rate < 1%", "fail", 0.04, ""),  # as 10 of 970 do
        ({"aborted": 31, "timeout": 9}, "error rate < 1%", "inconclusive", 0.04, FORTY.replace("40", "31")),
        ({"aborted": 39, "timeout": 1}, "error rate < 5%", "pass", 0.04, ""),
        ({"aborted": 40}, "p99 < 1s", "inconclusive", None, FORTY),
        ({"aborted": 40}, "p95 < 1s", "pass", 10.0, ""),
        ({"aborted": 40}, "p95 < 5ms", "fail", 10.0, ""),
        ({"aborted": 1}, "error rate <= 0%", "inconclusive", 1 / 961, ONE),
        ({"aborted": 40}, "goodput > 97/s", "fail", 96.0, ""),  # no step tells that they still could
    ],
)
def test_what_was_under_way_fails_no_objective(
    errors: dict[str, int], slo: str, status: str, value: float | None, note: str
) -> None:
    result = result_of(Part(ok=[10_000] * 960, good=960, errors=errors), slos=[slo])
    result.interrupted = "SIGINT"
    (figure,) = judge_slos(result)
    assert (figure.status, figure.note) == (status, note)
    assert figure.value == (value if value is None else pytest.approx(value, rel=0.001))
    result.interrupted = None  # then it is no end that anybody chose
    (figure,) = judge_slos(result)
    assert (figure.status, figure.note) == ("fail" if status == "inconclusive" else status, "")


TWENTY = "20 arrivals were under way when the run ended"


@pytest.mark.parametrize(
    ("slo", "status", "value", "note"),
    [
        # 50/s, ended after 4 s: 180 ok, and 20 aborted that were due in the last 400 ms.
        ("goodput >= 47/s during baseline", "inconclusive", 45.0, TWENTY),
        ("goodput >= 47/s for home", "inconclusive", 45.0, TWENTY),
        ("rate >= 47/s", "inconclusive", 45.0, TWENTY),
        ("goodput > 50/s", "fail", 45.0, ""),  # the best that could have been is 50
        ("goodput < 40/s", "fail", 45.0, ""),
        ("goodput >= 45/s", "pass", 45.0, ""),
    ],
)  # fmt: skip
def test_what_was_under_way_may_have_been_served(slo: str, status: str, value: float, note: str) -> None:
    run = Run(schedule([("baseline", 50.0, 30.0)]))
    run.serve(lambda t: ok() if t < 3.6 else failed(ABORTED), until_s=4)
    (figure,) = judge_slos(run.result(slos=[slo], until_s=4))
    assert (figure.status, figure.value, figure.note) == (status, value, note)


def test_what_was_under_way_for_longer_than_good_within_was_no_goodput_but_may_have_come() -> None:
    """The steps of a spike, a second each, tell: what was due from 26 s to 27 s had had its 500 ms."""
    run = Run(schedule())
    run.serve(lambda t: failed(ABORTED) if 26 <= t < 27 else ok(), until_s=28)
    slos = ["goodput >= 480/s during spike", "rate >= 480/s during spike"]
    in_windows = ["goodput >= 480/s in any 1s during spike", "rate >= 480/s in any 1s during spike"]
    figures = judge_slos(run.result(slos=[*slos, *in_windows], until_s=28))
    assert [figure.status for figure in figures] == ["fail", "inconclusive"] * 2


@pytest.mark.parametrize(
    ("ended_s", "status"),
    [
        (None, "inconclusive"),  # a file of an older version: as if it had been when the load was to end
        (5.4, "inconclusive"),
        (5.6, "fail"),
        (60.0, "fail"),
    ],
)
@pytest.mark.parametrize("slo", ["goodput >= 450/s during spike", "goodput >= 450/s in any 1s during spike"])
def test_what_was_under_way_had_its_time_if_the_end_came_long_after_the_load(
    slo: str, ended_s: float | None, status: str
) -> None:
    """The load ends after 5 s; what is good comes within half a second."""
    run = Run(schedule([("baseline", 50.0, 2.0), ("spike", 500.0, 3.0)]))
    result = run.serve(lambda t: failed(ABORTED) if t >= 4 else ok()).result(slos=[slo])
    result.interrupted, result.ended_s = "SIGINT", ended_s
    (figure,) = judge_slos(result)
    assert figure.status == status
    again = load(dump(result))
    assert judge_slos(again) == [figure]


@pytest.mark.parametrize(
    ("part", "slo", "status", "note"),
    [
        # 1000 samples leave 10 beyond p99: decided on the value, whatever the interval.
        (fast(1000), "p99 < 500ms", "pass", ""),
        (fast(990, slow=10), "p99 < 500ms", "pass", ""),
        (fast(989, slow=11), "p99 < 500ms", "fail", ""),
        (fast(990, failed=10), "p99 < 500ms", "pass", ""),
        (fast(989, failed=11), "p99 < 500ms", "fail", ""),
        # 999 leave 9: undecided where the interval holds times on both sides of the threshold.
        (fast(999), "p99 < 500ms", "pass", ""),
        (fast(989, slow=10), "p99 < 500ms", "inconclusive", "only 999 arrivals, 9 beyond it"),
        (fast(979, slow=20), "p99 < 500ms", "fail", ""),
        (fast(989, failed=10), "p99 < 500ms", "inconclusive", "only 999 arrivals, 9 beyond it"),
        # 367 samples have no upper end at p99: it counts as infinite. 368 have one.
        (fast(367), "p99 < 500ms", "inconclusive", "only 367 arrivals, 3 beyond it"),
        (fast(368), "p99 < 500ms", "pass", ""),
        (fast(0, slow=50), "p99 < 500ms", "fail", ""),
        # 5 samples have no lower end at p50: it counts as zero.
        (fast(0, slow=5), "p50 < 500ms", "inconclusive", "only 5 arrivals, 2 beyond it"),
        (fast(0, slow=6), "p50 < 500ms", "fail", ""),
        (fast(1), "p50 < 500ms", "inconclusive", "only 1 arrival, 0 beyond it"),
        # Of 1 % that may fail, one of one is already too many: even the lower end is infinite.
        (fast(0, failed=1), "p99 < 500ms", "fail", ""),
        (fast(3, failed=1), "p99 < 500ms", "inconclusive", "only 4 arrivals, 0 beyond it"),
        (fast(0, failed=300), "p99 < 500ms", "fail", ""),
        (fast(50), "ok p99 < 500ms", "inconclusive", "only 50 ok answers, 0 beyond it"),
        # The other metrics are decided on their value.
        (fast(1), "error rate < 1%", "pass", ""),
        (fast(9, failed=1), "error rate < 1%", "fail", ""),
        (fast(1), "max < 500ms", "pass", ""),
    ],
)
def test_inconclusive_only_where_too_few_lie_beyond_and_the_interval_straddles(
    part: Part, slo: str, status: str, note: str
) -> None:
    figure = judged(slo, part)
    assert (figure.status, figure.note) == (status, note)


@pytest.mark.parametrize(
    ("slo", "status", "note"),
    [
        ("shed p99 < 50ms", "pass", "no sheds"),
        ("p99 < 50ms", "inconclusive", "no arrivals"),
        ("ok p99 < 50ms", "inconclusive", "no ok answers"),
        ("service p99 < 50ms", "inconclusive", "no attempts"),
        ("max < 50ms", "inconclusive", "no answers"),
        ("mean < 50ms", "inconclusive", "no answers"),
        ("error rate < 1%", "inconclusive", "no arrivals"),
        ("shed rate < 1%", "inconclusive", "no arrivals"),
        ("goodput > 1/s", "inconclusive", "no arrivals"),
        ("rate > 1/s", "inconclusive", "no arrivals"),
        ("p99 < 50ms during recovery", "inconclusive", "recovery was not reached"),
        ("shed p99 < 50ms during recovery", "inconclusive", "recovery was not reached"),
    ],
)
def test_empty_samples(slo: str, status: str, note: str) -> None:
    figure = judged(slo, Part())
    assert (figure.status, figure.note, figure.value, figure.samples) == (status, note, None, 0)
    assert figure.ci95 is None


def test_a_run_that_never_left_its_warm_up_decides_nothing() -> None:
    figure = judged("p99 < 50ms", Part("warmup", ok=[1000] * 1000))
    assert (figure.status, figure.note) == ("inconclusive", "what it is about was not reached")


def test_sheds_never_lower_a_quantile_and_failures_never_vanish_from_it() -> None:
    alone = judged("p99 < 1s", fast(989, slow=11))
    assert alone.value == 900.0
    shed = judged("p99 < 1s", Part(ok=[10_000] * 989 + [900_000] * 11, shed=[100] * 5000))
    assert (shed.value, shed.samples) == (alone.value, alone.samples)
    failed = judged("p99 < 1s", Part(ok=[10_000] * 989, status=[1000] * 11))
    assert (failed.value, failed.status) == (None, "fail")


def test_intervals_by_hand() -> None:
    # 1 … 100 ms: ranks 40 and 61 at the median (Hahn & Meeker); p99 has no upper end.
    part = Part(ok=[1000 * k for k in range(1, 101)])
    assert judged("p50 < 1s", part).ci95 == [40.031, 61.023]
    assert judged("p99 < 1s", part).ci95 == [97.023, None]
    # All failed: an interval that lies beyond every answer has no ends.
    assert judged("p50 < 1s", Part(errors={"reset": 100})).ci95 is None
    assert judged("p1 < 1s", Part(ok=[1000], errors={"reset": 9})).ci95 == [0.0, None]
    low, high = judged("goodput > 1/s", Part(ok=[1000] * 100, seconds=4)).ci95 or (None, None)
    assert (low, high) == (pytest.approx(81.364 / 4, abs=1e-3), pytest.approx(121.627 / 4, abs=1e-3))


def test_the_stall_that_other_tools_hide() -> None:
    """5 ms of service, 200/s for 20 s, one second in which nobody is answered."""
    times = [5_000] * 3799 + [1_005_000] + [1_010_000 - 5_000 * k for k in range(1, 201)]
    figure = judged("p99 < 500ms", Part("spike", ok=times, seconds=20))
    assert figure.value == pytest.approx(810, rel=0.001)
    assert figure.status == "fail"


def unreadable(**profile: object) -> Result:
    result = result_of(Part(ok=[1000]))
    result.profile.update(profile)
    return result


@pytest.mark.parametrize(
    ("slos", "message"),
    [
        ("p99 < 1s", "result: profile.slos: want a list of texts"),
        ([5], "result: profile.slos: want a list of texts"),
        (["max < 1s", "p99 ~ 1s"], "result: profile.slos[1]: column"),
    ],
)
def test_objectives_that_cannot_be_read(slos: object, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        judge_slos(unreadable(slos=slos))
    assert str(caught.value).startswith(message)


def test_lines_may_be_missing() -> None:
    result = result_of(Part(ok=[1000]), slos=["max < 1s", "mean < 1s"])
    result.slo_lines = [3]
    assert [s.line for s in judge_slos(result)] == [3, None]


def test_a_result_has_its_objectives_as_a_profile_would_write_them() -> None:
    """There `$$` is a dollar, lest `${x}` be taken for a variable."""
    result = result_of(Part(ok=[1000], request="GET /${x}"), slos=['max < 1s for "GET /$${x}"'])
    (figure,) = judge_slos(result)
    assert (figure.request, figure.text, figure.status) == (
        "GET /${x}", 'max < 1s for "GET /${x}"', "pass"
    )  # fmt: skip
