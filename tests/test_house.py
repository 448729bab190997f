"""The house of the design holds: who imports whom, who is pure, who prints, and how long a file gets."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "loadtool"

# An import points only to a room further up this list, or to its own. `commands` is cli.py's back room.
ROOMS = (
    "errors", "units", "profile", "plan", "measure", "processes", "engine", "chaos", "judge", "report",
    "target", "preparation", "signals", "drive", "cut_load", "run", "capacity", "commands", "cli",
)  # fmt: skip
RANK = {room: rank for rank, room in enumerate(ROOMS)}
PURE = ("plan", "judge", "measure")
IMPURE = ("trio", "httpx", "rich", "time")
# Packages whose name on the index is not the one that is imported.
DISTRIBUTIONS = {
    "hdrh": "hdrhistogram",
    "prometheus_client": "prometheus-client",
    "pydantic_core": "pydantic",
    "ruamel": "ruamel.yaml",
    "toxiproxy": "toxiproxy-python",
}
PRINTING = ("cli", "commands")
LONGEST = 400

# What reaches the terminal or ends the process. A program of its own (`__main__.py`, or what stands under
# `if __name__ == "__main__"` and the functions that only it calls) talks to whoever started it.
FORBIDDEN = (
    "print",
    "input",
    "exit",
    "quit",
    "sys.exit",
    "os._exit",
    "sys.stdout",
    "sys.stderr",
    "SystemExit",
)


def modules() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if "__pycache__" not in p.parts)


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that a module imports, wherever in it."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import hides which room is meant"
            assert node.module is not None
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_imports_point_up_the_list_of_rooms() -> None:
    wrong = []
    for path in modules():
        room = room_of(path)
        if room in ("__init__", "__main__"):  # the package's front door sees everything
            continue
        assert room in RANK, f"{room} is no room of the design"
        for line, name in imports(path):
            parts = [*name.split("."), ""]
            if parts[0] == "loadtool" and RANK.get(parts[1], 0) > RANK[room]:
                wrong.append(f"{name_of(path)}:{line}: {room} imports {name}")
    assert not wrong


def test_pure_rooms_have_no_clock_and_no_io() -> None:
    wrong = [
        f"{name_of(path)}:{line}: {name}"
        for path in modules()
        if room_of(path) in PURE
        for line, name in imports(path)
        if name.split(".")[0] in IMPURE
    ]
    assert not wrong


def test_pure_rooms_stay_pure_through_what_they_import() -> None:
    names = [
        ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for p in modules()
        if room_of(p) in PURE
    ]
    program = (
        f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\n"
        f"print([name for name in {[n for n in IMPURE if n != 'time']!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "[]"


def test_only_the_command_line_prints_or_exits() -> None:
    wrong = [
        f"{name_of(path)}:{line}: {what}"
        for path in modules()
        if room_of(path) not in (*PRINTING, "__main__") and path.name != "__main__.py"
        for line, what in terminal_uses(tree_of(path))
    ]
    assert not wrong


def terminal_uses(tree: ast.Module) -> Iterator[tuple[int, str]]:
    own_program = "main" if any(is_main_guard(node) for node in tree.body) else None
    for statement in tree.body:
        if is_main_guard(statement) or (
            isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and statement.name == own_program
        ):
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.Name | ast.Attribute) and (what := ast.unparse(node)) in FORBIDDEN:
                yield node.lineno, what


def is_main_guard(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("print(1)", ["print"]),
        ("import sys\ndef f():\n    sys.stdout.write('x')", ["sys.stdout"]),
        ("import os\ndef f():\n    os._exit(1)", ["os._exit"]),
        ("def f():\n    raise SystemExit(1)", ["SystemExit"]),
        ("def main():\n    print(1)\nif __name__ == '__main__':\n    main()", []),
        ("def main():\n    print(1)", ["print"]),
        ("def f(printer):\n    printer.print(1)", []),
    ],
)
def test_the_search_for_printing_finds_it(source: str, found: list[str]) -> None:
    assert [what for _, what in terminal_uses(ast.parse(source))] == found


def test_no_file_outgrows_its_reader() -> None:
    tests = [p for p in (ROOT / "tests").rglob("*.py") if "__pycache__" not in p.parts]
    lengths = {name_of(p): p.read_text(encoding="utf-8").count("\n") for p in [*modules(), *tests]}
    assert {name: n for name, n in lengths.items() if n > LONGEST} == {}, "a room wants a wall"


def test_every_module_says_what_it_is_for() -> None:
    assert [name_of(p) for p in modules() if not ast.get_docstring(tree_of(p))] == []


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[<>=~!\[ ]", text)[0] for text in project["dependencies"]}
    imported = {name.split(".")[0] for path in modules() for _, name in imports(path)}
    foreign = imported - sys.stdlib_module_names - {"loadtool"}
    assert {DISTRIBUTIONS.get(name, name) for name in foreign} == declared
