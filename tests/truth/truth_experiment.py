"""The two experiments: a stall of known length, of the server (A) or of the load generator (B).

What must come out follows from arithmetic (analytic.py) and, independently of the client, from the server's
log: an arrival's answer cannot be done before the server has sent it, nor while whoever reads it is frozen.

**Tolerance.** Every figure has to be within 1 % of the arithmetic, and of the log, plus the histogram's
resolution. Real requests take some time that the arithmetic leaves out: they are sent and cross loopback,
which takes the kernel 10 to 50 µs, and the processor's caches have to be filled. Of 15 ms and more, 1 % has
room for that on any machine; where the service time is shorter, figures may be OWN_MS further off, and
`ci/truth` tries again until none is. What was due in the stall is sent, or read, one after the other when it
ends, PACE_MS each. At up to 200/s that is within 1 %, too, but for quantiles that fall on the last of them,
which have hardly waited.

How long this machine takes to wake a program up is known from the server, which says when the kernel had a
request and when it noticed. If a figure is off where that alone is too long, the machine was too busy to hold
the experiment, which then says nothing about the client.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from analytic import FIGURES, QUANTILES, closed_form, figures, response_times
from truth_run import MS, SECOND, Answer, Freeze, Measured, run_profile, truth_server

SHARE = 0.01
RESOLUTION = 2**-10  # of HdrHistogram with 3 digits: no bucket is wider than this share of its values
OWN_MS = 0.15
MOST_MS = 1.0  # that a signal or a request is under way on a machine with time for it
PACE_MS = 0.05
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


def at(figure: str, times: Sequence[float]) -> float:
    """This one of FIGURES."""
    if figure == "mean":
        return statistics.fmean(times)
    return sorted(times)[math.ceil(float(QUANTILES[figure]) * len(times)) - 1]


class Comparison:
    """What was measured beside what must have come out. Times in ms."""

    def __init__(
        self, experiment: Experiment, measured: Measured, log: list[Answer], own_ms: float | None = None
    ) -> None:
        """`own_ms`: what figures may exceed the truth by, where the way is a longer one."""
        self.experiment = experiment
        self.result = measured.result
        self.phase = measured.phase("steady")
        if own_ms is None:
            own_ms = OWN_MS if experiment.service_ms * SHARE < OWN_MS else 0.0
        self.own_ms = own_ms
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
        self.way_ms = [(a.received - due[a.number]) / MS for a in away]
        self.noticed_ms = [(a.noticed - a.received) / MS for a in away]
        self._late_ms = [(a.sent - a.due) / MS for a in away]
        # What was due while the server was frozen could not leave before its end.
        self._latest_ms = max(
            (a.sent - (max(a.due, round(ended)) if began <= a.due else a.due)) / MS for a in steady
        )

    def tolerance_ms(self, figure: str, truth: float) -> float:
        return truth * (SHARE + RESOLUTION) + self.own_ms + self.catching_up_ms(figure, truth) + ROUNDING_MS

    def catching_up_ms(self, figure: str, truth: float) -> float:
        """What those due in the stall may wait for each other at its end, where 1 % has no room for that."""
        experiment = self.experiment
        number = experiment.rate * self.stall_ms / 1000
        quick = number * PACE_MS <= SHARE * self.stall_ms
        if figure == "mean":
            return 0.0 if quick else PACE_MS * number**2 / 2 / experiment.number
        waited = (truth - experiment.service_ms) / self.stall_ms
        if waited < SHARE or (quick and waited > 0.5):
            return 0.0
        return PACE_MS * number * max(0.0, 1 - waited)

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

    def beyond_share(self) -> list[str]:
        """Figures further from the analytic ones than 1 % and the resolution, with no allowance."""
        return [
            name
            for name in FIGURES
            if abs(self.measured[name] - self.analytic[name])
            > self.analytic[name] * (SHARE + RESOLUTION) + ROUNDING_MS
        ]

    def furthest(self) -> float:
        """How far off the figure is that is furthest from its analytic one, as a share of that."""
        return max(abs(self.measured[name] - self.analytic[name]) / self.analytic[name] for name in FIGURES)

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
        if self.signal_ms > MOST_MS:
            return f"a signal took {self.signal_ms:.1f} ms"
        # An answer's way back wakes up the client, as the request's did the server; and neither may be slow
        # in what it does besides.
        for figure in ("p50", "p90", "mean"):
            woken = 2 * at(figure, self.noticed_ms) + at(figure, self._late_ms)
            if woken > self.tolerance_ms(figure, self.experiment.service_ms):
                return f"to wake a program up and have it answer in time took {woken:.2f} ms ({figure})"
        if self._latest_ms > self.tolerance_ms("p99", self.analytic["p99"]):
            return f"the server was {self._latest_ms:.1f} ms late"
        return ""
