"""One load that is told to end, and when: its figures stop with its schedule, its wait for answers later."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from scripted_fleet import Said, ScriptedFleet, reported
from trio.testing import MockClock

from loadtool.drive import Drive, Measured, Silent, result_of
from loadtool.judge.verdict import judge
from loadtool.measure.frame import CellDelta, Frame, Sparse
from loadtool.measure.outcome import ABORTED, H_OK, OK
from loadtool.measure.result import Result
from loadtool.plan.build import build_job
from loadtool.plan.endpoint import endpoint_of
from loadtool.plan.job import Job
from loadtool.profile.load import load_profile
from loadtool.units import SECOND

# 200 arrivals in two seconds.
PROFILE = """\
name: short
target: http://127.0.0.1:1
arrivals: constant
good_within: 1s
client: {timeout: 20s}
requests: [{name: browse, get: /}]
phases: [{name: baseline, rate: 100/s, for: 2s}]
slos: [goodput >= 90/s in any 1s]
"""
UNDER_WAY = "50 arrivals were under way when the run ended"


class Heeding(ScriptedFleet):
    """Its worker tells, when it is stopped, what it has aborted."""

    def __init__(self, job: Job, said: Said, last: Frame) -> None:
        super().__init__(job, [*said, (3600.0, last)])
        self._last = last

    async def stop(self) -> None:
        await super().stop()
        assert self.stop_ns is not None
        self._last.elapsed_ns = self.stop_ns - self.start_ns
        self._send.send_nowait(self._last)


def ended(slice_: int, ok: int, aborted: int = 0, scheduled: int = 0) -> CellDelta:
    cell = CellDelta(slice_, 0, 0, scheduled=scheduled, good=ok, attempts=scheduled)
    cell.counts[OK], cell.counts[ABORTED] = ok, aborted
    if ok:
        cell.values[H_OK] = Sparse({1000: ok}, 1000 * ok, 1000)
    return cell


async def run(
    fleet_of: Callable[[Job], ScriptedFleet],
    at_s: float | None,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Measured, Result]:
    """The load of this fleet, stopped at `at_s` unless that is None, on the clock of the test."""
    (directory / "p.yaml").write_text(PROFILE)
    loaded = load_profile(directory / "p.yaml", environment={})
    job = build_job(loaded, endpoint=endpoint_of(loaded.profile.target))
    monkeypatch.setattr(time, "monotonic_ns", lambda: round(trio.current_time() * SECOND))
    fleet = fleet_of(job)

    async def stop(at: float) -> None:
        await trio.sleep(at)
        await fleet.stop()

    async with trio.open_nursery() as nursery:
        if at_s is not None:
            nursery.start_soon(stop, at_s)
        measured = await Drive(loaded, job, 1, Silent()).run(fleet)
    return measured, result_of(loaded, measured, "")


@pytest.mark.parametrize(
    ("at_s", "status"),
    [
        (2.5, "inconclusive"),
        (7.5, "fail"),  # each of them had had its second
    ],
)
async def test_a_load_that_is_stopped_after_its_last_arrival_ended_then(
    autojump_clock: MockClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at_s: float,
    status: str,
) -> None:
    frames = [
        Frame(0, 0, SECOND, [ended(0, 100, scheduled=100)]),
        Frame(0, 1, 2 * SECOND, [ended(1, 50, scheduled=100)]),
    ]
    last = Frame(0, 2, 0, [ended(1, 0, aborted=50)], final=True)
    measured, result = await run(
        lambda job: Heeding(job, reported(frames), last), at_s, tmp_path, monkeypatch
    )
    assert measured.problems == []
    assert (result.elapsed_s, result.ended_s, result.totals.offered_per_s) == (2.0, at_s, 100.0)
    result.interrupted = "SIGINT"
    assert judge(result).reasons == (f"interrupted by SIGINT after {at_s} s",)
    (slo,) = result.slos
    assert (slo.status, UNDER_WAY in slo.note) == (status, status == "inconclusive")


@pytest.mark.parametrize(("at_s", "elapsed_s"), [(1.25, 1.25), (None, 2.0)])
async def test_one_that_is_stopped_in_its_plan_and_one_that_is_not(
    autojump_clock: MockClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at_s: float | None,
    elapsed_s: float,
) -> None:
    cells = [ended(n, 100, scheduled=100) for n in (0, 1)]
    frames = [Frame(0, n, (n + 1) * SECOND, [cell], final=n == 1) for n, cell in enumerate(cells)]
    _, result = await run(lambda job: ScriptedFleet(job, reported(frames)), at_s, tmp_path, monkeypatch)
    assert (result.elapsed_s, result.ended_s) == (elapsed_s, at_s)
    assert result.end_s == elapsed_s
