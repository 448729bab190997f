"""How large a value a template's operators may make: a mistake must not fill the memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Final

from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

LARGEST_VALUE: Final = 64 * 1024 * 1024  # bytes, or characters, that one operator may make
# Filters and methods that make as much as a number among their arguments says.
_WIDE: Final = frozenset(
    ("batch", "center", "expandtabs", "format", "indent", "ljust", "rjust", "slice", "to_bytes", "tojson",
     "zfill")
)  # fmt: skip
_WIDTHS: Final = re.compile(r"\d+")
_FIELDS: Final = re.compile(r"%(?:%|(?:\([^)]*\))?[-+ #0]*([\d.*]*))")
_SPECS: Final = re.compile(r"\{[^{}:]*:((?:[^{}]|\{[^{}]*\})*)\}")


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, where an operator that would make too large a value raises OverflowError first."""

    # Naming them also keeps Jinja from working them out while it compiles.
    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for name in _WIDE & self.filters.keys():
            self.filters[name] = _bounded(name, self.filters[name])

    def call(self, context: Context, called: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a method, such as `center` of a text, or a function."""
        name = getattr(called, "__name__", "a function")
        of = getattr(getattr(called, "__wrapped__", called), "__self__", None)  # the sandbox wraps `format`
        _refuse_wide(name, of, _braced, (*args, *kwargs.values()))
        return super().call(context, called, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        size = _SIZES[operator](left, right)
        if size > LARGEST_VALUE:
            raise OverflowError(
                f"`{operator}` in the template makes more than 64 MB; write something smaller"
            )
        return super().call_binop(context, operator, left, right)


def _bounded(name: str, made: Callable[..., Any]) -> Callable[..., Any]:
    first = 1 if hasattr(made, "jinja_pass_arg") else 0  # where the filtered value stands

    @wraps(made)  # which keeps what Jinja has marked it with, to hand it its context
    def bounded(*args: Any, **kwargs: Any) -> Any:
        value, *others = args[first:] or (None,)
        _refuse_wide(name, value, _formatted, (*others, *kwargs.values()))
        return made(*args, **kwargs)

    return bounded


def _refuse_wide(
    name: str, of: Any, width_of: Callable[[Any, Sequence[Any]], float], values: Sequence[Any]
) -> None:
    """Raise OverflowError for a width, or a number of items, that is too large.

    `of`: the value that is filtered, or whose method it is; `width_of`: finds the widths in a format.
    """
    if name not in _WIDE:
        return
    width = width_of(of, values) if name == "format" else max(_whole(values), default=0)
    if width > LARGEST_VALUE:
        raise OverflowError(f"`{name}` in the template makes more than 64 MB; write something smaller")


def _whole(values: Sequence[Any]) -> list[int]:
    return [value for value in values if isinstance(value, int)]


def _braced(text: Any, values: Sequence[Any]) -> float:
    """The widest field of a text for `str.format`; one in braces of its own is among the values."""
    specs = _SPECS.findall(text) if isinstance(text, str) else []
    named = _whole(values) if any("{" in spec for spec in specs) else []
    return max([*(int(width) for spec in specs for width in _WIDTHS.findall(spec)), *named], default=0)


def _repeated(left: Any, right: Any) -> float:
    for sequence, times in ((left, right), (right, left)):
        if isinstance(sequence, str | bytes | list | tuple) and isinstance(times, int):
            return len(sequence) * max(0, times)
    return _bytes(left) + _bytes(right)


def _raised(left: Any, right: Any) -> float:
    return _bytes(left) * right if isinstance(right, int) and right > 0 and _bytes(left) else 0


def _formatted(left: Any, right: Any) -> float:
    """The widest field of a text for `%`; one written as `*` is among the values, which are there already."""
    if not isinstance(left, str):
        return 0
    fields = " ".join(_FIELDS.findall(left))
    starred = _whole(right) if "*" in fields and isinstance(right, tuple) else []
    return max([*map(int, _WIDTHS.findall(fields)), *starred], default=0)


def _bytes(number: Any) -> float:
    return abs(number).bit_length() / 8 if isinstance(number, int) and abs(number) > 1 else 0


_SIZES: Final[dict[str, Callable[[Any, Any], float]]] = {"*": _repeated, "**": _raised, "%": _formatted}
