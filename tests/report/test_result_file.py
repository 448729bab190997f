"""result.json on disk: whole or not at all, in a directory of its own."""

from __future__ import annotations

import errno
import json
import os
import resource
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from loadtool import run
from loadtool.commands import outputs
from loadtool.errors import OutputError, UsageError
from loadtool.measure.result import Engine, HistogramEntry, Result
from loadtool.report import result_file
from loadtool.report.result_file import new_run_directory, read, write_atomically, write_text_atomically

NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def a_result() -> Result:
    return Result(
        "0.1.0",
        "2026-03-01T12:00:00Z",
        7,
        {"name": "ü"},
        "x.yaml",
        Engine(),
        1.5,
        500.0,
        histograms=[HistogramEntry("spike", [], "browse", "ok", "HISTFAAA")],
    )


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "new" / "result.json"
    write_atomically(a_result(), file)
    assert read(file) == read(file.parent) == a_result()
    assert next(iter(json.loads(file.read_text()))) == "format"
    assert os.listdir(file.parent) == ["result.json"]


def test_the_file_has_the_rights_that_other_files_get(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    write_text_atomically("x", tmp_path / "file")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "result.json"
    file.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError) as caught:
        write_atomically(a_result(), file)
    assert str(caught.value) == (
        f"{file}: cannot be written: No space left on device; free the disk or choose another place"
    )
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.json"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write_text_atomically("new", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    came: list[str] = []
    reader = threading.Thread(target=lambda: came.append(pipe.read_text()), daemon=True)
    reader.start()
    write_text_atomically("through", pipe)
    reader.join(10)
    assert came == ["through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_open_descriptors_are_written_to(tmp_path: Path) -> None:
    with open(tmp_path / "out", "w+") as out:
        out.write("before ")
        out.flush()
        write_text_atomically("after", Path(f"/dev/fd/{out.fileno()}"))
    assert (tmp_path / "out").read_text() == "before after"


def test_an_open_socket_is_written_to() -> None:
    """As standard output is in a service; it can't be opened once more."""
    here, there = socket.socketpair()
    with here, there:
        write_text_atomically("after", Path(f"/dev/fd/{here.fileno()}"))
        assert there.recv(99) == b"after"


@pytest.mark.skipif(sys.platform != "linux", reason="this machine has no /proc to read")
def test_a_socket_of_another_process_is_not_ours_of_the_same_number() -> None:
    child = "import socket, sys; a, b = socket.socketpair(); print(a.fileno(), flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", child], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        number = int(other.stdout.readline())
        with pytest.raises(OutputError, match="cannot be written: No such device or address"):
            write_text_atomically("x", Path(f"/proc/{other.pid}/fd/{number}"))
        other.communicate()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no /dev/full")
def test_a_full_disk_is_told_in_one_line() -> None:
    with pytest.raises(OutputError, match=r"^/dev/full: cannot be written: No space left on device; free "):
        write_text_atomically("x", Path("/dev/full"))


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "directory").mkdir()
    for place, why in (
        (tmp_path / "file" / "x", "Not a directory"),
        (tmp_path / "directory", "Is a directory"),
        (tmp_path / ("x" * 300), "File name too long"),
        (Path("a\0b"), "embedded null byte|null"),
    ):
        with pytest.raises(OutputError, match=rf"cannot be written: .*({why})"):
            write_text_atomically("x", place)
    assert sorted(os.listdir(tmp_path)) == ["directory", "file"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{\n1}", ":2: not JSON: Expecting property name enclosed in double quotes in column 1"),
        (b"", ":1: not JSON: Expecting value in column 1"),
        (b"\xff", ": not a result: not UTF-8 text"),
        (b"[]", ": not a result: got no `format`, want a result.json that loadtool wrote"),
        (
            b'{"format": 1, "series": [{"t": 0}, {"t": 1e308}]}',
            ": not a result: series[1].t: got 1e+308, want a number that can be measured",
        ),
        (
            b'{"format": 1, "faults": [{"planned_s": [1, 1e18]}]}',
            ": not a result: faults[0].planned_s[1]: got 1e+18, want a number that can be measured",
        ),
        (b'{"format": 1, "slice_s": 0.0}', ": not a result: slice_s: got 0.0, want more than 0 s"),
        (
            b'{"format": 1, "elapsed_s": -Infinity}',
            ": not a result: elapsed_s: got -inf, want a number that can be measured",
        ),
        (
            b'{"format": 1, "totals": {"ok": NaN}}',
            ": not a result: totals.ok: got nan, want a number that can be measured",
        ),
        (b'{"format": 9}', ": format: got 9, written, want 1; update loadtool to read it"),
        (b"[" * 100_000, ": not a result: "),
        (b'{"format": ' + b"9" * 5000 + b"}", ": not a result: "),
    ],
)
def test_files_that_are_no_results(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "result.json"
    file.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read(file)
    assert str(caught.value).startswith(f"{file}{message}")
    assert "\n" not in str(caught.value)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for place, why in (
        (tmp_path / "gone.json", "No such file"),
        (tmp_path, "No such file"),
        (Path("\0"), "null"),
    ):
        with pytest.raises(
            UsageError, match=rf"cannot be read: .*{why}.*; want a result.json or its directory$"
        ):
            read(place)


def test_runs_of_the_same_second_get_directories_of_their_own(tmp_path: Path) -> None:
    base = tmp_path / "loadtool-results"
    east = NOON.astimezone(timezone(timedelta(hours=9)))
    places = [new_run_directory(base, when, "checkout 10x/../ü") for when in (NOON, east, NOON)]
    assert [place.name for place in places] == [
        "20260301T120000Z-checkout-10x-..-ü",
        "20260301T120000Z-checkout-10x-..-ü-2",
        "20260301T120000Z-checkout-10x-..-ü-3",
    ]
    assert all(place.parent == base and os.listdir(place) == [] for place in places)


@pytest.mark.parametrize(
    ("name", "shown"), [("", "run"), ("../..", "run"), ("x" * 300, "x" * 60), (".hidden", "hidden")]
)
def test_any_name_makes_a_directory(tmp_path: Path, name: str, shown: str) -> None:
    assert new_run_directory(tmp_path, NOON, name).name == f"20260301T120000Z-{shown}"


def test_simultaneous_runs_never_share_a_directory(tmp_path: Path) -> None:
    places: list[Path] = []
    start = threading.Barrier(8)

    def run() -> None:
        start.wait()
        places.append(new_run_directory(tmp_path, NOON, "x"))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(places)) == 8


def test_a_directory_that_cannot_be_written_is_told_before_the_load(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        UsageError, match=r"/file/20260301T120000Z-x: cannot be written: a file is in the way; free"
    ):
        new_run_directory(tmp_path / "file", NOON, "x")


@contextmanager
def no_room() -> Iterator[None]:
    """Files can be made, as on a full disk, and hold nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_without_room_is_told_before_the_load(tmp_path: Path) -> None:
    with (
        no_room(),
        pytest.raises(UsageError, match=r"20260301T120000Z-x: cannot be written: File too large"),
    ):
        new_run_directory(tmp_path / "new", NOON, "x")
    assert os.listdir(tmp_path / "new") == []
    with no_room(), pytest.raises(UsageError) as told:
        run.run_directory(tmp_path, NOON, "x")
    assert str(told.value) == f"--out: got {tmp_path}, want a directory that can be written: File too large"
    assert os.listdir(tmp_path) == ["new"]
    assert run.run_directory(tmp_path / "new", NOON, "x").path == tmp_path / "new"
    assert os.listdir(tmp_path / "new") == []


def test_a_link_is_proven_where_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link.html").symlink_to(tmp_path / "file" / "report.html")
    with pytest.raises(UsageError, match=r"--html: got .*/link.html, want a file that can be written: "):
        outputs.prove_writable([outputs.Wanted("html", tmp_path / "link.html")])


@pytest.mark.parametrize("there", [True, False])
def test_a_file_that_is_a_mount_of_its_own_is_written_in_place(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace(_: object, to: Path) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    place = tmp_path / "slos.xml"
    if there:
        place.write_text("what was there before, which is longer")
    monkeypatch.setattr(os, "replace", replace)
    if there:
        write_text_atomically("new", place)
        assert place.read_text() == "new"
    else:
        with pytest.raises(OutputError, match="Device or resource busy"):
            write_text_atomically("new", place)
    assert os.listdir(tmp_path) == ["slos.xml"] * there


@pytest.mark.parametrize("there", [True, False])
def test_a_file_in_a_directory_that_is_read_only_is_written_in_place(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def read_only(path: object, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return opened(path, flags, mode)  # type: ignore[arg-type]  # whatever it is given

    def prove(_: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    place = tmp_path / "slos.xml"
    if there:
        place.touch()
    monkeypatch.setattr(result_file, "prove_room", prove)
    monkeypatch.setattr(os, "open", read_only)
    if there:
        outputs.prove_writable([outputs.Wanted("junit", place)])
        write_text_atomically("new", place)
    else:
        with pytest.raises(UsageError, match=r"--junit: got .*/slos.xml, want a file that can be written"):
            outputs.prove_writable([outputs.Wanted("junit", place)])
        with pytest.raises(OutputError, match="Read-only file system"):
            write_text_atomically("new", place)
    monkeypatch.undo()
    assert [path.read_text() for path in tmp_path.iterdir()] == ["new"] * there
