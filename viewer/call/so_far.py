"""What a call's end would say of it, told from its capture while there is no end."""

from collections.abc import Sequence
from dataclasses import replace

from reducer.fields import object_of, text_of
from tracing.capture import Kind, Piece
from tracing.request_ids import upstream_request_id
from tracing.strict_json import NotStrictJson, loads_lenient

from ..catalog.rows import CallRow
from .captured_events import CapturedEvent, head_of


def with_what_came(
    row: CallRow, pieces: Sequence[Piece], stream: Sequence[CapturedEvent]
) -> CallRow:
    """The row with what the response told so far: its status, both ids, and how much came."""
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
