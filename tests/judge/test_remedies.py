from __future__ import annotations

import pytest

from loadtool.judge.remedies import remedy_for

CA, NAME, MINE, PLAIN, NEW = "{tls: {ca: …}}", "name the target", "{cert: …, key: …}", "http://", "renew"


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
        ("127.0.0.1:1: TLS: WRONG_VERSION_NUMBER", PLAIN),
    ],
)
def test_what_mends_a_tls_failure(detail: str, remedy: str) -> None:
    known = {CA, NAME, MINE, PLAIN, NEW}
    assert {part for part in known if part in remedy_for(detail)} == {remedy}


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
