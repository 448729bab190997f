"""One load, with workers whose frames are known: what ends it, and what does not. Its clock is virtual."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
import trio
from scripted_fleet import ScriptedFleet, reported
from trio.testing import MockClock

from loadtool import drive as drive_module
from loadtool.chaos.conductor import Conductor
from loadtool.drive import Drive, Silent, abort_watch, result_of, stage_of
from loadtool.engine.fleet import Fleet, Lost
from loadtool.judge.abort import AbortWatch
from loadtool.judge.slo import judge_groups
from loadtool.measure.frame import CellDelta, Frame
from loadtool.measure.groups import Groups
from loadtool.measure.outcome import OK, OUTCOMES
from loadtool.measure.result import SloFigure
from loadtool.measure.snapshot import Snapshot
from loadtool.measure.tally import Tally
from loadtool.plan.build import build_job
from loadtool.plan.endpoint import endpoint_of
from loadtool.plan.job import Job
from loadtool.plan.schedule import Schedule
from loadtool.plan.timeline import Timeline
from loadtool.profile.load import Loaded, load_profile
from loadtool.report.stage import Bar, Stage
from loadtool.report.standing import Standing

SECOND = 1_000_000_000
# 20 arrivals in two seconds; 10 % of them are two.
PROFILE = """\
name: short
target: http://127.0.0.1:1
arrivals: constant
client: {timeout: 2s}
requests: [{name: browse, get: /}]
phases: [{name: baseline, rate: 10/s, for: 2s}]
slos: [{slo: error rate < 10%, abort: true}]
"""


Short = tuple[Loaded, Job]


@pytest.fixture
def short(tmp_path: Path) -> Short:
    """PROFILE, and what it has the workers do."""
    (tmp_path / "p.yaml").write_text(PROFILE)
    loaded = load_profile(tmp_path / "p.yaml", environment={})
    return loaded, build_job(loaded, endpoint=endpoint_of(loaded.profile.target))


class Beyond:
    """A continuation to the 20th second of which nothing is counted."""

    duration_ns = 20 * SECOND
    bars = (Bar("beyond", 2.0, 20.0),)

    def __init__(self, tally: Tally) -> None:
        self.tally = tally

    def take(self, frame: Frame) -> Frame:
        self.tally.add(frame)
        return frame

    def over(self, planned: Tally, *, lost: bool) -> bool:
        return False


def ended(slice_: int, scheduled: int, ok: int, timeout: int) -> CellDelta:
    cell = CellDelta(slice_, 0, 0, scheduled=scheduled)
    cell.counts[OK], cell.counts[OUTCOMES.index("timeout")] = ok, timeout
    return cell


@pytest.mark.parametrize(
    ("answered_s", "continued", "aborted"),
    [
        (3, True, False),  # the plan is over: what is learned from now on is no reason to end what follows it
        (3, False, False),  # nor to give up what is still awaited
        (1, True, True),
        (1, False, True),
    ],
)
async def test_an_slo_ends_what_was_planned_and_not_what_follows(
    autojump_clock: MockClock, short: Short, answered_s: int, continued: bool, aborted: bool
) -> None:
    loaded, job = short
    cells: dict[int, list[CellDelta]] = {n: [] for n in range(1, 11)}  # by the second when they are reported
    cells[1].append(ended(0, 10, 8, 0))
    cells[2].append(ended(1, 10, 10, 0))
    cells[answered_s].append(ended(0, 0, 0, 2))
    frames = [Frame(0, n - 1, n * SECOND, told, final=n == 10) for n, told in cells.items()]
    fleet = ScriptedFleet(job, reported(frames))
    drive = Drive(loaded, job, 1, Silent(), watch=await abort_watch(loaded, job))
    if continued:
        drive.after = Beyond(Tally(Timeline.of(job), ["browse"], 1))
    measured = await drive.run(fleet)
    assert (fleet.stop_ns is not None, measured.aborted is not None) == (aborted, aborted)
    assert measured.tally.totals.failed == 2
    if not aborted:
        assert measured.end_ns == 2 * SECOND


class Choosy:
    shows_slos = False
    """A view that wants every other of its times."""

    def __init__(self) -> None:
        self.asked = 0
        self.told: list[Snapshot] = []

    def begin(self, stage: Stage) -> None:
        pass

    def notice(self, text: str) -> None:
        raise AssertionError(text)

    def end(self) -> None:
        pass

    def wants(self, elapsed_s: float, active_faults: Collection[str]) -> bool:
        self.asked += 1
        return self.asked % 2 == 1

    def update(self, now: Snapshot, active_faults: Collection[str], slos: Sequence[SloFigure]) -> None:
        self.told.append(now)


@pytest.mark.parametrize("shown", [Choosy(), Silent()])
async def test_nothing_is_worked_out_for_a_view_that_does_not_want_it(
    autojump_clock: MockClock, short: Short, monkeypatch: pytest.MonkeyPatch, shown: Choosy | Silent
) -> None:
    loaded, job = short
    frames = [Frame(0, n - 1, n * SECOND, [ended(n - 1, 10, 10, 0)], final=n == 2) for n in (1, 2)]
    made: list[Snapshot] = []
    snapshot = Tally.snapshot

    def noted(tally: Tally, elapsed_ns: int) -> Snapshot:
        made.append(snapshot(tally, elapsed_ns))
        return made[-1]

    monkeypatch.setattr(Tally, "snapshot", noted)
    measured = await Drive(loaded, job, 1, shown).run(ScriptedFleet(job, reported(frames)))
    assert measured.tally.totals.ok == 20
    if isinstance(shown, Choosy):
        assert len(made) == (shown.asked + 1) // 2 > 0
        assert made[:-1] == shown.told[: len(made) - 1]  # the load's end may have come before the last one
    else:
        assert made == []


class Curious(Silent):
    def __init__(self, *, shows_slos: bool) -> None:
        self.shows_slos = shows_slos
        self.told: list[Sequence[SloFigure]] = []

    def wants(self, elapsed_s: float, active_faults: Collection[str]) -> bool:
        return True

    def update(self, now: Snapshot, active_faults: Collection[str], slos: Sequence[SloFigure]) -> None:
        self.told.append(slos)


@pytest.mark.parametrize("shows", [True, False])
async def test_slos_are_judged_for_a_view_that_shows_them(
    autojump_clock: MockClock, short: Short, monkeypatch: pytest.MonkeyPatch, shows: bool
) -> None:
    loaded, job = short
    judged: list[int] = []
    found = judge_groups(loaded.slos, Groups([]), ())

    async def noted(standing: Standing, tally: Tally, elapsed_ns: int) -> Sequence[SloFigure]:
        judged.append(elapsed_ns)
        return found  # at once, as the clock goes on while a thread judges

    monkeypatch.setattr(Standing, "look", noted)
    frames = [Frame(0, n - 1, n * SECOND, [ended(n - 1, 10, 10, 0)], final=n == 2) for n in (1, 2)]
    view = Curious(shows_slos=shows)
    await Drive(loaded, job, 1, view).run(ScriptedFleet(job, reported(frames)))
    assert bool(judged) == shows
    assert all(slos == (found if shows else ()) for slos in view.told)


@pytest.mark.parametrize(("takes_s", "apart_s"), [(0.001, 0.25), (0.05, 0.5)])
async def test_slos_that_may_end_the_load_are_looked_at_less_often_if_it_takes_long(
    autojump_clock: MockClock,
    short: Short,
    monkeypatch: pytest.MonkeyPatch,
    takes_s: float,
    apart_s: float,
) -> None:
    """Nothing else goes on meanwhile here, either."""
    loaded, job = short
    looked: list[float] = []

    class Watch:
        def check(self, tally: Tally, elapsed_ns: int) -> None:
            looked.append(trio.current_time())

    monkeypatch.setattr(time, "thread_time", lambda: takes_s * len(looked))
    frames = [Frame(0, n - 1, n * SECOND, [ended(n - 1, 10, 10, 0)], final=n == 2) for n in (1, 2)]
    drive = Drive(loaded, job, 1, Silent(), watch=cast(AbortWatch, Watch()))
    await drive.run(ScriptedFleet(job, reported(frames)))
    assert len(looked) >= 3
    assert [later - earlier for earlier, later in pairwise(looked)] == pytest.approx(
        [apart_s] * (len(looked) - 1), abs=0.001
    )


class Noting(Silent):
    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)


async def test_what_befalls_a_worker_is_told_once_and_kept(autojump_clock: MockClock, short: Short) -> None:
    loaded, job = short
    said = ["first", "second"]
    frames = [
        Frame(0, n - 1, n * SECOND, [ended(n - 1, 10, 10, 0)], warnings=said[:n], final=n == 2)
        for n in (1, 2)
    ]
    view = Noting()
    measured = await Drive(loaded, job, 1, view).run(ScriptedFleet(job, reported(frames)))
    assert view.notices == said
    assert result_of(loaded, measured, "").warnings == said


@pytest.mark.parametrize(("again", "doubted"), [(0, False), (9, False), (10, True)])
async def test_much_that_is_sent_again_is_doubted(
    autojump_clock: MockClock, short: Short, again: int, doubted: bool
) -> None:
    """It is no error: a service that resets what it has read of would pass without a word."""
    loaded, job = short
    frames = [
        Frame(0, n - 1, n * SECOND, [ended(n - 1, 10, 10, 0)], retried=(n - 1) * again, final=n == 2)
        for n in (1, 2)
    ]
    measured = await Drive(loaded, job, 1, Silent()).run(ScriptedFleet(job, reported(frames)))
    warnings = result_of(loaded, measured, "").warnings
    assert [w.partition(",")[0] for w in warnings] == ["over 1% of the requests were sent again"] * doubted


def test_a_phase_has_its_rate_from_its_first_moment_on(tmp_path: Path) -> None:
    """Wherever it begins between the samples of a plan's curve."""
    path = tmp_path / "steps.yaml"
    lengths = ("a", 10, "10007ms"), ("b", 300, "9s"), ("c", 20, "20s")
    phases = ", ".join(f"{{name: {name}, rate: {rate}/s, for: {long}}}" for name, rate, long in lengths)
    path.write_text(PROFILE.replace("{name: baseline, rate: 10/s, for: 2s}", phases))
    loaded = load_profile(path, environment={})
    stage = stage_of(loaded, build_job(loaded, endpoint=endpoint_of(loaded.profile.target)))
    for phase, rate, before in zip(stage.phases, (10, 300, 20), (0, 10, 300), strict=True):
        assert stage.rate(phase.start_s) == rate
        assert stage.rate(phase.start_s - 0.001) == before


async def test_what_a_lost_worker_leaves_is_counted_while_signals_are_heeded(
    short: Short, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole schedule is drawn for it, so not in the thread that heeds them."""
    loaded, job = short
    drawn_in: list[threading.Thread] = []

    class Noted:
        def __init__(self, job: Job) -> None:
            self._schedule = Schedule(job)

        def counts_by_segment_and_request(self, *share: int) -> dict[tuple[int, int, int], int]:
            drawn_in.append(threading.current_thread())
            return self._schedule.counts_by_segment_and_request(*share)

        def counts_by_worker(self, *share: Any) -> dict[int, dict[tuple[int, int, int], int]]:
            drawn_in.append(threading.current_thread())
            return self._schedule.counts_by_worker(*share)

        def count(self) -> int:
            drawn_in.append(threading.current_thread())
            return self._schedule.count()

    monkeypatch.setattr(drive_module, "Schedule", Noted)
    measured = await Drive(loaded, job, 1, Silent()).run(ScriptedFleet(job, [(0, Lost(0, "it was killed"))]))
    assert measured.tally.totals.counts[OUTCOMES.index("lost")] == 20
    assert len(drawn_in) >= 2
    assert threading.current_thread() not in drawn_in


class Faults:
    """A conductor that writes down when its faults are taken out."""

    def __init__(self, events: list[str]) -> None:
        self._events = events

    async def run(self, origin: float) -> None:
        await trio.sleep_forever()

    async def end(self) -> None:
        self._events.append("out")

    def active(self) -> list[str]:
        return []


@pytest.mark.parametrize("many", [19, 20])
async def test_no_fault_outlasts_its_load_for_as_long_as_a_long_schedule_is_drawn(
    short: Short, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    """Which is drawn once for all lost workers, and announced. After a short one they go with the rest."""
    loaded, job = short
    view = Noting()

    class Noted:
        def __init__(self, job: Job) -> None:
            self._schedule = Schedule(job)

        def counts_by_worker(self, *share: Any) -> dict[int, dict[tuple[int, int, int], int]]:
            view.notices.append("drawn")
            return self._schedule.counts_by_worker(*share)

        def count(self) -> int:
            view.notices.append("counted")
            return self._schedule.count()

    loaded = replace(loaded, slos=())  # none to draw the schedule for before the load
    monkeypatch.setattr(drive_module, "Schedule", Noted)
    monkeypatch.setattr(drive_module, "MANY", many)
    drive = Drive(loaded, job, 2, view, cast(Conductor, Faults(view.notices)))
    measured = await drive.run(ScriptedFleet(job, [(0, Lost(number, "killed")) for number in (1, 0)]))
    early = ["out", "counting the 20 arrivals that were planned"] if many < 20 else []
    assert view.notices == [
        "worker 2 was lost (killed)", "worker 1 was lost (killed)",
        "taking the faults out", *early, "drawn", "counted",
    ]  # fmt: skip
    assert [problem.partition(":")[0] for problem in measured.problems] == [
        f"worker {number} of 2 was lost (killed), and 10 arrivals with it" for number in (1, 2)
    ]
    assert measured.tally.totals.counts[OUTCOMES.index("lost")] == 20


async def test_it_is_told_that_faults_come_out_before_an_undo_is_waited_for(
    autojump_clock: MockClock, short: Short
) -> None:
    loaded, job = short
    view = Noting()

    class Undoing(Faults):
        async def run(self, origin: float) -> None:
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(9)
                self._events.append("undone")

    frames = [
        Frame(0, n - 1, n * SECOND, [ended(n - 1, 10, 10, 0)], warnings=[], final=n == 2) for n in (1, 2)
    ]
    drive = Drive(loaded, job, 1, view, cast(Conductor, Undoing(view.notices)))
    await drive.run(ScriptedFleet(job, reported(frames)))
    assert view.notices == ["taking the faults out", "undone"]


async def test_a_load_that_is_stopped_before_it_begins_does_not_begin(short: Short) -> None:
    """As the last thing that is done before: a signal may come at any time."""
    loaded, job = short
    fleet = Fleet(job, [], 0)
    await fleet.stop()
    view = Choosy()
    measured = await Drive(loaded, job, 1, view).run(fleet)
    assert (fleet.begun, measured.end_ns, measured.tally.totals.scheduled, view.asked) == (False, 0, 0, 0)
