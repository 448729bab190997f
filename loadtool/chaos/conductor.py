"""The conductor: opens the proxies, places each fault at its time, takes it out again whatever happens."""

from __future__ import annotations

import math
import secrets
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import trio

from loadtool.chaos.control import Control
from loadtool.chaos.fault import PlannedFault, ProxySpec
from loadtool.chaos.fault_state import FaultState, state_of
from loadtool.chaos.journal import Change, Journal
from loadtool.chaos.rollback import in_order, recover, undo_surely
from loadtool.chaos.told import GONE_BEFORE, FaultEvent, gone, listen_of_existing, remedy, server_ended
from loadtool.errors import FaultError
from loadtool.measure.result import FaultFigure

SECOND: Final = 1_000_000_000
TEARDOWN_S: Final = 20.0


class Conductor:
    """Call `open_proxies`, `run`, `end` and, on every way out, `teardown`.

    `control` may be None if there are no proxies, only commands. `journal` gets what is done to a server
    that is not the run's own (`Control.owned`), and commands that have an `undo`. `on_event` is told of each
    change. `run_id`, the journal's by default, makes names unique on the server. Commands run in
    `environment`, by default this process's. The last arrival is planned `load_s` after the run's start.
    """

    def __init__(
        self,
        control: Control | None,
        proxies: Mapping[str, ProxySpec],
        faults: Sequence[PlannedFault],
        journal: Journal | None,
        on_event: Callable[[FaultEvent], None],
        run_id: str | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        load_s: float = math.inf,
    ) -> None:
        run_id = run_id or (journal.run if journal is not None else secrets.token_hex(4))
        self._control = control
        self._proxies = proxies
        self._journal = journal
        self._on_event = on_event
        self._names = {p.name: p.existing or f"loadtool-{run_id}-{p.name}" for p in proxies.values()}
        self._origin: float | None = None
        self._load_end_s = load_s  # since the run's start; not what a slow answer takes beyond the plan
        self._made: list[Change] = []  # what may have to be taken back, in the order in which it was begun
        self._left: list[str] = []  # what the teardown could not take back
        self._problems: list[str] = []
        self._server_ended = ""  # how the run's own Toxiproxy did, with all that was in it
        self._opened: list[Change] = []  # the proxies that were made
        self._tried: set[Change] = set()  # what may be gone as a try to take it back was heeded
        # What acts on the same thing takes turns: a proxy that two faults put down, a command and its undo.
        self._turns = defaultdict[str, trio.Lock](trio.Lock)
        times = Counter[str]()
        self._states = []
        for plan in faults:
            times[plan.name] += 1
            again = f"-{times[plan.name]}" if times[plan.name] > 1 else ""
            self._states.append(
                state_of(plan, f"loadtool-{run_id}-{plan.name}{again}", self._names, control, environment)
            )

    # Before the run

    async def open_proxies(self) -> dict[str, str]:
        """Make the run's proxies and find the existing ones. Returns HOST:PORT by the profile's name.

        Raises FaultError; what was made until then goes with `teardown`. A journal that cannot be written is
        found here, not at the first fault.
        """
        if self._journal is not None and any(map(self._outlives, self._planned_changes())):
            self._journal.begin()
        control = self._control
        if control is None:
            return {}
        if self._journal is not None and not control.owned:
            await self._recover(control.private_url, self._journal.directory)
        there = await control.list()
        listens = {}
        for spec in self._proxies.values():
            if spec.existing is None:
                listens[spec.name] = await self._make(control, spec)
                continue
            listens[spec.name] = listen_of_existing(spec.name, spec.existing, there, control.url)
        return listens

    def _planned_changes(self) -> list[Change]:
        """All that will be done, proxies first."""
        made = [Change("proxy", self._names[p.name]) for p in self._proxies.values() if p.existing is None]
        return [*made, *(state.change for state in self._states)]

    async def _recover(self, url: str, directory: Path) -> None:
        # What a killed run has run is for `loadtool chaos recover`: nobody asked for a command now.
        left = await recover(url, directory, commands=False)
        problems = [p for recovery in left for p in recovery.problems]
        if problems:
            raise FaultError(f"an earlier run, killed, has left faults behind: {problems[0]}")

    async def _make(self, control: Control, spec: ProxySpec) -> str:
        if spec.upstream is None:
            raise FaultError(f"proxies.{spec.name}: has neither upstream nor existing")
        change = Change("proxy", self._names[spec.name])
        self._begin(change)
        try:
            listen = await control.create_proxy(change.proxy, spec.upstream, spec.listen or "127.0.0.1:0")
        except FaultError as e:
            raise FaultError(f"proxies.{spec.name}: {e}") from e
        self._opened.append(change)
        return listen

    def _begin(self, change: Change) -> None:
        """Note, here and in the journal, what is about to be done."""
        if self._journal is not None and self._outlives(change):
            self._journal.record(change)
        self._tried.discard(change)
        if change not in self._made:
            self._made.append(change)

    def _outlives(self, change: Change) -> bool:
        """Whether a change stays if this process is killed."""
        return bool(change.undo) if change.kind == "run" else not self._is_owned

    @property
    def _is_owned(self) -> bool:
        return self._control is not None and self._control.owned

    # During the run

    async def run(self, origin: float) -> None:
        """Place and remove every fault at its time; `origin` is the run's zero on trio's clock.

        Returns when the last one is out. A fault that fails is recorded, and the others go on. To be
        cancelled when the load ends; an undo that is going on then is waited for, but not for ever.
        """
        self._origin = origin
        async with trio.open_nursery() as watching:
            watching.start_soon(self._see_end)
            async with trio.open_nursery() as nursery:
                for state in self._states:
                    nursery.start_soon(self._play, state)
            watching.cancel_scope.cancel()

    async def _see_end(self) -> None:
        """Tell the faults of the load's end, which an undo is shielded from."""
        try:
            await trio.sleep_forever()
        finally:
            self._end_load()

    def _end_load(self) -> None:
        if self._origin is not None:
            self._load_end_s = min(self._load_end_s, self._now())
        for state in self._states:
            state.placement.end_load()

    async def _play(self, state: FaultState) -> None:
        assert self._origin is not None
        start = self._origin + state.plan.start_ns / SECOND
        end = self._origin + state.plan.end_ns / SECOND
        await trio.sleep_until(start)
        async with self._turn(state):
            try:
                if trio.current_time() >= end:
                    raise FaultError("its time was over when its turn came")
                # Not to be cancelled half-way: what may or may not arrive can't be taken back for sure.
                with trio.CancelScope(shield=True):
                    await self._place(state)
            except FaultError as e:
                why = "its Toxiproxy had ended" if self._lost_server() and not state.plan.run else e
                self._fail(state, f"could not be placed: {why}")
        if state.started_s is not None:
            if problem := state.late_placement():
                self._fail(state, problem)
            self._tell(state, "placed", state.plan.text)
            await self._hold(state, start, end)
        async with self._turn(state):
            if state.change in self._made:
                await self._remove(state)
            else:  # it was never begun
                state.gone = True

    def _turn(self, state: FaultState) -> trio.Lock:
        what = state.change.proxy if state.plan.down else state.change.toxic
        return self._turns[f"{state.plan.kind} {state.plan.name if state.plan.run else what}"]

    async def _place(self, state: FaultState) -> None:
        self._begin(state.change)
        await state.placement.place()
        state.started_s = self._now()

    async def _hold(self, state: FaultState, start: float, end: float) -> None:
        try:
            with trio.move_on_at(end):
                await state.placement.hold(start)
        except FaultError as e:
            if state.plan.run or not self._lost_server():
                self._fail(state, f"did not take effect: {e}")
        state.remark_if_late("its ramp was", state.placement.late_s)
        await trio.sleep_until(end)

    async def _remove(self, state: FaultState) -> None:
        """The planned end: the toxic goes and nothing else, so that no connection drops."""
        placed = state.started_s is not None
        if any(s.holds_down(state.change) for s in self._states if s is not state):
            self._out(state)  # the other one brings the proxy up again
            return
        self._tried.add(state.change)
        try:
            was_there = await state.placement.take_out()
        except FaultError as e:
            if self._lost_server() and state.change not in self._made:
                state.gone = True
                return
            state.stuck = str(e)
            self._tell(state, "failed", state.why_stuck(self._control))
            return
        state.lost = placed and not was_there
        self._out(state)
        self._settle(state.change)
        for other in self._states:
            if other.stuck and not other.gone and other.change == state.change:
                other.freed = f"with {state.plan.name}"
                self._gone_at_last(other)
        if state.lost:
            self._fail(state, GONE_BEFORE)
        elif placed:
            state.remark_if_late("removed", self._now() - state.plan.end_ns / SECOND)
        if placed:
            self._tell(state, "removed", state.plan.text)

    def _lost_server(self) -> bool:
        """Whether the run's own Toxiproxy has ended. Then nothing is left of what was in it."""
        how = self._control.ended() if self._control is not None else ""
        if not how:
            return False
        for state in self._states:
            if state.plan.run or state.gone or state.started_s is None:
                continue
            state.lost, state.stuck = True, ""
            state.remarks.append("gone with its Toxiproxy before its end")
            if not self._server_ended:
                self._tell(state, "failed", f"is gone: {how}")
                self._server_ended = how
            self._out(state)
        self._server_ended = how
        for change in [c for c in self._made if c.kind != "run"]:
            self._settle(change)
        return True

    def _out(self, state: FaultState) -> None:
        state.gone = True
        if state.started_s is not None and not state.lost:
            state.ended_s = self._now()

    def _settle(self, change: Change) -> None:
        """Note that a change has been taken back, and that this was seen."""
        if change in self._made:
            self._made.remove(change)
        if self._journal is not None and self._outlives(change):
            try:
                self._journal.undone(change)
            except FaultError as e:
                # The change itself is gone; `loadtool chaos recover` will find nothing left to do.
                self._problems.append(str(e))

    def _now(self) -> float:
        assert self._origin is not None
        return trio.current_time() - self._origin

    def _fail(self, state: FaultState, problem: str) -> None:
        state.problems.append(problem)
        self._tell(state, "failed", problem)

    def _tell(self, state: FaultState, what: str, text: str) -> None:
        self._on_event(FaultEvent(self._now(), state.plan.name, what, text))

    # After the run

    async def end(self, within_s: float = TEARDOWN_S) -> None:
        """Take out the faults that are still in place, in `within_s` at most; the proxies stay.

        It cannot be cancelled. What fails here is tried again, and told of, by `teardown`.
        """
        self._end_load()
        self._lost_server()
        with trio.CancelScope(shield=True), trio.move_on_after(within_s):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._take_back_all, ("run",), {}, list)
                nursery.start_soon(self._take_back_all, ("toxic", "down"), {}, list)
        for state in self._states:
            if not state.gone and state.change not in self._made:
                self._gone_at_last(state)

    async def teardown(self, within_s: float = TEARDOWN_S) -> None:
        """Take everything back and read back that it is gone, in `within_s` at most.

        It cannot be cancelled. What could not be taken back is in `problems`, and tried again if this is
        called again.
        """
        self._end_load()
        self._lost_server()
        with trio.CancelScope(shield=True):
            failed: dict[Change, str] = {}
            with trio.move_on_after(within_s):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._take_back_all, ("run",), failed)
                    # Others' proxies only come up again once their toxics are out, so not all at once.
                    nursery.start_soon(self._take_back_all, ("proxy", "toxic", "down"), failed)
            own = {c.proxy for c in self._made if c.kind == "proxy"}
            told = {s.change for s in self._states if s.stuck}
            late = f"no end of it within {within_s:g} s"
            self._left = [
                f"{change} was not {gone(change)}: {failed.get(change, late)};"
                f" {remedy(self._control, change)}"
                for change in in_order(self._made)
                if change not in told
            ]
            for state in self._states:
                if not state.gone and state.change not in self._made and state.change.proxy not in own:
                    self._gone_at_last(state)

    async def _take_back_all(
        self,
        kinds: Sequence[str],
        failed: dict[Change, str],
        order: Callable[[Sequence[Change]], list[Change]] = in_order,
    ) -> None:
        for kind in kinds:
            async with trio.open_nursery() as nursery:
                for change in order(self._made):
                    if change.kind == kind:
                        nursery.start_soon(self._take_back, change, failed)

    async def _take_back(self, change: Change, failed: dict[Change, str]) -> None:
        state = next((s for s in self._states if s.change == change), None)
        first, there = change not in self._tried, False
        self._tried.add(change)
        try:
            if state is not None:
                there = await state.placement.take_out()
            else:
                there = await undo_surely(self._control, change)
        except FaultError as e:
            if change.kind == "run" or not self._lost_server():
                failed[change] = str(e)
            return
        if first and not there:
            self._missed(change)
        inner = [c for c in self._made if change.kind == "proxy" and c.proxy == change.proxy]
        for done in [change, *inner]:  # a proxy's toxics go with it
            self._settle(done)
            for state in (s for s in self._states if s.change == done and not s.gone):
                self._gone_at_last(state)

    def _missed(self, change: Change) -> None:
        """What was in place, and was to be until now, was not there any more."""
        for state in self._states:
            if state.change == change and state.started_s is not None and not (state.gone or state.stuck):
                state.lost = True
                self._fail(state, GONE_BEFORE)
        if change in self._opened:
            self._problems.append(f"{change} {GONE_BEFORE}")

    def _gone_at_last(self, state: FaultState) -> None:
        self._out(state)
        if state.started_s is not None:
            if problem := state.late_removal(self._load_end_s):
                self._fail(state, problem)
            self._tell(state, "removed", state.plan.text)

    # What came of it

    def active(self) -> list[str]:
        """Names of the faults that are in place now."""
        return [s.plan.name for s in self._states if s.started_s is not None and not s.gone]

    def figures(self) -> list[FaultFigure]:
        """What became of each fault, in the order of the plan; times in s since the run's start."""
        return [state.figure(self._control) for state in self._states]

    def problems(self) -> list[str]:
        """What makes the run invalid: faults that were not placed or not removed, in words."""
        lost = [server_ended(self._server_ended)] if self._server_ended else []
        return (
            lost
            + [f"fault {s.plan.name} {p}" for s in self._states for p in s.all_problems(self._control)]
            + self._problems
            + self._left
        )
