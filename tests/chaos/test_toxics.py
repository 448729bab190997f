"""The toxics' arithmetic, without sockets: items in, items out, and when, on a clock of the test's own."""

from __future__ import annotations

import math
from random import Random

import pytest

from loadtool.chaos.server.flow import Chunk, End, Item, Queue
from loadtool.chaos.server.setting import Setting
from loadtool.chaos.server.toxics import NEVER, TOXICS, Toxic

Out = list[tuple[float, bytes | End]]


class Bench:
    """One toxic; `out` is what came out of it, and when."""

    def __init__(self, type_: str, *, toxicity: float = 1, seed: int = 1, **attributes: int) -> None:
        given = dict.fromkeys(TOXICS[type_].ATTRIBUTES, 0) | attributes
        self.setting = Setting("t", type_, "downstream", toxicity, given)
        self.now = 0.0
        self.toxic: Toxic = TOXICS[type_](self.setting, Random(seed), 0.0)
        self.queue = Queue(1_000_000, 1 << 40)
        self.out: Out = []
        self.wake = NEVER

    def put(self, *items: bytes | End, at: float | None = None) -> None:
        """Arrive now, or `at`; then run."""
        if at is not None:
            self.until(at)
        for item in items:
            self.toxic.inbox.push(item if isinstance(item, End) else Chunk(item, self.now))
        self.run()

    def run(self) -> None:
        self.wake = self.toxic.run(self.now, self.queue)
        self.collect()

    def collect(self) -> None:
        while self.queue.items:
            item: Item = self.queue.pop()
            self.out.append((round(self.now, 9), item if isinstance(item, End) else bytes(item.data)))

    def until(self, time: float) -> None:
        """Let time pass, running the toxic whenever it asked for it."""
        while self.wake <= time:
            assert self.wake >= self.now
            self.now = self.wake
            self.run()
        self.now = time

    def change(self, **attributes: int) -> None:
        self.setting.attributes |= attributes
        self.toxic.changed(self.now)
        self.run()

    def remove(self) -> None:
        self.toxic.removed(self.queue)
        self.collect()

    def rest(self) -> Out:
        """Everything that comes of its own accord."""
        self.until(self.now + 1e6)
        return self.out


@pytest.mark.parametrize(
    "type_", [t for t in TOXICS if t not in ("timeout", "reset_peer", "limit_data", "bandwidth")]
)
def test_without_effect_all_passes_at_once(type_: str) -> None:
    bench = Bench(type_, **({"average_size": 100} if type_ == "slicer" else {}))
    bench.put(b"a", b"b", End.HALF)
    assert bench.out == [(0, b"a"), (0, b"b"), (0, End.HALF)]
    assert bench.wake == NEVER


@pytest.mark.parametrize("type_", list(TOXICS))
def test_a_connection_that_toxicity_spared_is_not_touched(type_: str) -> None:
    bench = Bench(type_, toxicity=0, latency=1000) if type_ == "latency" else Bench(type_, toxicity=0)
    bench.put(b"a", b"b", End.HALF)
    assert bench.out == [(0, b"a"), (0, b"b"), (0, End.HALF)]
    bench.put(b"c")
    bench.remove()
    assert bench.out[3:] == [(0, b"c")]


@pytest.mark.parametrize(("toxicity", "hit"), [(0.0, 0), (0.1, 1000), (0.5, 5000), (1.0, 10_000)])
def test_toxicity_is_the_share_of_connections(toxicity: float, hit: int) -> None:
    hits = sum(Bench("noop", toxicity=toxicity, seed=i).toxic.hits for i in range(10_000))
    assert abs(hits - hit) <= 4 * math.sqrt(10_000 * toxicity * (1 - toxicity))


def test_latency_counts_from_when_a_chunk_was_read() -> None:
    bench = Bench("latency", latency=200)
    bench.put(b"a")
    bench.put(b"b", at=0.05)
    bench.put(b"c", at=0.3)
    assert bench.rest() == [(0.2, b"a"), (0.25, b"b"), (0.5, b"c")]


def test_latency_does_not_delay_a_lone_end_but_keeps_it_behind_its_data() -> None:
    bench = Bench("latency", latency=200)
    bench.put(b"a", End.HALF)
    assert bench.rest() == [(0.2, b"a"), (0.2, End.HALF)]
    bench = Bench("latency", latency=200)
    bench.put(End.HALF)
    assert bench.out == [(0, End.HALF)]


def test_jitter_is_uniform_within_its_bounds_and_repeats_with_the_seed() -> None:
    def delays(seed: int) -> list[float]:
        bench = Bench("latency", seed=seed, latency=100, jitter=50)
        for i in range(2000):
            bench.put(b"x", at=i * 1.0)
        return [round(t - i, 6) for i, (t, _) in enumerate(bench.rest())]

    found = delays(1)
    assert min(found) >= 0.05
    assert max(found) < 0.15
    assert abs(sum(found) / len(found) - 0.1) < 4 * (0.1 / math.sqrt(12)) / math.sqrt(2000)
    assert delays(1) == found
    assert delays(2) != found


def test_jitter_never_changes_the_order() -> None:
    bench = Bench("latency", latency=100, jitter=100)
    for i in range(200):
        bench.put(bytes([i]), at=i / 1000)
    out = bench.rest()
    assert [data for _, data in out] == [bytes([i]) for i in range(200)]
    assert [t for t, _ in out] == sorted(t for t, _ in out)


def test_a_changed_latency_holds_for_what_is_waiting() -> None:
    bench = Bench("latency", latency=1000)
    bench.put(b"a", b"b")
    bench.put(b"c", at=0.1)
    bench.change(latency=300)
    assert bench.rest() == [(0.3, b"a"), (0.3, b"b"), (0.4, b"c")]


def test_what_waits_in_a_latency_leaves_when_it_is_removed() -> None:
    bench = Bench("latency", latency=1000)
    bench.put(b"a", b"b", End.HALF)
    bench.remove()
    assert bench.out == [(0, b"a"), (0, b"b"), (0, End.HALF)]


def test_bandwidth_lets_bytes_through_at_its_rate_in_pieces_of_100_ms() -> None:
    bench = Bench("bandwidth", rate=10)  # KB/s: 10 bytes a ms
    bench.put(b"x" * 2500)
    assert [(t, len(d)) for t, d in bench.rest() if isinstance(d, bytes)] == [
        (0.1, 1000),
        (0.2, 1000),
        (0.25, 500),
    ]


def test_bandwidth_serves_one_chunk_after_another() -> None:
    bench = Bench("bandwidth", rate=1)
    bench.put(b"x" * 50, b"y" * 50, End.HALF)
    bench.put(b"z" * 10, at=1.0)
    assert bench.rest() == [(0.05, b"x" * 50), (0.1, b"y" * 50), (0.1, End.HALF), (1.01, b"z" * 10)]


def test_bandwidth_keeps_its_rate_though_it_is_run_late() -> None:
    bench = Bench("bandwidth", rate=1)
    sent = 0
    for _ in range(100):
        bench.put(b"x" * 10)
        bench.now = bench.wake + 0.001  # every timer fires a millisecond late
        bench.run()
        sent += 10
    assert bench.out[-1][0] == pytest.approx(sent / 1000 + 0.001)


def test_bandwidth_does_not_make_up_for_a_receiver_that_takes_nothing() -> None:
    bench = Bench("bandwidth", rate=1)
    room, bench.queue = bench.queue, Queue(0, 0)
    bench.put(b"x" * 300, b"y" * 50)
    bench.until(12)
    bench.queue = room
    bench.run()
    wanted = [(12, b"x" * 100), (12.1, b"x" * 100), (12.2, b"x" * 100), (12.25, b"y" * 50)]
    assert bench.rest() == wanted


def test_bandwidth_0_holds_everything_until_it_is_changed_or_removed() -> None:
    bench = Bench("bandwidth")
    bench.put(b"a" * 10)
    assert bench.rest() == []
    bench.change(rate=1)
    assert [d for _, d in bench.rest()] == [b"a" * 10]


def test_a_changed_bandwidth_keeps_what_was_waited_for() -> None:
    bench = Bench("bandwidth", rate=10)
    bench.put(b"x" * 1000)
    bench.until(0.05)
    bench.change(rate=20)  # 500 bytes are left to wait for, at 20 a ms
    assert bench.rest() == [(0.075, b"x" * 1000)]


def test_a_bandwidth_that_changes_all_the_time_lets_through_what_its_rates_allow() -> None:
    bench = Bench("bandwidth", rate=1)
    bench.put(b"x" * 100_000)
    for step in range(1, 101):  # a ramp to 100 KB/s in steps much shorter than a piece
        bench.until(step * 0.01)
        bench.change(rate=step)
    bench.until(1.0)
    passed = sum(len(d) for _, d in bench.out if isinstance(d, bytes))
    allowed = 10 + sum(step * 10 for step in range(1, 100))
    assert allowed - 100 * 100 <= passed <= allowed  # but for the last piece


def test_a_bandwidth_that_falls_lets_through_what_was_waited_for_and_no_more() -> None:
    bench = Bench("bandwidth", rate=10)
    bench.put(b"x" * 1000)
    bench.until(0.05)
    bench.change(rate=1)  # pieces of 100 bytes now: 5 of them have been waited for
    assert [(t, len(d)) for t, d in bench.out if isinstance(d, bytes)] == [(0.05, 100)] * 5
    assert [t for t, _ in bench.rest()[5:]] == pytest.approx([0.15, 0.25, 0.35, 0.45, 0.55])


def test_a_changed_bandwidth_does_not_count_time_without_room() -> None:
    bench = Bench("bandwidth", rate=1)
    room, bench.queue = bench.queue, Queue(0, 0)
    bench.put(b"x" * 300)
    bench.until(12)
    bench.change(rate=2)
    bench.queue = room
    bench.run()
    assert bench.out == []  # 100 of a piece of 200 have been waited for
    assert bench.rest() == [(12.05, b"x" * 200), (12.1, b"x" * 100)]


def test_a_bandwidth_that_has_let_a_connection_go_begins_anew() -> None:
    bench = Bench("bandwidth", rate=10)
    bench.put(b"x" * 1000)
    bench.until(0.05)
    toxic, attributes = bench.toxic, bench.setting.attributes
    bench.setting.toxicity = 0
    bench.change()
    assert [len(d) for _, d in bench.out if isinstance(d, bytes)] == [1000]
    bench.setting.toxicity = 1
    bench.change()
    assert (toxic, attributes) == (bench.toxic, {"rate": 10})
    bench.put(b"y" * 1000)
    assert bench.rest()[1:] == [(0.15, b"y" * 1000)]


def test_slow_close_delays_the_end_only() -> None:
    bench = Bench("slow_close", delay=500)
    bench.put(b"a", End.HALF)
    assert bench.rest() == [(0, b"a"), (0.5, End.HALF)]


def test_a_changed_slow_close_begins_again() -> None:
    bench = Bench("slow_close", delay=500)
    bench.put(End.HALF)
    bench.until(0.4)
    bench.change(delay=300)
    assert bench.rest() == [(0.7, End.HALF)]


def test_timeout_drops_data_and_closes_after_the_last_of_it() -> None:
    bench = Bench("timeout", timeout=100)
    bench.run()
    bench.put(b"a", at=0.05)
    bench.put(b"b", at=0.12)
    bench.put(b"c", at=0.5)
    assert bench.rest() == [(0.22, End.FULL)]


def test_timeout_counts_from_its_beginning_when_nothing_comes() -> None:
    bench = Bench("timeout", timeout=100)
    bench.run()
    assert bench.rest() == [(0.1, End.FULL)]


def test_timeout_0_never_closes_but_lets_the_end_through_and_closes_when_removed() -> None:
    bench = Bench("timeout")
    bench.put(b"a")
    assert bench.rest() == []
    bench.remove()
    assert [d for _, d in bench.out] == [End.FULL]
    bench = Bench("timeout")
    bench.put(b"a", End.HALF)
    assert bench.out == [(0, End.HALF)]


def test_a_connection_that_a_timeout_lets_go_is_closed_since_its_stream_has_a_hole() -> None:
    bench = Bench("timeout")
    bench.put(b"lost")
    bench.setting.toxicity = 0
    bench.put(b"b")
    assert bench.out == [(0, End.FULL)]


@pytest.mark.parametrize("first", [b"a", End.HALF])
def test_reset_peer_resets_after_the_first_item(first: bytes | End) -> None:
    bench = Bench("reset_peer", timeout=100)
    bench.run()
    bench.put(first, at=1.0)
    assert bench.rest() == [(1.1, End.RESET)]


def test_reset_peer_that_is_removed_in_time_has_lost_nothing() -> None:
    bench = Bench("reset_peer", timeout=100)
    bench.put(b"a")
    bench.until(0.05)
    bench.remove()
    assert bench.out == [(0.05, b"a")]


def test_slicer_slices_and_pauses() -> None:
    bench = Bench("slicer", average_size=2, delay=1000)
    bench.put(b"abcdefgh", End.HALF)
    slices = [(0, b"ab"), (0.001, b"cd"), (0.002, b"ef"), (0.003, b"gh")]
    assert bench.rest() == [*slices, (0.004, End.HALF)]


@pytest.mark.parametrize(("size", "variation"), [(1, 0), (1, 1), (7, 3), (64, 64), (1000, 10)])
def test_slices_are_near_the_average_and_lose_nothing(size: int, variation: int) -> None:
    data = Random(2).randbytes(5000)
    bench = Bench("slicer", average_size=size, size_variation=variation)
    bench.put(data)
    slices = [d for _, d in bench.rest() if isinstance(d, bytes)]
    assert b"".join(slices) == data
    assert max(map(len, slices)) <= size + variation
    assert min(map(len, slices)) >= 1


def test_limit_data_closes_at_its_last_byte() -> None:
    bench = Bench("limit_data", bytes=5)
    bench.put(b"abc")
    bench.put(b"defg")
    bench.put(b"h")
    assert bench.out == [(0, b"abc"), (0, b"de"), (0, End.FULL)]


def test_limit_data_0_closes_at_the_first_byte() -> None:
    bench = Bench("limit_data")
    assert bench.rest() == []
    bench.put(b"a")
    assert [d for _, d in bench.out] == [End.FULL]


@pytest.mark.parametrize("type_", list(TOXICS))
def test_no_toxic_gives_more_than_there_is_room_for(type_: str) -> None:
    """But for the end of a connection, nothing goes to a queue that is full."""
    attributes = {"average_size": 2} if type_ == "slicer" else {"bytes": 100} if type_ == "limit_data" else {}
    bench = Bench(type_, **attributes)
    bench.queue = Queue(1, 1 << 20)
    bench.toxic.inbox.push(Chunk(b"abcd", 0))
    bench.toxic.inbox.push(Chunk(b"efgh", 0))
    bench.toxic.run(1.0, bench.queue)
    assert len(bench.queue.items) <= 1
