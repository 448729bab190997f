"""A load that goes on beyond its plan to its very end: it is the same load however many workers send it.

The frames are known, and the clock is virtual. A worker ends with its own last arrival, as a real one does.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
from scripted_fleet import ScriptedFleet, reported
from trio.testing import MockClock

from loadtool.cut_load import CutLoads
from loadtool.drive import Drive, Measured, Silent, result_of
from loadtool.judge.verdict import judge
from loadtool.measure.frame import CellDelta, Frame, Sparse
from loadtool.measure.outcome import H_OK, OK, OUTCOMES
from loadtool.measure.result import Result
from loadtool.measure.tally import Tally
from loadtool.plan.build import build_job
from loadtool.plan.endpoint import endpoint_of
from loadtool.plan.job import Job
from loadtool.plan.schedule import Schedule
from loadtool.profile.load import load_profile

SECOND = 1_000_000_000
PROFILE = """\
name: down
target: http://127.0.0.1:1
seed: 1
requests: [{name: browse, get: /}]
phases:
  - {name: baseline, rate: 20/s, for: 5s}
  - {name: spike, rate: 60/s, for: 1s}
  - {name: recovery, rate: 20/s, for: 5s}
"""
ANSWER_US = 5_000
FOR_S = 15.0
HALF_S, TENTH_S, END_S = 11.0, 26.0, 41.0  # when each of the two rates begins, and when the last one ends


def frames(job: Job, worker: int, workers: int) -> list[Frame]:
    """What a worker reports from second to second, and with its last answer.

    From the spike on the service answers nobody well, until a tenth of the load is left.
    """
    cells: defaultdict[int, dict[tuple[int, int], CellDelta]] = defaultdict(dict)
    last = 0
    for batch in Schedule(job).batches(worker, workers):
        for due, segment in zip(batch.due, batch.segment, strict=True):
            key = due // SECOND, segment
            cell = cells[key[0]].setdefault(key, CellDelta(*key, 0))
            ok = not 5 * SECOND <= due < TENTH_S * SECOND
            cell.scheduled += 1
            cell.attempts += 1
            cell.good += ok
            cell.counts[OK if ok else OUTCOMES.index("reset")] += 1
            if ok:
                sparse = cell.values.setdefault(H_OK, Sparse({ANSWER_US: 0}, 0, ANSWER_US))
                sparse.counts[ANSWER_US] += 1
                sparse.sum_us += ANSWER_US
            last = due + ANSWER_US * 1000
    final = last // SECOND
    told = [
        Frame(worker, n, (n + 1) * SECOND, list(cells[n].values()), final=n == final)
        for n in range(final + 1)
    ]
    told[-1].elapsed_ns = last
    return told


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
async def test_any_number_of_workers_sends_the_same(
    autojump_clock: MockClock, tmp_path: Path, workers: int
) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(PROFILE)
    loaded = load_profile(path, environment={})
    job = build_job(loaded, endpoint=endpoint_of(loaded.profile.target))

    def planned(tally: Tally) -> Result:
        return result_of(loaded, Measured(job, workers, tally, 0.0, tally.timeline.duration_ns), "")

    after = CutLoads(job, workers, FOR_S, planned, lambda stage, why: None)
    said = [frame for worker in range(workers) for frame in frames(after.job, worker, workers)]
    ends = sorted(frame.elapsed_ns for frame in said if frame.final)
    assert ends[-1] < END_S * SECOND
    assert workers < 3 or ends[0] < ends[-1] - SECOND  # or there is nothing to lose
    fleet = ScriptedFleet(job, reported(said))
    measured = await Drive(loaded, job, workers, Silent(), after=after).run(fleet)
    assert fleet.stop_ns is None  # it has ended by itself
    result = result_of(loaded, measured, "")
    result.cut_load = after.measured(after.duration_ns)
    expected = Schedule(after.job).counts_by_segment(round(HALF_S * SECOND))
    assert [(cut.share, cut.start_s, cut.end_s) for cut in result.cut_load] == [
        (0.5, HALF_S, TENTH_S), (0.1, TENTH_S, END_S),
    ]  # fmt: skip
    assert sum(step.scheduled for cut in result.cut_load for step in cut.steps) == sum(expected.values())
    judge(result)
    assert result.overload is not None
    tenth = result.overload.cut_load[-1]
    assert (tenth.share, tenth.watched_s, tenth.recovered, tenth.recovered_s) == (0.1, FOR_S, True, 0.0)
