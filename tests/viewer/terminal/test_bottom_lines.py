"""Lines that are painted over: what a terminal shows after each time."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from tests.support.terminal_screen import TerminalScreen
from viewer.terminal.bottom_lines import BottomLines


class Terminal:
    """A terminal with bottom lines on it."""

    def __init__(self, columns: int = 20) -> None:
        self.screen = TerminalScreen(columns)
        self._written = io.StringIO()
        self._console = Console(
            file=self._written, width=columns, force_terminal=True, color_system="standard"
        )
        self._bottom = BottomLines(self._console)

    def paint(self, *bottom: str, above: tuple[str, ...] = ()) -> list[str]:
        """Paint, and tell what is shown."""
        self._bottom.paint([Text(line) for line in above], [Text(line) for line in bottom])
        return self._shown()

    def clear(self) -> list[str]:
        """Clear, and tell what is shown."""
        self._bottom.clear()
        return self._shown()

    def resize(self, columns: int) -> None:
        """Another width."""
        self.screen.resize(columns)
        self._console.width = columns

    def has_written(self) -> bool:
        """Whether anything was written since what is shown was told."""
        return bool(self._written.getvalue())

    def _shown(self) -> list[str]:
        self.screen.write(self._written.getvalue())
        self._written.seek(0)
        self._written.truncate()
        return self.screen.lines


def test_what_is_above_stays_and_the_rest_is_painted_over() -> None:
    """Whether there are more lines than before, or fewer."""
    terminal = Terminal()
    assert terminal.paint("a 1", "b 1") == ["a 1", "b 1"]
    assert terminal.paint("a 2", "b 2", "c 2") == ["a 2", "b 2", "c 2"]
    assert terminal.paint("b 3", above=("a ended",)) == ["a ended", "b 3"]
    assert terminal.paint("b 4", "d 4", above=("c ended", "x")) == [
        *("a ended", "c ended", "x"),
        *("b 4", "d 4"),
    ]
    assert terminal.clear() == ["a ended", "c ended", "x", ""]
    assert terminal.paint("e") == ["a ended", "c ended", "x", "e"]


def test_nothing_is_written_where_nothing_changed() -> None:
    """A terminal that shows an idle proxy stays as it is, a selection with the mouse too."""
    terminal = Terminal()
    terminal.paint("a", "b")
    terminal._bottom.paint([], [Text("a"), Text("b")])
    assert not terminal.has_written()


@pytest.mark.parametrize("columns", [7, 10, 19, 40])
def test_another_width_leaves_nothing_behind(columns: int) -> None:
    """Lines that the terminal broke anew are found again."""
    terminal = Terminal(20)
    terminal.paint("one two three four", "five six", "seven eight nine", above=("kept",))
    terminal.resize(columns)
    assert terminal.paint("1", "2") == ["kept", "1", "2"]


def test_wide_characters_take_their_room() -> None:
    """Two cells each: a line of them wraps in a terminal that became narrower."""
    wide = "東京都庁舎"
    assert cell_len(wide) == 10
    terminal = Terminal(12)
    assert terminal.paint(wide, "x") == [wide, "x"]
    terminal.resize(6)
    assert terminal.paint("y") == ["y"]
