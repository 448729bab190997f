"""A terminal of the little that the live view asks for: what it would show after all that was written."""

from __future__ import annotations

import re

from rich.cells import cell_len

_PART = re.compile(r"\x1b\[(\??)([\d;]*)([A-Za-z])|([^\x1b])")


class LittleTerminal:
    """Knows CUP, ED 2, SGR (which it forgets) and private modes (of which it keeps what was set)."""

    def __init__(self, width: int, height: int) -> None:
        self.modes: dict[str, bool] = {}
        self.resize(width, height)

    def resize(self, width: int, height: int) -> None:
        """Whatever stood there before may be anywhere now."""
        self._width, self._height = width, height
        self._cells = [["?"] * width for _ in range(height)]
        self._row = self._column = 0

    def write(self, text: str) -> None:
        at = 0
        for part in _PART.finditer(text):
            assert part.start() == at, f"not understood: {text[at : at + 20]!r}"
            at = part.end()
            private, numbers, command, char = part.groups()
            if char is not None:
                self._put(char)
            elif private:
                self.modes[numbers] = command == "h"
            elif command == "H":
                row, column = (int(n) for n in (numbers or "1;1").split(";"))
                self._row, self._column = row - 1, column - 1
            elif command == "J":
                assert numbers == "2"
                self._cells = [[" "] * self._width for _ in range(self._height)]
            else:
                assert command == "m", f"not understood: {part[0]!r}"
        assert at == len(text)

    def _put(self, char: str) -> None:
        if char == "\n":
            self._row, self._column = min(self._row + 1, self._height - 1), 0
            return
        room = cell_len(char)
        line = self._cells[self._row]
        if not room:
            line[self._column - 1] += char
            return
        assert self._column + room <= self._width, f"{char!r} is written beyond the end of line {self._row}"
        if line[self._column] == "":  # half of a wide character that is overwritten: the other half goes, too
            line[self._column - 1] = " "
        after = self._column + room
        if after < self._width and line[after] == "":
            line[after] = " "
        line[self._column : after] = [char, *[""] * (room - 1)]
        self._column = after

    @property
    def lines(self) -> list[str]:
        return ["".join(line) for line in self._cells]
