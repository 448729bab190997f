"""Taking changes back, and seeing that they are gone: at a run's end, and after a run that was killed."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import trio

from loadtool.chaos.command import run_to_end, shown
from loadtool.chaos.control import Control, MissingError
from loadtool.chaos.journal import Change, Entry, claimed, entries
from loadtool.chaos.whereabouts import is_masked, located
from loadtool.errors import FaultError

KINDS = ("proxy", "toxic", "down", "run")  # in the order of taking back
_TRIES = 3
LONGEST_UNDO_S = 600.0  # that `recover` waits for one command: others wait their turn
_PAUSE_S = 0.2
_LAST_LOOK_S = 2.0  # the time for all of it is not much longer than all tries take


async def undo(control: Control, change: Change) -> bool:
    """Take one change of a server back. Returns whether it was still there. Raises FaultError."""
    try:
        if change.kind == "toxic":
            await control.remove_toxic(change.proxy, change.toxic)
        elif change.kind == "down":
            if (await control.get_proxy(change.proxy)).enabled:
                return False
            await control.set_enabled(change.proxy, True)
        else:
            # Disabled first: its connections go, and with them whatever could hold up the rest.
            await control.set_enabled(change.proxy, False)
            for toxic in (await control.get_proxy(change.proxy)).toxics:
                await control.remove_toxic(change.proxy, toxic.name)
            await control.delete_proxy(change.proxy)
    except MissingError:
        return False
    return True


async def is_undone(control: Control, change: Change) -> bool:
    """Read back whether a change is gone. Raises FaultError if nobody answers."""
    try:
        state = await control.get_proxy(change.proxy)
    except MissingError:
        return True
    if change.kind == "toxic":
        return state.toxic(change.toxic) is None
    return state.enabled if change.kind == "down" else False


async def undo_surely(
    control: Control | None, change: Change, on_long: Callable[[str], None] = lambda _: None
) -> bool:
    """Take one change back and see that it is gone. Raises FaultError.

    Returns False if it was gone before, by whomever. A server is asked more than once. A command is undone by
    its own `undo`, once, for at most LONGEST_UNDO_S; success is its exit code 0. If it takes more than a
    moment, `on_long` is told its command line.
    """
    if change.kind == "run":
        if change.undo:
            line = shown(change.undo, change.directory)
            with trio.move_on_after(LONGEST_UNDO_S) as limit:
                await run_to_end(change.undo, change.directory, on_long=lambda: on_long(line))
            if limit.cancelled_caught:
                raise FaultError(f"the command {line!r} took longer than {LONGEST_UNDO_S / 60:g} min")
        return True
    assert control is not None
    for attempt in range(1, _TRIES + 1):
        try:
            await control.settled()
            was_there = await undo(control, change)
            if await is_undone(control, change):
                return was_there or attempt > 1  # an earlier try may have been heeded all the same
            raise FaultError(f"{change}: Toxiproxy {control.url} still shows it")
        except FaultError:
            if attempt == _TRIES:
                with trio.move_on_after(_LAST_LOOK_S):
                    if await _is_seen_undone(control, change):
                        return True  # no try was answered, but one was heeded
                raise
        await trio.sleep(_PAUSE_S * attempt)
    raise AssertionError("the last try has returned or raised")


def by_hand(url: str, change: Change) -> str:
    """The command that takes a change back by hand."""
    if change.kind == "run":
        return shown(change.undo, change.directory)
    proxy = f"{url}/proxies/{quote(change.proxy, safe='')}"
    where = shlex.quote(proxy)
    if change.kind == "toxic":
        where = shlex.quote(f"{proxy}/toxics/{quote(change.toxic, safe='')}")
        return f"curl -X DELETE {where}"
    if change.kind == "down":
        return f"curl -X POST -d '{{\"enabled\": true}}' {where}"
    return f"curl -X DELETE {where}"


def in_order(changes: Sequence[Change]) -> list[Change]:
    """Own proxies go first, with their toxics; then toxics on others' proxies; then those come up again."""
    own = {c.proxy for c in changes if c.kind == "proxy"}
    return sorted(
        (c for c in changes if c.kind == "proxy" or c.proxy not in own), key=lambda c: KINDS.index(c.kind)
    )


@dataclass(frozen=True, slots=True)
class Leftover:
    """What a run, dead or going on, has in a Toxiproxy that is not its own.

    `remaining` are the changes that the server still shows; None if it does not answer (`problem` says why).
    """

    entry: Entry
    remaining: tuple[Change, ...] | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What became of one dead run's leftovers. `problems` say what to do by hand.

    `gone` are changes that the server did not show any more, such as after a restart of it.
    """

    entry: Entry
    undone: tuple[Change, ...]
    gone: tuple[Change, ...] = ()
    problems: tuple[str, ...] = ()


async def status(directory: Path | None = None, url: str | None = None) -> list[Leftover]:
    """All runs, dead or going on, that have something in a Toxiproxy that is not their own, or have run it.

    Or those alone that have it in the server at `url`. One that has not begun to change anything is left out.
    Whether a command has been undone cannot be seen, so it counts as remaining.
    """
    found = []
    for entry, at in await located([entry for entry in entries(directory) if entry.changes], url):
        remaining = []
        try:
            async with AsyncExitStack() as stack:
                control: Control | None = None
                for change in entry.changes:
                    if change.kind != "run":
                        if control is None:
                            control = await stack.enter_async_context(_server(entry, at))
                        if await is_undone(control, change):
                            continue
                    remaining.append(change)
        except FaultError as e:
            found.append(Leftover(entry, None, str(e)))
        else:
            found.append(Leftover(entry, tuple(remaining)))
    return found


async def recover(
    url: str | None = None,
    directory: Path | None = None,
    *,
    commands: bool = True,
    on_long: Callable[[str], None] = lambda _: None,
) -> list[Recovery]:
    """Take back exactly what dead runs have left, on the server at `url` or on all of them.

    Runs that are going on are left alone; what another process is taking back is a problem, but not without
    `commands`, when what was run stays as it is, too. A journal goes once all of it is taken back. `on_long`
    is told of each command that takes more than a moment.
    """
    done = []
    for entry, at in await located([entry for entry in entries(directory) if not entry.alive], url):
        recovery: Recovery | None
        if entry.recovered_by:
            busy = f"process {entry.recovered_by} is taking it out: ask again once it has ended"
            recovery = Recovery(entry, (), problems=(busy,)) if commands else None
        else:
            recovery = await _recover(entry, commands, at, on_long)
        if recovery is not None:
            done.append(recovery)
    return done


def _server(entry: Entry, url: str) -> Control:
    """The Toxiproxy at `url`. Raises FaultError if that is the journal's, without the password it takes."""
    if url == entry.url and is_masked(url):
        raise FaultError(
            f"the user and password for {url} were not written down: give them with --toxiproxy URL"
        )
    return Control(url)


async def _recover(found: Entry, commands: bool, at: str, on_long: Callable[[str], None]) -> Recovery | None:
    undone: list[Change] = []
    gone: list[Change] = []
    problems: list[str] = []
    try:
        with claimed(found) as claim:
            if claim is None:
                return None
            entry = claim.entry
            if not entry.changes:
                claim.forget()
                return None
            changes = [c for c in in_order(entry.changes) if commands or c.kind != "run"]
            async with AsyncExitStack() as stack:
                control: Control | None = None
                for change in changes:
                    try:
                        if control is None and change.kind != "run":
                            control = await stack.enter_async_context(_server(entry, at))
                        there = change.kind == "run" or not await _is_seen_undone(control, change)
                        if there:
                            await undo_surely(control, change, on_long)
                        (undone if there else gone).append(change)
                        claim.undone(change)
                    except FaultError as e:
                        problems.append(f"{change}: {e}; by hand: {by_hand(entry.url, change)}")
            if not problems and len(changes) == len(in_order(entry.changes)):
                claim.forget()
    except FaultError as e:
        problems.append(str(e))
    return Recovery(found, tuple(undone), tuple(gone), tuple(problems))


async def _is_seen_undone(control: Control | None, change: Change) -> bool:
    """Whether the server says that a change is gone. If it says nothing, `undo_surely` asks it again."""
    assert control is not None
    try:
        return await is_undone(control, change)
    except FaultError:
        return False
