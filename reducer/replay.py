"""Replays a bundle into a state: pure, total, deterministic. Odd evidence is told, never raised."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

import orjson

from tracing.bundle_reader import BundleReader, DamagedLine, RawEvent, TornTail
from tracing.events import SCHEMA_VERSION

from . import agents, code_cells, compaction, inference, rollout, threads, tool_calls
from .call_facts import BundleFacts
from .call_links import link_within
from .diagnostics import Code
from .fields import text_of
from .fold import Fold
from .state import state_chunks, state_of

MANIFEST_TEXTS = ("trace_id", "rollout_id", "root_thread_id", "raw_event_log", "payloads_dir")

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
    "tool_call_started": tool_calls.fold_started,
    "tool_call_runtime_started": tool_calls.fold_runtime_started,
    "tool_call_runtime_ended": tool_calls.fold_runtime_ended,
    "tool_call_ended": tool_calls.fold_ended,
    "mcp_tool_call_correlation_assigned": tool_calls.fold_correlated,
    "stdin_target_resolved": tool_calls.fold_stdin_target,
    "code_cell_started": code_cells.fold_started,
    "code_cell_initial_response": code_cells.fold_responded,
    "code_cell_ended": code_cells.fold_ended,
    "agent_result_observed": agents.fold_result_observed,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReducedBundle:
    """What a bundle replays to: its state, and what links its calls to those of other bundles."""

    state: dict[str, object]
    facts: BundleFacts


def reduce_bundle(path: Path) -> dict[str, object]:
    """Replay the bundle in a directory into the state that state.json holds.

    Raises what `read_bundle` raises.
    """
    return read_bundle(path).state


def read_bundle(path: Path) -> ReducedBundle:
    """Replay the bundle in a directory.

    Raises NotABundle where the directory holds none, and OSError where the event log cannot be
    read; nothing else, whatever the bundle holds.
    """
    fold = fold_bundle(path)
    facts = link_within(fold)
    return ReducedBundle(state=state_of(fold), facts=facts)


def state_stream(path: Path) -> Iterator[bytes]:
    """Replay the bundle in a directory, and give its state.json piece by piece.

    The pieces are the bytes of `state_bytes`: a large bundle has too many of them to hold them all.
    Raises what `read_bundle` raises, before it gives anything.
    """
    fold = fold_bundle(path)
    link_within(fold)
    return state_chunks(fold)


def state_bytes(state: Mapping[str, object]) -> bytes:
    """The bytes of state.json: the same for the same bundle, wherever it is reduced."""
    return orjson.dumps(state, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def fold_bundle(path: Path) -> Fold:
    """Fold all events of the bundle in a directory, its calls not yet linked.

    Raises what `read_bundle` raises.
    """
    reader = BundleReader(path, needs_manifest=False)
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
    return fold


def _begin(reader: BundleReader) -> Fold:
    manifest = reader.manifest
    version, started_at = manifest.get("schema_version"), manifest.get("started_at_unix_ms")
    fold = Fold(
        reader=reader,
        schema_version=version if _is_int(version) else SCHEMA_VERSION,
        trace_id=text_of(manifest, "trace_id") or "",
        rollout_id=text_of(manifest, "rollout_id") or "",
        root_thread_id=text_of(manifest, "root_thread_id") or "",
        started_at_unix_ms=started_at if _is_int(started_at) else 0,
    )
    if reader.manifest_fault is not None:
        fold.odd(Code.MANIFEST_DAMAGED, f"{reader.manifest_fault}; the events tell what they can")
        return fold
    for key in MANIFEST_TEXTS:
        if text_of(manifest, key) is None:
            fold.odd(Code.MANIFEST_FIELD, f"{key} is no string")
    if not _is_int(started_at):
        fold.odd(Code.MANIFEST_FIELD, "started_at_unix_ms is no whole number")
    if version != SCHEMA_VERSION:
        fold.odd(Code.SCHEMA_VERSION, f"the manifest is of version {version}, not {SCHEMA_VERSION}")
    return fold


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


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
        what = "is no strict JSON, or has two members of one name"
        fold.odd(Code.NOT_STRICT_JSON, f"line {event.line_number} {what}")
    if event.schema_version != fold.schema_version:
        what = f"version {event.schema_version} in a bundle of version {fold.schema_version}"
        fold.odd(Code.SCHEMA_VERSION, what)
    if event.seq > expected_seq:
        fold.odd(Code.SEQ_GAP, f"seq {event.seq} where {expected_seq} was due")
    if event.seq < expected_seq:
        fold.odd(Code.SEQ_BACK, f"seq {event.seq} where {expected_seq} was due")
    if not fold.rollout_id:
        fold.rollout_id = event.rollout_id
    if event.rollout_id != fold.rollout_id:
        fold.odd(Code.FOREIGN_EVENT, f"the event is of rollout {event.rollout_id}")
    if fold.recording_complete:
        fold.odd(Code.AFTER_RECORDING_COMPLETED, f"{event.type} after the recording's end")
