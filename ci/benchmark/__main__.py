"""ci/bench's program; see there."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final

from benchmark import about, extras, readme, rounds, table
from benchmark.cores import Cores, look
from benchmark.install import install_peers
from benchmark.own import Build
from benchmark.peers import PEERS, SCENARIOS, SIMPLE
from benchmark.rounds import Plan
from benchmark.server import program, serving

RATES: Final = (1_000, 5_000, 10_000, 20_000)
ROOT: Final = Path(__file__).resolve().parents[2]
KEPT: Final = ROOT / "ci" / "bench.json"
README: Final = ROOT / "README.md"
FORMAT: Final = 2
STOPPED_BY: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SOAK: Final = "soak"
OTHERS: Final = ("paced", "memory", "workers", "connections", "startup", "toxiproxy")
PARTS: Final = (*SCENARIOS, *OTHERS, SOAK)
TIMES: Final = """\
parts, and minutes on a quiet machine with two loadtools and all peers, 3 rounds of 3 s (30 to 40 in all):
  simple, unique, tls, connect, mix   3.5 to 5 each
  paced        7: send lag and CPU at --rates
  memory       1: at 10,000/s
  workers      2: one and two
  connections  1: 10,000 requests under way
  startup      0.5
  toxiproxy    1
  soak        21: ten minutes at 10,000/s each; only if it is named with --only or --soak
"""


def names(text: str) -> list[str]:
    """Words between commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="ci/bench", description="loadtool beside other load generators.", epilog=TIMES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("--install-peers", action="store_true", help="bring the other tools, and end")
    add(
        "--write-readme", action="store_true", help="put the figures of ci/bench.json into README.md, and end"
    )
    add("--show", action="store_true", help="print the tables of --json or ci/bench.json, and end")
    add("--quick", action="store_true", help="one short round of the simplest case: does it all work?")
    add("--only", type=names, metavar="PART,…", help="these parts alone; those below")
    add("--soak", action="store_true", help="the soak, too")
    add("--rounds", type=int, default=3)
    add("--seconds", type=float, default=3.0, help="of each run; default 3")
    add("--connections", type=int, default=50)
    add("--tools", type=names, metavar="NAME,…", help="these peers alone; '' for none")
    add("--builds", type=names, metavar="NAME,…", help="compiled or plain alone")
    add("--rates", nargs="*", type=int, default=list(RATES), help="for the send lag, requests/s")
    add("--memory-seconds", type=float, default=30.0, help="of the run that memory is watched in; default 30")
    add("--soak-seconds", type=float, default=600.0, help="default 600; shorter ones show no target as met")
    add("--json", type=Path, help="put the figures there, beside those of other parts that it has")
    add("--keep", action="store_true", help="put the figures into ci/bench.json, as --json does")
    add("--build", action="append", default=[], metavar="NAME=PROGRAM", help="a loadtool to measure")
    asked = parser.parse_args(words)
    for text in asked.build:
        if "=" not in text:
            parser.error(f"--build: got {text}, want NAME=PROGRAM")
    for given, known, what in (
        (asked.only, PARTS, "--only"),
        (asked.tools, [p.name for p in PEERS], "--tools"),
        (asked.builds, [text.partition("=")[0] for text in asked.build], "--builds"),
    ):
        if unknown := [word for word in given or () if word not in known]:
            parser.error(f"{what}: got {unknown[0]}, want of {', '.join(known)}")
    if asked.rounds < 1 or asked.seconds < 1 or asked.connections < 1:
        parser.error("--rounds, --seconds and --connections: want at least 1")
    if asked.keep and asked.json:
        parser.error("--keep or --json, not both")
    return asked


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def read_parts(path: Path) -> dict[str, Any]:
    """The parts that a file has; none if there is no file. Raises ValueError for a file of another kind."""
    if not path.exists():
        return {}
    data = json.loads(path.read_text("utf-8"))
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError(f"{path}: not figures of this bench (format {FORMAT}); another --json, or remove it")
    return dict(data["parts"])


def put(path: Path, part: str, figures: Mapping[str, Any]) -> None:
    """One part into the file, at once: what an interrupted run has measured stays."""
    parts = {**read_parts(path), part: figures}
    ordered = {name: parts[name] for name in PARTS if name in parts}
    new = path.with_name(f".{path.name}.new")
    new.write_text(json.dumps({"format": FORMAT, "parts": ordered}, indent=1) + "\n", "utf-8")
    new.replace(path)


def steps(
    plan: Plan, asked: argparse.Namespace, cores: Sequence[int]
) -> dict[str, Callable[[], dict[str, Any]]]:
    """How each part is measured."""

    def flat(scenario: str) -> Callable[[], dict[str, Any]]:
        return lambda: {"figures": [dataclasses.asdict(f) for f in rounds.flat_out(plan, scenario)]}

    def paced() -> dict[str, Any]:
        try:
            return {"figures": [dataclasses.asdict(p) for p in rounds.paced(plan, asked.rates)], "note": ""}
        except PermissionError:
            note = "no send lag: watching packets needs the right to (CAP_NET_RAW)"
            say(note)
            return {"figures": [], "note": note}

    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return {
        **{scenario: flat(scenario) for scenario in SCENARIOS},
        "paced": paced,
        "memory": lambda: {"figures": extras.memory(plan, asked.memory_seconds)},
        "workers": lambda: extras.workers(plan, cores),
        "connections": lambda: {"figures": extras.connections(plan, files)},
        "startup": lambda: {"figures": extras.startup(plan, cores)},
        "toxiproxy": lambda: extras.toxiproxy(plan, cores),
        SOAK: lambda: {"figures": extras.memory(plan, asked.soak_seconds)},
    }


def measure(asked: argparse.Namespace, cores: Sequence[int]) -> dict[str, Any]:
    """Every part that was asked for. Raises RuntimeError without a target, ValueError for a bad file."""
    wanted = asked.only or [*SCENARIOS, *OTHERS, *([SOAK] if asked.soak else [])]
    builds = [Build(*text.split("=", 1)) for text in asked.build]
    builds = [b for b in builds if asked.builds is None or b.name in asked.builds]
    peers = rounds.chosen(asked.tools)
    path: Path | None = KEPT if asked.keep else asked.json
    if path is not None:
        read_parts(path)  # it had better be one before half an hour is spent
    if missing := [peer.name for peer, place in peers if place is None]:
        say(f"not installed (ci/bench --install-peers): {', '.join(missing)}")
    programs = {b.name: b.program for b in builds} | {p.name: place for p, place in peers if place}
    if nginx := program():
        programs["nginx"] = nginx
    versions = about.versions(programs)
    # All that is not measured stays off the tool's core.
    core, rest = cores[0], cores[1:]
    os.sched_setaffinity(0, rest[1:] or rest)  # and off nginx's, where there are three
    parts: dict[str, Any] = {}
    with (
        tempfile.TemporaryDirectory(prefix="loadtool-bench-") as directory,
        serving(Path(directory) / "nginx", rest[:1]) as server,
    ):
        watched = Cores(lambda: look(rest[0], core))
        plan = Plan(
            builds, peers, server, core, Path(directory), asked.rounds, asked.seconds, asked.connections,
            say, watched,
        )  # fmt: skip
        todo = steps(plan, asked, cores)
        for part in [name for name in PARTS if name in wanted]:
            where, began, before = about.machine(), time.monotonic(), about.Processors.now()
            figures = todo[part]()
            parts[part] = {
                "about": {
                    **where, "load_average_after": os.getloadavg(),
                    "stolen": about.Processors.now().stolen_since(before), "cores_seen": watched.told(),
                    "took_s": round(time.monotonic() - began, 1), "rounds": asked.rounds,
                    "seconds": asked.seconds, "connections": asked.connections, "versions": versions,
                },
                **figures,
            }  # fmt: skip
            say(f"{part}: {parts[part]['about']['took_s']:.0f} s")
            if path is not None:
                put(path, part, parts[part])
    return parts


def stop(number: int, frame: FrameType | None) -> None:
    """A signal is an exception, so that whatever was started is ended on the way out."""
    for each in STOPPED_BY:
        signal.signal(each, signal.SIG_IGN)  # what ends it shall not be stopped
    raise SystemExit(128 + number)


def main() -> int:
    asked = arguments()
    if asked.install_peers:
        return 1 if install_peers(say) else 0
    try:
        if asked.show:
            if not (kept := read_parts(asked.json or KEPT)):
                raise ValueError(f"no figures in {asked.json or KEPT}: ci/bench --keep measures some")
            sys.stdout.write(table.full_text(kept) + "\n")
            return 0
        if asked.write_readme:
            readme.write(README, read_parts(asked.json or KEPT))
            return 0
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            say("ci/bench needs two cores: one for the tool, one for nginx")
            return 3
        if asked.quick:
            asked.rounds, asked.seconds = 1, 1.0
            asked.only = asked.only or [SIMPLE, "paced"]
            asked.rates = RATES[:1]
            asked.tools = [rounds.REFERENCE] if asked.tools is None else asked.tools
        for number in STOPPED_BY:
            signal.signal(number, stop)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # for whatever is started from here
        parts = measure(asked, cores)
    except (RuntimeError, ValueError, OSError) as e:
        say(f"ci/bench: {e}")
        return 3
    sys.stdout.write(table.full_text(parts) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
