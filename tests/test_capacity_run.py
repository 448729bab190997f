"""Capacity and cut load against the demo service: it can do its slots over the time that each is held."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from run_harness import children, eventually, run

PROFILE = """\
name: knee
target: http://127.0.0.1:1
requests: [{get: /products/7}]
good_within: 1s
phases: [{name: baseline, rate: 60/s, for: 3s}]
arrivals: constant
client: {timeout: 2s}
validity: {lag: 200ms}
slos:
  - p50 < 500ms during baseline
  - error rate < 2%
  - shed rate < 5%
"""
# 10 slots, each held for 98 ms of work and a store call of 2 ms: 100/s, but for what the machine adds.
SERVICE = ("--slots", "10", "--service-time", "98ms", "--service-jitter", "0%", "--queue", "4")
MELTING = (
    "--slots", "5", "--service-time", "48ms", "--service-jitter", "0%", "--queue", "unbounded",
    "--queue-timeout", "none", "--client-leaves", "finish",
)  # fmt: skip
TRIES = 2


@contextmanager
def target(*options: str) -> Iterator[str]:
    command = [sys.executable, "-m", "loadtool", "target", *options]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as service:
        try:
            assert service.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:\d+", service.stdout.readline())
            assert found is not None
            yield found[0]
        finally:
            service.send_signal(signal.SIGINT)


def search(directory: Path, *options: str, profile: str = PROFILE) -> tuple[int, str, str]:
    (directory / "profile.yaml").write_text(profile)
    done = subprocess.run(
        [sys.executable, "-m", "loadtool", "capacity", "-p", "profile.yaml", "--plain", *options],
        cwd=directory, capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert "Traceback" not in done.stderr + done.stdout
    return done.returncode, done.stdout, done.stderr


def written(directory: Path) -> dict[str, Any]:
    (path,) = directory.glob("loadtool-results/*/capacity.json")
    data: dict[str, Any] = json.loads(path.read_text())
    return data


@pytest.mark.timeout(300)
def test_the_knee_is_where_a_long_run_at_saturation_says(tmp_path: Path) -> None:
    why = ""
    for number in range(TRIES):
        directory = tmp_path / str(number)
        directory.mkdir()
        with target(*SERVICE) as url:
            try:
                code, out, _ = search(
                    directory, "--target", url, "--start", "90/s", "--max", "150/s", "--hold", "1s",
                    "--confirm-for", "3s", "--precision", "5%",
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                why = "the search took too long"
                continue
            found = written(directory)
            flood = PROFILE.replace("60/s, for: 3s", "200/s, for: 6s, role: spike")
            saturated = run(directory, flood, "--target", url).result
        if code == 3 or saturated["verdict"] == "invalid":
            why = found["sentence"]
            continue
        assert code == 0, out
        serves = saturated["totals"]["ok"] / saturated["elapsed_s"]
        if abs(found["holds_per_s"] / serves - 1) > 0.05:
            why = f"{found['holds_per_s']}/s, and {serves:.1f}/s at saturation"
            continue
        assert found["confirmed"] is True
        assert found["holds_per_s"] < found["fails_per_s"] <= found["holds_per_s"] * 1.051
        knee, half_more, twice = found["multiples"]
        assert (knee["times"], half_more["times"], twice["note"]) == (1.0, 1.5, "above --max")
        if half_more["rate_per_s"] <= 150:  # what does not fit is turned away at once: nothing collapses
            assert 0.9 < half_more["goodput_per_s"] / knee["goodput_per_s"] < 1.1
        assert [left["text"] for left in found["left_out"]] == ["shed rate < 5%"]
        assert "CAPACITY found" in out
        return
    pytest.skip(f"this machine was too busy, {TRIES} times over: {why}")


def test_a_target_that_nobody_serves_is_no_capacity_of_nothing(tmp_path: Path) -> None:
    code, out, _ = search(tmp_path, "--hold", "1s")
    assert code == 3
    assert "since nothing answered; nothing is known of its capacity" in " ".join(out.split())
    assert written(tmp_path)["verdict"] == "no-answer"


def test_a_service_that_answers_errors_alone_holds_nothing_and_is_not_well(tmp_path: Path) -> None:
    """Its only objective is in windows: as long as a hold, and longer than a look at whether it is well."""
    objectives = "slos:\n  - error rate < 5% in any 2s\n"
    patient = PROFILE.partition("slos:")[0].replace("lag: 200ms", "lag: 10s")  # on a busy machine, too
    profile = patient.replace("/products/7", "/nowhere") + objectives
    with target(*SERVICE) as url:
        code, out, err = search(
            tmp_path,
            "--target",
            url,
            "--hold",
            "1s",
            "--confirm-for",
            "2s",
            "--settle",
            "1s",
            profile=profile,
        )
    assert "--hold is 2 s, not 1 s: the longest window of an SLO\n" in err
    assert "--confirm-for is" not in err
    found = written(tmp_path)
    assert [(step["outcome"], step["ok"], step["hold_s"]) for step in found["steps"]] == [("fails", 0, 2.0)]
    assert (code, found["verdict"]) == (3, "down"), out


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (("slos:\n", "x-slos:\n"), (),
         "profile.yaml: slos: got none, want at least one such as p95 < 250ms or error rate < 1%"),
        (("  - p50 < 500ms during baseline\n  - error rate < 2%\n", ""), (),
         "profile.yaml:9: slos: got none that can be judged at a constant rate (shed rate < 5%: a rate at "
         "which the service turns anybody away is beyond its capacity: sheds count as errors), want at least "
         "one such as p95 < 250ms or error rate < 1%"),
        (("", ""), ("--start", "50/s", "--max", "20/s"),
         "--start: got 50/s, want at most 20/s, which is --max"),
        (("", ""), ("--precision", "0"), "--precision: got 0, want a share from 0.1% to 50%, such as 2%"),
        (("", ""), ("--hold", "1ms"), "--hold: got 1ms, want at least 1s"),
        (("", ""), ("--max", "0/s"), None),
        (("rate: 60/s, for: 3s}", "rate: 0/s, for: 3s}, {name: spike, rate: 5/s, for: 1s}"), (),
         "--start: missing: the profile's baseline has a rate of 0; want one such as 50/s"),
    ],
)  # fmt: skip
def test_a_wrong_request_sends_nothing(
    tmp_path: Path, change: tuple[str, str], options: tuple[str, ...], message: str | None
) -> None:
    code, out, err = search(tmp_path, *options, profile=PROFILE.replace(*change))
    assert (code, out) == (2, "")
    assert message is None or err == f"loadtool: {message}\n"
    assert list(tmp_path.glob("loadtool-results/*")) == []


@pytest.mark.parametrize("phase", ["step 1:", "step 2:"])
def test_an_interrupted_search_gives_what_is_known(tmp_path: Path, phase: str) -> None:
    (tmp_path / "profile.yaml").write_text(PROFILE.replace("http://127.0.0.1:1", "demo"))
    with open(tmp_path / "err.txt", "w") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "loadtool", "capacity", "-p", "profile.yaml", "--plain", "--hold", "8s"],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=err, text=True,
        )  # fmt: skip
    log = tmp_path / "err.txt"
    eventually(
        "a load",
        lambda: "s hold " in log.read_text().partition(phase)[2] or process.poll() is not None,
        within_s=90,
    )
    family = children(process.pid)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, log.read_text()
    found = written(tmp_path)
    assert (found["verdict"], found["interrupted"]) == ("interrupted", "SIGINT")
    assert found["steps"][-1]["outcome"] == "cut"
    assert "CAPACITY interrupted" in out
    eventually("no process is left", lambda: not any(Path(f"/proc/{pid}").exists() for pid in family))


CUT = """\
name: cut
target: http://127.0.0.1:1
requests: [{get: /products/7}]
good_within: 300ms
phases:
  - {name: baseline, rate: 80/s, for: 2s}
  - {name: spike, rate: 300/s, for: 1s}
  - {name: recovery, rate: 80/s, for: 3s}
arrivals: constant
client: {timeout: 500ms}
validity: {lag: 500ms}
slos: [recovery < 2s]
"""


def test_a_service_that_stays_down_comes_back_when_the_load_is_cut(tmp_path: Path) -> None:
    """It can do 100/s: 200 wait after the spike, 140 after the recovery, and half the load lets them go."""
    result: dict[str, Any] = {}
    for number in range(TRIES):
        directory = tmp_path / str(number)
        directory.mkdir()
        with target(*MELTING) as url:
            done = run(directory, CUT, "--target", url, "--cut-load-for", "7s")
        result = done.result
        if done.code != 3:
            break
    else:
        pytest.skip(f"this machine was too busy, {TRIES} times over: {result['reasons']}")
    assert done.code == 1
    assert result["overload"]["verdict"] == "stayed-down"
    cuts = result["overload"]["cut_load"]
    assert cuts[-1]["recovered"] is True, cuts
    assert f"it came back at {cuts[-1]['share']:.0%} of the baseline load" in " ".join(done.out.split())
    assert (result["elapsed_s"], len(result["phases"])) == (6.0, 3)
    assert "not recovered: the load goes on at 50%, then 10%" in done.err


REPLAY = """\
target: http://127.0.0.1:1
replay: {file: log.csv, format: csv}
slos: [p95 < 1s]
"""


def test_a_replay_has_no_rate_to_change(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("time,method,path\n0,GET,/\n1,GET,/\n")
    code, _, err = search(tmp_path, profile=REPLAY)
    why = "the recorded requests have their own rate; the search needs `requests` to send at any rate"
    assert (code, err) == (2, f"loadtool: profile.yaml:2: replay: {why}\n")
    done = run(tmp_path, REPLAY, "--cut-load")
    assert done.code == 2
    why = "a replay ends with its recording; want a profile with `requests`"
    assert done.err == f"loadtool: --cut-load: {why}\n"


def test_cut_load_needs_a_recovery_to_miss(tmp_path: Path) -> None:
    done = run(tmp_path, PROFILE, "--cut-load")
    assert done.code == 2
    assert done.err == "loadtool: --cut-load: recovery needs a spike; give a phase role: spike\n"


LASTING = CUT.replace("client:", "{setup}faults: [{name: slow, at: spike, {fault}, run: 'true'}]\nclient:")


@pytest.mark.parametrize(
    ("profile", "why"),
    [
        (LASTING.replace("{fault}", "for: 4s").replace("{setup}", ""),
         "recovery from spike can't be measured: up to the end of recovery the rate is above 1.1 × the "
         "baseline's or a fault is active; add 30s without either"),
        (LASTING.replace("{fault}", "for: '${HOW_LONG}'").replace("{setup}", "setup: echo HOW_LONG=4s\n"),
         "recovery from spike can't be measured: up to the end of recovery the rate is above 1.1 × the "
         "baseline's or a fault is active; add 30s without either"),
        (CUT.replace("rate: 80/s, for: 3s", "rate: 90/s, for: 3s"),
         "recovery from spike can't be measured: up to the end of recovery the rate is above 1.1 × the "
         "baseline's or a fault is active; add 30s without either"),
        (CUT.replace("arrivals:", "  - {name: again, role: spike, rate: 300/s, for: 1s}\narrivals:"),
         "nothing shows whether the service comes back from again; add a recovery phase after it"),
        (CUT.replace("80/s, for: 2s", "0/s, for: 2s"),
         "baseline has no arrivals, so there is no rate to cut; want a rate above 0"),
    ],
)  # fmt: skip
def test_cut_load_needs_a_recovery_that_is_watched(tmp_path: Path, profile: str, why: str) -> None:
    done = run(tmp_path, profile, "--cut-load", "--target", "http://127.0.0.1:1", "--quiet")
    assert (done.code, done.results) == (2, [])
    assert done.err == f"loadtool: --cut-load: {why}\n"
