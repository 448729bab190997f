"""The two experiments: a stall of known length, of the server (A) or of the load generator (B).

What must come out follows from arithmetic (analytic.py) and, independently of the client, from the server's
log: an arrival's answer cannot be done before the server has sent it, nor while whoever reads it is frozen.

**Allowance.** Real requests take time that the arithmetic has not. All of them have a way to the server,
where they must be noticed, and a way back: the server's log tells the way there (due → received) and how
late its answers left. The way back is taken to be as long as the way there. Twice the one and the other,
outside the stall, is what figures may exceed the arithmetic by, and never by more than MOST_MS. What was due
in the stall is sent one after the other when it ends, at most PACE_MS each. Where the log itself is further
off than that, the machine was too busy to hold the experiment, which then says nothing about the client.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from analytic import FIGURES, closed_form, figures, response_times
from truth_run import MS, SECOND, Answer, Freeze, Measured, run_profile, truth_server

SHARE = 0.01
RESOLUTION = 2**-10  # of HdrHistogram with 3 digits: no bucket is wider than this share of its values
MOST_MS = 1.0
PACE_MS = 0.04
ROUNDING_MS = 0.002  # times are counted in whole µs
WARMUP_S = 0.5

PROFILE = """\
name: truth
target: http://127.0.0.1:{port}
requests: [{{name: numbered, get: "/{{{{ row.n }}}}"}}]
arrivals: constant
phases:
  - {{name: warmup, rate: {warm_rate:g}/s, for: {warmup:g}s}}
  - {{name: steady, rate: {rate:g}/s, for: {length:g}s, role: baseline}}
client: {{timeout: {timeout:g}s, connections: {connections}}}
"""


@dataclass(frozen=True, slots=True)
class Experiment:
    """Somebody is frozen for `stall_s` in a run of `length_s` at `rate` per second.

    A: the server. B: the workers. P: a process between the two, whose port and pid `run` is given.
    """

    who: Literal["A", "B", "P"]
    rate: float = 200.0
    service_ms: float = 5.0
    length_s: float = 20.0
    stall_s: float = 1.0
    workers: int = 1

    @property
    def warm(self) -> int:
        """Arrivals of the warm-up: it opens all connections that a stall fills, and some more."""
        return round(1.3 * self.rate * (self.stall_s + self.service_ms / 1000)) + 10 * self.workers + 10

    @property
    def together(self) -> int:
        """How many requests of the warm-up the server holds until they are all there."""
        return int(0.9 * self.warm)

    @property
    def number(self) -> int:
        return round(self.rate * self.length_s)

    @property
    def at_s(self) -> float:
        """When the stall begins, in the phase: a fifth of a gap before an arrival is due, so that none is
        due while the signal is on its way.
        """
        return (round(0.4 * self.length_s * self.rate) - 0.2) / self.rate

    @property
    def promised(self) -> dict[str, float]:
        """The closed form, in ms."""
        return closed_form(self.service_ms, self.stall_s * 1000, self.length_s * 1000)

    def profile(self, port: int) -> str:
        return PROFILE.format(
            port=port, warm_rate=self.warm / WARMUP_S, warmup=WARMUP_S, rate=self.rate, length=self.length_s,
            timeout=10 + self.stall_s, connections=2 * self.warm,
        )  # fmt: skip

    async def measure(self, port: int, pids: tuple[int, ...] = ()) -> Measured:
        """Run it against this port; these processes are frozen, else the workers."""
        freeze = Freeze(WARMUP_S + self.at_s, self.stall_s, pids)
        return await run_profile(self.profile(port), workers=self.workers, freeze=freeze)

    async def run(self) -> Comparison:
        """A or B."""
        async with truth_server(["fixed", self.service_ms], together=self.together) as server:
            measured = await self.measure(server.port, (server.pid,) if self.who == "A" else ())
            return Comparison(self, measured, await server.log())


def upper(times: list[float]) -> float:
    """The 95th percentile."""
    return sorted(times)[len(times) * 95 // 100]


class Comparison:
    """What was measured beside what must have come out. Times in ms."""

    def __init__(
        self, experiment: Experiment, measured: Measured, log: list[Answer], most_ms: float = MOST_MS
    ) -> None:
        """`most_ms`: instead of MOST_MS, where the way is a longer one."""
        self.experiment = experiment
        self.result = measured.result
        self.phase = measured.phase("steady")
        self.most_ms = most_ms
        latency = self.phase.latency_ms
        shown = (latency.p50, latency.p90, latency.p99, latency.p99_9, latency.mean)
        self.measured = {name: value or 0.0 for name, value in zip(FIGURES, shown, strict=True)}

        began, ended = sum(measured.stopped) / 2, sum(measured.continued) / 2
        self.stall_ms = (ended - began) / MS
        self.signal_ms = (measured.stopped[1] - measured.stopped[0]) / MS
        first = measured.start_ns + round(WARMUP_S * SECOND)
        stalled = (began - first) / MS, (ended - first) / MS
        self.analytic = figures(
            response_times(experiment.rate / 1000, experiment.number, experiment.service_ms, stalled)
        )

        due = measured.due
        steady = [a for a in log if a.number >= experiment.warm]
        self.answered = len(steady)

        def done(answer: Answer) -> int:
            """When it can have been done at the earliest."""
            frozen = experiment.who != "A" and measured.stopped[1] <= answer.sent < measured.continued[0]
            return measured.continued[0] if frozen else answer.sent

        self.logged = figures([(done(a) - due[a.number]) / MS for a in steady])
        near = began - 2 * experiment.service_ms * MS, ended + SECOND // 2
        away = [a for a in steady if not near[0] <= due[a.number] <= near[1]]
        self._way_ms = [(a.received - due[a.number]) / MS for a in away]
        self._late_ms = [(a.sent - a.due) / MS for a in away]

    def overhead_ms(self, figure: str) -> float:
        """There and back, and the server's own lateness, outside the stall."""
        of: Callable[[list[float]], float] = statistics.fmean if figure == "mean" else statistics.median
        return 2 * of(self._way_ms) + of(self._late_ms)

    def allowed_ms(self, figure: str, truth: float) -> float:
        """By how much the figure may be above the truth besides SHARE and RESOLUTION.

        Half of all arrivals, and their mean, have the usual way; upper quantiles may have had an unusual one.
        """
        way = min(self.most_ms, self.overhead_ms(figure)) if figure in ("p50", "mean") else self.most_ms
        due_in_the_stall = self.experiment.rate * self.stall_ms / 1000
        if figure == "mean":
            return way + PACE_MS * due_in_the_stall**2 / 2 / self.experiment.number
        # The quantile's arrival had to wait for those that were due in the stall before it.
        waited = max(0.0, truth - self.experiment.service_ms) / self.stall_ms
        return way + (PACE_MS * due_in_the_stall * max(0.0, 1 - waited) if waited > SHARE else 0.0)

    def tolerance_ms(self, figure: str, truth: float) -> float:
        return truth * (SHARE + RESOLUTION) + self.allowed_ms(figure, truth) + ROUNDING_MS

    def hidden(self) -> list[str]:
        """Figures below what the server's log proves: time that was not counted. Nothing excuses it."""
        return [
            f"{name}: {self.measured[name]:.3f} ms, the server's log proves {self.logged[name]:.3f} ms"
            for name in FIGURES
            if self.measured[name] < self.logged[name] - ROUNDING_MS
        ]

    def wrong(self) -> list[str]:
        """Figures that are further from the analytic ones, or above the log's, than is allowed."""
        found = []
        for name in FIGURES:
            value = self.measured[name]
            for what, truth in (("analytic", self.analytic[name]), ("by the log", self.logged[name])):
                tolerance = self.tolerance_ms(name, truth)
                if value > truth + tolerance or (what == "analytic" and value < truth - tolerance):
                    found.append(f"{name}: {value:.3f} ms, {what} {truth:.3f} ± {tolerance:.3f} ms")
        return found

    def misjudged(self) -> list[str]:
        """What the books and the verdict say that they should not: B alone is invalid, and for its lag."""
        verdict, reasons, lag = self.result.verdict, self.result.reasons, self.phase.lag_ms
        found = []
        if self.experiment.who == "B":
            if verdict != "invalid" or not any("late in steady: send lag p99 was" in r for r in reasons):
                found.append(f"the run is {verdict}, with a lag of {lag.p99} ms at p99: {reasons}")
        elif verdict != "pass":
            found.append(f"the run is {verdict}: {reasons}")
        elif (lag.max or 0.0) > self.stall_ms / 2:
            found.append(f"the stall shows as a lag of {lag.max} ms")
        if self.phase.ok != self.experiment.number or self.answered != self.experiment.number:
            found.append(f"{self.experiment.number} arrivals, {self.answered} answers, {self.phase.ok} ok")
        return found

    def busy(self) -> str:
        """Why this machine was too busy for the experiment; empty if it was not."""
        if self.signal_ms > self.most_ms:
            return f"a signal took {self.signal_ms:.1f} ms"
        for figure in ("p50", "mean"):
            if (overhead := self.overhead_ms(figure)) > self.most_ms:
                return f"the ways and the server's lateness ({figure}) took {overhead:.1f} ms"
        at_p95 = 2 * upper(self._way_ms) + upper(self._late_ms)
        if at_p95 > self.most_ms:
            return f"the ways and the server's lateness at p95 took {at_p95:.1f} ms"
        for name in FIGURES:
            off = abs(self.logged[name] - self.analytic[name])
            if off > self.tolerance_ms(name, self.analytic[name]):
                return f"by the server's own log {name} was {off:.1f} ms off"
        return ""
