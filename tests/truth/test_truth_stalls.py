"""Stalls of known length show in full, wherever they are: in the server, on the way to it, in the workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from typing import Literal

import httpx
import pytest
from analytic import FIGURES
from truth_experiment import MOST_MS, RESOLUTION, Comparison, Experiment
from truth_run import HERE, prefer, run_profile, truth_server
from truth_tries import Busy, tried

from loadtool.measure.outcome import H_CONNECT, H_LAG, H_OK, H_QUEUED, H_SERVICE
from loadtool.measure.population import from_result, pool
from loadtool.processes import Child

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="this machine has no /proc and no epoll")

SETS = {
    "5 ms at 200/s, 0.4 s of 2": (200, 5, 2, 0.4, 1),
    "30 ms at 100/s, 0.3 s of 1.8, two workers": (100, 30, 1.8, 0.3, 2),
}


def judged(comparison: Comparison) -> list[str]:
    """What is wrong with it; Busy if the machine was."""
    assert comparison.hidden() == []
    wrong = [*comparison.wrong(), *comparison.misjudged()]
    if wrong and (busy := comparison.busy()):
        raise Busy(busy)
    return wrong


@pytest.mark.parametrize("numbers", SETS.values(), ids=SETS)
@pytest.mark.parametrize("who", ["A", "B"])
def test_a_stall_comes_out_at_the_analytic_answer(
    who: Literal["A", "B"], numbers: tuple[float, float, float, float, int]
) -> None:
    """Of the server (A): the run is valid. Of the workers (B): the same figures, and the run is invalid."""

    async def attempt() -> list[str]:
        return judged(await Experiment(who, *numbers).run())

    tried(attempt)


def test_a_stall_on_the_way_shows_in_full() -> None:
    """Frozen is a proxy between the two; the arithmetic is the server's."""
    experiment = Experiment("P", 100, 20, 1.8, 0.4)

    async def attempt() -> list[str]:
        async with truth_server(["fixed", experiment.service_ms], together=experiment.together) as server:
            argv = [sys.executable, "-m", "loadtool.chaos.server", "--port", "0", "--lifeline"]
            proxy = Child("the proxy", argv)
            try:
                url = json.loads(await proxy.read_line(30))["url"]
                async with httpx.AsyncClient(trust_env=False) as client:
                    wanted = {"name": "way", "upstream": f"127.0.0.1:{server.port}", "listen": "127.0.0.1:0"}
                    made = (await client.post(f"{url}/proxies", json=wanted)).raise_for_status().json()
                prefer(proxy.pid)
                port = int(made["listen"].rpartition(":")[2])
                measured = await experiment.measure(port, (proxy.pid,))
                # A program in Python on the way takes its time, both ways.
                return judged(Comparison(experiment, measured, await server.log(), own_ms=5.0))
            finally:
                await proxy.stop()

    tried(attempt)


POOL = """\
name: pool
target: http://127.0.0.1:{port}
requests: [{{name: numbered, get: "/{{{{ row.n }}}}"}}]
arrivals: constant
phases: [{{name: baseline, rate: 100/s, for: 1s}}]
client: {{timeout: 10s, connections: 1}}
"""


def test_a_wait_for_the_only_connection_is_part_of_the_response_time_and_no_lag() -> None:
    """100 arrivals 10 ms apart, 20 ms each on one connection: the k-th one waits at least 10·k ms for it."""

    async def attempt() -> list[str]:
        async with truth_server(["fixed", 20.0]) as server:
            measured = await run_profile(POOL.format(port=server.port))
            log = await server.log()
        assert len(log) == 100
        books = pool(from_result(measured.result).items())
        ok, lag, queued, service, connect = (
            books.histogram(c) for c in (H_OK, H_LAG, H_QUEUED, H_SERVICE, H_CONNECT)
        )
        # Whatever the machine does: the server serves one after the other, and nothing of it is lost.
        truth = sorted(a.sent - measured.due[a.number] for a in log)
        found = [ok.value_at_rank(rank) or 0.0 for rank in range(1, 101)]
        assert all(us >= ns // 1000 - 1 for us, ns in zip(found, truth, strict=True))
        assert queued.max_us >= 99 * 10_000 - lag.max_us
        assert connect.total == 1
        parts_us = sum(stage.sum_us for stage in (lag, queued, connect, service))
        # On a machine that was busy meanwhile, the connecting may be lag, too.
        assert -2 * 100 <= parts_us - ok.sum_us <= 2 * 100 + connect.sum_us
        # No sooner than the server wrote, which it does by a write's way before the 20 ms are over.
        served = sorted(a.sent - a.received for a in log)
        shown = [service.value_at_rank(rank) or 0.0 for rank in range(1, 101)]
        assert all(us >= ns // 1000 - 1 for us, ns in zip(shown, served, strict=True))
        # On a machine that keeps time, also not more than that and the longest way between the two.
        pause_us = max(b.received - a.sent for a, b in pairwise(log)) / 1000
        if max(pause_us, max(a.sent - a.due for a in log) / 1000) > 5000:
            raise Busy(f"an answer and the next request were {pause_us / 1000:.1f} ms apart")
        wrong = [
            f"{us} µs, the log says {ns / 1000} µs"
            for us, ns in zip(found, truth, strict=True)
            if us > ns / 1000 * (1 + RESOLUTION) + 1000 * MOST_MS + pause_us
        ]
        if measured.result.verdict != "pass":
            wrong.append(f"{measured.result.verdict}: {measured.result.reasons}")
        return wrong

    tried(attempt)


def truth_table(*words: str) -> subprocess.CompletedProcess[str]:
    """What ci/truth runs. Its own modules lie beside it, where PYTHONSAFEPATH keeps Python from looking."""
    return subprocess.run(
        [sys.executable, str(HERE / "truth_table.py"), *words],
        env={**os.environ, "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_ci_truth_repeats_the_experiments() -> None:
    """The table and its exit code: right, or else a machine too busy to tell."""
    words = "--service 50 --rate 50 --length 1.4 --stall 0.4 --workers 3 --json"
    done = truth_table(*words.split())
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert {"processor", "cores", "python", "loadtool", "date"} <= found["machine"].keys()
    assert [e["experiment"] for e in found["experiments"]] == ["A", "B"]
    for experiment in found["experiments"]:
        assert experiment["figures"].keys() == set(FIGURES)
        assert experiment["figures"]["p50"]["closed_form_ms"] == 50
    statuses = {e["status"] for e in found["experiments"]}
    assert "wrong" not in statuses, [e["problems"] for e in found["experiments"]]
    assert done.returncode == (3 if "busy" in statuses else 0)
    if "busy" in statuses:
        pytest.skip(f"this machine was too busy: {[e['busy'] for e in found['experiments']]}")
    assert [e["verdict"] for e in found["experiments"]] == ["pass", "invalid"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rate", "0"], "got 0, want a number above 0 and below 3600"),
        (["--stall", "11"], "--stall: got 11, want at most half of --length"),
        (["--workers", "0"], "want at least 1"),
    ],
)
def test_ci_truth_refuses_what_it_cannot_hold(words: list[str], message: str) -> None:
    done = truth_table(*words)
    assert done.returncode == 2
    assert message in done.stderr


def test_the_script_is_there_for_users() -> None:
    script = HERE.parents[1] / "ci" / "truth"
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    assert "tests/truth/truth_table.py" in script.read_text()
