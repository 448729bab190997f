"""The demo service's state as Prometheus text (exposition format 0.0.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from loadtool.target.pool import StoreErrorKind
from loadtool.target.queues import Reason

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[str, float]  # labels as they are written, and a value


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric; `samples` takes what `/stats` answers."""

    name: str
    kind: str  # gauge or counter
    help: str
    samples: Callable[[Mapping[str, Any]], Iterable[Sample]]


def _one(*path: str) -> Callable[[Mapping[str, Any]], Iterable[Sample]]:
    def samples(stats: Mapping[str, Any]) -> Iterable[Sample]:
        value: Any = stats
        for key in path:
            value = value.get(key)
        return () if value is None else (("", value),)

    return samples


def _each(
    label: str, *path: str, known: Iterable[str] = ()
) -> Callable[[Mapping[str, Any]], Iterable[Sample]]:
    """`known`: what is told from the start, as 0, so that who reads it finds it."""

    def samples(stats: Mapping[str, Any]) -> Iterable[Sample]:
        values: Any = stats
        for key in path:
            values = values[key]
        return [(f'{{{label}="{key}"}}', n) for key, n in (dict.fromkeys(known, 0) | values).items()]

    return samples


METRICS: tuple[Metric, ...] = (
    Metric("demo_slots", "gauge", "Requests that can be worked on at the same time.", _one("slots")),
    Metric("demo_in_flight", "gauge", "Requests being worked on.", _one("in_flight")),
    Metric("demo_queued", "gauge", "Requests waiting for a slot.", _one("queued")),
    Metric("demo_concurrency_limit", "gauge", "Adaptive limit, if any.", _one("concurrency_limit")),
    Metric("demo_connections", "gauge", "Open connections of clients.", _one("connections")),
    Metric("demo_store_calls", "gauge", "Store calls under way.", _one("store", "calls")),
    Metric("demo_answers_total", "counter", "Answers, by status.", _each("status", "answers")),
    Metric("demo_turned_away_total", "counter", "Requests turned away, by reason.",
           _each("reason", "turned_away", known=get_args(Reason))),
    Metric("demo_abandoned_total", "counter", "Requests whose client left.", _one("abandoned")),
    Metric("demo_store_errors_total", "counter", "Failed store calls, by kind.",
           _each("kind", "store", "errors", known=get_args(StoreErrorKind))),
)  # fmt: skip


def metrics_text(stats: Mapping[str, Any]) -> str:
    """All metrics; one without a sample is left out."""
    lines = []
    for metric in METRICS:
        if samples := list(metric.samples(stats)):
            lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}"]
            lines += [f"{metric.name}{labels} {value}" for labels, value in samples]
    return "\n".join(lines) + "\n"
