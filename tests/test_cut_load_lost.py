"""A load that may go on beyond its plan, and a worker that is lost: the others end what was planned, no more.

The frames are known, and the clock is virtual.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from loadtool.cut_load import CutLoads
from loadtool.drive import Drive, Measured, Silent, result_of
from loadtool.engine.fleet import Fleet, Lost
from loadtool.measure.frame import CellDelta, Frame, Sparse
from loadtool.measure.outcome import H_OK, OK, OUTCOMES
from loadtool.measure.result import Result
from loadtool.measure.tally import Tally
from loadtool.plan.build import build_job
from loadtool.plan.endpoint import endpoint_of
from loadtool.plan.job import Job
from loadtool.plan.schedule import Schedule
from loadtool.profile.load import Loaded, load_profile

SECOND = 1_000_000_000
PROFILE = """\
name: down
target: http://127.0.0.1:1
arrivals: constant
client: {timeout: 2s}
requests: [{name: browse, get: /}]
phases:
  - {name: baseline, rate: 20/s, for: 10s}
  - {name: spike, rate: 40/s, for: 5s}
  - {name: recovery, rate: 20/s, for: 15s}
"""
WELL_NS = 10 * SECOND  # from then on the service answers nobody
PLANNED_S = 30
LENGTH_S = PLANNED_S + 2 * 30
ANSWER_US = 10_000


class Scripted(Fleet):
    """Workers that say this at its times, in s, until they are stopped."""

    def __init__(self, job: Job, said: Sequence[tuple[float, Frame | Lost]]) -> None:
        super().__init__(job, [], 0)
        self._said = said
        self._origin = 0.0
        self.stopped_s: float | None = None

    async def run(self, duration_ns: int, *, task_status: trio.TaskStatus[int]) -> None:
        assert duration_ns == LENGTH_S * SECOND
        self.start_ns = time.monotonic_ns()
        task_status.started(self.start_ns)
        self._origin = trio.current_time()
        async with self._send:
            for at, item in sorted(self._said, key=lambda both: both[0]):
                await trio.sleep_until(self._origin + at)
                if self.stop_ns is not None:
                    return
                self._send.send_nowait(item)

    async def stop(self) -> None:
        await super().stop()
        self.stopped_s = trio.current_time() - self._origin


def frames(job: Job, worker: int, *, late: bool = False) -> list[tuple[float, Frame | Lost]]:
    """What one of two workers reports from second to second. `late`: what fails does so a second later."""
    cells: defaultdict[int, dict[tuple[int, int], CellDelta]] = defaultdict(dict)
    for batch in Schedule(job).batches(worker, 2):
        for due, segment in zip(batch.due, batch.segment, strict=True):
            key = due // SECOND, segment
            ok = due < WELL_NS
            cells[key[0]].setdefault(key, CellDelta(*key, 0)).scheduled += 1
            ended = cells[key[0] + (late and not ok)].setdefault(key, CellDelta(*key, 0))
            ended.counts[OK if ok else OUTCOMES.index("timeout")] += 1
            ended.attempts += 1
            if ok:
                ended.good += 1
                sparse = ended.values.setdefault(H_OK, Sparse({ANSWER_US: 0}, 0, ANSWER_US))
                sparse.counts[ANSWER_US] += 1
                sparse.sum_us += ANSWER_US
    last = max(cells)
    return [
        (n + 1, Frame(worker, n, (n + 1) * SECOND, list(cells[n].values()), final=n == last))
        for n in range(last + 1)
    ]


def lost_after(
    said: Sequence[tuple[float, Frame | Lost]], seconds: int, how: str
) -> list[tuple[float, Frame | Lost]]:
    """These frames up to that second, and then the worker's end, 0.5 s later."""
    kept = list(said[:seconds])
    _, last = kept[-1]
    assert isinstance(last, Frame)
    if how == "killed":
        return [*kept, (seconds + 0.5, Lost(last.worker, how))]
    if how == "killed in mid-report":
        told = Frame(last.worker, last.sequence + 1, last.elapsed_ns + SECOND // 2, [], more=True)
        return [*kept, (seconds + 0.4, told), (seconds + 0.5, Lost(last.worker, how))]
    wrong = Frame(last.worker, last.sequence + 2, last.elapsed_ns + SECOND // 2, [])
    return [*kept, (seconds + 0.5, wrong), *said[seconds:]]


def prepared(path: Path) -> tuple[Loaded, Job, CutLoads]:
    path.write_text(PROFILE)
    loaded = load_profile(path, environment={})
    job = build_job(loaded, endpoint=endpoint_of(loaded.profile.target))

    def planned(tally: Tally) -> Result:
        return result_of(loaded, Measured(job, 2, tally, 0.0, tally.timeline.duration_ns), "")

    after = CutLoads(job, 2, 30.0, planned, lambda stage, why: None)
    assert after.duration_ns == LENGTH_S * SECOND
    return loaded, job, after


@pytest.mark.parametrize("how", ["killed", "killed in mid-report", "it sent what can't be"])
async def test_the_others_end_what_was_planned_and_no_more(
    autojump_clock: MockClock, tmp_path: Path, how: str
) -> None:
    loaded, job, after = prepared(tmp_path / "p.yaml")
    fleet = Scripted(job, [*frames(after.job, 0), *lost_after(frames(after.job, 1), 12, how)])
    measured = await Drive(loaded, job, 2, Silent(), after=after).run(fleet)
    assert fleet.stopped_s is not None
    # A timeout after the planned end, and the report that tells so.
    assert PLANNED_S + 2 <= fleet.stopped_s < PLANNED_S + 4
    (problem,) = measured.problems
    assert problem.startswith(f"worker 2 of 2 was lost ({how}")
    assert (measured.tally.totals.scheduled, measured.tally.workers_lost) == (Schedule(job).count(), 1)
    assert after.measured(after.duration_ns) == []


async def test_one_worker_alone_ends_at_once(autojump_clock: MockClock, tmp_path: Path) -> None:
    """It has sent what can't be, and lives on: nothing more is to be learned from it."""
    loaded, job, after = prepared(tmp_path / "p.yaml")
    both = [
        *lost_after(frames(after.job, 0), 12, "it sent what can't be"),
        *lost_after(frames(after.job, 1), 14, "killed"),
    ]
    fleet = Scripted(job, both)
    await Drive(loaded, job, 2, Silent(), after=after).run(fleet)
    assert fleet.stopped_s == pytest.approx(14.5)


async def test_what_was_measured_beyond_the_plan_adds_up(autojump_clock: MockClock, tmp_path: Path) -> None:
    """Up to when the lost worker last reported: the others alone bring less than was meant."""
    loaded, job, after = prepared(tmp_path / "p.yaml")
    ended = lost_after(frames(after.job, 1, late=True), 40, "killed")
    fleet = Scripted(job, [*frames(after.job, 0), *ended])
    measured = await Drive(loaded, job, 2, Silent(), after=after).run(fleet)
    assert fleet.stopped_s == pytest.approx(40.5)
    assert measured.tally.totals.counts[OUTCOMES.index("lost")] == 0
    (cut,) = after.measured(after.duration_ns)
    assert (cut.share, cut.start_s, cut.end_s) == (0.5, 30.0, 40.0)
    assert [step.scheduled for step in cut.steps] == [10] * 10
    assert [step.ok + step.shed + sum(step.errors.values()) for step in cut.steps] == [10] * 10
    assert sum(step.errors.get("lost", 0) for step in cut.steps) == 5
