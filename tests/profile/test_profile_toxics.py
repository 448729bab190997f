"""toxics: from a profile's units to Toxiproxy's, and values that would hurt a real server."""

from __future__ import annotations

import pytest

from loadtool.profile.model import Fault
from loadtool.profile.toxics import TOXICS, as_written, collect

GOOD = [
    ("latency", {"latency": "200ms", "jitter": "50ms"}, {"latency": 200, "jitter": 50}),
    ("latency", {"latency": "1.5s"}, {"latency": 1500}),
    ("latency", {"latency": 0}, {"latency": 0}),
    ("bandwidth", {"rate": "64KB/s"}, {"rate": 64}),
    ("bandwidth", {"rate": "1MB/s"}, {"rate": 1000}),
    ("slow_close", {"delay": "2s"}, {"delay": 2000}),
    ("timeout", {"timeout": 0}, {"timeout": 0}),
    ("reset_peer", {}, {}),
    ("reset_peer", {"timeout": "10ms"}, {"timeout": 10}),
    (
        "slicer",
        {"average_size": "64B", "size_variation": 32, "delay": "10us"},
        {"average_size": 64, "size_variation": 32, "delay": 10},
    ),
    ("limit_data", {"bytes": "1KiB"}, {"bytes": 1024}),
    ("noop", {}, {}),
]
BAD = [
    ("latency", {}, ("latency", "missing: toxic latency needs latency, such as 200ms")),
    ("latency", {"latency": -1}, ("latency", "got -1, want a duration such as 250ms, 5s or 1m30s")),
    ("latency", {"latency": 200}, ("latency", "got 200, want a duration with its unit: write 200s or 200ms")),
    (
        "latency",
        {"latency": "1500us"},
        ("latency", "got 1500us, want whole ms, the unit that Toxiproxy counts in"),
    ),
    ("latency", {"latency": "300h"}, ("latency", "got 300h, want at most 277h46m40s")),
    ("bandwidth", {"rate": 64}, ("rate", "got 64, want a byte rate such as 64KB/s")),
    (
        "bandwidth",
        {"rate": "0KB/s"},
        (
            "rate",
            "got 0KB/s, want at least 1KB/s; a bandwidth of 0 wedges the connection for good; "
            "use toxic: timeout, or down: true",
        ),
    ),
    (
        "bandwidth",
        {"rate": "64KiB/s"},
        ("rate", "got 64KiB/s, want whole KB/s, the unit that Toxiproxy counts in"),
    ),
    ("bandwidth", {"rate": "-1KB/s"}, ("rate", "got -1KB/s, want a byte rate such as 64KB/s")),
    (
        "slicer",
        {"delay": "1ms"},
        (
            "average_size",
            "missing: toxic slicer needs average_size, such as 512B; without it Toxiproxy never ends cutting",
        ),
    ),
    (
        "slicer",
        {"average_size": 0},
        ("average_size", "got 0, want at least 1B; without it Toxiproxy never ends cutting"),
    ),
    (
        "slicer",
        {"average_size": 10, "size_variation": 10},
        ("size_variation", "got 10, want less than average_size"),
    ),
    ("limit_data", {"bytes": -5}, ("bytes", "got -5, want a size such as 512B, 64KB or 1MiB")),
]


@pytest.mark.parametrize(("toxic", "written", "sent"), GOOD)
def test_values_in_toxiproxys_units(toxic: str, written: dict[str, object], sent: dict[str, int]) -> None:
    assert collect(toxic, written) == (sent, [])
    assert collect(toxic, as_written(toxic, sent)) == (sent, [])


@pytest.mark.parametrize(("toxic", "written", "flaw"), BAD)
def test_values_that_are_refused(toxic: str, written: dict[str, object], flaw: tuple[str, str]) -> None:
    assert collect(toxic, written)[1] == [flaw]


def test_the_table_knows_every_toxic_of_toxiproxy() -> None:
    assert set(TOXICS) == {
        "latency", "bandwidth", "slow_close", "timeout", "reset_peer", "slicer", "limit_data", "noop",
    }  # fmt: skip


@pytest.mark.parametrize(("toxic", "written", "sent"), GOOD)
def test_a_fault_dumps_as_it_is_written(toxic: str, written: dict[str, object], sent: dict[str, int]) -> None:
    fault = Fault.model_validate({"name": "f", "at": "5s", "proxy": "p", "toxic": toxic, **written})
    assert fault.attributes == sent
    dump = fault.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert "attributes" not in dump
    assert Fault.model_validate(dump) == fault


def test_a_cut_dumps_without_what_belongs_to_toxics() -> None:
    fault = Fault.model_validate({"name": "f", "at": "5s", "proxy": "p", "down": True})
    dump = fault.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert dump == {"name": "f", "at": "5s", "proxy": "p", "down": True}
