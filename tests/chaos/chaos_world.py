"""A conductor on virtual time with a Toxiproxy in memory, and faults for it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import cast

import trio
from fake_control import FakeControl

from loadtool.chaos.conductor import Conductor, FaultEvent
from loadtool.chaos.control import Control
from loadtool.chaos.fault import PlannedFault, ProxySpec
from loadtool.chaos.journal import Journal

S = 1_000_000_000
STORE = "loadtool-r1-store"


def files(directory: Path) -> list[Path]:
    return list(directory.iterdir())


def text_of(path: Path) -> str:
    return path.read_text()


def a_file(path: Path) -> None:
    path.touch()


def latency(name: str, start: float, end: float, proxy: str = "store") -> PlannedFault:
    return PlannedFault(
        name, f"latency 200ms on {proxy}", proxy, "latency", int(start * S), int(end * S),
        attributes={"latency": 200},
    )  # fmt: skip


def down(name: str, start: float, end: float, proxy: str = "store") -> PlannedFault:
    return PlannedFault(name, f"{proxy} down", proxy, None, int(start * S), int(end * S), down=True)


class World:
    """A conductor with its server; `events` is what it told."""

    def __init__(
        self,
        *faults: PlannedFault,
        existing: bool = False,
        journal: Journal | None = None,
        load_s: float = math.inf,
    ) -> None:
        self.server = FakeControl(owned=journal is None)
        self.journal = journal
        spec = (
            ProxySpec("store", existing="postgres")
            if existing
            else ProxySpec("store", upstream="127.0.0.1:5432")
        )
        if existing:
            self.server.put("postgres")
        self.server.put("somebody-elses")
        self.before = dict(self.server.state)
        self.events: list[tuple[float, str, str]] = []
        self.conductor = Conductor(
            cast(Control, self.server), {"store": spec}, faults, journal, self.heard, "r1", load_s=load_s
        )  # fmt: skip

    def heard(self, event: FaultEvent) -> None:
        self.events.append((round(event.at_s, 3), event.fault, event.what))

    async def run(self) -> None:
        await self.conductor.open_proxies()
        self.server.calls.clear()
        self.server.zero = trio.current_time()
        try:
            await self.conductor.run(trio.current_time())
        finally:
            await self.teardown()

    async def teardown(self) -> None:
        await self.conductor.teardown()
        if self.journal is not None:
            self.journal.close()
