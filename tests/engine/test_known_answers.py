"""Answers that look like one that the parser has read: known by comparing, and never read differently."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadtool.engine.http1 import Answer, ProtocolError
from loadtool.engine.known_answers import MOST_STATUSES, KnownAnswers

DATE = "Sun, 22 Nov 2026 03:53:11 GMT"


def answer(
    *fields: str, body: bytes = b"hello", status: str = "200 OK", length: str | None = "Content-Length: {}"
) -> bytes:
    """As a server sends it."""
    lines = [f"HTTP/1.1 {status}", *fields]
    if length is not None:
        lines.append(length.format(len(body)))
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@dataclass
class Reader:
    """A connection's answers, read with or without knowledge of what they look like."""

    known: KnownAnswers | None
    answer: Answer
    parsed: int = 0

    @staticmethod
    def that_knows(known: KnownAnswers | None) -> Reader:
        made = Answer()
        made.expect(no_body=False, keep_body=True)
        return Reader(known, made)

    def read(self, *pieces: bytes) -> dict[str, object]:
        """All that is told of the answer."""
        reader = self.answer
        reader.expect(no_body=False, keep_body=True, known=self.known)
        problem = began = None
        try:
            for piece in pieces:
                reader.feed(piece)
        except ProtocolError as e:
            problem, began = str(e), e.began
        said = {
            "problem": problem, "began": began, "complete": reader.complete, "status": reader.status,
            "body": reader.body_bytes(), "extra": reader.extra, "reusable": reader.reusable(),
            "head": reader.head_text(), "headers": reader.headers(), "started": reader.started,
            "head done": reader.head_done, "snippet": reader.snippet(), "truncated": reader.truncated,
        }  # fmt: skip
        if problem is not None or not reader.reusable():
            self.answer = Answer()  # such a connection is closed
        return said


def is_known(known: KnownAnswers, data: bytes) -> bool:
    """Whether this answer is known, or else learned if it can be."""
    shape = known.shape_of(data)
    assert shape is not None
    if shape.end_of_head(data):
        return True
    fresh = Answer()
    fresh.expect(no_body=False, keep_body=False)
    if fresh.feed(data) and shape.curious:
        shape.learn(data, fresh.status, fresh.keep_alive)
    return False


@dataclass(frozen=True)
class Row:
    """Answers that a server sends one after the other, and whether each is known: k, or . if it is not."""

    name: str
    answers: list[bytes]
    known: str


def bodies(*texts: str) -> list[bytes]:
    return [answer(f"Date: {DATE}", body=text.encode()) for text in texts]


def ids(*texts: str) -> list[bytes]:
    return [answer(f"Date: {DATE}", f"X-Id: {text}", "Server: s") for text in texts]


CHUNKS = b"1\r\na\r\n0\r\n\r\n"
SAME = answer(f"Date: {DATE}", "Connection: keep-alive")
ROWS = [
    Row("the same again", [SAME] * 4, ".kkk"),
    Row("bodies of one length", bodies("one", "two", "six", "ten"), ".kkk"),
    Row("another id each time, of one width", ids("a1", "b2", "c3", "d4", "e5"), "...kk"),
    Row("... with dashes", ids("a-1", "b-2", "c-3", "d-4", "e-5"), "...kk"),
    Row("... or of several widths", ids("1", "22", "333", "4444", "5", "66666"), "...kkk"),
    Row("another length each time", bodies("a", "b" * 9, "c" * 12, "d" * 100, "", "e"), "...kkk"),
    Row("a date that goes on now and then", [
        *[answer("Date: 1")] * 30, *[answer("Date: 2")] * 20, *[answer("Date: 3")] * 20,
    ], "." + "k" * 29 + ("." + "k" * 19) * 2),
    Row("two statuses in turns", [SAME, answer(status="404 No")] * 3, "..kkkk"),
    Row("no length but none needed", [answer("X: 1", status="204 No", length=None, body=b"")] * 3, ".kk"),
    Row("a length where nothing follows", [answer(status="204 No", body=b"")] * 3, "..."),
    Row("the connection ends", [answer("Connection: close")] * 3, ".kk"),
    Row("no length", [answer(length=None, body=b"")] * 3, "..."),
    Row("chunks", [answer("Transfer-Encoding: chunked", length=None, body=CHUNKS)] * 4, "...."),
    Row("bytes beyond ASCII", [answer("X: \xe9")] * 4, "...."),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_known_are_answers_that_look_alike(row: Row) -> None:
    known = KnownAnswers()
    assert "".join("k" if is_known(known, data) else "." for data in row.answers) == row.known


KEPT = answer("X-Id: aaaa", "Connection: keep-alive")
TAUGHT = [KEPT.replace(b"aaaa", value) for value in (b"bbbb", b"cccc", b"dddd", b"eeee", b"ffff")]
TAUGHT_WIDTHS = [KEPT.replace(b"aaaa", b"b" * n) for n in range(1, 7)]
TAUGHT_LENGTHS = [answer("X-Id: aaaa", "Connection: keep-alive", body=b"x" * n) for n in (1, 20, 30, 4, 6, 5)]
TAUGHT_CLOSING = [data.replace(b"keep-alive", b"close") for data in TAUGHT]
TAUGHT_CONNECTIONS = [
    KEPT.replace(b"keep-alive", value)
    for value in (b"Keep-Alive", b"KEEP-ALIVE", b"keep-Alive", *[b"Keep-alive"] * 8)
]

STRANGE = {
    "a header in a value": KEPT.replace(b"aaaa", b"a\r\nContent-Length: 1"),
    "a line feed in a value": KEPT.replace(b"aaaa", b"a\nbb"),
    "a carriage return in a value": KEPT.replace(b"aaaa", b"a\rbb"),
    "a zero in a value": KEPT.replace(b"aaaa", b"a\0bb"),
    "a control character in a value": KEPT.replace(b"aaaa", b"a\x1bbb"),
    "Latin-1 in a value": KEPT.replace(b"aaaa", b"a\xe9bb"),
    "a tabulator in a value": KEPT.replace(b"aaaa", b"a\tbb"),
    "no value": KEPT.replace(b"aaaa", b""),
    "blanks": KEPT.replace(b"aaaa", b"    "),
    "bytes after the end": KEPT + b"x",
    "an answer after the end": KEPT + KEPT,
    "a byte less": KEPT[:-1],
    "a head alone": KEPT[:-5],
    "half a head": KEPT[:30],
    "the status alone": KEPT[:12],
    "another length": KEPT.replace(b"Length: 5", b"Length: 4"),
    "a length with a sign": KEPT.replace(b"Length: 5", b"Length: +5"),
    "a length with a zero": KEPT.replace(b"Length: 5", b"Length: 05"),
    "a length of minus": KEPT.replace(b"Length: 5", b"Length: -5"),
    "a length with a blank": KEPT.replace(b"Length: 5", b"Length: 5 "),
    "a length without end": KEPT.replace(b"Length: 5", b"Length: " + b"0" * 40 + b"5"),
    "no number as length": KEPT.replace(b"Length: 5", b"Length: x"),
    "no length at all": KEPT.replace(b"Length: 5", b"Length: "),
    "two lengths": KEPT.replace(b"X-Id: aaaa", b"Content-Length: 5"),
    "another version": KEPT.replace(b"1.1", b"1.0"),
    "another reason": KEPT.replace(b"OK", b"KO"),
    "the connection ends, in as many letters": KEPT.replace(b"keep-alive", b"close,abcd"),
    "the connection ends": KEPT.replace(b"keep-alive", b"close"),
    "chunks": KEPT.replace(b"X-Id: aaaa", b"Transfer-Encoding: chunked"),
    "a folded line": KEPT.replace(b"aaaa", b"a\r\n b"),
    "an upgrade": KEPT.replace(b"X-Id: aaaa", b"Upgrade: h2c"),
    "an interim answer first": b"HTTP/1.1 100 Continue\r\n\r\n" + KEPT,
    "empty lines first": b"\r\n\r\n" + KEPT,
    "no HTTP": b"SSH-2.0-OpenSSH\r\n",
}


@pytest.mark.parametrize(
    "taught",
    [TAUGHT, TAUGHT_WIDTHS, TAUGHT_LENGTHS, TAUGHT_CONNECTIONS, TAUGHT_CLOSING],
    ids=["ids", "widths", "lengths", "connections", "closing"],
)
@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
def test_what_only_looks_alike_is_read_as_the_parser_does(strange: bytes, taught: list[bytes]) -> None:
    knowing = Reader.that_knows(KnownAnswers())
    for data in taught:
        assert knowing.read(data)["complete"]
    last = taught[-1]
    assert knowing.known is not None
    shape = knowing.known.shape_of(last)
    assert shape is not None
    assert shape.end_of_head(last), "it has not learned"
    closing = [data.replace(b"keep-alive", b"close") for data in (strange, last)]
    for data in (strange, last, *closing):  # and what comes next isn't read differently
        assert knowing.read(data) == Reader.that_knows(None).read(data)


names = st.sampled_from(
    ["X-Id", "x-id", "Date", "Connection", "Content-Length", "Transfer-Encoding", "Upgrade", "Via"]
)
contents = st.one_of(
    st.sampled_from(["", "close", "keep-alive", "5", "7", "chunked", "h2c", "a\rb", "a\nb", "\t", " x "]),
    st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=6),
    st.text("abc123-", min_size=3, max_size=4),
)
fields = st.lists(st.builds("{}: {}".format, names, contents), max_size=3)


@st.composite
def sequences(draw: st.DrawFn) -> list[bytes]:
    """Answers that have a lot in common: some fields, of which a few get other values now and then."""
    lines = draw(fields)
    body = draw(st.binary(max_size=8))
    made = []
    for _ in range(draw(st.integers(2, 10))):
        now = list(lines)
        if now and draw(st.booleans()):
            at = draw(st.integers(0, len(now) - 1))
            now[at] = f"{now[at].partition(':')[0]}: {draw(contents)}"
        if draw(st.booleans()):
            body = draw(st.binary(max_size=12))
        data = answer(
            *now,
            body=body,
            status=draw(st.sampled_from(["200 OK"] * 4 + ["204 No", "404 Not", "101 Go"])),
            length=draw(st.sampled_from(["Content-Length: {}"] * 5 + [None])),
        )
        if draw(st.integers(0, 9)) == 0:
            at = draw(st.integers(0, len(data) - 1))
            data = data[:at] + draw(st.binary(max_size=2)) + data[at + 1 :]
        made.append(data)
    return made


@given(sequences())
@example([answer(status="204 No", body=b"\r")] * 2)
def test_an_answer_says_the_same_whether_known_or_not(answers: list[bytes]) -> None:
    knowing = Reader.that_knows(KnownAnswers())
    for data in answers:
        alone = Reader.that_knows(None)
        assert knowing.read(data) == alone.read(data)


@given(st.lists(st.integers(1, 80), min_size=3, max_size=8))
def test_an_answer_in_pieces_is_none_the_less_read(cuts: list[int]) -> None:
    knowing = Reader.that_knows(KnownAnswers())
    for cut in cuts:
        whole, pieces = knowing.read(KEPT), knowing.read(KEPT[:cut], KEPT[cut:])
        assert pieces == whole == Reader.that_knows(None).read(KEPT)


def test_what_never_looks_alike_is_hardly_compared() -> None:
    known = KnownAnswers()
    compared = 0
    for number in range(10_000):
        data = answer(*[f"X-{number}-{line}: 1" for line in range(number % 5 + 1)])
        shape = known.shape_of(data)
        assert shape is not None
        shape.end_of_head(data)
        compared += shape.curious
        shape.learn(data, 200, True)
    assert compared < 25


def test_a_server_that_makes_up_statuses_fills_no_memory() -> None:
    known = KnownAnswers()
    shapes = [known.shape_of(answer(status=f"{status} Odd")) for status in range(200, 999)]
    assert sum(shape is not None for shape in shapes) == MOST_STATUSES
    assert known.shape_of(answer(status="200 Odd")) is shapes[0]


def test_what_is_no_http_has_no_shape() -> None:
    assert KnownAnswers().shape_of(b"220 mail.example ESMTP\r\n") is None


def test_pieces_of_a_status_line_take_no_room() -> None:
    known = KnownAnswers()
    assert not any(known.shape_of(SAME[:end]) for end in range(12))
    for status in range(200, 200 + MOST_STATUSES):
        assert known.shape_of(answer(status=f"{status} Odd")) is not None
