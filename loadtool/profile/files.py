"""Reading text files so that whatever goes wrong is a ValueError with a plain sentence."""

from __future__ import annotations

import stat
from pathlib import Path


class NotText(ValueError):
    """The bytes are not UTF-8. `line` counts from 1."""

    def __init__(self, line: int, byte: int) -> None:
        super().__init__(f"not UTF-8 text: byte 0x{byte:02x}; save the file as UTF-8")
        self.line = line


def read_text(path: Path, *, most_bytes: int | None = None) -> str:
    """The file's text, without a byte order mark. Raises ValueError.

    With `most_bytes`, nothing is read past them, and a pipe will do too, as in `--profile <(make-profile)`.
    """
    if "\0" in str(path):
        raise ValueError("cannot be read: a name with a null character")
    try:
        if most_bytes is None and not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
            raise ValueError("is not a regular file")
        with path.open("rb") as file:
            data = file.read(-1 if most_bytes is None else most_bytes + 1)
    except FileNotFoundError:
        raise ValueError("no such file") from None
    except IsADirectoryError:
        raise ValueError("is a directory, want a file") from None
    except OSError as e:
        raise ValueError(f"cannot be read: {e.strerror or e}") from None
    if most_bytes is not None and len(data) > most_bytes:
        raise ValueError(f"is larger than {most_bytes // 1_000_000} MB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise NotText(data.count(b"\n", 0, e.start) + 1, data[e.start]) from None
