"""The real openai SDK through the proxy, in streams that end otherwise than they should."""

from typing import Any

import openai
import pytest

from tests.support.events import (
    ev_completed,
    ev_created,
    ev_error,
    ev_error_nested,
    ev_failed,
    ev_in_progress,
    ev_incomplete,
    ev_item_added,
    ev_item_done,
    ev_keepalive,
    ev_part_added,
    ev_text_delta,
    function_call_item,
    message_item,
    sse,
    sse_pieces,
    text_stream,
)
from tests.support.reduced import only_call, said, state_after
from tests.support.running_proxy import RunningProxy
from tests.support.script import (
    SSE_TYPE,
    Chunk,
    Close,
    Gate,
    Head,
    ReadBody,
    Reset,
    Step,
    stream_reply,
)
from tests.support.scripted_upstream import ScriptedUpstream

STREAM = sse_pieces(*text_stream("Hel", "lo"))


def begun(*deltas: str, response_id: str = "resp_1") -> bytes:
    """The beginning of a stream, up to the deltas and no further."""
    return sse(
        ev_created(response_id),
        ev_in_progress(response_id),
        ev_item_added(message_item("", status="in_progress")),
        ev_part_added(),
        *(ev_text_delta(delta) for delta in deltas),
    )


def test_dropped_stream_is_cancelled_with_what_had_come(
    upstream: ScriptedUpstream, proxy: RunningProxy, client: openai.OpenAI
) -> None:
    """A client that stops reading ends the upstream request; the call keeps its partial text."""
    upstream.enqueue(stream_reply(begun("Hel", "lo, "), Gate(), *STREAM, request_id="req_4"))
    stream = client.responses.create(model="m", input="Hi", stream=True)
    for event in stream:
        if event.type == "response.output_text.delta" and event.delta == "lo, ":
            break
    stream.close()
    upstream.request(0).wait_until_closed_by_peer()
    call = only_call(state_after(proxy))
    assert call["execution"]["status"] == "cancelled"
    assert call["upstream_request_id"] == "req_4"
    about = call["proxy"]
    assert about["response_id"] == "resp_1"
    assert about["outcome"]["protocol"] == "none"
    assert about["outcome"]["transport"] == "client_closed"
    (partial,) = about["partial_items"]
    assert partial["output_index"] == 0
    assert partial["item"]["status"] == "incomplete"
    assert partial["item"]["content"][0]["text"] == "Hello, "


def test_stream_dropped_between_items_keeps_the_done_one(
    upstream: ScriptedUpstream, proxy: RunningProxy, client: openai.OpenAI
) -> None:
    """An item that was done stays an item of a cancelled call; one in progress is partial."""
    call_item = function_call_item("look", {"at": "it"})
    events = (
        ev_created(),
        ev_item_done(message_item("First.", "msg_0")),
        ev_item_added(call_item | {"arguments": "", "status": "in_progress"}, 1),
    )
    upstream.enqueue(stream_reply(sse(*events), Gate()))
    with client.responses.create(model="m", input="Hi", stream=True) as stream:
        for event in stream:
            if event.type == "response.output_item.added":
                break
    upstream.request(0).wait_until_closed_by_peer()
    state = state_after(proxy)
    call = only_call(state)
    assert call["execution"]["status"] == "cancelled"
    assert said(state, call) == [("assistant", "First.")]
    (partial,) = call["proxy"]["partial_items"]
    assert (partial["output_index"], partial["item"]["type"]) == (1, "function_call")


def test_stream_left_after_its_last_event_is_completed(
    upstream: ScriptedUpstream, proxy: RunningProxy, client: openai.OpenAI
) -> None:
    """A client that leaves right after `response.completed` got a completed call."""
    upstream.enqueue(stream_reply(b"".join(STREAM), Gate()))
    with client.responses.create(model="m", input="Hi", stream=True) as stream:
        for event in stream:
            if event.type == "response.completed":
                break
    upstream.request(0).wait_until_closed_by_peer()
    call = only_call(state_after(proxy))
    assert call["execution"]["status"] == "completed"
    assert call["proxy"]["outcome"]["protocol"] == "completed"


@pytest.mark.parametrize("end", [Close(), Reset()], ids=["FIN", "RST"])
def test_stream_cut_by_upstream_raises_and_is_traced_failed(
    upstream: ScriptedUpstream, proxy: RunningProxy, client: openai.OpenAI, end: Step
) -> None:
    """A stream that upstream cuts short is an error for the SDK, and a failed call."""
    head = Head(headers=(SSE_TYPE, (b"Transfer-Encoding", b"chunked"), (b"x-request-id", b"req_6")))
    upstream.enqueue([ReadBody(), head, Chunk(begun("Hel")), end])
    received: list[str] = []
    stream = client.responses.create(model="m", input="Hi", stream=True)
    with pytest.raises(openai.APIConnectionError):
        received.extend(event.type for event in stream)
    stream.close()
    call = only_call(state_after(proxy))
    assert (call["execution"]["status"], call["upstream_request_id"]) == ("failed", "req_6")
    about = call["proxy"]
    assert about["response_id"] == "resp_1"
    assert about["outcome"]["protocol"] == "none"
    assert about["outcome"]["transport"] in {"eof", "upstream_error"}
    assert about["partial_items"][0]["item"]["content"][0]["text"] == "Hel"


def test_stream_that_ends_early_but_cleanly_is_traced_failed(
    upstream: ScriptedUpstream, proxy: RunningProxy, client: openai.OpenAI
) -> None:
    """A stream with a proper end and no terminal event just stops for the SDK; the call failed."""
    upstream.enqueue(stream_reply(begun("Hel")))
    with client.responses.create(model="m", input="Hi", stream=True) as stream:
        assert [event.type for event in stream][-1] == "response.output_text.delta"
    call = only_call(state_after(proxy))
    assert call["execution"]["status"] == "failed"
    outcome = call["proxy"]["outcome"]
    assert (outcome["protocol"], outcome["transport"]) == ("none", "eof")


ENDINGS: dict[str, tuple[dict[str, Any], str, str]] = {
    "completed": (ev_completed("resp_1"), "completed", "completed"),
    "failed": (ev_failed("resp_1"), "failed", "failed"),
    "incomplete": (ev_incomplete("resp_1"), "failed", "incomplete"),
    "flat error": (ev_error(), "failed", "error"),
}


@pytest.mark.parametrize(("event", "status", "protocol"), ENDINGS.values(), ids=ENDINGS.keys())
def test_last_event_decides_how_the_call_ended(
    upstream: ScriptedUpstream,
    proxy: RunningProxy,
    client: openai.OpenAI,
    event: dict[str, Any],
    status: str,
    protocol: str,
) -> None:
    """Each terminal event of the protocol reaches the SDK and decides the call's status."""
    upstream.enqueue(stream_reply(sse(ev_created(), ev_keepalive(), event)))
    with client.responses.create(model="m", input="Hi", stream=True) as stream:
        assert [seen.type for seen in stream][-1] == event["type"]
    call = only_call(state_after(proxy))
    assert call["execution"]["status"] == status
    assert call["proxy"]["outcome"]["protocol"] == protocol
    assert call["proxy"]["response_id"] == "resp_1"


def test_nested_error_event_raises_and_is_traced_failed(
    upstream: ScriptedUpstream, proxy: RunningProxy, client: openai.OpenAI
) -> None:
    """The nested form of the error event makes the SDK raise, and the call failed."""
    upstream.enqueue(stream_reply(sse(ev_created(), ev_error_nested("it broke"))))
    stream = client.responses.create(model="m", input="Hi", stream=True)
    with pytest.raises(openai.APIError, match="it broke"):
        list(stream)
    call = only_call(state_after(proxy))
    assert call["execution"]["status"] == "failed"
    assert call["proxy"]["outcome"]["protocol"] == "error"
