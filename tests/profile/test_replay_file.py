"""Logs into recordings: times, requests, names, and what is left out."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest

from loadtool.plan.replay import sent_of
from loadtool.profile import replay_file
from loadtool.profile.log_formats import clf_time, recorded, time_of
from loadtool.profile.recording import Recorded, Recording, text_of
from loadtool.profile.replay_file import broken_text, read_recording
from loadtool.profile.request_names import LONGEST, request_name

S = 1_000_000_000
HALF = r"holds half of a surrogate pair, such as \ud800, which can't be sent"
NOON = 1_795_262_400 * S  # 2026-11-21T12:00:00Z


def clf(second: float, request: str = "GET /a HTTP/1.1", status: int = 200, combined: bool = True) -> str:
    tail = ' "https://shop.example/" "Mozilla/5.0 (X11)"' if combined else ""
    stamp = f"21/Nov/2026:12:{int(second) // 60:02}:{int(second) % 60:02} +0000"
    return f'10.1.2.3 - jane [{stamp}] "{request}" {status} 512{tail}\n'


def read(path: Path, text: str, **options: Any) -> Recording:
    path.write_text(text, encoding="utf-8")
    return read_recording(path, **options)


def texts(it: Recording) -> list[str]:
    return [it.texts[kind] for kind in it.kinds]


@pytest.mark.parametrize("combined", [True, False])
def test_seconds_are_shared_out_evenly(tmp_path: Path, combined: bool) -> None:
    seconds = [0, 0, 0, 0, 1, 3, 3]
    log = "".join(clf(s, f"GET /{i} HTTP/1.1", combined=combined) for i, s in enumerate(seconds))
    it = read(tmp_path / "a.log", log)
    assert list(it.times) == [0, S // 4, S // 2, 3 * S // 4, S, 3 * S, 3 * S + S // 2]
    assert texts(it) == [f"GET /{i}" for i in range(7)]
    assert (it.began_ns, it.length_ns, it.lines, it.whole_seconds) == (NOON, 4 * S, 7, True)


def test_a_log_written_when_answers_were_out_is_put_in_order(tmp_path: Path) -> None:
    log = "".join(clf(s, f"GET /{s}-{i} HTTP/1.1") for i, s in enumerate([5, 3, 5, 4]))
    it = read(tmp_path / "a.log", log)
    assert texts(it) == ["GET /3-1", "GET /4-3", "GET /5-0", "GET /5-2"]
    assert list(it.times) == [0, S, 2 * S, 2 * S + S // 2]


def test_finer_times_are_kept_as_they_are(tmp_path: Path) -> None:
    rows = [{"time": NOON / S + t, "path": f"/{t}"} for t in (0.25, 0.5, 0.5, 2.125)]
    it = read(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)), format="json")
    assert list(it.times) == [0, S // 4, S // 4, S * 15 // 8]
    assert (it.length_ns, it.whole_seconds) == (2 * S, False)


def test_what_is_not_sent_is_told(tmp_path: Path) -> None:
    lines = [
        clf(0, "GET /a HTTP/1.1", 404), clf(0, "POST /b HTTP/1.1"), "what is this?\n", "\n", clf(0, "-", 408),
        clf(1, "POST /b HTTP/1.1"), clf(1, "CONNECT x:443 HTTP/1.1"), clf(2, r"\x16\x03\x01", 400),
        clf(2, "DELETE /c HTTP/1.1", 500), clf(2, "PUT /d HTTP/2.0"),
        '1.1.1.1 - - [x] "GET / HTTP/1.1" 200 1\n',
    ]  # fmt: skip
    it = read(tmp_path / "a.log", "".join(lines), broken=0.5)
    assert texts(it) == ["GET /a", "DELETE /c"]
    assert it.left_out == (
        ("POST has no recorded body", 2, 2),
        ("no HTTP request", 2, 5),
        ("CONNECT is not sent", 1, 7),
        ("PUT has no recorded body", 1, 10),
    )
    assert (it.lines, it.broken, it.first_broken) == (10, 2, (3, 'no [time] and "request"'))
    assert it.errors == ((404, 1), (500, 1))
    assert broken_text(it) == ('2 of 10 lines are broken; the first is line 3: no [time] and "request"')


def test_bodies_by_name_or_method(tmp_path: Path) -> None:
    log = clf(0, "POST /cart/17 HTTP/1.1") + clf(0, "POST /pay HTTP/1.1") + clf(0, "PUT /x HTTP/1.1")
    it = read(tmp_path / "a.log", log, bodies={"POST /cart/{id}": '{"n": 1}', "POST": "plain"})
    found = [sent_of(text) for text in texts(it)]
    assert found == [Recorded("POST", "/cart/17", (), '{"n": 1}'), Recorded("POST", "/pay", (), "plain")]
    assert it.left_out == (("PUT has no recorded body", 1, 3),)


def test_json_with_headers_and_body(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"ts": "2026-11-21T12:00:00.5Z", "request": "GET /a?b=c HTTP/1.1", "status": "200"},
        {"@timestamp": "2026-11-21T13:00:01+01:00", "method": "post", "uri": "/ä b", "body": {"x": "ü"},
         "headers": {"X-A": 1, "Host": "h", "Content-Length": "9", "Accept": "*/*"}},
        {"time": NOON // 1_000_000 + 2000, "path": "https://shop.example/abs?x#y", "body": None},
    ]  # fmt: skip
    it = read(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)), format="json")
    assert list(it.times) == [0, S // 2, S * 3 // 2]
    assert [sent_of(text) for text in texts(it)] == [
        Recorded("GET", "/a?b=c"),
        Recorded("POST", "/%C3%A4%20b", (("X-A", "1"), ("Accept", "*/*")), '{"x": "ü"}'),
        Recorded("GET", "/abs?x"),
    ]


def test_csv_with_names_of_its_own(tmp_path: Path) -> None:
    log = 'when,verb,where,body\n1795262400.5,GET,/a,\n1795262401.25,POST,/b,"a,\nb"\n1795262402,GET\n'
    options = {"format": "csv", "fields": {"time": "when", "path": "where"}, "broken": 0.5}
    it = read(tmp_path / "a.csv", log, **options)
    assert [sent_of(text) for text in texts(it)] == [
        Recorded("GET", "/a"),
        Recorded("POST", "/b", (), "a,\nb"),
    ]
    assert list(it.times) == [0, S * 3 // 4]
    assert it.first_broken == (5, "2 values for 4 columns")


@pytest.mark.parametrize(
    ("swap", "broken", "flaw"),
    [
        ({4: '4,/4,"x'}, 9, "not CSV: unexpected end of data, in quotes that go on to line 12"),
        (
            {4: '4,/4,"x', 9: '9,/9,"x"'},
            6,
            "not CSV: ',' expected after '\"', in quotes that go on to line 9",
        ),
        ({4: '4,/4,"x', 9: '9,/9,x"'}, 6, "a value takes in other rows, in quotes that go on to line 9"),
        ({4: '4,"/4,x', 9: '9,/9",x'}, 6, "a value takes in other rows, in quotes that go on to line 9"),
        ({4: '4,"/4,x', 9: '9,/9,x"'}, 6, "2 values for 3 columns, in quotes that go on to line 9"),
        ({4: '4,/4,"x"y'}, 1, "not CSV: ',' expected after '\"'"),
        ({4: '4,/4,x"y'}, 0, ""),
        ({4: '4,/4,"x\ny,\nz"'}, 0, ""),
    ],
)
def test_a_stray_quote_in_csv_loses_no_row_in_silence(
    tmp_path: Path, swap: dict[int, str], broken: int, flaw: str
) -> None:
    rows = [swap.get(i, f"{i},/{i},x") for i in range(2, 13)]
    it = read(tmp_path / "a.csv", "\n".join(["time,path,agent", *rows, ""]), format="csv", broken=0.9)
    assert (it.broken, it.first_broken) == (broken, (4, flaw) if flaw else (0, ""))
    assert len(it) == 11 - broken
    if broken:
        with pytest.raises(ValueError, match=rf"^got {broken} broken lines of 11 .*; the first is line 4: "):
            read_recording(tmp_path / "a.csv", format="csv")


@pytest.mark.parametrize(
    ("row", "flaw"),
    [
        ('{"path": "/"}', "has no time"),
        ('{"time": "soon", "path": "/"}', "no time: soon"),
        ('{"time": true, "path": "/"}', "no time: true"),
        ('{"time": 1}', "has no path"),
        ("[1]", "not a JSON object"),
        ("{", "not JSON"),
        ('{"time": 1, "path": "/", "headers": {"a b": "c"}}', "the header a b can't be sent"),
        ('{"time": 1, "path": "/", "headers": {"a": "b\\r\\nc"}}', "the header a can't be sent"),
        ('{"time": 1, "path": "/", "headers": 5}', "headers are no JSON object"),
        (r'{"time": 1, "path": "/", "method": "POST", "body": "\ud800"}', HALF),
        (r'{"time": 1, "path": "/", "method": "POST", "body": {"a": ["\udc00"]}}', HALF),
        (r'{"time": 1, "path": "/p/\ud8005"}', HALF),
        (r'{"time": 1, "request": "GET /\ud800 HTTP/1.1"}', HALF),
        (r'{"time": 1, "path": "/", "headers": {"a": "\ud800"}}', HALF),
    ],
)
def test_broken_json_lines(tmp_path: Path, row: str, flaw: str) -> None:
    it = read(tmp_path / "a.jsonl", f'{{"time": 1, "path": "/"}}\n{row}\n', format="json", broken=0.5)
    assert it.first_broken == (2, flaw)
    with pytest.raises(ValueError, match=r"^got 1 broken lines of 2 \(50%\), want at most 1% in the format"):
        read(tmp_path / "a.jsonl", f'{{"time": 1, "path": "/"}}\n{row}\n', format="json")


def test_files(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.log.gz", "wt") as file:
        file.write(clf(0))
    assert len(read_recording(tmp_path / "a.log.gz")) == 1
    (tmp_path / "b.log.gz").write_bytes((tmp_path / "a.log.gz").read_bytes()[:-9])
    (tmp_path / "c.log.gz").write_bytes(b"no gzip")
    for name, said in [
        ("none.log", "^no such file$"),
        (".", "^cannot be read: Is a directory$"),
        ("b.log.gz", "^cannot be read: .+ended"),
        ("c.log.gz", "^cannot be read: Not a gzipped file"),
    ]:
        with pytest.raises(ValueError, match=said):
            read_recording(tmp_path / name)
    with pytest.raises(ValueError, match=r"^has no request that can be sent$"):
        read(tmp_path / "empty.log", "")
    with pytest.raises(
        ValueError, match=r"^has no request that can be sent \(1: POST has no recorded body\)$"
    ):
        read(tmp_path / "post.log", clf(0, "POST / HTTP/1.1"))


def test_the_most_frequent_have_names_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_file, "MOST_NAMES", 2)
    wanted = [("GET /a", 3), ("HEAD /x", 2), ("GET /c", 2), ("GET /d", 1), ("DELETE /e", 1), ("HEAD /f", 1)]
    log = [clf(0, f"{name} HTTP/1.1") for name, n in wanted for _ in range(n)]
    random.Random(1).shuffle(log)
    it = read(tmp_path / "a.log", "".join(log))
    assert [tuple(n) for n in it.names] == [
        ("GET /a", "GET", 3),
        ("GET /c", "GET", 2),
        ("HEAD other", "HEAD", 3),
        ("DELETE other", "DELETE", 1),
        ("GET other", "GET", 1),
    ]
    for kind in it.kinds:
        method = it.texts[kind].partition(" ")[0]
        assert it.names[it.name_of[kind]].method == method, "a HEAD is read otherwise than a GET"


def test_memory_stays_bounded_whatever_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_file, "_MOST_KNOWN", 3)
    monkeypatch.setattr(replay_file, "_MOST_COUNTED", 2)
    wanted = ["a", "b", "c", "d", "d", "a", "e"]
    it = read(tmp_path / "a.log", "".join(clf(0, f"GET /{x} HTTP/1.1") for x in wanted))
    assert texts(it) == [f"GET /{x}" for x in wanted]
    assert [tuple(n) for n in it.names] == [
        ("GET /a", "GET", 2),
        ("GET /b", "GET", 1),
        ("GET other", "GET", 4),
    ]


@pytest.mark.parametrize(
    ("stamp", "seconds"),
    [
        (b"21/Nov/2026:12:00:00 +0000", 1_795_262_400),
        (b"21/Nov/2026:13:30:00 +0130", 1_795_262_400),
        (b"21/Nov/2026:04:00:00 -0800", 1_795_262_400),
        (b"29/Feb/2024:23:59:60 +0000", 1_709_251_200),  # a leap second
    ],
)
def test_times_of_access_logs(stamp: bytes, seconds: int) -> None:
    assert clf_time(stamp) == seconds * S


@pytest.mark.parametrize(
    "stamp", [b"", b"31/Feb/2026:12:00:00 +0000", b"1/Nov/2026:12:00:00", b"21/Nov/2026"]
)
def test_no_times_of_access_logs(stamp: bytes) -> None:
    with pytest.raises(ValueError, match=r"no time|day is out of range"):
        clf_time(stamp)


@pytest.mark.parametrize(
    ("value", "ns"),
    [
        (1_795_262_400, NOON),
        (1_795_262_400.25, NOON + S // 4),
        (1_795_262_400_250, NOON + S // 4),
        (1_795_262_400_250_000, NOON + S // 4),
        (1_795_262_400_250_000_000, NOON + S // 4),
        (1_795_262_400_250.25, NOON + S // 4 + S // 4000),
        (1_795_262_400_250_000.0, NOON + S // 4),
        (1_795_262_400_250_001_000.0, NOON + S // 4 + 1000),
        ("1795262400.25", NOON + S // 4),
        ("1795262400250001000.5", NOON + S // 4 + 1000),
        ("1795262400250", NOON + S // 4),
        ("2026-11-21T12:00:00.25Z", NOON + S // 4),
        ("2026-11-21 12:00:00.25", NOON + S // 4),
        ("2026-11-21T13:00:00.250+01:00", NOON + S // 4),
        ("21/Nov/2026:12:00:00 +0000", NOON),
        ("[21/Nov/2026:12:00:00 +0000]", NOON),
    ],
)
def test_times_of_other_logs(value: Any, ns: int) -> None:
    assert time_of(value) == ns


@pytest.mark.parametrize(
    "value",
    [
        "0001-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999999Z",
        "9999-12-31T23:59:59Z",
        "01/Jan/0001:00:00:00 +0000",
        17_632_300_000,
        17_632_300_000.5,
        2**63 - 1,
    ],
)
def test_times_that_no_recording_can_keep_are_broken_lines(tmp_path: Path, value: Any) -> None:
    rows = [{"time": t, "path": "/"} for t in (NOON, value)]
    it = read(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)), format="json", broken=0.5)
    assert (len(it), it.first_broken) == (1, (2, f"no time from 1970 to 2262: {value}"))
    if "/" in str(value):
        log = clf(0) + clf(0).replace("21/Nov/2026:12:00:00 +0000", value)
        it = read(tmp_path / "a.log", log, broken=0.5)
        assert (len(it), it.first_broken) == (1, (2, f"no time from 1970 to 2262: {value}"))


def test_the_earliest_and_the_latest_second_can_be_kept(tmp_path: Path) -> None:
    latest = (2**63 - S) // S
    rows = [{"time": t, "path": "/"} for t in (0, latest, latest, latest)]
    it = read(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)), format="json")
    assert list(it.times) == [0, latest * S, latest * S + S // 3, latest * S + 2 * S // 3]


@pytest.mark.parametrize(
    ("line", "it"),
    [
        (b"GET / HTTP/1.1", Recorded("GET", "/")),
        (b'GET /a\\"b HTTP/1.0', Recorded("GET", "/a%22b")),
        (rb"GET /\xC3\xA4?q=\x22 HTTP/1.1", Recorded("GET", "/%C3%A4?q=%22")),
        (b"GET /a%20b?c=%2F HTTP/1.1", Recorded("GET", "/a%20b?c=%2F")),
        (b"GET /a b HTTP/1.1", Recorded("GET", "/a%20b")),
        (b"GET /{{x}} HTTP/1.1", Recorded("GET", "/%7B%7Bx%7D%7D")),
        (b"GET http://h/a?b HTTP/1.1", Recorded("GET", "/a?b")),
        (b"GET / ", "no HTTP request"),
        (b"", "no HTTP request"),
        (b"OPTIONS * HTTP/1.1", "the path can't be sent"),
        (b"PROPFIND / HTTP/1.1", "PROPFIND is not sent"),
    ],
)
def test_request_lines(line: bytes, it: Recorded | str) -> None:
    assert recorded(line) == it


@pytest.mark.parametrize(
    "it",
    [
        Recorded("GET", "/"),
        Recorded("POST", "/", (), ""),
        Recorded("POST", "/x", (("A", "b"), ("C", "\x00ü")), '{"a": "\\n\u0000"}'),
    ],
)
def test_texts_can_be_read_back(it: Recorded) -> None:
    text = text_of(it)
    assert sent_of(text) == it
    assert "\0" not in text, "which stands between texts"


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/", "GET /"),
        ("/products/4711?page=2", "GET /products/{id}"),
        ("/u/9f86d081-884c-4d65-9a2f-eaa0c55ad015/x", "GET /u/{id}/x"),
        ("/commit/1ac2f8d9", "GET /commit/{id}"),
        ("/img/4711.jpg", "GET /img/{id}.jpg"),
        ("/t/eyJhbGciOiJIUzI1NiIsInR5", "GET /t/{id}"),
        ("/news/ten-years-after-the-storm-of-2016", "GET /news/{id}"),
        ("/v2/users/me", "GET /v2/users/me"),
        ("/decade/facade/deadbeef", "GET /decade/facade/deadbeef"),
        ("/app.3f2a1b.js", "GET /app.3f2a1b.js"),
        ("/{{x}}", "GET /%7B%7Bx%7D%7D"),
        ("/a//b/", "GET /a//b/"),
    ],
)
def test_names(target: str, name: str) -> None:
    assert request_name("GET", target) == name


def test_names_are_not_endless() -> None:
    assert len(request_name("GET", "/long-path" * 50)) == LONGEST
