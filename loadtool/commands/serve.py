"""`loadtool target` and `loadtool toxiproxy`: the embedded servers, each alone."""

from __future__ import annotations

import inspect
import json
import signal
from collections.abc import Callable
from typing import Annotated

import typer

from loadtool.commands import console, help_pages, options
from loadtool.target.settings import OPTIONS, Option, Settings, settings_from
from loadtool.units import format_duration, format_size

# How a setting is written, by the unit at the end of its field's name.
_WRITTEN: dict[str, Callable[[int], str]] = {"_ns": format_duration, "_bytes": format_size}


def mount(app: typer.Typer) -> None:
    app.command(
        "target",
        short_help="Serve the demo service alone.",
        cls=help_pages.Command,
        context_settings=help_pages.CONTEXT,
        epilog="""\b
Examples:
  $ loadtool target --port 8080
  $ loadtool target --port 8080 --slots 4 --service-time 50ms --queue 10
  $ loadtool target --port 8080 --store 127.0.0.1:15432    through a proxy

Ctrl-C ends it.
""",
    )(_target_command())
    app.command(
        "toxiproxy",
        short_help="Serve the embedded Toxiproxy alone.",
        cls=help_pages.Command,
        context_settings=help_pages.CONTEXT,
        epilog="""\b
Examples:
  $ loadtool toxiproxy
  $ toxiproxy-cli create -l 127.0.0.1:15432 -u 127.0.0.1:5432 store
  $ loadtool spike -p checkout.yaml --toxiproxy http://127.0.0.1:8474

Ctrl-C ends it.
""",
    )(toxiproxy)


def _target_command() -> Callable[..., None]:
    """A command function whose options are the rows of `loadtool.target.settings.OPTIONS`."""

    def target(**texts: str | None) -> None:
        """Serve the demo: a service with worker slots, a bounded queue and a store that can be slowed down.

        With the defaults it can do about 2,300 requests per second, and about 96 when each store call takes
        200 ms longer. GET /products/N, POST /checkout, GET /health.
        """
        import trio

        from loadtool.target.control import run

        def announce(line: str) -> None:
            where = json.loads(line)
            console.say(f"the demo service listens on {where['url']}, its store on {where['store']}")

        raise typer.Exit(trio.run(lambda: run(settings_from(texts), lifeline=False, write=announce)))

    target.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # typer reads options from it
        [
            inspect.Parameter(
                o.field, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(o)
            )
            for o in OPTIONS
        ]
    )
    target.__annotations__ = {o.field: _annotation(o) for o in OPTIONS}
    return target


def _annotation(option: Option) -> object:
    shown = _default(option)
    text = f"{option.help}  [default: {shown}]" if shown else option.help
    return Annotated[str | None, typer.Option(option.flag, metavar=option.metavar, help=text)]


def _default(option: Option) -> str:
    value = getattr(Settings(), option.field)
    if value is None:
        return ""
    written = next((f for suffix, f in _WRITTEN.items() if option.field.endswith(suffix)), str)
    return written(value)


def toxiproxy(
    host: Annotated[str, typer.Option("--host", metavar="HOST", help="Address of the API.")] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option("--port", metavar="PORT", parser=options.whole_number("--port", 0, 65535),
                     help="Port of the API; 0: any free one."),
    ] = 8474,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", parser=options.whole_number("--seed", 0, options.MOST_SEED),
                     help="Makes toxicity and jitter repeatable."),
    ] = None,
    metrics: Annotated[bool, typer.Option("--proxy-metrics", help="Serve /metrics.")] = False,
) -> None:  # fmt: skip
    """Serve the embedded Toxiproxy: TCP proxies that delay, cut and limit, driven over its HTTP API.

    It speaks the API of Toxiproxy 2.12, so that toxiproxy-cli and every client library work with it.
    """
    import trio

    raise typer.Exit(trio.run(_serve_toxiproxy, host, port, seed, metrics))


async def _serve_toxiproxy(host: str, port: int, seed: int | None, metrics: bool) -> int:
    """Serve until a signal ends it; 128 and its number."""
    import trio

    from loadtool.chaos.server.serve import serve

    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:

            async def served(*, task_status: trio.TaskStatus[str]) -> None:
                await serve(host, port, seed=seed, proxy_metrics=metrics, task_status=task_status)

            console.say(f"Toxiproxy's API listens on {await nursery.start(served)}")
            number = await anext(signals)
            nursery.cancel_scope.cancel()
    return 128 + number
