"""What is known of a call's time, from its events and its capture."""

import time
from collections.abc import Mapping, Sequence

from reducer.fields import list_of, object_of
from tracing.capture import Kind

from ..catalog.rows import CallRow
from .captured_events import CapturedEvent
from .clock import arrival_unix_ns, milliseconds, since
from .event_marks import marks_of
from .evidence import CallEvents
from .pieces import Captured
from .waterfall import Course


def course_of(
    row: CallRow,
    events: CallEvents,
    captured: Captured,
    stream: Sequence[CapturedEvent],
    *,
    is_streamed: bool,
) -> Course:
    """Gather the times. A call that runs is taken to last until now, where its recorder lives."""
    timing = object_of(events.end_proxy, "timing")
    arrival_ns = arrival_unix_ns(captured.pieces, timing, row.started_at_unix_ms)
    chunks = [since(arrival_ns, p.at_unix_ns) for p in captured.pieces if p.kind is not Kind.HEAD]
    timed = [(since(arrival_ns, event.at_unix_ns), event) for event in stream]
    marks = marks_of(timed) if is_streamed else []
    first_event_ms = milliseconds(timing, "first_event")
    if first_event_ms is None and marks:
        first_event_ms = timed[0][0]
    head = captured.pieces[0] if captured.pieces else None
    headers_ms = milliseconds(timing, "upstream_headers")
    if headers_ms is None and head is not None and head.kind is Kind.HEAD:
        headers_ms = since(arrival_ns, head.at_unix_ns)
    return Course(
        duration_ms=_duration(row, timing, chunks),
        is_running=row.shown_status == "running",
        is_observed=bool(events.start_proxy),
        request_ms=milliseconds(timing, "request_ended"),
        headers_ms=headers_ms,
        first_event_ms=first_event_ms,
        last_event_ms=milliseconds(timing, "last_event"),
        marks=marks,
        chunks=chunks,
        client_blocked=_client_blocked(events.end_proxy),
        waited_on_client_ms=milliseconds(timing, "waited_on_client") or 0.0,
    )


def _duration(row: CallRow, timing: Mapping[str, object], chunks: Sequence[float]) -> float:
    ended = milliseconds(timing, "ended")
    if ended is not None:
        return ended
    if row.ended_at_unix_ms is not None:
        return float(max(row.ended_at_unix_ms - row.started_at_unix_ms, 0))
    if row.shown_status == "running":
        return max(time.time() * 1000 - row.started_at_unix_ms, 0.0)
    return max(chunks, default=0.0)


def _client_blocked(end_proxy: Mapping[str, object]) -> list[tuple[float, float]] | None:
    stretches = list_of(end_proxy, "client_blocked")
    if stretches is None:
        return None
    found = []
    for stretch in stretches:
        match stretch:
            case [int() | float() as begin, int() | float() as end]:
                found.append((float(begin), float(end)))
    return found
