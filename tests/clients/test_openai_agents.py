"""The real openai-agents SDK through the proxy: a run with a tool loop."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import agents
import openai
import pytest

from tests.support.events import (
    function_call_item,
    function_call_stream,
    message_item,
    response_object,
    sse_pieces,
    text_stream,
)
from tests.support.reduced import calls, said, state_after
from tests.support.running_proxy import RunningProxy
from tests.support.script import json_reply, stream_reply
from tests.support.scripted_upstream import ScriptedUpstream

CALL_ITEM = function_call_item("weather", {"city": "Bern"}, call_id="call_7")


@agents.function_tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def run(proxy: RunningProxy, *, streamed: bool) -> str:
    """Run the agent once, to its final output."""

    async def go() -> str:
        async with openai.AsyncOpenAI(base_url=proxy.base_url, api_key="sk-test-key") as client:
            model = agents.OpenAIResponsesModel(model="gpt-5.5", openai_client=client)
            agent = agents.Agent(name="Weather", model=model, tools=[weather])
            config = agents.RunConfig(tracing_disabled=True)
            if streamed:
                result = agents.Runner.run_streamed(agent, "Weather?", run_config=config)
                async for _ in result.stream_events():
                    pass
                return str(result.final_output)
            return str((await agents.Runner.run(agent, "Weather?", run_config=config)).final_output)

    coroutine: Coroutine[Any, Any, str] = go()
    return asyncio.run(coroutine)


@pytest.mark.parametrize("streamed", [True, False])
def test_tool_loop_is_traced_call_by_call(
    upstream: ScriptedUpstream, proxy: RunningProxy, streamed: bool
) -> None:
    """The agent calls its tool and sends the result; both calls are traced, the second after."""
    if streamed:
        upstream.enqueue(
            stream_reply(*sse_pieces(*function_call_stream(CALL_ITEM)), request_id="req_1")
        )
        final = text_stream("It is ", "sunny.", response_id="resp_2")
        upstream.enqueue(stream_reply(*sse_pieces(*final), request_id="req_2"))
    else:
        upstream.enqueue(
            json_reply(response_object("resp_1", output=[CALL_ITEM]), request_id="req_1")
        )
        answer = response_object("resp_2", output=[message_item("It is sunny.")])
        upstream.enqueue(json_reply(answer, request_id="req_2"))
    assert run(proxy, streamed=streamed) == "It is sunny."
    outputs = [
        item["output"]
        for item in upstream.request(1).json()["input"]
        if item.get("type") == "function_call_output"
    ]
    assert outputs == ["sunny in Bern"]
    state = state_after(proxy)
    first, second = calls(state)
    assert [call["response_id"] for call in (first, second)] == ["resp_1", "resp_2"]
    assert [call["upstream_request_id"] for call in (first, second)] == ["req_1", "req_2"]
    assert {call["execution"]["status"] for call in (first, second)} == {"completed"}
    assert said(state, second) == [("assistant", "It is sunny.")]
    (made,) = (state["conversation_items"][item_id] for item_id in first["response_item_ids"])
    assert (made["kind"], made["call_id"]) == ("function_call", "call_7")
    assert first["proxy"]["client"]["user_agent"].startswith("Agents/Python ")
