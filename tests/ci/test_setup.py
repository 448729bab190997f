"""setup.py: which build an installation makes, and that none fails for want of a compiler."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SMALL = "loadtool/plan/message.py"


def setup_py() -> ModuleType:
    spec = importlib.util.spec_from_file_location("loadtool_setup", ROOT / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("switch", "commands", "expected"),
    [
        ("", ["bdist_wheel", "--dist-info-dir", "x"], "if possible"),
        ("", ["install"], "if possible"),
        ("1", ["bdist_wheel"], "insist"),
        ("0", ["bdist_wheel"], "never"),
        ("", ["dist_info"], "never"),  # metadata: nothing is built
        ("1", ["dist_info"], "never"),
        ("", ["egg_info"], "never"),
        ("", ["editable_wheel"], "never"),
        ("", ["develop"], "never"),
    ],
)
def test_what_is_asked_for(switch: str, commands: list[str], expected: str) -> None:
    assert setup_py().wish({"LOADTOOL_COMPILE": switch} if switch else {}, commands) == expected


@pytest.mark.parametrize(
    ("switch", "commands", "message"),
    [
        ("yes", ["bdist_wheel"], "LOADTOOL_COMPILE: got yes, want 0 (never), 1 (insist) or nothing"),
        (
            "1",
            ["editable_wheel"],
            "LOADTOOL_COMPILE=1: an editable installation is always plain; install without --editable",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_for(switch: str, commands: list[str], message: str) -> None:
    with pytest.raises(SystemExit) as caught:
        setup_py().wish({"LOADTOOL_COMPILE": switch}, commands)
    assert caught.value.code == message


def test_every_hot_module_exists() -> None:
    setup = setup_py()
    assert [file for file in setup.HOT if not (ROOT / file).is_file()] == []
    assert sorted(set(setup.HOT)) == list(setup.HOT)
    assert set(setup.LINUX_ONLY) <= set(setup.HOT)
    assert (ROOT / setup.OWN).is_file()


@dataclass
class Build:
    """`setup.py bdist_wheel` in a copy of the sources that has one hot module, which takes less time."""

    place: Path

    def __post_init__(self) -> None:
        self.tree = self.place / "tree"
        shutil.copytree(
            ROOT / "loadtool", self.tree / "loadtool", ignore=shutil.ignore_patterns("__pycache__", "*.so")
        )
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, self.tree)
        text = (ROOT / "setup.py").read_text()
        start = text.index("HOT = (")
        end = text.index(")\n", start)
        (self.tree / "setup.py").write_text(f'{text[:start]}HOT = ("{SMALL}",{text[end:]}')

    def run(self, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if k not in ("LOADTOOL_COMPILE", "CC")}
        return subprocess.run(
            [sys.executable, "setup.py", "-q", "bdist_wheel", "-d", str(self.place / "dist")],
            cwd=self.tree, env={**clean, **environment}, text=True, capture_output=True, check=False,
        )  # fmt: skip

    @property
    def wheel(self) -> Path:
        (wheel,) = (self.place / "dist").iterdir()
        return wheel

    @property
    def compiled(self) -> list[str]:
        """The compiled modules in the wheel, without the parts that name the platform."""
        with zipfile.ZipFile(self.wheel) as wheel:
            names = wheel.namelist()
        assert any(name.endswith(SMALL) for name in names)
        return sorted(name.split(".")[0] for name in names if name.endswith((".so", ".pyd")))

    @property
    def left_behind(self) -> list[str]:
        """What the build has added to the tree, but for the metadata."""
        known = {"loadtool", "loadtool.egg-info", "pyproject.toml", "README.md", "LICENSE", "setup.py"}
        return [path.name for path in self.tree.iterdir() if path.name not in known]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return Build(tmp_path)


def compiler(place: Path, probe: bool) -> str:
    """A compiler that fails; with `probe` it works for the first try, to see whether there is one."""
    if shutil.which("cc") is None:
        pytest.skip("this machine has no C compiler")
    script = place / "cc"
    works = 'case "$*" in *probe*) exec cc "$@" ;; esac\n' if probe else ""
    script.write_text(f"#!/bin/sh\n{works}exit 1\n")
    script.chmod(0o755)
    return str(script)


def test_the_hot_modules_are_compiled(build: Build) -> None:
    if shutil.which("cc") is None:
        pytest.skip("this machine has no C compiler")
    done = build.run(LOADTOOL_COMPILE="1")
    assert done.returncode == 0, done.stderr
    assert "loadtool: compiled build: 1 modules\n" in done.stderr
    assert build.compiled == ["loadtool/engine/_nonblocking", "loadtool/plan/message", "loadtool__mypyc"]
    assert not build.wheel.name.endswith("-py3-none-any.whl")
    assert build.left_behind == []


@pytest.mark.parametrize(("probe", "why"), [(False, "no C compiler"), (True, "compiling failed (")])
def test_a_compiler_that_fails_makes_a_plain_build(
    build: Build, tmp_path: Path, probe: bool, why: str
) -> None:
    (build.tree / "loadtool" / "plan" / "message.stale.so").write_text("")
    done = build.run(CC=compiler(tmp_path, probe))
    assert done.returncode == 0, done.stderr
    assert f"loadtool: plain Python build: {why}" in done.stderr
    assert build.compiled == []
    assert build.left_behind == []
    assert list(build.tree.rglob("*.so")) == []


def test_a_compiler_that_fails_is_an_error_for_who_insists(build: Build, tmp_path: Path) -> None:
    done = build.run(CC=compiler(tmp_path, probe=False), LOADTOOL_COMPILE="1")
    assert done.returncode == 1
    assert "LOADTOOL_COMPILE=1, but no C compiler that finds Python's headers (" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "dist").exists()


def test_what_mypyc_refuses_makes_a_plain_build(build: Build) -> None:
    with (build.tree / SMALL).open("a") as file:
        file.write('\nMISTAKE: int = "no number"\n')
    done = build.run()
    assert done.returncode == 0, done.stderr
    assert "loadtool: plain Python build: mypyc refuses the sources (exit 1)\n" in done.stderr
    assert "message.py" in done.stdout + done.stderr  # mypy says what is wrong
    assert build.compiled == []


def test_a_plain_build_suits_every_platform(build: Build) -> None:
    done = build.run(LOADTOOL_COMPILE="0")
    assert done.returncode == 0, done.stderr
    assert "loadtool: " not in done.stderr
    assert build.wheel.name.endswith("-py3-none-any.whl")
    assert build.left_behind == []
