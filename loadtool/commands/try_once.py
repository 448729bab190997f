"""`loadtool try`: each request of the mix once, as sent and as answered."""

from __future__ import annotations

import os
import re
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

import typer

from loadtool.commands import console, help_pages, options
from loadtool.errors import SetupError
from loadtool.profile.addresses import without_userinfo
from loadtool.report.figures import duration
from loadtool.report.text import clean
from loadtool.units import counted

if TYPE_CHECKING:
    import trio

    from loadtool.engine.exchange import Exchange
    from loadtool.plan.job import ClientSpec
    from loadtool.profile.load import Loaded
    from loadtool.profile.model import WaitFor
    from loadtool.profile.secrets import Secrets

NOT_AS_EXPECTED = 1

_BODY_LINES = 30
_BODY_CHARS = 2000
_BOUNDARY = re.compile(r'^content-type:[ \t]*multipart/[^\r\n]*?;[ \t]*boundary="?([^";\r\n]+)', re.I | re.M)
_DIM, _GREEN, _RED, _BOLD, _RESET = "\x1b[2m", "\x1b[32m", "\x1b[31m", "\x1b[1m", "\x1b[0m"


def mount(app: typer.Typer) -> None:
    app.command(
        "try",
        cls=help_pages.Command,
        context_settings=help_pages.CONTEXT,
        epilog="""\b
Examples:
  $ loadtool try -p checkout.yaml
  $ loadtool try -p checkout.yaml --target http://127.0.0.1:9000

\b
Exit codes:
  0  every answer was as its `expect` says
  1  at least one was not
  2  the command line or the profile is wrong; nothing was sent
  3  nothing answered, or the demo service or a setup command failed
  130  interrupted by Ctrl-C (143: by SIGTERM, 129: by a closed terminal)
""",
    )(try_)


def try_(
    profile: options.ProfileFile,
    overrides: options.Overrides = None,
    seed: options.Seed = None,
    target: options.Target = None,
    allow_host: options.AllowHosts = None,
) -> None:
    """Send each request of the profile once and show the exchanges.

    The bytes are those of a run, secrets are masked, and each answer is held against its `expect`. There are
    no proxies and no faults: the requests go straight to the target, and a service that is wired to a proxy
    of the run finds nobody there.
    """
    from loadtool.drive import run_alone
    from loadtool.profile.load import load_profile, read_profile

    load = partial(
        load_profile, profile, overrides=overrides or (), target=target, seed=seed, text=read_profile(profile)
    )
    raise typer.Exit(run_alone(partial(_heedful, load, tuple(allow_host or ())), list))


async def _heedful(load: Callable[..., Loaded], allow_hosts: Sequence[str]) -> int:
    """Try it, and end what was begun when a signal comes; the exit code."""
    import trio

    from loadtool.drive import Heed

    tearing_down = trio.CancelScope(shield=True)
    heed = Heed(console.note, tearing_down.cancel)
    code = 0

    async def work() -> None:
        nonlocal code
        with heed.idle:
            code = await _with_setup(load, allow_hosts, tearing_down)

    await heed.during(work)
    if heed.signal is None:
        return code
    console.note("loadtool: interrupted")
    return 128 + heed.signal


async def _with_setup(
    load: Callable[..., Loaded], allow_hosts: Sequence[str], tearing_down: trio.CancelScope
) -> int:
    """Run the profile's setup commands, try its requests, run its teardown commands; the exit code."""
    from loadtool.preparation import command_secrets, run_command, tear_down

    environment = dict(os.environ)
    printed: list[str] = []
    loaded = load(environment=environment, pending=True)
    try:
        for command in loaded.profile.setup:
            hidden = command_secrets(loaded, environment, printed)
            text = command if isinstance(command, str) else " ".join(command)
            console.note(f"setup: {clean(hidden.mask(text))}")
            told = await run_command(command, loaded.directory, environment, hidden)
            environment |= told
            printed += told.values()
        if loaded.profile.setup:
            loaded = load(environment=environment)
        return await _try_all(loaded, allow_hosts)
    finally:
        hidden = command_secrets(loaded, environment, printed)
        for text in await tear_down(loaded, environment, hidden, tearing_down):
            console.note(f"loadtool: {text}")


async def _try_all(loaded: Loaded, allow_hosts: Sequence[str]) -> int:
    from loadtool.engine.addresses import is_name
    from loadtool.engine.hosts import check_target
    from loadtool.engine.tls import client_context
    from loadtool.engine.transports import ONCE
    from loadtool.judge.remedies import remedy_for
    from loadtool.plan.build import build_job, endpoint_of
    from loadtool.plan.endpoint import proxy_of
    from loadtool.plan.expect import Expectation
    from loadtool.plan.message import Message
    from loadtool.plan.mix import Mix
    from loadtool.plan.replay import samples
    from loadtool.plan.trace import HEADER, tracer_of
    from loadtool.preparation import check_sources
    from loadtool.target.child import demo_service

    profile = loaded.profile
    if profile.proxies:
        console.note(
            f"no proxy of the profile is opened ({', '.join(profile.proxies)}): requests go straight to the "
            "target, and a service that is wired to one finds nobody there"
        )
    async with AsyncExitStack() as stack:
        url = profile.target
        if url == "demo":
            console.note("starting the demo service")
            url = (await stack.enter_async_context(demo_service(profile))).url
        endpoint = endpoint_of(url)
        proxy = proxy_of(profile.client.proxy) if profile.client.proxy is not None else None
        addresses = await check_target(endpoint, proxy, (*profile.allow_hosts, *allow_hosts))
        check_sources(loaded, addresses)
        job = build_job(loaded, endpoint=endpoint, nonce=secrets.token_hex(8), clock=time.monotonic_ns)
        if profile.setup and profile.wait_for is not None:
            await _wait(loaded, url, profile.wait_for, job.client, addresses)
        tls = client_context(job.client.tls) if endpoint.scheme == "https" else None
        mix, exchange = Mix(job), ONCE[job.transport]()
        tracer = tracer_of(job.seed, job.nonce, job.client.trace)
        color = console.colour(sys.stdout)
        tried: list[Exchange] = []
        recorded = samples(job.replay) if job.replay is not None else {}
        for index, spec in enumerate(job.requests):
            if job.replay is not None and index not in recorded:
                continue  # the phases end before it
            message = mix.message(index, index, recorded.get(index, 0))  # the first row of every feeder
            if tracer is not None:
                headers = (*message.headers, (HEADER, tracer.parent(index)))
                message = Message(message.method, message.target, headers, message.body)
            done = await exchange(message, endpoint, job.client, Expectation.of(spec.expect), tls)
            if not is_name((job.client.proxy or endpoint).host):
                done.dns_ms = None  # an address, or a socket's path: nobody was asked
            console.say(show(index + 1, len(job.requests), spec.name, done, loaded.secrets, color=color))
            tried.append(done)
    if not any(done.answered for done in tried):
        named = {"ca": job.client.tls.ca is not None, "cert": job.client.tls.cert is not None}
        remedies = (remedy for done in tried if (remedy := remedy_for(done.detail, **named)))
        remedy = next(remedies, "start the service, or name another with --target")
        place = loaded.secrets.mask(without_userinfo(url))
        console.note(f"loadtool: nothing answered at {place}; {remedy}")
        return SetupError.exit_code
    return 0 if all(done.outcome == "ok" for done in tried) else NOT_AS_EXPECTED


async def _wait(
    loaded: Loaded, url: str, wait: WaitFor, client: ClientSpec, addresses: Sequence[str]
) -> None:
    """Wait for a service that a setup command has started. One that is not ready in time is tried anyway."""
    from loadtool.chaos.steady import reach
    from loadtool.engine.sources import source_for
    from loadtool.preparation import wait_until_it_answers

    console.note(f"waiting for {clean(loaded.secrets.mask(wait.get))} to answer")
    way = reach(url, client, source_for(client.source, addresses))
    try:
        await wait_until_it_answers(url, wait, way, loaded.secrets.mask)
    except SetupError as e:
        console.note(f"loadtool: {e}")


def show(number: int, of: int, name: str, done: Exchange, hidden: Secrets, *, color: bool = False) -> str:
    """One exchange for a person to read: `>` is what was sent, `<` what came back."""

    def paint(style: str, text: str) -> str:
        return f"{style}{text}{_RESET}" if color else text

    verdict = paint(_GREEN if done.outcome == "ok" else _RED, done.outcome)
    detail = f", {clean(hidden.mask(done.detail))}" if done.detail else ""
    head, _, body = done.sent.partition(b"\r\n\r\n")
    lines = [f"{paint(_BOLD, f'{number}/{of} {clean(name)}')}: {verdict}{detail}", ""]
    lines += _lines(">", head.decode("latin-1"), body, hidden)
    if done.head:
        lines += ["", *_lines("<", done.head, done.body, hidden)]
    lines += ["", paint(_DIM, timing(done)), "", ""]
    return "\n".join(lines)


def timing(done: Exchange) -> str:
    """Where it went and how long each step took."""
    first = f"first byte (of {counted(done.interims, 'interim answer')})" if done.interims else "first byte"
    steps = (
        ("look-up", done.dns_ms), ("connect", done.connect_ms),
        (f"{done.tls or 'TLS'} handshake", done.tls_ms), (first, done.first_byte_ms),
        ("total", done.total_ms),
    )  # fmt: skip
    parts = [done.address] if done.address else []
    return " · ".join([*parts, *(f"{name} {duration(ms)}" for name, ms in steps if ms is not None)])


def _lines(mark: str, head: str, body: bytes, hidden: Secrets) -> list[str]:
    first, *headers = head.split("\r\n")
    texts = [hidden.mask(first)]
    for header in headers:
        name, colon, value = header.partition(":")
        texts.append(f"{name}{colon} {hidden.mask_header(name, value.strip())}")
    if body:
        texts += ["", *shown_body(body, hidden, head)]
    return [f"{mark} {clean(text)}".rstrip() for text in texts]


def shown_body(body: bytes, hidden: Secrets, head: str = "") -> list[str]:
    """The body's first lines as text, or how long it is; of a multipart one, so each part."""
    size = f"{len(body):,} bytes"
    text = _text(body)
    if text is None:
        boundary = _BOUNDARY.search(head)
        if boundary is None:
            return [f"({size}, binary)"]
        delimiter = b"--" + boundary[1].encode("latin-1")
        parts = body.split(delimiter)[1:-1]
        text = "".join(f"{delimiter.decode('latin-1')}{_shown_part(part)}" for part in parts)
        text += f"{delimiter.decode('latin-1')}--"
    text = hidden.mask(text)  # before it is cut, or half a secret could be left at the cut
    lines = text[:_BODY_CHARS].splitlines()
    if len(text) > _BODY_CHARS or len(lines) > _BODY_LINES:
        return [*lines[:_BODY_LINES], f"… ({size} in all)"]
    return lines


def _shown_part(part: bytes) -> str:
    """A part of a multipart body; instead of content that is no text, how long it is."""
    head, _, content = part.partition(b"\r\n\r\n")
    content = content.removesuffix(b"\r\n")
    shown = _text(content)
    return "\r\n".join(
        (
            head.decode("utf-8", "replace"),
            "",
            f"({len(content):,} bytes, binary)" if shown is None else shown,
            "",
        )
    )


def _text(data: bytes) -> str | None:
    """Bytes that a terminal can show, as text; None for others."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
