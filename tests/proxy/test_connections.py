"""Connections on both sides: what they may carry on, and what must never cross between them."""

import pytest

from tests.support.differential import CALL, call
from tests.support.events import sse, text_stream
from tests.support.raw_http import BodyReader, RawConnection, exchange, request_bytes
from tests.support.running_proxy import RunningProxy
from tests.support.script import (
    JSON_TYPE,
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

STREAM = sse(*text_stream("Hel", "lo"))
GET = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def test_connections_to_upstream_are_kept(upstream: ScriptedUpstream, proxy: RunningProxy) -> None:
    """Calls one after the other share one upstream connection, in each framing that allows it."""
    framings: tuple[Framing, ...] = ("chunked", "length", "chunked")
    for framing in framings:
        upstream.enqueue(Reply(headers=(SSE_TYPE,), body=[STREAM], framing=framing))
    upstream.enqueue(Reply(status=204, framing="none"))
    upstream.enqueue(Reply(status=404, body=[b"{}"]))
    for _ in range(5):
        exchange(proxy.port, call())
    assert [request.connection_number for request in upstream.requests] == [1] * 5


def test_client_connection_is_kept(upstream: ScriptedUpstream, proxy: RunningProxy) -> None:
    """One client connection carries call after call, whatever the bodies were."""
    framings: tuple[Framing, ...] = ("chunked", "length", "close")
    with RawConnection(proxy.port) as connection:
        for framing in framings:
            upstream.enqueue(Reply(headers=(SSE_TYPE,), body=[STREAM], framing=framing))
            connection.send(call())
            answer = connection.read_exchange()
            assert (answer.body, answer.end) == (STREAM, "complete")


def test_pipelined_requests_are_answered_in_order(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """Requests that come in one segment are separate exchanges, answered one by one."""
    for number in range(3):
        upstream.enqueue(Reply(headers=(JSON_TYPE,), body=[b'{"number":%d}' % number]))
    with RawConnection(proxy.port) as connection:
        connection.send(call() + GET + call(body=b'{"input":"second"}'))
        bodies = [connection.read_exchange().body for _ in range(3)]
    assert bodies == [b'{"number":0}', b'{"number":1}', b'{"number":2}']
    assert [request.body for request in upstream.requests] == [CALL, b"", b'{"input":"second"}']


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("step", [Close(), Reset()], ids=["FIN", "RST"])
def test_connection_that_upstream_closed_is_not_used_again(
    upstream: ScriptedUpstream, proxy: RunningProxy, step: Step, method: str
) -> None:
    """A kept connection that closed while idle costs no request its answer."""
    upstream.enqueue([*Reply(headers=(JSON_TYPE,), body=[b"{}"]).steps(), gate := Gate(), step])
    upstream.enqueue(Reply(headers=(JSON_TYPE,), body=[b'{"second":true}']))
    exchange(proxy.port, call())
    gate.open()
    upstream.request(0).wait_until_answered()
    body = CALL if method == "POST" else b""
    request = request_bytes(method, "http://127.0.0.1/v1/responses", body=body)
    assert exchange(proxy.port, request).body == b'{"second":true}'


@pytest.mark.parametrize("request_", [call(), GET], ids=["POST", "GET"])
def test_request_is_never_sent_twice(
    upstream: ScriptedUpstream, proxy: RunningProxy, request_: bytes
) -> None:
    """A kept connection that dies on a request makes a 502, not a second request."""
    upstream.enqueue(Reply(headers=(JSON_TYPE,), body=[b"{}"]))
    upstream.enqueue([ReadBody(), Close()])
    exchange(proxy.port, GET)
    assert exchange(proxy.port, request_).head.status == 502
    assert [request.connection_number for request in upstream.requests] == [1, 1]


STRAY = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray"
ENDS_WITH_STRAY_BYTES: dict[str, list[Step]] = {
    "after a length": [Head(headers=((b"Content-Length", b"2"),)), Raw(b"{}" + STRAY)],
    "after the last chunk": [
        Head(headers=((b"Transfer-Encoding", b"chunked"),)),
        Raw(Chunk(b"{}").encode() + LastChunk().encode() + STRAY),
    ],
    "after a 204": [Raw(Head(status=204).encode() + STRAY)],
}


@pytest.mark.parametrize("steps", ENDS_WITH_STRAY_BYTES.values(), ids=ENDS_WITH_STRAY_BYTES.keys())
def test_stray_bytes_are_no_answer_to_the_next_request(
    upstream: ScriptedUpstream, proxy: RunningProxy, steps: list[Step]
) -> None:
    """What upstream sends beyond a response is never taken for the next one's."""
    upstream.enqueue([ReadBody(), *steps])
    upstream.enqueue(Reply(headers=(JSON_TYPE,), body=[b'{"right":true}']))
    assert exchange(proxy.port, call()).body in {b"{}", b""}
    assert exchange(proxy.port, call()).body == b'{"right":true}'


def test_stray_bytes_while_idle_are_no_answer_to_the_next_request(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """An unasked response on an idle connection spoils that connection and no exchange."""
    first = Reply(headers=(JSON_TYPE,), body=[b"{}"]).steps()
    upstream.enqueue([*first, gate := Gate(), Raw(STRAY)])
    upstream.enqueue(Reply(headers=(JSON_TYPE,), body=[b'{"right":true}']))
    exchange(proxy.port, call())
    gate.open()
    upstream.request(0).wait_until_answered()
    answer = exchange(proxy.port, call())
    assert answer.body != b"stray"


def test_cookies_of_one_client_reach_no_other(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """The proxy keeps no cookies."""
    upstream.enqueue(Reply(headers=((b"Set-Cookie", b"session=one; Path=/"),), body=[b"{}"]))
    upstream.enqueue(Reply(body=[b"{}"]))
    for _ in range(2):
        exchange(proxy.port, call())
    assert upstream.request(1).header("cookie") is None


def test_response_may_begin_before_the_request_ends(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """Both bodies flow at once: what is said while the client still speaks is heard at once."""
    chunked = Head(headers=(SSE_TYPE, (b"Transfer-Encoding", b"chunked")))
    upstream.enqueue([chunked, Chunk(b"first"), ReadBody(), Chunk(b"last"), LastChunk()])
    with RawConnection(proxy.port) as connection:
        connection.send(
            b"POST /v1/responses HTTP/1.1\r\nHost: h\r\n".replace(b"h\r", b"127.0.0.1\r")
        )
        connection.send(b"Content-Length: %d\r\n\r\n%b" % (len(CALL), CALL[:9]))
        body = BodyReader(connection, connection.read_head())
        assert body.read_until(b"first") == b"first"
        connection.send(CALL[9:])
        assert (body.read_all(), body.end) == (b"last", "complete")
    assert upstream.request(0).body == CALL


def test_body_is_asked_for_where_the_client_waits_for_that(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """`Expect: 100-continue` gets its 100, then the exchange goes on as any other."""
    upstream.enqueue(Reply(headers=(JSON_TYPE,), body=[b"{}"]))
    head, _, body = call(((b"Expect", b"100-continue"),)).partition(b"\r\n\r\n")
    with RawConnection(proxy.port) as connection:
        connection.send(head + b"\r\n\r\n")
        assert connection.read_head().status == 100
        connection.send(body)
        assert connection.read_exchange().head.status == 200
    assert upstream.request(0).body == CALL


def test_http_1_0_upstream_is_relayed(upstream: ScriptedUpstream, proxy: RunningProxy) -> None:
    """An upstream that speaks HTTP/1.0 ends its body by closing, and that is no cut."""
    head = Head(version=b"HTTP/1.0", headers=(JSON_TYPE,))
    upstream.enqueue([ReadBody(), head, Raw(b'{"old":true}'), Close()])
    answer = exchange(proxy.port, call())
    assert (answer.head.version, answer.body, answer.end) == (
        b"HTTP/1.1",
        b'{"old":true}',
        "complete",
    )


def test_client_that_does_not_read_holds_upstream_back(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """A slow reader gets all of it in the end, and other exchanges go on meanwhile."""
    piece = b"x" * 65536
    pieces = 1000
    upstream.enqueue(stream_reply(*[piece] * pieces))
    upstream.enqueue(stream_reply(STREAM))
    with RawConnection(proxy.port) as slow:
        slow.send(call())
        body = BodyReader(slow, slow.read_head())
        assert exchange(proxy.port, call()).body == STREAM
        assert not upstream.request(0).answered.is_set()
        assert len(body.read_all()) == pieces * len(piece)


def test_client_that_leaves_without_reading_ends_the_upstream_request(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """A client that blocked on a full socket and then left takes the upstream connection along."""
    upstream.enqueue(stream_reply(*[b"x" * 65536] * 1000))
    slow = RawConnection(proxy.port)
    slow.send(call())
    slow.read_head()
    upstream.request(0)
    slow.abort()
    upstream.request(0).wait_until_closed_by_peer()
