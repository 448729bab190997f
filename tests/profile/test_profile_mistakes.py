"""load: mistakes in a profile, each with file, line, place, what came and what was wanted."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from profile_samples import SMALL, load, mistakes

from loadtool.errors import ProfileError
from loadtool.profile.descriptions import DESCRIPTIONS
from loadtool.profile.load import MOST_BYTES, load_profile
from loadtool.profile.model import Profile

# Heading in mistakes.txt -> the profile around a piece, the piece as {}, and the line on which it begins.
PLACES = {
    "top": (SMALL + "{}\n", 7),
    "request": (SMALL.replace("  - get: /\n", "  - get: /\n  - {}\n"), 4),
    "phase": (SMALL + "  - {}\n", 7),
    "fault": (SMALL + "proxies:\n  p: {existing: db}\nfaults:\n  - {}\n", 10),
    "target": (SMALL.replace("http://127.0.0.1:8080", "{}"), 1),
    "https": (SMALL.replace("http:", "https:") + "client: {}\n", 7),
    "unix": (SMALL.replace("http://127.0.0.1:8080", "unix:/run/app.sock") + "{}\n", 7),
}


def cases() -> Iterator[Any]:
    _, *sections = re.split(r"^== (?=\w+$)", Path(__file__).with_name("mistakes.txt").read_text(), flags=re.M)
    for section in sections:
        heading, _, text = section.partition("\n")
        for piece, told in re.findall(r"^(.+?)\n((?:=> \d+: [^\n]+\n)+)", text, flags=re.M | re.S):
            said = [(int(line), words) for line, words in re.findall(r"^=> (\d+): (.+)$", told, flags=re.M)]
            yield pytest.param(heading, piece.strip("\n"), said, id=f"{heading}: {piece.strip()}")


@pytest.mark.parametrize(("heading", "piece", "said"), list(cases()))
def test_a_mistake(tmp_path: Path, heading: str, piece: str, said: list[tuple[int, str]]) -> None:
    around, first = PLACES[heading]
    expected = [f"shop.yaml:{first + line - 1}: {words}" for line, words in said]
    assert mistakes(tmp_path, around.replace("{}", piece)) == expected


def test_the_table_is_read_whole() -> None:
    text = Path(__file__).with_name("mistakes.txt").read_text()
    assert sum(len(case.values[2]) for case in cases()) == text.count("\n=> ") > 150


def test_what_is_missing_and_what_is_empty(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "name: x\n") == [
        "shop.yaml:1: target: missing, such as http://127.0.0.1:8080",
        "shop.yaml:1: requests: missing, such as [{get: /}]",
        "shop.yaml:1: phases: missing, such as [{name: baseline, rate: 50/s, for: 30s}]",
    ]
    assert mistakes(tmp_path, "target: demo\nrequests: []\nphases: {a: 1}\n") == [
        "shop.yaml:2: requests: got nothing, want at least one item such as [{get: /}]",
        "shop.yaml:3: phases: got a mapping, want a list such as [{name: baseline, rate: 50/s, for: 30s}]",
    ]


def test_a_profile_without_load(tmp_path: Path) -> None:
    text = SMALL.replace("100/s", "0").replace("10/s", "0")
    assert mistakes(tmp_path, text) == [
        "shop.yaml:4: phases: every rate is 0, want a phase with a rate such as 50/s"
    ]


def test_all_mistakes_are_told_at_once_in_the_order_of_lines(tmp_path: Path) -> None:
    text = """\
sede: 1
target: localhost
requests:
  - {get: x, weight: -1}
  - {get: "/{{ row.crat }}"}
data: {row: carts.csv}
phases:
  - {name: baseline, rate: -5, for: 5s}
  - {name: spike, rate: 5, for: 5}
proxies: {store: {upstream: x}}
faults:
  - {name: slow, at: spkie, proxy: stor, toxic: latency, latency: -1ms}
slos:
  - p99 > during spike
  - p99 < 1s during basline
"""
    (tmp_path / "carts.csv").write_text("cart\n1\n")
    said = mistakes(tmp_path, text)
    assert [line.split(": ", 2)[:2] for line in said] == [
        ["shop.yaml:1", "sede"],
        ["shop.yaml:2", "target"],
        ["shop.yaml:4", "requests[0].weight"],
        ["shop.yaml:4", "requests[0].get"],
        ["shop.yaml:5", "requests[1].get"],
        ["shop.yaml:8", "phases[0].rate"],
        ["shop.yaml:9", "phases[1].for"],
        ["shop.yaml:10", "proxies.store.upstream"],
        ["shop.yaml:12", "faults[0].latency"],
        ["shop.yaml:12", "faults[0].proxy"],
        ["shop.yaml:12", "faults[0].at"],
        ["shop.yaml:14", "slos[0]"],
        ["shop.yaml:15", "slos[1]"],
    ]


def test_bad_rows_and_columns(tmp_path: Path) -> None:
    (tmp_path / "carts.csv").write_text("cart\n1\n2,3\n")
    text = SMALL.replace("get: /", 'get: "/{{ row.crat }}"') + "data: {row: carts.csv}\n"
    assert mistakes(tmp_path, text) == [
        "shop.yaml:7: data.row: carts.csv:3: got 2 values, want 1, as in the header"
    ]
    (tmp_path / "carts.csv").write_text("cart\n1\n2\n")
    assert mistakes(tmp_path, text) == [
        "shop.yaml:3: requests[0].get: row has no column crat, did you mean cart?"
    ]
    (tmp_path / "carts.csv").write_text("cart\n")
    assert mistakes(tmp_path, text) == ["shop.yaml:7: data.row: carts.csv: has no rows"]


def test_mistakes_behind_aliases_have_the_line_of_the_anchor(tmp_path: Path) -> None:
    text = f"x-slow: &slow\n  timeout: 5\n{SMALL}client:\n  <<: *slow\n"
    said = ["shop.yaml:2: client.timeout: got 5, want a duration with its unit: write 5s or 5ms"]
    assert mistakes(tmp_path, text) == said


def test_files_that_are_no_profile(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    for content, said in [
        (b"", "the file is empty"),
        (b"# only a comment\n", "the file is empty"),
        (b"- 1\n", "got a list, want keys such as target, requests and phases"),
        (b"hello\n", "got hello, want keys such as target, requests and phases"),
        (b"~\n", "got nothing, want keys such as target, requests and phases"),
        (b"name: x\nb: \xff\n", "not UTF-8 text: byte 0xff; save the file as UTF-8"),
        ("name: x\n".encode("utf-16"), "not UTF-8 text: byte 0xff; save the file as UTF-8"),
        ("name: ü\n".encode("latin-1"), "not UTF-8 text: byte 0xfc; save the file as UTF-8"),
        (b"a: 1\n" + b"#" * MOST_BYTES, "is larger than 4 MB"),
    ]:
        file.write_bytes(content)
        with pytest.raises(ProfileError) as e:
            load_profile(file, environment={})
        (mistake,) = e.value.mistakes
        assert (mistake.file, mistake.message) == (str(file), said)
        assert "\n" not in str(e.value)
    with pytest.raises(ProfileError, match=r"missing\.yaml: no such file$"):
        load_profile(tmp_path / "missing.yaml", environment={})
    with pytest.raises(ProfileError, match=r": is a directory, want a file$"):
        load_profile(tmp_path, environment={})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(SMALL)
    file.chmod(0)
    with pytest.raises(ProfileError, match=r"shop\.yaml: cannot be read: Permission denied$"):
        load_profile(file, environment={})


def test_a_pipe_will_do(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.write(write, SMALL.encode())
    os.close(write)
    try:
        assert load_profile(f"/dev/fd/{read}", environment={}).profile.phases[1].name == "spike"
    finally:
        os.close(read)


MODELS = {
    "wait_for": "WaitFor",
    "client": "Client",
    "client.connections": "Connections",
    "client.tls": "Tls",
    "validity": "Validity",
    "arrivals": "Arrivals",
    "arrivals.burst": "Burst",
}
PYDANTIC = ("Input", "Field required", "Extra", "alidation", "Value error", "dictionary", "_body", "for_")


def test_no_message_speaks_pydantic(tmp_path: Path) -> None:
    """Every value of a kind that its key does not expect is answered in our words."""
    paths = [
        *Profile.model_fields,
        *(f"{name}.{key}" for name, m in MODELS.items() for key in DESCRIPTIONS[m]),
        *(f"requests.0.{key}" for key in DESCRIPTIONS["Request"]),
        *(f"requests.0.expect.{key}" for key in DESCRIPTIONS["Expect"]),
        *(f"phases.0.{key}" for key in DESCRIPTIONS["Phase"]),
        *(f"faults.0.{key}" for key in (*DESCRIPTIONS["Fault"], "latency", "jitter", "rate")),
        *(f"steady_state.0.{key}" for key in DESCRIPTIONS["Check"]),
        *(f"proxies.p.{key}" for key in DESCRIPTIONS["Proxy"]),
        *(f"data.row.{key}" for key in DESCRIPTIONS["DataSource"]),
        *("faults.0", "steady_state.0", "phases.0", "requests.0", "proxies.p", "data.row", "slos.0"),
    ]
    base = f"{SMALL}proxies: {{p: {{existing: db}}}}\ndata: {{row: rows.csv}}\n"
    base += "faults:\n  - {name: f, at: 5s, proxy: p, toxic: latency, latency: 1ms}\n"
    base += "steady_state:\n  - {get: /}\n"
    (tmp_path / "rows.csv").write_text("a\n1\n")
    load(tmp_path, base)
    for path in paths:
        for value in (
            "[[1]]",
            "{a: {b: 1}}",
            "[{a: 1}]",
            "-1",
            "1.5",
            "true",
            "~",
            "''",
            ".nan",
            "nonsense value",
        ):
            try:
                load(tmp_path, base, overrides=[f"{path}={value}"])
            except ProfileError as e:
                said = str(e)
                assert not any(phrase in said for phrase in PYDANTIC), said
