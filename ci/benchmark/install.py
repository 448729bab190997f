"""Brings the peers, each by its own package manager; what has no Debian package goes to a cache directory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmark.peers import cache, find
from benchmark.server import program

DEBIAN = {"wrk": "wrk", "hey": "hey", "h2load": "nghttp2-client", "nginx": "nginx-light"}
# Versions that the module proxy and the crates' index had at the time of writing, built from source.
GO = {
    "vegeta": "github.com/tsenart/vegeta/v12@v12.12.0",
    "fortio": "fortio.org/fortio@v1.63.7",
    "k6": "go.k6.io/k6@v1.8.1",
}
CARGO = {"oha": "1.16.0"}
PYPI = {"locust": "locust>=2.32"}


def _run(*argv: str, **environment: str) -> None:
    subprocess.run(argv, check=True, env={**os.environ, **environment})


def _debian(names: list[str]) -> None:
    packages = [DEBIAN[name] for name in names]
    _run("apt-get", "update", "-q")
    _run(
        "apt-get",
        "install",
        "-q",
        "-y",
        "--no-install-recommends",
        *packages,
        DEBIAN_FRONTEND="noninteractive",
    )


def _go(names: list[str]) -> None:
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin") or "go"
    for name in names:
        module, _, version = GO[name].partition("@")
        # A module around it: `go install` asks the proxy for more than the one version that it needs.
        with tempfile.TemporaryDirectory() as directory:
            Path(directory, "go.mod").write_text(f"module peers\n\ngo 1.22\n\nrequire {module} {version}\n")
            subprocess.run(
                [go, "build", "-mod=mod", "-o", str(cache() / "bin" / name), module],
                check=True,
                cwd=directory,
            )


def _cargo(names: list[str]) -> None:
    cargo = shutil.which("cargo") or str(Path.home() / ".cargo" / "bin" / "cargo")
    for name in names:
        _run(cargo, "install", "--locked", "--root", str(cache()), "--version", CARGO[name], name)


def _pypi(names: list[str]) -> None:
    for name in names:
        place = cache() / name
        _run(sys.executable, "-m", "venv", str(place))
        _run(str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", PYPI[name])


MANAGERS: dict[str, tuple[Callable[[list[str]], None], dict[str, str]]] = {
    "apt-get": (_debian, DEBIAN),
    "go": (_go, GO),
    "cargo": (_cargo, CARGO),
    "pip": (_pypi, PYPI),
}


def where(name: str) -> str | None:
    return program() if name == "nginx" else find(name)


def install_peers(say: Callable[[str], None]) -> list[str]:
    """Install what is missing; the names of the managers that could not."""
    (cache() / "bin").mkdir(parents=True, exist_ok=True)
    failed = []
    for manager, (bring, names) in MANAGERS.items():
        missing = [name for name in names if where(name) is None]
        if not missing:
            continue
        say(f"{manager}: {', '.join(missing)}")
        try:
            bring(missing)
        except (OSError, subprocess.CalledProcessError) as e:
            say(f"{manager}: {e}")
            failed.append(manager)
    return failed
