"""What is wrong with a text that is a template, by Jinja's own tree of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Final

from jinja2 import Environment, TemplateError, meta, nodes

from loadtool.profile.readers import did_you_mean
from loadtool.profile.template_limits import BoundedEnvironment
from loadtool.profile.template_names import FUNCTIONS, NAMES, VARIABLES

# Of a row, unless a column has that name.
_ROW_METHODS: Final = frozenset({"get", "items", "keys", "values"})


@cache
def _environment() -> Environment:
    environment = BoundedEnvironment(keep_trailing_newline=True)
    environment.globals.clear()  # Jinja would count its own names as declared
    return environment


def flaws_of(text: str, feeders: Mapping[str, Sequence[str] | None]) -> list[str]:
    """As `templates.flaws`, of a text with something of a template in it."""
    try:
        tree = _environment().parse(text)
        undeclared = meta.find_undeclared_variables(tree)
    except TemplateError as e:
        return [f"not a template: {' '.join(str(e.message).split())}"]
    except (RecursionError, ValueError, OverflowError):  # nested without end; a number of thousands of digits
        return ["not a template: too much for one"]
    return [
        *_unknown_names(undeclared, feeders),
        *_uncalled(tree, undeclared),
        *_other_files(tree),
        *_unknown_columns(tree, undeclared, feeders),
    ]


def _unknown_names(undeclared: set[str], feeders: Mapping[str, object]) -> list[str]:
    known = sorted({*FUNCTIONS, *VARIABLES, *feeders})
    return [
        f"the template uses {name}, which is not defined{did_you_mean(name, known)}"
        for name in sorted(undeclared - NAMES - set(feeders))
    ]


def _uncalled(tree: nodes.Template, undeclared: set[str]) -> list[str]:
    called = {id(call.node) for call in tree.find_all(nodes.Call)}
    names = {n.name for n in tree.find_all(nodes.Name) if n.ctx == "load" and id(n) not in called}
    return [f"{name} is a function: write {name}(…)" for name in sorted(names & FUNCTIONS & undeclared)]


def _other_files(tree: nodes.Template) -> list[str]:
    others: tuple[type[nodes.Node], ...] = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
    return ["a template of a profile cannot include others"] if any(tree.find_all(others)) else []


def _unknown_columns(
    tree: nodes.Template, undeclared: set[str], feeders: Mapping[str, Sequence[str] | None]
) -> list[str]:
    found = []
    for feeder, column, subscript in _looked_up(tree):
        columns = feeders.get(feeder) if feeder in undeclared else None
        if columns is None or column in columns or (column in _ROW_METHODS and not subscript):
            continue
        hint = did_you_mean(column, columns) or f"; its columns are {', '.join(columns)}"
        found.append(f"{feeder} has no column {column}{hint}")
    return list(dict.fromkeys(found))


def _looked_up(tree: nodes.Template) -> Iterator[tuple[str, str, bool]]:
    """Every `name.attribute` and `name["attribute"]`: name, attribute, whether by subscript."""
    for dotted in tree.find_all(nodes.Getattr):
        if isinstance(dotted.node, nodes.Name):
            yield dotted.node.name, dotted.attr, False
    for item in tree.find_all(nodes.Getitem):
        if isinstance(item.node, nodes.Name) and isinstance(item.arg, nodes.Const):
            yield item.node.name, str(item.arg.value), True
