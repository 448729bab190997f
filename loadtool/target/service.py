"""What the demo service does: its endpoints, and the work behind the gate. Knows no sockets."""

from __future__ import annotations

import json
import logging
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import trio

from loadtool.target.admission import Admission
from loadtool.target.breaker import BreakerPool, StoreShut
from loadtool.target.http import Request, Response, json_response
from loadtool.target.metrics import CONTENT_TYPE, metrics_text
from loadtool.target.pace import Pacer
from loadtool.target.pool import StoreError, StoreErrorKind, StorePool, StoreSlow, StoreUnreachable
from loadtool.target.settings import Settings
from loadtool.units import SECOND

_log = logging.getLogger(__name__)

_PAGE = """<!doctype html>
<title>loadtool demo service</title>
<h1>loadtool demo service</h1>
<p>A small shop to send load at: it has {slots} worker slots, a queue of {queue} and a store behind it.</p>
<ul>
<li>GET <a href="/products/1">/products/ID</a>: a slot, some work, one store call</li>
<li>POST /checkout (JSON): a slot, some work, two store calls</li>
<li>GET <a href="/hello">/hello</a>: neither slot nor store</li>
<li>GET <a href="/health">/health</a>, <a href="/health/store">/health/store</a>: never queued</li>
<li>GET <a href="/stats">/stats</a> (JSON), <a href="/metrics">/metrics</a> (Prometheus): slots in use, queue,
answers so far</li>
</ul>
"""


@dataclass(slots=True)
class Counts:
    """What has happened since the start."""

    answers: Counter[int] = field(default_factory=Counter)  # by status
    abandoned: int = 0  # requests whose work was cancelled because the client left
    store_errors: Counter[StoreErrorKind] = field(default_factory=Counter)


Handler = Callable[["Service", Request, str], Response | Awaitable[Response]]


class Service:
    """Answers requests; an `App` for connections. The clock is trio's."""

    def __init__(
        self,
        settings: Settings,
        store: StorePool,
        probe: StorePool,
        *,
        pacer: Pacer,
        more_stats: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        """`probe` is a pool of its own, so that a probe never waits behind the service's calls."""
        self.counts = Counts()
        self._settings = settings
        self._admission = Admission(settings)
        self._store = store
        self._probe = probe
        self._pacer = pacer
        self._more_stats = more_stats
        self._jitter = random.Random(settings.seed)
        self._orders = 0

    def __call__(self, request: Request) -> Response | Awaitable[Response]:
        answer = self._route(request)
        if isinstance(answer, Response):
            self.counts.answers[answer.status] += 1
        return answer

    def _route(self, request: Request) -> Response | Awaitable[Response]:
        path = unquote(request.target.partition("?")[0])
        for route in ROUTES:
            if (match := route.path.fullmatch(path)) is not None:
                method = "GET" if request.method == "HEAD" else request.method
                if (handler := route.handlers.get(method)) is None:
                    allowed = [*route.handlers, *(["HEAD"] if "GET" in route.handlers else [])]
                    problem = f"{request.method} is not allowed here"
                    return json_response(405, {"error": problem}, ("Allow", ", ".join(allowed)))
                return handler(self, request, match[1] if match.re.groups else "")
        return json_response(404, {"error": f"nothing at {path[:200]}"})

    # The endpoints that answer at once.

    def page(self, _request: Request, _: str) -> Response:
        queue = "any length" if self._settings.queue is None else self._settings.queue
        html = _PAGE.format(slots=self._settings.slots, queue=queue)
        return Response(200, html.encode(), content_type="text/html; charset=utf-8")

    def hello(self, _request: Request, _: str) -> Response:
        return json_response(200, {"status": "ok", "hello": "world"})

    def health(self, _request: Request, _: str) -> Response:
        return json_response(200, {"status": "ok"})

    def stats(self, _request: Request, _: str) -> Response:
        return json_response(200, self._stats())

    def metrics(self, _request: Request, _: str) -> Response:
        return Response(200, metrics_text(self._stats()).encode(), content_type=CONTENT_TYPE)

    def _stats(self) -> dict[str, Any]:
        counts, store = self.counts, self._store
        return {
            **self._admission.stats(),
            "answers": {str(status): n for status, n in sorted(counts.answers.items())},
            "abandoned": counts.abandoned,
            "store": {
                "address": store.address,
                "calls": store.calls,
                "errors": dict(counts.store_errors),
                "breaker": store.breaker.state if isinstance(store, BreakerPool) else None,
            },
            **self._more_stats(),
        }

    # The endpoints that take a while.

    def health_store(self, _request: Request, _: str) -> Awaitable[Response]:
        async def ask() -> Response:
            answer = await self._probe.ask(b"PING")
            return json_response(200, {"status": "ok", "store_ms": round(answer.took_s * 1000, 3)})

        return self._count(self._guarded(ask))

    def product(self, _request: Request, key: str) -> Response | Awaitable[Response]:
        async def work() -> Response:
            row = json.loads((await self._store.ask(f"GET product {key}".encode())).text)
            return json_response(200, {"status": "ok", "id": key, **row})

        return self._in_slot(work)

    def checkout(self, request: Request, _: str) -> Response | Awaitable[Response]:
        try:
            body = json.loads(request.body)
        except (ValueError, RecursionError) as e:
            problem = "nested too deep" if isinstance(e, RecursionError) else str(e)
            return json_response(400, {"error": f"the body is not JSON: {problem}"})

        async def work() -> Response:
            self._orders += 1
            order = f"{self._settings.seed:x}-{self._orders:06d}"
            await self._store.ask(f"RESERVE order {order}".encode())
            await self._store.ask(f"PUT order {order}".encode())
            return json_response(201, {"status": "ok", "order": order, "request": body})

        return self._in_slot(work)

    # How they take it.

    async def _count(self, answer: Coroutine[Any, Any, Response]) -> Response:
        try:
            response = await answer
        except trio.Cancelled:
            self.counts.abandoned += 1
            raise
        self.counts.answers[response.status] += 1
        return response

    def _in_slot(self, ask_store: Callable[[], Awaitable[Response]]) -> Response | Awaitable[Response]:
        """Work, then the store, while holding a slot: a slow store keeps it, and so eats capacity."""
        if (refusal := self._admission.refusal()) is not None:
            return refusal

        async def work() -> Response:
            await self._pacer.sleep(self._service_time_s())
            return await self._guarded(ask_store)

        return self._count(self._admission.admit(work))

    async def _guarded(self, work: Callable[[], Awaitable[Response]]) -> Response:
        """The work's answer, or an error answer in its place: a failing request must not end the service."""
        try:
            return await work()
        except StoreError as e:
            status, kind = next((s, k) for error, s, k in _STORE_ERRORS if isinstance(e, error))
            self.counts.store_errors[kind] += 1
            retry_after = self._admission.retry_after(e.retry_after_s) if e.retry_after_s else ()
            return json_response(status, {"error": str(e)}, *retry_after)
        except Exception:  # a mistake of ours, of whatever kind: the other requests go on
            _log.exception("a request failed")
            return json_response(500, {"error": "the demo service failed; its stderr says how"})

    def _service_time_s(self) -> float:
        jitter = self._settings.service_jitter
        return self._settings.service_time_ns / SECOND * self._jitter.uniform(1 - jitter, 1 + jitter)


_STORE_ERRORS: tuple[tuple[type[StoreError], int, StoreErrorKind], ...] = (
    (StoreShut, 503, "shut"),
    (StoreUnreachable, 502, "unreachable"),
    (StoreSlow, 504, "slow"),
    (StoreError, 502, "refused"),
)


@dataclass(frozen=True, slots=True)
class Route:
    """A path and its handlers by method; its first group, if any, is handed to the handler."""

    path: re.Pattern[str]
    handlers: Mapping[str, Handler]


ROUTES: tuple[Route, ...] = (
    Route(re.compile(r"/products/([\w-]{1,64})", re.ASCII), {"GET": Service.product}),
    Route(re.compile(r"/checkout"), {"POST": Service.checkout}),
    Route(re.compile(r"/hello"), {"GET": Service.hello}),
    Route(re.compile(r"/health"), {"GET": Service.health}),
    Route(re.compile(r"/health/store"), {"GET": Service.health_store}),
    Route(re.compile(r"/stats"), {"GET": Service.stats}),
    Route(re.compile(r"/metrics"), {"GET": Service.metrics}),
    Route(re.compile(r"/"), {"GET": Service.page}),
)
