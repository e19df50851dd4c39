"""Rows and stories made by hand, for what shows a call without reading one."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from viewer.call.story import Entry, EntryKind, Story, Waterfall
from viewer.catalog.rows import CallKind, CallRow, Timing

ROW = CallRow(
    id=1,
    kind=CallKind.INFERENCE,
    bundle=Path("traces/trace-1"),
    trace_id="trace-1",
    call_id="call-1",
    thread_id="thread-1",
    turn_id=None,
    status="completed",
    is_live=False,
    started_at_unix_ms=1_800_000_000_000,
    ended_at_unix_ms=1_800_000_001_200,
    model="gpt-5.5",
    transport="sse",
    http_status=200,
    response_id="resp_1",
    upstream_request_id="req_1",
    client_call_id=None,
    previous_response_id=None,
    retry_count=0,
    protocol="completed",
    transport_end="eof",
    reason=None,
    timing=Timing(upstream_headers=200.0, first_event=210.0, last_event=1190.0, ended=1200.0),
    usage=None,
    events=3,
    bytes_up=100,
    bytes_down=900,
    lost_bytes=0,
    has_partial=False,
    asked="",
    answered="",
    tools=(),
    continues=None,
    continues_by=None,
    retry_of=None,
    attempt=1,
    conversation=1,
    start_offset=0,
    end_offset=1000,
    request_path="payloads/1.json",
    response_path="payloads/2.json",
)


def row(**fields: Any) -> CallRow:
    """A call that completed, but for these fields."""
    return replace(ROW, **fields)


def said(who: str, text: str, *, kind: EntryKind = EntryKind.MESSAGE, **fields: Any) -> Entry:
    """Something that was said."""
    entry = Entry(
        kind=kind, who=who, text=text, notes=(), call_id=None, pointer="", is_partial=False
    )
    return replace(entry, **fields)


def story(
    of: CallRow = ROW,
    *,
    asked: Sequence[Entry] = (),
    output: Sequence[Entry] = (),
    **fields: Any,
) -> Story:
    """A call's story, with nothing in it but what is given."""
    empty = Story(
        row=of,
        start={},
        end={},
        instructions="",
        settings=(),
        tools=(),
        input=tuple(asked),
        output=tuple(output),
        error=None,
        waterfall=Waterfall(
            duration_ms=1200.0, is_running=False, spans=(), ticks=(), chunks=0, gaps=()
        ),
        missing=(),
    )
    return replace(empty, **fields)
