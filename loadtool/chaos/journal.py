"""Journal: what a run has done that outlives it if it is killed, written before it does it.

That is whatever it does to a Toxiproxy that is not its own, and commands that have an `undo`.

One file a run, in `$XDG_STATE_HOME/loadtool` or `~/.local/state/loadtool`: a line of JSON that says whose it
is, then one for each change and one for each change taken back. The run holds a lock on the file for as long
as it lives, and the kernel lets go of it when it dies, however it dies: so a journal that can be locked
belongs to a dead run. A line that was cut short in mid-write belongs to a change that was never made.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any, Final, Literal, Self

from loadtool.errors import FaultError

_FORMAT: Final = 1
_SUFFIX: Final = ".journal"

Kind = Literal["proxy", "toxic", "down", "run"]


@dataclass(frozen=True, slots=True)
class Change:
    """Something that has to be taken back.

    A proxy or a toxic of the run, somebody's proxy put down, or a command that was run for the fault `toxic`;
    `undo` is the command that takes that back, in `directory`.
    """

    kind: Kind
    proxy: str = ""
    toxic: str = ""
    undo: str | tuple[str, ...] = ""
    directory: str = ""

    def __str__(self) -> str:
        if self.kind == "toxic":
            return f"toxic {self.toxic} on proxy {self.proxy}"
        if self.kind == "run":
            return f"the command of fault {self.toxic}"
        return f"proxy {self.proxy} disabled" if self.kind == "down" else f"proxy {self.proxy}"

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> Self:
        """Raises TypeError if it is none."""
        undo = value.get("undo", "")
        return cls(**{**value, "undo": undo if isinstance(undo, str) else tuple(undo)})


@dataclass(frozen=True, slots=True)
class Entry:
    """A journal as it was found. `alive`: its run is still going on; `changes` are those not taken back.

    `recovered_by` is the process that is taking back what its run, dead, has left; 0 if none is.
    """

    path: Path
    run: str
    url: str
    pid: int
    started: str
    alive: bool
    changes: tuple[Change, ...]
    recovered_by: int = 0


def state_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Where journals lie. The XDG specification has relative paths ignored.

    Raises FaultError if that is below a home directory, and there is none.
    """
    home = environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(home):
        return Path(home) / "loadtool"
    try:
        return Path.home() / ".local" / "state" / "loadtool"
    except RuntimeError:  # no HOME, and a user without an account, as containers have them
        raise FaultError(
            "there is no place for journals of faults, as this user has no home directory: set XDG_STATE_HOME"
            " to a directory that can be written"
        ) from None


@dataclass(slots=True)
class Journal:
    """The journal of a run that is going on. The file is made by `begin`, or at the first change.

    `url`: of the Toxiproxy, without user and password; "" if that is the run's own, or none. `where`: its
    directory, else `state_directory`, which is looked for once there is something to write.
    """

    url: str
    run: str
    where: Path | None = None
    _file: FileIO | None = None
    _open: list[Change] = field(default_factory=list)

    @property
    def directory(self) -> Path:
        """Raises FaultError if there is none."""
        return self.where if self.where is not None else state_directory()

    @property
    def path(self) -> Path:
        return self.directory / f"{self.run}{_SUFFIX}"

    def begin(self) -> None:
        """Make the file, so that it is known before the load whether that can be done. Raises FaultError."""
        if self._file is None:
            self._file = self._create()

    def record(self, change: Change) -> None:
        """Say that this is about to be done; it is on the disk before this returns. Raises FaultError."""
        if change in self._open:
            return
        self.begin()
        self._append({"do": asdict(change)})
        self._open.append(change)

    def undone(self, change: Change) -> None:
        """Say that this has been taken back, and that this was seen. Raises FaultError."""
        if change in self._open:
            self._append({"undone": asdict(change)})
            self._open.remove(change)

    def close(self) -> None:
        """Let go of the file; it stays only if something in it has not been taken back."""
        if self._file is not None:
            if not self._open:
                with suppress(OSError):  # it says itself that nothing is left to take back
                    self.path.unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _create(self) -> FileIO:
        # Under another name until it is locked: whoever finds a journal unlocked takes its run for dead.
        temporary = self.path.with_suffix(".new")
        head = {
            "format": _FORMAT, "run": self.run, "url": self.url, "pid": os.getpid(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        }  # fmt: skip
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = FileIO(temporary, "x")
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                _write(file, head)
                temporary.rename(self.path)
            except BaseException:
                file.close()
                temporary.unlink()
                raise
        except OSError as e:
            raise self._unwritable(e) from e
        return file

    def _append(self, line: Mapping[str, object]) -> None:
        assert self._file is not None
        try:
            _write(self._file, line)
        except OSError as e:
            raise self._unwritable(e) from e

    def _unwritable(self, error: OSError) -> FaultError:
        where = f"in {self.url}" if self.url else "behind"
        return FaultError(
            f"cannot write the journal {self.path}: {error.strerror}; without one, a killed run would leave"
            f" its faults {where} (set XDG_STATE_HOME to a directory that can be written)"
        )


def _write(file: FileIO, line: Mapping[str, object]) -> None:
    data = json.dumps(line).encode() + b"\n"
    at = file.tell()
    if file.write(data) != len(data):
        file.truncate(at)  # else the next line would be part of this one
        file.seek(at)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(file.fileno())


def entries(directory: Path | None = None) -> list[Entry]:
    """All journals there are, the oldest run first. Raises FaultError if they cannot be read."""
    where = directory if directory is not None else state_directory()
    found = []
    for path in _paths(where):
        with _opened(path) as file:
            if file is not None:
                found.append(_read(path, file, alive=not _lock(file)))
    return sorted(found, key=lambda e: (e.started, e.run))


@dataclass(frozen=True, slots=True)
class Claim:
    """The journal of a dead run, held against everyone else."""

    entry: Entry
    _file: FileIO

    def undone(self, change: Change) -> None:
        """Note that this has been taken back, so that the next recovery leaves it alone."""
        self._note({"undone": asdict(change)})

    def forget(self) -> None:
        """Remove the journal: all of it has been taken back. Raises FaultError."""
        try:
            self.entry.path.unlink(missing_ok=True)
        except OSError as e:
            raise FaultError(f"cannot remove the journal {self.entry.path}: {e.strerror}") from e

    def _note(self, line: Mapping[str, object]) -> None:
        # What can't be noted, on a full disk or in another user's journal, is no reason to leave it in place:
        # the next recovery, if there is one, looks at it again.
        if self._file.writable():
            with suppress(OSError):
                _write(self._file, line)


@contextmanager
def claimed(entry: Entry) -> Iterator[Claim | None]:
    """Hold the journal of a dead run, as it is now; None if it is gone or taken. Raises FaultError."""
    with _opened(entry.path) as file:
        if file is None or not _lock(file):
            yield None
            return
        claim = Claim(_read(entry.path, file, alive=False), file)
        _end_line(file)
        claim._note({"recovered_by": os.getpid()})
        yield claim


def _end_line(file: FileIO) -> None:
    """Cut off a line that was cut short, so that another may follow."""
    file.seek(0)
    whole = file.readall().rfind(b"\n") + 1
    if file.writable() and file.seek(0, os.SEEK_END) > whole:
        file.truncate(whole)
        file.seek(whole)


def _paths(directory: Path) -> list[Path]:
    try:
        return sorted(p for p in directory.iterdir() if p.suffix == _SUFFIX)
    except FileNotFoundError:
        return []
    except OSError as e:
        raise FaultError(f"cannot read the journals in {directory}: {e.strerror}") from e


@contextmanager
def _opened(path: Path) -> Iterator[FileIO | None]:
    try:
        try:
            file = FileIO(path, "r+")  # over NFS only a file open for writing can be locked
        except PermissionError:
            file = FileIO(path, "r")
    except FileNotFoundError:  # its run has ended well in the meantime
        yield None
        return
    except OSError as e:
        raise FaultError(f"cannot read the journal {path}: {e.strerror}") from e
    with file:
        yield file


def _lock(file: FileIO) -> bool:
    """Whether the lock could be had, which means that the run is dead. It goes when the file is closed."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as e:
        raise FaultError(f"cannot lock the journal {file.name}: {e.strerror}") from e
    return True


def _read(path: Path, file: FileIO, *, alive: bool) -> Entry:
    """`alive`: somebody holds it."""
    head: dict[str, object] = {}
    changes: list[Change] = []
    recovered_by = 0
    for line in file.readall().splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        try:
            item = json.loads(line)
            if "do" in item:
                changes.append(Change.of_json(item["do"]))
            elif "undone" in item:
                with suppress(ValueError):
                    changes.remove(Change.of_json(item["undone"]))
            elif "recovered_by" in item:
                recovered_by = int(item["recovered_by"])
            else:
                head = item
        except (ValueError, TypeError) as e:
            raise FaultError(f"the journal {path} is damaged ({e}): look at it, and delete it") from e
    pid = head.get("pid")
    return Entry(
        path, str(head.get("run", path.stem)), str(head.get("url", "")), pid if isinstance(pid, int) else 0,
        str(head.get("started", "")), alive and not recovered_by, tuple(changes),
        recovered_by if alive else 0,
    )  # fmt: skip
