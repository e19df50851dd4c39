"""Reads what the openai SDK hands out of a WebSocket, and makes what it is asked for."""

from collections.abc import Iterable, Sequence

from openai.types.responses import ResponsesServerEvent

TERMINALS = ("response.completed", "response.failed", "response.incomplete", "error")


def user_message(text: str) -> dict[str, object]:
    """A user's message as an input item."""
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content}


def read_response(events: Iterable[ResponsesServerEvent]) -> list[ResponsesServerEvent]:
    """The events of one response, to its end."""
    read = []
    for event in events:
        read.append(event)
        if event.type in TERMINALS:
            break
    return read


def text_of(events: Iterable[ResponsesServerEvent]) -> str:
    """The text that the events' deltas come to."""
    return "".join(e.delta for e in events if e.type == "response.output_text.delta")


def types(events: Sequence[ResponsesServerEvent]) -> list[object]:
    """The events' types, as sent."""
    return [event.type for event in events]
