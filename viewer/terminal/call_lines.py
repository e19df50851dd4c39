"""A call on one line, as `tail` and the summary of many calls print it. Nothing in it can steer a
terminal, and it is no wider than it may be.
"""

from rich.cells import cell_len
from rich.text import Text

from tracing.visible_text import visible

from ..call.live import Progress
from ..catalog.rows import CallRow
from ..figures import NOTHING, SHORT_ID_CHARS, clock, duration, short_id, size, tokens
from .call_table import said
from .styles import status_style

STATUS_WIDTH = len("failed 429")
DURATION_WIDTH = len("12 m 05 s")
MODEL_WIDTH, MODEL_WIDTH_WIDE = 13, 20
TOKENS_WIDTH = len("123.4k→12.3k")
WIDE = 110
"""From this width on there is room for tokens and long names of models."""

NARROW = 72
MODEL_FROM = 90
"""Below them the time of day and the model are left out: what is said tells more."""

EMOJI_STYLE = "\ufe0f"
"""Makes a character of one cell an emoji, which has two in some terminals."""

SILENT_MS = 2000
"""A silence that is worth a word: models pause for a second all the time."""


def status_of(row: CallRow) -> str:
    """A call's status in a word, and the HTTP status that made it fail."""
    if row.is_lost:
        return "lost"
    if row.status == "failed" and row.http_status is not None and row.http_status >= 400:
        return f"failed {row.http_status}"
    return row.status


def ended_line(row: CallRow, width: int) -> Text:
    """A call that runs no more, within `width` cells."""
    line = _beginning(row, duration(row.duration_ms), width)
    if width >= WIDE:
        line.append(f" {_tokens(row):<{TOKENS_WIDTH}}", style="dim")
    line.append("  ")
    line.append_text(said(row, width - line.cell_len))
    return _fitted(line, width)


def running_line(row: CallRow, progress: Progress | None, now_unix_ms: int, width: int) -> Text:
    """A call that runs, within `width` cells: how far it has come, and what it says."""
    elapsed = duration(max(now_unix_ms - row.started_at_unix_ms, 0))
    line = _beginning(row, elapsed, width)
    line.append("  ")
    line.append(_course(row, progress, now_unix_ms, width), style="cyan")
    text = visible(" ".join(progress.text.split())) if progress else ""
    line.append("  ")
    if text:
        line.append(_end_of(text, width - line.cell_len))
    else:
        line.append(visible(row.asked), style="dim")
    return _fitted(line, width)


def _beginning(row: CallRow, took: str, width: int) -> Text:
    model_width = MODEL_WIDTH_WIDE if width >= WIDE else MODEL_WIDTH
    model = Text(visible(row.model), style="bold")
    model.truncate(model_width, overflow="ellipsis", pad=True)
    line = Text()
    if width >= NARROW:
        line.append(f"{clock(row.started_at_unix_ms)} ", style="dim")
    line.append(f"{visible(short_id(row.call_id)):<{SHORT_ID_CHARS}} ")
    line.append(f"{visible(status_of(row)):<{STATUS_WIDTH}} ", style=status_style(row))
    if width >= MODEL_FROM:
        line.append_text(model).append(" ")
    return line.append(f"{took:>{DURATION_WIDTH}}")


def _tokens(row: CallRow) -> str:
    if row.usage is None:
        return NOTHING
    return f"{tokens(row.usage.input_tokens)}→{tokens(row.usage.output_tokens)}"


def _course(row: CallRow, progress: Progress | None, now_unix_ms: int, width: int) -> str:
    """How far a running call has come. Until the first byte it is upstream that it waits for."""
    if progress is None:
        waited = now_unix_ms - row.started_at_unix_ms
        return f"waiting {_whole(waited)} on upstream" if waited > SILENT_MS else "sent"
    silent = now_unix_ms - progress.last_at_unix_ms
    came = size(progress.bytes_down) if progress.chunks else "begun"
    if progress.chunks and width >= WIDE:
        came = f"{progress.chunks:,} {'chunk' if progress.chunks == 1 else 'chunks'} {came}"
    return f"{came}, silent for {_whole(silent)}" if silent > SILENT_MS else came


def _whole(ms: float) -> str:
    seconds = int(ms // 1000)
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} m {seconds % 60:02} s"


def _end_of(text: str, room: int) -> str:
    """The end of a text, in so many cells: there is where it goes on."""
    if cell_len(text) <= room:
        return text
    start, cells = len(text), 1
    while start > 0 and cells + cell_len(text[start - 1]) <= room:
        start -= 1
        cells += cell_len(text[start])
    return f"…{text[start:]}"


def _fitted(line: Text, width: int) -> Text:
    line.rstrip()
    room = max(width, 1)
    line.truncate(room, overflow="ellipsis")
    # Terminals do not agree on how wide joined emoji are: it must fit where they are widest.
    while (excess := _cells_at_most(line.plain) - room) > 0:
        room_left = line.cell_len - excess
        if room_left <= 0:
            return Text()
        line.truncate(room_left, overflow="ellipsis")
    return line


def _cells_at_most(text: str) -> int:
    return sum(map(cell_len, text)) + text.count(EMOJI_STYLE)
