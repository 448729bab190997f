"""One exchange with the target, kept whole: for a person to read, where the reactor keeps figures.

The bytes that leave and the reading of what comes back are the reactor's own (http1): `try` shows what a run
sends.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import trio

from loadtool.engine.addresses import Address, Addresses, resolve
from loadtool.engine.encoder import encode
from loadtool.engine.failures import (
    CONNECTING,
    EXCHANGING,
    FULL_QUEUE,
    HANDSHAKING,
    LOCAL,
    classify,
    describe,
    ended_by,
)
from loadtool.engine.http1 import Answer, ProtocolError
from loadtool.engine.ledger import problem_of
from loadtool.engine.sources import NO_WAY, Sources
from loadtool.engine.tls_hearing import hear_on
from loadtool.errors import SetupError
from loadtool.measure.outcome import DNS, OK, OUTCOMES, PROTOCOL, RESET, SHED, STATUS, TIMEOUT
from loadtool.plan.expect import Expectation
from loadtool.plan.job import ClientSpec, Endpoint
from loadtool.plan.message import Message

_CHUNK = 64 * 1024
_IN = "in the middle of the answer"


@dataclass(slots=True)
class Exchange:
    """What was sent and what came back. Times are in ms, each step's own; None: it did not come to that."""

    sent: bytes
    outcome: str = ""  # one of OUTCOMES; sheds count as such, as they would in a spike
    detail: str = ""  # what was wrong, in words
    address: str = ""  # the one that answered, or the last one tried
    head: str = ""  # status line and headers as they came
    body: bytes = b""  # without its Content-Encoding, if that can be undone
    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None  # from the request's first byte out to the answer's first byte in
    total_ms: float | None = None  # of all of it
    interims: int = 0  # answers (1xx) before the final one, as far as they are known
    tls: str = ""  # the protocol that was agreed on, such as TLSv1.3

    @property
    def answered(self) -> bool:
        """Whether a whole HTTP answer came back."""
        return self.outcome in ("ok", "shed", "status", "check")


async def exchange(
    message: Message,
    endpoint: Endpoint,
    client: ClientSpec,
    expectation: Expectation,
    tls: ssl.SSLContext | None = None,
) -> Exchange:
    """Send `message` over a connection of its own and read the answer; never raises for what the target does.

    `tls` is wanted for https. The profile's timeout bounds all of it.
    """
    done = Exchange(encode(message, endpoint, keepalive=client.keepalive))
    began = trio.current_time()
    answer = Answer()
    answer.expect(no_body=message.method == "HEAD", keep_body=True)
    try:
        with trio.fail_after(client.timeout_ns / 1e9):
            await _talk(done, answer, endpoint, client, tls)
        done.outcome, done.detail = judged(answer, client, expectation)
    except trio.TooSlowError:
        done.outcome, done.detail = OUTCOMES[TIMEOUT], f"no whole answer within {client.timeout_ns / 1e9:g} s"
    except _Failed as e:
        done.outcome, done.detail = OUTCOMES[e.outcome], e.detail
    done.total_ms = _ms_since(began)
    done.head, done.body = answer.head_text(), readable(answer)
    done.interims = answer.interims
    answer.close()
    return done


def readable(answer: Answer) -> bytes:
    """The body without its codings, as far as they can be undone."""
    try:
        return answer.decoded_body()
    except ValueError:
        return answer.body_bytes()


def judged(answer: Answer, client: ClientSpec, expectation: Expectation) -> tuple[str, str]:
    """The outcome of a whole answer, and what was wrong with it, in words."""
    problem = problem_of(answer, expectation)
    if problem is None:
        return OUTCOMES[OK], ""
    if problem[0] == OUTCOMES[STATUS] and answer.status in client.shed:
        return OUTCOMES[SHED], problem[1]
    return problem


async def _talk(
    done: Exchange, answer: Answer, endpoint: Endpoint, client: ClientSpec, tls: ssl.SSLContext | None
) -> None:
    began = trio.current_time()
    try:
        addresses = await resolve(endpoint.host, endpoint.port)
    except SetupError as e:
        raise _Failed(DNS, str(e)) from e
    done.dns_ms = _ms_since(began)
    stream: trio.abc.Stream = await _connect(done, addresses, Sources(client.source))
    try:
        if tls is not None:
            began = trio.current_time()
            # Not `https_compatible`: an end without TLS's goodbye completes no body, here and in a run.
            secured = trio.SSLStream(stream, tls, server_hostname=endpoint.server_name)
            stream = secured
            with _failing_as(HANDSHAKING):
                await secured.do_handshake()
            done.tls_ms = _ms_since(began)
            done.tls = secured.version() or ""
        await _converse(done, answer, stream)
    finally:
        # A polite end of TLS would wait for the peer, and the answer is all that was wanted.
        await trio.aclose_forcefully(stream)


async def _connect(done: Exchange, addresses: Addresses, sources: Sources) -> trio.SocketStream:
    """A connection to the first address that accepts one."""
    began = trio.current_time()
    tried: list[Address] = []
    while (address := addresses.pick(0, tried)) is not None:
        tried.append(address)
        done.address = str(address)
        with _failing_as(CONNECTING, last=len(tried) == len(addresses)):
            plain = socket.socket(address.family, socket.SOCK_STREAM)
            try:
                sources.bind(plain, address.family)
                sock = trio.socket.from_stdlib_socket(plain)
                if address.family == socket.AF_UNIX:
                    try:  # at once or not at all; trio would take EAGAIN for a yes
                        plain.connect(address.sockaddr)
                    except BlockingIOError:
                        raise _Failed(CONNECTING, FULL_QUEUE) from None
                else:
                    await sock.connect(address.sockaddr)
            except OSError as e:
                plain.close()
                if sources.no_way(e, address.family, address.sockaddr):
                    e = OSError(NO_WAY)  # without its number, which is that of ports that ran out
                raise e from None
            except BaseException:
                plain.close()
                raise
            done.connect_ms = _ms_since(began)
            return trio.SocketStream(sock)
    raise AssertionError("the last address raises")


async def _converse(done: Exchange, answer: Answer, stream: trio.abc.Stream) -> None:
    """Send and read at the same time: an early answer to a large body must not go unread."""
    began = trio.current_time()
    async with trio.open_nursery() as nursery:

        async def send() -> None:
            # A target may answer, and close, before it has read everything: what it says counts, so a
            # failure to send shows when reading ends without an answer.
            try:
                await stream.send_all(done.sent)
            except trio.BrokenResourceError:
                hear_on(stream)

        nursery.start_soon(send)
        failed: _Failed | None = None
        try:
            with _failing_as(EXCHANGING, answer=answer):
                await _read(done, answer, stream, began)
        except _Failed as e:
            failed = e  # raised outside, or the nursery would wrap it
        nursery.cancel_scope.cancel()
    if failed is not None:
        raise failed


async def _read(done: Exchange, answer: Answer, stream: trio.abc.Stream, began: float) -> None:
    while not answer.complete:
        data = await stream.receive_some(_CHUNK)
        if not data:
            if not (answer.started and answer.end_of_file()):
                raise _Failed(
                    RESET, f"the connection was closed {_IN if answer.started else 'before an answer came'}"
                )
            return
        if done.first_byte_ms is None:
            done.first_byte_ms = _ms_since(began)
        try:
            answer.feed(bytes(data))
        except ProtocolError as e:
            raise _Failed(PROTOCOL, str(e)) from e


class _Failed(Exception):
    def __init__(self, outcome: int, detail: str) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.detail = detail


@contextmanager
def _failing_as(stage: int, *, last: bool = True, answer: Answer | None = None) -> Iterator[None]:
    """Turn a socket's error into the outcome that the reactor gives it; swallow all but the `last`.

    `answer`: what is being read.
    """
    try:
        yield
    except (OSError, ValueError, trio.BrokenResourceError) as e:
        error: BaseException = e
        while isinstance(error, trio.BrokenResourceError):
            error = error.__cause__ or ConnectionResetError(errno.ECONNRESET, "")
        code = classify(error, stage) if answer is None else ended_by(error, started=answer.started)
        if (
            code == LOCAL
        ):  # there is no run to call invalid: it counts for its stage, and says who is to blame
            raise _Failed(stage, f"this machine ran out of something: {describe(error)}") from e
        if last:
            raise _Failed(code, describe(error)) from e


def _ms_since(began: float) -> float:
    return (trio.current_time() - began) * 1e3
