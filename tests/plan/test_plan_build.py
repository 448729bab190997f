from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadtool.errors import ProfileError
from loadtool.plan import checks
from loadtool.plan.build import build_job, endpoint_of
from loadtool.plan.job import (
    ClientSpec,
    ExpectSpec,
    FaultWindow,
    FilePart,
    Job,
    PhaseSpec,
    RequestSpec,
    RowsSpec,
)
from loadtool.plan.mix import Mix
from loadtool.plan.wire import job_from_json, job_to_json
from loadtool.profile.load import Loaded, load_profile

S = 1_000_000_000
Load = Callable[..., Loaded]

WHOLE = """\
name: checkout-10x
target: http://127.0.0.1:8080
seed: 42
headers:
  Authorization: Bearer ${TOKEN}
  X-Common: a
requests:
  - name: browse
    weight: 8
    get: "/products/{{ randint(1, 500) }}"
    query: {page: 01, tag: [a, b]}
  - name: checkout
    weight: 2
    post: /checkout
    headers: {x-common: "{{ row.cart }}"}
    json: {cart: "{{ row.cart }}", quantity: "{{ randint(1, 5) }}", "yes": true}
    expect: {status: [200, 201], contains: "ok", matches: "o+"}
  - {name: form, put: /f, form: {user: 01, tags: [x, y]}}
  - {name: raw, post: /r, raw: text}
  - name: upload
    post: /u
    multipart: {title: t, photo: {file: photo.png}, other: {file: photo.png, type: a/b, filename: c}}
data: {row: {file: carts.csv, order: shuffle}}
phases:
  - {name: warmup,   rate: 20/s,  for: 5s}
  - {name: spike,    rate: 500/s, for: 15s, ramp: 1s}
  - {name: later, role: recovery, rate: 50/s, for: 30s, double_every: 20s}
arrivals: constant
client: {timeout: 2s, deadline: 9s, connections: 70, keepalive: false, shed: 429}
proxies:
  store: {upstream: 127.0.0.1:5432}
faults:
  - {name: slow, at: spike+5s, for: 5s, proxy: store, toxic: latency, latency: 200ms}
  - {name: gone, at: 40s, proxy: store, down: true}
slos: [p99 < 300ms]
"""


@pytest.fixture
def load(tmp_path: Path) -> Load:
    (tmp_path / "carts.csv").write_text("cart,n\n01234,1\nx y,2\n")
    (tmp_path / "photo.png").write_bytes(b"\x00\xff")

    def load(text: str, **more: Any) -> Loaded:
        (tmp_path / "p.yaml").write_text(text)
        return load_profile(tmp_path / "p.yaml", **({"environment": {"TOKEN": "s3cret-value"}} | more))

    return load


def build(loaded: Loaded, **more: Any) -> Job:
    return build_job(loaded, endpoint=endpoint_of(loaded.profile.target), **more)


def test_a_fault_that_comes_again_has_a_window_each_time(load: Load) -> None:
    text = (
        WHOLE[: WHOLE.index("faults:")]
        + """\
faults:
  - {name: again, at: spike+1s, for: 2s, every: 5s, until: end of spike, run: x, undo: y}
  - {name: slow, at: [later, 1s], for: 3s, proxy: store, toxic: latency, latency: 200ms, ramp: 2s}
  - {name: rest, at: later+20s, proxy: store, down: true}
"""
    )
    assert build(load(text)).faults == (
        FaultWindow("again", 6 * S, 8 * S),
        FaultWindow("again", 11 * S, 13 * S),
        FaultWindow("again", 16 * S, 18 * S),
        FaultWindow("slow", 1 * S, 4 * S, 2 * S),
        FaultWindow("slow", 20 * S, 23 * S, 2 * S),
        FaultWindow("rest", 40 * S, 50 * S),
    )


def test_everything_of_a_profile_reaches_the_job(load: Load) -> None:
    loaded = load(WHOLE)
    job = build(loaded, nonce="n")
    auth = ("Authorization", "Bearer s3cret-value")
    plain = (auth, ("X-Common", "a"))
    assert job == Job(
        seed=42,
        arrivals="constant",
        phases=(
            PhaseSpec("warmup", "warmup", 20.0, 5 * S),
            PhaseSpec("spike", "spike", 500.0, 15 * S, ramp_ns=S),
            PhaseSpec("later", "recovery", 50.0, 30 * S, double_every_ns=20 * S),
        ),
        faults=(FaultWindow("slow", 10 * S, 15 * S), FaultWindow("gone", 40 * S, 50 * S)),
        requests=(
            RequestSpec(
                "browse", 8.0, "GET", "/products/{{ randint(1, 500) }}",
                query=(("page", "01"), ("tag", "a"), ("tag", "b")), headers=plain,
            ),
            RequestSpec(
                "checkout", 2.0, "POST", "/checkout",
                headers=(auth, ("x-common", "{{ row.cart }}")), body_kind="json",
                body={"cart": "{{ row.cart }}", "quantity": "{{ randint(1, 5) }}", "yes": True},
                expect=ExpectSpec((200, 201), ("ok",), ("o+",)),
            ),
            RequestSpec(
                "form", 1.0, "PUT", "/f", headers=plain, body_kind="form",
                body=[["user", "01"], ["tags", "x"], ["tags", "y"]],
            ),
            RequestSpec("raw", 1.0, "POST", "/r", headers=plain, body_kind="raw", body="text"),
            RequestSpec(
                "upload", 1.0, "POST", "/u", headers=plain, body_kind="multipart", body=[["title", "t"]],
                files=(
                    FilePart("photo", "photo.png", "image/png", "AP8="),
                    FilePart("other", "c", "a/b", "AP8="),
                ),
            ),
        ),
        rows=(("row", RowsSpec("shuffle", ("cart", "n"), (("01234", "1"), ("x y", "2")))),),
        endpoint=endpoint_of("http://127.0.0.1:8080"),
        client=ClientSpec(2 * S, 9 * S, 70, False, (429,)),
        good_within_ns=300_000_000,
        slice_ns=S,
        secrets=loaded.secrets.values,
        nonce="n",
    )  # fmt: skip
    assert "s3cret-value" in job.secrets
    assert job_from_json(job_to_json(job)) == job
    assert Mix(job).message(1, 0, 0).headers[1] in {("x-common", "01234"), ("x-common", "x y")}


BASE = "target: http://127.0.0.1:1\nphases: [{name: a, rate: 10/s, for: 4s}]\n"


@pytest.mark.parametrize(
    ("headers", "want"),
    [
        ("", ("Authorization", "Basic dTpzM2NyZXQ=")),
        ("headers: {authorization: Bearer x}\n", ("authorization", "Bearer x")),
    ],
)
def test_credentials_of_the_url_become_a_header_unless_there_is_one(
    load: Load, headers: str, want: tuple[str, str]
) -> None:
    loaded = load(BASE.replace("//", "//u:s3cret@") + "requests: [{get: /}]\n" + headers)
    job = build(loaded)
    assert job.requests[0].headers == (want,)
    if "Basic" in want[1]:
        assert any(secret in "dTpzM2NyZXQ=" for secret in job.secrets)


def test_a_json_body_of_false_is_a_body(load: Load) -> None:
    job = build(load(BASE + "requests: [{post: /, json: false}, {post: /x, json: []}]\n"))
    assert [(r.body_kind, r.body) for r in job.requests] == [("json", False), ("json", [])]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (
            "requests:\n  - get: /{{ 1 // (arrival - 3) }}\n",
            ["4: requests[0].get: integer division or modulo by zero"],
        ),
        (
            "headers:\n  X-Id: '{{ row.n | int // 0 }}'\nrequests:\n  - get: /\ndata: {row: carts.csv}\n",
            ["4: headers.X-Id: integer division or modulo by zero"],
        ),
        (
            "requests:\n  - get: /\n    headers:\n      A: '{{ 1 // 0 }}'\n  - post: /\n    json:\n      a:\n"
            "        - b: '{{ 1 // 0 }}'\n  - get: /b\n    query: {q: '{{ 1 // 0 }}'}\n",
            [
                "6: requests[0].headers.A: integer division or modulo by zero",
                "10: requests[1].json.a[0].b: integer division or modulo by zero",
                "12: requests[2].query.q: integer division or modulo by zero",
            ],
        ),
        (
            "requests:\n  - get: /\n    headers:\n      A: '{{ row.cart }}'\ndata: {row: broken.jsonl}\n",
            ["6: requests[0].headers.A: got a line break inside, want one line of text"],
        ),
        (
            "requests:\n  - get: /{{ row.cart }}\ndata:\n  row: {file: carts.csv, order: once}\n",
            ["6: data.row: has 2 rows for 40 arrivals with order: once; give it 40 rows or order: cycle"],
        ),
    ],
)
def test_what_only_shows_when_it_is_tried(load: Load, tmp_path: Path, text: str, want: list[str]) -> None:
    rows = ['{"cart": "fine"}'] * 999 + ['{"cart": "not\\nfine"}']
    (tmp_path / "broken.jsonl").write_text("\n".join(rows))
    loaded = load(BASE + "arrivals: constant\n" + text if "order" in text else BASE + text)
    shift = 1 if "order" in text else 0
    with pytest.raises(ProfileError) as e:
        build(loaded)
    lines = [f"{int(w.partition(':')[0]) + shift}:{w.partition(':')[2]}" for w in want]
    assert str(e.value).split("\n") == [f"{tmp_path}/p.yaml:{line}" for line in lines]


def test_a_secret_in_a_message_is_masked(load: Load) -> None:
    loaded = load(BASE + "requests: [{post: /, raw: '{{ randint(1, \"${TOKEN}\") }}'}]\n")
    with pytest.raises(ProfileError, match=r"requests\[0\]\.raw: randint: got 1 and '\*\*\*', want two"):
        build(loaded)


def test_a_schedule_beyond_counting(load: Load) -> None:
    loaded = load("target: http://a\nrequests: [{get: /}]\nphases:\n  - {name: a, rate: 1000000, for: 10h}\n")
    with pytest.raises(
        ProfileError, match=r"p\.yaml:3: phases: got 36,000,000,000 arrivals in all, want at most 10,"
    ):
        build(loaded)


def test_a_file_that_went_away(load: Load, tmp_path: Path) -> None:
    loaded = load(BASE + "requests:\n  - post: /\n    multipart:\n      a: {file: photo.png}\n")
    (tmp_path / "photo.png").unlink()
    with pytest.raises(ProfileError) as e:
        build(loaded)
    want = "got photo.png, want a file that can be read: No such file or directory"
    assert str(e.value) == f"{tmp_path}/p.yaml:6: requests[0].multipart.a.file: {want}"


def test_stand_ins_are_not_tried(load: Load) -> None:
    # Before `setup:` has run, a plan must still be possible.
    text = BASE + "setup: ./token.sh\nrequests: [{get: '/{{ row.n }}', headers: {A: '${LATER}'}}]\n"
    loaded = load(text + "data: {row: '${ROWS}'}\n", environment={}, pending=True)
    assert loaded.pending == {"LATER", "ROWS"}
    assert build(loaded).rows == ()


def test_the_whole_feeder_is_sampled(load: Load) -> None:
    loaded = load(BASE + "requests: [{get: '/{{ row.n }}'}]\ndata: {row: carts.csv}\n")
    job = build(loaded)
    many = RowsSpec("cycle", ("n",), tuple((str(n),) for n in range(5000)))
    ordinals = [o for _, o in checks._samples(replace(job, rows=(("row", many),)))]
    assert len(ordinals) == checks.SAMPLES
    assert ordinals == [n * 5 for n in range(1000)]
