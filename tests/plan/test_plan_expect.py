from __future__ import annotations

import pytest

from loadtool.plan.expect import Expectation
from loadtool.plan.job import ExpectSpec


@pytest.mark.parametrize(
    ("spec", "status", "body", "problem"),
    [
        (ExpectSpec(), 200, b"", None),
        (ExpectSpec(), 204, b"", None),
        (ExpectSpec(), 399, b"", None),
        (ExpectSpec(), 199, b"", ("status", "got status 199, want 200 to 399")),
        (ExpectSpec(), 400, b"", ("status", "got status 400, want 200 to 399")),
        (ExpectSpec(status=(404,)), 404, b"", None),
        (ExpectSpec(status=(201, 200)), 302, b"", ("status", "got status 302, want 200 or 201")),
        (ExpectSpec(contains=("ok", "é")), 200, "ok é".encode(), None),
        (ExpectSpec(contains=("ok", "é")), 200, b"ok", ("check", "the body does not contain 'é'")),
        (ExpectSpec(contains=("ok",)), 500, b"ok", ("status", "got status 500, want 200 to 399")),
        (ExpectSpec(matches=(r'"id": ?\d+',)), 200, b'{"id":12}', None),
        (
            ExpectSpec(matches=(r'"id": ?\d+',)),
            200,
            b"{}",
            ("check", "the body does not match '\"id\": ?\\\\d+'"),
        ),
        # Characters, not bytes: ï is two of these.
        (ExpectSpec(matches=("^na.ve$", r"^\w+$")), 200, "naïve".encode(), None),
        (ExpectSpec(matches=("x$",)), 200, b"\xff\x00x", None),
    ],
)
def test_problem(spec: ExpectSpec, status: int, body: bytes, problem: tuple[str, str] | None) -> None:
    assert Expectation.of(spec).problem(status, body) == problem


def test_the_body_is_needed_only_for_what_looks_at_it() -> None:
    specs = (ExpectSpec(status=(200,)), ExpectSpec(contains=("a",)), ExpectSpec(matches=("a",)))
    assert [Expectation.of(spec).needs_body for spec in specs] == [False, True, True]


def test_not_a_regular_expression() -> None:
    with pytest.raises(ValueError, match=r"^not a regular expression: missing \), "):
        Expectation.of(ExpectSpec(matches=("(",)))


@pytest.mark.parametrize(
    "spec",
    [ExpectSpec(), ExpectSpec(status=(404,)), ExpectSpec(status=(200, 503)), ExpectSpec(contains=("ok",))],
)
def test_a_fine_status_needs_no_further_look(spec: ExpectSpec) -> None:
    expectation = Expectation.of(spec)
    alone = {status for status in range(1000) if expectation.problem(status, b"") is None}
    assert expectation.fine == (set() if expectation.needs_body else alone)
