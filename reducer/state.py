"""The form of a folded bundle in state.json: Codex's RolloutTrace, and our `diagnostics`."""

from collections.abc import Iterator, Mapping
from typing import Protocol

import orjson

from tracing.bundle_reader import PayloadRef
from tracing.events import SCHEMA_VERSION

from .conversation import show
from .edges import settle
from .fold import Fold


class _Record(Protocol):
    def as_json(self) -> dict[str, object]: ...


class _Records(dict[str, _Record]):
    """One map of the state, by id in order; the records take their form one by one."""


def state_of(fold: Fold) -> dict[str, object]:
    """The state, ready for JSON. Maps are sorted by key."""
    return {
        key: {name: record.as_json() for name, record in value.items()}
        if isinstance(value, _Records)
        else value
        for key, value in _sections(fold).items()
    }


def state_chunks(fold: Fold) -> Iterator[bytes]:
    """The bytes of state.json, as `state_of` tells them, without ever holding them all."""
    separator = b"{"
    for key, value in _sections(fold).items():
        yield separator + b"\n  " + orjson.dumps(key) + b": "
        separator = b","
        if isinstance(value, _Records) and value:
            yield from _record_chunks(value)
        else:
            yield _indented(value, b"\n  ")
    yield b"\n}\n"


def _record_chunks(records: _Records) -> Iterator[bytes]:
    separator = b"{"
    for name, record in records.items():
        prefix = separator + b"\n    " + orjson.dumps(name) + b": "
        yield prefix + _indented(record.as_json(), b"\n    ")
        separator = b","
    yield b"\n  }"


def _indented(value: object, line_start: bytes) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).replace(b"\n", line_start)


def _sections(fold: Fold) -> dict[str, object]:
    """The keys of the state in their order."""
    _accept(fold)
    settle(fold)
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
        "code_cells": _sorted(fold.runtime.cells),
        "tool_calls": _sorted(fold.runtime.tool_calls),
        "terminal_sessions": _sorted(fold.runtime.sessions),
        "terminal_operations": _sorted(fold.runtime.operations),
        "compactions": _sorted(fold.compactions),
        "compaction_requests": _sorted(fold.compaction_requests),
        "interaction_edges": _sorted(fold.runtime.edges),
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


def _sorted(records: Mapping[str, _Record]) -> _Records:
    return _Records(sorted(records.items()))


def _payload_ref(ref: PayloadRef) -> dict[str, object]:
    return {
        "raw_payload_id": ref.raw_payload_id,
        "kind": {"type": ref.kind},
        "path": ref.path,
    }
