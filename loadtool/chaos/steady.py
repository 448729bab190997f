"""The profile's `steady_state:` as probes: what they ask, where, and how the target is reached."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import httpx

from loadtool.chaos.probe import FRESH, HttpProbe, Question, TcpProbe, Transport
from loadtool.engine.tls import client_context
from loadtool.plan.endpoint import endpoint_of
from loadtool.profile.addresses import socket_path, split_host_port
from loadtool.profile.model import Check
from loadtool.units import format_duration

if TYPE_CHECKING:
    from loadtool.plan.job import ClientSpec, ProxySpec
    from loadtool.profile.gauge import Gauge


def probes_of(checks: Sequence[Check], target: str) -> list[Question]:
    """The checks of a profile as probes; `target` is the URL, or unix:/PATH, of the service."""
    return [_probe(check, target) for check in checks]


def _probe(check: Check, target: str) -> Question:
    if check.tcp is not None:
        return TcpProbe(check.name, *split_host_port(check.tcp), check.within)
    assert check.get is not None
    own = check.get.startswith("/")
    url = page_url(target, check.get) if own else check.get
    return HttpProbe(check.name, url, check.status, check.within, target=own)


def page_url(target: str, path: str) -> str:
    """The URL of a path of the target."""
    return f"http://localhost{path}" if socket_path(target) is not None else f"{target.rstrip('/')}{path}"


def reach(target: str, client: ClientSpec, source: str | None) -> Transport:
    """How the target is reached, as the load reaches it: TLS, source, proxy, unix-domain socket, HTTP/2."""

    def transport() -> httpx.AsyncHTTPTransport:
        secure = target.lower().startswith("https:")
        # A context takes 20 ms to make, and plain HTTP does without.
        verify = client_context(client.tls) if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return httpx.AsyncHTTPTransport(
            verify=verify,
            uds=socket_path(target),
            local_address=source,
            limits=FRESH,
            proxy=_proxy(client.proxy) if client.proxy is not None else None,
            http1=secure or not client.http2,
            http2=client.http2,
        )

    return transport


def _proxy(proxy: ProxySpec) -> httpx.Proxy:
    host = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
    auth = (proxy.user, proxy.password) if proxy.user or proxy.password else None
    return httpx.Proxy(f"http://{host}:{proxy.port}", auth=auth)


def hosts_of(checks: Sequence[Check | Gauge]) -> Iterator[tuple[str, int]]:
    """Host and port of each check or gauge that goes elsewhere than to the target's own address."""
    for check in checks:
        if isinstance(check, Check) and check.tcp is not None:
            yield split_host_port(check.tcp)
        elif check.get is not None and not check.get.startswith("/"):
            endpoint = endpoint_of(check.get.partition("?")[0])
            yield endpoint.host, endpoint.port


def describe_check(check: Check) -> str:
    """The check in words: "GET /health: status 200, within 500ms", "connect to 127.0.0.1:5432"."""
    if check.tcp is not None:
        what, wants = f"connect to {check.tcp}", []
    else:
        what, wants = f"GET {check.get}", [f"status {' or '.join(map(str, check.status)) or '2xx'}"]
    if check.within is not None:
        wants.append(f"within {format_duration(check.within)}")
    return f"{what}: {', '.join(wants)}" if wants else what
