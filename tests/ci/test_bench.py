"""ci/bench: that it works, and that what it makes of samples and packets is right. No speeds."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from benchmark import __main__ as bench
from benchmark import extras, own, rounds, table
from benchmark.own import Build
from benchmark.peers import PEERS, SCENARIOS, SIMPLE, Load, Peer
from benchmark.process import Meter, Ran, Sample, Status, end, lives, run, tree
from benchmark.sends import lag
from benchmark.server import Server, program
from benchmark.table import rows, spread

CI = Path(__file__).resolve().parents[2] / "ci"
MS = 1_000_000


@pytest.mark.parametrize(
    ("sent", "p50", "p99", "highest"),
    [
        ([i * MS for i in range(5_001)], 0.0, 0.0, 0.0),
        # The first 100 ms of each second are sent at their end, 100, 99, … ms late. Four such ends lie in the
        # 3,900 that count, so the 39th highest is the tenth of each.
        ([(i // 1_000 * 1_000 + max(i % 1_000, 100)) * MS for i in range(5_001)], 0.0, 91.0, 100.0),
        # The tool's clock is 0.1 % slow: 1 ms in a second, half of it at the median.
        ([round(i * 1.001 * MS) for i in range(5_001)], 0.5, 0.99, 1.0),
    ],
)
def test_lag_of_what_was_sent(sent: list[int], p50: float, p99: float, highest: float) -> None:
    seen = lag(sent[::-1], 1_000)
    assert seen is not None
    assert (seen.p50, seen.p99, seen.max) == pytest.approx((p50, p99, highest), abs=0.02)
    assert seen.rate == pytest.approx(1_000, rel=0.005)


def test_lag_of_too_little_is_none() -> None:
    assert lag([], 10) is None
    assert lag([0, MS], 10) is None


def test_start_and_end_of_a_program_do_not_count() -> None:
    """Two seconds of start-up at full CPU, then 1,000 requests/s at 0.1 CPU seconds a second."""
    samples = [Sample(t, float(t), 10.0 + t, 50) for t in range(3)]
    samples += [Sample(2.0 + t, 2.0 + 0.1 * t, 20.0, 50 + 1_000 * t) for t in range(1, 11)]
    window = Ran(0, "", samples).steady()
    assert window is not None
    assert window.rate == pytest.approx(1_000)
    assert window.cpu_per_10k == pytest.approx(1.0)
    assert window.server_busy == 0.0
    assert Ran(0, "", samples).peak_mb == 20.0
    assert Ran(0, "", samples[:3]).steady() is None
    assert Ran(0, "", []).steady() is None


def test_the_table() -> None:
    assert spread([]) == "-"
    assert spread([1234.5]) == "1,234"
    assert spread([3.0, 1.0, 2.5], 1) == "2.5 (1.0 to 3.0)"
    assert rows(["a", "bc"], [["x", "1"], ["yyy", "22"]]) == (
        "| a   | bc |\n| --- | -: |\n| x   |  1 |\n| yyy | 22 |"
    )


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_peer_has_a_command_for_what_it_can_do(peer: object, scenario: str, tmp_path: Path) -> None:
    for row in PEERS:
        if row is not peer or scenario not in row.scenarios:
            continue
        load = Load(scenario, "http://127.0.0.1:9", 50, 2.0, tmp_path)
        commands = [row.flat_out(load)]
        if row.paced is not None:
            commands.append(row.paced(Load(scenario, "http://127.0.0.1:9", 50, 2.0, tmp_path, 1_000)))
        for words in commands:
            files = "".join(path.read_text() for path in tmp_path.iterdir())
            assert "http://127.0.0.1:9" in " ".join(words) + files


@contextmanager
def benching(words: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The bench. If it goes on when the block ends it is told to end, as its own tidying-up is best; however
    this ends, nothing of it is left.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmark", *words], cwd=CI, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **environment},
    )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.communicate(timeout=20)
            end(process)


def test_a_bench_that_is_told_to_end_leaves_nothing(tmp_path: Path) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this machine has one core")
    if program() is None:
        pytest.skip("nginx is not installed")
    words = ["--only", "memory", "--build", f"slow={_sleeper(tmp_path)}", "--tools", ""]
    with benching(words, {"TMPDIR": str(tmp_path)}) as process:
        while not (tmp_path / "asked").exists():  # it is at work, its nginx with it
            assert process.poll() is None
            time.sleep(0.05)
    assert _named_after(tmp_path) == []


def _sleeper(directory: Path) -> Path:
    """A program that says which version it is, and takes its time with everything else."""
    path = directory / "sleeper"
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exit\ntouch {directory}/asked\nexec sleep 77\n')
    path.chmod(0o755)
    return path


def _named_after(directory: Path) -> list[bytes]:
    """Command lines of all processes that name this directory, nginx's too, which has its files there."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes())
    return [line for line in found if os.fsencode(directory) in line]


def test_a_short_round(tmp_path: Path) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this machine has one core")
    if program() is None:
        pytest.skip("nginx is not installed")
    figures = tmp_path / "figures.json"
    loadtool = Path(sys.executable).parent / "loadtool"
    words = ["--quick", "--build", f"this={loadtool}", "--json", str(figures)]
    with benching(words, {}) as process:
        out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert "## one small answer" in out
    parts = json.loads(figures.read_text())["parts"]
    assert "this" in [tool["tool"] for tool in parts["simple"]["figures"]]
    assert "this" in parts["simple"]["about"]["versions"]
    assert {row["tool"] for row in parts["paced"]["figures"]} <= {"this"}
    assert out.strip() == table.full_text(bench.read_parts(figures))


class Fake:
    """A target that says the same all the time."""

    def status(self) -> Status:
        return Status(7, 3)

    def cpu_s(self) -> float:
        return 0.5


def test_what_a_thread_did_counts_after_its_end() -> None:
    meter, busy, over = Meter(), threading.Event(), threading.Event()

    def work() -> None:
        sum(range(1_000_000))
        busy.set()
        over.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    assert busy.wait(10)
    with_it = meter.cpu_s([os.getpid()])
    over.set()
    thread.join()
    assert meter.cpu_s([os.getpid()]) >= with_it > 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["sh", "-c", "echo no such target; exit 4"], 4, "failed: exit 4: no such target"),
        (["true"], 0, "failed: too few requests to tell"),
        (["/nowhere/tool"], 127, "failed: exit 127: "),
    ],
)
def test_a_tool_that_fails_is_a_row(words: list[str], code: int, said: str) -> None:
    ran = run(words, sorted(os.sched_getaffinity(0))[:1], Fake(), limit_s=20)
    assert ran.code == code
    assert ran.steady() is None
    assert rounds.failure(ran).startswith(said)


def test_a_tool_that_hangs_is_killed_with_all_that_it_started() -> None:
    script = "import subprocess; subprocess.Popen(['sleep', '77'], process_group=0).wait()"
    cores = sorted(os.sched_getaffinity(0))[:1]
    ran = run([sys.executable, "-c", script], cores, Fake(), limit_s=3.0)
    assert ran.code == -9
    assert {"main", "sleep 1"} <= {name for s in ran.samples for name in s.processes}
    assert ran.most_in_flight == 3
    assert [
        pid for pid in tree(os.getpid()) if b"sleep\x0077" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ] == []


def plan_of(peers: list[tuple[Peer, str | None]], builds: list[Build], directory: Path) -> rounds.Plan:
    server = Server(9, 9, 9, directory / "cert.pem", lambda: 0.0)
    object.__setattr__(server, "status", Fake().status)
    core = sorted(os.sched_getaffinity(0))[0]
    return rounds.Plan(builds, peers, server, core, directory, 1, 2.0, 4, lambda text: None)


def test_missing_failing_and_unable_tools_are_rows(tmp_path: Path) -> None:
    def fails(load: Load) -> list[str]:
        return ["-c", "echo broken; exit 9"]

    peers: list[tuple[Peer, str | None]] = [
        (Peer("absent", "C", fails), None),
        (Peer("broken", "C", fails), "/bin/sh"),
        (Peer("unable", "C", fails, scenarios=frozenset()), "/bin/sh"),
    ]
    found = rounds.flat_out(plan_of(peers, [Build("mute", "/bin/true")], tmp_path), SIMPLE)
    assert {f.tool: (f.rates, f.note) for f in found} == {
        "absent": ([], "not installed"),
        "broken": ([], "failed: exit 9: broken"),
        "unable": ([], "cannot do this"),
        "mute": ([], "no result: exit 0: "),
    }
    assert "- broken: failed: exit 9: broken" in table.flat_out_table([vars(f) for f in found])


@pytest.mark.parametrize(("limit", "found"), [(71, 71), (1_000, 99), (24, 22), (0, 0)])
def test_the_search_ends_below_what_holds(limit: int, found: int) -> None:
    """Six halvings of 40 … 100; as long as none holds, of what lies below, too."""
    best = own.highest(lambda rate: rate <= limit, 40, 100, 6)
    assert best <= limit
    assert best == found


def test_a_rate_has_two_tries() -> None:
    tried: list[int] = []

    def holds(rate: int) -> bool:
        tried.append(rate)
        return tried.count(rate) == 2

    assert own.highest(holds, 40, 100, 2) == 85
    assert tried == [70, 70, 85, 85]


def test_memory_at_a_moment() -> None:
    samples = [
        Sample(t, 0.0, 0.0, min(t, 150) * 10, processes={"main": 50.0 + (t == 120) * 90, "worker 1": t / 10})
        for t in range(200)
    ]
    assert extras.loaded_until(samples) == 150
    assert extras.around(samples, 120) == {"main": 50.0, "worker 1": 12.0}
    assert extras.around(samples, 500) == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--only", "simple,tsl"], "--only: got tsl, want of simple,"),
        (["--tools", "curl"], "--tools: got curl, want of wrk,"),
        (["--rounds", "0"], "want at least 1"),
        (["--build", "a=b", "--builds", "c"], "--builds: got c, want of a"),
        (["--build", "ab"], "--build: got ab, want NAME=PROGRAM"),
        (["--keep", "--json", "x"], "--keep or --json, not both"),
    ],
)
def test_bad_words(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        bench.arguments(words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_nothing_to_show_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--show", "--json", str(tmp_path / "none.json")])
    assert bench.main() == 3
    assert f"ci/bench: no figures in {tmp_path / 'none.json'}: " in capsys.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_it_leaves_nothing(number: int, code: int, tmp_path: Path) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this machine has one core")
    if program() is None:
        pytest.skip("nginx is not installed")
    loadtool = Path(sys.executable).parent / "loadtool"
    words = ["--only", "memory", "--memory-seconds", "60", "--build", f"this={loadtool}", "--tools", ""]
    with subprocess.Popen(
        [sys.executable, "-m", "benchmark", *words],
        cwd=CI, stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert "memory over 60 s" in process.stderr.readline()
        give_up = time.monotonic() + 30
        while not any(map(_is_worker, pids := tree(process.pid))) and time.monotonic() < give_up:
            time.sleep(0.05)
        assert any(map(_is_worker, pids))
        process.send_signal(number)
        assert process.wait(20) == code
    assert [pid for pid in pids if lives(pid)] == []
    assert list(tmp_path.iterdir()) == []


def _is_worker(pid: int) -> bool:
    try:
        return b"loadtool.engine.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
