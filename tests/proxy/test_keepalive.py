"""Connections are kept while they can be trusted, on both sides, and no longer."""

from pathlib import Path

import pytest

from tests.support.differential import call
from tests.support.events import sse, text_stream
from tests.support.raw_http import RawConnection, exchange, request_bytes
from tests.support.running_proxy import RunningProxy
from tests.support.script import (
    SSE_TYPE,
    Chunk,
    Close,
    Framing,
    Gate,
    Head,
    LastChunk,
    Raw,
    ReadBody,
    Reply,
    Reset,
    Step,
    stream_reply,
)
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.stalled_client import wait_until_read

STREAM = sse(*text_stream("Hel", "lo"))
LARGE = b'{"input":"%b"}' % (b"x" * 3_000_000)
CHUNKED_UPLOAD = (
    request_bytes(
        "POST", "http://127.0.0.1/v1/responses", headers=((b"Transfer-Encoding", b"chunked"),)
    )
    + Chunk(LARGE).encode()
    + LastChunk().encode()
)


def numbers(upstream: ScriptedUpstream) -> list[int]:
    """Which upstream connection each request came on."""
    return [request.connection_number for request in upstream.requests]


def test_call_after_an_error_uses_the_same_connection(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """Whatever the status, a body that was read to its end leaves its connection usable."""
    framings: list[Framing] = ["length", "chunked"]
    for status in (400, 401, 404, 429, 500, 503):
        for framing in framings:
            upstream.enqueue(Reply(status=status, body=[b'{"error":{}}'], framing=framing))
            assert exchange(proxy.port, call()).head.status == status
    assert numbers(upstream) == [1] * 12


@pytest.mark.parametrize("request_", [call(body=LARGE), CHUNKED_UPLOAD], ids=["sized", "chunked"])
def test_call_after_an_upload_uses_the_same_connection(
    upstream: ScriptedUpstream, proxy: RunningProxy, request_: bytes
) -> None:
    """A body that was sent piece by piece, in a task of its own, has been sent whole."""
    for _ in range(3):
        upstream.enqueue(stream_reply(STREAM))
        assert exchange(proxy.port, request_).body == STREAM
    assert numbers(upstream) == [1] * 3
    assert {request.body for request in upstream.requests} == {LARGE}


def test_calls_at_once_have_a_connection_each(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """And the calls after them share those."""
    gates = [Gate() for _ in range(3)]
    connections = [RawConnection(proxy.port) for _ in gates]
    for gate, connection in zip(gates, connections, strict=True):
        upstream.enqueue(Reply(body=[gate, b"ok"]))
        connection.send(call())
        gate.wait_until_reached()
    for gate, connection in zip(gates, connections, strict=True):
        gate.open()
        assert connection.read_exchange().body == b"ok"
        connection.close()
    for _ in gates:
        upstream.enqueue(Reply(body=[b"ok"]))
        exchange(proxy.port, call())
    assert sorted(numbers(upstream)[:3]) == [1, 2, 3]
    assert set(numbers(upstream)[3:]) <= {1, 2, 3}


@pytest.mark.parametrize("end", [Close(), Reset()], ids=["FIN", "RST"])
def test_connection_that_upstream_closed_is_not_used(
    upstream: ScriptedUpstream, proxy: RunningProxy, end: Step
) -> None:
    """One that is known to be closed costs nobody an error."""
    gate = Gate()
    reply = [*Reply(body=[b"ok"]).steps(), gate, end]
    upstream.enqueue(reply)
    assert exchange(proxy.port, call()).body == b"ok"
    gate.open()
    upstream.request(0).answered.wait()
    wait_until_read(proxy.port)
    upstream.enqueue(Reply(body=[b"ok"]))
    assert exchange(proxy.port, call()).body == b"ok"
    assert numbers(upstream) == [1, 2]


UNASKED = {
    "a 408": b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 5\r\n\r\nStale",
    "half a response": b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nStale",
    "half a head": b"HTTP/1.1 200 OK\r\nX-Stale",
    "garbage": b"Stale",
}


@pytest.mark.parametrize("unasked", UNASKED.values(), ids=UNASKED.keys())
def test_what_upstream_says_unasked_answers_nobody(
    upstream: ScriptedUpstream, proxy: RunningProxy, unasked: bytes
) -> None:
    """A kept connection on which upstream spoke is let go: the next call has its own answer."""
    gate, sent = Gate(), Gate()
    upstream.enqueue([*Reply(body=[b"ok"]).steps(), gate, Raw(unasked), sent])
    assert exchange(proxy.port, call()).body == b"ok"
    gate.open()
    sent.wait_until_reached()
    wait_until_read(proxy.port)
    upstream.enqueue(Reply(body=[b"mine"]))
    assert exchange(proxy.port, call()).body == b"mine"
    assert numbers(upstream) == [1, 2]


UNUSABLE: dict[str, list[Step]] = {
    "Connection: close": Reply(headers=((b"Connection", b"close"),), body=[b"ok"]).steps(),
    "HTTP/1.0": [
        ReadBody(),
        Head(version=b"HTTP/1.0", headers=((b"Content-Length", b"2"),)),
        Raw(b"ok"),
    ],
    "ends with the connection": Reply(body=[b"ok"], framing="close").steps(),
    "more than its length": [
        ReadBody(),
        Head(headers=((b"Content-Length", b"2"),)),
        Raw(b"okStale"),
    ],
}


@pytest.mark.parametrize("script", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_connection_that_cannot_be_kept_is_not(
    upstream: ScriptedUpstream, proxy: RunningProxy, script: list[Step]
) -> None:
    """The client's connection lives on all the same: the two have nothing to do with each other."""
    with RawConnection(proxy.port) as connection:
        for body in (b"ok", b"mine"):
            upstream.enqueue(script if body == b"ok" else Reply(body=[body]))
            connection.send(call())
            assert connection.read_exchange().body == body
    assert numbers(upstream) == [1, 2]


def test_connection_of_a_call_that_was_left_is_not_used(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """The rest of its response would be taken for the next one's."""
    gate = Gate()
    upstream.enqueue(stream_reply(b"data: {}\n\n", gate, STREAM))
    connection = RawConnection(proxy.port)
    connection.send(call())
    connection.read_head()
    connection.close()
    upstream.request(0).wait_until_closed_by_peer()
    gate.open()
    upstream.enqueue(Reply(body=[b"mine"]))
    assert exchange(proxy.port, call()).body == b"mine"
    assert numbers(upstream) == [1, 2]


def test_one_connection_too_many_is_answered_and_closed(
    upstream: ScriptedUpstream, trace_dir: Path
) -> None:
    """503 at once; those that are there go on, and make room when they end."""
    health = request_bytes("GET", "http://127.0.0.1/-/healthz")
    with RunningProxy(upstream.url, trace_dir, connections_max=1) as proxy:
        with RawConnection(proxy.port) as first, RawConnection(proxy.port) as second:
            answer = second.read_exchange()
            assert (answer.head.status, answer.body) == (503, b"")
            assert second.wait_until_closed() == "fin"
            first.send(health + health.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            assert [first.read_exchange().head.status for _ in range(2)] == [200, 200]
            assert first.wait_until_closed() == "fin"
        assert exchange(proxy.port, health).head.status == 200


CLIENT_HEADS = [
    (b"HTTP/1.1", b"", True),
    (b"HTTP/1.1", b"Connection: close\r\n", False),
    (b"HTTP/1.0", b"", False),
    (b"HTTP/1.0", b"Connection: keep-alive\r\n", True),
]


@pytest.mark.parametrize(("version", "connection_line", "is_kept"), CLIENT_HEADS)
def test_client_decides_of_its_own_connection(
    upstream: ScriptedUpstream,
    proxy: RunningProxy,
    version: bytes,
    connection_line: bytes,
    *,
    is_kept: bool,
) -> None:
    """By version and Connection, and is told what it gets; upstream's is kept either way."""
    request = b"GET /v1/models %b\r\nHost: 127.0.0.1\r\n%b\r\n" % (version, connection_line)
    for _ in range(2):
        upstream.enqueue(Reply(body=[b"ok"]))
    with RawConnection(proxy.port) as connection:
        connection.send(request)
        answer = connection.read_exchange()
        assert (answer.body, answer.end) == (b"ok", "complete")
        if is_kept:
            connection.send(request)
            assert connection.read_exchange().body == b"ok"
        else:
            assert answer.head.values("connection") == [b"close"]
            assert connection.wait_until_closed() == "fin"
            exchange(proxy.port, request)
    assert numbers(upstream) == [1, 1]


def test_answer_to_half_a_request_does_not_use_up_the_rest(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """An upstream that answers early leaves the client its connection, once its body is sent."""
    head = Head(status=413, headers=((b"Content-Length", b"2"),))
    upstream.enqueue([head, Raw(b"no"), Gate()])
    with RawConnection(proxy.port) as connection:
        connection.send(
            b"POST /v1/responses HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\n\r\n{"
        )
        assert connection.read_exchange().body == b"no"
        connection.send(b" " * 49)
        upstream.enqueue(Reply(headers=(SSE_TYPE,), body=[STREAM], framing="chunked"))
        connection.send(call())
        assert connection.read_exchange().body == STREAM
    assert numbers(upstream) == [1, 2]
