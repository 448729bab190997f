"""The profile as a tree of frozen pydantic models; field names are the keys of docs/profile.md.

Quantities arrive as text ("50/s", "250ms", "64KB", "10%") and are kept as numbers: rates in arrivals per
second (float), durations in nanoseconds (int), sizes in bytes (int), shares from 0 to 1 (float).
`model_dump(mode="json", by_alias=True, exclude_none=True)` writes them as text again, so that a dump is
itself a profile.

A model holds single values to their rules. What ties values together (references, exactly one of several
keys) is `profile/rules.py`'s business, since a profile's mistakes are told all at once.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from loadtool import units
from loadtool.profile import fields, toxics
from loadtool.profile.base import Model as Model
from loadtool.profile.demo import Demo
from loadtool.profile.gauge import Gauge
from loadtool.profile.readers import budget_or_none, one_of

Role = Literal["warmup", "baseline", "spike", "recovery"]
ROLES: tuple[Role, ...] = ("warmup", "baseline", "spike", "recovery")
Process = Literal["constant", "poisson"]
PROCESSES: tuple[Process, ...] = ("constant", "poisson")
LogFormat = Literal["combined", "json", "csv"]
LOG_FORMATS: tuple[LogFormat, ...] = ("combined", "json", "csv")
Transport = Literal["http1", "httpx"]
TRANSPORTS: tuple[Transport, ...] = ("http1", "httpx")
Policy = Literal["none", "immediate", "exponential", "full-jitter", "decorrelated-jitter"]
POLICIES: tuple[Policy, ...] = ("none", "immediate", "exponential", "full-jitter", "decorrelated-jitter")
ThrottlePolicy = Literal["none", "adaptive"]
THROTTLES: tuple[ThrottlePolicy, ...] = ("none", "adaptive")
RetryAfter = Literal["obey", "ignore"]
RETRY_AFTERS: tuple[RetryAfter, ...] = ("obey", "ignore")
METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
BODIES = ("json", "form", "raw", "multipart")


class WaitFor(Model):
    """Do not start before this path answers with 2xx."""

    get: fields.Path
    up_to: fields.PositiveDuration = units.MINUTE


class Expect(Model):
    """What an answer must be to count as ok; without `status`, 200 to 399."""

    status: fields.Statuses = ()
    contains: fields.Contains = ()
    matches: fields.Matches = ()  # regular expressions, searched in the body


class Request(Model):
    """One kind of request of the mix. Exactly one of the methods; at most one of the bodies."""

    name: fields.Line
    weight: fields.Weight = 1.0
    get: fields.Path | None = None
    head: fields.Path | None = None
    post: fields.Path | None = None
    put: fields.Path | None = None
    patch: fields.Path | None = None
    delete: fields.Path | None = None
    options: fields.Path | None = None
    query: fields.Fields = Field(default={})  # a tuple repeats the parameter
    headers: fields.Headers = Field(default={})
    json_body: fields.Json = Field(default=None, alias="json")
    form: fields.Fields | None = None
    raw: fields.Text | None = None
    multipart: fields.Parts | None = None  # text, or {file, type, filename}, the file relative to the profile
    expect: Expect = Expect()

    @property
    def method(self) -> str:
        return next(m.upper() for m in METHODS if getattr(self, m) is not None)

    @property
    def path(self) -> str:
        return str(getattr(self, self.method.lower()))


class DataSource(Model):
    """A feeder: rows for the templates, from a CSV or JSONL file beside the profile."""

    file: fields.Line
    order: Annotated[
        Literal["cycle", "shuffle", "once"], BeforeValidator(one_of("cycle", "shuffle", "once"))
    ] = "cycle"

    @model_validator(mode="before")
    @classmethod
    def _file_alone(cls, data: object) -> object:
        return {"file": data} if isinstance(data, str) else data


class Replay(Model):
    """Recorded requests to send, instead of `requests` at the phases' rates."""

    file: fields.Line
    format: Annotated[LogFormat, BeforeValidator(one_of(*LOG_FORMATS))] = "combined"
    speed: fields.Factor = 1.0  # of time: 2 takes half as long
    scale: fields.Factor = 1.0  # of number: 10 sends each recorded request ten times
    # What a JSON or CSV log calls time, method, path and so on.
    field_names: fields.LogFields = Field(default={}, alias="fields")
    bodies: dict[str, fields.Text] = Field(
        default={}
    )  # by request name or method, for requests without a recorded one
    broken: fields.Share = 0.01  # most lines that may be broken
    expect: Expect = Expect()

    @model_validator(mode="before")
    @classmethod
    def _file_alone(cls, data: object) -> object:
        return {"file": data} if isinstance(data, str) else data


class Burst(Model):
    """Arrivals come for `on`, then none for `off`, again and again; the mean rate is kept."""

    on: fields.PositiveDuration
    off: fields.PositiveDuration


class Arrivals(Model):
    """How arrivals are spread in time."""

    process: Annotated[Process, BeforeValidator(one_of(*PROCESSES))] = "poisson"
    burst: Burst | None = None
    batch: fields.Batch = 1  # arrivals due at the same instant; the mean rate is kept

    @model_validator(mode="before")
    @classmethod
    def _process_alone(cls, data: object) -> object:
        return data if isinstance(data, dict) else {"process": data}

    @model_serializer(mode="wrap")
    def _plain(self, handler: SerializerFunctionWrapHandler) -> Any:
        return self.process if self.burst is None and self.batch == 1 else handler(self)


class Phase(Model):
    """A named stretch of the schedule."""

    name: fields.Name
    rate: fields.Rate | None = None  # missing with `replay` alone
    for_: fields.PositiveDuration = Field(alias="for")
    ramp: fields.PositiveDuration | None = None  # linear from the rate before, inside `for`
    double_every: fields.PositiveDuration | None = None  # rate doubles every so long, from `rate`
    arrivals: Arrivals | None = None  # default: the profile's
    role_: Annotated[Role, BeforeValidator(one_of(*ROLES))] | None = Field(default=None, alias="role")

    @property
    def role(self) -> Role:
        """`role:`, else the phase's name if it is one of the four, else baseline."""
        if self.role_ is not None:
            return self.role_
        return next((r for r in ROLES if r == self.name), "baseline")


class Connections(Model):
    """How many connections at a time, and how fast new ones are opened. Totals of the run."""

    max: fields.Connections = 1000
    per_second: fields.DialRate | None = None

    @model_validator(mode="before")
    @classmethod
    def _number_alone(cls, data: object) -> object:
        return data if isinstance(data, dict) else {"max": data}

    @model_serializer(mode="wrap")
    def _plain(self, handler: SerializerFunctionWrapHandler) -> Any:
        return self.max if self.per_second is None else handler(self)


class Tls(Model):
    """How the target's certificate is checked, and which one is shown to it. Files are PEM."""

    ca: fields.Line | None = None  # instead of the system's authorities
    cert: fields.Line | None = None  # the chain, for mutual TLS; may have its key in it
    key: fields.Line | None = None
    verify: fields.Flag = True


class Budget(Model):
    """What bounds retries in the whole run. Exactly one of `share` and `tokens`."""

    share: fields.PositiveShare | None = None  # retries ÷ arrivals, over ten seconds
    min: fields.Rate | None = None  # of share: retries allowed besides; default 1/s
    tokens: fields.Tokens | None = None
    ratio: fields.TokenRatio | None = None  # of tokens: what a success puts back; default 0.1

    @model_validator(mode="before")
    @classmethod
    def _share_alone(cls, data: object) -> object:
        return data if isinstance(data, dict) else {"share": data}

    @model_serializer(mode="wrap")
    def _plain(self, handler: SerializerFunctionWrapHandler) -> Any:
        dump = handler(self)
        return dump["share"] if self.share is not None and self.min is None else dump


class Retries(Model):
    """How a request that came to nothing is sent again."""

    policy: Annotated[Policy, BeforeValidator(one_of(*POLICIES))]
    max: fields.Attempts = 3  # after the first attempt
    base: fields.PositiveDuration = 100 * units.MILLISECOND
    cap: fields.PositiveDuration = 2 * units.SECOND
    on: fields.Retriable = ("shed", "timeout", "unsent", "connect", "reset")
    budget: Annotated[Budget | None, BeforeValidator(budget_or_none)] = None
    retry_after: Annotated[RetryAfter, BeforeValidator(one_of(*RETRY_AFTERS))] = "obey"

    @model_validator(mode="before")
    @classmethod
    def _policy_alone(cls, data: object) -> object:
        return data if isinstance(data, dict) else {"policy": data}


class Throttle(Model):
    """Whether clients hold back by themselves while the service turns most of them away."""

    policy: Annotated[ThrottlePolicy, BeforeValidator(one_of(*THROTTLES))] = "adaptive"
    k: fields.Multiple = 2.0
    window: fields.PositiveDuration | None = None  # default: a tenth of the run, from 1s to 2m

    @model_validator(mode="before")
    @classmethod
    def _policy_alone(cls, data: object) -> object:
        return data if isinstance(data, dict) else {"policy": data}


class Client(Model):
    """How requests are sent."""

    timeout: fields.PositiveDuration = 10 * units.SECOND  # per attempt, from when it was due
    deadline: fields.PositiveDuration | None = None  # per arrival
    connections: Connections = Connections()
    keepalive: fields.Flag = True
    reconnect: fields.Moments = ()  # when all connections are closed and opened again
    source: fields.Sources = ()  # local addresses that connections leave from, in turn
    tls: Tls | None = None
    http2: fields.Flag = False  # this and the next one with transport httpx only
    proxy: fields.ProxyUrl | None = None
    shed: fields.Sheds = (429, 503)
    retries: Retries | None = None
    throttle: Throttle | None = None
    trace: fields.Flag = False  # a traceparent header on each attempt


class Proxy(Model):
    """A Toxiproxy proxy: made by the run (upstream), or one that the service is wired to (existing)."""

    upstream: fields.Upstream | None = None  # HOST:PORT as the server sees it, or `target`, or `demo.store`
    listen: fields.Listen | None = None  # default 127.0.0.1:0
    existing: fields.Line | None = None


class Check(Model):
    """Something that holds while the service is well. Exactly one of `get` and `tcp`."""

    name: fields.Line
    get: fields.Page | None = None  # path of the target, or a URL
    tcp: fields.Address | None = None  # HOST:PORT that takes connections
    status: fields.Statuses = ()  # empty: 200 to 299
    within: fields.PositiveDuration | None = None  # a later answer is a failure

    @model_serializer(mode="wrap")
    def _plain(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dump: dict[str, Any] = handler(self)
        if not self.status:
            del dump["status"]
        return dump


class Fault(Model):
    """Something done for a while. Exactly one of a toxic on a proxy, a proxy put `down`, and a command."""

    name: fields.Name
    at: fields.At = Field(min_length=1)  # each a phase, phase+offset, or an offset from the start
    for_: fields.PositiveDuration | None = Field(default=None, alias="for")
    until: fields.Until | None = None  # default: the end of the run
    every: fields.PositiveDuration | None = None  # from one beginning to the next, up to `until`
    proxy: fields.Name | None = None  # of toxic and down
    run: fields.Command | None = None
    undo: fields.Command | None = None  # takes back what `run` did
    toxic: Annotated[str, BeforeValidator(one_of(*toxics.TOXICS))] | None = None
    down: fields.Flag = False
    stream: Annotated[
        Literal["downstream", "upstream"], BeforeValidator(one_of("downstream", "upstream"))
    ] = "downstream"
    toxicity: fields.Share = 1.0
    ramp: fields.PositiveDuration | None = None  # the attributes grow to their values over so long
    attributes: dict[str, int] = Field(
        default={}
    )  # in Toxiproxy's own units, from the keys of the toxic's table row

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, data: object) -> object:
        toxic = data.get("toxic") if isinstance(data, dict) else None
        if not isinstance(data, dict) or not isinstance(toxic, str) or toxic not in toxics.TOXICS:
            return data
        if "attributes" in data:
            return data
        attributes, flaws = toxics.collect(toxic, data)
        if flaws:
            raise ValueError(": ".join(flaws[0]))
        return {k: v for k, v in data.items() if k not in attributes} | {"attributes": attributes}

    @model_serializer(mode="wrap")
    def _flat(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dump: dict[str, Any] = handler(self)
        dump.pop("attributes", None)
        if self.toxic is None:
            del dump["stream"], dump["toxicity"]
        if not self.down:
            del dump["down"]
        return dump if self.toxic is None else dump | toxics.as_written(self.toxic, self.attributes)


class Validity(Model):
    """When a run may not be trusted: send lag past this, at p99 or a higher quantile that an SLO uses."""

    lag: fields.PositiveDuration = 10 * units.MILLISECOND


class Objective(Model):
    """An SLO that may end the run, as a mapping; kept as the text that says the same."""

    slo: fields.Line
    abort: fields.Flag = False
    after: fields.PositiveDuration | None = None

    @model_validator(mode="after")
    def _of_an_abort(self) -> Objective:
        if self.after is not None and not self.abort:
            raise ValueError("after needs abort: true")
        return self

    def __str__(self) -> str:
        if not self.abort:
            return self.slo
        return f"{self.slo} abort" + (f" after {units.format_duration(self.after)}" if self.after else "")


class Profile(Model):
    """A checked profile: every reference in it resolves, every SLO parses."""

    name: fields.Line
    target: fields.Target
    demo: Demo | None = None  # with `target: demo` alone
    wait_for: WaitFor | None = None
    setup: fields.Commands = ()
    teardown: fields.Commands = ()
    seed: fields.Seed = 1
    good_within: fields.PositiveDuration | None = None
    capacity: fields.PositiveRate | None = None  # what goodput in a spike is held against
    headers: fields.Headers = Field(default={})
    replay: Replay | None = None
    requests: tuple[Request, ...] = Field(default=(), min_length=1)  # empty with `replay` alone
    data: dict[str, DataSource] = Field(default={})
    phases: tuple[Phase, ...] = Field(default=(), min_length=1)  # the loader gives a replay one
    arrivals: Arrivals = Arrivals()
    transport: Annotated[Transport, BeforeValidator(one_of(*TRANSPORTS))] = "http1"
    client: Client = Client()
    proxies: dict[str, Proxy] = Field(default={})
    faults: tuple[Fault, ...] = ()
    toxiproxy: fields.HttpUrl | None = None
    steady_state: tuple[Check, ...] = ()
    probes: tuple[Gauge, ...] = ()
    slos: fields.Slos = ()
    validity: Validity = Validity()
    allow_hosts: fields.Hosts = ()

    @model_serializer(mode="wrap")
    def _replayed(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dump: dict[str, Any] = handler(self)
        for key in ("requests", "data", "arrivals") if self.replay is not None else ():
            del dump[key]
        return dump
