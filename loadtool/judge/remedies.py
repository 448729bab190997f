"""Remedies: what to do about a target that gives no answer, by what its error says."""

from __future__ import annotations

from typing import Final

_UNCHECKED: Final = "skip the check with `client: {tls: {verify: false}}`"
_INCOMPLETE: Final = ("unable to get local issuer", "unable to verify the first")
_REFUSED: Final = (
    "CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE", "BAD_CERTIFICATE", "UNKNOWN_CA",
    "ALERT_CERTIFICATE_EXPIRED", "ALERT_CERTIFICATE_REVOKED", "ALERT_CERTIFICATE_UNKNOWN",
    "ALERT_UNSUPPORTED_CERTIFICATE", "ALERT_ACCESS_DENIED",
)  # fmt: skip

# The first row of which a part occurs in the error's words. Those are OpenSSL's and the engine's.
_ROWS: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    (("ismatch, certificate",), f"name the target as its certificate does, or {_UNCHECKED}"),
    (("certificate has expired", "not yet valid"), f"renew the target's certificate, or {_UNCHECKED}"),
    (
        ("certificate not accepted", "CERTIFICATE_VERIFY_FAILED"),
        f"name a file with the certificate of its authority in `client: {{tls: {{ca: …}}}}`, or {_UNCHECKED}",
    ),
    (
        _REFUSED,
        "the target may want a certificate of its clients: name one with `client: {tls: {cert: …, key: …}}`",
    ),
    (
        ("UNRECOGNIZED_NAME", "unrecognized name"),
        "the target has no certificate for that name: name the target as its certificate does",
    ),
    (
        # Python does not know OpenSSL's name of this one everywhere.
        ("NO_APPLICATION_PROTOCOL", "no application protocol", "does not offer HTTP/2", "not HTTP/2"),
        "it does not speak HTTP/2 there: leave out `client: {http2: true}`",
    ),
    (
        ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"),
        "it does not speak TLS there; see whether the target should begin with http://, or has another port",
    ),
    (
        ("the generator got round to it only",),
        "fewer requests per core, more --workers, or a quieter machine",
    ),
    (
        ("queue of connections",),
        "see that the target accepts its connections, or let it queue more of them (the backlog that it "
        "listens with, up to net.core.somaxconn)",
    ),
    (
        ("no connection was free",),
        "see that it is up and answers, or give the load more of them with `client: {connections: …}`",
    ),
)


# What replaces the above where the profile names that already.
_WITH_CA: Final = (
    "let the target send its whole chain, or put its authority and all certificates between into the file of "
    f"`client: {{tls: {{ca: …}}}}`, or {_UNCHECKED}"
)
_WITH_CERT: Final = (
    "the target may not accept the certificate of `client: {tls: {cert: …}}`: name another one"
)


def remedy_for(detail: str, *, ca: bool = False, cert: bool = False) -> str:
    """What to do about an error with these words, if anything is known of it; else empty.

    `ca`, `cert`: whether the profile's `client.tls` names an authority, and a certificate for the target.
    """
    if ca and any(part in detail for part in _INCOMPLETE):
        return _WITH_CA
    if cert and any(part in detail for part in _REFUSED):
        return _WITH_CERT
    return next((remedy for parts, remedy in _ROWS if any(part in detail for part in parts)), "")
