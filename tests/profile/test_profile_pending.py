"""What waits for `setup:` beside phases, faults and connections: neither refused nor given a time."""

from __future__ import annotations

from pathlib import Path

import pytest
from profile_samples import SMALL, load, mistakes

from loadtool import cli
from loadtool.plan.build import build_job
from loadtool.plan.endpoint import endpoint_of
from loadtool.plan.overview import Overview
from loadtool.units import SECOND

SETUP = SMALL + "setup: echo AT=spike\n"
FAULT = "faults:\n  - {{name: f, run: x, undo: y, {}}}\n  - {{name: g, at: 5s, run: x, undo: y}}\n"


@pytest.mark.parametrize(
    "when",
    [
        'at: "${AT}", for: 1s',
        'at: ["${AT}"], for: 1s',
        'at: [1s, "${AT}+1s"], for: 1s',
        'at: spike+5s, until: "end of ${AT}"',
        'at: spike+5s, until: "spike+${N}s"',
        'at: 5s, for: "${N}s"',
        'at: 5s, for: 1s, every: "${N}s"',
    ],
)
def test_a_fault_whose_time_waits_is_not_on_the_axis(
    tmp_path: Path, when: str, capsys: pytest.CaptureFixture[str]
) -> None:
    slos = "slos: [p99 < 1s during f, error rate < 1% in any 1s during f]\n"  # how many arrivals nobody knows
    text = SETUP + FAULT.format(when) + slos
    loaded = load(tmp_path, text, pending=True)
    job = build_job(loaded, endpoint=endpoint_of("http://127.0.0.1:8080"))
    assert [fault.name for fault in job.faults] == ["g"]
    assert cli.main(["plan", "-p", str(tmp_path / "shop.yaml")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "! f is not shown: when it is depends on what the setup commands print" in shown
    assert "g is not shown" not in shown
    assert "nothing decides it" not in shown
    loaded = load(tmp_path, text, environment={"AT": "spike", "N": "7"}, pending=True)
    assert {fault.name for fault in loaded.timed_faults()} == {"f", "g"}


@pytest.mark.parametrize("moments", ['"${AT}"', '["${AT}"]', '["${AT}", 0]', '["${AT}+1s", 0, 5s]'])
def test_reconnects_whose_time_waits_have_none(tmp_path: Path, moments: str) -> None:
    text = f"{SETUP}client: {{reconnect: {moments}}}\n"
    loaded = load(tmp_path, text, pending=True)
    job = build_job(loaded, endpoint=endpoint_of("http://127.0.0.1:8080"))
    assert list(job.client.reconnect_ns) == [ns for ns in (0, 5 * SECOND) if f"{ns // SECOND}" in moments[9:]]
    warned = [text for text in Overview.of(job, loaded).warnings if "no connection is open" in text]
    assert len(warned) == (0 in job.client.reconnect_ns)
    job = build_job(load(tmp_path, text, environment={"AT": "spike"}), endpoint=job.endpoint)
    assert 10 * SECOND in job.client.reconnect_ns or 11 * SECOND in job.client.reconnect_ns


@pytest.mark.parametrize("at", ['"${AT}"', '["${AT}"]', '[1s, "${AT}"]'])
def test_without_setup_a_moment_that_is_not_set_is_one_mistake(tmp_path: Path, at: str) -> None:
    said = mistakes(tmp_path, f"{SMALL}faults:\n  - {{name: f, at: {at}, for: 1s, run: x}}\n", pending=True)
    place = f"faults[0].at[{at.count(',')}]" if "[" in at else "faults[0].at"
    assert said == [f"shop.yaml:8: {place}: AT is not set: set it, or write ${{AT:-default}}"]


def test_a_name_that_waits_may_be_any(tmp_path: Path) -> None:
    text = SETUP.replace("name: spike", 'name: "${NAME}"').replace("get: /", 'get: /\n    name: "${ASKED}"')
    text += FAULT.format("at: spike, for: 1s") + "client: {reconnect: spike}\n"
    text += 'slos: [p95 < 1s during spike, p95 < 1s for home, "p95 < 1s during ${NAME}"]\n'
    loaded = load(tmp_path, text, pending=True)
    job = build_job(loaded, endpoint=endpoint_of("http://127.0.0.1:8080"))
    assert ([fault.name for fault in job.faults], job.client.reconnect_ns) == (["g"], ())
    assert loaded.slos == ()
    environment = {"NAME": "spike", "ASKED": "home"}
    assert len(load(tmp_path, text, environment=environment).slos) == 3
    said = mistakes(tmp_path, text, environment={"NAME": "peak", "ASKED": "page"})
    assert [line.split(": ", 2)[2] for line in said] == [
        "no phase is named spike; there are baseline, peak",
        "no phase is named spike; there are baseline, peak",
        "no phase or fault is named spike; there are baseline, peak, f, g",
        "no request is named home; there are page",
    ]


@pytest.mark.parametrize("phases", ["", "phases: [{name: spike, for: 5s}]\n"])
def test_a_log_is_read_before_setup(tmp_path: Path, phases: str) -> None:
    text = 'target: http://127.0.0.1:8080\nsetup: ./x\nreplay: "${LOG}"\nheaders: {A: "${A}"}\n' + phases
    said = "LOG is not set before `setup` has run; give it a default, as ${LOG:-…}"
    assert mistakes(tmp_path, text, pending=True) == [f"shop.yaml:3: replay: {said}"]
