"""A small blocking HTTP/1.1 client on a bare socket, for what a library would hide.

It sends exact bytes, keeps every header as it came, tells a body that ended from one that was
cut short, and a FIN from an RST.
"""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit

from .script import GUARD_S, RawHeaders

BodyEnd = Literal["complete", "fin", "rst"]
"""How a body ended: by its framing, or cut short by a FIN or an RST.

A close-delimited body ends by a FIN, so there `fin` says nothing about what is missing.
"""

BODYLESS_STATUSES = frozenset({204, 304})


class ConnectionEndedError(Exception):
    """The peer ended the connection before what was waited for had come."""

    def __init__(self, end: BodyEnd) -> None:
        super().__init__(f"the connection ended ({end})")
        self.end = end


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseHead:
    """A response head as it came."""

    version: bytes
    status: int
    reason: bytes
    headers: RawHeaders

    def values(self, name: str) -> list[bytes]:
        """Every value of this header, in order."""
        wanted = name.lower().encode()
        return [value for key, value in self.headers if key.lower() == wanted]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request's whole answer."""

    informational: tuple[ResponseHead, ...]
    head: ResponseHead
    body: bytes
    end: BodyEnd


class RawConnection:
    """One connection; `with RawConnection(port) as connection:` closes it at the end."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection((host, port), timeout=GUARD_S)
        self._buffer = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Send these bytes, all of them."""
        self.socket.sendall(data)

    def finish_sending(self) -> None:
        """Half-close: send a FIN and go on reading."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close; a FIN, if all that came was read."""
        self.socket.close()

    def abort(self) -> None:
        """Close with an RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def read_head(self) -> ResponseHead:
        """The next response head, informational ones too; raises `ConnectionEndedError`."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            self._receive()
        status_line, *lines = self._take(end + 4)[:-4].split(b"\r\n")
        version, status, *reason = status_line.split(b" ", 2)
        return ResponseHead(
            version=version,
            status=int(status),
            reason=b"".join(reason),
            headers=tuple(_header(line) for line in lines),
        )

    def read_exchange(self, *, head_only: bool = False) -> Exchange:
        """Read the answer to one request to its end; `head_only` for a HEAD request."""
        informational = []
        while (head := self.read_head()).status // 100 == 1:
            informational.append(head)
        body = BodyReader(self, head, bodyless=head_only)
        data = body.read_all()
        assert body.end is not None
        return Exchange(informational=tuple(informational), head=head, body=data, end=body.end)

    def wait_until_closed(self) -> BodyEnd:
        """Read and drop whatever comes until the peer closes."""
        while True:
            self._buffer.clear()
            try:
                self._receive()
            except ConnectionEndedError as ended:
                return ended.end

    def take_some(self, size_max: int) -> bytes:
        """At least one byte and at most so many; raises `ConnectionEndedError`."""
        if not self._buffer:
            self._receive()
        return self._take(size_max)

    def take_exactly(self, size: int) -> bytes:
        """So many bytes; raises `ConnectionEndedError`."""
        while len(self._buffer) < size:
            self._receive()
        return self._take(size)

    def take_line(self) -> bytes:
        """The bytes up to the next CRLF, without it; raises `ConnectionEndedError`."""
        while (end := self._buffer.find(b"\r\n")) < 0:
            self._receive()
        return self._take(end + 2)[:-2]

    def _take(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _receive(self) -> None:
        try:
            data = self.socket.recv(65536)
        except ConnectionError as error:
            raise ConnectionEndedError("rst") from error
        if not data:
            raise ConnectionEndedError("fin")
        self._buffer += data


class BodyReader:
    """Reads one response body as it comes, its framing taken off; `end` is None until its end."""

    def __init__(
        self, connection: RawConnection, head: ResponseHead, *, bodyless: bool = False
    ) -> None:
        self.end: BodyEnd | None = None
        self.trailers: RawHeaders = ()
        self._connection = connection
        self._pieces = self._framed(head, bodyless=bodyless)

    def read_piece(self) -> bytes:
        """The next bytes of the body, as soon as there are any; b"" at the end."""
        try:
            return next(self._pieces)
        except StopIteration:
            self.end = self.end or "complete"
        except ConnectionEndedError as ended:
            self.end = ended.end
        return b""

    def read_until(self, wanted: bytes) -> bytes:
        """Read until the body so far holds these bytes; fails where it ends before that."""
        data = b""
        while wanted not in data:
            piece = self.read_piece()
            assert piece, f"the body ended ({self.end}) without {wanted!r}: {data!r}"
            data += piece
        return data

    def read_all(self) -> bytes:
        """The rest of the body, up to its end, however it ends."""
        return b"".join(iter(self.read_piece, b""))

    def _framed(self, head: ResponseHead, *, bodyless: bool) -> Iterator[bytes]:
        if bodyless or head.status in BODYLESS_STATUSES:
            return iter(())
        if head.values("transfer-encoding"):
            return self._chunks()
        if sizes := head.values("content-length"):
            return self._sized(int(sizes[0]))
        return self._until_close()

    def _sized(self, left: int) -> Iterator[bytes]:
        while left:
            piece = self._connection.take_some(left)
            left -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._connection.take_line().split(b";")[0], 16):
            yield from self._sized(size)
            assert self._connection.take_line() == b"", "a chunk longer than its size"
        trailers = []
        while line := self._connection.take_line():
            trailers.append(_header(line))
        self.trailers = tuple(trailers)

    def _until_close(self) -> Iterator[bytes]:
        while True:
            yield self._connection.take_some(65536)


def request_bytes(
    method: str,
    url: str,
    *,
    headers: RawHeaders = (),
    body: bytes = b"",
) -> bytes:
    """A request with a Host and, where it has a body, a Content-Length; all else as given."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    own: RawHeaders = ((b"Host", parts.netloc.encode()),)
    if body:
        own += ((b"Content-Length", b"%d" % len(body)),)
    lines = [b"%b %b HTTP/1.1\r\n" % (method.encode(), target.encode())]
    lines += [b"%b: %b\r\n" % header for header in own + headers]
    return b"".join([*lines, b"\r\n", body])


def exchange(port: int, request: bytes) -> Exchange:
    """Send one request on a connection of its own and read the whole answer."""
    with RawConnection(port) as connection:
        connection.send(request)
        return connection.read_exchange(head_only=request.startswith(b"HEAD "))


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name, value.strip(b" \t")
