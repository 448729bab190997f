"""Children that end with the run, whatever they do."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trio
from run_harness import alive

from loadtool import processes
from loadtool.errors import SetupError
from loadtool.processes import Child, python, raise_file_limit

PYTHON = sys.executable
INF = resource.RLIM_INFINITY


async def test_our_own_programs_import_nothing_from_where_they_are_started(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')\n")
    (tmp_path / "loadtool").mkdir()
    child = Child("t", python("loadtool.chaos.server", "--port", "0", "--lifeline"), cwd=tmp_path)
    try:
        assert '"url": "http://127.0.0.1:' in await child.read_line()
    finally:
        await child.stop()


async def test_lines_bytes_and_exit() -> None:
    script = (
        "import sys; print('ready', flush=True); sys.stdout.write('abcdef'); "
        "sys.exit(sys.stdin.read() != 'x')"
    )
    child = Child("echo", [PYTHON, "-c", script])
    assert await child.read_line() == "ready"
    await child.stdin.send_all(b"x")
    await child.stdin.aclose()
    assert await child.peek(3) == b"abc"
    child.take(2)
    assert await child.peek(4) == b"cdef"
    with pytest.raises(EOFError):
        await child.peek(5)
    assert await child.wait() == 0
    assert await child.stop() == 0


async def test_one_that_ends_before_it_is_ready_says_how() -> None:
    child = Child("the server", [PYTHON, "-c", "import sys; sys.exit('port 80 is taken')"])
    with pytest.raises(
        SetupError, match=r"^the server ended before it was ready \(exit code 1: port 80 is taken\)$"
    ):
        await child.read_line()
    await child.stop()


async def test_one_that_is_never_ready(autojump_clock: trio.testing.MockClock) -> None:
    child = Child("the server", [PYTHON, "-c", "import sys; sys.stdin.read()"])
    try:
        with pytest.raises(SetupError, match=r"^the server was not ready after 5 s \(still running\)$"):
            await child.read_line(5)
    finally:
        child.kill()
        child._popen.wait()
        await child.stop()


def test_one_that_cannot_be_started() -> None:
    with pytest.raises(SetupError, match=r"^cannot start it \(/no/such\): No such file or directory$"):
        Child("it", ["/no/such"])


async def test_a_foreign_one_that_cannot_be_started() -> None:
    child = Child("it", ["/no/such"], foreign=True)
    assert await child.wait() == 1
    await child.stop()
    child.take_rest_of_output()  # a thread takes it, which may be late
    assert "cannot start /no/such" in child.stderr_tail()


@pytest.mark.parametrize(
    "script",
    [
        "import sys; print(1, flush=True); sys.stdin.read()",
        "import signal as s, time; s.signal(s.SIGTERM, s.SIG_IGN); print(1, flush=True); time.sleep(60)",
        "import os, signal; print(1, flush=True); os.kill(os.getpid(), signal.SIGSTOP)",
        "import subprocess as s, time; print(s.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)",
    ],
    ids=["watches its stdin", "ignores SIGTERM", "is stopped", "has a child of its own"],
)
async def test_stop_ends_it(script: str) -> None:
    child = Child("it", [PYTHON, "-c", script])
    number = int(await child.read_line())
    await child.stop(patience_s=0.3)
    assert not alive(child.pid)
    give_up = time.monotonic() + 10
    while number != 1 and alive(number):  # a signal to somebody else's child arrives when it arrives
        assert time.monotonic() < give_up, "its child lives on"
        await trio.sleep(0.01)
    await child.stop()


async def test_a_chatty_child_is_not_blocked_and_only_its_end_is_kept() -> None:
    script = "for i in range(100_000): print('line', i)"
    child = Child("it", [PYTHON, "-c", script], foreign=True)
    assert await child.wait() == 0
    await child.stop()
    give_up = time.monotonic() + 10
    while not child.stderr_tail().endswith("line 99999\n"):
        assert time.monotonic() < give_up
        await trio.sleep(0.01)
    assert len(child.stderr_tail()) < 40_000


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ("exit 7", 7, ""),
        ("kill -9 $$", -signal.SIGKILL, ""),
        ("kill -TERM $$", -signal.SIGTERM, ""),
        ("kill -USR1 $$", -signal.SIGUSR1, ""),
        ("yes | head -1", 0, "y"),  # nobody complains of a broken pipe
    ],
)
async def test_a_foreign_one_ends_as_the_program_did(script: str, code: int, words: str, kept: bool) -> None:
    child = Child("it", ["/bin/sh", "-c", script], foreign=True, kept=kept)
    assert await child.wait() == code
    child.take_rest_of_output()
    assert child.stderr_tail().strip() == words
    assert await child.stop() == code


async def test_what_is_kept_hears_of_its_end_first() -> None:
    script = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.01; done"
    child = Child("it", ["/bin/sh", "-c", script], foreign=True, kept=True, output=True)
    assert await child.read_line() == "ready"
    assert await child.stop(patience_s=30) == 3


async def test_one_that_has_ended_keeps_its_number_until_it_is_let_go() -> None:
    """So a signal to its group cannot hit a process that was given the same number meanwhile."""
    if not hasattr(os, "waitid"):
        pytest.skip("this machine's Python cannot look without reaping")
    child = Child("it", ["/bin/sh", "-c", "exit 3"], foreign=True)
    assert await child.wait() == 3
    assert (child.running, child.returncode) == (False, 3)
    os.killpg(child.pid, 0)  # still its own
    await child.release()
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)
    child.kill()
    assert await child.stop() == 3


def test_what_is_kept_dies_with_a_killed_parent_and_all_that_it_started() -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("this machine has no parent-death signal, which is Linux's")
    script = (
        "import time, trio\nfrom loadtool.processes import Child\n"
        "async def main():\n"
        "    shell = 'sleep 60 & echo $!; wait; echo'\n"
        "    it = Child('it', ['/bin/sh', '-c', shell], foreign=True, kept=True, output=True)\n"
        "    print(it.pid, await it.read_line(), flush=True)\n"
        "    await trio.sleep(60)\n"
        "trio.run(main)"
    )
    parent = subprocess.Popen([PYTHON, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 2
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    give_up = time.monotonic() + 20
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < give_up, "they live on"
        time.sleep(0.01)


def test_a_foreign_child_dies_with_a_killed_parent(tmp_path: Path) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("this machine has no parent-death signal, which is Linux's")
    script = (
        "import time; from loadtool.processes import Child; "
        "print(Child('it', ['sleep', '60'], foreign=True).pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([PYTHON, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    give_up = time.monotonic() + 20
    while not Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sleep"):
        assert time.monotonic() < give_up, "it was never started"
        time.sleep(0.01)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    while alive(pid):
        assert time.monotonic() < give_up, "it lives on"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("soft", "hard", "too_much", "tried"),
    [
        (1024, 4096, None, [4096]),
        (4096, 4096, None, []),
        (1024, INF, None, [INF]),
        (INF, INF, None, []),
        (256, INF, 20_000, [INF, 10_240]),  # macOS refuses its own hard limit
        (1024, 8192, 1, [8192, 10_240]),  # nothing goes: it stays as it is
    ],
)
def test_the_file_limit_is_raised_as_far_as_it_goes(
    soft: int, hard: int, too_much: int | None, tried: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def setrlimit(_: int, limits: tuple[int, int]) -> None:
        asked.append(limits[0])
        assert limits[1] == hard
        if too_much is not None and (limits[0] == INF or limits[0] > too_much):
            raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    raise_file_limit()
    assert asked == tried


async def test_what_is_watched_for_is_counted_however_it_comes() -> None:
    """In two parts, twice in one, or so long ago that the tail has lost it."""
    script = (
        "import sys; from time import sleep; sys.stdin.readline(); say = sys.stderr; "
        "say.write('xab'); say.flush(); sleep(0.2); say.write('cabcabc..ab'); say.write('x' * 100_000)"
    )
    child = Child("it", [PYTHON, "-c", script], watched=["abc", "never"])
    try:
        await child.stdin.send_all(b"go\n")
        await child.wait()
        child.take_rest_of_output()
        assert (child.times_written("abc"), child.times_written("never")) == (3, 0)
        assert "abc" not in child.stderr_tail()
    finally:
        await child.stop()


async def test_what_it_left_in_its_pipes_is_taken_however_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though what it has started holds them open for longer than anybody would wait."""
    monkeypatch.setattr(processes._Tail, "_drain", lambda self: None)  # as where nothing runs it in time
    script = "sleep 600 & echo KEY=1; echo oh no >&2; exit 3"
    child = Child("it", ["/bin/sh", "-c", script], foreign=True, output=True, watched=["oh no"])
    try:
        assert await child.wait() == 3
        assert child.times_written("oh no") == 0
        for _ in range(2):
            child.take_rest_of_output()
        assert child.times_written("oh no") == 1
        assert child.last_words() == "exit code 3: oh no"
        assert child.rest_of_stdout() == b"KEY=1\n"
        assert child.rest_of_stdout() == b""
    finally:
        await child.stop()


async def test_ours_speak_utf_8_and_programs_as_they_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "utf-16-le")
    script = [PYTHON, "-c", "print('é', flush=True); import time; time.sleep(600)"]
    for foreign, said in ((False, "é".encode()), (True, "é".encode("utf-16-le"))):
        child = Child("it", script, foreign=foreign, output=True)
        try:
            assert await child.peek(2) == said
        finally:
            await child.stop()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'panic: no index'; echo; echo 'goroutine 1 [running]:'", "panic: no index"),
        ("echo up; echo 'fatal error: map writes'; seq 20000", "fatal error: map writes"),
        ("echo 'panic: a'; echo 'panic: b'; seq 20000; echo 'panic: c'", "panic: a"),
        ("echo 'no panic: here'; echo 'fatal errors: none'; echo gone", "gone"),
        ("true", ""),
    ],
)
async def test_a_panic_is_told_by_its_reason_not_by_the_end_of_a_stack(script: str, words: str) -> None:
    child = Child("it", ["/bin/sh", "-c", f"{script}; exit 2"], foreign=True)
    try:
        await child.wait()
        child.take_rest_of_output()
        assert child.last_words() == ": ".join(["exit code 2", words][: 1 + bool(words)])
    finally:
        await child.stop()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("raise ExceptionGroup('a nursery', [ValueError('oh no')])", "ValueError: oh no"),
        ("raise ExceptionGroup('a', [ExceptionGroup('b', [OSError(24, 'x')])])", "OSError: [Errno 24] x"),
        ("raise ValueError('oh no')", "ValueError: oh no"),
        ("import sys; sys.exit('- oh | no -')", "- oh | no -"),
        ("import sys; sys.exit('  +---+')", ""),
    ],
)
async def test_its_last_words_are_words(script: str, words: str) -> None:
    """Not the frame that Python draws around the exceptions of a group."""
    child = Child("it", [PYTHON, "-c", script])
    try:
        await child.wait()
        child.take_rest_of_output()
        assert child.last_words() == (f"exit code 1: {words}" if words else "exit code 1")
    finally:
        await child.stop()


@pytest.mark.parametrize(
    ("late_s", "state"),
    [
        (5, "exit code 3"),
        (11, "still running"),  # nobody waits for ever
    ],
)
async def test_one_whose_pipe_ends_long_before_itself_says_how(
    mock_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, late_s: float, state: str
) -> None:
    """As on a busy machine, which tells of the one and of the other in its own time."""
    script = (
        "import os, sys; print('no room', file=sys.stderr, flush=True); os.close(1); "
        "sys.stdin.read(); sys.exit(3)"
    )

    async def late(child: Child) -> int:
        mock_clock.jump(late_s)
        if state != "still running":
            await child.stdin.aclose()
        while (code := child.returncode) is None:
            await trio.lowlevel.checkpoint()
        return code

    monkeypatch.setattr(processes._Tail, "_drain", lambda self: None)
    monkeypatch.setattr(Child, "wait", late)
    child = Child("the server", [PYTHON, "-c", script])
    try:
        with pytest.raises(SetupError) as e:
            await child.read_line(60)
        assert str(e.value) == f"the server ended before it was ready ({state}: no room)"
    finally:
        child.kill()
        child._popen.wait()
        await child.stop()
