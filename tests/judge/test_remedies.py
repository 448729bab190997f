from __future__ import annotations

import pytest

from loadtool.judge.remedies import remedy_for

CA, NAME, MINE, PLAIN, NEW = "{tls: {ca: …}}", "name the target", "{cert: …, key: …}", "http://", "renew"
HTTP1, CHAIN, OTHER = "{http2: true}", "whole chain", "name another one"


@pytest.mark.parametrize(
    ("detail", "remedy"),
    [
        ("127.0.0.1:1: certificate not accepted: unable to get local issuer certificate", CA),
        ("127.0.0.1:1: certificate not accepted: self-signed certificate in certificate chain", CA),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", CA),
        ("certificate not accepted: Hostname mismatch, certificate is not valid for 'a'.", NAME),
        ("certificate not accepted: IP address mismatch, certificate is not valid for '::1'.", NAME),
        ("certificate not accepted: certificate has expired", NEW),
        ("certificate not accepted: certificate is not yet valid", NEW),
        ("[::1]:1: TLS: TLSV13_ALERT_CERTIFICATE_REQUIRED in the middle of the answer", MINE),
        ("TLS: SSLV3_ALERT_HANDSHAKE_FAILURE", MINE),
        ("TLS: SSLV3_ALERT_BAD_CERTIFICATE", MINE),
        ("TLS: TLSV1_ALERT_UNKNOWN_CA", MINE),
        ("TLS: SSLV3_ALERT_CERTIFICATE_EXPIRED before an answer came", MINE),
        ("TLS: SSLV3_ALERT_CERTIFICATE_REVOKED", MINE),
        ("TLS: SSLV3_ALERT_CERTIFICATE_UNKNOWN", MINE),
        ("TLS: SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", MINE),
        ("TLS: TLSV1_ALERT_ACCESS_DENIED", MINE),
        ("TLS: TLSV1_UNRECOGNIZED_NAME", NAME),
        ("TLS: [SSL] tlsv1 unrecognized name (_ssl.c:992)", NAME),
        ("TLS: TLSV1_ALERT_NO_APPLICATION_PROTOCOL", HTTP1),
        ("TLS: [SSL] tlsv1 alert no application protocol (_ssl.c:992)", HTTP1),
        ("127.0.0.1:1: the server does not offer HTTP/2 (ALPN)", HTTP1),
        ("not HTTP/2; it began 'HTTP/1.1 400 Bad Request'", HTTP1),
        ("127.0.0.1:1: TLS: WRONG_VERSION_NUMBER", PLAIN),
    ],
)
def test_what_mends_a_tls_failure(detail: str, remedy: str) -> None:
    known = {CA, NAME, MINE, PLAIN, NEW, HTTP1, CHAIN, OTHER}
    assert {part for part in known if part in remedy_for(detail)} == {remedy}


@pytest.mark.parametrize(
    ("detail", "with_ca", "with_cert"),
    [
        ("certificate not accepted: unable to get local issuer certificate", CHAIN, CA),
        ("certificate not accepted: unable to verify the first certificate", CHAIN, CA),
        ("certificate not accepted: self-signed certificate", CA, CA),
        ("certificate not accepted: certificate has expired", NEW, NEW),
        ("TLS: TLSV13_ALERT_CERTIFICATE_REQUIRED before an answer came", MINE, OTHER),
        ("TLS: SSLV3_ALERT_CERTIFICATE_EXPIRED before an answer came", MINE, OTHER),
        ("TLS: TLSV1_ALERT_UNKNOWN_CA", MINE, OTHER),
    ],
)
def test_what_the_profile_names_already_is_not_asked_for(detail: str, with_ca: str, with_cert: str) -> None:
    assert with_ca in remedy_for(detail, ca=True)
    assert with_cert in remedy_for(detail, cert=True)


@pytest.mark.parametrize(
    ("detail", "remedy"),
    [
        ("the generator got round to it only after its timeout", "--workers"),
        ("no connection was free before the timeout", "client: {connections: …}"),
        ("unix:/run/a: the target's queue of connections was full until the timeout", "net.core.somaxconn"),
    ],
)
def test_what_mends_arrivals_that_never_left(detail: str, remedy: str) -> None:
    assert remedy in remedy_for(detail)


@pytest.mark.parametrize("detail", ["", "Connection refused (ECONNREFUSED)", "TLS: UNEXPECTED_MESSAGE"])
def test_of_other_errors_nothing_is_known(detail: str) -> None:
    assert remedy_for(detail) == ""
