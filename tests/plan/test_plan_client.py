"""The client of a job: from the profile to the wire, and what is doubtful about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from plan_jobs import CLIENT, make_job

from loadtool.engine.decoding import CODINGS as DECODED
from loadtool.plan.build import build_job, endpoint_of
from loadtool.plan.client_doubts import client_doubts
from loadtool.plan.expect import CODINGS
from loadtool.plan.job import ClientSpec, Job, TlsSpec
from loadtool.plan.overview import Overview
from loadtool.plan.wire import job_from_json, job_to_json
from loadtool.profile.load import Loaded, load_profile

S = 1_000_000_000
MS = 1_000_000
PROFILE = """\
target: https://127.0.0.1:8443
requests:
  - {name: browse, get: /, headers: {X-Own: a}}
  - {name: buy, post: /buy, expect: {contains: ok}}
phases:
  - {name: baseline,  rate: 20/s,  for: 10s}
  - {name: spike, rate: 100/s, for: 5s}
  - {name: recovery, rate: 20/s, for: 60s}
arrivals: constant
"""

Load = Callable[..., Loaded]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(more: str = "", old: str = "", new: str = "") -> Loaded:
        (tmp_path / "p.yaml").write_text(PROFILE.replace(old, new) + more)
        return load_profile(tmp_path / "p.yaml", environment={})

    return load


def build(loaded: Loaded) -> Job:
    return build_job(loaded, endpoint=endpoint_of(loaded.profile.target))


def test_everything_of_the_client_reaches_the_job(load: Load, tmp_path: Path) -> None:
    authority = trustme.CA()
    mine = authority.issue_cert("me@shop.test")
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    (tmp_path / "me.pem").write_bytes(b"".join(blob.bytes() for blob in mine.cert_chain_pems))
    (tmp_path / "me.key").write_bytes(mine.private_key_pem.bytes())
    loaded = load(
        "client:\n"
        "  timeout: 2s\n"
        "  connections: {max: 70, per_second: 30/m}\n"
        "  reconnect: [spike+1500ms, 2s, spike, 10s]\n"
        "  source: [127.0.0.2, '::1']\n"
        "  tls: {ca: ca.pem, cert: me.pem, key: me.key, verify: false}\n"
    )
    job = build(loaded)
    files = loaded.certificates
    assert job.client == ClientSpec(
        timeout_ns=2 * S,
        deadline_ns=None,
        connections=70,
        keepalive=True,
        shed=(429, 503),
        dials_per_s=0.5,
        reconnect_ns=(2 * S, 10 * S, 11_500 * MS),  # once for each moment, in their order
        source=("127.0.0.2", "::1"),
        tls=TlsSpec(False, files.ca, files.cert, files.key),
    )
    assert files.key is not None
    assert job_from_json(job_to_json(job)) == job
    secret = files.key.splitlines()[1]
    assert secret in job_to_json(job), "the workers need it"
    assert secret not in repr(job)


def test_what_the_profile_leaves_out(load: Load) -> None:
    job = build(load())
    assert job.client.tls == TlsSpec()
    assert (job.client.dials_per_s, job.client.reconnect_ns, job.client.source) == (None, (), ())
    assert build(load("client: {tls: {}}\n")).client.tls == TlsSpec()


@pytest.mark.parametrize(
    "client",
    [
        CLIENT,
        ClientSpec(S, S, 1, False, (), 0.5, (0, S), ("::1",), TlsSpec(False, "ca", "cert", "key")),
        ClientSpec(S, None, 1, False, (), 50.0, tls=TlsSpec(ca="é\n")),
    ],
)
def test_the_client_travels(client: ClientSpec) -> None:
    job = make_job(client=client)
    assert job_from_json(job_to_json(job)) == job


def test_codings_are_those_that_the_engine_decodes() -> None:
    assert set(CODINGS) == set(DECODED)


UNCHECKED = "client.tls.verify: the target's certificate is not checked, so anyone may answer in its place"
CODED = "can't be decoded, and an answer so coded fails what buy expects of its body; "
ALONE = "accept gzip, deflate, identity alone"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("", []),
        ("client: {tls: {verify: true}}", []),
        ("client: {tls: {verify: false}}", [
            f"10: {UNCHECKED}; a private authority can be trusted with `ca`"]),
        ("client:\n  tls:\n    ca: ca.pem\n    verify: false", [
            f"13: {UNCHECKED}, and `ca` is not looked at"]),
        ("client: {connections: {per_second: 99/s}}", []),  # kept alive, they are enough in time
        ("client: {keepalive: false, connections: {per_second: 100/s}}", []),
        ("client: {keepalive: false, connections: {per_second: 99/s}}", [
            "10: client.connections.per_second: without keepalive each arrival needs a connection of its "
            "own, and 99/s are fewer than the 100/s of the peak: the rest queue here, and the wait counts"]),
        ("client: {reconnect: spike}", []),
        ("client: {reconnect: [spike, 0]}", [
            "10: client.reconnect: 0s: no connection is open when the run begins; want a later moment"]),
        ("client: {reconnect: baseline}", [
            "10: client.reconnect: baseline: no connection is open when the run begins; want a later "
            "moment"]),
        ("client: {reconnect: spike, keepalive: false}", [
            "10: client.reconnect: without keepalive each request has a connection of its own, so none is "
            "left to reopen"]),
        ("client: {source: 127.0.0.2}", []),
        ("client: {source: 127.0.0.2}\nproxies: {front: {upstream: target}}", [
            "10: client.source: the load goes through proxy front, so the target sees the address of that "
            "proxy; leave one of the two out"]),
        ("headers: {Accept-Encoding: 'gzip, deflate;q=0.5, identity'}", []),
        ("headers:\n  accept-encoding: gzip, br, zstd;q=0.1", [
            f"11: headers.accept-encoding: br, zstd {CODED}{ALONE}"]),
        ("headers: {Accept-Encoding: 'gzip, br;q=0, zstd; q=0.000'}", []),
        ("headers: {Accept-Encoding: '*'}", [f"10: headers.Accept-Encoding: * {CODED}{ALONE}"]),
        ("headers: {Accept-Encoding: '{{ choice([\"br\", \"gzip\"]) }}'}", []),
        ("headers: {Accept: br}", []),
    ],
)  # fmt: skip
def test_doubts(load: Load, tmp_path: Path, more: str, said: list[str]) -> None:
    (tmp_path / "ca.pem").write_bytes(trustme.CA().cert_pem.bytes())
    loaded = load(more)
    found = Overview.of(build(loaded), loaded).warnings
    assert [w.removeprefix(f"{tmp_path}/p.yaml:") for w in found] == said


def test_a_coding_of_one_request(load: Load) -> None:
    loaded = load(old="{contains: ok}", new="{contains: ok}, headers: {Accept-Encoding: br}")
    ((place, message),) = client_doubts(build(loaded), loaded, 100.0)
    assert (place, message) == (("requests", 1, "headers", "Accept-Encoding"), f"br {CODED}{ALONE}")
    loaded = load("headers: {accept-encoding: br}\n", old="{contains: ok}", new="{status: 200}")
    assert list(client_doubts(build(loaded), loaded, 100.0)) == [], "nobody looks into the body"


def test_the_overview_tells_of_churn(load: Load) -> None:
    loaded = load("client: {reconnect: [spike, 12s], connections: {per_second: 9/s}}\n")
    o = Overview.of(build(loaded), loaded)
    assert (o.dials_per_s, o.reconnect_ns) == (9.0, (10 * S, 12 * S))
