"""The embedded Toxiproxy as a process of its own: `python -m loadtool.chaos.server`.

Prints one line of JSON, {"url": …}, when it is ready. With --lifeline it ends as soon as its stdin does, and
prints {"lacking": "EMFILE"} when a proxy has not had what it needs from this machine, once for each name.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator

import trio

from loadtool.chaos.server.serve import serve
from loadtool.errors import SetupError


async def _lifeline(scope: trio.CancelScope) -> None:
    """Wait for the end of stdin: whoever held its other end is gone."""
    async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as stdin:
        while await stdin.receive_some(4096):
            pass
    scope.cancel()


async def _until_terminated(scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()
            return


async def _main(host: str, port: int, seed: int | None, lifeline: bool, proxy_metrics: bool) -> None:
    async with trio.open_nursery() as nursery:
        if lifeline:
            nursery.start_soon(_lifeline, nursery.cancel_scope)
        nursery.start_soon(_until_terminated, nursery.cancel_scope)

        told: set[str] = set()

        def tell_once(name: str) -> None:
            if lifeline and name not in told:  # else nobody may be reading any more
                told.add(name)
                _say({"lacking": name})

        async def served(*, task_status: trio.TaskStatus[str]) -> None:
            await serve(
                host,
                port,
                seed=seed,
                proxy_metrics=proxy_metrics,
                on_shortage=tell_once,
                task_status=task_status,
            )

        _say({"url": await nursery.start(served)})


def _say(line: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtool.chaos.server", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8474, help="0: any free one")
    parser.add_argument("--seed", type=int, help="make toxicity and jitter repeatable")
    parser.add_argument("--proxy-metrics", action="store_true", help="serve /metrics")
    parser.add_argument("--lifeline", action="store_true", help="end when stdin ends")
    options = parser.parse_args()
    code = 0
    try:
        trio.run(_main, options.host, options.port, options.seed, options.lifeline, options.proxy_metrics)
    except* SetupError as group:
        code = SetupError.exit_code
        sys.stderr.writelines(f"{e}\n" for e in _leaves(group))
    return code


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for e in error.exceptions:
            yield from _leaves(e)
    else:
        yield error


if __name__ == "__main__":
    sys.exit(main())
