"""`client:`: connections, reconnects, sources and TLS files, and what a profile makes of them."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from profile_samples import SMALL, load, mistakes

from loadtool.profile.certificates import Certificates
from loadtool.profile.model import Connections, Tls
from loadtool.profile.schema import json_schema

HTTPS = SMALL.replace("http:", "https:")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def pems(authority: trustme.CA) -> dict[str, bytes]:
    """Files by their names; what they hold is told by these."""
    mine, other = authority.issue_cert("me@shop.test"), trustme.CA().issue_cert("you@shop.test")
    key = serialization.load_pem_private_key(mine.private_key_pem.bytes(), None)
    pem, der = serialization.Encoding.PEM, serialization.Encoding.DER
    pkcs8, old = serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL
    locked = serialization.BestAvailableEncryption(b"passphrase")
    return {
        "ca.pem": authority.cert_pem.bytes(),
        "me.pem": b"".join(blob.bytes() for blob in mine.cert_chain_pems),
        "me.key": mine.private_key_pem.bytes(),
        "both.pem": mine.private_key_and_cert_chain_pem.bytes(),
        "you.key": other.private_key_pem.bytes(),
        "locked.key": key.private_bytes(pem, pkcs8, locked),
        "locked-old.key": key.private_bytes(pem, old, locked),
        "der.key": key.private_bytes(der, pkcs8, serialization.NoEncryption()),
        "broken.pem": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "broken.key": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    }


@pytest.fixture
def shop(tmp_path: Path, pems: dict[str, bytes]) -> Path:
    for name, content in pems.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def text(content: bytes) -> str:
    return content.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("written", "connections", "dumped"),
    [
        ("1000", Connections(), 1000),
        ("5", Connections(max=5), 5),
        ("{max: 5}", Connections(max=5), 5),
        ("{max: 5, per_second: 30/m}", Connections(max=5, per_second=0.5), {"max": 5, "per_second": "0.5/s"}),
        ("{per_second: 50}", Connections(per_second=50.0), {"max": 1000, "per_second": "50/s"}),
        ("{max: '${MOST}', per_second: '${PACE}'}", Connections(max=7, per_second=9.0),
         {"max": 7, "per_second": "9/s"}),
    ],
)  # fmt: skip
def test_connections_as_a_number_and_as_a_mapping(
    tmp_path: Path, written: str, connections: Connections, dumped: object
) -> None:
    environment = {"MOST": "7", "PACE": "9/s"}
    loaded = load(tmp_path, f"{SMALL}client: {{connections: {written}}}\n", environment=environment)
    assert loaded.profile.client.connections == connections
    assert loaded.normalised()["client"]["connections"] == dumped
    assert load(tmp_path, json.dumps(loaded.normalised())).profile == loaded.profile


@pytest.mark.parametrize("override", ["client.retries.budget=none", "client.retries.budget=${BUDGET}"])
def test_no_budget_can_be_said(tmp_path: Path, override: str) -> None:
    text = f"{SMALL}client: {{retries: {{policy: immediate, budget: 10%}}}}\n"
    loaded = load(tmp_path, text, overrides=[override], environment={"BUDGET": "none"})
    unsaid = load(tmp_path, f"{SMALL}client: {{retries: immediate}}\n")
    assert loaded.profile.client.retries == unsaid.profile.client.retries
    assert loaded.normalised() == unsaid.normalised()


def test_an_override_reaches_a_key_of_the_mapping(tmp_path: Path) -> None:
    text = f"{SMALL}client: {{connections: {{max: 5}}}}\n"
    loaded = load(tmp_path, text, overrides=["client.connections.per_second=2/s"])
    assert loaded.profile.client.connections == Connections(max=5, per_second=2.0)


@pytest.mark.parametrize(
    ("written", "moments"),
    [
        ("spike", ["spike"]),
        ("0", ["0s"]),
        ("spike+5s", ["spike+5s"]),
        ("[spike, spike + 1500ms, 12s]", ["spike", "spike+1.5s", "12s"]),
        ("'${WHEN}'", ["spike+1s"]),
        ("[]", []),
    ],
)
def test_reconnect(tmp_path: Path, written: str, moments: list[str]) -> None:
    loaded = load(tmp_path, f"{SMALL}client: {{reconnect: {written}}}\n", environment={"WHEN": "spike + 1s"})
    assert loaded.normalised()["client"]["reconnect"] == moments
    assert load(tmp_path, json.dumps(loaded.normalised())).profile == loaded.profile


@pytest.mark.parametrize(
    ("written", "sources"),
    [
        ("10.0.0.5", ["10.0.0.5"]),
        ("[10.0.0.5, '0:0::1', 'fe80::1%eth0']", ["10.0.0.5", "::1", "fe80::1%eth0"]),
        ("'${FROM}'", ["127.0.0.1"]),
    ],
)
def test_source(tmp_path: Path, written: str, sources: list[str]) -> None:
    loaded = load(tmp_path, f"{SMALL}client: {{source: {written}}}\n", environment={"FROM": "127.0.0.1"})
    assert loaded.normalised()["client"]["source"] == sources


def test_what_setup_will_print_is_not_looked_at_yet(tmp_path: Path) -> None:
    client = (
        "{source: '${IP}', reconnect: '${WHEN}', tls: {ca: '${CA}'}, connections: {per_second: '${PACE}'}}"
    )
    loaded = load(tmp_path, f"{HTTPS}setup: ./more.sh\nclient: {client}\n", pending=True)
    assert loaded.pending == {"IP", "WHEN", "CA", "PACE"}
    assert loaded.certificates == Certificates()
    told = {"IP": "x", "WHEN": "spyke", "CA": "none.pem", "PACE": "0/s"}
    assert mistakes(tmp_path, f"{HTTPS}setup: ./more.sh\nclient: {client}\n", environment=told) == [
        "shop.yaml:8: client.connections.per_second: got 0, want a rate above 0 such as 50/s",
        "shop.yaml:8: client.source: got x, want an IP address of this machine, such as 10.0.0.5",
        "shop.yaml:8: client.reconnect: no phase is named spyke, did you mean spike?",
        "shop.yaml:8: client.tls.ca: none.pem: no such file",
    ]
    pending = (
        f"{SMALL.replace('http://127.0.0.1:8080', '${TARGET}')}setup: ./more.sh\nclient: {{tls: {{}}}}\n"
    )
    load(tmp_path, pending.replace("{}", "{verify: false}"), pending=True)


def test_tls_files_become_texts(shop: Path, pems: dict[str, bytes]) -> None:
    files = "{ca: ca.pem, cert: me.pem, key: ./me.key}"
    loaded = load(shop, f"{HTTPS}client: {{tls: {files}}}\n")
    assert loaded.profile.client.tls == Tls(ca="ca.pem", cert="me.pem", key="./me.key")
    assert loaded.certificates == Certificates(
        text(pems["ca.pem"]), text(pems["me.pem"]), text(pems["me.key"])
    )
    dump = loaded.normalised()
    assert dump["client"]["tls"] == {
        "ca": "ca.pem",
        "cert": "me.pem",
        "key": "./me.key",
        "verify": True,
    }
    again = load(shop, json.dumps(dump))
    assert (again.profile, again.certificates) == (loaded.profile, loaded.certificates)


def test_a_key_s_text_is_shown_nowhere(shop: Path, pems: dict[str, bytes]) -> None:
    for files in ("{cert: me.pem, key: me.key}", "{cert: both.pem}"):
        loaded = load(shop, f"{HTTPS}client: {{tls: {files}}}\n")
        secret = text(pems["me.key"]).splitlines()[1]
        assert secret in (loaded.certificates.key or "") + (loaded.certificates.cert or "")
        assert secret not in repr(loaded) + json.dumps(loaded.normalised())


def test_whatever_stands_between_the_blocks_is_left_out(shop: Path, pems: dict[str, bytes]) -> None:
    (shop / "ca.pem").write_bytes(
        "# Főtanúsítvány\n".encode() + pems["ca.pem"] + b"\xff\xfe\n" + pems["ca.pem"]
    )
    loaded = load(shop, f"{HTTPS}client: {{tls: {{ca: ca.pem}}}}\n")
    assert loaded.certificates.ca == text(pems["ca.pem"]) * 2


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ("{cert: both.pem}", []),
        ("{cert: both.pem, key: me.key}", []),
        ("{verify: false}", []),
        ("{cert: me.pem}", ["cert: me.pem: has no private key in it; name that one's file with `key`"]),
        ("{key: me.key}", ["key: a key needs its certificate: name that one's file with `cert`"]),
        ("{cert: me.pem, key: you.key}", [
            "key: you.key: the private key is not that of the certificate in me.pem"]),
        ("{cert: me.pem, key: locked.key}", [
            "key: locked.key: the private key is encrypted, want one without a passphrase"]),
        ("{cert: me.pem, key: locked-old.key}", [
            "key: locked-old.key: the private key is encrypted, want one without a passphrase"]),
        ("{cert: me.pem, key: der.key}", [
            "key: der.key: has no private key in PEM form; openssl pkey turns DER into PEM"]),
        ("{cert: me.pem, key: ca.pem}", ["key: ca.pem: has no private key in PEM form"]),
        ("{ca: der.pem}", ["ca: der.pem: has no certificate in PEM form; openssl x509 turns DER into PEM"]),
        ("{ca: me.key}", ["ca: me.key: has no certificate in PEM form"]),
        ("{ca: empty.pem}", ["ca: empty.pem: has no certificate in PEM form"]),
        ("{ca: broken.pem}", ["ca: broken.pem: has no certificate that can be used: it is damaged"]),
        ("{ca: none.pem, cert: none.pem, key: none.key}", [
            "ca: none.pem: no such file", "cert: none.pem: no such file", "key: none.key: no such file"]),
        ("{ca: \"a\\0b\"}", ["ca: got 'a\\x00b', want text on one line, of printable characters"]),
        ("{cert: ., key: me.key}", ["cert: .: is not a file"]),
        ("{ca: broken.pem, cert: me.pem, zzz: 1}", [
            "zzz: unknown key, want one of ca, cert, key, verify",
            "ca: broken.pem: has no certificate that can be used: it is damaged",
            "cert: me.pem: has no private key in it; name that one's file with `key`"]),
    ],
)  # fmt: skip
def test_tls_files_that_are_no_use(shop: Path, authority: trustme.CA, files: str, said: list[str]) -> None:
    (shop / "empty.pem").write_bytes(b"")
    (shop / "der.pem").write_bytes(b"\x30\x82\x01\x00")
    profile = f"{HTTPS}client:\n  tls: {files}\n"
    if not said:
        load(shop, profile)
        return
    assert mistakes(shop, profile) == [f"shop.yaml:8: client.tls.{words}" for words in said]


@pytest.mark.parametrize("file", ["broken.key", "broken.pem"])
def test_what_openssl_can_not_read_is_told_in_its_words(shop: Path, file: str) -> None:
    files = {"cert": "me.pem", "key": "me.key"} | {"key" if file.endswith("key") else "cert": file}
    (said,) = mistakes(shop, f"{HTTPS}client: {{tls: {json.dumps(files)}}}\n")
    assert said.startswith(f"shop.yaml:7: client.tls.cert: {files['cert']} and {files['key']}: ")


def test_an_expired_certificate_is_the_server_s_to_judge(shop: Path, authority: trustme.CA) -> None:
    then = datetime.datetime(2020, 1, 1)
    old = authority.issue_cert("me@shop.test", not_before=then, not_after=then + datetime.timedelta(days=1))
    (shop / "old.pem").write_bytes(old.private_key_and_cert_chain_pem.bytes())
    loaded = load(shop, f"{HTTPS}client: {{tls: {{cert: old.pem}}}}\n")
    assert text(old.cert_chain_pems[0].bytes()) in (loaded.certificates.cert or "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_key(shop: Path) -> None:
    (shop / "me.key").chmod(0)
    (said,) = mistakes(shop, f"{HTTPS}client: {{tls: {{cert: me.pem, key: me.key}}}}\n")
    assert said == "shop.yaml:7: client.tls.key: me.key: cannot be read: Permission denied"


def test_tls_needs_https_wherever_the_target_comes_from(shop: Path) -> None:
    profile = f"{HTTPS}client:\n  tls: {{ca: ca.pem}}\n"
    load(shop, profile, target="HTTPS://shop.test")
    for target in ("http://jane:pw@shop.test", "demo", "unix:/run/app.sock"):
        (said,) = mistakes(shop, profile, overrides=[f"target={target}"])
        shown = target.replace("jane:pw", "***")
        assert said == f"shop.yaml:8: client.tls: needs an https target, and the target is {shown}"
    load(shop, f"{SMALL}client:\n  tls:\n")  # an empty section is no section
    load(shop, f"{SMALL}client: {{tls: {{}}}}\n")


@pytest.mark.parametrize(
    ("written", "target"),
    [
        ("unix:/run/app.sock", "unix:/run/app.sock"),
        ("unix:///var/run/docker.sock", "unix:/var/run/docker.sock"),
        ("'unix:/my files/${NAME}.sock'", "unix:/my files/app.sock"),
    ],
)
def test_a_unix_domain_socket_as_the_target(tmp_path: Path, written: str, target: str) -> None:
    profile = SMALL.replace("http://127.0.0.1:8080", written)
    loaded = load(tmp_path, profile, environment={"NAME": "app"})
    assert loaded.profile.target == target
    assert load(tmp_path, json.dumps(loaded.normalised())).profile == loaded.profile
    assert load(tmp_path, SMALL, target=target).profile.target == target


def test_a_socket_s_path_fits_the_kernel(tmp_path: Path) -> None:
    longest = "unix:/" + "é" * 51
    assert load(tmp_path, target=longest).profile.target == longest
    (said,) = mistakes(tmp_path, SMALL.replace("http://127.0.0.1:8080", longest + "ééé"))
    assert "want the absolute path of a socket, as unix:/run/app.sock, of at most 10" in said


def test_defaults_are_shown_to_editors() -> None:
    client = json_schema()["properties"]["client"]["properties"]
    assert client["connections"]["default"] == 1000
    assert client["tls"]["properties"]["verify"]["default"] is True
    assert "default" not in client["tls"]


@pytest.mark.parametrize("name", ["traceparent", "Traceparent", "TRACEPARENT"])
def test_traces_are_ours_or_the_profiles_own(tmp_path: Path, name: str) -> None:
    own = f"requests: [{{get: /, headers: {{{name}: '00-1-2-01'}}}}]\n"
    profile = SMALL + "client: {trace: true}\n"
    assert load(tmp_path, profile).profile.client.trace
    assert not load(tmp_path, SMALL).profile.client.trace
    both = profile.replace("requests:\n  - get: /\n", own)
    (said,) = mistakes(tmp_path, both)
    assert said.endswith(
        f"requests[0].headers.{name}: set by loadtool with client: {{trace: true}}; leave one of the two out"
    )
    assert load(tmp_path, both.replace("trace: true", "trace: false")).profile.requests[0].headers[name]
