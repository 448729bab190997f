"""Every `loadtool …` command and every profile of README and docs, in a block or in running text, is run.

- What ends by itself runs in this process, in a directory with the files that the pages take for granted: a
  short profile on one demo service, and copies of the result of one run of it. It has to exit with 0; one
  with a `--fail-if` with 3, as runs of less than a second can show no difference either way.
- What never ends, or takes minutes (servers, searches for a capacity, the profiles of the repository), is
  started as a process of its own, shown to be up, and interrupted; these go on beside the others.
- A port is 0, so that nobody's is taken.
- A profile, or a part of one made whole, is run against the demo service until it has sent something, and
  then interrupted. What it would do later than that is planned in test_documentation.py.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from glob import glob
from pathlib import Path

import httpx
import pytest
from documentation import BLOCKS, INLINE, LOADTOOL, ROOT, YAML, Block, completed, group, parsed, supply
from typer.exceptions import TyperException

from loadtool import cli
from loadtool.report.formats import FORMATS

PROFILE = """\
name: checkout
target: {url}
requests:
  - {{name: browse, get: /products/1}}
  - {{name: checkout, post: /checkout, json: {{cart: c1, quantity: 1}}}}
phases:
  - {{name: baseline, rate: 200/s, for: 200ms}}
  - {{name: spike,    rate: 400/s, for: 200ms}}
  - {{name: recovery, rate: 200/s, for: 100ms}}
client: {{timeout: 5s}}
validity: {{lag: 5s}}
slos: [error rate < 100%]
"""
PROFILES = ("checkout.yaml", "load/spike.yaml", "profile.yaml")
RESULTS = (
    "result.json", "baseline.json", "candidate.json", "before.json", "after.json", "main.json",
    "main-1.json", "main-2.json", "branch-1.json", "branch-2.json", "baseline/result.json",
    "loadtool-results/20260301T120000Z-checkout/result.json", "loadtool-results/RUN/result.json",
)  # fmt: skip

# What it says once it is up; a run does so twice a phase.
UP = {
    "target": re.compile(r"listens on (http://\S+?),"),
    "toxiproxy": re.compile(r"(http://\S+)"),
    "spike": re.compile(r"^\d+\.\ds \w+ +\d+% \| offered", re.MULTILINE),
    "capacity": re.compile(r"^\d+\.\ds \w+ +\d+% \| offered", re.MULTILINE),
}
SERVERS = {"target": "/products/7", "toxiproxy": "/version"}  # with a path that answers
AT_A_TIME = 3  # they mostly wait
DATABASE, PROXY = "127.0.0.1:5432", "127.0.0.1:15432"  # of the pages; others may listen there
LOADED_S = 0.5  # after the beginning of a run; its arrivals follow the clock, however slow the machine
INTERRUPTED = ("test_it_comes_up", "test_a_profile_runs")


@dataclass(frozen=True)
class Command:
    """What a reader would type, with ports that are free for certain, and where it stands."""

    words: tuple[str, ...]
    where: str

    def __str__(self) -> str:
        return f"{self.where} {' '.join(self.words)}"

    @property
    def name(self) -> str:
        return self.words[0]

    @property
    def endless(self) -> bool:
        return self.name in (*SERVERS, "capacity") or any(w.startswith("profiles/") for w in self.words)


def free(words: tuple[str, ...]) -> tuple[str, ...]:
    """The same with port 0."""
    changed = [
        re.sub(r"\d+$", "0", word) if before in ("--port", "--prometheus") else word
        for before, word in zip(("", *words), words, strict=False)
    ]
    if words[0] == "toxiproxy" and "--port" not in words:
        changed += ["--port", "0"]
    return tuple(changed)


def is_whole(words: tuple[str, ...]) -> bool:
    """Whether it can be typed so, and is not the mention of a command without what it needs."""
    if words[0] in ("COMMAND", "--help"):
        return False
    try:
        return words == ("--version",) or bool(parsed(words))
    except TyperException:
        return False


def commands() -> Iterator[Command]:
    seen = set()
    for line in (*LOADTOOL, *INLINE):
        words = free(line.words[1:])
        if words not in seen and (line in LOADTOOL or is_whole(words)):
            seen.add(words)
            yield Command(words, str(line.block))


COMMANDS = list(commands())
ENDING = [c for c in COMMANDS if not c.endless]
ENDLESS = [c for c in COMMANDS if c.endless]
ENVIRONMENT = {
    k: v for k, v in os.environ.items() if not re.match(r"(CI|GITHUB_\w+|NO_COLOR|FORCE_COLOR)$", k)
}


def started(place: Path, *words: str) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "loadtool", *words], cwd=place, text=True, process_group=0,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**ENVIRONMENT, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(place / "state")},
    )  # fmt: skip


def until_up(process: subprocess.Popen[str], name: str) -> tuple[str, str]:
    """What it has said once it is up, and the URL that it names, if it does."""
    stream = process.stdout if name in SERVERS else process.stderr
    assert stream is not None
    said = ""
    for line in stream:
        said += line
        if found := UP[name].search(said):
            return said, found[1] if name in SERVERS else ""
    raise AssertionError(f"it ended: {said}{process.communicate()}")


@contextmanager
def up(place: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command that is up, and its URL; nothing of it is left afterwards."""
    with started(place, *words) as process:
        try:
            yield process, until_up(process, words[0])[1]
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)


def fetch(url: str) -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=30) as answer:
        return int(answer.status)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a demo service for all the short runs."""
    with up(tmp_path_factory.mktemp("service"), "target", "--port", "0") as (_, url):
        yield url


def furnished(place: Path, url: str) -> Path:
    """A directory with all that the pages take for granted, but results."""
    for name in PROFILES:
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(PROFILE.format(url=url))
    (place / "profiles").symlink_to(ROOT / "profiles")
    supply(place)
    return place


@pytest.fixture(scope="module")
def desk(service: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A furnished directory, with results."""
    place = furnished(tmp_path_factory.mktemp("desk"), service)
    with started(place, "spike", "-p", "checkout.yaml", "--json", RESULTS[0]) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    for name in RESULTS[1:]:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(place / RESULTS[0], place / name)
    return place


@dataclass(frozen=True)
class Interrupted:
    """How an endless command ended that was interrupted once it was up."""

    code: int
    out: str
    err: str
    status: int  # of what a server answered
    place: Path

    @property
    def result(self) -> Path:
        """The result that it says it wrote."""
        written: str
        (written,) = re.findall(r"^wrote (loadtool-results/.*\.json)$", self.out, re.MULTILINE)
        return self.place / written


def interrupt(command: Command, place: Path, after_s: float = 0.0) -> Interrupted:
    status = 0
    with started(place, *command.words) as process:
        try:
            said, url = until_up(process, command.name)
            if url:
                status = fetch(url + SERVERS[command.name])
            time.sleep(after_s)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
    return Interrupted(process.returncode, out, said + err, status, place)


@dataclass(frozen=True)
class Surroundings:
    """Who there is that the profiles of the pages speak of."""

    service: str
    database: int  # its port
    toxiproxy: str  # with a proxy `postgres`


@pytest.fixture(scope="module")
def surroundings(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    place = tmp_path_factory.mktemp("surroundings")
    with (
        socket.create_server(("127.0.0.1", 0)) as database,
        up(place, "toxiproxy", "--port", "0") as (_, toxiproxy),
    ):
        port = database.getsockname()[1]
        postgres = {"name": "postgres", "listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{port}"}
        httpx.post(f"{toxiproxy}/proxies", json=postgres, trust_env=False).raise_for_status()
        yield Surroundings(service, port, toxiproxy)


def run(block: Block, place: Path, around: Surroundings) -> Interrupted:
    text = (
        completed(block.text).replace(DATABASE, f"127.0.0.1:{around.database}").replace(PROXY, "127.0.0.1:0")
    )
    (place / "part.yaml").write_text(text)
    words = ["spike", "-p", "part.yaml", "--target", around.service, "--plain"]
    if "{existing: postgres}" in text:
        words += ["--toxiproxy", around.toxiproxy]
    return interrupt(Command(tuple(words), str(block)), place, LOADED_S)


@pytest.fixture(scope="module", autouse=True)
def interrupted(
    request: pytest.FixtureRequest, surroundings: Surroundings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[Command | Block, Future[Interrupted]]]:
    """The endless commands and the profiles among the tests that were chosen, side by side."""
    chosen = [
        subject
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.originalname in INTERRUPTED
        if isinstance(subject := item.callspec.params["subject"], Command | Block)
    ]

    def place() -> Path:
        return furnished(tmp_path_factory.mktemp("endless"), surroundings.service)

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        yield {
            subject: pool.submit(interrupt, subject, place())
            if isinstance(subject, Command)
            else pool.submit(run, subject, place(), surroundings)
            for subject in chosen
        }
        pool.shutdown(cancel_futures=True)


def outputs(place: Path, words: tuple[str, ...]) -> list[Path]:
    """The files that its options ask for."""
    _, params = parsed(words)
    return [place / params[key] for key in FORMATS if isinstance(params.get(key), Path)]


def test_there_are_commands_of_every_kind() -> None:
    assert {c.name for c in COMMANDS} == {*group().commands, "--version"}
    assert {c.name for c in ENDLESS} == set(UP)
    assert {"spike", "compare", "history", "report", "chaos", "try"} <= {c.name for c in ENDING}


@pytest.mark.parametrize("command", ENDING, ids=str)
def test_it_does_what_it_says(
    command: Command, desk: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(desk)
    for name in set(os.environ) - set(ENVIRONMENT):
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(desk / "state"))
    monkeypatch.setenv("COLUMNS", "120")
    words = [file for word in command.words for file in (sorted(glob(word)) if "*" in word else [word])]
    code = cli.main(words)
    out, err = capfd.readouterr()
    gates = command.words.count("--fail-if")
    assert code == (3 if gates else 0), out + err
    assert out.count("undecidable") >= gates
    assert out.strip(), "it says something"
    if command.name != "--version":
        assert [f.name for f in outputs(desk, tuple(words)) if not f.exists()] == []


@pytest.mark.parametrize("subject", ENDLESS, ids=str)
def test_it_comes_up(subject: Command, interrupted: Mapping[Command, Future[Interrupted]]) -> None:
    it = interrupted[subject].result()
    assert it.code == 130, it.out + it.err
    assert "Traceback" not in it.out + it.err
    if subject.name in SERVERS:
        assert (it.status, it.err.count("\n")) == (200, 1), it.err
    else:
        assert [f.name for f in (it.result, *outputs(it.place, subject.words)) if not f.exists()] == []


@pytest.mark.parametrize("subject", YAML, ids=str)
def test_a_profile_runs(subject: Block, interrupted: Mapping[Block, Future[Interrupted]]) -> None:
    it = interrupted[subject].result()
    assert "Traceback" not in it.out + it.err
    assert it.code == 130, it.out + it.err
    assert json.loads(it.result.read_text())["totals"]["scheduled"] > 0


@pytest.mark.parametrize(("code", "ends"), [(0, 0), (1, 1), (2, 2), (3, 0), (130, 130)])
def test_a_script_tells_what_proves_nothing_from_what_fails(tmp_path: Path, code: int, ends: int) -> None:
    (block,) = (b for b in BLOCKS if b.language == "sh" and b.page.name == "ci.md")
    (tmp_path / "loadtool").write_text(f"#!/bin/sh\nexit {code}\n")
    (tmp_path / "loadtool").chmod(0o755)
    done = subprocess.run(
        ["bash", "-e", "-c", block.text], env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (ends, "")
    assert done.stdout == ("proves nothing, going on\n" if code == 3 else "")
