"""The formulas of docs/overload.md, each against an answer by arithmetic."""

from __future__ import annotations

import math

import pytest
from judge_samples import Part

from loadtool.judge import overload_figures as formulas
from loadtool.judge.spike_view import Counts, Recovery
from loadtool.measure.spike import SpikeFigures, Step


def blocks(*pairs: tuple[int, int], seconds: float = 1.0) -> list[Counts]:
    """Arrivals and good ones of each block."""
    return [Counts(seconds, arrivals, good, arrivals) for arrivals, good in pairs]


@pytest.mark.parametrize(
    ("counts", "per_s", "want"),
    [
        (blocks((500, 50), (500, 50), (500, 50)), 50.0, 1.0),
        (blocks((500, 25), (500, 25), (500, 25)), 50.0, 0.5),
        # A surplus in one block never pays for another: 50 + 0 + 50 of 150, not 200 of 150.
        (blocks((500, 100), (500, 0), (500, 100)), 50.0, 100 / 150),
        # Nobody is asked for more than came: 20 of 20, 50 of 50.
        (blocks((20, 20), (500, 60)), 50.0, 1.0),
        (blocks((20, 10), (500, 60)), 50.0, 60 / 70),
        # Blocks of two and a half seconds hold 125 of them.
        (blocks((500, 100), (500, 125), (500, 130), seconds=2.5), 50.0, 350 / 375),
        (blocks((0, 0), (100, 50)), 50.0, 1.0),
        (blocks((0, 0), (0, 0)), 50.0, None),
        ([], 50.0, None),
        (blocks((500, 94), (500, 95), (500, 96)), 95.0, (94 + 95 + 95) / 285),
    ],
)
def test_retention(counts: list[Counts], per_s: float, want: float | None) -> None:
    found = formulas.retention(counts, per_s)
    assert found == (want if want is None else pytest.approx(want, rel=1e-12))


@pytest.mark.parametrize(
    ("part", "want"),
    [
        (Part(ok=[1000] * 10), 1.0),  # nobody was refused
        (Part(shed=[1000] * 10), 1.0),
        (Part(shed=[1000] * 10, ok=[9_000_000] * 90), 1.0),  # a late ok is no refusal
        (Part(shed=[1000] * 6, errors={"reset": 3}, status=[5]), 0.6),
        (Part(shed=[499_000] * 6 + [501_000] * 4), 0.6),  # a slow no is no honest one
        (Part(errors={"timeout": 5}), 0.0),
    ],
)
def test_honest_rejection(part: Part, want: float) -> None:
    assert formulas.honest_rejection(part.population(), 500.0) == pytest.approx(want)


@pytest.mark.parametrize(
    ("part", "want"),
    [
        (Part(ok=[1000] * 10), 1.0),
        (Part(shed=[1000] * 10), 0.0),
        (Part(shed=[1000] * 8, errors={"reset": 2}, marks={"told": 6}), 0.6),
    ],
)
def test_strict_rejection_says_when_to_come_back(part: Part, want: float) -> None:
    assert formulas.strict_rejection(part.population()) == pytest.approx(want)


def test_what_clients_hold_back_is_neither_late_nor_failed_nor_refused() -> None:
    part = Part(ok=[1] * 10, shed=[1] * 5, errors={"unsent": 30, "reset": 3}, marks={"throttled": 28})
    books = part.population()
    assert (formulas.late(books), formulas.hard(books)) == (2, 3)
    assert formulas.honest_rejection(books, 500.0) == 5 / (5 + 5)


@pytest.mark.parametrize(("marks", "sheds"), [({}, 5), ({"shed_attempts": 12}, 12)])
def test_sheds_of_attempts(marks: dict[str, int], sheds: int) -> None:
    """Files of versions that tried nothing again do not count them apart."""
    assert formulas.shed_attempts(Part(shed=[1] * 5, marks=marks).population()) == sheds


def test_late_is_ok_too_late_timed_out_or_unsent() -> None:
    part = Part(
        ok=[1] * 10, good=7, shed=[1] * 4, status=[1] * 2, errors={"timeout": 5, "unsent": 6, "reset": 8}
    )
    assert formulas.late(part.population()) == 3 + 5 + 6


def watched(
    good: list[int],
    arrivals: int | list[int] = 50,
    *,
    step: float = 1.0,
    start: float = 44.0,
    window: float = 10.0,
) -> Recovery:
    each = [arrivals] * len(good) if isinstance(arrivals, int) else arrivals
    steps = tuple(Counts(step, n, g, n) for n, g in zip(each, good, strict=True))
    return Recovery(tuple(start + i * step for i in range(len(good) + 1)), steps, window, ())


YES, NO = 50, 0

# With s = 1, thr = 0.95. A window of 500 is bad below 0.95 − 2.33·√(0.95·0.05/500) = 0.92729: with 37 bad
# it is (0.926), with 36 it is not (0.928).
BOUND_500 = 0.95 - 2.33 * math.sqrt(0.95 * 0.05 / 500)


@pytest.mark.parametrize(
    ("recovery", "want"),
    [
        (watched([YES] * 30), (True, 0.0)),
        (watched([50 - 36, *[YES] * 29]), (True, 0.0)),
        (watched([50 - 37, *[YES] * 29]), (True, 1.0)),
        # All 37 in the sixth second: windows 0 … 5 hold them.
        (watched([*[YES] * 5, 50 - 37, *[YES] * 24]), (True, 6.0)),
        (watched([NO] * 5 + [YES] * 25), (True, 5.0)),
        (watched([NO] * 12 + [YES] * 18), (True, 12.0)),
        # It relapses: the last bad window counts.
        (watched([NO] * 3 + [YES] * 12 + [NO] * 2 + [YES] * 13), (True, 17.0)),
        (watched([NO] * 30), (False, None)),
        # The windows at the end are cut: three seconds with 150 arrivals make the last one.
        (watched([YES] * 27 + [NO, NO, NO]), (False, None)),
        (watched([YES] * 26 + [NO] + [YES] * 3), (True, 27.0)),
        # What comes in the last two seconds alone is in windows with good ones, and bad for the cut ones.
        (watched([YES] * 28 + [NO, NO]), (False, None)),
        # Cut at 10/s: three seconds hold 30 arrivals and count, at 9/s they do not.
        (watched([10] * 27 + [0, 0, 0], 10), (False, None)),
        (watched([9] * 20, 9), (True, 0.0)),
        # Too short for a whole window: cut ones count.
        (watched([YES] * 5), (True, 0.0)),
        (watched([NO, YES, YES, YES, YES]), (True, 1.0)),
        (watched([YES, YES], 50), (None, None)),  # less than three seconds
        (watched([9, 9, 9], 9), (None, None)),  # fewer than 30 arrivals
        (watched([10, 10, 10], 10), (True, 0.0)),
        # A whole window counts with however few.
        (watched([0] * 10, [1] + [0] * 9), (False, None)),
        (watched([0] * 12, 0), (None, None)),
        # Windows of 14.3 s take fifteen steps: the last whole one begins with the sixteenth of 30.
        (watched([7] * 30, 7, window=14.286), (True, 0.0)),
        # Steps of two seconds, as when an hour is watched.
        (watched([NO] * 3 + [YES] * 27, step=2.0), (True, 6.0)),
    ],
)
def test_recovery(recovery: Recovery, want: tuple[bool | None, float | None]) -> None:
    found = formulas.recovery(recovery, 1.0)
    assert (found.recovered, found.seconds) == want


def test_the_bound_of_a_bad_window() -> None:
    assert pytest.approx(0.92729, abs=1e-5) == BOUND_500
    assert (500 - 37) / 500 < BOUND_500 < (500 - 36) / 500


@pytest.mark.parametrize(
    ("baseline", "bad", "recovered_s"),
    [
        # s = 0.97: thr 0.92, and below 0.92 − 2.33·√(0.92·0.08/500) = 0.8917 a window of 500 is bad.
        (0.97, 54, 0.0),  # 0.892
        (0.97, 55, 1.0),  # 0.890
        # s = 0.95 is the least: thr 0.9, bad below 0.8687.
        (0.95, 65, 0.0),  # 0.870
        (0.95, 66, 1.0),  # 0.868
    ],
)
def test_recovery_is_measured_against_the_baseline(baseline: float, bad: int, recovered_s: float) -> None:
    good = [100 - bad, *[100] * 20]
    recovery = watched(good, [100, *[100] * 20], window=5.0)
    assert formulas.recovery(recovery, baseline).seconds == recovered_s


def test_the_last_third() -> None:
    recovery = watched(list(range(30)), 30)
    assert formulas.tail(recovery) == Counts(10.0, 300, sum(range(20, 30)), 300)
    # Of ten seconds, from the boundary nearest to 6.67.
    assert formulas.tail(watched([1] * 10, 1)) == Counts(3.0, 3, 3, 3)
    assert formulas.tail(watched([1] * 11, 1)) == Counts(4.0, 4, 4, 4)
    assert formulas.tail(watched([1], 1)) == Counts(1.0, 1, 1, 1)


@pytest.mark.parametrize(
    ("ratio", "baseline", "tail", "want"),
    [
        (1.0, 1200, 500, 0.02),
        (0.98, 1200, 500, 0.02 + 2.33 * math.sqrt(0.0196 * (1 / 1200 + 1 / 500))),
        (0.95, 100, 100, 0.02 + 2.33 * math.sqrt(0.0475 * 0.02)),
    ],
)
def test_the_most_hysteresis_that_chance_explains(
    ratio: float, baseline: int, tail: int, want: float
) -> None:
    assert formulas.hysteresis_bound(ratio, baseline, tail) == pytest.approx(want)


def second(start: float, end: float, served: int, shed: int = 0, **errors: int) -> Step:
    scheduled = served + shed + sum(errors.values())
    return Step("spike", start, end, scheduled, served, shed, errors, served, scheduled)


@pytest.mark.parametrize(
    ("steps", "first_shed_s", "steady_s", "want"),
    [
        # Steps of two seconds: 500 of the first 1,000 came by then, and 300 a second are served when full.
        ([second(24, 26, 1000), second(26, 28, 600, 400)], 1.0, 4.0, 500 - 300),
        ([second(24, 26, 1000), second(26, 28, 600, 400)], 1.5, 4.0, 750 - 450),
        # A quarter of a second counts as such, on both sides.
        ([second(24, 24.25, 100), second(24.25, 24.5, 50, 50)], 0.125, 0.5, 50 - 25),
        # Full is what sheds, after the first shed, before anything changes; a step that holds it is not.
        ([second(24, 25, 100), second(25, 26, 40, 60)], 1.0, 2.0, None),
        ([second(24, 25, 100), second(25, 26, 40, 60)], 0.5, 1.9, None),
        ([second(24, 25, 100), second(25, 26, 100)], 0.5, 2.0, None),
        ([second(24, 25, 100), second(25, 26, 40, 60), second(26, 27, 10, 90)], 0.5, 2.0, 50 - 20),
        # Let in is what was not refused, also if it came to nothing; not what never got there.
        ([second(24, 25, 100), second(25, 26, 20, 50, timeout=10, status=6, check=4)], 0.5, 2.0, 50 - 20),
        ([second(24, 25, 100), second(25, 26, 40, 50, reset=6, unsent=4)], 0.5, 2.0, 50 - 20),
        ([second(24, 25, 100), second(25, 26, 40, 50, aborted=10)], 0.5, 2.0, None),
        # The mean of those that are full.
        ([second(24, 25, 100), second(25, 26, 40, 60), second(26, 28, 60, 140)], 0.5, 4.0, 50 - 100 / 6),
    ],
)
def test_how_many_waited_when_the_first_was_shed(
    steps: list[Step], first_shed_s: float, steady_s: float, want: float | None
) -> None:
    found = formulas.buffered(steps, 24.0, first_shed_s, steady_s)
    assert found == (want if want is None else pytest.approx(want))


def fared(**more: object) -> SpikeFigures:
    """Of 1,000 arrivals: 600 shed, 300 good, 40 late, 60 failed; retention 0.95. By itself, that is shed."""
    f = SpikeFigures("spike", ["spike"], "baseline", ["recovery"], "", "")
    f.baseline_ratio, f.ratio = 1.0, 0.3
    f.goodput_retention, f.end_retention, f.honest_rejection = 0.95, 0.95, 0.96
    f.arrivals, f.shed, f.late, f.hard, f.errors = 1000, 600, 40, 60, 100
    f.recovered, f.recovery_s = True, 0.0
    for key, value in more.items():
        setattr(f, key, value)
    return f


@pytest.mark.parametrize(
    ("figures", "verdict"),
    [
        (fared(), "shed"),
        (fared(goodput_retention=0.9, honest_rejection=0.95), "shed"),
        # Not recovered goes before everything, not known before nothing.
        (fared(recovered=False, ratio=1.0), "stayed-down"),
        (fared(recovered=None), "shed"),
        (fared(recovery_s=29.0), "shed"),
        # Absorbed: within 0.02 of the baseline, however it was held against the reference.
        (fared(ratio=0.98), "absorbed"),
        (fared(ratio=0.98, goodput_retention=0.1), "absorbed"),
        (fared(ratio=0.979), "shed"),
        (fared(ratio=0.95, baseline_ratio=0.97), "absorbed"),  # 0.97 − 0.02 is not quite 0.95 in floats
        (fared(ratio=0.949, baseline_ratio=0.97), "shed"),
        # Melted: by the whole or by the end alone. However politely.
        (fared(goodput_retention=0.499), "melted"),
        (fared(end_retention=0.499), "melted"),
        (fared(goodput_retention=0.5, end_retention=0.5), "degraded"),
        (fared(end_retention=None), "shed"),
        # Shed: all three.
        (fared(goodput_retention=0.899), "degraded"),
        (fared(honest_rejection=0.949), "degraded"),
        (fared(shed=40), "degraded"),
        (fared(shed=41), "shed"),
        # Queued: more late than hard, and late is a tenth of those let in, or more than were shed.
        (fared(late=61, honest_rejection=0.9), "queued"),  # of 400 let in, 61 are late
        (fared(late=61, honest_rejection=0.9, shed=389), "degraded"),  # of 611 that are not quite a tenth
        (fared(late=61, honest_rejection=0.9, shed=390), "queued"),
        (fared(late=60, honest_rejection=0.9), "degraded"),
        (fared(late=1, hard=0, shed=0), "queued"),  # nobody was shed, so that any late one is more
        (fared(late=61, shed=60), "queued"),  # more than were shed, though only 6.5 % of those let in
        (fared(late=0, hard=700, shed=0, honest_rejection=0.0), "degraded"),
    ],
)
def test_verdicts(figures: SpikeFigures, verdict: str) -> None:
    assert formulas.verdict_of(figures) == verdict


def test_the_worst_verdict_is_the_runs() -> None:
    order = ["absorbed", "shed", "queued", "degraded", "no-baseline", "melted", "stayed-down"]
    for i, better in enumerate(order):
        for worse in order[i:]:
            assert formulas.worst([better, worse, better]) == worse
