"""The profile as a tree of frozen pydantic models; field names are the keys of design §6.

Quantities arrive as text ("50/s", "250ms", "64KB", "10%") and are kept as numbers: rates in arrivals per
second (float), durations in nanoseconds (int), sizes in bytes (int), shares from 0 to 1 (float).
`model_dump(mode="json", by_alias=True)` writes them as text again, so that a dump is itself a profile.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from loadtool import units

Role = Literal["warmup", "baseline", "spike", "recovery"]
ROLES: tuple[Role, ...] = ("warmup", "baseline", "spike", "recovery")
METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
BODIES = ("json", "form", "raw", "multipart")

Name = Annotated[str, Field(pattern=r"^[A-Za-z][\w-]*$")]
Rate = Annotated[float, BeforeValidator(units.parse_rate), PlainSerializer(units.format_rate)]
Duration = Annotated[int, BeforeValidator(units.parse_duration), PlainSerializer(units.format_duration)]
PositiveDuration = Annotated[
    int, BeforeValidator(units.parse_duration), AfterValidator(units.positive_duration),
    PlainSerializer(units.format_duration),
]  # fmt: skip


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False)


class WaitFor(Model):
    """Do not start before this path answers with 2xx."""

    get: str
    up_to: PositiveDuration = units.SECOND * 60


class Expect(Model):
    """What an answer must be to count as ok; without `status`, 200 to 399."""

    status: tuple[int, ...] = ()
    contains: tuple[str, ...] = ()
    matches: tuple[str, ...] = ()  # regular expressions, searched in the body


class Request(Model):
    """One kind of request of the mix. Exactly one of the methods; at most one of the bodies."""

    name: str
    weight: float = Field(default=1.0, gt=0)
    get: str | None = None
    head: str | None = None
    post: str | None = None
    put: str | None = None
    patch: str | None = None
    delete: str | None = None
    options: str | None = None
    query: dict[str, Any] = {}
    headers: dict[str, str] = {}
    json_body: Any = Field(default=None, alias="json")
    form: dict[str, Any] | None = None
    raw: str | None = None
    multipart: dict[str, Any] | None = None
    expect: Expect = Expect()

    @property
    def method(self) -> str:
        return next(m.upper() for m in METHODS if getattr(self, m) is not None)

    @property
    def path(self) -> str:
        return str(getattr(self, self.method.lower()))


class DataSource(Model):
    """A feeder: rows for the templates, from a CSV or JSONL file beside the profile."""

    file: str
    order: Literal["cycle", "shuffle", "once"] = "cycle"


class Phase(Model):
    """A named stretch of the schedule."""

    name: Name
    rate: Rate
    for_: PositiveDuration = Field(alias="for")
    ramp: PositiveDuration | None = None  # linear from the rate before, inside `for`
    double_every: PositiveDuration | None = None  # rate doubles every so long, from `rate`
    role_: Role | None = Field(default=None, alias="role")

    @property
    def role(self) -> Role:
        """`role:`, else the phase's name if it is one of the four, else baseline."""
        if self.role_ is not None:
            return self.role_
        return next((r for r in ROLES if r == self.name), "baseline")


class Client(Model):
    timeout: PositiveDuration = 10 * units.SECOND  # per attempt, from when it was due
    deadline: PositiveDuration | None = None  # per arrival
    connections: int = Field(default=1000, gt=0)  # a total of the run
    keepalive: bool = True
    shed: tuple[int, ...] = (429, 503)


class Proxy(Model):
    """A Toxiproxy proxy: one that the run makes (upstream), or one that the service is wired to (existing)."""

    upstream: str | None = None  # HOST:PORT as the Toxiproxy server sees it, or `target`, or `demo.store`
    listen: str | None = None  # default 127.0.0.1:0
    existing: str | None = None


class Fault(Model):
    name: Name
    at: str  # phase, phase+offset, or an offset from the start
    for_: PositiveDuration | None = Field(default=None, alias="for")  # default: to the end of the run
    proxy: str
    toxic: str | None = None
    down: bool = False
    stream: Literal["downstream", "upstream"] = "downstream"
    toxicity: float = Field(default=1.0, ge=0, le=1)
    attributes: dict[str, int] = {}  # in Toxiproxy's own units, from the keys of the toxic's table row


class Validity(Model):
    lag: PositiveDuration = 10 * units.MILLISECOND


class Profile(Model):
    """A checked profile: every reference in it resolves, every SLO parses."""

    name: str
    target: str
    wait_for: WaitFor | None = None
    setup: tuple[str | tuple[str, ...], ...] = ()
    teardown: tuple[str | tuple[str, ...], ...] = ()
    seed: int = 1
    good_within: PositiveDuration | None = None
    headers: dict[str, str] = {}
    requests: tuple[Request, ...] = Field(min_length=1)
    data: dict[str, DataSource] = {}
    phases: tuple[Phase, ...] = Field(min_length=1)
    arrivals: Literal["constant", "poisson"] = "poisson"
    client: Client = Client()
    proxies: dict[str, Proxy] = {}
    faults: tuple[Fault, ...] = ()
    toxiproxy: str | None = None
    slos: tuple[str, ...] = ()
    validity: Validity = Validity()
    allow_hosts: tuple[str, ...] = ()
