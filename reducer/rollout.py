"""Folds the events that are of no thread's course: the rollout's own, notices, acceptances."""

from tracing.bundle_reader import RawEvent

from .conversation import Sighting, place_received
from .diagnostics import Code
from .fields import text_of
from .fold import ROLLOUT_STATUSES, Fold
from .records import Thread
from .requests import read_items

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
        _place_message(fold, event, fold.threads[event.thread_id], item_id)


def _place_message(fold: Fold, event: RawEvent, thread: Thread, item_id: str) -> None:
    """Place the message of another agent that an acceptance brings."""
    payload = fold.optional_payload(event, "agent_message_payload")
    if payload is None:
        return
    contents = read_items(fold, [payload.value], payload.raw_payload_id)
    ids = [content.responses_item_id for content in contents if content.agent_message is not None]
    if ids != [item_id]:
        fold.odd(Code.ODD_ITEM, f"{payload.raw_payload_id}: it is not the message {item_id}")
        return
    sighting = Sighting(
        thread=thread,
        codex_turn_id=event.codex_turn_id,
        at_unix_ms=event.wall_time_unix_ms,
        raw_payload_id=payload.raw_payload_id,
    )
    place_received(fold, sighting, contents[0])


def fold_observed(fold: Fold, event: RawEvent) -> None:
    """Keep the payload of a notice; a request that asked for no output can be a chain's parent."""
    payload = fold.payload(event, "event_payload")
    if payload is None or fold.text(event, "event_type") != PREWARM_NOTICE:
        return
    response_id = text_of(payload.value, "response_id")
    if response_id is not None:
        fold.prewarms[response_id] = payload
