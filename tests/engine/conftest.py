"""What holds for every transport is tested on every transport; certificates that a client trusts."""

from __future__ import annotations

import ssl

import engine_harness
import pytest
import trustme

from loadtool.engine.tls import client_context
from loadtool.engine.transports import TRANSPORTS
from loadtool.plan.job import TlsSpec


@pytest.fixture(params=list(TRANSPORTS))
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The transport of the harness's jobs, each in turn; `usefixtures("transport")` is enough."""
    name: str = request.param
    monkeypatch.setattr(engine_harness, "TRANSPORT", name)
    return name


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's and the client's."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = client_context(TlsSpec())
    authority.configure_trust(client)
    return server, client
