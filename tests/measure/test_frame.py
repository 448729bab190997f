"""Frames on the wire."""

from __future__ import annotations

import pytest
from measure_samples import delta, frame

from loadtool.measure.frame import PREFIX_BYTES, CellDelta, Example, Sparse, decode, encode, lengths

FRAME = frame(
    3,
    7,
    8.5,
    delta(7, 2, 1, ok=[5, 5, 2**40], shed=[9], errors={"dns": 4}, lag=[1]),
    CellDelta(8, 2, 1, first_shed_ns=2**60),
    delta(8, 2, 0, marks={"retries": 3, "kept": 2**33}),
    in_flight=11,
    waiting=2,
    connections=13,
    cpu_ns=2**50,
    local={"EMFILE": 1},
    retried=6,
    examples=[Example("dns", "browse \u2028 \ud83d", 7.25, "no such host: ü")],
    warnings=["something befell it: ü"],
    final=True,
)


def parts(wire: bytes) -> tuple[bytes, bytes]:
    header, numbers = lengths(wire[:PREFIX_BYTES])
    rest = wire[PREFIX_BYTES:]
    assert len(rest) == header + numbers
    return rest[:header], rest[header:]


def test_a_frame_survives_the_wire() -> None:
    assert decode(*parts(encode(FRAME))) == FRAME


def test_equal_histograms_travel_once() -> None:
    once, thrice = delta(0, 0, 0, lag=[1, 2, 2]), delta(0, 0, 0, lag=[1, 2, 2])
    (code, values), *_ = once.values.items()
    for other in (code + 1, code + 2):
        thrice.values[other] = Sparse(dict(values.counts), values.sum_us, values.max_us)
    thrice.values[code + 3] = Sparse(dict(values.counts), values.sum_us + 1, values.max_us)
    (_, short), (header, long) = parts(encode(frame(0, 0, 1, once))), parts(encode(frame(0, 0, 1, thrice)))
    assert len(long) == 2 * len(short)
    got = decode(header, long).cells[0]
    assert got == thrice
    got.values[code].counts[1] += 1
    assert got.values[code + 1] == values, "they are two"


@pytest.mark.parametrize("broken", ["short", "long", "odd", "no frame", "no json", "no text", "no such one"])
def test_parts_that_do_not_belong_together_are_refused(broken: str) -> None:
    header, numbers = parts(encode(FRAME))
    cases = {
        "short": (header, numbers[:-16]),
        "long": (header, numbers + bytes(16)),
        "odd": (header, numbers[:-1]),
        "no frame": (b"{}", b""),
        "no json": (header[:-1], numbers),
        "no text": (b"\xff", b""),
        "no such one": (header.replace(b"[[0,2,", b"[[0,-2,"), numbers),
    }
    with pytest.raises(ValueError, match=r".+"):
        decode(*cases[broken])
