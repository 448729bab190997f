"""The toxics: one class a row. An object is one toxic at work on one direction of one connection.

A class names its type, its attributes as the API has them, and what it does to the items that come in. It
never waits: `run` moves what is due at `now` to `out` and says when it wants to be run again.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from random import Random
from typing import ClassVar

from loadtool.chaos.server.flow import Chunk, End, Item, Queue
from loadtool.chaos.server.setting import Setting

NEVER = math.inf
MILLISECOND = 1e-3
MICROSECOND = 1e-6


class Toxic:
    """Passes everything on. The toxics below change `work`, and `changed` or `removed` where they must."""

    TYPE: ClassVar[str] = ""
    ATTRIBUTES: ClassVar[tuple[str, ...]] = ()
    GO_NAME: ClassVar[str] = ""  # for error messages, which name the real server's types
    GO_TYPE: ClassVar[str] = "int64"
    # One item waits at most, as in the real server's unbuffered channels: back pressure reaches the sender.
    MOST_ITEMS: ClassVar[int] = 1
    MOST_BYTES: ClassVar[int] = 1 << 20

    def __init__(self, setting: Setting, random: Random, now: float) -> None:
        self.setting = setting
        self.random = random
        self.roll = random.random()
        self.began = now
        self.inbox = Queue(self.MOST_ITEMS, self.MOST_BYTES)

    @classmethod
    def refusal(cls, attributes: Mapping[str, int]) -> str | None:
        """Why these attributes make no sense, if they don't."""
        return None

    @property
    def hits(self) -> bool:
        """Whether toxicity let this connection be affected. Rolled once, so that updates don't roll again."""
        return self.roll < self.setting.toxicity

    def run(self, now: float, out: Queue) -> float:
        """Move what is due to `out` while it has room. Returns when to run again (NEVER: on an event)."""
        return self.work(now, out) if self.hits else self.pass_on(out)

    def work(self, now: float, out: Queue) -> float:
        return self.pass_on(out)

    def pass_on(self, out: Queue) -> float:
        while self.inbox.items and not out.full:
            out.push(self.inbox.pop())
        return NEVER

    def changed(self, now: float) -> None:
        """The setting's attributes have changed."""

    def removed(self, out: Queue) -> None:
        """Hand over everything that is still here, whatever room there is."""
        while self.inbox.items:
            out.push(self.inbox.pop())


class Noop(Toxic):
    TYPE = "noop"
    GO_NAME = "NoopToxic"


class Latency(Toxic):
    """Every chunk leaves `latency` ± `jitter` ms after it was read, in order."""

    TYPE = "latency"
    ATTRIBUTES = ("latency", "jitter")
    GO_NAME = "LatencyToxic"
    MOST_ITEMS = 16_384
    MOST_BYTES = 32 << 20  # what is under way at 160 MB/s and 200 ms, as in the real server

    def __init__(self, setting: Setting, random: Random, now: float) -> None:
        super().__init__(setting, random, now)
        self.due: float | None = None  # of the head

    def work(self, now: float, out: Queue) -> float:
        items = self.inbox.items
        while items:
            head = items[0]
            if isinstance(head, Chunk):
                if self.due is None:
                    self.due = head.stamp + self.delay()
                if self.due > now:
                    return self.due
                if out.full:
                    return NEVER
                head.stamp = self.due  # a further latency counts from here
                self.due = None
            elif out.full:
                return NEVER
            out.push(self.inbox.pop())
        return NEVER

    def delay(self) -> float:
        jitter = self.setting.attributes["jitter"]
        spread = self.random.randrange(-jitter, jitter) if jitter > 0 else 0
        return max(0, self.setting.attributes["latency"] + spread) * MILLISECOND

    def changed(self, now: float) -> None:
        self.due = None


class Bandwidth(Toxic):
    """Bytes pass at `rate` KB/s (1 KB = 1000 bytes), in pieces of at most 100 ms; at 0 none pass."""

    TYPE = "bandwidth"
    ATTRIBUTES = ("rate",)
    GO_NAME = "BandwidthToxic"
    PIECE_MS: ClassVar[int] = 100

    def __init__(self, setting: Setting, random: Random, now: float) -> None:
        super().__init__(setting, random, now)
        self.due: float | None = None  # of the head's next piece
        self.since = now  # when the wait for it began,
        self.rate = 0  # at this rate,
        self.paid = 0.0  # after so many bytes of it had been waited for at other rates
        self.noticed: float | None = None  # when it was found to be due; what it waits from here on is lost
        self.late = 0.0  # from due to noticed, of the last piece; the next one may leave that earlier

    @classmethod
    def refusal(cls, attributes: Mapping[str, int]) -> str | None:
        rate = attributes["rate"]
        return f"bandwidth: rate must be 0 or more KB/s, got {rate}" if rate < 0 else None

    def work(self, now: float, out: Queue) -> float:
        rate = self.setting.attributes["rate"]  # KB/s is bytes a millisecond
        items = self.inbox.items
        while items:
            head = items[0]
            if isinstance(head, Chunk):
                if rate == 0:
                    return NEVER
                size = min(len(head.data), rate * self.PIECE_MS)
                if self.due is None:
                    self.since, self.rate = now - self.late, rate
                    self.due = self.since + max(0.0, size - self.paid) / rate * MILLISECOND
                if self.due > now:
                    return self.due
                if self.noticed is None:
                    self.noticed = now
                if out.full:
                    return NEVER
                out.push(self.inbox.take(size))
                self.late = self.noticed - self.due
                self.paid = max(0.0, self.paid - size)
                self.due = self.noticed = None
            elif out.full:
                return NEVER
            else:
                out.push(self.inbox.pop())
        return NEVER

    def changed(self, now: float) -> None:
        # What has been waited for stays so: else a ramp, which changes the rate often, lets little through.
        if self.due is not None:
            until = now if self.noticed is None else self.noticed
            self.paid += (until - self.since) / MILLISECOND * self.rate
        if not self.hits:
            self.paid = 0.0  # it all passes
        self.due = self.noticed = None
        self.late = 0.0


class SlowClose(Toxic):
    """The end of the stream is held back for `delay` ms."""

    TYPE = "slow_close"
    ATTRIBUTES = ("delay",)
    GO_NAME = "SlowCloseToxic"

    def __init__(self, setting: Setting, random: Random, now: float) -> None:
        super().__init__(setting, random, now)
        self.due: float | None = None

    def work(self, now: float, out: Queue) -> float:
        while self.inbox.items and not out.full:
            if isinstance(self.inbox.items[0], End):
                if self.due is None:
                    self.due = now + self.setting.attributes["delay"] * MILLISECOND
                if self.due > now:
                    return self.due
            out.push(self.inbox.pop())
        return NEVER

    def changed(self, now: float) -> None:
        self.due = None


class Timeout(Toxic):
    """Drops all data and closes the connection `timeout` ms after the last of it; 0 holds it for ever.

    Taking it out closes the connection: what was dropped is lost, so the stream has a hole.
    """

    TYPE = "timeout"
    ATTRIBUTES = ("timeout",)
    GO_NAME = "TimeoutToxic"

    def __init__(self, setting: Setting, random: Random, now: float) -> None:
        super().__init__(setting, random, now)
        self.since = now
        self.dropped = False
        self.fired = False

    def work(self, now: float, out: Queue) -> float:
        while self.inbox.items:
            item = self.inbox.pop()
            if isinstance(item, End):
                out.push(item)
                return NEVER
            self.dropped = True
            self.since = now
        timeout = self.setting.attributes["timeout"]
        if timeout <= 0 or self.fired:
            return NEVER
        due = self.since + timeout * MILLISECOND
        if due > now:
            return due
        self.fired = True
        out.push(End.FULL)
        return NEVER

    def pass_on(self, out: Queue) -> float:
        if not self.dropped:
            return super().pass_on(out)
        if not self.fired:  # a smaller toxicity lets go of this connection, but its stream has a hole
            self.fired = True
            out.push(End.FULL)
        return NEVER

    def changed(self, now: float) -> None:
        self.since = now

    def removed(self, out: Queue) -> None:
        if self.hits or self.dropped:
            out.push(End.FULL)
        else:
            super().removed(out)


class ResetPeer(Toxic):
    """`timeout` ms after the first byte, or the end, both connections are reset."""

    TYPE = "reset_peer"
    ATTRIBUTES = ("timeout",)
    GO_NAME = "ResetToxic"

    def __init__(self, setting: Setting, random: Random, now: float) -> None:
        super().__init__(setting, random, now)
        self.since: float | None = None
        self.fired = False

    def work(self, now: float, out: Queue) -> float:
        if self.fired or not self.inbox.items:
            return NEVER
        if self.since is None:
            self.since = now
        due = self.since + self.setting.attributes["timeout"] * MILLISECOND
        if due > now:
            return due
        self.fired = True
        out.push(End.RESET)
        return NEVER


class Slicer(Toxic):
    """Chunks leave in slices of `average_size` ± `size_variation` bytes, `delay` µs after each."""

    TYPE = "slicer"
    ATTRIBUTES = ("average_size", "size_variation", "delay")
    GO_NAME = "SlicerToxic"
    GO_TYPE = "int"

    def __init__(self, setting: Setting, random: Random, now: float) -> None:
        super().__init__(setting, random, now)
        self.sizes: deque[int] = deque()  # of the slices of the head that are still to come
        self.due = now

    @classmethod
    def refusal(cls, attributes: Mapping[str, int]) -> str | None:
        size, variation = attributes["average_size"], attributes["size_variation"]
        if size < 1:
            return f"slicer: average_size must be at least 1 byte, got {size}"
        if not 0 <= variation <= size:
            return f"slicer: size_variation must be from 0 to average_size ({size}), got {variation}"
        return None

    def work(self, now: float, out: Queue) -> float:
        delay = max(0, self.setting.attributes["delay"]) * MICROSECOND
        while self.inbox.items:
            head = self.inbox.items[0]
            if isinstance(head, Chunk):
                if not self.sizes:
                    self.sizes = deque(self.slices(len(head.data)))
                    self.due = max(self.due, head.stamp)
                if self.due > now:
                    return self.due
                if out.full:
                    return NEVER
                self.due += delay
                out.push(self.inbox.take(self.sizes.popleft()))
            elif self.due > now:
                return self.due
            elif out.full:
                return NEVER
            else:
                out.push(self.inbox.pop())
        return NEVER

    def slices(self, size: int) -> list[int]:
        """Halves, each a little off the middle, halved again until they are near the average size."""
        average = self.setting.attributes["average_size"]
        variation = self.setting.attributes["size_variation"]
        done: list[int] = []
        todo = [size]
        while todo:
            length = todo.pop()
            if length - average <= variation:
                done.append(length)
                continue
            left = length // 2
            if variation:
                left += self.random.randrange(-variation, variation)
                left = min(max(left, 1), length - 1)
            todo += [length - left, left]
        return done

    def changed(self, now: float) -> None:
        self.sizes.clear()
        self.due = now


class LimitData(Toxic):
    """Closes the connection after `bytes` bytes."""

    TYPE = "limit_data"
    ATTRIBUTES = ("bytes",)
    GO_NAME = "LimitDataToxic"

    def __init__(self, setting: Setting, random: Random, now: float) -> None:
        super().__init__(setting, random, now)
        self.passed = 0
        self.fired = False

    def work(self, now: float, out: Queue) -> float:
        if self.fired:
            self.inbox.clear()
            return NEVER
        while self.inbox.items and not out.full:
            if isinstance(self.inbox.items[0], End):
                out.push(self.inbox.pop())
                continue
            left = self.setting.attributes["bytes"] - self.passed
            if left > 0:
                chunk = self.inbox.take(left)
                self.passed += len(chunk.data)
                out.push(chunk)
            if self.passed >= self.setting.attributes["bytes"]:
                self.fired = True
                self.inbox.clear()
                out.push(End.FULL)
                break
        return NEVER


_ALL: tuple[type[Toxic], ...] = (
    Latency, Bandwidth, SlowClose, Timeout, ResetPeer, Slicer, LimitData, Noop,
)  # fmt: skip
TOXICS: dict[str, type[Toxic]] = {t.TYPE: t for t in _ALL}

__all__ = ["NEVER", "TOXICS", "Item", "Toxic"]
