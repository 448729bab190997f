"""Slo: `METRIC OP VALUE [in any TIME] [during PHASE-OR-FAULT] [for REQUEST] [abort [after TIME]]`, parsed.

What it means is judge's business. In a profile, `{slo: TEXT, abort: true, after: TIME}` is the same as the
text with `abort after TIME`.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal

from loadtool import units
from loadtool.errors import shown

if TYPE_CHECKING:
    from loadtool.profile.model import Profile

Kind = Literal["time", "share", "per_second", "ratio"]
Part = Literal["", "spike", "recovery"]
_MEETS: Final = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}
OPERATORS: Final = tuple(_MEETS)
MS: Final = units.MILLISECOND
LONGEST_MS: Final = 3_600_000.0  # histograms end at an hour


@dataclass(frozen=True, slots=True)
class Metric:
    """A row of the table: `prefix` is what stands before pNN, or the whole metric if it has no quantile."""

    prefix: str
    kind: Kind
    quantile: bool = False
    response_time: bool = False  # counts from due: what `good_within` is guessed from
    part: Part = ""  # what must be there: a spike, or a spike and its recovery; "": any arrivals will do
    during: tuple[str, ...] = ()  # the roles of phases that `during` may name; (): any phase or fault
    windows: bool = False  # may be judged `in any TIME`: slices know it
    abort: bool = False  # may end a run: before the end it can be known that it fails


_SPIKE: Final = ("spike",)
_AND_AFTER: Final = ("spike", "recovery")
METRICS: Final[dict[str, Metric]] = {
    "quantile": Metric("", "time", quantile=True, response_time=True, windows=True, abort=True),
    "ok quantile": Metric("ok", "time", quantile=True, response_time=True, windows=True, abort=True),
    "shed quantile": Metric("shed", "time", quantile=True),
    "service quantile": Metric("service", "time", quantile=True),
    "max": Metric("max", "time", response_time=True, abort=True),
    "mean": Metric("mean", "time"),
    "error rate": Metric("error rate", "share", windows=True, abort=True),
    "shed rate": Metric("shed rate", "share", windows=True, abort=True),
    "goodput": Metric("goodput", "per_second", windows=True, abort=True),
    "rate": Metric("rate", "per_second", windows=True, abort=True),
    "goodput retention": Metric("goodput retention", "share", part="spike", during=_SPIKE),
    "end retention": Metric("end retention", "share", part="spike", during=_SPIKE),
    "honest rejection": Metric("honest rejection", "share", part="spike", during=_SPIKE),
    "recovery": Metric("recovery", "time", part="recovery", during=_AND_AFTER),
    "hysteresis": Metric("hysteresis", "share", part="recovery", during=_AND_AFTER),
    "retry amplification": Metric("retry amplification", "ratio", part="spike", during=_AND_AFTER),
    "latency growth": Metric("latency growth", "ratio", part="spike", during=_SPIKE),
}
_BY_PREFIX: Final = {(m.prefix, m.quantile): key for key, m in METRICS.items()}


def _parse_ms(text: str) -> float:
    ms = units.positive_duration(units.parse_duration(text)) / MS
    if ms > LONGEST_MS:
        raise ValueError(f"got {text}, want a time of at most 1h")
    return ms


# How the value of each kind is read and written.
_VALUES: Final[dict[Kind, tuple[Callable[[str], float], Callable[[float], str]]]] = {
    "time": (_parse_ms, lambda ms: units.format_duration(round(ms * MS))),
    "share": (units.parse_share, units.format_share),
    "per_second": (units.parse_rate, units.format_rate),
    "ratio": (units.parse_ratio, units.format_ratio),
}


@dataclass(frozen=True, slots=True)
class Slo:
    """One objective. `threshold` is in ms, a share from 0 to 1, per second or a ratio, as `kind` says.

    `quantile` is from 0 to 1 (p99 is 0.99). `during` names a phase or a fault; None: all phases but warmup.
    Times in ns.
    """

    text: str
    line: int | None
    metric: str
    quantile: float | None
    op: str
    threshold: float
    kind: Kind
    during: str | None = None
    request: str | None = None
    window_ns: int | None = None  # it has to hold in any stretch of this length
    abort: bool = False  # the run ends as soon as it can no longer pass …
    after_ns: int = 0  # … but not before this

    def meets(self, value: float) -> bool:
        """Whether a value, in the threshold's unit, is what the objective wants."""
        return bool(_MEETS[self.op](value, self.threshold))

    @property
    def out_of_reach(self) -> str:
        """What its figure never is, if no run can pass it, as "below 0%"; else nothing."""
        bound = _VALUES[self.kind][1](self.threshold)
        if self.op == "<" and self.threshold <= 0 and self.metric != "hysteresis":  # that may be negative
            return f"below {bound}"
        return f"above {bound}" if self.op == ">" and self.kind == "share" and self.threshold >= 1 else ""

    def __str__(self) -> str:
        """The plainest text that parses to the same objective."""
        row = METRICS[self.metric]
        words = [row.prefix] if row.prefix else []
        if self.quantile is not None:
            words.append(f"p{units.format_share(self.quantile).removesuffix('%')}")
        words += [self.op, _VALUES[self.kind][1](self.threshold)]
        if self.window_ns is not None:
            words += ["in any", units.format_duration(self.window_ns)]
        if self.during is not None:
            words += ["during", _quoted(self.during)]
        if self.request is not None:
            words += ["for", _quoted(self.request)]
        if self.abort:
            words += ["abort", *(["after", units.format_duration(self.after_ns)] if self.after_ns else [])]
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class _Token:
    text: str  # without quotes
    column: int  # from 1
    quoted: bool = False


_TOKEN = re.compile(
    r"""\s*(?:(?P<op>[<>=!]=?|=)|"(?P<double>(?:\\.|[^"\\])*)"|'(?P<single>(?:\\.|[^'\\])*)'|(?P<word>[^\s<>=!"']+))""",
    re.DOTALL,
)
_BARE = re.compile(r"[^\s<>=!\"'\\]+")
_QUANTILE = re.compile(r"p([0-9]{1,2}(?:\.[0-9]{1,12})?)", re.ASCII)
LEAST_WINDOW_NS: Final = units.SECOND  # windows are of whole slices, of a second at least
_CLAUSES: Final = ("in any", "during", "for", "abort")
_FIRST_WORDS: Final = tuple(clause.split()[0] for clause in _CLAUSES)


def _quoted(name: str) -> str:
    if _BARE.fullmatch(name):
        return name
    return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'


def parse_slo(text: str, line: int | None = None) -> Slo:
    """The objective of a text. Raises ValueError with the column, what came and what was wanted."""
    tokens = _tokens(text)
    place = next((i for i, t in enumerate(tokens) if t.text in OPERATORS and not t.quoted), None)
    if place is None:
        wrong = next((t for t in tokens if re.fullmatch("[<>=!]+", t.text) and not t.quoted), None)
        raise _error(text, wrong, f"one of {', '.join(OPERATORS)} between metric and value")
    metric, quantile = _metric(text, tokens[:place])
    kind = METRICS[metric].kind
    value, clauses = _split(tokens[place + 1 :])
    if not value:
        raise _error(text, clauses[0] if clauses else None, f"a value after {tokens[place].text}")
    try:
        threshold = _VALUES[kind][0](" ".join(t.text for t in value))
    except ValueError as e:
        raise ValueError(f"column {value[0].column}: {e}") from None
    found = _clauses(text, clauses)
    window, abort = found.get("in any"), found.get("abort")
    return Slo(
        text.strip(),
        line,
        metric,
        quantile,
        tokens[place].text,
        threshold,
        kind,
        found["during"].text if "during" in found else None,
        found["for"].text if "for" in found else None,
        _window(window) if window is not None else None,
        abort is not None,
        _time(abort) if abort is not None and abort.text else 0,
    )


def _window(token: _Token) -> int:
    ns = _time(token)
    if ns < LEAST_WINDOW_NS:
        raise ValueError(f"column {token.column}: got {shown(token.text)}, want a time of at least 1s")
    return ns


def _time(token: _Token) -> int:
    try:
        return units.positive_duration(units.parse_duration(token.text))
    except ValueError as e:
        raise ValueError(f"column {token.column}: {e}") from None


def _tokens(text: str) -> list[_Token]:
    tokens, at, end = [], 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at, end)
        if match is None:
            raise ValueError(f"column {at + 1}: a quote is not closed")
        kind = match.lastgroup or "word"
        inner = match[kind]
        if kind in ("double", "single"):
            inner = re.sub(r"\\(.)", r"\1", inner, flags=re.DOTALL)
        tokens.append(_Token(inner, match.start(kind) + 1, quoted=kind in ("double", "single")))
        at = match.end()
    return tokens


def _error(text: str, token: _Token | None, want: str) -> ValueError:
    if token is None:
        return ValueError(f"column {len(text.rstrip()) + 1}: got nothing, want {want}")
    return ValueError(f"column {token.column}: got {shown(token.text)}, want {want}")


def _metric(text: str, tokens: list[_Token]) -> tuple[str, float | None]:
    words = " ".join(t.text for t in tokens)
    if not tokens:
        raise _error(text, _tokens(text)[0], "a metric such as p99, before the operator")
    if match := _QUANTILE.fullmatch(tokens[-1].text):
        prefix = " ".join(t.text for t in tokens[:-1])
        quantile = float(Decimal(match[1]) / 100)
        if (prefix, True) in _BY_PREFIX and 0 < quantile < 1:
            return _BY_PREFIX[prefix, True], quantile
    if (key := _BY_PREFIX.get((words, False))) is not None:
        return key, None
    known = [f"{m.prefix} p99".strip() if m.quantile else m.prefix for m in METRICS.values()]
    near = difflib.get_close_matches(words.lower(), known, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ValueError(f"column {tokens[0].column}: got {shown(words)}, want one of {', '.join(known)}{hint}")


def _split(tokens: list[_Token]) -> tuple[list[_Token], list[_Token]]:
    place = next((i for i, t in enumerate(tokens) if t.text in _FIRST_WORDS and not t.quoted), len(tokens))
    return tokens[:place], tokens[place:]


def _clauses(text: str, tokens: list[_Token]) -> dict[str, _Token]:
    """What follows each clause; `abort` without a time is followed by nothing."""
    found: dict[str, _Token] = {}
    while tokens:
        word, *rest = tokens
        clause = next((c for c in _CLAUSES if c.split()[0] == word.text and not word.quoted), "")
        if not clause or clause in found:
            want = " or ".join(c for c in _CLAUSES if c not in found) or "nothing more"
            hint = "; put a name with spaces in quotes" if {"during", "for"} & found.keys() else ""
            raise ValueError(f"column {word.column}: got {shown(word.text)}, want {want}{hint}")
        if clause == "in any":
            rest = _after(text, rest, "any", "any after in")
        elif clause == "abort":
            if not (rest and rest[0].text == "after" and not rest[0].quoted):
                found[clause] = _Token("", word.column)
                tokens = rest
                continue
            rest = rest[1:]
        if not rest or not rest[0].text.strip():
            raise _error(text, None, _FOLLOWS[clause])
        found[clause] = rest[0]
        tokens = rest[1:]
    return found


_FOLLOWS: Final = {
    "in any": "a time such as 10s after in any",
    "during": "the name of a phase or fault after during",
    "for": "the name of a request after for",
    "abort": "a time such as 10s after abort after",
}


def _after(text: str, tokens: list[_Token], word: str, want: str) -> list[_Token]:
    if not tokens or tokens[0].text != word or tokens[0].quoted:
        raise _error(text, tokens[0] if tokens else None, want)
    return tokens[1:]


def good_within(profile: Profile, slos: Iterable[Slo]) -> int:
    """What counts as good, in ns: `good_within`, else the largest response-time threshold of an SLO at p95 or
    above, else 1 s (docs/overload.md). Sheds and service times are no response times.
    """
    if profile.good_within is not None:
        return profile.good_within
    thresholds = (
        slo.threshold
        for slo in slos
        if METRICS[slo.metric].response_time
        and slo.op in ("<", "<=")
        and (slo.quantile is None or slo.quantile >= 0.95)
    )
    return round(max(thresholds, default=1000.0) * MS)
