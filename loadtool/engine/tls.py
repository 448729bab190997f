"""TLS contexts of a job: private authorities, client certificates, no verification."""

from __future__ import annotations

import os
import ssl
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from loadtool.errors import UsageError
from loadtool.plan.job import TlsSpec

_AN_END_IS_AN_END: Final = getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)  # OpenSSL has it from 3.0 on
_DESCRIPTORS: Final = "/proc/self/fd"


def client_context(spec: TlsSpec) -> ssl.SSLContext:
    """The context of one worker. Raises UsageError for certificates or keys that can't be used."""
    try:
        context = ssl.create_default_context(cadata=spec.ca)
        # Without close_notify what was said may have been cut by anyone. Some Pythons, such as the 3.11.2 of
        # Debian, have OpenSSL take that for its end.
        context.options &= ~_AN_END_IS_AN_END
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
    with ExitStack() as stack:
        paths = [stack.enter_context(_as_file(text)) for text in (cert, key) if text is not None]
        # An empty passphrase: an encrypted key is refused instead of asked for on a terminal.
        context.load_cert_chain(paths[0], paths[1] if key is not None else None, password="")


@contextmanager
def _as_file(text: str) -> Iterator[str]:
    """A path where OpenSSL, which reads these from files only, finds the text: of memory, not on a disk.

    Where there is no such thing, it is a file for that moment, for nobody else to read.
    """
    if sys.platform == "linux" and os.path.isdir(_DESCRIPTORS):
        with open(os.memfd_create("loadtool"), "w") as file:
            file.write(text)
            file.flush()
            yield f"{_DESCRIPTORS}/{file.fileno()}"
        return
    with tempfile.NamedTemporaryFile("w", prefix="loadtool-") as file:  # mode 0600
        file.write(text)
        file.flush()
        yield file.name


def _reason(error: Exception) -> str:
    return (getattr(error, "reason", None) or str(error)).lower().replace("_", " ")
