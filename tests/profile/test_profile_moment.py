"""moment: points of the load's own timeline."""

from __future__ import annotations

import pytest

from loadtool.profile.model import Fault, Phase
from loadtool.profile.moment import (
    MOST_WINDOWS,
    Moment,
    canonical_until,
    parse_moment,
    parse_until,
    run_length,
    windows,
)
from loadtool.units import MINUTE, SECOND

PHASES = [
    Phase.model_validate({"name": "baseline", "rate": "1/s", "for": "10s"}),
    Phase.model_validate({"name": "spike", "rate": "9/s", "for": "20s"}),
]


@pytest.mark.parametrize(
    ("text", "moment", "canonical"),
    [
        ("spike", Moment("spike", 0), "spike"),
        ("spike+5s", Moment("spike", 5 * SECOND), "spike+5s"),
        (" spike + 1m30s ", Moment("spike", 90 * SECOND), "spike+1m30s"),
        ("spike-2+0", Moment("spike-2", 0), "spike-2"),
        ("12s", Moment(None, 12 * SECOND), "12s"),
        (0, Moment(None, 0), "0s"),
        ("1m", Moment(None, MINUTE), "1m"),
    ],
)
def test_moments(text: object, moment: Moment, canonical: str) -> None:
    assert parse_moment(text) == moment
    assert str(moment) == canonical
    assert parse_moment(canonical) == moment


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("spike+", "got spike+, want a moment such as spike+5s, spike or 12s"),
        ("spike+5", "got spike+5, want a moment such as spike+5s, spike or 12s"),
        ("+5s", "got +5s, want a moment such as spike+5s, spike or 12s"),
        ("-5s", "got -5s, want a moment such as spike+5s, spike or 12s"),
        ("", "got '', want a moment such as spike+5s, spike or 12s"),
        (None, "got nothing, want a moment such as spike+5s, spike or 12s"),
        (True, "got true, want a moment such as spike+5s, spike or 12s"),
        (5, "got 5, want a duration with its unit: write 5s or 5ms"),
    ],
)
def test_what_is_no_moment(value: object, message: str) -> None:
    with pytest.raises(ValueError) as e:  # noqa: PT011 - the whole text is compared
        parse_moment(value)
    assert str(e.value) == message


@pytest.mark.parametrize(
    ("text", "moment", "canonical", "at_s"),
    [
        ("end of spike", Moment("spike", 0, end_of_phase=True), "end of spike", 30),
        (" end  of baseline ", Moment("baseline", 0, end_of_phase=True), "end of baseline", 10),
        ("spike+5s", Moment("spike", 5 * SECOND), "spike+5s", 15),
        ("spike+0", Moment("spike", 0), "spike+0s", 10),
        ("45s", Moment(None, 45 * SECOND), "45s", 45),
    ],
)
def test_ends(text: object, moment: Moment, canonical: str, at_s: int) -> None:
    assert parse_until(text) == moment
    assert canonical_until(text) == canonical
    assert canonical_until(canonical) == canonical
    assert moment.since_start(PHASES) == at_s * SECOND


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("spike", "got spike, want end of spike, or a moment such as spike+5s"),
        ("end of", "got end of, want end of spike, or a moment such as spike+5s or 45s"),
        ("end of spike+2s", "got end of spike+2s, want end of spike, or a moment such as spike+5s or 45s"),
        (None, "got nothing, want end of spike, or a moment such as spike+5s or 45s"),
        ([1], "got a list, want end of spike, or a moment such as spike+5s or 45s"),
        (5, "got 5, want a duration with its unit: write 5s or 5ms"),
    ],
)
def test_what_is_no_end(value: object, message: str) -> None:
    with pytest.raises(ValueError) as e:  # noqa: PT011 - the whole text is compared
        parse_until(value)
    assert str(e.value) == message


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"at": "spike+5s", "for": "3s"}, [(15, 18)]),
        ({"at": "4s"}, [(4, 30)]),
        ({"at": "4s", "until": "end of baseline"}, [(4, 10)]),
        ({"at": "4s", "until": "spike+2s"}, [(4, 12)]),
        ({"at": ["spike", "2s", "baseline+5s"], "for": "3s"}, [(2, 5), (5, 8), (10, 13)]),
        ({"at": "spike", "for": "2s", "every": "5s"}, [(10, 12), (15, 17), (20, 22), (25, 27)]),
        # The last one fits to the end, or is not there at all.
        ({"at": "1s", "for": "2s", "every": "9s"}, [(1, 3), (10, 12), (19, 21), (28, 30)]),
        ({"at": "2s", "for": "2s", "every": "9s"}, [(2, 4), (11, 13), (20, 22)]),
        ({"at": "1s", "for": "2s", "every": "3s", "until": "end of baseline"}, [(1, 3), (4, 6), (7, 9)]),
        ({"at": "spike", "for": "2s", "every": "5s", "until": "9s"}, []),
    ],
)
def test_windows_on_the_runs_clock(times: dict[str, object], expected: list[tuple[int, int]]) -> None:
    fault = Fault.model_validate({"name": "f", "proxy": "p", "down": True, **times})
    found = windows(fault, PHASES)
    assert [(start / SECOND, end / SECOND) for start, end in found] == expected


def test_no_fault_is_repeated_without_end() -> None:
    assert run_length(PHASES) == 30 * SECOND
    often = {"name": "f", "proxy": "p", "down": True, "at": "0s", "for": "1ns", "every": "2ns"}
    assert len(windows(Fault.model_validate(often), PHASES)) == MOST_WINDOWS


@pytest.mark.parametrize("where", [{"at": "other"}, {"at": "1s", "until": "end of other"}])
def test_a_phase_that_is_not_there(where: dict[str, str]) -> None:
    fault = Fault.model_validate({"name": "f", "proxy": "p", "down": True, **where})
    with pytest.raises(KeyError):
        windows(fault, PHASES)
