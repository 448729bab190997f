from __future__ import annotations

import errno

import pytest
import trio
import trio.testing

from loadtool.errors import SetupError
from loadtool.target.sockets import Door, listen, port_of


async def test_a_port_in_use() -> None:
    (listener,) = await listen("127.0.0.1", 0, "--port")
    async with listener:
        port = port_of([listener])
        with pytest.raises(SetupError) as caught:
            await listen("127.0.0.1", port, "--port")
    message = f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another --port"
    assert str(caught.value) == message


async def test_any_port_is_one_port_whatever_the_name_stands_for() -> None:
    listeners = await listen("localhost", 0, "--port")
    assert len(listeners) == 1
    await listeners[0].aclose()


class Listener(trio.abc.Listener[trio.testing.MemorySendStream]):
    """Fails with each of these errors in turn, then has one connection, then none."""

    def __init__(self, *numbers: int) -> None:
        self._errors = [OSError(n, "x") for n in numbers]
        self._streams = [trio.testing.MemorySendStream()]

    async def accept(self) -> trio.testing.MemorySendStream:
        await trio.lowlevel.checkpoint()
        if self._errors:
            raise self._errors.pop(0)
        if not self._streams:
            await trio.sleep_forever()
        return self._streams.pop()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def test_a_shortage_of_files_is_waited_out(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    door = Door()
    served: list[float] = []

    async def serve(_: object) -> None:
        served.append(trio.current_time())
        assert door.open == 1

    nursery.start_soon(door.keep, Listener(errno.EMFILE, errno.ENFILE, errno.ENOBUFS), serve, nursery)
    await trio.sleep(1)
    assert served == [pytest.approx(0.3)]  # a pause for each, no spinning
    assert door.stats() == {"connections": 0, "accepted": 1, "accept_pauses": 3}


async def test_another_error_of_accept_is_not_hidden(autojump_clock: trio.testing.MockClock) -> None:
    async with trio.open_nursery() as nursery:
        with pytest.raises(OSError, match="x"):
            await Door().keep(Listener(errno.EINVAL), trio.testing.MemorySendStream.aclose, nursery)


async def test_a_mistake_in_one_connection_does_not_end_the_others(
    nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    door = Door()

    async def broken(_: object) -> None:
        await trio.lowlevel.checkpoint()
        raise ZeroDivisionError

    nursery.start_soon(door.keep, Listener(), broken, nursery)
    await trio.testing.wait_all_tasks_blocked()
    assert "ZeroDivisionError" in caplog.text
    assert door.stats() == {"connections": 0, "accepted": 1, "accept_pauses": 0}


@pytest.mark.parametrize("host", ["192.0.2.1", "ü b", "a" * 300])  # the first by RFC 5737 is nobody's
async def test_a_host_that_is_not_of_this_machine_is_said_to_be_the_mistake(host: str) -> None:
    with pytest.raises(SetupError, match=rf"^cannot listen on {host}:0: .+; choose another --host$"):
        await listen(host, 0, "--port")
