"""Commands of `run:` faults: everything that a proxy cannot do, such as `docker stop` or `kill -STOP`."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import trio

from loadtool.errors import FaultError, SetupError
from loadtool.processes import Child

Script = str | tuple[str, ...]  # for the shell, or the words of a command line

_PATIENCE_S: Final = 2.0
_MOMENT_S: Final = 2.0


def shown(script: Script, directory: str = "") -> str:
    """The command line, as one would type it."""
    line = script if isinstance(script, str) else shlex.join(script)
    return f"(cd {shlex.quote(directory)} && {line})" if directory else line


class Command:
    """A command that has been started, in a process group of its own.

    While it runs, neither it nor what it has started outlives the run, even if that is killed.
    """

    def __init__(self, script: Script, directory: str, environment: Mapping[str, str] | None) -> None:
        """Raises FaultError if it cannot be started."""
        self.script = script
        argv = ("/bin/sh", "-c", script) if isinstance(script, str) else script
        try:
            self._child = Child(
                argv[0],
                argv,
                foreign=True,
                kept=True,
                env=environment,
                cwd=Path(directory) if directory else None,
            )
        except SetupError as e:
            raise FaultError(str(e)) from None
        self._ended = False

    @property
    def output(self) -> str:
        """The end of what it wrote, to stdout and stderr."""
        return self._child.stderr_tail()

    async def wait(self) -> None:
        """Wait until it ends by itself. Raises FaultError if that was no success."""
        code = await self._child.wait()
        self._child.take_rest_of_output()
        if code != 0:
            raise FaultError(f"the command {shown(self.script)!r} failed ({self._child.last_words()})")

    async def stop(self) -> None:
        """End it if it still runs, with everything that it started. Idempotent."""
        if not self._ended:
            await self._child.stop(_PATIENCE_S)
            self._child.take_rest_of_output()
            self._ended = True

    async def release(self) -> None:
        """Let go of it once it has ended; what it started and left behind goes on."""
        if not self._ended:
            self._ended = True
            await self._child.release()


async def run_to_end(
    script: Script,
    directory: str,
    environment: Mapping[str, str] | None = None,
    on_long: Callable[[], None] = lambda: None,
) -> str:
    """Run a command and return the end of its output; it is ended if this is cancelled.

    `on_long` is called once if it takes more than a moment. Raises FaultError if it fails.
    """
    command = Command(script, directory, environment)
    try:
        with trio.move_on_after(_MOMENT_S) as moment:
            await command.wait()
        if moment.cancelled_caught:
            on_long()
            await command.wait()
        await command.release()
        return command.output
    finally:
        with trio.CancelScope(shield=True):
            await command.stop()
