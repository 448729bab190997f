"""Requests that can't be rendered: every message names request, field and reason, on one line."""

from __future__ import annotations

import contextlib
import gc
from typing import Any

import pytest
from plan_jobs import make_job, request

from loadtool.plan.job import RowsSpec
from loadtool.plan.mix import Mix, RenderError
from loadtool.plan.schedule import Schedule

ROW = RowsSpec("cycle", ("id", "endless"), (("01234", float("inf")),))
NO_COLUMN = "row has no column 'crt'; its columns are id, endless"
PARENTHESES = "got a function, want its value: write it with parentheses, such as uuid()"
FRAGMENT = "got a fragment (#…), which is never sent; want a path and query, with # written as %23"
NO_BOUNDARY = "its Content-Type has no boundary; leave that header out, it is set as needed"
BREAK = "got a line break inside, want one line of text"
NO_HIGH = "Context.randint() missing 1 required positional argument: 'high'"
NO_LENGTH = "random_string: got -1, want a length from 0 to 1,000,000"
NO_INTEGERS = "randint: got 1 and '01234', want two integers; `| int` makes one of a text"
TOO_LARGE = "`{}` in the template makes more than 64 MB; write something smaller"
UNSAFE = "access to attribute '__class__' of 'str' object is unsafe."

NESTED = "/" + "{% for i in [1] %}" * 30 + "{% endfor %}" * 30


def mix(*, fast: bool = True, **changes: Any) -> Mix:
    return Mix(make_job(requests=(request(**changes),), rows=(("row", ROW),)), fast=fast)


def json_body(body: object) -> dict[str, object]:
    return {"body_kind": "json", "body": body}


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"path": "/{{ nope }}"}, "path", "'nope' is undefined"),
        ({"path": "/{{ nope() }}"}, "path", "'nope' is undefined"),
        ({"path": "/{{ row.crt }}"}, "path", NO_COLUMN),
        ({"path": "/{{ row['crt'] }}x"}, "path", NO_COLUMN),
        ({"path": "/{{ row.__class__ }}"}, "path", NO_COLUMN.replace("crt", "__class__")),
        ({"path": "/{{ 'x' * 10000000000 }}"}, "path", TOO_LARGE.format("*")),
        ({"path": "/{{ 1000 * ([row] * 99999) * 9 }}"}, "path", TOO_LARGE.format("*")),
        ({"path": "/{{ 3 ** 10000000000 }}"}, "path", TOO_LARGE.format("**")),
        ({"path": "/{{ '%9999999999d' % 3 }}"}, "path", TOO_LARGE.format("%")),
        ({"path": "/{{ '%*d' % (9999999999, 3) }}"}, "path", TOO_LARGE.format("%")),
        ({"path": "/{{ 'x' | center(9999999999) }}"}, "path", TOO_LARGE.format("center")),
        ({"path": "/{{ arrival | string | indent(9999999999, true) }}"}, "path", TOO_LARGE.format("indent")),
        ({"path": "/{{ '%9999999999d' | format(3) }}"}, "path", TOO_LARGE.format("format")),
        ({"path": "/{{ [3] | batch(9999999999, 0) | list }}"}, "path", TOO_LARGE.format("batch")),
        ({"path": "/{{ [3] | tojson(indent=9999999999) }}"}, "path", TOO_LARGE.format("tojson")),
        ({"path": "/{{ 'x'.ljust(9999999999) }}"}, "path", TOO_LARGE.format("ljust")),
        ({"path": "/{{ '{:>9999999999}'.format(3) }}"}, "path", TOO_LARGE.format("format")),
        ({"path": "/{{ uuid }}"}, "path", PARENTHESES),
        ({"path": "/{{ randint(1) }}"}, "path", NO_HIGH),
        ({"path": "/{{ randint(5, 1) }}"}, "path", "randint: got 5 to 1, want the smaller one first"),
        ({"path": "/{{ randint(1, row.id) }}"}, "path", NO_INTEGERS),
        ({"path": "/{{ random_string(-1) }}"}, "path", NO_LENGTH),
        ({"path": "/{{ choice([]) }}"}, "path", "choice: got nothing to choose from"),
        ({"path": "/{{ choice() }}"}, "path", "choice: got nothing to choose from"),
        ({"path": "/{{ [] | random }}"}, "path", "choice: got nothing to choose from"),
        ({"path": "/{{ 1 // arrival }}"}, "path", "integer division or modulo by zero"),
        ({"path": "/{{ ''.__class__.__mro__ }}"}, "path", UNSAFE),
        ({"path": "/{{ lipsum() }}"}, "path", "'lipsum' is undefined"),
        ({"path": "x{{ row.id }}"}, "path", "got x01234, want a path that begins with /"),
        ({"path": "{{ '' }}"}, "path", "got nothing, want a path that begins with /"),
        ({"path": "/a#b"}, "path", FRAGMENT),
        ({"path": "/{{ '#' | safe }}"}, "path", FRAGMENT),
        ({"path": "/a\r\nHost: b"}, "path", "got a line break; want a path and query"),
        ({"path": "/{{ '\\r\\n' | safe }}"}, "path", "got a line break; want a path and query"),
        ({"query": (("q", "{{ nope }}"),)}, "query.q", "'nope' is undefined"),
        ({"query": (("{{ nope }}", ""),)}, "query.{{ nope }}", "'nope' is undefined"),
        ({"headers": (("X-A", "1\n2"),)}, "headers.X-A", BREAK),
        ({"headers": (("X-A", "{{ '1\\r2' }}"),)}, "headers.X-A", BREAK),
        (
            {"headers": (("X-A", "{{ ['a\\x00'] | first }}"),)},
            "headers.X-A",
            "got the control character '\\x00' inside, want one line of text",
        ),
        ({"headers": (("X A", "1"),)}, "headers.X A", "got the name 'X A', want letters, digits and dashes"),
        (json_body({"a": ["{{ nope }}"]}), "json.a[0]", "'nope' is undefined"),
        (json_body({"a": "{{ nope + 1 }}"}), "json.a", "'nope' is undefined"),
        (json_body({"a": "{{ row.crt }}"}), "json.a", NO_COLUMN),
        (json_body({"a": "{{ uuid }}"}), "json.a", PARENTHESES),
        (
            json_body({"a": {"b": "{{ row.endless }}"}}),
            "json.a.b",
            "Out of range float values are not JSON compliant",
        ),
        ({"body_kind": "form", "body": [["a", "{{ nope }}"]]}, "form.a", "'nope' is undefined"),
        ({"body_kind": "multipart", "body": [["a", "{{ nope }}"]]}, "multipart.a", "'nope' is undefined"),
        (
            {"body_kind": "multipart", "body": [], "headers": (("Content-Type", "a/b"),)},
            "multipart",
            NO_BOUNDARY,
        ),
    ],
)
def test_what_is_wrong_and_where(changes: dict[str, Any], field: str, reason: str, fast: bool) -> None:
    with pytest.raises(RenderError) as e:
        mix(fast=fast, **changes).message(0, 0, 0)
    assert (e.value.request, e.value.field, e.value.reason.partition(": inf")[0]) == ("it", field, reason)
    assert str(e.value).startswith(f"request it: {field}: ")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    "text", ["/{{ row.id", "/{% if %}", "/{{ 1 + }}", "/{% endif %}", "/{{ x | nofilter }}", NESTED]
)
def test_no_template(text: str) -> None:
    for changes, field in (({"path": text}, "path"), ({"body_kind": "raw", "body": text}, "raw")):
        with pytest.raises(RenderError, match=f"^request it: {field}: not a template: ") as e:
            mix(**changes)
        assert "\n" not in str(e.value)


def test_a_schedule_says_so_too() -> None:
    job = make_job(requests=(request(headers=(("A", "{{ row.id"),)),), rows=(("row", ROW),))
    with pytest.raises(
        RenderError, match=r"^request it: headers\.A: not a template: unexpected end of template"
    ):
        Schedule(job)


def test_failures_leave_no_cycles_behind() -> None:
    # The collector is off in workers.
    made = mix(path="/{{ 10 // (arrival - arrival) }}", headers=(("A", "{{ row.id | upper }}"),))

    def fail(count: int) -> None:
        for n in range(count):
            with contextlib.suppress(RenderError):
                made.message(0, n, 0)

    fail(10)
    gc.collect()
    gc.disable()
    try:
        fail(200)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_failed_arrival_does_not_harm_the_next() -> None:
    made = mix(path="/{{ 10 // arrival }}")
    with pytest.raises(RenderError):
        made.message(0, 0, 0)
    assert made.message(0, 5, 0).target == "/2"
