from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_jobs import make_job, request

from loadtool.plan.context import VARIABLES, Context
from loadtool.plan.job import FilePart, RowsSpec
from loadtool.plan.message import Message
from loadtool.plan.mix import Mix
from loadtool.profile import template_names

ROW = RowsSpec(
    "cycle",
    ("id", "text", "number", "flag", "nothing", "list", "items", "object"),
    (
        ("01234", "a b&c/d?é", 7, True, None, [1, "x"], "column", {"keys": 3, "b": None}),
        ("2", "plain", 1.5, False, None, [], "", {}),
    ),
)


def mix(*, fast: bool = True, seed: int = 1, nonce: str = "", rows: RowsSpec = ROW, **changes: Any) -> Mix:
    job = make_job(requests=(request(**changes),), rows=(("row", rows),), seed=seed, nonce=nonce)
    return Mix(job, fast=fast)


def both_ways(*, arrival: int = 0, ordinal: int = 0, **changes: Any) -> tuple[Message, Message]:
    """The message as rendered by what is compiled for simple templates, and by Jinja alone."""
    fast, slow = (mix(fast=fast, **changes).message(0, arrival, ordinal) for fast in (True, False))
    return fast, slow


def message(**changes: Any) -> Message:
    """The message, which both ways of rendering agree upon."""
    fast, slow = both_ways(**changes)
    assert fast == slow
    return fast


def json_body(body: object, **more: Any) -> bytes:
    return message(method="POST", body_kind="json", body=body, **more).body


# -- path and query ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "want"),
    [
        ("/", "/"),
        ("/a/b?x=1&y=%20", "/a/b?x=1&y=%20"),  # as written
        ("/100%/x", "/100%/x"),
        ("/café au lait", "/caf%C3%A9%20au%20lait"),  # what no request line may hold
        ("/{{ row.id }}", "/01234"),
        ("/{{ row.text }}/x", "/a%20b%26c%2Fd%3F%C3%A9/x"),
        ("/{{ row['text'] }}?q={{ row.text }}", "/a%20b%26c%2Fd%3F%C3%A9?q=a%20b%26c%2Fd%3F%C3%A9"),
        ("/{{ row.text | safe }}", "/a%20b&c/d?%C3%A9"),
        ("/{{ row.text | upper }}", "/A%20B%26C%2FD%3F%C3%89"),
        ("/{{ row.number }}/{{ row.flag }}/{{ row.nothing }}", "/7/true/null"),
        ("/{{ row.list }}", "/%5B1%2C%22x%22%5D"),
        ("/{{ row.items }}", "/column"),  # a column before the method of that name
        ("/{{ row.object.keys }}", "/3"),
        ("/{% for k, v in row.object.items() %}{{ k }}-{{ v }};{% endfor %}", "/keys-3;b-null;"),
        ("/{{ row.missing | default('none') }}", "/none"),
        ("/{{ 'a' if row.missing is defined else 'b' }}", "/b"),
        ("/{{ arrival }}", "/0"),
        ("/{{ 1 + 2 }}/{{ 'x/y' }}", "/3/x%2Fy"),
        ("/a{# nothing to see #}b", "/ab"),
        ("/{% raw %}{{ x }}{% endraw %}", "/%7B%7B%20x%20%7D%7D"),
        ("{{ '/whole/path?q=1' | safe }}", "/whole/path?q=1"),
        ("/%{{ arrival }}%d%s%%", "/%0%d%s%%"),  # nothing is taken for a format
    ],
)
def test_path(path: str, want: str) -> None:
    assert message(path=path).target == want


@pytest.mark.parametrize(
    ("path", "query", "want"),
    [
        ("/", [("a", "1")], "/?a=1"),
        ("/?z=0", [("a", "1"), ("a", "2")], "/?z=0&a=1&a=2"),
        ("/?", [("a", "1")], "/?a=1"),
        ("/", [("a b", "c&d=e+f/g é%")], "/?a%20b=c%26d%3De%2Bf%2Fg%20%C3%A9%25"),
        ("/", [("q", "x {{ row.text }}"), ("{{ row.id }}", "01")], "/?q=x%20a%20b%26c%2Fd%3F%C3%A9&01234=01"),
        ("/", [("q", "{{ row.text | upper }}")], "/?q=A%20B%26C%2FD%3F%C3%89"),
        ("/{{ '?a' | safe }}", [("b", "")], "/?a&b="),
    ],
)
def test_query(path: str, query: list[tuple[str, str]], want: str) -> None:
    assert message(path=path, query=tuple(query)).target == want


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(TEXTS, TEXTS, TEXTS)
@settings(max_examples=50)
def test_whatever_a_row_holds_comes_back_from_the_target(in_path: str, name: str, value: str) -> None:
    rows = RowsSpec("cycle", ("a", "b", "c"), ((in_path, name, value),))
    target = message(path="/{{ row.a }}", query=(("{{ row.b }}", "{{ row.c }}"),), rows=rows).target
    assert target.isascii()
    assert target.isprintable()
    assert " " not in target
    parts = urlsplit(target)
    assert unquote(parts.path) == f"/{in_path}"
    assert parse_qsl(parts.query, keep_blank_values=True) == [(name, value)]


def test_options_may_ask_the_whole_server() -> None:
    assert message(method="OPTIONS", path="*").target == "*"


# -- headers -----------------------------------------------------------------------------------------------


def test_headers_keep_their_text() -> None:
    headers = (("X-Id", "01234"), ("x-row", "{{ row.id }}-{{ row.flag }}"), ("X-Id", "tab\tand %"))
    assert message(headers=headers).headers == (
        ("X-Id", "01234"),
        ("x-row", "01234-true"),
        ("X-Id", "tab\tand %"),
    )


def test_header_text_beyond_ascii_is_utf_8_one_character_a_byte() -> None:
    made = message(headers=(("X", "é"), ("Y", "{{ row.text }}")))
    assert [value.encode("latin-1").decode() for _, value in made.headers] == ["é", "a b&c/d?é"]


# -- bodies ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "want"),
    [
        ({"a": 1, "b": [True, None, 1.5, "é"]}, '{"a":1,"b":[true,null,1.5,"é"]}'),
        ({}, "{}"),
        ([], "[]"),
        (None, "null"),
        ("{{ row.number }}", "7"),
        ({"n": "{{ row.number }}"}, '{"n":7}'),
        ({"n": "{{row.flag}}", "m": "{{- row.nothing -}}"}, '{"n":true,"m":null}'),
        ({"n": "{{ row.id }}"}, '{"n":"01234"}'),  # text stays text
        ({"n": "{{ row.list }}", "o": "{{ row.object }}"}, '{"n":[1,"x"],"o":{"keys":3,"b":null}}'),
        ({"n": "{{ row.number + 1 }}", "m": "{{ [1, row.id] }}"}, '{"n":8,"m":[1,"01234"]}'),
        ({"n": "{{ row.id | int }}"}, '{"n":1234}'),
        ({"n": "{{ 5 }}", "m": "{{ '5' }}", "o": "{{ -5 }}"}, '{"n":5,"m":"5","o":-5}'),
        # Mixed text is text.
        ({"n": "{{ row.number }} "}, '{"n":"7 "}'),
        ({"n": "{{ row.number }}{{ row.number }}"}, '{"n":"77"}'),
        ({"n": 'say "{{ row.text }}"\n'}, '{"n":"say \\"a b&c/d?é\\"\\n"}'),
        ({"n": "{% if row.flag %}1{% endif %}"}, '{"n":"1"}'),
        ({"{{ row.id }}": ["100%", "%s", "{{ arrival }}%"]}, '{"01234":["100%","%s","0%"]}'),
        ([{"a": {"b": ["{{ row.id }}"]}}, 2], '[{"a":{"b":["01234"]}},2]'),
    ],
)
def test_json(body: object, want: str) -> None:
    made = json_body(body)
    assert made == want.encode()
    json.loads(made)


def test_a_whole_row_is_an_object() -> None:
    rows = RowsSpec("cycle", ("a", "b"), (("1", [2]),))
    assert json_body({"row": "{{ row }}"}, rows=rows) == b'{"row":{"a":"1","b":[2]}}'


def test_form() -> None:
    body = [["user name", "a b"], ["x", "{{ row.text }}"], ["y", "01"], ["y", "{{ row.number }}"]]
    made = message(method="POST", body_kind="form", body=body)
    assert made.body == b"user+name=a+b&x=a+b%26c%2Fd%3F%C3%A9&y=01&y=7"
    assert made.headers == (("Content-Type", "application/x-www-form-urlencoded"),)


def test_raw() -> None:
    made = message(method="POST", body_kind="raw", body="é 100% {{ row.id }}\n{{ row.list }}")
    assert made.body == 'é 100% 01234\n[1,"x"]'.encode()
    assert made.headers == ()


def test_multipart() -> None:
    made = message(
        method="POST",
        body_kind="multipart",
        body=[["title", "{{ row.text }}"], ['od"d', "x"]],
        files=(FilePart("photo", 'a"b.png', "image/png", "AP8N"),),
    )
    kind = dict(made.headers)["Content-Type"]
    assert kind.startswith("multipart/form-data; boundary=loadtool-")
    boundary = kind.partition("boundary=")[2].encode()
    parts = made.body.split(b"--" + boundary)
    assert parts == [
        b"",
        b'\r\nContent-Disposition: form-data; name="title"\r\n\r\n' + "a b&c/d?é".encode() + b"\r\n",
        b'\r\nContent-Disposition: form-data; name="od%22d"\r\n\r\nx\r\n',
        b'\r\nContent-Disposition: form-data; name="photo"; filename="a%22b.png"\r\n'
        b"Content-Type: image/png\r\n\r\n\x00\xff\r\r\n",
        b"--\r\n",
    ]


def test_multipart_keeps_a_boundary_of_the_users_own() -> None:
    headers = (("content-type", 'multipart/mixed; boundary="abc"'),)
    made = message(method="POST", body_kind="multipart", body=[["a", "1"]], headers=headers)
    assert made.headers == headers
    assert made.body == b'--abc\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--abc--\r\n'


@pytest.mark.parametrize(
    ("kind", "body", "headers", "want"),
    [
        ("none", None, (), None),
        ("raw", "x", (), None),
        ("json", {}, (), "application/json"),
        ("json", {}, (("content-type", "application/vnd.api+json"),), "application/vnd.api+json"),
        ("form", [], (("CONTENT-TYPE", "text/plain"),), "text/plain"),
    ],
)
def test_content_type(
    kind: str, body: object, headers: tuple[tuple[str, str], ...], want: str | None
) -> None:
    made = message(method="POST", body_kind=kind, body=body, headers=headers).headers
    assert [value for name, value in made if name.lower() == "content-type"] == ([want] if want else [])


# -- what depends on the arrival ---------------------------------------------------------------------------


EVERYTHING = {
    "path": "/{{ randint(1, 1000000) }}/{{ uuid() }}",
    "query": (("u", "{{ uuid() }}"), ("c", "{{ choice(['a', 'b', 'c']) }}")),
    "headers": (("X", "{{ uuid() }}"),),
    "body_kind": "json",
    "body": {
        "r": "{{ random_string(5) }}",
        "f": "{{ uniform(2, 3) }}",
        "t": "{{ [1, 2, 3] | random }}",
        "u": "{{ uuid() }}",
    },
    "method": "POST",
}


def test_an_arrival_is_the_same_whoever_renders_it_and_when() -> None:
    one, other, slow = mix(**EVERYTHING), mix(**EVERYTHING), mix(fast=False, **EVERYTHING)
    forwards = [one.message(0, n, 0) for n in range(200)]
    assert [other.message(0, n, 0) for n in reversed(range(200))] == forwards[::-1]
    assert [slow.message(0, n, 0) for n in range(200)] == forwards
    assert len(set(forwards)) == 200
    assert mix(seed=2, **EVERYTHING).message(0, 0, 0) != forwards[0]


def test_uuid_never_repeats() -> None:
    made = mix(path="/{{ uuid() }}/{{ uuid() }}", headers=(("Idempotency-Key", "{{ uuid() }}"),))
    seen: set[str] = set()
    for n in range(10_000):
        m = made.message(0, n, 0)
        seen.update(m.target.split("/")[1:])
        seen.add(m.headers[0][1])
    assert len(seen) == 30_000
    form = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    assert all(re.fullmatch(form, u) for u in seen)


def test_another_run_of_the_same_seed_has_other_uuids_and_the_same_rest() -> None:
    first, again, next_run = (
        mix(path="/{{ randint(1, 1000000) }}/{{ uuid() }}", nonce=nonce).message(0, 3, 0).target.split("/")
        for nonce in ("a", "a", "b")
    )
    assert first == again
    assert first[1] == next_run[1]
    assert first[2] != next_run[2]


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("/{{ uniform(2, 3) }}", r"/2\.\d+"),
        (
            "/{{ choice(['a', 'b']) }}{{ choice('c', 'd') }}{{ choice('ef') }}{{ choice(7) }}",
            "/[ab][cd][ef]7",
        ),
        ("/{{ random_string(12) }}{{ random_string(0) }}", "/[A-Za-z0-9]{12}"),
        ("/{{ base64('é:b') }}", "/w6k6Yg%3D%3D"),
        ("/{{ urlencode('a b/c') | safe }}", "/a%20b%2Fc"),
        ("/{{ [5, 6] | random }}", "/[56]"),
        ("/{{ range(3) | list | length }}", "/3"),
    ],
)
def test_functions(path: str, pattern: str) -> None:
    assert re.fullmatch(pattern, message(path=path).target)


def test_streams_of_neighbouring_arrivals_share_no_state() -> None:
    context = Context(1, "", [])
    drawn = []
    for arrival in range(300):
        context.current.begin(arrival, 0)
        drawn += [context.draws.next64() for _ in range(30)]
    assert len(set(drawn)) == 9000


def test_functions_are_those_that_a_profile_may_use() -> None:
    context = Context(1, "", [])
    assert set(context.functions) == template_names.FUNCTIONS
    assert set(VARIABLES) == template_names.VARIABLES


def test_randint_is_uniform_from_arrival_to_arrival() -> None:
    made = mix(path="/{{ randint(1, 6) }}{{ randint(1, 6) }}")
    pairs: dict[str, int] = {}
    for n in range(7200):
        pair = made.message(0, n, 0).target
        pairs[pair] = pairs.get(pair, 0) + 1
    assert len(pairs) == 36
    assert sum((count - 200) ** 2 / 200 for count in pairs.values()) < 66.6  # chi-square, 35 degrees, 0.1 %


@pytest.mark.parametrize(("low", "high"), [(5, 5), (-3, 4), (0, 2**40), (-(2**80), 2**80)])
def test_randint_keeps_its_bounds(low: int, high: int) -> None:
    made = mix(body_kind="json", method="POST", body=f"{{{{ randint({low}, {high}) }}}}")
    drawn = [json.loads(made.message(0, n, 0).body) for n in range(300)]
    assert min(drawn) >= low
    assert max(drawn) <= high
    assert len(set(drawn)) >= min(8, high - low + 1)


def test_static_requests_are_known_and_made_once() -> None:
    three = (request(headers=(("A", "b"),)), request(path="/{{ arrival }}"), request(path="/{{ row.id }}"))
    job = make_job(requests=three, rows=(("row", ROW),))
    made = Mix(job)
    assert [made.is_static(i) for i in range(3)] == [True, False, False]
    assert made.message(0, 1, 0) is made.message(0, 2, 0)


def test_a_mix_without_templates_does_not_load_jinja() -> None:
    program = (
        "import sys; sys.path.insert(0, 'tests/plan')\n"
        "from plan_jobs import make_job\n"
        "from loadtool.plan.mix import Mix; from loadtool.plan.schedule import Schedule\n"
        "from loadtool.plan.expect import Expectation\n"
        "from loadtool.plan.wire import job_from_json, job_to_json\n"
        "job = job_from_json(job_to_json(make_job()))\n"
        "Mix(job).message(0, 0, 0); Schedule(job).count(); Expectation.of(job.requests[0].expect)\n"
        "print(*sorted({'jinja2', 'pydantic', 'trio', 'httpx', 'loadtool.profile'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []


# -- random templates: both ways of rendering agree --------------------------------------------------------

PIECES = st.sampled_from(
    ["a", " ", "%", "%s", "é", '"', "/", "{{ row.id }}", "{{ row.text }}", "{{ row['number'] }}",
     "{{ arrival }}",
     "{{ randint(1, 9) }}", "{{ choice(['x', 'y z']) }}", "{{ uuid() }}", "{{ random_string(5) }}",
     "{{ 'l/t' }}",
     "{{ row.id | upper }}", "{% if row.flag %}yes{% endif %}", "{{- ' q ' -}}", "{# c #}", "{{ row.list }}"]
)  # fmt: skip
TEMPLATES = st.lists(PIECES, min_size=1, max_size=6).map("".join)


@given(TEMPLATES, TEMPLATES, TEMPLATES, TEMPLATES, st.integers(0, 2**40), st.integers(0, 9))
@settings(max_examples=60)
def test_both_paths_give_the_same_bytes(
    path: str, query: str, header: str, body: str, arrival: int, ordinal: int
) -> None:
    common: dict[str, Any] = {
        "path": f"/{path}", "query": ((query, body),), "headers": (("X", header),), "arrival": arrival,
        "ordinal": ordinal, "method": "POST",
    }  # fmt: skip
    bodies: dict[str, object] = {"json": {"a": body, query: [path]}, "form": [[query, body]], "raw": body}
    for kind, content in bodies.items():
        fast, slow = both_ways(body_kind=kind, body=content, **common)
        assert fast == slow
