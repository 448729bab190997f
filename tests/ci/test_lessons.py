"""The lessons of profiles/lessons/: each really gives the verdict that it promises, at its own load.

`ci/lessons --all` runs them at half and double load too.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from loadtool import cli

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "profiles" / "lessons").glob("*.yaml"))
AT_A_TIME = 3  # they mostly wait: a run takes 17 s, and 4 s of one core


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lessons_script", ROOT / "ci" / "lessons.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


SCRIPT = _script()


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Any]]]:
    """The runs of the lessons that were chosen, by name, begun in their order."""
    directory = tmp_path_factory.mktemp("lessons")
    files = [
        item.callspec.params["file"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.originalname == test_a_lesson_gives_its_verdict.__name__
    ]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        lessons = [SCRIPT.read_lesson(file) for file in files]
        yield {one.name: pool.submit(SCRIPT.run, one, "normal", directory) for one in lessons}
        pool.shutdown(cancel_futures=True)


@pytest.mark.timeout(400)  # a bound for a machine on which no run is valid
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_lesson_gives_its_verdict(file: Path, runs: dict[str, Future[Any]]) -> None:
    ran = runs[file.stem].result()
    if ran.verdict == SCRIPT.BUSY:
        pytest.skip(f"this machine was too busy, {ran.tries} times over: {ran.sentence}")
    assert ran.verdict == ran.expected, ran.sentence


def test_there_is_a_lesson_for_each_verdict() -> None:
    given = {lesson.expected["normal"] for lesson in SCRIPT.lessons()}
    assert given == set(SCRIPT.SEVERITY) - {"no-baseline"}


@pytest.mark.parametrize("scale", ["1", "2"])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_lesson_can_be_planned(file: Path, scale: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "-p", str(file), "--scale", scale]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "demo (the embedded service, --slots " in " ".join(out.split())


# The script


def lesson(directory: Path, stated: str) -> Path:
    file = directory / "some.yaml"
    file.write_text(f"name: some\nx-lesson: {stated}\n")
    return file


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ("~", "x-lesson: want teaches, half, normal, double"),
        ("{teaches: a, half: shed, normal: shed}", "x-lesson: want teaches, half, normal, double"),
        ("{teaches: a, half: shed, normal: good, double: shed}", "x-lesson: got good, want one of absorbed"),
    ],
)
def test_a_lesson_that_does_not_say_what_it_expects(tmp_path: Path, stated: str, said: str) -> None:
    with pytest.raises(SCRIPT.LessonError, match=f"^some.yaml: {said}"):
        SCRIPT.read_lesson(lesson(tmp_path, stated))


GOOD = "{teaches: Much, half: absorbed, normal: shed, double: melted}"


class Runs:
    """Results of runs, one after the other, in place of real ones."""

    def __init__(self, *verdicts: str) -> None:
        self.left = list(verdicts)
        self.scales: list[str] = []

    def __call__(self, _lesson: Any, scale: str, _directory: Path) -> dict[str, Any]:
        self.scales.append(scale)
        verdict = self.left.pop(0)
        if verdict == "invalid":
            return {"verdict": "invalid", "reasons": ["late"]}
        took = 46.0 if verdict == "held up" else 44.0
        probes = [{"name": "store", "t": 1.0, "ms": took, "after": False}] * 2
        probes += [{"name": "store", "t": t, "ms": 600.0, "after": False} for t in (4.5, 8.5)]  # in the fault
        spikes = [{"verdict": verdict, "sentence": f"So it went: {verdict}"}]
        faults = [{"started_s": 5.0, "ended_s": 8.0}]
        return {"verdict": "pass", "overload": {"spikes": spikes}, "probes": probes, "faults": faults}


@pytest.mark.parametrize(
    ("verdicts", "verdict", "tries", "well"),
    [
        (["shed"], "shed", 1, True),
        (["melted", "shed"], "melted", 1, False),  # a valid run counts, whatever it says
        (["invalid", "invalid", "shed"], "shed", 3, True),
        (["invalid"] * 3, "too busy", 3, False),
        (["held up", "shed"], "shed", 2, True),
        (["held up", "invalid", "held up"], "too busy", 3, False),
    ],
)
def test_invalid_runs_alone_are_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verdicts: list[str], verdict: str, tries: int, well: bool
) -> None:
    monkeypatch.setattr(SCRIPT, "_once", once := Runs(*verdicts))
    ran = SCRIPT.run(SCRIPT.read_lesson(lesson(tmp_path, GOOD)), "normal", tmp_path)
    assert (ran.verdict, ran.tries, ran.well) == (verdict, tries, well)
    assert once.scales == ["1"] * tries


@pytest.mark.parametrize(
    ("verdicts", "code", "shown"),
    [
        (["absorbed", "shed", "melted"], 0, "3 of 3 as expected"),
        (["absorbed", "absorbed", "melted"], 1, "2 of 3 as expected"),
        (["absorbed", *["invalid"] * 3, "melted"], 3, "2 of 3 as expected"),
    ],
)
def test_the_command_compares_and_writes_the_table(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verdicts: list[str],
    code: int,
    shown: str,
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{SCRIPT.BEGIN}\nold\n{SCRIPT.END}\nafter\n")
    monkeypatch.setattr(SCRIPT, "_once", once := Runs(*verdicts))
    monkeypatch.setattr(SCRIPT, "lessons", lambda: [SCRIPT.read_lesson(lesson(tmp_path, GOOD))])
    monkeypatch.setattr(SCRIPT, "README", readme)
    assert SCRIPT.main(["--all", "--jobs", "1", "--write-readme"]) == code
    assert shown in capsys.readouterr().out
    assert once.scales[0] == "0.5"
    assert once.scales[-1] == "2"
    text = readme.read_text()
    assert text.startswith(f"before\n{SCRIPT.BEGIN}\n| lesson | teaches | half load |")
    assert text.endswith(f"\n{SCRIPT.END}\nafter\n")
    middle = {0: "**shed**", 1: "**absorbed** (expected: shed)", 3: "**too busy** (expected: shed)"}[code]
    assert f"| [some](profiles/lessons/some.yaml) | Much | absorbed | {middle} | melted |\n" in text
    assert "old" not in text


def test_the_table_of_the_readme_is_of_these_lessons() -> None:
    """Every lesson stands there, with the verdicts that are expected of it."""
    readme = (ROOT / "README.md").read_text("utf-8")
    section = readme.partition(SCRIPT.BEGIN)[2].partition(SCRIPT.END)[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| [")]
    told = {row[0].removeprefix("| [").partition("]")[0]: row[1:] for row in rows}
    assert set(told) == {file.stem for file in FILES}
    for one in SCRIPT.lessons():
        teaches, *verdicts = (cell.strip(" |*") for cell in told[one.name])
        assert (teaches, verdicts) == (one.teaches, list(one.expected.values()))


def test_a_real_run_is_read(tmp_path: Path) -> None:
    """The script asks for nothing that a result does not have."""
    file = tmp_path / "tiny.yaml"
    file.write_text(
        f"""\
name: tiny
x-lesson: {GOOD}
target: demo
requests: [{{get: /products/1}}]
phases:
  - {{name: baseline, rate: 20/s, for: 4s}}
  - {{name: spike, rate: 20/s, for: 4s}}
probes: [{{name: slots, get: /metrics, value: demo_slots, every: 200ms}}]
demo: {{slots: 7}}
validity: {{lag: 10s}}
"""
    )
    ran = SCRIPT.run(SCRIPT.read_lesson(file), "normal", tmp_path)
    if ran.verdict == SCRIPT.BUSY:
        assert (
            "held up" in ran.sentence
        )  # by others on this machine, so the run proves nothing; it is read alike
    else:
        assert ran.verdict in SCRIPT.SEVERITY
        assert ran.sentence.endswith(ran.verdict)
    result = json.loads((tmp_path / "tiny-normal-1" / "result.json").read_text())
    assert [phase["rate"] for phase in result["profile"]["phases"]] == ["20/s", "20/s"]
    # The service has the switches of its profile, and tells of them.
    told = [probe["value"] for probe in result["probes"] if probe["name"] == "slots"]
    assert len(told) >= 3
    assert set(told) == {7.0}


def test_every_lesson_has_its_paragraph() -> None:
    page = (ROOT / "docs" / "lessons.md").read_text("utf-8")
    headings = re.findall(r"^## (.*:.*)$", page, re.MULTILINE)
    told = {name for heading in headings for name in re.findall(r"([a-z-]+):", heading)}
    assert told == {file.stem for file in FILES}
