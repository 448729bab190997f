"""Files that a command writes beside its report: proven writable before the load, written whole after it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from loadtool.commands.console import note, say
from loadtool.errors import OutputError, UsageError
from loadtool.measure.result import Result
from loadtool.signals import Aftermath


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file, and the name of the format in `report/formats.py` that it wants."""

    format: str
    path: Path


def wanted(
    files: Mapping[str, Path | None],
    *,
    inputs: Sequence[tuple[str, Path]] = (),
    results: Sequence[tuple[str, Path]] = (),
) -> list[Wanted]:
    """The files that were asked for, by format. Raises UsageError if two are the same file.

    `inputs` are files that the command reads, and what to call them: nothing takes their place. Nor does it
    that of `results`, except for a result itself, which may be kept where an earlier one was.
    """
    chosen = [Wanted(name, path) for name, path in files.items() if path is not None]
    earlier: list[tuple[str, Path]] = []
    for want in chosen:
        keep_apart([want], [*inputs, *(() if want.format == "json" else results), *earlier])
        earlier.append((f"--{want.format}", want.path))
    return chosen


def keep_apart(files: Sequence[Wanted], inputs: Sequence[tuple[str, Path]]) -> None:
    """See that none of them would take the place of an input. Raises UsageError."""
    for want in files:
        for name, path in inputs if not _special(want.path) else ():
            if _is_same(want.path, path):
                raise UsageError(f"--{want.format}: got {want.path}, want another file than {name}")


def _is_same(one: Path, other: Path) -> bool:
    """Whether these are names of one file, by way of links, too; it may not be there yet."""
    with suppress(OSError):
        if os.path.samefile(one, other):
            return True
    return os.path.realpath(one) == os.path.realpath(other)


def prove_writable(files: Sequence[Wanted]) -> None:
    """Make sure that each can be written, by writing where it will go. Raises UsageError.

    No directory is made for it yet: a run that never begins leaves none behind.
    """
    from loadtool.report.result_file import is_open_to_us, prove_room

    for want in files:
        place = want.path
        try:
            if place.is_dir():
                raise IsADirectoryError(errno.EISDIR, "it is a directory")
            if place.parent.exists() and not place.parent.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, f"{place.parent} is no directory")
            if _special(place):
                continue
            above = Path(os.path.realpath(place)).parent  # what a link points to is what is written
            while not above.exists():
                above = above.parent
            try:
                prove_room(above)
            except OSError as e:
                if e.errno == errno.ENOSPC or not is_open_to_us(place):
                    raise
        except OSError as e:
            raise UsageError(
                f"--{want.format}: got {place}, want a file that can be written: {e.strerror}"
            ) from e


def write(result: Result, files: Sequence[Wanted]) -> tuple[list[Path], list[OutputError]]:
    """Write them all; those written, and why others were not."""
    from loadtool.report.formats import FORMATS
    from loadtool.report.result_file import write_text_atomically

    written: list[Path] = []
    failures: list[OutputError] = []

    def put(text: str, path: Path) -> None:
        try:
            write_text_atomically(text, path)
            written.append(path)
        except OutputError as e:
            failures.append(e)

    taken = {want.path.absolute() for want in files}
    for want in files:
        chosen = FORMATS[want.format]
        put(chosen.render(result), want.path)
        if chosen.beside is None or _special(want.path):
            continue
        for name, text in chosen.beside(result).items():
            place = beside(want.path, name, chosen.suffix)
            if place.absolute() in taken:
                failures.append(OutputError(f"{place}: not written: another report went there; rename one"))
            else:
                put(text, place)
    return written, failures


def beside(path: Path, name: str, suffix: str) -> Path:
    """The file of a part of a report: run.spike.hgrm of run.hgrm and spike."""
    return path.with_name(f"{path.name.removesuffix(suffix)}.{name}{suffix}")


def tell_github(result: Result, environment: Mapping[str, str] = os.environ) -> list[OutputError]:
    """What GitHub Actions shows by itself: a summary page and annotations at the profile's lines."""
    failures = []
    summary = environment.get("GITHUB_STEP_SUMMARY")
    if summary:
        from loadtool.report import markdown

        try:
            with open(summary, "a", encoding="utf-8") as file:  # other steps write there, too
                file.write(markdown.render(result))
        except OSError as e:
            failures.append(OutputError(f"{summary}: cannot be written (GITHUB_STEP_SUMMARY): {e.strerror}"))
    if environment.get("GITHUB_ACTIONS") == "true":
        from loadtool.report import annotations

        commands = annotations.render(
            result, workspace=environment.get("GITHUB_WORKSPACE", ""), directory=_working_directory()
        )
        if commands:
            say(commands)
    return failures


def _working_directory() -> str:
    """ "" if it was removed."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def deliver(lines: Sequence[str], failures: Sequence[OutputError], exit_code: int) -> int:
    """Show what came of a run, tell what could not be written, and its exit code: never 0 then."""
    failures = [*failures]
    try:
        say("\n".join(lines))
    except OutputError as e:
        failures.append(e)
    complain(failures)
    return exit_code or (OutputError.exit_code if failures else 0)


def after(aftermath: Aftermath, tell: Callable[[], int], say_where: Callable[[], None]) -> int:
    """Tell what came of a load, to the end unless a signal ends it; the exit code.

    `say_where` says then where what was not told can be found. Raises Ended.
    """
    try:
        aftermath.let_go()
        return aftermath.exit_code(tell())
    except KeyboardInterrupt:
        say_where()
        raise


def complain(failures: Sequence[OutputError]) -> None:
    for failure in failures:
        note(f"loadtool: {failure}")


def _special(path: Path) -> bool:
    """A pipe or a device such as /dev/stdout, which is written to as it is."""
    try:
        return path.exists() and not path.is_file()
    except OSError:  # too long a name, or a directory that may not be looked into: told when it is written
        return False
