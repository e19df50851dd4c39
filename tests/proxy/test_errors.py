"""An upstream that gives no answer: the client gets an error of ours, the trace a failed call."""

import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import orjson
import pytest

from tests.support.captured_log import captured_log
from tests.support.differential import CALL, call
from tests.support.events import ev_created, ev_text_delta, sse
from tests.support.raw_bundle import (
    only_event,
    only_terminal,
    payload,
    request_payload,
    response_payload,
)
from tests.support.raw_http import BodyReader, Exchange, RawConnection, exchange, request_bytes
from tests.support.reduced import only, only_call, reduced, state_after
from tests.support.running_proxy import RunningProxy
from tests.support.script import (
    GUARD_S,
    SSE_TYPE,
    Chunk,
    Close,
    Gate,
    Head,
    Raw,
    ReadBody,
    Reply,
    Reset,
    Step,
)
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.unreachable import full_port, refusing_port, silent_port, tls_port

PART = sse(ev_created("resp_1"), ev_text_delta("Hel"))


def assert_own_error(answer: Exchange, status: int, code: str) -> None:
    """It has OpenAI's error shape, a code of ours, and no request id, since none is true."""
    assert answer.head.status == status
    assert answer.head.values("content-type")[0].startswith(b"application/json")
    names = {name.lower() for name, _ in answer.head.headers}
    assert not [name for name in names if name.endswith(b"request-id")]
    assert not names & {b"x-should-retry", b"retry-after"}
    error = orjson.loads(answer.body)["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["code"] == code
    assert error["message"].startswith("tailrace: ")


def assert_failed(proxy: RunningProxy, reason: str, transport: str) -> None:
    """The one call is recorded as failed, with its whole request, and no id."""
    failed = only_call(state_after(proxy))
    assert failed["execution"]["status"] == "failed"
    assert failed["upstream_request_id"] is None
    bundle = only(proxy.bundles())
    assert request_payload(bundle) == orjson.loads(CALL)
    terminal = only_terminal(bundle)
    assert reason in terminal["error"]
    assert terminal["proxy"]["http_status"] is None
    assert terminal["proxy"]["outcome"]["protocol"] == "none"
    assert terminal["proxy"]["outcome"]["transport"] == transport
    assert response_payload(bundle)["output_items"] == []


Port = Callable[[], AbstractContextManager[int]]
UNREACHABLE: dict[str, tuple[Port, str, int, str, str, str]] = {
    "refused": (
        refusing_port,
        "http",
        502,
        "upstream_connect_error",
        "cannot connect to",
        "upstream_error",
    ),
    "never accepted": (
        full_port,
        "http",
        504,
        "upstream_connect_timeout",
        "no connection to",
        "timeout",
    ),
    "no TLS handshake": (
        silent_port,
        "https",
        504,
        "upstream_connect_timeout",
        "no connection to",
        "timeout",
    ),
}


@pytest.mark.parametrize(
    ("port", "scheme", "status", "code", "reason", "transport"),
    UNREACHABLE.values(),
    ids=UNREACHABLE.keys(),
)
def test_upstream_that_cannot_be_reached(
    trace_dir: Path,
    port: Port,
    scheme: str,
    status: int,
    code: str,
    reason: str,
    transport: str,
) -> None:
    """502 where it refuses and 504 where it takes too long; what was asked is kept all the same."""
    with ExitStack() as stack:
        url = f"{scheme}://127.0.0.1:{stack.enter_context(port())}/v1"
        proxy = stack.enter_context(RunningProxy(url, trace_dir, upstream_connect_timeout=0.1))
        assert_own_error(exchange(proxy.port, call()), status, code)
        assert_failed(proxy, reason, transport)


@pytest.mark.parametrize("how", ["close", "abort"], ids=["FIN", "RST"])
@pytest.mark.parametrize("on_disconnect", ["abort", "drain"])
def test_client_that_leaves_while_upstream_is_connected_to(
    trace_dir: Path, how: str, on_disconnect: str
) -> None:
    """The attempt ends with it, as there is nothing to drain; what it had asked is kept."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as stack:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        proxy = stack.enter_context(RunningProxy(url, trace_dir, on_disconnect=on_disconnect))
        listener.settimeout(GUARD_S)
        connection = RawConnection(proxy.port)
        connection.send(call())
        attempt, _ = listener.accept()
        with attempt:
            attempt.settimeout(GUARD_S)
            assert attempt.recv(65536), "the client's hello"
            getattr(connection, how)()
            assert attempt.recv(65536) == b""
        cancelled = only_call(state_after(proxy))
        assert cancelled["execution"]["status"] == "cancelled"
        assert request_payload(only(proxy.bundles())) == orjson.loads(CALL)


def test_connection_survives_an_unreachable_upstream(trace_dir: Path) -> None:
    """The client's request was read to its end, so its connection serves the next one."""
    with (
        refusing_port() as port,
        RunningProxy(f"http://127.0.0.1:{port}", trace_dir) as proxy,
        RawConnection(proxy.port) as connection,
    ):
        for _ in range(2):
            connection.send(call())
            assert_own_error(connection.read_exchange(), 502, "upstream_connect_error")
        connection.send(request_bytes("HEAD", "http://127.0.0.1/v1/models"))
        assert connection.read_exchange(head_only=True).head.status == 502


def test_part_of_a_request_is_kept_where_upstream_is_unreachable(trace_dir: Path) -> None:
    """A body that was still on its way is told from a whole one."""
    with (
        refusing_port() as port,
        RunningProxy(f"http://127.0.0.1:{port}", trace_dir) as proxy,
        RawConnection(proxy.port) as connection,
    ):
        connection.send(call()[:-1])
        assert_own_error(connection.read_exchange(), 502, "upstream_connect_error")
        connection.close()
        proxy.stop()
        assert "lost" in request_payload(only(proxy.bundles()))["proxy"]
        assert only_terminal(only(proxy.bundles()))["proxy"]["bytes_up"] == len(CALL) - 1


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_upstream_that_is_not_trusted_is_not_spoken_to(tmp_path: Path, trace_dir: Path) -> None:
    """A certificate that no authority vouches for ends the exchange before a key is sent."""
    with (
        tls_port(tmp_path, OK) as (port, _),
        RunningProxy(f"https://127.0.0.1:{port}/v1", trace_dir) as proxy,
    ):
        answer = exchange(proxy.port, call())
        assert_own_error(answer, 502, "upstream_connect_error")
        assert b"certificate" in answer.body
        assert_failed(proxy, "not trusted", "upstream_error")


def test_settings_may_name_whom_to_trust(tmp_path: Path, trace_dir: Path) -> None:
    """With `upstream_ca_file` the same certificate is good."""
    with (
        tls_port(tmp_path, OK) as (port, authority),
        RunningProxy(
            f"https://127.0.0.1:{port}/v1", trace_dir, upstream_ca_file=authority
        ) as proxy,
    ):
        assert exchange(proxy.port, call()).body == b"ok"


SWITCH = Head(status=101, headers=((b"Connection", b"upgrade"), (b"Upgrade", b"websocket")))
NO_ANSWERS: dict[str, tuple[list[Step], str, str]] = {
    "no HTTP": (
        [Raw(b"220 mail.example ESMTP\r\n\r\n")],
        "upstream_protocol_error",
        "no valid HTTP response",
    ),
    "broken head": (
        [Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")],
        "upstream_protocol_error",
        "no valid HTTP response",
    ),
    "protocols switched": (
        [SWITCH, Raw(b"hello")],
        "upstream_protocol_error",
        "upstream switched protocols, unasked",
    ),
    "half a head, FIN": (
        [Raw(b"HTTP/1.1 200 OK\r\nx-request-id: req_1\r\n"), Close()],
        "upstream_disconnected",
        "closed the connection before it answered",
    ),
    "nothing, FIN": (
        [Close()],
        "upstream_disconnected",
        "closed the connection before it answered",
    ),
    "nothing, RST": (
        [Reset()],
        "upstream_disconnected",
        "closed the connection before it answered",
    ),
    "early hints, FIN": (
        [Head(status=103), Close()],
        "upstream_disconnected",
        "closed the connection before it answered",
    ),
}


@pytest.mark.parametrize(("steps", "code", "reason"), NO_ANSWERS.values(), ids=NO_ANSWERS.keys())
def test_upstream_that_gives_no_answer(
    upstream: ScriptedUpstream, proxy: RunningProxy, steps: list[Step], code: str, reason: str
) -> None:
    """502, and the call failed; the client may go on using its connection."""
    upstream.enqueue([ReadBody(), *steps])
    with RawConnection(proxy.port) as connection:
        connection.send(call())
        assert_own_error(connection.read_exchange(), 502, code)
        upstream.enqueue(Reply(status=204, framing="none"))
        connection.send(request_bytes("GET", "http://127.0.0.1/v1/models"))
        assert connection.read_exchange().head.status == 204
    assert_failed(proxy, reason, "upstream_error")


CHUNKED = Head(headers=(SSE_TYPE, (b"Transfer-Encoding", b"chunked"), (b"x-request-id", b"req_1")))


def test_upstream_that_stays_silent_before_its_head(
    upstream: ScriptedUpstream, trace_dir: Path
) -> None:
    """With `upstream_idle_timeout` it gets a 504; without it there is no limit."""
    upstream.enqueue([ReadBody(), Gate()])
    with RunningProxy(upstream.url, trace_dir, upstream_idle_timeout=0.05) as proxy:
        assert_own_error(exchange(proxy.port, call()), 504, "upstream_idle_timeout")
        upstream.request(0).wait_until_closed_by_peer()
        assert_failed(proxy, "upstream_idle_timeout", "timeout")


def test_upstream_that_falls_silent_in_its_body(
    upstream: ScriptedUpstream, trace_dir: Path
) -> None:
    """What came is delivered and kept; then the client sees a truncated body."""
    upstream.enqueue([ReadBody(), CHUNKED, Chunk(PART), Gate()])
    with RunningProxy(upstream.url, trace_dir, upstream_idle_timeout=0.05) as proxy:
        answer = exchange(proxy.port, call())
        assert (answer.body, answer.end) == (PART, "fin")
        upstream.request(0).wait_until_closed_by_peer()
        failed = only_call(state_after(proxy))
    assert failed["execution"]["status"] == "failed"
    assert failed["upstream_request_id"] == "req_1"
    assert failed["proxy"]["response_id"] == "resp_1"
    assert failed["proxy"]["outcome"]["transport"] == "timeout"


@pytest.mark.parametrize("with_head", [True, False], ids=["with the head", "later"])
def test_upstream_that_breaks_its_framing(
    upstream: ScriptedUpstream, proxy: RunningProxy, *, with_head: bool
) -> None:
    """The body ends where its chunks end to be any, and the call keeps what came."""
    broken = b"zz\r\nevil\r\n0\r\n\r\n"
    gate = Gate()
    whole = CHUNKED.encode() + Chunk(PART).encode()
    steps: list[Step] = [Raw(whole + broken)] if with_head else [Raw(whole), gate, Raw(broken)]
    upstream.enqueue([ReadBody(), *steps])
    with RawConnection(proxy.port) as connection:
        connection.send(call())
        body = BodyReader(connection, connection.read_head())
        assert body.read_until(PART) == PART
        gate.open()
        assert (body.read_all(), body.end) == (b"", "fin")
    failed = only_call(state_after(proxy))
    assert failed["execution"]["status"] == "failed"
    assert failed["upstream_request_id"] == "req_1"
    assert failed["proxy"]["partial_items"][0]["item"]["content"][0]["text"] == "Hel"
    assert failed["proxy"]["response_id"] == "resp_1"


@pytest.mark.parametrize("end", [Close(), Reset()], ids=["FIN", "RST"])
def test_upstream_that_cuts_its_body_is_logged_in_one_line(
    upstream: ScriptedUpstream, trace_dir: Path, end: Step
) -> None:
    """As the end of the call, and as nothing else: it is no fault of ours."""
    upstream.enqueue([ReadBody(), CHUNKED, Chunk(PART), end])
    with captured_log() as log, RunningProxy(upstream.url, trace_dir) as proxy:
        exchange(proxy.port, call())
        proxy.stop()
        (line,) = log.text().splitlines()
    logged = orjson.loads(line)
    assert (logged["event"], logged["outcome"]) == ("call", "failed")
    assert (logged["response_id"], logged["upstream_request_id"]) == ("resp_1", "req_1")


def test_error_of_ours_on_another_endpoint_is_logged_and_counted(trace_dir: Path) -> None:
    """With the status that the client got."""
    with (
        captured_log() as log,
        refusing_port() as port,
        RunningProxy(f"http://127.0.0.1:{port}", trace_dir) as proxy,
    ):
        request = request_bytes("GET", "http://127.0.0.1/v1/models")
        assert exchange(proxy.port, request).head.status == 502
        metrics = request_bytes("GET", "http://127.0.0.1/-/metrics")
        assert b'tailrace_requests_total{status="5xx"} 1.0' in exchange(proxy.port, metrics).body
        proxy.stop()
        (line,) = log.text().splitlines()
        assert proxy.bundles() == []
    logged = orjson.loads(line)
    assert (logged["event"], logged["status"], logged["end"]) == ("request", 502, "upstream_error")


def test_exchange_of_the_family_is_noted_as_failed(trace_dir: Path) -> None:
    """It is no call, but the bundle tells what became of it."""
    with (
        refusing_port() as port,
        RunningProxy(f"http://127.0.0.1:{port}", trace_dir) as proxy,
    ):
        request = request_bytes("GET", "http://127.0.0.1/v1/responses/resp_1")
        assert exchange(proxy.port, request).head.status == 502
        proxy.stop()
        state = reduced(proxy.bundles())
    assert state["inference_calls"] == {}
    bundle = only(proxy.bundles())
    noted = payload(bundle, only_event(bundle, "protocol_event_observed")["event_payload"])
    assert (noted["path"], noted["http_status"]) == ("/v1/responses/resp_1", None)
    assert noted["outcome"]["transport"] == "upstream_error"
