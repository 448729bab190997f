"""Mix: the requests of a job, rendered for each arrival."""

from __future__ import annotations

import re
from typing import Final

from loadtool.plan.body import BODIES
from loadtool.plan.context import Context
from loadtool.plan.job import Job, RequestSpec
from loadtool.plan.message import Message
from loadtool.plan.ordinals import Ordinals
from loadtool.plan.replay import Replayed
from loadtool.plan.rows import Feeder
from loadtool.plan.template import HEADER, PATH, QUERY
from loadtool.plan.texts import Jinja, Named, RenderError, Texts

__all__ = ["Message", "Mix", "RenderError"]

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, §5.6.2


class Mix:
    """The requests of a job. Its `message` is for one thread; arrivals may come in any order."""

    def __init__(self, job: Job, *, fast: bool = True) -> None:
        """Compiles every request. `fast` False sends every template through Jinja.

        Raises RenderError for a text that is no template or has no place where it stands, ValueError for a
        feeder without rows.
        """
        ordinals = Ordinals(job)
        feeders = [
            Feeder(name, spec, job.seed, index, ordinals.slots[name])
            for index, (name, spec) in enumerate(job.rows)
            if name in ordinals.slots
        ]
        context = Context(job.seed, job.nonce, feeders)
        self._current = context.current
        jinja = Jinja(context, fast=fast)
        self._requests = [_Compiled(spec, Texts(spec.name, jinja)) for spec in job.requests]
        self._replayed = Replayed(job.replay) if job.replay is not None else None
        self._static = [
            None if compiled.leaves.functions else compiled.render() for compiled in self._requests
        ]

    @property
    def requests(self) -> int:
        """How many the job has."""
        return len(self._requests)

    @property
    def is_replayed(self) -> bool:
        """Whether recorded requests are sent, each with headers of its own."""
        return self._replayed is not None

    def is_static(self, request: int) -> bool:
        """Whether every arrival of this request has the same message."""
        return self._static[request] is not None and self._replayed is None

    def message(self, request: int, arrival: int, ordinal: int) -> Message:
        """The message of this arrival of the run; the same arguments give the same bytes.

        `ordinal` as in Batch. Raises RenderError if a template fails, a rendered header or path has a line
        break, or a feeder with `order: once` has no row left.
        """
        message = self._static[request]
        if message is None:
            self._current.begin(arrival, ordinal)
            message = self._requests[request].render()
        return message if self._replayed is None else self._replayed.over(message, ordinal)


class _Compiled:
    """One request: formats, and in `leaves` the functions whose values fill them."""

    def __init__(self, spec: RequestSpec, texts: Texts) -> None:
        self._name = spec.name
        self._method = spec.method
        self.leaves = texts.leaves
        self._path = self.leaves.format(texts.parts("path", spec.path, PATH))
        query: Named = []
        for name, value in spec.query:
            field = f"query.{name}"
            query += [(field, "&" if query else ""), *texts.parts(field, name, QUERY)]
            query += [(field, "="), *texts.parts(field, value, QUERY)]
        self._query = self.leaves.format(query)
        self._headers = []
        for name, value in spec.headers:
            field = f"headers.{name}"
            if _TOKEN.fullmatch(name) is None:
                raise RenderError(spec.name, field, f"got the name {name!r}, want letters, digits and dashes")
            self._headers.append((name, self.leaves.format(texts.parts(field, value, HEADER))))
        self._typed = any(name.lower() == "content-type" for name, _ in spec.headers)
        try:
            self._body = BODIES[spec.body_kind](spec, texts)
        except RenderError:
            raise
        except ValueError as e:
            raise RenderError(spec.name, spec.body_kind, str(e)) from e

    def render(self) -> Message:
        """The message of the context's current arrival. Raises RenderError."""
        done: list[str] = []
        try:
            for function in self.leaves.functions:
                done.append(function())  # noqa: PERF401 - how far it got tells which field failed
            values = tuple(done)
            target = self._target(values)
            headers = [(name, text.fill(values)) for name, text in self._headers]
            body, content_type = self._body(values) if self._body is not None else (b"", None)
        except RenderError:
            raise
        except Exception as e:  # a template is code of its own, and may raise anything
            field = self.leaves.fields[len(done)] if len(done) < len(self.leaves.fields) else "body"
            # Without its traceback, whose frames hold it: workers collect no cycles.
            raise RenderError(self._name, field, str(e) or type(e).__name__) from e.with_traceback(None)
        if content_type is not None and not self._typed:
            headers.append(("Content-Type", content_type))
        return Message(self._method, target, tuple(headers), body)

    def _target(self, values: tuple[str, ...]) -> str:
        target = self._path.fill(values)
        if not target.startswith("/") and not (self._method == "OPTIONS" and target == "*"):
            raise RenderError(
                self._name, "path", f"got {target or 'nothing'}, want a path that begins with /"
            )
        query = self._query.fill(values)
        if not query:
            return target
        joint = "?" if "?" not in target else "" if target.endswith(("?", "&")) else "&"
        return f"{target}{joint}{query}"
