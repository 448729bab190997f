"""More arrivals than a worker can send, to a target that answers at once: whose fault it is, by the run."""

from __future__ import annotations

from truth_run import MS, TruthServer, run_profile
from truth_tries import Busy


async def saturated(server: TruthServer, profile: str, scheduled: int) -> list[str]:
    """Run the profile, of one phase `spike` with so many arrivals. Returns what is wrong if it is not invalid
    with its lag shown, and more of that than queueing; raises Busy if the server was slow itself.
    """
    measured = await run_profile(profile, preferred=False)
    log = await server.log()
    (phase,) = measured.result.phases
    lag, queued = phase.lag_ms, phase.queued_ms
    assert phase.scheduled == scheduled
    assert lag.p50 is not None
    assert lag.p99 is not None
    assert queued.p50 is not None
    late = [r for r in measured.result.reasons if r.startswith("the generator was late in spike: ")]
    if measured.result.verdict == "invalid" and late and lag.p99 > 100 and lag.p50 > queued.p50:
        return []
    away = sorted(a.sent - a.received for a in log)[len(log) * 99 // 100]
    if away > MS:
        raise Busy(f"the server took {away / MS:.1f} ms at p99 to answer at once")
    return [f"{measured.result.verdict} {measured.result.reasons}: {lag}, queued {queued}"]
