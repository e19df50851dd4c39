"""How the calls of real clients are linked: chained, stateless, forked, retried or cancelled."""

import asyncio
from pathlib import Path
from typing import Any

import agents
import openai
import pytest

from reducer import reduce_bundle
from reducer.cache import explain_cache
from reducer.conversation_trees import Conversations
from reducer.trace_links import link_bundles
from tests.support.codex_comparison import TOOL_CALL
from tests.support.codex_run import CodexRun
from tests.support.events import (
    Item,
    ev_created,
    ev_item_added,
    ev_part_added,
    ev_text_delta,
    function_call_item,
    function_call_stream,
    message_item,
    response_object,
    sse,
    sse_pieces,
    text_stream,
    usage,
)
from tests.support.reduced import Call, calls, state_after
from tests.support.responses_socket import ResponsesSocket, Step, Take, says
from tests.support.running_proxy import RunningProxy
from tests.support.script import Gate, Reply, json_reply, stream_reply
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.socket_events import read_response, user_message

from .conftest import KEY

ERROR: dict[str, object] = {"error": {"message": "slow down", "type": "rate_limit", "code": "x"}}


def answer(number: int, *output: Item, **fields: Any) -> Reply:
    """The response number so and so: a message that names it, unless there is other output."""
    items = output or (message_item(f"answer {number}", f"msg_{number}"),)
    value = response_object(f"resp_{number}", output=items, **fields)
    return json_reply(value, request_id=f"req_{number}")


def question(text: str) -> Any:
    """An input with a user's message, as the SDK's types want it."""
    return [user_message(text)]


def parents(proxy: RunningProxy) -> list[tuple[int, str] | None]:
    """For each call, in the order of their starts: the number of the one continued, and by what."""
    found = calls(state_after(proxy))
    place = {call["inference_call_id"]: number for number, call in enumerate(found, start=1)}
    links = (call["proxy"].get("continues") for call in found)
    return [None if link is None else (place[link["call"]], link["by"]) for link in links]


def test_chained_and_forked_responses(
    upstream: ScriptedUpstream, proxy: RunningProxy, client: openai.OpenAI
) -> None:
    """`previous_response_id` makes a tree: two calls that name one response are branches of it."""
    for number in range(1, 5):
        upstream.enqueue(answer(number))
    client.responses.create(model="m", input="a")
    for previous in ("resp_1", "resp_1", "resp_2"):
        client.responses.create(model="m", input="b", previous_response_id=previous)
    by = "previous_response_id"
    assert parents(proxy) == [None, (1, by), (1, by), (2, by)]
    conversations = Conversations(link_bundles(proxy.bundles()))
    assert len(conversations.roots) == 1
    (branch_point,) = conversations.branch_points
    assert branch_point is conversations.roots[0]


def test_stateless_conversation_that_forks(
    upstream: ScriptedUpstream, proxy: RunningProxy, client: openai.OpenAI
) -> None:
    """The SDK's own way to keep a history: each response's output is appended to the input."""
    for number in range(1, 5):
        upstream.enqueue(answer(number))
    history: list[Any] = [{"role": "user", "content": "a"}]
    history += client.responses.create(model="m", input=history, store=False).output
    left = [*history, {"role": "user", "content": "left"}]
    left += client.responses.create(model="m", input=left, store=False).output
    right = [*history, {"role": "user", "content": "right"}]
    client.responses.create(model="m", input=right, store=False)
    text = {"role": "assistant", "content": "answer 2"}
    only_text = [*history, left[-2], text, {"role": "user", "content": "on"}]
    client.responses.create(model="m", input=only_text, store=False)
    assert parents(proxy) == [None, (1, "prefix"), (1, "prefix"), (2, "prefix")]


def test_retries_are_one_request(
    upstream: ScriptedUpstream, proxy: RunningProxy, client: openai.OpenAI
) -> None:
    """A 500 and a 429 that the SDK tries again: three attempts, the last of which is continued."""
    soon = ((b"retry-after-ms", b"1"),)
    upstream.enqueue(answer(1))
    upstream.enqueue(json_reply(ERROR, status=500, headers=soon))
    upstream.enqueue(json_reply(ERROR, status=429, headers=soon))
    upstream.enqueue(answer(4))
    upstream.enqueue(answer(5))
    for previous in (None, "resp_1", "resp_4"):
        client.responses.create(model="m", input="a", previous_response_id=previous)
    by = "previous_response_id"
    assert parents(proxy) == [None, (1, by), (1, by), (1, by), (4, by)]
    found = calls(reduce_bundle(proxy.bundles()[0]))
    ids = [call["inference_call_id"] for call in found]
    retries = [call["proxy"].get("retry_of") for call in found]
    assert retries == [
        *[None, None],
        {"call": ids[1], "by": "retry_count", "first": ids[1], "attempt": 2},
        {"call": ids[2], "by": "retry_count", "first": ids[1], "attempt": 3},
        None,
    ]
    conversations = Conversations(link_bundles(proxy.bundles()))
    (root,) = conversations.roots
    counts = [len(request.attempts) for _, request in conversations.tree(root.key)]
    assert counts == [1, 3, 1]


def test_chain_goes_on_from_a_cancelled_response(
    upstream: ScriptedUpstream, proxy: RunningProxy, client: openai.OpenAI
) -> None:
    """A client that stops an answer midway, and goes on from it by its id or with what it had."""
    begun = sse(
        ev_created("resp_1"),
        ev_item_added(message_item("", "msg_1", status="in_progress")),
        ev_part_added("msg_1"),
        ev_text_delta("Half an ans", "msg_1"),
    )
    upstream.enqueue(stream_reply(begun, Gate()))
    upstream.enqueue(answer(2))
    upstream.enqueue(answer(3))
    stream = client.responses.create(model="m", input="a", stream=True)
    for event in stream:
        if event.type == "response.output_text.delta":
            break
    stream.close()
    upstream.request(0).wait_until_closed_by_peer()
    client.responses.create(model="m", input="b", previous_response_id="resp_1")
    kept = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "Half an ans"},
        {"role": "user", "content": "go on"},
    ]
    client.responses.create(model="m", input=kept)  # type: ignore[arg-type]  # output as input
    assert parents(proxy) == [None, (1, "previous_response_id"), (1, "prefix")]


def test_codex_names_its_thread(
    upstream: ScriptedUpstream, proxy: RunningProxy, codex: CodexRun
) -> None:
    """Codex over HTTP sends it all again in one thread, and repeats its call id when it retries."""
    upstream.enqueue(json_reply(ERROR, status=500))
    tool_call = function_call_stream(TOOL_CALL, response_id="resp_1")
    upstream.enqueue(stream_reply(*sse_pieces(*tool_call)))
    upstream.enqueue(stream_reply(*sse_pieces(*text_stream("Done.", response_id="resp_2"))))
    codex.use_custom_provider(proxy.base_url)
    done = codex.execute("Run the tool.")
    assert (done.returncode, done.stdout.strip()) == (0, "Done."), done.stderr
    assert parents(proxy) == [None, None, (2, "explicit")]
    retries = [call["proxy"].get("retry_of") for call in calls(reduce_bundle(proxy.bundles()[0]))]
    assert [retry and retry["by"] for retry in retries] == [None, "client_call_id", None]


def test_codex_chains_on_a_websocket(
    socket_upstream: ResponsesSocket, socket_proxy: RunningProxy, codex: CodexRun
) -> None:
    """There it names the response before, the first time a prewarm's."""
    script: list[Step] = [Take(), *says(*function_call_stream(TOOL_CALL, response_id="resp_1"))]
    socket_upstream.enqueue(script, Take(), says(*text_stream("Done.", response_id="resp_2")))
    codex.use_openai_base_url(socket_proxy.base_url)
    assert codex.execute("Run the tool.").returncode == 0
    assert parents(socket_proxy) == [None, (1, "previous_response_id")]


@agents.function_tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def test_agents_tool_loop_and_second_run(upstream: ScriptedUpstream, proxy: RunningProxy) -> None:
    """Within a run the tool's output is the link, from run to run the list of items."""

    async def two_runs() -> None:
        async with openai.AsyncOpenAI(base_url=proxy.base_url, api_key=KEY) as client:
            model = agents.OpenAIResponsesModel(model="m", openai_client=client)
            agent = agents.Agent(name="Weather", model=model, tools=[weather])
            config = agents.RunConfig(tracing_disabled=True)
            first = await agents.Runner.run(agent, "Weather?", run_config=config)
            history = [*first.to_input_list(), {"role": "user", "content": "And tomorrow?"}]
            await agents.Runner.run(agent, history, run_config=config)  # type: ignore[arg-type]  # plain items

    upstream.enqueue(answer(1, function_call_item("weather", {"city": "Bern"}, call_id="call_7")))
    upstream.enqueue(answer(2))
    upstream.enqueue(answer(3))
    asyncio.run(two_runs())
    assert parents(proxy) == [None, (1, "call_id"), (2, "prefix")]


def test_call_after_a_prewarm_continues_what_the_prewarm_did(
    socket_upstream: ResponsesSocket, socket_proxy: RunningProxy, socket_client: openai.OpenAI
) -> None:
    """On a WebSocket a prewarm stands between two calls, and is no call itself."""
    streams = [text_stream("ok", response_id=f"resp_{number}") for number in (1, 2)]
    script: list[Step] = []
    for stream in streams:
        script += [Take(), *says(*stream)]
    socket_upstream.enqueue(script)
    with socket_client.responses.connect() as connection:
        connection.response.create(model="m", input=question("a"))
        read_response(connection)
        connection.response.create(
            model="m", input=question("b"), previous_response_id="resp_1", generate=False
        )
        read_response(connection)
        connection.response.create(
            model="m", input=question("c"), previous_response_id="resp_prewarm_1"
        )
        read_response(connection)
    assert parents(socket_proxy) == [None, (1, "previous_response_id")]


def test_conversation_goes_on_after_a_restart(upstream: ScriptedUpstream, trace_dir: Path) -> None:
    """Two runs of the proxy write two bundles of one directory, which are one conversation."""
    upstream.enqueue(answer(1))
    upstream.enqueue(answer(2))
    for previous in (None, "resp_1"):
        with (
            RunningProxy(f"{upstream.url}/v1", trace_dir) as proxy,
            openai.OpenAI(base_url=proxy.base_url, api_key=KEY) as client,
        ):
            client.responses.create(model="m", input="a", previous_response_id=previous)
    bundles = sorted(trace_dir.glob("trace-*"))
    assert len(bundles) == 2
    conversations = Conversations(link_bundles(reversed(bundles)))
    (root,) = conversations.roots
    walked = [request for _, request in conversations.tree(root.key)]
    assert [len(request.attempts) for request in walked] == [1, 1]
    assert walked[1].continues is not None
    assert str(walked[1].continues.by) == "previous_response_id"


@pytest.mark.parametrize("instructions", ["Be short.", "Be short. It is 10:02."])
def test_cache_miss_is_explained(
    upstream: ScriptedUpstream, proxy: RunningProxy, client: openai.OpenAI, instructions: str
) -> None:
    """What the API says of cached tokens stands beside what changed in the client's requests."""
    upstream.enqueue(answer(1, usage=usage(3000, 7)))
    cached = 2944 if instructions == "Be short." else 0
    upstream.enqueue(answer(2, usage=usage(3100, 7, cached_tokens=cached)))
    history: list[Any] = [{"role": "user", "content": "a"}]
    history += client.responses.create(model="m", input=history, instructions="Be short.").output
    history += [{"role": "user", "content": "b"}]
    client.responses.create(model="m", input=history, instructions=instructions)
    state = state_after(proxy)
    second: Call = calls(state)[1]
    report = explain_cache(proxy.bundles()[0], state, second["inference_call_id"])
    assert (report.cached_tokens, report.uncached_tokens) == (cached, 3100 - cached)
    assert report.before_input_tokens == 3000
    changed = [(change.reason, change.pointer) for change in report.changes]
    assert changed == ([] if cached else [("instructions_changed", "/instructions")])
    assert report.first_new_item == "/input/1"
