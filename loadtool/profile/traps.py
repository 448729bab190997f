"""Hints for the places where YAML reads an unquoted value as something else than its writer meant."""

from __future__ import annotations

import re
from typing import Final

QUOTE: Final = "put this value in quotes"

_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\'\'|[^\'])*\'')
_KEY_AND_VALUE = re.compile(
    r"\s*(?:-\s+)*"
    r"(?:\"\"\s*:\s*|(?P<key>[^\s:#{}\[\]\"'&*!|>%@`,-][^:#{}\[\],]*?)\s*:\s+)?"  # a quoted key is blanked
    r"(?P<value>.*)"
)
_COMMENT = re.compile(r"(?:^|\s)#.*")
_START = r"(?:^|[\[{,]\s*|:\s+|-\s+)"  # where a value may begin, on a line or inside [ ] and { }

# Looked for in the value once quoted parts are blanked; the first that is found is the hint.
_TRAPS: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern), hint)
    for pattern, hint in (
        (r"\{\{|\{%", "{{ }} is a YAML mapping"),
        (r"\$\{", "the brace of ${ } opens a YAML mapping inside { } and [ ]"),
        (rf"{_START}\*(?![A-Za-z0-9_-]+\s*(?:[,}}\]]|$))", "* refers to a YAML anchor"),
        (rf"{_START}%", "% begins a YAML directive"),
        (rf"{_START}[@`]", "@ and ` are reserved in YAML"),
        (rf"{_START}[|>][^\s+\-0-9]|^[|>][0-9]{{2}}", "| and > begin a YAML block"),
        (r"^[\[{].*[\]}]\s*[^\s,\]}]", "[ ] is a YAML list and { } a YAML mapping"),
        (r"^\"\"(?!\s*\"\"\s*:)\s*[^\s,\]}]", "text follows the closing quote"),
        (r"[^\s:,{}\[\]-]\t+[^\s#:,{}\[\]]", "a tab ends the text"),
    )
)
_COLON = re.compile(r"^[^\[{].*:\s")


def find_trap(line: str, *, colons: bool = False) -> tuple[str | None, str] | None:
    """The key and the hint for the first trap in a line of YAML that could not be read, or None.

    With `colons`, the parser stumbled over a mapping inside a value, so that a ": " in it is the trap.
    """
    match = _KEY_AND_VALUE.fullmatch(_COMMENT.sub("", _QUOTED.sub('""', line)))
    if match is None:
        return None
    value = match["value"].strip()
    for pattern, reason in _TRAPS:
        if pattern.search(value) and not (reason.startswith("the brace") and value[:1] not in "{["):
            return match["key"], f"{QUOTE}: unquoted, {reason}"
    if colons and _COLON.search(f"{value} "):
        return match["key"], f"{QUOTE}: unquoted, a colon and a space begin a YAML mapping"
    return None
