"""What retries can do at the worst, and what is doubtful about them: by arithmetic."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from loadtool.plan.build import build_job, endpoint_of
from loadtool.plan.client import client_of
from loadtool.plan.job import BudgetSpec, ClientSpec, RetrySpec, ThrottleSpec
from loadtool.plan.overview import Overview
from loadtool.plan.retries import amplification, longest_ns, most_attempts, retries_text, throttle_text
from loadtool.plan.seeding import BACKOFF, THROTTLE, draw
from loadtool.plan.wire import job_from_json, job_to_json
from loadtool.profile.load import Loaded, load_profile

S = 1_000_000_000
MS = 1_000_000
ON = ("shed", "timeout", "unsent", "connect", "reset")
SPEC = RetrySpec("exponential", 3, 100 * MS, 2 * S, ON, True)
CLIENT = ClientSpec(2 * S, 10 * S, 1000, True, (429, 503), retries=SPEC)
PROFILE = """\
target: http://127.0.0.1:8080
requests: [{get: /}]
phases:
  - {name: baseline,  rate: 50/s,  for: 60s}
  - {name: spike, rate: 500/s, for: 60s}
  - {name: recovery, rate: 50/s, for: 60s}
arrivals: constant
"""


def load(tmp_path: Path, client: str = "") -> Loaded:
    (tmp_path / "p.yaml").write_text(PROFILE + (f"client: {client}\n" if client else ""))
    return load_profile(tmp_path / "p.yaml", environment={})


def overview(tmp_path: Path, client: str) -> Overview:
    loaded = load(tmp_path, client)
    return Overview.of(build_job(loaded, endpoint=endpoint_of(loaded.profile.target)), loaded)


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("immediate", RetrySpec("immediate", 3, 100 * MS, 2 * S, ON, True)),
        ("none", None),
        ("{policy: none, max: 9}", None),
        (
            "{policy: full-jitter, max: 5, base: 50ms, cap: 1s, on: [shed, status], budget: 20%, "
            "retry_after: ignore}",
            RetrySpec("full-jitter", 5, 50 * MS, S, ("shed", "status"), False, BudgetSpec(0.2, 1.0)),
        ),
        ("{policy: immediate, on: shed, budget: {share: 5%, min: 30/m}}",
         replace(SPEC, policy="immediate", on=("shed",), budget=BudgetSpec(0.05, 0.5))),
        ("{policy: exponential, budget: {tokens: 10}}",
         replace(SPEC, budget=BudgetSpec(tokens=10.0, ratio=0.1))),
        ("{policy: exponential, budget: {tokens: 8, ratio: 0.5}}",
         replace(SPEC, budget=BudgetSpec(tokens=8.0, ratio=0.5))),
    ],
)  # fmt: skip
def test_retries_reach_the_job(tmp_path: Path, written: str, wanted: RetrySpec | None) -> None:
    loaded = load(tmp_path, f"{{retries: {written}}}")
    job = build_job(loaded, endpoint=endpoint_of(loaded.profile.target))
    assert job.client.retries == wanted
    assert job_from_json(job_to_json(job)) == job
    (tmp_path / "p.yaml").write_text(str(loaded.normalised()).replace("'", '"').replace("True", "true"))
    assert load_profile(tmp_path / "p.yaml", environment={}).profile.client == loaded.profile.client


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("adaptive", ThrottleSpec(2.0, 18 * S)),  # a tenth of the run
        ("none", None),
        ("{k: 1.5}", ThrottleSpec(1.5, 18 * S)),
        ("{policy: adaptive, k: 3, window: 2m}", ThrottleSpec(3.0, 120 * S)),
    ],
)
def test_a_throttle_reaches_the_job(tmp_path: Path, written: str, wanted: ThrottleSpec | None) -> None:
    assert client_of(load(tmp_path, f"{{throttle: {written}}}")).throttle == wanted


@pytest.mark.parametrize(("length", "window"), [("1s", 1), ("20s", 2), ("600s", 60), ("2h", 120)])
def test_the_throttle_s_window_is_a_tenth_of_the_run_within_bounds(
    tmp_path: Path, length: str, window: int
) -> None:
    text = PROFILE[: PROFILE.index("phases:")] + f"phases: [{{name: steady, rate: 1/s, for: {length}}}]\n"
    (tmp_path / "p.yaml").write_text(f"{text}client: {{throttle: adaptive}}\n")
    throttle = client_of(load_profile(tmp_path / "p.yaml", environment={})).throttle
    assert throttle is not None
    assert throttle.window_ns == window * S


@pytest.mark.parametrize(
    ("change", "deadline_ns", "attempts", "longest_ms"),
    [
        ({}, 10 * S, 4, 10_000),
        ({}, None, 4, 4 * 2000 + 100 + 200 + 400),
        ({}, 301 * MS, 3, 301),  # after 0, 100 and 300 ms
        ({}, 300 * MS, 2, 300),
        ({"policy": "immediate"}, 300 * MS, 4, 300),
        ({"policy": "immediate"}, None, 4, 8000),
        ({"policy": "full-jitter"}, 1, 4, 1e-6),  # whose waits may be none
        ({"policy": "decorrelated-jitter"}, 201 * MS, 3, 201),
        ({"policy": "decorrelated-jitter"}, None, 4, 4 * 2000 + 300 + 900 + 2000),
        ({"policy": "full-jitter"}, None, 4, 4 * 2000 + 100 + 200 + 400),
    ],
)
def test_attempts_and_their_time(
    change: dict[str, str], deadline_ns: int | None, attempts: int, longest_ms: float
) -> None:
    client = replace(CLIENT, deadline_ns=deadline_ns, retries=replace(SPEC, **change))  # type: ignore[arg-type]
    assert (most_attempts(client), longest_ns(client) / MS) == (attempts, longest_ms)


def test_without_retries_an_arrival_is_one_attempt() -> None:
    client = replace(CLIENT, retries=None, deadline_ns=None)
    assert (most_attempts(client), longest_ns(client)) == (1, 2 * S)
    assert (retries_text(client, 500.0), throttle_text(client)) == ("", "")


@pytest.mark.parametrize(
    ("budget", "rate", "worst"),
    [
        (None, 500.0, 4.0),
        (BudgetSpec(0.1), 500.0, 1.1),
        (BudgetSpec(0.1, 1.0), 500.0, 1.102),  # and one a second
        (BudgetSpec(0.1, 1.0), 10.0, 1.2),
        (BudgetSpec(0.2, 10.0), 1.0, 4.0),  # more than there can be
        (BudgetSpec(tokens=10.0, ratio=0.1), 500.0, 1.1),
    ],
)
def test_amplification_at_the_worst(budget: BudgetSpec | None, rate: float, worst: float) -> None:
    found = amplification(replace(CLIENT, retries=replace(SPEC, budget=budget)), rate)
    assert found.worst == pytest.approx(worst)
    assert found.unbounded == 4.0


@pytest.mark.parametrize(
    ("client", "text"),
    [
        ("{retries: immediate}", "immediate, at most 3 each, no budget; at the worst 4x, 2,000/s"),
        (
            "{retries: {policy: full-jitter, budget: 10%}}",
            "full-jitter, 100ms to 2s, at most 3 each, budget 10% and 1/s; at the worst 1.1x, 551/s; without "
            "the budget 4x, 2,000/s",
        ),
        (
            "{retries: {policy: exponential, max: 1, budget: {tokens: 10}}}",
            "exponential, 100ms to 2s, at most 1 each, budget 10 tokens; at the worst 1.1x, 550/s; without "
            "the budget 2x, 1,000/s",
        ),
    ],
)
def test_the_plan_shows_what_they_can_do(tmp_path: Path, client: str, text: str) -> None:
    assert overview(tmp_path, client).retries == text


def test_the_plan_shows_the_throttle(tmp_path: Path) -> None:
    text = "adaptive, past 2 requests for each that got in, counted over 18s"
    assert overview(tmp_path, "{throttle: adaptive}").throttle == text


@pytest.mark.parametrize(
    ("client", "needed"),
    [
        ("{timeout: 1s}", 500),
        ("{timeout: 1s, deadline: 2s, retries: immediate}", 1000),  # all arrivals of two seconds
        ("{timeout: 1s, deadline: 60s, retries: immediate}", 2000),  # four attempts each
        ("{timeout: 1s, deadline: 60s, retries: {policy: immediate, budget: {share: 10%, min: 0}}}", 550),
    ],
)
def test_connections_for_retries(tmp_path: Path, client: str, needed: int) -> None:
    assert overview(tmp_path, client).connections_needed == needed


BUDGET = "budget: 10%"


@pytest.mark.parametrize(
    ("client", "doubts"),
    [
        (f"{{timeout: 1s, deadline: 5s, retries: {{policy: immediate, {BUDGET}}}}}", []),
        ("{timeout: 1s, deadline: 5s, retries: none}", []),
        (
            "{timeout: 1s, deadline: 5s, connections: 5000, retries: immediate}",
            ["client.retries: without a budget 4 attempts at each arrival make 2,000/s of the peak's 500/s "
             "while they fail, which keeps an overloaded service down; add budget: 10%"],
        ),
        (
            f"{{timeout: 1s, retries: {{policy: immediate, {BUDGET}}}}}",
            ["client.retries: without client.deadline an arrival may be under way for 4s, longer than most "
             "users wait, and a Retry-After is heeded up to then; add deadline"],
        ),
        (
            f"{{timeout: 1s, deadline: 1s, retries: {{policy: immediate, {BUDGET}}}}}",
            ["client.deadline: 1s leave no time for another attempt after a timeout of 1s; want a later "
             "deadline or a shorter timeout"],
        ),
        (
            "{timeout: 1s, deadline: 5s, retries: {policy: exponential, base: 6s, cap: 6s}}",
            ["client.deadline: the first retry would come after the deadline of 5s, so there is none; want a "
             "later one"],
        ),
        (
            "{timeout: 1s, deadline: 60s, connections: 900, retries: {policy: immediate, budget: 100%}}",
            ["client.connections: 900 are fewer than the 1,001 arrivals and their retries within one"],
        ),
    ],
)  # fmt: skip
def test_doubts(tmp_path: Path, client: str, doubts: list[str]) -> None:
    (tmp_path / "p.yaml").write_text(PROFILE + f"client: {client}\n")
    found = [text.partition(": ")[2] for text in overview(tmp_path, client).warnings]
    assert len(found) == len(doubts)
    for said, wanted in zip(found, doubts, strict=True):
        assert said.startswith(wanted)


def test_draws_are_even_and_independent_of_each_other() -> None:
    drawn = [draw(42, BACKOFF, arrival, 1) for arrival in range(10_000)]
    assert all(0 <= d < 1 for d in drawn)
    for tenth in range(10):  # 1000 each, give or take four standard deviations of 30
        assert abs(sum(int(d * 10) == tenth for d in drawn) - 1000) < 120
    for other in (
        [draw(43, BACKOFF, arrival, 1) for arrival in range(10_000)],
        [draw(42, THROTTLE, arrival, 1) for arrival in range(10_000)],
        [draw(42, BACKOFF, arrival, 2) for arrival in range(10_000)],
        [*drawn[1:], drawn[0]],
    ):
        both = sum((a - 0.5) * (b - 0.5) for a, b in zip(drawn, other, strict=True)) / 10_000 * 12
        assert abs(both) < 0.04  # their correlation, of which 0.01 is a standard deviation


def test_draws_do_not_change_from_version_to_version() -> None:
    found = [draw(1, BACKOFF, 0, 1), draw(-1, BACKOFF, 7, 2), draw(2**80, THROTTLE, 2**63)]
    assert found == [0.8566768909746434, 0.7717704732578357, 0.8792279395763769]
