"""The files of `client.tls`: read, and tried out in OpenSSL, before anything is sent."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

FILES: Final = ("ca", "cert", "key")
MOST_BYTES: Final = 16_000_000

# Anything may stand between the blocks, in any encoding; OpenSSL reads a text in ASCII alone.
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----[\x00-\x7f]*?-----END \1-----")
_ENCRYPTED = re.compile(r"BEGIN ENCRYPTED|^Proc-Type: 4,ENCRYPTED", re.MULTILINE)

Report = Callable[[str, str], None]  # the key of `client.tls`, and what is wrong there


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM texts; `cert` may have its key in it. None: not given."""

    ca: str | None = None
    cert: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)


def read_certificates(files: Mapping[str, str], directory: Path, report: Report) -> Certificates:
    """The texts of these files, by their keys, relative to the directory; what is no use is reported."""
    texts = {name: _read(files[name], directory, name, report) for name in FILES if name in files}
    if "key" in files and "cert" not in files:
        report("key", "a key needs its certificate: name that one's file with `cert`")
    ca, cert, key = (texts.get(name) for name in FILES)
    if ca is not None:
        _try_authorities(files["ca"], ca, report)
    if cert is not None and not ("key" in files and key is None):
        _try_chain(files, cert, key, directory, report)
    return Certificates(ca, cert, key)


def _read(file: str, directory: Path, name: str, report: Report) -> str | None:
    """The file's PEM blocks, if there are any of the kind that it is for."""
    path = directory / file
    try:
        problem = "" if path.is_file() else "is not a file" if path.exists() else "no such file"
        if not problem and path.stat().st_size > MOST_BYTES:
            problem = f"is larger than {MOST_BYTES // 1_000_000} MB"
        content = path.read_bytes() if not problem else b""
    except (OSError, ValueError) as e:
        problem = f"cannot be read: {getattr(e, 'strerror', None) or e}"
    if problem:
        report(name, f"{file}: {problem}")
        return None
    text = "\n".join(match[0].decode("ascii") for match in _BLOCK.finditer(content)) + "\n"
    what = "PRIVATE KEY" if name == "key" else "CERTIFICATE"
    if f"{what}-----" not in text:
        der = f"; openssl {'pkey' if name == 'key' else 'x509'} turns DER into PEM"
        hint = der if content[:1] == b"\x30" else ""
        report(name, f"{file}: has no {what.lower()} in PEM form{hint}")
        return None
    return text


def _try_authorities(file: str, text: str, report: Report) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as e:
        report("ca", f"{file}: has no certificate that can be used: {_reason(e)}")


def _try_chain(files: Mapping[str, str], cert: str, key: str | None, directory: Path, report: Report) -> None:
    """A certificate and its key, which are in files of their own or in one."""
    name, text = ("key", key) if key is not None else ("cert", cert)
    file = files[name]
    if "PRIVATE KEY-----" not in text:
        report(name, f"{file}: has no private key in it; name that one's file with `key`")
        return
    if _ENCRYPTED.search(text):
        report(name, f"{file}: the private key is encrypted, want one without a passphrase")
        return
    beside = directory / files["key"] if "key" in files else None
    try:
        # The passphrase is never asked for on a terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(directory / files["cert"], beside, "")
    except ssl.SSLError as e:
        if e.reason == "KEY_VALUES_MISMATCH":
            report(name, f"{file}: the private key is not that of the certificate in {files['cert']}")
        else:
            report("cert", f"{' and '.join(files[n] for n in ('cert', 'key') if n in files)}: {_reason(e)}")
    except (OSError, ValueError) as e:
        report("cert", f"{files['cert']}: cannot be used: {e}")


def _reason(error: Exception) -> str:
    """In OpenSSL's words, if it has any."""
    reason: str | None = getattr(error, "reason", None)
    return reason.lower().replace("_", " ") if reason else "it is damaged"
