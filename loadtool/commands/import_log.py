"""`loadtool import`: profiles from an access log."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loadtool.commands import console, help_pages
from loadtool.errors import OutputError, UsageError, got
from loadtool.signals import ending_by_exception

if TYPE_CHECKING:
    from loadtool.profile.imported import Imported

DEFAULT_TARGET = "${TARGET:-http://127.0.0.1:8080}"
_FORMATS = ("combined", "json", "csv")
_MIX, _REPLAY, _ROWS = "mix.yaml", "replay.yaml", "replay.jsonl"
_SHOWN = 10


def mount(app: typer.Typer) -> None:
    app.command(
        "import",
        short_help="Write profiles from an access log.",
        cls=help_pages.Command,
        context_settings=help_pages.CONTEXT,
        epilog="""\b
Examples:
  $ loadtool import access.log -o shop
  $ loadtool import access.log.gz -o shop --target https://staging.example.com
  $ loadtool plan -p shop/mix.yaml

\b
What it writes:
  mix.yaml      the log's requests by weight, at its middle and highest rate
  replay.yaml   the log again, with its gaps; replay.jsonl is what it replays
  paths/        what the mix draws its paths from

\b
Exit codes:
  0  written
  2  the log can't be read, or files are there already (--force overwrites)
""",
    )(import_log)


def import_log(
    log: Annotated[Path, typer.Argument(metavar="LOG", help="An access log; one that ends in .gz, too.")],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="DIR", help="Where to write; made if it is not there.",
                     show_default=False),
    ],
    format: Annotated[
        str,
        typer.Option("--format", metavar="FORMAT", help="combined (and common), json or csv.",
                     show_default=True),
    ] = "combined",
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="URL", help="The service to load; by default $TARGET at each run."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files of before.")] = False,
) -> None:  # fmt: skip
    """Write profiles from an access log.

    Of nginx or Apache, or in JSON or CSV. One has the log's mix of requests and its rates, the other replays
    it, with its headers and bodies where the log has them. What looks like a secret is masked or left out.
    """
    from loadtool.profile import imported
    from loadtool.profile.replay_file import read_recording
    from loadtool.report.result_file import write_text_atomically

    if format not in _FORMATS:
        want = f"one of {', '.join(_FORMATS)}"
        raise UsageError(f"--format: {got(format, want)}")
    where = _target(target)
    for name in (_MIX, _REPLAY, _ROWS):
        if (out / name).exists() and not force:
            raise UsageError(
                f"{out / name}: exists already; --force overwrites it, or name another directory"
            )
    try:
        # Bodies that were not recorded are the replay's business: here every request counts.
        bodies = dict.fromkeys(imported.BODIED, imported.UNRECORDED)
        recording = read_recording(log, format=format, bodies=bodies)
    except ValueError as e:
        raise UsageError(f"{log}: {e}") from None
    it = imported.read_log(recording)
    name = _name(log)
    texts = {imported.feeder_file(kind): imported.feeder_rows(kind) for kind in it.kinds if kind.feeder}
    texts[_REPLAY] = imported.replay_profile(it, name, where, log.name, _ROWS)
    texts[_MIX] = imported.mix_profile(it, name, where, log.name)
    try:
        with ending_by_exception():
            _write_lines(imported.replay_rows(recording), out / _ROWS)
            for file, text in texts.items():
                write_text_atomically(text, out / file)
    except OutputError as e:
        raise UsageError(str(e)) from e
    console.say("\n".join(_summary(it, log)))
    for file in (_MIX, _REPLAY, _ROWS):
        console.say(f"wrote {out / file}")
    mix, replay = (shlex.quote(str(out / file)) for file in (_MIX, _REPLAY))
    console.say(f"next: loadtool plan -p {mix}, and loadtool plan -p {replay}")


def _target(url: str | None) -> str:
    """As it stands in a profile."""
    from loadtool.profile import addresses, environment

    if url is None:
        return DEFAULT_TARGET
    try:
        addresses.target(url)
    except ValueError as e:
        raise UsageError(f"--target: {e}") from None
    return json.dumps(environment.escape(url), ensure_ascii=False)


def _name(log: Path) -> str:
    stem = log.name.removesuffix(".gz")
    return (stem.rpartition(".")[0] or stem).strip(".") or "log"


def _summary(it: Imported, log: Path) -> Iterator[str]:
    from loadtool.profile.replay_file import broken_text
    from loadtool.units import SECOND, counted, format_duration

    recording, rates = it.recording, it.rates
    began = datetime.fromtimestamp(recording.began_ns // SECOND, UTC)
    peak = datetime.fromtimestamp(recording.began_ns // SECOND + rates.peak_at_s, UTC)
    yield (
        f"{log}: {len(recording):,} requests in {format_duration(recording.length_ns)} "
        f"from {began:%Y-%m-%d %H:%M:%S} UTC"
    )
    yield (
        f"rates over {rates.bin_s} s: {rates.median:,.3g}/s in the middle, "
        f"{rates.peak:,.3g}/s at the highest ({peak:%H:%M:%S})"
    )
    for kind in it.kinds[:_SHOWN]:
        yield f"  {kind.requests / len(recording):6.1%}  {kind.name}"
    if len(it.kinds) > _SHOWN:
        yield f"  and {len(it.kinds) - _SHOWN} more"
    if it.left_out:
        yield f"{it.left_out:,} requests of rarer kinds are in the replay, not in the mix"
    if recording.errors:
        listed = ", ".join(f"{count:,} × {status}" for status, count in recording.errors)
        yield f"answers that would count as errors: {listed}"
    for out in recording.left_out:
        yield f"left out: {out.lines:,} lines, {out.reason} (the first is line {out.line:,})"
    if text := broken_text(recording):
        yield text
    if it.masked:
        yield (
            f"masked: what looks like a secret in the queries and bodies of {it.masked:,} different requests"
        )
    if it.headers:
        more = f" and {len(it.headers) - _SHOWN} more" if len(it.headers) > _SHOWN else ""
        names = f"{', '.join(it.headers[:_SHOWN])}{more}"
        yield f"left out: headers of {counted(it.headless, 'request')} that look like secrets: {names}"
    if it.unbodied:
        whose = counted(it.unbodied, "request")
        yield f"left out: bodies of {whose}, neither JSON nor forms: any may hold a secret"
    if it.headed or any(kind.bodies for kind in it.kinds):
        yield "headers and bodies of the log are in the replay, not in the mix"


def _write_lines(lines: Iterable[str], path: Path) -> None:
    """Whole or not at all, without holding all of it in memory. Raises OutputError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(beside, "x", encoding="utf-8") as file:
                file.writelines(lines)
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as e:
        raise OutputError(f"{path}: cannot be written: {e.strerror or e}") from e
