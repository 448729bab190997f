"""TLS without I/O: a client's stream and a server's, and what lies between them cut up at will."""

from __future__ import annotations

import gc
import ssl
from itertools import pairwise

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from loadtool.engine.failures import describe
from loadtool.engine.tls import client_context
from loadtool.engine.tls_stream import AT_ONCE, TlsStream
from loadtool.plan.job import TlsSpec

Contexts = tuple[ssl.SSLContext, ssl.SSLContext]
REQUEST, ANSWER = b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Peer:
    """The server's side, and a client that has shaken hands with it."""

    def __init__(self, contexts: Contexts, session: ssl.SSLSession | None = None) -> None:
        theirs, ours = contexts
        self.coming, self.going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = theirs.wrap_bio(self.coming, self.going, server_side=True)
        self.client = TlsStream(ours, "shop.test", session)
        done = False
        while not done:
            done = self.client.handshake()
            self.coming.write(self.client.unsaid())
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                assert not done
            if not done:
                self.client.receive(self.going.read())

    def hear(self, data: bytes) -> bytes:
        self.coming.write(data)
        heard = b""
        while self.coming.pending:
            heard += self.tls.read(AT_ONCE)
        return heard

    def say(self, data: bytes) -> bytes:
        self.tls.write(data)
        return self.going.read()

    def goodbye(self) -> bytes:
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.unwrap()  # which waits for the client's
        return self.going.read()


@pytest.fixture(scope="module", params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def contexts(request: pytest.FixtureRequest) -> Contexts:
    authority = trustme.CA()
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.minimum_version = theirs.maximum_version = request.param
    authority.issue_cert("shop.test").configure_cert(theirs)
    ours = client_context(TlsSpec())
    authority.configure_trust(ours)
    return theirs, ours


def test_a_conversation(contexts: Contexts) -> None:
    peer = Peer(contexts)
    for _ in range(3):
        assert peer.hear(peer.client.sealed(REQUEST)) == REQUEST
        assert peer.client.said(peer.say(ANSWER)) == ANSWER
    assert peer.client.unsaid() == b""
    assert not peer.client.over


@pytest.mark.parametrize("size", [0, 1, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 5 * AT_ONCE + 7])
def test_any_length(contexts: Contexts, size: int) -> None:
    peer = Peer(contexts)
    text = bytes(range(256)) * (size // 256) + bytes(size % 256)
    if size:
        assert peer.hear(peer.client.sealed(text)) == text
    assert peer.client.said(peer.say(text + b".")) == text + b"."


@given(data=st.data())
def test_however_it_is_cut(contexts: Contexts, data: st.DataObject) -> None:
    """Each piece says what is whole by then, and all of them say all."""
    peer = Peer(contexts)
    texts = data.draw(st.lists(st.binary(min_size=1, max_size=40_000), min_size=1, max_size=4))
    records = b"".join(peer.say(text) for text in texts)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(records) - 1), max_size=8)))
    pieces = [records[a:b] for a, b in pairwise([0, *cuts, len(records)])]
    said = [peer.client.said(piece) for piece in pieces]
    assert b"".join(said) == b"".join(texts)
    assert not peer.client.over


def test_no_word_yet(contexts: Contexts) -> None:
    peer = Peer(contexts)
    records = peer.say(ANSWER)
    assert [peer.client.said(records[i : i + 1]) for i in range(len(records) - 1)] == [b""] * (
        len(records) - 1
    )
    assert not peer.client.over
    assert peer.client.said(records[-1:]) == ANSWER


def test_a_goodbye_with_the_last_words(contexts: Contexts) -> None:
    peer = Peer(contexts)
    assert peer.client.said(peer.say(ANSWER) + peer.goodbye()) == ANSWER
    assert peer.client.over
    assert peer.client.problem is None
    assert peer.client.said(b"") == b""


def test_a_goodbye_by_itself(contexts: Contexts) -> None:
    peer = Peer(contexts)
    assert peer.client.said(peer.goodbye()) == b""
    assert peer.client.over
    peer.client.end_of_file()
    assert peer.client.said(b"") == b""


def test_an_end_without_a_goodbye(contexts: Contexts) -> None:
    """It may have been cut by anyone."""
    peer = Peer(contexts)
    assert peer.client.said(peer.say(ANSWER)) == ANSWER
    peer.client.end_of_file()
    with pytest.raises(ssl.SSLError) as caught:
        peer.client.said(b"")
    assert describe(caught.value) == "TLS: the connection was closed without a close_notify"


def test_nonsense_after_an_answer(contexts: Contexts) -> None:
    """What was said before it is good, and nothing that comes after it."""
    peer = Peer(contexts)
    assert peer.client.said(peer.say(ANSWER) + b"HTTP/1.1 200 OK\r\n\r\n") == ANSWER
    assert peer.client.over
    assert describe(peer.client.problem or OSError()).startswith("TLS: ")
    assert [peer.client.said(more) for more in (b"", peer.say(ANSWER))] == [b"", b""]


def test_nonsense_by_itself(contexts: Contexts) -> None:
    peer = Peer(contexts)
    with pytest.raises(ssl.SSLError):
        peer.client.said(b"HTTP/1.1 200 OK\r\n\r\n")
    assert peer.client.over


def test_nothing_is_sealed_before_the_handshake(contexts: Contexts) -> None:
    stream = TlsStream(contexts[1], "shop.test", None)
    with pytest.raises(ssl.SSLError, match="another handshake first"):
        stream.sealed(REQUEST)


def test_why_a_handshake_fails_is_said(contexts: Contexts) -> None:
    """To the server, in an alert."""
    trusting_nobody = ssl.create_default_context()
    with pytest.raises(ssl.SSLCertVerificationError):
        Peer((contexts[0], trusting_nobody))
    theirs, _ = contexts
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = theirs.wrap_bio(coming, going, server_side=True)
    client = TlsStream(trusting_nobody, "shop.test", None)
    assert not client.handshake()
    coming.write(client.unsaid())
    with pytest.raises(ssl.SSLWantReadError):
        server.do_handshake()
    client.receive(going.read())
    with pytest.raises(ssl.SSLCertVerificationError):
        client.handshake()
    coming.write(client.unsaid())
    with pytest.raises(ssl.SSLError, match=r"(?i)alert unknown ca"):
        server.do_handshake()


def test_a_session_is_resumed_and_kept(contexts: Contexts) -> None:
    first = Peer(contexts)
    first.client.said(first.say(ANSWER))  # with TLS 1.3 it comes with the first answer
    session = first.client.fresh_session(None)
    assert session is not None
    second = Peer(contexts, session)
    assert second.tls.session_reused
    assert second.client.fresh_session(session) is session
    other = first.client.fresh_session(session)
    assert other is not None
    assert other is not session  # that connection has begun one of its own


@pytest.mark.parametrize("last", [b"", b"nonsense, and some more of it"], ids=["nothing", "nonsense"])
def test_nothing_is_left_for_a_collector(contexts: Contexts, last: bytes) -> None:
    """Workers have none."""

    def talk() -> None:
        peer = Peer(contexts)
        peer.hear(peer.client.sealed(REQUEST))
        assert peer.client.said(peer.say(ANSWER) + last) == ANSWER
        assert (peer.client.problem is not None) is bool(last)

    talk()
    gc.collect()
    gc.disable()
    try:
        talk()
        assert gc.collect() == 0
    finally:
        gc.enable()
