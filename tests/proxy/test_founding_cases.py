"""What tailrace is for, end to end: each call's evidence says how it ended, and by which ids."""

from pathlib import Path

import pytest

from tests.support.differential import call
from tests.support.events import (
    error_body,
    ev_completed,
    ev_created,
    ev_failed,
    ev_in_progress,
    ev_item_added,
    ev_item_done,
    ev_keepalive,
    ev_part_added,
    ev_text_delta,
    ev_text_done,
    message_item,
    response_object,
    sse,
    text_stream,
)
from tests.support.raw_bundle import (
    TERMINALS,
    event_types,
    only_terminal,
    payload_names,
    request_payload,
    response_payload,
)
from tests.support.raw_http import BodyReader, RawConnection, exchange
from tests.support.reduced import asked, calls, only, only_call, said, state_after
from tests.support.running_proxy import RunningProxy
from tests.support.script import (
    JSON_TYPE,
    SSE_TYPE,
    Chunk,
    Close,
    Gate,
    Head,
    RawHeaders,
    ReadBody,
    Reply,
    Reset,
    Step,
    json_reply,
    stream_reply,
)
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.stalled_client import (
    StalledConnection,
    shrink_send_buffers,
    wait_until_read,
)

ITEM = message_item("First.", "msg_0")
ONE_ITEM = (ev_created("resp_1"), ev_item_done(ITEM))
BEGUN_ITEM = (
    ev_item_added(message_item("", status="in_progress"), 1),
    ev_part_added(output_index=1),
    ev_text_delta("Hel", output_index=1),
    ev_text_delta("lo, ", output_index=1),
)

ONE_CANCELLED_CALL = [
    "rollout_started",
    "thread_started",
    "codex_turn_started",
    "inference_started",
    "inference_cancelled",
    "codex_turn_ended",
    "thread_ended",
    "rollout_ended",
    "recording_completed",
]


def drop_after(proxy: RunningProxy, upstream: ScriptedUpstream, last: bytes, how: str) -> None:
    """Call, read the response up to these bytes, and leave; upstream has seen it afterwards."""
    connection = RawConnection(proxy.port)
    connection.send(call())
    BodyReader(connection, connection.read_head()).read_until(last)
    getattr(connection, how)()
    upstream.request(0).wait_until_closed_by_peer()


@pytest.mark.parametrize("how", ["close", "abort"], ids=["FIN", "RST"])
def test_stream_dropped_after_one_item(
    upstream: ScriptedUpstream, proxy: RunningProxy, how: str
) -> None:
    """It is cancelled, once, with its one item and two payloads, and knows both ids."""
    body = sse(*ONE_ITEM)
    upstream.enqueue(stream_reply(body, Gate(), request_id="req_1"))
    drop_after(proxy, upstream, body, how)
    state = state_after(proxy)
    cancelled = only_call(state)
    assert cancelled["execution"]["status"] == "cancelled"
    assert said(state, cancelled) == [("assistant", "First.")]
    assert len(state["raw_payloads"]) == 2
    bundle = only(proxy.bundles())
    assert event_types(bundle) == ONE_CANCELLED_CALL
    assert payload_names(bundle) == ["1.json", "2.json"]
    assert request_payload(bundle) == {"model": "m", "input": "Hi", "stream": True}
    assert response_payload(bundle) == {
        "response_id": "resp_1",
        "upstream_request_id": "req_1",
        "token_usage": None,
        "output_items": [ITEM],
        "proxy": {},
    }
    assert (bundle / only_terminal(bundle)["proxy"]["capture"]["file"]).read_bytes().count(body)


@pytest.mark.parametrize("how", ["close", "abort"], ids=["FIN", "RST"])
def test_stream_dropped_with_an_item_that_could_not_be_delivered(
    upstream: ScriptedUpstream, proxy: RunningProxy, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """A client that stopped reading gets no further; what came from upstream was seen."""
    shrink_send_buffers(monkeypatch)
    filler = b": filler\n\n" * 30_000
    sent = Gate()
    upstream.enqueue(stream_reply(sse(ev_created("resp_1")), filler, sse(ev_item_done(ITEM)), sent))
    connection = StalledConnection(proxy.port)
    connection.send(call())
    sent.wait_until_reached()
    wait_until_read(proxy.port)
    getattr(connection, how)()
    upstream.request(0).wait_until_closed_by_peer()
    state = state_after(proxy)
    cancelled = only_call(state)
    assert cancelled["execution"]["status"] == "cancelled"
    assert said(state, cancelled) == [("assistant", "First.")]
    assert len(state["raw_payloads"]) == 2
    bundle = only(proxy.bundles())
    assert event_types(bundle) == ONE_CANCELLED_CALL
    assert response_payload(bundle)["output_items"] == [ITEM]
    assert response_payload(bundle)["response_id"] == "resp_1"
    assert only_terminal(bundle)["proxy"]["bytes_down"] > len(filler)


CHUNKED: RawHeaders = (SSE_TYPE, (b"Transfer-Encoding", b"chunked"))


def outcome_script(name: str, ids: RawHeaders) -> Reply | list[Step]:
    """How upstream answers, by the name of what comes of it."""
    match name:
        case "completed":
            return Reply(
                headers=(SSE_TYPE, *ids), body=[sse(*text_stream("Hel", "lo"))], framing="chunked"
            )
        case "completed, no stream":
            body = b'{"id": "resp_1", "object": "response", "status": "completed", "output": []}'
            return Reply(headers=(JSON_TYPE, *ids), body=[body])
        case "failed by HTTP error":
            return Reply(status=500, headers=(JSON_TYPE, *ids), body=[b'{"error": {}}'])
        case "failed by response.failed":
            return Reply(
                headers=(SSE_TYPE, *ids),
                body=[sse(ev_created("resp_1"), ev_failed("resp_1"))],
                framing="chunked",
            )
        case "failed by a cut":
            head = Head(headers=(*CHUNKED, *ids))
            return [ReadBody(), head, Chunk(sse(ev_created("resp_1"))), Close()]
        case "failed by a reset":
            head = Head(headers=(*CHUNKED, *ids))
            return [ReadBody(), head, Chunk(sse(ev_created("resp_1"))), Reset()]
        case "cancelled":
            return Reply(
                headers=(SSE_TYPE, *ids),
                body=[sse(ev_created("resp_1")), Gate()],
                framing="chunked",
            )
        case _:
            assert name == "cancelled late"
            late = (ev_text_done("Hello, "), ev_item_done(ITEM), ev_keepalive(), ev_keepalive())
            return Reply(
                headers=(SSE_TYPE, *ids),
                body=[sse(*ONE_ITEM, *BEGUN_ITEM, *late), Gate()],
                framing="chunked",
            )


OUTCOMES = [
    "completed",
    "completed, no stream",
    "failed by HTTP error",
    "failed by response.failed",
    "failed by a cut",
    "failed by a reset",
    "cancelled",
    "cancelled late",
]
REQUEST_IDS: list[tuple[RawHeaders, str | None, str | None]] = [
    (((b"X-Request-Id", b"req_7"),), "req_7", "x-request-id"),
    (((b"x-oai-request-id", b"req_8"),), "req_8", "x-oai-request-id"),
    ((), None, None),
]


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize(("ids", "wanted", "header"), REQUEST_IDS)
def test_upstream_request_id_is_on_every_outcome(
    upstream: ScriptedUpstream,
    proxy: RunningProxy,
    outcome: str,
    ids: RawHeaders,
    wanted: str | None,
    header: str | None,
) -> None:
    """The state, the terminal event and its payload have it; where there was none, null."""
    upstream.enqueue(outcome_script(outcome, ids))
    if outcome.startswith("cancelled"):
        drop_after(proxy, upstream, b"\n\n", "close")
    else:
        exchange(proxy.port, call())
    ended = only_call(state_after(proxy))
    assert ended["execution"]["status"] == outcome.split()[0].rstrip(",")
    bundle = only(proxy.bundles())
    assert ended["upstream_request_id"] == wanted
    assert only_terminal(bundle)["upstream_request_id"] == wanted
    assert only_terminal(bundle)["proxy"]["upstream_request_id_header"] == header
    assert response_payload(bundle)["upstream_request_id"] == wanted
    if outcome != "failed by HTTP error":
        assert ended["proxy"]["response_id"] == "resp_1"
        assert response_payload(bundle)["response_id"] == "resp_1"


def test_call_dropped_before_the_head_has_no_ids(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """It is cancelled, and null says that upstream had not told any id."""
    gate = Gate()
    upstream.enqueue([ReadBody(), gate])
    connection = RawConnection(proxy.port)
    connection.send(call())
    gate.wait_until_reached()
    connection.close()
    upstream.request(0).wait_until_closed_by_peer()
    cancelled = only_call(state_after(proxy))
    assert cancelled["execution"]["status"] == "cancelled"
    assert cancelled["upstream_request_id"] is None
    bundle = only(proxy.bundles())
    assert event_types(bundle) == ONE_CANCELLED_CALL
    terminal = only_terminal(bundle)
    assert terminal["upstream_request_id"] is None
    assert terminal["proxy"]["http_status"] is None
    assert terminal["proxy"]["response_id"] is None
    assert response_payload(bundle)["response_id"] is None


def test_item_in_progress_keeps_its_text(upstream: ScriptedUpstream, proxy: RunningProxy) -> None:
    """Beside the items that were done, apart from them, and marked as incomplete."""
    body = sse(*ONE_ITEM, ev_in_progress("resp_1"), *BEGUN_ITEM)
    upstream.enqueue(stream_reply(body, Gate()))
    drop_after(proxy, upstream, body, "close")
    state = state_after(proxy)
    assert said(state, only_call(state)) == [("assistant", "First.")]
    payload = response_payload(only(proxy.bundles()))
    assert payload["output_items"] == [ITEM]
    (partial,) = payload["proxy"]["partial_items"]
    assert only_call(state)["proxy"]["partial_items"] == [partial]
    assert (partial["output_index"], partial["item"]["status"]) == (1, "incomplete")
    assert partial["item"]["content"][0]["text"] == "Hello, "


@pytest.mark.parametrize("how", ["close", "abort"], ids=["FIN", "RST"])
def test_client_that_leaves_after_response_completed_got_a_completed_call(
    upstream: ScriptedUpstream, proxy: RunningProxy, how: str
) -> None:
    """Codex never waits for the stream's end; the call is completed, and once."""
    last = sse(ev_completed("resp_1", output=[ITEM]))
    upstream.enqueue(stream_reply(sse(*ONE_ITEM), last, Gate()))
    drop_after(proxy, upstream, last, how)
    state = state_after(proxy)
    completed = only_call(state)
    assert (completed["execution"]["status"], completed["response_id"]) == ("completed", "resp_1")
    assert completed["usage"]["input_tokens"] == 11
    assert said(state, completed) == [("assistant", "First.")]
    bundle = only(proxy.bundles())
    types = [kind for kind in event_types(bundle) if kind in TERMINALS]
    assert types == ["inference_completed"]
    assert only_terminal(bundle)["proxy"]["outcome"] == {
        "protocol": "completed",
        "transport": "client_closed",
        "reason": None,
    }


def user_says(text: str) -> bytes:
    """An item of a request's input."""
    return (
        b'{"type":"message","role":"user","content":[{"type":"input_text","text":"%b"}]}'
        % text.encode()
    )


def chained(previous: str) -> bytes:
    """A call that goes on from a response."""
    return call(
        body=b'{"model":"m","previous_response_id":"%b","input":[%b]}'
        % (previous.encode(), user_says("And?"))
    )


FIRST = call(body=b'{"model":"m","input":[%b]}' % user_says("Hi"))


def test_call_chains_by_the_response_id(upstream: ScriptedUpstream, proxy: RunningProxy) -> None:
    """What went before is part of what was asked, whatever the transport's ids were."""
    # The first call's transport id is the second one's response id: only one of them is meant.
    for response_id, request_id, text in (("resp_1", "resp_2", "A"), ("resp_2", "req_2", "B")):
        answer = response_object(response_id, output=[message_item(text, f"msg_{text}")])
        upstream.enqueue(json_reply(answer, request_id=request_id))
        exchange(proxy.port, FIRST)
    upstream.enqueue(json_reply(response_object("resp_3"), request_id="req_3"))
    exchange(proxy.port, chained("resp_2"))
    state = state_after(proxy)
    _, second, third = calls(state)
    assert asked(state, third) == [("user", "Hi"), ("assistant", "B"), ("user", "And?")]
    assert third["proxy"]["continues"] == {
        "call": second["inference_call_id"],
        "by": "previous_response_id",
    }
    assert third["thread_id"] == second["thread_id"]


def test_no_call_chains_by_a_transport_id(upstream: ScriptedUpstream, proxy: RunningProxy) -> None:
    """A `previous_response_id` that is some call's `x-request-id` names no call."""
    answer = response_object("resp_1", output=[message_item("A")])
    upstream.enqueue(json_reply(answer, request_id="req_1"))
    exchange(proxy.port, FIRST)
    upstream.enqueue(json_reply(error_body("No such response."), status=400, request_id="req_2"))
    exchange(proxy.port, chained("req_1"))
    state = state_after(proxy)
    first, second = calls(state)
    assert asked(state, second) == [("user", "And?")]
    assert not second["proxy"].get("continues")
    assert second["thread_id"] != first["thread_id"]


def test_every_file_of_a_bundle_is_for_its_owner_alone(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """0700 and 0600, whatever the umask."""
    upstream.enqueue(stream_reply(sse(*text_stream("Hel", "lo"))))
    exchange(proxy.port, call())
    proxy.stop()
    bundle: Path = only(proxy.bundles())
    for path in (bundle, *bundle.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600)
