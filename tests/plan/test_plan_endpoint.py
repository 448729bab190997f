from __future__ import annotations

import base64

import pytest

from loadtool.errors import UsageError
from loadtool.plan.endpoint import endpoint_of
from loadtool.plan.job import Endpoint


@pytest.mark.parametrize(
    ("url", "want"),
    [
        ("http://127.0.0.1:8080", Endpoint("http", "127.0.0.1", 8080, "127.0.0.1:8080", "127.0.0.1")),
        ("http://shop.example/", Endpoint("http", "shop.example", 80, "shop.example", "shop.example")),
        ("https://shop.example", Endpoint("https", "shop.example", 443, "shop.example", "shop.example")),
        ("https://shop.example:443", Endpoint("https", "shop.example", 443, "shop.example", "shop.example")),
        ("https://shop.example:80", Endpoint("https", "shop.example", 80, "shop.example:80", "shop.example")),
        (
            "HTTP://Shop.Example:8080",
            Endpoint("http", "shop.example", 8080, "shop.example:8080", "shop.example"),
        ),
        ("http://my_service:1", Endpoint("http", "my_service", 1, "my_service:1", "my_service")),
        ("https://shop.example.", Endpoint("https", "shop.example.", 443, "shop.example.", "shop.example")),
        ("http://[::1]:8080", Endpoint("http", "::1", 8080, "[::1]:8080", "::1")),
        ("http://[0:0:0::1]", Endpoint("http", "::1", 80, "[::1]", "::1")),
        ("http://[fe80::1%25eth0]:81", Endpoint("http", "fe80::1%eth0", 81, "[fe80::1]:81", "fe80::1")),
        (
            "https://Bücher.example",
            Endpoint("https", "xn--bcher-kva.example", 443, "xn--bcher-kva.example", "xn--bcher-kva.example"),
        ),
        ("http://a/api/v1/", Endpoint("http", "a", 80, "a", "a", "/api/v1")),
        ("http://a/ä/%20", Endpoint("http", "a", 80, "a", "a", "/%C3%A4/%20")),
        ("http://u:p%40%20@a", Endpoint("http", "a", 80, "a", "a", "", "Basic dTpwQCA=")),
        ("unix:/run/app.sock", Endpoint("http", "/run/app.sock", 0, "localhost", "localhost")),
        ("http://u@a", Endpoint("http", "a", 80, "a", "a", "", "Basic dTo=")),
    ],
)
def test_endpoint(url: str, want: Endpoint) -> None:
    assert endpoint_of(url) == want


def test_credentials_are_utf_8() -> None:
    scheme, _, text = endpoint_of("http://jürgen:pä:ss@a").authorization.partition(" ")
    assert (scheme, base64.b64decode(text).decode()) == ("Basic", "jürgen:pä:ss")


WANT = "want a URL such as http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("localhost:8080", f"target: got localhost:8080, {WANT}: the scheme is http or https"),
        ("ftp://a", f"target: got ftp://a, {WANT}: the scheme is http or https"),
        ("http://", f"target: got http://, {WANT}: the host is missing"),
        ("http://a:0", f"target: got http://a:0, {WANT}: port 0 can't be dialled"),
        ("http://a:99999", f"target: got http://a:99999, {WANT}: Port out of range 0-65535"),
        ("http://a/?x=1", f"target: got http://a/?x=1, {WANT}: a query belongs to a request"),
        ("http://a/#x", f"target: got http://a/#x, {WANT}: a fragment is never sent"),
        ("http://[::1", f"target: got http://[::1, {WANT}: Invalid IPv6 URL"),
        ("http://☃☃⁇.example", f"target: got http://☃☃⁇.example, {WANT}: "),
        ("http://u:secret@a:x", f"target: got http://***@a:x, {WANT}: Port could not be cast to integer"),
    ],
)  # fmt: skip
def test_no_endpoint(url: str, message: str) -> None:
    with pytest.raises(UsageError) as e:
        endpoint_of(url)
    assert str(e.value).startswith(message)
    assert "secret" not in str(e.value)
