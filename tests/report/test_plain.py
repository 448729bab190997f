from __future__ import annotations

import math
from dataclasses import replace

from report_samples import HOSTILE
from report_snapshots import STAGE, active, snapshot

from loadtool.report.plain import PlainView, line
from loadtool.report.stage import Bar, Stage


def test_one_line_says_where_the_run_is() -> None:
    assert line(STAGE, snapshot(36.0), ["slow-store"]) == (
        "36.0s spike 49% | offered 500/s ok 445 shed 40 err 15 | p50 230ms p99 920ms | lag p99 0.310ms"
        " | faults: slow-store"
    )


def test_before_anything_was_measured() -> None:
    assert (
        line(STAGE, snapshot(0.0))
        == "0.0s warmup 0% | offered 0/s ok 0 shed 0 err 0 | p50 n/a p99 n/a | lag p99 n/a"
    )


def test_what_is_wrong_is_told() -> None:
    now = replace(
        snapshot(80.0), p99_ms=math.inf, waiting=1200, workers=2, workers_alive=1, local={"EMFILE": 3}
    )
    assert line(STAGE, now).endswith(
        "p99 ∞ | lag p99 0.310ms | waiting for a connection: 1,200 | workers: 1 of 2 | ran out of: EMFILE"
    )
    assert line(STAGE, now).startswith("80.0s draining 100% | ")


def test_a_line_every_few_seconds_and_at_every_change() -> None:
    said: list[str] = []
    view = PlainView(said.append)
    view.begin(STAGE)
    for quarter in range(4 * 76):
        view.update(snapshot(quarter / 4), active(quarter / 4))
    view.end()
    assert (
        said[0] == "checkout-10x: warmup → baseline → spike → recovery, 1m14s against http://127.0.0.1:8080"
    )
    at = [float(text.partition("s")[0]) for text in said[1:]]
    beat = set(range(0, 76, 5))
    changes = {5, 29, 34, 39, 44, 74}
    assert at == sorted(map(float, beat | changes))


def test_it_wants_just_what_makes_a_line() -> None:
    said: list[str] = []
    view = PlainView(said.append)
    assert not view.wants(0.0, [])
    view.begin(STAGE)
    for quarter in range(4 * 76):
        wanted, before = view.wants(quarter / 4, active(quarter / 4)), len(said)
        view.update(snapshot(quarter / 4), active(quarter / 4))
        assert wanted == (len(said) > before)


def test_notices_come_at_once_and_nothing_can_speak_to_ci() -> None:
    said: list[str] = []
    view = PlainView(said.append)
    view.begin(Stage("::error::x", HOSTILE, (Bar(HOSTILE, 0.0, 5.0),)))
    view.notice("interrupted: ending the run\n::error::x")
    view.update(snapshot(1.0), [HOSTILE])
    assert said[0].startswith("∶:error::x: ")
    assert said[1] == "interrupted: ending the run\\n::error::x"
    assert all(text.isprintable() for text in said)


def test_a_view_that_has_not_begun_says_nothing() -> None:
    said: list[str] = []
    PlainView(said.append).update(snapshot(1.0))
    assert said == []
