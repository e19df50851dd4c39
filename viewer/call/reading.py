"""Reads one call from its bundle: the story that the terminal and the page tell, and the raw parts.

All of it raises CallUnreadable where the bundle does not hold the call any more.
"""

from collections.abc import Mapping, Sequence

from reducer.fields import list_of, object_of
from tracing.capture import Kind, Piece
from tracing.strict_json import NotStrictJson, loads_lenient

from ..catalog.rows import CallRow
from .captured_events import CapturedEvent, events_of, is_stream
from .clock import arrival_unix_ns, since
from .course import course_of
from .entries import has_output_of_unknown, tool_names
from .event_summary import event_summary
from .evidence import (
    CallEvents,
    CallUnreadable,
    PayloadRead,
    read_captured,
    read_events,
    read_payload,
)
from .missing import missing_of
from .request_story import input_of, instructions_of, settings_of, tools_of
from .response_story import error_of, output_of, response_so_far
from .so_far import with_what_came
from .story import Story, StreamEvent
from .waterfall import waterfall

__all__ = [
    "CallUnreadable",
    "answer_so_far",
    "partial_items",
    "raw_request",
    "raw_response",
    "raw_stream",
    "read_story",
    "stream_events",
]


def read_story(row: CallRow, before: CallRow | None = None) -> Story:
    """Tell a call: what it was asked, what came and when, how it ended, and what is missing.

    `before` is the call that it continues: where the request holds what a tool gave, and not that
    it was called, the response before tells which tool it was.
    """
    events = read_events(row)
    request = read_payload(row.bundle, row.request_path)
    response = read_payload(row.bundle, row.response_path)
    captured = read_captured(row, events)
    stream = events_of(captured.pieces, row.transport)
    if not events.end:
        row = with_what_came(row, captured.pieces, stream)
    answer = response.value if events.end else response_so_far(stream)
    is_streamed = is_stream(captured.pieces, row.transport)
    course = course_of(row, events, captured, stream, is_streamed=is_streamed)
    return Story(
        row=row,
        start=events.start_proxy,
        end=events.end_proxy,
        instructions=instructions_of(request.value),
        settings=settings_of(request.value),
        tools=tools_of(request.value),
        input=input_of(request.value, _tools_called(request.value.get("input"), before)),
        output=output_of(answer),
        error=error_of(row, events.end, response.value),
        waterfall=waterfall(course),
        missing=missing_of(row, events, request, response, captured),
    )


def _tools_called(asked: object, before: CallRow | None) -> Mapping[str, str]:
    """The tools that the call before called, by the ids of their calls, where it matters."""
    if before is None or not has_output_of_unknown(asked):
        return {}
    try:
        response = _payload(before, before.response_path).value
    except CallUnreadable:
        return {}
    return tool_names(list_of(response, "output_items") or [])


def stream_events(row: CallRow, *, start: int, limit: int) -> tuple[list[StreamEvent], int]:
    """The events from `start` on, `limit` of them at most, and how many there are in all."""
    events = read_events(row)
    pieces = read_captured(row, events).pieces
    stream = events_of(pieces, row.transport)
    arrival_ns = _arrival_ns(row, events, pieces)
    page = stream[max(start, 0) : max(start, 0) + max(limit, 0)]
    return [
        _told(index, since(arrival_ns, event.at_unix_ns), event)
        for index, event in enumerate(page, start=max(start, 0))
    ], len(stream)


def _arrival_ns(row: CallRow, events: CallEvents, pieces: Sequence[Piece]) -> int:
    timing = object_of(events.end_proxy, "timing")
    return arrival_unix_ns(pieces, timing, row.started_at_unix_ms)


def _told(index: int, at_ms: float, event: CapturedEvent) -> StreamEvent:
    data = event.data
    if data is None:
        summary, number, text = "too large to be read here", None, ""
    else:
        value = _parsed(data)
        found = value.get("sequence_number") if isinstance(value, dict) else None
        number = found if type(found) is int else None
        summary, text = event_summary(value), data.decode(errors="replace")
    return StreamEvent(
        index=index,
        at_ms=round(at_ms, 3),
        type=event.type,
        size=len(data or b""),
        sequence_number=number,
        summary=summary,
        data=text,
    )


def _parsed(data: bytes) -> object:
    try:
        return loads_lenient(data)
    except NotStrictJson:
        return None


def partial_items(row: CallRow) -> list[object]:
    """`[{"output_index", "item"}]`: what was in progress when the call ended, or is by now."""
    response = read_payload(row.bundle, row.response_path).value
    if not read_events(row).end:
        response = answer_so_far(row)
    return list_of(object_of(response, "proxy"), "partial_items") or []


def answer_so_far(row: CallRow) -> Mapping[str, object]:
    """What stands in the place of the response of a call that has not ended."""
    return response_so_far(events_of(read_captured(row, read_events(row)).pieces, row.transport))


def raw_request(row: CallRow) -> bytes | None:
    """The request's payload, byte for byte; None where there is none to be had."""
    return _payload(row, row.request_path).data


def raw_response(row: CallRow) -> bytes | None:
    """The response's payload, byte for byte; None where there is none, or none yet."""
    return _payload(row, row.response_path).data


def _payload(row: CallRow, path: str | None) -> PayloadRead:
    read_events(row)  # the payload's name alone does not say whose it is
    return read_payload(row.bundle, path)


def raw_stream(row: CallRow) -> bytes | None:
    """The response as it came, decoded; of a WebSocket its messages, one a line."""
    pieces = read_captured(row, read_events(row)).pieces
    if not pieces:
        return None
    return b"".join(
        piece.data + b"\n" if piece.kind is Kind.MESSAGE else piece.data
        for piece in pieces
        if piece.kind is not Kind.HEAD
    )
