"""Quantities as people write them, and back: "250ms" <-> ns, "50/s" <-> 1/s, "64KB" <-> bytes, "10%" <-> 0.1.

Each `parse_*` raises ValueError with "got X, want …"; each `format_*` is its exact inverse:
`parse(format(x)) == x` for every x that the parser can return. Beside them, counts and addresses in words.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from fractions import Fraction

from loadtool.errors import got

MICROSECOND = 1_000
MILLISECOND = 1_000 * MICROSECOND
SECOND = 1_000 * MILLISECOND
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
LONGEST_TEXT = 400  # of a quantity: room for every float, written out
LONGEST = 366 * 24 * HOUR  # no run lasts longer; keeps every sum of times far inside 64 bits

# Symbol -> nanoseconds. Both µ (U+00B5) and μ (U+03BC) are typed by keyboards.
_DURATIONS = {
    "d": 24 * HOUR, "h": HOUR, "m": MINUTE, "min": MINUTE, "s": SECOND, "sec": SECOND, "ms": MILLISECOND,
    "us": MICROSECOND, "µs": MICROSECOND, "μs": MICROSECOND, "ns": 1,
}  # fmt: skip
# How many seconds one "per" is.
_PER = {
    "/s": 1, "/sec": 1, "/second": 1, "rps": 1,
    "/m": 60, "/min": 60, "/minute": 60, "rpm": 60,
    "/h": 3600, "/hour": 3600, "rph": 3600,
    "": 1,
}  # fmt: skip
_THOUSANDS = {"": 1, "k": 1_000, "M": 1_000_000}
# SI prefixes count in thousands, IEC prefixes in 1024s, as disks and networks do; Toxiproxy's
# "KB" is 1000 bytes too.
_SIZES = {
    "": 1, "B": 1,
    "KB": 10**3, "kB": 10**3, "MB": 10**6, "GB": 10**9,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
}  # fmt: skip

# Digits may be grouped with single underscores, as in YAML, Python and Go.
_DIGITS = r"\d+(?:_\d+)*"
_NUMBER = rf"{_DIGITS}(?:\.\d+)?"
_REAL = rf"[+-]?{_NUMBER}(?:[eE][+-]?\d{{1,3}})?"
_DURATION_PART = re.compile(
    rf"({_NUMBER})\s*({'|'.join(sorted(_DURATIONS, key=len, reverse=True))})\s*", re.ASCII
)
_RATE = re.compile(rf"({_REAL})\s*([kM]?)\s*(/\s*[a-z]+|rp[smh])?", re.ASCII)
_SIZE = re.compile(rf"({_NUMBER})\s*([A-Za-z]*)", re.ASCII)
_SHARE = re.compile(rf"({_REAL})\s*(%?)", re.ASCII)
_RATIO = re.compile(rf"({_REAL})\s*([x%]?)", re.ASCII)
_BARE = re.compile(rf"[+-]?{_NUMBER}", re.ASCII)

WANT_DURATION = "a duration such as 250ms, 5s or 1m30s"
WANT_RATE = "a rate such as 50/s"
WANT_SIZE = "a size such as 512B, 64KB or 1MiB"
WANT_BYTE_RATE = "a byte rate such as 64KB/s"
WANT_SHARE = "a share such as 10% or 0.1, from 0 to 1"
WANT_RATIO = "a ratio such as 1.1 or 2x"


def _text(value: object, want: str) -> str:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        huge = isinstance(value, int) and abs(value) > 10**LONGEST_TEXT  # str() itself refuses such a number
        if not huge and len(text := str(value).strip()) <= LONGEST_TEXT:
            return text
    raise ValueError(got(value, want))


def parse_duration(value: object) -> int:
    """Nanoseconds of "250ms", "1m30s", "2h", "1.5s", "10us"; 0 needs no unit, other numbers do.

    Units go from large to small, each once. Raises ValueError, also below zero, past 366 days and for
    fractions of a nanosecond.
    """
    text = _text(value, WANT_DURATION)
    if _BARE.fullmatch(text):
        number = Decimal(text.replace("_", ""))
        if number == 0:
            return 0
        if number > 0:
            raise ValueError(got(value, f"a duration with its unit: write {text}s or {text}ms"))
        raise ValueError(got(value, WANT_DURATION))
    total = Fraction(0)
    at, last = 0, LONGEST
    while at < len(text):
        part = _DURATION_PART.match(text, at)
        if part is None or _DURATIONS[part[2]] >= last:
            raise ValueError(got(value, WANT_DURATION))
        last = _DURATIONS[part[2]]
        total += Fraction(part[1].replace("_", "")) * last
        at = part.end()
    if at == 0:
        raise ValueError(got(value, WANT_DURATION))
    if total > LONGEST:
        raise ValueError(got(value, "a duration of at most 366d"))
    if total.denominator != 1:
        raise ValueError(got(value, "a duration of whole nanoseconds"))
    return int(total)


def positive_duration(ns: int) -> int:
    """The same duration. Raises ValueError if it is zero."""
    if ns <= 0:
        raise ValueError(got(ns, "a duration above 0 such as 250ms, 5s or 1m30s"))
    return ns


def format_duration(ns: int) -> str:
    """The duration in its shortest plain form: "1m30s", "250ms", "1.5s"."""
    if ns < 0:
        return f"-{format_duration(-ns)}"
    if ns == 0:
        return "0s"
    hours, rest = divmod(ns, HOUR)
    minutes, rest = divmod(rest, MINUTE)
    text = f"{hours}h" * bool(hours) + f"{minutes}m" * bool(minutes)
    if rest == 0:
        return text
    if text or rest >= SECOND:
        return f"{text}{_scaled(rest, 9)}s"
    if rest >= MILLISECOND:
        return f"{_scaled(rest, 6)}ms"
    return f"{_scaled(rest, 3)}us" if rest >= MICROSECOND else f"{rest}ns"


def _scaled(whole: int, places: int) -> str:
    """whole ÷ 10^places, exactly, without trailing zeros."""
    return _plain(Decimal(whole).scaleb(-places))


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def parse_rate(value: object) -> float:
    """Arrivals per second of "50/s", "30/m", "100/h", "5000 rpm", "1.5k/s"; a bare number is per second.

    Zero or more, finite. Raises ValueError.
    """
    match = _RATE.fullmatch(_text(value, WANT_RATE))
    per = _PER.get((match[3] or "").replace(" ", "")) if match else None
    if match is None or per is None:
        raise ValueError(got(value, WANT_RATE))
    rate = _float(Fraction(match[1].replace("_", "")) * _THOUSANDS[match[2]] / per)
    if match[1].startswith("-") or not math.isfinite(rate):
        raise ValueError(got(value, WANT_RATE))
    return rate


def positive_rate(per_second: float) -> float:
    """The same rate. Raises ValueError if it is zero."""
    if per_second <= 0:
        raise ValueError(got(0, "a rate above 0 such as 50/s"))
    return per_second


def _float(number: Fraction) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf


def format_rate(per_second: float) -> str:
    """The rate per second if that is short ("50/s", "0.5/s"), else per minute or hour if that is whole."""
    if per_second == 0:
        return "0/s"
    if len(short := repr(per_second)) <= 4 and not short.endswith(".0"):
        return f"{short}/s"
    for per, suffix in ((1, "/s"), (60, "/m"), (3600, "/h")):
        if 0 < per_second < 10**12 and (whole := round(per_second * per)) / per == per_second:
            return f"{whole}{suffix}"
    return f"{per_second!r}/s"


def parse_size(value: object) -> int:
    """Bytes of "512B", "64KB" (thousands, as networks and Toxiproxy count), "64KiB" (1024s).

    A bare number is bytes. Zero or more, whole. Raises ValueError.
    """
    match = _SIZE.fullmatch(_text(value, WANT_SIZE))
    scale = _SIZES.get(match[2]) if match else None
    if match is None or scale is None:
        raise ValueError(got(value, WANT_SIZE))
    size = Fraction(match[1].replace("_", "")) * scale
    if size.denominator != 1:
        raise ValueError(got(value, f"whole bytes, {WANT_SIZE}"))
    return int(size)


def format_size(size: int) -> str:
    """The size in the largest unit in which it is a whole number."""
    for suffix in ("GB", "GiB", "MB", "MiB", "KB", "KiB"):
        if size and size % _SIZES[suffix] == 0:
            return f"{size // _SIZES[suffix]}{suffix}"
    return f"{size}B"


def parse_byte_rate(value: object) -> int:
    """Bytes per second of "64KB/s". The "/s" is needed. Raises ValueError."""
    size, slash, per = str(value).partition("/")
    if not isinstance(value, str) or not slash or per.strip() != "s" or not re.search("[A-Za-z]", size):
        raise ValueError(got(value, WANT_BYTE_RATE))
    try:
        return parse_size(size)
    except ValueError:
        raise ValueError(got(value, WANT_BYTE_RATE)) from None


def format_byte_rate(bytes_per_second: int) -> str:
    return f"{format_size(bytes_per_second)}/s"


def parse_share(value: object) -> float:
    """A share from 0 to 1, of "10%" or 0.1. Raises ValueError."""
    match = _SHARE.fullmatch(_text(value, WANT_SHARE))
    if match is None:
        raise ValueError(got(value, WANT_SHARE))
    share = float(Decimal(match[1].replace("_", "")) / (100 if match[2] else 1))
    if not 0 <= share <= 1:
        raise ValueError(got(value, WANT_SHARE))
    return abs(share)  # no -0.0


def parse_ratio(value: object) -> float:
    """A ratio of 0 or more, of "1.1", "1.1x" or "110%". Raises ValueError."""
    match = _RATIO.fullmatch(_text(value, WANT_RATIO))
    if match is None:
        raise ValueError(got(value, WANT_RATIO))
    ratio = float(Decimal(match[1].replace("_", "")) / (100 if match[2] == "%" else 1))
    if not 0 <= ratio < math.inf:
        raise ValueError(got(value, WANT_RATIO))
    return abs(ratio)  # no -0.0


def format_ratio(ratio: float) -> str:
    """The ratio as a multiple: "1.1x"."""
    return f"{_plain(Decimal(repr(ratio)))}x"


def format_share(share: float) -> str:
    """The share in per cent: "10%", "0.1%"."""
    percent = Decimal(repr(share)) * 100
    return f"{_plain(percent)}%" if percent == 0 or percent.adjusted() >= -9 else f"{percent.normalize()}%"


def counted(count: int, one: str, many: str = "") -> str:
    """`1 worker`, `2 workers`, `1,200 retries`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def format_address(host: str, port: int) -> str:
    """HOST:PORT, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
