"""Bytes by direction, and their text for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from loadtool.chaos.server.setting import DIRECTIONS

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(slots=True)
class Traffic:
    """Bytes that a proxy's finished connections have read and written, by direction."""

    received: dict[str, int] = field(default_factory=lambda: dict.fromkeys(DIRECTIONS, 0))
    sent: dict[str, int] = field(default_factory=lambda: dict.fromkeys(DIRECTIONS, 0))

    def add(self, direction: str, received: int, sent: int) -> None:
        self.received[direction] += received
        self.sent[direction] += sent


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def text(proxies: Iterable[tuple[str, str, str, Traffic]]) -> str:
    """The exposition of (name, listen, upstream, traffic) under the real server's metric names."""
    rows = list(proxies)
    lines = []
    for what in ("received", "sent"):
        name = f"toxiproxy_proxy_{what}_bytes_total"
        lines.append(f"# HELP {name} The total number of bytes {what} on a given proxy link.")
        lines.append(f"# TYPE {name} counter")
        for proxy, listen, upstream, traffic in rows:
            for direction, n in getattr(traffic, what).items():
                if n:
                    labels = {
                        "direction": direction,
                        "listener": listen,
                        "proxy": proxy,
                        "upstream": upstream,
                    }
                    inside = ",".join(f'{k}="{_escape(v)}"' for k, v in labels.items())
                    lines.append(f"{name}{{{inside}}} {n}")
    return "\n".join(lines) + "\n"
