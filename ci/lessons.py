"""Runs the lessons of profiles/lessons/, at their own load, half and double, and compares the verdicts.

Each profile says under `x-lesson` what it teaches and which verdict is expected at which load.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from loadtool.judge.overload_figures import SEVERITY
from loadtool.profile.yaml_tree import read_tree

ROOT: Final = Path(__file__).resolve().parents[1]
LESSONS: Final = ROOT / "profiles" / "lessons"
README: Final = ROOT / "README.md"
BEGIN: Final = "<!-- lessons: written by ci/lessons --all --write-readme -->"
END: Final = "<!-- /lessons -->"
SCALES: Final = {"half": "0.5", "normal": "1", "double": "2"}  # by the name of the load
TRIES: Final = 3  # of a run that proves nothing, since the machine was too busy
RUN_S: Final = 110  # no lesson takes half as long
BUSY: Final = "too busy"
# The run asks the service for its store twice a second: a request without a slot, and 2 ms of the store's.
# Where more than a tenth of them took so long, the machine kept the service from working: its capacity is not
# what its switches say, and the verdict would be the machine's.
SLOW_MS: Final = 45.0

say = print


@dataclass(frozen=True, slots=True)
class Lesson:
    """A profile of profiles/lessons/."""

    file: Path
    teaches: str
    expected: dict[str, str]  # verdict by the name of the load

    @property
    def name(self) -> str:
        return self.file.stem


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a lesson at one load."""

    lesson: Lesson
    load: str
    verdict: str  # BUSY: no run was valid
    sentence: str  # of the report; why, if the machine was too busy
    tries: int

    @property
    def expected(self) -> str:
        return self.lesson.expected[self.load]

    @property
    def well(self) -> bool:
        return self.verdict == self.expected


class LessonError(Exception):
    """A lesson that can't be read, or a run that ended as none may."""


def lessons(directory: Path = LESSONS) -> list[Lesson]:
    """All of them, by name. Raises LessonError for one that does not say what it expects."""
    return [read_lesson(file) for file in sorted(directory.glob("*.yaml"))]


def read_lesson(file: Path) -> Lesson:
    """Raises LessonError if it does not say what it teaches and expects."""
    data = read_tree(file.read_text("utf-8")).data
    stated = data.get("x-lesson") if isinstance(data, dict) else None
    stated = dict(stated) if isinstance(stated, dict) else {}
    teaches = stated.pop("teaches", None)
    if not isinstance(teaches, str) or set(stated) != set(SCALES):
        raise LessonError(f"{file.name}: x-lesson: want teaches, {', '.join(SCALES)}")
    if wrong := [verdict for verdict in stated.values() if verdict not in SEVERITY]:
        raise LessonError(f"{file.name}: x-lesson: got {wrong[0]}, want one of {', '.join(SEVERITY)}")
    return Lesson(file, teaches, stated)


def run(lesson: Lesson, load: str, directory: Path, tries: int = TRIES) -> Ran:
    """Run it until a run is valid, at most `tries` times. Raises LessonError if it ends as no run may."""
    why: str | None = None
    for number in range(1, tries + 1):
        result = _once(lesson, SCALES[load], directory / f"{lesson.name}-{load}-{number}")
        if (why := _doubt(result)) is not None:
            continue
        overload = result["overload"]
        if overload is None:
            raise LessonError(f"{lesson.name}, {load}: no verdict: {result.get('no_overload')}")
        (spike,) = overload["spikes"]
        return Ran(lesson, load, spike["verdict"], spike["sentence"], number)
    return Ran(lesson, load, BUSY, why or "", tries)


def _doubt(result: Mapping[str, Any]) -> str | None:
    """Why nothing follows from this run, whatever its verdict is; None if something does."""
    if result["verdict"] == "invalid":
        return "; ".join(result["reasons"])
    faults = [(f["started_s"] - 1, f["ended_s"] + 1) for f in result["faults"] if f["started_s"] is not None]
    asked = [p for p in result["probes"] if p["name"] == "store" and not p["after"]]
    took = sorted(p["ms"] for p in asked if not any(begin <= p["t"] <= end for begin, end in faults))
    slow = took[int(len(took) * 0.9)] if took else 0.0
    return f"the service itself was held up: p90 of its probe was {slow:.0f} ms" if slow > SLOW_MS else None


def _once(lesson: Lesson, scale: str, directory: Path) -> dict[str, Any]:
    """One run's result."""
    argv = [
        sys.executable, "-m", "loadtool", "spike", "-p", str(lesson.file), "--scale", scale, "--quiet",
        "--workers", "1", "--out", str(directory),
    ]  # fmt: skip
    plain = {key: value for key, value in os.environ.items() if not key.startswith("GITHUB_")}
    done = subprocess.run(argv, capture_output=True, text=True, timeout=RUN_S, env=plain, check=False)
    file = directory / "result.json"
    if done.returncode not in (0, 1, 3) or not file.exists():
        raise LessonError(f"{lesson.name}: exit code {done.returncode}: {done.stderr.strip()[-500:]}")
    result: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return result


def run_all(
    wanted: Iterable[tuple[Lesson, str]], directory: Path, jobs: int, tell: Callable[[Ran], None]
) -> list[Ran]:
    """Run each lesson at its load, `jobs` at a time; `tell` hears of each in the order of `wanted`."""
    with ThreadPoolExecutor(jobs) as pool:
        futures: list[Future[Ran]] = [pool.submit(run, *one, directory) for one in wanted]
        found = []
        try:
            for future in futures:
                found.append(future.result())
                tell(found[-1])
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return found


def table(found: Sequence[Ran]) -> str:
    """What each lesson teaches, and the verdict that it really gave, as a markdown table."""
    loads = [load for load in SCALES if any(ran.load == load for ran in found)]
    heads = {"half": "half load", "normal": "as it lies", "double": "double load"}
    lines = [
        f"| lesson | teaches | {' | '.join(heads[load] for load in loads)} |",
        f"|---|---|{'---|' * len(loads)}",
    ]
    for lesson in dict.fromkeys(ran.lesson.name for ran in found):
        mine = {ran.load: ran for ran in found if ran.lesson.name == lesson}
        first = next(iter(mine.values())).lesson
        link = f"[{lesson}](profiles/lessons/{first.file.name})"
        cells = [_cell(mine.get(load)) for load in loads]
        lines.append(f"| {link} | {first.teaches} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(ran: Ran | None) -> str:
    if ran is None:
        return ""
    word = f"**{ran.verdict}**" if ran.load == "normal" else ran.verdict
    return word if ran.well else f"{word} (expected: {ran.expected})"


def write_readme(found: Sequence[Ran], file: Path) -> None:
    """Put the table between the markers. Raises LessonError if they are not there."""
    text = file.read_text("utf-8")
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    system = f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}"
    measured = (
        f"Verdicts of real runs on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, {system}, "
        f"Python {platform.python_version()}."
    )
    section = f"{BEGIN}\n{table(found)}\n\n{measured}\n{END}"
    text, n = pattern.subn(lambda _: section, text)
    if n != 1:
        raise LessonError(f"{file.name}: want the markers {BEGIN} and {END} once")
    file.write_text(text, "utf-8")


def _tell(ran: Ran) -> None:
    mark = "ok  " if ran.well else "??? " if ran.verdict == BUSY else "DIFF"
    wanted = "" if ran.well else f" (expected: {ran.expected})"
    again = f", try {ran.tries}" if ran.tries > 1 else ""
    say(f"{mark} {ran.lesson.name:<22} {ran.load:<7} {ran.verdict}{wanted}{again}", flush=True)
    say(f"     {ran.sentence}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="ci/lessons", description=__doc__)
    parser.add_argument("lessons", nargs="*", metavar="LESSON", help="by default all")
    parser.add_argument("--load", action="append", choices=list(SCALES), help="by default normal")
    parser.add_argument("--all", action="store_true", help="at every load")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="runs at a time (2)")
    parser.add_argument("--results", type=Path, metavar="DIR", help="keep the results there")
    parser.add_argument("--write-readme", action="store_true", help="needs --all and all lessons")
    chosen = parser.parse_args(arguments)
    if chosen.write_readme and (chosen.lessons or not chosen.all):
        parser.error("--write-readme: the table has all lessons at every load; want --all, and no names")
    if chosen.jobs < 1:
        parser.error(f"--jobs: got {chosen.jobs}, want at least 1")
    try:
        known = {lesson.name: lesson for lesson in lessons()}
        if unknown := set(chosen.lessons) - set(known):
            parser.error(f"got {sorted(unknown)[0]}, want one of {', '.join(known)}")
        loads = list(SCALES) if chosen.all else chosen.load or ["normal"]
        wanted = [(known[name], load) for name in chosen.lessons or known for load in loads]
        with tempfile.TemporaryDirectory() as temporary:
            found = run_all(wanted, chosen.results or Path(temporary), chosen.jobs, _tell)
        well = sum(ran.well for ran in found)
        say(f"\n{well} of {len(found)} as expected")
        if chosen.write_readme:
            write_readme(found, README)
    except LessonError as e:
        sys.stderr.write(f"ci/lessons: {e}\n")
        return 1
    if any(not ran.well and ran.verdict != BUSY for ran in found):
        return 1
    return 0 if well == len(found) else 3


if __name__ == "__main__":
    sys.exit(main())
