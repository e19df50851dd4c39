"""`tailrace diff`: what differs between two calls, and what broke the prompt cache."""

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from tracing.visible_text import visible

from ..catalog.catalog import Catalog
from ..catalog.queries import call_by_id
from ..catalog.rows import CallRow
from ..selector import NoSuchSelection, select_call
from ..thread.comparing import compare
from .call_json import linked_calls
from .comparison_json import comparison_json
from .comparison_lines import Line, Tone, comparison_lines
from .json_output import print_json
from .options import fail, trace_dir_options
from .reading import open_catalog

CHANGED_LINES_MAX = 60
"""Of lines with one mark that follow each other, what a terminal shows; a pipe gets them all."""

LINE_CHARACTERS_MAX = 2_000
"""Of one line on a terminal."""

_STYLES: dict[Tone, dict[str, Any]] = {
    Tone.BEFORE: {"fg": "red"},
    Tone.AFTER: {"fg": "green"},
    Tone.HEADING: {"bold": True},
    Tone.NOTE: {"dim": True},
}
"""What a terminal shows beside the marks; a pipe gets none of it."""


@click.command(name="diff", short_help="Say what differs between two calls.")
@click.argument("selectors", metavar="A [B]", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@trace_dir_options
def command(*, selectors: tuple[str, ...], trace_dir: Path, as_json: bool) -> None:
    """Say what differs between call A and call B: settings, tools, instructions, each item of what
    the model was shown, the response; and what broke the prompt cache of B.

    A and B are ids of calls, responses or requests, their beginnings or ends, or `last`. With one
    of them, that call is compared with the one that it continues.
    """
    if not 1 <= len(selectors) <= 2:
        raise click.UsageError("give one call, which is compared with what it continues, or two")
    with open_catalog(trace_dir) as catalog:
        try:
            before, after = _the_two(selectors, catalog)
        except NoSuchSelection as error:
            fail(*error.lines)
        comparison = compare(catalog, before, after)
        if as_json:
            print_json([comparison_json(comparison, linked_calls(catalog, [before, after]))])
            return
        lines = comparison_lines(comparison)
        for line in _folded(lines) if sys.stdout.isatty() else lines:
            _print(line)


def _the_two(selectors: tuple[str, ...], catalog: Catalog) -> tuple[CallRow, CallRow]:
    rows = [select_call(selector, catalog) for selector in selectors]
    if len(rows) == 2:
        return rows[0], rows[1]
    (row,) = rows
    before = None if row.continues is None else call_by_id(catalog, row.continues)
    if before is None:
        fail(
            f"call {row.call_id} continues no call that is known; name the one to compare it"
            f" with: `tailrace diff OTHER {row.call_id}`"
        )
    return before, row


def _folded(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines for somebody who looks at them: long runs of one mark, and long lines, are cut."""
    tone, run, left_out = Tone.BOTH, 0, 0
    for line in lines:
        if line.tone is not tone:
            yield from _left_out(tone, left_out)
            tone, run, left_out = line.tone, 0, 0
        run += 1
        if tone in {Tone.BEFORE, Tone.AFTER} and run > CHANGED_LINES_MAX:
            left_out += 1
            continue
        cut = line.text[:LINE_CHARACTERS_MAX]
        yield Line(line.tone, cut if cut == line.text else f"{cut}…")
    yield from _left_out(tone, left_out)


def _left_out(tone: Tone, count: int) -> Iterator[Line]:
    if count:
        mark = "-" if tone is Tone.BEFORE else "+"
        yield Line(Tone.NOTE, f"{mark}   … {count:,} more lines, which a pipe gets: add `| less`")


def _print(line: Line) -> None:
    text = visible(line.text)
    if not os.environ.get("NO_COLOR") and line.tone in _STYLES:
        text = click.style(text, **_STYLES[line.tone])
    click.echo(text)
