"""Runs the demo and draws what a terminal shows of it as one SVG: the live view amid the fault, the report.

Nothing in it is loaded from elsewhere. Blocks, braille and rules are drawn as shapes, since fonts leave gaps
between them; only words are text, stretched to their cells, so that any font with fixed widths will do.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from rich.ansi import AnsiDecoder
from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from rich.text import Text

from loadtool import run
from loadtool.measure.result import SloFigure
from loadtool.measure.snapshot import Snapshot
from loadtool.profile.load import Loaded, load_profile
from loadtool.report import terminal
from loadtool.report.live_frame import frame
from loadtool.report.live_picture import Pictures
from loadtool.report.now import Now
from loadtool.report.stage import Stage

ROOT: Final = Path(__file__).resolve().parent.parent
WIDTH, HEIGHT = 100, 30
REPORT_LINES: Final = 40  # the verdict, the charts and the SLOs
CELL_W, CELL_H, FONT = 8.4, 18.0, 14.0
MARGIN, BAR = 14.0, 30.0
INK, PAPER, DIM = "#d8dee4", "#1b1f24", 0.6
COLOURS: Final = {"red": "#f47067", "green": "#57ab5a", "yellow": "#daaa3f", "magenta": "#dcbdfb",
                  "cyan": "#56d4dd", "blue": "#6cb6ff", "white": INK, "black": PAPER}  # fmt: skip
ANSI: Final = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
WORDS: Final = re.compile(r"\S+(?: \S+)*")
EIGHTHS: Final = "▁▂▃▄▅▆▇█"
# Where a rule leaves its cell: left, right, up, down; and how thick it is.
RULES: Final = {"─": ("lr", 1.2), "━": ("lr", 2.6), "│": ("ud", 1.2), "┃": ("ud", 2.6), "└": ("ur", 1.2),
                "┬": ("lrd", 1.2), "┤": ("lud", 1.2), "┊": ("ud", 1.2)}  # fmt: skip
BRAILLE_X, BRAILLE_Y = (0.25, 0.75), (0.125, 0.375, 0.625, 0.875)
BRAILLE_BITS: Final = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))  # column, row

Cell = tuple[str, Style]


class Shutter:
    """A view that keeps the picture of one moment: amid the first fault, or the last one that there was."""

    def __init__(self, share: float) -> None:
        self.lines: list[Text] = []
        self._share = share
        self._stage: Stage | None = None
        self._open = True

    def notice(self, text: str) -> None:
        sys.stderr.write(f"{text}\n")

    def begin(self, stage: Stage) -> None:
        self._stage = stage

    def update(self, now: Snapshot, active_faults: Collection[str], slos: Sequence[SloFigure]) -> None:
        if self._stage is None or not self._open:
            return
        self.lines = frame(Now(self._stage, now, active_faults, slos), WIDTH, HEIGHT, Pictures())
        fault = self._stage.faults[0] if self._stage.faults else self._stage.phases[-1]
        self._open = now.elapsed_s < fault.start_s + self._share * (fault.end_s - fault.start_s)

    def end(self) -> None:
        """Nothing to give back."""


def cells(line: Text, console: Console) -> list[Cell]:
    """A line's cells; the second one of a wide character is empty."""
    found: list[Cell] = []
    for text, style, _ in Text(end="").append_text(line).render(console):
        for char in text:
            found += [(char, style or Style.null()), *[("", style or Style.null())] * (cell_len(char) - 1)]
    return found


def colours(style: Style) -> tuple[str, str | None, float]:
    """Ink, paper (None: the window's) and opacity."""
    ink = COLOURS[ANSI[style.color.number or 0]] if style.color else INK
    paper = COLOURS[ANSI[style.bgcolor.number or 0]] if style.bgcolor else None
    if style.reverse:
        ink, paper = paper or PAPER, ink
    return ink, paper, DIM if style.dim else 1.0


def shape(char: str, x: float, y: float) -> str:
    """The path of a character that is drawn rather than written; empty for all others."""
    if char in EIGHTHS:
        high = CELL_H * (EIGHTHS.index(char) + 1) / len(EIGHTHS)
        return f"M{x:.1f} {y + CELL_H - high:.2f}h{CELL_W:.1f}v{high:.2f}h-{CELL_W:.1f}z"
    if char == "▒":
        return "".join(
            f"M{x + dx:.1f} {y + dy:.1f}h2.1v2.25h-2.1z"
            for i, dy in enumerate((0.0, 2.25, 4.5, 6.75, 9.0, 11.25, 13.5, 15.75))
            for dx in ((0.0, 4.2) if i % 2 else (2.1, 6.3))
        )
    if char in RULES:
        ways, thick = RULES[char]
        half, mx, my = thick / 2, x + CELL_W / 2, y + CELL_H / 2
        if char == "┊":
            return "".join(f"M{mx - half:.1f} {y + dy:.1f}h{thick}v3h-{thick}z" for dy in (1.0, 7.0, 13.0))
        left, right = (x if "l" in ways else mx - half), (x + CELL_W if "r" in ways else mx + half)
        top, bottom = (y if "u" in ways else my - half), (y + CELL_H if "d" in ways else my + half)
        across = (
            f"M{left:.1f} {my - half:.1f}H{right:.1f}v{thick}H{left:.1f}z" if set("lr") & set(ways) else ""
        )
        down = f"M{mx - half:.1f} {top:.1f}h{thick}V{bottom:.1f}h-{thick}z" if set("ud") & set(ways) else ""
        return across + down
    if "\u2800" <= char <= "\u28ff":
        dots = (BRAILLE_BITS[bit] for bit in range(8) if (ord(char) - 0x2800) >> bit & 1)
        return "".join(
            f"M{x + BRAILLE_X[c] * CELL_W - 0.9:.1f} {y + BRAILLE_Y[r] * CELL_H - 0.9:.1f}h1.8v1.8h-1.8z"
            for c, r in dots
        )
    return ""


def drawn(line: Sequence[Cell], x: float, y: float) -> Iterable[str]:
    """One line of the terminal, its top left corner at x, y."""
    at = 0
    for (style, shaped), group in groupby(line, key=lambda c: (c[1], bool(c[0] and shape(c[0], 0, 0)))):
        run_of = [char for char, _ in group]
        left, wide = x + at * CELL_W, len(run_of) * CELL_W
        at += len(run_of)
        ink, paper, opacity = colours(style)
        faint = f' opacity="{opacity}"' if opacity < 1 else ""
        if paper:
            yield f'<rect x="{left:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{CELL_H}" fill="{paper}"/>'
        if shaped:
            path = "".join(shape(char, left + i * CELL_W, y) for i, char in enumerate(run_of))
            yield f'<path fill="{ink}"{faint} d="{path}"/>'
        else:
            bold = ' font-weight="700"' if style.bold else ""
            for word in WORDS.finditer(
                "".join(char or " " for char in run_of)
            ):  # blanks would be drawn as one
                begin, wide = left + word.start() * CELL_W, len(word[0]) * CELL_W
                yield (
                    f'<text x="{begin:.1f}" y="{y + CELL_H * 0.76:.1f}" fill="{ink}"{faint}{bold} '
                    f'textLength="{wide:.1f}" lengthAdjust="spacingAndGlyphs">{escape(word[0])}</text>'
                )


def window(title: str, lines: Sequence[Sequence[Cell]], y: float) -> tuple[list[str], float]:
    """A window with these lines, and where it ends."""
    wide, high = WIDTH * CELL_W + 2 * MARGIN, len(lines) * CELL_H + BAR + MARGIN
    parts = [
        f'<rect x="0" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" rx="8" fill="{PAPER}"/>',
        *(f'<circle cx="{18 + 18 * i}" cy="{y + 15:.1f}" r="5" fill="{c}"/>'
          for i, c in enumerate((COLOURS["red"], COLOURS["yellow"], COLOURS["green"]))),
        f'<text x="{wide / 2:.1f}" y="{y + 20:.1f}" fill="{INK}" opacity="{DIM}" text-anchor="middle">'
        f"{escape(title)}</text>",
    ]  # fmt: skip
    for row, line in enumerate(lines):
        parts += drawn(line, MARGIN, y + BAR + row * CELL_H)
    return parts, y + high


def svg(windows: Sequence[tuple[str, Sequence[Text]]], told: str) -> str:
    """The windows below each other. `told`: what there is to see, for those who can't."""
    console = Console(color_system="standard", width=WIDTH, _environ={})
    body: list[str] = []
    end = 0.0
    for title, lines in windows:
        parts, end = window(title, [cells(line, console) for line in lines], end)
        body += parts
        end += MARGIN
    wide, high = WIDTH * CELL_W + 2 * MARGIN, end - MARGIN
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:.1f} {high:.1f}" role="img" '
            f'font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,DejaVu Sans Mono,monospace" '
            f'font-size="{FONT}">',
            f"<title>{escape(told)}</title>",
            *body,
            "</svg>\n",
        )
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", type=Path, default=ROOT / "profiles" / "demo.yaml")
    parser.add_argument("--to", type=Path, default=ROOT / "docs" / "images" / "terminal.svg")
    parser.add_argument("--moment", type=float, default=0.7, help="how much of the first fault is over")
    parser.add_argument("--out", type=Path, help="where the run's files go")
    args = parser.parse_args()
    os.chdir(ROOT)
    file = args.profile.resolve().relative_to(ROOT)
    view = Shutter(args.moment)

    finished = run.spike(partial(_load, file), run.RunOptions(out=args.out), view)
    report = terminal.render(finished.result, width=WIDTH, color=True)
    lines = list(AnsiDecoder().decode(report))[:REPORT_LINES]
    while lines and not lines[-1].plain.strip():
        lines.pop()
    command = f"loadtool spike --profile {file}"
    told = f"{command}: the live view while a fault is in place, and the beginning of the report"
    args.to.parent.mkdir(parents=True, exist_ok=True)
    args.to.write_text(svg([(command, view.lines), ("the report", lines)], told), encoding="utf-8")
    sys.stdout.write(f"wrote {args.to}: the run's verdict was {finished.result.verdict}\n")
    return 0


def _load(file: Path, environment: Mapping[str, str], *, pending: bool = False) -> Loaded:
    return load_profile(file, environment=environment, pending=pending)


if __name__ == "__main__":
    sys.exit(main())
