r"""How numbers and quantities look as text, for the JSON Schema: what their readers take, but for the range.

Regular expressions that mean the same in Python and in JavaScript, where \d and \w are ASCII alone.
"""

from __future__ import annotations

from typing import Any, Final

_DIGITS: Final = r"[0-9]+(_[0-9]+)*"
_NUMBER: Final = rf"{_DIGITS}(\.[0-9]+)?"
_REAL: Final = rf"\+?{_NUMBER}([eE][+-]?[0-9]+)?"
_NOT_ZERO: Final = r"(?=.*[1-9])"
# From large to small, each once.
_PARTS: Final = "".join(
    rf"({_NUMBER}\s*({unit})\s*)?" for unit in ("d", "h", "m|min", "s|sec", "ms", "us|µs|μs", "ns")
)
_SIZE: Final = rf"{_NUMBER}\s*(B|[kK]B|MB|GB|[KMG]iB)"
_PER: Final = r"(/\s*(s|sec|second|m|min|minute|h|hour)|rp[smh])"

NAME: Final = r"^[A-Za-z]([A-Za-z0-9_-]|[^\x00-\x7f])*$"
DURATION: Final = rf"^\s*((?=[0-9]){_PARTS}|0+(\.0+)?\s*)$"
POSITIVE_DURATION: Final = rf"^\s*(?=[0-9]){_NOT_ZERO}{_PARTS}$"
RATE: Final = rf"^\s*{_REAL}\s*[kM]?\s*{_PER}?\s*$"
POSITIVE_RATE: Final = RATE.replace("^", f"^{_NOT_ZERO}", 1)
SHARE: Final = rf"^\s*{_REAL}\s*%?\s*$"
POSITIVE_SHARE: Final = SHARE.replace("^", f"^{_NOT_ZERO}", 1)
SIZE: Final = rf"^\s*({_SIZE}|{_NUMBER})\s*$"
BYTE_RATE: Final = rf"^\s*{_SIZE}\s*/\s*s\s*$"
HTTP: Final = "[hH][tT][tT][pP]"
WHOLE: Final = r"^\+?[0-9](_?[0-9])*$"
NUMBER: Final = (
    r"^\s*\+?([0-9](_?[0-9])*\.?([0-9](_?[0-9])*)?|\.[0-9](_?[0-9])*)([eE][+-]?[0-9](_?[0-9])*)?\s*$"
)


def whole(least: int, most: int | None = None) -> dict[str, Any]:
    """The schema of a whole number; as text, too, though then for its range nobody looks."""
    bounds = {"minimum": least} | ({"maximum": most} if most is not None else {})
    return {"anyOf": [{"type": "integer", **bounds}, {"type": "string", "pattern": WHOLE}]}


def number(**bounds: float) -> dict[str, Any]:
    """The schema of a number; as text, too."""
    return {"anyOf": [{"type": "number", **bounds}, {"type": "string", "pattern": NUMBER}]}


def flag() -> dict[str, Any]:
    return {"anyOf": [{"type": "boolean"}, {"enum": ["true", "false"]}]}
