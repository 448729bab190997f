"""Children of a run: workers, the demo target, Toxiproxy. None of them outlives the coordinator.

Each child leads a process group of its own, so that Ctrl-C in the terminal reaches the coordinator alone,
which then decides. Our own children hold the read end of their stdin as a lifeline: end of file means that
the coordinator is gone. Programs that are not ours start through a shim that asks the kernel to kill them
with their parent (prctl PR_SET_PDEATHSIG, Linux only). That signal reaches the program alone, so one that
starts others, such as a shell, has a keeper: the shim stays, waits for it and, told of the parent's death,
kills the whole group.

`subprocess.Popen` is called directly, from the main thread: the parent-death signal is tied to the *thread*
that forked, and trio's own process API forks in a worker thread that goes away after ten idle seconds.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import resource
import select
import signal
import subprocess
import sys
import termios
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import trio

from loadtool.errors import SetupError

_TAIL_BYTES = 16 * 1024
_PANIC = re.compile(rb"^(?:panic|fatal error): .+$", re.MULTILINE)
_LINE_LIMIT = 1024 * 1024
_FRAME = " \t\r\f\v+-|"  # what Python draws around the exceptions of a group
_LAST_RESORT_LIMIT = 10_240  # of open files, where the hard limit itself is refused (macOS)
_ENDING_S = 10.0  # from the end of a child's output to its own; on a busy machine it takes a while

# Runs in the child before the real program: argv is [-c, parent's pid, program, arguments...]. Python ignores
# two signals, which a program would inherit.
_SHIM = """
import ctypes, os, signal, sys
def dies_with_parent(signal_number):
    try:
        ctypes.CDLL(None, use_errno=True).prctl(1, signal_number, 0, 0, 0)
    except (AttributeError, OSError):
        pass
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the parent is gone")
def become_program():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execvp(sys.argv[2], sys.argv[2:])
    except OSError as e:
        sys.exit(f"cannot start {sys.argv[2]}: {e.strerror}")
"""
_ALONE = f"{_SHIM}dies_with_parent(signal.SIGKILL)\nbecome_program()\n"
# Ends as the program did. What ends the group is for the program to heed or not; the keeper waits for it.
_KEEPER = f"""{_SHIM}
told = getattr(signal, "SIGRTMAX", signal.SIGUSR2)
heeded = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
signal.signal(told, lambda *_: os.killpg(0, signal.SIGKILL))
dies_with_parent(told)
signal.pthread_sigmask(signal.SIG_BLOCK, heeded)
pid = os.fork()
if pid == 0:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, heeded)
    become_program()
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
if code < 0:
    import resource
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if code != -signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [-code])
    os.kill(os.getpid(), -code)
os._exit(code)
"""


def python(module: str, *arguments: str) -> list[str]:
    """The command line of one of our own modules; nothing that lies in the working directory is imported."""
    return [sys.executable, "-P", "-m", module, *arguments]


def raise_file_limit() -> None:
    """Raise this process's soft limit of open files to its hard limit, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (hard, _LAST_RESORT_LIMIT):
        if soft == resource.RLIM_INFINITY or (limit != resource.RLIM_INFINITY and limit <= soft):
            return
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            return
        except (ValueError, OSError):
            continue


class Child:
    """A running child process. Construct it in the main thread; `stop()` it in a shielded scope."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        foreign: bool = False,
        kept: bool = False,
        output: bool | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        watched: Sequence[str] = (),
    ) -> None:
        """Start `argv`. Raises SetupError if it cannot be started.

        `foreign`: a program that does not watch its stdin. `kept`: one that starts others, which while it
        runs do not outlive this process either. `output`: whether its stdout can be read; if not (the default
        for a foreign one), it goes where its stderr goes. `watched`: the texts of `times_written`.
        """
        output = not foreign if output is None else output
        self.name = name
        shim = [sys.executable, "-I", "-S", "-c", _KEEPER if kept else _ALONE, str(os.getpid())]
        command = [*shim, *argv] if foreign else list(argv)
        if env is None and not foreign:  # what ours say is read as UTF-8, however people want to read us
            env = {name: value for name, value in os.environ.items() if name != "PYTHONIOENCODING"}
        try:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL if foreign else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if output else subprocess.STDOUT,
                bufsize=0,
                process_group=0,
                env=dict(env) if env is not None else None,
                cwd=cwd,
            )
        except OSError as e:
            raise SetupError(f"cannot start {name} ({argv[0]}): {e.strerror or e}") from e
        self.pid = self._popen.pid
        self._pidfd = _open_pidfd(self.pid)
        self._buffer = bytearray()
        stdin, stdout, stderr = self._popen.stdin, self._popen.stdout, self._popen.stderr
        assert stdout is not None
        self._streams: list[trio.lowlevel.FdStream] = []
        if stdin is not None:
            self.stdin = trio.lowlevel.FdStream(os.dup(stdin.fileno()))
            self._streams.append(self.stdin)
        if stderr is not None:
            self.stdout = trio.lowlevel.FdStream(os.dup(stdout.fileno()))
            self._streams.append(self.stdout)
        self._tail = _Tail(os.dup((stderr or stdout).fileno()), watched)
        for pipe in (stdin, stdout, stderr):
            if pipe is not None:
                pipe.close()

    @property
    def running(self) -> bool:
        return self.returncode is None

    @property
    def returncode(self) -> int | None:
        """Exit status, negative for a signal; None while it runs.

        It is not reaped before `stop` or `release`: as long as that, its number and its group's are not
        given to others, whom a signal to the group would hit.
        """
        return _exit_status(self._popen)

    def stderr_tail(self) -> str:
        """The last text that the child wrote to stderr (a foreign one: or stdout)."""
        return self._tail.text()

    def times_written(self, text: str) -> int:
        """How often it has written one of the watched texts, where `stderr_tail` comes from."""
        return self._tail.written[text.encode()]

    def last_words(self) -> str:
        """How it ended and the last line that it wrote, for a message; of a Go program's panic the first."""
        code = self.returncode
        if code is None:
            state = "still running"
        elif code < 0:
            state = f"killed by {_signal_name(-code)}"
        else:
            state = f"exit code {code}"
        lines = [line for line in self.stderr_tail().splitlines() if line.strip(_FRAME)]
        last = lines[-1].strip().removeprefix("| ") if lines else ""
        said = (self._tail.panic() if code is not None else "") or last
        return f"{state}: {said}" if said else state

    async def read_line(self, deadline_s: float = 10.0) -> str:
        """The next line of stdout, without its end.

        Raises SetupError if the child ended, said nothing for `deadline_s` or sent an endless line.
        """
        with trio.move_on_after(deadline_s):
            while (end := self._buffer.find(b"\n")) < 0:
                if len(self._buffer) > _LINE_LIMIT:
                    raise SetupError(f"{self.name} sent a line without end")
                data = await self.stdout.receive_some(65536)
                if not data:
                    await self.see_end()
                    raise SetupError(f"{self.name} ended before it was ready ({self.last_words()})")
                self._buffer += data
            line = bytes(self._buffer[:end]).decode("utf-8", "replace")
            del self._buffer[: end + 1]
            return line
        raise SetupError(f"{self.name} was not ready after {deadline_s:g} s ({self.last_words()})")

    async def last_lines(self, patience_s: float = 10.0) -> list[str]:
        """End its stdin, and take what it has still said on stdout by its end, by `patience_s` at most."""
        await self.stdin.aclose()
        with trio.move_on_after(patience_s):
            while data := await self.stdout.receive_some(65536):
                self._buffer += data
        *lines, rest = bytes(self._buffer).decode("utf-8", "replace").split("\n")
        self._buffer = bytearray(rest.encode())
        return lines

    async def peek(self, size: int) -> bytes:
        """The next `size` bytes of stdout, without taking them. Raises EOFError if it ends before."""
        while len(self._buffer) < size:
            data = await self.stdout.receive_some(1 << 20)
            if not data:
                raise EOFError
            self._buffer += data
        return bytes(self._buffer[:size])

    def take(self, size: int) -> None:
        """Take bytes that were peeked at."""
        del self._buffer[:size]

    async def wait(self) -> int:
        """Its exit status, once it has ended."""
        while (code := self.returncode) is None:
            if self._pidfd is None:
                await trio.sleep(0.02)
            else:
                await trio.lowlevel.wait_readable(self._pidfd)
        return code

    async def see_end(self) -> None:
        """After the end of its stdout, wait a while for its own, so that `last_words` can tell of it."""
        with trio.move_on_after(_ENDING_S):
            await self.wait()
        self.take_rest_of_output()

    def take_rest_of_output(self) -> None:
        """See that `stderr_tail` and `times_written` have all that it has written; after its end, all of it.

        The end of the file is not waited for: what the child left behind may hold the pipe open.
        """
        self._tail.take_rest()

    def rest_of_stdout(self) -> bytes:
        """After its end, what it left on stdout that nobody has read. What it left behind may write more."""
        return _read_now(self.stdout.fileno())

    def kill(self) -> None:
        """SIGKILL to the child and whatever it started; works for a stopped one too."""
        self._signal(signal.SIGKILL)

    async def stop(self, patience_s: float = 2.0) -> int:
        """End it: end of its stdin and SIGTERM, then SIGKILL after `patience_s`. Idempotent; never hangs."""
        with trio.CancelScope(shield=True):
            if self._popen.stdin is not None:
                await self.stdin.aclose()
            if self.running:
                self._signal(signal.SIGTERM)
                with trio.move_on_after(patience_s):
                    await self.wait()
            self._signal(signal.SIGKILL)
            await self.wait()
            await self.release()
        return await self.wait()

    async def release(self) -> None:
        """Let go of its pipes once it has ended, without harm to what it started and left behind."""
        for stream in self._streams:
            await stream.aclose()
        self._popen.poll()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    def _signal(self, number: int) -> None:
        # This also ends what the child left behind. Once it is reaped, the number may be another's.
        if self._popen.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)


class _Tail:
    """Keeps the end of what a pipe says, so that a chatty child neither blocks nor fills a disk."""

    def __init__(self, fd: int, watched: Sequence[str]) -> None:
        self.written = Counter({text.encode(): 0 for text in watched})  # how often each of those came
        self._fd = fd
        self._open = True
        self._data = bytearray()
        self._panic = b""
        self._taking = threading.Lock()
        os.set_blocking(fd, False)
        threading.Thread(target=self._drain, daemon=True, name="child's stderr").start()

    def _drain(self) -> None:
        readable = select.poll()
        readable.register(self._fd, select.POLLIN)
        while self._open:
            readable.poll()
            with self._taking:
                self._take()

    def take_rest(self) -> None:
        """Take what is in the pipe, which the thread may not have come to yet."""
        with self._taking:
            if self._open:
                self._add(_read_now(self._fd))

    def _take(self) -> None:
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:  # it was taken meanwhile
            return
        except OSError:
            data = b""
        if data:
            self._add(data)
        else:
            self._open = False
            os.close(self._fd)

    def _add(self, data: bytes) -> None:
        for text in self.written:  # it may have come in two parts
            self.written[text] += (bytes(self._data[-len(text) + 1 :]) + data).count(text)
        self._data += data
        if len(self._data) > 2 * _TAIL_BYTES:
            self._panic = self._panic or _panic_in(self._data)
            del self._data[:-_TAIL_BYTES]

    def text(self) -> str:
        return bytes(self._data[-_TAIL_BYTES:]).decode("utf-8", "replace")

    def panic(self) -> str:
        """Why a Go program says that it ends, which it says before its stacks; "" if it does not."""
        return (self._panic or _panic_in(bytes(self._data))).decode("utf-8", "replace").strip()


def _panic_in(data: bytes | bytearray) -> bytes:
    found = _PANIC.search(data)
    return found[0] if found is not None else b""


def _read_now(fd: int) -> bytes:
    """What is in a pipe now. Bounded by that: somebody may go on filling it."""
    due = int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)
    taken = bytearray()
    while len(taken) < due and (data := os.read(fd, due - len(taken))):
        taken += data
    return bytes(taken)


def _open_pidfd(pid: int) -> int | None:
    if sys.platform == "linux":
        try:
            return os.pidfd_open(pid)
        except OSError:  # an old kernel, or no descriptor left: wait() polls instead
            return None
    return None


def _exit_status(popen: subprocess.Popen[bytes]) -> int | None:
    """How it ended, without reaping it where that can be (not on macOS before Python 3.13)."""
    if popen.returncode is not None or not hasattr(os, "waitid"):
        return popen.poll()
    ended = os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if ended is None:
        return None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
