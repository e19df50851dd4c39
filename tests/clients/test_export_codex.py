"""What clients send through the proxy can be exported for Codex's reducer, whatever they send."""

from typing import Any

import openai
import pytest

from tests.support.codex_cli import require_codex
from tests.support.events import (
    ev_created,
    ev_item_added,
    ev_item_done,
    ev_text_delta,
    function_call_item,
    function_call_stream,
    message_item,
    response_object,
    sse,
    sse_pieces,
    text_stream,
)
from tests.support.exported import assert_export_agrees, visible
from tests.support.odd_bundles import ITEM_TYPES
from tests.support.reduced import State, only
from tests.support.responses_socket import ResponsesSocket, Take, says
from tests.support.running_proxy import RunningProxy
from tests.support.script import Gate, Reply, json_reply, stream_reply
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.socket_events import read_response

from .test_openai_agents import run as run_agent

CALL_ITEM = function_call_item("weather", {"city": "Bern"}, call_id="call_7")
REASONING = {"type": "reasoning", "id": "rs_1", "summary": []}
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "auto"}


@pytest.fixture(autouse=True)
def _codex() -> None:
    """Codex's reducer is what these tests ask."""
    require_codex()


def exported(proxy: RunningProxy) -> State:
    """The export's state by Codex's reducer, which shows all text that our own state shows."""
    proxy.stop()
    return assert_export_agrees(only(proxy.bundles()))


def answered(upstream: ScriptedUpstream, *outputs: Any) -> None:
    """Let upstream answer a call with each of these outputs, in turn."""
    for number, output in enumerate(outputs, start=1):
        answer = response_object(f"resp_{number}", output=output)
        upstream.enqueue(json_reply(answer, request_id=f"req_{number}"))


def texts(state: State) -> list[str]:
    """All texts of the state."""
    shown = visible(state, list(state["conversation_items"]))
    return [text for _role, item in shown for text in item]


def test_short_forms_of_input(
    upstream: ScriptedUpstream, proxy: RunningProxy, client: openai.OpenAI
) -> None:
    """A string, messages without a type, an image, no input at all."""
    answered(upstream, *([message_item(f"A{number}")] for number in range(4)))
    client.responses.create(model="m", input="A string")
    client.responses.create(
        model="m",
        input=[{"role": "developer", "content": "Be brief"}, {"role": "user", "content": "Short"}],
    )
    content: Any = [{"type": "input_text", "text": "What is it?"}, IMAGE]
    client.responses.create(model="m", input=[{"role": "user", "content": content}])
    client.responses.create(model="m", prompt={"id": "pmpt_1"})
    state = exported(proxy)
    assert {"A string", "Be brief", "Short", "What is it?", "A0", "A3"} <= set(texts(state))


def test_chains_forks_and_reasoning(
    upstream: ScriptedUpstream, proxy: RunningProxy, client: openai.OpenAI
) -> None:
    """Chained calls, two of one parent, one of an unknown parent; reasoning with nothing in it."""
    answered(upstream, *([REASONING, message_item(f"A{number}")] for number in range(4)))
    client.responses.create(model="m", input="Begin")
    client.responses.create(model="m", input="On", previous_response_id="resp_1")
    client.responses.create(model="m", input="Fork", previous_response_id="resp_1")
    client.responses.create(model="m", input="Lost", previous_response_id="resp_unknown")
    state = exported(proxy)
    calls = sorted(
        state["inference_calls"].values(), key=lambda call: call["execution"]["started_seq"]
    )
    asked = [visible(state, call["request_item_ids"]) for call in calls]
    begun = [("user", ["Begin"]), ("assistant", []), ("assistant", ["A0"])]
    assert asked[1] == [*begun, ("user", ["On"])]
    assert asked[2] == [*begun, ("user", ["Fork"])]
    assert asked[3] == [("user", ["Lost"])]


def test_cancelled_call_is_continued(
    upstream: ScriptedUpstream, proxy: RunningProxy, client: openai.OpenAI
) -> None:
    """A call goes on from one that its client left in the middle."""
    first = message_item("First.", "msg_0")
    begun = (ev_created(), ev_item_done(first), ev_item_added(message_item("", "msg_1"), 1))
    upstream.enqueue(stream_reply(sse(*begun, ev_text_delta("half", "msg_1", 1)), Gate()))
    with client.responses.create(model="m", input="Hi", stream=True) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                break
    upstream.request(0).wait_until_closed_by_peer()
    upstream.enqueue(stream_reply(*sse_pieces(*text_stream("o", "k", response_id="resp_2"))))
    client.responses.create(model="m", input="Go on", previous_response_id="resp_1", stream=False)
    state = exported(proxy)
    (last,) = (c for c in state["inference_calls"].values() if c["response_id"] == "resp_2")
    shown = visible(state, last["request_item_ids"])
    assert shown == [("user", ["Hi"]), ("assistant", ["First."]), ("user", ["Go on"])]


def test_retried_and_refused_calls(upstream: ScriptedUpstream, proxy: RunningProxy) -> None:
    """A call that the SDK tries again, and one that upstream refuses."""
    body = [b'{"error": {"message": "busy", "type": "server_error"}}']
    busy = Reply(status=500, headers=((b"Content-Type", b"application/json"),), body=body)
    for reply in (busy, json_reply(response_object(output=[message_item("At last")])), busy):
        upstream.enqueue(reply)
    with openai.OpenAI(base_url=proxy.base_url, api_key="sk-x", max_retries=1) as client:
        client.responses.create(model="m", input="Try")
    with (
        openai.OpenAI(base_url=proxy.base_url, api_key="sk-x", max_retries=0) as client,
        pytest.raises(openai.InternalServerError),
    ):
        client.responses.create(model="m", input="Refused")
    state = exported(proxy)
    statuses = sorted(c["execution"]["status"] for c in state["inference_calls"].values())
    assert statuses == ["completed", "failed", "failed"]
    assert {"At last", "Refused"} <= set(texts(state))


def test_every_type_of_item(
    upstream: ScriptedUpstream, proxy: RunningProxy, client: openai.OpenAI
) -> None:
    """Items of every type, sent and said, those that Codex refuses too."""
    fields = {"id": "i", "output": "seen", "name": "n", "arguments": "{}", "input": "in"}
    every: list[Any] = [
        {"type": kind, **fields, "call_id": f"call of {kind}", "status": "completed"}
        for kind in ITEM_TYPES
    ]
    odd: list[Any] = [{"type": "message", "role": "user", "content": "text"}, {"x": 1}]
    answered(upstream, every, [message_item("Done")])
    client.responses.create(model="m", input=every + odd)
    client.responses.create(model="m", input="More", previous_response_id="resp_1")
    state = exported(proxy)
    assert "Done" in texts(state)


@pytest.mark.parametrize("streamed", [True, False])
def test_agent_with_a_tool(upstream: ScriptedUpstream, proxy: RunningProxy, streamed: bool) -> None:
    """A run of openai-agents, which calls a tool and sends its output back."""
    if streamed:
        upstream.enqueue(stream_reply(*sse_pieces(*function_call_stream(CALL_ITEM))))
        final = text_stream("It is ", "sunny.", response_id="resp_2")
        upstream.enqueue(stream_reply(*sse_pieces(*final)))
    else:
        answered(upstream, [REASONING, CALL_ITEM], [message_item("It is sunny.")])
    assert run_agent(proxy, streamed=streamed) == "It is sunny."
    state = exported(proxy)
    assert {"sunny in Bern", "It is sunny."} <= set(texts(state))


def test_websocket_calls(
    socket_upstream: ResponsesSocket, socket_proxy: RunningProxy, socket_client: openai.OpenAI
) -> None:
    """Calls on a WebSocket, each chained from the one before, with input in short forms."""
    streams = [text_stream(f"A{n}", "!", response_id=f"resp_{n}") for n in range(3)]
    socket_upstream.enqueue(*(step for stream in streams for step in (Take(), says(*stream))))
    with socket_client.responses.connect() as connection:
        connection.response.create(model="m", input="Zero")
        read_response(connection)
        for number in (1, 2):
            connection.response.create(
                model="m",
                input=[{"role": "user", "content": f"Q{number}"}],
                previous_response_id=f"resp_{number - 1}",
            )
            read_response(connection)
    state = exported(socket_proxy)
    (last,) = (c for c in state["inference_calls"].values() if c["response_id"] == "resp_2")
    shown = [text for _role, item in visible(state, last["request_item_ids"]) for text in item]
    assert shown == ["Zero", "A0!", "Q1", "A1!", "Q2"]
