"""What flows through a link: chunks of bytes, then one End; and the bounded queues that hold them."""

from __future__ import annotations

from collections import deque
from enum import Enum


class Chunk:
    """Bytes, and the moment (s of the loop's clock) from which delays count: when they were read."""

    __slots__ = ("data", "stamp")

    def __init__(self, data: bytes | memoryview, stamp: float) -> None:
        self.data = data
        self.stamp = stamp

    def take(self, size: int) -> Chunk:
        """Split off the first `size` bytes."""
        view = memoryview(self.data)
        self.data = view[size:]
        return Chunk(view[:size], self.stamp)


class End(Enum):
    """How a direction ends."""

    HALF = "half"  # the sender has finished; answers may still come the other way
    FULL = "full"  # close the receiver's connection
    RESET = "reset"  # close both connections with a TCP RST


Item = Chunk | End


class Queue:
    """A first-in first-out of items that knows when it holds enough. `push` never refuses."""

    __slots__ = ("items", "most_bytes", "most_items", "size")

    def __init__(self, most_items: int, most_bytes: int) -> None:
        self.items: deque[Item] = deque()
        self.size = 0
        self.most_items = most_items
        self.most_bytes = most_bytes

    @property
    def full(self) -> bool:
        return self.size >= self.most_bytes or len(self.items) >= self.most_items

    def push(self, item: Item) -> None:
        if isinstance(item, Chunk):
            self.size += len(item.data)
        self.items.append(item)

    def pop(self) -> Item:
        item = self.items.popleft()
        if isinstance(item, Chunk):
            self.size -= len(item.data)
        return item

    def take(self, size: int) -> Chunk:
        """The first `size` bytes of the chunk at the head, which stays there with the rest.

        All of the chunk if it is no longer than that.
        """
        head = self.items[0]
        assert isinstance(head, Chunk)
        if len(head.data) <= size:
            self.pop()
            return head
        self.size -= size
        return head.take(size)

    def clear(self) -> None:
        self.items.clear()
        self.size = 0
