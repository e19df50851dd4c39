"""The events of a call as a table in text: when each came, its type, its size, what it adds."""

import shutil
import sys
from collections.abc import Iterator

import click
import orjson

from tracing.strict_json import NotStrictJson, dumps, loads_lenient
from tracing.visible_text import visible

from ..call.reading import stream_events
from ..call.story import StreamEvent
from ..catalog.rows import CallRow
from ..figures import NOTHING, size
from .json_output import print_json

TYPE_CELLS_MAX = 40
TYPE_SHARE_MAX = 1 / 3
"""Of a narrow terminal: what an event says is looked for more than its type."""

ALL = 2**63
HEADER = ("index", "at_ms", "type", "size", "sequence_number", "summary")


def print_events(row: CallRow) -> None:
    """Print a line an event: within a terminal's width, or of fields between tabs."""
    events = _events(row)
    if not sys.stdout.isatty():
        click.echo("\t".join(HEADER))
        click.echo("".join(f"{_fields(event)}\n" for event in events), nl=False)
        return
    width = shutil.get_terminal_size().columns
    cells = min(TYPE_CELLS_MAX, int(width * TYPE_SHARE_MAX))
    cells = min(cells, max((len(_kind(event)) for event in events), default=0))
    click.echo(click.style(f"{'ms':>11} {'+ms':>9}  {'type':<{cells}} {'size':>7}", dim=True))
    before = 0.0
    for event in events:
        click.echo(_line(event, before, cells, width))
        before = before if event.at_ms is None else event.at_ms


def print_events_json(row: CallRow) -> None:
    """Print an object a line. `data` is the event, parsed where it is JSON."""
    events = _events(row)
    print_json(_objects(events))


def _events(row: CallRow) -> list[StreamEvent]:
    events, _ = stream_events(row, start=0, limit=ALL)
    if not events:
        missing = f"of call {row.call_id} no event was captured; `tailrace show` tells why"
        click.echo(f"tailrace: {visible(missing)}", err=True)
    return events


def _objects(events: list[StreamEvent]) -> Iterator[object]:
    for event in events:
        try:
            data = loads_lenient(event.data.encode())
        except NotStrictJson:
            data = event.data
        yield orjson.loads(
            dumps(
                {
                    "index": event.index,
                    "at_ms": event.at_ms,
                    "type": event.type,
                    "size": event.size,
                    "sequence_number": event.sequence_number,
                    "data": data,
                }
            )
        )


def _fields(event: StreamEvent) -> str:
    at_ms = NOTHING if event.at_ms is None else f"{event.at_ms:.3f}"
    number = NOTHING if event.sequence_number is None else str(event.sequence_number)
    fields = (str(event.index), at_ms, event.type, str(event.size), number, event.summary)
    return "\t".join(map(visible, fields))


def _kind(event: StreamEvent) -> str:
    return visible(event.type.removeprefix("response."))


def _line(event: StreamEvent, before_ms: float, type_cells: int, width: int) -> str:
    from rich.cells import set_cell_size
    from rich.text import Text

    at_ms = NOTHING if event.at_ms is None else f"{event.at_ms:.1f}"
    since = NOTHING if event.at_ms is None else f"+{event.at_ms - before_ms:.1f}"
    kind = _kind(event)
    if len(kind) > type_cells:
        kind = f"…{kind[1 - type_cells :]}"  # its end tells more
    kind = set_cell_size(kind, type_cells)
    line = Text(f"{at_ms:>11} {since:>9}  {kind} {size(event.size):>7}  {visible(event.summary)}")
    line.truncate(width, overflow="ellipsis")
    return line.plain
