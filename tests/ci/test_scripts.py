"""ci/demo and ci/test: which Python they take, when they install, and what they say when they can't."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Answers for the interpreter of a virtual environment: pip is only written down, the rest is real.
PYTHON = f"""\
#!/bin/sh
if [ "$1 $2" = "-m pip" ]; then
  shift 2; echo "pip $*" >>"$LOG"
  for last; do :; done
  case "$*" in *--constraint*) cp "$last" "$LOG.constraints" ;; esac
  exit "${{PIP_EXIT:-0}}"
fi
if [ "$1 $2" = "-m pytest" ]; then
  shift 2; echo "pytest $*" >>"$LOG"; echo "== ${{SUMMARY:-1 passed}} in 0.50s =="; exit "${{PYTEST_EXIT:-0}}"
fi
case "$1 $2" in "-c "*compiled*) exit "${{COMPILED_EXIT:-0}}" ;; esac
exec {sys.executable} "$@"
"""


class Checkout:
    """A checkout's scripts in a place of their own, with a virtual environment that installs nothing."""

    def __init__(self, place: Path) -> None:
        self.root = place / "checkout with a space"
        self.venv = self.root / ".venv"
        self.log = place / "log"
        shutil.copytree(ROOT / "ci", self.root / "ci")
        for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, self.root)
        self.source = self.root / "loadtool" / "engine" / "source.py"
        self.source.parent.mkdir(parents=True)
        self.source.write_text("")
        for venv in (self.venv, self.root / ".venv-compiled", self.root / ".venv-oldest"):
            bin_ = venv / "bin"
            bin_.mkdir(parents=True)
            (venv / "pyvenv.cfg").write_text("")
            for name, text in (("python", PYTHON), ("loadtool", '#!/bin/sh\necho "loadtool $*" >>"$LOG"\n')):
                (bin_ / name).write_text(text)
                (bin_ / name).chmod(0o755)

    def run(self, script: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        self.log.write_text("")
        clean = {k: v for k, v in os.environ.items() if k not in ("LOADTOOL_VENV", "PYTHON")}
        return subprocess.run(
            [str(self.root / "ci" / script), *words], env={**clean, "LOG": str(self.log), **environment},
            text=True, capture_output=True, check=False, cwd=self.root.parent,
        )  # fmt: skip

    @property
    def did(self) -> list[str]:
        text = self.log.read_text().replace(str(self.root), "ROOT")
        return re.sub(r"/\S*/tmp\.\w+", "COPY", text).splitlines()

    @property
    def constraints(self) -> list[str]:
        return self.log.with_name("log.constraints").read_text().splitlines()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


INSTALL = "pip install --quiet --disable-pip-version-check --editable ROOT"
DEMO = ["loadtool --version", "loadtool spike --profile ROOT/profiles/demo.yaml --seed 7"]


def test_the_demo_installs_once_and_passes_its_words_on(checkout: Checkout) -> None:
    assert checkout.run("demo", "--seed", "7").returncode == 0
    assert checkout.did == [INSTALL, *DEMO]
    assert checkout.run("demo", "--seed", "7").returncode == 0
    assert checkout.did == DEMO


def test_the_tests_install_once_and_pass_their_words_on(checkout: Checkout) -> None:
    assert checkout.run("test", "-k", "a or b").returncode == 0
    assert checkout.did == [f"{INSTALL}[test]", "pytest -k a or b"]
    assert checkout.run("test", "tests/judge").returncode == 0
    assert checkout.did == ["pytest tests/judge"]


COMPILE = "pip install --quiet --disable-pip-version-check COPY[test]"


def test_without_words_the_tests_run_on_both_builds(checkout: Checkout) -> None:
    done = checkout.run("test", SUMMARY="1 failed, 20 passed, 2 warnings", PYTEST_EXIT="1")
    installed, *plain, compiled, together, truth = checkout.did
    assert (installed, compiled) == (f"{INSTALL}[test]", COMPILE)
    alone = "tests/truth tests/ci/test_lessons.py"
    ignored = "--ignore=tests/truth --ignore=tests/ci/test_lessons.py"
    assert plain == [f"pytest -n 3 --dist loadfile {ignored}", f"pytest {alone}"]
    assert together.startswith("pytest -n 3 --dist loadfile tests/engine ")
    assert truth == "pytest tests/truth"
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "=== 4 failed, 80 passed, 8 warnings in 2.00s ==="


def test_what_the_tests_wait_for_alone_is_there() -> None:
    for path in ("tests/truth", "tests/ci/test_lessons.py"):
        assert (ROOT / path).exists()


def test_both_builds_get_the_words(checkout: Checkout) -> None:
    assert checkout.run("test", "--both", "-x").returncode == 0
    ran = [line for line in checkout.did if line.startswith("pytest")]
    assert len(ran) == 4
    assert all(line.startswith("pytest -x ") for line in ran)


def test_a_part_of_which_nothing_is_selected_fails_nothing(checkout: Checkout) -> None:
    assert checkout.run("test", "--both", "-k", "nothing", PYTEST_EXIT="5").returncode == 0


def test_the_compiled_build_is_made_again_when_a_source_changed(checkout: Checkout) -> None:
    assert checkout.run("test", "--compiled", "-x").returncode == 0
    assert checkout.did == [COMPILE, "pytest -x"]
    checkout.run("test", "--compiled", "-x")
    assert checkout.did == ["pytest -x"]
    checkout.source.write_text("1\n")
    checkout.run("test", "--compiled", "-x")
    assert checkout.did == [COMPILE, "pytest -x"]


def test_the_oldest_libraries_are_those_that_pyproject_admits(checkout: Checkout) -> None:
    project = checkout.root / "pyproject.toml"
    project.write_text(
        '[project]\ndependencies = ["trio>=0.27", "httpx[http2]>=0.27.1", "httpcore>=1.0.9,<2"]\n'
    )
    assert checkout.run("test", "--oldest", "-x").returncode == 0
    assert checkout.did == [f"{INSTALL}[test] --constraint COPY", "pytest -x"]
    assert checkout.constraints == ["trio==0.27", "httpx==0.27.1", "httpcore==1.0.9"]
    assert checkout.run("test", "--oldest").returncode == 0
    (ran,) = checkout.did
    assert ran.startswith("pytest -n 3 --dist loadfile tests/chaos ")
    assert all((ROOT / word).exists() for word in ran.split() if word.startswith("tests/"))


def test_a_library_without_a_lowest_version_is_a_mistake(checkout: Checkout) -> None:
    (checkout.root / "pyproject.toml").write_text('[project]\ndependencies = ["trio"]\n')
    done = checkout.run("test", "--oldest")
    assert (done.returncode, checkout.did) == (3, [])
    assert "pyproject.toml: 'trio' has no lowest version: write it as name>=version\n" in done.stderr


def test_a_build_that_is_not_compiled_after_all_is_not_tested(checkout: Checkout) -> None:
    done = checkout.run("test", "--compiled", COMPILED_EXIT="1")
    assert (done.returncode, checkout.did) == (3, [COMPILE])
    assert done.stderr.endswith(f"test: {checkout.venv}-compiled does not have the compiled build\n")


def test_what_the_tests_installed_does_for_the_demo_but_not_the_other_way_round(checkout: Checkout) -> None:
    checkout.run("demo")
    checkout.run("test", "-x")
    assert checkout.did[0] == f"{INSTALL}[test]"
    checkout.run("demo", "--seed", "7")
    assert checkout.did == DEMO


def test_a_changed_pyproject_installs_again(checkout: Checkout) -> None:
    checkout.run("demo")
    with (checkout.root / "pyproject.toml").open("a") as file:
        file.write("\n")
    checkout.run("demo")
    assert checkout.did[0] == INSTALL


def test_a_failed_installation_is_said_and_tried_again(checkout: Checkout) -> None:
    done = checkout.run("demo", PIP_EXIT="1")
    assert done.returncode == 3
    assert done.stderr.endswith(
        f"demo: could not install loadtool into {checkout.venv}: see pip's message above\n"
    )
    checkout.run("demo")
    assert checkout.did[0] == INSTALL


def test_the_exit_code_is_the_run_s(checkout: Checkout) -> None:
    program = checkout.venv / "bin" / "loadtool"
    program.write_text('#!/bin/sh\ncase "$1" in spike) exit 1 ;; esac\n')
    assert checkout.run("demo").returncode == 1


def test_what_is_no_virtual_environment_is_left_alone(checkout: Checkout, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("")
    done = checkout.run("demo", LOADTOOL_VENV=str(precious))
    assert (done.returncode, done.stderr) == (
        3, f"demo: {precious} is in the way: it is not a virtual environment\n",
    )  # fmt: skip
    assert (precious / "file").exists()


@pytest.mark.parametrize(
    ("version", "works", "found"),
    [
        (None, "", " none"),
        ("Python 3.9.2", "exit 1", " Python 3.9.2"),
        (
            "Python 3.12.1",
            'case "$2" in *ensurepip*) exit 1 ;; esac; exit 0',
            " Python 3.12.1 without venv (on Debian and Ubuntu: apt-get install python3-venv)",
        ),
    ],
)
def test_without_a_python_to_use_it_says_what_is_missing(
    checkout: Checkout, tmp_path: Path, version: str | None, works: str, found: str
) -> None:
    path = tmp_path / "path"
    path.mkdir()
    for tool in ("bash", "env", "dirname", "cat", "tail"):
        (path / tool).symlink_to(shutil.which(tool) or "")
    if version is not None:
        python = path / "python3"
        python.write_text(f'#!/bin/bash\nif [ "$1" = --version ]; then echo {version}; exit; fi\n{works}\n')
        python.chmod(0o755)
    shutil.rmtree(checkout.venv)
    done = checkout.run("demo", PATH=str(path))
    assert done.returncode == 3
    assert done.stderr == (
        f"demo: needs Python 3.11 or newer with venv; found:{found}. "
        "PYTHON=/path/to/python3 names another one\n"
    )
    assert not checkout.venv.exists()


@pytest.mark.parametrize("script", ["ci/demo", "ci/test", "ci/truth", "ci/venv.sh", ".ci/run"])
def test_bash_can_read_the_scripts(script: str) -> None:
    assert subprocess.run(["bash", "-n", str(ROOT / script)], check=False).returncode == 0
