"""YAML text -> plain data with a line for every key and item.

Read with YAML 1.2's core schema: `yes` and `on` are text, `012` is twelve, dates and `1_000` are text.
Whatever text a number, flag or null was written as is kept beside it, for places where the source text is
what counts (a header of `01234`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from loadtool.errors import got
from loadtool.profile.traps import QUOTE, find_trap
from loadtool.profile.yaml_nodes import MAX_DEPTH, MAX_VALUES, Nodes, TooMuch

__all__ = [
    "MAX_DEPTH",
    "MAX_VALUES",
    "Flaw",
    "Path",
    "Tree",
    "core_value",
    "read_scalar_or_tree",
    "read_tree",
]

Path = tuple[str | int, ...]

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
_MERGE_TAG = f"{_STANDARD_TAG}merge"
_MERGE = "<<"


def _exactly(*types: type) -> Callable[[str], Any]:
    """A reader of what the core schema takes for one of these types; of others it raises ValueError."""

    def read(source: str) -> Any:
        value = core_value(source)
        if type(value) not in types:
            raise ValueError
        return value

    return read


def _float(source: str) -> float:
    return float(_exactly(int, float)(source))


# Tags that say what a scalar is, however it is written.
_TAGS: Final[dict[str, Callable[[str], Any]]] = {
    "!": str,
    _TEXT_TAG: str,
    f"{_STANDARD_TAG}int": _exactly(int),
    f"{_STANDARD_TAG}float": _float,
    f"{_STANDARD_TAG}bool": _exactly(bool),
    f"{_STANDARD_TAG}null": _exactly(type(None)),
}


def _shown(tag: str) -> str:
    """A tag as it is written."""
    return f"!!{tag.removeprefix(_STANDARD_TAG)}" if tag.startswith(_STANDARD_TAG) else tag


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


def read_tree(text: str) -> Tree:
    """The tree of a YAML text. What is wrong with it is in `flaws`; no exception is raised for it."""
    return _read(text, comments=True)


def read_scalar_or_tree(text: str) -> Tree:
    """The tree of a value given on the command line: as `read_tree`, but nothing is an empty text.

    Nor has it comments: a # belongs to a text without quotes, and is a flaw behind anything else.
    """
    return Tree(data="") if not text.strip() else _read(text, comments=False)


def _read(text: str, *, comments: bool) -> Tree:
    tree = Tree()
    try:
        nodes = Nodes(text)
        if not comments and nodes.root is None:
            return Tree(data=text.strip())
        if not comments and (line := nodes.comment()) is not None:
            if _is_plain(nodes.root) and line == 1:
                return Tree(data=text.strip())
            message = "what follows a blank and # is a YAML comment: put it in quotes, or leave it out"
            tree.flaws.append(Flaw(line, (), message))
        elif nodes.root is None:
            tree.flaws.append(Flaw(None, (), "the file is empty"))
        else:
            _Builder(tree, nodes).build(nodes.root, ())
    except MarkedYAMLError as e:
        tree.flaws.append(_syntax_flaw(text, e))
    except ReaderError as e:
        line = text.count("\n", 0, e.position) + 1
        tree.flaws.append(
            Flaw(line, (), f"not YAML: the character U+{ord(text[e.position]):04X} is not allowed")
        )
    except YAMLError as e:
        tree.flaws.append(Flaw(None, (), f"not YAML: {_one_line(str(e))}"))
    except (RecursionError, TooMuch):
        limits = f"{MAX_VALUES} values once aliases are expanded, or {MAX_DEPTH} levels"
        message = f"too much: more than {limits}"
        tree.flaws.append(Flaw(None, (), message))
    return tree


def _is_plain(node: Node | None) -> bool:
    return isinstance(node, ScalarNode) and node.style is None


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
    def __init__(self, tree: Tree, nodes: Nodes) -> None:
        self._tree = tree
        self._nodes = nodes
        self._count = 0

    def build(self, node: Node, path: Path) -> None:
        self._tree.lines[()] = 1
        self._tree.data = self._value(node, path)

    def _value(self, node: Node, path: Path) -> Any:
        self._count += 1
        if self._count > MAX_VALUES or len(path) > MAX_DEPTH:
            raise TooMuch
        match node:
            case MappingNode():
                self._check_tag(node, path, "map", "a mapping")
                return self._mapping(node, path)
            case SequenceNode():
                self._check_tag(node, path, "seq", "a list")
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
        source, tag = self._text(node, path), self._nodes.tag(node)
        if tag is None and node.style is not None:
            return source
        if tag is None:
            value = core_value(source)
        elif (kind := _TAGS.get(tag)) is None:
            self._flaw(node, path, f"{QUOTE}: unquoted, {_shown(tag)} is a YAML tag")
            return source
        else:
            try:
                value = kind(source)
            except ValueError:
                self._flaw(node, path, got(source, f"what the YAML tag {_shown(tag)} says, or no tag"))
                return source
        if not isinstance(value, str):
            self._tree.sources[path] = source
        return value

    def _check_tag(self, node: Node, path: Path, own: str, what: str) -> None:
        tag = self._nodes.tag(node)
        if tag is not None and tag not in ("!", f"{_STANDARD_TAG}{own}"):
            self._flaw(node, path, f"the YAML tag {_shown(tag)} means nothing here: leave it out of {what}")

    def _flaw(self, node: Node, path: Path, message: str) -> None:
        self._tree.flaws.append(Flaw(node.start_mark.line + 1, path, message))

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
            elif self._nodes.tag(key_node) not in (None, "!", _TEXT_TAG, _MERGE_TAG):
                self._flaw(key_node, path, f"want text as a key, without the tag {_shown(str(key_node.tag))}")
            elif key_node.value == _MERGE and key_node.style is None:
                for pairs in self._merges(child, path):
                    for key, pair in pairs.items():
                        merged.setdefault(key, pair)  # of several merged mappings, the first wins
            elif (key := self._text(key_node, path)) in own:
                message = f"given twice, first on line {own[key][0].start_mark.line + 1}"
                self._tree.flaws.append(Flaw(key_node.start_mark.line + 1, (*path, key), message))
            else:
                own[key] = (key_node, child)
        return {**merged, **own}

    def _merges(self, child: Node, path: Path) -> list[dict[str, tuple[Node, Node]]]:
        found = []
        for source in child.value if isinstance(child, SequenceNode) else [child]:
            self._count += 1 + len(source.value)
            if self._count > MAX_VALUES:
                raise TooMuch
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


_SPACED: Final = "want a key, a colon and a space"
_UNSPACED: Final = re.compile(r"\s*(?:-\s+)*[A-Za-z_][\w-]*:(?!//)\S")
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
    (r"could not find expected ':'", _SPACED, True),
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
    if "mapping values" in problem and 0 < at <= len(lines) and _UNSPACED.match(lines[at - 1]):
        return Flaw(at, (), _SPACED)  # it was read as text that goes on here
    for pattern, advice, at_start in _ADVICE:
        if match := re.search(pattern, problem):
            return Flaw((since if at_start else at) + 1, (), match.expand(advice))
    return Flaw(at + 1, (), f"not YAML: {problem}")


def _one_line(text: str) -> str:
    return " ".join(text.split())
