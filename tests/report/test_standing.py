"""The SLOs of a load that goes on are judged beside it, and nothing waits for that."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence

import pytest

from loadtool.measure.frame import CellDelta, Frame, Sparse
from loadtool.measure.groups import Groups
from loadtool.measure.outcome import H_LAG, H_OK, H_SERVICE, OK
from loadtool.measure.result import SloFigure
from loadtool.measure.tally import Tally
from loadtool.plan.job import ClientSpec, Endpoint, Job, PhaseSpec, RequestSpec
from loadtool.plan.timeline import Timeline
from loadtool.profile.slo import Slo, parse_slo
from loadtool.report import standing as standing_module
from loadtool.report.standing import Standing

SECOND = 1_000_000_000
JOB = Job(
    seed=1,
    arrivals="constant",
    phases=(PhaseSpec("baseline", "baseline", 10.0, 60 * SECOND),),
    faults=(),
    requests=(RequestSpec("browse", 1.0, "GET", "/"),),
    rows=(),
    endpoint=Endpoint("http", "127.0.0.1", 80, "127.0.0.1", "127.0.0.1"),
    client=ClientSpec(SECOND, None, 10, True, (429, 503)),
    good_within_ns=SECOND // 2,
    slice_ns=SECOND,
)
SLOS = [parse_slo("p50 < 20ms"), parse_slo("error rate < 1%")]
Judge = Callable[[Sequence[Slo], Groups, Collection[str]], list[SloFigure]]


@pytest.fixture
def tally() -> Tally:
    tally = Tally(Timeline.of(JOB), ["browse"], 1)
    more(tally, 0)
    return tally


def more(tally: Tally, second: int) -> None:
    """Ten ok answers in this second of the run."""
    cell = CellDelta(second, 0, 0, scheduled=10, good=10, attempts=10)
    cell.counts[OK] = 10
    cell.values = {code: Sparse({10_000: 10}, 100_000, 10_000) for code in (H_OK, H_SERVICE, H_LAG)}
    tally.add(Frame(0, second, (second + 1) * SECOND, [cell]))


def replaced(monkeypatch: pytest.MonkeyPatch, judge: Callable[[Groups], None]) -> None:
    """What judges is preceded by this, in its thread."""
    real: Judge = standing_module.judge_groups

    def judging(slos: Sequence[Slo], groups: Groups, warmups: Collection[str]) -> list[SloFigure]:
        judge(groups)
        return real(slos, groups, warmups)

    monkeypatch.setattr(standing_module, "judge_groups", judging)


@pytest.mark.parametrize(
    ("takes_s", "looked"),
    [
        (0.0, [0, SECOND, 2 * SECOND, 3 * SECOND, 4 * SECOND, 5 * SECOND, 6 * SECOND]),
        (0.3, [0, 3 * SECOND, 6 * SECOND]),
    ],
)
async def test_slos_that_take_long_to_judge_are_judged_less_often(
    monkeypatch: pytest.MonkeyPatch, tally: Tally, takes_s: float, looked: list[int]
) -> None:
    """In a thread of their own: the first one is that of the faults."""
    threads: list[int] = []
    replaced(monkeypatch, lambda _: threads.append(threading.get_ident()))
    monkeypatch.setattr(time, "thread_time", lambda: takes_s * len(threads))
    notices: list[str] = []
    standing = Standing(SLOS, set(), notices.append)
    anew = []
    for quarter in range(28):
        before = len(threads)
        figures = await standing.look(tally, quarter * SECOND // 4)
        assert [(f.text, f.status, f.samples) for f in figures] == [
            ("p50 < 20ms", "pass", 10),
            ("error rate < 1%", "pass", 10),
        ]
        anew += [quarter * SECOND // 4] * (len(threads) - before)
    assert anew == looked
    assert threading.get_ident() not in threads
    assert notices == []


async def test_they_stay_as_they_stood_once_a_copy_of_the_figures_takes_too_long(
    monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    copies: list[int] = []
    groups = Tally.groups

    def copying(tally: Tally, end_ns: int, copied: Collection[int]) -> Groups:
        copies.append(end_ns)
        return groups(tally, end_ns, copied)

    monkeypatch.setattr(Tally, "groups", copying)
    monkeypatch.setattr(time, "thread_time", lambda: 0.06 * (len(copies) == 2))
    notices: list[str] = []
    standing = Standing(SLOS, set(), notices.append)
    for second in range(20):
        more(tally, second + 1)
        figures = await standing.look(tally, second * SECOND)
    assert copies == [0, SECOND]
    assert [f.samples for f in figures] == [30, 30]
    assert notices == [
        "SLOs are shown as they stood at 1.0 s: to judge so many figures while the load lasts would hold up "
        "the faults; the report judges all"
    ]


async def test_what_comes_meanwhile_is_for_the_next_time(
    monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    """The copy has histograms of its own, and of the classes alone that are read."""
    seen: list[Groups] = []

    def meanwhile(groups: Groups) -> None:
        seen.append(groups)
        more(tally, len(seen))

    replaced(monkeypatch, meanwhile)
    standing = Standing(SLOS, set(), list[str]().append)
    for second in range(3):
        figures = await standing.look(tally, second * SECOND)
        assert [f.samples for f in figures] == [10 * (second + 1)] * 2
    for number, groups in enumerate(seen):
        (group,) = groups.all
        population = group.filled["browse"]
        assert set(population.values) == {H_OK}
        assert population.histogram(H_OK).total == population.ok == 10 * (number + 1)
