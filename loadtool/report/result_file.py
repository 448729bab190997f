"""result.json on disk, and the directory of a run: written whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import stat
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from loadtool.errors import OutputError, UsageError
from loadtool.measure.result import Result
from loadtool.measure.result_json import dump, load

RESULT_NAME: Final = "result.json"
LONGEST_NAME: Final = 60  # of a profile's name in a directory's: file systems allow 255 bytes in all
_TRIES: Final = 1000
# Where a file is a mount of its own, as a container's may be, or its directory is read-only.
_IRREPLACEABLE: Final = (errno.EBUSY, errno.EROFS, errno.EACCES, errno.EPERM)
_DESCRIPTORS: Final = ("/dev/std", "/dev/fd/", "/proc/")
_OWN_DESCRIPTOR: Final = re.compile(r"/(?:dev|dev/fd|proc/self/fd)/(stdout|stderr|[0-9]+)")


def write_atomically(result: Result, path: Path) -> None:
    """Write the result as JSON: afterwards the file holds all of it, or what it held before.

    Raises OutputError if the disk is full, read-only or otherwise unwilling.
    """
    write_text_atomically(
        json.dumps(dump(result), indent=1, ensure_ascii=False, allow_nan=False) + "\n", path
    )


def write_text_atomically(text: str, path: Path) -> None:
    """Write a text file, whole or not at all, and the directories above it if they are missing.

    Pipes and devices (/dev/stdout) are written to as they are, and so is a file that nothing can take the
    place of. Raises OutputError.
    """
    data = text.encode("utf-8", errors="backslashreplace")
    try:
        if _is_special(path):
            _write(_opened(path), data)
            return
        real = Path(os.path.realpath(path))  # a link stays a link: what it points to is replaced
        real.parent.mkdir(parents=True, exist_ok=True)
        beside = real.with_name(f".{real.name[:LONGEST_NAME]}.{secrets.token_hex(6)}.tmp")
        try:
            _write(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), data, sync=True)
            os.replace(beside, real)
        except BaseException as e:
            with suppress(OSError):  # the first failure is the one to tell of
                os.unlink(beside)
            if not (isinstance(e, OSError) and e.errno in _IRREPLACEABLE and is_open_to_us(real)):
                raise
            _write(os.open(real, os.O_WRONLY | os.O_TRUNC), data, sync=True)
            return
        _sync_directory(real.parent)
    except (OSError, ValueError) as e:
        raise _unwritable(path, e) from e


def is_open_to_us(file: Path) -> bool:
    """Whether this is a file that can be written, though perhaps none beside it."""
    return file.is_file() and os.access(file, os.W_OK)


def file_of(path: Path) -> Path:
    """The result.json that this is, or that is in this directory of a run."""
    return path / RESULT_NAME if os.path.isdir(path) else path  # unlike Path's, no error for a name too long


def read(path: Path) -> Result:
    """The result in this file, or in a run's directory. Raises UsageError if there is no readable one."""
    try:
        file = file_of(path)
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as e:
        raise UsageError(f"{path}: not a result: not UTF-8 text") from e
    except (OSError, ValueError) as e:
        raise UsageError(f"{path}: cannot be read: {_why(e)}; want a result.json or its directory") from e
    try:
        return load(json.loads(text))
    except json.JSONDecodeError as e:
        raise UsageError(f"{file}:{e.lineno}: not JSON: {e.msg} in column {e.colno}") from e
    except (ValueError, RecursionError) as e:  # a number of too many digits, or far too deep a nesting
        raise UsageError(f"{file}: not a result: {e}") from e
    except UsageError as e:
        raise UsageError(f"{file}: {e}") from e


def new_run_directory(base: Path, started: datetime, name: str) -> Path:
    """A new directory below `base` for the run of profile `name`, which no other run has or gets.

    `started` should know its time zone; the directory's name is in UTC. Proves that files can be written
    there, so that a run fails before its load and not after it. Raises UsageError, as nothing was sent yet.
    """
    stamp = started.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    plain = re.sub(r"[^\w.-]+", "-", name).strip("-.")[:LONGEST_NAME] or "run"
    place = base / f"{stamp}-{plain}"
    try:
        base.mkdir(parents=True, exist_ok=True)
        place = _claim(place)
        try:
            prove_room(place)
        except OSError:
            place.rmdir()
            raise
    except OSError as e:
        raise UsageError(
            f"{place}: cannot be written: {_why(e)}; free the disk or choose another place with --out"
        ) from e
    return place


def prove_room(directory: Path) -> None:
    """Make sure that a file in this directory can be made and hold something. Raises OSError."""
    with tempfile.TemporaryFile(dir=directory) as file:
        file.write(b"?")  # an empty file fits on a full disk


def _claim(wanted: Path) -> Path:
    """Make the directory, or the first free of -2, -3, …: runs may start in the same second."""
    for number in range(1, _TRIES):
        place = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        with suppress(FileExistsError):
            place.mkdir()
            return place
    raise FileExistsError(f"{_TRIES} runs in one second")


def _is_special(path: Path) -> bool:
    """An existing pipe, device, socket or open descriptor, which must not be replaced by a file."""
    if str(path).startswith(_DESCRIPTORS):
        return path.exists()
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _opened(path: Path) -> int:
    """A descriptor of something special. Opening /dev/stdout fails where it is a socket, as in a service."""
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND)
    except OSError as e:
        own = _OWN_DESCRIPTOR.fullmatch(str(path))
        if e.errno != errno.ENXIO or own is None:
            raise
        return os.dup(int({"stdout": "1", "stderr": "2"}.get(own[1], own[1])))


def _write(descriptor: int, data: bytes, *, sync: bool = False) -> None:
    with open(descriptor, "wb", closefd=True) as file:
        file.write(data)
        file.flush()
        if sync:
            os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    """Make the rename itself last. Where a file system cannot, the file is there anyway."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _why(error: Exception) -> str:
    if isinstance(error, FileExistsError):
        return "a file is in the way"
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def _unwritable(path: Path, error: Exception) -> OutputError:
    return OutputError(f"{path}: cannot be written: {_why(error)}; free the disk or choose another place")
