"""GOAWAY of HTTP/2 (RFC 9113, 6.8): what is answered, sent again or failed, and what is counted."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import httpcore
import pytest
import trio
from engine_harness import SECOND, Done, job_for, run_job, serving
from h2.errors import ErrorCodes
from h2_server import Asked, Peer, Reply, Seen, frame, goodbye, speaking_h2

from loadtool.engine.httpx_frames import Frames
from loadtool.engine.httpx_network import Network
from loadtool.engine.httpx_stream import Stream
from loadtool.plan.job import RequestSpec

ANNOUNCED = 0x7FFF_FFFF  # as the last stream: the one that is will follow
CALM = int(ErrorCodes.ENHANCE_YOUR_CALM)
SETTINGS, HEADERS, DATA = frame(4, b""), frame(1, b"head", 3, 4), frame(0, b"body" * 9, 3, 1)
GET = RequestSpec("get", 1.0, "GET", "/")
POST = RequestSpec("post", 1.0, "POST", "/", body_kind="raw", body="abc")
EITHER = pytest.mark.parametrize("spec", [GET, POST], ids=["GET", "POST"])


def retried(done: Done) -> int:
    return sum(frame.retried for frame in done.frames)


async def ten(spec: RequestSpec, second: Reply) -> tuple[Done, Seen]:
    """Ten requests over one connection at a time, each second one of which meets with `second`."""

    def reply(peer: Peer, asked: Asked) -> None:
        if asked.stream == 3:
            second(peer, asked)
        else:
            peer.answer(asked)

    seen = Seen()
    with serving(speaking_h2(reply, seen)) as server:
        job = job_for(server.port, requests=(spec,), connections=1, timeout_ns=20 * SECOND)
        job = replace(job, transport="httpx", client=replace(job.client, http2=True))
        return await run_job(job), seen


def answered_at_once(peer: Peer, asked: Asked) -> None:
    """As nginx: the last answer that it gives leaves together with the goodbye."""
    peer.say_goodbye(asked.stream, then=asked)


def answered_later(peer: Peer, asked: Asked) -> None:
    peer.say_goodbye(asked.stream)
    peer.answer(asked)


def announced(peer: Peer, asked: Asked) -> None:
    peer.say_goodbye(ANNOUNCED)
    peer.say_goodbye(asked.stream, then=asked)


def in_the_middle(peer: Peer, asked: Asked) -> None:
    peer.half(asked)
    peer.say_goodbye(asked.stream)
    peer.rest(asked)


@EITHER
@pytest.mark.parametrize("second", [answered_at_once, answered_later, announced, in_the_middle])
async def test_what_was_taken_is_answered_and_the_connection_is_spent(
    spec: RequestSpec, second: Reply
) -> None:
    done, seen = await ten(spec, second)
    assert done.outcomes == {"ok": 10}
    assert (len(seen.requests), done.tally.totals.attempts, retried(done)) == (10, 10, 0)
    assert seen.connections == 5


def refused(peer: Peer, asked: Asked) -> None:
    peer.say_goodbye(asked.stream - 2)


def refused_late(peer: Peer, asked: Asked) -> None:
    peer.say_goodbye(ANNOUNCED)
    peer.say_goodbye(asked.stream - 2)


def refused_with_a_complaint(peer: Peer, asked: Asked) -> None:
    peer.say_goodbye(asked.stream - 2, CALM)


@EITHER
@pytest.mark.parametrize("second", [refused, refused_late, refused_with_a_complaint])
async def test_what_was_not_taken_is_sent_again_and_not_counted(spec: RequestSpec, second: Reply) -> None:
    done, seen = await ten(spec, second)
    assert done.outcomes == {"ok": 10}
    assert (len(seen.requests), done.tally.totals.attempts, retried(done)) == (19, 10, 9)


def promised_in_vain(peer: Peer, asked: Asked) -> None:
    peer.say_goodbye(asked.stream)
    peer.hang_up()


async def test_a_get_that_was_taken_and_not_answered_is_sent_again_and_counted() -> None:
    done, seen = await ten(GET, promised_in_vain)
    assert done.outcomes == {"ok": 10}
    assert (len(seen.requests), done.tally.totals.attempts, retried(done)) == (19, 19, 9)


async def test_a_post_that_was_taken_and_not_answered_is_a_reset() -> None:
    done, seen = await ten(POST, promised_in_vain)
    assert done.outcomes == {"ok": 5, "reset": 5}
    assert (len(seen.requests), done.tally.totals.attempts, retried(done)) == (10, 10, 0)
    assert done.examples["reset"].detail.endswith("the connection was closed before an answer came")


def complaint(peer: Peer, asked: Asked) -> None:
    peer.say_goodbye(asked.stream, CALM)


def complaint_and_more(peer: Peer, asked: Asked) -> None:
    peer.say_goodbye(asked.stream, CALM, then=asked)


@EITHER
@pytest.mark.parametrize("second", [complaint, complaint_and_more])
async def test_a_complaint_about_what_was_taken_is_a_reset(spec: RequestSpec, second: Reply) -> None:
    done, seen = await ten(spec, second)
    assert done.outcomes == {"ok": 5, "reset": 5}
    assert (len(seen.requests), done.tally.totals.attempts) == (10, 10)
    words = "the server ended the connection (ENHANCE_YOUR_CALM) before an answer came"
    assert done.examples["reset"].detail.endswith(words)


@EITHER
async def test_an_answer_that_had_begun_is_not_asked_for_again(spec: RequestSpec) -> None:
    def cut(peer: Peer, asked: Asked) -> None:
        peer.half(asked)
        peer.say_goodbye(asked.stream)
        peer.hang_up()

    done, seen = await ten(spec, cut)
    assert done.outcomes == {"ok": 5, "reset": 5}
    assert (len(seen.requests), done.tally.totals.attempts) == (10, 10)
    assert done.examples["reset"].detail.endswith("in the middle of the answer")


# Frames


@pytest.mark.parametrize("step", [1, 2, 7, 8, 9, 10, 1000])
def test_goodbyes_are_taken_out_however_the_bytes_come(step: int) -> None:
    said = SETTINGS + goodbye(ANNOUNCED) + HEADERS + goodbye(3, words=b"more to say") + DATA + SETTINGS
    frames = Frames()
    frames.ask(3)
    passed = b"".join(frames.pass_on(said[at : at + step]) for at in range(0, len(said), step))
    assert passed == SETTINGS + HEADERS + DATA + SETTINGS
    assert (frames.leaving, frames.owed, frames.refused, frames.complained) == (True, True, False, False)


def test_what_looks_like_a_goodbye_within_a_frame_is_none() -> None:
    data = frame(0, goodbye(1), 3)
    for first in range(len(data)):
        frames = Frames()
        assert frames.pass_on(data[:first]) + frames.pass_on(data[first:]) == data
        assert not frames.leaving


@pytest.mark.parametrize("odd", [frame(7, bytes(7)), frame(7, bytes(8), 1), frame(7, bytes((1 << 14) + 1))])
def test_goodbyes_that_may_not_be_are_h2_s_to_refuse(odd: bytes) -> None:
    frames = Frames()
    assert frames.pass_on(odd + HEADERS) == odd + HEADERS
    assert not frames.leaving


def test_nothing_follows_a_complaint() -> None:
    frames = Frames()
    frames.ask(3)
    assert frames.pass_on(HEADERS + goodbye(3, CALM) + DATA) == HEADERS + goodbye(3, CALM)
    assert (frames.owed, frames.refused, frames.complained) == (False, False, True)


@pytest.mark.parametrize(
    ("said", "owed", "refused"),
    [
        (goodbye(1), False, True),
        (goodbye(3), True, False),
        (goodbye(ANNOUNCED), False, False),
        (goodbye(ANNOUNCED) + goodbye(1), False, True),
        (HEADERS + goodbye(1), False, False),  # it is being answered, whatever is said
        (goodbye(1, CALM), False, True),
        (goodbye(3, CALM), False, False),
    ],
)
def test_what_a_goodbye_says_of_a_request(said: bytes, owed: bool, refused: bool) -> None:
    frames = Frames()
    frames.ask(3)
    frames.pass_on(said)
    assert (frames.leaving, frames.owed, frames.refused) == (True, owed, refused)


@pytest.mark.parametrize(("code", "name"), [(0, "NO_ERROR"), (11, "ENHANCE_YOUR_CALM"), (99, "code 99")])
def test_what_the_server_has_said(code: int, name: str) -> None:
    frames = Frames()
    frames.pass_on(goodbye(1, code))
    assert frames.words == f"the server ended the connection ({name})"


class Reads:
    """A transport that gives these bytes, one read at a time, and then the end."""

    def __init__(self, *reads: bytes) -> None:
        self._reads = [*reads, b""]

    async def receive_some(self, max_bytes: int) -> bytes:
        return self._reads.pop(0)

    def fileno(self) -> int:
        return -1  # as if it were closed


def stream_of(*reads: bytes) -> Stream:
    peer = Reads(*reads)
    sock, transport = cast(trio.socket.SocketType, peer), cast(trio.SocketStream, peer)
    stream = Stream(cast(Network, None), sock, transport, cast("object", None), http2=True)  # type: ignore[arg-type]
    stream.frames.ask(3)
    return stream


async def test_a_goodbye_alone_does_not_look_like_the_end() -> None:
    stream = stream_of(SETTINGS, goodbye(3), HEADERS)
    assert [await stream.read(100) for _ in range(3)] == [SETTINGS, HEADERS, b""]


async def test_a_request_that_was_not_taken_is_not_waited_for() -> None:
    stream = stream_of(SETTINGS + goodbye(1))
    with pytest.raises(httpcore.ReadError, match="NO_ERROR"):
        await stream.read(100)
