"""overrides: `--set`, `--target` and `--seed` over the file, and their place in messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from profile_samples import SMALL, load, mistakes

from loadtool.errors import ProfileError
from loadtool.profile.draft import get

SHOP = """\
target: http://127.0.0.1:8080
requests:
  - {name: browse, get: /}
  - {name: a.b c, get: /x}
  - post: /checkout
data: {row: rows.csv}
phases:
  - {name: baseline, rate: 10/s, for: 10s}
  - {name: spike, rate: 100/s, for: 10s}
proxies: {front: {upstream: target}}
faults:
  - {name: slow, at: spike, proxy: front, toxic: latency, latency: 1ms}
slos:
  - p99 < 1s
"""


PHASE = "{name: baseline, rate: 50/s, for: 30s}"
WANT = "want a path and a value, such as --set phases.spike.rate=800/s"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "rows.csv").write_text("cart\n1\n")
    (tmp_path / "more.csv").write_text("cart\n1\n")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("phases.spike.rate=800/s", ("phases", 1, "rate"), "800/s"),
        ("phases.1.rate=800/s", ("phases", 1, "rate"), "800/s"),
        ("phases[1].rate=800/s", ("phases", 1, "rate"), "800/s"),
        ("requests.browse.weight=3", ("requests", 0, "weight"), 3),
        ("requests.a.b c.weight=3", ("requests", 1, "weight"), 3),
        ("requests.POST /checkout.weight=3", ("requests", 2, "weight"), 3),
        ("requests.0.headers.X-Zip=01234", ("requests", 0, "headers", "X-Zip"), "01234"),
        ("client.timeout=3s", ("client", "timeout"), "3s"),
        ("client={timeout: 3s, connections: 5}", ("client", "connections"), 5),
        ("data.row.order=shuffle", ("data", "row", "order"), "shuffle"),
        ("data.row=more.csv", ("data", "row", "file"), "more.csv"),
        ("faults.slow.latency=2s", ("faults", 0, "latency"), "2s"),
        ("slos.0=p99 < 2s", ("slos", 0), "p99 < 2s"),
        ("slos=[]", ("slos",), []),
        ("slos=p50 < 1s", ("slos", 0), "p50 < 1s"),
        ("name=a=b", ("name",), "a=b"),
        ("name=a #b", ("name",), "a #b"),
        ("name=!!str 5", ("name",), "5"),
        ("seed=5", ("seed",), 5),
        ("wait_for.get=/health", ("wait_for", "get"), "/health"),
    ],
)
def test_set(shop: Path, text: str, path: tuple[str | int, ...], value: Any) -> None:
    assert get(load(shop, SHOP, overrides=[text]).normalised(), path) == value


def test_the_last_one_wins_and_options_come_after(shop: Path) -> None:
    loaded = load(
        shop,
        SHOP,
        overrides=["seed=5", "seed=6", "target=http://127.0.0.1:1"],
        target="http://127.0.0.1:2",
        seed=7,
    )
    assert loaded.profile.seed == 7
    assert loaded.profile.target == "http://127.0.0.1:2"
    assert load(shop, SHOP, overrides=["seed=5", "seed=6"]).profile.seed == 6


def test_null_takes_a_key_away(shop: Path) -> None:
    plain = load(shop, SMALL).profile
    text = SMALL.replace("get: /", "get: /\n    post: ~") + "seed: null\nclient: {deadline: ~, timeout: 2s}\n"
    assert load(shop, text, overrides=["client.timeout=null"]).profile == plain
    assert mistakes(shop, SMALL, overrides=["requests=[{get: ~}]"]) == [
        "--set requests: requests[0]: missing: one of get, head, post, put, patch, delete, options with "
        "a path, such as get: /"
    ]


def test_what_was_set_has_no_line(shop: Path) -> None:
    loaded = load(shop, SHOP, overrides=["phases.spike.rate=800/s"])
    assert loaded.line_of("phases", 1, "rate") is None
    assert loaded.line_of("phases", 1, "for") == 9
    assert loaded.line_of("phases", 1) == 9


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("phases.spike.rate=-5", "--set phases.spike.rate: got -5, want a rate such as 50/s"),
        ("phases.spike.rte=5", "--set phases.spike.rte: unknown key, did you mean rate?"),
        ("clinet.timeout=5s", "--set clinet.timeout: unknown key, did you mean client?"),
        ("flows.shop.max=5", "--set flows.shop.max: not built yet"),
        (
            "client.retries.max=5",
            "--set client.retries.max: client.retries.policy: missing, such as full-jitter",
        ),
        ("client={shed: 1}", "--set client: client.shed: got 1, want a status from 400 to 599, such as 429"),
        ("phases.spik.rate=5", "--set phases.spik.rate: phases has no item named spik, did you mean spike?"),
        ("phases.x.rate=5", "--set phases.x.rate: phases has no item named x; there are baseline, spike"),
        ("phases.2.rate=5", "--set phases.2.rate: phases has 2 items, counted from 0"),
        ("slos.1=p99 < 1s", "--set slos.1: slos has 1 item, counted from 0"),
        ("slos.0=p99 < 5", "--set slos.0: column 7: got 5, want a duration with its unit: write 5s or 5ms"),
        ("seed.x=5", "--set seed.x: seed is a single value, with nothing below it"),
        ("phases.spike=5", f"--set phases.spike: got 5, want a mapping such as {PHASE}"),
        ("seed", f"--set seed: {WANT}"),
        ("=5", f"--set : {WANT}"),
        ("phases..rate=5", f"--set phases..rate: {WANT}"),
        ("client.=5", f"--set client.: {WANT}"),
        ("name={{ x }}", "--set name: put this value in quotes: unquoted, {{ }} is a YAML mapping"),
        ("seed=[", "--set seed: a [ or { is not closed, or a value is missing"),
        ("name=", "--set name: got '', want text"),
        ("seed=${NO}", "--set seed: NO is not set: set it, or write ${NO:-default}"),
    ],
)  # fmt: skip
def test_mistakes(shop: Path, text: str, said: str) -> None:
    overrides = [text] if not text.startswith("seed.") else ["seed=1", text]
    assert mistakes(shop, SHOP, overrides=overrides) == [said]


def test_a_secret_on_the_command_line_is_not_repeated(shop: Path) -> None:
    (said,) = mistakes(shop, SHOP, overrides=["headers={Authorization: hunter2\x7f, Bad Name: hunter2}"])[:1]
    assert "hunter2" not in said


def test_options_name_their_place(shop: Path) -> None:
    with pytest.raises(ProfileError) as e:
        load(shop, SHOP, target="localhost:80", seed=-1)
    assert sorted(str(e.value).splitlines()) == [
        "--seed: got -1, want a whole number from 0 to 9223372036854775807, such as 42",
        "--target: got localhost:80, want demo or a URL such as http://127.0.0.1:8080: "
        "the scheme is http or https",
    ]
