"""Which dead runs have left something in a server, whatever it is called now."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from chaos_servers import Proxy, Toxiproxy

from loadtool.chaos import rollback
from loadtool.chaos.journal import Change, Journal
from loadtool.errors import FaultError

UNKNOWN = "http://nobody.invalid"
SILENT = "http://127.0.0.1:1"


async def dead_run(server: Toxiproxy, url: str, directory: Path) -> tuple[Proxy, Proxy, Any]:
    """A proxy of a dead run's, and somebody's with a toxic of the run's; and what there was before."""
    theirs = await server.proxy("127.0.0.1:1")
    await theirs.add("latency", latency=7)
    before = (await server.ask("GET", "/proxies")).json()
    own = await server.proxy("127.0.0.1:1", name=f"loadtool-r1-{server.free_name()}")
    await theirs.ask("POST", "/toxics", {"name": "loadtool-r1-slow", "type": "noop"})
    with Journal(url, "r1", directory) as journal:
        journal.record(Change("proxy", own.name))
        journal.record(Change("toxic", theirs.name, "loadtool-r1-slow"))
    return own, theirs, before


@pytest.mark.parametrize("url", ["http://localhost:{port}", UNKNOWN, f"{UNKNOWN}:{{port}}", "http://x:1/api"])
async def test_what_only_the_run_can_have_made_is_taken_out_under_any_url(
    toxiproxy: Toxiproxy, tmp_path: Path, url: str
) -> None:
    port = toxiproxy.url.rpartition(":")[2]
    own, theirs, before = await dead_run(toxiproxy, url.format(port=port), tmp_path)
    (left,) = await rollback.status(tmp_path, toxiproxy.url)
    assert [str(c) for c in left.remaining or ()] == [
        f"proxy {own.name}",
        f"toxic loadtool-r1-slow on proxy {theirs.name}",
    ]
    (recovery,) = await rollback.recover(toxiproxy.url, tmp_path)
    assert (len(recovery.undone), recovery.gone, recovery.problems) == (2, (), ())
    assert (await toxiproxy.ask("GET", "/proxies")).json() == before
    assert os.listdir(tmp_path) == []


async def test_one_name_of_the_run_tells_of_all_the_rest(toxiproxy: Toxiproxy, tmp_path: Path) -> None:
    """Also of a proxy that it has put down, and of what has gone."""
    _, theirs, before = await dead_run(toxiproxy, UNKNOWN, tmp_path)
    await theirs.ask("POST", "", {"enabled": False})
    path = tmp_path / "r1.journal"
    path.write_bytes(path.read_bytes() + b'{"do": {"kind": "down", "proxy": "%s"}}\n' % theirs.name.encode())
    (recovery,) = await rollback.recover(toxiproxy.url, tmp_path)
    assert str(recovery.undone[-1]) == f"proxy {theirs.name} disabled"
    assert (await toxiproxy.ask("GET", "/proxies")).json() == before


@pytest.mark.parametrize(
    ("host", "known"),
    [("localhost", True), ("127.0.0.1", True), ("nobody.invalid", False), ("127.0.0.2", False)],
)
async def test_a_proxy_that_was_put_down_is_known_by_the_address_alone(
    toxiproxy: Toxiproxy, tmp_path: Path, host: str, known: bool
) -> None:
    theirs = await toxiproxy.proxy("127.0.0.1:1", enabled=False)
    with Journal(f"http://{host}:{toxiproxy.url.rpartition(':')[2]}", "r1", tmp_path) as journal:
        journal.record(Change("down", theirs.name))
    assert len(await rollback.status(tmp_path, toxiproxy.url)) == known
    assert len(await rollback.recover(toxiproxy.url, tmp_path)) == known
    assert (await theirs.ask("GET")).json()["enabled"] == known
    assert len(os.listdir(tmp_path)) == (not known)


@pytest.mark.parametrize(
    ("url", "change"),
    [(UNKNOWN, Change("proxy", "p")), (f"{SILENT}0", Change("down", "p")), ("", Change("toxic", "p", "t"))],
)
async def test_a_server_that_does_not_answer_may_have_what_any_dead_run_left(
    tmp_path: Path, url: str, change: Change
) -> None:
    with Journal(url, "r1", tmp_path) as journal:
        journal.record(change)
    for ask in (rollback.status(tmp_path, SILENT), rollback.recover(SILENT, tmp_path)):
        with pytest.raises(FaultError) as caught:
            await ask
        assert str(caught.value) == (
            f"cannot list the proxies: no Toxiproxy answers at {SILENT} (Connection refused): start it or "
            "mend the URL; what killed runs may have left there was not looked for"
        )
    assert os.listdir(tmp_path) == ["r1.journal"]


async def test_it_is_not_asked_for_what_no_server_can_have(tmp_path: Path) -> None:
    """Nor said to have failed where the one run that is known to have been there is told of anyway."""
    assert await rollback.recover(SILENT, tmp_path) == []
    with Journal("", "r1", tmp_path) as journal:
        journal.record(Change("run", toxic="stop", undo="true"))
    assert await rollback.status(tmp_path, SILENT) == await rollback.recover(SILENT, tmp_path) == []
    with Journal(SILENT, "r2", tmp_path) as journal:
        journal.record(Change("down", "p"))
    (left,) = await rollback.status(tmp_path, SILENT)
    (recovery,) = await rollback.recover(SILENT, tmp_path)
    assert left.problem == f"cannot read proxy p: no Toxiproxy answers at {SILENT} (Connection refused)"
    assert len(recovery.problems) == 1


async def test_nothing_else_is_touched(toxiproxy: Toxiproxy, tmp_path: Path) -> None:
    """Neither a run that is going on, nor toxics of the same name on another proxy, nor another server's."""
    _, theirs, _ = await dead_run(toxiproxy, UNKNOWN, tmp_path / "alive")
    state = (await toxiproxy.ask("GET", "/proxies")).json()
    with Journal(UNKNOWN, "r2", tmp_path / "alive") as journal:
        journal.record(Change("toxic", theirs.name, "loadtool-r1-slow"))
        (tmp_path / "alive" / "r1.journal").unlink()
        assert await rollback.recover(toxiproxy.url, tmp_path / "alive") == []
    with Journal(f"{UNKNOWN}:1", "r3", tmp_path) as journal:
        journal.record(Change("toxic", "elsewhere", "loadtool-r1-slow"))
        journal.record(Change("toxic", theirs.name, "loadtool-r3-slow"))
        journal.record(Change("down", theirs.name))
    assert await rollback.status(tmp_path, toxiproxy.url) == []
    assert await rollback.recover(toxiproxy.url, tmp_path) == []
    assert (await toxiproxy.ask("GET", "/proxies")).json() == state
