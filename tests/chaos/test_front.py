"""Where the proxy before the target listens, and where the load dials it."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from loadtool.chaos import front
from loadtool.errors import ProfileError, UsageError
from loadtool.plan.endpoint import endpoint_of
from loadtool.profile.load import Loaded, load_profile

AWAY, HERE = "http://198.51.100.7:8474", "http://localhost:8474"  # the first is nobody's (RFC 5737)


def loaded(directory: Path, proxies: str, target: str = "http://127.0.0.1:8080") -> Loaded:
    file = directory / "shop.yaml"
    file.write_text(f"""\
target: {target}
requests: [{{get: /}}]
phases: [{{name: baseline, rate: 10/s, for: 10s}}]
proxies: {{{proxies}}}
""")
    return load_profile(file, environment={})


@pytest.mark.parametrize(
    ("url", "elsewhere"),
    [
        ("http://127.0.0.1:8474", False),
        ("127.0.0.1:8474", False),
        ("http://127.0.0.9", False),
        (HERE, False),
        ("http://0.0.0.0:8474", False),
        (AWAY, True),
        ("https://user:word@198.51.100.7", True),
        ("http://[2001:db8::7]:8474", True),
    ],
)
async def test_a_machine_is_known_by_what_its_name_resolves_to(url: str, elsewhere: bool) -> None:
    assert await front.is_elsewhere(url) is elsewhere


async def test_a_kernel_without_ipv6_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_ipv6(family: int, kind: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        return socket.socket(family, kind)

    monkeypatch.setattr(front, "socket", SimpleNamespace(**{**vars(socket), "socket": without_ipv6}))
    assert await front.is_elsewhere("http://[2001:db8::7]:8474") is True
    assert await front.is_elsewhere("http://127.0.0.1:8474") is False


@pytest.mark.parametrize(
    ("url", "proxy", "listen"),
    [
        (HERE, "", None),
        (HERE, ", listen: '127.0.0.1:15000'", "127.0.0.1:15000"),
        (AWAY, "", "0.0.0.0:0"),
        (AWAY, ", listen: '10.1.2.3:15000'", "10.1.2.3:15000"),
        (AWAY, ", listen: 'toxiproxy:15000'", "toxiproxy:15000"),
    ],
)
async def test_on_another_machine_it_listens_on_all_addresses(
    tmp_path: Path, url: str, proxy: str, listen: str | None
) -> None:
    profile = loaded(tmp_path, f"store: {{upstream: 'db:5432'}}, front: {{upstream: target{proxy}}}")
    assert await front.listen_of(profile, url) == listen


async def test_a_proxy_that_the_load_does_not_go_through_is_opened_to_nobody(tmp_path: Path) -> None:
    assert await front.listen_of(loaded(tmp_path, "store: {upstream: 'db:5432'}"), AWAY) is None


@pytest.mark.parametrize("upstream", ["demo.store", "target"])
async def test_nobody_elsewhere_reaches_the_demo(tmp_path: Path, upstream: str) -> None:
    profile = loaded(tmp_path, f"db: {{upstream: 'db:1'}}, store: {{upstream: {upstream}}}", "demo")
    assert await front.listen_of(profile, HERE) is None
    with pytest.raises(ProfileError) as caught:
        await front.listen_of(profile, "http://user:word@198.51.100.7:8474")
    assert str(caught.value) == (
        f"{tmp_path}/shop.yaml:4: proxies.store.upstream: the demo service is within reach of this machine "
        "alone, and Toxiproxy is at http://***@198.51.100.7:8474; leave toxiproxy: and --toxiproxy out, so "
        "that the run brings one"
    )
    unrelated = loaded(tmp_path, "db: {upstream: 'db:1'}", "demo")
    assert await front.listen_of(unrelated, AWAY) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "[::1]", "[::ffff:127.0.0.1]"])
async def test_the_loopback_of_another_machine_is_a_mistake(tmp_path: Path, host: str) -> None:
    profile = loaded(tmp_path, f"front: {{upstream: target, listen: '{host}:15000'}}")
    with pytest.raises(ProfileError) as caught:
        await front.listen_of(profile, "http://user:word@198.51.100.7:8474")
    assert str(caught.value) == (
        f"{tmp_path}/shop.yaml:4: proxies.front.listen: got {host}:15000, want an address that the load can "
        "reach, such as 0.0.0.0:15000: Toxiproxy is at http://***@198.51.100.7:8474, and its loopback is "
        "that machine's own"
    )


@pytest.mark.parametrize(
    ("listen", "url", "host", "port"),
    [
        ("127.0.0.1:41000", HERE, "127.0.0.1", 41000),
        ("[::]:41000", HERE, "localhost", 41000),
        ("[::]:41000", AWAY, "198.51.100.7", 41000),
        ("0.0.0.0:41000", AWAY, "198.51.100.7", 41000),
        (":41000", "http://[2001:db8::7]:8474", "2001:db8::7", 41000),
        ("[2001:db8::9]:41000", AWAY, "2001:db8::9", 41000),
    ],
)
def test_all_addresses_are_dialled_where_toxiproxy_is(listen: str, url: str, host: str, port: int) -> None:
    endpoint = endpoint_of("https://shop.example")
    moved = front.behind(endpoint, listen, url)
    assert (moved.host, moved.port) == (host, port)
    assert (moved.authority, moved.server_name) == (endpoint.authority, endpoint.server_name)


LED = "{0}: {{upstream: '8.8.8.8:80', listen: '{1}:8080'}}"


@pytest.mark.parametrize("listen", ["127.0.0.1", "localhost", "0.0.0.0", "127.0.0.9"])
async def test_no_proxy_leads_the_load_to_a_public_host_unasked(tmp_path: Path, listen: str) -> None:
    profile = loaded(tmp_path, LED.format("p", listen)).profile
    endpoint = endpoint_of("http://127.0.0.1:8080")
    said = r"^proxies\.p\.upstream: 8\.8\.8\.8 is the public address 8\.8\.8\.8: name it in allow_hosts"
    with pytest.raises(UsageError, match=said):
        await front.check_leads(profile, endpoint, [])
    await front.check_leads(profile, endpoint, ["8.8.8.8"])


async def test_a_proxy_before_a_proxy_leads_there_too(tmp_path: Path) -> None:
    chain = "a: {upstream: 'localhost:9000', listen: '127.0.0.1:8080'}, " + LED.format("b", "0.0.0.0")
    chain = chain.replace("0.0.0.0:8080", "0.0.0.0:9000")
    with pytest.raises(UsageError, match=r"^proxies\.b\.upstream"):
        await front.check_leads(loaded(tmp_path, chain).profile, endpoint_of("http://127.0.0.1:8080"), [])


@pytest.mark.parametrize(
    "proxies",
    [
        LED.format("p", "127.0.0.1").replace("8080", "8081"),  # the service's own traffic
        LED.format("p", "10.0.0.1"),
        "p: {upstream: '8.8.8.8:80'}",
        "p: {upstream: 'api.of-a-container.invalid:80', listen: '127.0.0.1:8080'}",
        "p: {existing: p}, q: {upstream: target}",
    ],
)
async def test_where_other_proxies_lead_is_nobodys_business(tmp_path: Path, proxies: str) -> None:
    await front.check_leads(loaded(tmp_path, proxies).profile, endpoint_of("http://127.0.0.1:8080"), [])
