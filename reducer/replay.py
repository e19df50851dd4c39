"""Replays a bundle into a state: pure, total, deterministic. Odd evidence is told, never raised."""

from collections.abc import Callable, Mapping
from pathlib import Path

import orjson

from tracing.bundle_reader import BundleReader, DamagedLine, RawEvent, TornTail
from tracing.events import SCHEMA_VERSION

from . import compaction, inference, rollout, threads
from .diagnostics import Code
from .fields import text_of
from .fold import Fold
from .state import state_of

Folder = Callable[[Fold, RawEvent], None]

FOLDERS: Mapping[str, Folder] = {
    "rollout_started": rollout.fold_rollout_started,
    "rollout_ended": rollout.fold_rollout_ended,
    "recording_completed": rollout.fold_recording_completed,
    "history_item_accepted": rollout.fold_history_item_accepted,
    "protocol_event_observed": rollout.fold_observed,
    "thread_started": threads.fold_thread_started,
    "thread_ended": threads.fold_thread_ended,
    "thread_resumed": threads.fold_thread_resumed,
    "codex_turn_started": threads.fold_turn_started,
    "codex_turn_ended": threads.fold_turn_ended,
    "inference_started": inference.fold_started,
    "inference_completed": inference.fold_terminal,
    "inference_failed": inference.fold_terminal,
    "inference_cancelled": inference.fold_terminal,
    "compaction_request_started": compaction.fold_request_started,
    "compaction_request_completed": compaction.fold_request_ended,
    "compaction_request_failed": compaction.fold_request_ended,
    "compaction_installed": compaction.fold_installed,
    "tool_call_started": rollout.fold_unsupported,
    "tool_call_runtime_started": rollout.fold_unsupported,
    "tool_call_runtime_ended": rollout.fold_unsupported,
    "tool_call_ended": rollout.fold_unsupported,
    "mcp_tool_call_correlation_assigned": rollout.fold_unsupported,
    "stdin_target_resolved": rollout.fold_unsupported,
    "code_cell_started": rollout.fold_unsupported,
    "code_cell_initial_response": rollout.fold_unsupported,
    "code_cell_ended": rollout.fold_unsupported,
    "agent_result_observed": rollout.fold_unsupported,
}


def reduce_bundle(path: Path) -> dict[str, object]:
    """Replay the bundle in a directory into the state that state.json holds.

    Raises NotABundle where the directory holds none, and OSError where the event log cannot be
    read; nothing else, whatever the bundle holds.
    """
    reader = BundleReader(path)
    fold = _begin(reader)
    expected_seq = 1
    for line in reader.events():
        match line:
            case TornTail(offset=offset, size=size):
                fold.odd(Code.TORN_TAIL, f"{size} bytes at offset {offset} are no event")
            case DamagedLine(line_number=number, reason=reason):
                fold.odd(Code.DAMAGED_LINE, f"line {number}: {reason}")
            case RawEvent():
                _apply(fold, line, expected_seq)
                expected_seq = line.seq + 1
    return state_of(fold)


def state_bytes(state: Mapping[str, object]) -> bytes:
    """The bytes of state.json: the same for the same bundle, wherever it is reduced."""
    return orjson.dumps(state, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _begin(reader: BundleReader) -> Fold:
    manifest = reader.manifest
    started_at = manifest.get("started_at_unix_ms")
    has_time = isinstance(started_at, int) and not isinstance(started_at, bool)
    fold = Fold(
        reader=reader,
        trace_id=text_of(manifest, "trace_id") or "",
        rollout_id=text_of(manifest, "rollout_id") or "",
        root_thread_id=text_of(manifest, "root_thread_id") or "",
        started_at_unix_ms=started_at if isinstance(started_at, int) and has_time else 0,
    )
    for key in ("trace_id", "rollout_id", "root_thread_id"):
        if text_of(manifest, key) is None:
            fold.odd(Code.MANIFEST_FIELD, f"{key} is no string")
    if not has_time:
        fold.odd(Code.MANIFEST_FIELD, "started_at_unix_ms is no whole number")
    if manifest.get("schema_version") != SCHEMA_VERSION:
        fold.odd(Code.SCHEMA_VERSION, f"the manifest is not of version {SCHEMA_VERSION}")
    return fold


def _apply(fold: Fold, event: RawEvent, expected_seq: int) -> None:
    fold.diagnostics.seq = event.seq
    _check_envelope(fold, event, expected_seq)
    folder = FOLDERS.get(event.type)
    if folder is None:
        fold.odd(Code.UNKNOWN_EVENT, f"no event type {event.type}")
    else:
        folder(fold, event)
    fold.diagnostics.seq = None


def _check_envelope(fold: Fold, event: RawEvent, expected_seq: int) -> None:
    if not event.is_strict:
        fold.odd(Code.NOT_STRICT_JSON, f"line {event.line_number} is no strict JSON")
    if event.schema_version != SCHEMA_VERSION:
        fold.odd(Code.SCHEMA_VERSION, f"version {event.schema_version} is not {SCHEMA_VERSION}")
    if event.seq != expected_seq:
        fold.odd(Code.SEQ_GAP, f"seq {event.seq} where {expected_seq} was due")
    if event.rollout_id != fold.rollout_id:
        fold.odd(Code.FOREIGN_EVENT, f"the event is of rollout {event.rollout_id}")
    if fold.recording_complete:
        fold.odd(Code.AFTER_RECORDING_COMPLETED, f"{event.type} after the recording's end")
