"""`loadtool capacity`: the highest rate at which the profile's SLOs hold."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loadtool.commands import console, help_pages, options
from loadtool.errors import OutputError, UsageError, got
from loadtool.signals import Aftermath

if TYPE_CHECKING:
    from loadtool.capacity import Searched
    from loadtool.profile.load import Loaded

_SEARCH, _SEEN = "How it searches", "What is shown"


def mount(app: typer.Typer) -> None:
    app.command(
        cls=help_pages.Command,
        context_settings=help_pages.CONTEXT,
        epilog="""\b
Examples:
  $ loadtool capacity -p checkout.yaml
  $ loadtool capacity -p checkout.yaml --start 100/s --max 2000/s
  $ loadtool capacity -p checkout.yaml --hold 5s --confirm-for 1m

\b
Exit codes, the first that fits:
  130  interrupted by Ctrl-C (143: by SIGTERM, 129: by a closed terminal);
       what was known by then is reported
  2    the command line or the profile is wrong; nothing was sent
  3    not found: the generator was the limit, the service did not come back
       or did not answer, the outcomes contradict each other, or arrivals were
       too few to be sure of an SLO
  1    the SLOs do not hold even at the lowest rate tried
  0    found, or the SLOs hold at --max

SLOs are judged at each rate without their `during`; those on spikes, faults, sheds and absolute rates are
left out, and the report says so. Faults are left out. The report goes to standard output, progress
to standard error.
""",
    )(capacity)


def _quantity(option: str, parse: Callable[[str], float]) -> Callable[[object], float]:
    def parsed(value: object) -> float:
        try:
            return parse(str(value))
        except ValueError as e:
            raise UsageError(f"{option}: {e}") from None

    return parsed


def _rate(text: str) -> float:
    from loadtool import units
    from loadtool.profile.references import PEAK

    rate = units.positive_rate(units.parse_rate(text))
    if rate > PEAK:
        raise ValueError(got(units.format_rate(rate), f"at most {units.format_rate(PEAK)}"))
    return rate


def _precision(text: str) -> float:
    from loadtool import units

    share = units.parse_share(text)
    if not 0.001 <= share <= 0.5:
        raise ValueError(f"got {text}, want a share from 0.1% to 50%, such as 2%")
    return share


def capacity(
    profile: options.ProfileFile,
    overrides: options.Overrides = None,
    seed: options.Seed = None,
    target: options.Target = None,
    allow_host: options.AllowHosts = None,
    toxiproxy: options.Toxiproxy = None,
    start: Annotated[
        float | None,
        typer.Option("--start", metavar="RATE", rich_help_panel=_SEARCH, show_default=False,
                     parser=_quantity("--start", _rate),
                     help="The first rate; by default that of the profile's baseline."),
    ] = None,
    most: Annotated[
        float | None,
        typer.Option("--max", metavar="RATE", rich_help_panel=_SEARCH, show_default=False,
                     parser=_quantity("--max", _rate),
                     help="No rate above it is sent; by default 100000/s."),
    ] = None,
    hold: Annotated[
        float | None,
        typer.Option("--hold", metavar="TIME", rich_help_panel=_SEARCH, show_default="10s",
                     parser=options.seconds("--hold", 1), help="How long a step holds its rate."),
    ] = None,
    confirm_for: Annotated[
        float | None,
        typer.Option("--confirm-for", metavar="TIME", rich_help_panel=_SEARCH, show_default="30s",
                     parser=options.seconds("--confirm-for", 1),
                     help="How long the knee is held to confirm it, twice; up to three times as long where "
                          "arrivals are too few to tell a quantile."),
    ] = None,
    settle: Annotated[
        float | None,
        typer.Option("--settle", metavar="TIME", rich_help_panel=_SEARCH, show_default="60s",
                     parser=options.seconds("--settle", 1),
                     help="How long the service may take to come back after a step that was too much."),
    ] = None,
    precision: Annotated[
        float | None,
        typer.Option("--precision", metavar="SHARE", rich_help_panel=_SEARCH, show_default="2%",
                     parser=_quantity("--precision", _precision),
                     help="How close the rates that hold and that fail have to come."),
    ] = None,
    workers: options.Workers = None,
    out: Annotated[Path | None, options.directory("--out", "-o", holds="capacity.json")] = None,
    json: Annotated[Path | None, options.file("--json", "What was found, for programs.")] = None,
    plain: options.Plain = False,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Find the highest rate at which the profile's SLOs hold.

    Steps up by doubling until they fail, closes in, confirms with longer holds, and shows what becomes of the
    service at one and a half times and twice that rate. The phases of the profile say only where to start.
    """
    from loadtool import capacity as search
    from loadtool.commands import outputs, views
    from loadtool.preparation import check_existing
    from loadtool.profile.load import load_profile, read_profile

    wanted = outputs.wanted({"json": json}, inputs=[("--profile", profile)])
    outputs.prove_writable(wanted)

    text = cache(partial(read_profile, profile))

    def load(environment: Mapping[str, str], *, pending: bool = False) -> Loaded:
        loaded = load_profile(
            profile, overrides=overrides or (), target=target, seed=seed,
            environment=environment, pending=pending, text=text(),
        )  # fmt: skip
        check_existing(loaded, toxiproxy)
        outputs.keep_apart(wanted, [(f"{key} of the profile", file) for key, file in loaded.inputs])
        return loaded

    defaults = search.Options()
    chosen = search.Options(
        start=start,
        most=most,
        precision=precision or defaults.precision,
        step_s=hold or defaults.step_s,
        confirm_s=confirm_for or defaults.confirm_s,
        settle_s=settle or defaults.settle_s,
        workers=workers,
        toxiproxy=toxiproxy,
        allow_hosts=tuple(allow_host or ()),
        out=out,
    )
    with Aftermath() as aftermath:
        chosen = replace(chosen, aftermath=aftermath)
        searched = search.capacity(load, chosen, views.choose(plain=plain, quiet=quiet))
        code = outputs.after(aftermath, partial(_deliver, searched, json), partial(_say_where, searched))
    raise typer.Exit(code)


def _say_where(searched: Searched) -> None:
    """Say where it is, for a search whose report was not made to its end."""
    for path in searched.files:
        console.note(f"what was found is in {path}")


def _deliver(searched: Searched, json: Path | None) -> int:
    """Write and show everything; the exit code. What could not be delivered was not found."""
    from loadtool.commands import outputs
    from loadtool.report import capacity as report
    from loadtool.report.result_file import write_text_atomically

    found, written, failures = searched.capacity, [*searched.files], [*searched.failures]
    try:
        if json is not None:
            write_text_atomically(found.text(), json)
            written.append(json)
    except OutputError as e:
        failures.append(e)
    page = report.render(found, width=console.width(), color=console.colour(sys.stdout))
    lines = [page, *(f"wrote {path}" for path in written)]
    return outputs.deliver(lines, failures, searched.exit_code)
