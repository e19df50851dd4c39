"""The real Codex CLI over a WebSocket through the proxy: our bundle of its run against its own."""

import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.codex_comparison import (
    TOOL_CALL,
    agreed,
    assert_reduces_as_codex_reduces,
    codex_state,
    payloads,
)
from tests.support.codex_run import KEY, CodexRun
from tests.support.events import (
    Event,
    ev_created,
    ev_failed,
    ev_incomplete,
    ev_item_added,
    ev_item_done,
    ev_text_delta,
    function_call_stream,
    message_item,
    text_stream,
)
from tests.support.reduced import State, calls, only, only_call, said, state_after
from tests.support.responses_socket import CloseWith, Drop, ResponsesSocket, Step, Take, says
from tests.support.running_proxy import RunningProxy
from tests.support.script import GUARD_S

TERMINALS = ("inference_completed", "inference_failed", "inference_cancelled")


def begun(response_id: str, said_id: str) -> tuple[Event, ...]:
    """A response that has said one message and begun another."""
    return (
        ev_created(response_id),
        ev_item_added(message_item("", said_id, status="in_progress")),
        ev_item_done(message_item("First.", said_id)),
        ev_item_added(message_item("", "msg_begun", status="in_progress"), 1),
        ev_text_delta("Al", "msg_begun", output_index=1),
    )


def error_frame(status: int, code: str, **headers: str) -> Event:
    """OpenAI's `error` in place of a response, as Codex reads it."""
    error = {"type": "some_error", "code": code, "message": "It went wrong.", "param": None}
    named = {f"x-{name.replace('_', '-')}": value for name, value in headers.items()}
    return {"type": "error", "status": status, "error": error, "headers": named}


LIMIT_REACHED = error_frame(400, "websocket_connection_limit_reached")
NOT_FOUND = error_frame(400, "previous_response_not_found")
BEGUN = begun("resp_0", "msg_0")
BEGUN_SECOND = begun("resp_x", "msg_x")
Script = Sequence[Step | Sequence[Step]]
FIRST: Script = (Take(), says(*function_call_stream(TOOL_CALL, response_id="resp_1")))
SECOND: Script = (
    Take(),
    says(*text_stream("All ", "done.", response_id="resp_2", item_id="msg_2")),
)

SENT_TIME = "x-codex-ws-stream-request-start-ms"
"""What Codex adds to `client_metadata` as it sends, after its trace has the request."""


@pytest.fixture(params=[False, True], ids=["plain", "deflated"])
def socket_upstream(request: pytest.FixtureRequest) -> Iterator[ResponsesSocket]:
    """An upstream that takes Codex's offer of compression, and one that does not."""
    with ResponsesSocket(takes_compression=request.param) as server:
        yield server


@pytest.fixture
def plain_upstream() -> Iterator[ResponsesSocket]:
    """An upstream that takes no compression."""
    with ResponsesSocket() as server:
        yield server


@pytest.fixture
def plain_proxy(plain_upstream: ResponsesSocket, trace_dir: Path) -> Iterator[RunningProxy]:
    """The proxy before it."""
    with RunningProxy(f"{plain_upstream.url}/v1", trace_dir) as running:
        yield running


def use(codex: CodexRun, provider: str, proxy: RunningProxy) -> None:
    """Set Codex up for the proxy in one of the two ways that make it open a WebSocket."""
    if provider == "custom":
        codex.use_custom_provider(proxy.base_url, websockets=True)
    else:
        codex.use_openai_base_url(proxy.base_url)


def states(proxy: RunningProxy, codex: CodexRun, tmp_path: Path) -> tuple[State, State]:
    """What Codex's reducer says of our bundle, and of Codex's own."""
    proxy.stop()
    return codex_state(only(proxy.bundles()), tmp_path), codex_state(codex.bundle(), tmp_path)


def all_agreed(state: State) -> list[dict[str, Any]]:
    """What the calls come to in either trace, in their order."""
    return [agreed(state, call) for call in calls(state)]


def as_codex_keeps(request: dict[str, Any]) -> dict[str, Any]:
    """A request payload without the two fields in which Codex's and ours differ."""
    metadata = {k: v for k, v in request["client_metadata"].items() if k != SENT_TIME}
    kept = {key: value for key, value in request.items() if key != "type"}
    return kept | {"client_metadata": metadata}


@pytest.mark.parametrize("provider", ["openai", "custom"])
def test_tool_loop_is_traced_as_codex_traces_it(
    socket_upstream: ResponsesSocket,
    socket_proxy: RunningProxy,
    codex: CodexRun,
    tmp_path: Path,
    provider: str,
) -> None:
    """Codex's reducer says of our bundle what it says of Codex's own: threads, turns and calls."""
    socket_upstream.enqueue(*FIRST, *SECOND)
    use(codex, provider, socket_proxy)
    done = codex.execute("Run the tool.")
    assert (done.returncode, done.stdout.strip()) == (0, "All done."), done.stderr
    ours, theirs = states(socket_proxy, codex, tmp_path)
    assert list(ours["threads"]) == list(theirs["threads"])
    assert list(ours["codex_turns"]) == list(theirs["codex_turns"])
    assert all_agreed(ours) == all_agreed(theirs)
    assert [call["response_id"] for call in calls(ours)] == ["resp_1", "resp_2"]


def test_payloads_are_codexs_own(
    socket_upstream: ResponsesSocket, socket_proxy: RunningProxy, codex: CodexRun
) -> None:
    """Requests and responses are kept word for word as Codex keeps them, deflated or not."""
    socket_upstream.enqueue(*FIRST, *SECOND)
    use(codex, "openai", socket_proxy)
    assert codex.execute("Run the tool.").returncode == 0
    socket_proxy.stop()
    ours, theirs = only(socket_proxy.bundles()), codex.bundle()
    started = (["inference_started"], "request_payload")
    our_requests, their_requests = payloads(ours, *started), payloads(theirs, *started)
    assert len(our_requests) == 2
    assert [as_codex_keeps(request) for request in our_requests] == [
        as_codex_keeps(request) for request in their_requests
    ]
    ended = (TERMINALS, "response_payload")
    our_responses = payloads(ours, *ended)
    for response in our_responses:
        del response["proxy"]
    assert our_responses == payloads(theirs, *ended)


def test_prewarm_is_no_call_but_chained_from(
    socket_upstream: ResponsesSocket, socket_proxy: RunningProxy, codex: CodexRun
) -> None:
    """The request after a prewarm is kept whole, with the prewarm's input; the next as it came."""
    socket_upstream.enqueue(*FIRST, *SECOND)
    use(codex, "openai", socket_proxy)
    assert codex.execute("Run the tool.").returncode == 0
    (connection,) = socket_upstream.connections
    (prewarm,) = connection.prewarms
    first, second = connection.messages
    assert connection.is_deflated is socket_upstream.takes_compression
    assert first["previous_response_id"] == "resp_prewarm_1"
    found = calls(state_after(socket_proxy))
    assert [call["proxy"]["request"]["form"] for call in found] == ["logical", "wire"]
    assert {call["proxy"]["transport"] for call in found} == {"websocket"}
    assert {call["proxy"]["handshake"]["http_status"] for call in found} == {101}
    requests = payloads(only(socket_proxy.bundles()), ["inference_started"], "request_payload")
    assert requests[0]["input"] == prewarm["input"] + first["input"]
    assert "previous_response_id" not in requests[0]
    assert requests[1] == {key: value for key, value in second.items() if key != "type"}


def test_our_bundle_reduces_as_codex_reduces_it(
    plain_upstream: ResponsesSocket, plain_proxy: RunningProxy, codex: CodexRun, tmp_path: Path
) -> None:
    """Without what we add, our reduced state of our own bundle is the real reducer's."""
    plain_upstream.enqueue(*FIRST, *SECOND)
    use(codex, "openai", plain_proxy)
    assert codex.execute("Run the tool.").returncode == 0
    plain_proxy.stop()
    assert_reduces_as_codex_reduces(plain_proxy.bundles(), tmp_path)


def test_codexs_key_is_in_no_file(
    plain_upstream: ResponsesSocket, plain_proxy: RunningProxy, codex: CodexRun
) -> None:
    """The key in the handshake reaches upstream and no file of ours."""
    plain_upstream.enqueue(*FIRST, *SECOND)
    use(codex, "openai", plain_proxy)
    assert codex.execute("Run the tool.").returncode == 0
    assert plain_upstream.connections[0].headers["authorization"] == f"Bearer {KEY}"
    plain_proxy.stop()
    files = [path for path in plain_proxy.trace_dir.rglob("*") if path.is_file()]
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


@pytest.mark.parametrize(
    ("scripts", "statuses"),
    [
        pytest.param([[*FIRST, Drop()], SECOND], ["completed", "completed"], id="idle drop"),
        pytest.param(
            [[Take(), says(*BEGUN), Drop()], SECOND], ["failed", "completed"], id="drop at once"
        ),
        pytest.param(
            [[*FIRST, Take(), says(*BEGUN_SECOND), Drop()], SECOND],
            ["completed", "failed", "completed"],
            id="drop in the loop",
        ),
        pytest.param(
            [[*FIRST, Take(), says(*BEGUN_SECOND), CloseWith(1001, "Going away")], SECOND],
            ["completed", "failed", "completed"],
            id="close 1001",
        ),
        pytest.param(
            [[Take(), says(*BEGUN, ev_failed("resp_0"))], SECOND],
            ["failed", "completed"],
            id="failed",
        ),
        pytest.param(
            [[Take(), says(error_frame(500, "server_error", request_id="req_9"))], SECOND],
            ["failed", "completed"],
            id="server error",
        ),
        pytest.param(
            [[*FIRST, Take(), says(LIMIT_REACHED)], SECOND],
            ["completed", "failed", "completed"],
            id="connection limit",
        ),
        pytest.param(
            [[*FIRST, Take(), says(NOT_FOUND)], SECOND],
            ["completed", "failed", "completed"],
            id="parent not found",
        ),
    ],
)
def test_retries_are_traced_as_codex_traces_them(
    plain_upstream: ResponsesSocket,
    plain_proxy: RunningProxy,
    codex: CodexRun,
    tmp_path: Path,
    scripts: list[Script],
    statuses: list[str],
) -> None:
    """A response cut short is a failed call in both traces, and the next socket's another one."""
    for script in scripts:
        plain_upstream.enqueue(*script)
    use(codex, "openai", plain_proxy)
    done = codex.execute("Run the tool.")
    assert (done.returncode, done.stdout.strip()) == (0, "All done."), done.stderr
    ours, theirs = states(plain_proxy, codex, tmp_path)
    assert [call["execution"]["status"] for call in calls(ours)] == statuses
    assert all_agreed(ours) == all_agreed(theirs)


def test_incomplete_response_is_traced_as_codex_traces_it(
    plain_upstream: ResponsesSocket, plain_proxy: RunningProxy, codex: CodexRun, tmp_path: Path
) -> None:
    """`response.incomplete`, after which Codex gives up, is a failed call in both traces."""
    plain_upstream.enqueue(Take(), says(*BEGUN, ev_incomplete("resp_0", usage=None)))
    use(codex, "openai", plain_proxy)
    assert codex.execute("Run the tool.").returncode == 1
    ours, theirs = states(plain_proxy, codex, tmp_path)
    assert only_call(ours)["execution"]["status"] == "failed"
    assert all_agreed(ours) == all_agreed(theirs)


def test_response_begun_before_a_drop_is_kept(
    plain_upstream: ResponsesSocket, plain_proxy: RunningProxy, codex: CodexRun
) -> None:
    """Beside what Codex keeps, our trace has the response's id and the message in progress."""
    plain_upstream.enqueue(Take(), says(*BEGUN), Drop())
    plain_upstream.enqueue(*SECOND)
    use(codex, "openai", plain_proxy)
    assert codex.execute("Try.").returncode == 0
    failed, _ = calls(state_after(plain_proxy))
    assert failed["proxy"]["response_id"] == "resp_0"
    assert failed["proxy"]["partial_items"][0]["item"]["content"][0]["text"] == "Al"


def test_interrupted_run_is_cancelled_in_both_traces(
    plain_upstream: ResponsesSocket, plain_proxy: RunningProxy, codex: CodexRun, tmp_path: Path
) -> None:
    """Ctrl-C drops the socket; both traces keep what was done, ours what was begun too."""
    plain_upstream.enqueue(Take(), says(*BEGUN))
    use(codex, "openai", plain_proxy)
    with codex.start("Try.") as process:
        assert process.stderr is not None
        shown = next((line for line in process.stderr if "First." in line), None)
        assert shown is not None, "codex never showed its message"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=GUARD_S)
    ours = state_after(plain_proxy)
    for state in (ours, codex_state(codex.bundle(), tmp_path)):
        call = only_call(state)
        assert call["execution"]["status"] == "cancelled"
        assert said(state, call) == [("assistant", "First.")]
    about = only_call(ours)["proxy"]
    assert about["response_id"] == "resp_0"
    assert about["partial_items"][0]["item"]["content"][0]["text"] == "Al"
