"""load: what a right profile becomes, its secrets, its normalised form, and what setup will print."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from profile_samples import SMALL, load, mistakes

from loadtool.errors import ProfileError
from loadtool.profile.load import load_profile
from loadtool.profile.model import Expect
from loadtool.profile.moment import Moment
from loadtool.units import MINUTE, SECOND

WHOLE = """\
x-defaults: &quick {timeout: 2s}
name: shop
target: http://127.0.0.1:8080/base
wait_for: {get: /health}
setup: ./fetch.sh
teardown: [[./clean.sh, 7]]
seed: 9
headers: {X-Zip: 01234, X-On: true, X-Empty: , X-Float: 1.50}
requests:
  - get: "/p/{{ row.cart }}?a=1"
    query: {page: 1, tags: [a, 007]}
    expect: {status: 200, contains: ok}
  - name: buy
    weight: 2.5
    post: /buy
    json: {n: 1, t: true, z: null, l: [1.5, "{{ randint(1, 2) }}"], 404: x}
    expect: {status: [200, 201], matches: ["^ok$", a+]}
  - {name: login, put: /login, form: {user: 012, tag: [1, 2]}}
  - {name: up, post: /up, multipart: {note: 5, photo: {file: photo.png, type: image/png}}}
  - {name: raw, post: /raw, raw: "{\\"a\\": 1}"}
data:
  row: rows.csv
  other: {file: rows.jsonl, order: once}
phases:
  - {name: warmup, rate: 30/m, for: 5s}
  - {name: steps, rate: 5000 rpm, for: 1m30s, role: spike}
  - {name: spike, rate: 1_000/s, for: 5s, ramp: 1s}
  - {name: calm, rate: 0, for: 5s, role: recovery}
  - {name: grow, rate: 1, for: 1m, double_every: 20s}
arrivals: constant
client: {<<: *quick, connections: 10, keepalive: false, shed: 429}
proxies:
  front: {upstream: target}
  db: {upstream: "[::1]:5432", listen: 127.0.0.1:0}
  mine: {existing: postgres}
faults:
  - {name: slow, at: spike+1s, for: 2s, proxy: db, toxic: latency, latency: 200ms, toxicity: 10%,
     stream: upstream}
  - {name: cut, at: 12s, proxy: mine, down: true}
slos:
  - p99 < 1s during slow for buy
  - p95<250ms
allow_hosts: api.example.com
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "rows.csv").write_text("cart\n1\n2\n")
    (tmp_path / "rows.jsonl").write_text('{"id": 1}\n')
    (tmp_path / "photo.png").write_bytes(b"\x89PNG")
    return tmp_path


def test_the_smallest_profile(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    profile = loaded.profile
    assert profile.name == "shop", "the file's name"
    assert profile.requests[0].name == "GET /"
    assert (profile.requests[0].method, profile.requests[0].path) == ("GET", "/")
    assert profile.requests[0].expect == Expect()
    assert [p.role for p in profile.phases] == ["baseline", "spike"]
    assert profile.client.timeout == 10 * SECOND
    assert profile.client.shed == (429, 503)
    assert profile.seed == 1
    assert loaded.directory == tmp_path
    assert loaded.file == str(tmp_path / "shop.yaml")
    assert loaded.slos == ()
    assert loaded.pending == frozenset()
    assert loaded.line_of("phases", 1) == 6
    assert loaded.line_of("phases", 1, "rate") == 6
    assert loaded.line_of("client") is None


def test_everything_at_once(shop: Path) -> None:
    loaded = load(shop, WHOLE)
    p = loaded.profile
    assert p.setup == ("./fetch.sh",)
    assert p.teardown == (("./clean.sh", "7"),)
    assert p.wait_for is not None
    assert p.wait_for.up_to == MINUTE
    assert p.headers == {"X-Zip": "01234", "X-On": "true", "X-Empty": "", "X-Float": "1.50"}
    page, buy, login, up, raw = p.requests
    assert page.name == "GET /p/{{ row.cart }}?a=1"
    assert page.query == {"page": "1", "tags": ("a", "007")}
    assert page.expect == Expect(status=(200,), contains=("ok",))
    assert buy.weight == 2.5
    assert buy.json_body == {
        "n": 1, "t": True, "z": None, "l": [1.5, "{{ randint(1, 2) }}"], "404": "x",
    }  # fmt: skip
    assert buy.expect.matches == ("^ok$", "a+")
    assert login.method == "PUT"
    assert login.form == {"user": "012", "tag": ("1", "2")}
    assert up.multipart == {"note": "5", "photo": {"file": "photo.png", "type": "image/png"}}
    assert raw.raw == '{"a": 1}'
    assert p.data["row"].order == "cycle"
    assert loaded.rows["row"].rows == (("1",), ("2",))
    assert loaded.rows["other"].columns == ("id",)
    assert [phase.rate for phase in p.phases] == [0.5, 5000 / 60, 1000.0, 0.0, 1.0]
    assert [phase.role for phase in p.phases] == ["warmup", "spike", "spike", "recovery", "baseline"]
    assert p.phases[1].for_ == 90 * SECOND
    assert p.phases[2].ramp == SECOND
    assert p.phases[4].double_every == 20 * SECOND
    assert p.client.timeout == 2 * SECOND
    assert p.client.shed == (429,)
    assert p.faults[0].attributes == {"latency": 200}
    assert p.faults[0].toxicity == 0.1
    assert loaded.moments == {"slow": (Moment("spike", SECOND),), "cut": (Moment(None, 12 * SECOND),)}
    assert [(str(slo), slo.line) for slo in loaded.slos] == [
        ("p99 < 1s during slow for buy", 41),
        ("p95 < 250ms", 42),
    ]
    assert p.allow_hosts == ("api.example.com",)
    assert loaded.line_of("client", "timeout") == 1, "where the anchor is"


def test_the_normalised_profile_is_a_profile(shop: Path) -> None:
    loaded = load(shop, WHOLE)
    dump = loaded.normalised()
    assert dump["phases"][1] == {"name": "steps", "rate": "5000/m", "for": "1m30s", "role": "spike"}
    assert dump["faults"][0] == {
        "name": "slow", "at": "spike+1s", "for": "2s", "proxy": "db", "toxic": "latency",
        "stream": "upstream", "toxicity": "10%", "latency": "200ms",
    }  # fmt: skip
    assert dump["requests"][1]["json"]["z"] is None
    again = load(shop, json.dumps(dump))
    assert again.profile == loaded.profile
    assert again.normalised() == dump


def test_the_environment_reaches_every_kind_of_value(shop: Path) -> None:
    text = """\
target: ${TARGET:-http://127.0.0.1:8080}
seed: ${SEED}
requests:
  - get: /${PLACE:-home}
    weight: ${WEIGHT}
    expect: {status: ["${STATUS}"], contains: $$5}
phases:
  - {name: "${PHASE}", rate: "${RATE}/s", for: "${LENGTH:-5s}"}
client: {keepalive: "${KEEP}", connections: "${CONNECTIONS}"}
slos: ["p99 < ${LIMIT}"]
"""
    environment = {
        "SEED": "7", "WEIGHT": "2.5", "STATUS": "201", "PHASE": "spike", "RATE": "30", "KEEP": "false",
        "CONNECTIONS": "5", "LIMIT": "1s",
    }  # fmt: skip
    loaded = load(shop, text, environment=environment)
    p = loaded.profile
    assert (p.target, p.seed, p.requests[0].weight, p.requests[0].get) == (
        "http://127.0.0.1:8080",
        7,
        2.5,
        "/home",
    )
    assert p.requests[0].expect == Expect(status=(201,), contains=("$5",))
    assert (p.phases[0].name, p.phases[0].rate) == ("spike", 30.0)
    assert (p.client.keepalive, p.client.connections.max) == (False, 5)
    assert loaded.slos[0].threshold == 1000.0
    assert loaded.secrets.values == ()
    assert load(shop, json.dumps(loaded.normalised())).profile == p


SECRET = """\
target: http://jane:${PASSWORD}@127.0.0.1:8080
setup: login --key ${SETUP_KEY}
toxiproxy: http://admin:letmein@127.0.0.1:8474
headers:
  Authorization: Bearer ${TOKEN}
  X-Env: "${STAGE}-1"
  Cookie: session=literal-cookie
  X-Tiny: "${TINY}"
requests:
  - get: /free/${FREE}?key=${QUERY}
    query: {sig: "${SIGNED}", password: literal-password}
    headers: {X-Api-Key: literal-key}
  - name: post
    post: /
    json: {a: ["x ${BODY}"], pin: "{{ row.pin }}"}
phases:
  - {name: baseline, rate: 1/s, for: 5s}
data: {row: rows.csv}
"""
VARIABLES = {
    "PASSWORD": "pass%2Fword", "SETUP_KEY": "setup-key", "TOKEN": "token-1", "STAGE": "stage-one",
    "TINY": "x", "FREE": "not-secret", "QUERY": "query-key", "SIGNED": "signed-1", "BODY": 'say "hi"',
}  # fmt: skip


def test_secrets_are_masked_wherever_they_turn_up(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("pin\n1\n")
    loaded = load(tmp_path, SECRET, environment=VARIABLES)
    profile = loaded.profile
    assert profile.headers["Authorization"] == "Bearer token-1"
    assert profile.target == "http://jane:pass%2Fword@127.0.0.1:8080"
    secrets = [
        "pass/word", "pass%2Fword", base64.b64encode(b"jane:pass/word").decode(), "setup-key", "letmein",
        "token-1", "Bearer token-1", "stage-one", "literal-cookie", "query-key", "signed-1", 'say "hi"',
        r"say \"hi\"", "literal-password", "literal-key", "say%20%22hi%22",
    ]  # fmt: skip
    for secret in secrets:
        assert loaded.secrets.mask(f"before {secret} after") == "before *** after"
        assert secret not in json.dumps(loaded.normalised(), ensure_ascii=False)
    assert loaded.secrets.mask("not-secret jane admin x") == "not-secret jane admin x"


def test_the_normalised_profile_masks_and_still_loads(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("pin\n1\n")
    dump = load(tmp_path, SECRET, environment=VARIABLES).normalised()
    assert dump["target"] == "http://***@127.0.0.1:8080"
    assert dump["toxiproxy"] == "http://***@127.0.0.1:8474"
    assert dump["setup"] == ["login --key ***"]
    assert dump["headers"] == {
        "Authorization": "Bearer ***",
        "X-Env": "***-1",
        "Cookie": "***",
        "X-Tiny": "***",
    }
    assert dump["requests"][0]["get"] == "/free/not-secret?key=***"
    assert dump["requests"][0]["name"] == "GET /free/not-secret?key=***"
    assert dump["requests"][0]["query"] == {"sig": "***", "password": "***"}
    assert dump["requests"][0]["headers"] == {"X-Api-Key": "***"}
    assert dump["requests"][1]["json"] == {"a": ["x ***"], "pin": "{{ row.pin }}"}
    again = load(tmp_path, json.dumps(dump))
    assert again.normalised() == dump


def test_a_secret_that_is_also_a_name_does_not_break_the_normalised_profile(tmp_path: Path) -> None:
    text = SMALL.replace("get: /", "name: spike\n    get: /") + (
        'headers: {X-Key: "${KEY}"}\nproxies: {spike: {existing: spike}}\n'
        "faults:\n  - {name: f, at: spike, proxy: spike, down: true}\n"
        "slos:\n  - p99 < 1s during spike for spike\n"
    )
    loaded = load(tmp_path, text, environment={"KEY": "spike"})
    dump = loaded.normalised()
    assert dump["phases"][1]["name"] == "spike"
    assert dump["requests"][0]["name"] == "spike"  # the profile's own letters
    assert dump["slos"] == ["p99 < 1s during spike for spike"]
    load(tmp_path, json.dumps(dump))


def test_mistakes_do_not_tell_secrets(tmp_path: Path) -> None:
    text = (
        SMALL.replace("get: /", "get: /\n    weight: ${WEIGHT}")
        + 'headers: {A: "${WEIGHT}", B: "x\\n${WEIGHT}"}\n'
    )
    said = mistakes(tmp_path, text, environment={"WEIGHT": "hunter2"})
    assert said == [
        "shop.yaml:4: requests[0].weight: got ***, want a weight above 0, such as 1 or 2.5",
        "shop.yaml:8: headers.B: got 'x\\n***', want a header on one line",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "headers: x ${TOKEN}",
        "headers: [x, '${TOKEN}']",
        "headers: {A: ['${TOKEN}']}",
        'headers:\n  A: "☃${TOKEN}"',
    ],
)
def test_misplaced_secrets_are_not_told_either(tmp_path: Path, text: str) -> None:
    (said,) = mistakes(tmp_path, f"{SMALL}{text}\n", environment={"TOKEN": "hunter2"})
    assert "hunter2" not in said


def test_braces_of_a_secret_are_no_template(tmp_path: Path) -> None:
    text = SMALL + 'headers: {X-Key: "${KEY}"}\n'
    loaded = load(tmp_path, text, environment={"KEY": "a{{b}}{%c"})
    assert loaded.profile.headers["X-Key"] == "a{{ '{' }}{b}}{{ '{' }}%c"
    assert loaded.secrets.mask("<a{{b}}{%c>") == "<***>"
    assert loaded.normalised()["headers"] == {"X-Key": "***"}


PENDING = """\
target: ${URL}
setup: ./fetch.sh ${GIVEN}
seed: ${SEED}
headers: {Authorization: "Bearer ${TOKEN}"}
requests:
  - get: /${A}
    weight: ${WEIGHT}
    expect: {status: "${STATUS}"}
phases:
  - {name: baseline, rate: "${RATE}", for: "${LENGTH}"}
  - {name: "${NAME}", rate: 1/s, for: "${N}s", role: "${ROLE}"}
client: {timeout: 5s, keepalive: "${KEEP}", shed: ["${SHED}"]}
proxies: {p: {upstream: "${STORE}"}}
faults:
  - {name: f, at: "${AT}", proxy: p, toxic: latency, latency: "${DELAY}", toxicity: "${SHARE}"}
slos: ["${SLO}", p99 < 1s]
"""


def test_what_setup_will_print_may_be_unset_before(tmp_path: Path) -> None:
    loaded = load(tmp_path, PENDING, environment={"GIVEN": "5"}, pending=True)
    assert loaded.pending == {
        "URL", "SEED", "TOKEN", "A", "WEIGHT", "STATUS", "RATE", "LENGTH", "NAME", "N", "ROLE", "KEEP",
        "SHED", "STORE", "AT", "DELAY", "SHARE", "SLO",
    }  # fmt: skip
    assert loaded.profile.setup == ("./fetch.sh 5",)
    assert [slo.text for slo in loaded.slos] == ["p99 < 1s"]


def test_pending_hides_no_other_mistake(tmp_path: Path) -> None:
    text = PENDING.replace("timeout: 5s", "timeout: 5")
    said = mistakes(tmp_path, text, pending=True)
    assert said == [
        "shop.yaml:2: setup: GIVEN is not set: set it, or write ${GIVEN:-default} or, for the shell, $${…}",
        "shop.yaml:12: client.timeout: got 5, want a duration with its unit: write 5s or 5ms",
    ]


def test_pending_needs_a_setup(tmp_path: Path) -> None:
    text = SMALL + 'headers: {A: "${NO}"}\n'
    assert mistakes(tmp_path, text, pending=True) == [
        "shop.yaml:7: headers.A: NO is not set: set it, or write ${NO:-default}"
    ]


def test_an_unset_variable_is_one_mistake(tmp_path: Path) -> None:
    text = SMALL.replace("100/s", '"${RATE}"').replace("target: http://127.0.0.1:8080", "target: ${A}${B}")
    assert mistakes(tmp_path, text) == [
        "shop.yaml:1: target: A is not set: set it, or write ${A:-default}",
        "shop.yaml:1: target: B is not set: set it, or write ${B:-default}",
        "shop.yaml:6: phases[1].rate: RATE is not set: set it, or write ${RATE:-default}",
    ]


def test_what_no_stand_in_suits_asks_for_a_default(tmp_path: Path) -> None:
    text = SMALL + "setup: ./fetch.sh\narrivals: ${ARRIVALS}\n"
    said = "ARRIVALS is not set before `setup` has run; give it a default, as ${ARRIVALS:-…}"
    assert mistakes(tmp_path, text, pending=True) == [f"shop.yaml:8: arrivals: {said}"]
    loaded = load(tmp_path, text, pending=True, environment={"ARRIVALS": "constant"})
    assert loaded.profile.arrivals.process == "constant"


def test_a_path_may_be_text(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SMALL)
    assert load_profile(str(tmp_path / "a.yaml"), environment={}).profile.name == "a"


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("http://localhost", True), ("https://api.example.com:8443/base/", True), ("http://[::1]:80", True),
        ("http://user:p%40ss@10.0.0.1", True), ("http://xn--bcher-kva.example", True),
        ("http://bücher.example", True), ("http://a_b.internal", True), ("http://-a.com", False),
        ("http://" + "a" * 64 + ".com", False),
        ("http://1.2.3", False), ("http://[fe80::1%25eth0]", True),
    ],
)  # fmt: skip
def test_hosts(tmp_path: Path, target: str, host: bool) -> None:
    text = SMALL.replace("http://127.0.0.1:8080", target)
    if host:
        assert load(tmp_path, text).profile.target == target
    else:
        with pytest.raises(ProfileError, match="the host is not valid"):
            load(tmp_path, text)
