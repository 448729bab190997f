"""`loadtool plan`: what a run would do, without doing any of it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import typer

from loadtool.commands import console, help_pages, options

if TYPE_CHECKING:
    from loadtool.plan.job import Endpoint
    from loadtool.profile.demo import Demo
    from loadtool.profile.load import Loaded
    from loadtool.profile.model import Tls

_LOOK_UP_S = 3.0


def mount(app: typer.Typer) -> None:
    app.command(
        cls=help_pages.Command,
        context_settings=help_pages.CONTEXT,
        epilog="""\b
Examples:
  $ loadtool plan -p checkout.yaml
  $ loadtool plan -p checkout.yaml --set phases.spike.rate=5000/s

\b
Exit codes:
  0  this is what a run would do, and what is doubtful about it
  2  the command line or the profile is wrong: every mistake, with its line
""",
    )(plan)


def plan(
    profile: options.ProfileFile,
    overrides: options.Overrides = None,
    seed: options.Seed = None,
    scale: options.Scale = 1.0,
    target: options.Target = None,
    allow_host: options.AllowHosts = None,
    toxiproxy: options.Toxiproxy = None,
) -> None:
    """Show what a run would do, and send nothing.

    The rate curve with the faults on its time axis, arrivals by phase, peak rate and connections, the hosts
    that would be touched, where Toxiproxy would come from, and what is doubtful about it.
    """
    import trio

    from loadtool.chaos.fault import planned_faults
    from loadtool.chaos.gauge import describe_gauge
    from loadtool.chaos.source import describe_source
    from loadtool.chaos.steady import describe_check, hosts_of
    from loadtool.plan.build import build_job, endpoint_of
    from loadtool.plan.overview import Overview
    from loadtool.plan.timeline import Timeline
    from loadtool.preparation import check_existing
    from loadtool.profile.addresses import without_userinfo
    from loadtool.profile.load import load_profile
    from loadtool.report import plan_view

    loaded = load_profile(
        profile,
        overrides=overrides or (),
        target=target,
        seed=seed,
        scale=scale,
        environment=os.environ,
        pending=True,
    )
    check_existing(loaded, toxiproxy)
    checked = loaded.profile
    demo = checked.target == "demo"
    # The demo's port is free until the run; nothing in the plan depends on it.
    endpoint = endpoint_of("http://127.0.0.1" if demo else checked.target)
    job = build_job(loaded, endpoint=endpoint, clock=time.monotonic_ns)
    overview = Overview.of(job, loaded)
    warnings = [*overview.warnings, *_pending(loaded)]
    hosts: list[str] = []
    allowed = (*checked.allow_hosts, *(allow_host or ()))
    addresses: Sequence[str] = ()
    if not demo:
        look = partial(_look_up, behind=job.client.proxy is not None)
        host, addresses, warning = trio.run(look, endpoint.host, endpoint.port, allowed, "target")
        hosts.append(host)
        warnings += [warning] if warning else []
        warnings += trio.run(_led_to, loaded, endpoint, allowed)
    if (proxy := job.client.proxy) is not None:
        host, addresses, warning = trio.run(_look_up, proxy.host, proxy.port, allowed, "client.proxy")
        hosts.append(f"{host} (client.proxy)")
        warnings += [warning] if warning else []
    for key, asked in (("steady_state", checked.steady_state), ("probes", checked.probes)):
        for name, number in hosts_of(asked):
            host, _, warning = trio.run(_look_up, name, number, allowed, f"{key}:")
            hosts.append(f"{host} ({key})")
            warnings += [warning] if warning else []
    warnings += _unusable_sources(loaded, addresses) if checked.client.source else ()
    mask = loaded.secrets.mask
    source = describe_source(toxiproxy or checked.toxiproxy) if checked.proxies else None
    if source is not None and not source.owned:
        front_hosts, front_warnings = trio.run(_front, loaded, source.where, allowed)
        hosts += front_hosts
        warnings += front_warnings
    around = plan_view.Surroundings(
        target=_embedded(checked.demo) if demo else mask(without_userinfo(checked.target)),
        hosts=[*map(mask, hosts), *(mask(text) for text in _upstreams(loaded))],
        source=" and ".join([*checked.client.source]) + " in turn" * (len(checked.client.source) > 1),
        tls=mask(_tls(checked.client.tls)) if endpoint.scheme == "https" else "",
        proxy=mask(without_userinfo(checked.client.proxy or "")),
        toxiproxy=mask(source.text) if source is not None else None,
        faults={f.name: mask(f.text) for f in planned_faults(checked, Timeline.of(job))},
        steady=[(check.name, mask(describe_check(check))) for check in checked.steady_state],
        probes=[(gauge.name, mask(describe_gauge(gauge))) for gauge in checked.probes],
        slos=[slo.text for slo in loaded.slos],
        setup=[mask(text) for text in _commands(checked.setup)],
        teardown=[mask(text) for text in _commands(checked.teardown)],
    )
    paths = loaded.shown_paths()
    overview = replace(
        overview,
        requests=tuple(replace(r, path=paths.get(r.name, r.path)) for r in overview.requests),
        warnings=tuple(mask(text) for text in warnings),
    )
    width, color = console.width(), console.colour(sys.stdout)
    console.say(plan_view.render(overview, around, width=width, color=color))


def _pending(loaded: Loaded) -> Iterator[str]:
    for name in sorted(loaded.pending):
        yield f"{name} is not set: the setup commands have to print it, and what depends on it is unchecked"
    for fault in loaded.profile.faults:
        if fault.name in loaded.untimed:
            yield f"{fault.name} is not shown: when it is depends on what the setup commands print"


def _unusable_sources(loaded: Loaded, addresses: Sequence[str]) -> Iterator[str]:
    from loadtool.errors import ProfileError
    from loadtool.preparation import check_sources

    try:
        check_sources(loaded, addresses)
    except ProfileError as e:
        yield from (f"a run would stop at once: {mistake}" for mistake in e.mistakes)


def _embedded(demo: Demo | None) -> str:
    """The demo service and its switches, as `loadtool target` would take them."""
    switches = demo.options() if demo is not None else []
    return f"demo (the embedded service{', ' * bool(switches)}{' '.join(switches)})"


def _tls(tls: Tls | None) -> str:
    """How the target's certificate is checked, and which one is shown to it."""
    if tls is None:
        return "certificate checked against the system's authorities"
    authorities = f"the authorities of {tls.ca}" if tls.ca is not None else "the system's authorities"
    checked = f"certificate checked against {authorities}" if tls.verify else "certificate not checked"
    return f"{checked}; shows {tls.cert}" if tls.cert is not None else checked


async def _look_up(
    name: str, port: int, allowed: Sequence[str], what: str, *, behind: bool = False
) -> tuple[str, Sequence[str], str]:
    """A host with its addresses, those, and a warning if a run would refuse or not find it.

    `behind`: it is reached through an HTTP proxy.
    """
    import trio

    from loadtool.engine.hosts import check_behind, check_host
    from loadtool.errors import LoadtoolError

    if not port:
        return f"this machine ({name})", (), ""
    place, warning = f"{name}:{port}", ""
    addresses: Sequence[str] = ()
    with trio.move_on_after(_LOOK_UP_S) as look_up:
        try:
            check = check_behind if behind else check_host
            addresses = await check(name, port, allowed, what=what)
        except LoadtoolError as e:
            warning = f"a run would stop at once: {e}"
    if look_up.cancelled_caught:
        warning = f"no answer within {_LOOK_UP_S:g} s to what the address of {name} is"
    known = [a for a in addresses if a != name]
    return (f"{place} ({', '.join(known)})" if known else place), addresses, warning


async def _front(loaded: Loaded, url: str, allowed: Sequence[str]) -> tuple[list[str], list[str]]:
    """The host at which the load goes through the Toxiproxy at `url`, if it does, and why a run would not."""
    import trio

    from loadtool.chaos import front
    from loadtool.errors import LoadtoolError, ProfileError

    with trio.move_on_after(_LOOK_UP_S):
        try:
            await front.listen_of(loaded, url)
        except ProfileError as e:
            return [], [f"a run would stop at once: {e}"]
        except LoadtoolError:
            pass  # the look-up below says it, too, and a run
    name = front.front_of(loaded.profile)
    if name is None:
        return [], []
    host = front.dialled_host(loaded.profile.proxies[name].listen, url)
    _, _, warning = await _look_up(host, 1, allowed, f"proxies.{name}:")
    return [f"{host} (proxies.{name})"], [warning] if warning else []


async def _led_to(loaded: Loaded, endpoint: Endpoint, allowed: Sequence[str]) -> list[str]:
    """Why a run would not load what proxies lead its load to."""
    import trio

    from loadtool.chaos import front
    from loadtool.errors import UsageError

    with trio.move_on_after(_LOOK_UP_S):
        try:
            await front.check_leads(loaded.profile, endpoint, allowed)
        except UsageError as e:
            return [f"a run would stop at once: {e}"]
    return []


def _upstreams(loaded: Loaded) -> Iterator[str]:
    for name, proxy in loaded.profile.proxies.items():
        if proxy.existing is not None:
            yield f"whatever the existing proxy {proxy.existing} leads to"
        elif proxy.upstream not in ("target", "demo.store"):
            yield f"{proxy.upstream} (through proxy {name})"


def _commands(commands: Sequence[str | tuple[str, ...]]) -> list[str]:
    return [command if isinstance(command, str) else " ".join(command) for command in commands]
