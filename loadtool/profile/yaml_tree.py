"""YAML text -> plain data with a line for every key and item.

Read with YAML 1.2's core schema: `yes` and `on` are text, `012` is twelve, dates and `1_000` are text.
Whatever text a number, flag or null was written as is kept beside it, for places where the source text is
what counts (a header of `01234`).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from loadtool.profile.traps import QUOTE, find_trap

Path = tuple[str | int, ...]
MAX_VALUES: Final = 100_000  # after aliases are expanded: a few kilobytes of nested aliases can mean billions
MAX_DEPTH: Final = 50

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_DIGITS: Final = 400
_WORDS: Final[dict[str, Any]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    ".inf": math.inf, ".Inf": math.inf, ".INF": math.inf, "+.inf": math.inf, "-.inf": -math.inf,
    ".nan": math.nan, ".NaN": math.nan, ".NAN": math.nan,
}  # fmt: skip
_STANDARD_TAG = "tag:yaml.org,2002:"
_TEXT_TAG = f"{_STANDARD_TAG}str"
_MERGE = "<<"


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong at a line of the text, before anybody knows what the text is for."""

    line: int | None
    path: Path
    message: str


@dataclass(slots=True)
class Tree:
    """Plain data (dict, list, str, int, float, bool, None) and where it stood. Lines count from 1."""

    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    sources: dict[Path, str] = field(default_factory=dict)  # of values that are not text
    flaws: list[Flaw] = field(default_factory=list)


class _TooMuch(Exception):
    pass


def read_tree(text: str) -> Tree:
    """The tree of a YAML text. What is wrong with it is in `flaws`; no exception is raised for it."""
    tree = Tree()
    try:
        yaml = YAML(typ="safe", pure=True)
        yaml.composer.warn_double_anchors = False
        root = yaml.compose(text)
        if root is None:
            tree.flaws.append(Flaw(None, (), "the file is empty"))
        else:
            _Builder(tree).build(root, ())
    except MarkedYAMLError as e:
        tree.flaws.append(_syntax_flaw(text, e))
    except ReaderError as e:
        line = text.count("\n", 0, e.position) + 1
        tree.flaws.append(
            Flaw(line, (), f"not YAML: the character U+{ord(text[e.position]):04X} is not allowed")
        )
    except YAMLError as e:
        tree.flaws.append(Flaw(None, (), f"not YAML: {_one_line(str(e))}"))
    except (RecursionError, _TooMuch):
        limits = f"{MAX_VALUES} values once aliases are expanded, or {MAX_DEPTH} levels"
        message = f"too much: more than {limits}"
        tree.flaws.append(Flaw(None, (), message))
    return tree


def read_scalar_or_tree(text: str) -> Tree:
    """The tree of a value given on the command line: as `read_tree`, but nothing is an empty text."""
    return Tree(data="") if not text.strip() else read_tree(text)


def core_value(source: str) -> Any:
    """What an unquoted scalar means in YAML 1.2's core schema."""
    if source in _WORDS:
        return _WORDS[source]
    if len(source) <= _MAX_DIGITS:
        if _INT.fullmatch(source):
            return int(source, 0) if source[:2] in ("0o", "0x") else int(source)
        if _FLOAT.fullmatch(source):
            return float(source)
    return source


class _Builder:
    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._count = 0

    def build(self, node: Node, path: Path) -> None:
        self._tree.lines[()] = 1
        self._tree.data = self._value(node, path)

    def _value(self, node: Node, path: Path) -> Any:
        self._count += 1
        if self._count > MAX_VALUES or len(path) > MAX_DEPTH:
            raise _TooMuch
        match node:
            case MappingNode():
                return self._mapping(node, path)
            case SequenceNode():
                items = []
                for i, child in enumerate(node.value):
                    at = (*path, i)
                    self._tree.lines[at] = child.start_mark.line + 1
                    items.append(self._value(child, at))
                return items
            case ScalarNode():
                return self._scalar(node, path)
        raise TypeError(f"a YAML node of a fourth kind: {node}")

    def _scalar(self, node: ScalarNode, path: Path) -> Any:
        tag, source = str(node.tag), self._text(node, path)
        if not tag.startswith(_STANDARD_TAG):
            hint = f"{QUOTE}: unquoted, {tag} is a YAML tag"
            self._tree.flaws.append(Flaw(node.start_mark.line + 1, path, hint))
            return source
        if node.style is not None or tag == _TEXT_TAG:
            return source
        value = core_value(source)
        if not isinstance(value, str):
            self._tree.sources[path] = source
        return value

    def _text(self, node: ScalarNode, path: Path) -> str:
        """The scalar's text; escaped surrogate pairs are put together, as JSON means them."""
        text = str(node.value)
        try:
            return (
                text.encode("utf-16", "surrogatepass").decode("utf-16") if _SURROGATE.search(text) else text
            )
        except UnicodeDecodeError:
            message = r"got half of a surrogate pair, want whole characters such as \U0001F600"
            self._tree.flaws.append(Flaw(node.start_mark.line + 1, path, message))
            return ""

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        data = {}
        for key, (key_node, child) in self._pairs(node, path).items():
            at = (*path, key)
            self._tree.lines[at] = key_node.start_mark.line + 1
            data[key] = self._value(child, at)
        return data

    def _pairs(self, node: MappingNode, path: Path) -> dict[str, tuple[Node, Node]]:
        """Keys and values, merged ones included; a mapping's own keys win over those, wherever they stand."""
        merged: dict[str, tuple[Node, Node]] = {}
        own: dict[str, tuple[Node, Node]] = {}
        for key_node, child in node.value:
            if not isinstance(key_node, ScalarNode):
                self._odd_key(key_node, path)
            elif key_node.value == _MERGE and key_node.style is None:
                for pairs in self._merges(child, path):
                    merged = {**pairs, **merged}  # of several merged mappings, the first wins
            elif (key := self._text(key_node, path)) in own:
                message = f"given twice, first on line {own[key][0].start_mark.line + 1}"
                self._tree.flaws.append(Flaw(key_node.start_mark.line + 1, (*path, key), message))
            else:
                own[key] = (key_node, child)
        return {**merged, **own}

    def _merges(self, child: Node, path: Path) -> list[dict[str, tuple[Node, Node]]]:
        self._count += 1
        if self._count > MAX_VALUES:
            raise _TooMuch
        found = []
        for source in child.value if isinstance(child, SequenceNode) else [child]:
            if isinstance(source, MappingNode):
                found.append(self._pairs(source, path))
            else:
                message = f"want a mapping to merge, such as {_MERGE}: *defaults"
                self._tree.flaws.append(Flaw(source.start_mark.line + 1, (*path, _MERGE), message))
        return found

    def _odd_key(self, key_node: Node, path: Path) -> None:
        line = key_node.start_mark.line + 1
        if isinstance(key_node, MappingNode):
            message = f"{QUOTE}: unquoted, {{{{ }}}} is a YAML mapping"
        else:
            message = "want text as a key"
        self._tree.flaws.append(Flaw(line, path, message))


# What the parser says -> what to do about it, and whether the place is where the construct began.
_ADVICE: Final[tuple[tuple[str, str, bool], ...]] = (
    (r"character '\\t'", "a tab cannot indent YAML: use spaces", False),
    (r"found another document", "a second document begins here: a profile is one", False),
    (r"found unexpected end of stream", "a quote is not closed", True),
    (r"expected ',' or '\}'", "a { is not closed, or a comma is missing", True),
    (r"expected ',' or '\]'", "a [ is not closed, or a comma is missing", True),
    (r"expected the node content", "a [ or { is not closed, or a value is missing", False),
    (r"undefined alias '(.+)'", r"no anchor &\1 above; if * is meant as text, " + QUOTE, False),
    (
        r"expected <block end>|mapping values|sequence entries",
        "this line does not fit the indentation around it",
        False,
    ),
    (r"could not find expected ':'", "want a key, a colon and a space", False),
)


def _syntax_flaw(text: str, e: MarkedYAMLError) -> Flaw:
    problem = _one_line(e.problem or e.context or "syntax error")
    mark = e.problem_mark or e.context_mark
    at = mark.line if mark is not None else 0
    since = e.context_mark.line if e.context_mark is not None else at
    lines = text.splitlines()
    for number in range(min(at, len(lines) - 1), max(since, at - 5) - 1, -1):
        if trap := find_trap(lines[number], colons="mapping values" in problem):
            key, hint = trap
            return Flaw(number + 1, (key,) if key else (), hint)
    for pattern, advice, at_start in _ADVICE:
        if match := re.search(pattern, problem):
            return Flaw((since if at_start else at) + 1, (), match.expand(advice))
    return Flaw(at + 1, (), f"not YAML: {problem}")


def _one_line(text: str) -> str:
    return " ".join(text.split())
