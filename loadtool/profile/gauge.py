"""A figure of the service that is read beside the load: an item of the profile's `probes:`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, TypeAdapter, WithJsonSchema

from loadtool import units
from loadtool.errors import got
from loadtool.profile import fields
from loadtool.profile.base import Model

LEAST_EVERY = 100 * units.MILLISECOND


def _every(value: object) -> int:
    every = units.parse_duration(value)
    if every < LEAST_EVERY:
        raise ValueError(got(units.format_duration(every), "at least 100ms"))
    return every


Every = Annotated[
    int,
    BeforeValidator(_every),
    PlainSerializer(units.format_duration),
    WithJsonSchema(TypeAdapter(fields.PositiveDuration).json_schema()),
]


class Gauge(Model):
    """What is read, where and how often."""

    name: fields.Line
    get: fields.Page  # path of the target, or a URL
    value: fields.Line  # a metric of Prometheus text, or the dotted path of a number in JSON
    every: Every = units.SECOND
