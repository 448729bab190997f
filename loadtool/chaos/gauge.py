"""Gauges: figures that the service tells of itself, such as the length of its queue, read beside the load."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx

from loadtool.chaos.probe import Clients, Question
from loadtool.chaos.steady import page_url
from loadtool.measure.result_json import LARGEST
from loadtool.units import SECOND, format_duration

if TYPE_CHECKING:
    from loadtool.profile.gauge import Gauge

# A name, labels, a value, and what says nothing of it: a timestamp, and OpenMetrics' exemplar.
_SAMPLE: Final = re.compile(
    r"([A-Za-z_:][\w:]*)[ \t]*"
    r'(?:\{((?:[^"{}]|"(?:[^"\\]|\\.)*")*)\})?'
    r"[ \t]+([^\s#]\S*)(?:[ \t]+-?[\d.]+(?:[eE][-+]?\d+)?)?(?:[ \t]+#.*)?[ \t]*",
    re.ASCII,
)
_LABEL: Final = re.compile(r'\s*([A-Za-z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)', re.ASCII)


@dataclass(frozen=True, slots=True)
class HttpGauge:
    """GET `url` and read `value` from the answer; `target` is as in HttpProbe."""

    name: str
    url: str
    value: str
    every_s: float
    target: bool = False
    within_ns: int | None = None

    def prepare(self, clients: Clients) -> None:
        clients.of(self.url, target=self.target)

    async def ask(self, clients: Clients) -> str | float:
        try:
            answer = await clients.of(self.url, target=self.target).get(self.url)
        except (httpx.HTTPError, httpx.InvalidURL) as e:
            return str(e) or type(e).__name__
        if not answer.is_success:
            return f"status {answer.status_code}"
        try:
            # JSON and Prometheus text are UTF-8; a charset in the answer may be one that is no text's.
            return read_value(answer.content.decode("utf-8", "replace"), self.value)
        except ValueError as e:
            return str(e)


def read_value(text: str, wanted: str) -> float:
    """A number from JSON, by the dotted path of it, or from Prometheus text, by the metric's name.

    A name alone is the sum of the metric's samples; `name{label="a"}` of those that have this label. Raises
    ValueError if there is none, or it is no finite number, or larger than a result's figures may be.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        values = _samples(text, wanted)
    else:
        values = [_at(data, wanted)]
    if not values:
        raise ValueError(f"the answer has no {wanted}")
    try:
        found = math.fsum(values)
    except (OverflowError, ValueError):  # where it passes a sum that no float is, or infinities of both signs
        found = sum(values)
    if not math.isfinite(found):
        raise ValueError(f"{wanted} is {found:g}, want a finite number")
    if abs(found) > LARGEST:
        raise ValueError(f"{wanted} is {found:g}, want a number up to {LARGEST:.3g}")
    return found


def _at(data: Any, wanted: str) -> float:
    node = data
    for step in wanted.split("."):
        if isinstance(node, dict) and step in node:
            node = node[step]
        elif isinstance(node, list) and step.isascii() and step.isdigit() and int(step) < len(node):
            node = node[int(step)]
        else:
            raise ValueError(f"the answer has no {wanted}")
    if isinstance(node, bool) or not isinstance(node, int | float):
        raise ValueError(f"{wanted} is {json.dumps(node)[:60]}, want a number")
    try:
        return float(node)
    except OverflowError:
        return math.inf if node > 0 else -math.inf


def _samples(text: str, wanted: str) -> list[float]:
    name, brace, rest = wanted.partition("{")
    name = name.strip()
    labels = set(_LABEL.findall(rest.rpartition("}")[0])) if brace else set()
    values = []
    for line in text.split("\n"):  # the values of labels may hold what else ends lines of text
        line = line.strip()
        if not line.startswith(name):
            continue  # most of a large page, which must not hold up the faults' clock
        sample = _SAMPLE.fullmatch(line)
        if sample is None or sample[1] != name:
            continue
        if labels <= set(_LABEL.findall(sample[2] or "")):
            try:
                values.append(float(sample[3]))
            except ValueError:
                raise ValueError(f"{wanted} is {sample[3][:60]}, want a number") from None
    return values


def gauges_of(gauges: Sequence[Gauge], target: str) -> list[Question]:
    """The gauges of a profile as probes; `target` is the URL, or unix:/PATH, of the service."""
    found: list[Question] = []
    for gauge in gauges:
        own = gauge.get.startswith("/")
        url = page_url(target, gauge.get) if own else gauge.get
        found.append(HttpGauge(gauge.name, url, gauge.value, gauge.every / SECOND, target=own))
    return found


def describe_gauge(gauge: Gauge) -> str:
    """The gauge in words: "demo_queued of GET /metrics, every 1s"."""
    return f"{gauge.value} of GET {gauge.get}, every {format_duration(gauge.every)}"
