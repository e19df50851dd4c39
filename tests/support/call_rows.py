"""A catalog's row of a call, for what only reads rows."""

from pathlib import Path
from typing import Any
from uuid import UUID

from viewer.catalog.rows import CallKind, CallRow, Timing

STARTED_UNIX_MS = 1_700_000_000_000


def call_row(number: int = 1, bundle: Path = Path("traces/trace-1"), **changes: Any) -> CallRow:
    """The row of the test's call of this number, which runs unless these values say otherwise."""
    call_id = str(UUID(int=number))
    row: dict[str, Any] = {
        "id": number,
        "kind": CallKind.INFERENCE,
        "bundle": bundle,
        "trace_id": bundle.name.removeprefix("trace-"),
        "call_id": call_id,
        "thread_id": f"thread:{call_id}",
        "turn_id": f"turn:{call_id}",
        "status": "running",
        "is_live": True,
        "started_at_unix_ms": STARTED_UNIX_MS,
        "ended_at_unix_ms": None,
        "model": "gpt-5.5",
        "transport": "sse",
        "http_status": None,
        "response_id": None,
        "upstream_request_id": None,
        "client_call_id": None,
        "previous_response_id": None,
        "retry_count": 0,
        "protocol": None,
        "transport_end": None,
        "reason": None,
        "timing": Timing(),
        "usage": None,
        "events": 0,
        "bytes_up": 0,
        "bytes_down": 0,
        "lost_bytes": 0,
        "has_partial": False,
        "asked": "",
        "answered": "",
        "tools": (),
        "continues": None,
        "continues_by": None,
        "retry_of": None,
        "attempt": 1,
        "conversation": number,
        "start_offset": 0,
        "end_offset": None,
        "request_path": None,
        "response_path": None,
    }
    return CallRow(**(row | changes))
