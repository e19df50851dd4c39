"""The real openai SDK through the proxy: what it sees, and what the trace says of it."""

import asyncio
from typing import Any

import openai
import pytest

from tests.support.events import (
    message_item,
    response_object,
    sse_pieces,
    text_stream,
    usage,
)
from tests.support.reduced import asked, calls, only_call, said, state_after
from tests.support.running_proxy import RunningProxy
from tests.support.script import (
    Gate,
    json_reply,
    stream_reply,
)
from tests.support.scripted_upstream import ScriptedUpstream

from .conftest import KEY

STREAM = sse_pieces(*text_stream("Hel", "lo"))


def test_stream_is_read_whole_and_traced_completed(
    upstream: ScriptedUpstream, proxy: RunningProxy, client: openai.OpenAI
) -> None:
    """A stream reaches the SDK event for event, and its call is completed with all of it."""
    upstream.enqueue(stream_reply(*STREAM, request_id="req_7"))
    with client.responses.create(model="gpt-5.5", input="Hi", stream=True) as stream:
        events = list(stream)
    assert [event.type for event in events] == [event["type"] for event in text_stream("a", "b")]
    assert upstream.request(0).header("authorization") == f"Bearer {KEY}"
    state = state_after(proxy)
    call = only_call(state)
    assert call["execution"]["status"] == "completed"
    assert (call["response_id"], call["upstream_request_id"]) == ("resp_1", "req_7")
    assert call["model"] == "gpt-5.5"
    assert said(state, call) == [("assistant", "Hello")]
    assert call["usage"]["input_tokens"] == 11
    assert call["usage"]["output_tokens"] == 7
    about = call["proxy"]
    assert (about["transport"], about["http_status"]) == ("sse", 200)
    assert (about["outcome"]["protocol"], about["outcome"]["transport"]) == ("completed", "eof")
    assert (about["events"], about["bytes_down"]) == (len(STREAM), len(b"".join(STREAM)))
    assert about["last_sequence_number"] == len(STREAM) - 1
    assert about["client"]["user_agent"].startswith("OpenAI/Python ")
    assert about["auth"] == {"present": True, "header": "authorization"}


def test_async_stream_is_read_whole_and_traced_completed(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """The async SDK, with streams side by side, reads each one's own text."""

    async def one(client: openai.AsyncOpenAI, question: str) -> str:
        stream = await client.responses.create(model="m", input=question, stream=True)
        deltas = [
            event.delta async for event in stream if event.type == "response.output_text.delta"
        ]
        return "".join(deltas)

    async def both() -> list[str]:
        async with openai.AsyncOpenAI(base_url=proxy.base_url, api_key=KEY) as client:
            slow = asyncio.create_task(one(client, "a"))
            await asyncio.to_thread(gate.wait_until_reached)
            quick = await one(client, "b")
            gate.open()
            return [await slow, quick]

    gate = Gate()
    upstream.enqueue(stream_reply(*STREAM[:3], gate, *STREAM[3:]))
    upstream.enqueue(stream_reply(*sse_pieces(*text_stream("o", "k", response_id="resp_2"))))
    assert asyncio.run(both()) == ["Hello", "ok"]
    found = calls(state_after(proxy))
    assert [call["response_id"] for call in found] == ["resp_1", "resp_2"]
    assert {call["execution"]["status"] for call in found} == {"completed"}


def test_stream_helper_gives_the_final_response(
    upstream: ScriptedUpstream, proxy: RunningProxy, client: openai.OpenAI
) -> None:
    """The SDK's accumulating helper ends with the whole response."""
    upstream.enqueue(stream_reply(*STREAM))
    with client.responses.stream(model="m", input="Hi") as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert (deltas, final.output_text) == (["Hel", "lo"], "Hello")
    assert only_call(state_after(proxy))["execution"]["status"] == "completed"


def test_json_answer_is_traced_completed(
    upstream: ScriptedUpstream, proxy: RunningProxy, client: openai.OpenAI
) -> None:
    """A response that is not streamed comes with its request id and is traced with its output."""
    output = [message_item("Hello")]
    upstream.enqueue(json_reply(response_object("resp_5", output=output), request_id="req_5"))
    response = client.responses.create(model="m", input="Hi")
    assert (response.output_text, response._request_id) == ("Hello", "req_5")
    state = state_after(proxy)
    call = only_call(state)
    assert (call["execution"]["status"], call["proxy"]["transport"]) == ("completed", "http")
    assert (call["response_id"], call["upstream_request_id"]) == ("resp_5", "req_5")
    assert call["proxy"]["response_status"] == "completed"
    assert said(state, call) == [("assistant", "Hello")]
    assert call["usage"]["output_tokens"] == 7


def test_raw_and_streaming_responses_have_upstreams_headers(
    upstream: ScriptedUpstream, proxy: RunningProxy, client: openai.OpenAI
) -> None:
    """`with_raw_response` and `with_streaming_response` see the head that upstream sent."""
    headers = ((b"x-ratelimit-remaining-requests", b"99"), (b"openai-processing-ms", b"12"))
    upstream.enqueue(json_reply(response_object("resp_1"), headers=headers))
    raw = client.responses.with_raw_response.create(model="m", input="Hi")
    assert raw.headers["x-ratelimit-remaining-requests"] == "99"
    assert raw.parse().id == "resp_1"
    upstream.enqueue(json_reply(response_object("resp_2"), request_id="req_2", headers=headers))
    with client.responses.with_streaming_response.create(model="m", input="Hi") as streaming:
        assert streaming.headers["openai-processing-ms"] == "12"
        assert streaming.parse().id == "resp_2"
    found = calls(state_after(proxy))
    assert [call["response_id"] for call in found] == ["resp_1", "resp_2"]
    kept = found[0]["proxy"]["response_headers"]
    assert kept["x-ratelimit-remaining-requests"] == "99"


def test_retries_are_calls_of_their_own(
    upstream: ScriptedUpstream, proxy: RunningProxy, client: openai.OpenAI
) -> None:
    """A 429 and a 500 are failed calls with their request ids; the third try completes."""
    error = {"error": {"message": "slow down", "type": "rate_limit", "code": "rate_limit_exceeded"}}
    soon = ((b"retry-after-ms", b"1"),)
    upstream.enqueue(json_reply(error, status=429, request_id="req_1", headers=soon))
    upstream.enqueue(json_reply(error, status=500, request_id="req_2", headers=soon))
    upstream.enqueue(stream_reply(*STREAM, request_id="req_3"))
    with client.responses.create(model="m", input="Hi", stream=True) as stream:
        assert list(stream)[-1].type == "response.completed"
    found = calls(state_after(proxy))
    assert [call["execution"]["status"] for call in found] == ["failed", "failed", "completed"]
    assert [call["upstream_request_id"] for call in found] == ["req_1", "req_2", "req_3"]
    assert [call["proxy"]["http_status"] for call in found] == [429, 500, 200]
    assert [call["proxy"]["retry_count"] for call in found] == [0, 1, 2]
    assert len({call["inference_call_id"] for call in found}) == 3
    assert [call["response_id"] for call in found] == [None, None, "resp_1"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_refusal_raises_and_is_traced_failed(
    upstream: ScriptedUpstream, proxy: RunningProxy, client: openai.OpenAI, status: int
) -> None:
    """An error that is not retried reaches the SDK as its exception, request id and all."""
    body = {"error": {"message": "no such model", "type": "x", "param": "model", "code": "gone"}}
    upstream.enqueue(json_reply(body, status=status, request_id="req_9"))
    with pytest.raises(openai.APIStatusError) as refused:
        client.responses.create(model="m", input="Hi")
    assert (refused.value.status_code, refused.value.request_id) == (status, "req_9")
    assert refused.value.body == body["error"]
    call = only_call(state_after(proxy))
    assert (call["execution"]["status"], call["upstream_request_id"]) == ("failed", "req_9")
    assert call["proxy"]["http_status"] == status


def test_chained_calls_are_one_thread(
    upstream: ScriptedUpstream, proxy: RunningProxy, client: openai.OpenAI
) -> None:
    """A call that names its parent's response continues its thread, whole conversation and all."""
    message = {"type": "message", "role": "user"}
    first = [{**message, "content": [{"type": "input_text", "text": "One?"}]}]
    second = [{**message, "content": [{"type": "input_text", "text": "Two?"}]}]
    upstream.enqueue(stream_reply(*sse_pieces(*text_stream("One", response_id="resp_1"))))
    upstream.enqueue(
        stream_reply(*sse_pieces(*text_stream("Two", response_id="resp_2", item_id="msg_2")))
    )
    create: Any = client.responses.create
    for request in (
        {"input": first},
        {"input": second, "previous_response_id": "resp_1"},
    ):
        with create(model="m", stream=True, **request) as stream:
            assert list(stream)[-1].type == "response.completed"
    state = state_after(proxy)
    parent, child = calls(state)
    assert child["thread_id"] == parent["thread_id"]
    assert asked(state, child) == [("user", "One?"), ("assistant", "One"), ("user", "Two?")]
    assert child["proxy"]["continues"] == {
        "call": parent["inference_call_id"],
        "by": "previous_response_id",
    }


def test_background_response_is_completed_as_queued(
    upstream: ScriptedUpstream, proxy: RunningProxy, client: openai.OpenAI
) -> None:
    """A background response is answered at once; reading it later is no call."""
    upstream.enqueue(json_reply(response_object("resp_1", status="queued")))
    done = response_object("resp_1", output=[message_item("Hello")], usage=usage())
    upstream.enqueue(json_reply(done, request_id="req_2"))
    upstream.enqueue(json_reply(response_object("resp_1", status="cancelled")))
    assert client.responses.create(model="m", input="Hi", background=True).status == "queued"
    assert client.responses.retrieve("resp_1").output_text == "Hello"
    assert client.responses.cancel("resp_1").status == "cancelled"
    call = only_call(state_after(proxy))
    assert (call["execution"]["status"], call["response_id"]) == ("completed", "resp_1")
    assert call["proxy"]["response_status"] == "queued"


def test_key_is_in_no_file(
    upstream: ScriptedUpstream, proxy: RunningProxy, client: openai.OpenAI
) -> None:
    """The key is on the wire and nowhere on the disk, even where upstream echoes it."""
    echo = {"error": {"message": f"Incorrect API key provided: {KEY}.", "code": "invalid_api_key"}}
    upstream.enqueue(json_reply(echo, status=401))
    upstream.enqueue(stream_reply(*sse_pieces(*text_stream("It is ", KEY[:9], KEY[9:]))))
    with pytest.raises(openai.AuthenticationError, match=KEY):
        client.responses.create(model="m", input="Hi")
    with client.responses.create(model="m", input="Hi", stream=True) as stream:
        last = list(stream)[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == f"It is {KEY}"
    proxy.stop()
    files = [path for path in proxy.trace_dir.rglob("*") if path.is_file()]
    assert len(files) > 4
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
