"""Slo: `METRIC OP VALUE [during PHASE-OR-FAULT] [for REQUEST]`, parsed. What it means is judge's business."""

from __future__ import annotations

import difflib
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
OPERATORS: Final = ("<=", ">=", "<", ">")
MS: Final = units.MILLISECOND
LONGEST_MS: Final = 3_600_000.0  # histograms end at an hour


class NotBuilt(ValueError):
    """Right by the design, but no code for it yet."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A row of the table: `prefix` is what stands before pNN, or the whole metric if it has no quantile."""

    prefix: str
    kind: Kind
    quantile: bool = False
    response_time: bool = False  # counts from due: what `good_within` is guessed from
    part: Part = ""  # what must be there: a spike, or a spike and its recovery; "": any arrivals will do
    during: tuple[str, ...] = ()  # the roles of phases that `during` may name; (): any phase or fault


_SPIKE: Final = ("spike",)
_AND_AFTER: Final = ("spike", "recovery")
METRICS: Final[dict[str, Metric]] = {
    "quantile": Metric("", "time", quantile=True, response_time=True),
    "ok quantile": Metric("ok", "time", quantile=True, response_time=True),
    "shed quantile": Metric("shed", "time", quantile=True),
    "service quantile": Metric("service", "time", quantile=True),
    "max": Metric("max", "time", response_time=True),
    "mean": Metric("mean", "time"),
    "error rate": Metric("error rate", "share"),
    "shed rate": Metric("shed rate", "share"),
    "goodput": Metric("goodput", "per_second"),
    "rate": Metric("rate", "per_second"),
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

    def __str__(self) -> str:
        """The plainest text that parses to the same objective."""
        row = METRICS[self.metric]
        words = [row.prefix] if row.prefix else []
        if self.quantile is not None:
            words.append(f"p{units.format_share(self.quantile).removesuffix('%')}")
        words += [self.op, _VALUES[self.kind][1](self.threshold)]
        if self.during is not None:
            words += ["during", _quoted(self.during)]
        if self.request is not None:
            words += ["for", _quoted(self.request)]
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
_CLAUSES: Final = ("during", "for")


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
    return Slo(
        text.strip(), line, metric, quantile, tokens[place].text, threshold, kind,
        found.get("during"), found.get("for"),
    )  # fmt: skip


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
    place = next(
        (i for i, t in enumerate(tokens) if (t.text in (*_CLAUSES, "in", "abort")) and not t.quoted),
        len(tokens),
    )
    return tokens[:place], tokens[place:]


def _clauses(text: str, tokens: list[_Token]) -> dict[str, str]:
    found: dict[str, str] = {}
    while tokens:
        word, *rest = tokens
        if not word.quoted and word.text in ("in", "abort"):
            raise NotBuilt(f"not built yet: {' '.join(t.text for t in tokens)}")
        if word.quoted or word.text not in _CLAUSES or word.text in found:
            want = " or ".join(c for c in _CLAUSES if c not in found) or "nothing more"
            hint = "; put a name with spaces in quotes" if found else ""
            raise ValueError(f"column {word.column}: got {shown(word.text)}, want {want}{hint}")
        if not rest or not rest[0].text.strip():
            wanted = "the name of a phase or fault" if word.text == "during" else "the name of a request"
            raise _error(text, None, f"{wanted} after {word.text}")
        found[word.text] = rest[0].text
        tokens = rest[1:]
    return found


def good_within(profile: Profile, slos: Iterable[Slo]) -> int:
    """What counts as good, in ns: `good_within`, else the largest response-time threshold of an SLO at p95 or
    above, else 1 s (design §10). Sheds and service times are no response times.
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
