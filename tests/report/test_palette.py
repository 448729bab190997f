"""Colours on a light background: which are asked for, whether they can be read, and when."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text

from loadtool.report.palette import DARKER, darkened, is_light
from loadtool.report.screen import Screen


def contrast_to_white(number: int) -> float:
    """By WCAG 2, of a colour of the 6 × 6 × 6 cube of xterm's 256."""
    index = number - 16
    levels = [0, 95, 135, 175, 215, 255]
    parts = [levels[index // 36] / 255, levels[index // 6 % 6] / 255, levels[index % 6] / 255]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


@pytest.mark.parametrize("number", DARKER.values())
def test_each_can_be_read_on_white(number: int) -> None:
    assert contrast_to_white(number) >= 4.5


def test_the_standard_yellow_could_not() -> None:
    assert contrast_to_white(184) < 2, "#d7d700, which is nearest to xterm's"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain 33m", "plain 33m"),
        ("\x1b[33m75/s\x1b[0m", "\x1b[38;5;94m75/s\x1b[0m"),
        ("\x1b[1;31mno\x1b[0m", "\x1b[1;38;5;160mno\x1b[0m"),
        ("\x1b[2;36;42mx", "\x1b[2;38;5;24;48;5;28mx"),
        ("\x1b[37;40mx", "\x1b[37;40mx"),
        ("\x1b[38;5;33mx\x1b[48;2;31;32;33m", "\x1b[38;5;33mx\x1b[48;2;31;32;33m"),
        ("\x1b[33;1H\x1b[2J", "\x1b[33;1H\x1b[2J"),  # moves the cursor, and paints nothing
    ],
)
def test_standard_colours_are_replaced_and_nothing_else(text: str, shown: str) -> None:
    assert darkened(text) == shown


@pytest.mark.parametrize(
    ("colours", "light"),
    [
        ("0;15", True), ("0;7", True), ("0;default;15", True), ("12;11", True),
        ("15;0", False), ("15;default;0", False), ("7;8", False), ("0;default", False), ("", False),
    ],
)  # fmt: skip
def test_a_terminal_tells_of_its_background(colours: str, light: bool) -> None:
    assert is_light({"COLORFGBG": colours, "TERM": "xterm-256color"}) is light
    assert is_light({"COLORFGBG": colours, "TERM": "xterm", "COLORTERM": "truecolor"}) is light
    assert not is_light({"COLORFGBG": colours, "TERM": "xterm"}), "it has no others"


@pytest.mark.parametrize(("light", "code"), [(True, "38;5;94"), (False, "33")])
def test_the_live_view_asks_for_them(light: bool, code: str) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, color_system="standard", _environ={})
    Screen(console, light=light).draw([Text("shed", style="yellow")], (10, 1))
    assert isinstance(console.file, io.StringIO)
    assert f"\x1b[{code}mshed" in console.file.getvalue()
