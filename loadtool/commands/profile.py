"""`loadtool init` and `loadtool schema`: help with writing a profile."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from loadtool.commands import console, help_pages
from loadtool.errors import OutputError, UsageError

DEFAULT_FILE = Path("loadtool.yaml")


def mount(app: typer.Typer) -> None:
    app.command(
        cls=help_pages.Command,
        context_settings=help_pages.CONTEXT,
        epilog="""\b
Examples:
  $ loadtool init
  $ loadtool init checkout.yaml --target http://127.0.0.1:8080

\b
Exit codes:
  0  written
  2  the file exists (--force overwrites it), or cannot be written
""",
    )(init)
    app.command(
        cls=help_pages.Command,
        context_settings=help_pages.CONTEXT,
        epilog="""\b
Examples:
  $ loadtool schema > profile.schema.json
and then, as the first line of a profile beside it:
  # yaml-language-server: $schema=./profile.schema.json
""",
    )(schema)


def init(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The profile to write.", show_default=True)
    ] = DEFAULT_FILE,
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="URL", help="The service to load; by default the embedded demo."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it exists.")] = False,
) -> None:
    """Write a commented profile to start from; it runs as it is."""
    from loadtool.profile.starter import starter
    from loadtool.report.result_file import write_text_atomically

    text = starter(target)
    try:
        if force:
            write_text_atomically(text, file)
        else:
            _write_new(file, text)
    except OutputError as e:
        raise UsageError(str(e)) from e
    console.say(f"wrote {file}")
    place = shlex.quote(str(file))
    console.note(f"next: loadtool try --profile {place}, then loadtool spike --profile {place}")


def _write_new(file: Path, text: str) -> None:
    """Exclusively: a file that somebody made in the meantime is not overwritten either."""
    try:
        with open(file, "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as e:
        raise UsageError(f"{file}: exists already; --force overwrites it, or name another file") from e
    except OSError as e:
        raise OutputError(f"{file}: cannot be written: {e.strerror}") from e


def schema() -> None:
    """Print the JSON Schema of profiles, for editors."""
    from loadtool.profile.schema import json_schema

    console.say(json.dumps(json_schema(), indent=2, ensure_ascii=False))
