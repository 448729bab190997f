"""One load that is told to end, and when: its figures stop with its schedule, its wait for answers later."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import trio
from scripted_fleet import Said, ScriptedFleet, reported
from trio.testing import MockClock

from loadtool.drive import Drive, Silent, result_of
from loadtool.judge.verdict import judge
from loadtool.measure.frame import CellDelta, Frame, Sparse
from loadtool.measure.outcome import ABORTED, H_OK, OK
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
    (tmp_path / "p.yaml").write_text(PROFILE)
    loaded = load_profile(tmp_path / "p.yaml", environment={})
    job = build_job(loaded, endpoint=endpoint_of(loaded.profile.target))
    monkeypatch.setattr(time, "monotonic_ns", lambda: round(trio.current_time() * SECOND))
    frames = [
        Frame(0, 0, SECOND, [ended(0, 100, scheduled=100)]),
        Frame(0, 1, 2 * SECOND, [ended(1, 50, scheduled=100)]),
    ]
    fleet = Heeding(job, reported(frames), Frame(0, 2, 0, [ended(1, 0, aborted=50)], final=True))
    async with trio.open_nursery() as nursery:

        async def stop() -> None:
            await trio.sleep(at_s)
            await fleet.stop()

        nursery.start_soon(stop)
        measured = await Drive(loaded, job, 1, Silent()).run(fleet)
    assert measured.problems == []
    result = result_of(loaded, measured, "")
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
    (tmp_path / "p.yaml").write_text(PROFILE)
    loaded = load_profile(tmp_path / "p.yaml", environment={})
    job = build_job(loaded, endpoint=endpoint_of(loaded.profile.target))
    monkeypatch.setattr(time, "monotonic_ns", lambda: round(trio.current_time() * SECOND))
    cells = [ended(n, 100, scheduled=100) for n in (0, 1)]
    fleet = ScriptedFleet(
        job, reported([Frame(0, n, (n + 1) * SECOND, [cell], final=n == 1) for n, cell in enumerate(cells)])
    )
    async with trio.open_nursery() as nursery:
        if at_s is not None:

            async def stop() -> None:
                await trio.sleep(at_s or 0)
                await fleet.stop()

            nursery.start_soon(stop)
        measured = await Drive(loaded, job, 1, Silent()).run(fleet)
    result = result_of(loaded, measured, "")
    assert (result.elapsed_s, result.ended_s) == (elapsed_s, at_s)
    assert result.end_s == elapsed_s
