"""SLOs in any window: which windows there are, which one is the worst, and when too little lies in one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from compare_samples import Second, run
from judge_samples import Part, judge_slos

from loadtool.judge.windows import Evidence, windows
from loadtool.measure.histogram import quantise
from loadtool.measure.outcome import H_OK
from loadtool.measure.population import Population
from loadtool.measure.result import FaultFigure, Result, SloFigure
from loadtool.measure.result_json import dump, load
from loadtool.plan.windows import slices_in, stretches
from loadtool.profile.slo import Slo, parse_slo


def seconds(failed: Sequence[int], of: int = 100, us: int = 10_000) -> list[Second]:
    return [Second([us] * (of - n), n) for n in failed]


def judged(text: str, result: Result) -> SloFigure:
    result.profile["slos"] = [text]
    (figure,) = judge_slos(result)
    return figure


# 20 s of 100/s, with 8 failures a second from 7 s to 10 s: 24 of 2,000 over all.
SPIKED = seconds([0] * 7 + [8] * 3 + [0] * 10)


def test_an_average_hides_what_a_window_shows() -> None:
    assert judged("error rate < 2%", run(baseline=SPIKED)).status == "pass"
    figure = judged("error rate < 2% in any 10s", run(baseline=SPIKED))
    assert (figure.status, figure.value, figure.samples) == ("fail", 24 / 1000, 1000)
    # Windows [0, 10) to [10, 20): those that begin at 0 … 7 hold all three bad seconds; 8 has two, 9 one.
    assert figure.window is not None
    assert (figure.window.windows, figure.window.failed, figure.window.undecided) == (11, 8, 0)
    assert (figure.window.start_s, figure.window.end_s, figure.window.length_s) == (0.0, 10.0, 10.0)
    assert figure.note == "worst from 0 s to 10 s; 8 of 11 windows fail"


def test_what_was_under_way_at_the_end_fails_no_window() -> None:
    """8 failures in each of the last three seconds, of which those of the last second were aborted."""
    result = run(baseline=seconds([0] * 17 + [8] * 3))
    result.series[-1].errors = {"aborted": 8}
    assert judged("error rate < 2% in any 10s", result).status == "fail"
    result.interrupted = "SIGINT"
    figure = judged("error rate < 2% in any 10s", result)
    assert (figure.status, figure.value, figure.samples) == ("inconclusive", 24 / 1000, 1000)
    assert figure.note == (
        "worst from 10 s to 20 s; 1 of 11 windows fail; 8 arrivals were under way when the run ended"
    )
    assert judged("error rate < 1.6% in any 10s", result).status == "fail"  # as 16 of 992 do


@pytest.mark.parametrize(
    ("text", "second", "status"),
    [
        ("goodput >= 97/s in any 2s", 19, "inconclusive"),
        ("rate >= 97/s in any 2s", 19, "inconclusive"),
        ("goodput > 100/s in any 2s", 19, "fail"),  # not even if all had been good
        ("goodput >= 97/s in any 2s", 18, "fail"),  # what was due before 19.5 s can't have been good any more
        ("rate >= 97/s in any 2s", 18, "inconclusive"),
    ],
)
def test_what_was_under_way_at_the_end_may_have_been_served(text: str, second: int, status: str) -> None:
    result = run(baseline=seconds([0] * second + [8] + [0] * (19 - second)))
    result.series[second].errors = {"aborted": 8}
    assert judged(text, result).status == "fail"
    result.interrupted = "SIGINT"
    figure = judged(text, result)
    assert figure.status == status
    assert figure.value == 96.0


@pytest.mark.parametrize(
    ("text", "status", "value", "start"),
    [
        ("error rate < 10% in any 2s", "pass", 0.08, 7.0),
        ("error rate < 8% in any 2s", "fail", 0.08, 7.0),
        ("error rate < 8% in any 3s", "fail", 0.08, 7.0),
        ("error rate < 8% in any 4s", "pass", 0.06, 6.0),
        ("goodput >= 92/s in any 3s", "pass", 92.0, 7.0),
        ("goodput > 92/s in any 3s", "fail", 92.0, 7.0),
        ("rate >= 95/s in any 5s", "pass", (300 - 24 + 200) / 5, 5.0),
        ("p90 < 20ms in any 3s", "pass", 10.0, 0.0),
        ("p95 < 20ms in any 3s", "fail", None, 6.0),  # 16 of 300 failed: infinite
        ("ok p95 < 20ms in any 3s", "pass", 10.0, 0.0),
    ],
)
def test_values_of_the_worst_window(text: str, status: str, value: float | None, start: float) -> None:
    figure = judged(text, run(baseline=SPIKED))
    assert figure.status == status
    assert figure.value == (value if value is None else pytest.approx(value, rel=0.001))
    assert figure.window is not None
    assert figure.window.start_s == start


def test_quantiles_of_windows_are_those_of_their_own_answers() -> None:
    slow = [Second([10_000] * 100)] * 5 + [Second([90_000] * 100)] * 2 + [Second([10_000] * 100)] * 5
    figure = judged("p50 < 50ms in any 3s", run(baseline=slow))
    assert (figure.status, figure.value) == ("fail", pytest.approx(90.0, rel=0.001))
    assert figure.window is not None
    assert (figure.window.start_s, figure.window.failed) == (
        4.0,
        2,
    )  # [4, 7) and [5, 8) have two slow of three
    assert judged("p50 < 50ms in any 5s", run(baseline=slow)).status == "pass"


def test_a_window_holds_what_its_slices_hold() -> None:
    """Slices enter and leave one after the other: nothing else may stay behind, or go with them."""
    times = [[1000, 2000], [2000, 2000, 3000], [], [1000, 3000, 9000], [2000], [1000, 1000, 4000]]
    slices = {place: Part(ok=mine, errors={"reset": place}).population() for place, mine in enumerate(times)}
    found = []

    def measure(population: Population, slo: Slo) -> Evidence:
        ok = population.histogram(H_OK)
        found.append((dict(ok.counts), ok.total, ok.sum_us, population.failed, population.good))
        return Evidence(0.0, 1)

    seen = list(windows(parse_slo("p50 < 1s in any 3s"), measure, slices, [range(6)], 1.0))
    assert [(w.first, w.last) for w in seen] == [(0, 2), (1, 3), (2, 4), (3, 5)]
    for first, one in enumerate(found):
        mine = [us for part in times[first : first + 3] for us in part]
        counts = Counter(quantise(us) for us in mine)
        assert one == (dict(counts), len(mine), sum(mine), sum(range(first, first + 3)), len(mine))


def test_a_window_lies_in_one_phase_or_in_neighbours_but_never_in_a_warm_up() -> None:
    bad, good = seconds([50] * 4), seconds([0] * 6)
    result = run(warmup=bad, baseline=good, spike=good)
    assert judged("error rate < 1% in any 3s", result).status == "pass"
    whole = judged("error rate < 1% in any 12s", result)
    assert whole.window is not None
    assert whole.window.windows == 1
    assert judged("error rate < 1% in any 3s during warmup", result).status == "fail"
    none = judged("error rate < 1% in any 7s during spike", result)
    assert (none.status, none.note) == ("inconclusive", "no whole window of 7 s with arrivals in it")


def test_a_fault_is_judged_in_each_of_its_times() -> None:
    result = run(baseline=seconds([0, 0, 9, 9, 0, 0, 0, 20, 20, 0]))
    result.faults = [
        FaultFigure("blip", "", "", "", [2.0, 4.0], 2.0, 4.0, True),
        FaultFigure("blip", "", "", "", [7.0, 9.0], 7.0, 9.0, True),
    ]
    figure = judged("error rate < 15% in any 2s during blip", result)
    assert figure.window is not None
    assert (figure.status, figure.value, figure.window.windows) == ("fail", 0.2, 2)


def test_slices_lie_wholly_in_a_stretch() -> None:
    slo = parse_slo("error rate < 1% in any 2s")
    phases = [("warmup", "warmup", 0.0, 2.5), ("a", "baseline", 2.5, 6.0), ("b", "spike", 6.0, 9.5)]
    assert stretches(slo, phases, []) == [(2.5, 9.5)]
    assert slices_in([(2.5, 9.5), (0.0, 4.0)], 1.0) == [range(3, 9), range(4)]
    assert slices_in([(0.0, 12.0)], 4.0) == [range(3)]


def test_too_few_samples_leave_it_open_and_enough_do_not() -> None:
    # 5 arrivals a window, one failed: 20 %, but as few as that say little of 10 %.
    figure = judged("error rate < 10% in any 5s", run(baseline=seconds([0, 0, 1, 0, 0, 0], of=1)))
    assert (figure.status, figure.value) == ("inconclusive", 0.2)
    assert figure.note == "worst from 0 s to 5 s; 2 of 2 windows with too few samples to tell"
    # 9 beyond p99 at most, and its interval reaches over the threshold.
    times = [Second([10_000] * 49 + [99_000])] * 10
    assert judged("p99 < 50ms in any 10s", run(baseline=times)).status == "inconclusive"
    assert judged("p95 < 50ms in any 10s", run(baseline=times)).status == "pass"
    # One that certainly fails decides, whatever the others are.
    mixed = seconds([0, 0, 1, 0, 0, 0], of=1) + seconds([50] * 5)
    assert judged("error rate < 10% in any 5s", run(baseline=mixed)).status == "fail"


def test_wide_slices_make_wide_windows() -> None:
    result = run(baseline=SPIKED)
    result.slice_s = 3.0
    for place, s in enumerate(result.series):
        s.t = place * 3.0
    result.phases[0].end_s = 60.0
    figure = judged("error rate < 8% in any 10s", result)
    assert figure.window is not None
    assert (figure.window.length_s, figure.value) == (12.0, 24 / 400)
    # The bad slices are 7, 8 and 9: the first four that hold them all begin with slice 6.
    assert (figure.window.start_s, figure.window.end_s) == (18.0, 30.0)
    assert figure.note == "worst from 18 s to 30 s"
    assert judged("goodput > 30/s in any 10s", result).value == pytest.approx(376 / 12)


@pytest.mark.parametrize(
    ("text", "of", "bad", "status"),
    [
        # p99 of 1,000 is the 990th, so that ten lie beyond it; of 900 it is the 891st, and nine do.
        ("p99 < 50ms in any 10s", 100, 12, "fail"),
        ("p99 < 50ms in any 10s", 90, 12, "inconclusive"),
        # Five of 30 and of 29 are more than 10 %, but either may well be chance.
        ("ok p50 < 5ms in any 10s", 100, 0, "fail"),
        ("error rate < 10% in any 10s", 3, 5, "fail"),
    ],
)
def test_what_is_just_enough_to_tell(text: str, of: int, bad: int, status: str) -> None:
    slow, left = [], bad
    for _ in range(10):
        mine = min(left, of if "p99" in text else 1)
        left -= mine
        late, failed = (mine, 0) if "p99" in text else (0, mine)
        slow.append(Second([10_000] * (of - mine) + [90_000] * late, failed))
    assert judged(text, run(baseline=slow)).status == status


def test_few_arrivals_may_be_enough_to_be_sure() -> None:
    """All five of each window failed: whatever they are a sample of, it is more than 10 %."""
    figure = judged("error rate < 10% in any 5s", run(baseline=seconds([1] * 6, of=1)))
    assert (figure.status, figure.value, figure.samples) == ("fail", 1.0, 5)


def test_one_arrival_less_is_too_few_to_tell() -> None:
    less = [Second([10_000] * 2, 1)] * 5 + [Second([10_000] * 3)] * 4 + [Second([10_000] * 2)]
    figure = judged("error rate < 10% in any 10s", run(baseline=less))
    assert (figure.status, figure.samples, figure.value) == ("inconclusive", 29, 5 / 29)


def test_windows_without_a_sample_are_not_counted() -> None:
    nothing = [Second()] * 4
    figure = judged("error rate < 2% in any 2s", run(baseline=nothing + seconds([0, 8, 8, 0]) + nothing))
    # Of eleven windows the first three and the last three are empty; of the other five, three hold failures.
    assert (figure.status, figure.note) == ("fail", "worst from 5 s to 7 s; 3 of 5 windows fail")
    figure = judged("error rate < 2% in any 2s", run(baseline=nothing))
    assert (figure.status, figure.value) == ("inconclusive", None)
    assert figure.note == "no whole window of 2 s with arrivals in it"


def test_a_window_reads_back_from_the_file() -> None:
    result = run(baseline=SPIKED)
    result.profile["slos"] = ["error rate < 2% in any 10s"]
    result.slos = judge_slos(result)
    assert load(dump(result)).slos == result.slos
