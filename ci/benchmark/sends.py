"""When requests really left: the kernel's time stamps of the packets that carry them, for every tool alike.

A tool's own word for its punctuality is no measure of it. A packet socket on the loopback sees each
request on its way; a filter in the kernel keeps all else away.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import threading
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

SO_TIMESTAMPNS = 35
SO_ATTACH_FILTER = 26
SO_RCVBUFFORCE = 33
PACKET_HOST = 0
ETH_P_IP = 0x0800
BUFFER = 512 << 20  # bytes; enough for what comes while nobody reads


@dataclass(frozen=True)
class Lag:
    """How late requests left, against a schedule of even gaps. Times in ms."""

    rate: float  # requests/s that left
    p50: float
    p99: float
    max: float


def lag(sent_ns: Sequence[int], rate: float, skip_s: float = 1.0) -> Lag | None:
    """Lag of requests that should have left at even gaps; None without enough of them.

    In each second the schedule is the earliest one that no request was ahead of, so a tool whose clock runs a
    little slow is not blamed for what adds up. The first `skip_s` and the last tenth of a second don't count.
    """
    if len(sent_ns) < 2:
        return None
    gap = 1e9 / rate
    ordered = sorted(sent_ns)
    begin, end = ordered[0] + skip_s * 1e9, ordered[-1] - 1e8
    late: list[float] = []
    while begin < end:
        inside = ordered[bisect_left(ordered, begin) : bisect_left(ordered, min(begin + 1e9, end))]
        offsets = [at - i * gap for i, at in enumerate(inside)]
        if offsets:
            earliest = min(offsets)
            late += [(offset - earliest) / 1e6 for offset in offsets]
        begin += 1e9
    if not late:
        return None
    late.sort()
    span = (
        ordered[bisect_left(ordered, end)] - ordered[bisect_left(ordered, ordered[0] + skip_s * 1e9)]
    ) / 1e9
    return Lag(
        len(late) / span, late[len(late) // 2], late[min(len(late) - 1, len(late) * 99 // 100)], late[-1]
    )


def _filter(port: int) -> list[tuple[int, int, int, int]]:
    """Classic BPF: TCP that comes in for `port` and begins with GET."""
    drop = 14
    return [
        (0x28, 0, 0, 0xFFFFF004),  # 0: A = packet type
        (0x15, 0, drop - 2, PACKET_HOST),  # 1
        (0x30, 0, 0, 9),  # 2: A = protocol
        (0x15, 0, drop - 4, socket.IPPROTO_TCP),  # 3
        (0xB1, 0, 0, 0),  # 4: X = length of the IP header
        (0x48, 0, 0, 2),  # 5: A = destination port
        (0x15, 0, drop - 7, port),  # 6
        (0x50, 0, 0, 12),  # 7: A = length of the TCP header, in the upper half
        (0x74, 0, 0, 4),  # 8
        (0x64, 0, 0, 2),  # 9
        (0x0C, 0, 0, 0),  # 10: A += X
        (0x07, 0, 0, 0),  # 11: X = A
        (0x40, 0, 0, 0),  # 12: A = first bytes of the data
        (0x15, 1, 0, 0x47455420),  # 13: "GET "
        (0x06, 0, 0, 0),  # 14: drop
        (0x06, 0, 0, 64),  # 15: keep
    ]


class Watch:
    """Collects the times of requests to a port while the block lasts. Raises OSError without the right to."""

    def __init__(self, port: int) -> None:
        self.sent_ns: list[int] = []
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        try:
            self._attach(port)
        except BaseException:
            self._socket.close()
            raise
        self._ended = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)

    def _attach(self, port: int) -> None:
        rows = _filter(port)
        code = b"".join(struct.pack("HBBI", *row) for row in rows)
        buffer = ctypes.create_string_buffer(code)
        program = struct.pack("HP", len(rows), ctypes.addressof(buffer))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.setblocking(False)
        self._socket.bind(("lo", ETH_P_IP))

    def __enter__(self) -> Watch:
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._reader.join()
        self._socket.close()

    def _read(self) -> None:
        """Now and then, as the kernel has kept the times."""
        while True:
            last = self._ended.is_set()
            while True:
                try:
                    _, extra, _, _ = self._socket.recvmsg(1, 64)
                except BlockingIOError:
                    break
                seconds, ns = struct.unpack("qq", extra[0][2])
                self.sent_ns.append(seconds * 1_000_000_000 + ns)
            if last:
                return
            time.sleep(0.2)
