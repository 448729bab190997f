"""yaml_tree and traps: what YAML means, where it stood, and hints where it means something else."""

from __future__ import annotations

import math

import pytest

from loadtool.profile import yaml_nodes, yaml_tree
from loadtool.profile.yaml_tree import MAX_VALUES, core_value, read_scalar_or_tree, read_tree

HINT = "put this value in quotes: unquoted, "
BRACES = f"{HINT}{{{{ }}}} is a YAML mapping"
STAR = f"{HINT}* refers to a YAML anchor"
COLON = f"{HINT}a colon and a space begin a YAML mapping"

TRAPS = [
    # A line that cannot be read as meant, the key that it is about, and what is said of it.
    ("get: {{ row.path }}", "get", BRACES),
    ("get: {{ randint(1, 5) }}", "get", BRACES),
    ("get: {{ row.path }}/x", "get", BRACES),
    ("id: {{ a }}{{ b }}", "id", BRACES),
    ("r: {get: /p/{{ randint(1, 5) }}, weight: 2}", "r", BRACES),
    ("Accept: */*", "Accept", STAR),
    ("h: {Accept: */*}", "h", STAR),
    ("h: [a, */*]", "h", STAR),
    ("raw: %d items", "raw", f"{HINT}% begins a YAML directive"),
    ("h: {raw: %d}", "h", f"{HINT}% begins a YAML directive"),
    ("contains: status: ok", "contains", COLON),
    ("Authorization: Bearer: x", "Authorization", COLON),
    ("name: @home", "name", f"{HINT}@ and ` are reserved in YAML"),
    ("name: `home`", "name", f"{HINT}@ and ` are reserved in YAML"),
    ("matches: [a-z]+", "matches", f"{HINT}[ ] is a YAML list and {{ }} a YAML mapping"),
    ('contains: "a" b', "contains", f"{HINT}text follows the closing quote"),
    ("matches: >50 items", "matches", f"{HINT}| and > begin a YAML block"),
    ("raw: !important", "raw", f"{HINT}!important is a YAML tag"),
    (
        "h: {Authorization: Bearer ${TOKEN}}",
        "h",
        f"{HINT}the brace of ${{ }} opens a YAML mapping inside {{ }} and [ ]",
    ),
    ("raw: *shared", "", "no anchor &shared above; if * is meant as text, put this value in quotes"),
]


@pytest.mark.parametrize(("line", "key", "hint"), TRAPS)
@pytest.mark.parametrize("before", ["", "a: 1\n# a comment\n", "a: {b: 1}\n"])
@pytest.mark.parametrize("after", ["", "\nz: 1\n", "\nz: {y: [1]}\n"])
def test_traps_of_yaml(before: str, line: str, after: str, key: str, hint: str) -> None:
    tree = read_tree(before + line + after)
    number = before.count("\n") + 1
    assert [(f.line, f.path[-1] if f.path else "", f.message) for f in tree.flaws] == [(number, key, hint)]


@pytest.mark.parametrize(
    "line",
    [
        'get: "{{ row.path }}"',
        "get: /products/{{ row.id }}",  # a plain scalar may have braces within
        'Accept: "*/*"',
        "Accept: text/html, */*",
        "error: 10%",
        "raw: 'a: b'",
        "time: 12:30",
        "raw: |\n  {{ a }}: */* %\n",
        "url: ${TARGET:-http://127.0.0.1:8080}",
    ],
)
def test_what_is_no_trap(line: str) -> None:
    assert read_tree(line).flaws == []


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a:\n\tb: 1", 2, "a tab cannot indent YAML: use spaces"),
        ("-\ta: 1", 1, "a tab cannot indent YAML: use spaces"),
        ("a: x\ty", 1, f"{HINT}a tab ends the text"),
        ("a: 1\nname:x\nb: 2", 2, "want a key, a colon and a space"),
        ("a:\n  - b: 1\n    rate:5/s\n    c: 2", 3, "want a key, a colon and a space"),
        ("a:x\nb: 2", 1, "want a key, a colon and a space"),
        ("a:\n  - get:/\n    b: 2", 2, "want a key, a colon and a space"),
        ("a:\n  - http://x\n    b: 2", 3, "this line does not fit the indentation around it"),
        ("a: x:y\n  b: 2", 2, "this line does not fit the indentation around it"),
        ("a: 1\n---\nb: 2", 2, "a second document begins here: a profile is one"),
        ("a: 1\nb: 'it\nc: 2", 2, "a quote is not closed"),
        ("a: 1\nb: {c: 1\n", 2, "a { is not closed, or a comma is missing"),
        ("a: 1\nb: [c, 1\n", 2, "a [ is not closed, or a comma is missing"),
        ('{\n  "a": 1\n  "b": 2\n}\n', 1, "a { is not closed, or a comma is missing"),
        ('{\n  "a":"x"\n  "b":"y"\n}\n', 1, "a { is not closed, or a comma is missing"),
        ('{\n  "a": "x" "b": "y"\n}\n', 1, "a { is not closed, or a comma is missing"),
        ('{\n  "a": {"b": 1,\n  "c": 2\n', 2, "a { is not closed, or a comma is missing"),
        ('{\n  "a": [\n    {"b": 1}\n    {"c": 2}\n  ]\n}\n', 2, "a [ is not closed, or a comma is missing"),
        ('"a": "b" c', 1, f"{HINT}text follows the closing quote"),
        ("- x\nb: 1", 2, "this line does not fit the indentation around it"),
        ("a:\n  b: 1\n   c: 2", 3, "this line does not fit the indentation around it"),
        ("a: 1\n\x00", 2, "not YAML: the character U+0000 is not allowed"),
        ("", None, "the file is empty"),
        ("# nothing\n", None, "the file is empty"),
        ("a: 1\nb: 2\na: 3", 3, "given twice, first on line 1"),
        ("x: {a: 1, a: 2}", 1, "given twice, first on line 1"),
        ("? [1, 2]\n: 3", 1, "want text as a key"),
        ("a: 1\n<<: 5", 2, "want a mapping to merge, such as <<: *defaults"),
        ('a: "\\ud800"', 1, r"got half of a surrogate pair, want whole characters such as \U0001F600"),
    ],
)
def test_what_is_not_yaml(text: str, line: int | None, message: str) -> None:
    assert [(f.line, f.message) for f in read_tree(text).flaws] == [(line, message)]


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]",
        "a: &a {<<: *a}",
        "[" * 1200,
        "{a: " * 1200,
        "\n".join(["a0: &a0 [x, x]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40))]),
    ],
    ids=["cycle", "merge cycle", "lists", "mappings", "laughs"],
)
def test_what_would_never_end_does(text: str) -> None:
    (flaw,) = read_tree(text).flaws
    assert flaw.message == f"too much: more than {MAX_VALUES} values once aliases are expanded, or 50 levels"


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("12", 12), ("012", 12), ("-3", -3), ("0o17", 15), ("0x1F", 31), ("1.5", 1.5), ("1e3", 1e3),
        (".5", 0.5),
        ("true", True), ("False", False), ("", None), ("~", None), ("null", None), (".inf", math.inf),
        ("yes", "yes"), ("on", "on"), ("1_000", "1_000"), ("2024-01-01", "2024-01-01"), ("12:30", "12:30"),
        ("0b1", "0b1"), ("1.2.3", "1.2.3"), ("50/s", "50/s"), ("9" * 500, "9" * 500),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(source: str, value: object) -> None:
    assert core_value(source) == value
    assert type(core_value(source)) is type(value)
    if source:
        assert read_tree(f"a: {source}").data == {"a": value}


def test_quoted_scalars_are_text() -> None:
    tree = read_tree("a: '12'\nb: \"true\"\nc: !!str 5\nd: |\n  7\n")
    assert tree.data == {"a": "12", "b": "true", "c": "5", "d": "7\n"}
    assert tree.sources == {}


def test_every_value_has_its_line_and_source() -> None:
    tree = read_tree("a: 01\nb:\n  - x\n  - {c: ~,\n     d: 1e3}\n")
    assert tree.data == {"a": 1, "b": ["x", {"c": None, "d": 1000.0}]}
    assert tree.lines == {
        (): 1,
        ("a",): 1,
        ("b",): 2,
        ("b", 0): 3,
        ("b", 1): 4,
        ("b", 1, "c"): 4,
        ("b", 1, "d"): 5,
    }
    assert tree.sources == {("a",): "01", ("b", 1, "c"): "~", ("b", 1, "d"): "1e3"}


def test_anchors_aliases_and_merges() -> None:
    text = "x: &x {a: 1, b: {c: 2}}\ny: &y {a: 5, d: 6}\nz:\n  b: 3\n  <<: [*x, *y]\nw: *y\n"
    tree = read_tree(text)
    assert tree.flaws == []
    assert tree.data["z"] == {"a": 1, "b": 3, "d": 6}, "own keys win, then the first merged one"
    assert tree.data["w"] == {"a": 5, "d": 6}
    assert tree.lines["z", "b"] == 4
    assert tree.lines["z", "a"] == 1
    assert ("z", "b", "c") not in tree.lines


def test_escaped_pairs_are_one_character() -> None:
    assert read_tree('a: "\\ud83d\\ude00"').data == {"a": "😀"}


def test_it_stops_at_the_limit_and_not_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_nodes, "MAX_VALUES", 100)
    (flaw,) = read_tree("- 1\n" * 100 + "]").flaws
    assert flaw.message.startswith("too much: ")
    (flaw,) = read_tree("- 1\n" * 99 + "]").flaws
    assert not flaw.message.startswith("too much: ")
    assert read_tree("".join(f"k{i}: 1\n" for i in range(99))).flaws == []


def test_merged_keys_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_tree, "MAX_VALUES", 1000)
    text = f"a: &a {{{', '.join(f'k{i}: 1' for i in range(100))}}}\n"
    assert read_tree(f"{text}b: {{<<: [*a, *a, *a]}}").flaws == []
    (flaw,) = read_tree(f"{text}b: {{<<: [{', '.join(['*a'] * 10)}]}}").flaws
    assert flaw.message.startswith("too much: ")


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("!!str 5", "5"),
        ("!!str true", "true"),
        ("! 5", "5"),
        ('!!int "5"', 5),
        ("!!int 0x1F", 31),
        ("!!float 5", 5.0),
        ("!!float '.5'", 0.5),
        ('!!bool "true"', True),
        ('!!null ""', None),
        ("!!seq [1]", [1]),
        ("!!map {b: 1}", {"b": 1}),
        ("!<tag:yaml.org,2002:str> 5", "5"),
    ],
)
def test_tags_are_honoured(source: str, value: object) -> None:
    tree = read_tree(f"a: {source}\n")
    assert (tree.flaws, tree.data) == ([], {"a": value})
    assert type(tree.data["a"]) is type(value)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a:\tdemo\nb: x\n", {"a": "demo", "b": "x"}),
        ("a: 1\t# c\nb: 2\n", {"a": 1, "b": 2}),
        ('a: b\t\nc:\t\n  d: \t"x"\t# y\n', {"a": "b", "c": {"d": "x"}}),
        ("a\t: [1,\t2]\t\n", {"a": [1, 2]}),
        ("a:\n  - b:\t1\n    c: 2\n", {"a": [{"b": 1, "c": 2}]}),
        ("a: &x\t1\nb: *x\t\n", {"a": 1, "b": 1}),
        ('a: "x\ty"\n', {"a": "x\ty"}),
    ],
)
def test_a_tab_between_values_is_a_blank(text: str, data: object) -> None:
    tree = read_tree(text)
    assert (tree.flaws, tree.data) == ([], data)


@pytest.mark.parametrize(
    ("line", "path", "message"),
    [
        ("a: !foo 5", ("a",), "put this value in quotes: unquoted, !foo is a YAML tag"),
        ("a: !!binary aGk=", ("a",), "put this value in quotes: unquoted, !!binary is a YAML tag"),
        ("a: !!set x", ("a",), "put this value in quotes: unquoted, !!set is a YAML tag"),
        ("a: !!int x", ("a",), "got x, want what the YAML tag !!int says, or no tag"),
        ("a: !!int 1.5", ("a",), "got 1.5, want what the YAML tag !!int says, or no tag"),
        ("a: !!bool 1", ("a",), "got 1, want what the YAML tag !!bool says, or no tag"),
        ("a: !foo [1]", ("a",), "the YAML tag !foo means nothing here: leave it out of a list"),
        ("a: !!set {b: 1}", ("a",), "the YAML tag !!set means nothing here: leave it out of a mapping"),
        ("a: [!!seq {b: 1}]", ("a", 0), "the YAML tag !!seq means nothing here: leave it out of a mapping"),
        ("!!int 5: 1", (), "want text as a key, without the tag !!int"),
    ],
)  # fmt: skip
def test_tags_that_say_nothing_here(line: str, path: tuple[str | int, ...], message: str) -> None:
    assert [(f.line, f.path, f.message) for f in read_tree(f"z: 1\n{line}\n").flaws] == [(2, path, message)]


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a #b", "a #b"),
        (" a  # b ", "a  # b"),
        ("5 #", "5 #"),
        ("#5", "#5"),
        ("a#b", "a#b"),
        ("'a #b'", "a #b"),
        ('{a: "b #c"}', {"a": "b #c"}),
        ("|\n  a #b\n", "a #b\n"),
        ("[a#b, 'c # d']", ["a#b", "c # d"]),
        ("# whole line\na: 1", {"a": 1}),
    ],
)
def test_a_value_of_the_command_line_has_no_comments(text: str, data: object) -> None:
    tree = read_scalar_or_tree(text)
    assert (tree.flaws, tree.data) == ([], data)


@pytest.mark.parametrize(
    ("text", "line"),
    [("'a' #b", 1), ("[a] # b", 1), ("{a: b} #", 1), ("a: b #c", 1), ("- a #b", 1), ("a: 1\nb: c #d\n", 2)],
)  # fmt: skip
def test_a_comment_in_a_value_of_the_command_line_is_refused(text: str, line: int) -> None:
    message = "what follows a blank and # is a YAML comment: put it in quotes, or leave it out"
    assert [(f.line, f.message) for f in read_scalar_or_tree(text).flaws] == [(line, message)]
