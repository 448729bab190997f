"""The screen against a little terminal: whatever was drawn before, what stands there is the last frame."""

from __future__ import annotations

import io
import random

import pytest
from little_terminal import LittleTerminal
from report_snapshots import STAGE, active, slos, snapshot
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from loadtool.report.live_frame import frame
from loadtool.report.live_picture import Pictures
from loadtool.report.now import Now
from loadtool.report.screen import AFRESH_EVERY, Screen

SYMBOLS = ["a", "b", " ", "─", "█", "漢", "字", "e\u0301"]


class Page:
    """A screen on a terminal whose every write is kept apart."""

    def __init__(self, width: int, height: int) -> None:
        self.terminal = LittleTerminal(width, height)
        self.size = (width, height)
        self.file = io.StringIO()
        self.screen = Screen(
            Console(
                file=self.file, force_terminal=True, color_system="standard", width=width, height=height,
                _environ={},
            )
        )  # fmt: skip
        self.screen.take()
        self.sent()

    def sent(self) -> str:
        text = self.file.getvalue()
        self.file.seek(0)
        self.file.truncate()
        self.terminal.write(text)
        return text

    def draw(self, lines: list[Text]) -> str:
        self.screen.draw(lines, self.size)
        return self.sent()


def padded(line: str, width: int) -> str:
    return line + " " * (width - cell_len(line))


@pytest.mark.parametrize("seed", range(20))
def test_whatever_stood_there_the_last_frame_is_what_is_seen(seed: int) -> None:
    draw = random.Random(seed)
    page = Page(30, 4)
    lines = [""] * 4
    for _ in range(60):
        for row in draw.sample(range(4), draw.randint(0, 4)):
            line = ""
            while cell_len(line) < 28 and draw.random() > 0.05:
                line += draw.choice(SYMBOLS)
            if draw.random() < 0.5 and lines[row]:  # a change in the middle, as figures change
                line = lines[row].replace(draw.choice(SYMBOLS), draw.choice("xy"))
            lines[row] = line if cell_len(line) <= 30 else ""
        page.draw([Text(line, style=draw.choice(["", "red", "bold"])) for line in lines])
        assert page.terminal.lines == [padded(line, 30) for line in lines]


def test_what_has_not_changed_is_not_sent() -> None:
    page = Page(80, 3)
    page.draw([Text("one"), Text("p99  120 ms", style="dim"), Text("three")])
    assert page.draw([Text("one"), Text("p99  120 ms", style="dim"), Text("three")]) == ""
    sent = page.draw([Text("one"), Text("p99  121 ms", style="dim"), Text("three")])
    assert sent == "\x1b[?2026h\x1b[2;8H\x1b[2m1\x1b[0m\x1b[?2026l"


def test_a_colour_is_a_change() -> None:
    page = Page(20, 1)
    page.draw([Text("fault", style="red")])
    assert "\x1b[32mfault" in page.draw([Text("fault", style="green")])


def test_what_others_wrote_is_gone_after_some_frames() -> None:
    page = Page(20, 2)
    for _ in range(AFRESH_EVERY):
        page.draw([Text("one"), Text("two")])
    page.terminal.write("\x1b[1;1Ha stray warning")
    page.draw([Text("one"), Text("two")])
    assert page.terminal.lines == [padded("one", 20), padded("two", 20)]


def test_a_new_size_is_drawn_from_scratch() -> None:
    page = Page(40, 5)
    page.draw([Text("x" * 40)] * 5)
    page.size = (20, 3)
    page.terminal.resize(20, 3)
    page.draw([Text("y" * 5)] * 3)
    assert page.terminal.lines == [padded("yyyyy", 20)] * 3


def test_the_cursor_comes_back_with_the_first_screen() -> None:
    page = Page(20, 2)
    assert (page.terminal.modes["1049"], page.terminal.modes["25"]) == (True, False)
    page.draw([Text("one"), Text("two")])
    page.screen.give_back()
    page.screen.give_back()
    assert page.sent().count("\x1b[?1049l") == 1
    assert page.terminal.modes == {"1049": False, "25": True, "2026": False}


@pytest.mark.parametrize(("width", "height", "most"), [(80, 24, 1500), (140, 40, 3000)])
def test_a_frame_between_two_slices_costs_little(width: int, height: int, most: int) -> None:
    page, pictures = Page(width, height), Pictures()
    sizes = []
    for quarter in range(36 * 4, 38 * 4):
        t = quarter / 4
        now = Now(STAGE, snapshot(t), active(t), slos(t))
        lines = frame(now, width, height, pictures)
        sizes.append(len(page.draw(lines).encode()))
        assert page.terminal.lines == [padded(line.plain, width) for line in lines]
    whole, *later = sizes
    assert max(later) < whole
    assert sum(later) / len(later) < most
