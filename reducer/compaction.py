"""Folds compactions: the requests for them, and the histories that they install."""

from collections.abc import Sequence
from dataclasses import replace

from tracing.bundle_reader import RawEvent

from .conversation import Sighting, place_apart, place_marker, show
from .diagnostics import Code
from .fields import list_of, object_of, text_of
from .fold import Fold, Payload
from .model_item import ModelItem
from .records import Compaction, CompactionRequest, Execution
from .requests import read_items
from .threads import ensure_thread, ensure_turn

MARKER = ModelItem(role="assistant", kind="compaction_marker", parts=())
"""Stands where the old history ended. It holds nothing: the summary is an item of its own."""


def fold_request_started(fold: Fold, event: RawEvent) -> None:
    """Begin a request for a compaction."""
    request_id = fold.text(event, "compaction_request_id")
    compaction_id = fold.text(event, "compaction_id")
    thread_id, turn_id = fold.text(event, "thread_id"), fold.text(event, "codex_turn_id")
    request = fold.payload(event, "request_payload")
    if request_id is None or compaction_id is None or thread_id is None or turn_id is None:
        return
    if request_id in fold.compaction_requests:
        fold.odd(Code.DUPLICATE_COMPACTION, f"compaction request {request_id} started before")
        return
    ensure_thread(fold, event, thread_id)
    ensure_turn(fold, event, turn_id, thread_id)
    fold.compaction_requests[request_id] = CompactionRequest(
        compaction_request_id=request_id,
        compaction_id=compaction_id,
        thread_id=thread_id,
        codex_turn_id=turn_id,
        execution=Execution(started_at_unix_ms=event.wall_time_unix_ms, started_seq=event.seq),
        model=fold.text(event, "model") or "",
        provider_name=fold.text(event, "provider_name") or "",
        raw_request_payload_id=None if request is None else request.raw_payload_id,
        proxy=dict(object_of(event.payload, "proxy")),
    )


def fold_request_ended(fold: Fold, event: RawEvent) -> None:
    """End a request for a compaction, completed or failed. The history does not change by it."""
    request_id = fold.text(event, "compaction_request_id")
    compaction_id = fold.text(event, "compaction_id")
    is_completed = event.type == "compaction_request_completed"
    response = fold.payload(event, "response_payload") if is_completed else None
    if request_id is None:
        return
    request = fold.compaction_requests.get(request_id)
    if request is None:
        fold.odd(Code.UNKNOWN_COMPACTION_REQUEST, f"compaction request {request_id} never started")
        return
    if compaction_id != request.compaction_id:
        fold.odd(Code.COMPACTION_MISMATCH, f"{request_id} is of compaction {request.compaction_id}")
    request.execution.end(
        at_unix_ms=event.wall_time_unix_ms,
        seq=event.seq,
        status="completed" if is_completed else "failed",
    )
    request.raw_response_payload_id = None if response is None else response.raw_payload_id
    request.proxy |= object_of(event.payload, "proxy")
    error = text_of(event.payload, "error")
    if error is not None:
        request.proxy["error"] = error


def fold_installed(fold: Fold, event: RawEvent) -> None:
    """Put a compacted history in place: the next full request is compared with it."""
    compaction_id = fold.text(event, "compaction_id")
    checkpoint = fold.payload(event, "checkpoint_payload")
    thread_id, turn_id = event.thread_id, event.codex_turn_id
    if thread_id is None or turn_id is None:
        fold.odd(Code.BAD_FIELD, "compaction_installed names no thread or no turn")
        return
    if compaction_id is None or checkpoint is None:
        return
    if compaction_id in fold.compactions:
        fold.odd(Code.DUPLICATE_COMPACTION, f"compaction {compaction_id} installed before")
        return
    thread = ensure_thread(fold, event, thread_id)
    ensure_turn(fold, event, turn_id, thread_id)
    seen = Sighting(
        thread=thread,
        codex_turn_id=turn_id,
        at_unix_ms=event.wall_time_unix_ms,
        raw_payload_id=checkpoint.raw_payload_id,
    )
    made = replace(seen, produced_by={"type": "compaction", "compaction_id": compaction_id})
    old, new = (_history(fold, checkpoint, f"{name}_history") for name in ("input", "replacement"))
    input_items = place_apart(fold, seen, old, thread.snapshot)
    marker = place_marker(fold, made, MARKER)
    # Text that stood in the old history too is a new item of the new one.
    replacement_items = place_apart(fold, made, new, [])
    show([*input_items, marker, *replacement_items])
    thread.replace_history(replacement_items)
    fold.compactions[compaction_id] = Compaction(
        compaction_id=compaction_id,
        thread_id=thread_id,
        codex_turn_id=turn_id,
        installed_at_unix_ms=event.wall_time_unix_ms,
        marker=marker,
        request_ids=_requests_for(fold, compaction_id, thread_id, turn_id),
        input_items=input_items,
        replacement_items=replacement_items,
    )


def _history(fold: Fold, checkpoint: Payload, key: str) -> Sequence[ModelItem]:
    items = list_of(checkpoint.value, key)
    if items is None:
        fold.odd(Code.CHECKPOINT_ARRAY_MISSING, f"{checkpoint.raw_payload_id}: no {key}")
        return []
    return read_items(fold, items, checkpoint.raw_payload_id)


def _requests_for(fold: Fold, compaction_id: str, thread_id: str, turn_id: str) -> list[str]:
    requests = [
        request
        for request in fold.compaction_requests.values()
        if request.compaction_id == compaction_id
    ]
    for request in requests:
        if (request.thread_id, request.codex_turn_id) != (thread_id, turn_id):
            fold.odd(
                Code.COMPACTION_MISMATCH,
                f"{request.compaction_request_id} was sent in another thread or turn",
            )
    return sorted(request.compaction_request_id for request in requests)
