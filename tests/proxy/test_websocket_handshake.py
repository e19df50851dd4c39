"""A WebSocket's handshake is between client and upstream: it passes as it is, or is refused so."""

import socket
from pathlib import Path

import orjson
import pytest

from tests.support.differential import HOP_BY_HOP, ODD_HEADERS
from tests.support.raw_http import RawConnection, request_bytes
from tests.support.read_frames import text
from tests.support.running_proxy import RunningProxy
from tests.support.script import RawHeaders
from tests.support.scripted_websocket import (
    KEY,
    ClientSocket,
    WebSocketUpstream,
    accept_value,
    asking_head,
    joined,
)


def end_to_end(headers: RawHeaders) -> RawHeaders:
    """The fields that no proxy may touch."""
    return tuple(field for field in headers if field[0].lower() not in {*HOP_BY_HOP, b"host"})


OFFER: RawHeaders = (
    (b"authorization", b"Bearer sk-test-0123456789"),
    (b"OpenAI-Beta", b"responses_websockets=2026-02-06"),
    (b"Sec-WebSocket-Protocol", b"realtime, openai-insecure-api-key.sk-0123456789"),
    (b"Sec-WebSocket-Extensions", b"permessage-deflate; client_max_window_bits, x-odd; a=1"),
    (b"Sec-WebSocket-Extensions", b"x-second"),
    (b"X-Odd", b"caf\xe9"),
)
ANSWER: RawHeaders = (
    (b"Sec-WebSocket-Protocol", b"realtime"),
    (b"sec-websocket-extensions", b"permessage-deflate; server_no_context_takeover"),
    (b"x-codex-turn-state", b"state"),
    (b"Set-Cookie", b"a=1"),
    (b"Set-Cookie", b"b=2"),
    (b"Date", b"Thu, 01 Jan 1970 00:00:00 GMT"),
)


def test_handshake_is_relayed(
    socket_proxy: RunningProxy, socket_upstream: WebSocketUpstream
) -> None:
    """Every field, the key and what proves it, subprotocol, extensions and query, both ways."""
    target = b"/v1/responses?api-version=%7E1&x=a+b"
    with joined(
        socket_proxy.port, socket_upstream, offer=OFFER, answer=ANSWER, target=target
    ) as ends:
        request = ends.upstream.request
        assert request.line == b"GET " + target + b" HTTP/1.1"
        own = ((b"Sec-WebSocket-Version", b"13"), (b"Sec-WebSocket-Key", KEY))
        assert end_to_end(request.headers) == own + OFFER
        assert request.values("host") == [b"127.0.0.1:%d" % socket_upstream.port]
        assert request.values("connection") == [b"Upgrade"]
        assert request.values("upgrade") == [b"websocket"]
        proof = (b"Sec-WebSocket-Accept", accept_value(KEY))
        assert end_to_end(ends.answer.headers) == (proof, *ANSWER)
        assert ends.answer.values("connection") == [b"Upgrade"]
        assert ends.answer.values("upgrade") == [b"websocket"]


@pytest.mark.parametrize("headers", ODD_HEADERS.values(), ids=ODD_HEADERS.keys())
def test_odd_fields_are_relayed(
    socket_proxy: RunningProxy, socket_upstream: WebSocketUpstream, headers: RawHeaders
) -> None:
    """As they would be with any other request: but for the connection's own, unchanged."""
    stays = tuple(field for field in end_to_end(headers) if field[0] != b"X-Hop")
    with joined(socket_proxy.port, socket_upstream, offer=headers, answer=headers) as ends:
        assert end_to_end(ends.upstream.request.headers)[2:] == stays
        assert end_to_end(ends.answer.headers)[1:] == stays


ASKING: dict[str, RawHeaders] = {
    "lists and case": ((b"CONNECTION", b"keep-alive, UPGRADE"), (b"upgrade", b"WebSocket")),
    "in two lines": (
        (b"Connection", b"X-Hop"),
        (b"Connection", b"upgrade"),
        (b"Upgrade", b"websocket"),
    ),
}


@pytest.mark.parametrize("fields", ASKING.values(), ids=ASKING.keys())
def test_ways_to_ask(
    socket_proxy: RunningProxy, socket_upstream: WebSocketUpstream, fields: RawHeaders
) -> None:
    """However the client words it, upstream is asked in one way, and frames pass."""
    own = b"".join(b"%b: %b\r\n" % field for field in fields)
    request = asking_head(((b"X-Hop", b"1"),) if len(fields) > 2 else ()).replace(
        b"Connection: Upgrade\r\nUpgrade: websocket\r\n", own
    )
    with ClientSocket(socket_proxy.port) as client:
        client.send(request)
        upstream = socket_upstream.next_socket()
        assert upstream.request.values("connection") == [b"Upgrade"]
        assert upstream.request.values("upgrade") == [b"websocket"]
        assert upstream.request.values("x-hop") == []
        upstream.accept()
        assert client.read_head().status == 101
        client.send_frames(text("Hi"))
        assert upstream.read_frame() == text("Hi")


NOT_ASKING: dict[str, bytes] = {
    "another protocol": b"Connection: Upgrade\r\nUpgrade: websocket2\r\n",
    "a list of protocols": b"Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n",
    "no such option": b"Connection: no-upgrade\r\nUpgrade: websocket\r\n",
    "no option": b"Upgrade: websocket\r\n",
    "no protocol": b"Connection: Upgrade\r\n",
}


@pytest.mark.parametrize("fields", NOT_ASKING.values(), ids=NOT_ASKING.keys())
def test_what_does_not_ask_is_a_request_like_any_other(
    socket_proxy: RunningProxy, socket_upstream: WebSocketUpstream, fields: bytes
) -> None:
    """It goes on without the upgrade; what follows it is the next request, and no frame."""
    request = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n" + fields + b"\r\n"
    with ClientSocket(socket_proxy.port) as client:
        client.send(request)
        upstream = socket_upstream.next_socket()
        assert upstream.request.values("upgrade") == []
        upstream.refuse(404)
        assert client.read_exchange().head.status == 404
        client.send(request_bytes("GET", "http://127.0.0.1/-/healthz"))
        assert client.read_exchange().body == b"ok\n"


REFUSALS: dict[int, RawHeaders] = {
    401: ((b"WWW-Authenticate", b'Bearer realm="x"'),),
    403: (),
    426: ((b"Upgrade", b"websocket"),),
    429: ((b"Retry-After", b"7"), (b"x-ratelimit-remaining-requests", b"0")),
    500: (),
    503: ((b"Retry-After", b"1"),),
    200: (),
    302: ((b"Location", b"http://127.0.0.1:9/elsewhere"),),
}


@pytest.mark.parametrize(("status", "headers"), REFUSALS.items())
def test_refusal_is_passed_on(
    socket_proxy: RunningProxy,
    socket_upstream: WebSocketUpstream,
    status: int,
    headers: RawHeaders,
) -> None:
    """Its status, its fields and its body; the connection may ask for something else then."""
    body = b'{"error":{"message":"no","code":"x"}}'
    fields = ((b"Content-Type", b"application/json"), (b"x-request-id", b"req_1"), *headers)
    with ClientSocket(socket_proxy.port) as client:
        client.send(asking_head())
        upstream = socket_upstream.next_socket()
        upstream.refuse(status, fields, body)
        answer = client.read_exchange()
        assert (answer.head.status, answer.body, answer.end) == (status, body, "complete")
        assert end_to_end(answer.head.headers)[:-1] == end_to_end(fields)
        client.send(request_bytes("GET", "http://127.0.0.1/-/healthz"))
        assert client.read_exchange().body == b"ok\n"


def test_refusal_may_come_in_chunks(
    socket_proxy: RunningProxy, socket_upstream: WebSocketUpstream
) -> None:
    """As any response, each of them at once."""
    with ClientSocket(socket_proxy.port) as client:
        client.send(asking_head())
        upstream = socket_upstream.next_socket()
        upstream.send(b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        assert client.read_head().reason == b"No"
        assert client.take_exactly(6) == b"1\r\na\r\n"
        upstream.send(b"1\r\nb\r\n0\r\n\r\n")
        assert client.take_exactly(11) == b"1\r\nb\r\n0\r\n\r\n"


def test_early_hints_may_come_before(
    socket_proxy: RunningProxy, socket_upstream: WebSocketUpstream
) -> None:
    """An informational response is no answer to the handshake (RFC 9110, 15.2)."""
    with ClientSocket(socket_proxy.port) as client:
        client.send(asking_head())
        upstream = socket_upstream.next_socket()
        upstream.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        upstream.accept(and_frames=(text("Hi"),))
        head = client.read_head()
        while head.status == 103:
            head = client.read_head()
        assert head.status == 101
        assert client.read_frame() == text("Hi")


def test_upstream_that_cannot_be_reached(trace_dir: Path) -> None:
    """It is a 502 of ours, as for any other request."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with (
        RunningProxy(f"http://127.0.0.1:{port}/v1", trace_dir) as proxy,
        ClientSocket(proxy.port) as client,
    ):
        client.send(asking_head())
        answer = client.read_exchange()
        assert answer.head.status == 502
        assert orjson.loads(answer.body)["error"]["code"] == "upstream_connect_error"


@pytest.mark.parametrize("how", ["close", "abort"])
def test_upstream_that_leaves_before_it_answers(
    socket_proxy: RunningProxy, socket_upstream: WebSocketUpstream, how: str
) -> None:
    """It is a 502 of ours too."""
    with ClientSocket(socket_proxy.port) as client:
        client.send(asking_head())
        getattr(socket_upstream.next_socket(), how)()
        answer = client.read_exchange()
        assert answer.head.status == 502
        assert orjson.loads(answer.body)["error"]["code"] == "upstream_disconnected"


@pytest.mark.parametrize("how", ["close", "abort"])
def test_client_that_leaves_before_the_answer(
    socket_proxy: RunningProxy, socket_upstream: WebSocketUpstream, how: str
) -> None:
    """Upstream is let go at once, whatever it would have said."""
    client = ClientSocket(socket_proxy.port)
    client.send(asking_head())
    upstream = socket_upstream.next_socket()
    getattr(client, how)()
    assert upstream.wait_until_closed() in {"fin", "rst"}


@pytest.mark.parametrize("capture", ["full", "metadata", "off"])
def test_first_frames_may_come_with_the_handshake(
    socket_upstream: WebSocketUpstream, trace_dir: Path, capture: str
) -> None:
    """What is right behind either head, in one segment with it, is not lost."""
    with (
        RunningProxy(socket_upstream.url, trace_dir, capture=capture) as proxy,
        ClientSocket(proxy.port) as client,
    ):
        eager = b"\x81\x82\0\0\0\0Hi"
        client.send(asking_head() + eager)
        upstream = socket_upstream.next_socket()
        upstream.accept(and_frames=(text("one"), text("two")))
        assert client.read_head().status == 101
        assert [client.read_frame(), client.read_frame()] == [text("one"), text("two")]
        assert upstream.take_exactly(len(eager)) == eager
        upstream.send_frames(text("three"))
        assert client.read_frame() == text("three")


def test_first_frames_may_come_with_the_end(
    socket_proxy: RunningProxy, socket_upstream: WebSocketUpstream
) -> None:
    """An upstream that answers, says one thing and leaves in one breath is heard."""
    for _ in range(20):
        with ClientSocket(socket_proxy.port) as client:
            client.send(asking_head())
            upstream = socket_upstream.next_socket()
            upstream.accept(and_frames=(text("bye"),))
            upstream.close()
            assert client.read_head().status == 101
            assert client.read_frame() == text("bye")
            assert client.wait_until_closed() == "fin"


def test_request_behind_another_may_ask(
    socket_proxy: RunningProxy, socket_upstream: WebSocketUpstream
) -> None:
    """A connection that served requests becomes a WebSocket, with what was sent ahead."""
    with ClientSocket(socket_proxy.port) as client:
        eager = b"\x81\x82\0\0\0\0Hi"
        health = request_bytes("GET", "http://127.0.0.1/-/healthz")
        client.send(health + asking_head() + eager)
        assert client.read_exchange().body == b"ok\n"
        upstream = socket_upstream.next_socket()
        upstream.accept()
        assert client.read_head().status == 101
        assert upstream.take_exactly(len(eager)) == eager


@pytest.mark.parametrize("target", [b"/v1/realtime?model=m", b"/v1/v1/realtime", b"/realtime"])
def test_other_paths_are_relayed(
    socket_proxy: RunningProxy, socket_upstream: WebSocketUpstream, target: bytes
) -> None:
    """A WebSocket that is no Responses API's passes as well, and leaves no bundle."""
    with joined(socket_proxy.port, socket_upstream, target=target) as ends:
        assert ends.upstream.request.line.startswith(b"GET /v1/realtime")
        ends.client.send_frames(text('{"type":"response.create"}'))
        assert ends.upstream.read_frame() == text('{"type":"response.create"}')
        ends.upstream.send_frames(text("answer"))
        assert ends.client.read_frame() == text("answer")
    socket_proxy.stop()
    assert socket_proxy.bundles() == []


def test_sockets_share_nothing(
    socket_proxy: RunningProxy, socket_upstream: WebSocketUpstream
) -> None:
    """Each has an upstream connection of its own, which is never used again."""
    with joined(socket_proxy.port, socket_upstream) as one:
        with joined(socket_proxy.port, socket_upstream) as two:
            two.client.send_frames(text("2"))
            one.client.send_frames(text("1"))
            assert (one.upstream.read_frame(), two.upstream.read_frame()) == (text("1"), text("2"))
        assert two.upstream.wait_until_closed() == "fin"
        one.upstream.send_frames(text("still"))
        assert one.client.read_frame() == text("still")
    with RawConnection(socket_proxy.port) as client:
        client.send(request_bytes("GET", "http://127.0.0.1/v1/models"))
        socket_upstream.next_socket().refuse(404)
        assert client.read_exchange().head.status == 404
