"""What a terminal shows of what was written to it: the lines, without colours.

It knows what a careful program writes: text, line ends, carriage returns, up, and clear to the end.
"""

import re

from rich.cells import cell_len

_TOKEN = re.compile(r"\x1b\[(\d*)([A-Za-z])|\x1b\[[\d;]*m|(\r)|(\n)|([^\x1b\r\n])", re.DOTALL)


class TerminalScreen:
    """A terminal of so many columns, as long as it needs to be."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self._rows: list[list[str]] = [[]]
        self._row = 0
        self._column = 0

    @property
    def lines(self) -> list[str]:
        """The lines, without blanks at their ends."""
        return ["".join(row).rstrip() for row in self._rows]

    def write(self, text: str) -> None:
        """Take what a program wrote, whole escape sequences. Raises ValueError at any other."""
        end = 0
        for found in _TOKEN.finditer(text):
            if found.start() != end:
                raise ValueError(f"no terminal should get {text[end : end + 20]!r}")
            end = found.end()
            number, command, carriage_return, line_end, character = found.groups()
            match command:
                case "A":
                    self._row -= int(number or 1)
                    assert self._row >= 0, "above the first line"
                case "J" if not number:
                    del self._rows[self._row + 1 :]
                    del self._rows[self._row][self._column :]
                case "K" if not number:
                    del self._rows[self._row][self._column :]
                case "m" | None:
                    pass
                case _:
                    raise ValueError(f"no terminal should get {found[0]!r}")
            if carriage_return:
                self._column = 0
            elif line_end:
                self._to_row(self._row + 1)
            elif character:
                self._put(character)
        if end != len(text):
            raise ValueError(f"no terminal should get {text[end:]!r}")

    def resize(self, columns: int) -> None:
        """Become wider or narrower, and break lines anew where they are too long."""
        shown = [
            row[start : start + columns] for row in self._rows for start in _starts(row, columns)
        ]
        self._rows = shown
        self._row = len(shown) - 1
        self._column = len(shown[-1])
        self.columns = columns

    def _put(self, character: str) -> None:
        cells = cell_len(character)
        if self._column + cells > self.columns:
            self._to_row(self._row + 1)
        row = self._rows[self._row]
        row.extend(" " * (self._column - len(row)))
        # A wide character has two cells, of which the second shows nothing of its own.
        row[self._column : self._column + cells] = [character, *[""] * (cells - 1)][:cells]
        self._column += cells

    def _to_row(self, row: int) -> None:
        self._row, self._column = row, 0
        if row == len(self._rows):
            self._rows.append([])


def _starts(row: list[str], columns: int) -> range:
    return range(0, max(len(row), 1), columns)
