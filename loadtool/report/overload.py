"""What a spike did to the service, in words and formatted figures; each report lays it out in its own way.

A figure is held against the mark of docs/overload.md, which only colours it: SLOs alone decide.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from loadtool.judge import overload_figures as defaults
from loadtool.measure.result import Result
from loadtool.measure.spike import SpikeFigures
from loadtool.report import figures

# Verdict -> how it fared, as a verdict of a run whose colour it takes.
LIKE: Final = {
    "absorbed": "pass",
    "shed": "pass",
    "queued": "inconclusive",
    "degraded": "inconclusive",
    "no-baseline": "invalid",
    "melted": "fail",
    "stayed-down": "fail",
}
_AS_ABOVE: Final = "as above"


@dataclass(frozen=True, slots=True)
class Row:
    """A figure. `met`: whether it keeps to its default; None if it has none, or is not known."""

    label: str
    value: str
    default: str = ""
    met: bool | None = None
    remark: str = ""

    @property
    def mark(self) -> str:
        """Never by colour alone."""
        return "" if self.met is None else "✓" if self.met else "!"


def sentences(result: Result) -> list[tuple[SpikeFigures, str]]:
    """Each spike with its sentence, led by its name where there are several; without the verdict's word."""
    spikes = result.overload.spikes if result.overload is not None else []
    return [
        (f, (f"{f.name}: " if len(spikes) > 1 else "") + f.sentence.removesuffix(f.verdict)) for f in spikes
    ]


def rows(f: SpikeFigures) -> list[Row]:
    """The table of one spike. Why it has no baseline is said once, at the first figure that lacks for it."""
    first, *rest = _rows(f)
    if f.verdict != "no-baseline" or not first.remark:
        return [first, *rest]
    return [first, *(replace(row, remark=_AS_ABOVE) if row.remark == first.remark else row for row in rest)]


def _rows(f: SpikeFigures) -> list[Row]:
    return [
        _least("goodput retention", f.goodput_retention, defaults.RETENTION, f, "goodput_retention", _of(f)),
        _least("end retention", f.end_retention, defaults.RETENTION, f, "end_retention", "its last third"),
        Row("shed ratio", figures.share(f.shed_ratio), remark=_per_attempt(f)),
        _shed_p99(f),
        _least(
            "honest rejection", f.honest_rejection, defaults.HONEST, f, "honest_rejection", _hard_and_late(f)
        ),
        *_strict(f),
        *_truth(f),
        _recovery(f),
        _hysteresis(f),
        _latency_growth(f),
        Row("retry amplification", figures.ratio(f.retry_amplification), remark="in the spike"),
        _amplification_after(f),
        _first_shed(f),
    ]


def _of(f: SpikeFigures) -> str:
    if f.reference_per_s is None:
        return ""
    source = "the baseline's goodput" if f.reference == "baseline" else "the stated capacity"
    return f"of {figures.rate(f.reference_per_s)}, {source}"


def _least(label: str, value: float | None, bound: float, f: SpikeFigures, field: str, remark: str) -> Row:
    if value is None:
        return _unknown(label, f, field)
    return Row(label, figures.share(value), f"≥ {figures.share(bound)}", value >= bound, remark)


def _unknown(label: str, f: SpikeFigures, field: str) -> Row:
    return Row(label, figures.NOTHING, remark=f.unknown.get(field, ""))


def _per_attempt(f: SpikeFigures) -> str:
    if f.shed_ratio_attempts is None or f.shed_ratio_attempts == f.shed_ratio:
        return ""
    return f"{figures.share(f.shed_ratio_attempts)} of attempts"


def _shed_p99(f: SpikeFigures) -> Row:
    if f.shed_p99_ms is None:
        return Row("shed p99", figures.NOTHING, remark="no sheds")
    if f.shed_p99_bound_ms is None:
        return Row("shed p99", figures.duration(f.shed_p99_ms))
    bound = f.shed_p99_bound_ms
    return Row(
        "shed p99", figures.duration(f.shed_p99_ms), f"≤ {figures.duration(bound)}", f.shed_p99_ms <= bound
    )


def _strict(f: SpikeFigures) -> list[Row]:
    """Only where sheds are, and some of them say when to come back."""
    if not f.shed or not f.strict_rejection:
        return []
    return [Row("… with Retry-After", figures.share(f.strict_rejection), remark="a valid one")]


def _truth(f: SpikeFigures) -> list[Row]:
    if f.retry_after_truth is None:
        return []
    tried = figures.plural(f.promised, "first retry", "first retries")
    remark = f"of {tried} after it got in"
    return [Row("Retry-After truth", figures.share(f.retry_after_truth), remark=remark)]


def _hard_and_late(f: SpikeFigures) -> str:
    parts = (
        (f.shed, "shed"),
        (f.late, "too late"),
        (f.hard - f.aborted, "failed"),
        (f.aborted, "cut off as the run was ended"),
        (f.throttled, "held back"),
    )
    return ", ".join(f"{figures.share(n / f.arrivals)} {what}" for n, what in parts if n)


def _recovery(f: SpikeFigures) -> Row:
    default = f"≤ {figures.number(defaults.RECOVERY_S)} s"
    if f.recovered is False:
        return Row("recovery", "not seen", default, False, f.unknown.get("recovery_s", ""))
    if f.recovery_s is None:
        return _unknown("recovery", f, "recovery_s")
    remark = "" if f.watched_s is None else f"watched for {figures.number(f.watched_s)} s"
    return Row(
        "recovery", f"{figures.number(f.recovery_s)} s", default, f.recovery_s <= defaults.RECOVERY_S, remark
    )


def _hysteresis(f: SpikeFigures) -> Row:
    if f.hysteresis is None or f.hysteresis_bound is None:
        return _unknown("hysteresis", f, "hysteresis")
    value = figures.share(f.hysteresis)
    return Row(
        "hysteresis", value, f"≤ {figures.share(f.hysteresis_bound)}", f.hysteresis <= f.hysteresis_bound
    )


def _latency_growth(f: SpikeFigures) -> Row:
    if f.latency_growth is None:
        return _unknown("latency growth", f, "latency_growth")
    met = f.latency_growth < defaults.GROWTH
    return Row(
        "latency growth",
        figures.ratio(f.latency_growth),
        f"< {figures.ratio(defaults.GROWTH)}",
        met,
        "" if met else _grown(f),
    )


def _grown(f: SpikeFigures) -> str:
    """Why, as far as that is known: a fault within the spike makes answers slow without any queue."""
    return f"{' and '.join(f.faults)} came or went meanwhile" if f.faults else "still growing"


def _amplification_after(f: SpikeFigures) -> Row:
    label, value = "… after it", f.retry_amplification_after
    if value is None:
        return _unknown(label, f, "retry_amplification_after")
    met = value <= defaults.AMPLIFICATION
    bound = figures.ratio(defaults.AMPLIFICATION)
    return Row(label, figures.ratio(value), f"≤ {bound}", met, "in the last third of its recovery")


def _first_shed(f: SpikeFigures) -> Row:
    if f.time_to_first_shed_s is None:
        return _unknown("time to first shed", f, "time_to_first_shed_s")
    remark = ""
    if f.implied_buffer is not None:
        room = figures.plural(max(0, round(f.implied_buffer)), "request")
        remark = f"room for about {room} until then"
    return Row("time to first shed", figures.duration(f.time_to_first_shed_s * 1000), remark=remark)
