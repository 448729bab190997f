"""What has to be there before the load: setup commands, the demo service, a target that answers."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
import trio

from loadtool.errors import SetupError
from loadtool.processes import Child
from loadtool.units import SECOND, format_duration

_ASSIGNMENT: Final = re.compile(r"([A-Za-z_]\w*)=(.*)")
_LAST_OUTPUT_S: Final = 0.2  # for what a command left in its pipe when it ended
_ASK_EVERY_S: Final = 0.25
_ASK_TIMEOUT_S: Final = 5.0


async def run_command(
    command: str | Sequence[str], directory: Path, environment: Mapping[str, str]
) -> dict[str, str]:
    """Run a `setup:` or `teardown:` command to its end, in the profile's directory.

    A text is given to the shell. Returns the values of the NAME=value lines that it printed. Raises
    SetupError if it can't be started or fails; it is ended if this is cancelled.
    """
    argv = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
    shown = command if isinstance(command, str) else " ".join(command)
    child = Child(argv[0], argv, foreign=True, output=True, env=environment, cwd=directory)
    output = bytearray()

    async def collect() -> None:
        while data := await child.stdout.receive_some(65536):
            output.extend(data)

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(collect)
            code = await child.wait()
            # Not until end of file: what it has started in the background may hold the pipe for ever.
            nursery.cancel_scope.deadline = trio.current_time() + _LAST_OUTPUT_S
    except BaseException:
        await child.stop()
        raise
    await child.release()
    if code != 0:
        lines = child.stderr_tail().strip().splitlines() or output.decode("utf-8", "replace").splitlines()
        said = f": {lines[-1].strip()}" if lines else ""
        raise SetupError(f"the command {shown!r} failed with exit code {code}{said}")
    found = (_ASSIGNMENT.fullmatch(line.strip()) for line in output.decode("utf-8", "replace").splitlines())
    return {match[1]: match[2] for match in found if match}


class DemoService:
    """The embedded demo service in a process of its own."""

    def __init__(self, child: Child, url: str, store: str) -> None:
        self.url = url
        self.store = store  # HOST:PORT of its store
        self._child = child

    async def reach_store_at(self, address: str) -> None:
        """Let it reach its store at HOST:PORT from now on."""
        await self._child.stdin.send_all(json.dumps({"store": address}).encode() + b"\n")
        answer = json.loads(await self._child.read_line())
        if answer != {"store": address}:
            raise SetupError(f"the demo service did not take its store's address: {answer}")


@asynccontextmanager
async def demo_service(seed: int) -> AsyncIterator[DemoService]:
    """The demo service, running on a free port until the block ends."""
    child = Child(
        "the demo service", [sys.executable, "-m", "loadtool.target", "--lifeline", "--seed", str(seed)]
    )
    try:
        ready = json.loads(await child.read_line(30.0))
        yield DemoService(child, ready["url"], ready["store"])
    finally:
        await child.stop()


async def wait_until_it_answers(url: str, up_to_ns: int) -> None:
    """Ask `url` until it answers with 2xx. Raises SetupError after `up_to_ns`."""
    last = "no answer"
    with trio.move_on_after(up_to_ns / SECOND):
        async with httpx.AsyncClient(trust_env=False, timeout=_ASK_TIMEOUT_S, verify=True) as client:
            while True:
                try:
                    answer = await client.get(url)
                except httpx.InvalidURL as e:
                    raise SetupError(f"wait_for: {url}: {e}") from e
                except httpx.HTTPError as e:
                    last = str(e) or type(e).__name__
                else:
                    if answer.is_success:
                        return
                    last = f"status {answer.status_code}"
                await trio.sleep(_ASK_EVERY_S)
    raise SetupError(
        f"wait_for: {url} was not ready within {format_duration(up_to_ns)} ({last}); "
        "start the service, or give it longer with wait_for.up_to"
    )
