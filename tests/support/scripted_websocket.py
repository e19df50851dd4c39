"""Both ends of a WebSocket on bare sockets, played line by line by the test itself.

The proxy under test has a thread of its own, so a test says in order what each end sends and what
it is to read: there is nothing to wait for but what comes. Nothing is done unasked: no pong, no
close frame, no close.
"""

import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path
from types import TracebackType
from typing import Self

from .frames import MASK
from .raw_http import BodyEnd, ConnectionEndedError, RawConnection, ResponseHead
from .read_frames import Frame, read_frame
from .script import GUARD_S, Head, RawHeaders

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """A request head as it came to upstream."""

    line: bytes
    headers: RawHeaders

    def values(self, name: str) -> list[bytes]:
        """Every value of this header, in order."""
        wanted = name.lower().encode()
        return [value for key, value in self.headers if key.lower() == wanted]


class SocketEnd(RawConnection):
    """One end of a connection, on a socket that is connected."""

    mask: bytes | None = None

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.socket.settimeout(GUARD_S)
        self._buffer = bytearray()

    def send_frames(self, *frames: Frame) -> bytes:
        """Send the frames in one segment, masked as this end must; return their bytes."""
        data = b"".join(frame.encode(self.mask) for frame in frames)
        self.send(data)
        return data

    def read_frame(self) -> Frame:
        """The next frame, unmasked; raises `ConnectionEndedError`."""
        return read_frame(self.take_exactly)

    def read_rest(self) -> tuple[bytes, BodyEnd]:
        """Whatever still comes, and how it ends."""
        data = bytearray()
        while True:
            try:
                data += self.take_some(65536)
            except ConnectionEndedError as ended:
                return bytes(data), ended.end


class ClientSocket(SocketEnd):
    """The client's end."""

    mask = MASK

    def __init__(self, port: int) -> None:
        super().__init__(socket.create_connection(("127.0.0.1", port), timeout=GUARD_S))


class UpstreamSocket(SocketEnd):
    """Upstream's end; `request` is the handshake as it came."""

    def __init__(self, connected: socket.socket) -> None:
        super().__init__(connected)
        self.request = self._read_request()

    def accept(self, headers: RawHeaders = (), *, and_frames: tuple[Frame, ...] = ()) -> None:
        """Switch protocols; frames may follow in the same segment."""
        head = accepting_head(self.request.values("sec-websocket-key")[0], headers)
        self.send(head + b"".join(frame.encode(None) for frame in and_frames))

    def refuse(self, status: int, headers: RawHeaders = (), body: bytes = b"") -> None:
        """Answer with another status, and a body of its Content-Length."""
        size = (b"Content-Length", b"%d" % len(body))
        self.send(Head(status=status, headers=(*headers, size)).encode() + body)

    def _read_request(self) -> Handshake:
        line = self.take_line()
        headers = []
        while field := self.take_line():
            name, _, value = field.partition(b":")
            headers.append((name, value.strip(b" \t")))
        return Handshake(line=line, headers=tuple(headers))


class WebSocketUpstream:
    """`with WebSocketUpstream() as upstream:` listens on 127.0.0.1, on a port of its own.

    With a certificate, which holds its key too, it speaks TLS.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(GUARD_S)
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[UpstreamSocket] = []

    @property
    def url(self) -> str:
        """The server's base URL, as the proxy is to know it."""
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self.port}/v1"

    def next_socket(self) -> UpstreamSocket:
        """The next connection, once its request head has come."""
        connected, _ = self._listener.accept()
        connected.settimeout(GUARD_S)
        if self._tls is not None:
            connected = self._tls.wrap_socket(connected, server_side=True)
        self._sockets.append(UpstreamSocket(connected))
        return self._sockets[-1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for accepted in self._sockets:
            accepted.close()
        self._listener.close()


def asking_head(headers: RawHeaders = (), target: bytes = b"/v1/responses") -> bytes:
    """A client's handshake."""
    own = (
        (b"Host", b"127.0.0.1"),
        (b"Connection", b"Upgrade"),
        (b"Upgrade", b"websocket"),
        (b"Sec-WebSocket-Version", b"13"),
        (b"Sec-WebSocket-Key", KEY),
    )
    lines = [b"%b: %b\r\n" % field for field in own + headers]
    return b"GET %b HTTP/1.1\r\n" % target + b"".join(lines) + b"\r\n"


def accept_value(key: bytes) -> bytes:
    """What proves that the key was read (RFC 6455, 4.2.2)."""
    return b64encode(sha1(key + _GUID).digest())


def accepting_head(key: bytes, headers: RawHeaders = ()) -> bytes:
    """A 101 for a handshake with this key."""
    own = (
        (b"Upgrade", b"websocket"),
        (b"Connection", b"Upgrade"),
        (b"Sec-WebSocket-Accept", accept_value(key)),
    )
    return Head(status=101, headers=own + headers).encode()


@dataclass(frozen=True, slots=True)
class Joined:
    """A WebSocket through a proxy: its two ends, and the answer to the handshake."""

    client: ClientSocket
    upstream: UpstreamSocket
    answer: ResponseHead


@contextmanager
def joined(
    port: int,
    upstream: WebSocketUpstream,
    *,
    offer: RawHeaders = (),
    answer: RawHeaders = (),
    target: bytes = b"/v1/responses",
) -> Iterator[Joined]:
    """Open a WebSocket with what listens on `port`: the proxy, or `upstream` itself."""
    with ClientSocket(port) as client:
        client.send(asking_head(offer, target))
        end = upstream.next_socket()
        end.accept(answer)
        head = client.read_head()
        assert head.status == 101
        yield Joined(client, end, head)
