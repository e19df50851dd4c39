"""Which messages of a WebSocket make a call, and how each call ends."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import events as wire
from tests.support.frames import BINARY, MASK, PING, PONG, close, frame, message, sent
from tests.support.recording import Recording, only_bundle
from tests.support.socket_recording import (
    Socket,
    closed,
    ended,
    outcomes,
    responses,
    socket_recording,
    started,
)
from tracing.socket_trace import WebSocketTrace
from tracing.terminal import TransportEnd

BEGUN = wire.text_stream("Hel", "lo")[:6]
DONE = wire.message_item("Hello")
PARTIAL = [{"output_index": 0, "item": DONE | {"status": "incomplete"}}]
CLOSED_BY_SERVER = "websocket closed by server before response.completed"
CLIENT_LEFT = "client disconnected before the response ended"
ENDS = {
    "completed": (wire.ev_completed(output=[DONE]), "inference_completed", None),
    "failed": (wire.ev_failed(), "inference_failed", "server_error: The model failed."),
    "incomplete": (
        wire.ev_incomplete(output=[DONE]),
        "inference_failed",
        "Incomplete response returned, reason: max_output_tokens",
    ),
    "error": (
        wire.ev_error_nested(),
        "inference_failed",
        "server_error: The server had an error.",
    ),
    "flat error": (wire.ev_error(), "inference_failed", "server_error: The server had an error."),
}


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Recording]:
    """A journal that takes at once what the traces of WebSockets note."""
    with socket_recording(tmp_path) as recording:
        yield recording


@pytest.fixture
def socket(record: Recording) -> Socket:
    """A WebSocket on which nothing was said."""
    return Socket(record)


@pytest.mark.parametrize("how", ENDS)
def test_protocol_ends_a_call(record: Recording, socket: Socket, how: str) -> None:
    """Upstream's own word ends it at once; what comes to the connection later does not matter."""
    last, kind, text = ENDS[how]
    socket.create()
    socket.receive(*BEGUN, last)
    assert socket.trace.open_calls == 0
    assert [summary.terminal for summary in record.summaries] == [kind.removeprefix("inference_")]
    socket.end()
    bundle = closed(record)
    (end,) = ended(bundle)
    (response,) = responses(bundle)
    assert outcomes(bundle) == [(kind, text)]
    assert end["proxy"]["response_id"] == response["response_id"] == "resp_1"
    assert (end["upstream_request_id"], end["proxy"]["http_status"]) == (None, None)
    assert end["proxy"]["outcome"]["transport"] == "eof"
    assert end["proxy"]["events"] == len(BEGUN) + 1
    if kind == "inference_failed":
        assert response["proxy"]["partial_items"] == PARTIAL


def test_first_event_can_be_the_error(record: Recording, socket: Socket) -> None:
    """A request that upstream refuses has no response; the next one is untouched."""
    socket.create("bad")
    socket.create("good")
    socket.receive(wire.ev_error(), *wire.text_stream("ok"))
    bundle = closed(record)
    assert outcomes(bundle) == [
        ("inference_failed", "server_error: The server had an error."),
        ("inference_completed", None),
    ]
    assert [response["response_id"] for response in responses(bundle)] == [None, "resp_1"]


HEADERS = {"x-request-id": "req_error", "content-type": "application/json", "n": 1}


@pytest.mark.parametrize(
    ("extra", "status", "request_id"),
    [
        ({"status": 429, "error": {"message": "slow", "headers": HEADERS}}, 429, "req_error"),
        ({"status": 429, "headers": HEADERS}, 429, "req_error"),
        ({"status_code": 400}, 400, None),
        ({"headers": HEADERS}, None, "req_error"),
        ({"status": "429", "headers": [1]}, None, None),
        ({"status": True, "headers": {"x-request-id": 7}}, None, None),
        ({"status": -1}, None, None),
    ],
)
def test_error_with_status_and_headers(
    record: Recording,
    socket: Socket,
    extra: dict[str, Any],
    status: int | None,
    request_id: str | None,
) -> None:
    """They are the call's, where the SDK looks for them and where Codex does; others are not."""
    socket.create()
    socket.receive(*BEGUN, wire.ev_error_nested("slow") | extra)
    bundle = closed(record)
    (end,) = ended(bundle)
    assert (end["proxy"]["http_status"], end["upstream_request_id"]) == (status, request_id)
    header = "x-request-id" if request_id else None
    assert end["proxy"]["upstream_request_id_header"] == header
    assert responses(bundle)[0]["upstream_request_id"] == request_id
    (start,) = started(bundle)
    assert start["proxy"]["handshake"]["upstream_request_id"] == "req_handshake"
    assert start["proxy"]["handshake"]["http_status"] == 101


def test_start_tells_of_message_and_connection(record: Recording, socket: Socket) -> None:
    """The start holds the message's facts, and each call the handshake's."""
    asked = b'{"type":"response.create","stream_id":"a","model":"m","input":[]}'
    socket.send(asked)
    (start,) = started(only_bundle(record.crash()))
    proxy = start["proxy"]
    assert (start["model"], proxy["transport"], proxy["method"]) == ("m", "websocket", "GET")
    assert (proxy["connection_id"], proxy["stream_id"]) == ("c1", "a")
    assert proxy["request"]["bytes"] == len(asked)


@pytest.mark.parametrize(
    "noise",
    [
        message({"type": "codex.rate_limits", "plan_type": "plus"}),
        message({"type": "response.metadata", "headers": {"x": "y"}}),
        message(wire.ev_keepalive()),
        message({"no": "type"}),
        message(b"no json {"),
        message(b'"text"'),
        message(b""),
        message(b"\xff\xfe"),
        frame(b"\x00\x01", opcode=BINARY),
        frame(opcode=PING) + frame(opcode=PONG),
    ],
)
def test_upstream_says_what_is_no_event_of_ours(
    record: Recording, socket: Socket, noise: bytes
) -> None:
    """Before, in and after a response it changes nothing of the call."""
    socket.trace.down(noise)
    socket.create()
    for event in wire.text_stream("Hel", "lo"):
        socket.trace.down(noise)
        socket.receive(event)
    socket.trace.down(noise)
    socket.end()
    bundle = closed(record)
    assert outcomes(bundle) == [("inference_completed", None)]
    assert responses(bundle)[0]["output_items"] == [DONE]


@pytest.mark.parametrize(
    "noise",
    [
        sent({"type": "response.append", "input": []}),
        sent({"type": "response.processed", "response_id": "resp_1"}),
        sent({"type": "response.inject", "response_id": "resp_1", "input": []}),
        sent({"type": "session.update"}),
        sent({"model": "m", "input": []}),
        sent(b"no json {"),
        sent(b'"response.create"'),
        sent(b""),
        frame(b'{"type":"response.create"}', opcode=BINARY, mask=MASK),
        frame(opcode=PING, mask=MASK) + frame(opcode=PONG, mask=MASK),
    ],
)
def test_client_says_what_is_no_request(record: Recording, socket: Socket, noise: bytes) -> None:
    """What old clients and unknown ones send begins no call, and ends none."""
    socket.trace.up(noise)
    assert socket.trace.open_calls == 0
    socket.create()
    socket.trace.up(noise)
    socket.receive(*wire.text_stream("Hel", "lo"))
    socket.trace.up(noise)
    socket.end()
    assert outcomes(closed(record)) == [("inference_completed", None)]


def test_fragmented_messages(record: Recording, socket: Socket) -> None:
    """A request in fragments and in pieces is one request."""
    data = sent({"type": "response.create", "model": "m", "input": []})
    for at in range(len(data)):
        socket.trace.up(data[at : at + 1])
    (start,) = started(only_bundle(record.crash()))
    assert start["model"] == "m"


@pytest.mark.parametrize("has_begun", [False, True])
@pytest.mark.parametrize(
    ("end", "first_close", "kind", "text"),
    [
        (
            TransportEnd.CLIENT_CLOSED,
            None,
            "inference_cancelled",
            CLIENT_LEFT,
        ),
        (TransportEnd.EOF, None, "inference_failed", CLOSED_BY_SERVER),
        (TransportEnd.UPSTREAM_ERROR, None, "inference_failed", CLOSED_BY_SERVER),
        (
            TransportEnd.SHUTDOWN,
            None,
            "inference_cancelled",
            "proxy shut down before the response ended",
        ),
        (
            TransportEnd.EOF,
            "client",
            "inference_cancelled",
            f"{CLIENT_LEFT}: the client closed the websocket with 1001 bye",
        ),
        (
            TransportEnd.CLIENT_CLOSED,
            "upstream",
            "inference_failed",
            f"{CLOSED_BY_SERVER}: upstream closed the websocket with 1001 bye",
        ),
        (
            TransportEnd.SHUTDOWN,
            "upstream",
            "inference_cancelled",
            "proxy shut down before the response ended",
        ),
    ],
)
def test_early_ends(
    record: Recording,
    socket: Socket,
    end: TransportEnd,
    first_close: str | None,
    kind: str,
    text: str,
    has_begun: bool,
) -> None:
    """Who closed first decides between cancelled and failed, and what had come by then is kept."""
    socket.create()
    socket.receive(*BEGUN if has_begun else ())
    if first_close == "client":
        socket.trace.up(close(1001, "bye", mask=MASK))
        socket.trace.down(close(1001, "bye too"))
    elif first_close == "upstream":
        socket.trace.down(close(1001, "bye"))
        socket.trace.up(close(1000, mask=MASK))
    socket.end(end)
    assert socket.trace.open_calls == 0
    bundle = closed(record)
    assert outcomes(bundle) == [(kind, text)]
    (response,) = responses(bundle)
    assert response["response_id"] == ("resp_1" if has_begun else None)
    assert response["proxy"].get("partial_items") == (PARTIAL if has_begun else None)


def test_close_without_a_code(record: Recording, socket: Socket) -> None:
    """It is told as such."""
    socket.create()
    socket.trace.down(frame(opcode=8))
    socket.end(TransportEnd.EOF)
    text = f"{CLOSED_BY_SERVER}: upstream closed the websocket with no code"
    assert outcomes(closed(record)) == [("inference_failed", text)]


def test_end_is_told_once_and_is_the_end(record: Recording, socket: Socket) -> None:
    """What comes after it, from either side, is not looked at."""
    socket.create()
    socket.end(TransportEnd.EOF)
    noted = len(record.operations)
    socket.end(TransportEnd.CLIENT_CLOSED)
    socket.create()
    socket.receive(*BEGUN)
    assert (len(record.operations), socket.trace.open_calls) == (noted, 0)
    assert len(ended(closed(record))) == 1


@pytest.mark.parametrize("direction", ["up", "down"])
def test_unreadable_frames(record: Recording, socket: Socket, direction: str) -> None:
    """The call that is open is told to lack what could not be read, and ends with the socket."""
    socket.create()
    getattr(socket.trace, direction)(frame(b"?", opcode=3))
    socket.receive(*BEGUN)
    assert not socket.trace.is_between_frames
    assert socket.trace.open_calls is None
    socket.end(TransportEnd.EOF)
    assert socket.trace.open_calls == 0
    (end,) = ended(closed(record))
    assert end["proxy"]["notes"] == ["not decoded: a frame of an unknown opcode"]


@pytest.mark.parametrize("direction", ["up", "down"])
def test_between_frames(record: Recording, direction: str) -> None:
    """A frame of ours fits in only where neither side is within one."""
    trace: WebSocketTrace = Socket(record).trace
    assert trace.is_between_frames
    getattr(trace, direction)(b"\x81\x05He")
    assert not trace.is_between_frames
    getattr(trace, direction)(b"llo")
    assert trace.is_between_frames
