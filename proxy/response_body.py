"""Follows the framing of a response's body: which bytes belong to it, and where it ends.

A body is fed what comes from upstream. It gives the bytes that may go on to a client with the same
framing, and the body's own bytes among them. It reads nothing and writes nothing (RFC 9112, 6.3
and 7.1).
"""

import re
from collections.abc import Callable
from typing import Protocol

LINE_BYTES_MAX = 8 * 1024
"""Of a chunk's size line, and of all trailers together: as much as servers take of a line."""

_CRLF = b"\r\n"
LAST_CHUNK = b"0\r\n\r\n"
_LONGEST_SIZE = 16
"""Digits in a chunk's size, zeros before it included: more than any real size has."""

# Chunk extensions are let go (RFC 9112, 7.1.1): they belong to one connection.
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,%d})[ \t]*(;[^\r\n]*)?\r\n" % _LONGEST_SIZE)
_SIZES = {b"%x" % size: size for size in range(1, 1 << 14)}
"""The sizes of nearly all chunks, as nearly all servers write them."""


_State = Callable[[bytes, int, list[bytes], list[bytes]], int]
"""Reads on from an offset and returns the next; what goes on and the body's own are appended."""


class ResponseBody(Protocol):
    """The body of one response, as it comes."""

    is_ended: bool
    """Whether all of it has come."""
    is_malformed: bool
    """Whether upstream sent what is not framed as its head says. Nothing of that goes on."""
    has_excess: bool
    """Whether something came behind its end."""

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take what came; return what may go on as it is, and the body's own bytes in it."""

    def feed_eof(self) -> None:
        """Note that the connection has ended."""


class LengthBody:
    """A body whose length is known from the head; none where it is 0."""

    __slots__ = ("_left", "has_excess", "is_ended", "is_malformed")

    def __init__(self, length: int) -> None:
        self.is_ended = length == 0
        self.is_malformed = self.has_excess = False
        self._left = length

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take what came; see ``ResponseBody``."""
        if len(data) > self._left:
            self.has_excess = True
            data = data[: self._left]
        self._left -= len(data)
        self.is_ended = not self._left
        return data, data

    def feed_eof(self) -> None:
        """Note that the connection has ended."""


class BodyUntilClose:
    """A body that the end of the connection ends."""

    __slots__ = ("has_excess", "is_ended", "is_malformed")

    def __init__(self) -> None:
        self.is_ended = self.is_malformed = self.has_excess = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take what came; see ``ResponseBody``."""
        return data, data

    def feed_eof(self) -> None:
        """Note that the connection has ended, and with it the body."""
        self.is_ended = True


class ChunkedBody:
    """A body in chunks. What goes on is chunked as it came, without extensions and trailers."""

    __slots__ = ("_held", "_left", "_state", "has_excess", "is_ended", "is_malformed")

    def __init__(self) -> None:
        self.is_ended = self.is_malformed = self.has_excess = False
        self._held = b""
        """The beginning of a line that has not come whole."""
        self._left = 0
        self._state: _State = self._read_size

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take what came; see ``ResponseBody``."""
        if not self._held and self._state == self._read_size:
            line_end = data.find(_CRLF)
            if _SIZES.get(data[:line_end]) == len(data) - line_end - 4 and data.endswith(_CRLF):
                # One chunk and no more, as most segments are.
                return data, data[line_end + 2 : -2]
            bodies, end = _whole_chunks(data)
            if end == len(data):
                return data, b"".join(bodies)
            wire = [data[:end]]
        else:
            data, self._held = self._held + data, b""
            bodies, wire, end = [], [], 0
        while 0 <= end < len(data) and not (self.is_ended or self.is_malformed):
            end = self._state(data, end, wire, bodies)
        if self.is_ended and end < len(data):
            self.has_excess = True
        return b"".join(wire), b"".join(bodies)

    def feed_eof(self) -> None:
        """Note that the connection has ended."""

    def _read_size(self, data: bytes, at: int, wire: list[bytes], _: list[bytes]) -> int:
        match = _SIZE_LINE.match(data, at)
        if match is None:
            return self._hold(data, at)
        self._left = int(match[1], 16)
        if self._left:
            wire.append(match[1] + _CRLF)
            self._state = self._read_data
        else:
            self._state = self._read_trailers
        return match.end()

    def _read_data(self, data: bytes, at: int, wire: list[bytes], bodies: list[bytes]) -> int:
        piece = data[at : at + self._left]
        self._left -= len(piece)
        wire.append(piece)
        bodies.append(piece)
        if not self._left:
            self._state = self._read_data_end
        return at + len(piece)

    def _read_data_end(self, data: bytes, at: int, wire: list[bytes], _: list[bytes]) -> int:
        if data.startswith(_CRLF, at):
            wire.append(_CRLF)
            self._state = self._read_size
            return at + len(_CRLF)
        if data[at:] == _CRLF[:1]:
            return self._hold(data, at)
        self.is_malformed = True
        return at

    def _read_trailers(self, data: bytes, at: int, wire: list[bytes], _: list[bytes]) -> int:
        if data.startswith(_CRLF, at):
            end = at + len(_CRLF)
        else:
            blank_line = data.find(_CRLF + _CRLF, at)
            if blank_line < 0:
                return self._hold(data, at)
            end = blank_line + 2 * len(_CRLF)
        wire.append(LAST_CHUNK)
        self.is_ended = True
        return end

    def _hold(self, data: bytes, at: int) -> int:
        """Wait for the rest of a line, unless what came of it cannot become one."""
        self._held = data[at:]
        if self._state == self._read_size:
            self.is_malformed = not _may_become_size_line(self._held)
        self.is_malformed = self.is_malformed or len(self._held) > LINE_BYTES_MAX
        return len(data)


def _whole_chunks(data: bytes) -> tuple[list[bytes], int]:
    """Return the bodies of the chunks that ``data`` begins with, and where they end.

    It stops at the first chunk that is not whole, not plain, or has a line end in it. Splitting
    and comparing all at once takes a tenth of the time of walking from chunk to chunk.
    """
    parts = data.split(_CRLF)
    bodies = parts[1:-1:2]
    sizes = parts[0 : 2 * len(bodies) : 2]
    if list(map(_SIZES.get, sizes)) != list(map(len, bodies)):
        pairs = zip(sizes, bodies, strict=True)
        plain = next(
            index for index, (size, body) in enumerate(pairs) if _SIZES.get(size) != len(body)
        )
        del sizes[plain:], bodies[plain:]
    end = sum(map(len, sizes)) + sum(map(len, bodies)) + 2 * len(_CRLF) * len(bodies)
    return bodies, end


def _may_become_size_line(line: bytes) -> bool:
    return _SIZE_LINE.match(line + (b"0" if not line else b"") + _CRLF) is not None or (
        line.endswith(b"\r") and _SIZE_LINE.match(line + b"\n") is not None
    )
