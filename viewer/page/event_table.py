"""The events of a stream as the rows of a table, one page of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..call.story import StreamEvent
from .texts import Excerpt, excerpt

EVENTS_PAGE = 200
DATA_CHARACTERS = 2000
"""What is shown of one event's data; all of it is in the raw stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """An event, how long after the one before it came, and the beginning of its data."""

    event: StreamEvent
    since_before_ms: float | None
    data: Excerpt


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    """Some of a stream's events. `previous` and `next` are where the pages beside it start."""

    rows: tuple[EventRow, ...]
    start: int
    limit: int
    total: int

    @property
    def previous(self) -> int | None:
        """Where the page before starts."""
        return max(self.start - self.limit, 0) if self.start > 0 else None

    @property
    def next(self) -> int | None:
        """Where the page after starts."""
        end = self.start + len(self.rows)
        return end if self.rows and end < self.total else None

    @property
    def last(self) -> int:
        """Where the last page starts."""
        return max(self.total - 1, 0) // self.limit * self.limit


def event_page(
    events: Sequence[StreamEvent],
    *,
    start: int,
    limit: int,
    total: int,
    before_ms: float | None,
) -> EventPage:
    """Put the events of one page in rows. `before_ms` is when the one before them came."""
    rows = []
    for event in events:
        at = event.at_ms
        rows.append(
            EventRow(
                event=event,
                since_before_ms=None if at is None or before_ms is None else at - before_ms,
                data=excerpt(event.data, DATA_CHARACTERS),
            )
        )
        before_ms = at
    return EventPage(rows=tuple(rows), start=start, limit=limit, total=total)
