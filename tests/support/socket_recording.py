"""A WebSocket's trace, driven by the messages of both sides into a journal of the test's own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support import raw_bundle
from tests.support.events import Event
from tests.support.frames import message, sent
from tests.support.recording import (
    Recording,
    call_id,
    only_bundle,
    recording,
    request_head,
)
from tracing.capture import scan
from tracing.redaction import RawHeaders
from tracing.socket_trace import WebSocketTrace
from tracing.terminal import TransportEnd

MODEL = "gpt-5.5"
HANDSHAKE: RawHeaders = (
    (b"Upgrade", b"websocket"),
    (b"x-request-id", b"req_handshake"),
)


def user_message(text: str) -> dict[str, Any]:
    """A user's message, as Codex's reducer takes it."""
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content}


class Socket:
    """A WebSocket that was accepted, and whose trace sees what either side sends."""

    def __init__(
        self,
        record: Recording,
        *,
        connection_id: str = "c1",
        headers: RawHeaders = (),
        handshake: RawHeaders = HANDSHAKE,
    ) -> None:
        head = replace(request_head(method="GET", headers=headers), connection_id=connection_id)
        self.trace = WebSocketTrace(head, 101, handshake, record)

    def send(self, value: Mapping[str, Any] | bytes) -> None:
        """The client sends a text message."""
        self.trace.up(sent(value))

    def create(self, text: str = "Hi", **fields: Any) -> None:
        """The client asks for a response."""
        asked = {"type": "response.create", "model": MODEL, "input": [user_message(text)]}
        self.send(asked | fields)

    def receive(self, *events: Event | bytes, stream_id: str | None = None) -> None:
        """Upstream sends events, in the lane of this name."""
        lane = {} if stream_id is None else {"stream_id": stream_id}
        for event in events:
            self.trace.down(message(event if isinstance(event, bytes) else event | lane))

    def end(self, end: TransportEnd = TransportEnd.CLIENT_CLOSED, text: str | None = None) -> None:
        """The connection ends."""
        self.trace.ended(end, text)


@contextmanager
def socket_recording(trace_dir: Path, **settings: Any) -> Iterator[Recording]:
    """A recording whose WebSockets go by its clock, too; calls are numbered from 1."""
    numbers = iter(range(1, 10_000))
    with recording(trace_dir, **settings) as record, pytest.MonkeyPatch.context() as patch:
        for module in ("socket_trace", "call_pieces"):
            patch.setattr(f"tracing.{module}.time", record.clock)
        patch.setattr("tracing.socket_trace.new_id", lambda: call_id(next(numbers)))
        yield record


def closed(record: Recording) -> Path:
    """The one bundle, closed."""
    return only_bundle(record.close())


def started(bundle: Path) -> list[raw_bundle.Event]:
    """The starts of the calls, in order."""
    return [event for event in raw_bundle.events(bundle) if event["type"] == "inference_started"]


def ended(bundle: Path) -> list[raw_bundle.Event]:
    """The terminal events in the order in which their calls started; each call has one."""
    ends = [event for event in raw_bundle.events(bundle) if event["type"] in raw_bundle.TERMINALS]
    by_call = {event["inference_call_id"]: event for event in ends}
    assert len(by_call) == len(ends)
    assert by_call.keys() == {event["inference_call_id"] for event in started(bundle)}
    return [by_call[event["inference_call_id"]] for event in started(bundle)]


def outcomes(bundle: Path) -> list[tuple[str, str | None]]:
    """How the calls ended, and why, in the order of their starts."""
    return [(end["type"], end.get("error") or end.get("reason")) for end in ended(bundle)]


def requests(bundle: Path) -> list[Any]:
    """The request payloads, in the order of the starts."""
    return [raw_bundle.payload(bundle, event["request_payload"]) for event in started(bundle)]


def responses(bundle: Path) -> list[Any]:
    """The response payloads, in the order of the starts."""
    return [
        raw_bundle.payload(bundle, end.get("response_payload") or end["partial_response_payload"])
        for end in ended(bundle)
    ]


def captured(bundle: Path) -> list[list[bytes]]:
    """What the segment holds of each call, in the order of the starts."""
    held: dict[str, list[bytes]] = {}
    for _, piece in scan(bundle / "streams" / "1.cap"):
        held.setdefault(str(piece.call), []).append(piece.data)
    return [held.get(event["inference_call_id"], []) for event in started(bundle)]
