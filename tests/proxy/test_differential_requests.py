"""Whatever a client asks, upstream behind the proxy gets what it would get without it."""

import gzip

import pytest

from tests.support.differential import (
    CALL,
    ODD_HEADERS,
    arrived,
    assert_same_answer,
    assert_same_request,
    call,
    seen,
)
from tests.support.raw_http import (
    RawConnection,
    exchange,
    request_bytes,
)
from tests.support.running_proxy import (
    RunningProxy,
)
from tests.support.script import (
    JSON_TYPE,
    Chunk,
    LastChunk,
    RawHeaders,
    ReadBody,
    Reply,
)
from tests.support.scripted_upstream import (
    ScriptedUpstream,
)


@pytest.mark.parametrize("headers", ODD_HEADERS.values(), ids=ODD_HEADERS.keys())
def test_request_headers_pass(
    upstream: ScriptedUpstream, proxy: RunningProxy, headers: RawHeaders
) -> None:
    """End-to-end request headers keep order, case, duplicates and bytes."""
    assert_same_request(upstream, proxy, call(headers))


def test_request_headers_named_by_connection_are_dropped(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """What the client's Connection header names is for the proxy and goes no further."""
    headers = ((b"Connection", b"x-hop"), (b"X-Hop", b"1"), (b"TE", b"trailers"))
    upstream.enqueue(Reply(body=[b"ok"]))
    exchange(proxy.port, call(headers))
    names = {name.lower() for name, _ in upstream.request(0).headers}
    assert not names & {b"x-hop", b"te"}


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"])
def test_method_passes(upstream: ScriptedUpstream, proxy: RunningProxy, method: str) -> None:
    """Any method goes through, with and without a body."""
    url = "http://127.0.0.1/v1/responses/resp_1?include%5B%5D=x"
    for body in (b"", b"body"):
        script = Reply(headers=(JSON_TYPE,), body=[b"{}"])
        request = request_bytes(method, url, body=body)
        assert_same_answer(upstream, proxy, script, request)
    heard = [arrived(request) for request in upstream.requests]
    assert heard[0] == heard[1]
    assert heard[2] == heard[3]


BODIES = {
    "gzip": ((b"Content-Encoding", b"gzip"), gzip.compress(CALL, mtime=0)),
    "corrupt zstd": ((b"Content-Encoding", b"zstd"), b"\x28\xb5\x2f\xfd nonsense"),
    "no JSON": ((b"Content-Type", b"application/json"), b'{"model": '),
    "binary": ((b"Content-Type", b"application/octet-stream"), bytes(range(256))),
    "spaces and odd numbers": (JSON_TYPE, b' { "input" : 1e400 , "input":"\\ud83d" }\n'),
}


@pytest.mark.parametrize(("header", "body"), BODIES.values(), ids=BODIES.keys())
def test_request_body_passes(
    upstream: ScriptedUpstream, proxy: RunningProxy, header: tuple[bytes, bytes], body: bytes
) -> None:
    """A request's body arrives byte for byte, whatever it is."""
    assert assert_same_request(upstream, proxy, call((header,), body)).body == body


@pytest.mark.parametrize("pieces", [[CALL], [b"{", CALL[1:20], CALL[20:]], []])
def test_chunked_request_passes(
    upstream: ScriptedUpstream, proxy: RunningProxy, pieces: list[bytes]
) -> None:
    """A request of unknown length arrives whole."""
    head = request_bytes(
        "POST",
        "http://127.0.0.1/v1/responses",
        headers=((b"Transfer-Encoding", b"chunked"), (b"Content-Type", b"application/json")),
    )
    chunks = b"".join(Chunk(piece).encode() for piece in pieces)
    request = head + chunks + LastChunk().encode()
    assert assert_same_request(upstream, proxy, request).body == b"".join(pieces)


TARGETS = [
    "/v1/responses?a=%7Eb&c=%2F&d=a%20b+c",
    "/v1/responses?",
    "/v1/responses?a=b?c=d",
    "/v1/files/a%2Fb",
    "/v1/files/%00",
    "/v1/files/~%7e%7E",
    "/v1/files/a//b/",
    "/v1/files/a;b=c,d:e@f!$&'()*",
    "/v1/files/%c3%a9%E9",
    "/v1/files/a%252e%252e",
    '/v1/files/[x]|{y}^`"<>',
]


@pytest.mark.parametrize("target", TARGETS)
def test_target_passes(upstream: ScriptedUpstream, proxy: RunningProxy, target: str) -> None:
    """Path and query arrive byte for byte, escapes and all."""
    request = b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % target.encode()
    assert_same_request(upstream, proxy, request)


def test_early_answer_passes_while_the_request_is_sent(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """An upstream that refuses a body unread is heard at once, though the body never ends."""
    script = Reply(status=413, headers=(JSON_TYPE,), body=[b'{"error":{}}'], early=True)
    half = (
        b"POST /v1/responses HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Content-Length: 1000000\r\n\r\n" + b"x" * 1000
    )
    answers = []
    for port in (upstream.port, proxy.port):
        upstream.enqueue(script)
        answers.append(seen(exchange(port, half)))
    assert answers[0] == answers[1]
    assert answers[0].status == 413


def test_client_that_leaves_inside_its_body_ends_the_upstream_request(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """A request cut short downstream is cut short upstream, never ended as if it were whole."""
    upstream.enqueue([ReadBody()])
    connection = RawConnection(proxy.port)
    connection.send(
        b"POST /v1/responses HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\n\r\n{"
    )
    request = upstream.request(0)
    connection.close()
    request.wait_until_closed_by_peer()
    assert not request.body_read.is_set()
