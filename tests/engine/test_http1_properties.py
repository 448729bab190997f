"""Answers of every make, in pieces of every size: what is read never depends on where the network cut it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from loadtool.engine.http1 import KEPT, Answer, ProtocolError

EMPTY_LINES = b"\r\n"


@dataclass(frozen=True)
class Sample:
    """An answer as a server may send it, and what it says."""

    head: bytes  # interim answers included
    rest: bytes  # the body with its framing
    status: int
    body: bytes
    sized: bool  # else it ends with the connection
    kept: bool  # whether the connection may be used again

    @property
    def data(self) -> bytes:
        return self.head + self.rest

    def to_head(self, kept: bool) -> Sample:
        """The same answer to a HEAD request."""
        return replace(self, rest=b"", body=b"", sized=True, kept=kept)


tokens = st.text("abcXYZ019-_", min_size=1, max_size=12)
values = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30)
headers = st.lists(st.tuples(tokens, values), max_size=3)
extensions = st.one_of(
    st.just(""), st.builds(";{}={}".format, tokens, tokens), st.builds(";{}".format, tokens)
)
blank = st.sampled_from([b"", EMPTY_LINES])


def lines(start: str, fields: list[tuple[str, str]]) -> bytes:
    return "\r\n".join([start, *(f"X-{name}: {value}" for name, value in fields), "", ""]).encode()


@st.composite
def chunked(draw: st.DrawFn, body: bytes) -> bytes:
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=4)))
    parts = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    data = b""
    for part in parts:
        if part:
            size = draw(st.sampled_from(["{:x}", "{:X}", "000{:x}"])).format(len(part))
            data += f"{size}{draw(extensions)}\r\n".encode() + part + b"\r\n"
    return data + f"0{draw(extensions)}\r\n".encode() + lines("", draw(headers))[2:]


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    head = draw(blank)
    for status in draw(st.lists(st.sampled_from([100, 102, 103, 199]), max_size=3)):
        head += lines(f"HTTP/1.1 {status} Wait", draw(headers)) + draw(blank)
    version = draw(st.sampled_from(["1.1", "1.1", "1.0"]))
    status = draw(st.sampled_from([200, 201, 204, 302, 304, 404, 500, 503, 999]))
    reason = draw(st.sampled_from(["", " ", " OK", " It Isn't There"]))
    connection = draw(st.sampled_from(["", "close", "keep-alive", "Keep-Alive, X", "x, close"]))
    framing = draw(st.sampled_from(["length", "chunked", "end"]))
    body = b"" if status in (204, 304) else draw(st.binary(max_size=60))
    fields = lines(f"HTTP/{version} {status}{reason}", draw(headers))[:-2]
    if connection:
        fields += f"Connection: {connection}\r\n".encode()
    rest = body
    if framing == "length":
        fields += b"Content-Length: %d\r\n" % len(body)
    elif framing == "chunked" and status not in (204, 304):
        fields += b"Transfer-Encoding: chunked\r\n"
        rest = draw(chunked(body))
    sized = framing != "end" or status in (204, 304)
    keep = "close" not in connection and (version == "1.1" or "keep-alive" in connection.lower())
    return Sample(head + fields + b"\r\n", rest, status, body, sized, keep and sized)


def keeps(sample: Sample) -> bool:
    """Whether an answer to HEAD with this head leaves the connection open: no body ends it."""
    final = sample.head.rpartition(b"HTTP/1.")[2].lower()
    options = final.partition(b"\r\nconnection: ")[2].partition(b"\r\n")[0]
    return b"close" not in options and (final.startswith(b"1") or b"keep-alive" in options)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(c % (len(data) + 1) for c in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a < b]


@given(samples(), st.lists(st.integers(0, 1000), max_size=6), st.booleans())
def test_an_answer_in_pieces_is_the_answer(sample: Sample, cuts: list[int], to_head: bool) -> None:
    if to_head:
        sample = sample.to_head(keeps(sample))
    answer = Answer()
    answer.expect(no_body=to_head, keep_body=True)
    parts = pieces(sample.data, cuts)
    for part in parts[:-1]:
        assert not answer.feed(part)
    assert answer.feed(parts[-1]) is sample.sized
    assert answer.end_of_file()
    assert (answer.status, answer.body_bytes()) == (sample.status, sample.body)
    assert answer.reusable() is sample.kept
    assert answer.head_text() == sample.head.rpartition(b"HTTP/1.")[2].join([b"HTTP/1.", b""]).decode()[:-4]
    answer.close()


@given(samples(), samples(), st.lists(st.integers(0, 1000), max_size=6))
def test_an_answer_behind_an_answer_is_not_read(one: Sample, two: Sample, cuts: list[int]) -> None:
    """Whatever is pipelined behind a sized answer, the first is the answer, and the connection is spoilt."""
    if not one.sized:
        return
    answer = Answer()
    answer.expect(no_body=False, keep_body=True)
    for part in pieces(one.data + two.data, cuts):
        answer.feed(part)
    assert (answer.complete, answer.status, answer.body_bytes()) == (True, one.status, one.body)
    assert answer.extra
    assert not answer.reusable()
    answer.close()


@given(samples(), st.data())
@settings(max_examples=300)
def test_a_mangled_answer_is_an_answer_or_a_protocol_error(sample: Sample, data: st.DataObject) -> None:
    mangled = bytearray(sample.data)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(mangled)))
        mangled[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    answer = Answer()
    answer.expect(no_body=data.draw(st.booleans()), keep_body=True)
    try:
        for part in pieces(bytes(mangled), data.draw(st.lists(st.integers(0, 1000), max_size=4))):
            answer.feed(part)
    except ProtocolError:
        assert not answer.complete
        assert not answer.end_of_file()
    else:
        answer.end_of_file()
    assert answer.reusable() <= answer.complete
    assert answer.body_length == len(answer.body_bytes())
    answer.headers()
    answer.snippet()
    answer.close()


class Reader(RuleBasedStateMachine):
    """One reader, used again and again as the reactor does, and in ways in which it does not."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = Answer()
        self.sample: Sample | None = None  # None: what was fed is no sample any more
        self.at = 0
        self.over = True  # nothing may be fed before the next `expect`
        self.kept_by_others = KEPT.bytes

    @rule(sample=samples(), to_head=st.booleans(), keep_body=st.booleans())
    def expect(self, sample: Sample, to_head: bool, keep_body: bool) -> None:
        self.answer.expect(no_body=to_head, keep_body=keep_body)
        self.sample = sample.to_head(keeps(sample)) if to_head else sample
        self.at = 0
        self.over = False
        assert not self.answer.complete

    @precondition(lambda self: not self.over and self.sample and self.at < len(self.sample.data))
    @rule(length=st.integers(1, 80))
    def feed(self, length: int) -> None:
        assert self.sample is not None
        part = self.sample.data[self.at : self.at + length]
        self.at += len(part)
        whole = self.at == len(self.sample.data)
        assert self.answer.feed(part) is (whole and self.sample.sized)

    @precondition(lambda self: not self.over)
    @rule(junk=st.binary(min_size=1, max_size=20))
    def junk(self, junk: bytes) -> None:
        complete = self.answer.complete
        try:
            self.answer.feed(junk)
        except ProtocolError:
            assert not complete
            assert not self.answer.complete
            self.over = True
        if complete:
            assert self.answer.complete
            assert self.answer.extra or not junk.strip(b"\r\n")
            if self.answer.extra:
                self.sample = None
        else:
            self.sample = None

    @precondition(lambda self: not self.over)
    @rule()
    def end_of_file(self) -> None:
        complete = self.answer.complete
        ended = self.answer.end_of_file()
        if self.sample is not None:
            whole_head = self.at >= len(self.sample.head)
            assert ended is (complete or (whole_head and not self.sample.sized))
        assert ended is self.answer.complete
        self.over = True

    @rule()
    def close(self) -> None:
        self.answer.close()
        assert not self.answer.body
        self.over = True
        self.sample = None

    @invariant()
    def adds_up(self) -> None:
        answer = self.answer
        assert answer.reusable() <= answer.complete
        assert answer.body_length == len(answer.body_bytes()) == KEPT.bytes - self.kept_by_others
        if self.sample is not None and answer.complete and not self.over:
            assert answer.status == self.sample.status
            assert answer.body_bytes() == (self.sample.body if answer.keep_body else b"")
            assert answer.reusable() is self.sample.kept

    def teardown(self) -> None:
        self.answer.close()


TestReader = Reader.TestCase
TestReader.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
