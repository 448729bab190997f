"""A service that stays down under its normal load: at which share of it does it come back?

The queue of the simulated service has no bound, and it goes on working for clients that have left. So
arithmetic says when it is empty: it grows and shrinks by the difference of what comes and what it can serve.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from conservation import violations
from overload_runs import GOOD_WITHIN_US
from simulated_service import TIMEOUT_US, Service

from loadtool import cut_load as cut_load_module
from loadtool.cut_load import CutLoads
from loadtool.errors import UsageError
from loadtool.judge.verdict import judge
from loadtool.measure.frame import CellDelta, Frame, Sparse
from loadtool.measure.outcome import H_OK, OK
from loadtool.measure.result import Engine, Result
from loadtool.measure.result_json import dump, load
from loadtool.measure.summary import result_parts
from loadtool.measure.tally import Tally
from loadtool.plan.job import ClientSpec, Endpoint, Job, PhaseSpec, RequestSpec
from loadtool.plan.schedule import Schedule
from loadtool.plan.timeline import Timeline
from loadtool.report.stage import Stage

SECOND = 1_000_000_000


def job(spike: float, seconds: float, arrivals: str) -> Job:
    """A baseline of 80/s, and a recovery of 15 s at the same rate."""
    phases = (("baseline", 80.0, 10.0), ("spike", spike, seconds), ("recovery", 80.0, 15.0))
    return Job(
        seed=1,
        arrivals=arrivals,
        phases=tuple(PhaseSpec(name, name, rate, round(s * SECOND)) for name, rate, s in phases),
        faults=(),
        requests=(RequestSpec("home", 1.0, "GET", "/"),),
        rows=(),
        endpoint=Endpoint("http", "127.0.0.1", 80, "127.0.0.1", "127.0.0.1"),
        client=ClientSpec(TIMEOUT_US * 1000, None, 100, True, (429, 503)),
        good_within_ns=GOOD_WITHIN_US * 1000,
        slice_ns=SECOND,
    )


def frames(of: Job, capacity: float) -> list[Frame]:
    """What a worker reports from second to second when the service is as the module says."""
    batches = list(Schedule(of).batches())
    dues = [due for b in batches for due in b.due]
    segments = [segment for b in batches for segment in b.segment]
    codes, times = Service(capacity, cancels=False).serve([due // 1000 for due in dues], Random(1))
    cells: defaultdict[int, dict[tuple[int, int], CellDelta]] = defaultdict(dict)

    def cell(frame: int, due: int, segment: int) -> CellDelta:
        key = (due // SECOND, segment)
        return cells[frame].setdefault(key, CellDelta(*key, 0))

    for due, segment, code, us in zip(dues, segments, codes, times, strict=True):
        cell(due // SECOND, due, segment).scheduled += 1
        ended = cell((due + us * 1000) // SECOND, due, segment)
        ended.counts[code] += 1
        ended.attempts += 1
        if code == OK:
            ended.good += us <= GOOD_WITHIN_US
            sparse = ended.values.setdefault(H_OK, Sparse())
            sparse.counts[us] = sparse.counts.get(us, 0) + 1
            sparse.sum_us += us
            sparse.max_us = max(sparse.max_us, us)
    last = max(cells)
    return [
        frame
        for n in range(last + 1)
        for frame in (
            Frame(0, 2 * n, (n + 1) * SECOND, list(cells[n].values()), more=True),
            Frame(0, 2 * n + 1, (n + 1) * SECOND, [], final=n == last),
        )
    ]


def planned_result(tally: Tally) -> Result:
    end_ns = tally.timeline.duration_ns
    result = Result(
        "0.1.0", "2026-01-01T00:00:00Z", 1, {"name": "x", "target": "http://127.0.0.1:8080"}, "x.yaml",
        Engine(), end_ns / SECOND, GOOD_WITHIN_US / 1000,
    )  # fmt: skip
    result_parts(tally, end_ns, 10.0).put_into(result)
    return result


def run(of: Job, capacity: float, *, until_s: float | None = None) -> tuple[Result, list[str], float]:
    """The judged result, what was said when the load went on, and when it ended, in s."""
    said: list[str] = []

    def begun(stage: Stage, why: str) -> None:
        assert [bar.name for bar in stage.phases][-2:] == ["50% of baseline", "10% of baseline"]
        said.append(why)

    after = CutLoads(of, 1, 30.0, planned_result, begun)
    tally = Tally(Timeline.of(of), ["home"], 1)
    end_ns = after.duration_ns
    for frame in frames(after.job, capacity):
        tally.add(after.take(frame))
        over = after.over(tally, lost=False)
        assert not (over and frame.more), "in the middle of a report"
        if over or (until_s is not None and not frame.more and frame.elapsed_ns >= until_s * SECOND):
            end_ns = min(end_ns, frame.elapsed_ns)
            break
    assert tally.conservation(Schedule(of).count()) == []
    result = planned_result(tally)
    result.cut_load = after.measured(end_ns)
    judge(result)
    return result, said, end_ns / SECOND


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
@pytest.mark.parametrize(
    ("spike", "seconds", "wanted", "words"),
    [
        # 1,000 wait after the spike, 700 after the recovery; 40/s leave 60/s for them: good after 10.8 s.
        (300, 5, [(0.5, True, 11)], "it came back at 50% of the baseline load (40/s) after"),
        # 2,400, 2,100 and, after half the load, 300: gone to half a second's work after 2.7 s at a tenth.
        (500, 6, [(0.5, False, None), (0.1, True, 2)],
         "it came back at 10% of the baseline load (8/s) after"),
        # 12,000: not even then.
        (900, 15, [(0.5, False, None), (0.1, False, None)],
         "with the load cut, it did not come back even at 10% of the baseline load (8/s), in 30 s"),
    ],
)  # fmt: skip
def test_it_is_said_at_which_share_it_came_back(
    arrivals: str,
    spike: float,
    seconds: float,
    wanted: Sequence[tuple[float, bool, float | None]],
    words: str,
) -> None:
    result, said, end_s = run(job(spike, seconds, arrivals), 100)
    assert said == ["not recovered: the load goes on at 50%, then 10% of the baseline's rate"]
    assert result.overload is not None
    assert result.overload.verdict == "stayed-down"
    found = result.overload.cut_load
    assert [(c.share, c.recovered) for c in found] == [(share, back) for share, back, _ in wanted]
    slack = 1 if arrivals == "constant" else 3
    for cut, (_, _, after_s) in zip(found, wanted, strict=True):
        assert (cut.recovered_s is None) == (after_s is None)
        assert after_s is None or abs((cut.recovered_s or 0) - after_s) <= slack
    assert words in result.overload.spikes[-1].notes[-1]
    planned_s = 25 + seconds
    assert end_s <= planned_s + 30 * len(wanted) + 4
    # The profile's own figures know nothing of it.
    assert result.elapsed_s == planned_s
    assert [p.name for p in result.phases] == ["baseline", "spike", "recovery"]
    again = load(dump(result))
    judge(again)
    assert again.overload == result.overload


def test_it_ends_when_the_service_turns_out_well() -> None:
    result, said, end_s = run(job(90, 5, "constant"), 100)
    assert (said, result.cut_load) == ([], [])
    assert result.overload is not None
    assert result.overload.cut_load == []
    assert end_s <= 30 + TIMEOUT_US / 1e6 + 2


def test_no_schedule_is_drawn_while_the_load_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long one takes so long that neither frames nor signals would be heard."""
    of, said = job(300, 5, "poisson"), list[str]()
    after = CutLoads(of, 1, 30.0, planned_result, lambda stage, why: said.append(why))
    tally = Tally(Timeline.of(of), ["home"], 1)
    told = frames(after.job, 90)
    monkeypatch.delattr(cut_load_module, "Schedule")
    over = None
    for frame in told:
        tally.add(after.take(frame))
        if after.over(tally, lost=False):
            over = frame.elapsed_ns
            break
    assert said
    assert over is not None
    assert over >= 60 * SECOND  # all of a stretch has its outcome


def test_what_was_planned_is_the_same_with_and_without() -> None:
    of = job(300, 5, "poisson")
    after = CutLoads(of, 1, None, planned_result, lambda stage, why: None)
    plain = [due for batch in Schedule(of).batches() for due in batch.due]
    longer = [due for batch in Schedule(after.job).batches() for due in batch.due]
    assert longer[: len(plain)] == plain
    assert len(longer) > len(plain)
    segments = Timeline.of(of).segments
    assert Timeline.of(after.job).segments[: len(segments)] == segments
    assert after.duration_ns == (30 + 30 + 30) * SECOND
    assert (of.planned_ns, after.job.planned_ns) == (None, 30 * SECOND)  # workers describe what is due before


def test_each_rate_lasts_as_long_as_its_windows_need() -> None:
    phases = tuple(PhaseSpec(n, n, r, s * SECOND) for n, r, s in (("baseline", 10.0, 10), ("spike", 30.0, 5)))
    of = replace(job(30, 5, "constant"), phases=phases)
    after = CutLoads(of, 1, None, planned_result, lambda stage, why: None)
    assert after.duration_ns == (15 + 30 + 150) * SECOND  # 100 arrivals at 5/s take 20 s, at 1/s 100 s


def slow(rate: float) -> Job:
    phases = tuple(PhaseSpec(n, n, rate, SECOND // 2) for n in ("baseline", "spike", "recovery"))
    return replace(job(30, 5, "constant"), phases=phases)


@pytest.mark.parametrize("rate", [1e-9, 1e-300, 5e-324])
def test_the_result_of_a_very_low_rate_can_be_read_again(rate: float) -> None:
    of = slow(rate)
    after = CutLoads(of, 1, 3.0, planned_result, lambda stage, why: None)
    result = planned_result(Tally(Timeline.of(of), ["home"], 1))
    result.cut_load = after.measured(after.duration_ns)
    judge(result)
    assert load(dump(result)) == result


def test_too_low_a_rate_for_windows_is_refused() -> None:
    with pytest.raises(UsageError) as e:
        CutLoads(slow(0.001), 1, None, planned_result, lambda stage, why: None)
    want = "want a higher rate, or --cut-load-for, such as 60s"
    assert (
        str(e.value) == f"--cut-load: 50% of the baseline's rate brings 100 arrivals in over 16 hours; {want}"
    )


def test_one_that_is_cut_short_tells_what_was_seen() -> None:
    result, _, _ = run(job(300, 5, "constant"), 100, until_s=36)
    assert result.overload is not None
    (cut,) = result.overload.cut_load
    assert (cut.share, cut.watched_s, cut.recovered) == (0.5, 6.0, False)


def test_its_steps_are_held_to_conservation() -> None:
    result, _, _ = run(job(300, 5, "constant"), 100)

    def unbalanced() -> list[str]:
        return [v for v in violations(result) if v.startswith("cut load, 30 s")]

    assert unbalanced() == []
    result.cut_load[0].steps[0].ok += 1
    assert unbalanced() == ["cut load, 30 s: 40 scheduled, 41 ended"]
