"""templates: what can be wrong with one is found without rendering it."""

from __future__ import annotations

import pytest

from loadtool.profile.template_names import FUNCTIONS, NAMES, VARIABLES
from loadtool.profile.templates import flaws

FEEDERS = {"row": ("cart", "user id", "items"), "unread": None}


@pytest.mark.parametrize(
    "text",
    [
        "plain", "{ }", "100 %", "{{ randint(1, 5) }}", "{{ uuid() }}-{{ arrival }}", "{{ row.cart }}",
        "{{ row['user id'] }}", "{{ row.items }}", "{{ row.get('cart') }}", "{{ unread.anything }}",
        "{% for i in range(3) %}{{ i }}{% endfor %}", "{% set x = choice(1, 2) %}{{ x }}",
        "{{ base64('a:' ~ row.cart) | upper }}", "{# a comment #}", "{% set row = {} %}{{ row.nothing }}",
        "{{ 9 ** 9 ** 9 }}",
    ],
)  # fmt: skip
def test_nothing_wrong(text: str) -> None:
    assert flaws(text, FEEDERS) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ rnadint(1, 5) }}", ["the template uses rnadint, which is not defined, did you mean randint?"]),
        ("{{ zzz }}", ["the template uses zzz, which is not defined"]),
        ("{{ lipsum() }}", ["the template uses lipsum, which is not defined"]),
        ("{{ rwo.cart }}", ["the template uses rwo, which is not defined, did you mean row?"]),
        ("{{ uuid }}", ["uuid is a function: write uuid(…)"]),
        ("{{ row.crat }} {{ row.crat }}", ["row has no column crat, did you mean cart?"]),
        ("{{ row['x'] }}", ["row has no column x; its columns are cart, user id, items"]),
        ("{{ row['get'] }}", ["row has no column get; its columns are cart, user id, items"]),
        ("{{ 1 | uper }}", ["not a template: No filter named 'uper'."]),
        ("{{ 1 is od }}", ["not a template: No test named 'od'."]),
        ("{{ 1", ["not a template: unexpected end of template, expected 'end of print statement'."]),
        ("{% if %}", ["not a template: Expected an expression, got 'end of statement block'"]),
        ("{% include 'x' %}", ["a template of a profile cannot include others"]),
        ("{{ " + "(" * 5000, ["not a template: too much for one"]),
        ("{{ " + "9" * 5000 + " }}", ["not a template: too much for one"]),
        (
            "{{ a }}{{ row.b }}",
            [
                "the template uses a, which is not defined",
                "row has no column b; its columns are cart, user id, items",
            ],
        ),
    ],
)
def test_flaws(text: str, said: list[str]) -> None:
    assert flaws(text, FEEDERS) == said


def test_names() -> None:
    assert {"randint", "uniform", "choice", "uuid", "random_string", "base64", "urlencode"} == FUNCTIONS
    assert {"arrival"} == VARIABLES
    assert FUNCTIONS | VARIABLES < NAMES
