"""The transport httpx tells the truth as well, less sharply: it takes about a millisecond for itself."""

from __future__ import annotations

import sys
from typing import Literal

import pytest
from truth_experiment import Comparison, Experiment
from truth_run import truth_server
from truth_tries import Busy, tried

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="this machine has no /proc and no epoll")

OWN_MS = 6.0  # what it may add to a figure, where the reactor may add one millisecond


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
        comparison = await OverHttpx(who, 50, 50, 2.5, 0.5).run()
        assert comparison.hidden() == []
        assert comparison.result.profile["transport"] == "httpx"
        wrong = [*comparison.wrong(), *comparison.misjudged()]
        if wrong and (busy := comparison.busy()):
            raise Busy(busy)
        return wrong

    tried(attempt)
