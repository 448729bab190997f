"""What the commands that compare runs share: their options, the comparison itself and its exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loadtool.commands import console
from loadtool.errors import UsageError

if TYPE_CHECKING:
    from loadtool.judge.compare_gate import Gate, GateFinding
    from loadtool.judge.comparison import Comparison
    from loadtool.measure.result import Result
    from loadtool.profile.load import Loaded

PANEL = "Against a baseline"
Baselines = Annotated[
    list[Path] | None,
    typer.Option("--baseline", metavar="RESULT_JSON", rich_help_panel=PANEL, show_default=False,
                 help="An earlier run to compare with. Given several times: runs of the same baseline."),
]  # fmt: skip
FailIf = Annotated[
    list[str] | None,
    typer.Option("--fail-if", metavar="GATE", rich_help_panel=PANEL, show_default=False,
                 help="Exit with 1 if it holds, such as 'p99 worse by 10%' or "
                      "'error rate worse by 0.5pp during spike'. May be given many times."),
]  # fmt: skip
DifferentProfiles = Annotated[
    bool,
    typer.Option("--different-profiles", rich_help_panel=PANEL,
                 help="Compare although the profiles differ."),
]  # fmt: skip
Force = Annotated[
    bool,
    typer.Option("--force", rich_help_panel=PANEL,
                 help="Judge invalid and interrupted runs as if they proved something."),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Baseline:
    """The baseline's runs, the gates and how strict to be, ready before anything is sent."""

    results: tuple[Result, ...]
    gates: tuple[Gate, ...]
    different_profiles: bool = False
    force: bool = False
    files: tuple[Path, ...] = ()  # of the results

    @classmethod
    def of(
        cls,
        files: Sequence[Path],
        fail_if: Sequence[str] = (),
        *,
        different_profiles: bool = False,
    ) -> Baseline | None:
        """None without files. Raises UsageError for one that can't be compared, and for wrong gates."""
        gates = parse_gates(fail_if)
        if not files:
            if gates or different_profiles:
                raise UsageError("--fail-if and --different-profiles need a --baseline")
            return None
        from loadtool.judge.compare import samples

        baseline = cls.read(files, gates, different_profiles=different_profiles)
        samples(baseline.results, [str(file) for file in baseline.files])  # not first after the load
        return baseline

    @classmethod
    def read(
        cls,
        files: Sequence[Path],
        gates: tuple[Gate, ...],
        *,
        different_profiles: bool = False,
        force: bool = False,
    ) -> Baseline:
        """Raises UsageError for a file that is no result."""
        from loadtool.report.result_file import file_of, read

        results = tuple(map(read, files))
        return cls(results, gates, different_profiles, force, tuple(map(file_of, files)))

    def check(self, loaded: Loaded) -> None:
        """See that a run of this profile may be compared, and gates name what is there.

        Raises UsageError with what differs. What `setup:` may yet set is no difference: check again after it.
        """
        from loadtool.judge.compare_gate import check
        from loadtool.judge.compare_profiles import planned_changes

        check(self.gates, self.results[0])
        if self.different_profiles:
            return
        for result in self.results:
            if found := list(planned_changes(result, loaded)):
                lines = "\n".join(f"  {change}" for change in found)
                raise UsageError(
                    f"--baseline is of another profile; --different-profiles compares them anyway:\n{lines}"
                )

    def against(self, candidate: Sequence[Result], files: Sequence[Path] = ()) -> Compared:
        """Compare. `files` are the candidate's, if it is from files.

        Raises UsageError if the profiles differ and may not, a gate names what isn't there, or a histogram of
        a result is none.
        """
        from loadtool.judge.compare import Comparer
        from loadtool.judge.compare_gate import decide

        comparer = Comparer.of(
            self.results,
            candidate,
            different_profiles=self.different_profiles,
            force=self.force,
            files=[str(file) for file in (*self.files, *files)],
        )
        return Compared(comparer.compare(), tuple(decide(self.gates, comparer)))


@dataclass(frozen=True, slots=True)
class Compared:
    comparison: Comparison
    gates: tuple[GateFinding, ...]

    @property
    def exit_code(self) -> int:
        from loadtool.judge.compare_gate import exit_code

        return exit_code(self.gates)

    def terminal(self) -> str:
        """The page as this terminal takes it."""
        from loadtool.report.comparison_formats import terminal

        colour = console.colour(sys.stdout)
        return terminal(self.comparison, self.gates, width=console.width(), color=colour)


def parse_gates(texts: Sequence[str]) -> tuple[Gate, ...]:
    """Raises UsageError for the first that is wrong."""
    if not texts:
        return ()  # most runs have none, and do without what compares
    from loadtool.judge.compare_gate import parse_gate

    gates = []
    for text in texts:
        try:
            gates.append(parse_gate(text))
        except ValueError as e:
            raise UsageError(f"--fail-if: {e}") from None
    return tuple(gates)


def worst(run: int, verdict: str, gates: int) -> int:
    """The exit code of a run and its gates. What proves nothing about the service stays the run's own."""
    if verdict in ("invalid", "interrupted") or run == 1:
        return run
    return 1 if gates == 1 else run or gates


def tell_github(compared: Compared, environment: Mapping[str, str] = os.environ) -> str:
    """Append the comparison to GitHub's summary page; what went wrong, or nothing."""
    from loadtool.report.comparison_formats import markdown

    summary = environment.get("GITHUB_STEP_SUMMARY")
    if summary:
        try:
            with open(summary, "a", encoding="utf-8") as file:  # other steps write there, too
                file.write("\n" + markdown(compared.comparison, compared.gates))
        except OSError as e:
            return f"{summary}: cannot be written (GITHUB_STEP_SUMMARY): {e.strerror}"
    return ""
