"""Before a load and after it: what takes long there is told, and a signal ends what has not begun."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from types import ModuleType

import pytest
import trio
from run_harness import eventually, running

from loadtool import cut_load as cut_load_module
from loadtool import drive as drive_module
from loadtool import run as run_module
from loadtool.drive import Silent
from loadtool.engine.fleet import Fleet
from loadtool.errors import Interrupted, OutputError, SetupError
from loadtool.judge.verdict import Verdict, judge
from loadtool.measure.result import Result
from loadtool.plan.job import Job
from loadtool.profile.load import Loaded, load_profile
from loadtool.run import RunOptions, spike

ABORTING = """\
name: short
target: http://127.0.0.1:1
requests: [{name: browse, get: /}]
phases: [{name: baseline, rate: 10/s, for: 2s}]
slos: [{slo: error rate < 10%, abort: true}]
"""
SHORT = """\
name: short
target: http://127.0.0.1:1
requests: [{name: browse, get: /}]
phases: [{name: baseline, rate: 10/s, for: 300ms}]
"""
TEARDOWN = """\
name: short
target: demo
requests: [{name: browse, get: /products/7}]
phases: [{name: baseline, rate: 20/s, for: 1s}]
validity: {lag: 10s}
teardown: ["touch begun; sleep 300"]
"""
SPIKE = """\
name: spike
target: http://127.0.0.1:1
requests: [{name: browse, get: /}]
phases:
  - {name: baseline, rate: 20/s, for: 10s}
  - {name: spike, rate: 60/s, for: 5s}
  - {name: recovery, rate: 20/s, for: 15s}
"""


@pytest.mark.parametrize(
    ("profile", "cut_load", "drawn_by", "count"),
    [
        (ABORTING, False, drive_module, "counts_by_segment_and_request"),
        (SPIKE, True, cut_load_module, "count"),
    ],
    ids=["an SLO that may end the load", "the load that may follow it"],
)
def test_a_signal_while_the_schedule_is_drawn_ends_the_run_at_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    profile: str,
    cut_load: bool,
    drawn_by: ModuleType,
    count: str,
) -> None:
    """It is not waited for the thread that draws it, and nothing speaks of a load or a report."""
    (tmp_path / "p.yaml").write_text(profile)
    over = threading.Event()
    waited: list[bool] = []
    said: list[str] = []

    class Noting(Silent):
        def notice(self, text: str) -> None:
            said.append(text)

    class Endless:
        def __init__(self, job: Job) -> None:
            setattr(self, count, self._draw)

        def _draw(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            waited.append(over.wait(60))

    def load(environment: object, *, pending: bool = False) -> Loaded:
        return load_profile(tmp_path / "p.yaml", environment={})

    monkeypatch.setattr(drawn_by, "Schedule", Endless)
    try:
        with pytest.raises(Interrupted) as e:
            spike(load, RunOptions(workers=1, out=tmp_path / "out", cut_load=cut_load), Noting())
        assert waited == []
    finally:
        over.set()
    assert e.value.exit_code == 128 + signal.SIGTERM
    assert not [text for text in said if "interrupted" in text]
    assert not (tmp_path / "out").exists()


def test_a_stop_in_the_last_turn_before_the_load_leaves_no_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "p.yaml").write_text(SHORT)
    run = Fleet.run

    async def stopped(fleet: Fleet, duration_ns: int, *, task_status: trio.TaskStatus[int]) -> None:
        await fleet.stop()
        await run(fleet, duration_ns, task_status=task_status)

    def load(environment: object, *, pending: bool = False) -> Loaded:
        return load_profile(tmp_path / "p.yaml", environment={})

    monkeypatch.setattr(Fleet, "run", stopped)
    with pytest.raises(Interrupted):
        spike(load, RunOptions(workers=1, out=tmp_path / "out"), Silent())
    assert not (tmp_path / "out").exists()


def test_figures_that_take_long_to_work_out_are_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "p.yaml").write_text(SHORT)
    announced = threading.Event()

    class Noting(Silent):
        def notice(self, text: str) -> None:
            if text == "working out the figures":
                announced.set()

    def slowly(result: Result) -> Verdict:
        assert announced.wait(60)
        return judge(result)

    def load(environment: object, *, pending: bool = False) -> Loaded:
        return load_profile(tmp_path / "p.yaml", environment={})

    monkeypatch.setattr(run_module, "judge", slowly)
    finished = spike(load, RunOptions(workers=1, out=tmp_path / "out"), Noting())
    assert finished.files == [tmp_path / "out" / "result.json"]


@pytest.mark.parametrize("made", [True, False], ids=["one that was there", "a new one"])
def test_a_result_that_cannot_be_written_leaves_no_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: bool
) -> None:
    (tmp_path / "p.yaml").write_text(SHORT)
    out = tmp_path / "out"
    if made:
        out.mkdir()

    def full(result: Result, path: Path) -> None:
        assert path.parent.is_dir()
        raise OutputError(f"{path}: cannot be written")

    def load(environment: object, *, pending: bool = False) -> Loaded:
        return load_profile(tmp_path / "p.yaml", environment={})

    monkeypatch.setattr(run_module, "write_atomically", full)
    finished = spike(load, RunOptions(workers=1, out=out), Silent())
    assert (finished.files, len(finished.failures)) == ([], 1)
    assert out.exists() == made


def test_a_result_that_is_replaced_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(SHORT)
    said: list[str] = []

    class Noting(Silent):
        def notice(self, text: str) -> None:
            said.append(text)

    def load(environment: object, *, pending: bool = False) -> Loaded:
        return load_profile(tmp_path / "p.yaml", environment={})

    replaced = f"{tmp_path / 'out' / 'result.json'} is of an earlier run; this one replaces it"
    for told in ([], [replaced]):
        said.clear()
        spike(load, RunOptions(workers=1, out=tmp_path / "out"), Noting())
        assert [text for text in said if "earlier run" in text] == told
    # Not by a run that ends before its load.
    said.clear()
    (tmp_path / "p.yaml").write_text(f"{SHORT}setup: [exit 1]\n")
    with pytest.raises(SetupError):
        spike(load, RunOptions(workers=1, out=tmp_path / "out"), Noting())
    assert said == ["setup: exit 1"]


def test_a_signal_after_the_load_cuts_nothing_short(tmp_path: Path) -> None:
    with running(tmp_path, TEARDOWN) as live:
        eventually("the teardown", lambda: (tmp_path / "begun").exists() or live.ended())
        live.send(signal.SIGINT)
        live.wait_for("interrupted: the load is over, the report follows; once more ends teardown")
        live.send(signal.SIGINT)
        done = live.end()
    assert done.code == 130, done.err
    result = done.result
    assert (result["verdict"], result["interrupted"]) == ("interrupted", "SIGINT")
    assert result["reasons"] == ["interrupted by SIGINT after the load"]
    assert result["elapsed_s"] == 1.0
    assert "INTERRUPTED  short: interrupted after its load, and so never a pass." in done.out
    said = "teardown: a second signal came before the command 'touch begun; sleep 300' had ended"
    assert result["warnings"] == [said]
