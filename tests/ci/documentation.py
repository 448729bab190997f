"""The blocks and commands of README and docs, for tests to hold against the code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import typer

from loadtool import cli

ROOT = Path(__file__).resolve().parents[2]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", *DOCS]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# What a part of a profile may lack.
COMPLETE = {
    "target": "target: http://127.0.0.1:8080\n",
    "requests": "requests: [{get: /}, {name: browse, get: /products/1}, {name: checkout, post: /checkout}]\n",
    "phases": """\
phases:
  - {name: baseline, rate: 50/s, for: 30s}
  - {name: spike, rate: 500/s, for: 30s}
  - {name: recovery, rate: 50/s, for: 60s}
""",
}


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


@dataclass(frozen=True)
class Line:
    block: Block
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.block} {' '.join(self.words)}"


def blocks() -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            yield Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2])


def lines() -> Iterator[Line]:
    """Each simple command of the shell blocks: what stands between `;`, `|`, `&&` and the like."""
    for block in (b for b in BLOCKS if b.language in ("console", "sh")):
        text = block.text.replace("\\\n", " ")
        for line in text.splitlines():
            if block.language == "console":
                if not line.startswith("$ "):
                    continue  # what the command prints
                line = line[2:]
            lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
            lexer.wordchars += "$:@%+,[]{}^"
            words: list[str] = []
            for word in [*lexer, ";"]:
                if set(word) <= set("();<>|&"):
                    if words:
                        yield Line(block, tuple(words))
                    words = ["(file)"] if set(word) <= set("<>") else []
                else:
                    words.append(word)


def inline() -> Iterator[Line]:
    for page in PAGES:
        text = BLOCK.sub(lambda m: "\n" * m[0].count("\n"), page.read_text(encoding="utf-8"))
        for match in re.finditer(r"(?<!`)`(loadtool [^`…]+)`", text):
            block = Block(page, text.count("\n", 0, match.start()) + 1, "", "")
            yield Line(block, tuple(shlex.split(match[1])))


BLOCKS = list(blocks())
YAML = [b for b in BLOCKS if b.language == "yaml"]
LINES = list(lines())
LOADTOOL = [x for x in LINES if x.words[0].rpartition("/")[2] == "loadtool"]
OWN = sorted({w for x in LINES for w in x.words[:1] if re.match(r"\.?/?\.?ci/", w)})
INLINE = list(inline())


def completed(text: str) -> str:
    """The whole profile of a part of one."""
    keys = set(re.findall(r"^(\w+):", text, re.MULTILINE))
    lacks = ["target"] if "replay" in keys else COMPLETE
    return "".join(COMPLETE[key] for key in lacks if key not in keys) + text


def supply(place: Path) -> None:
    """Put the files there that profiles of the pages name."""
    clf = 'h - - [21/Nov/2026:12:{:02}:{:02} +0000] "{} HTTP/1.1" 200 1 "-" "-"\n'
    calls = [(s, "POST /checkout" if s % 9 == 0 else f"GET /products/{s}") for s in range(120)]
    files = {
        "access.log": "".join(clf.format(s // 60, s % 60, call) for s, call in calls),
        "app.jsonl": '{"when": 1795262400.5, "uri": "/a"}\n{"when": "2026-11-21T12:00:10Z", "uri": "/b"}',
        "app.csv": "time,path\n5.5,/a\n15,/b\n",
        "carts.csv": "cart\nc1\nc2\n",
    }
    for name, text in files.items():
        (place / name).write_text(text)


@cache
def group() -> Any:
    return typer.main.get_command(cli.app)


def parsed(words: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """The command and its parameters. Raises if there is no such command or option."""
    command, rest = group(), list(words)
    name = ""
    while hasattr(command, "commands"):
        name = rest.pop(0)
        assert name in command.commands, f"no such command: {name}"
        command = command.commands[name]
    return name, command.make_context(name, rest).params
