"""Replay: recorded requests as arrivals, with their gaps, scaled in time and in number.

The coordinator packs a recording into blocks, which travel in the job; a worker unpacks one at a time, so its
memory does not grow with the recording, and nothing is read from a disk.
"""

from __future__ import annotations

import base64
import json
import sys
import zlib
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from loadtool.plan.job import ReplayBlock, ReplaySpec
from loadtool.plan.message import Message
from loadtool.units import SECOND

if TYPE_CHECKING:  # a worker knows no profile
    from loadtool.profile.recording import Recording

PACKED: Final = 512  # requests of a block: unpacking one takes a worker well under 0.1 ms
INDEX_BITS: Final = 16  # of an ordinal: which text of its block
_MASK: Final = (1 << INDEX_BITS) - 1
_FINEST: Final = 1_000_000  # the largest denominator of speed and scale
_M64: Final = (1 << 64) - 1


def fraction(number: float) -> tuple[int, int]:
    """A factor as it was written: 0.1 is 1/10."""
    return Fraction(repr(number)).limit_denominator(_FINEST).as_integer_ratio()


def pack(recording: Recording, speed: float, scale: float, seed: int, end_ns: int, bin_ns: int) -> ReplaySpec:
    """What of the recording falls into a run of `end_ns`. `bin_ns`: of the counts that `ReplaySpec` has."""
    faster, slower = fraction(speed)
    size = bisect_left(recording.times, -(-end_ns * faster // slower))
    blocks: list[ReplayBlock] = []
    counts = [0] * -(-end_ns // bin_ns)
    for first in range(0, size, PACKED):
        dues = [ns * slower // faster for ns in recording.times[first : min(first + PACKED, size)]]
        kinds = recording.kinds[first : first + len(dues)]
        for ns in dues:
            counts[ns // bin_ns] += 1
        local = {kind: at for at, kind in enumerate(dict.fromkeys(kinds))}
        columns = [array("Q", dues), array("H", map(local.__getitem__, kinds))]
        columns.append(array("H", [recording.name_of[kind] for kind in local]))
        texts = "\0".join(recording.texts[kind] for kind in local).encode()
        blocks.append(
            ReplayBlock(len(dues), len(local), _packed(b"".join(map(_little, columns))), _packed(texts))
        )
    end = min(end_ns, -(-recording.length_ns * slower // faster))
    return ReplaySpec(tuple(blocks), size, fraction(scale), seed, end, bin_ns, tuple(counts))


def _little(column: array[int]) -> bytes:
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def _packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 1)).decode()


def _unpacked(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


@dataclass(frozen=True, slots=True)
class Columns:
    """A block unpacked: by request, when it is due in ns and which text it is; by text, its request."""

    dues: array[int]
    texts: array[int]
    requests: array[int]


def columns_of(block: ReplayBlock) -> Columns:
    data = _unpacked(block.columns)
    sizes = (("Q", block.size), ("H", block.size), ("H", block.texts_size))
    columns: list[array[int]] = []
    at = 0
    for code, size in sizes:
        column = array(code)
        end = at + size * column.itemsize
        column.frombytes(data[at:end])
        if sys.byteorder == "big":
            column.byteswap()
        columns.append(column)
        at = end
    return Columns(*columns)


def copies_in_all(spec: ReplaySpec) -> int:
    """How many arrivals the recorded requests become: size × scale, rounded down."""
    return spec.size * spec.scale[0] // spec.scale[1]


def copies(spec: ReplaySpec) -> Iterator[int]:
    """How often each recorded request is sent, in order; they add up to `copies_in_all`.

    With a scale of 2.25 each is sent twice, and of every four consecutive ones one is sent once more; the
    seed decides which. Every fourth might always be the same page, as logs have rhythms.
    """
    per = spec.scale[1]
    whole, rest = divmod(spec.scale[0], per)
    group, pick, end = -1, -1, 0
    for at in range(spec.size):
        if rest and at >= end:
            group += 1
            start, end = end, -(-(group + 1) * per // rest)
            pick = start + _hashed(spec.seed, group) % (end - start) if end <= spec.size else -1
        yield whole + (at == pick)


def _hashed(seed: int, number: int) -> int:
    """64 bits from both; SplitMix64's finish (see `plan/splitmix.py`)."""
    z = (seed * 0xD1342543DE82EF95 + number * 0x9E3779B97F4A7C15) & _M64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _M64
    z = (z ^ z >> 27) * 0x94D049BB133111EB & _M64
    return z ^ z >> 31


def arrivals(spec: ReplaySpec) -> Iterator[tuple[int, int, int]]:
    """Due time, request and ordinal of every arrival, in order of due times.

    Several copies of a request are spread evenly over the time to the next request that came later; those
    that came at the same instant share it, and their copies do, too. The last ones share what is left of the
    recording's last second, or of the run.
    """
    group: list[tuple[int, int, int]] = []  # request, ordinal, copies: of one instant
    now = 0
    for due, request, ordinal, number in _recorded(spec):
        if due != now:
            yield from _copied(group, now, due)
            group, now = [], due
        if number:
            group.append((request, ordinal, number))
    yield from _copied(group, now, spec.end_ns)


def _recorded(spec: ReplaySpec) -> Iterator[tuple[int, int, int, int]]:
    numbers = copies(spec)
    for index, block in enumerate(spec.blocks):
        it = columns_of(block)
        base = index << INDEX_BITS
        for due, text in zip(it.dues, it.texts, strict=True):
            yield due, it.requests[text], base | text, next(numbers)


def _copied(group: list[tuple[int, int, int]], due: int, until: int) -> Iterator[tuple[int, int, int]]:
    if all(number == 1 for _, _, number in group):
        yield from ((due, request, ordinal) for request, ordinal, _ in group)
        return
    gap = until - due
    rows = [
        (due + gap * copy // number, place, request, ordinal)
        for place, (request, ordinal, number) in enumerate(group)
        for copy in range(number)
    ]
    rows.sort()
    yield from ((at, request, ordinal) for at, _, request, ordinal in rows)


def expected(spec: ReplaySpec, ends: Sequence[int]) -> dict[tuple[int, int], float]:
    """About how many arrivals fall into each stretch, by index and request; `ends` of the stretches."""
    factor = spec.scale[0] / spec.scale[1]
    cells: Counter[tuple[int, int]] = Counter()
    stretch = 0
    for block in spec.blocks:
        it = columns_of(block)
        for due, text in zip(it.dues, it.texts, strict=True):
            while due >= ends[stretch]:
                stretch += 1
            cells[stretch, it.requests[text]] += 1
    return {cell: n * factor for cell, n in cells.items()}


def samples(spec: ReplaySpec) -> dict[int, int]:
    """The ordinal of the first recorded request of each name, by request."""
    found: dict[int, int] = {}
    for index, block in enumerate(spec.blocks):
        for text, request in enumerate(columns_of(block).requests):
            found.setdefault(request, index << INDEX_BITS | text)
    return found


def mean_rates(spec: ReplaySpec, ends: Sequence[int]) -> list[float]:
    """Arrivals/s of the phases that end there, each on average."""
    sums = [0.0] * len(ends)
    for (phase, _), n in expected(spec, ends).items():
        sums[phase] += n
    return [n * SECOND / (end - start) for n, start, end in zip(sums, [0, *ends], ends, strict=False)]


class Sent(NamedTuple):
    """A recorded request."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None


def sent_of(text: str) -> Sent:
    """The request of a text of `profile/recording.py`."""
    line, _, rest = text.partition("\n")
    method, _, target = line.partition(" ")
    if not rest:
        return Sent(method, target)
    headers, body = json.loads(rest)
    return Sent(method, target, tuple((name, value) for name, value in headers), body)


class Replayed:
    """Recorded requests over the profile's headers."""

    def __init__(self, spec: ReplaySpec) -> None:
        self._blocks = spec.blocks

        @lru_cache(maxsize=4)  # arrivals are rendered in order
        def texts(block: int) -> list[str]:
            return _unpacked(self._blocks[block].texts).decode().split("\0")

        self._texts = texts

    def over(self, base: Message, ordinal: int) -> Message:
        """The recorded request of this ordinal. Headers of `base`, the profile's, win over recorded ones."""
        it = sent_of(self._texts(ordinal >> INDEX_BITS)[ordinal & _MASK])
        if not it.headers and it.body is None:
            return Message(it.method, it.target, base.headers, b"")
        given = {name.lower() for name, _ in base.headers}
        headers = [*base.headers, *(pair for pair in it.headers if pair[0].lower() not in given)]
        body = (it.body or "").encode()
        if body and not any(name.lower() == "content-type" for name, _ in headers):
            headers.append(("Content-Type", _content_type(it)))
        return Message(it.method, it.target, tuple(headers), body)


def _content_type(it: Sent) -> str:
    looks_like_json = it.body is not None and it.body.lstrip()[:1] in ("{", "[")
    return "application/json" if looks_like_json else "text/plain; charset=utf-8"
