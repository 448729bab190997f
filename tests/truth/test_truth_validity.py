"""Whose fault it was: lag is the generator's alone, phase by phase; the target's stalls are never lag."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from run_harness import Run, children, command_line, running
from truth_run import MS, Freeze, Measured, TruthServer, prefer, run_profile, truth_server
from truth_saturation import saturated
from truth_tries import Busy, tried

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="this machine has no /proc and no epoll")

# 1,050 arrivals of which 50 are the spike's, 6 of them due while the workers are frozen.
SHORT_SPIKE = """\
name: short-spike
target: http://127.0.0.1:{port}
requests: [{{name: numbered, get: "/{{{{ row.n }}}}"}}]
arrivals: constant
phases:
  - {{name: baseline, rate: 1000/s, for: 800ms}}
  - {{name: spike, rate: 100/s, for: 500ms}}
  - {{name: recovery, rate: 1000/s, for: 200ms}}
{validity}
"""
LATE = Freeze(at=0.8 + 0.2, length=0.06)


def frozen_ms(measured: Measured) -> float:
    """For how long everybody was stopped, at least."""
    return (measured.continued[0] - measured.stopped[1]) / MS


@pytest.mark.parametrize(("validity", "verdict"), [("", "invalid"), ("validity: {lag: 100ms}", "pass")])
def test_a_short_spike_s_lag_is_not_diluted_by_a_long_baseline(validity: str, verdict: str) -> None:
    async def attempt() -> list[str]:
        async with truth_server(["fixed", 2.0]) as server:
            text = SHORT_SPIKE.format(port=server.port, validity=validity)
            measured = await run_profile(text, freeze=LATE)
        frozen = frozen_ms(measured)
        late_by = (measured.stopped[1] - measured.start_ns) / MS - 1000 * LATE.at
        if late_by > 10 or not 50 <= frozen <= 80:  # not past 100 ms, either
            raise Busy(f"the freezer was {late_by:.0f} ms late and froze for {frozen:.0f} ms")
        lag = measured.phase("spike").lag_ms.p99
        assert lag is not None
        assert lag >= 40  # of 50 ms or more: the first of them was due within 10 ms of the signal
        pooled = measured.result.generator.lag_ms["p99"] or 0.0
        if pooled > 10:
            raise Busy(f"send lag was {pooled:.1f} ms at p99 over all phases")
        late = [r.split(":")[0] for r in measured.result.reasons if r.startswith("the generator was late")]
        wanted = ["the generator was late in spike"] if verdict == "invalid" else []
        wrong = [] if measured.result.verdict == verdict else [f"the run is {measured.result.verdict}"]
        return [*wrong, *([] if late == wanted else [f"late: {late}"])]

    tried(attempt)


# Looking at an answer takes longer than giving it: the target has time to spare, the worker has none.
SATURATED = """\
name: saturated
target: http://127.0.0.1:{port}
requests: [{{name: get, get: "/{{{{ row.n }}}}", expect: {{contains: [{words}]}}}}]
arrivals: constant
phases: [{{name: spike, rate: 12000/s, for: 400ms}}]
client: {{timeout: 4s, connections: {connections}}}
"""


@pytest.mark.parametrize("connections", [2, 400])
def test_a_generator_out_of_cpu_is_invalid_with_its_lag_shown(connections: int) -> None:
    """Arrivals wait for a connection, and the connections for the worker: lag, and not the target's fault."""

    async def attempt() -> list[str]:
        async with truth_server(["fixed", 0.0]) as server:
            text = SATURATED.format(
                port=server.port, connections=connections, words=", ".join(["o"] * 1500)
            )  # fmt: skip
            return await saturated(server, text, 4800)

    tried(attempt)


def test_a_stall_of_a_busy_target_is_not_lag() -> None:
    """Its answers come at once when it goes on; while they are read, arrivals still leave in time."""
    text = """\
name: busy
target: http://127.0.0.1:{port}
requests: [{{name: numbered, get: "/{{{{ row.n }}}}"}}]
arrivals: constant
phases: [{{name: baseline, rate: 2000/s, for: 1.6s}}]
client: {{connections: 4000}}
"""

    async def attempt() -> list[str]:
        async with truth_server(["fixed", 1.0]) as server:
            freeze = Freeze(at=0.4, length=0.8, pids=(server.pid,))
            measured = await run_profile(text.format(port=server.port), freeze=freeze)
            log = await server.log()
        phase = measured.phase("baseline")
        assert phase.ok == 3200
        frozen = frozen_ms(measured)
        if frozen < 750:
            raise Busy(f"the freezer was late and froze for {frozen:.0f} ms")
        assert (phase.latency_ms.max or 0) >= frozen - 1
        before = [a for a in log if measured.due[a.number] < measured.stopped[0] - 20 * MS]
        late = sorted(a.sent - a.due for a in before)[len(before) * 99 // 100]
        lag = phase.lag_ms.p99 or 0.0
        if lag > 10 and late > 2 * MS:
            raise Busy(f"the server was {late / MS:.1f} ms late at p99 before the stall")
        return [] if measured.result.verdict == "pass" else measured.result.reasons

    tried(attempt)


PLAIN = """\
name: plain
target: http://127.0.0.1:{port}
requests: [{{get: "/"}}]
arrivals: constant
phases:
  - {{name: baseline, rate: 100/s, for: 6s}}
client: {{timeout: 5s}}
"""


async def stalled(directory: Path, whom: Callable[[TruthServer, int], list[int]]) -> Run:
    """`loadtool spike` with half a second of stall once 50 answers are out; Busy if it was over by then."""
    async with truth_server(["fixed", 5.0]) as server:
        place = Path(tempfile.mkdtemp(dir=directory))
        with running(place, PLAIN.format(port=server.port)) as live:
            await server.answered(10)
            prefer(*workers_of(live.process.pid))
            await server.answered(50)
            pids = whom(server, live.process.pid)
            tell(pids, signal.SIGSTOP)
            begin = time.monotonic_ns()
            await trio.sleep(0.5)
            tell(pids, signal.SIGCONT)
            done = live.end()
        before = sum(answer.sent <= begin for answer in await server.log())
    if before > 540:  # 50 more are due in the stall
        raise Busy(f"{before} of the run's 600 answers were out before the stall began")
    assert pids
    return done


def workers_of(run: int) -> list[int]:
    return [pid for pid in children(run) if "engine.worker" in command_line(pid)]


def tell(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # the run was over before
            os.kill(pid, number)


def test_for_a_user_a_stall_of_the_target_is_a_valid_result(tmp_path: Path) -> None:
    async def attempt() -> list[str]:
        done = await stalled(tmp_path, lambda server, run: [server.pid])
        result = done.result
        latency, lag = (result["phases"][0][name] for name in ("latency_ms", "lag_ms"))
        wrong = [] if latency["max"] >= 495 else [f"the stall does not show: latency max {latency['max']} ms"]
        if lag["max"] >= 400:
            wrong.append(f"the stall shows as lag: max {lag['max']} ms")
        if wrong:
            return wrong
        if done.code == 3 and lag["p99"] > 10:
            raise Busy(f"send lag was {lag['p99']} ms at p99")
        return [] if (done.code, result["verdict"]) == (0, "pass") else [done.out]

    tried(attempt)


def test_for_a_user_a_stall_of_the_workers_is_an_invalid_run(tmp_path: Path) -> None:
    async def attempt() -> list[str]:
        done = await stalled(tmp_path, lambda server, run: workers_of(run))
        result = done.result
        assert done.code == 3
        assert result["verdict"] == "invalid"
        assert result["phases"][0]["latency_ms"]["max"] >= 495
        assert result["phases"][0]["lag_ms"]["max"] >= 480
        assert "the generator was late in baseline: send lag p99 was" in " ".join(done.out.split())
        return []

    tried(attempt)
