"""Frames on the wire."""

from __future__ import annotations

import pytest
from measure_samples import delta, frame

from loadtool.measure.frame import PREFIX_BYTES, CellDelta, Example, decode, encode, lengths

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
    final=True,
)


def parts(wire: bytes) -> tuple[bytes, bytes]:
    header, numbers = lengths(wire[:PREFIX_BYTES])
    rest = wire[PREFIX_BYTES:]
    assert len(rest) == header + numbers
    return rest[:header], rest[header:]


def test_a_frame_survives_the_wire() -> None:
    assert decode(*parts(encode(FRAME))) == FRAME


@pytest.mark.parametrize("broken", ["short", "long", "odd", "no frame", "no json", "no text"])
def test_parts_that_do_not_belong_together_are_refused(broken: str) -> None:
    header, numbers = parts(encode(FRAME))
    cases = {
        "short": (header, numbers[:-16]),
        "long": (header, numbers + bytes(16)),
        "odd": (header, numbers[:-1]),
        "no frame": (b"{}", b""),
        "no json": (header[:-1], numbers),
        "no text": (b"\xff", b""),
    }
    with pytest.raises(ValueError, match=r".+"):
        decode(*cases[broken])
