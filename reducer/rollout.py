"""Folds the events that are of no thread's course: the rollout's own, notices, acceptances."""

from tracing.bundle_reader import PayloadRef, RawEvent

from .diagnostics import Code
from .fields import text_of
from .fold import ROLLOUT_STATUSES, Fold

PREWARM_NOTICE = "tailrace.prewarm"


def fold_rollout_started(fold: Fold, event: RawEvent) -> None:
    """Take the trace's ids from the event; it is newer than the manifest."""
    fold.trace_id = fold.text(event, "trace_id") or fold.trace_id
    fold.root_thread_id = fold.text(event, "root_thread_id") or fold.root_thread_id


def fold_rollout_ended(fold: Fold, event: RawEvent) -> None:
    """End the rollout; its threads are not touched."""
    status = fold.status_of(event, ROLLOUT_STATUSES)
    if status is not None:
        fold.status = status
        fold.ended_at_unix_ms = event.wall_time_unix_ms


def fold_recording_completed(fold: Fold, _event: RawEvent) -> None:
    """Note that the writer wrote all that it had."""
    fold.recording_complete = True


def fold_history_item_accepted(fold: Fold, event: RawEvent) -> None:
    """Note that the client took an item into its history; the item may be seen only later."""
    item_id = fold.text(event, "item_id")
    if event.thread_id is None:
        fold.odd(Code.BAD_FIELD, "history_item_accepted names no thread")
    elif event.thread_id not in fold.threads:
        fold.odd(Code.UNKNOWN_THREAD, f"thread {event.thread_id} never started")
    elif item_id is not None:
        fold.accepted.setdefault((event.thread_id, item_id), event)


def fold_observed(fold: Fold, event: RawEvent) -> None:
    """Keep the payload of a notice; a request that asked for no output can be a chain's parent."""
    payload = fold.payload(event, "event_payload")
    if payload is None or fold.text(event, "event_type") != PREWARM_NOTICE:
        return
    response_id = text_of(payload.value, "response_id")
    if response_id is not None:
        fold.prewarms[response_id] = payload


def fold_unsupported(fold: Fold, event: RawEvent) -> None:
    """Keep the payloads of an event that Codex folds and we do not."""
    fold.odd(Code.UNSUPPORTED_EVENT, f"{event.type} is not folded")
    for value in event.payload.values():
        ref = PayloadRef.parse(value)
        if ref is not None:
            fold.read(ref)
