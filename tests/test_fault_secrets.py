"""Whole runs against a Toxiproxy that wants a user and a password: neither is written or said anywhere."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path

import pytest
from chaos_servers import embedded_server
from run_harness import run, running, timely
from run_service import service
from test_fault_recovery import Foreign, chaos

from loadtool import cli

PASSWORD = "hunter2-s3cret"
BASIC = base64.b64encode(f"bob:{PASSWORD}".encode()).decode()
PROFILE = """\
target: http://127.0.0.1:{port}
{toxiproxy}
requests: [{{get: /}}]
phases: [{{name: baseline, rate: 20/s, for: {lasts}}}]
proxies: {{db: {{existing: {existing}}}}}
faults: [{{name: slow, at: 100ms, proxy: db, toxic: latency, latency: 5ms}}]
validity: {{lag: 10s}}
"""
FORMATS = [f"--{name}=out.{name}" for name in ("html", "markdown", "junit", "json", "csv")]


def profile(port: int, toxiproxy: str = "", lasts: str = "1s", existing: str = "db") -> str:
    return PROFILE.format(port=port, toxiproxy=toxiproxy, lasts=lasts, existing=existing)


def private(url: str) -> str:
    return url.replace("//", f"//bob:{PASSWORD}@")


def shown(url: str) -> str:
    return url.replace("//", "//***@")


def assert_secret(directory: Path, *said: str) -> None:
    """Nothing that was written or said has the password in it, besides the profile of the test."""
    files = [p for p in directory.rglob("*") if p.is_file() and p.name != "profile.yaml"]
    texts = {str(p): p.read_text(errors="replace") for p in files} | {str(n): t for n, t in enumerate(said)}
    assert [name for name, text in texts.items() if PASSWORD in text or BASIC in text] == []


@pytest.mark.parametrize("where", ["profile", "environment", "option"])
def test_a_password_of_toxiproxy_is_in_no_file_and_no_report(tmp_path: Path, where: str) -> None:
    with embedded_server() as url, service(tmp_path / "broken") as (port, _):
        Foreign(url).add("db")
        lines = {
            "profile": f"toxiproxy: {private(url)}",
            "environment": f"toxiproxy: {private(url).replace(PASSWORD, '${TPASS}')}",
            "option": "",
        }
        options = ["--toxiproxy", private(url)] if where == "option" else []
        text = profile(port, lines[where])
        done = timely(lambda: run(tmp_path, text, *options, *FORMATS, TPASS=PASSWORD))
    assert done.code == 0, done.err
    assert f"at {shown(url)}" in done.out
    assert done.result["engine"]["toxiproxy"].endswith(f" at {shown(url)}")
    assert_secret(tmp_path, done.out, done.err)


def test_errors_do_not_have_it_either(tmp_path: Path) -> None:
    with embedded_server() as url, service(tmp_path / "broken") as (port, _):
        Foreign(url).add("db")
        unknown = run(tmp_path, profile(port, f"toxiproxy: {private(url)}", existing="webb"))
        gone = run(tmp_path, profile(port), "--toxiproxy", f"http://bob:{PASSWORD}@127.0.0.1:1")
    assert f"Toxiproxy {shown(url)} has no proxy 'webb'" in unknown.err
    assert "no Toxiproxy answers at http://***@127.0.0.1:1 (Connection refused)" in gone.err
    assert_secret(tmp_path, unknown.out, unknown.err, gone.out, gone.err)


def test_a_plan_does_not_show_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "profile.yaml"
    path.write_text(profile(1))
    cli.main(["plan", "--profile", str(path), "--toxiproxy", f"http://bob:{PASSWORD}@127.0.0.1:1"])
    out, err = capsys.readouterr()
    assert "at http://***@127.0.0.1:1" in out
    assert_secret(tmp_path, out, err)


def test_a_journal_does_not_have_it_and_recovery_is_told_it(tmp_path: Path) -> None:
    with embedded_server() as url, service(tmp_path / "broken") as (port, _):
        server = Foreign(url)
        server.add("db")
        before = server.state()
        state = {"XDG_STATE_HOME": str(tmp_path / "state")}
        lasting = profile(port, f"toxiproxy: {private(url)}", "300s")
        with running(tmp_path, lasting, **state) as live:
            live.wait_for("faults: slow")
            live.kill()
        assert len(os.listdir(tmp_path / "state" / "loadtool")) == 1
        broken = server.state()
        said = [chaos(tmp_path, words) for words in ("status", "recover")]
        assert server.state() == broken != before
        assert [done.returncode for done in said] == [3, 3]
        why = f"the user and password for {shown(url)} were not written down: give them with --toxiproxy URL"
        assert re.match(rf"{re.escape(shown(url))}: run \w+ of \S+ \(.*, dead\): unknown: ", said[0].stdout)
        assert why in said[0].stdout
        assert why in said[1].stderr
        told = ("--toxiproxy", private(url))
        said += [chaos(tmp_path, "status", *told), chaos(tmp_path, "recover", *told)]
        assert [done.returncode for done in said[2:]] == [1, 0]
        assert " has left toxic loadtool-" in said[2].stdout
        assert ": taken out: toxic loadtool-" in said[3].stdout
        assert server.state() == before
    assert_secret(tmp_path, *(done.stdout + done.stderr for done in said))


def test_the_next_run_takes_out_what_is_left_by_its_own_password(tmp_path: Path) -> None:
    with embedded_server() as url, service(tmp_path / "broken") as (port, _):
        server = Foreign(url)
        server.add("db")
        before = server.state()
        state = {"XDG_STATE_HOME": str(tmp_path / "state")}
        with running(tmp_path, profile(port, f"toxiproxy: {private(url)}", "300s"), **state) as live:
            live.wait_for("faults: slow")
            live.kill()
        assert server.state() != before
        done = timely(lambda: run(tmp_path, profile(port, f"toxiproxy: {private(url)}"), **state))
        assert server.state() == before
    assert done.code == 0, done.err
    assert os.listdir(tmp_path / "state" / "loadtool") == []
