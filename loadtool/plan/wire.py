"""Job to JSON and back, exactly. Only what the dataclasses of `plan/job.py` say is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from loadtool.plan.job import Job


def job_to_json(job: Job) -> str:
    """The job as one line of JSON."""
    return json.dumps(job, default=_fields_of, separators=(",", ":"))


def job_from_json(text: str | bytes) -> Job:
    """The job that `job_to_json` wrote. Raises ValueError for anything else."""
    try:
        job = _reader(Job)(json.loads(text))
    except (TypeError, KeyError, AttributeError) as e:
        raise ValueError(f"not a job: {e}") from e
    if not isinstance(job, Job):
        raise ValueError("not a job: nothing")
    return job


def _fields_of(value: object) -> object:
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} does not travel")


@cache
def _reader(hint: Any) -> Callable[[Any], Any]:
    """The function that makes a value of this type from what JSON made of it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        readers = {name: _reader(inner) for name, inner in get_type_hints(hint).items()}

        def read_fields(value: Any) -> Any:
            return hint(**{name: readers[name](inner) for name, inner in value.items()})

        return read_fields
    if origin is UnionType and NoneType in arguments:
        (inner,) = (a for a in arguments if a is not NoneType)
        read = _reader(inner)
        return lambda value: None if value is None else read(value)
    if origin is tuple and arguments[1:] == (...,):
        if arguments[0] is object:
            return tuple
        each = _reader(arguments[0])
        return lambda value: tuple(map(each, value))
    if origin is tuple:
        readers_of = [_reader(a) for a in arguments]
        return lambda value: tuple(read(inner) for read, inner in zip(readers_of, value, strict=True))
    if hint is object:
        return lambda value: value

    def read_plain(value: Any) -> Any:
        if type(value) is not hint:
            raise TypeError(f"got {value!r}, want {hint.__name__}")
        return value

    return read_plain
