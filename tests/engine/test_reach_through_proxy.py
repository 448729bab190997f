"""wait_for and steady_state ask the target as the load reaches it: through the proxy, over HTTP/2."""

from __future__ import annotations

import ssl
from dataclasses import replace

import httpx
import pytest
import trustme
from engine_harness import OK_ANSWER, answering, serving
from h2_server import Seen, speaking_h2
from proxy_server import Proxied, proxying

from loadtool.chaos.steady import reach
from loadtool.plan.job import ClientSpec, ProxySpec, TlsSpec

CLIENT = ClientSpec(5_000_000_000, None, 10, True, ())


async def ask(target: str, client: ClientSpec) -> httpx.Response:
    async with httpx.AsyncClient(transport=reach(target, client, None)(), trust_env=False) as asking:
        return await asking.get(f"{target}/health")


async def test_through_a_proxy_that_wants_to_know_who_asks() -> None:
    seen = Proxied()
    with (
        serving(answering(OK_ANSWER)) as server,
        serving(proxying(server.port, seen, user="me:p@ss")) as proxy,
    ):
        client = replace(CLIENT, proxy=ProxySpec("127.0.0.1", proxy.port, "me", "p@ss"))
        answer = await ask("http://shop.test", client)
    assert answer.status_code == 200
    assert seen.lines == ["GET http://shop.test/health HTTP/1.1"]


async def test_over_http2_without_tls() -> None:
    seen = Seen()
    with serving(speaking_h2(lambda peer, asked: peer.answer(asked), seen)) as server:
        answer = await ask(f"http://127.0.0.1:{server.port}", replace(CLIENT, http2=True))
    assert (answer.status_code, answer.http_version) == (200, "HTTP/2")


@pytest.mark.parametrize("http2", [True, False])
async def test_over_tls_through_a_tunnel(http2: bool) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("shop.test").configure_cert(context)
    context.set_alpn_protocols(["h2" if http2 else "http/1.1"])
    seen = Seen()
    handler = speaking_h2(lambda peer, asked: peer.answer(asked), seen) if http2 else answering(OK_ANSWER)
    with serving(handler, context) as server, serving(proxying(server.port, Proxied())) as proxy:
        client = replace(
            CLIENT,
            http2=http2,
            proxy=ProxySpec("127.0.0.1", proxy.port),
            tls=TlsSpec(ca=authority.cert_pem.bytes().decode()),
        )
        answer = await ask("https://shop.test", client)
    assert (answer.status_code, answer.text) == (200, "ok")
