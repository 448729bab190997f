"""TLS contexts of a job: private authorities, client certificates, no verification."""

from __future__ import annotations

import os
import ssl
import tempfile

from loadtool.errors import UsageError
from loadtool.plan.job import TlsSpec


def client_context(spec: TlsSpec) -> ssl.SSLContext:
    """The context of one worker. Raises UsageError for certificates or keys that can't be used."""
    try:
        context = ssl.create_default_context(cadata=spec.ca)
    except (ssl.SSLError, ValueError) as e:
        raise UsageError(f"client.tls.ca: want certificates in PEM form: {_reason(e)}") from e
    if not spec.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if spec.cert is not None:
        try:
            _load_chain(context, spec.cert, spec.key)
        except (ssl.SSLError, ValueError) as e:
            raise UsageError(
                f"client.tls.cert: want a certificate and its key, in PEM form: {_reason(e)}"
            ) from e
    return context


def _load_chain(context: ssl.SSLContext, cert: str, key: str | None) -> None:
    # OpenSSL reads these from files only, so they lie on disk for that moment, for nobody else to read.
    with tempfile.TemporaryDirectory(prefix="loadtool-") as directory:
        paths: list[str] = []
        for name, text in (("cert", cert), ("key", key)):
            if text is not None:
                path = os.path.join(directory, name)
                with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                    file.write(text)
                paths.append(path)
        # An empty passphrase: an encrypted key is refused instead of asked for on a terminal.
        context.load_cert_chain(paths[0], paths[1] if key is not None else None, password="")


def _reason(error: Exception) -> str:
    return (getattr(error, "reason", None) or str(error)).lower().replace("_", " ")
