"""How a WebSocket of the openai SDK ends through the proxy: each end is told as it was."""

from typing import Any

import openai
import orjson
import pytest
from openai.types.websocket_reconnection import ReconnectingEvent
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from reducer import reduce_bundle
from tests.support.events import (
    Event,
    error_body,
    text_stream,
)
from tests.support.reduced import calls, only_call, state_after
from tests.support.responses_socket import CloseWith, Drop, ResponsesSocket, Take, says
from tests.support.running_proxy import RunningProxy
from tests.support.script import json_reply
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.socket_events import read_response, text_of

from .conftest import KEY

STREAM = text_stream("Hel", "lo")
ERROR: Event = {
    "type": "error",
    "status": 400,
    "error": {
        "type": "invalid_request_error",
        "code": "previous_response_not_found",
        "message": "There is no such response.",
        "param": "previous_response_id",
        "headers": {"x-request-id": "req_7"},
    },
}


def test_dropped_connection_is_a_drop_to_the_client(
    socket_upstream: ResponsesSocket, socket_proxy: RunningProxy, socket_client: openai.OpenAI
) -> None:
    """An upstream gone without a close frame is 1006 to the SDK; the call failed, partly told."""
    socket_upstream.enqueue(Take(), says(*STREAM[:6]), Drop())
    with socket_client.responses.connect() as connection:
        connection.response.create(model="m", input="Hi")
        events = [connection.recv() for _ in STREAM[:6]]
        with pytest.raises(ConnectionClosedError) as raised:
            connection.recv()
    assert raised.value.rcvd is None
    assert text_of(events) == "Hello"
    call = only_call(state_after(socket_proxy))
    assert (call["execution"]["status"], call["response_id"]) == ("failed", None)
    about = call["proxy"]
    assert (about["response_id"], about["outcome"]["protocol"]) == ("resp_1", "none")
    assert about["outcome"]["transport"] in {"eof", "upstream_error"}
    assert about["partial_items"][0]["item"]["content"][0]["text"] == "Hello"


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 1013, 4000])
def test_close_code_and_reason_reach_the_client(
    socket_upstream: ResponsesSocket,
    socket_proxy: RunningProxy,
    socket_client: openai.OpenAI,
    code: int,
) -> None:
    """What upstream closes with is what the SDK is told, and the open call's reason names it."""
    socket_upstream.enqueue(Take(), says(*STREAM[:2]), CloseWith(code, "so be it"))
    with socket_client.responses.connect() as connection:
        connection.response.create(model="m", input="Hi")
        for _ in STREAM[:2]:
            connection.recv()
        with pytest.raises(Exception, match="so be it") as raised:
            connection.recv()
    closed: Any = raised.value
    assert (closed.rcvd.code, closed.rcvd.reason) == (code, "so be it")
    call = only_call(state_after(socket_proxy))
    assert call["execution"]["status"] == "failed"
    assert f"{code} so be it" in call["proxy"]["outcome"]["reason"]


def test_client_that_leaves_cancels_its_call(
    socket_upstream: ResponsesSocket, socket_proxy: RunningProxy, socket_client: openai.OpenAI
) -> None:
    """A close amid a response reaches upstream with its code; the call is cancelled."""
    socket_upstream.enqueue(Take(), says(*STREAM[:6]))
    with socket_client.responses.connect() as connection:
        connection.response.create(model="m", input="Hi")
        for _ in STREAM[:6]:
            connection.recv()
        connection.close(code=4001, reason="enough")
    (server_side,) = socket_upstream.connections
    server_side.wait_until_closed()
    assert server_side.close_code == 4001
    call = only_call(state_after(socket_proxy))
    assert call["execution"]["status"] == "cancelled"
    assert call["proxy"]["outcome"]["transport"] == "client_closed"
    assert call["proxy"]["partial_items"][0]["item"]["content"][0]["text"] == "Hello"


def test_error_frame_fails_its_call_alone(
    socket_upstream: ResponsesSocket, socket_proxy: RunningProxy, socket_client: openai.OpenAI
) -> None:
    """An `error` in place of a response reaches the SDK whole; the socket goes on."""
    socket_upstream.enqueue(Take(), says(ERROR), Take(), says(*STREAM))
    with socket_client.responses.connect() as connection:
        connection.response.create(model="m", input="Hi", previous_response_id="resp_0")
        (error,) = read_response(connection)
        connection.response.create(model="m", input="Hi")
        assert text_of(read_response(connection)) == "Hello"
    assert error.type == "error"
    assert error.to_dict()["error"] == ERROR["error"]
    failed, completed = calls(state_after(socket_proxy))
    assert (failed["execution"]["status"], completed["execution"]["status"]) == (
        "failed",
        "completed",
    )
    assert (failed["proxy"]["http_status"], failed["upstream_request_id"]) == (400, "req_7")
    assert failed["proxy"]["outcome"]["protocol"] == "error"
    assert "previous_response_not_found" in failed["proxy"]["outcome"]["reason"]
    assert completed["upstream_request_id"] is None


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_refused_handshake_reaches_the_client_whole(
    upstream: ScriptedUpstream, proxy: RunningProxy, status: int
) -> None:
    """A handshake that upstream refuses is refused with upstream's status, headers and body."""
    body = error_body("Not for you.", code="refused")
    upstream.enqueue(json_reply(body, status=status, request_id="req_7"))
    with (
        openai.OpenAI(base_url=proxy.base_url, api_key=KEY) as client,
        pytest.raises(InvalidStatus) as raised,
        client.responses.connect(),
    ):
        pass
    response = raised.value.response
    assert (response.status_code, response.headers["x-request-id"]) == (status, "req_7")
    assert response.body == orjson.dumps(body)
    proxy.stop()
    assert [calls(reduce_bundle(bundle)) for bundle in proxy.bundles()] in ([], [[]])


def test_sdk_connects_anew_after_a_close(
    socket_upstream: ResponsesSocket, socket_proxy: RunningProxy, socket_client: openai.OpenAI
) -> None:
    """The SDK's own reconnection goes by the real close code; both sockets' calls are traced."""
    socket_upstream.enqueue(Take(), says(*STREAM), CloseWith(1012, "restart"))
    again = text_stream("Again", response_id="resp_2", item_id="msg_2")
    socket_upstream.enqueue(Take(), says(*again))
    codes = []

    def ask_again(event: ReconnectingEvent) -> None:
        codes.append(event.close_code)
        connection.response.create(model="m", input="Still there?")

    with socket_client.responses.connect(
        on_reconnecting=ask_again, initial_delay=0, max_delay=0
    ) as connection:
        connection.response.create(model="m", input="Hi")
        events = iter(connection)
        assert text_of(read_response(events)) == "Hello"
        assert text_of(read_response(events)) == "Again"
    assert codes == [1012]
    found = calls(state_after(socket_proxy))
    assert [call["response_id"] for call in found] == ["resp_1", "resp_2"]
    assert len({call["proxy"]["connection_id"] for call in found}) == 2
