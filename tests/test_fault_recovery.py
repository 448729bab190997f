"""Whole runs that are killed, interrupted or refused by a Toxiproxy: what they leave, and what takes it out.

The server's state is always read by a client of the test's own.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from chaos_servers import SERVERS, real_server
from faulty_gate import Fate, Rule, always_pass, gate_to, once
from run_harness import ENDLESS, TRIES, Run, alive, children, command_line, eventually, late, run, running
from run_service import service
from test_fault_runs import without_toxiproxy


@dataclass
class Foreign:
    """A Toxiproxy that is somebody else's, with proxies of theirs."""

    url: str

    def state(self) -> Any:
        return httpx.get(f"{self.url}/proxies", trust_env=False).json()

    def add(self, name: str) -> None:
        proxy = {"name": name, "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1"}
        assert httpx.post(f"{self.url}/proxies", json=proxy, trust_env=False).status_code == 201
        toxic = {"name": "theirs", "type": "latency", "attributes": {"latency": 1}}
        answer = httpx.post(f"{self.url}/proxies/{name}/toxics", json=toxic, trust_env=False)
        assert answer.status_code == 200


@contextmanager
def foreign(kind: str) -> Iterator[Foreign]:
    with SERVERS[kind]() as url:
        server = Foreign(url)
        for name in ("db", "cache", "untouched"):
            server.add(name)
        yield server


PROFILE = """\
target: http://127.0.0.1:{port}
toxiproxy: {toxiproxy}
requests: [{{get: /}}]
phases: [{{name: baseline, rate: 20/s, for: 1s}}]
proxies:
  front: {{upstream: target}}
  db: {{existing: db}}
  cache: {{existing: cache}}
faults:
  - {{name: slow, at: 100ms, for: 600ms, proxy: front, toxic: latency, latency: 5ms}}
  - {{name: db-hangs, at: 100ms, for: 600ms, proxy: db, toxic: timeout, timeout: 0}}
  - {{name: cache-down, at: 100ms, for: 600ms, proxy: cache, down: true}}
  - {{name: pause, at: 100ms, for: 600ms, run: touch done, undo: touch undone}}
validity: {{lag: 10s}}
"""
LASTING = PROFILE.replace("for: 1s", "for: 300s").replace("for: 600ms, ", "")
# Faults that are in for most of their time however busy the machine is.
LEISURELY = PROFILE.replace("for: 1s", "for: 5s").replace("for: 600ms", "for: 4s")
PLACED = "faults: slow, db-hangs, cache-down, pause"


def chaos(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`loadtool chaos …`, with the journals of this test's runs alone."""
    return subprocess.run(
        [sys.executable, "-m", "loadtool", "chaos", *words],
        env={**os.environ, "XDG_STATE_HOME": str(directory / "state")},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("kind", SERVERS)
def test_what_a_killed_run_left_is_seen_and_taken_out(tmp_path: Path, kind: str) -> None:
    with foreign(kind) as server, service(tmp_path / "broken") as (port, _):
        before = server.state()
        profile = LASTING.format(port=port, toxiproxy=server.url)
        with running(tmp_path, profile, XDG_STATE_HOME=str(tmp_path / "state")) as live:
            live.wait_for(PLACED)
            broken = server.state()
            going_on = chaos(tmp_path, "status")
            left_alone = chaos(tmp_path, "recover")
            assert server.state() == broken
            family = children(live.process.pid)
            live.kill()
            eventually("its workers end", lambda: not any(alive(pid) for pid in family))
        assert server.state() == broken != before
        assert (going_on.returncode, left_alone.returncode) == (0, 0)
        assert re.search(
            rf"process {live.process.pid}, going on\) has proxy loadtool-\w+-front, ", going_on.stdout
        )
        assert left_alone.stdout == "nothing is left\n"

        status = chaos(tmp_path, "status")
        assert status.returncode == 1
        assert re.fullmatch(
            rf"{server.url}: run \w+ of \S+ \(process {live.process.pid}, dead\) has left "
            r"(?=.*proxy loadtool-\w+-front)(?=.*toxic loadtool-\w+-slow on proxy loadtool-\w+-front)"
            r"(?=.*toxic loadtool-\w+-db-hangs on proxy db)(?=.*proxy cache disabled)"
            rf"(?=.*the command of fault loadtool-\w+-pause \(\(cd {tmp_path} && touch undone\)\)).*\n",
            status.stdout,
        ), status.stdout
        with SERVERS["embedded"]() as other:
            elsewhere = chaos(tmp_path, "recover", "--toxiproxy", other)
        assert (elsewhere.returncode, elsewhere.stdout) == (0, "nothing is left\n")
        assert server.state() == broken

        recover = chaos(tmp_path, "recover")
        assert (recover.returncode, recover.stderr) == (0, "")
        assert ": taken out: proxy loadtool-" in recover.stdout
        assert server.state() == before
        assert (tmp_path / "undone").exists()
        for words in ("status", "recover"):
            again = chaos(tmp_path, words)
            assert (again.returncode, again.stdout) == (0, "nothing is left\n")


def test_what_went_with_a_server_that_was_restarted_is_not_taken_out_again(tmp_path: Path) -> None:
    with foreign("embedded") as server, service(tmp_path / "broken") as (port, _):
        profile = LASTING.format(port=port, toxiproxy=server.url)
        with running(tmp_path, profile, XDG_STATE_HOME=str(tmp_path / "state")) as live:
            live.wait_for(PLACED)
            live.kill()
        # As after a restart with the owner's configuration.
        for name in server.state():
            httpx.delete(f"{server.url}/proxies/{name}", trust_env=False)
        for name in ("db", "cache"):
            server.add(name)
        before = server.state()
        recover = chaos(tmp_path, "recover")
        assert server.state() == before
    assert (recover.returncode, recover.stderr) == (0, "")
    assert re.search(
        r": taken out: the command of fault loadtool-\w+-pause \(.*\); already gone: "
        r"proxy loadtool-\w+-front, toxic loadtool-\w+-db-hangs on proxy db, proxy cache disabled\n$",
        recover.stdout,
    ), recover.stdout
    assert chaos(tmp_path, "status").stdout == "nothing is left\n"


@pytest.mark.parametrize("proxies", ["", "toxiproxy: {url}\nproxies: {{db: {{existing: db}}}}\n"])
def test_a_journal_that_cannot_be_written_is_said_before_anything_is_sent(
    tmp_path: Path, proxies: str
) -> None:
    (tmp_path / "state").touch()  # a file where a directory has to be
    fault = "proxy: db, toxic: noop" if proxies else "run: touch done, undo: touch undone"
    with foreign("embedded") as server, service(tmp_path / "broken") as (port, books):
        before = server.state()
        profile = f"""\
target: http://127.0.0.1:{port}
requests: [{{get: /}}]
phases: [{{name: baseline, rate: 20/s, for: 1s}}]
faults: [{{name: late, at: 900ms, {fault}}}]
steady_state: [{{name: health, get: /health}}]
"""
        done = run(tmp_path, profile + proxies.format(url=server.url), XDG_STATE_HOME=str(tmp_path / "state"))
        assert server.state() == before
    assert (done.code, done.results, books.asked) == (3, [], [])
    journal = rf"{tmp_path}/state/loadtool/\w+\.journal"
    said = rf"loadtool: cannot write the journal {journal}: Not a directory; without one, a killed run"
    assert re.match(said, done.err.splitlines()[-1]), done.err


def test_what_a_killed_run_did_by_commands_is_seen_and_undone(tmp_path: Path) -> None:
    with service(tmp_path / "broken") as (port, _):
        profile = f"""\
target: http://127.0.0.1:{port}
requests: [{{get: /}}]
phases: [{{name: baseline, rate: 20/s, for: 300s}}]
faults: [{{name: pause, at: 100ms, run: touch done, undo: [touch, un done]}}]
"""
        with running(tmp_path, profile, XDG_STATE_HOME=str(tmp_path / "state")) as live:
            live.wait_for("faults: pause")
            live.kill()
    status = chaos(tmp_path, "status")
    assert status.returncode == 1
    undo = re.escape(f"(cd {tmp_path} && touch 'un done')")
    assert re.fullmatch(
        rf"commands: run \w+ of \S+ \(process \d+, dead\) has left the command of fault loadtool-\w+-pause"
        rf" \({undo}\)\n",
        status.stdout,
    ), status.stdout
    recover = chaos(tmp_path, "recover")
    assert (recover.returncode, recover.stderr) == (0, "")
    assert (tmp_path / "un done").exists()
    assert chaos(tmp_path, "status").stdout == "nothing is left\n"


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_the_server_as_it_was(
    tmp_path: Path, number: signal.Signals, code: int, kind: str
) -> None:
    with foreign(kind) as server, service(tmp_path / "broken") as (port, _):
        before = server.state()
        profile = LASTING.format(port=port, toxiproxy=server.url)
        with running(tmp_path, profile, XDG_STATE_HOME=str(tmp_path / "state")) as live:
            live.wait_for(PLACED)
            live.send(number)
            done = live.end()
        assert server.state() == before
    assert done.code == code
    assert [f["removed"] for f in done.result["faults"]] == [True] * 4
    assert done.result["problems"] == []
    assert (tmp_path / "undone").exists()
    assert list((tmp_path / "state" / "loadtool").iterdir()) == []


@pytest.mark.parametrize("program", ["loadtool.chaos.server", "toxiproxy-server"])
def test_an_owned_server_is_gone_within_a_second_of_a_kill(tmp_path: Path, program: str) -> None:
    embedded = program.startswith("loadtool")
    if not embedded and shutil.which(program) is None:
        pytest.skip(f"{program} is not on PATH")
    path = without_toxiproxy() if embedded else os.environ["PATH"]
    took = []
    for n in range(TRIES):  # a machine that is too busy to end a process in that time gets another try
        directory = tmp_path / str(n)
        directory.mkdir()
        with running(directory, ENDLESS, PATH=path) as live:
            live.wait_for("faults: slow")
            servers = [p for p in children(live.process.pid) if program in command_line(p)]
            assert len(servers) == 1
            killed = time.monotonic()
            live.kill()
            eventually("its server ends", lambda: not alive(servers[0]))  # noqa: B023  # called at once
            took.append(time.monotonic() - killed)
        if took[-1] < 1:
            return
    assert min(took) < 10, took
    pytest.skip(f"this machine was too busy to end a process at once: gone after {took} s")


def breaking(wanted: str, pattern: str, when: Fate) -> Rule:
    """Breaks requests of this method whose path fits the pattern."""

    def decide(method: str, path: str, body: bytes) -> Fate:
        return when if method == wanted and re.fullmatch(pattern, path) else "pass"

    return decide


OWN = r"/proxies/loadtool-\w+-front"
# What fails, and whether that alone makes the run invalid: a removal is tried again.
CALLS = [
    ("create a proxy", "POST", "/proxies", True),
    ("add a toxic", "POST", f"{OWN}/toxics", True),
    ("add a toxic to theirs", "POST", "/proxies/db/toxics", True),
    ("disable theirs", "POST", "/proxies/cache", True),
    ("remove a toxic", "DELETE", f"{OWN}/toxics/.*", False),
    ("remove a toxic from theirs", "DELETE", "/proxies/db/toxics/.*", False),
    ("disable our own", "POST", OWN, False),
    ("delete our own", "DELETE", OWN, False),
]


def test_a_failure_at_each_call_ends_with_nothing_left(tmp_path: Path) -> None:
    """Each call of placing and removing fails once, before or after the real server has done it."""

    def broken_run(number: int, method: str, pattern: str, when: Fate) -> tuple[Run, int]:
        # Each with proxies of its own: two runs that put one down would wait for each other.
        names = {"db": f"db{number}", "cache": f"cache{number}"}
        for attempt in range(TRIES):  # a fault that comes late makes a run invalid, or is never placed at all
            directory = tmp_path / f"{number}-{attempt}"
            directory.mkdir()
            with gate_to(server, once(breaking(method, pattern, when))) as gate:
                profile = PROFILE.format(port=port, toxiproxy=gate.url)
                for name, own in names.items():
                    profile = profile.replace(f"existing: {name}", f"existing: {own}")
                done = run(directory, profile, XDG_STATE_HOME=str(directory / "state"))
            now = theirs.state()
            assert [now[own] for own in names.values()] == [before[own] for own in names.values()]
            if not late(done):
                break
        return done, gate.broken

    cases = [(*call, when) for call in CALLS for when in ("before", "after")]
    with ExitStack() as stack:
        server = stack.enter_context(real_server())
        port, _ = stack.enter_context(service(tmp_path / "broken"))
        theirs = Foreign(server)
        for n in range(len(cases)):
            theirs.add(f"db{n}")
            theirs.add(f"cache{n}")
        before = theirs.state()
        with ThreadPoolExecutor(4) as pool:
            results = list(
                pool.map(
                    lambda n: broken_run(
                        n, cases[n][1], re.sub("(db|cache)", rf"\g<1>{n}", cases[n][2]), cases[n][4]
                    ),
                    range(len(cases)),
                )
            )
        assert theirs.state() == before
    for (what, _, _, invalid, when), (done, broken) in zip(cases, results, strict=True):
        if not late(done):
            assert broken == 1, (what, when)
            assert (done.code == 3) == invalid, (what, when, done.out, done.err)
        assert list((done.directory / "state" / "loadtool").iterdir()) == [], (what, when)
        for fault in done.result["faults"] if done.results else []:
            assert fault["removed"], (what, when, fault)
    if any(late(done) for done, _ in results):
        pytest.skip(f"this machine was too busy to place each fault on time, {TRIES} times over")


def test_what_cannot_be_taken_out_is_said_with_the_command_that_does_it(tmp_path: Path) -> None:
    def stuck(method: str, path: str, body: bytes) -> Fate:
        removal = method == "DELETE" and path.startswith("/proxies/db/toxics/")
        return "before" if removal or (path == "/proxies/cache" and b"true" in body) else "pass"

    with (
        foreign("embedded") as server,
        service(tmp_path / "broken") as (port, _),
        gate_to(server.url, stuck) as gate,
    ):
        before = server.state()
        done = run(
            tmp_path, LEISURELY.format(port=port, toxiproxy=gate.url), XDG_STATE_HOME=str(tmp_path / "state")
        )
        assert done.code == 3
        assert done.result["verdict"] == "invalid"
        text = " ".join(done.out.replace("\n", " ").split())
        # At its planned end, or if the load is over before that has failed for good, at the run's.
        assert re.search(
            r"fault db-hangs could not be removed: |-db-hangs on proxy db was not removed: ", text
        )
        assert re.search(
            r"fault cache-down could not be removed: |proxy cache disabled was not removed: ", text
        )
        assert server.state() != before
        status = chaos(tmp_path, "status")
        assert (status.returncode, status.stdout.count("has left")) == (1, 1)
        # The commands of the report, by hand, as an engineer would at 3 AM.
        told = (problem.partition("to take it out by hand: ") for problem in done.result["problems"])
        by_hand = {line for _, said, line in told if said}
        assert len(by_hand) == 2
        gate.rule = always_pass
        for line in by_hand:
            assert line.startswith("curl -X "), line
            subprocess.run(["sh", "-c", line], check=True, capture_output=True)
        assert server.state() == before
        assert chaos(tmp_path, "recover").returncode == 0
        assert list((tmp_path / "state" / "loadtool").iterdir()) == []


def test_a_run_that_never_began_says_what_it_left(tmp_path: Path) -> None:
    with foreign("embedded") as server, gate_to(server.url, breaking("DELETE", OWN, "before")) as gate:
        before = server.state()
        profile = PROFILE.format(port=1, toxiproxy=gate.url) + "wait_for: {get: /health, up_to: 300ms}\n"
        done = run(tmp_path, profile, XDG_STATE_HOME=str(tmp_path / "state"))
        assert (done.code, done.results) == (3, [])
        assert "loadtool: wait_for: http://127.0.0.1:1/health was not ready within 300ms" in done.err
        left = re.search(
            r"^loadtool: proxy (loadtool-\w+-front) was not removed: cannot delete proxy \1: .*;"
            r" to take it out by hand: (curl -X DELETE \S+)$",
            done.err,
            re.MULTILINE,
        )
        assert left is not None, done.err
        assert server.state() != before
        gate.rule = always_pass
        subprocess.run(["sh", "-c", left[2]], check=True, capture_output=True)
        assert server.state() == before


def test_a_fault_that_cannot_be_placed_is_said_and_the_others_go_on(tmp_path: Path) -> None:
    rule = breaking("POST", "/proxies/db/toxics", "before")
    with (
        foreign("embedded") as server,
        service(tmp_path / "broken") as (port, _),
        gate_to(server.url, rule) as gate,
    ):
        before = server.state()
        done = run(
            tmp_path, LEISURELY.format(port=port, toxiproxy=gate.url), XDG_STATE_HOME=str(tmp_path / "state")
        )
        assert server.state() == before
    assert done.code == 3
    said = "fault db-hangs could not be placed: cannot add toxic loadtool-"
    assert said in " ".join(done.out.split())
    assert said in done.err, "at once, not only in the report"
    placed = {f["name"]: f["started_s"] is not None for f in done.result["faults"]}
    assert placed == {"slow": True, "db-hangs": False, "cache-down": True, "pause": True}
