"""`loadtool spike`: one run, its report and its exit code."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loadtool.commands import comparing, console, help_pages, options
from loadtool.commands.loading import loading
from loadtool.errors import LoadtoolError, OutputError
from loadtool.signals import Aftermath

if TYPE_CHECKING:
    from loadtool.commands.outputs import Wanted
    from loadtool.profile.load import Loaded
    from loadtool.run import Finished


def mount(app: typer.Typer) -> None:
    app.command(
        cls=help_pages.Command,
        context_settings=help_pages.CONTEXT,
        epilog="""\b
Examples:
  $ loadtool spike -p checkout.yaml
  $ loadtool spike -p checkout.yaml --set phases.spike.rate=800/s --seed 7
  $ loadtool spike -p checkout.yaml --scale 2
  $ loadtool spike -p checkout.yaml --target http://127.0.0.1:9000
  $ loadtool spike -p checkout.yaml --junit slos.xml --json result.json
  $ loadtool spike -p x.yaml --baseline main.json --fail-if 'p99 worse by 10%'

\b
Exit codes, the first that fits:
  130  interrupted by Ctrl-C (143: by SIGTERM, 129: by a closed terminal);
       faults are taken out, the report covers what was measured; never a pass
  2    the command line or the profile is wrong; nothing was sent
  3    invalid: the generator was late, ran out of something or lost a
       worker; nothing answered; a fault could not be placed or removed
  1    at least one SLO failed, or a gate against the baseline holds
  3    inconclusive: no SLO failed, at least one (or a gate) was undecidable
  0    every SLO passed

Reports go to standard output, progress and errors to standard error. On GitHub the summary page and
annotations at failed SLOs come by themselves. NO_COLOR and FORCE_COLOR are honoured.
""",
    )(spike)


def spike(
    profile: options.ProfileFile,
    overrides: options.Overrides = None,
    seed: options.Seed = None,
    scale: options.Scale = 1.0,
    target: options.Target = None,
    allow_host: options.AllowHosts = None,
    toxiproxy: options.Toxiproxy = None,
    workers: options.Workers = None,
    cut_load: Annotated[
        bool,
        typer.Option("--cut-load", rich_help_panel=options.HOW,
                     help="If the service does not come back, go on at 50%, then 10% of the baseline."),
    ] = False,
    cut_load_for: Annotated[
        float | None,
        typer.Option("--cut-load-for", metavar="TIME", rich_help_panel=options.HOW, show_default=False,
                     parser=options.seconds("--cut-load-for", 3),
                     help="How long each; by default 30s, or what it takes to tell whether it came back."),
    ] = None,
    out: Annotated[Path | None, options.directory("--out", holds="result.json")] = None,
    json: options.Json = None,
    junit: options.Junit = None,
    markdown: options.Markdown = None,
    html: options.Html = None,
    csv: options.Csv = None,
    hlog: options.Hlog = None,
    hgrm: options.Hgrm = None,
    baseline: comparing.Baselines = None,
    fail_if: comparing.FailIf = None,
    different_profiles: comparing.DifferentProfiles = False,
    prometheus: options.Prometheus = None,
    plain: options.Plain = False,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Run a profile: baseline, spike, recovery, and a verdict.

    Requests leave when the profile says so, never when the target is ready; response times count from the
    moment a request was due. Faults go in and come out again on the same clock.
    """
    with loading():
        from loadtool.engine.standby import stand_by
    with Aftermath() as aftermath:
        # The workers load their modules while this process loads its own and the profile.
        with stand_by(workers) as standby:
            with loading():
                from loadtool import run
                from loadtool.commands import outputs, views
                from loadtool.preparation import check_existing
                from loadtool.profile.load import load_profile, read_profile
                from loadtool.report.result_file import RESULT_NAME, file_of

            wanted = outputs.wanted(
                {
                    "json": json, "junit": junit, "markdown": markdown, "html": html,
                    "csv": csv, "hlog": hlog, "hgrm": hgrm,
                },
                inputs=[("--profile", profile)],
                results=[
                    *([] if out is None else [("the result.json of --out", out / RESULT_NAME)]),
                    *(("--baseline", file_of(path)) for path in baseline or ()),
                ],
            )  # fmt: skip
            reference = comparing.Baseline.of(
                baseline or (), fail_if or (), different_profiles=different_profiles
            )

            text = cache(partial(read_profile, profile))

            def load(environment: Mapping[str, str], *, pending: bool = False) -> Loaded:
                """Called before the setup commands, and once more after them if there are any."""
                loaded = load_profile(
                    profile, overrides=overrides or (), target=target, seed=seed, scale=scale,
                    environment=environment, pending=pending, text=text(),
                )  # fmt: skip
                check_existing(loaded, toxiproxy)
                outputs.keep_apart(wanted, [(f"{key} of the profile", file) for key, file in loaded.inputs])
                if reference is not None:
                    reference.check(loaded)
                return loaded

            outputs.prove_writable(wanted)
            exporter = views.exporter(prometheus)
            finished = run.spike(
                load,
                run.RunOptions(
                    workers=workers,
                    toxiproxy=toxiproxy,
                    allow_hosts=tuple(allow_host or ()),
                    out=out,
                    cut_load=cut_load or cut_load_for is not None,
                    cut_load_for_s=cut_load_for,
                    standby=standby,
                    aftermath=aftermath,
                    exporter=exporter,
                ),
                views.choose(plain=plain, quiet=quiet, exporter=exporter),
            )
        code = outputs.after(
            aftermath, partial(_tell, finished, wanted, reference), partial(_say_where, finished)
        )
    raise typer.Exit(code)


def _tell(finished: Finished, wanted: list[Wanted], reference: comparing.Baseline | None) -> int:
    """All that there is to tell of the run; the exit code."""
    code = _deliver(finished, wanted)
    return code if reference is None else _compare(finished, reference, code)


def _say_where(finished: Finished) -> None:
    """Say where the result is, for a run whose report was not made to its end."""
    for path in finished.files:
        place = shlex.quote(str(path.parent))
        console.note(f"the result is in {path}: `loadtool report {place}` makes the report again")


def _compare(finished: Finished, reference: comparing.Baseline, code: int) -> int:
    """Show the run beside its baseline; the exit code of both."""
    from loadtool.commands import outputs

    try:
        compared = reference.against([finished.result])
        console.say("\n" + compared.terminal())
        problem = comparing.tell_github(compared)
    except LoadtoolError as e:
        outputs.complain([OutputError(f"not compared with the baseline: {e}")])
        return code or OutputError.exit_code
    outputs.complain([OutputError(problem)] if problem else [])
    code = comparing.worst(code, finished.result.verdict, compared.exit_code)
    return code or (OutputError.exit_code if problem else 0)


def _next_steps(directory: Path) -> list[str]:
    """What a person may want to do with the result."""
    place = shlex.quote(str(directory))
    return [
        "",
        f"to look into it:   loadtool report {place} --html report.html",
        f"to compare it:     loadtool compare {place} OTHER-RUN",
    ]


def _deliver(finished: Finished, wanted: list[Wanted]) -> int:
    """Write and show everything; the exit code. A run whose result could not be delivered never passes."""
    from loadtool.commands import outputs
    from loadtool.report import terminal

    written, failures = outputs.write(finished.result, wanted)
    failures = [*finished.failures, *failures, *outputs.tell_github(finished.result)]
    report = terminal.render(finished.result, width=console.width(), color=console.colour(sys.stdout))
    lines = [f"wrote {path}" for path in [*finished.files, *written]]
    if finished.files and sys.stdout.isatty():
        lines += _next_steps(finished.files[0].parent)
    return outputs.deliver([report, *lines], failures, finished.exit_code)
