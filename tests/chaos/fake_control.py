"""A Toxiproxy in memory, on trio's clock, that fails or is slow at chosen calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import trio

from loadtool.chaos.control import MissingError, ProxyState, ToxicState
from loadtool.errors import FaultError

URL = "http://127.0.0.1:8474"


@dataclass
class FakeControl:
    """`calls` are (seconds, what) of all calls that change something; `refuse` and `delay_s` are by call.

    A refused call fails before it does anything; one in `refuse_after` after that, or if it was done.
    """

    state: dict[str, ProxyState] = field(default_factory=dict)
    calls: list[tuple[float, str]] = field(default_factory=list)
    refuse: dict[str, int] = field(default_factory=dict)  # call -> how many times
    refuse_after: dict[str, int] = field(default_factory=dict)
    delay_s: dict[str, float] = field(default_factory=dict)
    url: str = URL
    private_url: str = URL
    origin: str = "fake"
    owned: bool = True
    ended: Callable[[], str] = str
    zero: float = 0.0
    _port: int = 20000

    async def _call(self, what: str) -> None:
        await trio.sleep(self.delay_s.get(what.split()[0], 0))
        self.calls.append((round(trio.current_time() - self.zero, 3), what))
        self._maybe_refuse(self.refuse, what)

    def _maybe_refuse(self, plan: dict[str, int], what: str) -> None:
        kind = what.split()[0]
        if plan.get(kind, 0):
            plan[kind] -= 1
            raise FaultError(f"cannot {what}: refused")

    def _get(self, name: str) -> ProxyState:
        if name not in self.state:
            raise MissingError(f"no proxy {name}")
        return self.state[name]

    def put(self, name: str, *, enabled: bool = True, toxics: tuple[ToxicState, ...] = ()) -> None:
        self._port += 1
        self.state[name] = ProxyState(name, f"127.0.0.1:{self._port}", "127.0.0.1:1", enabled, toxics)

    async def settled(self) -> None:
        await trio.lowlevel.checkpoint()

    async def list(self) -> dict[str, ProxyState]:
        await trio.lowlevel.checkpoint()
        return dict(self.state)

    async def get_proxy(self, name: str) -> ProxyState:
        await trio.lowlevel.checkpoint()
        return self._get(name)

    async def create_proxy(self, name: str, upstream: str, listen: str = "127.0.0.1:0") -> str:
        await self._call(f"create {name} {upstream} {listen}")
        self.put(name)
        self._maybe_refuse(self.refuse_after, "create")
        return self.state[name].listen

    async def add_toxic(
        self,
        proxy: str,
        name: str,
        type_: str,
        attributes: Mapping[str, int],
        *,
        stream: str,
        toxicity: float,
    ) -> None:
        await self._call(f"add {proxy} {name} {type_} {dict(attributes)} {stream} {toxicity:g}")
        state = self._get(proxy)
        toxic = ToxicState(name, type_, stream, toxicity, dict(attributes))
        self.state[proxy] = replace(state, toxics=(*state.toxics, toxic))
        self._maybe_refuse(self.refuse_after, "add")

    async def update_toxic(self, proxy: str, name: str, attributes: Mapping[str, int]) -> None:
        await self._call(f"update {proxy} {name} {dict(attributes)}")
        state = self._get(proxy)
        toxics = tuple(replace(t, attributes=dict(attributes)) if t.name == name else t for t in state.toxics)
        self.state[proxy] = replace(state, toxics=toxics)

    async def remove_toxic(self, proxy: str, name: str) -> None:
        await self._call(f"remove {proxy} {name}")
        state = self._get(proxy)
        if state.toxic(name) is None:
            self._maybe_refuse(self.refuse_after, "remove")
            raise MissingError(f"no toxic {name}")
        self.state[proxy] = replace(state, toxics=tuple(t for t in state.toxics if t.name != name))
        self._maybe_refuse(self.refuse_after, "remove")

    async def set_enabled(self, proxy: str, enabled: bool) -> None:
        what = "enable" if enabled else "disable"
        await self._call(f"{what} {proxy}")
        self.state[proxy] = replace(self._get(proxy), enabled=enabled)
        self._maybe_refuse(self.refuse_after, what)

    async def delete_proxy(self, name: str) -> None:
        await self._call(f"delete {name}")
        self._get(name)
        del self.state[name]
        self._maybe_refuse(self.refuse_after, "delete")
