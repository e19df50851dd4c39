"""Places what a request showed to the model: a whole conversation, or what continues another."""

from dataclasses import replace

from tracing.bundle_reader import RawEvent

from .chain import find_parent, known_to_codex
from .conversation import Sighting, place_after, place_snapshot
from .diagnostics import Code
from .fields import list_of, text_of
from .fold import Fold, Payload
from .model_item import ModelItem
from .normalize import Oddities, normalize, text_message
from .records import Call, Item, Thread


def place_request(
    fold: Fold, event: RawEvent, thread: Thread, call: Call, request: Payload
) -> list[Item]:
    """The items of a request in their order, those that it only points to included."""
    contents = _input_of(fold, request)
    sighting = Sighting(
        thread=thread,
        codex_turn_id=call.codex_turn_id,
        at_unix_ms=event.wall_time_unix_ms,
        raw_payload_id=request.raw_payload_id,
    )
    previous_response_id = text_of(request.value, "previous_response_id")
    if previous_response_id is not None:
        return _place_continuation(fold, sighting, call, contents, previous_response_id)
    previous, thread.replacement = thread.replacement, None
    if previous is None:
        previous = thread.snapshot
    return place_snapshot(fold, sighting, contents, previous)


def read_items(fold: Fold, items: list[object], raw_payload_id: str) -> list[ModelItem]:
    """Read the items of a payload; what is odd in them is noted, once for each kind of oddity."""
    oddities = Oddities()
    contents = normalize(items, raw_payload_id, oddities)
    for code, message in oddities.messages():
        fold.odd(code, f"{raw_payload_id}: {message}")
    return contents


def _place_continuation(
    fold: Fold,
    sighting: Sighting,
    call: Call,
    contents: list[ModelItem],
    previous_response_id: str,
) -> list[Item]:
    thread = sighting.thread
    match find_parent(fold, thread, previous_response_id):
        case None:
            return place_after(fold, sighting, contents, [])
        case Payload() as prewarm:
            known = _prewarmed(fold, sighting, prewarm)
            call.proxy["continues_prewarm"] = previous_response_id
            call.prewarm = prewarm.raw_payload_id
            is_codex_like = False
        case Call() as parent:
            known = parent.items
            call.parent = parent
            fold.facts.note_parent(call.inference_call_id, parent.inference_call_id)
            is_codex_like = known_to_codex(thread, parent, previous_response_id)
    # Codex compares by position alone, whatever stands before it.
    is_known_prefix = is_codex_like or thread.snapshot[: len(known)] == known
    rest = thread.snapshot[len(known) :] if is_known_prefix else []
    return known + place_after(fold, sighting, contents, rest)


def _prewarmed(fold: Fold, sighting: Sighting, prewarm: Payload) -> list[Item]:
    output = list_of(prewarm.value, "output") or []
    contents = _input_of(fold, prewarm) + read_items(fold, output, prewarm.raw_payload_id)
    shown_by = replace(sighting, raw_payload_id=prewarm.raw_payload_id)
    return place_snapshot(fold, shown_by, contents, sighting.thread.snapshot)


def _input_of(fold: Fold, request: Payload) -> list[ModelItem]:
    match request.value.get("input"):
        case list() as items:
            return read_items(fold, items, request.raw_payload_id)
        case str() as text:
            fold.odd(Code.INPUT_NOT_ARRAY, f"{request.raw_payload_id}: input is a string")
            return [text_message(text)]
        case None:
            fold.odd(Code.INPUT_MISSING, f"{request.raw_payload_id}: no input")
            return []
        case _:
            fold.odd(Code.INPUT_NOT_ARRAY, f"{request.raw_payload_id}: input is no array")
            return []
