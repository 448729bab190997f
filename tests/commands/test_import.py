"""`loadtool import`: from a log to profiles that load, plan and hold no secret."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from loadtool import cli
from loadtool.profile.imported import MOST_PATHS, Imported, rates_of, read_log
from loadtool.profile.load import load_profile
from loadtool.profile.recording import Recorded, recorded_of
from loadtool.profile.replay_file import read_recording
from loadtool.profile.scrubbed import masked, masked_body

CLF = '10.0.0.{} - - [21/Nov/2026:12:{:02}:{:02} +0000] "{}" {} 512 "-" "Mozilla/5.0"\n'


def line(second: int, request: str, status: int = 200) -> str:
    return CLF.format(second % 250, second // 60, second % 60, f"{request} HTTP/1.1", status)


def shop() -> str:
    """Two minutes of 2/s, and 8/s in the seconds from 60 to 69."""
    rows = []
    for second in range(120):
        for i in range(8 if 60 <= second < 70 else 2):
            kind = "GET /" if i % 2 else f"GET /products/{second}?page={i}&api_key=s3cr3t-{second}"
            rows.append(line(second, kind, 404 if second == 5 else 200))
    rows.insert(9, line(1, "POST /checkout", 201))
    rows.insert(20, "garbage\n")
    return "".join(rows)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TARGET", raising=False)
    (tmp_path / "access.log").write_text(shop())
    return tmp_path / "access.log"


def test_what_it_writes_can_be_planned(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["import", "access.log", "-o", "out"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines() == [
        "access.log: 301 requests in 2m from 2026-11-21 12:00:00 UTC",
        "rates over 1 s: 2/s in the middle, 8/s at the highest (12:01:00)",
        "   49.8%  GET /",
        "   49.8%  GET /products/{id}",
        "    0.3%  POST /checkout",
        "answers that would count as errors: 2 × 404",
        '1 of 302 lines is broken; the first is line 21: no [time] and "request"',
        "masked: what looks like a secret in the queries and bodies of 150 different requests",
        "wrote out/mix.yaml",
        "wrote out/replay.yaml",
        "wrote out/replay.jsonl",
        "next: loadtool plan -p out/mix.yaml, and loadtool plan -p out/replay.yaml",
    ]
    for name in ("mix", "replay"):
        assert cli.main(["plan", "-p", f"out/{name}.yaml"]) == 0
        assert capsys.readouterr().err == ""
    written = "".join(p.read_text() for p in Path("out").rglob("*.*") if p.is_file())
    assert "s3cr3t" not in written
    assert "api_key=***" in written


def test_the_mix_has_the_weights_and_rates_of_the_log(log: Path) -> None:
    assert cli.main(["import", "access.log", "-o", "out", "--target", "http://127.0.0.1:9000/a$b"]) == 0
    loaded = load_profile("out/mix.yaml", environment={})
    profile = loaded.profile
    assert profile.target == "http://127.0.0.1:9000/a$b"
    assert [(r.name, r.weight, r.method, r.path) for r in profile.requests] == [
        ("GET /", 150, "GET", "/"),
        ("GET /products/{id}", 150, "GET", "{{ get_products.path | safe }}"),
        ("POST /checkout", 1, "POST", "/checkout"),
    ]
    assert [(p.name, p.role, p.rate) for p in profile.phases] == [
        ("warmup", "warmup", 2),
        ("baseline", "baseline", 2),
        ("peak", "spike", 8),
        ("recovery", "recovery", 2),
    ]
    rows = loaded.rows["get_products"].rows
    assert (len(rows), rows[0]) == (150, ("/products/0?page=0&api_key=***",))


def test_the_replay_has_every_request_at_its_time(log: Path) -> None:
    assert cli.main(["import", "access.log", "-o", "out"]) == 0
    before = read_recording(log, bodies={"POST": ""})
    after = read_recording(Path("out/replay.jsonl"), format="json", bodies={"POST": ""})
    assert len(after) == len(before) == 301
    assert after.began_ns == before.began_ns
    assert all(abs(a - b) < 1000 for a, b in zip(after.times, before.times, strict=True))
    assert [n for n in after.names] == list(before.names)
    # Without a body, and without one in the profile, a POST is not sent; that is told.
    loaded = load_profile("out/replay.yaml", environment={})
    assert loaded.recording is not None
    assert [(out.lines, out.reason) for out in loaded.recording.left_out] == [
        (1, "POST has no recorded body")
    ]


def test_nothing_is_overwritten_unasked(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["import", "access.log", "-o", "out"]) == 0
    before = Path("out/mix.yaml").read_text()
    log.write_text(line(0, "GET /other"))
    capsys.readouterr()
    assert cli.main(["import", "access.log", "-o", "out"]) == 2
    said = "loadtool: out/mix.yaml: exists already; --force overwrites it, or name another directory\n"
    assert capsys.readouterr() == ("", said)
    assert Path("out/mix.yaml").read_text() == before
    assert cli.main(["import", "access.log", "-o", "out", "--force"]) == 0
    assert "GET /other" in Path("out/mix.yaml").read_text()
    assert json.loads(Path("out/replay.jsonl").read_text())["path"] == "/other"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.log", "-o", "out"], "none.log: no such file"),
        (
            ["access.log", "-o", "out", "--format", "iis"],
            "--format: got iis, want one of combined, json, csv",
        ),
        (["access.log", "-o", "out", "--target", "ftp://x"], "--target: got ftp://x, want "),
        (
            ["access.log", "-o", "out", "--format", "json"],
            "access.log: got 302 broken lines of 302 (100%), want",
        ),
        (
            ["access.log", "-o", "access.log/x"],
            "access.log/x/replay.jsonl: cannot be written: Not a directory",
        ),
    ],
)
def test_mistakes(log: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    assert cli.main(["import", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"loadtool: {said}")
    assert err.count("\n") == 1
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/a", "/a"),
        ("/a?", "/a?"),
        ("/a?token=x&q=1", "/a?token=***&q=1"),
        ("/a?q=1&access_token=x%20y", "/a?q=1&access_token=***"),
        ("/a?password=x;y&Passwd=z&pwd=", "/a?password=***&Passwd=***&pwd="),
        ("/a?key=x&apiKey=x&api-key=x&keyword=k", "/a?key=***&apiKey=***&api-key=***&keyword=k"),
        ("/a?monkey=m&user[password]=x&code=1", "/a?monkey=m&user[password]=***&code=***"),
        ("/a?zipcode=2&sig=3&design=4", "/a?zipcode=2&sig=***&design=4"),
        ("/a?PHPSESSID=x&accessKey=x&keys=2", "/a?PHPSESSID=***&accessKey=***&keys=2"),
        ("/a?client_assertion=x&assertions=2", "/a?client_assertion=***&assertions=2"),
        ("/a?pin[]=1&otp[0]=2&spin[]=3", "/a?pin[]=***&otp[0]=***&spin[]=3"),
        ("/a?next=/b?token=x&to=https://h/?c=1", "/a?next=***&to=https://h/?c=1"),
        ("/a?a=1;token=x&b=1;c=2", "/a?a=***&b=1;c=2"),
        ("/cart;jsessionid=x/b;v=1?q=1", "/cart;jsessionid=***/b;v=1?q=1"),
        ("/a;jsessionid=x", "/a;jsessionid=***"),
        ("/a?card%5Bpin%5D=1&login%5Bname%5D=u", "/a?card%5Bpin%5D=***&login%5Bname%5D=u"),
        ("/a?session=x&sessions=3&X-Amz-Signature=x", "/a?session=***&sessions=3&X-Amz-Signature=***"),
    ],
)  # fmt: skip
def test_masking(target: str, shown: str) -> None:
    assert masked(target) == shown


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ('{"a":  1}', '{"a":  1}'),
        ('{"user": "u", "password": "s3cr3t"}', '{"user": "u", "password": "***"}'),
        ('[{"x": {"accessToken": ["s3cr3t"], "pin": 1}}]', '[{"x": {"accessToken": "***", "pin": "***"}}]'),
        ('{"token": null, "key": true, "sid": ""}', '{"token": null, "key": true, "sid": ""}'),
        ('{"token": "s3cr3t", "token": null}', '{"token": null}'),
        ('{"a": "ü", "key": "s3cr3t"}', '{"a": "ü", "key": "***"}'),
        (r'{"a": "ü\ud800", "key": "s3cr3t"}', r'{"a": "\u00fc\ud800", "key": "***"}'),
        ("user=u&password=s3cr3t", "user=u&password=***"),
        ("a=1&b=2", "a=1&b=2"),
        ("card%5Bpin%5D=1&a[]=2&b=&c&", "card%5Bpin%5D=***&a[]=2&b=&c&"),
        ("a=YWI=&b=c=d", "a=YWI=&b=c=d"),
        ("payload=%7B%22token%22%3A%22s3cr3t%22%7D&a=%7B%22b%22%3A1%7D", "payload=***&a=%7B%22b%22%3A1%7D"),
        (r'{"body": "{\"password\": \"s3cr3t\"}", "a": "[1]"}', '{"body": "***", "a": "[1]"}'),
        ('{"back": "/login?token=s3cr3t", "next": "/a?b=1"}', '{"back": "***", "next": "/a?b=1"}'),
        ('{"user":"bob","password":"s3cr3t","next":"/a?b=1"', None),  # a log cut it off
        (r"{\x22password\x22:\x22s3cr3t\x22,\x22img\x22:\x22iVBOR=\x22}", None),  # nginx's escapes
        ("czNjcjN0czNjcjN0cw==", None),
        ("czNjcjN0czNjcjN0=", None),
        ('"s3cr3t"', None),
        ("hello", None),
        ("<password>s3cr3t</password>", None),
        ("[" * 100_000, None),
    ],
)  # fmt: skip
def test_masking_of_bodies(body: str, shown: str | None) -> None:
    assert masked_body(body) == shown


def test_headers_and_bodies_of_a_log_are_in_the_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TARGET", raising=False)
    secret = {
        "Authorization": "Bearer s3cr3t",
        "X-Session-Id": "s3cr3t",
        "cookie": "a=s3cr3t",
        "X": "Bearer s3cr3t",
    }
    rows: list[dict[str, object]] = [
        {"path": "/", "headers": {"X-Kind": "ü", "Referer": "https://a/?token=s3cr3t", **secret}},
        {"method": "POST", "path": "/cart", "body": {"n": 5, "token": "s3cr3t"}},
        {"method": "POST", "path": "/cart", "body": ""},
        {"method": "POST", "path": "/pay", "body": "<pin>s3cr3t</pin>",
         "headers": {"AUTHORIZATION": "s3cr3t"}},
        {"method": "PUT", "path": "/x"},
    ]  # fmt: skip
    log = [json.dumps({"time": 1_795_262_400 + i, **row}) for i, row in enumerate(rows)]
    Path("app.jsonl").write_text("\n".join(log))
    assert cli.main(["import", "app.jsonl", "--format", "json", "-o", "out"]) == 0
    assert capsys.readouterr().out.splitlines()[6:10] == [
        "masked: what looks like a secret in the queries and bodies of 2 different requests",
        "left out: headers of 2 requests that look like secrets: AUTHORIZATION, cookie, X, X-Session-Id",
        "left out: bodies of 1 request, neither JSON nor forms: any may hold a secret",
        "headers and bodies of the log are in the replay, not in the mix",
    ]
    written = {path.name: path.read_text() for path in Path("out").rglob("*.*") if path.is_file()}
    assert "s3cr3t" not in "".join(written.values())
    it = read_recording(Path("out/replay.jsonl"), format="json", bodies={"POST": "none", "PUT": "none"})
    assert [recorded_of(it.texts[kind]) for kind in it.kinds] == [
        Recorded(
            "GET", "/", (("X-Kind", "ü".encode().decode("latin-1")), ("Referer", "https://a/?token=***"))
        ),
        Recorded("POST", "/cart", (), '{"n": 5, "token": "***"}'),
        Recorded("POST", "/cart", (), ""),
        Recorded("POST", "/pay", (), "none"),
        Recorded("PUT", "/x", (), "none"),
    ]
    mix, replay = written["mix.yaml"], written["replay.yaml"]
    assert mix.count("# the log's are in the replay alone") == 1
    assert mix.count("# none of the log's could be kept") == 2
    assert "#   \"POST /pay\": '{}'" in replay
    assert "POST /cart" not in replay
    for name in ("mix", "replay"):
        assert cli.main(["plan", "-p", f"out/{name}.yaml"]) == 0


def imported(tmp_path: Path, rows: list[str]) -> Imported:
    (tmp_path / "a.log").write_text("".join(rows))
    return read_log(read_recording(tmp_path / "a.log"))


@pytest.mark.parametrize(
    ("seconds", "bin_s", "median", "peak", "peak_at"),
    [(100, 1, 1, 3, 50), (400, 10, 1, 1.2, 50), (3590, 10, 1, 1.2, 50), (3600, 60, 1, 1 + 2 / 60, 0)],
)
def test_rates(tmp_path: Path, seconds: int, bin_s: int, median: float, peak: float, peak_at: int) -> None:
    rows = [line(s, "GET /") for s in range(seconds) for _ in range(3 if s == 50 else 1)]
    rates = rates_of(imported(tmp_path, rows).recording)
    assert (rates.bin_s, rates.median, rates.peak, rates.peak_at_s) == (bin_s, median, peak, peak_at)


@pytest.mark.parametrize(
    ("seconds", "bin_s", "median", "peak", "peak_at"),
    [
        ([0, 5], 1, 1, 1, 0),
        ([0, 4, 4, 9, 9, 9, 20], 1, 2, 3, 9),
        ([0, 0, 3599], 60, 2 / 60, 2 / 60, 0),  # its last minute has one
    ],
)
def test_the_middle_rate_is_of_bins_that_had_requests(
    tmp_path: Path, seconds: list[int], bin_s: int, median: float, peak: float, peak_at: int
) -> None:
    rates = rates_of(imported(tmp_path, [line(s, "GET /") for s in seconds]).recording)
    assert (rates.bin_s, rates.median, rates.peak, rates.peak_at_s) == (bin_s, median, peak, peak_at)


def test_a_sparse_log_makes_a_profile_with_a_baseline(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log.write_text(line(0, "GET /") + line(5, "GET /"))
    assert cli.main(["import", "access.log", "-o", "out"]) == 0
    assert capsys.readouterr().err == ""
    assert "times that" not in Path("out/mix.yaml").read_text()
    phases = load_profile("out/mix.yaml", environment={}).profile.phases
    assert {phase.rate for phase in phases} == {1}


def test_a_feeder_is_drawn_from_all_of_the_log(tmp_path: Path) -> None:
    rows = [line(i // 100, f"GET /p/{i}") for i in range(4 * MOST_PATHS)]
    (kind,) = imported(tmp_path, rows).kinds
    assert kind.paths == [f"/p/{4 * i}" for i in range(MOST_PATHS)]
    assert kind.feeder == "get_p"


def test_what_is_to_be_done_next_can_be_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Into a shell, by the names that files have."""
    monkeypatch.chdir(tmp_path)
    Path("access.log").write_text(line(0, "GET /"))
    assert cli.main(["import", "access.log", "-o", "my shop's"]) == 0
    assert cli.main(["init", "new one.yaml"]) == 0
    told = capsys.readouterr()
    steps = [
        shlex.split(step)
        for text in (told.out, told.err)
        for step in re.split(", and |, then ", text.partition("next: ")[2].partition("\n")[0])
    ]
    assert steps == [
        ["loadtool", "plan", "-p", "my shop's/mix.yaml"],
        ["loadtool", "plan", "-p", "my shop's/replay.yaml"],
        ["loadtool", "try", "--profile", "new one.yaml"],
        ["loadtool", "spike", "--profile", "new one.yaml"],
    ]


def test_strange_logs_make_profiles_that_load(tmp_path: Path) -> None:
    strange = [
        "GET /${HOME}/{{x}}",
        "GET /a%22'\"b",
        "GET /:",
        "DELETE /a,b|c",
        "GET /p/1",
        "GET /p/2",
        "HEAD /p/1",
    ]
    strange += [f"GET /kind-{'abcdefghijklmnopqrstuvwxyz'[i]}?v={j}" for i in range(26) for j in range(2)]
    (tmp_path / "x y$.log").write_text("".join(line(i, request) for i, request in enumerate(strange)))
    assert cli.main(["import", str(tmp_path / "x y$.log"), "-o", str(tmp_path / "out")]) == 0
    mix = load_profile(tmp_path / "out" / "mix.yaml", environment={})
    replay = load_profile(tmp_path / "out" / "replay.yaml", environment={})
    assert (mix.profile.name, replay.profile.name) == ("x y$", "x y$-replay")
    assert len(mix.profile.requests) == 20
    assert replay.recording is not None
    assert len(replay.recording) == len(strange)
