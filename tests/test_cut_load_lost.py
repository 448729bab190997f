"""A load that may go on beyond its plan, and a worker that is lost: the others end what was planned, no more.

The frames are known, and the clock is virtual.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
from scripted_fleet import Said, ScriptedFleet
from trio.testing import MockClock

from loadtool.cut_load import CutLoads
from loadtool.drive import Drive, Measured, Silent, result_of
from loadtool.engine.fleet import Lost
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


def frames(job: Job, worker: int, *, late: bool = False) -> Said:
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


def lost_after(said: Said, seconds: int, how: str) -> Said:
    """These frames up to that second, and then the worker's end, 0.5 s later."""
    kept = said[:seconds]
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
    fleet = ScriptedFleet(job, [*frames(after.job, 0), *lost_after(frames(after.job, 1), 12, how)])
    measured = await Drive(loaded, job, 2, Silent(), after=after).run(fleet)
    assert fleet.duration_ns == LENGTH_S * SECOND
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
    fleet = ScriptedFleet(job, both)
    await Drive(loaded, job, 2, Silent(), after=after).run(fleet)
    assert fleet.stopped_s == pytest.approx(14.5)


async def test_what_was_measured_beyond_the_plan_adds_up(autojump_clock: MockClock, tmp_path: Path) -> None:
    """Up to when the lost worker last reported: the others alone bring less than was meant."""
    loaded, job, after = prepared(tmp_path / "p.yaml")
    ended = lost_after(frames(after.job, 1, late=True), 40, "killed")
    fleet = ScriptedFleet(job, [*frames(after.job, 0), *ended])
    measured = await Drive(loaded, job, 2, Silent(), after=after).run(fleet)
    assert fleet.stopped_s == pytest.approx(40.5)
    assert measured.tally.totals.counts[OUTCOMES.index("lost")] == 0
    (cut,) = after.measured(after.duration_ns)
    assert (cut.share, cut.start_s, cut.end_s) == (0.5, 30.0, 40.0)
    assert [step.scheduled for step in cut.steps] == [10] * 10
    assert [step.ok + step.shed + sum(step.errors.values()) for step in cut.steps] == [10] * 10
    assert sum(step.errors.get("lost", 0) for step in cut.steps) == 5
