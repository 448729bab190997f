"""`python -m loadtool.target`: the demo service as a process of its own, as a run starts it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import trio

from loadtool.errors import LoadtoolError
from loadtool.target.control import run
from loadtool.target.settings import OPTIONS, settings_from


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve as the arguments say; the process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m loadtool.target", description=__doc__)
    for option in OPTIONS:
        parser.add_argument(option.flag, dest=option.field, metavar=option.metavar, help=option.help)
    parser.add_argument("--lifeline", action="store_true", help="obey standard input and end when it ends")
    texts = vars(parser.parse_args(arguments))
    lifeline = texts.pop("lifeline")
    try:
        return trio.run(_run, texts, lifeline)
    except LoadtoolError as e:
        sys.stderr.write(f"{e}\n")
        return e.exit_code


async def _run(texts: dict[str, str | None], lifeline: bool) -> int:
    return await run(settings_from(texts), lifeline=lifeline, write=_write)


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
