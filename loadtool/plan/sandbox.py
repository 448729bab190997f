"""The only place that knows Jinja: templates of a profile, which are code of strangers, in a sandbox.

Simple templates never reach Jinja's renderer: literal parts around plain variables, columns and calls with
constant arguments become small functions (0.5 µs instead of 10). Both ways give the same text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, Undefined, meta, nodes, pass_context
from jinja2.runtime import Context as JinjaContext

from loadtool.plan.context import VARIABLES, Context
from loadtool.plan.current import arrival_digits, column, drawn_digits, encoded
from loadtool.plan.rows import Row
from loadtool.plan.splitmix import WIDEST
from loadtool.plan.template import Encoding, Part
from loadtool.profile.template_limits import BoundedEnvironment

# Jinja's own `lipsum` draws from a generator of its own: the same arrival would not be the same twice.
_DROPPED = ("lipsum",)
_MAPPING_METHODS = frozenset({"get", "items", "keys", "values"})


class _Environment(BoundedEnvironment):
    """Undefined names are errors; rows, and objects inside them, find their own keys before methods."""

    def __init__(self, context: Context | None, finalize: Callable[[object], str] | None) -> None:
        super().__init__(
            undefined=StrictUndefined, finalize=finalize, keep_trailing_newline=True, autoescape=False
        )
        for name in _DROPPED:
            self.globals.pop(name, None)
        if context is not None:
            self.globals.update(context.functions)

            @pass_context  # which also keeps Jinja from working it out once, at compile time
            def choose(_: JinjaContext, sequence: Any) -> Any:
                return context.choice(list(sequence))

            self.filters["random"] = choose

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping):
            if attribute in obj:
                return obj[attribute]
            if isinstance(obj, Row) and attribute not in _MAPPING_METHODS:
                return self._no_column(obj, attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Row) and isinstance(argument, str) and argument not in obj:
            return self._no_column(obj, argument)
        return super().getitem(obj, argument)

    def _no_column(self, row: Row, column: str) -> Undefined:
        return self.undefined(f"{row.feeder} has no column {column!r}; its columns are {', '.join(row)}")


def _parse(environment: _Environment, text: str) -> nodes.Template:
    try:
        return environment.parse(text)
    except (TemplateError, RecursionError, OverflowError) as e:
        raise ValueError(f"not a template: {e}") from e


def _compile(environment: _Environment, tree: nodes.Template) -> Template:
    try:
        return environment.from_string(tree)
    except (TemplateError, SyntaxError, RecursionError) as e:  # SyntaxError: Python's limit of nested blocks
        raise ValueError(f"not a template: {e}") from e


def undeclared(text: str) -> frozenset[str]:
    """The names that a template looks up outside itself. Raises ValueError if it is no template."""
    return frozenset(meta.find_undeclared_variables(_parse(_plain(), text)))


@cache
def _plain() -> _Environment:
    return _Environment(None, None)


class Compiler:
    """Compiles texts into parts that speak for the context's current arrival."""

    def __init__(self, context: Context, *, fast: bool = True) -> None:
        """`fast` False sends every template through Jinja."""
        self._context = context
        self._fast = fast
        self._environments: dict[Callable[[object], str], _Environment] = {}

    def parts(self, text: str, encoding: Encoding) -> list[Part]:
        """The template as parts. Raises ValueError if it is none, or for a literal with no place there."""
        environment = self._environment(encoding)
        tree = _parse(environment, text)
        return (self._fast and self._simple_parts(tree, encoding)) or [
            self._rendered(environment, tree, encoding)
        ]

    def value(self, text: str, encoding: Encoding) -> Part | None:
        """If the template is a lone expression: its value, with its type, encoded. Else None."""
        environment = self._environment(encoding)
        match _parse(environment, text).body:
            case [nodes.Output(nodes=[nodes.Expr() as expression])] if not isinstance(
                expression, nodes.TemplateData
            ):
                pass
            case _:
                return None
        encode = encoding.value
        if self._fast and (part := self._simple_part(expression, encode)) is not None:
            return part
        # As Environment.compile_expression does, which takes only a text.
        names = self._names(expression)
        assign = nodes.Assign(nodes.Name("result", "store"), expression, lineno=1)
        template = _compile(environment, nodes.Template([assign], lineno=1))

        def typed() -> str:
            context = template.new_context(self._variables(names))
            for _ in template.root_render_func(context):
                pass  # an assignment writes nothing
            value = context.vars["result"]
            if isinstance(value, Undefined):
                str(value)  # raises
            return encode(value)

        return typed

    def _environment(self, encoding: Encoding) -> _Environment:
        if encoding.finalize not in self._environments:
            self._environments[encoding.finalize] = _Environment(self._context, encoding.finalize)
        return self._environments[encoding.finalize]

    def _rendered(self, environment: _Environment, tree: nodes.Template, encoding: Encoding) -> Part:
        names = self._names(tree)
        template = _compile(environment, tree)
        encode = encoding.literal
        # What Template.render does, but for its rewriting of tracebacks: that is slow and leaves cycles,
        # which nobody collects in a worker.
        return lambda: encode(
            "".join(template.root_render_func(template.new_context(self._variables(names))))
        )

    def _names(self, tree: nodes.Node) -> tuple[str, ...]:
        """The variables and feeders that a template may look up, and no others: a look-up may fail."""
        found = {name.name for name in tree.find_all(nodes.Name)} | (
            {tree.name} if isinstance(tree, nodes.Name) else set()
        )
        return tuple(n for n in (*VARIABLES, *self._context.feeders) if n in found)

    def _variables(self, names: tuple[str, ...]) -> dict[str, object]:
        return {name: self._context.value(name) for name in names}

    def _simple_parts(self, tree: nodes.Template, encoding: Encoding) -> list[Part] | None:
        """The parts of a template that needs no Jinja to render; None for any other."""
        parts: list[Part] = []
        encode = encoding.value
        for output in tree.body:
            if not isinstance(output, nodes.Output):
                return None
            for node in output.nodes:
                if isinstance(node, nodes.TemplateData):
                    parts.append(encoding.literal(node.data))
                    continue
                part = self._simple_part(node, encode)
                if part is None:
                    return None
                parts.append(part)
        return parts

    def _simple_part(self, node: nodes.Node, encode: Callable[[object], str]) -> Part | None:
        """The part for an expression that needs no Jinja to render; None for any other."""
        get = self._simple(node)
        if get is None:
            return None
        context = self._context
        match node:
            case nodes.Name(name="arrival"):
                return arrival_digits(context.current)
            case nodes.Call(
                node=nodes.Name(name="randint"),
                args=[nodes.Const(value=int(low)), nodes.Const(value=int(high))],
            ) if type(low) is type(high) is int and 0 <= high - low < WIDEST:
                return drawn_digits(context.current, low, high)
            case _:
                return encoded(get, encode)

    def _simple(self, node: nodes.Node) -> Callable[[], object] | None:
        """The function for a constant, a variable, a column or a call with constant arguments; else None."""
        context = self._context
        match node:
            case nodes.Const(value=value):
                return lambda: value
            case nodes.Name(name=name) if name in VARIABLES and name not in context.feeders:
                look_up = VARIABLES[name]
                return lambda: look_up(context)
            case (
                nodes.Getattr(node=nodes.Name(name=feeder), attr=name)
                | nodes.Getitem(node=nodes.Name(name=feeder), arg=nodes.Const(value=name))
            ) if feeder in context.feeders and name in context.feeders[feeder].places:
                rows = context.feeders[feeder]
                return column(context.current, rows.values, rows.places[name])
            case nodes.Call(
                node=nodes.Name(name=name), kwargs=[], dyn_args=None, dyn_kwargs=None, args=args
            ) if name in context.functions and name not in context.feeders:
                try:
                    constants = [arg.as_const() for arg in args]
                except nodes.Impossible:
                    return None
                function = context.functions[name]
                return (lambda: function(*constants)) if constants else function
            case _:
                return None
