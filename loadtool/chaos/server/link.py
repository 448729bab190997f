"""A connection through a proxy: two sockets, and two links that carry bytes between them."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random

from loadtool.chaos.server.flow import Chunk, End, Item, Queue
from loadtool.chaos.server.loop import READ, WRITE, Loop, Timer
from loadtool.chaos.server.setting import Setting
from loadtool.chaos.server.toxics import NEVER, TOXICS, Toxic

READ_BYTES = 32 << 10  # as the real server's io.Copy: a chunk is what toxics delay, slice and count by
_LINGER_ZERO = struct.pack("ii", 1, 0)
_BUFFER = memoryview(bytearray(READ_BYTES))  # of whoever reads, until it returns: there is one thread

RandomOf = Callable[[str, Setting], Random]  # by direction and toxic


class Side:
    """One of a connection's two sockets: the source of one link and the destination of the other."""

    __slots__ = ("_events", "_loop", "closed", "reader", "sock", "writer")

    reader: Link
    writer: Link

    def __init__(self, sock: socket.socket, loop: Loop) -> None:
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            with suppress(OSError):  # where the peer has left, some systems refuse; a read will tell
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # some peers just vanish
        self.sock = sock
        self.closed = False
        self._loop = loop
        self._events = 0

    def refresh(self) -> None:
        """Watch for what the links are waiting for."""
        if self.closed:
            return
        events = (READ if self.reader.wants_more else 0) | (WRITE if self.writer.blocked else 0)
        if events != self._events:
            self._loop.watch(self.sock, self._events, events, self.on_ready)
            self._events = events

    def on_ready(self, events: int) -> None:
        if events == READ and self.reader.is_clear:
            self.reader.forward()
            return
        if events & WRITE and self.writer.blocked:
            self.writer.on_writable()
        if events & READ and not self.closed and self.reader.wants_more:
            self.reader.on_readable()
        self.refresh()

    def close(self, *, reset: bool = False) -> None:
        if self.closed:
            return
        self.closed = True
        self._loop.watch(self.sock, self._events, 0, self.on_ready)
        if reset:
            with suppress(OSError):  # as above
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self.sock.close()


class Link:
    """One direction: bytes read from `source` pass the toxics, in order, and are written to `dest`."""

    __slots__ = (
        "_loop", "_out", "_random_of", "_timer", "blocked", "chain", "connection", "dest", "direction",
        "drained", "finished", "received", "sent", "source",
    )  # fmt: skip

    def __init__(
        self,
        connection: Connection,
        direction: str,
        source: Side,
        dest: Side,
        loop: Loop,
        random_of: RandomOf,
    ) -> None:
        self.connection = connection
        self.direction = direction
        self.source = source
        self.dest = dest
        self.chain: list[Toxic] = []
        self.blocked = False  # the destination takes no more for now
        self.drained = False  # the source has ended
        self.finished = False  # nothing will be written any more
        self.received = 0
        self.sent = 0
        self._out = Queue(1024, READ_BYTES * 4)
        self._loop = loop
        self._random_of = random_of
        self._timer: Timer | None = None
        source.reader = self
        dest.writer = self

    @property
    def wants_more(self) -> bool:
        if self.drained or self.finished:
            return False
        return not (self.chain[0].inbox if self.chain else self._out).full

    @property
    def is_clear(self) -> bool:
        """Whether nothing stands, or lies, between the source and the destination."""
        return not (self.chain or self._out.items or self.drained or self.finished)

    # What happens on the sockets

    def forward(self) -> None:
        """While the link is clear: straight on from socket to socket. What does not fit waits as a chunk."""
        try:
            n = self.source.sock.recv_into(_BUFFER)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.end(End.FULL)
            return
        if not n:
            self.end(End.HALF)
            return
        self.received += n
        try:
            sent = self.dest.sock.send(_BUFFER[:n])
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._finish(End.FULL)
            return
        self.sent += sent
        if sent < n:
            self.feed(Chunk(bytes(_BUFFER[sent:n]), self._loop.now()))

    def on_readable(self) -> None:
        try:
            data = self.source.sock.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            # The sender's connection is broken: what it sent goes out, then the receiver's is closed.
            self.end(End.FULL)
            return
        if data:
            self.received += len(data)
            self.feed(Chunk(data, self._loop.now()))
        else:
            self.end(End.HALF)

    def now(self) -> float:
        return self._loop.now()

    def end(self, how: End) -> None:
        """The source has ended."""
        if not self.drained:
            self.drained = True
            self.feed(how)

    def feed(self, item: Item) -> None:
        (self.chain[0].inbox if self.chain else self._out).push(item)
        self.pump(self._loop.now())

    def on_writable(self) -> None:
        self.blocked = False
        self.pump(self._loop.now())

    def _on_time(self, now: float) -> None:
        self._timer = None
        self.pump(now)

    # The chain

    def pump(self, now: float) -> None:
        """Move everything that is due as far as it can go, and arrange for the rest."""
        if self.finished:
            return
        while True:
            moved = False
            wake_at = NEVER
            for i, toxic in enumerate(self.chain):
                out = self.chain[i + 1].inbox if i + 1 < len(self.chain) else self._out
                before = len(toxic.inbox.items), toxic.inbox.size
                wake_at = min(wake_at, toxic.run(now, out))
                moved |= before != (len(toxic.inbox.items), toxic.inbox.size)
            wrote = self._flush()
            if self.finished:
                return
            # Room that a write, or a toxic further down, has made lets the toxics before it move again.
            if not (self.chain and (moved or wrote)):
                break
        self._wake(wake_at)
        self.source.refresh()
        self.dest.refresh()

    def _wake(self, time: float) -> None:
        """Run again at `time`. One that comes earlier than needed is left alone, and finds nothing due."""
        if self._timer is not None and time < self._timer.time:
            self._loop.cancel(self._timer)
            self._timer = None
        if self._timer is None and time != NEVER:
            self._timer = self._loop.at(time, self._on_time)

    def _flush(self) -> bool:
        """Write what is ready. Whether anything was."""
        wrote = False
        while self._out.items and not self.blocked:
            item = self._out.items[0]
            if isinstance(item, End):
                self._finish(item)
                return True
            try:
                n = self.dest.sock.send(item.data)
            except (BlockingIOError, InterruptedError):
                self.blocked = True
            except OSError:
                self._finish(End.FULL)
                return True
            else:
                self.sent += n
                self._out.take(n)
                wrote = True
        return wrote

    def _finish(self, how: End) -> None:
        self.stop()
        self.connection.on_finish(self, how)

    def stop(self) -> None:
        """Carry nothing any more."""
        self.finished = True
        self.blocked = False
        self.chain.clear()
        self._out.clear()
        if self._timer is not None:
            self._loop.cancel(self._timer)
            self._timer = None

    # Changes of toxics while the connection lives

    def add(self, setting: Setting, now: float) -> None:
        self.chain.append(TOXICS[setting.type](setting, self._random_of(self.direction, setting), now))
        self.pump(now)

    def changed(self, setting: Setting, now: float) -> None:
        for toxic in self.chain:
            if toxic.setting is setting:
                toxic.changed(now)
        self.pump(now)

    def remove(self, setting: Setting, now: float) -> None:
        for i, toxic in enumerate(self.chain):
            if toxic.setting is setting:
                del self.chain[i]
                toxic.removed(self.chain[i].inbox if i < len(self.chain) else self._out)
                break
        self.pump(now)


class Connection:
    """A client and its upstream, joined. `on_close` is called once, when both sockets are closed."""

    __slots__ = ("_closed", "_on_close", "client", "links", "server")

    def __init__(
        self,
        client: socket.socket,
        server: socket.socket,
        loop: Loop,
        random_of: RandomOf,
        on_close: Callable[[Connection], None],
    ) -> None:
        self.client = Side(client, loop)
        self.server = Side(server, loop)
        self.links = {
            "upstream": Link(self, "upstream", self.client, self.server, loop, random_of),
            "downstream": Link(self, "downstream", self.server, self.client, loop, random_of),
        }
        self._on_close = on_close
        self._closed = False

    def start(self, settings: Sequence[Setting]) -> None:
        """Begin to carry bytes, through the toxics that the proxy has at this moment."""
        now = self.client.reader.now()
        for setting in settings:
            self.links[setting.direction].add(setting, now)
        self.client.refresh()
        self.server.refresh()

    def on_finish(self, link: Link, how: End) -> None:
        """A link has delivered the end of its stream."""
        back = self.links["downstream" if link.direction == "upstream" else "upstream"]
        if how is End.RESET:
            self.close(reset=True)
        elif how is End.HALF and not back.finished:
            try:
                link.dest.sock.shutdown(socket.SHUT_WR)
            except OSError:  # not connected any more
                how = End.FULL
        if how is End.FULL:
            link.dest.close()
            back.end(End.FULL)  # nothing more can come from there; what did come is still delivered
        link.source.refresh()
        if all(x.finished for x in self.links.values()):
            self.close()

    def close(self, *, reset: bool = False) -> None:
        """Close both sockets now, whatever is under way."""
        if self._closed:
            return
        self._closed = True
        for link in self.links.values():
            link.stop()
        self.client.close(reset=reset)
        self.server.close(reset=reset)
        self._on_close(self)
