"""A signal that comes when all is ready for the load, which has not begun."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from loadtool import cut_load as cut_load_module
from loadtool import drive as drive_module
from loadtool.drive import Silent
from loadtool.errors import Interrupted
from loadtool.plan.job import Job
from loadtool.plan.schedule import Schedule
from loadtool.profile.load import Loaded, load_profile
from loadtool.run import RunOptions, spike

PROFILE = """\
name: short
target: http://127.0.0.1:1
requests: [{name: browse, get: /}]
phases: [{name: baseline, rate: 10/s, for: 2s}]
slos: [{slo: error rate < 10%, abort: true}]
"""


class Hearing(Silent):
    """A view that knows when the signal was heard."""

    def __init__(self) -> None:
        self.heard = threading.Event()

    def notice(self, text: str) -> None:
        if text.startswith("interrupted"):
            self.heard.set()


def test_a_signal_while_the_schedule_is_drawn_ends_the_run_before_its_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is drawn in a thread, when the workers are ready."""
    (tmp_path / "p.yaml").write_text(PROFILE)
    view = Hearing()

    class Interrupting:
        def __init__(self, job: Job) -> None:
            self._schedule = Schedule(job)

        def counts_by_segment_and_request(self) -> dict[tuple[int, int, int], int]:
            os.kill(os.getpid(), signal.SIGTERM)
            assert view.heard.wait(60)
            return self._schedule.counts_by_segment_and_request()

    def load(environment: object, *, pending: bool = False) -> Loaded:
        return load_profile(tmp_path / "p.yaml", environment={})

    monkeypatch.setattr(drive_module, "Schedule", Interrupting)
    with pytest.raises(Interrupted) as e:
        spike(load, RunOptions(workers=1, out=tmp_path / "out"), view)
    assert e.value.exit_code == 128 + signal.SIGTERM
    assert not (tmp_path / "out").exists()


SPIKE = """\
name: spike
target: http://127.0.0.1:1
requests: [{name: browse, get: /}]
phases:
  - {name: baseline, rate: 20/s, for: 10s}
  - {name: spike, rate: 60/s, for: 5s}
  - {name: recovery, rate: 20/s, for: 15s}
"""


def test_a_signal_while_the_cut_load_is_worked_out_ends_the_run_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not waited for the thread that draws the schedule."""
    (tmp_path / "p.yaml").write_text(SPIKE)
    over = threading.Event()
    waited: list[bool] = []

    class Endless:
        def __init__(self, job: Job) -> None:
            pass

        def count(self) -> int:
            os.kill(os.getpid(), signal.SIGTERM)
            waited.append(over.wait(60))
            return 0

    def load(environment: object, *, pending: bool = False) -> Loaded:
        return load_profile(tmp_path / "p.yaml", environment={})

    monkeypatch.setattr(cut_load_module, "Schedule", Endless)
    try:
        with pytest.raises(Interrupted) as e:
            spike(load, RunOptions(workers=1, out=tmp_path / "out", cut_load=True), Silent())
        assert waited == []
    finally:
        over.set()
    assert e.value.exit_code == 128 + signal.SIGTERM
    assert not (tmp_path / "out").exists()
