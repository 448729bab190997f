"""From steps to what is said of a capacity, and from a profile's SLOs to those that steps can answer."""

from __future__ import annotations

import json

import pytest
from judge_samples import Part, result_of

from loadtool.judge.capacity import Found, Hunt
from loadtool.judge.capacity_result import EXIT_CODES, Capacity, conclude
from loadtool.judge.capacity_slos import LeftOut, on_the_whole, slos_for
from loadtool.judge.capacity_step import OVERHEAD_S, Step, estimate_s, foretold_s, hold_s, lengths_s, step_of
from loadtool.measure.result import Engine
from loadtool.plan.timeline import slice_width
from loadtool.plan.windows import slices_in, wanted_slices
from loadtool.profile.slo import parse_slo
from loadtool.units import SECOND


def test_slos_lose_their_phase_and_those_that_steps_cannot_answer_are_told() -> None:
    texts = [
        "p95 < 250ms during baseline", "p95 < 250ms", "p99 < 1s during spike for checkout",
        "error rate < 1% abort after 5s", "max < 5s", "p99 < 2s during slow", "shed rate < 5%",
        "shed p99 < 50ms", "goodput >= 90/s", "rate > 5/s", "recovery < 10s", "goodput retention >= 90%",
    ]  # fmt: skip
    kept, left = slos_for(map(parse_slo, texts), {"slow"})
    assert [slo.text for slo in kept] == [
        "p95 < 250ms", "p99 < 1s for checkout", "error rate < 1%", "max < 5s",
    ]  # fmt: skip
    assert all(slo.during is None for slo in kept)
    shed = "a rate at which the service turns anybody away is beyond its capacity: sheds count as errors"
    rate = "an absolute rate says nothing at rates that the search chooses"
    assert left == [
        LeftOut("p99 < 2s during slow", "faults are left out while the capacity is looked for"),
        LeftOut("shed rate < 5%", shed),
        LeftOut("shed p99 < 50ms", shed),
        LeftOut("goodput >= 90/s", rate),
        LeftOut("rate > 5/s", rate),
        LeftOut("recovery < 10s", "recovery needs a spike; a step has none"),
        LeftOut("goodput retention >= 90%", "goodput retention needs a spike; a step has none"),
    ]


FAST, SLOW = 10_000, 900_000  # µs


@pytest.mark.parametrize(
    ("part", "outcome", "failed", "conclusive"),
    [
        (Part("hold", ok=[FAST] * 100), "holds", [], True),
        (Part("hold", ok=[FAST] * 900 + [SLOW] * 100), "fails", ["p95 < 250ms"], True),
        (Part("hold", ok=[FAST] * 10), "holds", [], False),
        (Part("hold", ok=[FAST] * 9 + [SLOW]), "fails", ["p95 < 250ms"], False),
        (Part("hold", ok=[FAST] * 980, errors={"timeout": 20}), "fails", ["error rate < 1%"], True),
        (Part("hold", ok=[FAST] * 100, lag=[50_000] * 100), "late", [], True),
        (Part("hold", errors={"timeout": 100}), "fails", ["p95 < 250ms", "error rate < 1%"], True),
    ],
)
def test_what_a_step_says(part: Part, outcome: str, failed: list[str], conclusive: bool) -> None:
    result = result_of(part, slos=["p95 < 250ms", "error rate < 1%"])
    step = step_of(result, "climb", 10.0, 3.5)
    assert (step.outcome, step.failed, step.conclusive) == (outcome, failed, conclusive)
    assert step.answered is bool(part.ok)
    assert (step.rate_per_s, step.started_s, step.purpose) == (10.0, 3.5, "climb")
    assert step_of(result, "climb", 10.0, 3.5, cut=True).outcome == "cut"


def test_a_step_holds_its_rate_after_its_warm_up() -> None:
    result = result_of(Part("warmup", ok=[FAST] * 30), Part("hold", ok=[FAST] * 100), slos=["p95 < 250ms"])
    warm, hold = result.phases
    warm.end_s, hold.start_s, hold.end_s = 2.5, 2.5, 12.5
    hold.scheduled, hold.ok, hold.offered_per_s, hold.goodput_per_s = 110, 100, 11.0, 10.0
    found = step_of(result, "climb", 10.0, 3.5)
    assert (found.hold_s, found.scheduled, found.ok) == (10.0, 110, 100)
    assert (found.offered_per_s, found.goodput_per_s) == (11.0, 10.0)


@pytest.mark.parametrize(
    ("slo", "part", "outcome"),
    [
        ("ok p99 < 250ms", Part("hold", status=[FAST] * 100), "fails"),
        ("ok p99 < 250ms", Part("hold", ok=[FAST] * 100), "holds"),
        ("service p99 < 250ms", Part("hold", errors={"connect": 100}), "fails"),
        ("mean < 250ms", Part("hold", errors={"timeout": 100}), "fails"),
        ("error rate < 5% in any 10s", Part("hold", status=[FAST] * 100), "fails"),  # no slice is known
        ("ok p99 < 250ms for rare", Part("hold", status=[FAST] * 100), "holds"),  # it was not asked
        ("ok p99 < 250ms for rare", Part("hold", status=[FAST], request="rare"), "fails"),
    ],
)
def test_what_could_not_be_measured_holds_only_where_nothing_was_asked(
    slo: str, part: Part, outcome: str
) -> None:
    answered = Part("warmup", ok=[FAST], status=[FAST], request="rare")
    assert step_of(result_of(answered, part, slos=[slo]), "climb", 10.0, 3.5).outcome == outcome


@pytest.mark.parametrize(
    ("seconds", "slos", "wanted"),
    [
        (10, ["error rate < 5%"], (2.5, 10)),
        (10, ["error rate < 5% in any 10s"], (3, 10)),
        (1, ["error rate < 5% in any 1s"], (1, 1)),
        (10, ["p99 < 1s in any 30s", "error rate < 5% in any 5s"], (3, 30)),
        (30, ["error rate < 5% in any 10s"], (3, 30)),
        (10.5, ["error rate < 5% in any 10500ms"], (3, 11)),
        (901, ["error rate < 5% in any 901s"], (4, 902)),  # slices of 2 s
    ],
)
def test_a_step_has_room_for_the_longest_window(
    seconds: float, slos: list[str], wanted: tuple[float, float]
) -> None:
    warm_s, held_s = lengths_s(seconds, [parse_slo(text) for text in slos])
    assert (warm_s, held_s) == wanted
    slice_s = slice_width(round((warm_s + held_s) * SECOND)) / SECOND
    (held,) = slices_in([(warm_s, warm_s + held_s)], slice_s)
    assert all(len(held) >= wanted_slices(slo, slice_s) for slo in map(parse_slo, slos) if slo.window_ns)


def test_without_windows_an_objective_is_about_all_of_a_stretch() -> None:
    whole = on_the_whole(map(parse_slo, ["error rate < 5% in any 10s", "p99 < 1s for checkout"]))
    assert [(slo.text, slo.window_ns) for slo in whole] == [
        ("error rate < 5%", None), ("p99 < 1s for checkout", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rate", "slos", "long", "wanted"),
    [
        (100, ["p99 < 1s"], True, 30),
        (10, ["p99 < 1s"], True, 41),  # 368 arrivals and a tenth more
        (10, ["p99 < 1s", "p50 < 100ms"], True, 41),  # for the highest of them
        (1, ["p99 < 1s"], True, 90),
        (10, ["p95 < 1s", "error rate < 1%"], True, 30),
        (10, ["p99 < 1s"], False, 30),
        (10, ["error rate < 1%"], True, 30),
    ],
)
def test_a_confirming_hold_lasts_until_a_quantile_can_be_told(
    rate: float, slos: list[str], long: bool, wanted: float
) -> None:
    assert hold_s(rate, 30, [parse_slo(text) for text in slos], long=long) == wanted


def test_the_estimate_is_the_number_of_steps_times_their_length() -> None:
    hunt = Hunt(50, 3200)
    usual, most = estimate_s(hunt, 10, 30, 90)
    assert usual == (hunt.usual_short + 2) * 10 + 2 * 30
    assert most == (hunt.most_short + 2) * 10 + hunt.most_long * 90


@pytest.mark.parametrize(
    ("start", "slo", "first", "lowest"),
    [
        (2, "p99 < 1s", 90, 90),
        (10, "p99 < 1s", 41, 90),
        (10_000, "p99 < 1s", 30, 30),
        (10, "error rate < 1%", 30, 30),
        (2, "error rate < 1% in any 45s", 45, 45),
    ],
)
def test_what_is_foretold_is_what_is_held_where_arrivals_are_few(
    start: float, slo: str, first: float, lowest: float
) -> None:
    hunt, slos = Hunt(start, 32 * start), [parse_slo(slo)]

    def step(seconds: float) -> float:
        return sum(lengths_s(seconds, slos)) + OVERHEAD_S

    usual, most = foretold_s(hunt, 10, 30, slos)
    assert usual == (hunt.usual_short + 2) * step(10) + 2 * step(first)
    assert most == (hunt.most_short + 2) * step(10) + hunt.most_long * step(lowest)


def step(purpose: str, rate: float, outcome: str, goodput: float = 0.0, **more: object) -> Step:
    return Step(purpose, rate, 10.0, 0.0, outcome, goodput_per_s=goodput, **more)  # type: ignore[arg-type]  # tables


def capacity(*steps: Step, most: float = 1e5) -> Capacity:
    return Capacity(
        "0.1.0", "2026-01-01T00:00:00Z", "shop", "demo", "shop.yaml", 1, Engine(), 250.0,
        ["p95 < 250ms"], [], 0.02, 10.0, 30.0, most, steps=list(steps),
    )  # fmt: skip


STEPS = (
    step("climb", 50, "holds", 50),
    step("bisect", 102, "fails", 96, failed=["p95 < 250ms"]),
    step("repeat", 102, "fails", 97, failed=["p95 < 250ms"]),
    step("confirm", 100, "holds", 99, p99_ms=200.0),
    step("confirm", 100, "holds", 101, p99_ms=220.0),
)
FOUND = Found("found", 100, 102, confirmed=True)


def test_the_knee_with_its_spread_and_what_comes_beyond() -> None:
    c = capacity(*STEPS, step("curve", 150, "fails", 80), step("curve", 200, "fails", 25))
    conclude(c, FOUND, "found")
    assert (c.goodput_per_s, c.p99_ms, c.collapse_ratio) == ([99, 101], [200.0, 220.0], 0.25)
    assert [(m.times, m.rate_per_s, m.goodput_per_s) for m in c.multiples] == [
        (1.0, 100, 100.0), (1.5, 150.0, 80), (2.0, 200.0, 25),
    ]  # fmt: skip
    assert c.sentence == (
        "holds its SLOs up to 100/s and no longer at 102/s; "
        "at twice that it serves 25% of what it serves there"
    )
    assert c.reasons == ["at 102/s failed: p95 < 250ms"]
    assert c.exit_code == 0
    data = json.loads(c.text())
    assert next(iter(data)) == "format"
    assert (data["format"], data["holds_per_s"], len(data["steps"])) == (1, 100, 7)


def test_only_long_holds_at_the_knee_say_what_it_serves_there() -> None:
    """Short ones at the same rate, or long ones at others, are no part of its figures and its doubts."""
    short = step("bisect", 100, "holds", 60, p99_ms=900.0, conclusive=False)
    failed = step("confirm", 102, "fails", 30, p99_ms=950.0, conclusive=False, failed=["p95 < 250ms"])
    c = capacity(*STEPS[:3], short, failed, *STEPS[3:], step("curve", 200, "fails", 25))
    conclude(c, FOUND, "found")
    assert (c.verdict, c.goodput_per_s, c.p99_ms) == ("found", [99, 101], [200.0, 220.0])
    assert (c.multiples[0].goodput_per_s, c.multiples[0].p99_ms) == (100.0, 220.0)
    assert c.collapse_ratio == 0.25
    endless = step("confirm", 100, "holds", 100, p99_ms=None)
    c = capacity(endless, *STEPS)
    conclude(c, FOUND, "found")
    assert c.p99_ms == [200.0, None]  # None is infinite, and the worst


def test_what_was_not_measured_beyond_the_knee_says_why() -> None:
    c = capacity(*STEPS, step("curve", 150, "late"), most=180)
    conclude(c, FOUND, "found")
    assert [m.note for m in c.multiples] == ["", "the generator was the limit", "above --max"]
    assert c.collapse_ratio is None


@pytest.mark.parametrize(
    ("steps", "found", "verdict", "code", "sentence"),
    [
        (STEPS[3:], Found("at-least", 100, None, True), "", 0,
         "holds its SLOs at 100/s, the highest rate allowed (--max)"),
        (STEPS[:2], Found("none", None, 1), "", 1,
         "does not hold its SLOs even at 1/s, the lowest rate tried"),
        ((*STEPS[:1], step("climb", 100, "late", reasons=["send lag"])), Found("generator", 50, None), "", 3,
         "not found, since the load generator or what it brings along, not the target, was the limit; "
         "so far its SLOs held at 50/s, not confirmed"),
        (STEPS[:3], Found("unsteady", 50, 102), "", 3,
         "not found, since the same rates held and failed in turn for too long; "
         "so far its SLOs held at 50/s and failed at 102/s, not confirmed"),
        (STEPS[:2], None, "down", 3,
         "not found, since the service did not come back after a step that was too much for it; "
         "so far its SLOs held at 50/s and failed at 102/s, not confirmed"),
        ((), None, "no-answer", 3, "not found, since nothing answered; nothing is known of its capacity"),
        ((step("confirm", 1, "holds", conclusive=False),), Found("found", 1, 1.1, True), "", 3,
         "not found, since arrivals were too few to be sure of an SLO (--confirm-for makes them more); "
         "so far its SLOs held at 1/s and failed at 1.1/s"),
    ],
)  # fmt: skip
def test_every_ending_has_its_sentence_and_code(
    steps: tuple[Step, ...], found: Found | None, verdict: str, code: int, sentence: str
) -> None:
    c = capacity(*steps)
    conclude(c, found, verdict)
    assert (c.sentence, c.exit_code) == (sentence, code)
    assert c.verdict in EXIT_CODES


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_an_interrupted_search_tells_what_it_knows(name: str, code: int) -> None:
    c = capacity(*STEPS[:3])
    c.interrupted = name
    conclude(c, None, "interrupted")
    assert c.exit_code == code
    assert c.sentence == (
        "interrupted after 3 steps; so far its SLOs held at 50/s and failed at 102/s, not confirmed"
    )


def test_a_knee_stays_found_if_what_comes_beyond_is_interrupted() -> None:
    c = capacity(*STEPS, step("curve", 150, "fails", 80), step("curve", 200, "cut", 70))
    c.interrupted = "SIGINT"
    conclude(c, FOUND, "interrupted")
    assert (c.verdict, c.confirmed, c.exit_code) == ("interrupted", True, 130)
    assert c.sentence == "interrupted after 7 steps; so far its SLOs held at 100/s and failed at 102/s"
    assert [(m.goodput_per_s, m.note) for m in c.multiples] == [(100, ""), (80, ""), (None, "cut short")]
    assert c.collapse_ratio is None


LUCK = (step("climb", 100, "holds"), step("climb", 200, "fails"), step("bisect", 150, "fails"))
AGAIN = step("repeat", 150, "holds")


@pytest.mark.parametrize(
    ("steps", "holds", "fails"),
    [
        (LUCK, 100, 150),
        ((*LUCK, AGAIN), 100, 200),  # at 150/s both: neither is known
        ((*LUCK, AGAIN, AGAIN), 150, 200),
        ((*LUCK, AGAIN, AGAIN, step("confirm", 150, "fails")), 100, 150),  # a long one outweighs short ones
        ((*LUCK, AGAIN, AGAIN, step("confirm", 150, "late")), 150, 200),
        ((*LUCK, AGAIN, AGAIN, step("bisect", 125, "cut")), 150, 200),
        ((*LUCK, AGAIN, AGAIN, step("curve", 120, "fails")), 150, 200),
    ],
)
@pytest.mark.parametrize("verdict", ["interrupted", "down", "generator"])
def test_a_search_that_ends_early_takes_each_rate_as_its_steps_say_together(
    steps: tuple[Step, ...], holds: float, fails: float, verdict: str
) -> None:
    c = capacity(*steps)
    conclude(c, None, verdict)
    assert (c.holds_per_s, c.fails_per_s, c.confirmed) == (holds, fails, False)


def test_a_rate_that_held_once_and_failed_has_failed() -> None:
    c = capacity(*STEPS[:1], step("climb", 100, "holds"), step("confirm", 100, "fails"))
    conclude(c, None, "down")
    assert (c.holds_per_s, c.fails_per_s) == (50, 100)


def test_the_generators_limit_is_told_with_its_reason() -> None:
    c = capacity(STEPS[0], step("climb", 100, "late", reasons=["the generator was late in hold"]))
    conclude(c, Found("generator", 50, None), "generator")
    assert c.reasons == ["at 100/s: the generator was late in hold"]


def test_what_ran_out_is_told_where_it_did() -> None:
    """A toxiproxy-server that once lacked files has lacked them at each rate that is tried after that."""
    lacked, late = "toxiproxy-server ran out of open files", "the generator was late in hold"
    c = capacity(
        STEPS[0],
        step("climb", 1600, "late", reasons=[lacked]),
        step("bisect", 1200, "late", reasons=[lacked]),
        step("bisect", 1000, "late", reasons=[late, lacked]),
    )
    conclude(c, Found("generator", 50, None), "generator")
    assert c.reasons == [f"at 1,000/s: {late}", f"at 1,600/s: {lacked}"]
