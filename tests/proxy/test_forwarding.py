"""Where a request goes, what becomes of it when its client leaves, and what is never done to it."""

import base64
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import blocked_stretches
from proxy.app import upstream_path
from proxy.downstream import DownstreamProtocol
from tests.support.differential import call
from tests.support.events import ev_created, ev_text_delta, sse, text_stream
from tests.support.raw_bundle import only_terminal, request_payload
from tests.support.raw_http import BodyReader, RawConnection, exchange, request_bytes
from tests.support.reduced import calls, only, only_call, state_after
from tests.support.running_proxy import RunningProxy
from tests.support.script import (
    GUARD_S,
    SSE_TYPE,
    Chunk,
    Close,
    Gate,
    Head,
    LastChunk,
    ReadBody,
    Reply,
    Reset,
    Step,
    stream_reply,
)
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.stalled_client import (
    StalledConnection,
    shrink_send_buffers,
    wait_until_read,
)
from tests.support.watched import watch

STREAM = sse(*text_stream("Hel", "lo"))
PART = sse(ev_created("resp_1"), ev_text_delta("Hel"))
HALF_A_REQUEST = b"POST /v1/responses HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\n\r\n{"

PATHS = [
    ("/responses", "/responses"),
    ("/v1/responses", "/responses"),
    ("/v1/v1/responses", "/responses"),
    ("/v1/v1/v1/responses", "/v1/responses"),
    ("/v1", ""),
    ("/v1/", "/"),
    ("/v1/v1", ""),
    ("/v1?a=/v1", "?a=/v1"),
    ("/v1/responses?a=/v1/v1", "/responses?a=/v1/v1"),
    ("/v10/responses", "/v10/responses"),
    ("/v1.1/responses", "/v1.1/responses"),
    ("/V1/responses", "/V1/responses"),
    ("/%761/responses", "/%761/responses"),
    ("/openai/v1/responses", "/openai/v1/responses"),
    ("/", "/"),
]


@pytest.mark.parametrize(("target", "wanted"), PATHS)
def test_leading_v1_segments_are_stripped(target: str, wanted: str) -> None:
    """None, one or two of them, and whole segments alone: clients get their base URL wrong."""
    assert upstream_path(target) == wanted


@given(st.text(alphabet="/v1?#%aé\udce9"))
def test_what_is_stripped_is_v1_segments(rest: str) -> None:
    """Nothing else of a target changes."""
    target = "/" + rest
    stripped = upstream_path(target)
    assert target in (stripped, "/v1" + stripped, "/v1/v1" + stripped)


BASES = [
    ("/v1", "/v1/responses?a=%7Eb&b=~", b"/v1/responses?a=%7Eb&b=~"),
    ("/v1", "/responses", b"/v1/responses"),
    ("/v1/", "/v1/v1/responses", b"/v1/responses"),
    ("/v1", "/v1", b"/v1"),
    ("/backend-api/codex", "/v1/responses", b"/backend-api/codex/responses"),
    ("/a%20b/%7E", "/v1/c%2Fd", b"/a%20b/%7E/c%2Fd"),
    ("", "/v1/responses", b"/responses"),
    ("/", "/v1/responses", b"/responses"),
    ("", "/v1", b"/"),
    ("", "/v1?a=b", b"/?a=b"),
]


@pytest.mark.parametrize(("base", "target", "wanted"), BASES)
def test_rest_of_the_target_goes_to_upstreams_base(
    upstream: ScriptedUpstream, trace_dir: Path, base: str, target: str, wanted: bytes
) -> None:
    """Byte for byte, whatever the base URL's path is, and always as a path."""
    upstream.enqueue(Reply(body=[b"ok"]))
    with RunningProxy(upstream.url + base, trace_dir) as proxy:
        request = b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % target.encode()
        assert exchange(proxy.port, request).body == b"ok"
    assert upstream.request(0).target == wanted
    assert upstream.request(0).header("host") == f"127.0.0.1:{upstream.port}"


@pytest.mark.parametrize("how", ["close", "abort"], ids=["FIN", "RST"])
def test_request_broken_off_by_the_client_is_cancelled(
    upstream: ScriptedUpstream, proxy: RunningProxy, how: str
) -> None:
    """The part that came is kept, and nobody takes it for the whole."""
    upstream.enqueue([ReadBody()])
    connection = RawConnection(proxy.port)
    connection.send(HALF_A_REQUEST)
    request = upstream.request(0)
    getattr(connection, how)()
    request.wait_until_closed_by_peer()
    cancelled = only_call(state_after(proxy))
    assert cancelled["execution"]["status"] == "cancelled"
    kept = request_payload(only(proxy.bundles()))["proxy"]
    assert base64.b64decode(kept["body_base64"]) == b"{"
    assert "lost" in kept


CUT: list[Step] = [ReadBody(), Head(headers=(SSE_TYPE, (b"Transfer-Encoding", b"chunked")))]


def drained(
    upstream: ScriptedUpstream, trace_dir: Path, script: list[Step], gate: Gate, seen: bytes
) -> dict[str, Any]:
    """Leave while the script stands at its gate, then open it; the call as it was recorded."""
    upstream.enqueue(script)
    with RunningProxy(upstream.url, trace_dir, on_disconnect="drain") as proxy:
        connection = RawConnection(proxy.port)
        connection.send(call())
        if seen:
            BodyReader(connection, connection.read_head()).read_until(seen)
        gate.wait_until_reached()
        connection.close()
        wait_until_read(proxy.port)
        gate.open()
        return only_call(state_after(proxy))


def test_drained_stream_is_completed(upstream: ScriptedUpstream, trace_dir: Path) -> None:
    """With `on_disconnect = "drain"` upstream's answer is read to its end, for the trace."""
    gate = Gate()
    script: list[Step] = [*CUT, Chunk(PART), gate, Chunk(STREAM), LastChunk()]
    drained_call = drained(upstream, trace_dir, script, gate, PART)
    assert drained_call["execution"]["status"] == "completed"
    assert drained_call["proxy"]["outcome"]["transport"] == "client_closed"
    assert drained_call["proxy"]["bytes_down"] == len(PART + STREAM)
    assert not upstream.request(0).closed_by_peer.is_set()


def test_stream_left_before_its_head_is_drained_too(
    upstream: ScriptedUpstream, trace_dir: Path
) -> None:
    """What matters is that upstream has the whole request."""
    gate = Gate()
    script: list[Step] = [ReadBody(), gate, *CUT[1:], Chunk(STREAM), LastChunk()]
    drained_call = drained(upstream, trace_dir, script, gate, b"")
    assert drained_call["execution"]["status"] == "completed"
    assert drained_call["proxy"]["http_status"] == 200


def test_drained_stream_that_upstream_cuts_is_cancelled(
    upstream: ScriptedUpstream, trace_dir: Path
) -> None:
    """Without a terminal event the client's leaving is how it ended."""
    gate = Gate()
    drained_call = drained(upstream, trace_dir, [*CUT, Chunk(PART), gate, Reset()], gate, PART)
    assert drained_call["execution"]["status"] == "cancelled"
    assert drained_call["proxy"]["response_id"] == "resp_1"
    assert drained_call["proxy"]["outcome"]["transport"] == "client_closed"


def test_request_that_is_not_whole_is_not_drained(
    upstream: ScriptedUpstream, trace_dir: Path
) -> None:
    """Upstream would wait for the rest forever."""
    upstream.enqueue([ReadBody()])
    with RunningProxy(upstream.url, trace_dir, on_disconnect="drain") as proxy:
        connection = RawConnection(proxy.port)
        connection.send(HALF_A_REQUEST)
        request = upstream.request(0)
        connection.close()
        request.wait_until_closed_by_peer()
        assert only_call(state_after(proxy))["execution"]["status"] == "cancelled"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD"])
@pytest.mark.parametrize("end", [Close(), Reset()], ids=["FIN", "RST"])
def test_request_is_never_sent_again(
    upstream: ScriptedUpstream, proxy: RunningProxy, method: str, end: Step
) -> None:
    """Upstream may have done what was asked: on a kept connection too that dies unanswered."""
    request = request_bytes(method, "http://127.0.0.1/v1/responses", body=b"")
    upstream.enqueue(Reply(framing="none", status=204))
    assert exchange(proxy.port, request).head.status == 204
    upstream.enqueue([ReadBody(), end])
    assert exchange(proxy.port, request).head.status == 502
    proxy.stop()
    assert [request.connection_number for request in upstream.requests] == [1, 1]


def test_client_that_does_not_read_costs_little_memory(
    upstream: ScriptedUpstream, proxy: RunningProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more is read from upstream than is on its way, other calls go on, and the trace tells."""
    shrink_send_buffers(monkeypatch)
    monkeypatch.setattr(blocked_stretches, "STRETCH_NS_MIN", 0)
    paused = watch(monkeypatch, DownstreamProtocol, "pause_writing")
    piece = b": " + b"x" * 998 + b"\n\n"
    upstream.enqueue(stream_reply(*[piece * 1000] * 64))
    stalled = StalledConnection(proxy.port)
    stalled.send(call())
    assert paused.wait(GUARD_S)
    wait_until_read(proxy.port)
    upstream.enqueue(stream_reply(STREAM))
    assert exchange(proxy.port, call()).body == STREAM
    stalled.abort()
    upstream.request(0).wait_until_closed_by_peer()
    first, second = calls(state_after(proxy))
    assert (first["execution"]["status"], second["execution"]["status"]) == (
        "cancelled",
        "completed",
    )
    assert first["proxy"]["bytes_down"] < 2 * 1024 * 1024
    timing, blocked = first["proxy"]["timing"], first["proxy"]["client_blocked"]
    assert 0 < blocked[0][0] < blocked[-1][1] <= timing["ended"]
    total_ms = sum(end - begun for begun, end in blocked)
    assert 0 < total_ms <= timing["waited_on_client"] + 0.1
    assert "client_blocked" not in second["proxy"]


def test_upstream_that_does_not_read_costs_little_memory(
    upstream: ScriptedUpstream, proxy: RunningProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more is read from the client than upstream takes."""
    paused = watch(monkeypatch, DownstreamProtocol, "pause_reading")
    gate = Gate()
    upstream.enqueue([gate, ReadBody()])
    connection = RawConnection(proxy.port)
    size = 256 * 1024 * 1024
    connection.send(HALF_A_REQUEST.replace(b"50", b"%d" % size))
    sender = threading.Thread(target=_send_until_it_fails, args=(connection, size), daemon=True)
    sender.start()
    assert paused.wait(GUARD_S)
    wait_until_read(proxy.port)
    connection.abort()
    sender.join(GUARD_S)
    gate.open()
    upstream.request(0).wait_until_closed_by_peer()
    proxy.stop()
    assert only_terminal(only(proxy.bundles()))["proxy"]["bytes_up"] < 32 * 1024 * 1024


def _send_until_it_fails(connection: RawConnection, size: int) -> None:
    piece = b"x" * 65536
    try:
        for _ in range(size // len(piece)):
            connection.send(piece)
    except OSError:
        return


@pytest.mark.parametrize("login", ["", "user:p%40ss@"])
def test_upstream_may_be_behind_a_proxy(
    upstream: ScriptedUpstream, trace_dir: Path, login: str
) -> None:
    """An http upstream is asked for by its whole URL, with the proxy's login and no client's."""
    upstream.enqueue(Reply(body=[b"ok"]))
    url = f"http://{login}127.0.0.1:{upstream.port}"
    with RunningProxy("http://api.example/v1", trace_dir, upstream_proxy=url) as proxy:
        request = call(((b"Proxy-Authorization", b"Basic b3RoZXI="),))
        assert exchange(proxy.port, request).body == b"ok"
    came = upstream.request(0)
    assert came.target == b"http://api.example/v1/responses"
    assert came.header("host") == "api.example"
    wanted = base64.b64encode(b"user:p@ss").decode() if login else None
    assert came.header("proxy-authorization") == (f"Basic {wanted}" if wanted else None)
