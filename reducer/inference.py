"""Folds inference calls: their start, and the three terminal events by one function."""

from collections.abc import Mapping

from tracing.bundle_reader import RawEvent

from .chain import remember_response
from .conversation import Sighting, place_output, show
from .diagnostics import Code
from .exact_json import plain
from .fields import list_of, object_of, text_of
from .fold import Fold, Payload
from .history import History
from .records import Call, Execution
from .requests import place_request, read_items
from .threads import ensure_thread, ensure_turn

TOKENS = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens")
TOKENS_MAX = 2**63 - 1
FIRST_SCHEMA_VERSION = 1


def fold_started(fold: Fold, event: RawEvent) -> None:
    """Begin a call, and place what its request showed to the model."""
    call_id = fold.text(event, "inference_call_id")
    thread_id, turn_id = fold.text(event, "thread_id"), fold.text(event, "codex_turn_id")
    if call_id is None or thread_id is None or turn_id is None:
        return
    request = fold.payload(event, "request_payload")
    if call_id in fold.calls:
        fold.odd(Code.DUPLICATE_CALL, f"call {call_id} started before")
        return
    thread = ensure_thread(fold, event, thread_id)
    turn = ensure_turn(fold, event, turn_id, thread_id)
    call = Call(
        inference_call_id=call_id,
        thread_id=thread_id,
        codex_turn_id=turn_id,
        execution=Execution(started_at_unix_ms=event.wall_time_unix_ms, started_seq=event.seq),
        model=fold.text(event, "model") or "",
        provider_name=fold.text(event, "provider_name") or "",
        request_items=History(),
        raw_request_payload_id=None if request is None else request.raw_payload_id,
        proxy=dict(object_of(event.payload, "proxy")),
    )
    fold.calls[call_id] = call
    turn.calls.append(call)
    if request is not None and request.is_read:
        shown = place_request(fold, event, thread, call, request)
        call.request_items = History(shown)
        fold.facts.note_request(call_id, request.value)
        show(shown)
        thread.latest_call = call


def fold_terminal(fold: Fold, event: RawEvent) -> None:
    """End a call: completed, failed or cancelled. It may come late, after the end of its turn."""
    call_id = fold.text(event, "inference_call_id")
    is_completed = event.type == "inference_completed"
    name = "response_payload" if is_completed else "partial_response_payload"
    response = fold.payload(event, name) if is_completed else fold.optional_payload(event, name)
    if call_id is None:
        return
    call = fold.calls.get(call_id)
    if call is None:
        fold.odd(Code.UNKNOWN_CALL, f"call {call_id} ended but never started")
        return
    call.terminal_count += 1
    if call.terminal_count > 1:
        fold.odd(Code.SECOND_TERMINAL, f"call {call_id} ended before")
    _place_response(fold, event, call, response)
    if response is not None and response.is_read:
        fold.facts.note_response(call_id, response.value)
    # What is not told here stays null, also over what an earlier terminal told: as Codex does.
    response_id, upstream_request_id = _ids(fold, event)
    call.response_id = response_id
    if upstream_request_id is not None:
        call.upstream_request_id = upstream_request_id
    if call.execution.is_running:
        call.execution.end(
            at_unix_ms=event.wall_time_unix_ms,
            seq=event.seq,
            status=event.type.removeprefix("inference_"),
        )
    _note_proxy(event, call, response)
    remember_response(fold, call, call.response_id)
    remember_response(fold, call, text_of(call.proxy, "response_id"))


def _ids(fold: Fold, event: RawEvent) -> tuple[str | None, str | None]:
    """The response's id, known where the call was completed, and the upstream request's.

    Codex first kept `response.id` under the name of the other, and had no `response_id` then.
    """
    upstream_request_id = fold.optional_text(event, "upstream_request_id")
    if event.type != "inference_completed":
        return None, upstream_request_id
    is_old = event.schema_version == FIRST_SCHEMA_VERSION and "response_id" not in event.payload
    if is_old and upstream_request_id is not None:
        fold.odd(Code.OLDER_MEANING, "upstream_request_id is read as the response's id")
        return upstream_request_id, None
    return fold.optional_text(event, "response_id"), upstream_request_id


def _place_response(fold: Fold, event: RawEvent, call: Call, response: Payload | None) -> None:
    """Place what the model said, as new items: they are history once a request repeats them."""
    if response is None:
        return
    call.raw_response_payload_id = response.raw_payload_id
    if not response.is_read:
        return
    items = list_of(response.value, "output_items")
    if items is None:
        fold.odd(Code.OUTPUT_ITEMS_MISSING, f"{response.raw_payload_id}: no output_items")
        items = []
    sighting = Sighting(
        thread=fold.threads[call.thread_id],
        codex_turn_id=call.codex_turn_id,
        at_unix_ms=event.wall_time_unix_ms,
        raw_payload_id=response.raw_payload_id,
        produced_by={"type": "inference", "inference_call_id": call.inference_call_id},
    )
    contents = read_items(fold, items, response.raw_payload_id)
    call.response_items = place_output(fold, sighting, contents)
    for item in call.response_items:
        item.said_by.append(call)
    call.usage = _usage(object_of(response.value, "token_usage")) or call.usage


def _usage(usage: Mapping[str, object]) -> dict[str, int] | None:
    """Token counts, where all that Codex needs are there; below zero they count as zero."""
    counts = {name: _count(usage.get(name)) for name in TOKENS}
    counts["cache_write_input_tokens"] = _count(usage.get("cache_write_input_tokens")) or 0
    known = {name: count for name, count in counts.items() if count is not None}
    return known if len(known) == len(counts) else None


def _count(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > TOKENS_MAX:
        return None
    return max(value, 0)


def _note_proxy(event: RawEvent, call: Call, response: Payload | None) -> None:
    """Merge what the terminal says into the call's `proxy`; what is there already stays."""
    payload = {} if response is None else response.value
    from_payload = object_of(payload, "proxy")
    found = dict(object_of(event.payload, "proxy"))
    if "partial_items" in from_payload:
        found["partial_items"] = plain(from_payload["partial_items"])
    for key in ("error", "reason"):
        text = text_of(event.payload, key) or text_of(from_payload, key)
        if text is not None:
            found.setdefault(key, text)
    if found.get("response_id") is None:
        found["response_id"] = call.response_id or text_of(payload, "response_id")
    for key, value in found.items():
        if call.proxy.get(key) is None:
            call.proxy[key] = value
