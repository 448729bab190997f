"""Options that several commands share, so that they read and behave the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_RUN, _WHERE, FILES = "Profile", "Where the load goes", "Files to write"

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
    typer.Option("--seed", metavar="N", help="Instead of the profile's seed.", rich_help_panel=_RUN),
]
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
        "--toxiproxy", metavar="URL", rich_help_panel=_WHERE,
        help="A running Toxiproxy. Else a toxiproxy-server on PATH is started, else the embedded one.",
    ),
]  # fmt: skip
Json = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="The result, for programs.", rich_help_panel=FILES),
]
Junit = Annotated[
    Path | None,
    typer.Option("--junit", metavar="FILE", help="A testcase per SLO.", rich_help_panel=FILES),
]
Markdown = Annotated[
    Path | None,
    typer.Option("--markdown", metavar="FILE", help="A page for a pull request.", rich_help_panel=FILES),
]
