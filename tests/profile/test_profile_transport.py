"""`transport:` and what only one of them can do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from profile_samples import SMALL, load, mistakes

from loadtool.engine.transports import TRANSPORTS
from loadtool.profile import model

HTTPS = SMALL.replace("http:", "https:")
PROXIED = "transport: httpx\nclient: {proxy: 'http://me:p%40ss-word@proxy.test:3128'}\n"


def test_the_profile_knows_the_engine_s_transports() -> None:
    assert tuple(TRANSPORTS) == model.TRANSPORTS


def test_by_default_it_is_loadtool_s_own(tmp_path: Path) -> None:
    profile = load(tmp_path, SMALL).profile
    assert (profile.transport, profile.client.http2, profile.client.proxy) == ("http1", False, None)


@pytest.mark.parametrize("text", [
    "transport: http1\nclient: {http2: false}\n",
    "transport: httpx\n",
    "transport: httpx\nclient: {http2: true}\n",
    "transport: ${TRANSPORT}\nclient: {http2: '${HTTP2}', keepalive: false}\n",
    PROXIED,
])  # fmt: skip
def test_it_comes_back_as_it_was(tmp_path: Path, text: str) -> None:
    loaded = load(tmp_path, HTTPS + text, environment={"TRANSPORT": "httpx", "HTTP2": "true"})
    dumped = loaded.normalised()
    again = load(tmp_path, json.dumps(dumped))
    assert again.profile.transport == loaded.profile.transport == dumped["transport"]
    assert again.profile.client.http2 == loaded.profile.client.http2
    assert again.normalised() == dumped


def test_an_https_target_may_be_reached_over_http2_through_a_proxy(tmp_path: Path) -> None:
    profile = load(tmp_path, HTTPS + PROXIED.replace("{", "{http2: true, ")).profile
    assert profile.client.http2
    assert profile.client.proxy == "http://me:p%40ss-word@proxy.test:3128"


@pytest.mark.parametrize(
    "url", ["http://me:p%40ss-word@proxy.test:3128", "${URL}", "http://${USER}@proxy.test"]
)
def test_who_may_use_the_proxy_is_told_to_nobody(tmp_path: Path, url: str) -> None:
    environment = {"URL": "http://me:p%40ss-word@proxy.test:3128", "USER": "me:p%40ss-word"}
    text = f"{SMALL}transport: httpx\nclient: {{proxy: '{url}'}}\n"
    loaded = load(tmp_path, text, environment=environment)
    written = json.dumps(loaded.normalised())
    assert "***@proxy.test" in written
    for secret in ("p%40ss-word", "p@ss-word"):
        assert secret not in written
        assert secret not in loaded.secrets.mask(f"the proxy says {secret}")


def test_a_socket_can_t_be_reached_through_a_proxy(tmp_path: Path) -> None:
    text = SMALL.replace("http://127.0.0.1:8080", "unix:/run/app.sock") + PROXIED
    assert mistakes(tmp_path, text) == [
        "shop.yaml:8: client.proxy: a proxy can't reach a unix-domain socket; leave it out"
    ]
