"""The picture of the README: drawn as told, whole, and with nothing from elsewhere."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest
from rich.text import Text

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def screenshots() -> ModuleType:
    spec = importlib.util.spec_from_file_location("screenshots", ROOT / "ci" / "screenshots.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["screenshots"] = module
    spec.loader.exec_module(module)
    return module


def loads_nothing(picture: ElementTree.Element) -> bool:
    inside = [element.tag.removeprefix(SVG) for element in picture.iter()]
    values = [value for element in picture.iter() for value in element.attrib.values()]
    return set(inside) <= {"svg", "title", "rect", "circle", "path", "text"} and not any(
        word in value for value in values for word in ("url(", "http", "data:")
    )


def test_the_picture_in_the_readme_is_whole_and_loads_nothing() -> None:
    picture = ElementTree.parse(ROOT / "docs" / "images" / "terminal.svg").getroot()
    assert loads_nothing(picture)
    words = {text.text for text in picture.iter(f"{SVG}text")}
    assert {"spike (3 of 4)", "Over time", "SLOs", "slow-store"} <= words


def test_words_are_written_and_blocks_are_drawn(screenshots: ModuleType) -> None:
    line = Text.assemble(("<ok>", "green"), "   two words ", ("█▄", "red"), ("⠉", "cyan"), ("now", "reverse"))
    picture = ElementTree.fromstring(screenshots.svg([("a & b", [line])], "what there is to see"))
    assert loads_nothing(picture)
    texts = {t.text: t.attrib for t in picture.iter(f"{SVG}text")}
    assert set(texts) == {"a & b", "<ok>", "two words", "now"}
    assert texts["<ok>"]["fill"] == screenshots.COLOURS["green"]
    begin = screenshots.MARGIN + 7 * screenshots.CELL_W
    assert float(texts["two words"]["x"]) == pytest.approx(begin, abs=0.06)
    assert float(texts["two words"]["textLength"]) == pytest.approx(9 * screenshots.CELL_W, abs=0.06)
    fills = [path.attrib["fill"] for path in picture.iter(f"{SVG}path")]
    assert fills == [screenshots.COLOURS["red"], screenshots.COLOURS["cyan"]]
    assert [r.attrib["fill"] for r in picture.iter(f"{SVG}rect")] == [screenshots.PAPER, screenshots.INK]


@pytest.mark.parametrize(
    ("char", "path"),
    [
        ("█", "M0.0 0.00h8.4v18.00h-8.4z"),
        ("▄", "M0.0 9.00h8.4v9.00h-8.4z"),
        ("⠁", "M1.2 1.4h1.8v1.8h-1.8z"),
        ("⠀", ""),
        ("x", ""),
    ],
)
def test_a_shape_fills_its_part_of_the_cell(screenshots: ModuleType, char: str, path: str) -> None:
    assert screenshots.shape(char, 0.0, 0.0) == path
