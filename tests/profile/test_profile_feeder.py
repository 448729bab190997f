"""feeder: rows from CSV and JSONL, and bad rows by the file's own lines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loadtool.errors import ProfileError
from loadtool.profile.feeder import MOST_TOLD, Rows, read_rows

GOOD = [
    ("a.csv", "cart,id\n1,x\n2,y\n", Rows(("cart", "id"), (("1", "x"), ("2", "y")))),
    ("a.csv", "\ufeffcart , id\r\n01,\r\n\r\n", Rows(("cart", "id"), (("01", ""),))),
    ("a.csv", 'a,b\n"x, y","1\n2"\n', Rows(("a", "b"), (("x, y", "1\n2"),))),
    ("a.CSV", "a\n1", Rows(("a",), (("1",),))),
    ("a.tsv", "a\tb\n1,2\t3\n", Rows(("a", "b"), (("1,2", "3"),))),
    (
        "a.jsonl",
        '{"cart": 1, "tags": ["x"]}\n\n{"tags": null, "cart": 2.5}\r\n',
        Rows(("cart", "tags"), ((1, ["x"]), (2.5, None))),
    ),
    ("a.ndjson", '{"a": "é"}', Rows(("a",), (("é",),))),
]
BAD = [
    ("a.csv", b"", ["a.csv:1: has no header line"]),
    ("a.csv", b"cart,id\n", ["a.csv: has no rows"]),
    ("a.csv", b"a,,b\n1,2,3\n", ["a.csv:1: column 2 of the header has no name"]),
    ("a.csv", b"a,b,a\n1,2,3\n", ["a.csv:1: the header names a twice"]),
    (
        "a.csv",
        b'a,b\n"1\n2",3\n4\n5,6,7\n',
        ["a.csv:4: got 1 value, want 2, as in the header", "a.csv:5: got 3 values, want 2, as in the header"],
    ),
    ("a.csv", b'a,b\n1,2\n"3,4\n', ["a.csv:3: not CSV: unexpected end of data"]),
    ("a.csv", b"a,b\n1,\xff\n", ["a.csv:2: not UTF-8 text: byte 0xff; save the file as UTF-8"]),
    ("a.jsonl", b"", ["a.jsonl: has no rows"]),
    ("a.jsonl", b"\n[1]\n", ['a.jsonl:2: got a list, want a JSON object such as {"cart": 1}']),
    ("a.jsonl", b"{}\n", ['a.jsonl:1: got a mapping, want a JSON object such as {"cart": 1}']),
    (
        "a.jsonl",
        b'{"a": 1}\n{"a": NaN}\n{"b": 2}\n{"a": 1, "c": 2}\n{"a": \n',
        [
            "a.jsonl:2: not JSON: NaN is no JSON value",
            "a.jsonl:3: has no a, which line 1 has",
            "a.jsonl:4: has c, which line 1 has not",
            'a.jsonl:5: not JSON: Expecting value at column 7; want a JSON object such as {"cart": 1}',
        ],
    ),
    ("a.txt", b"a\n1\n", ["a.txt: want a file named *.csv or *.tsv or *.jsonl or *.ndjson"]),
]


@pytest.mark.parametrize(("name", "text", "rows"), GOOD)
def test_rows(tmp_path: Path, name: str, text: str, rows: Rows) -> None:
    (tmp_path / name).write_bytes(text.encode())
    assert read_rows(tmp_path / name) == rows


@pytest.mark.parametrize(("name", "content", "said"), BAD)
def test_bad_rows(tmp_path: Path, name: str, content: bytes, said: list[str]) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ProfileError) as e:
        read_rows(tmp_path / name)
    assert str(e.value).replace(f"{tmp_path}/", "").splitlines() == said


def test_a_file_of_another_kind_is_not_told_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n" + "1\n" * 1000)
    with pytest.raises(ProfileError) as e:
        read_rows(tmp_path / "a.csv")
    assert len(e.value.mistakes) == MOST_TOLD


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    for name, reason in [
        ("missing.csv", "no such file"),
        ("folder.csv", "is a directory, want a file"),
        ("pipe.csv", "is not a regular file"),
        ("nul\0.csv", "cannot be read: a name with a null character"),
    ]:
        with pytest.raises(ProfileError) as e:
            read_rows(tmp_path / name)
        shown = str(tmp_path / name).replace("\0", r"\x00")
        assert str(e.value) == f"{shown}: {reason}"
