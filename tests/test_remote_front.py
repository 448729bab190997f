"""Whole runs through a Toxiproxy that stands for one on another machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from chaos_servers import SERVERS, embedded_server
from run_service import service

# What stands in for another machine: no test has two. {dialled}: what the load would dial instead.
PROGRAM = """
import sys
from loadtool.chaos import front
from loadtool.chaos.control import Control
from loadtool.cli import main
async def is_elsewhere(url):
    return True
async def create_proxy(self, name, upstream, listen="127.0.0.1:0", create=Control.create_proxy):
    print("asked for", listen, file=sys.stderr)
    return await create(self, name, upstream, listen)
front.is_elsewhere, Control.create_proxy = is_elsewhere, create_proxy
if dialled := {dialled!r}:
    front.dialled_host = lambda listen, url: dialled
sys.exit(main(sys.argv[1:]))
"""
PROFILE = """\
target: http://127.0.0.1:{port}
requests: [{{get: /}}]
phases: [{{name: baseline, rate: 20/s, for: 500ms}}]
proxies: {{front: {{upstream: target{more}}}}}
validity: {{lag: 10s}}
slos: [error rate < 1%]
"""


def loadtool(
    directory: Path, words: str, profile: str, toxiproxy: str, dialled: str = ""
) -> subprocess.CompletedProcess[str]:
    (directory / "profile.yaml").write_text(profile)
    program = PROGRAM.format(dialled=dialled)
    return subprocess.run(
        [sys.executable, "-c", program, *words.split(), "-p", "profile.yaml", "--toxiproxy", toxiproxy],
        cwd=directory, capture_output=True, text=True, timeout=100,
    )  # fmt: skip


@pytest.mark.parametrize("kind", SERVERS)
def test_the_load_goes_through_all_addresses_of_it(tmp_path: Path, kind: str) -> None:
    with service(tmp_path / "broken") as (port, books), SERVERS[kind]() as toxiproxy:
        done = loadtool(tmp_path, "spike --plain", PROFILE.format(port=port, more=""), toxiproxy)
        assert httpx.get(f"{toxiproxy}/proxies", trust_env=False).json() == {}
    assert done.returncode == 0, done.stdout + done.stderr
    assert "asked for 0.0.0.0:0\n" in done.stderr
    assert {host for _, host, _ in books.asked} == {f"127.0.0.1:{port}"}


def test_a_loopback_of_it_ends_the_run_before_anything_is_made(tmp_path: Path) -> None:
    said = (
        "profile.yaml:4: proxies.front.listen: got localhost:0, want an address that the load can reach, "
        "such as 0.0.0.0:0: Toxiproxy is at {url}, and its loopback is that machine's own"
    )
    with service(tmp_path / "broken") as (port, books), embedded_server() as toxiproxy:
        profile = PROFILE.format(port=port, more=", listen: 'localhost:0'")
        done = loadtool(tmp_path, "spike --plain", profile, toxiproxy)
        planned = loadtool(tmp_path, "plan", profile, toxiproxy)
    assert (done.returncode, done.stderr) == (2, f"loadtool: {said.format(url=toxiproxy)}\n")
    assert books.asked == []
    assert planned.returncode == 0, planned.stderr
    stop = f"a run would stop at once: {said.format(url=toxiproxy)}"
    assert stop in " ".join(planned.stdout.split())


def test_the_demo_is_out_of_its_reach(tmp_path: Path) -> None:
    said = "profile.yaml:4: proxies.front.upstream: the demo service is within reach of this machine alone"
    with embedded_server() as toxiproxy:
        profile = PROFILE.format(port=1, more="").replace("http://127.0.0.1:1", "demo")
        done = loadtool(tmp_path, "spike --plain", profile, toxiproxy)
        planned = loadtool(tmp_path, "plan", profile, toxiproxy)
        assert httpx.get(f"{toxiproxy}/proxies", trust_env=False).json() == {}
    assert done.returncode == 2
    assert done.stderr.startswith(f"loadtool: {said}")
    assert f"a run would stop at once: {said}" in " ".join(planned.stdout.split())


def test_a_public_host_must_be_allowed_there_too(tmp_path: Path) -> None:
    said = (
        "proxies.front: 8.8.8.8 is the public address 8.8.8.8: name it in allow_hosts: [8.8.8.8] or with "
        "--allow-host 8.8.8.8 if you may load it"
    )
    with service(tmp_path / "broken") as (port, books), embedded_server() as toxiproxy:
        profile = PROFILE.format(port=port, more="")
        done = loadtool(tmp_path, "spike --plain", profile, toxiproxy, dialled="8.8.8.8")
        assert httpx.get(f"{toxiproxy}/proxies", trust_env=False).json() == {}
        planned, allowed = (
            " ".join(loadtool(tmp_path, words, profile, toxiproxy, dialled="8.8.8.8").stdout.split())
            for words in ("plan", "plan --allow-host 8.8.8.8")
        )
    assert done.returncode == 2, done.stdout
    assert done.stderr.splitlines()[-1] == f"loadtool: {said}"
    assert books.asked == []
    assert f"a run would stop at once: {said}" in planned
    assert "8.8.8.8 (proxies.front)" in allowed
    assert "a run would stop" not in allowed
