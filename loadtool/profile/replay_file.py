"""Reading a log to be replayed: line by line, into a Recording."""

from __future__ import annotations

import gzip
import zlib
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from math import ceil
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, cast

from loadtool.errors import shown
from loadtool.profile.log_formats import BODIED, BODILESS, BROKEN, FORMATS, SECOND, Key, recorded
from loadtool.profile.readers import did_you_mean
from loadtool.profile.recording import LeftOut, Named, Recording, Texts, text_of
from loadtool.profile.request_names import OTHER, request_name
from loadtool.units import LONGEST, MILLISECOND, format_duration, format_share

if TYPE_CHECKING:
    from loadtool.profile.model import Replay

MOST_NAMES: Final = 50  # beside one for the rest of each method: reports have a row for each
_MOST_KNOWN: Final = 100_000  # different requests that are told apart while reading; the next are stored anew
_MOST_COUNTED: Final = 50_000  # different names while reading


def read_recording(
    path: Path,
    *,
    format: str = "combined",
    fields: Mapping[str, str] | None = None,
    bodies: Mapping[str, str] | None = None,
    broken: float = 0.01,
) -> Recording:
    """The requests of a log in their order; a name that ends in .gz is unpacked.

    `fields`: what a JSON or CSV log calls time, method, path and so on. `bodies`: bodies for requests without
    a recorded one, by request name ("POST /cart") or method. `broken`: the share of lines that may be broken.
    Raises ValueError for a file that can't be read, has too many broken lines, or no request to send.
    """
    reading = _Reading(bodies or {})
    try:
        with _opened(path) as file:
            for number, ns, key, status in FORMATS[format](file, fields or {}):
                reading.take(number, ns, key, status)
    except FileNotFoundError:
        raise ValueError("no such file") from None
    except (OSError, EOFError, zlib.error) as e:
        raise ValueError(f"cannot be read: {getattr(e, 'strerror', None) or e}") from None
    lines, first = reading.lines, reading.first_broken
    if reading.broken > broken * lines:
        share = format_share(round(reading.broken / lines, 3))
        raise ValueError(
            f"got {reading.broken:,} broken lines of {lines:,} ({share}), want at most "
            f"{format_share(broken)} in the format {format}; the first is line {first[0]}: {first[1]}"
        )
    if not reading.times:
        why = "; ".join(f"{out.lines:,}: {out.reason}" for out in reading.left_out())
        raise ValueError(f"has no request that can be sent{why and f' ({why})'}")
    return reading.recording(str(path))


def _opened(path: Path) -> IO[bytes]:
    if path.suffix.lower() == ".gz":
        return cast(IO[bytes], gzip.open(path, "rb"))
    return path.open("rb")


class _Reading:
    """What has been read so far."""

    def __init__(self, bodies: Mapping[str, str]) -> None:
        self.times = array("q")
        self.lines = self.broken = 0
        self.first_broken = (0, "")
        self._bodies = bodies
        self._bodied: set[str] = set()  # names of requests that a body may be given for
        self._kinds = array("I")
        self._texts = Texts()
        self._known: dict[Key, int] = {}  # kind, or ~index into the reasons for leaving it out
        self._names: dict[str, int] = {}
        self._methods: list[str] = []  # of the names
        self._name_of = array("I")  # by kind
        self._reasons: dict[str, list[int]] = {}  # count, first line
        self._reason_list: list[list[int]] = []
        self._errors: Counter[int] = Counter()

    def take(self, number: int, ns: int, key: Key | str, status: int) -> None:
        self.lines += 1
        if ns == BROKEN or isinstance(key, str):
            self.broken += 1
            if self.broken == 1:
                self.first_broken = (number, str(key))
            return
        kind = self._known.get(key)
        if kind is None:
            kind = self._kind(key)
        if kind < 0:
            reason = self._reason_list[~kind]
            reason[0] += 1
            reason[1] = reason[1] or number
            return
        self.times.append(ns)
        self._kinds.append(kind)
        if status >= 400:
            self._errors[status] += 1

    def _kind(self, key: Key) -> int:
        it = recorded(key)
        name = "" if isinstance(it, str) else request_name(it.method, it.target)
        if not isinstance(it, str) and it.method not in BODILESS:
            if name in self._bodies or len(self._bodied) < _MOST_COUNTED:
                self._bodied.add(name)
            if it.body is None:
                body = self._bodies.get(name, self._bodies.get(it.method))
                it = it._replace(body=body) if body is not None else f"{it.method} has no recorded body"
        if isinstance(it, str):
            if it not in self._reasons:
                self._reasons[it] = [0, 0]
                self._reason_list.append(self._reasons[it])
            kind = ~list(self._reasons).index(it)
        else:
            kind = self._texts.add(text_of(it))
            if name not in self._names:
                if len(self._names) >= _MOST_COUNTED:
                    name = f"{it.method} {OTHER}"
                if name not in self._names:
                    self._names[name] = len(self._names)
                    self._methods.append(it.method)
            self._name_of.append(self._names[name])
        if len(self._known) < _MOST_KNOWN:
            self._known[key] = kind
        return kind

    def left_out(self) -> tuple[LeftOut, ...]:
        found = [LeftOut(reason, count, line) for reason, (count, line) in self._reasons.items() if count]
        return tuple(sorted(found, key=lambda out: -out.lines))

    def _unmatched(self) -> tuple[tuple[str, str], ...]:
        """Names of bodies that are neither a method's nor a request's, each with a hint at what was meant."""
        known = (*BODIED, *sorted(self._bodied))
        return tuple((name, did_you_mean(name, known)) for name in self._bodies if name not in known)

    def recording(self, file: str) -> Recording:
        """All of it, in order of time."""
        times, kinds = self.times, self._kinds
        if any(times[i] > times[i + 1] for i in range(len(times) - 1)):
            # Servers write a line when the answer is out, and many put the time of the request into it.
            order = sorted(range(len(times)), key=times.__getitem__)
            times = array("q", (times[i] for i in order))
            kinds = array("I", (kinds[i] for i in order))
            del order
        began = times[0]
        whole_seconds = all(ns % SECOND == 0 for ns in times)
        times = array("q", _spread(times)) if whole_seconds else array("q", (ns - began for ns in times))
        names, name_of = self._named(kinds)
        return Recording(
            file=file,
            began_ns=began,
            times=times,
            kinds=kinds,
            texts=self._texts,
            names=names,
            name_of=name_of,
            length_ns=(times[-1] // SECOND + 1) * SECOND,
            lines=self.lines,
            broken=self.broken,
            first_broken=self.first_broken,
            left_out=self.left_out(),
            errors=tuple(sorted(self._errors.items())),
            whole_seconds=whole_seconds,
            unmatched=self._unmatched(),
        )

    def _named(self, kinds: array[int]) -> tuple[tuple[Named, ...], array[int]]:
        """The most frequent names, and those of the rest by method; and by kind which one it goes by."""
        counts = Counter(map(self._name_of.__getitem__, kinds))
        texts = list(self._names)
        others = {f"{method} {OTHER}" for method in self._methods}
        # By count, then by name: the same log has the same names in the same order everywhere.
        ranked = sorted(counts, key=lambda i: (texts[i] in others, -counts[i], texts[i]))
        most = Counter[tuple[str, str]]()
        final: dict[int, str] = {}
        for rank, i in enumerate(ranked):
            method = self._methods[i]
            final[i] = texts[i] if rank < MOST_NAMES else f"{method} {OTHER}"
            most[final[i], method] += counts[i]
        named = tuple(Named(name, method, count) for (name, method), count in most.items())
        place = {it.name: at for at, it in enumerate(named)}
        return named, array("H", (place[final[i]] for i in self._name_of))


def _spread(times: array[int]) -> Iterator[int]:
    """Times of whole seconds, spread evenly within each: the i-th of n is i/n s into it."""
    began, at = times[0], 0
    while at < len(times):
        end = bisect_right(times, times[at], at)
        second, n = times[at] - began, end - at
        for i in range(n):
            yield second + i * SECOND // n
        at = end


def replayed_length(replay: Replay, recording: Recording) -> str:
    """How long the replay of all of it takes, as a profile has it: whole milliseconds, rounded up.

    Raises ValueError if that is longer than any run may be.
    """
    length = -(-ceil(recording.length_ns / replay.speed) // MILLISECOND) * MILLISECOND
    if length > LONGEST:
        days = length // LONGEST * 366
        raise ValueError(f"takes over {days:,} days: is a time in it wrong? Want at most 366d, after `speed`")
    return format_duration(length)


def broken_text(recording: Recording) -> str:
    """What to say of broken lines; nothing if there are none."""
    if not recording.broken:
        return ""
    line, flaw = recording.first_broken
    verb = "is" if recording.broken == 1 else "are"
    lines = f"{recording.broken:,} of {recording.lines:,} lines {verb} broken"
    return f"{lines}; the first is line {line}: {shown(flaw)}"
