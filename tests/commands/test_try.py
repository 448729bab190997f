"""`loadtool try`: what it sends, what it shows, what it hides."""

from __future__ import annotations

import http.server
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from run_harness import alive, eventually

from loadtool import cli
from loadtool.commands.try_once import show, shown_body, timing
from loadtool.engine.exchange import Exchange
from loadtool.profile.secrets import Secrets

HIDDEN = Secrets.of(["hunter2hunter2"])


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers /ok with 200, anything else with 404, and says what it was told."""

    def do_GET(self) -> None:
        body = f"told {self.headers['X-Told']} and {self.headers['Authorization']}".encode()
        self.send_response(200 if self.path.startswith("/ok") else 404)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Set-Cookie", "session=abcdefgh")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def profile(directory: Path, target: str, requests: str, more: str = "") -> str:
    """A profile file with these requests, in YAML's flow style."""
    file = directory / "p.yaml"
    phases = "[{name: baseline, rate: 1/s, for: 1s}]"
    file.write_text(f"target: {target}\nrequests: [{requests}]\nphases: {phases}\n{more}")
    return str(file)


def test_shows_each_exchange_and_passes(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = profile(tmp_path, url, "{name: one, get: /ok/1}, {name: two, get: /ok/2, headers: {X-Told: tale}}")
    assert cli.main(["try", "-p", file]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("1/2 one: ok\n\n> GET /ok/1 HTTP/1.1\n> Host: 127.0.0.1:")
    assert "\n2/2 two: ok\n\n> GET /ok/2 HTTP/1.1\n" in out
    assert "\n> X-Told: tale\n" in out
    assert "\n< HTTP/1.0 200 OK\n" in out
    assert "\n<\n< told tale and None\n" in out
    assert f"\n{url.removeprefix('http://')} · connect " in out


def test_tells_how_long_a_name_took(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = profile(tmp_path, url.replace("127.0.0.1", "localhost"), "{name: one, get: /ok/1}")
    assert cli.main(["try", "-p", file]) == 0
    assert f"\n{url.removeprefix('http://')} · look-up " in capsys.readouterr().out


def test_proxies_that_are_not_there_are_told_of(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proxies = "proxies: {front: {upstream: target}, store: {upstream: '127.0.0.1:1'}}\n"
    assert cli.main(["try", "-p", profile(tmp_path, url, "{name: one, get: /ok}", proxies)]) == 0
    assert capsys.readouterr().err == (
        "no proxy of the profile is opened (front, store): requests go straight to the target, and a service "
        "that is wired to one finds nobody there\n"
    )


def test_an_answer_that_is_not_as_expected_exits_1(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = profile(tmp_path, url, "{name: one, get: /ok}, {name: gone, get: /no}")
    assert cli.main(["try", "-p", file]) == 1
    assert "2/2 gone: status, got status 404, want 200 to 399\n" in capsys.readouterr().out
    file = profile(tmp_path, url, "{name: one, get: /ok, expect: {contains: [nothing of it]}}")
    assert cli.main(["try", "-p", file]) == 1
    assert "1/1 one: check, the body does not contain 'nothing of it'\n" in capsys.readouterr().out


def test_a_trace_is_sent_as_in_a_run(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = profile(tmp_path, url, "{name: one, get: /ok, headers: {X-Told: tale}}", "client: {trace: true}\n")
    assert cli.main(["try", "-p", file]) == 0
    out = capsys.readouterr().out
    assert "\n> X-Told: tale\n" in out
    assert re.search(r"\n> traceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-01\n", out)


def test_no_answer_exits_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets it, and it refuses
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        file = profile(tmp_path, url, "{name: one, get: /ok}")
        assert cli.main(["try", "-p", file]) == 3
    out, err = capsys.readouterr()
    assert "1/1 one: connect, Connection refused (ECONNREFUSED)\n" in out
    remedy = "start the service, or name another with --target"
    assert err == f"loadtool: nothing answered at {url}; {remedy}\n"


def test_a_mistake_exits_2_and_sends_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = profile(tmp_path, "http://127.0.0.1:9", "{name: one, gte: /ok}")
    assert cli.main(["try", "-p", file]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"loadtool: {file}:2: ")


def test_a_public_address_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = profile(tmp_path, "http://8.8.8.8", "{name: one, get: /ok}")
    assert cli.main(["try", "-p", file]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "--allow-host 8.8.8.8" in err


def test_secrets_are_sent_and_not_shown(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "hunter2hunter2")
    requests = "{name: one, get: /ok, headers: {Authorization: 'Bearer ${TOKEN}', X-Told: '${TOKEN}'}"
    file = profile(tmp_path, url, requests + ", expect: {contains: [hunter2hunter2 and Bearer hunter2]}}")
    assert cli.main(["try", "-p", file]) == 0, "the server must have been told"
    out, err = capsys.readouterr()
    assert "hunter2" not in out + err
    assert "abcdefgh" not in out, "a cookie that the target sets is a secret, too"
    assert "> Authorization: Bearer ***\n> X-Told: ***\n" in out
    assert "< told *** and ***\n" in out


def test_setup_and_teardown_run_and_give_their_values(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = "setup: echo WHERE=/ok\nteardown: touch torn\n"
    file = profile(tmp_path, url, "{name: one, get: '${WHERE}/1'}", more)
    assert cli.main(["try", "-p", file]) == 0
    out, err = capsys.readouterr()
    assert "> GET /ok/1 HTTP/1.1\n" in out
    assert err == "setup: echo WHERE=/ok\n"
    assert (tmp_path / "torn").exists()


def test_a_failing_setup_command_is_said_and_torn_down(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = profile(tmp_path, url, "{name: one, get: /ok}", "setup: exit 7\nteardown: touch torn\n")
    assert cli.main(["try", "-p", file]) == 3
    assert "the command 'exit 7' failed (exit code 7)" in capsys.readouterr().err
    assert (tmp_path / "torn").exists()


PRINTED = "  - echo TOKEN=sekrit-abc; echo KEYS=opaque-17\n"
LEAKY = """echo "cannot use $TOKEN and $KEYS" >&2; exit 3"""


def test_what_setup_prints_is_not_shown_by_a_failing_command(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = "{name: one, get: /ok, headers: {Authorization: 'Bearer ${TOKEN}'}}"
    said = "failed (exit code 3: cannot use *** and ***)\n"
    torn = f"setup:\n{PRINTED.replace('abc', '$((40 + 2))')}teardown: {LEAKY}\n"
    assert cli.main(["try", "-p", profile(tmp_path, url, request, torn)]) == 0
    out, err = capsys.readouterr()
    assert err.endswith(said)
    assert "sekrit-42" not in out + err
    assert cli.main(["try", "-p", profile(tmp_path, url, request, f"setup:\n{PRINTED}  - {LEAKY}\n")]) == 3
    assert capsys.readouterr().err.endswith(said)
    alone = f"setup: TOKEN=sekrit-abc; KEYS=opaque-17; echo TOKEN=$TOKEN; echo KEYS=$KEYS; {LEAKY}\n"
    assert cli.main(["try", "-p", profile(tmp_path, url, request, alone)]) == 3
    out, err = capsys.readouterr()
    assert err.endswith(said)
    assert "sekrit" not in err.splitlines()[-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_setup_command_and_teardown_still_runs(
    number: signal.Signals, tmp_path: Path
) -> None:
    pid, torn = tmp_path / "pid", tmp_path / "torn"
    more = f"setup: echo $$$$ > {pid}.new; mv {pid}.new {pid}; exec sleep 300\nteardown: touch {torn}\n"
    file = profile(tmp_path, "http://127.0.0.1:9", "{name: one, get: /}", more)
    command = [sys.executable, "-m", "loadtool", "try", "-p", file]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            eventually("setup is under way", pid.exists)
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, out) == (128 + number, "")
    assert err.endswith("exec sleep 300\nloadtool: interrupted\n")
    assert torn.exists()
    eventually("it is gone", lambda: not alive(int(pid.read_text())))


@pytest.mark.parametrize(("setup", "code"), [("setup: ['true']\n", 0), ("", 1)])
def test_what_setup_has_started_is_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], setup: str, code: int
) -> None:
    """The service has nothing before it has been asked for the third time whether it is ready."""
    asked: list[str] = []

    class Starting(Handler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if asked.count("/ok/ready") < 3:
                self.path = "/no"
            super().do_GET()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Starting) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        target = f"http://127.0.0.1:{server.server_port}"
        more = f"{setup}wait_for: {{get: /ok/ready, up_to: 60s}}\n"
        assert cli.main(["try", "-p", profile(tmp_path, target, "{get: /ok}", more)]) == code
        server.shutdown()
        thread.join()
    assert asked == ["/ok/ready"] * (3 if setup else 0) + ["/ok"]
    assert ("waiting for /ok/ready to answer" in capsys.readouterr().err) is bool(setup)


def test_what_is_not_ready_in_time_is_tried_anyway(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for up_to in ("100ms", "3s", "30s"):  # longer only where nothing has answered yet
        more = f"setup: ['true']\nwait_for: {{get: /no, up_to: {up_to}}}\n"
        assert cli.main(["try", "-p", profile(tmp_path, url, "{get: /ok}", more)]) == 0
        err = capsys.readouterr().err
        if "(no answer)" not in err:
            break
    assert f"/no was not ready within {up_to} (status 404)" in err


def test_the_demo_service_is_started_and_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = profile(tmp_path, "demo", "{name: browse, get: '/products/{{ randint(1, 9) }}'}")
    assert cli.main(["try", "-p", file]) == 0
    out, err = capsys.readouterr()
    assert "< HTTP/1.1 200 OK\n" in out
    assert err == "starting the demo service\n"


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"", []),
        (b"one\ntwo\n", ["one", "two"]),
        (b"\xff\xfe", ["(2 bytes, binary)"]),
        (b"a\0b", ["(3 bytes, binary)"]),
        (b"pw=hunter2hunter2!", ["pw=***!"]),
        (b"\n".join(b"%d" % i for i in range(31)), [*(str(i) for i in range(30)), "… (82 bytes in all)"]),
        (b"x" * 2001, ["x" * 2000, "… (2,001 bytes in all)"]),
        (b"x" * 1993 + b"hunter2hunter2", ["x" * 1993 + "***"]),
        (b"one\r\n" * 30, ["one"] * 30),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_body_is_shown_as_text_shortened_and_masked(body: bytes, shown: list[str]) -> None:
    assert shown_body(body, HIDDEN) == shown


def test_of_a_multipart_body_only_what_is_binary_is_left_out() -> None:
    body = (
        b'--b0\r\nContent-Disposition: form-data; name="note"\r\n\r\nhunter2hunter2 \xc3\xbc\r\n'
        b'--b0\r\nContent-Disposition: form-data; name="up"; filename="a.png"\r\n'
        b"Content-Type: image/png\r\n\r\n\x89PNG\r\n\x1a\n\0\r\n--b0--\r\n"
    )
    head = "POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b0\r\nHost: a"
    assert shown_body(body, HIDDEN, head) == [
        "--b0",
        'Content-Disposition: form-data; name="note"',
        "",
        "*** ü",
        "--b0",
        'Content-Disposition: form-data; name="up"; filename="a.png"',
        "Content-Type: image/png",
        "",
        "(9 bytes, binary)",
        "--b0--",
    ]
    assert shown_body(body, HIDDEN, head.replace("; boundary=b0", "")) == [f"({len(body)} bytes, binary)"]


def test_an_answer_cannot_write_to_the_terminal() -> None:
    done = Exchange(
        b"GET / HTTP/1.1\r\n\r\n",
        outcome="ok",
        head="HTTP/1.1 200 \x1b[2J",
        body=b"\x1b]0;title\x07",
        total_ms=1.0,
    )
    text = show(1, 1, "a\x1bname", done, HIDDEN)
    assert "\x1b" not in text
    assert "\x07" not in text


def test_timing_tells_only_what_happened() -> None:
    done = Exchange(b"", address="[::1]:443", connect_ms=0.25, total_ms=2000.0)
    assert timing(done) == "[::1]:443 · connect 0.250 ms · total 2 s"
    done.tls, done.tls_ms, done.first_byte_ms = "TLSv1.3", 3.0, 4.0
    assert timing(done) == (
        "[::1]:443 · connect 0.250 ms · TLSv1.3 handshake 3 ms · first byte 4 ms · total 2 s"
    )
    done.dns_ms, done.interims = 5.0, 2
    assert timing(done) == (
        "[::1]:443 · look-up 5 ms · connect 0.250 ms · TLSv1.3 handshake 3 ms"
        " · first byte (of 2 interim answers) 4 ms · total 2 s"
    )
