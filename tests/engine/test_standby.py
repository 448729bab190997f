"""Workers that stand by: taken where there is a load, and gone where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
import trio
from engine_harness import job_for

from loadtool.engine import standby as standby_module
from loadtool.engine.fleet import open_fleet
from loadtool.engine.standby import default_workers, stand_by, usable_cores


def gone(pid: int) -> bool:
    """Ended, and its status taken."""
    return not os.path.exists(f"/proc/{pid}")


@pytest.mark.parametrize("wanted", [None, 1, 2])
def test_those_that_nobody_took_are_gone(wanted: int | None) -> None:
    with stand_by(wanted) as standby:
        pids = standby.pids
        assert not any(map(gone, pids))
    assert len(pids) == min(wanted or default_workers(), usable_cores())
    assert all(map(gone, pids))
    assert standby.pids == []


def test_they_are_gone_when_the_block_is_left_by_an_exception() -> None:
    pids: list[int] = []

    def fail() -> None:
        with stand_by(1) as standby:
            pids.extend(standby.pids)
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fail()
    assert len(pids) == 1
    assert all(map(gone, pids))


@pytest.mark.parametrize(("waiting", "wanted"), [(2, 2), (3, 1), (1, 2), (0, 1)])
def test_a_fleet_takes_those_that_wait_ends_the_others_and_starts_what_is_missing(
    waiting: int, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standby_module, "usable_cores", lambda: waiting)

    async def take() -> None:
        async with open_fleet(job_for(9), wanted, standby) as fleet:
            taken.extend(fleet.pids)
            assert standby.pids == []
            assert all(map(gone, waited[wanted:]))
            assert not any(map(gone, taken))

    taken: list[int] = []
    with stand_by(waiting or None) as standby:
        if not waiting:
            trio.run(standby.dismiss)
        waited = standby.pids
        assert len(waited) == waiting
        trio.run(take)
        assert all(map(gone, taken))
    assert len(taken) == wanted
    assert taken[:waiting] == waited[:wanted]


def test_a_number_beyond_reason_makes_no_processes() -> None:
    with stand_by(100_000) as standby:
        assert len(standby.pids) == usable_cores()


COORDINATOR = """
import time
from loadtool.engine.standby import stand_by

with stand_by(1) as standby:
    print(*standby.pids, flush=True)
    time.sleep(60)
"""


def test_they_do_not_outlive_a_killed_coordinator() -> None:
    coordinator = subprocess.Popen([sys.executable, "-c", COORDINATOR], stdout=subprocess.PIPE, text=True)
    assert coordinator.stdout is not None
    pid = int(coordinator.stdout.readline())
    assert not gone(pid)
    coordinator.kill()
    coordinator.wait()
    coordinator.stdout.close()
    give_up = time.monotonic() + 30
    while not (gone(pid) or _zombie(pid)):  # of whoever takes orphans here
        assert time.monotonic() < give_up, "a worker lives on"
        time.sleep(0.01)


def _zombie(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
