"""Compressed answers: what `expect` sees."""

from __future__ import annotations

import gzip
import zlib

import pytest
from engine_harness import answering, job_for, run_job, serving
from test_connections import on_every_transport

from loadtool.engine.decoding import decoded, quotable
from loadtool.plan.job import ExpectSpec

TEXT = b"all is fine here " * 20
RAW = zlib.compressobj(wbits=-15)
RAW_DEFLATE = RAW.compress(TEXT) + RAW.flush()


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (gzip.compress(TEXT, mtime=0), "gzip"),
        (gzip.compress(TEXT, mtime=0), "X-GZIP"),
        (gzip.compress(TEXT[:7], mtime=0) + gzip.compress(TEXT[7:], mtime=0), "gzip"),
        (gzip.compress(TEXT, mtime=0) + bytes(9), "gzip"),
        (zlib.compress(TEXT), "deflate"),
        (RAW_DEFLATE, "deflate"),
        (TEXT, "identity"),
        (gzip.compress(zlib.compress(TEXT), mtime=0), "deflate, gzip"),
    ],
)
def test_codings(body: bytes, coding: str) -> None:
    assert decoded(body, coding, 10_000) == TEXT


@pytest.mark.parametrize(
    ("body", "coding", "words"),
    [
        (TEXT, "gzip", "the body is said to be gzip and is not"),
        (TEXT, "br", "the body is coded as br, which is not decoded; accept one of gzip"),
        (TEXT, "x" * 10_000, f"^the body is coded as {'x' * 20}, which is not decoded"),
        (gzip.compress(b"") * 17, "gzip", "^the body is gzip in more than 16 members, which is not undone$"),
        (
            gzip.compress(TEXT, mtime=0)[:-1],
            "gzip",
            "^the body is said to be gzip and breaks off after 340 bytes",
        ),
        (gzip.compress(TEXT, mtime=0)[:9], "gzip", "and breaks off after 0 bytes of text$"),
        (gzip.compress(TEXT, mtime=0) + gzip.compress(TEXT, mtime=0)[:-9], "gzip", "and breaks off after"),
        (
            zlib.compress(TEXT)[:-1],
            "deflate",
            "^the body is said to be deflate and breaks off after 340 bytes",
        ),
        (RAW_DEFLATE[:-1], "deflate", "and breaks off after"),
        (
            gzip.compress(zlib.compress(TEXT)[:-1], mtime=0),
            "deflate, gzip",
            "said to be deflate and breaks off",
        ),
        (TEXT, "gzip, " * 40_000, "^the body is coded 40000 times over, which is not undone$"),
    ],
)
def test_what_cannot_be_decoded(body: bytes, coding: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        decoded(body, coding, 10_000)


def test_a_body_may_go_on_after_what_was_kept_of_it() -> None:
    for body, coding in ((gzip.compress(TEXT), "gzip"), (zlib.compress(TEXT), "deflate")):
        assert decoded(body[:-4], coding, 10_000, whole=False) == TEXT
        assert decoded(body[:-4], coding, 100) == TEXT[:100]
        assert decoded(b"", coding, 100) == b""


def test_a_small_body_does_not_unfold_without_bound() -> None:
    assert len(decoded(gzip.compress(bytes(50_000_000)), "gzip", 1_000_000)) == 1_000_000
    assert len(decoded(gzip.compress(bytes(300_000)) * 9, "gzip", 1_000_000)) == 1_000_000


@pytest.mark.parametrize(
    ("body", "coding", "quoted"),
    [
        (TEXT, "", "all is fine here all"),
        (gzip.compress(TEXT, mtime=0), "gzip", "all is fine here all"),
        (gzip.compress(TEXT, mtime=0)[:-8], "gzip", "all is fine here all"),  # it had not come whole
        (b"1f\r\n" + gzip.compress(TEXT, mtime=0) + b"\r\n0\r\n\r\n", "gzip", "all is fine here all"),
        (gzip.compress(b"x" * 50_000_000, mtime=0), "gzip", "x" * 20),
        (gzip.compress(bytes(1000), mtime=0), "gzip", "binary data"),
        (gzip.compress(TEXT, mtime=0), "br", "br data"),
        (gzip.compress(TEXT, mtime=0), "x" * 100, "x" * 20 + " data"),
        (gzip.compress(TEXT, mtime=0), "", "binary data"),
        (gzip.compress(TEXT, mtime=0)[:8] + b"\xff" * 100, "gzip", "gzip data"),
        (TEXT, "gzip", "all is fine here all"),  # it is said to be, and is not
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "", "binary data"),
        ("Öl für die Straße".encode(), "", "Öl für die Straße"),
        ("Öl für die Straße".encode("latin-1"), "", "�l f�r die Stra�e"),
        (b"", "gzip", ""),
        (b"", "", ""),
    ],
)
def test_what_an_example_quotes(body: bytes, coding: str, quoted: str) -> None:
    assert quotable(body, coding, 20) == quoted


def coded(body: bytes, coding: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s" % (
        coding,
        len(body),
        body,
    )


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (coded(gzip.compress(TEXT, mtime=0), b"gzip"), "ok"),
        (coded(gzip.compress(zlib.compress(TEXT), mtime=0), b"deflate\r\nContent-Encoding: gzip"), "ok"),
        (coded(gzip.compress(b"broken", mtime=0), b"gzip"), "check"),
        (coded(TEXT, b"br"), "check"),
        (coded(TEXT, b"gzip"), "check"),
    ],
)
async def test_expect_sees_the_decoded_body(answer: bytes, outcome: str) -> None:
    with serving(answering(answer)) as server:
        done = await run_job(job_for(server.port, expect=ExpectSpec(contains=("all is fine",))))
    assert done.outcomes == {outcome: 10}


@on_every_transport
@pytest.mark.parametrize("expect", [ExpectSpec(contains=("gone",)), ExpectSpec(status=(404,))])
async def test_an_example_quotes_the_decoded_body(expect: ExpectSpec) -> None:
    """Whether or not `expect` has it kept."""
    with serving(answering(coded(gzip.compress(TEXT, mtime=0), b"gzip"))) as server:
        done = await run_job(job_for(server.port, expect=expect))
    (example,) = done.examples.values()
    assert "; the answer: all is fine here all" in example.detail
