"""A request as it came over the wire, with nothing normalised."""

import threading
from dataclasses import dataclass, field
from typing import Any

import orjson

from .script import GUARD_S, RawHeaders
from .upstream_connection import PeerGoneError, UpstreamConnection

HEAD_BYTES_MAX = 1024 * 1024


@dataclass(slots=True, kw_only=True, eq=False)
class CapturedRequest:
    """What one request was; the body grows as it is read, the events are set as they happen."""

    line: bytes
    headers: RawHeaders
    connection_number: int
    body: bytes = b""
    raw_body: bytes = b""
    body_read: threading.Event = field(default_factory=threading.Event)
    answered: threading.Event = field(default_factory=threading.Event)
    closed_by_peer: threading.Event = field(default_factory=threading.Event)

    @property
    def method(self) -> bytes:
        """The request line's method."""
        return self.line.split(b" ")[0]

    @property
    def target(self) -> bytes:
        """The request line's target, as it came."""
        return self.line.split(b" ")[1]

    @property
    def path(self) -> bytes:
        """The target without its query."""
        return self.target.split(b"?")[0]

    def header(self, name: str) -> str | None:
        """The first value of this header, or None."""
        wanted = name.lower().encode()
        values = [value for key, value in self.headers if key.lower() == wanted]
        return values[0].decode("utf-8", "replace") if values else None

    def json(self) -> Any:
        """The body, parsed."""
        assert self.body_read.wait(GUARD_S), "the request's body was never read to its end"
        return orjson.loads(self.body)

    def wait_until_closed_by_peer(self) -> None:
        """Wait until the peer has closed the connection while this request was served."""
        assert self.closed_by_peer.wait(GUARD_S), "the peer never closed the connection"

    def wait_until_answered(self) -> None:
        """Wait until the request's script was played to its end."""
        assert self.answered.wait(GUARD_S), "the script never came to its end"


async def read_head(connection: UpstreamConnection) -> CapturedRequest | None:
    """Read one request head; None where the peer closed instead of sending one."""
    buffer = connection.buffer
    while (end := buffer.find(b"\r\n\r\n")) < 0:
        assert len(buffer) < HEAD_BYTES_MAX, "a request head without an end"
        if not await connection.more():
            return None
    line, *fields = connection.take(end + 4)[:-4].split(b"\r\n")
    headers = tuple(_header(entry) for entry in fields)
    return CapturedRequest(line=line, headers=headers, connection_number=connection.number)


async def read_body(connection: UpstreamConnection, request: CapturedRequest) -> None:
    """Read the request's body to its end; raises `PeerGoneError` where it is cut short."""
    if (request.header("transfer-encoding") or "").lower() == "chunked":
        while await _read_chunk(connection, request):
            pass
    else:
        left = int(request.header("content-length") or 0)
        while left > 0:
            piece = await _take(connection, request, left, at_least=1)
            request.body += piece
            left -= len(piece)
    request.body_read.set()


async def _read_chunk(connection: UpstreamConnection, request: CapturedRequest) -> bool:
    size = int((await _take_line(connection, request)).split(b";")[0], 16)
    if size == 0:
        while await _take_line(connection, request):
            pass
        return False
    request.body += await _take(connection, request, size, at_least=size)
    assert await _take_line(connection, request) == b"", "a chunk longer than its size"
    return True


async def _take_line(connection: UpstreamConnection, request: CapturedRequest) -> bytes:
    while (end := connection.buffer.find(b"\r\n")) < 0:
        if not await connection.more():
            raise PeerGoneError
    line = await _take(connection, request, end + 2, at_least=end + 2)
    return line[:-2]


async def _take(
    connection: UpstreamConnection, request: CapturedRequest, at_most: int, *, at_least: int
) -> bytes:
    while len(connection.buffer) < at_least:
        if not await connection.more():
            raise PeerGoneError
    data = connection.take(at_most)
    request.raw_body += data
    return data


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name, value.strip(b" \t")
