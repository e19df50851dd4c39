"""The form of a folded bundle in state.json: Codex's RolloutTrace, and our `diagnostics`."""

from collections.abc import Mapping
from typing import Protocol

from tracing.bundle_reader import PayloadRef
from tracing.events import SCHEMA_VERSION

from .conversation import show
from .fold import Fold


class _Record(Protocol):
    def as_json(self) -> dict[str, object]: ...


def state_of(fold: Fold) -> dict[str, object]:
    """The state, ready for JSON. Maps are sorted by key; tools, cells and edges are not folded."""
    _accept(fold)
    items = {item.item_id: item for item in fold.items}
    return {
        "schema_version": SCHEMA_VERSION,
        "trace_id": fold.trace_id,
        "rollout_id": fold.rollout_id,
        "started_at_unix_ms": fold.started_at_unix_ms,
        "ended_at_unix_ms": fold.ended_at_unix_ms,
        "status": fold.status,
        "recording_complete": fold.recording_complete,
        "root_thread_id": fold.root_thread_id,
        "threads": _sorted(fold.threads),
        "codex_turns": _sorted(fold.turns),
        "conversation_items": _sorted(items),
        "inference_calls": _sorted(fold.calls),
        "code_cells": {},
        "tool_calls": {},
        "terminal_sessions": {},
        "terminal_operations": {},
        "compactions": _sorted(fold.compactions),
        "compaction_requests": _sorted(fold.compaction_requests),
        "interaction_edges": {},
        "raw_payloads": {key: _payload_ref(ref) for key, ref in sorted(fold.raw_payloads.items())},
        "diagnostics": fold.diagnostics.as_json(),
    }


def _accept(fold: Fold) -> None:
    """Tell the items that the client accepted: an acceptance may have come before its item."""
    for item in fold.items:
        responses_item_id = item.content.responses_item_id
        if responses_item_id is None:
            continue
        event = fold.accepted.get((item.thread_id, responses_item_id))
        if event is not None:
            item.accepted_at_unix_ms = event.wall_time_unix_ms
            item.accepted_seq = event.seq
            show([item])


def _sorted(records: Mapping[str, _Record]) -> dict[str, object]:
    return {key: record.as_json() for key, record in sorted(records.items())}


def _payload_ref(ref: PayloadRef) -> dict[str, object]:
    return {
        "raw_payload_id": ref.raw_payload_id,
        "kind": {"type": ref.kind},
        "path": ref.path,
    }
