"""Builders of the Responses API's wire form, named for the event or item that each one makes.

They know the shapes that OpenAI sends and nothing of the proxy.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

Event = dict[str, object]
Item = dict[str, object]

MODEL = "gpt-5.5"
CREATED_AT = 1_764_000_000


def sse(*events: Event, first: int = 0) -> bytes:
    """The events as OpenAI writes them: an `event:` line, one `data:` line, a blank line.

    `sequence_number` counts from `first`, unless an event brings its own.
    """
    return b"".join(sse_pieces(*events, first=first))


def sse_pieces(*events: Event, first: int = 0) -> list[bytes]:
    """The same bytes, one piece for each event, to be sent one at a time."""
    return [
        b"event: %b\ndata: %b\n\n"
        % (str(event["type"]).encode(), orjson.dumps({"sequence_number": number} | event))
        for number, event in enumerate(events, start=first)
    ]


def usage(
    input_tokens: int = 11,
    output_tokens: int = 7,
    *,
    cached_tokens: int = 0,
    reasoning_tokens: int = 0,
) -> dict[str, object]:
    """The `usage` object of a finished response."""
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": cached_tokens, "cache_write_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": reasoning_tokens},
        "total_tokens": input_tokens + output_tokens,
    }


def response_object(
    response_id: str = "resp_1",
    *,
    status: str = "completed",
    output: Sequence[Item] = (),
    **fields: Any,
) -> dict[str, object]:
    """A `response` object, as a JSON answer and the lifecycle events carry it."""
    return {
        "id": response_id,
        "object": "response",
        "created_at": CREATED_AT,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": MODEL,
        "output": list(output),
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": usage() if status in {"completed", "incomplete"} else None,
    } | fields


def ev_created(response_id: str = "resp_1", **fields: Any) -> Event:
    """`response.created`, whose response has no output yet."""
    return _lifecycle("created", response_object(response_id, status="in_progress", **fields))


def ev_in_progress(response_id: str = "resp_1", **fields: Any) -> Event:
    """`response.in_progress`."""
    return _lifecycle("in_progress", response_object(response_id, status="in_progress", **fields))


def ev_completed(
    response_id: str = "resp_1",
    *,
    output: Sequence[Item] = (),
    usage: Mapping[str, object] | None = None,
    **fields: Any,
) -> Event:
    """`response.completed`, with the whole output and its usage."""
    if usage is not None:
        fields["usage"] = dict(usage)
    return _lifecycle("completed", response_object(response_id, output=output, **fields))


def ev_failed(
    response_id: str = "resp_1",
    *,
    code: str = "server_error",
    message: str = "The model failed.",
    **fields: Any,
) -> Event:
    """`response.failed`, with the error in the response."""
    error = {"code": code, "message": message}
    return _lifecycle(
        "failed", response_object(response_id, status="failed", error=error, **fields)
    )


def ev_incomplete(
    response_id: str = "resp_1",
    *,
    reason: str = "max_output_tokens",
    output: Sequence[Item] = (),
    **fields: Any,
) -> Event:
    """`response.incomplete`, with its reason."""
    response = response_object(
        response_id,
        status="incomplete",
        output=output,
        incomplete_details={"reason": reason},
        **fields,
    )
    return _lifecycle("incomplete", response)


def ev_item_added(item: Mapping[str, object], output_index: int = 0) -> Event:
    """`response.output_item.added`."""
    return {
        "type": "response.output_item.added",
        "output_index": output_index,
        "item": dict(item),
    }


def ev_item_done(item: Mapping[str, object], output_index: int = 0) -> Event:
    """`response.output_item.done`."""
    return {
        "type": "response.output_item.done",
        "output_index": output_index,
        "item": dict(item),
    }


def ev_part_added(item_id: str = "msg_1", output_index: int = 0) -> Event:
    """`response.content_part.added` for an empty text part."""
    return _text_event("response.content_part.added", item_id, output_index) | {
        "part": {"type": "output_text", "text": "", "annotations": []}
    }


def ev_part_done(text: str, item_id: str = "msg_1", output_index: int = 0) -> Event:
    """`response.content_part.done` for a text part."""
    return _text_event("response.content_part.done", item_id, output_index) | {
        "part": {"type": "output_text", "text": text, "annotations": []}
    }


def ev_text_delta(delta: str, item_id: str = "msg_1", output_index: int = 0) -> Event:
    """`response.output_text.delta`."""
    return _text_event("response.output_text.delta", item_id, output_index) | {
        "delta": delta,
        "logprobs": [],
    }


def ev_text_done(text: str, item_id: str = "msg_1", output_index: int = 0) -> Event:
    """`response.output_text.done`."""
    return _text_event("response.output_text.done", item_id, output_index) | {
        "text": text,
        "logprobs": [],
    }


def ev_arguments_delta(delta: str, item_id: str = "fc_1", output_index: int = 0) -> Event:
    """`response.function_call_arguments.delta`."""
    return {
        "type": "response.function_call_arguments.delta",
        "item_id": item_id,
        "output_index": output_index,
        "delta": delta,
    }


def ev_error(message: str = "The server had an error.", code: str | None = "server_error") -> Event:
    """The flat `error` event, the documented form: the Python SDK yields it as any other event."""
    return {"type": "error", "code": code, "message": message, "param": None}


def ev_error_nested(message: str = "The server had an error.", code: str = "server_error") -> Event:
    """The nested `error` event, also seen on the wire: the Python SDK raises it as `APIError`."""
    error = {"type": "server_error", "code": code, "message": message, "param": None}
    return {"type": "error", "error": error}


def ev_keepalive() -> Event:
    """The undocumented `keepalive` of long silent streams; it takes a sequence number."""
    return {"type": "keepalive"}


def message_item(text: str, item_id: str = "msg_1", *, status: str = "completed") -> Item:
    """An assistant's message."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {
        "id": item_id,
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content if status == "completed" else [],
    }


def function_call_item(
    name: str,
    arguments: Mapping[str, object],
    *,
    call_id: str = "call_1",
    item_id: str = "fc_1",
) -> Item:
    """A finished function call; its arguments are JSON in a string, as on the wire."""
    return {
        "id": item_id,
        "type": "function_call",
        "status": "completed",
        "call_id": call_id,
        "name": name,
        "arguments": orjson.dumps(arguments).decode(),
    }


def text_stream(
    *deltas: str, response_id: str = "resp_1", item_id: str = "msg_1"
) -> tuple[Event, ...]:
    """Every event of a response that says one message, the deltas of its text one event each."""
    text = "".join(deltas)
    item = message_item(text, item_id)
    return (
        ev_created(response_id),
        ev_in_progress(response_id),
        ev_item_added(message_item("", item_id, status="in_progress")),
        ev_part_added(item_id),
        *(ev_text_delta(delta, item_id) for delta in deltas),
        ev_text_done(text, item_id),
        ev_part_done(text, item_id),
        ev_item_done(item),
        ev_completed(response_id, output=[item]),
    )


def function_call_stream(item: Item, *, response_id: str = "resp_1") -> tuple[Event, ...]:
    """Every event of a response that makes one function call."""
    return (
        ev_created(response_id),
        ev_in_progress(response_id),
        ev_item_added(item | {"status": "in_progress", "arguments": ""}),
        ev_arguments_delta(str(item["arguments"]), str(item["id"])),
        ev_item_done(item),
        ev_completed(response_id, output=[item]),
    )


def error_body(
    message: str = "Something went wrong.",
    *,
    kind: str = "server_error",
    code: str | None = None,
) -> dict[str, object]:
    """The JSON body of an HTTP error, in OpenAI's shape."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _lifecycle(name: str, response: dict[str, object]) -> Event:
    return {"type": f"response.{name}", "response": response}


def _text_event(kind: str, item_id: str, output_index: int) -> Event:
    return {"type": kind, "item_id": item_id, "output_index": output_index, "content_index": 0}
