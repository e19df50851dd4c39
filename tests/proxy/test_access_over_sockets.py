"""Requests that are refused, over real sockets: no byte goes upstream, none comes back or stays."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.support.captured_log import CapturedLog, captured_log
from tests.support.raw_http import (
    BodyReader,
    ConnectionEndedError,
    Exchange,
    RawConnection,
    exchange,
)
from tests.support.running_proxy import RunningProxy
from tests.support.script import Chunk, Gate, LastChunk, ReadBody, Reply
from tests.support.scripted_upstream import ScriptedUpstream

MARK = b"sk-marker-0123456789"
"""What stands wherever a request has room for it, and nowhere else."""

FIELDS = b"Authorization: Bearer %b\r\nX-%b: %b\r\n" % (MARK, MARK, MARK)
HOST = b"Host: 127.0.0.1\r\n"


@pytest.fixture
def log() -> Iterator[CapturedLog]:
    """The proxy's log, from before its start."""
    with captured_log() as captured:
        yield captured


def post(*lines: bytes, target: bytes = b"/v1/responses", version: bytes = b"1.1") -> bytes:
    """A POST with a Host and these lines; the blank line is part of it."""
    return b"POST %b HTTP/%b\r\n" % (target, version) + HOST + FIELDS + b"".join(lines) + b"\r\n"


def lines_of(size: int) -> bytes:
    """Header lines that take so many bytes, each of them short."""
    return b"".join(b"X-Line: %b\r\n" % (MARK * 50) for _ in range(size // 1010 + 1))


UPGRADE = post(
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
).replace(b"POST", b"GET")

REFUSED: dict[str, tuple[bytes, set[int]]] = {
    "absolute form": (post(target=b"http://169.254.169.254/%b" % MARK), {400}),
    "absolute form of ours": (post(target=b"http://127.0.0.1/v1/responses?%b" % MARK), {400}),
    "authority": (post(target=b"//%b/v1/responses" % MARK), {400}),
    "dots": (post(target=b"/v1/../%b" % MARK), {400}),
    "escaped dots": (post(target=b"/v1/%%2e%%2E/%b" % MARK), {400}),
    "dot": (post(target=b"/v1/./%b" % MARK), {400}),
    "asterisk": (b"OPTIONS * HTTP/1.1\r\n" + HOST + FIELDS + b"\r\n", {400}),
    "CONNECT": (b"CONNECT %b.example:443 HTTP/1.1\r\n" % MARK + HOST + b"\r\n", {400, 405}),
    "host": (b"GET /v1/models HTTP/1.1\r\nHost: %b.example\r\n\r\n" % MARK, {403}),
    "no host": (b"GET /v1/models HTTP/1.1\r\n" + FIELDS + b"\r\n", {400}),
    "two hosts": (post(b"Host: 127.0.0.1\r\n"), {400}),
    "origin": (post(b"Origin: https://%b.example\r\n" % MARK), {403}),
    "null origin": (post(b"Origin: null\r\n"), {403}),
    "gzip, chunked": (post(b"Transfer-Encoding: gzip, chunked\r\n") + b"0\r\n\r\n", {400, 501}),
    "chunked twice": (
        post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") + b"0\r\n\r\n",
        {400},
    ),
    "unknown coding": (post(b"Transfer-Encoding: x%b\r\n" % MARK), {400}),
    "chunked in HTTP/1.0": (
        post(b"Transfer-Encoding: chunked\r\n", version=b"1.0") + b"0\r\n\r\n",
        {400},
    ),
    "two lengths": (post(b"Content-Length: 2\r\nContent-Length: 3\r\n") + b"{}", {400}),
    "a length twice": (post(b"Content-Length: 2\r\nContent-Length: 2\r\n") + b"{}", {400}),
    "a list of lengths": (post(b"Content-Length: 2, 2\r\n") + b"{}", {400}),
    "a signed length": (post(b"Content-Length: +2\r\n") + b"{}", {400}),
    "length and chunks": (
        post(b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n") + b"0\r\n\r\n",
        {400},
    ),
    "folded line": (post(b"X-Fold: a\r\n %b\r\n" % MARK), {400}),
    "bare LF": (post().replace(b"\r\n", b"\n"), {400}),
    "bare LF in a line": (post(b"X-Line: a\nX-Other: %b\r\n" % MARK), {400}),
    "space before colon": (post(b"X-Space : %b\r\n" % MARK), {400}),
    "no colon": (post(b"%b\r\n" % MARK), {400}),
    "NUL": (post(b"X-Nul: %b\0\r\n" % MARK), {400}),
    "bare CR": (post(b"X-Cr: %b\ra\r\n" % MARK), {400}),
    "unknown method": (b"%b / HTTP/1.1\r\n" % MARK.upper() + HOST + b"\r\n", {400}),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01" + MARK + b"\r\n\r\n", {400}),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400}),
    "one long line": (post(b"X-Long: %b\r\n" % (MARK * 3500)), {400, 431}),
    "one long name": (post(b"X-%b: 1\r\n" % (MARK * 3500)), {400, 431}),
    "long target": (post(target=b"/v1/" + MARK * 3500), {400, 431}),
    "many lines": (post(lines_of(70_000)), {400, 431}),
    "very many lines": (post(b"X-A: %b\r\n" % MARK * 1100), {400, 431}),
    "another expectation": (post(b"Expect: %b\r\nContent-Length: 2\r\n" % MARK) + b"{}", {417}),
    "WebSocket by POST": (UPGRADE.replace(b"GET", b"POST"), {400}),
    "WebSocket in HTTP/1.0": (UPGRADE.replace(b"HTTP/1.1", b"HTTP/1.0"), {400}),
    "WebSocket with a body": (
        UPGRADE.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\n{}"),
        {400},
    ),
    "WebSocket with chunks": (
        UPGRADE.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        {400},
    ),
    "WebSocket for another host": (
        UPGRADE.replace(HOST, b"Host: %b.example\r\n" % MARK),
        {403},
    ),
    "WebSocket of another origin": (
        UPGRADE.replace(HOST, HOST + b"Origin: https://%b.example\r\n" % MARK),
        {403},
    ),
    "WebSocket with dots": (UPGRADE.replace(b"/v1/", b"/v1/../%b/" % MARK), {400}),
}


@pytest.mark.parametrize(("request_", "statuses"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_request_leaves_no_trace_anywhere(
    log: CapturedLog,
    upstream: ScriptedUpstream,
    proxy: RunningProxy,
    request_: bytes,
    statuses: set[int],
) -> None:
    """It is answered with an error of ours that repeats nothing, and its connection ends."""
    with RawConnection(proxy.port) as connection:
        connection.send(request_)
        answer = connection.read_exchange()
        connection.wait_until_closed()
    assert_refused(answer, statuses)
    proxy.stop()
    assert upstream.connections == 0
    assert proxy.bundles() == []
    assert MARK.decode() not in log.text()
    assert MARK.decode().upper() not in log.text()


def assert_refused(answer: Exchange, statuses: set[int]) -> None:
    """It has OpenAI's error shape, and neither an id of upstream's nor a byte of the request."""
    assert answer.head.status in statuses
    assert answer.head.values("content-type")[0].startswith(b"application/json")
    assert answer.head.values("x-request-id") == []
    # aiohttp answers in HTTP/1.0 what it could not parse: there a close needs no word.
    assert answer.head.values("connection") == [b"close"] or answer.head.version == b"HTTP/1.0"
    assert not [name for name, _ in answer.head.headers if name.lower().startswith(b"access-")]
    error = orjson.loads(answer.body)["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["message"].startswith("tailrace: ")
    everything = answer.body + b"".join(name + value for name, value in answer.head.headers)
    assert MARK.lower() not in everything.lower()


def test_settings_may_allow_a_host(upstream: ScriptedUpstream, trace_dir: Path) -> None:
    """By the name that clients know us by, whatever its case, and for pages of it too."""
    upstream.enqueue(Reply(body=[b"ok"]))
    with RunningProxy(upstream.url, trace_dir, allowed_hosts=("Tracer.Example",)) as proxy:
        head = b"GET /v1/models HTTP/1.1\r\nHost: tracer.example:80\r\n"
        assert exchange(proxy.port, head + b"Origin: http://TRACER.example\r\n\r\n").body == b"ok"


def test_head_below_the_limit_is_relayed(upstream: ScriptedUpstream, proxy: RunningProxy) -> None:
    """OpenAI asks clients to stay under 64 KiB: 60 of them pass, in one line or in many."""
    for lines in (lines_of(60_000), b"X-Long: %b\r\n" % (MARK * 3000)):
        upstream.enqueue(Reply(body=[b"ok"]))
        request = b"GET /v1/models HTTP/1.1\r\n" + HOST + lines + b"\r\n"
        assert exchange(proxy.port, request).body == b"ok"


def test_expectation_is_met_here(upstream: ScriptedUpstream, proxy: RunningProxy) -> None:
    """The client is told to go on, once; upstream gets the body and no Expect."""
    upstream.enqueue(Reply(body=[b"ok"]))
    with RawConnection(proxy.port) as connection:
        connection.send(post(b"Expect: 100-continue\r\nContent-Length: 2\r\n"))
        assert connection.read_head().status == 100
        connection.send(b"{}")
        answer = connection.read_exchange()
    assert (answer.informational, answer.head.status, answer.body) == ((), 200, b"ok")
    assert upstream.request(0).body == b"{}"
    assert upstream.request(0).header("expect") is None


def test_expectation_of_http_1_0_is_ignored(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """Such a client knows no 1xx (RFC 9110, 10.1.1)."""
    upstream.enqueue(Reply(body=[b"ok"]))
    head = post(b"Expect: 100-continue\r\nContent-Length: 2\r\n", version=b"1.0")
    answer = exchange(proxy.port, head + b"{}")
    assert (answer.informational, answer.head.status, answer.body) == ((), 200, b"ok")


UPGRADES = [
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    b"Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
    b"Upgrade: h2c\r\n",
]


@pytest.mark.parametrize("upgrade", UPGRADES)
def test_upgrade_that_nobody_takes_leaves_the_framing_whole(
    upstream: ScriptedUpstream, proxy: RunningProxy, upgrade: bytes
) -> None:
    """The request is an ordinary one with its body, and so is the next on its connection."""
    with RawConnection(proxy.port) as connection:
        for body in (b'{"input":"GET / HTTP/1.1\\r\\n\\r\\n"}', b"{}"):
            upstream.enqueue(Reply(body=[b"ok"]))
            connection.send(post(upgrade, b"Content-Length: %d\r\n" % len(body)) + body)
            answer = connection.read_exchange()
            assert (answer.head.status, answer.body) == (200, b"ok")
    bodies = [request.body for request in upstream.requests]
    assert bodies == [b'{"input":"GET / HTTP/1.1\\r\\n\\r\\n"}', b"{}"]
    assert upstream.request(0).header("upgrade") is None
    assert upstream.request(0).header("connection") is None


def test_declined_websocket(log: CapturedLog, upstream: ScriptedUpstream, trace_dir: Path) -> None:
    """With `websockets = false` it is a 426, which Codex takes as its word to go on in HTTP."""
    with RunningProxy(upstream.url, trace_dir, websockets=False) as proxy:
        with RawConnection(proxy.port) as connection:
            connection.send(UPGRADE)
            answer = connection.read_exchange()
            connection.wait_until_closed()
        assert_refused(answer, {426})
        assert orjson.loads(answer.body)["error"]["code"] == "websocket_declined"
        proxy.stop()
        assert proxy.bundles() == []
    assert upstream.connections == 0
    assert MARK.decode() not in log.text()


SMUGGLED = b"GET /v1/models HTTP/1.1\r\n" + HOST + b"\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (UPGRADE, 426),
        (UPGRADE[:-2] + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED), 400),
        (UPGRADE[:-2] + b"Content-Length: 2\r\n\r\n{}", 400),
    ],
    ids=["no body", "as a body", "behind a body"],
)
def test_upgraded_body_is_no_request(
    upstream: ScriptedUpstream, trace_dir: Path, request_: bytes, status: int
) -> None:
    """What follows a refused WebSocket is dropped with its connection, never answered."""
    with (
        RunningProxy(upstream.url, trace_dir, websockets=status != 426) as proxy,
        RawConnection(proxy.port) as connection,
    ):
        connection.send(request_ + SMUGGLED)
        assert connection.read_exchange().head.status == status
        with pytest.raises(ConnectionEndedError):
            connection.read_head()
    assert upstream.connections == 0


CHUNKED_HEAD = post(b"Transfer-Encoding: chunked\r\n")
BROKEN_CHUNKS = {
    "no size": b"zz%b\r\n" % MARK,
    "longer than its size": b"2\r\nabc%b\r\n0\r\n\r\n" % MARK,
    "LF alone": b"2\nab\n0\n\n",
    "huge size": b"%b\r\n" % (b"f" * 40),
    "signed size": b"+2\r\nab\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("broken", BROKEN_CHUNKS.values(), ids=BROKEN_CHUNKS.keys())
@pytest.mark.parametrize("at_once", [True, False], ids=["with the head", "after a chunk"])
def test_body_that_is_malformed_is_refused(
    log: CapturedLog,
    upstream: ScriptedUpstream,
    proxy: RunningProxy,
    broken: bytes,
    *,
    at_once: bool,
) -> None:
    """400, and upstream never sees a request that looks whole."""
    with RawConnection(proxy.port) as connection:
        if at_once:
            connection.send(CHUNKED_HEAD + broken)
        else:
            upstream.enqueue([ReadBody()])
            connection.send(CHUNKED_HEAD + Chunk(b"{").encode())
            request = upstream.request(0)
            connection.send(broken)
            request.wait_until_closed_by_peer()
            assert not request.body_read.is_set()
        answer = connection.read_exchange()
        connection.wait_until_closed()
    assert_refused(answer, {400})
    proxy.stop()
    assert MARK.decode() not in log.text()
    assert upstream.connections == (0 if at_once else 1)


def test_garbage_after_a_request_does_not_disturb_its_response(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """The request that was whole is answered; what follows gets a 400 after it."""
    gate = Gate()
    upstream.enqueue(Reply(body=[gate, b"ok"]))
    with RawConnection(proxy.port) as connection:
        connection.send(post(b"Content-Length: 2\r\n") + b"{}")
        gate.wait_until_reached()
        connection.send(b"\0garbage\r\n\r\n")
        gate.open()
        assert connection.read_exchange().body == b"ok"
        assert_refused(connection.read_exchange(), {400})
        connection.wait_until_closed()


def test_requests_may_be_pipelined(upstream: ScriptedUpstream, proxy: RunningProxy) -> None:
    """They are answered in order, each with its own response."""
    bodies = [b"first", b"second", b"third"]
    for body in bodies:
        upstream.enqueue(Reply(body=[body]))
    chunked = CHUNKED_HEAD + Chunk(b"{}").encode() + LastChunk().encode()
    sized = post(b"Content-Length: 2\r\n") + b"{}"
    with RawConnection(proxy.port) as connection:
        connection.send(sized + chunked + sized)
        assert [connection.read_exchange().body for _ in bodies] == bodies
    assert [request.body for request in upstream.requests] == [b"{}"] * 3


def test_early_refusal_gets_through_while_the_body_is_sent(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """A 413 reaches a client that has only begun its body, and the call says so."""
    upstream.enqueue(Reply(status=413, body=[b'{"error":{"message":"too big"}}'], early=True))
    with RawConnection(proxy.port) as connection:
        connection.send(post(b"Content-Length: 10000000\r\n") + b"x" * 100_000)
        head = connection.read_head()
        body = BodyReader(connection, head).read_all()
    assert (head.status, body) == (413, b'{"error":{"message":"too big"}}')
