"""The demo service in a process of its own, as the run that starts it sees it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loadtool.errors import SetupError
from loadtool.processes import Child, python
from loadtool.profile.model import Profile


class DemoService:
    """The embedded demo service in a process of its own."""

    def __init__(self, child: Child, url: str, store: str) -> None:
        self.url = url
        self.store = store  # HOST:PORT of its store
        self._child = child

    @property
    def ended(self) -> str | None:
        """How it ended, in words; None while it runs."""
        return None if self._child.running else self._child.last_words()

    async def reach_store_at(self, address: str) -> None:
        """Let it reach its store at HOST:PORT from now on."""
        await self._child.stdin.send_all(json.dumps({"store": address}).encode() + b"\n")
        answer = json.loads(await self._child.read_line())
        if answer != {"store": address}:
            raise SetupError(f"the demo service did not take its store's address: {answer}")


@asynccontextmanager
async def demo_service(profile: Profile) -> AsyncIterator[DemoService]:
    """The demo service as the profile wants it, running on a free port until the block ends."""
    switches = profile.demo.options() if profile.demo is not None else []
    command = python("loadtool.target", "--lifeline", "--seed", str(profile.seed), *switches)
    child = Child("the demo service", command)
    try:
        ready = json.loads(await child.read_line(30.0))
        yield DemoService(child, ready["url"], ready["store"])
    finally:
        await child.stop()
