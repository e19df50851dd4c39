"""The openai SDK for Node over a WebSocket through the proxy: what it sees, and what is traced."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.support.events import Event, text_stream
from tests.support.node_sdk import NodeSDK, require_node_modules
from tests.support.reduced import asked, calls, only_call, said, state_after
from tests.support.responses_socket import CloseWith, Drop, ResponsesSocket, Take, says
from tests.support.running_proxy import RunningProxy

from .conftest import KEY

STREAM = text_stream("Hel", "lo")
LANES = ("a", "b", "c")
ERROR: Event = {
    "type": "error",
    "status": 429,
    "error": {
        "type": "invalid_request_error",
        "code": "rate_limit_exceeded",
        "message": "Not so fast.",
        "param": None,
        "headers": {"x-request-id": "req_7"},
    },
}


@pytest.fixture
def node_sdk() -> NodeSDK:
    """The SDK for Node; skipped where it is not installed."""
    return NodeSDK(require_node_modules())


def create(text: str, **fields: Any) -> dict[str, Any]:
    """A request with one user's message."""
    content = [{"type": "input_text", "text": text}]
    message = {"type": "message", "role": "user", "content": content}
    return {"type": "response.create", "model": "gpt-5.5", "input": [message], **fields}


def text_of(events: Iterable[dict[str, Any]]) -> str:
    """The text that the events' deltas come to."""
    return "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta")


def test_chained_responses_are_read_whole_and_traced(
    socket_upstream: ResponsesSocket, socket_proxy: RunningProxy, node_sdk: NodeSDK
) -> None:
    """A response and the one that continues it reach the SDK event for event: two calls."""
    follow_up = text_stream("Bye", response_id="resp_2", item_id="msg_2")
    socket_upstream.enqueue(Take(), says(*STREAM), Take(), says(*follow_up))
    first, second = create("Hi"), create("And?", previous_response_id="resp_1")
    told = node_sdk.run(socket_proxy.base_url, KEY, [first], [second])
    assert [event["type"] for event in told.events] == [e["type"] for e in (*STREAM, *follow_up)]
    assert text_of(told.events) == "HelloBye"
    assert (told.errors, told.close["code"]) == ([], 1000)
    assert socket_upstream.messages == [first, second]
    state = state_after(socket_proxy)
    assert state["diagnostics"] == []
    assert [call["response_id"] for call in calls(state)] == ["resp_1", "resp_2"]
    assert {call["execution"]["status"] for call in calls(state)} == {"completed"}
    assert len({call["thread_id"] for call in calls(state)}) == 1
    last = calls(state)[1]
    assert asked(state, last) == [("user", "Hi"), ("assistant", "Hello"), ("user", "And?")]
    assert said(state, last) == [("assistant", "Bye")]


def test_three_lanes_interleaved_are_three_calls(
    socket_upstream: ResponsesSocket, socket_proxy: RunningProxy, node_sdk: NodeSDK
) -> None:
    """Frames of three lanes, in turns, reach the SDK in their order and come to three calls."""
    streams = [
        says(*text_stream(lane, response_id=f"resp_{lane}", item_id=f"msg_{lane}"), lane=lane)
        for lane in LANES
    ]
    frames = [frame for frames in zip(*streams, strict=True) for frame in frames]
    socket_upstream.enqueue(Take(), Take(), Take(), frames)
    requests = [create(f"Ask {lane}", stream_id=lane) for lane in LANES]
    told = node_sdk.run(socket_proxy.base_url, KEY, requests)
    assert [event["stream_id"] for event in told.events] == list(LANES) * len(streams[0])
    state = state_after(socket_proxy)
    for lane, call in zip(LANES, calls(state), strict=True):
        assert (call["proxy"]["stream_id"], call["response_id"]) == (lane, f"resp_{lane}")
        assert asked(state, call) == [("user", f"Ask {lane}")]
        assert said(state, call) == [("assistant", lane)]


@pytest.mark.parametrize("takes_compression", [False, True])
@pytest.mark.parametrize("offers", [False, True])
def test_compression_is_agreed_on_end_to_end(
    trace_dir: Path, node_sdk: NodeSDK, takes_compression: bool, offers: bool
) -> None:
    """Frames are deflated where both sides want that, and traced the same in any case."""
    with ResponsesSocket(takes_compression=takes_compression) as upstream:
        upstream.enqueue(Take(), says(*STREAM))
        with RunningProxy(f"{upstream.url}/v1", trace_dir) as proxy:
            # The library deflates no message below its threshold.
            request = create("Hi" * 10_000)
            told = node_sdk.run(proxy.base_url, KEY, [request], perMessageDeflate=offers)
            state = state_after(proxy)
        assert upstream.messages == [request]
        assert upstream.connections[0].is_deflated is (takes_compression and offers)
    assert text_of(told.events) == "Hello"
    assert asked(state, only_call(state)) == [("user", "Hi" * 10_000)]
    assert said(state, only_call(state)) == [("assistant", "Hello")]


@pytest.mark.parametrize(
    ("end", "closed"),
    [
        pytest.param(Drop(), (1006, ""), id="drop"),
        pytest.param(CloseWith(1012, "restart"), (1012, "restart"), id="close"),
    ],
)
def test_socket_that_ends_amid_a_response_is_told_as_it_ended(
    socket_upstream: ResponsesSocket,
    socket_proxy: RunningProxy,
    node_sdk: NodeSDK,
    end: Drop | CloseWith,
    closed: tuple[int, str],
) -> None:
    """The SDK gets the real close code, or 1006 for none; the call failed, partly told."""
    socket_upstream.enqueue(Take(), says(*STREAM[:6]), end)
    told = node_sdk.run(socket_proxy.base_url, KEY, [create("Hi")])
    assert (told.close["code"], told.close["reason"]) == closed
    assert text_of(told.events) == "Hello"
    call = only_call(state_after(socket_proxy))
    assert call["execution"]["status"] == "failed"
    assert call["proxy"]["response_id"] == "resp_1"
    assert call["proxy"]["partial_items"][0]["item"]["content"][0]["text"] == "Hello"


def test_error_frame_fails_its_call_alone(
    socket_upstream: ResponsesSocket, socket_proxy: RunningProxy, node_sdk: NodeSDK
) -> None:
    """An `error` in place of a response reaches the SDK whole; the socket goes on."""
    socket_upstream.enqueue(Take(), says(ERROR), Take(), says(*STREAM))
    told = node_sdk.run(socket_proxy.base_url, KEY, [create("Hi")], [create("Hi")])
    assert told.events[0]["error"] == ERROR["error"]
    assert any("Not so fast." in error for error in told.errors)
    assert text_of(told.events) == "Hello"
    failed, completed = calls(state_after(socket_proxy))
    assert (failed["execution"]["status"], failed["proxy"]["http_status"]) == ("failed", 429)
    assert failed["upstream_request_id"] == "req_7"
    assert completed["execution"]["status"] == "completed"
