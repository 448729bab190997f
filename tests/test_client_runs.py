"""Whole runs over TLS, unix-domain sockets, chosen source addresses and bounded or renewed connections."""

from __future__ import annotations

import gzip
import http.server
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from run_harness import Run, run

from loadtool import cli

SOCKET = "app.sock"
TRIES = 3


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with "ok", compressed if it may be, and keeps what it is asked."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Service | UnixService

    def setup(self) -> None:
        super().setup()
        self.server.connected(self.client_address)

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Host"]))
        body = b"all ok"
        self.send_response(200)
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class UnixHandler(Handler):
    disable_nagle_algorithm = False  # there is none


class _Books(socketserver.ThreadingMixIn):
    daemon_threads = True

    def __init__(self, *arguments: object) -> None:
        self.asked: list[tuple[str, str]] = []  # path and Host
        self.peers: list[str] = []  # by connection
        super().__init__(*arguments)

    def connected(self, peer: object) -> None:
        self.peers.append(peer[0] if isinstance(peer, tuple) else "")

    def handle_error(self, *_: object) -> None:
        pass  # a client that leaves in the handshake or later is what some tests are about


class Service(_Books, http.server.HTTPServer):
    context: ssl.SSLContext | None = None

    def get_request(self):  # type: ignore[no-untyped-def]  # as socketserver has it
        sock, peer = super().get_request()
        if self.context is not None:
            sock = self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return sock, peer


class UnixService(_Books, socketserver.UnixStreamServer):
    pass


@contextmanager
def serving(server: Service | UnixService) -> Iterator[None]:
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def service() -> Iterator[Service]:
    server = Service(("127.0.0.1", 0), Handler)
    with serving(server):
        yield server


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def mutual(authority: trustme.CA, tmp_path: Path) -> Iterator[Service]:
    """Trusts those whom the authority trusts; ca.pem, me.pem and me.key lie beside the profile."""
    mine = authority.issue_cert("me@shop.test")
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    (tmp_path / "me.pem").write_bytes(b"".join(blob.bytes() for blob in mine.cert_chain_pems))
    (tmp_path / "me.key").write_bytes(mine.private_key_pem.bytes())
    server = Service(("127.0.0.1", 0), Handler)
    server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server.context)
    server.context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(server.context)
    with serving(server):
        yield server


@pytest.fixture
def app(tmp_path: Path) -> Iterator[UnixService]:
    server = UnixService(str(tmp_path / SOCKET), UnixHandler)
    with serving(server):
        yield server


def profile(target: str, more: str = "", expect: str = "all ok") -> str:
    """90 arrivals in a second; late ones count, since the machine may be busy."""
    return f"""\
target: {target}
arrivals: constant
requests: [{{get: /x, expect: {{contains: {expect}}}}}]
phases:
  - {{name: baseline, rate: 60/s, for: 500ms}}
  - {{name: spike, rate: 120/s, for: 500ms}}
validity: {{lag: 20s}}
{more}
"""


def url(server: Service, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{server.server_port}"


def command(word: str, directory: Path, text: str) -> int:
    """The exit code of a command on this profile, in this process; not for one that starts workers."""
    (directory / "profile.yaml").write_text(text)
    options = ["--plain", "--out", str(directory / "out")] if word == "spike" else []
    return cli.main([word, "-p", str(directory / "profile.yaml"), *options])


def all_ok(done: Run) -> None:
    assert done.code == 0, done.out + done.err
    assert (done.result["totals"]["scheduled"], done.result["totals"]["ok"]) == (90, 90)


TLS = "client: {tls: {ca: ca.pem, cert: me.pem, key: me.key}}\n"


def test_mutual_tls_with_a_private_authority(mutual: Service, tmp_path: Path) -> None:
    done = run(tmp_path, profile(url(mutual, "https"), f"wait_for: {{get: /ready, up_to: 30s}}\n{TLS}"))
    all_ok(done)
    assert mutual.asked[0][0] == "/ready"
    saved = (done.results[0]).read_text() + done.out + done.err
    secret = (tmp_path / "me.key").read_text().splitlines()[1]
    assert secret not in saved
    assert done.result["profile"]["client"]["tls"]["key"] == "me.key"


def test_an_untrusted_certificate_is_named_with_its_remedy(mutual: Service, tmp_path: Path) -> None:
    done = run(tmp_path, profile(url(mutual, "https")))
    assert done.code == 3
    result = done.result
    assert result["totals"]["errors"] == {"tls": 90}
    (example,) = result["examples"]
    place = f"127.0.0.1:{mutual.server_port}"
    what = f"{place}: certificate not accepted: self-signed certificate in certificate chain"
    assert (example["kind"], example["detail"]) == ("tls", what)
    (reason,) = result["reasons"]
    assert reason == (
        f"no HTTP answer in the whole run: 90 of 90 ended as tls, {what}; name a file with the certificate "
        "of its authority in `client: {tls: {ca: …}}`, or skip the check with "
        "`client: {tls: {verify: false}}`"
    )
    assert "no HTTP answer" in done.out
    assert mutual.asked == []


def test_wait_for_names_an_untrusted_certificate(
    mutual: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for up_to in ("300ms", "3s", "30s"):  # longer only where nothing has come back yet
        text = profile(url(mutual, "https"), f"wait_for: {{get: /, up_to: {up_to}}}\n")
        assert command("spike", tmp_path, text) == 3
        err = capsys.readouterr().err
        if "(no answer)" not in err:
            break
    said = "(certificate not accepted: self-signed certificate in certificate chain); name a file"
    assert said in err


def test_a_wrong_key_is_told_before_anything_is_sent(
    mutual: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "me.key").write_bytes(trustme.CA().issue_cert("you@shop.test").private_key_pem.bytes())
    assert command("spike", tmp_path, profile(url(mutual, "https"), TLS)) == 2
    said = "client.tls.key: me.key: the private key is not that of the certificate in me.pem"
    assert f"profile.yaml:8: {said}\n" in capsys.readouterr().err
    assert mutual.peers == []


def test_a_unix_domain_socket_and_compressed_answers(app: UnixService, tmp_path: Path) -> None:
    more = "wait_for: {get: /ready, up_to: 30s}\nheaders: {Accept-Encoding: gzip}\n"
    all_ok(run(tmp_path, profile(f"unix:{tmp_path}/{SOCKET}", more)))
    assert set(app.asked) == {("/ready", "localhost"), ("/x", "localhost")}


def test_source_addresses_take_turns(service: Service, tmp_path: Path) -> None:
    more = "client: {source: [127.0.0.2, 127.0.0.3], keepalive: false}\n"
    all_ok(run(tmp_path, profile(url(service), more), "--workers", "1"))
    assert sorted(service.peers) == ["127.0.0.2"] * 45 + ["127.0.0.3"] * 45


@pytest.mark.parametrize("word", ["spike", "try"])
@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("[127.0.0.2, 192.0.2.7]", "client.source[1]: 192.0.2.7 is no address of this machine"),
        ("'::1'", "client.source: the target has IPv4 addresses alone, and no source is one of those"),
    ],
)
def test_a_source_from_which_the_target_cannot_be_reached(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str], word: str, source: str, said: str
) -> None:
    assert command(word, tmp_path, profile(url(service), f"client: {{source: {source}}}\n")) == 2
    assert f"profile.yaml:8: {said}\n" in capsys.readouterr().err
    assert service.peers == []


def test_connections_are_bounded_and_opened_again(service: Service, tmp_path: Path) -> None:
    more = "client: {connections: {max: 1, per_second: 200/s}, reconnect: [400ms, spike+250ms]}\n"
    for number in range(TRIES):
        directory = tmp_path / str(number)
        directory.mkdir()
        service.peers.clear()
        done = run(directory, profile(url(service), more))
        all_ok(done)
        # A stall over both moments, 350 ms apart, leaves one of them, and arrivals have to wait for its end.
        stalled = max(phase["latency_ms"]["max"] for phase in done.result["phases"]) >= 250
        if len(service.peers) >= 3 or not stalled:
            break
    else:
        pytest.skip(f"this machine was too busy, {TRIES} times over")
    assert len(service.peers) == 3, "one, and once more at each of the two moments"


def test_try_goes_the_way_of_the_load(
    mutual: Service, app: UnixService, service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("try", tmp_path, profile(url(mutual, "https"), TLS)) == 0
    assert command("try", tmp_path, profile(f"unix:{tmp_path}/{SOCKET}")) == 0
    gzipped = "client: {source: 127.0.0.2}\nheaders: {Accept-Encoding: gzip}\n"
    assert command("try", tmp_path, profile(url(service), gzipped)) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("GET /x: ok\n") == 3
    assert "TLSv1.3 handshake" in out
    assert f"\nunix:{tmp_path}/{SOCKET} · connect " in out
    assert "< Content-Encoding: gzip\n" in out
    assert out.count("\n< all ok\n") == 3, "a body is shown decoded"
    assert service.peers == ["127.0.0.2"]


def test_try_with_fewer_certificates(mutual: Service, tmp_path: Path) -> None:
    unchecked = TLS.replace("ca: ca.pem", "verify: false")
    assert command("try", tmp_path, profile(url(mutual, "https"), unchecked)) == 0
    assert command("try", tmp_path, profile(url(mutual, "https"), "client: {tls: {ca: ca.pem}}\n")) == 3


def test_try_asks_for_no_certificate_that_the_profile_names(
    mutual: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = trustme.CA().issue_cert("me@shop.test")
    (tmp_path / "me.pem").write_bytes(b"".join(blob.bytes() for blob in other.cert_chain_pems))
    (tmp_path / "me.key").write_bytes(other.private_key_pem.bytes())
    assert command("try", tmp_path, profile(url(mutual, "https"), TLS)) == 3
    assert "`client: {tls: {cert: …}}`: name another one" in capsys.readouterr().err


def test_try_names_an_untrusted_certificate(
    mutual: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("try", tmp_path, profile(url(mutual, "https"))) == 3
    out, err = capsys.readouterr()
    assert "GET /x: tls, certificate not accepted: self-signed certificate in certificate chain\n" in out
    assert err.startswith(f"loadtool: nothing answered at {url(mutual, 'https')}; name a file with the cert")


def test_plan_shows_how_connections_are_made(
    mutual: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    more = """\
client:
  tls: {ca: ca.pem, cert: me.pem, key: me.key}
  source: [127.0.0.2, 192.0.2.7]
  connections: {per_second: 50/s}
  reconnect: spike
"""
    assert command("plan", tmp_path, profile(url(mutual, "https"), more)) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "source 127.0.0.2 and 192.0.2.7 in turn" in out
    assert "tls certificate checked against the authorities of ca.pem; shows me.pem" in out
    assert "; at most 50/s new ones" in out
    assert "reconnect all connections are closed and opened again at 0.5 s" in out
    # A long path may be broken anywhere.
    words = "profile.yaml:10: client.source[1]: 192.0.2.7 is no address of this machine"
    assert "".join(words.split()) in "".join(out.split())
    assert command("plan", tmp_path, profile(url(mutual, "https"), "client: {tls: {verify: false}}\n")) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "tls certificate not checked" in out
    assert "client.tls.verify: the target's certificate is not checked, so anyone may answer" in out
    assert command("plan", tmp_path, profile(url(mutual, "https"))) == 0
    assert "certificate checked against the system's authorities" in capsys.readouterr().out
    assert mutual.peers == []


def test_plan_of_a_unix_domain_socket(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("plan", tmp_path, profile("unix:/run/app.sock")) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "target unix:/run/app.sock hosts this machine (/run/app.sock)" in out
    assert " tls " not in out
