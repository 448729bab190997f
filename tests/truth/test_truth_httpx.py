"""The transport httpx tells the truth as well, less sharply: it takes about a millisecond for itself."""

from __future__ import annotations

import sys
from typing import Literal

import pytest
from truth_experiment import Comparison, Experiment
from truth_run import truth_server
from truth_saturation import saturated
from truth_tries import Busy, tried

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="this machine has no /proc and no epoll")

OWN_MS = 6.0  # what it may add to a figure, where the reactor adds a fifth of one


class OverHttpx(Experiment):
    """The same experiment, sent by httpx."""

    def profile(self, port: int) -> str:
        return f"{Experiment.profile(self, port)}transport: httpx\n"

    async def run(self) -> Comparison:
        async with truth_server(["fixed", self.service_ms], together=self.together) as server:
            measured = await self.measure(server.port, (server.pid,) if self.who == "A" else ())
            return Comparison(self, measured, await server.log(), OWN_MS)


@pytest.mark.parametrize("who", ["A", "B"])
def test_a_stall_comes_out_at_the_analytic_answer(who: Literal["A", "B"]) -> None:
    """Of the server (A): the run is valid. Of the workers (B): the same figures, and the run is invalid."""

    async def attempt() -> list[str]:
        comparison = await OverHttpx(who, 50, 50, 1.8, 0.4).run()
        assert comparison.hidden() == []
        assert comparison.result.profile["transport"] == "httpx"
        wrong = [*comparison.wrong(), *comparison.misjudged()]
        if wrong and (busy := comparison.busy()):
            raise Busy(busy)
        return wrong

    tried(attempt)


SATURATED = """\
name: saturated
target: http://127.0.0.1:{port}
requests: [{{name: numbered, get: "/{{{{ row.n }}}}"}}]
arrivals: constant
phases: [{{name: spike, rate: 8000/s, for: 200ms}}]
transport: httpx
client: {{timeout: 8s, connections: {connections}}}
"""


@pytest.mark.parametrize("connections", [4, 400])
def test_out_of_cpu_it_is_invalid_with_its_lag_shown(connections: int) -> None:
    """Arrivals wait for a connection, and the connections for the worker: lag, and not the target's fault."""

    async def attempt() -> list[str]:
        async with truth_server(["fixed", 0.0]) as server:
            text = SATURATED.format(port=server.port, connections=connections)
            return await saturated(server, text, 1600)

    tried(attempt)
