"""Whole runs: what a user sees and finds on disk, whatever happens."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path

import pytest
from run_harness import DEMO, ENDLESS, Run, alive, children, command_line, eventually, run, running, timely


def listening() -> tuple[socket.socket, int]:
    """A port that is taken."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    return sock, sock.getsockname()[1]


def in_and_out(done: Run) -> tuple[list[float], list[float]]:
    """How long the store took, in ms, when asked and answered during its fault, and before or after it."""
    fault = done.result["faults"][0]
    start, end = fault["started_s"], fault["ended_s"]
    until = min(end, fault["planned_s"][1])  # when its removal was asked for, at the earliest
    probes = [(p["t"], p["t"] + p["ms"] / 1000, p["ms"]) for p in done.result["probes"]]
    inside = [ms for asked, answered, ms in probes if start <= asked and answered <= until]
    outside = [ms for asked, answered, ms in probes if answered < start or asked > end]
    return inside, outside


def unasked(done: Run) -> list[str]:
    """That the store was not asked during its fault, as it is if nothing holds the prober up."""
    return [] if done.code != 0 or in_and_out(done)[0] else ["the store was not asked during its fault"]


def test_a_demo_run_passes_and_its_store_is_slow_in_the_fault_window_only(tmp_path: Path) -> None:
    profile = DEMO.replace("at: spike+1s, for: 1s", "at: spike+500ms, for: 2s")  # for several questions
    done = timely(lambda: run(tmp_path, profile), unasked)
    assert done.code == 0, done.out
    result = done.result
    assert result["verdict"] == "pass"
    assert [f["removed"] for f in result["faults"]] == [True]
    inside, outside = in_and_out(done)
    assert min(inside) >= 100
    assert min(outside) < 100
    assert sorted(outside)[len(outside) // 2] < 100
    assert "PASS" in done.out
    assert str(done.results[0].relative_to(tmp_path)) in done.out


def test_an_slo_beyond_reach_fails(tmp_path: Path) -> None:
    done = run(tmp_path, DEMO, "--set", "slos[0]=p50 < 1us during baseline")
    assert done.code in (1, 3)  # 3: too late on a busy machine
    assert done.result["slos"][0]["status"] == "fail"
    assert done.result["verdict"] == {1: "fail", 3: "invalid"}[done.code]


DOUBTFUL = """\
target: demo
setup: echo NOTE=s3cret-42
headers: {X-Note: "${NOTE}"}
requests: [{name: browse, get: /products/1}, {name: s3cret-42, get: /products/2}]
phases:
  - {name: baseline, rate: 20/s, for: 1s}
  - {name: spike, rate: 20/s, for: 1s}
arrivals: constant
slos: [error rate < 50% in any 5s, p95 < 9s during baseline for s3cret-42]
validity: {lag: 10s}
"""


def test_what_a_plan_doubts_is_said_before_the_load(tmp_path: Path) -> None:
    done = run(tmp_path, DOUBTFUL, CI="true")
    (few, window, recovery, first, *_) = [x for x in done.err.splitlines() if not x.startswith("setup: ")]
    assert few.startswith("warning: profile.yaml:9: slos[1]: p95 < 9s during baseline for ***: ")
    assert few.endswith(" too few to decide it if it is close; want 200 arrivals, or a lower quantile")
    assert window == (
        "warning: profile.yaml:9: slos[0]: error rate < 50% in any 5s: it needs 5 of the run's whole slices "
        "of 1 s in a row, and the run holds 2, so nothing decides it; want a shorter window, or the run to "
        "last longer"
    )
    assert recovery == (
        "warning: profile.yaml:7: phases[1]: spike has no recovery phase after it, so nothing shows whether "
        "the service comes back; add one with role: recovery, at the baseline's rate"
    )
    assert first.startswith("profile: baseline → spike, 2s against ")
    assert (done.code, done.result["warnings"]) == (3, [])  # inconclusive, as was said
    quiet = run(tmp_path, DOUBTFUL, "--quiet")
    assert (quiet.code, quiet.err) == (3, "")


def test_a_typo_names_its_line_and_sends_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, DEMO.replace("rate: 150/s", "rte: 150/s"))
    assert done.code == 2
    assert "profile.yaml:8: phases[1].rte: unknown key, did you mean rate?" in done.err
    assert done.results == []
    assert not (tmp_path / "loadtool-results").exists()


def test_a_closed_port_is_invalid(tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets it, and it refuses
        profile = f"""\
target: http://127.0.0.1:{held.getsockname()[1]}
requests: [{{get: /}}]
phases: [{{name: baseline, rate: 50/s, for: 1s}}]
"""
        done = run(tmp_path, profile)
    assert done.code == 3
    assert done.result["verdict"] == "invalid"
    assert set(done.result["totals"]["errors"]) == {"connect"}
    assert "no HTTP answer" in done.out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_with_its_report_and_without_its_fault(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    with running(tmp_path, ENDLESS) as live:
        live.wait_for("faults: slow")
        family = children(live.process.pid)
        assert len(family) >= 3  # a worker, the demo service, a Toxiproxy
        live.send(number)
        done = live.end()
    assert done.code == code
    assert done.result["verdict"] == "interrupted"
    assert [f["removed"] for f in done.result["faults"]] == [True]
    assert done.result["elapsed_s"] < 100
    assert done.result["totals"]["scheduled"] > 100
    assert "INTERRUPTED" in done.out
    assert not any(alive(pid) for pid in family)


def test_a_second_signal_does_not_wait_for_the_workers(tmp_path: Path) -> None:
    with running(tmp_path, ENDLESS) as live:
        live.wait_for("faults: slow")
        workers = [pid for pid in children(live.process.pid) if "engine.worker" in command_line(pid)]
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)  # they will never answer the first one
        live.send(signal.SIGINT)
        live.wait_for("interrupted")
        live.send(signal.SIGINT)
        done = live.end()
    assert done.code == 130
    assert done.result["verdict"] == "interrupted"
    assert done.result["totals"]["errors"]["lost"] > 0
    assert [f["removed"] for f in done.result["faults"]] == [True]
    assert not any(alive(pid) for pid in workers)


def test_a_signal_before_the_load_begins_leaves_nothing(tmp_path: Path) -> None:
    sock, port = listening()
    with sock, running(tmp_path, f"""\
target: http://127.0.0.1:{port}
wait_for: {{get: /health}}
requests: [{{get: /}}]
phases: [{{name: baseline, rate: 50/s, for: 1s}}]
""") as live:  # fmt: skip
        live.wait_for("waiting for /health")
        live.send(signal.SIGINT)
        done = live.end()
    assert done.code == 130
    assert "interrupted before the load began; nothing was sent" in done.err
    assert done.results == []


def test_a_killed_worker_makes_the_run_invalid_and_its_arrivals_lost(tmp_path: Path) -> None:
    with running(tmp_path, DEMO) as live:
        live.wait_for("baseline")
        workers: list[int] = []

        def started() -> bool:
            workers[:] = [p for p in children(live.process.pid) if "engine.worker" in command_line(p)]
            return bool(workers)

        eventually("a worker", started)
        live.wait_for("spike")
        os.kill(workers[0], signal.SIGKILL)
        done = live.end()
    assert done.code == 3
    assert done.result["verdict"] == "invalid"
    assert done.result["generator"]["workers_lost"] == 1
    assert done.result["totals"]["errors"]["lost"] > 0
    assert "killed by SIGKILL" in done.out.replace("\n  ", " ")


def test_a_killed_coordinator_takes_everything_along(tmp_path: Path) -> None:
    with running(tmp_path, ENDLESS) as live:
        live.wait_for("faults: slow")
        family = children(live.process.pid)
        kinds = " ".join(command_line(pid) for pid in family)
        assert "loadtool.engine.worker" in kinds
        assert "loadtool.target" in kinds
        assert "toxiproxy-server" in kinds or "loadtool.chaos.server" in kinds
        live.kill()
        eventually("all of them end", lambda: not any(alive(pid) for pid in family))


def test_a_full_disk_loses_the_file_and_not_the_report(tmp_path: Path) -> None:
    done = run(tmp_path, DEMO, limits="ulimit -f 4")  # 4 KiB a file
    assert done.code == 3
    assert "result.json: cannot be written: File too large" in done.err
    assert "Phases" in done.out
    assert [p for p in tmp_path.rglob("*") if p.name.endswith(".tmp")] == []


def test_a_run_without_open_files_says_so_and_does_not_blame_the_target(tmp_path: Path) -> None:
    sock, port = listening()  # takes connections and never answers
    with sock:
        done = run(tmp_path, f"""\
target: http://127.0.0.1:{port}
requests: [{{get: /}}]
phases: [{{name: spike, rate: 200/s, for: 2s}}]
client: {{timeout: 1s}}
""", limits="ulimit -Sn 40; ulimit -Hn 40")  # fmt: skip
    assert done.code == 3
    assert done.result["generator"]["local"]["EMFILE"] > 0
    assert set(done.result["totals"]["errors"]) <= {"timeout", "unsent"}
    assert "raise `ulimit -n`" in done.out.replace("\n", " ")


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    sock, port = listening()
    with sock:
        done = run(
            tmp_path,
            DEMO.replace("{upstream: demo.store}", f"{{upstream: demo.store, listen: '127.0.0.1:{port}'}}"),
        )
    assert done.code == 3
    assert f"127.0.0.1:{port}" in done.err
    assert "address already in use" in done.err.lower()
    assert done.results == []


SETUP = """\
target: demo
setup:
  - echo "noise"; echo "TOKEN=s3cret-$((40 + 2))"
teardown:
  - [touch, torn-down]
headers: {Authorization: "Bearer ${TOKEN}"}
requests:
  - {name: missing, get: "/no/such?key=${TOKEN}"}
phases: [{name: baseline, rate: 20/s, for: 1s}]
"""


def test_setup_prints_what_the_profile_needs_and_nobody_shows_it(tmp_path: Path) -> None:
    done = run(tmp_path, SETUP)
    assert (tmp_path / "torn-down").exists()
    result = done.result
    assert result["profile"]["headers"]["Authorization"].endswith("***")
    assert result["totals"]["errors"] == {"status": result["totals"]["scheduled"]}
    everything = done.out + done.err + done.results[0].read_text()
    assert "s3cret-42" not in everything


def test_a_failing_setup_is_said_and_teardown_still_runs(tmp_path: Path) -> None:
    done = run(tmp_path, SETUP.replace('echo "noise"', "echo 'no such vault' >&2; exit 7"))
    assert done.code == 3
    assert "exit code 7: no such vault" in done.err
    assert (tmp_path / "torn-down").exists()
    assert done.results == []


def test_a_failing_teardown_is_said_and_what_was_measured_stands(tmp_path: Path) -> None:
    broken = "sh -c 'echo no such bucket >&2; exit 7'"
    profile = SETUP.replace("/no/such?", "/products/1?") + "slos: [error rate < 1%]\nvalidity: {lag: 5s}\n"
    done = run(tmp_path, profile.replace("[touch, torn-down]", f"{broken}\n  - [touch, torn-down]"))
    assert (done.code, done.result["verdict"], done.result["problems"]) == (0, "pass", [])
    said = f"teardown: the command {broken!r} failed (exit code 7: no such bucket)"
    assert done.result["warnings"] == [said]
    assert f"{said} (the verdict does not depend on it)" in " ".join(done.out.split())
    assert (tmp_path / "torn-down").exists()  # the next command has run


LEAKY = """'echo "cannot revoke $TOKEN" >&2; exit 3; : ${TOKEN}'"""


def test_a_failing_teardown_does_not_show_what_setup_printed(tmp_path: Path) -> None:
    torn = SETUP.replace("[touch, torn-down]", LEAKY)
    done = run(tmp_path, torn, "--html", "report.html", "--markdown", "report.md")
    said = "failed (exit code 3: cannot revoke ***)"
    (warning,) = done.result["warnings"]
    assert warning.endswith(said)
    assert ": ***'" in warning  # the command is that of the profile as setup has made it
    pages = [(tmp_path / name).read_text() for name in ("report.html", "report.md")]
    assert all("s3cret-42" not in text for text in (done.out, done.err, done.results[0].read_text(), *pages))


def test_a_failing_setup_does_not_show_what_another_printed(tmp_path: Path) -> None:
    done = run(tmp_path, SETUP.replace("teardown:", """  - 'echo "no use: $TOKEN" >&2; exit 3'\nteardown:"""))
    assert done.code == 3
    assert "failed (exit code 3: no use: ***)" in done.err
    assert "s3cret-42" not in done.out + done.err


def test_it_waits_for_a_target_that_starts_late(tmp_path: Path) -> None:
    answers = iter([503, 503, 200])

    def serve(sock: socket.socket) -> None:
        while True:
            try:
                connection, _ = sock.accept()
            except OSError:
                return
            with connection:
                head = connection.recv(65536)
                status = next(answers) if head.startswith(b"GET /health ") else 200
                connection.sendall(
                    b"HTTP/1.1 %d X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status
                )

    sock, port = listening()
    thread = threading.Thread(target=serve, args=(sock,), daemon=True)
    thread.start()
    done = run(tmp_path, f"""\
target: http://127.0.0.1:{port}
wait_for: {{get: /health, up_to: 60s}}
requests: [{{get: /}}]
phases: [{{name: baseline, rate: 20/s, for: 1s}}]
""")  # fmt: skip
    sock.shutdown(socket.SHUT_RDWR)
    sock.close()
    thread.join(5)
    assert next(answers, None) is None
    assert done.result["totals"]["ok"] == done.result["totals"]["scheduled"]


def test_one_that_never_gets_ready_is_said_and_nothing_is_sent(tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets it, and it refuses
        port = held.getsockname()[1]
        done = run(tmp_path, f"""\
target: http://127.0.0.1:{port}
wait_for: {{get: /health, up_to: 1s}}
requests: [{{get: /}}]
phases: [{{name: baseline, rate: 20/s, for: 1s}}]
""")  # fmt: skip
    assert done.code == 3
    assert f"wait_for: http://127.0.0.1:{port}/health was not ready within 1s" in done.err
    assert done.results == []


def test_a_second_signal_does_not_wait_for_teardown_commands(tmp_path: Path) -> None:
    with running(tmp_path, ENDLESS + "teardown: [sleep 300, sleep 301]\n") as live:
        live.wait_for("faults: slow")
        live.send(signal.SIGINT)
        live.wait_for("interrupted")
        live.send(signal.SIGINT)
        done = live.end()
    assert done.code == 130
    assert done.result["verdict"] == "interrupted"
    assert [f["removed"] for f in done.result["faults"]] == [True]
    said = "teardown: a second signal came before the command 'sleep {}' had ended"
    assert done.result["warnings"] == [said.format(300), said.format(301)]
