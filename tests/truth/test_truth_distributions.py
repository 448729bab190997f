"""Known distributions come back as they are: of service times, and of the gaps between arrivals as sent."""

from __future__ import annotations

import math
import statistics
import sys
from itertools import pairwise

import pytest
from analytic import FIGURES, figures
from truth_experiment import MOST_MS, OWN_MS, RESOLUTION, ROUNDING_MS
from truth_run import MS, SECOND, Answer, Measured, run_profile, truth_server
from truth_tries import Busy, tried

from loadtool.measure.result import Quantiles

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="this machine has no /proc and no epoll")

PROFILE = """\
name: distribution
seed: {seed}
target: http://127.0.0.1:{port}
requests: [{{name: numbered, get: "/{{{{ row.n }}}}"}}]
arrivals: {arrivals}
phases: [{{name: baseline, rate: {rate}/s, for: {length:g}s}}]
"""


async def run(
    service: list[object],
    *,
    arrivals: str = "constant",
    rate: int = 300,
    length: float = 1.5,
    workers: int = 1,
) -> tuple[Measured, list[Answer]]:
    async with truth_server(service, seed=11) as server:
        text = PROFILE.format(port=server.port, seed=41, arrivals=arrivals, rate=rate, length=length)
        measured = await run_profile(text, workers=workers)
        log = await server.log()
    assert sorted(a.number for a in log) == list(range(len(measured.due)))
    return measured, log


def excuse(measured: Measured, log: list[Answer]) -> None:
    """Raise Busy if processes of this machine had to wait for it, by the server's log."""
    woken = 2 * statistics.fmean(a.noticed - a.received for a in log) / MS
    if woken > OWN_MS:
        raise Busy(f"to wake a program up took {woken / 2:.2f} ms on average")
    rank = len(log) * 98 // 100
    late = sorted((a.sent - a.due) / MS for a in log)[rank]
    far = sorted((a.received - measured.due[a.number]) / MS for a in log)[rank]
    if max(late, far) > MOST_MS:
        raise Busy(f"at p98 the server was {late:.1f} ms late and the way there took {far:.1f} ms")


def shown(q: Quantiles) -> dict[str, float]:
    found = dict(zip(FIGURES, (q.p50, q.p90, q.p99, q.p99_9, q.mean), strict=True))
    return {name: value for name, value in found.items() if value is not None}


@pytest.mark.parametrize(
    "service",
    [
        ["fixed", 12.0],
        ["bimodal", 4.0, 90.0, 0.05],
        ["pareto", 5.0, 1.3, 800.0],
    ],
    ids=lambda service: service[0],
)
def test_service_times_come_back_with_their_quantiles(service: list[object]) -> None:
    async def attempt() -> list[str]:
        measured, log = await run(service)
        phase = measured.phase("baseline")
        way = [(a.received - measured.due[a.number]) / MS for a in log]
        wrong = []
        for what, found, truth in (
            ("response", shown(phase.latency_ms), [(a.sent - measured.due[a.number]) / MS for a in log]),
            ("service", shown(phase.service_ms), [(a.sent - a.received) / MS for a in log]),
        ):
            for name, true in figures(truth).items():
                assert found[name] >= true - ROUNDING_MS, f"{what} {name} hides something"
                # At the upper quantiles it may be the longest of all ways.
                own = OWN_MS if name in ("p50", "mean") else MOST_MS + max(way)
                if found[name] > true * (1 + RESOLUTION) + own + ROUNDING_MS:
                    wrong.append(f"{what} {name}: {found[name]:.3f} ms, by the log {true:.3f} ms")
        if wrong:
            excuse(measured, log)
        return wrong

    tried(attempt)


def test_poisson_arrivals_are_poisson_as_sent() -> None:
    """By the server's clock: exponential gaps (Kolmogorov-Smirnov), counts that vary like their mean."""
    rate = 300

    async def attempt() -> list[str]:
        measured, log = await run(["fixed", 3.0], arrivals="poisson", rate=rate, length=1.5, workers=2)
        received = sorted(a.received for a in log)
        assert all(a.received >= measured.due[a.number] for a in log), "before it was due"
        gaps = sorted((b - a) / SECOND for a, b in pairwise(received))
        n = len(gaps)
        distance = max(
            max((i + 1) / n - f, f - i / n) for i, g in enumerate(gaps) if (f := 1 - math.exp(-rate * g)) >= 0
        )
        wrong = []
        if distance * math.sqrt(n) > 1.63:  # 1 %
            wrong.append(f"the gaps are {distance:.3f} away from exponential ones")
        counts = [0] * 48  # of 31 ms
        for ns in received:
            counts[min((ns - measured.start_ns) * 48 // (1_500 * MS), 47)] += 1
        dispersion = statistics.variance(counts) / statistics.fmean(counts)
        if not 0.4 < dispersion < 1.6:  # 1 ± 3·√(2/47)
            wrong.append(f"the counts vary {dispersion:.2f} times as much as they should")
        if wrong:
            excuse(measured, log)
        return wrong

    tried(attempt)


@pytest.mark.parametrize("workers", [1, 3])
def test_constant_arrivals_are_evenly_spaced_across_workers(workers: int) -> None:
    rate = 300

    async def attempt() -> list[str]:
        measured, log = await run(["fixed", 3.0], rate=rate, length=1, workers=workers)
        assert len(log) == 300
        # Arithmetic, not a clock, says when each one is due, whoever sends it.
        assert [due - measured.start_ns for due in measured.due] == [
            round(k * SECOND / rate) for k in range(300)
        ]
        after = {a.number: (a.received - measured.due[a.number]) / MS for a in log}
        assert min(after.values()) >= 0, "before it was due"
        shares = [statistics.median(after[k] for k in range(w, 300, workers)) for w in range(workers)]
        received = sorted(a.received for a in log)
        gaps = [(b - a) / MS for a, b in pairwise(received)]
        even = sum(abs(gap - 1000 / rate) < 1 for gap in gaps) / len(gaps)
        wrong = []
        if max(shares) > MOST_MS or max(shares) - min(shares) > MOST_MS / 2:
            wrong.append(f"requests came {shares} ms after they were due, by worker")
        if even < 0.9:
            wrong.append(f"only {even:.0%} of the gaps were within 1 ms of {1000 / rate:.2f} ms")
        if wrong:
            excuse(measured, log)
        return wrong

    tried(attempt)
