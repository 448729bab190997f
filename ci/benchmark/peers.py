"""The other load generators, each in its best mode: one row a tool.

A row says how to run it as fast as it goes (`flat_out`) and, if it keeps a schedule, at a rate (`paced`).
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SIMPLE, UNIQUE, TLS, CONNECT, MIX = "simple", "unique", "tls", "connect", "mix"
SLOW = "slow"  # not compared: answers that take their time, for many connections at once
SCENARIOS: Final = {
    SIMPLE: "one small answer",
    UNIQUE: "every answer has a header of its own",
    TLS: "over TLS",
    CONNECT: "a new connection for each request",
    MIX: "five templated requests by weight",
}
MIXED: Final = ("product", "cart", "search", "user", "order")  # requests of `mix`
WEIGHTS: Final = (8, 4, 4, 2, 2)
LOCUST_START_S: Final = 3  # its users' TLS contexts take seconds, and its time begins before them
# Of tools with a schedule that open more connections when answers are late: vegeta has no bound, 1,000 is
# loadtool's default.
MOST_CONNECTIONS: Final = 1_000
DRAWN: Final = [name for name, weight in zip(MIXED, WEIGHTS, strict=True) for _ in range(weight)]
PATHS: Final = {UNIQUE: "/unique", SLOW: "/slow"}


@dataclass(frozen=True)
class Load:
    """What a tool is asked to do."""

    scenario: str
    base: str  # scheme, host and port
    connections: int
    seconds: float
    directory: Path  # for the files that a tool needs
    rate: int = 0  # requests/s; 0: as fast as it goes

    @property
    def url(self) -> str:
        return self.base + PATHS.get(self.scenario, "/")

    @property
    def reconnecting(self) -> bool:
        return self.scenario == CONNECT

    def file(self, name: str, text: str) -> str:
        path = self.directory / name
        path.write_text(text)
        return str(path)


Command = Callable[[Load], list[str]]


def drawn(load: Load, before: str = "") -> str:
    """The mix drawn beforehand, a URL a line, for tools that can send a list but draw nothing."""
    source = random.Random(42)
    return "".join(
        f"{before}{load.base}/mix/{source.choice(DRAWN)}/{source.randint(1, 500)}\n" for _ in range(10_000)
    )


@dataclass(frozen=True)
class Peer:
    """A load generator. `scenarios` are those which it can do; `paced` is None without a schedule."""

    name: str
    kind: str  # what it is written in
    flat_out: Command
    paced: Command | None = None
    scenarios: frozenset[str] = frozenset((SIMPLE, UNIQUE, TLS, CONNECT))


def cache() -> Path:
    """Where `--install-peers` puts what has no Debian package: outside of the checkout."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "loadtool-bench"


def find(name: str) -> str | None:
    """The program's path, if it is installed."""
    if name == "locust":
        path = cache() / "locust" / "bin" / "locust"
        return str(path) if path.exists() else None
    return shutil.which(name, path=f"{cache() / 'bin'}{os.pathsep}{os.environ['PATH']}")


def _wrk(load: Load) -> list[str]:
    words = ["-t1", f"-c{load.connections}", f"-d{max(1, round(load.seconds))}s", load.url]
    if load.reconnecting:
        words += ["-H", "Connection: close"]
    if load.scenario == MIX:
        bounds = "".join(
            f'  if n <= {sum(WEIGHTS[: i + 1])} then return wrk.format("GET", "/mix/{name}/" .. id) end\n'
            for i, name in enumerate(MIXED)
        )
        script = (
            "function request()\n"
            f"  local n, id = math.random(1, {sum(WEIGHTS)}), math.random(1, 500)\n{bounds}end\n"
        )
        words += ["-s", load.file("mix.lua", script)]
    return words


def _hey(load: Load) -> list[str]:
    words = ["-cpus", "1", "-c", str(load.connections), "-z", f"{load.seconds}s"]
    return [*words, *(["-disable-keepalive"] if load.reconnecting else []), load.url]


def _h2load(load: Load) -> list[str]:
    words = ["--h1", "-t1", f"-c{load.connections}", f"-D{max(1, round(load.seconds))}"]
    if load.rate:
        words += [f"--rps={load.rate / load.connections:g}"]
    if load.scenario == MIX:
        return [*words, "-i", load.file("h2load.txt", drawn(load))]
    return [*words, load.url]


def _vegeta(load: Load) -> list[str]:
    mixed = load.scenario == MIX
    targets = load.file("vegeta.txt", drawn(load, "GET ") if mixed else f"GET {load.url}\n")
    words = [
        "-cpus=1", "attack", f"-targets={targets}", f"-duration={load.seconds}s", "-output=/dev/null",
        "-insecure", f"-connections={load.connections}", f"-keepalive={str(not load.reconnecting).lower()}",
    ]  # fmt: skip
    if load.rate:
        return [*words, f"-rate={load.rate}/1s"]
    return [*words, "-rate=0", f"-max-workers={load.connections}"]


def _k6(load: Load) -> list[str]:
    scenario: dict[str, object] = {
        "executor": "constant-vus", "vus": load.connections, "duration": f"{load.seconds}s"
    }  # fmt: skip
    if load.rate:
        scenario = {
            "executor": "constant-arrival-rate", "rate": load.rate, "timeUnit": "1s",
            "duration": f"{load.seconds}s", "preAllocatedVUs": load.connections, "maxVUs": MOST_CONNECTIONS,
        }  # fmt: skip
    options = {
        "scenarios": {"bench": {**scenario, "gracefulStop": "2s"}},
        "discardResponseBodies": True,
        "insecureSkipTLSVerify": True,
        "noConnectionReuse": load.reconnecting,
    }
    url = json.dumps(load.url)
    if load.scenario == MIX:
        pick = "names[Math.floor(Math.random() * names.length)]"
        url = f"{json.dumps(load.base)} + `/mix/${{{pick}}}/${{1 + Math.floor(Math.random() * 500)}}`"
    script = load.file(
        "k6.js",
        f"import http from 'k6/http';\nconst names = {json.dumps(DRAWN)};\n"
        f"export const options = {json.dumps(options)};\n"
        f"export default function () {{ http.get({url}); }}\n",
    )
    return ["run", "--quiet", "--no-summary", "--no-thresholds", "--no-usage-report", script]


def _oha(load: Load) -> list[str]:
    words = ["--no-tui", "--insecure", "-z", f"{load.seconds}s", "-c", str(load.connections)]
    if load.rate:
        words += ["-q", str(load.rate), "--latency-correction"]
    if load.scenario == MIX:
        return [*words, "--rand-regex-url", f"{load.base}/mix/({'|'.join(DRAWN)})/[1-5][0-9][0-9]"]
    return [*words, *(["--disable-keepalive"] if load.reconnecting else []), load.url]


def _fortio(load: Load) -> list[str]:
    keep = str(not load.reconnecting).lower()
    # Its connections keep time each for itself; -uniform spreads them over the gap rather than in one burst.
    return [
        "load", "-quiet", "-loglevel", "Error", "-k", f"-keepalive={keep}", "-qps", str(load.rate or 0),
        *(["-uniform"] if load.rate else []), "-c", str(load.connections), "-t", f"{load.seconds}s", load.url,
    ]  # fmt: skip


def _locust(load: Load) -> list[str]:
    headers = ', headers={"Connection": "close"}' if load.reconnecting else ""
    tasks = f"    @task\n    def get(self):\n        self.client.get({load.url!r}{headers})\n"
    if load.scenario == MIX:
        tasks = "".join(
            f"    @task({weight})\n    def {name}(self):\n"
            f"        self.client.get(f'/mix/{name}/{{randint(1, 500)}}', name='/mix/{name}')\n"
            for name, weight in zip(MIXED, WEIGHTS, strict=True)
        )
    script = load.file(
        "locustfile.py",
        "from random import randint\nfrom locust import FastHttpUser, constant, task\n"
        f"class Bench(FastHttpUser):\n    wait_time = constant(0)\n    insecure = True\n{tasks}",
    )
    users = str(load.connections)
    return [
        "-f", script, "--headless", "--only-summary", "--loglevel", "ERROR", "-H", load.base, "-u", users,
        "-r", users, "-t", f"{round(load.seconds) + LOCUST_START_S}s",
    ]  # fmt: skip


# hey and locust can be slowed down to a rate, but send only what their connections or users are free for: no
# schedule. h2load's and fortio's connections keep one each, of their share. h2load does not end if its
# connections are closed after each request; hey and fortio send one and the same request.
EVERY: Final = frozenset(SCENARIOS)
PEERS: Final[Sequence[Peer]] = (
    Peer("wrk", "C", _wrk, None, EVERY),
    Peer("h2load", "C++", _h2load, _h2load, EVERY - {CONNECT}),
    Peer("oha", "Rust", _oha, _oha, EVERY),
    Peer("hey", "Go", _hey, None, EVERY - {MIX}),
    Peer("fortio", "Go", _fortio, _fortio, EVERY - {MIX}),
    Peer("vegeta", "Go", _vegeta, _vegeta, EVERY),
    Peer("k6", "Go", _k6, _k6, EVERY),
    Peer("locust", "Python", _locust, None, EVERY),
)
