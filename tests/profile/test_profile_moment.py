"""moment: points of the load's own timeline."""

from __future__ import annotations

import pytest

from loadtool.profile.model import Fault, Phase
from loadtool.profile.moment import Moment, parse_moment, run_length, window
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


def test_windows_on_the_runs_clock() -> None:
    fault = {"name": "f", "proxy": "p", "down": True}
    assert run_length(PHASES) == 30 * SECOND
    at_spike = Fault.model_validate({**fault, "at": "spike+5s", "for": "3s"})
    assert window(at_spike, PHASES) == (15 * SECOND, 18 * SECOND)
    to_the_end = Fault.model_validate({**fault, "at": "4s"})
    assert window(to_the_end, PHASES) == (4 * SECOND, 30 * SECOND)
    with pytest.raises(KeyError):
        window(Fault.model_validate({**fault, "at": "other"}), PHASES)
