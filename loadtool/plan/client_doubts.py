"""Doubts about `client:` and what it is told to send: see `plan/doubts.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil
from typing import TYPE_CHECKING, Final

from loadtool.plan.expect import CODINGS
from loadtool.plan.job import Job, RequestSpec
from loadtool.plan.places import Place
from loadtool.plan.retries import longest_ns, most_attempts
from loadtool.units import format_duration, format_rate

if TYPE_CHECKING:
    from loadtool.profile.load import Loaded

# Requests per second of one worker on a core of its own, as docs/transports.md has it; http1's is beyond
# most plans.
CEILINGS: Final[Mapping[str, int]] = {"httpx": 1000}


def client_doubts(job: Job, loaded: Loaded, peak_rate: float) -> Iterator[tuple[Place, str]]:
    """Each with its place. `peak_rate`: the highest of the plan, in arrivals/s."""
    yield from _transport(job, peak_rate)
    yield from _retries(job, peak_rate)
    yield from _tls(job)
    yield from _dials(job, peak_rate)
    yield from _reconnects(job, loaded)
    yield from _source(loaded)
    yield from _codings(job, loaded)


def _transport(job: Job, peak_rate: float) -> Iterator[tuple[Place, str]]:
    ceiling = CEILINGS.get(job.transport)
    if ceiling is not None and peak_rate > ceiling:
        message = (
            f"{job.transport} sends at most about {ceiling:,}/s per worker, each on a core of its own, and "
            f"{peak_rate:,.6g}/s are planned: past it arrivals leave late, and the run is invalid; want at "
            f"least {ceil(peak_rate / ceiling)} workers (--workers), or transport: http1 if it will do"
        )
        yield ("transport",), message


def _retries(job: Job, peak_rate: float) -> Iterator[tuple[Place, str]]:
    client = job.client
    retries = client.retries
    if retries is None:
        return
    place: Place = ("client", "retries")
    most = most_attempts(client)
    if retries.budget is None and most > 1:
        message = (
            f"without a budget {most} attempts at each arrival make {_about(peak_rate * most)} of the peak's "
            f"{_about(peak_rate)} while they fail, which keeps an overloaded service down; add budget: 10%"
        )
        yield place, message
    elif most == 1:
        message = "the first retry would come after the deadline of {}, so there is none; want a later one"
        yield ("client", "deadline"), message.format(format_duration(client.deadline_ns or 0))
    if client.deadline_ns is None:
        message = (
            f"without client.deadline an arrival may be under way for {format_duration(longest_ns(client))}, "
            "longer than most users wait, and a Retry-After is heeded up to then; add deadline"
        )
        yield place, message
    elif client.deadline_ns <= client.timeout_ns and "timeout" in retries.on:
        message = (
            f"{format_duration(client.deadline_ns)} leave no time for another attempt after a timeout of "
            f"{format_duration(client.timeout_ns)}; want a later deadline or a shorter timeout"
        )
        yield ("client", "deadline"), message


def _about(per_s: float) -> str:
    return f"{per_s:,.6g}/s"


def _tls(job: Job) -> Iterator[tuple[Place, str]]:
    tls = job.client.tls
    if not tls.verify:
        unread = ", and `ca` is not looked at" if tls.ca is not None else ""
        message = f"the target's certificate is not checked, so anyone may answer in its place{unread}"
        remedy = "" if tls.ca is not None else "; a private authority can be trusted with `ca`"
        yield ("client", "tls", "verify"), message + remedy


def _dials(job: Job, peak_rate: float) -> Iterator[tuple[Place, str]]:
    client = job.client
    if client.dials_per_s is not None and not client.keepalive and client.dials_per_s < peak_rate:
        bound, peak = format_rate(client.dials_per_s), f"{peak_rate:,.6g}/s"
        message = (
            f"without keepalive each arrival needs a connection of its own, and {bound} are fewer than the "
            f"{peak} of the peak: the rest queue here, and the wait counts"
        )
        yield ("client", "connections", "per_second"), message


def _reconnects(job: Job, loaded: Loaded) -> Iterator[tuple[Place, str]]:
    client = job.client
    place: Place = ("client", "reconnect")
    if client.reconnect_ns and not client.keepalive:
        yield place, "without keepalive each request has a connection of its own, so none is left to reopen"
    elif 0 in client.reconnect_ns:
        phases = loaded.profile.phases
        moment = next(moment for moment in loaded.reconnects if moment.since_start(phases) == 0)
        yield place, f"{moment}: no connection is open when the run begins; want a later moment"


def _source(loaded: Loaded) -> Iterator[tuple[Place, str]]:
    front = next((name for name, p in loaded.profile.proxies.items() if p.upstream == "target"), None)
    if loaded.profile.client.source and front is not None:
        message = f"the load goes through proxy {front}, so the target sees the address of that proxy"
        yield ("client", "source"), f"{message}; leave one of the two out"


def _codings(job: Job, loaded: Loaded) -> Iterator[tuple[Place, str]]:
    """Bodies that `expect` would see coded."""
    for i, request in enumerate(job.requests):
        if not (request.expect.contains or request.expect.matches):
            continue
        for name, value in request.headers:
            if name.lower() != "accept-encoding" or not (foreign := _not_decoded(value)):
                continue
            own = name in loaded.profile.requests[i].headers
            place: Place = ("requests", i, "headers", name) if own else ("headers", name)
            yield place, _coded(request, foreign)


def _coded(request: RequestSpec, foreign: list[str]) -> str:
    known = ", ".join(c for c in CODINGS if c != "x-gzip")
    return (
        f"{', '.join(foreign)} can't be decoded, and an answer so coded fails what {request.name} expects of "
        f"its body; accept {known} alone"
    )


def _not_decoded(value: str) -> list[str]:
    """The codings that this Accept-Encoding accepts and that are not undone; none if it is a template."""
    if "{{" in value or "{%" in value:
        return []
    found = []
    for part in value.split(","):
        coding, _, parameters = part.partition(";")
        name, weight = coding.strip().lower(), parameters.replace(" ", "").lower()
        refused = weight.startswith("q=0") and not weight.removeprefix("q=").strip("0.")
        if name and name not in CODINGS and not refused:
            found.append(name)
    return found
