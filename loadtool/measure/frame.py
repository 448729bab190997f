"""Frame: what a worker tells the coordinator once a slice, as counts that add up without loss.

A report of many values is told in several frames (`more`), so that neither side stands still for it. A frame
carries the *changes* since the worker's last one, by cell = (slice of due, segment, request).
Histograms travel as sparse counts of values in µs, quantised as HdrHistogram with 3 significant digits
quantises them; the sums beside them are exact.

On the wire: 4 bytes length of the header, 4 bytes length of the numbers, header (JSON), numbers
(little-endian unsigned 64 bit; of each histogram all values, then as many counts). A histogram that equals an
earlier one of its cell, as service times are those to the first byte if all answers came in one piece, has
-1 - that one's place instead of its length, and no numbers.
"""

from __future__ import annotations

import json
import struct
import sys
from array import array
from dataclasses import dataclass, field

from loadtool.measure.outcome import MARKS, OUTCOMES
from loadtool.measure.slow_arrival import SlowArrival

_LENGTHS = struct.Struct("<II")
PREFIX_BYTES = _LENGTHS.size


@dataclass(slots=True)
class Sparse:
    """Counts by quantised value in µs; `sum_us` and `max_us` are exact."""

    counts: dict[int, int] = field(default_factory=dict)
    sum_us: int = 0
    max_us: int = 0


@dataclass(slots=True)
class CellDelta:
    """What happened to the arrivals of one cell since the last frame.

    `counts` is indexed by outcome code, `marks` by the code of one of MARKS.
    """

    slice: int
    segment: int
    request: int
    scheduled: int = 0
    good: int = 0
    attempts: int = 0
    counts: list[int] = field(default_factory=lambda: [0] * len(OUTCOMES))
    values: dict[int, Sparse] = field(default_factory=dict)  # by histogram class code
    first_shed_ns: int | None = None  # when the earliest arrival that was shed was due, since the run's start
    marks: list[int] = field(default_factory=lambda: [0] * len(MARKS))


@dataclass(slots=True)
class Example:
    """One case of an error kind, with secrets masked."""

    kind: str
    request: str
    due_s: float
    detail: str


@dataclass(slots=True)
class Frame:
    worker: int
    sequence: int
    elapsed_ns: int  # since the agreed start, when the frame was made
    cells: list[CellDelta]
    in_flight: int = 0  # arrivals sent and not yet done
    waiting: int = 0  # arrivals waiting for a connection
    connections: int = 0
    cpu_ns: int = 0  # processor time of the worker since it started
    # Since the last frame, too:
    local: dict[str, int] = field(default_factory=dict)  # local resources that ran out: {"EMFILE": 3}
    retried: int = 0  # requests sent again because a reused connection ended just then
    examples: list[Example] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)  # what befell it that no arrival tells of, in words
    final: bool = False
    more: bool = False  # the same report goes on in the next frame
    stopped: bool = False  # made as the load was told to end, before what was under way was aborted
    slowest: list[SlowArrival] = field(default_factory=list)  # of the final one, in a run that is traced


def encode(frame: Frame) -> bytes:
    """The frame as bytes, prefix included."""
    numbers = array("Q")
    cells = []
    for c in frame.cells:
        values = []
        earlier: list[Sparse] = []
        for code, sparse in c.values.items():
            if sparse in earlier:
                length = -1 - earlier.index(sparse)
            else:
                length = len(sparse.counts)
                numbers.extend(sparse.counts)
                numbers.extend(sparse.counts.values())
            values.append((code, length, sparse.sum_us, sparse.max_us))
            earlier.append(sparse)
        cells.append(
            (c.slice, c.segment, c.request, c.scheduled, c.good, c.attempts, c.counts, values,
             c.first_shed_ns, c.marks if any(c.marks) else None)
        )  # fmt: skip
    if sys.byteorder == "big":
        numbers.byteswap()
    header = json.dumps(
        {
            "worker": frame.worker, "sequence": frame.sequence, "elapsed_ns": frame.elapsed_ns,
            "in_flight": frame.in_flight, "waiting": frame.waiting, "connections": frame.connections,
            "cpu_ns": frame.cpu_ns, "local": frame.local, "retried": frame.retried, "final": frame.final,
            "more": frame.more, "stopped": frame.stopped, "warnings": frame.warnings,
            "examples": [(e.kind, e.request, e.due_s, e.detail) for e in frame.examples],
            "slowest": [(s.trace, s.request, s.due_s, s.ms, s.outcome) for s in frame.slowest],
            "cells": cells,
        },
        separators=(",", ":"),
    ).encode()  # fmt: skip
    body = numbers.tobytes()
    return b"".join((_LENGTHS.pack(len(header), len(body)), header, body))


def lengths(prefix: bytes) -> tuple[int, int]:
    """Lengths of the header and of the numbers that follow this prefix."""
    header, numbers = _LENGTHS.unpack(prefix)
    return header, numbers


def decode(header: bytes, body: bytes) -> Frame:
    """The frame of these two parts. Raises ValueError if they do not belong together."""
    try:
        h = json.loads(header)
        numbers = array("Q")
        numbers.frombytes(body)
        if sys.byteorder == "big":
            numbers.byteswap()
        at = 0
        cells = []
        for (
            slice_, segment, request, scheduled, good, attempts, counts, values, shed_ns, marks,
        ) in h.pop("cells"):  # fmt: skip
            cell = CellDelta(
                slice_, segment, request, scheduled, good, attempts, counts, first_shed_ns=shed_ns
            )
            if marks is not None:
                cell.marks = marks
            earlier: list[dict[int, int]] = []
            for code, n, sum_us, max_us in values:
                if n < 0:
                    found = dict(earlier[-1 - n])
                else:
                    found = dict(zip(numbers[at : at + n], numbers[at + n : at + 2 * n], strict=True))
                    at += 2 * n
                earlier.append(found)
                cell.values[code] = Sparse(found, sum_us, max_us)
            cells.append(cell)
        if at != len(numbers):
            raise ValueError(f"{len(numbers) - at} numbers too many")
        examples = [Example(*e) for e in h.pop("examples")]
        slowest = [SlowArrival(*s) for s in h.pop("slowest")]
        return Frame(cells=cells, examples=examples, slowest=slowest, **h)
    except (TypeError, KeyError, IndexError, UnicodeDecodeError) as e:
        raise ValueError(f"not a frame: {e}") from e
