"""What real clients did is what the reading commands tell of it, found by any id."""

import asyncio
import json
from pathlib import Path
from typing import Any

import agents
import openai
import pytest
from click.testing import CliRunner

from tailrace import main
from tests.support.codex_comparison import TOOL_CALL
from tests.support.codex_run import CodexRun
from tests.support.events import (
    function_call_item,
    function_call_stream,
    sse_pieces,
    text_stream,
)
from tests.support.responses_socket import ResponsesSocket, Take, says
from tests.support.running_page import RunningPage
from tests.support.running_proxy import RunningProxy
from tests.support.script import Gate, stream_reply
from tests.support.scripted_upstream import ScriptedUpstream
from tests.viewer.page.markup import words


def read(trace_dir: Path, *arguments: str) -> list[dict[str, Any]]:
    """The objects that a command prints."""
    ours: dict[str, str | None] = {"TAILRACE_TEST_CODEX": None, "TAILRACE_TEST_NODE_MODULES": None}
    command = [*arguments, "--json", "--trace-dir", str(trace_dir)]
    done = CliRunner().invoke(main, command, env=ours)
    assert done.exit_code == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def conversation(trace_dir: Path) -> str:
    """The words of the page of the last call's conversation."""
    last = read(trace_dir, "show", "last")[0]
    trace_id = Path(last["bundle"]).name.removeprefix("trace-")
    with RunningPage(trace_dir) as page:
        answer = page.get(f"/thread/{trace_id}/{last['inference_call_id']}")
    assert answer.status == 200
    return words(answer.text)


def assert_found_by_every_id(trace_dir: Path, call: dict[str, Any]) -> None:
    """The call, its response and its request each name it."""
    for name in ("inference_call_id", "response_id", "upstream_request_id"):
        if call[name] is not None:
            (found,) = read(trace_dir, "show", call[name])
            assert found["inference_call_id"] == call["inference_call_id"], name
    (last,) = read(trace_dir, "show", "last")
    assert last["inference_call_id"] == read(trace_dir, "ls")[0]["inference_call_id"]


def assert_in_order(text: str, *parts: str) -> None:
    """Each part stands in the text, after the one before."""
    place = 0
    for part in parts:
        found = text.find(part, place)
        assert found >= 0, f"{part!r} is not in {text[place:]!r}"
        place = found + len(part)


def test_codex_over_http(upstream: ScriptedUpstream, proxy: RunningProxy, codex: CodexRun) -> None:
    """A tool loop is one conversation of two calls, each found by its x-request-id."""
    called = function_call_stream(TOOL_CALL, response_id="resp_1")
    upstream.enqueue(stream_reply(*sse_pieces(*called), request_id="req_1"))
    done = text_stream("All ", "done.", response_id="resp_2")
    upstream.enqueue(stream_reply(*sse_pieces(*done), request_id="req_2"))
    codex.use_custom_provider(proxy.base_url)
    assert codex.execute("Run the tool.").returncode == 0
    proxy.stop()
    second, first = read(proxy.trace_dir, "ls")
    assert [call["upstream_request_id"] for call in (first, second)] == ["req_1", "req_2"]
    assert first["thread_id"] == second["thread_id"]
    assert second["proxy"]["continues"]["call"] == first["inference_call_id"]
    assert (first["proxy"]["asked"], second["proxy"]["answered"]) == ("Run the tool.", "All done.")
    assert_found_by_every_id(proxy.trace_dir, first)
    assert_in_order(
        conversation(proxy.trace_dir), "Run the tool.", str(TOOL_CALL["name"]), "All done."
    )


def test_codex_over_a_websocket(
    socket_upstream: ResponsesSocket, socket_proxy: RunningProxy, codex: CodexRun
) -> None:
    """The same over one connection, where a response has no id of an upstream request."""
    answer = text_stream("All ", "done.", response_id="resp_2", item_id="msg_2")
    called = function_call_stream(TOOL_CALL, response_id="resp_1")
    socket_upstream.enqueue(Take(), says(*called), Take(), says(*answer))
    codex.use_custom_provider(socket_proxy.base_url, websockets=True)
    assert codex.execute("Run the tool.").returncode == 0
    socket_proxy.stop()
    second, first = read(socket_proxy.trace_dir, "ls")
    assert [call["response_id"] for call in (first, second)] == ["resp_1", "resp_2"]
    assert {call["proxy"]["transport"] for call in (first, second)} == {"websocket"}
    assert second["proxy"]["continues"]["call"] == first["inference_call_id"]
    assert_found_by_every_id(socket_proxy.trace_dir, second)
    assert_in_order(
        conversation(socket_proxy.trace_dir), "Run the tool.", str(TOOL_CALL["name"]), "All done."
    )


def test_stream_that_the_sdk_left(
    upstream: ScriptedUpstream, proxy: RunningProxy, client: openai.OpenAI
) -> None:
    """What had come by then, and who left."""
    whole = sse_pieces(*text_stream("Once ", "upon ", "a time"))
    upstream.enqueue(stream_reply(*whole[:6], Gate(), *whole[6:], request_id="req_left"))
    with client.responses.create(model="m", input="A story", stream=True) as stream:
        for event in stream:
            if event.type == "response.output_text.delta" and event.delta == "upon ":
                break
    upstream.request(0).wait_until_closed_by_peer()
    proxy.stop()
    (call,) = read(proxy.trace_dir, "show", "req_left")
    assert call["execution"]["status"] == "cancelled"
    assert call["proxy"]["outcome"]["transport"] == "client_closed"
    (partial,) = call["proxy"]["partial_items"]
    assert partial["item"]["content"][0]["text"] == "Once upon "
    assert_found_by_every_id(proxy.trace_dir, call)
    assert_in_order(
        conversation(proxy.trace_dir), "A story", "Once upon", "cut here: the client disconnected"
    )


@agents.function_tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


@pytest.mark.parametrize("chained", [False, True], ids=["whole", "chained"])
def test_agents_tool_loop(upstream: ScriptedUpstream, proxy: RunningProxy, chained: bool) -> None:
    """An agent's two calls are one conversation, whether it sends the whole or chains by id."""
    item = function_call_item("weather", {"city": "Bern"}, call_id="call_7")
    called = sse_pieces(*function_call_stream(item))
    upstream.enqueue(stream_reply(*called, request_id="req_1"))
    final = sse_pieces(*text_stream("It is ", "sunny.", response_id="resp_2"))
    upstream.enqueue(stream_reply(*final, request_id="req_2"))
    assert asyncio.run(run_agent(proxy.base_url, chained=chained)) == "It is sunny."
    proxy.stop()
    second, first = read(proxy.trace_dir, "ls")
    by = "previous_response_id" if chained else "call_id"
    assert second["proxy"]["continues"] == {"call": first["inference_call_id"], "by": by}
    assert first["proxy"]["tools"] == ["weather"]
    assert_found_by_every_id(proxy.trace_dir, second)
    assert_in_order(
        conversation(proxy.trace_dir), "Weather?", "Bern", "sunny in Bern", "It is sunny."
    )


async def run_agent(base_url: str, *, chained: bool) -> str:
    """Run the agent once, to its final output."""
    async with openai.AsyncOpenAI(base_url=base_url, api_key="sk-test-key") as client:
        model = agents.OpenAIResponsesModel(model="gpt-5.5", openai_client=client)
        agent = agents.Agent(name="Weather", model=model, tools=[weather])
        result = agents.Runner.run_streamed(
            agent,
            "Weather?",
            run_config=agents.RunConfig(tracing_disabled=True),
            auto_previous_response_id=chained,
        )
        async for _ in result.stream_events():
            pass
        return str(result.final_output)
