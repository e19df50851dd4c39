"""Prints what there is to tell of one thing: headings, labelled values, and texts below them.

On a terminal lines are wrapped to its width and long texts folded; elsewhere all is printed whole.
Nothing printed can steer a terminal.
"""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from tracing.visible_text import visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

LABEL_WIDTH = 14
LABEL_CHARACTERS_MAX = 30
"""On a terminal: a role or a tool's name may be anything."""

INDENT = "  "

TEXT_LINES_MAX = 40
TEXT_CHARACTERS_MAX = 4000
"""Of one text a terminal shows no more: who wants all of it, reads it elsewhere."""


class Sheet:
    """Prints to stdout, as it is told."""

    def __init__(self) -> None:
        self._console = _terminal() if sys.stdout.isatty() else None

    @property
    def is_terminal(self) -> bool:
        """Whether somebody looks at it, on so many columns."""
        return self._console is not None

    @property
    def width(self) -> int:
        """How many columns there are beside a label."""
        assert self._console is not None
        return max(self._console.width - len(INDENT) - LABEL_WIDTH, 20)

    def title(self, title: str) -> None:
        """The first line."""
        self._print("", title, "bold")

    def heading(self, heading: str) -> None:
        """The beginning of a section."""
        click.echo()
        self._print("", heading, "bold")

    def field(self, label: str, value: str, *, style: str = "") -> None:
        """A value beside its label. An id or a path is not broken: it could not be copied."""
        self._print(self._label(label), value, style, is_wrapped=" " in value)

    def line(self, line: str, *, style: str = "") -> None:
        """A sentence of its own."""
        self._print(INDENT, line, style)

    def text(self, label: str, text: str, *, more: str, style: str = "") -> None:
        """A text in its own lines; `more` tells where the rest of one is that is folded."""
        lines = text.split("\n")
        if self._console is not None:
            lines, left_out = folded(lines)
            if left_out:
                lines.append(f"… {left_out} more, {more}")
        for number, line in enumerate(lines):
            self._print(self._label(label if number == 0 else ""), line, style)

    def note(self, note: str, *, style: str = "dim") -> None:
        """A remark on what stands above it."""
        self.field("", f"[{note}]", style=style)

    def _label(self, label: str) -> str:
        shown = visible(label)
        if self._console is not None and len(shown) > LABEL_CHARACTERS_MAX:
            shown = f"{shown[:LABEL_CHARACTERS_MAX]}…"
        return f"{INDENT}{shown:<{LABEL_WIDTH - 1}} "

    def _print(self, label: str, value: str, style: str, *, is_wrapped: bool = True) -> None:
        shown = visible(value)
        if self._console is None:
            click.echo(f"{label}{shown}".rstrip())
            return
        from rich.text import Text

        text = Text(shown, style=style)
        width = max(self._console.width - len(label), 20)
        lines = text.wrap(self._console, width) if is_wrapped else [text]
        for number, line in enumerate(lines or [Text()]):
            beside = Text().append(label if number == 0 else " " * len(label), style="dim")
            self._console.print(_stripped(beside.append_text(line)), soft_wrap=True)


def _terminal() -> "Console":
    from rich.console import Console

    return Console(highlight=False)


def _stripped(line: "Text") -> "Text":
    line.rstrip()
    return line


def folded(lines: Iterable[str]) -> tuple[list[str], str]:
    """As many lines as a terminal shows of a text, and what is left out: empty where nothing is."""
    shown: list[str] = []
    room = TEXT_CHARACTERS_MAX
    rest = 0
    rest_lines = 0
    for line in lines:
        if len(shown) == TEXT_LINES_MAX or room <= 0:
            rest += len(line)
            rest_lines += 1
        else:
            shown.append(line[:room])
            rest += max(len(line) - room, 0)
            room -= len(line)
    if rest_lines:
        return shown, f"{rest_lines:,} lines" if rest_lines > 1 else f"{rest:,} characters"
    return shown, f"{rest:,} characters" if rest else ""
