"""Reads calls out of the catalog's tables."""

import json
from pathlib import Path
from typing import Any

from .rows import CallKind, CallRow, Timing, Usage

CALLS = "calls c JOIN bundles b ON b.id = c.bundle"
"""What `COLUMNS` are selected from."""

IS_LIVE = "c.bundle IN (SELECT id FROM bundles WHERE is_live)"
"""Whether a call's recorder lives. To count calls, no row of their bundles is looked up."""

SHOWN_STATUS = f"iif(c.status = 'running' AND NOT {IS_LIVE}, 'lost', c.status)"
"""A call's status, where it is lost instead of running."""

_COLUMNS = (
    *("c.id", "c.kind", "b.name", "b.trace_id", "c.call_id", "c.thread_id", "c.turn_id"),
    *("c.status", "b.is_live", "c.started_at_unix_ms", "c.ended_at_unix_ms", "c.model"),
    *("c.transport", "c.http_status", "c.response_id", "c.upstream_request_id"),
    *("c.client_call_id", "c.previous_response_id", "c.retry_count", "c.protocol"),
    *("c.transport_end", "c.reason"),
    *("c.upstream_headers_ms", "c.first_event_ms", "c.first_text_ms", "c.last_event_ms"),
    *("c.ended_ms", "c.waited_on_upstream_ms", "c.waited_on_client_ms", "c.max_gap_ms"),
    *("c.input_tokens", "c.cached_input_tokens", "c.output_tokens", "c.reasoning_output_tokens"),
    *("c.events", "c.bytes_up", "c.bytes_down", "c.lost_bytes", "c.has_partial"),
    *("c.asked", "c.answered", "c.tools", "c.continues", "c.continues_by", "c.retry_of"),
    *("c.attempt", "c.conversation", "c.start_offset", "c.end_offset"),
    *("c.request_path", "c.response_path"),
)
COLUMNS = ", ".join(_COLUMNS)
COLUMN_COUNT = len(_COLUMNS)


def call_row(values: tuple[Any, ...], trace_dir: Path) -> CallRow:
    """The call that `COLUMNS` were selected of."""
    named = dict(zip(_NAMES, values, strict=True))
    name, tools = named.pop("name"), named.pop("tools")
    timing = {field: named.pop(f"{field}_ms") for field in _TIMES}
    tokens = {field: named.pop(field) for field in _TOKENS}
    return CallRow(
        **named
        | {
            "kind": CallKind(named["kind"]),
            "bundle": trace_dir / name,
            "is_live": bool(named["is_live"]),
            "has_partial": bool(named["has_partial"]),
            "timing": Timing(**timing),
            "usage": None if tokens["input_tokens"] is None else Usage(**tokens),
            "tools": tuple(json.loads(tools)),
        }
    )


_NAMES = tuple(column.partition(".")[2] for column in _COLUMNS)
_TIMES = Timing.__slots__
_TOKENS = Usage.__slots__
