"""Which addresses may be loaded, while a run lasts as before it: none becomes free by being found later."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from functools import partial

import pytest
import trio
from engine_harness import OK_ANSWER, job_for, read_request, run_job, serving

import loadtool.engine.addresses as addresses_module
import loadtool.engine.worker as worker_module
from loadtool.engine.addresses import Address, Addresses, keep_resolved
from loadtool.engine.fleet import open_fleet
from loadtool.engine.hosts import Guard, may_load
from loadtool.errors import SetupError

REMEDY = "name it in allow_hosts: [shop.test] or with --allow-host shop.test if you may load it"


def at(ip: str) -> Address:
    if ":" in ip:
        return Address(socket.AF_INET6, (ip, 80, 0, 0))
    return Address(socket.AF_INET, (ip, 80))


@pytest.mark.parametrize(
    ("address", "allowed", "free"),
    [
        (at("127.0.0.1"), (), True),
        (at("10.1.2.3"), (), True),
        (at("fe80::1%eth0"), (), True),
        (at("::ffff:10.1.2.3"), (), True),
        (at("9.9.9.9"), (), False),
        (at("::ffff:9.9.9.9"), (), False),
        (at("2620:fe::fe"), (), False),
        (at("9.9.9.9"), ("9.9.9.9",), True),
        (at("9.9.9.9"), ("Shop.TEST",), True),
        (at("9.9.9.9"), ("8.8.8.8", "other.test"), False),
        (Address(socket.AF_UNIX, "/run/shop"), (), True),
    ],
)
def test_what_may_be_loaded(address: Address, allowed: tuple[str, ...], free: bool) -> None:
    assert may_load("shop.test", address, allowed) is free


async def test_a_later_look_up_frees_no_address(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    found = [["127.0.0.2", "9.9.9.9"], ["9.9.9.9", "8.8.8.8"], ["9.9.9.9", "10.0.0.1"]]
    seen: list[list[str]] = []

    async def lookup(host: str, port: int) -> Addresses:
        seen.append([str(a) for a in addresses])
        if not found:
            await trio.sleep_forever()
        return Addresses([at(ip) for ip in found.pop(0)])

    monkeypatch.setattr(addresses_module, "resolve", lookup)
    addresses = Addresses([at("127.0.0.1")])
    guard = Guard("shop.test", ())
    with trio.move_on_after(1000):
        await keep_resolved(addresses, "shop.test", 80, lambda ns: None, guard.may_load)
    # Where nothing is left that may be loaded, what was known stays.
    assert seen == [["127.0.0.1:80"], ["127.0.0.2:80"], ["127.0.0.2:80"], ["10.0.0.1:80"]]
    assert guard.warnings == [
        f"target shop.test has come to mean the public address {ip}, where nothing was sent: {REMEDY}"
        for ip in ("9.9.9.9", "8.8.8.8")
    ]


async def test_a_worker_sends_nothing_to_where_its_target_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of its connections, which are one at a time, has its answer after the look-up."""
    looked_up = threading.Event()

    async def lookup(host: str, port: int) -> Addresses:
        if looked_up.is_set():
            await trio.sleep_forever()
        looked_up.set()
        return Addresses([at("9.9.9.9")])

    def handler(sock: socket.socket) -> None:
        read_request(sock)
        looked_up.wait(10)
        sock.sendall(OK_ANSWER)

    monkeypatch.setattr(addresses_module, "resolve", lookup)
    monkeypatch.setattr(worker_module, "keep_resolved", partial(keep_resolved, every_s=0))
    with serving(handler) as server:
        job = job_for(server.port, count=5, host="localhost", keepalive=False, connections=1)
        done = await run_job(job)
    assert done.outcomes == {"ok": 5}
    assert [warning.partition(":")[0] for warning in done.tally.warnings] == [
        "target localhost has come to mean the public address 9.9.9.9, where nothing was sent"
    ]
    assert sum(len(frame.warnings) for frame in done.frames) == 1


async def test_what_a_worker_finds_itself_is_checked_before_the_start() -> None:
    job = job_for(80, host="9.9.9.9")
    with pytest.raises(SetupError, match=r"^target 9\.9\.9\.9 is the public address 9\.9\.9\.9: name it"):
        async with open_fleet(job, 1):
            pass
    async with open_fleet(replace(job, allow_hosts=("9.9.9.9",)), 1) as fleet:  # and never started
        assert fleet.addresses == ["9.9.9.9:80"]
