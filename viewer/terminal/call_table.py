"""Calls as a table that fits a terminal's width, or as lines of fields for a pipe.

Nothing in them can steer a terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tracing.visible_text import visible

from ..catalog.rows import CallRow
from ..figures import NOTHING, duration, moment, short_id, tokens, when

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

HEADER = (
    *("started", "status", "http_status", "reason", "model", "first_event_ms", "duration_ms"),
    *("input_tokens", "cached_input_tokens", "output_tokens"),
    *("call_id", "response_id", "upstream_request_id", "attempt", "asked", "answered"),
)
"""The names of a plain row's fields."""

TEXT_WIDTH_MIN = 26
TEXT_SHARE_MIN = 0.3
"""With less room, columns are left out: a call is recognised by what was said."""

BOTH_TEXTS_WIDTH_MIN = 40
"""Below it two texts would have so little room each that neither told anything."""

MODEL_WIDTH, MODEL_WIDTH_WIDE = 13, 20
WIDE = 150
"""From this width on there is room for long names of models."""

MARKS_WIDTH_MIN = 100
"""Below it there is no room for marks of retries and branches."""

GAP = 2


def plain_row(row: CallRow) -> str:
    """A call as fields between tabs, whole and without colours."""
    usage = row.usage
    tokens_told = (
        (None,) * 3
        if usage is None
        else (usage.input_tokens, usage.cached_input_tokens, usage.output_tokens)
    )
    fields = (
        *(moment(row.started_at_unix_ms), row.shown_status),
        *(row.http_status, row.reason, row.model),
        *(_ms(row.timing.first_event), _ms(row.duration_ms)),
        *tokens_told,
        *(row.call_id, row.response_id, row.upstream_request_id),
        *(row.attempt, row.asked, row.answered),
    )
    return "\t".join(NOTHING if field is None else visible(str(field)) for field in fields)


def _ms(value: float | None) -> str | None:
    return None if value is None else f"{value:.1f}"


def ended_how(row: CallRow) -> str:
    """A call's status in a word or two that say more than the status where they can."""
    if row.is_lost:
        return "lost"
    match (row.status, row.protocol, row.transport_end):
        case ("failed", _, _) if row.http_status is not None and row.http_status >= 400:
            return f"failed {row.http_status}"
        case ("failed", "incomplete", _):
            return "incomplete"
        case ("failed", "none" | None, "timeout"):
            return "timeout"
        case ("failed", "none" | None, "eof" | "upstream_error"):
            return "no answer" if row.http_status is None else "broken off"
        case ("cancelled", "none" | None, "shutdown"):
            return "shut down"
        case (status, _, _):
            return status


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """A column but that of the texts. Those that tell least are left out first: `rank`."""

    title: str
    cell: Callable[[CallRow], str]
    rank: int
    justify: Literal["left", "right"] = "left"
    style: str = ""


def call_table(
    rows: Sequence[CallRow],
    *,
    width: int,
    now_unix_ms: float,
    branched: frozenset[int] = frozenset(),
) -> Table:
    """The calls as a table of this width. `branched` are those beside which another one continues
    the same call, by `id`."""
    from rich.cells import cell_len
    from rich.table import Table

    columns = [
        (column, [visible(column.cell(row)) for row in rows])
        for column in _columns(now_unix_ms, branched, width)
    ]
    # A column in which nothing is known tells nothing.
    columns = [(column, cells) for column, cells in columns if set(cells) != {NOTHING}]
    widths = {c.title: max(map(cell_len, [c.title, *cells])) for c, cells in columns}
    text_width = max(TEXT_WIDTH_MIN, width * TEXT_SHARE_MIN)
    while columns and width - _taken(widths) < text_width:
        left_out = max((column for column, _ in columns), key=lambda column: column.rank)
        if not left_out.rank:
            break
        columns = [(column, cells) for column, cells in columns if column is not left_out]
        del widths[left_out.title]
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="dim", width=width)
    for column, _ in columns[:-1]:
        table.add_column(
            column.title,
            justify=column.justify,
            style=column.style,
            no_wrap=True,
            width=widths[column.title],
        )
    room = max(width - _taken(widths), 1)
    title = "asked" if room < BOTH_TEXTS_WIDTH_MIN else "asked → answered"
    table.add_column(title, no_wrap=True, overflow="ellipsis", width=room)
    last, _ = columns[-1]
    table.add_column(last.title, style=last.style, no_wrap=True, width=widths[last.title])
    for number, row in enumerate(rows):
        cells = [_styled(column, cells[number], row) for column, cells in columns]
        table.add_row(*cells[:-1], said(row, room), cells[-1])
    return table


def _taken(widths: dict[str, int]) -> int:
    return sum(widths.values()) + GAP * len(widths)


def _columns(now_unix_ms: float, branched: frozenset[int], width: int) -> list[_Column]:
    model_width = MODEL_WIDTH_WIDE if width >= WIDE else MODEL_WIDTH
    has_marks = width >= MARKS_WIDTH_MIN
    return [
        _Column(
            title="when",
            cell=lambda row: when(row.started_at_unix_ms, now_unix_ms),
            rank=1,
            style="dim",
        ),
        _Column(title="status", cell=ended_how, rank=0),
        _Column(
            title="model", cell=lambda row: _begun(row.model, model_width), rank=3, style="bold"
        ),
        _Column(
            title="first",
            cell=lambda row: duration(row.timing.first_event),
            rank=6,
            justify="right",
        ),
        _Column(title="took", cell=lambda row: duration(row.duration_ms), rank=2, justify="right"),
        _Column(title="in (cached)", cell=_tokens_in, rank=5, justify="right"),
        _Column(title="out", cell=_tokens_out, rank=4, justify="right"),
        _Column(
            title="call",
            cell=lambda row: _id_and_marks(row, branched) if has_marks else short_id(row.call_id),
            rank=0,
            style="cyan",
        ),
    ]


def _begun(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _tokens_in(row: CallRow) -> str:
    if row.usage is None:
        return NOTHING
    cached = row.usage.cached_input_tokens
    return tokens(row.usage.input_tokens) + (f" ({tokens(cached)})" if cached else "")


def _tokens_out(row: CallRow) -> str:
    return NOTHING if row.usage is None else tokens(row.usage.output_tokens)


def _id_and_marks(row: CallRow, branched: frozenset[int]) -> str:
    attempt = f" ↻{row.attempt}" if row.attempt > 1 else ""
    return f"{short_id(row.call_id)}{attempt}{' ├' if row.id in branched else ''}"


def _styled(column: _Column, cell: str, row: CallRow) -> Text:
    from rich.text import Text

    from .styles import status_style

    return Text(cell, style=status_style(row) if column.title == "status" else "")


def said(row: CallRow, room: int) -> Text:
    """What was asked, and what came or why nothing did; neither hides the other. Where there is
    room for one alone: what was asked, unless the call failed, which is what one has to know."""
    from rich.text import Text

    asked = Text(visible(row.asked))
    reason = "" if row.status == "completed" else row.reason or ""
    if room < BOTH_TEXTS_WIDTH_MIN and reason:
        return Text(visible(reason), style="italic")
    told = row.answered or reason
    if not told or not asked or room < BOTH_TEXTS_WIDTH_MIN:
        return asked or Text(visible(told))
    answered = Text(visible(told), style="" if row.answered else "italic")
    half = max((room - 3) // 2, room - 3 - answered.cell_len, 1)
    asked.truncate(half, overflow="ellipsis")
    asked.stylize("dim")
    return asked.append(" → ", style="dim").append_text(answered)
