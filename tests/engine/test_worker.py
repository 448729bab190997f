"""The engine against real servers: every outcome, connections kept and lost, conservation."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from dataclasses import replace

import pytest
import trustme
from engine_harness import (
    MS,
    OK_ANSWER,
    SECOND,
    STOPPED_IN_A_PAUSE,
    Handler,
    Server,
    answering,
    free_port,
    job_for,
    read_request,
    run_job,
    serving,
    with_time_enough,
)
from run_harness import eventually

from loadtool.engine.transports import TRANSPORTS, Parts, Transport
from loadtool.plan.job import ExpectSpec, PhaseSpec, RequestSpec

pytestmark = pytest.mark.usefixtures("transport")


def response(status: int, body: bytes = b"", *headers: bytes) -> bytes:
    lines = [b"HTTP/1.1 %d X" % status, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join([*lines, b"", body])


def close_at_once(sock: socket.socket) -> None:
    read_request(sock)


def reset_at_once(sock: socket.socket) -> None:
    read_request(sock)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    sock.close()


def never_answer(sock: socket.socket) -> None:
    while sock.recv(65536):
        pass


def half_an_answer(sock: socket.socket) -> None:
    read_request(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")


SWITCH = b"HTTP/1.1 101 Up\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n5;x=y\r\n then\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("role", "handler", "expect", "outcome", "detail"),
    [
        ("spike", answering(OK_ANSWER), None, "ok", None),
        ("spike", answering(CHUNKED), None, "ok", None),
        ("spike", answering(response(204)), None, "ok", None),
        ("spike", answering(response(302, b"", b"Location: /x")), None, "ok", None),
        ("spike", answering(response(404, b"no such")), None, "status", "got status 404, want 200 to 399"),
        ("spike", answering(response(503)), None, "shed", None),
        ("recovery", answering(response(429)), None, "shed", None),
        ("baseline", answering(response(503, b"busy")), None, "status", "got status 503"),
        ("warmup", answering(response(429)), None, "status", "got status 429"),
        ("spike", answering(response(503)), ExpectSpec(status=(503,)), "ok", None),
        ("spike", answering(response(201)), ExpectSpec(status=(200,)), "status", "got status 201, want 200"),
        ("spike", answering(OK_ANSWER), ExpectSpec(contains=("ok",)), "ok", None),
        ("spike", answering(CHUNKED), ExpectSpec(contains=("ok then",)), "ok", None),
        ("spike", answering(OK_ANSWER), ExpectSpec(contains=("fine",)), "check", "does not contain 'fine'"),
        ("spike", answering(OK_ANSWER), ExpectSpec(matches=("^o.$",)), "ok", None),
        ("spike", close_at_once, None, "reset", "closed before an answer came"),
        ("spike", reset_at_once, None, "reset", "before an answer came"),
        ("spike", half_an_answer, None, "reset", "in the middle of the answer"),
        ("spike", answering(b"SSH-2.0-OpenSSH_9.2\r\n"), None, "protocol", "SSH-2.0"),
        ("spike", answering(SWITCH), None, "protocol", "101"),
    ],
)  # fmt: skip
async def test_outcome(
    role: str, handler: Handler, expect: ExpectSpec | None, outcome: str, detail: str | None
) -> None:
    with serving(handler) as server:
        done = await run_job(job_for(server.port, role=role, expect=expect))
    assert done.outcomes == {outcome: 10}
    assert list(done.examples) == ([] if detail is None else [outcome])
    if detail is not None:
        assert detail in done.examples[outcome].detail


async def test_a_closed_port_is_a_connect_error() -> None:
    done = await run_job(job_for(free_port()))
    assert done.outcomes == {"connect": 10}
    assert "ECONNREFUSED" in done.examples["connect"].detail
    assert done.tally.totals.attempts == 10  # each has tried


async def test_no_answer_is_a_timeout_at_the_timeout() -> None:
    async def attempt(timeout_ms: int) -> None:
        with serving(never_answer) as server:
            done = await run_job(job_for(server.port, timeout_ns=timeout_ms * MS))
        assert done.outcomes == {"timeout": 10}
        assert done.examples["timeout"].detail == "no answer when the timeout expired"

    await with_time_enough(attempt, 100, 1_000, 10_000)


async def test_what_waits_for_a_slot_until_its_timeout_is_unsent() -> None:
    async def attempt(timeout_ms: int) -> None:
        with serving(never_answer) as server:
            job = job_for(server.port, count=5, rate=1e6, timeout_ns=timeout_ms * MS, connections=1)
            done = await run_job(job)
        assert done.outcomes == {"timeout": 1, "unsent": 4}
        assert done.tally.totals.attempts == 1
        assert "no connection was free" in done.examples["unsent"].detail
        assert server.connections == 1

    await with_time_enough(attempt, 150, 1_500, 10_000)


async def test_connections_are_kept_alive_and_reused() -> None:
    with serving(answering(OK_ANSWER)) as server:
        done = await run_job(job_for(server.port, count=20, connections=1))
    assert done.outcomes == {"ok": 20}
    assert server.connections == 1


@pytest.mark.parametrize(
    ("answer", "keepalive"),
    [
        (OK_ANSWER, False),
        (response(200, b"ok", b"Connection: close"), True),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", True),
        (OK_ANSWER + b"surplus", True),
    ],
)
async def test_connections_that_may_not_be_reused_are_not(answer: bytes, keepalive: bool) -> None:
    with serving(answering(answer)) as server:
        done = await run_job(job_for(server.port, count=5, keepalive=keepalive))
    assert done.outcomes == {"ok": 5}
    assert server.connections == 5


async def test_a_body_may_end_with_the_connection() -> None:
    def handler(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\nall of ")
        sock.sendall(b"it")

    with serving(handler) as server:
        done = await run_job(job_for(server.port, expect=ExpectSpec(contains=("all of it",))))
    assert done.outcomes == {"ok": 10}


async def test_interim_answers_are_passed_over() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    with serving(answering(b"HTTP/1.1 100 Continue\r\n\r\n" + early + OK_ANSWER)) as server:
        done = await run_job(job_for(server.port, connections=1))
    assert done.outcomes == {"ok": 10}
    assert server.connections == 1


async def test_an_answer_to_head_has_no_body_whatever_it_announces() -> None:
    requests = (RequestSpec("head", 1.0, "HEAD", "/"),)
    announced = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"
    with serving(answering(announced)) as server:
        done = await run_job(job_for(server.port, requests=requests, connections=1))
    assert done.outcomes == {"ok": 10}
    assert server.connections == 1


async def test_what_is_sent() -> None:
    received: list[bytes] = []

    def handler(sock: socket.socket) -> None:
        while request := read_request(sock):
            received.append(request)
            sock.sendall(OK_ANSWER)

    requests = (
        RequestSpec(
            "order", 1.0, "POST", "/orders", headers=(("X-Key", "k"),), body_kind="json", body={"n": 1}
        ),
    )
    with serving(handler) as server:
        await run_job(job_for(server.port, count=1, requests=requests))
    head, _, body = received[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /orders HTTP/1.1"
    headers = dict(line.split(": ", 1) for line in lines[1:])
    assert headers.pop("User-Agent").startswith("loadtool/")
    assert headers == {
        "Host": f"127.0.0.1:{server.port}",
        "X-Key": "k",
        "Content-Type": "application/json",
        "Accept": "*/*",
        "Content-Length": str(len(body)),
    }
    assert body.replace(b" ", b"") == b'{"n":1}'


async def test_a_request_larger_than_the_kernel_takes_at_once() -> None:
    big = "x" * (8 << 20)
    lengths: list[int] = []

    def handler(sock: socket.socket) -> None:
        lengths.append(len(read_request(sock).partition(b"\r\n\r\n")[2]))
        sock.sendall(OK_ANSWER)

    requests = (RequestSpec("big", 1.0, "POST", "/", body_kind="raw", body=big),)
    with serving(handler) as server:
        done = await run_job(job_for(server.port, count=2, requests=requests, timeout_ns=20 * SECOND))
    assert done.outcomes == {"ok": 2}
    assert lengths == [8 << 20] * 2


async def test_an_answer_that_comes_before_the_request_was_taken_counts() -> None:
    """As servers refuse what is too large: they answer, and close without reading on."""

    def handler(sock: socket.socket) -> None:
        sock.recv(1024)
        sock.sendall(response(413, b"too large", b"Connection: close"))
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass

    requests = (RequestSpec("big", 1.0, "POST", "/", body_kind="raw", body="x" * (8 << 20)),)
    with serving(handler) as server:
        done = await run_job(job_for(server.port, count=1, requests=requests))
    assert done.outcomes == {"status": 1}
    assert "413" in done.examples["status"].detail


async def test_localhost_that_is_ipv6_first_costs_no_arrival() -> None:
    with serving(answering(OK_ANSWER)) as server:
        done = await run_job(job_for(server.port, host="localhost", keepalive=False))
    assert done.outcomes == {"ok": 10}


async def test_ipv6() -> None:
    try:
        server = Server(answering(OK_ANSWER), family=socket.AF_INET6)
    except OSError as e:
        pytest.skip(f"no IPv6 on this machine: {e}")
    try:
        done = await run_job(job_for(server.port, host="::1"))
    finally:
        server.close()
    assert done.outcomes == {"ok": 10}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_tls_with_server_name_and_reuse(authority: trustme.CA) -> None:
    context = server_context(authority, "shop.test")
    names: list[str | None] = []
    context.sni_callback = lambda sock, name, ctx: names.append(name)
    with serving(answering(OK_ANSWER), context) as server:
        job = job_for(server.port, scheme="https", server_name="shop.test", connections=1)
        done = await run_job(job, tls=client_context(authority))
    assert done.outcomes == {"ok": 10}
    assert names == ["shop.test"]
    assert len(done.values("tls")) == 1


@pytest.mark.parametrize(("name", "trusted", "words"), [
    ("other.test", True, "certificate not accepted: Hostname mismatch"),
    ("shop.test", False, "certificate not accepted: "),
])  # fmt: skip
async def test_a_certificate_that_does_not_hold_is_a_tls_error(
    authority: trustme.CA, name: str, trusted: bool, words: str
) -> None:
    client = client_context(authority) if trusted else ssl.create_default_context()
    with serving(answering(OK_ANSWER), server_context(authority, name)) as server:
        job = job_for(server.port, scheme="https", server_name="shop.test")
        done = await run_job(job, tls=client)
    assert done.outcomes == {"tls": 10}
    assert words in done.examples["tls"].detail


async def test_tls_to_a_server_that_speaks_plain_http(authority: trustme.CA) -> None:
    def handler(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with serving(handler) as server:
        job = job_for(server.port, scheme="https")
        done = await run_job(job, tls=client_context(authority))
    assert done.outcomes == {"tls": 10}


async def test_secrets_are_masked_in_examples() -> None:
    with serving(answering(response(500, b"no token s3cret-token here"))) as server:
        done = await run_job(replace(job_for(server.port), secrets=("s3cret-token",)))
    assert done.examples["status"].detail.endswith("no token *** here")


async def test_good_is_ok_within_the_limit() -> None:
    with serving(answering(OK_ANSWER)) as server:
        good = await run_job(job_for(server.port, good_within_ns=5 * SECOND))
        bad = await run_job(job_for(server.port, good_within_ns=1))
    assert (good.tally.totals.good, bad.tally.totals.good) == (10, 0)


async def test_a_stop_aborts_what_is_under_way_and_drops_what_is_not_yet_due() -> None:
    with serving(never_answer) as server:
        done = await run_job(job_for(server.port, phases=STOPPED_IN_A_PAUSE), stop_after_s=0.5)
    assert done.outcomes == {"aborted": 50}


async def test_each_worker_of_two_takes_every_other_arrival() -> None:
    with serving(answering(OK_ANSWER)) as server:
        job = job_for(server.port, count=21)
        shares = [(await run_job(job, worker=i, workers=2)).outcomes["ok"] for i in range(2)]
    assert shares == [11, 10]


async def test_arrivals_are_booked_in_the_phase_and_slice_in_which_they_were_due() -> None:
    phases = (PhaseSpec("baseline", "baseline", 20.0, SECOND), PhaseSpec("spike", "spike", 60.0, SECOND))
    with serving(answering(OK_ANSWER)) as server:
        done = await run_job(job_for(server.port, phases=phases))
    assert {key: books.ok for key, books in done.tally.by_stretch.items()} == {(0, 0): 20, (1, 0): 60}
    assert {key: books.ok for key, books in done.tally.by_slice.items()} == {0: 20, 1: 60}


async def test_a_stalled_target_is_queueing_and_never_lag() -> None:
    """One connection, and an answer that takes a second: the 29 behind it wait for the slot, not for us.

    The second begins when all of them do wait, or a busy machine could sleep through it.
    """
    stall = threading.Event()
    given: list[Parts] = []

    def all_launched() -> bool:
        feed = given[0].feed  # whose arrivals go from `_later` to `ready`
        return feed._ended and not feed._later and not feed.ready

    def handler(sock: socket.socket) -> None:
        while read_request(sock):
            if not stall.is_set():
                stall.set()
                eventually("all are launched", all_launched)
                time.sleep(1.0)
            sock.sendall(OK_ANSWER)

    with serving(handler) as server:
        job = job_for(server.port, count=30, rate=200, connections=1, timeout_ns=20 * SECOND)
        make = TRANSPORTS[job.transport]()

        def transport(parts: Parts) -> Transport:
            given.append(parts)
            return make(parts)

        done = await run_job(job, transport=transport)
    assert done.outcomes == {"ok": 30}
    queued, responses = done.values("queued"), done.values("ok")
    assert queued[-1] > 980_000
    assert sum(q > 900_000 for q in queued) >= 25
    assert responses[-1] >= 999_000  # the lowest value of its bucket
    # Each response is what it waited and what it took: no arrival hides either.
    assert done.total("ok") >= done.total("queued") + done.total("service") - 30


async def test_names_that_do_not_resolve() -> None:
    from loadtool.engine.addresses import resolve
    from loadtool.errors import SetupError

    with pytest.raises(SetupError, match=r"^cannot resolve no-such-host\.invalid: "):
        await resolve("no-such-host.invalid", 80)
