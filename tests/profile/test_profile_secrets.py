"""secrets: whatever form they turn up in, they are masked."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtool.plan import template
from loadtool.profile.secrets import (
    URI_SAFE,
    Secrets,
    environment_secrets,
    header_secrets,
    is_secret_header,
    is_secret_key,
    masked_header,
    userinfo_secrets,
    userinfo_span,
)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=3).filter(lambda s: len(s.strip()) >= 3))
def test_every_form_is_masked(secret: str) -> None:
    mask = Secrets.of([secret]).mask
    for form in (
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
    ):
        assert mask(f"<{form}>") == "<***>"


def test_base64_and_lower_case_escapes() -> None:
    secrets = Secrets.of(["tok/en+1"])
    assert secrets.mask("tok%2fen%2b1") == "***"
    assert secrets.mask(base64.b64encode(b"tok/en+1").decode()) == "***"


@pytest.mark.parametrize("before", ["", "u", "us", "user:", "x" * 30])
@pytest.mark.parametrize("after", ["", "!", "~~", "???"])
def test_a_part_of_what_is_in_base64_is_masked(before: str, after: str) -> None:
    """As `Basic {{ base64('user:${PW}') }}` sends it, with the neighbours' bits left."""
    secret = "hunter2 is >>> it?"
    mask = Secrets.of([secret]).mask
    whole = f"{before}{secret}{after}".encode()
    for encoded in (base64.b64encode(whole).decode(), base64.urlsafe_b64encode(whole).decode()):
        masked = mask(encoded)
        assert masked.count("***") == 1
        assert len(masked) - 3 <= (len(before) + len(after) + 2) * 4 / 3 + 6


def test_what_a_path_keeps_and_what_a_head_makes_of_utf8() -> None:
    secret = 'pw"1+one^x|%y'
    assert Secrets.of([secret]).mask(f"/500?a={quote(secret, safe=template._URI)}&b") == "/500?a=***&b"
    assert URI_SAFE == template._URI
    assert Secrets.of(["Schlüssel"]).mask("Schlüssel".encode().decode("latin-1")) == "***"


def test_short_secrets_are_not_sought() -> None:
    assert Secrets.of(["ab", "1", "  x "]).values == ()
    assert Secrets.of(["ab"]).mask("cab") == "cab"


def test_longer_secrets_go_first() -> None:
    assert Secrets.of(["abc", "abcdef"]).mask("abcdef abc") == "*** ***"


def test_secrets_do_not_show_themselves() -> None:
    assert "hunter2" not in repr(Secrets.of(["hunter2"]))


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Authorization", "Bearer abc.def", "Bearer ***"),
        ("authorization", "Basic dXNlcjpw", "Basic ***"),
        ("Cookie", "session=abcdefgh; theme=dark", "***"),
        ("Set-Cookie", "id=1", "***"),
        ("X-Api-Key", "k", "***"),
        ("X-Auth-Token", "k", "***"),
        ("Accept", "text/html", "text/html"),
        ("X-Trace", "has hunter2 in it", "has *** in it"),
    ],
)
def test_headers(name: str, value: str, shown: str) -> None:
    assert Secrets.of(["hunter2"]).mask_header(name, value) == shown


def test_parts_of_headers_and_urls() -> None:
    assert header_secrets("Bearer abc") == ("abc", "Bearer abc")
    assert header_secrets("session=abcdefgh; theme=dark") == ("session=abcdefgh; theme=dark", "abcdefgh")
    assert masked_header("plain") == "***"
    assert userinfo_span("http://u:p@h/") == (7, 10)
    assert userinfo_span("http://h/a@b") is None
    assert userinfo_secrets("us%40er:p%3Aw") == (
        "us%40er:p%3Aw",
        "p%3Aw",
        "p:w",
        "us@er:p:w",
        base64.b64encode(b"us@er:p:w").decode(),
    )
    assert userinfo_secrets("token")[1] == "token"


def test_names() -> None:
    assert is_secret_header("Proxy-Authorization")
    assert not is_secret_header("Content-Type")
    assert is_secret_key("client_secret")
    assert is_secret_key("password")
    assert not is_secret_key("token_count")


def test_variables_that_are_secrets_by_their_names() -> None:
    mask = environment_secrets(
        {"PGPASSWORD": "hunter2", "GITHUB_TOKEN": "ghp-12345", "HOME": "/root/me", "API_KEY": "short"}
    ).mask
    assert mask("psql hunter2 ghp-12345 /root/me short") == "psql *** *** /root/me short"
