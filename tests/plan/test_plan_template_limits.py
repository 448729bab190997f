"""What of a template is no width, however large; what is one is refused in test_plan_mix_mistakes.py."""

from __future__ import annotations

import pytest
from plan_jobs import make_job, request

from loadtool.plan.mix import Mix


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("{{ 'x' | center(3) }}", " x "),
        ("{{ '%d-99999999999%%9999999999' | format(1700000000000) }}",
         "1700000000000-99999999999%9999999999"),
        ("{{ '%s 99999999999' % 1700000000000 }}", "1700000000000 99999999999"),
        ("{{ '{}:{:>3}'.format(1700000000000, 5) }}", "1700000000000:  5"),
        ("{{ 1700000000000 | tojson }}", "1700000000000"),
        ("{{ 1700000000000 | string | center(2) }}", "1700000000000"),
    ],
)  # fmt: skip
def test_large_numbers_are_no_widths(text: str, want: str) -> None:
    assert Mix(make_job(requests=(request(method="POST", body_kind="raw", body=text),))).message(
        0, 0, 0
    ).body == (want.encode())
