"""`tailrace search`: where a text was sent or came, newest first."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tracing.visible_text import visible

from ..catalog.catalog import Catalog
from ..catalog.conditions import words_expression
from ..catalog.queries import MARKS, search
from ..catalog.rows import CallFilter, Hit
from ..figures import duration, moment, short_id, when
from .call_json import call_json, linked_calls
from .call_table import ended_how
from .filters import filter_options, json_option, limit_option, told, with_whole_thread
from .json_output import print_json
from .options import fail, trace_dir_options
from .reading import open_catalog

if TYPE_CHECKING:
    from rich.text import Text

HITS_AT_ONCE = 200
"""Hits in memory at a time, however many there are."""


@click.command(name="search")
@click.argument("text", nargs=-1, required=True)
@filter_options
@limit_option
@json_option
@trace_dir_options
def command(
    *, text: tuple[str, ...], trace_dir: Path, wanted: CallFilter, limit: int, as_json: bool
) -> None:
    """Find TEXT in what was sent and what came, newest first.

    Its words are looked for in their order, whatever stands between them but other words; of the
    last one the beginning is enough. What is sent again with every call is found where it was
    first seen.
    """
    words = " ".join(text)
    if words_expression(words) is None:
        fail(f"{words!r} has no word in it to search for; letters and digits make words")
    with open_catalog(trace_dir) as catalog:
        wanted = with_whole_thread(wanted, catalog)
        is_found = False
        for hits in _pages(catalog, words, wanted, limit):
            is_found = True
            if as_json:
                linked = linked_calls(catalog, [hit.call for hit in hits])
                print_json({**_hit_json(hit), "call": call_json(hit.call, linked)} for hit in hits)
            elif sys.stdout.isatty():
                _print_hits(hits)
            else:
                click.echo("".join(f"{_plain(hit)}\n" for hit in hits), nl=False)
        if not is_found:
            among = f" among the calls of {told(wanted)}" if told(wanted) else ""
            where = visible(f"{words!r} is nowhere in {catalog.trace_dir}{among}")
            click.echo(f"tailrace: {where}", err=True)


def _pages(catalog: Catalog, words: str, wanted: CallFilter, limit: int) -> Iterator[list[Hit]]:
    left = limit or sys.maxsize
    after: int | None = None
    while left:
        hits = search(catalog, words, wanted, limit=min(left, HITS_AT_ONCE), after=after)
        if not hits:
            return
        yield hits
        left -= len(hits)
        after = hits[-1].id


def _pieces(excerpt: str) -> list[tuple[str, bool]]:
    """The excerpt's parts in turn, and whether each is what was found; all on one line."""
    opening, closing = MARKS
    pieces = []
    for number, part in enumerate(" ".join(excerpt.split()).split(opening)):
        found, _, rest = part.partition(closing) if number else ("", "", part)
        pieces += [(found, True), (rest, False)]
    return [(text, is_found) for text, is_found in pieces if text]


def _hit_json(hit: Hit) -> dict[str, object]:
    """What was found, with the places of the words in the excerpt, in characters."""
    excerpt, matches = "", []
    for text, is_found in _pieces(hit.excerpt):
        if is_found:
            matches.append([len(excerpt), len(excerpt) + len(text)])
        excerpt += text
    return {"side": hit.side, "label": hit.label, "excerpt": excerpt, "matches": matches}


def _plain(hit: Hit) -> str:
    call = hit.call
    excerpt = "".join(text for text, _ in _pieces(hit.excerpt))
    fields = (moment(call.started_at_unix_ms), call.call_id, hit.side, hit.label, excerpt)
    return "\t".join(map(visible, fields))


def _print_hits(hits: list[Hit]) -> None:
    from rich.console import Console

    console = Console()
    now = time.time() * 1000
    for hit in hits:
        console.print(excerpt_text(hit), highlight=False)
        line = _call_line(hit, now)
        line.truncate(console.width, overflow="ellipsis")
        console.print(line)
        console.print()


def excerpt_text(hit: Hit) -> Text:
    """The excerpt, with what was found in reverse, which is seen on any background."""
    from rich.text import Text

    pieces = (
        (visible(text), "bold reverse" if is_found else "")
        for text, is_found in _pieces(hit.excerpt)
    )
    return Text.assemble(*pieces)


def _call_line(hit: Hit, now_unix_ms: float) -> Text:
    from rich.text import Text

    from .styles import status_style

    call = hit.call
    return Text.assemble(
        (f"  {visible(short_id(call.call_id))}", "cyan"),
        (f"  {when(call.started_at_unix_ms, now_unix_ms)}  ", "dim"),
        (visible(ended_how(call)), status_style(call)),
        (f"  {visible(call.model)}", "bold"),
        (f"  {duration(call.duration_ms)}  {hit.side}: {visible(hit.label)}", "dim"),
    )
