"""Texts: compiles the texts of one request, and says which field was wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtool.plan.context import Context
from loadtool.plan.template import Encoding, Leaves, Part, is_template

if TYPE_CHECKING:
    from loadtool.plan.sandbox import Compiler

Named = list[tuple[str, Part]]  # parts, each with the name of its field


class RenderError(ValueError):
    """A request could not be rendered: `field` of `request` says where, `reason` why."""

    def __init__(self, request: str, field: str, reason: str) -> None:
        self.request = request
        self.field = (
            field  # path, query.NAME, headers.NAME, json.KEY[0].KEY, form.NAME, raw or multipart.NAME
        )
        self.reason = reason
        super().__init__(f"request {request}: {field}: {reason}")


class Jinja:
    """The Jinja compiler of a mix, loaded when first asked for: it costs 50 ms that many mixes don't need."""

    def __init__(self, context: Context, *, fast: bool) -> None:
        self._context = context
        self._fast = fast
        self._compiler: Compiler | None = None

    @property
    def compiler(self) -> Compiler:
        if self._compiler is None:
            from loadtool.plan.sandbox import Compiler

            self._compiler = Compiler(self._context, fast=self._fast)
        return self._compiler


class Texts:
    """Compiles the texts of one request into `leaves`. Every method raises RenderError, naming the field."""

    def __init__(self, request: str, jinja: Jinja) -> None:
        self.request = request
        self.leaves = Leaves()
        self._jinja = jinja

    def parts(self, field: str, text: str, encoding: Encoding) -> Named:
        """The text, a template or not, as parts."""
        try:
            if not is_template(text):
                return [(field, encoding.literal(text))]
            return [(field, part) for part in self._jinja.compiler.parts(text, encoding)]
        except ValueError as e:
            raise RenderError(self.request, field, str(e)) from e

    def value(self, field: str, text: str, encoding: Encoding) -> Part | None:
        """A template that is a lone expression as its value, with its type; None for any other template."""
        try:
            return self._jinja.compiler.value(text, encoding)
        except ValueError as e:
            raise RenderError(self.request, field, str(e)) from e
