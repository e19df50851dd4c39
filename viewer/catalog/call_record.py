"""What the catalog's row of a call holds, from its events and payloads: values, and no database.

Statuses, ids, times and tokens are what the reducer says of the same events.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from reducer.fields import object_of, text_of
from tracing.bundle_reader import RawEvent

from .item_texts import answered_in, asked_in, clean, partial_in, tools_in
from .rows import CallKind

Value = str | int | float | None
Columns = dict[str, Value]

INTEGER_MAX = 2**63 - 1
"""What SQLite can hold; what is beyond was counted by nobody."""

REASON_CHARS_MAX = 2_000
"""An upstream may send a page of HTML as its error; the bundle has all of it."""

TIMES = (
    *("upstream_headers", "first_event", "first_text", "last_event", "ended"),
    *("waited_on_upstream", "waited_on_client", "max_gap"),
)
TOKENS = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens")
_TOLD = (
    *("transport", "http_status", "client_call_id", "retry_count", "protocol", "transport_end"),
    *("reason", *(f"{name}_ms" for name in TIMES), "events", "bytes_down", "lost_bytes"),
)
CHANGED_BY_END = (
    *("status", "response_id", "upstream_request_id", "bytes_up", "has_partial", *TOKENS, *_TOLD),
)
"""Columns that the end of a call may fill, and does so by what is in them."""

_NO_TIMES: Columns = {f"{name}_ms": None for name in TIMES}

STATUS_OF_CALLS_IN_TURN = {
    "completed": "cancelled",
    "cancelled": "cancelled",
    "failed": "failed",
    "aborted": "aborted",
}
"""How the calls end that still run when their turn ends, as the reducer has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStart:
    """Who a call is, as the event says that begins it."""

    kind: CallKind
    call_id: str
    thread_id: str
    turn_id: str


def call_start(event: RawEvent) -> CallStart | None:
    """Read the beginning of a call; None where the event lacks what a call needs."""
    kind = kind_of(event)
    call_id = call_id_of(event)
    thread_id, turn_id = (
        text_of(event.payload, "thread_id"),
        text_of(event.payload, "codex_turn_id"),
    )
    if call_id is None or thread_id is None or turn_id is None:
        return None
    if kind is CallKind.COMPACTION and text_of(event.payload, "compaction_id") is None:
        return None
    return CallStart(kind=kind, call_id=call_id, thread_id=thread_id, turn_id=turn_id)


def kind_of(event: RawEvent) -> CallKind:
    """Which kind of call an event is of."""
    is_compaction = event.type.startswith("compaction_request_")
    return CallKind.COMPACTION if is_compaction else CallKind.INFERENCE


def call_id_of(event: RawEvent) -> str | None:
    """The call that an event is of."""
    is_compaction = kind_of(event) is CallKind.COMPACTION
    return text_of(event.payload, "compaction_request_id" if is_compaction else "inference_call_id")


def started(event: RawEvent, start: CallStart, request: Mapping[str, object]) -> Columns:
    """The values of a call that begins; `request` is empty where it could not be read."""
    proxy = object_of(event.payload, "proxy")
    return {
        "kind": start.kind,
        "call_id": start.call_id,
        "thread_id": start.thread_id,
        "turn_id": start.turn_id,
        "status": "running",
        "started_at_unix_ms": event.wall_time_unix_ms,
        "ended_at_unix_ms": None,
        "model": text_of(event.payload, "model") or "",
        "response_id": text_of(proxy, "response_id"),
        "upstream_request_id": None,
        "previous_response_id": text_of(request, "previous_response_id"),
        **dict.fromkeys(TOKENS),
        **_of_proxy(proxy),
        "bytes_up": _whole(object_of(proxy, "request").get("bytes")) or 0,
        "has_partial": 0,
        "asked": asked_in(request),
        "answered": "",
        "tools": "[]",
    }


def ended(
    event: RawEvent, before: Mapping[str, Value], response: Mapping[str, object] | None
) -> Columns:
    """The values that the end of a call changes; `response` is None where none could be read.

    It may have ended before: then the first status and time stay, and what was told stays told.
    """
    proxy = object_of(event.payload, "proxy")
    is_compaction = kind_of(event) is CallKind.COMPACTION
    found: Columns = {}
    if is_compaction or before["status"] == "running":
        found["status"] = event.type.rpartition("_")[2]
        found["ended_at_unix_ms"] = event.wall_time_unix_ms
    told = _of_proxy(proxy)
    told["reason"] = told["reason"] or _reason(event)
    if "status" in found and not proxy and not before["transport"]:
        told["ended_ms"] = _between(before["started_at_unix_ms"], event.wall_time_unix_ms)
    found |= _told(before, told, is_newest=is_compaction)
    found["bytes_up"] = _whole(proxy.get("bytes_up")) or before["bytes_up"]
    found |= _ids(event, before, response or {})
    if response is not None:
        found |= _answer(response, before)
    return found


def _between(started_at_unix_ms: Value, ended_at_unix_ms: int) -> float | None:
    """How long a call took that Codex recorded itself, which times nothing but its events."""
    if not isinstance(started_at_unix_ms, int) or ended_at_unix_ms < started_at_unix_ms:
        return None
    return float(ended_at_unix_ms - started_at_unix_ms)


def _told(before: Mapping[str, Value], told: Columns, *, is_newest: bool) -> Columns:
    """What was not known yet; of a compaction, what is told last."""
    return {
        name: value
        for name, value in told.items()
        if value not in {None, ""} and (is_newest or before[name] in {None, "", 0})
    }


def _of_proxy(proxy: Mapping[str, object]) -> Columns:
    """What the recorder says of a call, at its start or at its end."""
    outcome = object_of(proxy, "outcome")
    return {
        "transport": text_of(proxy, "transport") or "",
        "http_status": _whole(proxy.get("http_status")),
        "client_call_id": text_of(proxy, "client_call_id"),
        "retry_count": _whole(proxy.get("retry_count")) or 0,
        "protocol": text_of(outcome, "protocol"),
        "transport_end": text_of(outcome, "transport"),
        "reason": _shortened(text_of(outcome, "reason")),
        **_times(object_of(proxy, "timing")),
        "events": _whole(proxy.get("events")) or 0,
        "bytes_down": _whole(proxy.get("bytes_down")) or 0,
        "lost_bytes": _whole(object_of(proxy, "capture").get("lost_bytes")) or 0,
    }


def _times(timing: Mapping[str, object]) -> Columns:
    if not timing:
        return _NO_TIMES
    return {f"{name}_ms": _number(timing.get(name)) for name in TIMES}


def _ids(event: RawEvent, before: Mapping[str, Value], response: Mapping[str, object]) -> Columns:
    """Both ids. The response's is known from the wire where the event has none.

    Codex first kept `response.id` under the name of the other, and had no `response_id` then.
    """
    own, upstream_request_id = None, text_of(event.payload, "upstream_request_id")
    if event.type == "inference_completed":
        own = text_of(event.payload, "response_id")
        is_old = event.schema_version == 1 and "response_id" not in event.payload
        if is_old and upstream_request_id is not None:
            own, upstream_request_id = upstream_request_id, None
    elif kind_of(event) is CallKind.COMPACTION:
        # Codex's events of compactions have no place for it.
        upstream_request_id = text_of(response, "upstream_request_id")
    from_wire = text_of(object_of(event.payload, "proxy"), "response_id")
    return {
        "response_id": own
        or before["response_id"]
        or from_wire
        or text_of(response, "response_id"),
        "upstream_request_id": before["upstream_request_id"]
        if upstream_request_id is None
        else upstream_request_id,
    }


def _answer(response: Mapping[str, object], before: Mapping[str, Value]) -> Columns:
    """What came. Tokens are known where all are; an earlier count stays where none is told."""
    usage = object_of(response, "token_usage")
    counts = {name: _tokens(usage.get(name)) for name in TOKENS}
    return {
        **(counts if None not in counts.values() else {name: before[name] for name in TOKENS}),
        "has_partial": int(bool(before["has_partial"] or partial_in(response))),
        "answered": answered_in(response),
        "tools": json.dumps(tools_in(response)),
    }


def _reason(event: RawEvent) -> str | None:
    """Why a call ended as it did, where the recorder does not say it: as Codex's events have it."""
    return _shortened(text_of(event.payload, "error") or text_of(event.payload, "reason"))


def _shortened(text: str | None) -> str | None:
    return None if text is None else clean(text[:REASON_CHARS_MAX])


def _whole(value: object) -> int | None:
    """A count, which is never below zero."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= INTEGER_MAX:
        return None
    return value


def _tokens(value: object) -> int | None:
    """A count of tokens; below zero it counts as zero, as in the reducer."""
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > INTEGER_MAX:
        return None
    return max(value, 0)


def _number(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return float(value)
