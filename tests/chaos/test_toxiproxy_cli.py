"""The real server's own command line client, word for word the same on both servers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest
import trio
from chaos_servers import Toxiproxy

CLI = shutil.which("toxiproxy-cli")

# Command, exit code, what it prints. NAME and LISTEN are a proxy of the test's own.
TRANSCRIPT: list[tuple[str, int, str]] = [
    ("create -l 127.0.0.1:0 -u 127.0.0.1:1 NAME", 0, "Created new proxy NAME\n"),
    ("create -l 127.0.0.1:0 -u 127.0.0.1:1 NAME", 1,
     "Failed to create proxy: Create: HTTP 409: proxy already exists\n\n"),
    ("toxic add -t latency -a latency=100 -a jitter=5 NAME", 0,
     "Added downstream latency toxic 'latency_downstream' on proxy 'NAME'\n"),
    ("toxic add -t bandwidth -n bw -u -a rate=10 --tox 0.5 NAME", 0,
     "Added upstream bandwidth toxic 'bw' on proxy 'NAME'\n"),
    ("inspect NAME", 0,
     "bw\ttype=bandwidth\tstream=upstream\ttoxicity=0.50\tattributes=[\trate=10\t]\n"
     "latency_downstream\ttype=latency\tstream=downstream\ttoxicity=1.00"
     "\tattributes=[\tjitter=5\tlatency=100\t]\n"),
    ("toxic update -n bw -a rate=20 NAME", 0, "Updated toxic 'bw' on proxy 'NAME'\n"),
    ("toxic add -t nope NAME", 1,
     "Failed to add toxic: failed to add toxic to proxy NAME: AddToxic: HTTP 400: invalid toxic type\n\n"),
    ("toxic remove -n latency_downstream NAME", 0, "Removed toxic 'latency_downstream' on proxy 'NAME'\n"),
    ("toxic remove -n gone NAME", 1,
     "Failed to remove toxic: failed to remove toxic 'gone' from proxy 'NAME':"
     " HTTP 404: toxic not found\n\n"),
    ("inspect NAME", 0,
     "bw\ttype=bandwidth\tstream=upstream\ttoxicity=1.00\tattributes=[\trate=20\t]\n"),
    ("toggle NAME", 0, "Proxy NAME is now disabled\n"),
    ("list", 0, "NAME\tLISTEN\t127.0.0.1:1\tdisabled\t1\n"),
    ("toggle NAME", 0, "Proxy NAME is now enabled\n"),
    ("delete NAME", 0, "Deleted proxy NAME\n"),
    ("inspect NAME", 1, "Failed to retrieve proxy NAME: HTTP 404: proxy not found\n\n"),
]  # fmt: skip


@pytest.mark.skipif(CLI is None, reason="toxiproxy-cli is not on PATH")
async def test_toxiproxy_cli_cannot_tell(toxiproxy: Toxiproxy) -> None:
    name = toxiproxy.free_name()
    for command, code, printed in TRANSCRIPT:
        argv = [str(CLI), "-h", toxiproxy.url, *command.replace("NAME", name).split()]
        done = await trio.run_process(
            argv,
            capture_stdout=True,
            stderr=subprocess.STDOUT,
            check=False,
            env={k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")},
        )
        found = done.stdout.decode()
        if command == "list":
            found = "".join(line for line in found.splitlines(keepends=True) if line.startswith(f"{name}\t"))
        found = re.sub(r"\t127\.0\.0\.1:\d{3,}\t", "\tLISTEN\t", found)
        assert (command, done.returncode, found) == (command, code, printed.replace("NAME", name))
