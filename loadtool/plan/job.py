"""Job: everything that a worker needs to know, as plain data that travels as JSON.

The coordinator makes one from a checked Profile (`plan/build.py`); workers never see the YAML, the profile
models or the disk. Times are integer nanoseconds from the run's start, or lengths in nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})  # RFC 9110, 9.2.2


@dataclass(frozen=True, slots=True)
class PhaseSpec:
    """A stretch of the schedule. `rate` in arrivals/s; see `plan/shape.py` for what ramp and doubling do.

    Arrivals come in bursts (`plan/bursts.py`) if `burst_on_ns` is above 0, and `batch` at the same instant.
    """

    name: str
    role: str
    rate: float
    for_ns: int
    ramp_ns: int = 0
    double_every_ns: int = 0
    process: str = ""  # of its arrivals; empty: the job's
    burst_on_ns: int = 0
    burst_off_ns: int = 0
    batch: int = 1


@dataclass(frozen=True, slots=True)
class FaultWindow:
    """When a fault is planned to be active: [start_ns, end_ns). One that is repeated has several.

    It grows to its full strength over the first `ramp_ns`.
    """

    name: str
    start_ns: int
    end_ns: int
    ramp_ns: int = 0


@dataclass(frozen=True, slots=True)
class ExpectSpec:
    status: tuple[int, ...] = ()  # empty: 200 to 399
    contains: tuple[str, ...] = ()
    matches: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file of a multipart body, read by the coordinator."""

    field: str
    filename: str
    content_type: str
    content_base64: str


@dataclass(frozen=True, slots=True)
class RequestSpec:
    """One kind of request; every text but its name and header names may be a template."""

    name: str
    weight: float
    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()  # the profile's common headers already merged in
    body_kind: str = "none"  # none, json, form, raw or multipart
    body: object = None  # json: any JSON value; form, multipart: list of [name, text]; raw: text
    files: tuple[FilePart, ...] = ()
    expect: ExpectSpec = ExpectSpec()

    @property
    def repeatable(self) -> bool:
        """Whether clients may send it again by themselves, though it may have been worked on."""
        return self.method in IDEMPOTENT


@dataclass(frozen=True, slots=True)
class RowsSpec:
    """A feeder's rows, in file order."""

    order: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go. `host`/`port` are dialled; `authority` is the Host header, `server_name` the SNI.

    A unix-domain socket has its path as `host` and port 0.
    """

    scheme: str  # http or https
    host: str
    port: int
    authority: str
    server_name: str
    base_path: str = ""  # path of the target's URL, without a trailing slash; goes before each request's path
    authorization: str = ""  # from the URL's userinfo; build_job puts it into the requests that have none


@dataclass(frozen=True, slots=True)
class TlsSpec:
    """How the target's certificate is checked, and which one is shown to it. PEM texts, not paths."""

    verify: bool = True
    ca: str | None = None  # instead of the system's authorities
    cert: str | None = field(default=None, repr=False)  # chain, and its key in it or below, for mutual TLS
    key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ProxySpec:
    """An HTTP proxy between the workers and the target. `user` and `password` are empty without."""

    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class BudgetSpec:
    """What bounds retries, a total of the run: a share of the arrivals, or `tokens` if there are any.

    `min_per_s`: retries a second besides the share. `ratio`: tokens that a success puts back.
    """

    share: float = 0.0
    min_per_s: float = 0.0
    tokens: float = 0.0
    ratio: float = 0.0


@dataclass(frozen=True, slots=True)
class RetrySpec:
    """How an arrival is tried again: at most `max` times, after outcomes `on`."""

    policy: str  # a row of plan/backoff.py
    max: int
    base_ns: int
    cap_ns: int
    on: tuple[str, ...]
    obey: bool  # wait at least as long as a Retry-After asks for
    budget: BudgetSpec | None = None


@dataclass(frozen=True, slots=True)
class ThrottleSpec:
    """Adaptive throttling: hold back once there are `k` times more requests than accepted ones."""

    k: float
    window_ns: int


@dataclass(frozen=True, slots=True)
class ClientSpec:
    timeout_ns: int
    deadline_ns: int | None
    connections: int  # a total of the run, shared out among the workers
    keepalive: bool
    shed: tuple[int, ...]
    dials_per_s: float | None = None  # new connections per second, a total of the run; None: no bound
    reconnect_ns: tuple[int, ...] = ()  # when all connections are closed and opened again
    source: tuple[str, ...] = ()  # local addresses that connections leave from, in turn
    tls: TlsSpec = TlsSpec()
    http2: bool = False  # transport httpx only, as is the next one
    proxy: ProxySpec | None = None
    retries: RetrySpec | None = None  # None: nothing is tried again
    throttle: ThrottleSpec | None = None
    trace: bool = False  # a traceparent header on each attempt

    @property
    def patience_ns(self) -> int:
        """How long a first attempt waits, from when it is due."""
        return self.timeout_ns if self.deadline_ns is None else min(self.timeout_ns, self.deadline_ns)


@dataclass(frozen=True, slots=True)
class ReplayBlock:
    """Consecutive recorded requests: `columns` and `texts_size` texts, as `plan/replay.py` packs them."""

    size: int
    texts_size: int
    columns: str = field(repr=False)
    texts: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReplaySpec:
    """Recorded requests to send instead of the mix, in the run's own time. `end_ns`: up to when the last ones
    may be spread.
    """

    blocks: tuple[ReplayBlock, ...] = field(repr=False)
    size: int  # recorded requests in all blocks
    scale: tuple[int, int]  # arrivals for each of them, as a fraction
    seed: int
    end_ns: int
    bin_ns: int
    counts: tuple[int, ...] = field(repr=False)  # recorded requests by bin of the run


@dataclass(frozen=True, slots=True)
class Job:
    seed: int
    arrivals: str  # constant or poisson, where the phase has none of its own
    phases: tuple[PhaseSpec, ...]
    faults: tuple[FaultWindow, ...]
    requests: tuple[RequestSpec, ...]
    rows: tuple[tuple[str, RowsSpec], ...]
    endpoint: Endpoint
    client: ClientSpec
    good_within_ns: int
    slice_ns: int
    secrets: tuple[str, ...] = ()  # values to mask in examples
    transport: str = "http1"  # a row of engine/transports.py
    replay: ReplaySpec | None = None
    nonce: str = ""  # makes uuid() of this run differ from that of another with the same seed
    allow_hosts: tuple[str, ...] = ()  # beyond loopback and private addresses
    planned_ns: int | None = (
        None  # the profile's own load, if more follows it: that is counted, not described
    )

    @property
    def peer(self) -> tuple[str, int]:
        """Host and port that connections go to: the HTTP proxy's, if there is one, else the target's."""
        near = self.client.proxy or self.endpoint
        return near.host, near.port
