"""Whole runs that end early since an SLO is lost, and runs that are held against a baseline."""

from __future__ import annotations

from pathlib import Path

from run_harness import DEMO, run

LOST = DEMO.replace("for: 3s}", "for: 300s}").replace(
    "slos:\n  - p50 < 5s during baseline\n",
    "slos:\n  - {slo: max < 1us during baseline, abort: true, after: 1s}\n  - error rate < 100%\n"
    "validity: {lag: 10s}\n",  # a busy machine is no reason for another verdict
)


def test_a_run_that_can_no_longer_pass_ends_early(tmp_path: Path) -> None:
    assert "abort" in LOST
    done = run(tmp_path, LOST)
    result = done.result  # sound: conservation holds
    assert (done.code, result["verdict"], result["interrupted"]) == (1, "fail", None)
    assert 1 <= result["aborted"]["at_s"] < 100
    assert result["elapsed_s"] < 100
    assert result["aborted"]["slo"] == "max < 1us during baseline abort after 1s"
    assert result["reasons"][0].startswith("ended early, at ")
    assert [s["status"] for s in result["slos"]] == ["fail", "pass"]
    assert all(f["removed"] or f["started_s"] is None for f in result["faults"])
    assert "the load ends now, at" in done.err


SHORT = """\
name: short
target: demo
requests: [{name: browse, get: /products/7}]
phases: [{name: baseline, rate: 40/s, for: 2s}]
"""


def test_a_run_is_held_against_its_baseline(tmp_path: Path) -> None:
    places = [tmp_path / name for name in ("a", "b", "c")]
    for place in places:
        place.mkdir()
    baseline = run(places[0], SHORT)
    (file,) = baseline.results
    options = ("--baseline", str(file), "--fail-if", "goodput worse by 10%")
    again = run(places[1], SHORT, *options)
    assert "Compared with the baseline" in again.out
    # Two slices show no spread, so that the gate can't be decided, whatever the run is.
    assert again.code == 3
    assert "undecidable goodput worse by 10%" in again.out
    other = run(places[2], SHORT.replace("40/s", "41/s"), *options)
    assert (other.code, other.results) == (2, [])  # before anything was sent
    assert '  phases[baseline].rate: "40/s" and "41/s"' in other.err
    other = run(places[2], f"{SHORT}slos: [p95 < 2s]\n", *options)
    assert (other.code, other.results) == (2, [])  # what counts as good follows from its objective
    assert "  good_within: 1000 ms and 2000 ms\n" in other.err
    assert run(places[2], f"{SHORT}slos: [p95 < 1s]\n", *options).results != []


WAITING = """\
name: waiting
target: demo
setup: echo ran > ran; echo TOKEN=browsers-pass; echo RATE=40/s; echo SHOP=7
headers: {Authorization: "Bearer ${TOKEN}", X-Shop: "shop-${SHOP}"}
requests:
  - {get: "/products/${SHOP}?key=${TOKEN}"}
  - {name: browsers-pass, get: /products/8}
phases:
  - {name: baseline, rate: "${RATE:-1/s}", for: 2s}
  - {name: later, rate: 10/s, for: 1s}
"""


def test_a_run_is_held_against_its_baseline_whatever_its_setup_sets(tmp_path: Path) -> None:
    places = [tmp_path / name for name in ("a", "b", "c", "d")]
    for place in places:
        place.mkdir()
    (file,) = run(places[0], WAITING).results
    options = ("--baseline", str(file))
    again = run(places[1], WAITING, *options)
    assert "of another profile" not in again.err
    assert "Compared with the baseline" in again.out
    other = run(places[2], WAITING.replace("rate: 10/s", "rate: 11/s"), *options)
    assert (other.code, other.results) == (2, [])
    assert '  phases[later].rate: "10/s" and "11/s"' in other.err
    assert not (places[2] / "ran").exists()  # what is sure is said before the setup
    other = run(places[3], WAITING.replace("RATE=40", "RATE=41"), *options, SHOP="5")
    assert (other.code, other.results) == (2, [])  # after the setup, and before anything was sent
    assert '  phases[baseline].rate: "40/s" and "41/s"\n' in other.err
    assert other.err.count(" and ") == 1
