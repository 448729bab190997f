"""Text that came from a profile, a target or the machine, made safe to show.

A target may answer with terminal escapes, bidirectional overrides or workflow commands. What reports show
of it is plain printable text: nothing in it moves a cursor, changes a colour, reorders a line or talks to CI.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_ESCAPES: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\x1b": "\\e"}
# Categories: control, format (bidirectional marks, zero width), surrogate, private, unassigned, line and
# paragraph separators.
_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_COMMAND: Final = re.compile(r"^((?:\s|\x1b\[[\d;]*m)*):(?=:)|##(?=\[)", re.MULTILINE)


def clean(value: object) -> str:
    """One printable line: what is not printable becomes an escape (`\\n`, `\\e`, `\\x07`, `\\u202e`)."""
    text = str(value)
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(c) if unicodedata.category(c) in _UNSAFE else c for c in text)


def _escape(char: str) -> str:
    code = ord(char)
    named = _ESCAPES.get(char)
    if named is not None:
        return named
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def clip(value: object, length: int) -> str:
    """`clean` text of at most `length` characters; what was cut shows as an ellipsis."""
    text = clean(value)
    return text if len(text) <= length else text[: max(length - 1, 0)] + "…"


def defuse(rendered: str) -> str:
    """A rendered report of which a CI runner takes no line for a workflow command (`::…`, `##[…`)."""
    return _COMMAND.sub(lambda m: f"{m[1]}∶" if m[1] is not None else "#♯", rendered)
