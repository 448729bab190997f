"""ci/bench's program; see there."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from benchmark import rounds, table
from benchmark.install import install_peers
from benchmark.own import Build
from benchmark.peers import PEERS, SCENARIOS, SIMPLE
from benchmark.server import serving

RATES = (1_000, 5_000, 10_000, 20_000)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ci/bench", description="loadtool beside other load generators.")
    add = parser.add_argument
    add("--install-peers", action="store_true", help="bring the other tools, and end")
    add("--quick", action="store_true", help="one short round of the simplest case: does it all work?")
    add("--rounds", type=int, default=3)
    add("--seconds", type=float, default=5.0, help="of each run")
    add("--connections", type=int, default=50)
    add("--tools", nargs="*", default=[], choices=[p.name for p in PEERS], help="these peers alone")
    add("--scenarios", nargs="*", default=list(SCENARIOS), choices=list(SCENARIOS))
    add("--rates", nargs="*", type=int, default=list(RATES), help="for the send lag, requests/s")
    add("--memory-seconds", type=float, default=60.0, help="of the run that memory is watched in; 0: none")
    add("--json", type=Path, help="write the figures there")
    add("--build", action="append", default=[], metavar="NAME=PROGRAM", help="a loadtool to measure")
    return parser.parse_args()


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def main() -> int:
    asked = arguments()
    if asked.install_peers:
        return 1 if install_peers(say) else 0
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        say("ci/bench needs two cores: one for the tool, one for nginx")
        return 3
    if asked.quick:
        asked.rounds, asked.seconds, asked.memory_seconds = 1, 1.0, 0.0
        asked.scenarios, asked.rates = [SIMPLE], RATES[:1]
        asked.tools = asked.tools or [rounds.REFERENCE]
    # All that is not measured stays off the tool's core.
    core, rest = cores[0], cores[1:]
    os.sched_setaffinity(0, rest)
    builds = [Build(*text.split("=", 1)) for text in asked.build]
    peers = rounds.installed(asked.tools)
    missing = {p.name for p in PEERS if not asked.tools or p.name in asked.tools} - {p.name for p, _ in peers}
    if missing:
        say(f"not installed (ci/bench --install-peers): {', '.join(sorted(missing))}")
    about = {
        **table.machine(),
        "rounds": asked.rounds, "seconds": asked.seconds, "connections": asked.connections,
        "versions": table.versions(
            {**{b.name: b.program for b in builds}, **{p.name: path for p, path in peers}}
        ),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as directory, serving(Path(directory), rest[0]) as server:
        plan = rounds.Plan(
            builds, peers, server, core, Path(directory), asked.rounds, asked.seconds, asked.connections,
            say,
        )  # fmt: skip
        flat = {scenario: rounds.flat_out(plan, scenario) for scenario in asked.scenarios}
        try:
            paced = rounds.paced(plan, asked.rates)
        except PermissionError:
            say("no send lag: watching packets needs the right to (CAP_NET_RAW)")
            paced = []
        memory = rounds.memory(plan, 10_000, asked.memory_seconds) if asked.memory_seconds else {}
    head = f"{about['cpu']}, {about['cores']} cores, {about['system']}, {about['at']}"
    sys.stdout.write(f"{head}\n\n{table.text(flat, paced, memory)}\n")
    if asked.json is not None:
        figures = {"about": about, **table.to_json(flat, paced, memory)}
        asked.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
