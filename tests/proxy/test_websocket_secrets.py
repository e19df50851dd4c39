"""No secret of a WebSocket is found on disk or in the log: of its handshake, frames and ends."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import orjson
import pytest

from tests.support import secret_search
from tests.support.captured_log import CapturedLog, captured_log
from tests.support.events import Event, ev_created, ev_error_nested, ev_failed, ev_text_delta
from tests.support.frames import DEFLATE, MASK, Deflater, fragments
from tests.support.raw_http import BodyReader
from tests.support.read_frames import closing, text
from tests.support.reduced import calls, reduced
from tests.support.running_proxy import RunningProxy
from tests.support.script import RawHeaders
from tests.support.scripted_websocket import (
    ClientSocket,
    WebSocketUpstream,
    asking_head,
    joined,
)
from tests.support.secret_places import tool_with
from tests.support.secret_search import files_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """Where a WebSocket carries the secret: in its handshake, or in its first message."""

    headers: RawHeaders = ()
    query: str = ""
    answer: RawHeaders = ()
    fields: dict[str, object] = field(default_factory=dict)


def in_header(name: bytes, value: str) -> Carried:
    """A handshake with this header."""
    return Carried(headers=((name, value.encode()),))


PLACES: dict[str, Callable[[str], Carried]] = {
    "authorization": lambda secret: in_header(b"aUTHORIZATION", f"Bearer {secret}"),
    "cookie": lambda secret: in_header(b"Cookie", f"a=1; session={secret}"),
    "api-key": lambda secret: in_header(b"api-key", secret),
    "subprotocol": lambda secret: in_header(
        b"Sec-WebSocket-Protocol", f"realtime, openai-insecure-api-key.{secret}"
    ),
    "query": lambda secret: Carried(query=f"?a=b&api-key={quote(secret, safe='')}"),
    "cookie that upstream sets": lambda secret: Carried(
        answer=((b"Set-Cookie", f"session={secret}; Secure".encode()),)
    ),
    "mcp authorization": lambda secret: Carried(fields=tool_with(authorization=secret)),
    "mcp headers": lambda secret: Carried(fields=tool_with(headers={"X-Any": secret})),
    "mcp url": lambda secret: Carried(
        fields=tool_with(server_url=f"https://u:{quote(secret, safe='')}@mcp.example/")
    ),
}


@pytest.fixture
def log() -> Iterator[CapturedLog]:
    """The proxy's log, from before its start."""
    with captured_log() as captured:
        yield captured


@pytest.fixture
def secret() -> str:
    """One that stands nowhere by chance, and needs escapes in a URL."""
    return f"sk-{secrets.token_hex(12)}+/{secrets.token_hex(4)}"


def assert_nowhere(secret: str, trace_dir: Path, log: CapturedLog) -> None:
    """No file of the traces and no log line has it, in any form."""
    files = files_in(trace_dir)
    assert any(path.endswith("trace.jsonl") for path in files)
    secret_search.assert_nowhere([secret], files | {"the log": log.text().encode()})


def message(carried: Carried) -> bytes:
    """The client's request for a response."""
    request = {"model": "m", "input": "Hi"} | carried.fields | {"type": "response.create"}
    return orjson.dumps(request)


def said(*events: Event) -> list[bytes]:
    """The events as messages."""
    return [orjson.dumps({"sequence_number": n} | event) for n, event in enumerate(events)]


def error_with_headers(secret: str) -> Event:
    """An error that ends a response, and carries headers, as OpenAI's do."""
    headers = {"x-request-id": f"req-{secret}", "set-cookie": "other=0123456789; Path=/"}
    return ev_error_nested(f"no {secret}", code=secret) | {"status": 401, "headers": headers}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("end", ["failed", "error", "close", "client leaves"])
def test_secret_of_a_websocket(
    log: CapturedLog,
    socket_upstream: WebSocketUpstream,
    socket_proxy: RunningProxy,
    secret: str,
    place: str,
    end: str,
) -> None:
    """Upstream repeats it in fragments that cut it, and in whatever ends the response."""
    carried = PLACES[place](secret)
    target = f"/v1/responses{carried.query}".encode()
    created, delta = said(ev_created("resp_1"), ev_text_delta(f"your key is {secret}, "))
    at = delta.index(secret.encode()) + 7
    with joined(
        socket_proxy.port,
        socket_upstream,
        offer=carried.headers,
        answer=carried.answer,
        target=target,
    ) as ends:
        request = message(carried)
        half = len(request) // 2
        ends.client.send(fragments([request[:half], request[half:]], mask=MASK))
        assert ends.upstream.read_frame().payload + ends.upstream.read_frame().payload == request
        ends.upstream.send_frames(text(created))
        ends.upstream.send(fragments([delta[:at], delta[at:]]))
        assert ends.client.read_frame().payload == created
        assert ends.client.read_frame().payload + ends.client.read_frame().payload == delta
        match end:
            case "failed":
                failed = ev_failed("resp_1", message=f"no {secret}", code=secret)
                ends.upstream.send_frames(*map(text, said(failed)))
                ends.client.read_frame()
            case "error":
                ends.upstream.send_frames(*map(text, said(error_with_headers(secret))))
                ends.client.read_frame()
            case "close":
                ends.upstream.send_frames(closing(1008, f"no {secret}"))
                ends.upstream.close()
                ends.client.read_rest()
            case "client leaves":
                ends.client.send_frames(closing(1001, f"no {secret}"))
                ends.client.close()
                ends.upstream.wait_until_closed()
        socket_proxy.stop()
    assert len(calls(reduced(socket_proxy.bundles()))) == 1
    assert_nowhere(secret, socket_proxy.trace_dir, log)


def test_secret_in_compressed_messages(
    log: CapturedLog, socket_upstream: WebSocketUpstream, socket_proxy: RunningProxy, secret: str
) -> None:
    """Both ways, with the windows that go on from message to message."""
    up, down = Deflater(), Deflater()
    request = message(PLACES["mcp authorization"](secret))
    failed = said(ev_failed("resp_1", message=f"no {secret}"))[0]
    with joined(socket_proxy.port, socket_upstream, offer=DEFLATE, answer=DEFLATE) as ends:
        for _ in range(2):
            ends.client.send(up.message(request, mask=MASK))
            ends.upstream.read_frame()
            ends.upstream.send(down.message(failed))
            ends.client.read_frame()
        socket_proxy.stop()
    assert len(calls(reduced(socket_proxy.bundles()))) == 2
    assert_nowhere(secret, socket_proxy.trace_dir, log)


@pytest.mark.parametrize("place", [place for place in PLACES if "mcp" not in place])
def test_secret_of_a_handshake_that_upstream_refuses(
    log: CapturedLog,
    socket_upstream: WebSocketUpstream,
    socket_proxy: RunningProxy,
    secret: str,
    place: str,
) -> None:
    """With a body and with headers that repeat it."""
    carried = PLACES[place](secret)
    echo = ((b"x-request-id", b"req-" + secret.encode()), (b"openai-project", secret.encode()))
    with ClientSocket(socket_proxy.port) as client:
        target = f"/v1/responses{carried.query}".encode()
        client.send(asking_head(carried.headers, target))
        upstream = socket_upstream.next_socket()
        upstream.refuse(401, (*echo, *carried.answer), f"no {secret}".encode())
        head = client.read_head()
        assert (head.status, BodyReader(client, head).read_all()) == (401, f"no {secret}".encode())
    socket_proxy.stop()
    assert_nowhere(secret, socket_proxy.trace_dir, log)
