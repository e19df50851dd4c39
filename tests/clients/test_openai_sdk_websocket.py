"""The openai SDK's `responses.connect()` through the proxy: what it sees, and what is traced."""

import asyncio
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import openai
import pytest
from openai.types.responses import ResponsesServerEvent

from tests.support.events import (
    Event,
    ev_completed,
    ev_created,
    ev_incomplete,
    ev_text_delta,
    text_stream,
)
from tests.support.reduced import Call, State, asked, calls, only_call, said, state_after
from tests.support.responses_socket import ResponsesSocket, Say, Take, says
from tests.support.running_proxy import RunningProxy
from tests.support.socket_events import TERMINALS, read_response, text_of, types, user_message

from .conftest import KEY

STREAM = text_stream("Hel", "lo")
LANES = ("a", "b", "c")


def lane_of(event: ResponsesServerEvent) -> str | None:
    """The lane that an event names."""
    return getattr(event, "stream_id", None)


def interleaved(*streams: list[Say]) -> Iterator[Say]:
    """The first frame of each stream, then each one's second, to the longest one's end."""
    for frames in zip_longest(*streams):
        yield from (frame for frame in frames if frame is not None)


def lane_stream(lane: str) -> list[Say]:
    """A response in a lane, which says what no other lane does."""
    stream = text_stream(f"{lane}1 ", f"{lane}2", response_id=f"resp_{lane}", item_id=f"msg_{lane}")
    return says(*stream, lane=lane)


def by_lane(state: State) -> dict[str, Call]:
    """The calls by their lanes."""
    return {call["proxy"]["stream_id"]: call for call in calls(state)}


def assert_lanes_are_traced(proxy: RunningProxy) -> None:
    """Each of the three lanes came to one call, with its own request and its own response."""
    state = state_after(proxy)
    assert state["diagnostics"] == []
    found = by_lane(state)
    assert sorted(found) == list(LANES)
    for lane, call in found.items():
        assert call["execution"]["status"] == "completed"
        assert call["response_id"] == f"resp_{lane}"
        assert asked(state, call) == [("user", f"Ask {lane}")]
        assert said(state, call) == [("assistant", f"{lane}1 {lane}2")]
        assert call["proxy"]["events"] == len(STREAM)
    assert len({call["thread_id"] for call in found.values()}) == len(LANES)
    assert len({call["proxy"]["connection_id"] for call in found.values()}) == 1


def test_response_is_read_whole_and_traced_completed(
    socket_upstream: ResponsesSocket, socket_proxy: RunningProxy, socket_client: openai.OpenAI
) -> None:
    """A response reaches the SDK event for event, and its call is completed with all of it."""
    socket_upstream.enqueue(Take(), says(*STREAM))
    with socket_client.responses.connect() as connection:
        connection.response.create(model="gpt-5.5", input="Hi")
        events = read_response(connection)
    assert types(events) == [event["type"] for event in STREAM]
    assert text_of(events) == "Hello"
    (server_side,) = socket_upstream.connections
    server_side.wait_until_closed()
    assert server_side.close_code == 1000
    assert server_side.headers["authorization"] == f"Bearer {KEY}"
    assert server_side.messages == [{"type": "response.create", "model": "gpt-5.5", "input": "Hi"}]
    state = state_after(socket_proxy)
    call = only_call(state)
    assert (call["execution"]["status"], call["response_id"]) == ("completed", "resp_1")
    assert (call["model"], call["upstream_request_id"]) == ("gpt-5.5", None)
    assert said(state, call) == [("assistant", "Hello")]
    assert (call["usage"]["input_tokens"], call["usage"]["output_tokens"]) == (11, 7)
    about = call["proxy"]
    assert (about["transport"], about["method"], about["path"]) == (
        "websocket",
        "GET",
        "/v1/responses",
    )
    assert (about["outcome"]["protocol"], about["events"]) == ("completed", len(STREAM))
    assert about["auth"] == {"present": True, "header": "authorization"}


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("takes_compression", [False, True])
def test_compression_is_agreed_on_end_to_end(
    trace_dir: Any, compression: str | None, takes_compression: bool
) -> None:
    """Frames are deflated where both sides want that, and traced the same in any case."""
    with ResponsesSocket(takes_compression=takes_compression) as upstream:
        upstream.enqueue(Take(), says(*STREAM))
        with (
            RunningProxy(f"{upstream.url}/v1", trace_dir) as proxy,
            openai.OpenAI(base_url=proxy.base_url, api_key=KEY) as client,
            client.responses.connect(
                websocket_connection_options={"compression": compression}
            ) as connection,
        ):
            connection.response.create(model="m", input="Hi" * 1000)
            assert text_of(read_response(connection)) == "Hello"
            (server_side,) = upstream.connections
            assert server_side.is_deflated is (takes_compression and compression == "deflate")
            connection.close()
            server_side.wait_until_closed()
            state = state_after(proxy)
    call = only_call(state)
    assert said(state, call) == [("assistant", "Hello")]
    assert call["proxy"]["outcome"]["protocol"] == "completed"


def test_chained_responses_are_one_thread(
    socket_upstream: ResponsesSocket, socket_proxy: RunningProxy, socket_client: openai.OpenAI
) -> None:
    """A response that continues another on the socket has its conversation so far as request."""
    follow_up = text_stream("Bye", response_id="resp_2", item_id="msg_2")
    socket_upstream.enqueue(Take(), says(*STREAM), Take(), says(*follow_up))
    with socket_client.responses.connect() as connection:
        connection.response.create(model="m", input=[{"role": "user", "content": "Hi"}])
        response_id = read_response(connection)[-1].response.id  # type: ignore[union-attr]  # the last event has one
        question: Any = [{"type": "message", "role": "user", "content": "And?"}]
        connection.response.create(model="m", input=question, previous_response_id=response_id)
        assert text_of(read_response(connection)) == "Bye"
    state = state_after(socket_proxy)
    first, second = calls(state)
    assert first["thread_id"] == second["thread_id"]
    assert second["proxy"]["continues"] == {
        "call": first["inference_call_id"],
        "by": "previous_response_id",
    }
    assert second["request_item_ids"][:2] == first["request_item_ids"] + first["response_item_ids"]
    assert len(second["request_item_ids"]) == 3


def test_prewarm_is_no_call_but_chained_from(
    socket_upstream: ResponsesSocket, socket_proxy: RunningProxy, socket_client: openai.OpenAI
) -> None:
    """`generate: false` makes no call; the one that continues it has the prewarm's input."""
    socket_upstream.enqueue(Take(), says(*STREAM))
    with socket_client.responses.connect() as connection:
        before: Any = [user_message("Before.")]
        connection.response.create(model="m", input=before, generate=False)
        warm = read_response(connection)[-1]
        after: Any = [user_message("After.")]
        connection.response.create(
            model="m",
            input=after,
            previous_response_id=warm.response.id,  # type: ignore[union-attr]  # the last event has one
        )
        assert text_of(read_response(connection)) == "Hello"
    state = state_after(socket_proxy)
    call = only_call(state)
    assert asked(state, call) == [("user", "Before."), ("user", "After.")]
    assert call["proxy"]["request"]["form"] == "logical"
    assert call["response_id"] == "resp_1"


def test_three_lanes_interleaved_are_three_calls(
    socket_upstream: ResponsesSocket, socket_proxy: RunningProxy, socket_client: openai.OpenAI
) -> None:
    """Frames of three lanes, in turns, reach the SDK in their order and come to three calls."""
    frames = list(interleaved(*(lane_stream(lane) for lane in LANES)))
    socket_upstream.enqueue(Take(), Take(), Take(), frames)
    with socket_client.responses.connect() as connection:
        for lane in LANES:
            question: Any = [user_message(f"Ask {lane}")]
            connection.response.create(model="m", input=question, stream_id=lane)
        events = [connection.recv() for _ in frames]
    assert [lane_of(event) for event in events] == list(LANES) * len(STREAM)
    for lane in LANES:
        assert text_of(e for e in events if lane_of(e) == lane) == f"{lane}1 {lane}2"
    assert_lanes_are_traced(socket_proxy)


@pytest.mark.parametrize("lane", [None, "a"])
def test_steered_response_and_its_successor_are_two_calls(
    socket_upstream: ResponsesSocket,
    socket_proxy: RunningProxy,
    socket_client: openai.OpenAI,
    lane: str | None,
) -> None:
    """A steer, which names no lane, makes a successor without a request: a call that continues."""
    accepted: Event = {
        "type": "response.steer.accepted",
        "steer": {"id": "steer_1", "previous_response_id": "resp_1"},
    }
    steered = ev_incomplete("resp_1", reason="steered")
    successor = text_stream("Bye", response_id="resp_2", item_id="msg_2")
    socket_upstream.enqueue(
        Take(),
        says(*STREAM[:-1], lane=lane),
        Take(),
        says(accepted, steered, first=len(STREAM) - 1, lane=lane),
        says(*successor, lane=lane),
    )
    named: Any = {} if lane is None else {"stream_id": lane}
    with socket_client.responses.connect() as connection:
        question: Any = [user_message("Hi")]
        connection.response.create(model="gpt-5.5", input=question, **named)
        for _ in STREAM[:-1]:
            connection.recv()
        hint: Any = [user_message("Shorter.")]
        connection.response.steer(input=hint, previous_response_id="resp_1")
        assert types(read_response(connection)) == [accepted["type"], steered["type"]]
        assert text_of(read_response(connection)) == "Bye"
    state = state_after(socket_proxy)
    first, second = calls(state)
    assert (first["execution"]["status"], second["execution"]["status"]) == ("failed", "completed")
    assert (first["proxy"]["stream_id"], second["proxy"]["stream_id"]) == (lane, lane)
    assert first["proxy"]["outcome"]["protocol"] == "incomplete"
    assert (second["response_id"], second["model"]) == ("resp_2", "gpt-5.5")
    assert first["thread_id"] == second["thread_id"]
    conversation = [("user", "Hi"), ("assistant", "Hello"), ("user", "Shorter.")]
    assert asked(state, second) == conversation
    assert said(state, second) == [("assistant", "Bye")]


def test_async_client_runs_three_lanes(
    socket_upstream: ResponsesSocket, socket_proxy: RunningProxy
) -> None:
    """The async SDK reads its lanes' frames in their order, though they end in another."""
    late, mid, soon = (lane_stream(lane) for lane in LANES)
    frames = [*late[:2], *mid[:-1], *soon, *late[2:], mid[-1]]

    async def run() -> list[ResponsesServerEvent]:
        async with (
            openai.AsyncOpenAI(base_url=socket_proxy.base_url, api_key=KEY) as client,
            client.responses.connect() as connection,
        ):
            for lane in LANES:
                question: Any = [user_message(f"Ask {lane}")]
                await connection.response.create(model="m", input=question, stream_id=lane)
            return [await connection.recv() for _ in frames]

    socket_upstream.enqueue(Take(), Take(), Take(), frames)
    ends = [lane_of(event) for event in asyncio.run(run()) if event.type in TERMINALS]
    assert ends == ["c", "a", "b"]
    assert_lanes_are_traced(socket_proxy)


def test_message_of_20_mb_passes(
    socket_upstream: ResponsesSocket, socket_proxy: RunningProxy, socket_client: openai.OpenAI
) -> None:
    """There is no limit to a message's size, in either direction."""
    text = "x" * 20_000_000
    answer = says(ev_created(), ev_text_delta(text), ev_completed())
    socket_upstream.enqueue(Take(), answer)
    with socket_client.responses.connect() as connection:
        connection.response.create(model="m", input=text)
        assert text_of(read_response(connection)) == text
    assert socket_upstream.messages[0]["input"] == text
    assert only_call(state_after(socket_proxy))["execution"]["status"] == "completed"


def test_key_is_in_no_file(
    socket_upstream: ResponsesSocket, socket_proxy: RunningProxy, socket_client: openai.OpenAI
) -> None:
    """The key in the handshake is in no file of ours, even where a message repeats it."""
    socket_upstream.enqueue(Take(), says(*text_stream(f"It is {KEY}.")))
    with socket_client.responses.connect() as connection:
        connection.response.create(model="m", input=f"My key is {KEY}.")
        assert text_of(read_response(connection)) == f"It is {KEY}."
    socket_proxy.stop()
    files = [path for path in socket_proxy.trace_dir.rglob("*") if path.is_file()]
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
