"""The real Codex CLI through the proxy: our bundle of its run against the bundle it writes itself.

Codex's own reducer (`codex debug trace-reduce`) is the judge of both.
"""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.codex_comparison import (
    TOOL_CALL,
    agreed,
    assert_reduces_as_codex_reduces,
    codex_state,
)
from tests.support.codex_run import KEY, CodexRun
from tests.support.events import (
    error_body,
    ev_created,
    ev_item_added,
    ev_item_done,
    ev_text_delta,
    function_call_stream,
    message_item,
    sse,
    sse_pieces,
    text_stream,
)
from tests.support.raw_http import exchange, request_bytes
from tests.support.reduced import State, calls, only, only_call, reduced, said, state_after
from tests.support.running_proxy import RunningProxy
from tests.support.script import (
    GUARD_S,
    SSE_TYPE,
    Chunk,
    Close,
    Gate,
    Head,
    ReadBody,
    json_reply,
    stream_reply,
)
from tests.support.scripted_upstream import ScriptedUpstream


@pytest.fixture
def declining_proxy(upstream: ScriptedUpstream, trace_dir: Path) -> Iterator[RunningProxy]:
    """The proxy with its setting to decline WebSockets."""
    with RunningProxy(f"{upstream.url}/v1", trace_dir, websockets=False) as running:
        yield running


def enqueue_tool_loop(upstream: ScriptedUpstream) -> None:
    """A response that calls a tool, then one that answers."""
    call = function_call_stream(TOOL_CALL, response_id="resp_1")
    upstream.enqueue(stream_reply(*sse_pieces(*call), request_id="req_1"))
    answer = text_stream("All ", "done.", response_id="resp_2", item_id="msg_2")
    upstream.enqueue(stream_reply(*sse_pieces(*answer), request_id="req_2"))


def test_tool_loop_is_traced_as_codex_traces_it(
    upstream: ScriptedUpstream, proxy: RunningProxy, codex: CodexRun, tmp_path: Path
) -> None:
    """Codex's reducer reads our bundle, and says of it what it says of Codex's own."""
    enqueue_tool_loop(upstream)
    codex.use_custom_provider(proxy.base_url)
    done = codex.execute("Run the tool.")
    assert (done.returncode, done.stdout.strip()) == (0, "All done."), done.stderr
    proxy.stop()
    ours = codex_state(only(proxy.bundles()), tmp_path)
    theirs = codex_state(codex.bundle(), tmp_path)
    assert list(ours["threads"]) == list(theirs["threads"])
    assert list(ours["codex_turns"]) == list(theirs["codex_turns"])
    our_calls, their_calls = calls(ours), calls(theirs)
    assert len(our_calls) == len(their_calls) == 2
    for our_call, their_call in zip(our_calls, their_calls, strict=True):
        assert agreed(ours, our_call) == agreed(theirs, their_call)
    assert [call["response_id"] for call in our_calls] == ["resp_1", "resp_2"]


def test_call_ids_join_the_two_traces(
    upstream: ScriptedUpstream, proxy: RunningProxy, codex: CodexRun, tmp_path: Path
) -> None:
    """`proxy.client_call_id` is the call's id in Codex's own bundle; ours is another."""
    enqueue_tool_loop(upstream)
    codex.use_custom_provider(proxy.base_url)
    assert codex.execute("Run the tool.").returncode == 0
    found = calls(state_after(proxy))
    theirs = calls(codex_state(codex.bundle(), tmp_path))
    joined = [call["proxy"]["client_call_id"] for call in found]
    assert joined == [call["inference_call_id"] for call in theirs]
    assert not set(joined) & {call["inference_call_id"] for call in found}
    assert {call["proxy"]["transport"] for call in found} == {"sse"}


def test_our_bundle_reduces_as_codex_reduces_it(
    upstream: ScriptedUpstream, proxy: RunningProxy, codex: CodexRun, tmp_path: Path
) -> None:
    """Without what we add, our reduced state of our own bundle is the real reducer's."""
    enqueue_tool_loop(upstream)
    codex.use_custom_provider(proxy.base_url)
    assert codex.execute("Run the tool.").returncode == 0
    proxy.stop()
    assert_reduces_as_codex_reduces(proxy.bundles(), tmp_path)


def test_codexs_bundle_reduces_as_codex_reduces_it(
    upstream: ScriptedUpstream, proxy: RunningProxy, codex: CodexRun, tmp_path: Path
) -> None:
    """Our reducer reads what Codex itself writes, and says the same of it."""
    upstream.enqueue(stream_reply(*sse_pieces(*text_stream("Done."))))
    codex.use_custom_provider(proxy.base_url)
    assert codex.execute("Say so.").returncode == 0
    assert_reduces_as_codex_reduces([codex.bundle()], tmp_path)


def test_codexs_bundle_of_a_tool_loop_reduces_as_codex_reduces_it(
    upstream: ScriptedUpstream, proxy: RunningProxy, codex: CodexRun, tmp_path: Path
) -> None:
    """Our reducer reads the tool calls that Codex writes, and says the same of them."""
    enqueue_tool_loop(upstream)
    codex.use_custom_provider(proxy.base_url)
    assert codex.execute("Run the tool.").returncode == 0
    assert_reduces_as_codex_reduces([codex.bundle()], tmp_path)


def test_cut_stream_and_its_retry_are_two_calls(
    upstream: ScriptedUpstream, proxy: RunningProxy, codex: CodexRun, tmp_path: Path
) -> None:
    """A stream cut by upstream is a failed call in both traces, Codex's next try another one."""
    head = Head(headers=(SSE_TYPE, (b"Transfer-Encoding", b"chunked"), (b"x-request-id", b"req_1")))
    cut = sse(ev_created("resp_1"), ev_text_delta("Al"))
    upstream.enqueue([ReadBody(), head, Chunk(cut), Close()])
    upstream.enqueue(
        stream_reply(*sse_pieces(*text_stream("Done.", response_id="resp_2")), request_id="req_2")
    )
    codex.use_custom_provider(proxy.base_url)
    done = codex.execute("Try.")
    assert (done.returncode, done.stdout.strip()) == (0, "Done."), done.stderr
    proxy.stop()
    ours = codex_state(only(proxy.bundles()), tmp_path)
    theirs = codex_state(codex.bundle(), tmp_path)
    for our_call, their_call in zip(calls(ours), calls(theirs), strict=True):
        assert our_call["execution"]["status"] == their_call["execution"]["status"]
        assert our_call["upstream_request_id"] == their_call["upstream_request_id"]
    assert [call["execution"]["status"] for call in calls(ours)] == ["failed", "completed"]
    failed = calls(reduced(proxy.bundles()))[0]
    assert failed["proxy"]["response_id"] == "resp_1"


def test_interrupted_run_is_cancelled_in_both_traces(
    upstream: ScriptedUpstream, proxy: RunningProxy, codex: CodexRun, tmp_path: Path
) -> None:
    """Ctrl-C ends the upstream request; both traces keep what was done, ours what was begun too."""
    begun = sse(
        ev_created("resp_1"),
        ev_item_added(message_item("", "msg_0", status="in_progress")),
        ev_item_done(message_item("First.", "msg_0")),
        ev_item_added(message_item("", status="in_progress"), 1),
        ev_text_delta("Al", output_index=1),
    )
    upstream.enqueue(stream_reply(begun, Gate(), request_id="req_1"))
    codex.use_custom_provider(proxy.base_url)
    with codex.start("Try.") as process:
        assert process.stderr is not None
        shown = next((line for line in process.stderr if "First." in line), None)
        assert shown is not None, "codex never showed its message"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=GUARD_S)
    upstream.request(0).wait_until_closed_by_peer()
    ours = state_after(proxy)
    for state in (ours, codex_state(codex.bundle(), tmp_path)):
        call = only_call(state)
        assert (call["execution"]["status"], call["upstream_request_id"]) == ("cancelled", "req_1")
        assert said(state, call) == [("assistant", "First.")]
    about = only_call(ours)["proxy"]
    assert about["response_id"] == "resp_1"
    assert about["partial_items"][0]["item"]["content"][0]["text"] == "Al"


def test_server_error_is_retried_by_codex_under_one_call_id(
    upstream: ScriptedUpstream, proxy: RunningProxy, codex: CodexRun
) -> None:
    """Codex's transport retries share its call id; to us each try is a call of its own."""
    upstream.enqueue(json_reply({"error": {"message": "no"}}, status=500, request_id="req_1"))
    upstream.enqueue(stream_reply(*sse_pieces(*text_stream("Done.")), request_id="req_2"))
    codex.use_custom_provider(proxy.base_url)
    done = codex.execute("Try.")
    assert (done.returncode, done.stdout.strip()) == (0, "Done."), done.stderr
    failed, completed = calls(state_after(proxy))
    assert failed["proxy"]["client_call_id"] == completed["proxy"]["client_call_id"]
    assert failed["inference_call_id"] != completed["inference_call_id"]
    assert (failed["upstream_request_id"], failed["proxy"]["http_status"]) == ("req_1", 500)
    assert failed["codex_turn_id"] == completed["codex_turn_id"]


def test_declined_websocket_makes_codex_fall_back_to_http(
    upstream: ScriptedUpstream, declining_proxy: RunningProxy, codex: CodexRun
) -> None:
    """With only its base URL changed, Codex meets our 426 and goes on over HTTP."""
    upstream.enqueue(stream_reply(*sse_pieces(*text_stream("Done.")), request_id="req_1"))
    codex.use_openai_base_url(declining_proxy.base_url)
    done = codex.execute("Try.")
    assert (done.returncode, done.stdout.strip()) == (0, "Done."), done.stderr
    assert upstream.request(0).line == b"POST /v1/responses HTTP/1.1"
    assert_done_over_http(state_after(declining_proxy))


def test_refusal_by_upstream_makes_codex_fall_back_to_http(
    upstream: ScriptedUpstream, proxy: RunningProxy, codex: CodexRun
) -> None:
    """Upstream's own 426 reaches Codex, and its call over HTTP is traced."""
    refusal = error_body("WebSockets are not to be had here.", code="upgrade_required")
    upstream.enqueue(json_reply(refusal, status=426, request_id="req_0"))
    upstream.enqueue(stream_reply(*sse_pieces(*text_stream("Done.")), request_id="req_1"))
    codex.use_openai_base_url(proxy.base_url)
    done = codex.execute("Try.")
    assert (done.returncode, done.stdout.strip()) == (0, "Done."), done.stderr
    lines = [request.line for request in upstream.requests]
    assert lines == [b"GET /v1/responses HTTP/1.1", b"POST /v1/responses HTTP/1.1"]
    assert_done_over_http(state_after(proxy))


def test_declined_upgrade_is_not_sent_on(
    upstream: ScriptedUpstream, declining_proxy: RunningProxy
) -> None:
    """Where WebSockets are declined, Codex's handshake gets 426 and reaches no upstream."""
    handshake = request_bytes(
        "GET",
        f"http://127.0.0.1:{declining_proxy.port}/v1/responses",
        headers=(
            (b"Connection", b"Upgrade"),
            (b"Upgrade", b"websocket"),
            (b"Sec-WebSocket-Version", b"13"),
            (b"Sec-WebSocket-Key", b"zncdkLqOiLeYoepdTDkx4w=="),
            (b"openai-beta", b"responses_websockets=2026-02-06"),
            (b"sec-websocket-extensions", b"permessage-deflate; client_max_window_bits"),
        ),
    )
    assert exchange(declining_proxy.port, handshake).head.status == 426
    assert upstream.requests == []


def test_codexs_key_is_in_no_file(
    upstream: ScriptedUpstream, proxy: RunningProxy, codex: CodexRun
) -> None:
    """The key that Codex sends reaches upstream and no file of ours."""
    enqueue_tool_loop(upstream)
    codex.use_custom_provider(proxy.base_url)
    assert codex.execute("Run the tool.").returncode == 0
    assert upstream.request(0).header("authorization") == f"Bearer {KEY}"
    proxy.stop()
    files = [path for path in proxy.trace_dir.rglob("*") if path.is_file()]
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


def assert_done_over_http(state: State) -> None:
    """The run came to one completed call over HTTP, which said Done."""
    call = only_call(state)
    assert (call["execution"]["status"], call["upstream_request_id"]) == ("completed", "req_1")
    assert call["proxy"]["transport"] == "sse"
    assert said(state, call) == [("assistant", "Done.")]
