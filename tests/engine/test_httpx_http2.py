"""HTTP/2 of the transport httpx, against a real HTTP/2 server."""

from __future__ import annotations

import ssl
import threading
from dataclasses import replace

import pytest
import trustme
from engine_harness import (
    MS,
    OK_ANSWER,
    SECOND,
    STOPPED_IN_A_PAUSE,
    Done,
    answering,
    job_for,
    run_job,
    serving,
    with_time_enough,
)
from h2.errors import ErrorCodes
from h2_server import Asked, Peer, Reply, Seen, frame, speaking_h2

from loadtool.plan.job import ExpectSpec, Job, RequestSpec

CANCEL = int(ErrorCodes.CANCEL)


def over_h2(job: Job) -> Job:
    return replace(job, transport="httpx", client=replace(job.client, http2=True))


async def run_against(
    reply: Reply, *, max_streams: int | None = 100, stop_after_s: float | None = None, **options: object
) -> tuple[Done, Seen]:
    """A run with these options of `job_for` over HTTP/2 without TLS."""
    seen = Seen()
    with serving(speaking_h2(reply, seen, max_streams)) as server:
        job = over_h2(job_for(server.port, **options))  # type: ignore[arg-type]
        return await run_job(job, stop_after_s=stop_after_s), seen


def ok(peer: Peer, asked: Asked) -> None:
    peer.answer(asked)


def in_50_ms(peer: Peer, asked: Asked) -> None:
    peer.answer_later(asked, 0.05)


def never(peer: Peer, asked: Asked) -> None:
    pass


async def test_what_is_sent() -> None:
    requests = (
        RequestSpec("order", 1.0, "POST", "/orders", query=(("a", "b c"),), headers=(("X-Key", "k"),),
                    body_kind="json", body={"n": 1}),
    )  # fmt: skip
    done, seen = await run_against(ok, requests=requests, count=3, connections=1)
    assert done.outcomes == {"ok": 3}
    assert seen.connections == 1
    headers = dict(seen.requests[0].headers)
    assert headers.pop("user-agent").startswith("loadtool/")
    assert headers.pop(":authority").startswith("127.0.0.1:")
    assert headers == {
        ":method": "POST", ":scheme": "http", ":path": "/orders?a=b%20c", "x-key": "k", "accept": "*/*",
        "content-type": "application/json", "content-length": str(len(seen.requests[0].body)),
    }  # fmt: skip
    assert seen.requests[0].body.replace(b" ", b"") == b'{"n":1}'


@pytest.mark.parametrize(
    ("status", "role", "expect", "outcome", "detail"),
    [
        (200, "spike", ExpectSpec(contains=("ok",)), "ok", None),
        (200, "spike", ExpectSpec(contains=("fine",)), "check", "does not contain 'fine'; the answer: ok"),
        (503, "spike", None, "shed", None),
        (503, "baseline", None, "status", "got status 503, want 200 to 399; the answer: ok"),
        (302, "baseline", None, "ok", None),
    ],
)
async def test_outcomes(
    status: int, role: str, expect: ExpectSpec | None, outcome: str, detail: str | None
) -> None:
    done, _ = await run_against(lambda peer, asked: peer.answer(asked, status), role=role, expect=expect)
    assert done.outcomes == {outcome: 10}
    if detail is not None:
        assert detail in done.examples[outcome].detail


@pytest.mark.parametrize("max_streams", [1, 100, None])
async def test_connections_are_kept_and_have_one_request_at_a_time(max_streams: int | None) -> None:
    done, seen = await run_against(in_50_ms, count=100, rate=200, connections=20, max_streams=max_streams)
    assert done.outcomes == {"ok": 100}
    assert seen.at_once == 1
    assert 5 <= seen.connections <= 20  # 50 ms at 200/s take ten
    assert 1 <= len(done.values("connect")) <= seen.connections


async def test_past_the_profile_s_bound_requests_wait() -> None:
    """Two at a time for 50 ms each: the last pair begins after nine others.

    Of a machine that stalls, the wait is lag; so there are a few tries.
    """
    for _ in range(5):
        done, seen = await run_against(in_50_ms, count=20, rate=1000, connections=2)
        assert done.outcomes == {"ok": 20}
        assert seen.connections == 2
        longest = done.values("queued")[-1]
        if longest >= 9 * 50_000 - 20_000:
            break
    assert longest >= 9 * 50_000 - 20_000


async def test_without_keepalive_each_request_has_a_connection_of_its_own() -> None:
    done, seen = await run_against(ok, count=5, keepalive=False)
    assert done.outcomes == {"ok": 5}
    assert seen.connections == 5


async def test_expiry_resets_the_stream_and_leaves_the_connection_to_the_next() -> None:
    """The first answer of each pair never comes; the server has said something since, so it is alive.

    Each request has a quarter of a second or more for that, also where it had to wait for the one before.
    """

    unanswered = set()

    def reply(peer: Peer, asked: Asked) -> None:
        peer.ping()
        if asked.stream % 4 == 3:
            peer.answer(asked)
        else:
            unanswered.add(asked.stream)

    done, seen = await run_against(reply, count=10, rate=4, connections=1, timeout_ns=SECOND // 2)
    assert done.outcomes.keys() <= {"ok", "timeout", "unsent"}
    # A stream that was answered too late is closed to its server, which takes no reset for it any more. The
    # end may cut off the last one.
    assert 1 <= len(unanswered) - 1 <= len(seen.resets) <= done.outcomes["timeout"]
    assert done.outcomes["ok"] >= 1
    assert set(seen.resets) == {CANCEL}
    assert done.examples["timeout"].detail == "no answer when the timeout expired"
    assert seen.connections == 1


async def test_an_answer_that_stays_incomplete_is_a_timeout() -> None:
    async def attempt(timeout_ms: int) -> None:
        done, _ = await run_against(lambda peer, asked: peer.half(asked), timeout_ns=timeout_ms * MS)
        assert done.outcomes == {"timeout": 10}
        assert done.examples["timeout"].detail == "the answer was incomplete when the timeout expired"

    await with_time_enough(attempt, 100, 1_000, 10_000)


async def test_a_connection_that_has_gone_silent_is_not_used_again() -> None:
    """As after a network that drops everything: the first connection takes requests and says nothing."""

    def reply(peer: Peer, asked: Asked) -> None:
        if peer.number > 1:
            peer.answer(asked)

    done, seen = await run_against(reply, count=100, rate=100, connections=1, timeout_ns=200 * MS)
    assert done.outcomes.keys() <= {"ok", "timeout", "unsent"}
    assert done.outcomes["timeout"] >= 1
    assert done.outcomes["ok"] >= 1
    assert seen.connections >= 2


@pytest.mark.parametrize(
    ("act", "detail"),
    [
        (lambda peer, asked: peer.reset(asked, ErrorCodes.INTERNAL_ERROR),
         "the server reset the stream (INTERNAL_ERROR) before an answer came"),
        (lambda peer, asked: (peer.half(asked), peer.reset(asked, ErrorCodes.CANCEL)),
         "the server reset the stream (CANCEL) in the middle of the answer"),
        (lambda peer, asked: peer.go_away(ErrorCodes.ENHANCE_YOUR_CALM),
         "the server ended the connection (ENHANCE_YOUR_CALM) before an answer came"),
        (lambda peer, asked: peer.hang_up(), "the connection was closed before an answer came"),
        (lambda peer, asked: (peer.half(asked), peer.hang_up()),
         "the connection was closed in the middle of the answer"),
    ],
)  # fmt: skip
async def test_resets(act: Reply, detail: str) -> None:
    done, _ = await run_against(act)
    assert done.outcomes == {"reset": 10}
    assert detail in done.examples["reset"].detail


async def test_a_stream_that_is_reset_does_not_concern_the_others() -> None:
    def reply(peer: Peer, asked: Asked) -> None:
        if asked.stream % 4 == 1:
            peer.reset(asked, ErrorCodes.REFUSED_STREAM)
        else:
            peer.answer(asked)

    done, seen = await run_against(reply, count=20, connections=1)
    assert done.outcomes == {"ok": 10, "reset": 10}
    assert seen.connections == 1


@pytest.mark.parametrize(
    "late", [frame(1, b"\x88", 1, 5), frame(0, b"x", 15)], ids=["of a stream long over", "of one that is not"]
)
@pytest.mark.parametrize(
    ("method", "outcomes", "sent"), [("GET", {"ok": 10}, 14), ("POST", {"ok": 7, "reset": 3}, 10)]
)
async def test_a_frame_that_ends_the_connection_costs_no_other_request(
    late: bytes, method: str, outcomes: dict[str, int], sent: int
) -> None:
    """h2 takes no more over it. The request under way may have been worked on."""

    def third(peer: Peer, asked: Asked) -> None:
        if asked.stream == 5:
            peer.say(late)
        else:
            peer.answer(asked)

    requests = (RequestSpec("it", 1.0, method, "/"),)
    done, seen = await run_against(third, requests=requests, connections=1, timeout_ns=20 * SECOND)
    assert done.outcomes == outcomes
    assert (len(seen.requests), done.tally.totals.attempts) == (sent, sent)
    if "reset" in outcomes:
        assert "the stream was closed before an answer came" in done.examples["reset"].detail


async def test_a_server_that_says_goodbye_every_so_often_costs_no_arrival() -> None:
    def reply(peer: Peer, asked: Asked) -> None:
        peer.answer(asked)
        if peer.answered == 5:
            peer.go_away()

    done, seen = await run_against(reply, count=60, rate=300)
    assert done.outcomes == {"ok": 60}
    assert seen.connections >= 60 / 5
    assert done.tally.totals.attempts == 60


async def test_a_frame_that_may_not_be() -> None:
    done, _ = await run_against(lambda peer, asked: peer.say(bytes(9)))  # DATA on stream 0
    assert done.outcomes == {"protocol": 10}


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b"\xff" * 4000])
async def test_a_server_that_does_not_speak_http2(answer: bytes) -> None:
    with serving(answering(answer)) as server:
        done = await run_job(over_h2(job_for(server.port)))
    assert done.outcomes == {"protocol": 10}
    assert "not HTTP/2; it began " in done.examples["protocol"].detail


async def test_a_large_request_is_sent_as_the_server_takes_it() -> None:
    big = "x" * (1 << 20)  # sixteen times the window that the server gives at first
    requests = (RequestSpec("big", 1.0, "POST", "/", body_kind="raw", body=big),)
    done, seen = await run_against(ok, count=3, requests=requests, timeout_ns=20 * SECOND)
    assert done.outcomes == {"ok": 3}
    assert [len(asked.body) for asked in seen.requests] == [1 << 20] * 3


async def test_a_stop_aborts_what_is_under_way() -> None:
    done, _ = await run_against(never, phases=STOPPED_IN_A_PAUSE, stop_after_s=0.5)
    assert done.outcomes == {"aborted": 50}


async def test_a_server_that_stops_reading_holds_up_nobody_but_itself() -> None:
    """Its connection is stuck in the middle of a frame; the worker gives it up and ends in time."""
    stuck = threading.Event()

    def handler(sock: object) -> None:
        stuck.wait(20)

    requests = (RequestSpec("big", 1.0, "POST", "/", body_kind="raw", body="x" * (8 << 20)),)
    with serving(handler) as server:
        try:
            job = job_for(server.port, count=20, requests=requests, timeout_ns=200 * MS)
            done = await run_job(over_h2(job))
        finally:
            stuck.set()
    assert done.outcomes.keys() <= {"timeout", "unsent"}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def contexts(authority: trustme.CA, *protocols: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's, which offers these protocols, and the client's."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("shop.test").configure_cert(server)
    if protocols:
        server.set_alpn_protocols(list(protocols))
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


async def test_over_tls(authority: trustme.CA) -> None:
    theirs, ours = contexts(authority, "h2", "http/1.1")
    seen = Seen()
    with serving(speaking_h2(in_50_ms, seen), theirs) as server:
        job = over_h2(job_for(server.port, scheme="https", server_name="shop.test", count=40))
        done = await run_job(job, tls=ours)
    assert done.outcomes == {"ok": 40}
    assert 1 <= len(done.values("tls")) <= seen.connections


@pytest.mark.parametrize("protocols", [(), ("http/1.1",)])
async def test_a_tls_server_without_http2_is_not_measured_over_another_protocol(
    authority: trustme.CA, protocols: tuple[str, ...]
) -> None:
    theirs, ours = contexts(authority, *protocols)
    with serving(answering(OK_ANSWER), theirs) as server:
        job = over_h2(job_for(server.port, scheme="https", server_name="shop.test"))
        done = await run_job(job, tls=ours)
    assert done.outcomes == {"protocol": 10}
    assert "does not offer HTTP/2" in done.examples["protocol"].detail
