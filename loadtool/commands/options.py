"""Options that several commands share, so that they read and behave the same everywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from loadtool.errors import UsageError, got

_RUN, _WHERE, FILES = "Profile", "Where the load goes", "Files to write"
HOW, SEEN = "How it runs", "What is shown"
MOST_SEED = 2**63 - 1  # as in profiles


def whole_number(option: str, least: int, most: int | None = None) -> Callable[[object], int]:
    """A parser of an option's value. It raises UsageError with the place, what came and what was wanted."""
    want = f"a whole number of at least {least}" if most is None else f"a whole number from {least} to {most}"

    def parse(value: object) -> int:
        text = str(value).strip()
        whole = text.isascii() and text.removeprefix("-").isdecimal() and len(text) < 20
        number = int(text) if whole else least - 1
        if number < least or (most is not None and number > most):
            raise UsageError(f"{option}: {got(value, want)}")
        return number

    return parse


def seconds(option: str, least: float) -> Callable[[object], float]:
    """A parser of a duration of at least so many seconds. It raises UsageError as above."""

    def parse(value: object) -> float:
        from loadtool import units

        text = str(value)
        try:
            found = units.parse_duration(text) / units.SECOND
        except ValueError as e:
            raise UsageError(f"{option}: {e}") from None
        if found < least:
            raise UsageError(f"{option}: {got(text, f'at least {least:g}s')}")
        return found

    return parse


def factor(option: str, least: float, most: float) -> Callable[[object], float]:
    """A parser of a number in [least, most]. It raises UsageError as above."""

    def parse(value: object) -> float:
        from loadtool.profile.readers import number

        try:
            return number(least, most, f"a number from {least:g} to {most:g}, such as 2")(str(value))
        except ValueError as e:
            raise UsageError(f"{option}: {e}") from None

    return parse


def toxiproxy_url(value: str | None) -> str | None:
    from loadtool.profile.addresses import http_url

    try:
        return None if value is None else http_url(value)
    except ValueError as e:
        raise UsageError(f"--toxiproxy: {e}") from None


def file(option: str, help: str) -> Any:
    """An option for a file to write."""
    return typer.Option(option, metavar="FILE", help=help, rich_help_panel=FILES)


def directory(option: str, *short: str, holds: str) -> Any:
    """An option for the directory of a run's own files."""
    return typer.Option(
        option, *short, metavar="DIR", rich_help_panel=FILES,
        help=f"Where {holds} goes; by default a new directory in loadtool-results/.",
    )  # fmt: skip


ProfileFile = Annotated[
    Path,
    typer.Option(
        "--profile", "-p", metavar="FILE", help="The profile: a YAML file.", rich_help_panel=_RUN,
        show_default=False,
    ),
]  # fmt: skip
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", rich_help_panel=_RUN, show_default=False,
        help="Override a value of the profile, such as phases.spike.rate=800/s. May be given many times.",
    ),
]  # fmt: skip
Target = Annotated[
    str | None,
    typer.Option("--target", metavar="URL", help="Instead of the profile's target.", rich_help_panel=_WHERE),
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", metavar="N", help="Instead of the profile's seed.", rich_help_panel=_RUN,
                 parser=whole_number("--seed", 0, MOST_SEED)),
]  # fmt: skip
Scale = Annotated[
    float,
    typer.Option("--scale", metavar="N", rich_help_panel=_RUN, show_default=False,
                 parser=factor("--scale", 0.001, 1000),
                 help="So many times the load: multiplies the rate of every phase, or a replay's requests."),
]  # fmt: skip
AllowHosts = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host", metavar="HOST", rich_help_panel=_WHERE, show_default=False,
        help="Load this host although its address is neither loopback nor private. May be given many times.",
    ),
]  # fmt: skip
Toxiproxy = Annotated[
    str | None,
    typer.Option(
        "--toxiproxy", metavar="URL", rich_help_panel=_WHERE, callback=toxiproxy_url,
        help="A running Toxiproxy. Else a toxiproxy-server on PATH is started, else the embedded one.",
    ),
]  # fmt: skip
Workers = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", rich_help_panel=HOW, show_default=False,
                 parser=whole_number("--workers", 1),
                 help="Processes that send the load; by default one for each usable core but one."),
]  # fmt: skip
Plain = Annotated[
    bool,
    typer.Option("--plain", rich_help_panel=SEEN,
                 help="A line every few seconds instead of the live view; so it is without a terminal."),
]  # fmt: skip
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", rich_help_panel=SEEN, help="No progress, only the report."),
]
Prometheus = Annotated[
    str | None,
    typer.Option("--prometheus", metavar="PORT", rich_help_panel=SEEN,
                 help="Serve live metrics on this port of 127.0.0.1, or on HOST:PORT, while the run lasts."),
]  # fmt: skip
Json = Annotated[Path | None, file("--json", "The result, for programs.")]
Junit = Annotated[Path | None, file("--junit", "A testcase per SLO.")]
Markdown = Annotated[Path | None, file("--markdown", "A page for a pull request.")]
Html = Annotated[
    Path | None, file("--html", "A page with interactive charts, in one file that opens offline.")
]
Csv = Annotated[Path | None, file("--csv", "A line for each slice.")]
Hlog = Annotated[
    Path | None, file("--hlog", "HdrHistogram's interval log: by slice, and by phase, class and request.")
]
Hgrm = Annotated[
    Path | None,
    file("--hgrm", "HdrHistogram's percentile distribution; FILE.PHASE.hgrm for each phase, too."),
]
