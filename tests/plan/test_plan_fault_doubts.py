"""What a plan doubts of its faults: those that a real Toxiproxy has act on each other, or keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtool.plan.build import build_job, endpoint_of
from loadtool.plan.overview import Overview
from loadtool.profile.load import load_profile

PROFILE = """\
name: shop
target: http://127.0.0.1:8080
requests: [{get: /}]
phases: [{name: baseline, rate: 50/s, for: 20s}]
proxies:
  store: {upstream: '127.0.0.1:1'}
  spare: {upstream: '127.0.0.1:1'}
  db: {existing: postgres}
  same: {existing: postgres}
  other: {existing: store}
toxiproxy: http://127.0.0.1:8474
faults:
"""
FLAKY = "name: flaky, at: 5s, for: 4s, proxy: PROXY, toxic: timeout, timeout: 0ms, toxicity: 50%"
SLOW = "toxic: latency, latency: 20ms"


def doubts(tmp_path: Path, *faults: str) -> list[str]:
    file = tmp_path / "p.yaml"
    file.write_text(PROFILE + "".join(f"  - {{{fault}}}\n" for fault in faults))
    loaded = load_profile(file, environment={})
    job = build_job(loaded, endpoint=endpoint_of(loaded.profile.target))
    warnings = (w.partition(" faults[")[2].partition("]")[2] for w in Overview.of(job, loaded).warnings)
    return [w for w in warnings if "not the embedded one" in w]


@pytest.mark.parametrize(
    ("own", "others", "who"),
    [
        ("store", [f"name: slow, at: 6s, for: 1s, proxy: store, {SLOW}"], "slow begins or ends"),
        ("store", [f"name: slow, at: 6s, for: 9s, proxy: store, {SLOW}"], "slow begins or ends"),
        # Behind it, or before it: that is not known when both begin at once.
        ("store", [f"name: slow, at: 5s, for: 2s, proxy: store, {SLOW}"], "slow begins or ends"),
        ("store", [f"name: slow, at: 5s, for: 4s, proxy: store, {SLOW}"], ""),
        # What was there before is before it: its going starts others again.
        ("store", [f"name: slow, at: 4s, for: 2s, proxy: store, {SLOW}"], ""),
        ("store", [f"name: slow, at: 4s, for: 9s, proxy: store, {SLOW}"], ""),
        ("store", [f"name: slow, at: 9s, for: 2s, proxy: store, {SLOW}"], ""),
        ("store", [f"name: slow, at: 3s, for: 1s, every: 2s, proxy: store, {SLOW}"], "slow begins or ends"),
        ("store", [f"name: slow, at: 6s, for: 1s, proxy: store, stream: upstream, {SLOW}"], ""),
        ("store", ["name: cut, at: 6s, for: 1s, proxy: store, down: true"], ""),
        ("store", ["name: cmd, at: 6s, for: 1s, run: x, undo: y"], ""),
        # Proxies by their names on the server.
        ("store", [f"name: slow, at: 6s, for: 1s, proxy: spare, {SLOW}"], ""),
        ("store", [f"name: slow, at: 6s, for: 1s, proxy: other, {SLOW}"], ""),
        ("db", [f"name: slow, at: 6s, for: 1s, proxy: same, {SLOW}"], "slow begins or ends"),
        ("store", [f"name: slow, at: 6s, for: 1s, proxy: store, {SLOW}",
                   f"name: slower, at: 7s, for: 1s, proxy: store, {SLOW}"], "slow and slower begin or end"),
    ],
)  # fmt: skip
def test_what_begins_during_a_fault_of_some_connections_rolls_it_anew(
    tmp_path: Path, own: str, others: list[str], who: str
) -> None:
    message = (
        f".toxicity: where {who} during flaky, on the same proxy and stream, a Toxiproxy that is not the "
        "embedded one rolls anew which 50% of the connections are hit; let flaky begin last, or on a proxy "
        "of its own"
    )
    fault = FLAKY.replace("PROXY", own)
    assert doubts(tmp_path, fault, *others) == ([message] if who else [])
    assert doubts(tmp_path, fault.replace("50%", "100%"), *others) == []


@pytest.mark.parametrize(("timeout", "told"), [("4s", ""), ("6s", "6s"), ("1h", "1h")])
def test_a_reset_that_waits_for_long_cannot_be_taken_out(tmp_path: Path, timeout: str, told: str) -> None:
    fault = f"name: reset, at: 5s, for: 4s, proxy: store, toxic: reset_peer, timeout: {timeout}"
    message = (
        ".timeout: a Toxiproxy that is not the embedded one takes it out only once its connections have "
        f"waited for {told}, and does nothing else meanwhile: late, or too late and the run is invalid; "
        "want 4s or less"
    )
    assert doubts(tmp_path, fault) == ([message] if told else [])
    assert doubts(tmp_path, fault.replace("reset_peer", "timeout")) == []


def test_a_bandwidth_that_grows_can_crash_a_real_toxiproxy(tmp_path: Path) -> None:
    fault = "name: thin, at: 5s, for: 4s, proxy: store, toxic: bandwidth, rate: 100KB/s"
    message = (
        ".ramp: a bandwidth that grows while it holds answers back can crash a Toxiproxy that is not the "
        "embedded one, and the run is invalid then; leave out the ramp, or start `loadtool toxiproxy` and "
        "give its URL with --toxiproxy"
    )
    assert doubts(tmp_path, f"{fault}, ramp: 2s") == [message]
    assert doubts(tmp_path, fault) == []
    assert doubts(tmp_path, f"name: slow, at: 5s, for: 4s, proxy: store, {SLOW}, ramp: 2s") == []
