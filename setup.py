"""Compiles the hot modules with mypyc where a C compiler is found; without one the same files run as such.

    LOADTOOL_COMPILE=0   never compile
    LOADTOOL_COMPILE=1   insist: what stands in the way of the compiled build fails the installation

pip shows none of this unless asked to (`pip install -v`); `loadtool --version` tells which build it is.
An editable installation is always plain, as a compiled module would hide the file that is being edited.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from setuptools import Distribution, Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

# What every request passes through in a worker, and what renders the requests there.
HOT = (
    "loadtool/engine/aborting.py",
    "loadtool/engine/client_ledger.py",
    "loadtool/engine/connection.py",
    "loadtool/engine/dialler.py",
    "loadtool/engine/encoder.py",
    "loadtool/engine/epoll.py",
    "loadtool/engine/feed.py",
    "loadtool/engine/http1.py",
    "loadtool/engine/known_answers.py",
    "loadtool/engine/ledger.py",
    "loadtool/engine/opening.py",
    "loadtool/engine/pace.py",
    "loadtool/engine/parts.py",
    "loadtool/engine/pending.py",
    "loadtool/engine/poller.py",
    "loadtool/engine/pool.py",
    "loadtool/engine/reactor.py",
    "loadtool/engine/renderer.py",
    "loadtool/engine/retry.py",
    "loadtool/engine/slowest.py",
    "loadtool/engine/stamps.py",
    "loadtool/engine/tls_stream.py",
    "loadtool/engine/traffic.py",
    "loadtool/measure/frame.py",
    "loadtool/measure/recorder.py",
    "loadtool/plan/axis.py",
    "loadtool/plan/choice.py",
    "loadtool/plan/current.py",
    "loadtool/plan/expect.py",
    "loadtool/plan/message.py",
    "loadtool/plan/mix.py",
    "loadtool/plan/schedule.py",
    "loadtool/plan/shape.py",
    "loadtool/plan/splitmix.py",
    "loadtool/plan/template.py",
    "loadtool/plan/timeline.py",
    "loadtool/plan/trace.py",
)
# Beside them, in C: what mypyc cannot say.
OWN = "loadtool/engine/_nonblocking.c"
LINUX_ONLY = ("loadtool/engine/epoll.py",)
SWITCH = "LOADTOOL_COMPILE"
# The commands of a build that ends in a wheel; the others (metadata, editable, sdist) compile nothing.
BUILDING = frozenset(("bdist_wheel", "build", "build_ext", "install"))
# Like a check without the dependencies, which a build in isolation hasn't got; CI runs the strict one.
MYPY = ("--config-file=", "--ignore-missing-imports", "--follow-imports=silent")
# What is compiled is one library, called from within it alone: hidden from others, its functions are called
# straight, not by way of a table, and may be inlined.
HIDDEN = ["-fvisibility=hidden"]

FAILURES = (BaseError, CCompilerError, OSError)  # of a compiler, as setuptools has them


class CannotCompileError(Exception):
    """Why there is no compiled build, in words."""


def wish(environment: Mapping[str, str], commands: Sequence[str]) -> str:
    """What is asked for: never, if possible or insist."""
    switch = environment.get(SWITCH, "")
    if switch not in ("", "0", "1"):
        raise SystemExit(f"{SWITCH}: got {switch}, want 0 (never), 1 (insist) or nothing")
    editable = "editable_wheel" in commands or "develop" in commands
    if switch == "1" and editable:
        raise SystemExit(f"{SWITCH}=1: an editable installation is always plain; install without --editable")
    if switch == "0" or editable or BUILDING.isdisjoint(commands):
        return "never"
    return "insist" if switch == "1" else "if possible"


def check_compiler(scratch: Path) -> None:
    """Compile a line that needs Python's headers. Raises CannotCompileError."""
    source = scratch / "probe.c"
    source.write_text("#include <Python.h>\nint probe(void) { return PY_MAJOR_VERSION; }\n")
    probe = Distribution({"ext_modules": [Extension("loadtool_probe", [str(source)])]})
    command = probe.get_command_obj("build_ext")
    command.build_temp = command.build_lib = str(scratch / "probe")
    command.ensure_finalized()
    try:
        command.run()
    except FAILURES as e:
        raise CannotCompileError(f"no C compiler that finds Python's headers ({e})") from e


def extensions(scratch: Path) -> list[Extension]:
    """The hot modules as C. Raises CannotCompileError."""
    try:
        from mypyc.build import mypycify
    except ImportError as e:
        raise CannotCompileError(f"mypyc is not installed ({e})") from e
    files = [file for file in HOT if sys.platform == "linux" or file not in LINUX_ONLY]
    try:
        compiled = mypycify(
            [*MYPY, f"--cache-dir={scratch / 'mypy'}", *files],
            opt_level="3",
            debug_level="0",
            target_dir=str(scratch / "c"),
            group_name="loadtool",
        )
        for extension in compiled:
            extension.extra_compile_args += HIDDEN
        return [*compiled, Extension("loadtool.engine._nonblocking", [OWN], extra_compile_args=["-O3"])]
    except SystemExit as e:  # mypycify's way to say that a type is wrong; mypy has printed which
        raise CannotCompileError(f"mypyc refuses the sources (exit {e.code})") from e


class BuildHot(build_ext):
    """Leaves nothing behind when it fails: half a set of compiled modules would not be imported."""

    def run(self) -> None:
        try:
            super().run()
        except FAILURES as e:
            if asked == "insist":
                raise
            for extension in self.extensions:
                Path(self.get_ext_fullpath(extension.name)).unlink(missing_ok=True)
            self.extensions = self.distribution.ext_modules = []
            say(f"plain Python build: compiling failed ({e})")


def say(text: str) -> None:
    sys.stderr.write(f"loadtool: {text}\n")


def prepared(scratch: Path) -> list[Extension]:
    """What to compile: nothing, if it is not wanted or not possible."""
    if asked == "never":
        return []
    for stale in (*Path().glob("loadtool/**/*.so"), *Path().glob("loadtool__mypyc*.so")):
        stale.unlink()  # of a build in place: it would be imported instead of the sources
    try:
        check_compiler(scratch)
        modules = extensions(scratch)
    except CannotCompileError as e:
        if asked == "insist":
            raise SystemExit(f"{SWITCH}=1, but {e}") from e
        say(f"plain Python build: {e}")
        return []
    say(f"compiled build: {len(HOT)} modules")
    return modules


if __name__ == "__main__":
    asked = wish(os.environ, sys.argv[1:])
    # A place of its own: what an earlier build left in build/ would get into the wheel. Relative, as
    # setuptools wants sources to be.
    Path("build").mkdir(exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir="build"))
    scratch = scratch.relative_to(Path.cwd()) if scratch.is_absolute() else scratch
    try:
        setup(
            ext_modules=prepared(scratch),
            cmdclass={"build_ext": BuildHot},
            options={"build": {"build_base": str(scratch / "build")}},
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if not any(Path("build").iterdir()):
            Path("build").rmdir()
