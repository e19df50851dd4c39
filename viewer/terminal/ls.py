"""`tailrace ls`: the calls, newest first."""

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from tracing.visible_text import visible

from ..catalog.catalog import Catalog
from ..catalog.queries import branched, count_calls, find_calls, models
from ..catalog.rows import CallFilter, CallRow, Cursor
from .call_json import call_json, linked_calls
from .call_table import HEADER, call_table, plain_row
from .filters import filter_options, json_option, limit_option, told, with_whole_thread
from .json_output import print_json
from .options import trace_dir_options
from .reading import open_catalog

ROWS_AT_ONCE = 500
"""Calls in memory at a time, however many are listed."""


@click.command(name="ls")
@filter_options
@limit_option
@json_option
@trace_dir_options
def command(*, trace_dir: Path, wanted: CallFilter, limit: int, as_json: bool) -> None:
    """List the calls, newest first.

    Of several options a call must fulfil all. On a terminal the list fits its width; elsewhere each
    call is a line of fields between tabs, below a line of their names.
    """
    with open_catalog(trace_dir) as catalog:
        wanted = with_whole_thread(wanted, catalog)
        pages = _pages(catalog, wanted, limit)
        first = next(pages, [])
        if not first:
            tell_nothing_found(catalog, wanted)
        elif as_json:
            for page in _again(first, pages):
                linked = linked_calls(catalog, page)
                print_json(call_json(row, linked) for row in page)
        elif sys.stdout.isatty():
            _print_table(catalog, [row for page in _again(first, pages) for row in page])
        else:
            click.echo("\t".join(HEADER))
            for page in _again(first, pages):
                click.echo("".join(f"{plain_row(row)}\n" for row in page), nl=False)


def _pages(catalog: Catalog, wanted: CallFilter, limit: int) -> Iterator[list[CallRow]]:
    left = limit or sys.maxsize
    after: Cursor | None = None
    while left:
        rows = find_calls(catalog, wanted, limit=min(left, ROWS_AT_ONCE), after=after)
        if not rows:
            return
        yield rows
        left -= len(rows)
        after = Cursor(started_at_unix_ms=rows[-1].started_at_unix_ms, id=rows[-1].id)


def _again(first: list[CallRow], others: Iterable[list[CallRow]]) -> Iterator[list[CallRow]]:
    yield first
    yield from others


def _print_table(catalog: Catalog, rows: list[CallRow]) -> None:
    from rich.console import Console

    console = Console()
    now, branches = time.time() * 1000, branched(catalog, rows)
    table = call_table(rows, width=console.width, now_unix_ms=now, branched=branches)
    console.print(table)
    lost = sum(row.is_lost for row in rows)
    if lost:
        calls = "1 call is" if lost == 1 else f"{lost} calls are"
        told_lost = f"{calls} lost: the recorder died; `tailrace recover` seals what it left"
        console.print(told_lost, style="dim", highlight=False)


def tell_nothing_found(catalog: Catalog, wanted: CallFilter) -> None:
    """Say on stderr that no call is wanted, and what there is."""
    total = count_calls(catalog, CallFilter())
    if not total:
        message = f"no call yet in {catalog.trace_dir}"
    else:
        calls = "1 call" if total == 1 else f"{total:,} calls"
        message = f"no call matches {told(wanted)}; there is {calls} in {catalog.trace_dir}"
        if total > 1:
            message = message.replace("there is", "there are")
        if wanted.model is not None:
            message += f", of {', '.join(models(catalog))}"
    click.echo(f"tailrace: {visible(message)}", err=True)
