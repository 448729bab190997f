"""Gauges: figures that a service tells of itself, out of Prometheus text and JSON."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack

import pytest
import trio
from trio.testing import MockClock

from loadtool.chaos.gauge import HttpGauge, describe_gauge, gauges_of, read_value
from loadtool.chaos.probe import Clients, Prober
from loadtool.profile.gauge import Gauge

PROMETHEUS = """\
# HELP queued Requests waiting.
# TYPE queued gauge
queued 12
queued_peak 40
ratio 0.25
turned_away_total{reason="queue full"} 3
turned_away_total{reason="rate limit",zone="a,b"} 4 1700000000000
odd NaN
huge{x="a"} 1.7e308
huge{x="b"} 1.7e308
low{x="a"} -1.7e308
low{x="b"} -1.7e308
both{x="a"} +Inf
both{x="b"} -Inf
text abc
up{job="x"} 1e3
"""
EXEMPLARS = """\
h_bucket{le="0.1"} 5 # {trace_id="x"} 0.05
h_bucket{le="1"} 7 # {trace_id="y"} 0.7 1700000000.5
h_count 7 1700000000.123
seen{at="x"} 5 1.520879607789e+09
calls_total 9.0 # {} 1.0
odd{path="/a} 3 # {b"} 2
odd{path="/\x85"} 4
odd{path="/\u2028"} 8
# EOF
"""
JSON = '{"queued": 12, "store": {"calls": 3.5, "by": [1, 2]}, "name": "x", "on": true, "none": null}'


@pytest.mark.parametrize(
    ("text", "wanted", "value"),
    [
        (PROMETHEUS, "queued", 12),
        (PROMETHEUS, "ratio", 0.25),
        (PROMETHEUS, "up", 1000),
        (PROMETHEUS, "turned_away_total", 7),
        (PROMETHEUS, 'turned_away_total{reason="queue full"}', 3),
        (PROMETHEUS, 'turned_away_total{zone="a,b"}', 4),
        (PROMETHEUS, 'turned_away_total{ zone="a,b", reason="rate limit" }', 4),
        (EXEMPLARS, "h_bucket", 12),
        (EXEMPLARS, 'h_bucket{le="0.1"}', 5),
        (EXEMPLARS, "h_count", 7),
        (EXEMPLARS, "seen", 5),
        (EXEMPLARS, "calls_total", 9),
        (EXEMPLARS, "odd", 14),
        (PROMETHEUS.replace("\n", "\r\n"), "queued", 12),
        (JSON, "queued", 12),
        (JSON, "store.calls", 3.5),
        (JSON, "store.by.1", 2),
        (f'{{"free": {-(2**63)}}}', "free", -(2**63)),
    ],
)
def test_a_value_is_read(text: str, wanted: str, value: float) -> None:
    assert read_value(text, wanted) == value


@pytest.mark.parametrize(
    ("text", "wanted", "said"),
    [
        (PROMETHEUS, "queue", "the answer has no queue"),
        (PROMETHEUS, 'turned_away_total{reason="x"}', 'the answer has no turned_away_total{reason="x"}'),
        (PROMETHEUS, "odd", "odd is nan, want a finite number"),
        (PROMETHEUS, "huge", "huge is inf, want a finite number"),
        (PROMETHEUS, "low", "low is -inf, want a finite number"),
        (PROMETHEUS, "both", "both is nan, want a finite number"),
        (PROMETHEUS, "text", "text is abc, want a number"),
        ("<html>", "queued", "the answer has no queued"),
        ("", "queued", "the answer has no queued"),
        (JSON, "store", 'store is {"calls": 3.5, "by": [1, 2]}, want a number'),
        (JSON, "on", "on is true, want a number"),
        (JSON, "none", "none is null, want a number"),
        (JSON, "store.by.2", "the answer has no store.by.2"),
        (JSON, "name.x", "the answer has no name.x"),
        ("5", "queued", "the answer has no queued"),
        (f'{{"queued": {10**400}}}', "queued", "queued is inf, want a finite number"),
        (f'{{"queued": {-(10**400)}}}', "queued", "queued is -inf, want a finite number"),
        (f'{{"limit": {2**64 - 1}}}', "limit", "limit is 1.84467e+19, want a number up to 9.22e+18"),
        ('{"low": -1.7e308}', "low", "low is -1.7e+308, want a number up to 9.22e+18"),
        ('{"queued": 1e999}', "queued", "queued is inf, want a finite number"),
        ('{"queued": 1' + 5000 * "0" + "}", "queued", "the answer has no queued"),
    ],
)
def test_what_is_no_value(text: str, wanted: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        read_value(text, wanted)


async def test_it_is_asked_over_http() -> None:
    body = PROMETHEUS.encode()
    odd = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=hex\r\nContent-Length: 8\r\n\r\nqueued 9"
    answers = {
        b"/odd": odd,
        b"/metrics": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body),
        b"/gone": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    }

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            request = await stream.receive_some()
            await stream.send_all(answers[bytes(request).split()[1]])

    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        port = listeners[0].socket.getsockname()[1]
        clients = Clients(stack)

        async def ask(path: str, value: str = "queued") -> str | float:
            return await HttpGauge("q", f"http://127.0.0.1:{port}{path}", value, 1.0).ask(clients)

        assert await ask("/metrics") == 12.0
        assert await ask("/metrics", "nothing") == "the answer has no nothing"
        assert await ask("/odd") == 9.0
        assert await ask("/gone") == "status 404"
        nursery.cancel_scope.cancel()


class Counting:
    """Reads 1, 2, 3 … and fails at the third."""

    name = "n"
    within_ns = None
    every_s = 0.25

    def __init__(self) -> None:
        self.number = 0

    def prepare(self, clients: Clients) -> None:
        pass

    async def ask(self, clients: Clients) -> str | float:
        self.number += 1
        return "status 503" if self.number == 3 else float(self.number)


async def test_a_series_has_the_values_at_their_own_pace(autojump_clock: MockClock) -> None:
    prober = Prober([Counting()])
    origin = trio.current_time() + 1
    with trio.move_on_at(origin + 0.8):
        await prober.run(origin)
    await prober.finish(origin)
    assert [(a.t, a.ok, a.value, a.detail, a.after) for a in prober.answers] == [
        (0, True, 1.0, "", False),
        (0.25, True, 2.0, "", False),
        (0.5, False, None, "status 503", False),
        (0.75, True, 4.0, "", False),
        (0.8, True, 5.0, "", True),
    ]


def test_gauges_of_a_profile() -> None:
    gauges = [
        Gauge.model_validate({"name": "q", "get": "/metrics", "value": "queued", "every": "250ms"}),
        Gauge.model_validate({"name": "cpu", "get": "http://10.0.0.1:9100/metrics", "value": "load1"}),
    ]
    assert gauges_of(gauges, "http://127.0.0.1:80/") == [
        HttpGauge("q", "http://127.0.0.1:80/metrics", "queued", 0.25, target=True),
        HttpGauge("cpu", "http://10.0.0.1:9100/metrics", "load1", 1.0),
    ]
    assert [describe_gauge(g) for g in gauges] == [
        "queued of GET /metrics, every 250ms",
        "load1 of GET http://10.0.0.1:9100/metrics, every 1s",
    ]
