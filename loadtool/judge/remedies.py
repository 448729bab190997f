"""Remedies: what to do about a target that gives no answer, by what its error says."""

from __future__ import annotations

from typing import Final

_UNCHECKED: Final = "skip the check with `client: {tls: {verify: false}}`"

# The first row of which a part occurs in the error's words. Those are OpenSSL's and the engine's.
_ROWS: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    (("ismatch, certificate",), f"name the target as its certificate does, or {_UNCHECKED}"),
    (("certificate has expired", "not yet valid"), f"renew the target's certificate, or {_UNCHECKED}"),
    (
        ("certificate not accepted", "CERTIFICATE_VERIFY_FAILED"),
        f"name a file with the certificate of its authority in `client: {{tls: {{ca: …}}}}`, or {_UNCHECKED}",
    ),
    (
        ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE", "BAD_CERTIFICATE", "UNKNOWN_CA"),
        "the target may want a certificate of its clients: name one with `client: {tls: {cert: …, key: …}}`",
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


def remedy_for(detail: str) -> str:
    """What to do about an error with these words, if anything is known of it; else empty."""
    return next((remedy for parts, remedy in _ROWS if any(part in detail for part in parts)), "")
