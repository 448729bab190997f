"""How large a value a template's operators may make: a mistake must not fill the memory."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

LARGEST_VALUE: Final = 64 * 1024 * 1024  # bytes, or characters, that one operator may make
_WIDTHS: Final = re.compile(r"\d+")


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, where an operator that would make too large a value raises OverflowError first."""

    # Naming them also keeps Jinja from working them out while it compiles.
    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        size = _SIZES[operator](left, right)
        if size > LARGEST_VALUE:
            raise OverflowError(
                f"`{operator}` in the template makes more than 64 MB; write something smaller"
            )
        return super().call_binop(context, operator, left, right)


def _repeated(left: Any, right: Any) -> float:
    for sequence, times in ((left, right), (right, left)):
        if isinstance(sequence, str | bytes | list | tuple) and isinstance(times, int):
            return len(sequence) * max(0, times)
    return _bytes(left) + _bytes(right)


def _raised(left: Any, right: Any) -> float:
    return _bytes(left) * right if isinstance(right, int) and right > 0 and _bytes(left) else 0


def _formatted(left: Any, right: Any) -> float:
    """The widest field that the format names; the values themselves are there already."""
    return max(map(int, _WIDTHS.findall(left)), default=0) if isinstance(left, str) else 0


def _bytes(number: Any) -> float:
    return abs(number).bit_length() / 8 if isinstance(number, int) and abs(number) > 1 else 0


_SIZES: Final[dict[str, Callable[[Any, Any], float]]] = {"*": _repeated, "**": _raised, "%": _formatted}
