"""What a replay leaves out, cuts off or repeats that its writer may not have meant: see `plan/doubts.py`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from loadtool.plan.job import Job
from loadtool.plan.places import Place
from loadtool.profile.replay_file import broken_text, replayed_length
from loadtool.units import format_duration, parse_duration

if TYPE_CHECKING:
    from loadtool.profile.load import Loaded

# Answers of a replay that would be errors now: below this share of them nobody need look.
FEW_ERRORS: Final = 0.001


def replay_doubts(job: Job, loaded: Loaded) -> Iterator[tuple[Place, str]]:
    """Each with its place; none without a replay."""
    recording, replay, spec = loaded.recording, loaded.profile.replay, job.replay
    if recording is None or replay is None or spec is None:
        return
    for out in recording.left_out:
        message = f"{out.lines:,} of {recording.lines:,} lines are left out: {out.reason}"
        remedy = "; give it one in `bodies`" if "body" in out.reason else ""
        yield ("replay",), f"{message} (the first is line {out.line:,}){remedy}"
    if text := broken_text(recording):
        yield ("replay", "file"), text
    if cut := len(recording) - spec.size:
        end = format_duration(sum(phase.for_ns for phase in job.phases))
        message = f"the phases end after {end}, the replay after {replayed_length(replay, recording)}"
        yield ("phases",), f"{message}: {cut:,} recorded requests are not sent; lengthen the last phase"
    longest = sum(phase.for_ns for phase in job.phases) - parse_duration(replayed_length(replay, recording))
    if longest > 0:
        message = f"the phases go on for {format_duration(longest)} after the replay's end, with no arrivals"
        yield ("phases",), f"{message}; shorten the last one"
    errors = [(status, n) for status, n in recording.errors if status not in replay.expect.status]
    if sum(n for _, n in errors) > FEW_ERRORS * len(recording):
        listed = ", ".join(f"{n:,} × {status}" for status, n in errors)
        message = f"was answered with errors when it was recorded ({listed}): if it is again, they count"
        yield ("replay",), f"{message}; replay: {{expect: {{status: […]}}}} says what is ok"


def replay_text(job: Job, loaded: Loaded) -> str:
    """What is replayed, in a line; empty without a replay."""
    recording, replay, spec = loaded.recording, loaded.profile.replay, job.replay
    if recording is None or replay is None or spec is None:
        return ""
    length = format_duration(recording.length_ns)
    times = ", times spread within each second" if recording.whole_seconds else ""
    return (
        f"{spec.size:,} of {recording.lines:,} lines of {replay.file} ({length} recorded{times}), "
        f"speed {replay.speed:g}, scale {replay.scale:g}"
    )
