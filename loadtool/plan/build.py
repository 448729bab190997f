"""Job of a checked profile, with what lies on disk read, and what a worker could stumble over tried out."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from math import ceil
from mimetypes import MimeTypes
from typing import TYPE_CHECKING, Any, Final

from loadtool.errors import Mistake, ProfileError, got
from loadtool.plan.axis import Axis, slice_width, spans_of
from loadtool.plan.checks import feeder_problems, render_problems, too_many_arrivals
from loadtool.plan.client import client_of
from loadtool.plan.endpoint import endpoint_of
from loadtool.plan.job import (
    Endpoint,
    ExpectSpec,
    FaultWindow,
    FilePart,
    Job,
    PhaseSpec,
    ReplaySpec,
    RequestSpec,
    RowsSpec,
)
from loadtool.plan.ordinals import check_feeders
from loadtool.plan.places import Place, mistake
from loadtool.plan.replay import copies_in_all, mean_rates, pack
from loadtool.profile.moment import run_length, windows
from loadtool.profile.slo import good_within

if TYPE_CHECKING:
    from loadtool.profile.load import Loaded
    from loadtool.profile.model import Arrivals, Fault, Phase, Profile, Request

__all__ = ["axis_of", "build_job", "check_feeders", "endpoint_of"]

_TYPES: Final = MimeTypes()  # its own table, not the machine's: the same everywhere


def build_job(
    loaded: Loaded, *, endpoint: Endpoint, nonce: str = "", clock: Callable[[], int] | None = None
) -> Job:
    """The job of this profile against this endpoint.

    `nonce`: with another one, `uuid()` gives other values though the seed is the same; nothing else changes.
    `clock`, in ns: templates are tried for half a second at most; without it, however long it takes.
    Raises ProfileError with everything that is wrong: a schedule beyond counting, a file that can't be read,
    a request that can't be rendered, a feeder that runs out of rows.
    """
    return _Builder(loaded).job(endpoint, nonce, clock)


class _Builder:
    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._profile: Profile = loaded.profile
        self._mistakes: list[Mistake] = []

    def job(self, endpoint: Endpoint, nonce: str, clock: Callable[[], int] | None) -> Job:
        profile = self._profile
        end = run_length(profile.phases)
        replay = self._replay(end)
        job = Job(
            seed=profile.seed,
            arrivals=profile.arrivals.process,
            phases=tuple(self._phases(replay)),
            faults=_faults(profile, self._loaded.timed_faults()),
            requests=tuple(self._requests(endpoint)),
            rows=tuple(
                (name, RowsSpec(source.order, *self._loaded.rows[name]))
                for name, source in profile.data.items()
                if name in self._loaded.rows  # else its file's name waits for `setup:`
            ),
            endpoint=endpoint,
            client=client_of(self._loaded),
            good_within_ns=good_within(profile, self._loaded.slos),
            slice_ns=slice_width(end),
            transport=profile.transport,
            secrets=self._loaded.secrets.values,
            replay=replay,
            nonce=nonce,
        )
        if (message := too_many_arrivals(job)) is not None:
            self._note(("phases",), message)
        self._fail_if_mistaken()
        if not self._loaded.pending:  # stand-ins would be tried
            for index, error in render_problems(job, clock):
                self._note(self._place_of(index, error.field), error.reason)
            self._fail_if_mistaken()
            for name, message in feeder_problems(job):
                self._note(("data", name), message)
            self._fail_if_mistaken()
        return job

    def _note(self, place: Place, message: str) -> None:
        self._mistakes.append(mistake(self._loaded, place, message))

    def _fail_if_mistaken(self) -> None:
        if self._mistakes:
            raise ProfileError(self._mistakes)

    def _replay(self, end_ns: int) -> ReplaySpec | None:
        recording, replay = self._loaded.recording, self._profile.replay
        if recording is None or replay is None:
            return None
        spec = pack(recording, replay.speed, replay.scale, self._profile.seed, end_ns, slice_width(end_ns))
        if copies_in_all(spec) == 0 and not self._loaded.pending:  # the phases may yet be longer
            want = f"at least {ceil(10_000 / spec.size) / 10_000:g}: of {spec.size:,} recorded, none is sent"
            self._note(("replay", "scale"), got(f"{replay.scale:g}", want))
        return spec

    def _phases(self, replay: ReplaySpec | None) -> Iterator[PhaseSpec]:
        """Those of a replay have the mean rate of what is sent in them."""
        profile = self._profile
        ends = list(accumulate(phase.for_ for phase in profile.phases))
        rates = (
            mean_rates(replay, ends)
            if replay is not None
            else [phase.rate or 0.0 for phase in profile.phases]
        )
        for phase, rate in zip(profile.phases, rates, strict=True):
            yield _phase(phase, rate, phase.arrivals or profile.arrivals)

    def _requests(self, endpoint: Endpoint) -> Iterator[RequestSpec]:
        profile = self._profile
        for i, request in enumerate(profile.requests):
            yield self._request(i, request, endpoint)
        recording, replay = self._loaded.recording, profile.replay
        if recording is None or replay is None:
            return
        headers = {name.lower(): (name, value) for name, value in profile.headers.items()}
        if endpoint.authorization:
            headers.setdefault("authorization", ("Authorization", endpoint.authorization))
        expect = ExpectSpec(replay.expect.status, replay.expect.contains, replay.expect.matches)
        for named in recording.names:
            # Its path is each recorded request's own.
            yield RequestSpec(
                name=named.name,
                weight=float(named.requests),
                method=named.method,
                path="/",
                headers=tuple(headers.values()),
                expect=expect,
            )

    def _place_of(self, index: int, field: str) -> Place:
        """Where in the profile this field of this request stands."""
        part, _, name = field.partition(".")
        if self._profile.replay is not None:
            return ("headers", name) if part == "headers" else ("replay",)
        request = self._profile.requests[index]
        if part == "path":
            return "requests", index, request.method.lower()
        if part == "headers" and name.lower() not in {own.lower() for own in request.headers}:
            return "headers", name
        if part in ("headers", "query", "form", "multipart") and name:
            return "requests", index, part, name
        if field.startswith("json"):
            return _json_place(request.json_body, "json", ("requests", index, "json"), field)
        return "requests", index, part

    def _request(self, index: int, request: Request, endpoint: Endpoint) -> RequestSpec:
        headers = {name.lower(): (name, value) for name, value in self._profile.headers.items()}
        for name, value in request.headers.items():
            headers[name.lower()] = (name, value)
        if endpoint.authorization:
            headers.setdefault("authorization", ("Authorization", endpoint.authorization))
        kind, body = _body(request)
        return RequestSpec(
            name=request.name,
            weight=request.weight,
            method=request.method,
            path=request.path,
            query=tuple(_pairs(request.query)),
            headers=tuple(headers.values()),
            body_kind=kind,
            body=body,
            files=tuple(self._files(index, request)),
            expect=ExpectSpec(request.expect.status, request.expect.contains, request.expect.matches),
        )

    def _files(self, index: int, request: Request) -> Iterator[FilePart]:
        for name, part in (request.multipart or {}).items():
            if isinstance(part, str):
                continue
            path = self._loaded.directory / part["file"]
            try:
                content = path.read_bytes()
            except (OSError, ValueError) as e:
                if not self._loaded.pending:
                    reason = (isinstance(e, OSError) and e.strerror) or str(e)
                    message = f"{got(part['file'], 'a file that can be read')}: {reason}"
                    self._note(("requests", index, "multipart", name, "file"), message)
                continue
            filename = part.get("filename", path.name)
            kind = part.get("type") or _TYPES.guess_type(filename)[0] or "application/octet-stream"
            yield FilePart(name, filename, kind, base64.b64encode(content).decode())


def axis_of(profile: Profile) -> Axis:
    """The phases and planned faults of a profile that replays nothing."""
    spans = spans_of([_phase(p, p.rate or 0.0, p.arrivals or profile.arrivals) for p in profile.phases])
    pieces = tuple(piece for span in spans for piece in span.pieces)
    return Axis(spans, _faults(profile, profile.faults), spans[-1].end_ns, pieces)


def _faults(profile: Profile, faults: Iterable[Fault]) -> tuple[FaultWindow, ...]:
    end = run_length(profile.phases)
    return tuple(
        FaultWindow(fault.name, start, min(stop, end), fault.ramp or 0)
        for fault in faults
        for start, stop in windows(fault, profile.phases)
    )


def _phase(phase: Phase, rate: float, arrivals: Arrivals) -> PhaseSpec:
    burst = arrivals.burst
    return PhaseSpec(
        name=phase.name,
        role=phase.role,
        rate=rate,
        for_ns=phase.for_,
        ramp_ns=phase.ramp or 0,
        double_every_ns=phase.double_every or 0,
        process=arrivals.process if phase.arrivals is not None else "",
        burst_on_ns=burst.on if burst is not None else 0,
        burst_off_ns=burst.off if burst is not None else 0,
        batch=arrivals.batch,
    )


def _body(request: Request) -> tuple[str, object]:
    """Kind and content of the request's body, as plain JSON values."""
    if request.json_body is not None:
        return "json", json.loads(json.dumps(request.json_body))
    if request.form is not None:
        return "form", [list(pair) for pair in _pairs(request.form)]
    if request.raw is not None:
        return "raw", request.raw
    if request.multipart is not None:
        return "multipart", [
            [name, text] for name, text in request.multipart.items() if isinstance(text, str)
        ]
    return "none", None


def _json_place(node: object, field: str, place: Place, wanted: str) -> Place:
    """Where in a JSON body this field stands; if it is a key, the value around it."""
    if isinstance(node, dict):
        inner = [(f"{field}.{key}", (*place, key), value) for key, value in node.items()]
    elif isinstance(node, list):
        inner = [(f"{field}[{i}]", (*place, i), value) for i, value in enumerate(node)]
    else:
        return place
    for name, where, value in inner:
        if wanted == name or wanted.startswith((f"{name}.", f"{name}[")):
            return _json_place(value, name, where, wanted)
    return place


def _pairs(fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and texts; a list repeats its name."""
    for name, value in fields.items():
        for text in (value,) if isinstance(value, str) else value:
            yield name, text
