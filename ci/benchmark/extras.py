"""What is not a race: memory over time, a second worker, many connections at once, start-up, Toxiproxy."""

from __future__ import annotations

import dataclasses
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from benchmark import own
from benchmark.own import Build, NoResult, Outcome
from benchmark.peers import SIMPLE, SLOW
from benchmark.process import Ran, Sample, end, pinned, run
from benchmark.rounds import REFERENCE, Figures, Plan, failure, hold, search
from benchmark.server import SLOW_S, serving

MEMORY_RATE = 10_000  # requests/s
POINTS = 120  # of a series that is kept
MARK_S = 120  # when a soak's memory is looked at for the first time
AROUND_S = 5.0
SHARED_CONNECTIONS = 200  # the kernel shares them out between nginx's workers by chance: many even out
MANY = 10_000  # connections with a request under way
MANY_RATE = 1_000  # requests/s; times the answer's seconds it is a tenth more than MANY
MANY_S = 6.0
STARTS = 7
FIRST_LIMIT_S = 30.0
TOXIPROXY_LIMIT_S = 400


def memory(plan: Plan, seconds: float) -> list[dict[str, Any]]:
    """Memory of each build over one run at a steady rate: a series, and each process at marks of it."""
    rows = []
    for build in plan.builds:
        plan.say(f"memory over {seconds:g} s at {MEMORY_RATE}/s: {build.name}")
        row: dict[str, Any] = {"tool": build.name, "rate": MEMORY_RATE, "seconds": seconds, "note": ""}
        try:
            outcome = own.spike(build, plan.load(SIMPLE, MEMORY_RATE, seconds), plan.server, [plan.core])
        except NoResult as e:
            rows.append({**row, "note": str(e)})
            continue
        samples = outcome.ran.samples
        last = loaded_until(samples) - AROUND_S
        marks = {"minute 2": around(samples, MARK_S)} if last > MARK_S + AROUND_S else {}
        row |= {
            "verdict": outcome.verdict,
            "note": unless_passed(outcome),
            "peak_mb": round(outcome.ran.peak_mb, 2),
            "marks_mb": {**marks, "end": around(samples, last)},
            "series": [
                (round(s.at_s, 1), round(s.rss_mb, 2)) for s in samples[:: len(samples) // POINTS + 1]
            ],
        }
        rows.append(row)
    return rows


def unless_passed(outcome: Outcome) -> str:
    """Why a run is not what it should be."""
    return "" if outcome.verdict == "pass" else f"{outcome.verdict}: {'; '.join(outcome.reasons)}"[:200]


def loaded_until(samples: Sequence[Sample]) -> float:
    """When the last request came, in s since the start of the program."""
    grown = [b.at_s for a, b in pairwise(samples) if b.requests > a.requests]
    return grown[-1] if grown else 0.0


def around(samples: Sequence[Sample], at_s: float) -> dict[str, float]:
    """Memory of each process about this time, in MB: medians, as one sample may lie anywhere."""
    near = [s for s in samples if abs(s.at_s - at_s) <= AROUND_S]
    names = {name for s in near for name in s.processes}
    return {
        name: round(median(s.processes[name] for s in near if name in s.processes), 2)
        for name in sorted(names)
    }


def workers(plan: Plan, cores: Sequence[int]) -> dict[str, Any]:
    """One worker and two, each as fast as it holds, with a share of the target that grows alike.

    With four cores and more, two are the tool's and the rest the target's. With fewer, a target on a core of
    its own is what would be measured, and one beside only the second worker would belittle it. So each core
    then has one worker and one nginx worker: one such core against two. The target grows by what the tool
    does, and what is missing to twice the rate is the tool's (or the kernel's, which wrk's row tells). One
    build will do: what shares out the load and adds it up again is the same in both.
    """
    apart = len(cores) >= 4
    rows = []
    for count in (1, 2):
        mine, target = cores[:count], cores[2:] if apart else cores[:count]
        with serving(plan.directory / f"nginx-{count}", target) as server:
            shared = dataclasses.replace(
                plan, builds=plan.builds[:1], server=server, connections=SHARED_CONNECTIONS
            )
            rows += _with_workers(shared, mine, count)
    return {
        "apart": apart, "target_cores": len(cores[2:]) if apart else 0, "connections": SHARED_CONNECTIONS,
        "figures": rows,
    }  # fmt: skip


def _with_workers(plan: Plan, cores: Sequence[int], count: int) -> list[dict[str, Any]]:
    load = plan.load(SIMPLE)
    figures = {build.name: Figures(build.name, "Python") for build in plan.builds}
    reference = Figures(REFERENCE, "C")
    wrk = next(((peer, path) for peer, path in plan.peers if peer.name == REFERENCE and path), None)
    rates: dict[str, float] = {}
    for number in range(plan.rounds):
        if wrk is not None:
            plan.say(f"workers, {count}, round {number + 1}: {REFERENCE}")
            peer, path = wrk
            words = [f"-t{count}" if word == "-t1" else word for word in peer.flat_out(load)]
            limit_s = load.seconds + 20
            ran = plan.settled(partial(run, [str(path), *words], cores, plan.server, limit_s=limit_s))
            if (window := ran.steady()) is None or ran.code:
                reference.note = failure(ran)
            else:
                reference.rates.append(window.rate)
                reference.cpu_per_10k.append(window.cpu_per_10k)
                reference.server_busy.append(window.server_busy)
                reference.peak_mb.append(ran.peak_mb)
        for build in plan.builds:
            plan.say(f"workers, {count}, round {number + 1}: {build.name}")
            try:
                if build.name not in rates:
                    best = max(reference.rates, default=40_000.0 * count)
                    rates[build.name] = search(
                        plan, build, load, cores, best * 0.3, best * 1.15, workers=count
                    )
                rates[build.name] = hold(
                    plan, build, load, cores, figures[build.name], rates[build.name], workers=count
                )
            except NoResult as e:
                figures[build.name].note = str(e)
    return [{"workers": count, **dataclasses.asdict(f)} for f in (*figures.values(), reference)]


def connections(plan: Plan, files: int) -> list[dict[str, Any]]:
    """Answers that take seconds, so that 10,000 and more requests are under way at once."""
    rows = []
    load = dataclasses.replace(plan.load(SLOW, MANY_RATE, MANY_S), connections=MANY * 2)
    for build in plan.builds:
        plan.say(f"{MANY} connections at once: {build.name}")
        row: dict[str, Any] = {"tool": build.name, "rate": MANY_RATE, "answer_s": SLOW_S, "note": ""}
        if files < MANY * 1.2:
            rows.append({**row, "note": f"a process may open only {files} files here (ulimit -Hn)"})
            continue
        try:
            outcome = own.spike(build, load, plan.server, [plan.core], arrivals="constant")
        except NoResult as e:
            rows.append({**row, "note": str(e)})
            continue
        totals = outcome.result["totals"]
        row |= {
            "at_once": outcome.ran.most_in_flight,
            "scheduled": totals["scheduled"],
            "ok": totals["ok"],
            "verdict": outcome.verdict,
            "lag_p99_ms": outcome.lag_p99_ms,
            "peak_mb": round(outcome.ran.peak_mb, 1),
            "note": unless_passed(outcome),
        }
        rows.append(row)
    return rows


def startup(plan: Plan, cores: Sequence[int]) -> list[dict[str, Any]]:
    """Seconds of `--help`, and from the start of a run to its first request as the target sees it.

    On all cores, as nobody starts it otherwise.
    """
    rows = []
    for build in plan.builds:
        plan.say(f"start-up: {build.name}")
        row: dict[str, Any] = {"tool": build.name, "help_s": [], "first_request_s": [], "note": ""}
        rows.append(row)
        for number in range(STARTS + 1):  # the first reads the files from the disk, and does not count
            try:
                times = _help(build, cores), _first_request(build, plan, cores)
            except (OSError, TimeoutError, subprocess.SubprocessError) as e:
                row["note"] = str(e)[:200]
                break
            if number:
                row["help_s"].append(round(times[0], 4))
                row["first_request_s"].append(round(times[1], 4))
    return rows


def _help(build: Build, cores: Sequence[int]) -> float:
    began = time.monotonic()
    words = pinned(cores, [build.program, "--help"])
    subprocess.run(words, check=True, capture_output=True, timeout=FIRST_LIMIT_S)
    return time.monotonic() - began


def _first_request(build: Build, plan: Plan, cores: Sequence[int]) -> float:
    """Raises TimeoutError if none comes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(FIRST_LIMIT_S)
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        load = dataclasses.replace(plan.load(SIMPLE, 100, 5.0), base=base)
        text = load.file("profile.yaml", own.profile(load, plan.server, "constant"))
        words = [build.program, "spike", "--profile", text, "--quiet", "--out", str(load.directory / "out")]
        seen: list[float] = []

        def watch() -> None:
            try:
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(FIRST_LIMIT_S)
                    if connection.recv(16):
                        seen.append(time.monotonic())
            except TimeoutError:
                return

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        with tempfile.TemporaryFile() as said:
            began = time.monotonic()
            process = subprocess.Popen(
                pinned(cores, words),
                stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            try:
                while watcher.is_alive() and process.poll() is None:
                    watcher.join(0.05)
            finally:
                end(process)
            if not seen:
                said.seek(0)
                text = said.read().decode("utf-8", "replace")
                raise TimeoutError(failure(Ran(process.returncode, text)))
    return seen[0] - began


def toxiproxy(plan: Plan, cores: Sequence[int]) -> dict[str, Any]:
    """The embedded Toxiproxy beside the real one: ci/bench_toxiproxy.py and what it says."""
    plan.say("the embedded Toxiproxy beside the real one")
    path = plan.directory / "toxiproxy.json"
    script = Path(__file__).resolve().parents[1] / "bench_toxiproxy.py"
    words = pinned(
        cores,
        [sys.executable, str(script), "--rounds", str(plan.rounds), "--seconds", "2", "--json", str(path)],
    )
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT)
        try:
            process.wait(TOXIPROXY_LIMIT_S)
        except subprocess.TimeoutExpired:
            return {"note": f"did not end in {TOXIPROXY_LIMIT_S} s"}
        finally:
            end(process)
        said.seek(0)
        text = said.read().decode("utf-8", "replace")
    if not path.exists():
        return {"note": failure(Ran(process.returncode, text))}
    return {"code": process.returncode, "note": "", "figures": json.loads(path.read_text())}
