"""Lines at the bottom of a terminal that are painted over, while others scroll up above them."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text


class BottomLines:
    """Paints a few lines again and again. Each must be narrower than the terminal.

    What was painted is found again by its height, so nothing else may write to the terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._painted: Sequence[Text] = ()
        self._width = console.width

    def paint(self, above: Sequence[Text], bottom: Sequence[Text]) -> None:
        """Print lines that stay, and below them those that will be painted over."""
        width = self._console.width
        if not above and list(bottom) == list(self._painted) and width == self._width:
            return
        # One write, so that no terminal shows the half of it.
        text = self._way_back(width) + self._rendered(above)
        text += self._rendered(bottom).removesuffix("\n")
        self._painted, self._width = list(bottom), width
        self._console.file.write(text)
        self._console.file.flush()

    def clear(self) -> None:
        """Leave the terminal as if there had been no bottom lines."""
        self.paint((), ())

    def _way_back(self, width: int) -> str:
        """The way to the first of the lines painted before, and all gone from there on.

        A terminal that became narrower has broken its lines anew, as nearly all of them do.
        """
        if not self._painted:
            return ""
        rows = sum(max(-(-line.cell_len // width), 1) for line in self._painted)
        up = f"\x1b[{rows - 1}A" if rows > 1 else ""
        return f"\r{up}\x1b[J"

    def _rendered(self, lines: Sequence[Text]) -> str:
        with self._console.capture() as captured:
            for line in lines:
                self._console.print(line, soft_wrap=True)
        return captured.get()
