"""README and docs: profiles load, commands are commands, links lead somewhere, messages are the code's.

- A block of ```yaml is a profile, or a part of one: what it lacks of `target`, `requests` and `phases` comes
  from `COMPLETE` (only `target` with a `replay`), and the files that it may name lie beside it. It has to be
  planned without a complaint; in test_documented_commands.py it is run, too.
- A `loadtool` line in a block of ```console or ```sh is parsed with all of its options. Commands on a profile
  are planned, however long they would take; a profile that the repository has not got is `COMPLETE`. `init`,
  `import` and `schema` are run here, and all of them in test_documented_commands.py.
- A `loadtool …` in running text is parsed, too; there the profile may be missing.
- A message in **`bold code`** in troubleshooting.md occurs in the code, each … standing for a value.
"""

from __future__ import annotations

import ast
import importlib.util
import ipaddress
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import pytest
from documentation import (
    BLOCK,
    BLOCKS,
    DOCS,
    INLINE,
    LOADTOOL,
    OWN,
    PAGES,
    ROOT,
    YAML,
    Block,
    Line,
    completed,
    group,
    parsed,
    supply,
)

from loadtool import cli
from loadtool.judge import validity
from loadtool.judge.compare_profiles import FREE

PLANNED = {"spike": "plan", "capacity": "plan", "try": "plan", "plan": "plan"}
RUN = {"init", "import", "schema"}
# Options that `plan` has not got: they say how a run is made and what becomes of its result.
ONLY_PLAN = {"profile", "overrides", "seed", "scale", "target", "allow_host", "toxiproxy"}
RESERVED = ("example.com", "example.org", "example.net")  # RFC 2606: nobody's


def test_there_is_something_to_test() -> None:
    assert len(YAML) > 25
    assert len({x.words[1] for x in LOADTOOL}) > 8
    assert {x.block.page.name for x in LOADTOOL} >= {"README.md", "ci.md", "compare.md", "capacity.md"}


def test_every_block_says_what_it_is() -> None:
    assert {str(b) for b in BLOCKS if b.language not in ("yaml", "console", "sh", "json", "")} == set()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory to work in, with all the files that the pages take for granted."""
    supply(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


@pytest.mark.parametrize("block", YAML, ids=str)
def test_a_profile_loads(place: Path, capsys: pytest.CaptureFixture[str], block: Block) -> None:
    (place / "p.yaml").write_text(completed(block.text))
    code = cli.main(["plan", "-p", "p.yaml"])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    for name in re.findall(r"name: ([\w-]+)[,}]", block.text):
        assert name in out


def options(params: dict[str, Any]) -> Iterator[str]:
    """Of what was given, what `plan` takes, as words again."""
    flags = {"overrides": "--set", "allow_host": "--allow-host"}
    for key, value in params.items():
        if key in ONLY_PLAN - {"profile"} and value is not None:
            for one in value if isinstance(value, list | tuple) else (value,):
                yield from (flags.get(key, f"--{key}"), f"{one:g}" if isinstance(one, float) else str(one))


@pytest.mark.parametrize("line", LOADTOOL, ids=str)
def test_a_command_is_one(place: Path, capsys: pytest.CaptureFixture[str], line: Line) -> None:
    words = line.words[1:]
    if set(words) & {"--help", "-h", "--version"}:
        assert cli.main(list(words)) == 0
        return
    name, params = parsed(words)
    if name in RUN:
        code = cli.main(list(words))
    elif name in PLANNED:
        profile = ROOT / params["profile"]
        if not profile.exists():
            profile = place / params["profile"]
            profile.parent.mkdir(parents=True, exist_ok=True)
            profile.write_text(completed(""))
        code = cli.main(["plan", "--profile", str(profile), *options(params)])
    else:
        code = 0
    assert code == 0, capsys.readouterr().err


@pytest.mark.parametrize("line", INLINE, ids=str)
def test_a_command_in_the_text_is_one(line: Line) -> None:
    words = line.words[1:]
    if words[0].startswith("-"):
        assert words in (("--version",), ("--help",))
    elif len(words) == 1:
        assert words[0] in {*group().commands, "COMMAND"}
    elif words != ("COMMAND", "--help"):
        profile = words[0] in PLANNED and not {"-p", "--profile"} & set(words)
        parsed((*words, "-p", "checkout.yaml") if profile else words)


@pytest.mark.parametrize("script", OWN)
def test_a_script_is_there(script: str) -> None:
    assert (ROOT / script).stat().st_mode & 0o111


# Links and hosts


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFERENCE = script("profile_reference")


def anchors(page: Path) -> set[str]:
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    return {REFERENCE.anchor(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("https://", "http://")):
            assert page.name != "README.md", f"{target}: README leads nowhere outside"
            continue
        file, _, heading = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        assert found.exists(), target
        assert found.is_relative_to(ROOT), target
        assert not heading or heading in anchors(found), target


def test_the_index_has_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \[(.*?)\]\((.*?)\)", index, re.MULTILINE)
    assert sorted(file for _, file in listed) == sorted(p.name for p in DOCS if p.name != "README.md")
    assert all(name == file for name, file in listed)


def nobody_s(host: str) -> bool:
    """Whether it is nobody's: loopback, a private address, or a name reserved for documentation."""
    if host == "localhost" or host.endswith(tuple(f".{name}" for name in RESERVED)) or host in RESERVED:
        return True
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return False


@pytest.mark.parametrize("file", [*PAGES, *(ROOT / "ci" / "templates").iterdir()], ids=lambda file: file.name)
def test_commands_and_profiles_name_no_host_of_anybody(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    cited = "" if file.suffix != ".md" else r"\]\(https?://[^)]*\)"
    for url in re.findall(r"https?://[^\s`'\"<>)|,}…]+", re.sub(cited, "", text) if cited else text):
        host = urlsplit(re.sub(r"\$\{[^}]*", "", url)).hostname
        assert host is None or nobody_s(host), url


# Pages that are made from, or about, the code


def test_the_profile_reference_is_up_to_date() -> None:
    # If this fails:  ci/profile-reference
    assert (ROOT / "docs" / "profile.md").read_text(encoding="utf-8") == REFERENCE.page()


@cache
def texts_of_the_code() -> str:
    """Every text in the code, a line each, with … for what is filled in."""
    found = []
    for file in (ROOT / "loadtool").rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        inner = {id(v) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for v in n.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = (str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values)
                found.append("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
                found.append(node.value)
    return "\n".join(found)


TROUBLE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
MESSAGES = re.findall(r"\*\*`([^`]+)`\*\*", TROUBLE)


def test_there_are_messages() -> None:
    assert len(MESSAGES) > 20


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_one_of_the_code(message: str) -> None:
    assert message in texts_of_the_code()


def test_what_a_machine_may_run_out_of_is_told() -> None:
    told = dict(re.findall(r"`([\w ]+)` \(`(E[A-Z]+)`\)", TROUBLE))
    assert len(told) == 5
    for what, name in told.items():
        assert validity._LOCAL[name][0] == what


def test_the_readme_shows_the_accuracy_that_the_docs_explain() -> None:
    tables = []
    for page in (ROOT / "README.md", ROOT / "docs" / "accuracy.md"):
        (table,) = re.findall(r"(?m)(?:^\|.*\n)*^\| the run is \|.*\n", page.read_text())
        tables.append(table)
    assert tables[0] == tables[1]
    assert tables[0].count("\n") == 8


def test_every_key_that_runs_may_differ_in_is_told() -> None:
    text = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")
    told = text.partition("only judges may differ:")[2].partition("What counted as good may not.")[0]
    # What counts as good is compared as it was, wherever it came from.
    assert set(re.findall(r"`(\w+)`", told)) == FREE - {"good_within"}
