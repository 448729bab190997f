"""Between a load and its result nothing that was measured is lost, and nobody has to wait."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from run_harness import Live, eventually

from loadtool import run as run_module
from loadtool.drive import Silent
from loadtool.measure.result import Result
from loadtool.profile.load import Loaded, load_profile
from loadtool.report import terminal
from loadtool.report.result_file import read
from loadtool.run import RunOptions, spike
from loadtool.signals import Ended

SHORT = """\
name: short
target: http://127.0.0.1:1
requests: [{name: browse, get: /}]
phases: [{name: baseline, rate: 10/s, for: 300ms}]
slos: [p99 < 1s]
"""
# The command line; judging never ends, and what comes before it once there is a file `go`.
STUCK = """\
import sys, time
from pathlib import Path
from loadtool import run
from loadtool.__main__ import main

result_of = run.result_of

def summing(*args):
    Path("summing").touch()
    while not Path("go").exists():
        time.sleep(0.01)
    return result_of(*args)

def judging(result):
    Path("judging").touch()
    while True:
        time.sleep(0.01)

run.result_of, run.judge = summing, judging
sys.exit(main())
"""
HEARD = "interrupted: the figures are being worked out; once more ends that"


@contextmanager
def stuck(directory: Path) -> Iterator[Live]:
    (directory / "p.yaml").write_text(SHORT)
    with open(directory / "out.txt", "w") as out, open(directory / "err.txt", "w") as err:
        argv = [sys.executable, "-c", STUCK, "spike", "-p", "p.yaml", "--plain", "--out", "out"]
        process = subprocess.Popen(argv, cwd=directory, stdout=out, stderr=err, text=True)
    try:
        yield Live(process, directory)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
            pytest.fail("it had not ended")


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("at", ["judging", "summing"])
def test_a_second_signal_ends_it_with_what_was_measured(
    tmp_path: Path, at: str, second: signal.Signals
) -> None:
    """Before there is a result it waits for that, and no longer."""
    with stuck(tmp_path) as live:
        if at == "judging":
            (tmp_path / "go").touch()
        eventually(at, lambda: (tmp_path / at).exists() or live.ended())
        live.send(signal.SIGINT)
        live.wait_for(HEARD)
        live.send(second)
        if at == "summing":
            eventually("a third ends it at once", lambda: _is_default(live.process.pid, second))
            assert not (tmp_path / "out" / "result.json").exists()
            (tmp_path / "go").touch()
        done = live.end()
    assert done.code == -second
    assert "what was measured is in out/result.json, not judged" in done.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["result.json"]
    result = read(tmp_path / "out")
    assert result.totals.scheduled == 3
    assert (result.verdict, result.interrupted, result.slos) == ("interrupted", second.name, [])
    assert result.reasons == [
        f"interrupted by {second.name} while its figures were worked out: it is not judged"
    ]
    assert "INTERRUPTED  short" in terminal.render(result, width=100, color=False)
    assert (tmp_path / "judging").exists() == (at == "judging")


def _is_default(pid: int, number: signal.Signals) -> bool:
    """Whether the process no longer catches this signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return not caught >> (number - 1) & 1


def test_where_no_signal_ends_the_process_it_ends_as_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first process of a container: not by an error that says that nothing was sent."""
    (tmp_path / "p.yaml").write_text(SHORT)
    send = signal.raise_signal

    def load(environment: object, *, pending: bool = False) -> Loaded:
        return load_profile(tmp_path / "p.yaml", environment={})

    def impatient(result: Result) -> None:
        send(signal.SIGINT)
        send(signal.SIGTERM)

    monkeypatch.setattr(run_module, "judge", impatient)
    monkeypatch.setattr(signal, "raise_signal", lambda number: None)
    with pytest.raises(Ended) as e:
        spike(load, RunOptions(workers=1, out=tmp_path / "out"), Silent())
    assert e.value.exit_code == 128 + signal.SIGTERM
    result = read(tmp_path / "out")
    assert (result.verdict, result.totals.scheduled) == ("interrupted", 3)


def test_a_judge_that_fails_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "p.yaml").write_text(SHORT)

    def load(environment: object, *, pending: bool = False) -> Loaded:
        return load_profile(tmp_path / "p.yaml", environment={})

    def failing(result: Result) -> None:
        raise RuntimeError("a flaw")

    monkeypatch.setattr(run_module, "judge", failing)
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    file = tmp_path / "out" / "result.json"
    with pytest.raises(RuntimeError, match="a flaw") as e:
        spike(load, RunOptions(workers=1, out=tmp_path / "out"), Silent())
    assert f"what was measured is in {file}" in e.value.__notes__
    written = json.loads(file.read_text())
    assert (written["verdict"], written["reasons"]) == ("invalid", ["it could not be judged"])
    assert written["totals"]["scheduled"] == 3
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
