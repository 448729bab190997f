"""YAML text -> nodes, within limits, and what nodes themselves do not keep: tags as written, comments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.scanner import Scanner

MAX_VALUES: Final = 100_000  # after aliases are expanded: a few kilobytes of nested aliases can mean billions
MAX_DEPTH: Final = 50
_COMMENT: Final = re.compile(r"[\]},:\s]*\s#")  # behind a value, on its line
_BLOCKS: Final = ("|", ">")


class TooMuch(Exception):
    """More values or levels than a profile may have."""


class _Composer(Composer):
    """Stops at the limits while it reads: ruamel takes a minute for a few megabytes of small values."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self.warn_double_anchors = False
        self.tags: dict[int, str] = {}
        self._values = 0
        self._level = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.parser.peek_event()
        is_key = parent is not None and index is None
        self._values += not is_key
        self._level += 1
        if self._values > MAX_VALUES or self._level > MAX_DEPTH + 1:
            raise TooMuch
        node = super().compose_node(parent, index)
        self._level -= 1
        tag = getattr(event, "ctag", None)  # aliases have none
        if tag is not None:
            self.tags[id(node)] = str(tag)
        return node


class _Scanner(Scanner):
    """Takes a tab between values for a blank, as YAML 1.2 does; ruamel does so within [ ] and { } alone."""

    def scan_to_next_token(self) -> Any:
        reader = self.reader
        super().scan_to_next_token()
        while reader.peek() == "\t" and self._is_behind_a_value():
            while reader.peek() in " \t":
                reader.forward()
            super().scan_to_next_token()

    def _is_behind_a_value(self) -> bool:
        """Whether something else than indentation stands before this place, on its line."""
        at = self.reader.pointer
        return bool(self.reader.buffer[at - self.reader.column : at].strip(" \t-?"))


class Nodes:
    """The nodes of a text; `root` is None if there are none.

    Raises ruamel's errors, RecursionError and TooMuch.
    """

    def __init__(self, text: str) -> None:
        yaml = YAML(typ="safe", pure=True)
        yaml.Composer = _Composer
        yaml.Scanner = _Scanner
        self.root: Node | None = yaml.compose(text)
        self._text = text
        self._tags: dict[int, str] = yaml.composer.tags

    def tag(self, node: Node) -> str | None:
        """The tag that was written before a node; None where there was none."""
        return self._tags.get(id(node))

    def comment(self) -> int | None:
        """The line, from 1, of the first comment behind a value; None if there is none."""
        for node in _all(self.root):
            if not (isinstance(node, ScalarNode) and node.style in _BLOCKS):
                rest = self._text[node.end_mark.index :].partition("\n")[0]
                if _COMMENT.match(rest):
                    return int(node.end_mark.line) + 1
        return None


def _all(root: Node | None) -> Iterator[Node]:
    """Each node once, but collections in block style, whose end is no place of their own."""
    waiting, seen = [root] if root is not None else [], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, SequenceNode):
            waiting += reversed(node.value)
        elif isinstance(node, MappingNode):
            waiting += [child for pair in reversed(node.value) for child in reversed(pair)]
        if not isinstance(node, SequenceNode | MappingNode) or node.flow_style:
            yield node
