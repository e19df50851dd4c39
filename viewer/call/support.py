"""What may be shown to anybody about a call: ids, times, sizes and shape, and no content at all.

Whatever a client or a model may have written is left out, down to the names of tools. Of texts
from the wire only those pass that stand in a list here, and ids.
"""

import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib import metadata

from reducer.fields import list_of, object_of, text_of
from tracing.strict_json import dumps

from ..catalog.rows import CallRow
from .captured_events import events_of
from .evidence import CallEvents, read_captured, read_events, read_payload
from .so_far import with_what_came

ITEM_TYPES = frozenset(
    [
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
        "local_shell_call",
        "local_shell_call_output",
        "shell_call",
        "shell_call_output",
        "apply_patch_call",
        "apply_patch_call_output",
        "web_search_call",
        "file_search_call",
        "computer_call",
        "computer_call_output",
        "code_interpreter_call",
        "image_generation_call",
        "mcp_call",
        "mcp_list_tools",
        "mcp_approval_request",
        "mcp_approval_response",
        "tool_search_call",
        "tool_search_output",
        "compaction",
        "compaction_summary",
        "context_compaction",
        "item_reference",
    ]
)
TOOL_TYPES = frozenset(
    [
        "function",
        "custom",
        "local_shell",
        "shell",
        "apply_patch",
        "web_search",
        "web_search_preview",
        "file_search",
        "computer",
        "computer_use_preview",
        "code_interpreter",
        "image_generation",
        "mcp",
        "tool_search",
        "namespace",
    ]
)
ROLES = frozenset({"user", "assistant", "system", "developer"})
STATUSES = frozenset(
    {"completed", "failed", "incomplete", "cancelled", "queued", "in_progress", "aborted"}
)
PLAIN_SETTINGS = (
    *("background", "max_output_tokens", "max_tool_calls", "parallel_tool_calls", "store"),
    *("stream", "temperature", "top_logprobs", "top_p"),
)
"""Settings that are told where they are numbers or booleans."""

HEADERS = re.compile(
    r"x-ratelimit-[a-z-]{1,40}|retry-after(-ms)?|openai-(processing-ms|version|model)|date"
    r"|x-request-id|x-oai-request-id|apim-request-id|x-amzn-requestid|cf-ray|x-should-retry"
)
_CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+){0,7}\Z")
_CODE_CHARACTERS_MAX = 48
_MODEL = re.compile(r"[A-Za-z0-9_.:/@-]{1,128}\Z")
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}\Z")
_HEADER_CHARACTERS_MAX = 128
_OTHER = "other"


def support_packet(row: CallRow) -> dict[str, object]:
    """Gather it. Raises CallUnreadable."""
    events = read_events(row)
    request = read_payload(row.bundle, row.request_path)
    response = read_payload(row.bundle, row.response_path)
    if not events.end:
        pieces = read_captured(row, events).pieces
        row = with_what_came(row, pieces, events_of(pieces, row.transport))
    return {
        "tool": f"tailrace {_version()}",
        "ids": _ids(row, events),
        "call": _call(row, events),
        "timing_ms": asdict(row.timing),
        "usage": None if row.usage is None else asdict(row.usage),
        "response_headers": _headers(object_of(events.end_proxy, "response_headers")),
        "request": {
            "bytes": None if request.data is None else len(request.data),
            **_request_shape(request.value),
        },
        "response": {
            "bytes": row.bytes_down,
            "events": row.events,
            "last_sequence_number": _number(events.end_proxy.get("last_sequence_number")),
            "lost_bytes": row.lost_bytes,
            "error_code": _error_code(response.value),
            "items": _items(response.value.get("output_items")),
            "items_in_progress": _items(_partial(response.value)),
        },
    }


def _version() -> str:
    try:
        return metadata.version("tailrace")
    except metadata.PackageNotFoundError:  # run from a checkout that was never installed
        return "unknown"


def _ids(row: CallRow, events: CallEvents) -> dict[str, object]:
    client = object_of(events.start_proxy, "client")
    handshake = object_of(events.start_proxy, "handshake")
    return {
        "upstream_request_id": _id(row.upstream_request_id),
        "upstream_request_id_header": _id(text_of(events.end_proxy, "upstream_request_id_header")),
        "response_id": _id(row.response_id),
        "previous_response_id": _id(row.previous_response_id),
        "handshake_request_id": _id(text_of(handshake, "upstream_request_id")),
        "client_request_id": _id(text_of(client, "client_request_id")),
        "call_id": _id(row.call_id),
    }


def _call(row: CallRow, events: CallEvents) -> dict[str, object]:
    client = object_of(events.start_proxy, "client")
    return {
        "kind": str(row.kind),
        "status": _known(row.shown_status, {*STATUSES, "running", "lost"}),
        "protocol": _known(row.protocol, {*STATUSES, "error", "none"}),
        "transport_end": _known(
            row.transport_end, {"eof", "upstream_error", "client_closed", "timeout", "shutdown"}
        ),
        "http_status": row.http_status,
        "started_at": _utc(row.started_at_unix_ms),
        "ended_at": None if row.ended_at_unix_ms is None else _utc(row.ended_at_unix_ms),
        # How long it has been silent tells most of a call that hangs.
        "as_of": _utc(time.time_ns() // 1_000_000) if row.shown_status == "running" else None,
        "model": row.model if _MODEL.match(row.model) else _OTHER,
        "transport": _known(row.transport, {"http", "sse", "websocket"}),
        "client": _cut(text_of(client, "user_agent")),
        "retry_count": row.retry_count,
        "attempt": row.attempt,
    }


def _request_shape(request: Mapping[str, object]) -> dict[str, object]:
    """How much there is of what, in a request's body."""
    instructions = request.get("instructions")
    items = request.get("input")
    kinds = (_kind(tool, TOOL_TYPES) for tool in list_of(request, "tools") or ())
    return {
        "settings": {
            name: value
            for name in PLAIN_SETTINGS
            if isinstance(value := request.get(name), bool | int | float)
        },
        "instructions_characters": len(instructions) if isinstance(instructions, str) else 0,
        "tools": dict(Counter(kinds)),
        "items": {"string": {"count": 1, "bytes": _size(items)}}
        if isinstance(items, str)
        else _items(items),
    }


def _items(items: object) -> dict[str, dict[str, int]]:
    """Items by type, and messages by role: how many, and how large in all as JSON."""
    found: dict[str, dict[str, int]] = {}
    for item in items if isinstance(items, list) else ():
        kind = _kind(item, ITEM_TYPES)
        if isinstance(item, dict) and (kind == "message" or (kind == _OTHER and "role" in item)):
            kind = f"message {_known(text_of(item, 'role'), ROLES)}"
        counted = found.setdefault(kind, {"count": 0, "bytes": 0})
        counted["count"] += 1
        counted["bytes"] += _size(item)
    return found


def _partial(response: Mapping[str, object]) -> list[object]:
    partial = list_of(object_of(response, "proxy"), "partial_items") or ()
    return [entry.get("item") for entry in partial if isinstance(entry, dict)]


def _error_code(response: Mapping[str, object]) -> str | None:
    """The code of an error's body, if it looks like one."""
    body = object_of(response, "proxy").get("body")
    error = object_of(body, "error") if isinstance(body, dict) else {}
    code = text_of(error, "code") or text_of(error, "type")
    is_code = code is not None and len(code) <= _CODE_CHARACTERS_MAX and _CODE.match(code)
    return code if is_code else None


def _headers(headers: Mapping[str, object]) -> dict[str, str]:
    return {
        name.lower(): value[:_HEADER_CHARACTERS_MAX]
        for name, value in headers.items()
        if isinstance(value, str) and HEADERS.fullmatch(name.lower())
    }


def _kind(item: object, known: frozenset[str]) -> str:
    return _known(text_of(item, "type"), known) or _OTHER if isinstance(item, dict) else _OTHER


def _known(name: str | None, known: Iterable[str]) -> str | None:
    if not name:
        return None
    return name if name in known else _OTHER


def _id(value: str | None) -> str | None:
    return value if value is not None and _ID.match(value) else None


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:_HEADER_CHARACTERS_MAX]


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _size(value: object) -> int:
    return len(dumps(value))


def _utc(unix_ms: int) -> str | None:
    try:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(unix_ms // 1000))
    except (OverflowError, ValueError, OSError):
        return None  # no clock wrote that
    return f"{seconds}.{unix_ms % 1000:03}Z"
