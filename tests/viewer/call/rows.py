"""Rows of calls, made from a bundle's events alone, as far as reading one call needs them."""

from pathlib import Path
from typing import Any

import orjson

from viewer.catalog.rows import CallKind, CallRow, Timing

_STARTS = {
    "inference_started": "inference_call_id",
    "compaction_request_started": "compaction_request_id",
}
_ENDS = ("_completed", "_failed", "_cancelled")


def rows_of(bundle: Path, *, is_live: bool = False) -> list[CallRow]:
    """A row for each call, in the order of their starts."""
    events: list[tuple[int, dict[str, Any]]] = []
    offset = 0
    for line in (bundle / "trace.jsonl").read_bytes().splitlines(keepends=True):
        events.append((offset, orjson.loads(line)))
        offset += len(line)
    ends = {
        call_of(event["payload"]): (at, event)
        for at, event in events
        if event["payload"]["type"].endswith(_ENDS) and call_of(event["payload"])
    }
    starts = [(at, event) for at, event in events if event["payload"]["type"] in _STARTS]
    return [
        _row(number, bundle, at, event, ends.get(call_of(event["payload"])), is_live=is_live)
        for number, (at, event) in enumerate(starts, start=1)
    ]


def call_of(payload: dict[str, Any]) -> str:
    """The call that an event is of."""
    found = payload.get("inference_call_id") or payload.get("compaction_request_id")
    return found if isinstance(found, str) else ""


def _row(
    number: int,
    bundle: Path,
    offset: int,
    event: dict[str, Any],
    ended: tuple[int, dict[str, Any]] | None,
    *,
    is_live: bool,
) -> CallRow:
    payload = event["payload"]
    end_offset, end = ended or (None, None)
    result: dict[str, Any] = end["payload"] if end else {}
    start_proxy, end_proxy = payload.get("proxy", {}), result.get("proxy", {})
    response = (
        result.get("response_payload")
        or result.get("partial_response_payload")
        or end_proxy.get("response_payload")
        or {}
    )
    outcome = end_proxy.get("outcome", {})
    return CallRow(
        id=number,
        kind=CallKind.COMPACTION if "compaction" in payload["type"] else CallKind.INFERENCE,
        bundle=bundle,
        trace_id=bundle.name.removeprefix("trace-"),
        call_id=call_of(payload),
        thread_id=payload["thread_id"],
        turn_id=payload["codex_turn_id"],
        status=result.get("type", "_running").rpartition("_")[2],
        is_live=is_live,
        started_at_unix_ms=event["wall_time_unix_ms"],
        ended_at_unix_ms=end["wall_time_unix_ms"] if end else None,
        model=payload["model"],
        transport=start_proxy.get("transport", ""),
        http_status=end_proxy.get("http_status"),
        response_id=result.get("response_id") or end_proxy.get("response_id"),
        upstream_request_id=result.get("upstream_request_id"),
        client_call_id=start_proxy.get("client_call_id"),
        previous_response_id=None,
        retry_count=start_proxy.get("retry_count", 0),
        protocol=outcome.get("protocol"),
        transport_end=outcome.get("transport"),
        reason=outcome.get("reason") or result.get("error") or result.get("reason"),
        timing=Timing(),
        usage=None,
        events=end_proxy.get("events", 0),
        bytes_up=0,
        bytes_down=end_proxy.get("bytes_down", 0),
        lost_bytes=0,
        has_partial=False,
        asked="",
        answered="",
        tools=(),
        continues=None,
        continues_by=None,
        retry_of=None,
        attempt=1,
        conversation=number,
        start_offset=offset,
        end_offset=end_offset,
        request_path=payload.get("request_payload", {}).get("path"),
        response_path=response.get("path"),
    )
