"""Whole runs with faults: what they do to the load, and that the service has its peace again."""

from __future__ import annotations

import os
import resource
import signal
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from chaos_servers import SERVERS
from run_harness import Run, children, command_line, run, running, timely
from run_service import service

from loadtool.measure.outcome import H_OK
from loadtool.measure.population import Population, from_result, pool
from loadtool.measure.result_json import load


def without_toxiproxy() -> str:
    """A PATH on which no toxiproxy-server is, so that runs start the embedded one."""
    places = os.environ["PATH"].split(os.pathsep)
    return os.pathsep.join(p for p in places if not Path(p, "toxiproxy-server").exists())


def populations(result: dict[str, Any], *faults: str) -> Population:
    """The arrivals that were due while exactly these faults were planned active."""
    cells = from_result(load(result))
    return pool((key, found) for key, found in cells.items() if key.faults == faults)


FRONT = """\
target: http://127.0.0.1:{port}
toxiproxy: {toxiproxy}
requests: [{{get: /}}]
phases:
  - {{name: baseline, rate: 40/s, for: 1s}}
  - {{name: spike, rate: 60/s, for: 6s}}
  - {{name: recovery, rate: 40/s, for: 2s}}
arrivals: constant
proxies:
  front: {{upstream: target}}
faults:
  - {{name: slow, at: spike+2s, for: 3s, proxy: front, toxic: latency, latency: 200ms}}
  - {{name: rising, at: recovery+500ms, for: 1s, proxy: front, toxic: latency, latency: 300ms, ramp: 800ms}}
validity: {{lag: 30ms}}
"""


def unlike_the_toxics(done: Run) -> list[str]:
    """Which response times of a run of FRONT are not what its toxics make them."""
    if done.code != 0:
        return []  # which says enough
    ms = {
        name: [populations(done.result, *names).quantile_ms(H_OK, q) or 0.0 for q in (0.1, 0.5, 0.95)]
        for name, names in (("slow", ["slow"]), ("rising", ["rising"]), ("calm", []))
    }
    as_they_should = {
        # Those due in the last 200 ms, one in fifteen, are let go when the toxic is taken out.
        "slow": ms["slow"][0] >= 200,
        "calm": ms["calm"][2] < 200,
        # What is calm may have met a busier moment of this machine than what is slow, so they may be less
        # than the toxic apart.
        "slow and calm": ms["slow"][1] - ms["calm"][1] < 300,
        "rising": ms["calm"][1] < ms["rising"][1] < ms["rising"][2],
        # Half way up on average; at each step the real server lets go of what it holds back just then.
        "rising at p50": 30 < ms["rising"][1] < 290,
        "rising at p95": 30 < ms["rising"][2] < 310 + ms["calm"][2],
    }
    return [f"{what} of {ms}" for what, holds in as_they_should.items() if not holds]


@pytest.mark.parametrize("kind", SERVERS)
def test_arrivals_due_in_a_fault_of_the_front_are_slower_and_no_others(tmp_path: Path, kind: str) -> None:
    with service(tmp_path / "broken") as (port, books), SERVERS[kind]() as toxiproxy:

        def start() -> Run:
            books.asked.clear()
            books.connections.clear()
            return run(tmp_path, FRONT.format(port=port, toxiproxy=toxiproxy))

        done = timely(start, unlike_the_toxics, at_all=True)
        assert httpx.get(f"{toxiproxy}/proxies", trust_env=False).json() == {}
    assert done.code == 0, done.out
    result = done.result
    assert [f["removed"] for f in result["faults"]] == [True, True]
    assert result["totals"]["ok"] == result["totals"]["scheduled"] == 480
    slow, rising = populations(result, "slow"), populations(result, "rising")
    assert (slow.scheduled, rising.scheduled) == (180, 40)
    # No connection was dropped, neither to put the toxics in nor to change them nor to take them out.
    assert books.dropped() == 0
    assert result["generator"]["retried"] == 0
    assert {host for _, host, _ in books.asked} == {f"127.0.0.1:{port}"}


def test_the_same_seed_hits_the_same_connections(tmp_path: Path) -> None:
    def reset_by_second(directory: Path) -> list[int]:
        directory.mkdir()

        # Each arrival has a connection of its own, and no busy moment resets one. A fault that comes only
        # after the quiet phase, which is half of its time, makes the run late.
        def start() -> Run:
            return run(
                directory,
                f"""\
target: http://127.0.0.1:{port}
requests: [{{get: /}}]
phases: [{{name: quiet, rate: 0, for: 4s}}, {{name: baseline, rate: 40/s, for: 4s}}]
arrivals: constant
client: {{keepalive: false}}
proxies: {{front: {{upstream: target}}}}
faults: [{{name: some, at: 0s, proxy: front, toxic: reset_peer, timeout: 0, stream: upstream, toxicity: 50%}}]
validity: {{lag: 10s}}
""",
                "--workers=1",
                PATH=without_toxiproxy(),
            )

        done = timely(start)
        assert done.code == 0, done.out
        assert set(done.result["totals"]["errors"]) == {"reset"}
        # Those due later may have to wait for their connections until the toxic has gone.
        return [s["errors"].get("reset", 0) for s in done.result["series"] if 4 <= s["t"] < 6]

    with service(tmp_path / "broken") as (port, _):
        first = reset_by_second(tmp_path / "first")
        assert reset_by_second(tmp_path / "second") == first
    assert len(first) == 2
    assert 20 < sum(first) < 60, "half of 80, more or less"


def test_host_and_sni_stay_the_target_s(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with service(tmp_path / "broken", context) as (port, books):
        done = run(
            tmp_path,
            f"""\
target: https://localhost:{port}
client: {{tls: {{ca: ca.pem}}}}
requests: [{{get: /}}]
phases: [{{name: baseline, rate: 20/s, for: 1s}}]
proxies: {{front: {{upstream: target}}}}
validity: {{lag: 10s}}
steady_state: [{{name: secure, get: /health, status: 200}}]
""",
            PATH=without_toxiproxy(),
        )
    assert done.code == 0, done.out + done.err
    assert "toxiproxy   embedded" in done.out
    assert books.names == {"localhost"}
    assert {host for _, host, _ in books.asked} == {f"localhost:{port}"}


COMMANDS = """\
target: http://127.0.0.1:{port}
requests: [{{get: /}}]
phases:
  - {{name: baseline, rate: 20/s, for: 1s}}
  - {{name: spike, rate: 40/s, for: 6s}}
steady_state:
  - {{name: health, get: /health, status: 200, within: 30s}}
  - {{name: port, tcp: "127.0.0.1:{port}"}}
faults:
  - name: outage
    at: [spike+500ms, spike+3s]
    for: 2s
    run: touch broken; echo "breaking it with $PGPASSWORD"
    undo: [sh, -c, "rm broken; echo mended"]
slos: [p50 < 5s during outage]
validity: {{lag: 10s}}
"""


def health_in(done: Run, fault: dict[str, Any]) -> list[dict[str, Any]]:
    """The health checks begun while this fault was to be in and had had time to take effect."""
    since, until = fault["started_s"] + 0.2, fault["planned_s"][1]
    health = [p for p in done.result["probes"] if p["name"] == "health" and not p["after"]]
    return [p for p in health if since < p["t"] < until]


def unseen_outages(done: Run) -> list[str]:
    """In which of its faults a run of COMMANDS has not asked for the health at all."""
    if done.code != 0:
        return []  # which says enough
    return [f"no check during {f['planned_s']}" for f in done.result["faults"] if not health_in(done, f)]


def test_commands_are_faults_and_the_steady_state_shows_them(tmp_path: Path) -> None:
    with service(tmp_path / "broken") as (port, _):
        profile, state = COMMANDS.format(port=port), str(tmp_path / "state")
        done = timely(
            lambda: run(tmp_path, profile, PGPASSWORD="hunter2-42", XDG_STATE_HOME=state), unseen_outages
        )
    assert done.code == 0, done.out + done.err
    result = done.result
    assert "hunter2" not in done.out + done.err + done.results[0].read_text()
    assert result["engine"]["toxiproxy"] is None
    first, second = result["faults"]
    for fault in (first, second):
        assert (fault["toxic"], fault["removed"], fault["problem"]) == ("run", True, "")
        assert fault["output"].startswith("breaking it with ***\n$ sh -c 'rm broken; echo mended'\nmended")
    assert not (tmp_path / "broken").exists()
    assert not list((tmp_path / "state" / "loadtool").iterdir()), "nothing is left in the journal"
    # An SLO `during` the fault covers both of its times.
    (slo,) = result["slos"]
    assert slo["samples"] == populations(result, "outage").scheduled
    assert populations(result, "outage").seconds == 4
    # The health check fails inside the windows, and nowhere else; the port is there all along.
    health = [p for p in result["probes"] if p["name"] == "health" and not p["after"]]
    failed = [p for p in health if not p["ok"]]
    assert {p["detail"] for p in failed} == {"status 503"}
    assert all(
        any(f["started_s"] <= p["t"] + p["ms"] / 1000 and p["t"] <= f["ended_s"] for f in (first, second))
        for p in failed
    )
    after = {p["name"]: p["ok"] for p in result["probes"] if p["after"]}
    assert after == {"health": True, "port": True}
    text = " ".join(done.out.split())
    assert "✓ came back" in text
    assert "2 × 2.0 s in 1.5 – 6.0 s" in text


def test_a_service_that_is_not_steady_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    with service(tmp_path / "broken") as (port, books):
        done = run(tmp_path, COMMANDS.format(port=port))
    assert done.code == 3
    assert (
        "loadtool: steady_state: the service is not steady before the load: health (status 503)" in done.err
    )
    assert {path for path, _, _ in books.asked} == {"/health"}
    assert done.results == []


SHORT = COMMANDS.replace("[spike+500ms, spike+3s]", "spike+200ms").replace("for: 6s", "for: 2500ms")


def test_a_check_of_a_public_host_must_be_allowed(tmp_path: Path) -> None:
    profile = COMMANDS.format(port=1).replace('tcp: "127.0.0.1:1"', "tcp: 8.8.8.8:53")
    done = run(tmp_path, profile)
    assert done.code == 2
    said = "loadtool: steady_state: 8.8.8.8 is the public address 8.8.8.8: name it in allow_hosts: [8.8.8.8]"
    assert done.err.startswith(said)
    assert done.results == []


def test_a_service_that_does_not_come_back_is_said(tmp_path: Path) -> None:
    with service(tmp_path / "broken") as (port, _):
        profile = SHORT.format(port=port).replace("rm broken; ", "")

        def start() -> Run:
            (tmp_path / "broken").unlink(missing_ok=True)  # a run before this one has left it
            return run(tmp_path, profile, XDG_STATE_HOME=str(tmp_path / "state"))

        done = timely(start)
    assert done.code == 0, "only SLOs decide"
    assert "✗ NOT BACK: status 503" in " ".join(done.out.split())


def test_a_command_that_fails_makes_the_run_invalid(tmp_path: Path) -> None:
    with service(tmp_path / "broken") as (port, _):
        profile = SHORT.format(port=port).replace("touch broken;", "echo no such thing >&2; exit 9;")
        done = run(
            tmp_path, profile.replace("rm broken; ", "exit 8; "), XDG_STATE_HOME=str(tmp_path / "state")
        )
    assert done.code == 3
    text = " ".join(done.out.split())
    assert "fault outage did not take effect: the command" in text
    assert "failed (exit code 9: no such thing)" in text
    by_hand = f"(cd {tmp_path} && sh -c 'exit 8; echo mended')"
    assert f"to undo it by hand: {by_hand}" in " ".join(done.result["problems"])
    assert "to undo it by hand: (cd" in text
    assert "NOT UNDONE" in text
    assert len(list((tmp_path / "state" / "loadtool").iterdir())) == 1, "it stays in the journal"


DEMO = """\
target: demo
requests: [{get: /products/7}]
phases:
  - {name: baseline, rate: 20/s, for: 2s}
  - {name: spike, rate: 40/s, for: 4s}
arrivals: constant
proxies:
  front: {upstream: target}
  store: {upstream: demo.store}
faults:
  - {name: cut, at: spike+1s, until: spike+3s, proxy: store, down: true}
  - {name: slow, at: spike+1s, for: 2s, proxy: front, toxic: latency, latency: 100ms}
  - {name: thin, at: spike+2s, until: end of spike, proxy: front, toxic: bandwidth, rate: 100KB/s}
  - {name: blink, at: 500ms, every: 1s, for: 450ms, until: end of baseline, proxy: store, toxic: noop}
validity: {lag: 10s}
"""


def test_several_faults_at_once_on_several_proxies(tmp_path: Path) -> None:
    done = timely(lambda: run(tmp_path, DEMO, PATH=without_toxiproxy()))
    assert done.code == 0, done.out + done.err
    result = done.result
    times = [(f["name"], *f["planned_s"], f["removed"], f["problem"]) for f in result["faults"]]
    assert [t[:4] for t in times] == [
        ("cut", 3, 5, True),
        ("slow", 3, 5, True),
        ("thin", 4, 6, True),
        ("blink", 0.5, 0.95, True),
        ("blink", 1.5, 1.95, True),
    ]
    # Without its store the service answers with errors; all are slow while the front is.
    both, calm = populations(result, "cut", "slow"), populations(result)
    assert both.scheduled == 40
    assert both.failed > calm.failed
    store = [p for p in result["probes"] if p["name"] == "store" and not p["after"]]
    cut = result["faults"][0]
    # It is there some time before `started_s` says so, and gone some time before `ended_s` does; neither is
    # before it is planned.
    begin, end = cut["planned_s"]
    inside = [p for p in store if cut["started_s"] < p["t"] and p["t"] + p["ms"] / 1000 < end]
    assert inside
    assert not any(p["ok"] for p in inside)
    before = [p for p in store if p["t"] + p["ms"] / 1000 < begin]
    assert before
    assert all(p["ok"] for p in before)
    assert [p["ok"] for p in result["probes"] if p["name"] == "store" and p["after"]] == [True]


@pytest.mark.parametrize("what", ["loadtool.target", "loadtool.chaos.server"])
def test_what_the_run_started_and_lost_makes_it_invalid(tmp_path: Path, what: str) -> None:
    """Errors of a demo service, or behind a Toxiproxy, that somebody killed are none of a service's."""
    profile = DEMO.partition("faults:")[0] + "validity: {lag: 10s}\nslos: [error rate < 1%]\n"
    with running(tmp_path, profile, PATH=without_toxiproxy()) as live:
        live.wait_for("baseline")
        (pid,) = [p for p in children(live.process.pid) if what in command_line(p)]
        os.kill(pid, signal.SIGKILL)
        done = live.end()
    assert (done.code, done.result["verdict"]) == (3, "invalid")
    said = (
        "the demo service ended during the run (killed by SIGKILL): look in"
        if what == "loadtool.target"
        else "the embedded Toxiproxy ended during the run (killed by SIGKILL): look in"
    )
    assert [said in problem for problem in done.result["problems"]].count(True) == 1, done.result["problems"]
    assert said in " ".join(done.out.split())
    assert "could not be removed" not in done.out
    assert "NOT REMOVED" not in done.out


def test_a_toxiproxy_of_the_run_that_lacks_files_makes_it_invalid(tmp_path: Path) -> None:
    """What it turned away, or let wait, was no service's to answer."""
    profile = (
        DEMO.partition("arrivals:")[0]
        + "  - {name: recovery, rate: 20/s, for: 8s}\nclient: {keepalive: false, timeout: 500ms}\n"
        + "proxies: {front: {upstream: target}}\nvalidity: {lag: 10s}\nslos: [error rate < 1%]\n"
    )
    with running(tmp_path, profile, PATH=without_toxiproxy()) as live:
        live.wait_for("s baseline ")
        (pid,) = [p for p in children(live.process.pid) if "loadtool.chaos.server" in command_line(p)]
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, limits[1]))
        live.wait_for("s recovery ")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        done = live.end()
    assert (done.code, done.result["verdict"]) == (3, "invalid")
    said = (
        "the embedded Toxiproxy ran out of open files (EMFILE): raise `ulimit -n`, or lower "
        "`client.connections`; each connection through a proxy is two of its own"
    )
    assert said in done.result["problems"]
    assert said in " ".join(done.out.split())
