"""`loadtool target`, `loadtool toxiproxy` and `loadtool chaos`, each as a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loadtool import cli
from loadtool.chaos.journal import Change, Journal
from loadtool.target.settings import OPTIONS

URL = re.compile(r"http://127\.0\.0\.1:\d+")
NOT_ASKED = (
    "loadtool: cannot list the proxies: no Toxiproxy answers at http://127.0.0.1:1 (Connection refused): "
    "start it or mend the URL; what killed runs may have left there was not looked for\n"
)


@contextmanager
def serving(*words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server and the URL that it says it listens on; it is ended with SIGINT if it still runs."""
    command = [sys.executable, "-m", "loadtool", *words]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        found = URL.search(line)
        try:
            assert found is not None, line + (server.stderr.read() if server.stderr else "")
            yield server, found[0]
        finally:
            if server.poll() is None:
                server.send_signal(signal.SIGINT)


def fetch(url: str, method: str = "GET", body: object = None) -> object:
    data = None if body is None else json.dumps(body).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, data, method=method), timeout=30) as answer:
        text = answer.read()
        return json.loads(text) if text else None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_service_serves_until_it_is_told_to_end(number: signal.Signals) -> None:
    with serving("target", "--slots", "3", "--seed", "9") as (server, url):
        answer = fetch(f"{url}/products/7")
        assert isinstance(answer, dict)
        assert answer["id"] == "7"
        server.send_signal(number)
        out, err = server.communicate(timeout=30)
    assert (server.returncode, out, err) == (128 + number, "", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_embedded_toxiproxy_serves_until_it_is_told_to_end(number: signal.Signals) -> None:
    with serving("toxiproxy", "--port", "0") as (server, url):
        assert fetch(f"{url}/version") == {"version": "2.12.0"}
        server.send_signal(number)
        out, err = server.communicate(timeout=30)
    assert (server.returncode, out, err) == (128 + number, "", "")


def test_a_taken_port_is_said() -> None:
    with serving("toxiproxy", "--port", "0") as (_, url):
        port = url.rpartition(":")[2]
        for command in ("target", "toxiproxy"):
            done = subprocess.run(
                [sys.executable, "-m", "loadtool", command, "--port", port],
                text=True,
                capture_output=True,
                check=False,
            )
            assert (done.returncode, done.stdout) == (3, "")
            assert re.fullmatch(r"loadtool: .*ddress already in use.*\n", done.stderr), done.stderr


def test_every_setting_of_the_demo_is_an_option_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["target", "--help"])
    page = " ".join(capsys.readouterr().out.split())
    for option in OPTIONS:
        assert f"{option.flag} {option.metavar}" in page
    assert "[default: 127.0.0.1]" in page
    assert "[default: 8ms]" in page, "durations as they are written"


def test_a_wrong_setting_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["target", "--slots", "zero"]) == 2
    assert capsys.readouterr().err.startswith("loadtool: --slots: got zero, want ")


def test_chaos_shows_and_takes_out_what_a_dead_run_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert cli.main(["chaos", "status"]) == 0
    assert capsys.readouterr().out == "nothing is left\n"
    with serving("toxiproxy", "--port", "0") as (_, url):
        for name in ("loadtool-1-store", "somebody-else-s"):
            fetch(
                f"{url}/proxies", "POST", {"name": name, "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1"}
            )
        journal = Journal(url, "1")
        journal.record(Change("proxy", "loadtool-1-store"))

        assert cli.main(["chaos", "status"]) == 0, "a run that is going on has left nothing"
        alive = f"{url}: run 1 of "
        assert capsys.readouterr().out.startswith(alive)
        assert cli.main(["chaos", "recover"]) == 0
        assert capsys.readouterr().out == "nothing is left\n"

        journal.close()  # what the kernel does to the lock of a run that is killed
        assert cli.main(["chaos", "status"]) == 1
        out = capsys.readouterr().out
        assert out.endswith(f"(process {os.getpid()}, dead) has left proxy loadtool-1-store\n")
        with serving("toxiproxy", "--port", "0") as (_, other):
            assert cli.main(["chaos", "recover", "--toxiproxy", other]) == 0
            assert capsys.readouterr().out == "nothing is left\n", "not on that server"
        for command in ("status", "recover"):
            assert cli.main(["chaos", command, "--toxiproxy", "http://127.0.0.1:1"]) == 3
            assert capsys.readouterr() == ("", NOT_ASKED), "it may have something under that name, too"
        assert cli.main(["chaos", "recover", "--toxiproxy", url]) == 0
        assert capsys.readouterr().out.endswith("dead): taken out: proxy loadtool-1-store\n")
        proxies = fetch(f"{url}/proxies")
        assert isinstance(proxies, dict)
        assert list(proxies) == ["somebody-else-s"]
        assert cli.main(["chaos", "status"]) == 0


def test_chaos_says_when_a_server_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "my state"))
    with serving("toxiproxy", "--port", "0") as (_, url):
        pass
    journal = Journal(url, "1")
    journal.record(Change("proxy", "loadtool-1-store"))
    journal.close()
    assert cli.main(["chaos", "status"]) == 3
    out = capsys.readouterr().out
    assert f"no Toxiproxy answers at {url}" in out
    assert cli.main(["chaos", "recover"]) == 3
    err = capsys.readouterr().err
    assert f"no Toxiproxy answers at {url}" in err

    remedy = f"once none of it is left, or its server is gone for good: rm '{journal.path}'\n"
    assert out.endswith(f"; {remedy}")
    assert err.endswith(f"\nloadtool: {remedy}")
    journal.path.unlink()
    for command in ("status", "recover"):
        assert cli.main(["chaos", command]) == 0


@pytest.mark.parametrize("command", ["status", "recover"])
def test_a_server_is_asked_also_if_no_run_is_known(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with serving("toxiproxy", "--port", "0") as (_, url):
        assert cli.main(["chaos", command, "--toxiproxy", url]) == 0
        assert capsys.readouterr() == ("nothing is left\n", "")
    assert cli.main(["chaos", command, "--toxiproxy", "http://127.0.0.1:1"]) == 3
    said = NOT_ASKED.replace("list the proxies", "ask for the version")
    assert capsys.readouterr() == ("", said)
