"""A call as scripts get it: with the state's keys, and ours under `proxy`."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from ..catalog.catalog import Catalog
from ..catalog.conditions import bindable
from ..catalog.queries import calls_by_ids
from ..catalog.rows import CallRow


def linked_calls(catalog: Catalog, rows: Iterable[CallRow]) -> dict[int, CallRow]:
    """The calls that these ones continue or try again, by `id`."""
    ids = {link for row in rows for link in (row.continues, row.retry_of) if link is not None}
    return calls_by_ids(catalog, sorted(ids))


def call_json(row: CallRow, linked: Mapping[int, CallRow]) -> dict[str, object]:
    """One call. `linked` has the calls that it continues and tries again."""
    return {
        "inference_call_id": row.call_id,
        "thread_id": row.thread_id,
        "codex_turn_id": row.turn_id,
        "execution": {
            "started_at_unix_ms": row.started_at_unix_ms,
            "ended_at_unix_ms": row.ended_at_unix_ms,
            "status": row.status,
        },
        "model": row.model,
        "response_id": row.response_id,
        "upstream_request_id": row.upstream_request_id,
        "usage": None if row.usage is None else asdict(row.usage),
        "proxy": _ours(row, linked),
        "bundle": bindable(str(row.bundle)),
    }


def _ours(row: CallRow, linked: Mapping[int, CallRow]) -> dict[str, object]:
    continues, retry_of = (linked.get(link or 0) for link in (row.continues, row.retry_of))
    return {
        "kind": str(row.kind),
        "is_live": row.is_live,
        "transport": row.transport,
        "http_status": row.http_status,
        "outcome": {
            "protocol": row.protocol,
            "transport": row.transport_end,
            "reason": row.reason,
        },
        "timing": asdict(row.timing),
        "client_call_id": row.client_call_id,
        "previous_response_id": row.previous_response_id,
        "retry_count": row.retry_count,
        "attempt": row.attempt,
        "retry_of": None if retry_of is None else {"call": retry_of.call_id},
        "continues": (
            None if continues is None else {"call": continues.call_id, "by": row.continues_by}
        ),
        "events": row.events,
        "bytes_up": row.bytes_up,
        "bytes_down": row.bytes_down,
        "lost_bytes": row.lost_bytes,
        "has_partial": row.has_partial,
        "asked": row.asked,
        "answered": row.answered,
        "tools": list(row.tools),
    }
