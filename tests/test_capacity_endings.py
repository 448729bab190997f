"""How a search for capacity ends before its time: by errors and signals. Nothing is sent here."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from loadtool import capacity as capacity_module
from loadtool.capacity import Options, Searched, capacity
from loadtool.drive import Silent
from loadtool.errors import LoadtoolError, OutputError, SetupError
from loadtool.judge.capacity import Purpose
from loadtool.judge.capacity_step import Step
from loadtool.profile.load import Loaded, load_profile
from loadtool.report import capacity as report

PROFILE = """\
name: short
target: http://127.0.0.1:1
requests: [{get: /, headers: {Authorization: "Bearer ${TOKEN}"}}]
phases: [{name: baseline, rate: 50/s, for: 2s}]
slos: [error rate < 10%]
"""
TOKEN = "k7-Qx93mPz-secret"
KNEE = 100  # arrivals/s that hold
FOUND = 16  # loads until the knee is confirmed, those included that ask whether the service is well again


class Service:
    """Holds up to KNEE; what comes of each load, and of its fleet, is known beforehand."""

    over = False  # of a load that goes on

    def __init__(self) -> None:
        self.loads = 0
        self.stopped = trio.Event()
        self.fails_at: Callable[[int], bool] = lambda _: False  # number of a load: it can't be sent
        self.interrupted_at: int | None = None  # number of a load during which a signal comes
        self.ends_with: Exception | None = None  # that load, then
        self.error: Exception = SetupError(f"cannot start worker 1 ({TOKEN}): Too many open files")

    @asynccontextmanager
    async def open_fleet(self, *_: object) -> AsyncIterator[Service]:
        self.loads += 1
        if self.fails_at(self.loads):
            raise self.error
        yield self

    async def stop(self) -> None:
        self.stopped.set()

    async def run(self, _: object) -> None:
        """A load, from its start to its end."""
        if self.loads == self.interrupted_at:
            signal.raise_signal(signal.SIGINT)
            await self.stopped.wait()
            if self.ends_with is not None:
                raise self.ends_with

    def step_of(self, _: object, purpose: Purpose, rate: float, began: float, *, cut: bool) -> Step:
        outcome = "cut" if cut else "holds" if rate <= KNEE else "fails"
        return Step(purpose, rate, 10.0, began, outcome, goodput_per_s=rate, p99_ms=5.0)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Service:
    made = Service()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOKEN", TOKEN)
    monkeypatch.setattr(capacity_module, "open_fleet", made.open_fleet)
    monkeypatch.setattr(capacity_module, "Drive", lambda *_: made)
    monkeypatch.setattr(capacity_module, "result_of", lambda *_: SimpleNamespace(warnings=[], problems=[]))
    monkeypatch.setattr(capacity_module, "step_of", made.step_of)
    return made


def search(directory: Path) -> Searched:
    (directory / "p.yaml").write_text(PROFILE)

    def load(environment: Mapping[str, str], *, pending: bool = False) -> Loaded:
        return load_profile(directory / "p.yaml", environment=environment, pending=pending)

    return capacity(load, Options(precision=0.1, workers=1), Silent())


def written(directory: Path) -> dict[str, Any]:
    (path,) = directory.glob("loadtool-results/*/capacity.json")
    data: dict[str, Any] = json.loads(path.read_text())
    return data


def test_without_an_error_the_knee_is_found(tmp_path: Path, service: Service) -> None:
    """What the numbers of loads in the other tests are about."""
    done = search(tmp_path)
    assert (done.capacity.verdict, done.capacity.holds_per_s, done.exit_code) == ("found", KNEE, 0)
    assert service.loads == FOUND + 3  # both of the curve, and a look between them
    assert [s.purpose for s in done.capacity.steps[-4:]] == ["confirm", "confirm", "curve", "curve"]


@pytest.mark.parametrize("group", [False, True])
def test_an_error_in_a_later_step_leaves_what_is_known(tmp_path: Path, service: Service, group: bool) -> None:
    service.fails_at = lambda number: number == 3
    if group:
        service.error = ExceptionGroup("of a nursery", [service.error])
    done = search(tmp_path)
    found = written(tmp_path)
    assert (done.exit_code, found["verdict"], len(found["steps"])) == (3, "generator", 2)
    assert (found["holds_per_s"], found["fails_per_s"], found["confirmed"]) == (100, None, False)
    assert found["reasons"] == ["at 200/s: cannot start worker 1 (***): Too many open files"]
    assert found["sentence"].endswith("was the limit; so far its SLOs held at 100/s, not confirmed")
    assert "cannot start worker 1 (***): Too many" in " ".join(report.render(done.capacity).split())


def test_an_error_while_the_service_is_waited_for_leaves_what_is_known(
    tmp_path: Path, service: Service
) -> None:
    service.fails_at = lambda number: number == 4
    search(tmp_path)
    found = written(tmp_path)
    assert (found["verdict"], found["holds_per_s"], found["fails_per_s"]) == ("generator", 100, 200)
    assert found["reasons"][-1] == "at 10/s: cannot start worker 1 (***): Too many open files"


@pytest.mark.parametrize(("after", "measured"), [(1, [None, None]), (3, [150, None])])
def test_an_error_beyond_the_knee_leaves_the_knee_found(
    tmp_path: Path, service: Service, after: int, measured: list[float | None]
) -> None:
    service.fails_at = lambda number: number == FOUND + after
    done = search(tmp_path)
    found = written(tmp_path)
    assert (done.exit_code, found["verdict"], found["confirmed"]) == (0, "found", True)
    assert [m["goodput_per_s"] for m in found["multiples"][1:]] == measured
    assert found["multiples"][-1]["note"] == "not measured"
    assert "cannot start worker 1" in found["reasons"][-1]


def test_before_the_end_of_the_first_step_an_error_is_all_there_is(tmp_path: Path, service: Service) -> None:
    service.fails_at = lambda number: number == 1
    with pytest.raises(LoadtoolError, match="cannot start worker 1"):
        search(tmp_path)
    assert list(tmp_path.glob("loadtool-results/*")) == []


def test_a_bug_in_a_later_step_leaves_no_empty_directory(tmp_path: Path, service: Service) -> None:
    service.fails_at = lambda number: number == 3
    service.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        search(tmp_path)
    assert list(tmp_path.glob("loadtool-results/*")) == []


def test_a_result_that_cannot_be_written_leaves_no_empty_directory(
    tmp_path: Path, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: str, place: Path) -> None:
        raise OutputError(f"{place}: cannot be written: No space left on device")

    monkeypatch.setattr(capacity_module, "write_text_atomically", full)
    done = search(tmp_path)
    assert (len(done.failures), done.files, done.exit_code) == (1, [], 3)
    assert list(tmp_path.glob("loadtool-results/*")) == []


@pytest.mark.parametrize(
    ("after", "measured", "notes"),
    [(1, [None, None], ["cut short", "not measured"]), (3, [150, None], ["", "cut short"])],
)
def test_a_signal_beyond_the_knee_leaves_it_confirmed(
    tmp_path: Path, service: Service, after: int, measured: list[float | None], notes: list[str]
) -> None:
    service.interrupted_at = FOUND + after
    done = search(tmp_path)
    found = written(tmp_path)
    assert (done.exit_code, found["verdict"], found["interrupted"]) == (130, "interrupted", "SIGINT")
    assert (found["holds_per_s"], found["confirmed"], found["steps"][-1]["outcome"]) == (100, True, "cut")
    assert [m["goodput_per_s"] for m in found["multiples"][1:]] == measured
    assert [m["note"] for m in found["multiples"][1:]] == notes
    assert "not confirmed" not in report.render(done.capacity)


def test_a_signal_before_the_knee_confirms_nothing(tmp_path: Path, service: Service) -> None:
    service.interrupted_at = FOUND
    search(tmp_path)
    found = written(tmp_path)
    assert (found["verdict"], found["holds_per_s"], found["confirmed"]) == ("interrupted", 100, False)
    assert found["sentence"].endswith("not confirmed")


def test_an_error_in_the_wake_of_a_signal_is_an_interruption(tmp_path: Path, service: Service) -> None:
    service.interrupted_at = 3
    service.ends_with = service.error
    done = search(tmp_path)
    assert (done.exit_code, done.capacity.verdict, done.capacity.holds_per_s) == (130, "interrupted", 100)
    assert written(tmp_path)["reasons"] == ["at 200/s: cannot start worker 1 (***): Too many open files"]
