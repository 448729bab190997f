"""Where Toxiproxy is from (docs/faults.md): a URL, else toxiproxy-server on PATH, else the embedded one."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import socket
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import trio

from loadtool.chaos.control import Control, MissingError, normal_url
from loadtool.errors import FaultError, SetupError
from loadtool.processes import Child, python
from loadtool.profile.addresses import without_userinfo

PROGRAM = "toxiproxy-server"
_READY_S = 10.0
_PORTS_TO_TRY = 5
# What Toxiproxy's log says of what it lacks, in the words of Go, by the system's name for it.
_LACKING: Final = {
    "EMFILE": ': too many open files"',
    "ENFILE": "too many open files in system",
    "ENOBUFS": "no buffer space available",
    "ENOMEM": "cannot allocate memory",
}
# The embedded one's, of a client that it could not accept and of an upstream that it could not connect to.
_LACKING_EMBEDDED: Final = {
    name: (f": {os.strerror(getattr(errno, name))}\n", f": {name}\n") for name in _LACKING
}

Which = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a run would get its Toxiproxy. `text` is for people, `where` a URL or a program's path.

    A URL in `where` has its user and password, and is never shown.
    """

    kind: Literal["url", "path", "embedded"]
    text: str
    where: str = ""

    @property
    def name(self) -> str:
        """What it is called in a sentence."""
        return {"url": "Toxiproxy", "path": PROGRAM, "embedded": "the embedded Toxiproxy"}[self.kind]

    @property
    def owned(self) -> bool:
        """Whether the run starts it, and ends it."""
        return self.kind != "url"


def describe_source(url: str | None, which: Which = shutil.which) -> Source:
    """Look, and start nothing. Raises FaultError for a URL that is none."""
    if url is not None:
        where = normal_url(url)
        return Source("url", f"at {without_userinfo(where)}", where)
    program = which(PROGRAM)
    if program is not None:
        return Source("path", f"{PROGRAM} on PATH ({program}), started by the run", program)
    return Source("embedded", "embedded, started by the run")


@asynccontextmanager
async def open_toxiproxy(
    url: str | None,
    *,
    seed: int | None = None,
    which: Which = shutil.which,
    on_shortage: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[Control]:
    """A Toxiproxy that answers; one that was started for this ends with it.

    `seed` makes toxicity and jitter of the embedded one repeatable. `on_shortage` is told, when one that was
    started has ended, the system's name (EMFILE) of each thing that its proxies lacked. Raises FaultError if
    none answers at `url`, SetupError if one cannot be started.
    """
    source = describe_source(url, which)
    if source.owned:
        _see_loopback()
    opener = {"url": _at_url, "path": _program, "embedded": _embedded}[source.kind]
    async with opener(source, seed, on_shortage) as control:
        yield control


@asynccontextmanager
async def _at_url(
    source: Source, seed: int | None, on_shortage: Callable[[str], None]
) -> AsyncIterator[Control]:
    async with Control(source.where, origin=source.text) as control:
        control.origin = f"version {await control.version()} {source.text}"
        yield control


@asynccontextmanager
async def _embedded(
    source: Source, seed: int | None, on_shortage: Callable[[str], None]
) -> AsyncIterator[Control]:
    argv = python("loadtool.chaos.server", "--host", "127.0.0.1", "--port", "0", "--lifeline")
    argv = argv if seed is None else [*argv, "--seed", str(seed)]
    lacking = [text for texts in _LACKING_EMBEDDED.values() for text in texts]
    child = Child("the embedded Toxiproxy", argv, watched=lacking)
    try:
        line = await child.read_line(_READY_S)
        try:
            url = str(json.loads(line)["url"])
        except (ValueError, KeyError, TypeError):
            raise SetupError(f"the embedded Toxiproxy said {line[:200]!r}, not where it listens") from None
        async with Control(url, origin="embedded", owned=True) as control:
            control.lacked = partial(_lacked_anew, child, Counter())
            control.ended = partial(_ended, child)
            try:
                yield control
            finally:
                with trio.CancelScope(shield=True):
                    for said in await child.last_lines():
                        on_shortage(str(json.loads(said)["lacking"]))
    finally:
        await child.stop()


@asynccontextmanager
async def _program(
    source: Source, seed: int | None, on_shortage: Callable[[str], None]
) -> AsyncIterator[Control]:
    for _ in range(_PORTS_TO_TRY):
        port = _free_port()
        try:
            scratch = tempfile.TemporaryDirectory(prefix="loadtool-")
        except OSError as e:
            raise _no_room(e) from e
        with scratch as directory:
            # A server that cannot bind its port goes on running, and another one may answer there. Ours is
            # known by a proxy that it was given at its start: disabled, so that it listens nowhere.
            mark = f"loadtool-{secrets.token_hex(8)}"
            config = os.path.join(directory, "proxies.json")
            proxy = {"name": mark, "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1", "enabled": False}
            try:
                await trio.Path(config).write_text(json.dumps([proxy]))
            except OSError as e:
                raise _no_room(e) from e
            argv = [source.where, "-host", "127.0.0.1", "-port", str(port), "-config", config]
            # Below warnings it would write a line for each connection. One of them tells of a client that it
            # had no file for; that proxy accepts nobody any more.
            env = {**os.environ, "LOG_LEVEL": "warn"}
            child = Child(PROGRAM, argv, foreign=True, env=env, watched=[*_LACKING.values()])
            try:
                async with Control(f"http://127.0.0.1:{port}", owned=True) as control:
                    control.lacked = partial(_lacked_ever, child)
                    control.ended = partial(_ended, child)
                    if await _is_ours(control, child, mark):
                        scratch.cleanup()  # it has read it, and a run that is killed would leave it behind
                        version = await control.version()
                        control.origin = f"{PROGRAM} {version} on PATH, started by this run"
                        yield control
                        return
            finally:
                await child.stop()
                for name in _lacked_ever(child):
                    on_shortage(name)
    raise SetupError(f"{PROGRAM} found {_PORTS_TO_TRY} free ports taken one after another; try again")


def _ended(child: Child) -> str:
    """That ours has ended, and how; "" while it runs."""
    if child.running:
        return ""
    child.take_rest_of_output()
    return f"{child.name} ended during the run ({child.last_words()})"


def _lacked_anew(child: Child, known: Counter[str]) -> list[str]:
    """What the embedded one has lacked more often than is known; it goes on as soon as it has it again."""
    child.take_rest_of_output()
    times = Counter({n: sum(map(child.times_written, texts)) for n, texts in _LACKING_EMBEDDED.items()})
    new = [name for name in times if times[name] > known[name]]
    known.update(times - known)
    return new


def _lacked_ever(child: Child) -> list[str]:
    """What a toxiproxy-server has lacked: from then on some of its proxies may accept nobody."""
    child.take_rest_of_output()
    return [name for name, words in _LACKING.items() if child.times_written(words)]


def _no_room(error: OSError) -> SetupError:
    why = error.strerror or error
    remedy = "set TMPDIR to a directory that can be written"
    return SetupError(f"cannot write the configuration of {PROGRAM}: {why}; {remedy}")


async def _is_ours(control: Control, child: Child, mark: str) -> bool:
    """Wait until our server answers; False if another has its port. Raises SetupError if none comes."""
    with trio.move_on_after(_READY_S):
        while True:
            ended = not child.running
            if ended:
                child.take_rest_of_output()  # why
            if "address already in use" in child.stderr_tail():
                return False
            if ended:
                raise SetupError(f"{PROGRAM} ended before it was ready ({child.last_words()})")
            try:
                await control.delete_proxy(mark)
            except MissingError:
                return False
            except FaultError:
                await trio.sleep(0.02)
            else:
                return True
    raise SetupError(f"{PROGRAM} was not ready after {_READY_S:g} s ({child.last_words()})")


def _see_loopback() -> None:
    """Raises SetupError where nothing reaches this machine itself, as in a new network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("127.0.0.1", 9))  # sends nothing: it looks for a way there
        except OSError as e:
            remedy = "bring the loopback interface up (`ip link set lo up`)"
            raise SetupError(f"127.0.0.1 cannot be reached: {e.strerror}; {remedy}") from e


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
