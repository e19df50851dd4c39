"""Whatever upstream answers, a client behind the proxy gets what a client without it gets."""

import zlib

import pytest

from tests.support.differential import (
    CALL,
    ODD_HEADERS,
    arrived,
    assert_same_answer,
    call,
)
from tests.support.events import (
    ev_created,
    ev_text_delta,
    sse,
    sse_pieces,
    text_stream,
)
from tests.support.raw_http import (
    exchange,
    request_bytes,
)
from tests.support.running_proxy import (
    RunningProxy,
)
from tests.support.script import (
    JSON_TYPE,
    SSE_TYPE,
    Chunk,
    Close,
    Framing,
    Head,
    LastChunk,
    Raw,
    RawHeaders,
    ReadBody,
    Reply,
    Step,
    gzip_reply,
    stream_reply,
)
from tests.support.scripted_upstream import (
    ScriptedUpstream,
)

STREAM = sse(*text_stream("Hel", "lo"))
CHUNKED = Head(headers=(SSE_TYPE, (b"Transfer-Encoding", b"chunked")))
PART = sse(ev_created("resp_1"), ev_text_delta("Hel"))


STATUSES = [
    *(200, 201, 202, 203, 206, 207, 226, 299),
    *(300, 301, 302, 303, 305, 307, 308),
    *(400, 401, 402, 403, 404, 405, 408, 409, 410, 411, 412, 413, 414, 415, 416, 418, 421, 422),
    *(424, 425, 428, 429, 431, 451, 499),
    *(500, 501, 502, 503, 504, 505, 507, 511, 520, 529, 599, 999),
]


@pytest.mark.parametrize("status", STATUSES)
def test_status_passes(upstream: ScriptedUpstream, proxy: RunningProxy, status: int) -> None:
    """Every status comes with its reason, its headers and its body."""
    headers = (JSON_TYPE, (b"x-request-id", b"req_1"), (b"Retry-After", b"1"))
    script = Reply(status=status, headers=headers, body=[b'{"error":{"message":"no"}}'])
    assert assert_same_answer(upstream, proxy, script).status == status


@pytest.mark.parametrize("reason", [b"Very Odd", b"", b"caf\xc3\xa9", b"caf\xe9", b"a  b\tc"])
def test_reason_passes(upstream: ScriptedUpstream, proxy: RunningProxy, reason: bytes) -> None:
    """A reason comes as its bytes, whatever they are."""
    script = Reply(reason=reason, headers=(JSON_TYPE,), body=[b"{}"])
    assert assert_same_answer(upstream, proxy, script).reason == reason


@pytest.mark.parametrize("headers", ODD_HEADERS.values(), ids=ODD_HEADERS.keys())
def test_response_headers_pass(
    upstream: ScriptedUpstream, proxy: RunningProxy, headers: RawHeaders
) -> None:
    """End-to-end response headers keep order, case, duplicates and bytes."""
    assert_same_answer(upstream, proxy, Reply(headers=(JSON_TYPE, *headers), body=[b"{}"]))


def test_response_headers_named_by_connection_are_dropped(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """What upstream's Connection header names is for the proxy and goes no further."""
    headers = ((b"Connection", b"X-Hop"), (b"X-Hop", b"1"), (b"Keep-Alive", b"timeout=5"))
    upstream.enqueue(Reply(headers=headers, body=[b"ok"]))
    names = {name.lower() for name, _ in exchange(proxy.port, call()).head.headers}
    assert not names & {b"x-hop", b"keep-alive"}


def test_no_header_is_invented(upstream: ScriptedUpstream, proxy: RunningProxy) -> None:
    """A head with no header at all gets none but framing, Date and Server, either way."""
    upstream.enqueue([ReadBody(), Head(), Raw(b"x"), Close()])
    sent = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    answer = exchange(proxy.port, sent)
    names = {name.lower() for name, _ in answer.head.headers}
    assert names <= {b"date", b"server", b"connection", b"transfer-encoding"}
    asked = {name.lower() for name, _ in upstream.request(0).headers}
    assert asked <= {b"host", b"connection"}


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize(
    "body",
    [[], [STREAM], sse_pieces(*text_stream("Hel", "lo")), [b"\x00\xff\r\n\r\n0\r\n\r\n"]],
    ids=["empty", "one piece", "piece by piece", "bytes like framing"],
)
def test_body_passes_in_each_framing(
    upstream: ScriptedUpstream, proxy: RunningProxy, framing: Framing, body: list[bytes]
) -> None:
    """A body is the same bytes, however it is delimited and cut in pieces."""
    script = Reply(headers=(SSE_TYPE,), body=body, framing=framing)
    assert assert_same_answer(upstream, proxy, script).body == b"".join(body)


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_large_body_passes(
    upstream: ScriptedUpstream, proxy: RunningProxy, framing: Framing
) -> None:
    """Megabytes pass in each framing, as a response and as a request."""
    pieces = [bytes([number]) * 70_001 for number in range(60)]
    script = Reply(headers=(JSON_TYPE,), body=pieces, framing=framing)
    request = call(body=b'{"input":"%b"}' % (b"y" * 4_000_000))
    answer = assert_same_answer(upstream, proxy, script, request)
    assert len(answer.body) == 60 * 70_001
    assert arrived(upstream.request(1)) == arrived(upstream.request(0))


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/models"])
def test_head_request_passes(upstream: ScriptedUpstream, proxy: RunningProxy, path: str) -> None:
    """HEAD gets the Content-Length of the body that it does not get."""
    headers = (JSON_TYPE, (b"Content-Length", b"4321"))
    request = request_bytes("HEAD", f"http://127.0.0.1{path}")
    answer = assert_same_answer(upstream, proxy, Reply(headers=headers, framing="none"), request)
    assert (b"Content-Length", b"4321") in answer.headers


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("method", ["POST", "GET", "HEAD"])
def test_status_without_body_passes(
    upstream: ScriptedUpstream, proxy: RunningProxy, status: int, method: str
) -> None:
    """204 and 304 end with their head, and the connection to upstream stays usable."""
    script = Reply(status=status, headers=((b"ETag", b'"x"'),), framing="none")
    body = CALL if method == "POST" else b""
    request = request_bytes(method, "http://127.0.0.1/v1/responses", body=body)
    assert_same_answer(upstream, proxy, script, request)
    assert_same_answer(upstream, proxy, script, request)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(
    upstream: ScriptedUpstream, proxy: RunningProxy, status: int
) -> None:
    """A redirect goes to the client, who alone may decide where its key goes."""
    headers = ((b"Location", b"http://elsewhere.example/v1/responses"),)
    script = Reply(status=status, headers=headers, body=[b"moved"])
    assert assert_same_answer(upstream, proxy, script).status == status
    assert len(upstream.requests) == 2


def test_early_hints_do_not_disturb_the_response(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """Whatever 1xx heads come before it, the final response is the same."""
    hints = [Head(status=103, headers=((b"Link", b"</a>"),)), Head(status=102)]
    script = Reply(headers=(SSE_TYPE,), body=[STREAM], framing="chunked", informational=hints)
    assert assert_same_answer(upstream, proxy, script).status == 200


def test_early_hints_may_share_a_packet_with_the_response(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """Informational head, final head and body in one segment are taken apart rightly."""
    hint = Head(status=103, headers=((b"Link", b"</a>"),)).encode()
    whole = hint + CHUNKED.encode() + Chunk(STREAM).encode() + LastChunk().encode()
    assert assert_same_answer(upstream, proxy, [ReadBody(), Raw(whole)]).body == STREAM


CODINGS = {
    "gzip": gzip_reply(stream_reply(STREAM)),
    "gzip with a length": gzip_reply(Reply(headers=(JSON_TYPE,), body=[b"{}"])),
    "deflate": Reply(
        headers=(SSE_TYPE, (b"Content-Encoding", b"deflate")),
        body=[zlib.compress(STREAM)],
        framing="chunked",
    ),
    "corrupt gzip": Reply(
        headers=(SSE_TYPE, (b"Content-Encoding", b"gzip")),
        body=[b"\x1f\x8b this is not gzip"],
        framing="chunked",
    ),
    "unknown": Reply(headers=(SSE_TYPE, (b"Content-Encoding", b"x-mine")), body=[STREAM]),
}


@pytest.mark.parametrize("script", CODINGS.values(), ids=CODINGS.keys())
def test_coded_response_stays_coded(
    upstream: ScriptedUpstream, proxy: RunningProxy, script: Reply
) -> None:
    """A content coding is the client's to take off: its bytes and its header stay."""
    assert_same_answer(upstream, proxy, script)


def test_trailers_do_not_disturb_the_body(upstream: ScriptedUpstream, proxy: RunningProxy) -> None:
    """A chunked body with trailers and chunk extensions is the same body."""
    script: list[Step] = [
        ReadBody(),
        CHUNKED,
        Raw(b'5;ext="a;b"\r\nevent\r\n'),
        LastChunk(((b"X-Checksum", b"abc"),)),
    ]
    answer = assert_same_answer(upstream, proxy, script)
    assert (answer.body, answer.cut) == (b"event", False)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_response_may_come_in_crumbs(
    upstream: ScriptedUpstream, proxy: RunningProxy, size: int
) -> None:
    """However few bytes a segment carries, head, framing and body are read rightly."""
    wire = CHUNKED.encode() + b"".join(
        Chunk(piece).encode() for piece in (PART[:9], PART[9:], b"x")
    )
    wire += LastChunk().encode()
    crumbs = [Raw(wire[at : at + size]) for at in range(0, len(wire), size)]
    assert assert_same_answer(upstream, proxy, [ReadBody(), *crumbs]).body == PART + b"x"


def test_http_1_0_client_gets_a_plain_body(upstream: ScriptedUpstream, proxy: RunningProxy) -> None:
    """A client that knows no chunks gets the body without them, ended by the close."""
    upstream.enqueue(stream_reply(*sse_pieces(*text_stream("Hel", "lo"))))
    answer = exchange(proxy.port, call().replace(b"HTTP/1.1", b"HTTP/1.0", 1))
    assert answer.head.values("transfer-encoding") == []
    assert (answer.body, answer.end) == (STREAM, "fin")
