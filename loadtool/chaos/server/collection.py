"""All proxies of one server, and what the API does with them.

Names and addresses are resolved before anything is changed; the change itself is one plain function call, so
no two requests are ever half done at the same time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import trio

from loadtool.chaos.server import address, schema
from loadtool.chaos.server.loop import Loop
from loadtool.chaos.server.proxy import Proxy
from loadtool.chaos.server.setting import DIRECTIONS, Setting
from loadtool.chaos.server.toxics import TOXICS

_PROXY_FIELDS = {"name": "string", "listen": "string", "upstream": "string", "enabled": "bool"}
_TOXIC_FIELDS = {
    "attributes": "toxics.NoopToxic", "name": "string", "type": "string", "stream": "string",
    "toxicity": "float32",
}  # fmt: skip
_POPULATE_TYPE = '[]struct { toxiproxy.Proxy; Enabled *bool "json:\\"enabled\\"" }'


class ApiError(Exception):
    """What the API answers instead: `{"error": …, "status": …}`."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


def bad_request(error: schema.BodyError | str) -> ApiError:
    return ApiError(f"bad request body: {error}", 400)


@dataclass(slots=True)
class Populated:
    """The proxies that `/populate` left alone, changed or made, up to the first failure."""

    proxies: list[Proxy]
    error: ApiError | None = None


class Collection:
    def __init__(
        self,
        loop: Loop,
        nursery: trio.Nursery,
        seed: int | None,
        on_shortage: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.proxies: dict[str, Proxy] = {}
        self._loop = loop
        self._nursery = nursery
        self._seed = seed
        self._on_shortage = on_shortage

    def get(self, name: str) -> Proxy:
        try:
            return self.proxies[name]
        except KeyError:
            raise ApiError("proxy not found", 404) from None

    def close(self) -> None:
        for proxy in self.proxies.values():
            proxy.stop()
        self.proxies.clear()

    # Proxies

    async def create(self, body: bytes) -> Proxy:
        try:
            fields = schema.read_object(schema.parse(body), "toxiproxy.Proxy", "Proxy", _PROXY_FIELDS)
        except schema.BodyError as e:
            raise bad_request(e) from None
        for field in ("name", "upstream"):
            if not fields.get(field):
                raise ApiError(f"missing required field: {field}", 400)
        proxy = self._new(fields)
        if proxy.name in self.proxies:
            raise ApiError("proxy already exists", 409)
        if fields.get("enabled", True):
            where = await _resolve(proxy.listen, "listen tcp: ")
            if proxy.name in self.proxies:  # by another request in the meantime
                raise ApiError("proxy already exists", 409)
            _start(proxy, where)
        self.proxies[proxy.name] = proxy
        return proxy

    async def populate(self, body: bytes) -> Populated:
        try:
            wanted = [
                schema.read_object(item, "toxiproxy.Proxy", "Proxy", _PROXY_FIELDS)
                for item in schema.read_array(schema.parse(body), _POPULATE_TYPE)
            ]
        except schema.BodyError as e:
            return Populated([], bad_request(e))
        for i, fields in enumerate(wanted, 1):
            for field in ("name", "upstream"):
                if not fields.get(field):
                    return Populated([], ApiError(f"missing required field: {field} at proxy {i}", 400))
        done = Populated([])
        for fields in wanted:
            try:
                done.proxies.append(await self._add_or_replace(fields))
            except ApiError as e:
                done.error = e
                break
        return done

    async def _add_or_replace(self, fields: dict[str, Any]) -> Proxy:
        proxy = self._new(fields)
        enabled = fields.get("enabled", True)
        old = self.proxies.get(proxy.name)
        where = await _resolve(proxy.listen, "" if old else "listen tcp: ") if old or enabled else None
        old = self.proxies.get(proxy.name)
        if old is not None:
            if old.upstream == proxy.upstream and str(where) == old.listen:
                return old
            old.stop()
        if enabled and where is not None:
            _start(proxy, where)
        self.proxies[proxy.name] = proxy
        return proxy

    async def update(self, name: str, body: bytes) -> Proxy:
        proxy = self.get(name)
        try:
            fields = schema.read_object(schema.parse(body), "toxiproxy.Proxy", "Proxy", _PROXY_FIELDS)
        except schema.BodyError as e:
            raise bad_request(e) from None
        where = await _resolve(fields.get("listen", proxy.listen), "")
        if self.proxies.get(name) is not proxy:
            raise ApiError("proxy not found", 404)
        listen = fields.get("listen", proxy.listen)
        upstream = fields.get("upstream", proxy.upstream)
        enabled = fields.get("enabled", proxy.enabled)
        if str(where) != proxy.listen or upstream != proxy.upstream:
            proxy.stop()
            proxy.listen, proxy.upstream = listen, upstream
        if enabled:
            _start(proxy, where)
        else:
            proxy.stop()
        return proxy

    def delete(self, name: str) -> None:
        self.get(name).stop()
        del self.proxies[name]

    async def reset(self) -> None:
        """Enable all proxies and remove all toxics."""
        for proxy in list(self.proxies.values()):
            if not proxy.enabled:
                _start(proxy, await _resolve(proxy.listen, "listen tcp: "))
            for setting in list(proxy.toxics):
                proxy.remove_toxic(setting)

    def _new(self, fields: dict[str, Any]) -> Proxy:
        return Proxy(
            fields["name"], fields.get("listen", ""), fields["upstream"],
            loop=self._loop, nursery=self._nursery, seed=self._seed, on_shortage=self._on_shortage,
        )  # fmt: skip

    # Toxics

    def toxic(self, proxy: str, name: str) -> Setting:
        setting = self.get(proxy).toxic(name)
        if setting is None:
            raise ApiError("toxic not found", 404)
        return setting

    def add_toxic(self, proxy_name: str, body: bytes) -> Setting:
        proxy = self.get(proxy_name)
        try:
            fields = schema.read_object(
                schema.parse(body), "toxics.ToxicWrapper", "ToxicWrapper", _TOXIC_FIELDS
            )
            stream = fields.get("stream", "downstream")
            if stream.lower() not in DIRECTIONS:
                raise ApiError("stream was invalid, can be either upstream or downstream", 400)
            type_ = fields.get("type", "")
            if type_ not in TOXICS:
                raise ApiError("invalid toxic type", 400)
            name = fields.get("name") or f"{type_}_{stream}"
            if proxy.toxic(name) is not None:
                raise ApiError("toxic already exists", 409)
            attributes = dict.fromkeys(TOXICS[type_].ATTRIBUTES, 0) | _attributes(type_, fields)
        except schema.BodyError as e:
            raise bad_request(e) from None
        setting = Setting(name, type_, stream, fields.get("toxicity", 1.0), _checked(type_, attributes))
        proxy.add_toxic(setting)
        return setting

    def update_toxic(self, proxy_name: str, name: str, body: bytes) -> Setting:
        setting = self.toxic(proxy_name, name)
        try:
            fields = schema.read_object(
                schema.parse(body), "struct { Attributes interface {}; Toxicity float32 }", "",
                {k: _TOXIC_FIELDS[k] for k in ("attributes", "toxicity")},
            )  # fmt: skip
            attributes = _checked(setting.type, setting.attributes | _attributes(setting.type, fields))
        except schema.BodyError as e:
            raise bad_request(e) from None
        setting.attributes = attributes
        setting.toxicity = fields.get("toxicity", setting.toxicity)
        self.get(proxy_name).toxic_changed(setting)
        return setting

    def remove_toxic(self, proxy_name: str, name: str) -> None:
        self.get(proxy_name).remove_toxic(self.toxic(proxy_name, name))


def _attributes(type_: str, fields: dict[str, Any]) -> dict[str, int]:
    toxic = TOXICS[type_]
    return schema.read(
        fields.get("attributes", ()),
        toxic.GO_NAME,
        "attributes.",
        dict.fromkeys(toxic.ATTRIBUTES, toxic.GO_TYPE),
    )


def _checked(type_: str, attributes: dict[str, int]) -> dict[str, int]:
    refusal = TOXICS[type_].refusal(attributes)
    if refusal:
        raise bad_request(refusal)
    return attributes


async def _resolve(listen: str, prefix: str) -> address.Address:
    try:
        return await address.resolve(listen)
    except address.AddressError as e:
        raise ApiError(f"{prefix}{e}", 500) from None


def _start(proxy: Proxy, where: address.Address) -> None:
    try:
        proxy.start(where)
    except address.AddressError as e:
        raise ApiError(str(e), 500) from None
