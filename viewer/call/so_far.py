"""What a call's end would say of it, told from its capture while there is no end."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from reducer.fields import object_of, text_of
from tracing.capture import Kind, Piece
from tracing.request_ids import upstream_request_id
from tracing.strict_json import NotStrictJson, loads_lenient

from ..catalog.rows import CallRow, Timing
from .captured_events import CapturedEvent, head_of, is_stream
from .clock import arrival_unix_ns, since

_FIRST_TEXT = "response.output_text.delta"


def with_what_came(
    row: CallRow, pieces: Sequence[Piece], stream: Sequence[CapturedEvent]
) -> CallRow:
    """The row with what the response told so far: its status, both ids, how much came, and when."""
    head = head_of(pieces)
    request_id = row.upstream_request_id
    if head is not None:
        headers = tuple(
            (name.encode(), value.encode("utf-8", "replace")) for name, value in head[1]
        )
        request_id = upstream_request_id(headers)[0] or request_id
    return replace(
        row,
        http_status=row.http_status if head is None else head.status,
        upstream_request_id=request_id,
        response_id=row.response_id or _response_id(stream),
        events=max(row.events, len(stream)),
        bytes_down=sum(len(piece.data) for piece in pieces if piece.kind is not Kind.HEAD),
        timing=_timing(row, pieces, stream),
    )


def _timing(row: CallRow, pieces: Sequence[Piece], stream: Sequence[CapturedEvent]) -> Timing:
    """When what there is came, as the recorder would tell it; of no end, and of no wait."""
    arrival_ns = arrival_unix_ns(pieces, {}, row.started_at_unix_ms)

    def came(at_unix_ns: int | None) -> float | None:
        return None if at_unix_ns is None else round(since(arrival_ns, at_unix_ns), 3)

    events = stream if is_stream(pieces, row.transport) else ()
    texts = (event.at_unix_ns for event in events if event.type == _FIRST_TEXT)
    chunks = [piece.at_unix_ns for piece in pieces if piece.kind is not Kind.HEAD]
    gaps = (max(later - earlier, 0) for earlier, later in pairwise(chunks))
    return replace(
        row.timing,
        upstream_headers=came(pieces[0].at_unix_ns) if head_of(pieces) else None,
        first_event=came(events[0].at_unix_ns) if events else None,
        first_text=came(next(texts, None)),
        last_event=came(events[-1].at_unix_ns) if events else None,
        max_gap=round(max(gaps, default=0) / 1e6, 3) if chunks else None,
    )


def _response_id(stream: Sequence[CapturedEvent]) -> str | None:
    """The id in the first event that has one: `response.created`, as a rule the first of all."""
    for event in stream[:3]:
        try:
            value = loads_lenient(event.data or b"")
        except NotStrictJson:
            continue
        if isinstance(value, dict) and (found := text_of(object_of(value, "response"), "id")):
            return found
    return None
