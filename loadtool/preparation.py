"""What has to be there before the load: setup commands, the demo service, proxies, a target that answers."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import trio

from loadtool.engine.hosts import check_host, check_target
from loadtool.engine.sources import source_for, source_problems
from loadtool.errors import ProfileError, SetupError
from loadtool.plan.build import build_job, endpoint_of
from loadtool.plan.endpoint import proxy_of
from loadtool.plan.job import Job
from loadtool.plan.places import Place, mistake
from loadtool.plan.timeline import Timeline
from loadtool.processes import Child
from loadtool.profile.addresses import DEMO_STORE, socket_path, without_userinfo
from loadtool.profile.load import Loaded
from loadtool.profile.model import Profile, WaitFor
from loadtool.profile.secrets import Secrets, environment_secrets
from loadtool.target.child import DemoService, demo_service
from loadtool.units import SECOND, format_address, format_duration

# Toxiproxy's client and httpx take as long to load as all of the profile's models. They are for faults,
# probes and `wait_for`, and imported where a profile has one.
if TYPE_CHECKING:
    from loadtool.chaos.conductor import Conductor
    from loadtool.chaos.control import Control
    from loadtool.chaos.probe import Prober, Transport
    from loadtool.chaos.told import FaultEvent

_ASSIGNMENT: Final = re.compile(r"([A-Za-z_]\w*)=(.*)")
_ASK_EVERY_S: Final = 0.25
_ASK_TIMEOUT_S: Final = 5.0


class Load(Protocol):
    """Loads the profile; `pending`: what its setup commands will print need not be there yet."""

    def __call__(self, environment: Mapping[str, str], *, pending: bool = False) -> Loaded: ...


@dataclass(slots=True)
class Prepared:
    """Everything that a run's load needs."""

    loaded: Loaded
    job: Job
    conductor: Conductor | None = None
    prober: Prober | None = None
    toxiproxy: str | None = None  # where it came from, in words
    mask: Callable[[str], str] = str  # for what commands and probes said
    # What the run's own Toxiproxy has lacked since this was last asked, with remedies.
    shortages: Callable[[], Sequence[str]] = tuple


class Preparation:
    """Opens what the load needs on a stack, which closes it again in reverse order."""

    def __init__(
        self, load: Load, toxiproxy: str | None, allow_hosts: Sequence[str], notice: Callable[[str], None]
    ) -> None:
        """`toxiproxy`: URL that wins over the profile's; `notice`: told what may take a while."""
        self.problems: list[str] = []  # of closing
        self.warnings: list[str] = []  # of closing too, but such as say nothing against what was measured
        self._load = load
        self._toxiproxy = toxiproxy
        self._allow_hosts = tuple(allow_hosts)
        self._notice = notice
        self._environment = dict(os.environ)
        self._printed: list[str] = []  # values that setup commands gave
        self._loaded: Loaded | None = None  # the profile as far as it is known
        self._tearing_down = trio.CancelScope(shield=True)

    def hurry(self) -> None:
        """Wait for no teardown command any more: the one that runs is ended, the others are left out."""
        self._tearing_down.cancel()

    async def prepare(self, stack: AsyncExitStack, loaded: Loaded) -> Prepared:
        """Raises UsageError, SetupError or FaultError if something can't be had; nothing was sent then."""
        self._loaded = loaded
        if loaded.profile.teardown:
            stack.push_async_callback(self._tear_down)
        for command in loaded.profile.setup:
            hidden = command_secrets(loaded, self._environment, self._printed)
            shown = command if isinstance(command, str) else " ".join(command)
            self._notice(hidden.mask(f"setup: {shown}"))
            printed = await run_command(command, loaded.directory, self._environment, hidden)
            self._environment |= printed
            self._printed += printed.values()
        if loaded.profile.setup:
            loaded = self._loaded = self._load(self._environment)
        profile = loaded.profile
        demo: DemoService | None = None
        if profile.target == "demo":
            demo = await stack.enter_async_context(demo_service(profile))
            stack.callback(self._see_it_alive, demo)
        url = demo.url if demo is not None else profile.target
        endpoint = endpoint_of(url)
        allowed = self._allowed(profile)
        proxy = proxy_of(profile.client.proxy) if profile.client.proxy is not None else None
        addresses = await check_target(endpoint, proxy, allowed)
        if profile.steady_state or profile.probes:
            await _check_asked(profile, allowed)
        check_sources(loaded, addresses)
        job = build_job(loaded, endpoint=endpoint, nonce=secrets.token_hex(8), clock=time.monotonic_ns)
        job = replace(job, allow_hosts=allowed)
        prepared = Prepared(loaded, job, mask=command_secrets(loaded, self._environment).mask)
        if profile.proxies or profile.faults:
            await self._open_chaos(stack, prepared, demo)
        if profile.wait_for or profile.steady_state or profile.probes or demo is not None:
            await self._ask(prepared, url, source_for(job.client.source, addresses), demo)
        return prepared

    def _allowed(self, profile: Profile) -> tuple[str, ...]:
        """Public hosts that may be loaded."""
        return (*profile.allow_hosts, *self._allow_hosts)

    async def _ask(self, prepared: Prepared, url: str, source: str | None, demo: DemoService | None) -> None:
        """Wait for the target at `url`, see that it is steady, and prepare what is asked beside the load."""
        from loadtool.chaos.gauge import gauges_of
        from loadtool.chaos.probe import HttpProbe, Prober
        from loadtool.chaos.steady import probes_of, reach

        profile = prepared.loaded.profile
        way = reach(url, prepared.job.client, source)
        if profile.wait_for is not None:
            self._notice(prepared.mask(f"waiting for {profile.wait_for.get} to answer"))
            await wait_until_it_answers(url, profile.wait_for, way, prepared.mask)
        probes = probes_of(profile.steady_state, url)
        if probes:
            self._notice("asking whether the service is steady")
            await Prober(probes, way).require_steady()
        gauges = gauges_of(profile.probes, url)
        if demo is not None and not any(asked.name == "store" for asked in (*probes, *gauges)):
            probes.append(HttpProbe("store", f"{demo.url}/health/store"))
        probes += gauges
        if probes:
            prepared.prober = Prober(probes, way)

    async def _open_chaos(self, stack: AsyncExitStack, prepared: Prepared, demo: DemoService | None) -> None:
        """Open the proxies, send the load or the demo's store calls through them, plan the faults."""
        from loadtool.chaos import front
        from loadtool.chaos.conductor import Conductor
        from loadtool.chaos.fault import planned_faults, proxy_specs
        from loadtool.chaos.journal import Journal
        from loadtool.chaos.source import describe_source, open_toxiproxy

        profile, endpoint = prepared.loaded.profile, prepared.job.endpoint
        control: Control | None = None
        await front.check_leads(profile, endpoint, self._allowed(profile))
        if profile.proxies:
            url = self._toxiproxy or profile.toxiproxy
            shortage = partial(_shortage, describe_source(url).name)
            opened = open_toxiproxy(
                url, seed=profile.seed, on_shortage=lambda name: self.problems.append(shortage(name))
            )
            control = await stack.enter_async_context(opened)
            prepared.shortages = lambda: [*map(shortage, control.lacked())]
            prepared.toxiproxy = control.origin
        places = {"target": format_address(endpoint.host, endpoint.port)}
        if demo is not None:
            places[DEMO_STORE] = demo.store
        directory = str(prepared.loaded.directory.absolute())
        timeline = Timeline.of(prepared.job)
        faults = planned_faults(profile, timeline, directory)
        journal = stack.enter_context(Journal(_foreign(control), secrets.token_hex(4)))

        def heard(event: FaultEvent) -> None:
            if event.what == "failed":
                self._notice(prepared.mask(f"fault {event.fault} {event.text}"))

        # The embedded server draws toxicity and jitter by the proxy's name too: on a server of its own, a run
        # has the same names each time.
        name = "run" if control is not None and control.owned else None
        listen = await front.listen_of(prepared.loaded, control.url) if control is not None else None
        specs = proxy_specs(profile, places, listen)
        conductor = Conductor(
            control,
            specs,
            faults,
            journal,
            heard,
            name,
            environment=self._environment,
            load_s=timeline.duration_ns / SECOND,
        )
        stack.push_async_callback(self._close, conductor, prepared.mask)
        prepared.conductor = conductor
        listens = await conductor.open_proxies()
        for name, proxy in profile.proxies.items():
            if proxy.upstream == DEMO_STORE and demo is not None:
                await demo.reach_store_at(listens[name])
            elif proxy.upstream == "target" and control is not None:
                moved = front.behind(endpoint, listens[name], control.url)
                await check_target(
                    moved, prepared.job.client.proxy, self._allowed(profile), f"proxies.{name}:"
                )
                prepared.job = replace(prepared.job, endpoint=moved)

    async def _close(self, conductor: Conductor, mask: Callable[[str], str]) -> None:
        """Take the faults and proxies out, whatever came of the run."""
        await conductor.teardown()
        self.problems += map(mask, conductor.problems())

    def _see_it_alive(self, demo: DemoService) -> None:
        """It belongs to the run: that it broke says nothing about a service."""
        if demo.ended is not None:
            self.problems.append(
                f"the demo service ended during the run ({demo.ended}): look in the system's log for what"
                " ended it, and run again"
            )

    async def _tear_down(self) -> None:
        loaded = self._loaded
        assert loaded is not None  # it is pushed by `prepare`
        hidden = command_secrets(loaded, self._environment, self._printed)
        self.warnings += await tear_down(loaded, self._environment, hidden, self._tearing_down)


async def tear_down(
    loaded: Loaded, environment: Mapping[str, str], hidden: Secrets, scope: trio.CancelScope
) -> list[str]:
    """Run the `teardown:` commands, whatever becomes of each; what is to be told of them.

    When `scope` is cancelled, which a second signal does, the one that runs is ended and the rest left out.
    """
    told: list[str] = []
    commands = [*loaded.profile.teardown]
    with scope:
        while commands:
            try:
                await run_command(commands[0], loaded.directory, environment, hidden)
            except SetupError as e:
                told.append(f"teardown: {e}")
            del commands[0]
    for command in commands:
        shown = command if isinstance(command, str) else " ".join(command)
        told.append(hidden.mask(f"teardown: a second signal came before the command {shown!r} had ended"))
    return told


def _shortage(who: str, name: str) -> str:
    """Our own Toxiproxy made clients wait, or turned them away: that says nothing about a service."""
    from loadtool.judge.validity import lacking

    return f"{lacking(who, name)}; each connection through a proxy is two of its own"


def command_secrets(loaded: Loaded, environment: Mapping[str, str], printed: Iterable[str] = ()) -> Secrets:
    """The profile's secrets, those that commands get from the environment, and values that setup printed.

    Of a printed value nobody knows whether it is a secret before the profile is loaded with it.
    """
    return loaded.secrets | environment_secrets(environment) | Secrets.of(printed)


async def _check_asked(profile: Profile, allowed: Sequence[str]) -> None:
    """Raises UsageError if `steady_state:` or `probes:` ask a host that may not be asked."""
    from loadtool.chaos.steady import hosts_of

    for key, asked in (("steady_state:", profile.steady_state), ("probes:", profile.probes)):
        for host, port in hosts_of(asked):
            await check_host(host, port, allowed, what=key)


def _foreign(control: Control | None) -> str:
    """The URL of a Toxiproxy that outlives the run, as it may be shown; "" if there is none."""
    return "" if control is None or control.owned else control.url


async def run_command(
    command: str | Sequence[str],
    directory: Path,
    environment: Mapping[str, str],
    hidden: Secrets,
) -> dict[str, str]:
    """Run a `setup:` or `teardown:` command to its end, in the profile's directory.

    A text is given to the shell. Returns the values of the NAME=value lines that it printed. Raises
    SetupError, without what is `hidden` and those values, if it can't be started or fails; it is ended if
    this is cancelled.
    """
    argv = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
    shown = command if isinstance(command, str) else " ".join(command)
    child = Child(argv[0], argv, foreign=True, output=True, env=environment, cwd=directory)
    output = bytearray()

    async def collect() -> None:
        while data := await child.stdout.receive_some(65536):
            output.extend(data)

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(collect)
            code = await child.wait()
            nursery.cancel_scope.cancel()
        output += child.rest_of_stdout()
    except BaseException:
        await child.stop()
        raise
    await child.release()
    # Not splitlines: a value may hold other characters that Python takes for the end of a line.
    matches = (_ASSIGNMENT.fullmatch(line.strip()) for line in output.decode("utf-8", "replace").split("\n"))
    found = {match[1]: match[2] for match in matches if match}
    if code != 0:
        child.take_rest_of_output()
        hidden |= Secrets.of(found.values())
        # The last words are from stderr; stdout may hold what it was to keep secret.
        raise SetupError(hidden.mask(f"the command {shown!r} failed ({child.last_words()})"))
    for name, value in found.items():
        if "\0" in value:
            message = f"the command {shown!r} printed {name}= with a NUL in it, which no variable can hold"
            raise SetupError(f"{hidden.mask(message)}; have it print text")
    return found


def check_existing(loaded: Loaded, toxiproxy: str | None) -> None:
    """Raises ProfileError if proxies are to be there, and neither the profile nor `toxiproxy` says where."""
    names = [name for name, proxy in loaded.profile.proxies.items() if proxy.existing is not None]
    if names and not (toxiproxy or loaded.profile.toxiproxy):
        needs = "needs a Toxiproxy that runs already: `toxiproxy: URL` or `--toxiproxy URL`"
        raise ProfileError([mistake(loaded, ("proxies", name, "existing"), needs) for name in names])


def check_sources(loaded: Loaded, addresses: Sequence[str]) -> None:
    """Raises ProfileError if the load can't leave from `client.source` for these addresses of the target."""
    sources = loaded.profile.client.source
    problems = source_problems(sources, addresses)
    if problems:
        place: Place = ("client", "source")
        listed = len(sources) > 1
        raise ProfileError([mistake(loaded, (*place, i) if listed else place, text) for i, text in problems])


def _words(error: BaseException) -> str:
    """What it says; of an error that says nothing itself, what caused it."""
    from loadtool.engine.failures import describe

    while not str(error) or isinstance(error, trio.BrokenResourceError):
        cause = error.__cause__ or error.__context__
        if cause is None:
            return type(error).__name__
        error = cause
    return describe(error)


async def wait_until_it_answers(
    target: str, wait: WaitFor, way: Transport, mask: Callable[[str], str]
) -> None:
    """Ask the target for the path, the way that the load reaches it, until it answers with 2xx.

    Raises SetupError when it has not within `up_to`, in words without what `mask` takes out.
    """
    import httpx

    from loadtool.chaos.steady import page_url
    from loadtool.judge.remedies import remedy_for

    path = f"/{wait.get.lstrip('/')}"
    url = page_url(target, path)
    shown = mask(without_userinfo(url) if socket_path(target) is None else f"{path} of {target}")
    transport = way()
    last = "no answer"
    with trio.move_on_after(wait.up_to / SECOND):
        async with httpx.AsyncClient(trust_env=False, timeout=_ASK_TIMEOUT_S, transport=transport) as client:
            while True:
                try:
                    answer = await client.get(url)
                except httpx.InvalidURL as e:
                    raise SetupError(f"wait_for: {shown}: {mask(str(e))}") from e
                except httpx.HTTPError as e:
                    last = _words(e)
                else:
                    if answer.is_success:
                        return
                    last = f"status {answer.status_code}"
                await trio.sleep(_ASK_EVERY_S)
    remedy = remedy_for(last) or "start the service, or give it longer with wait_for.up_to"
    raise SetupError(
        f"wait_for: {shown} was not ready within {format_duration(wait.up_to)} ({mask(last)}); {remedy}"
    )
