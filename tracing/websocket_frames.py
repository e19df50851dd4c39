"""Finds the messages in one direction of a WebSocket, whatever the chunking (RFC 6455, RFC 7692).

The scanner reads a copy of what was relayed: it never changes it and never raises. Where the bytes
are no frames that it can read, it gives up on the direction, and says why; the relay goes on.
"""

import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

HEAD_BYTES = 512
"""How much is kept of a message that is larger than the limit: enough to tell what it is."""

_INFLATE_TAIL = b"\x00\x00\xff\xff"  # what a sender takes off each message (RFC 7692, 7.2.1)
_CONTROL_BYTES_MAX = 125  # RFC 6455, 5.5
# How often the compression may end and begin anew within one message, each time at some cost.
_FINAL_BLOCKS_MAX = 16
# First bytes of a frame that is a whole text message: as it is, and compressed.
_WHOLE_TEXT = 0x81
_WHOLE_COMPRESSED_TEXT = 0xC1
_LENGTH_IN_16_BITS = 126
_LENGTH_IN_64_BITS = 127
_MASK_TABLES = [bytes(value ^ key for value in range(256)) for key in range(256)]


class Opcode(IntEnum):
    """What a frame is (RFC 6455, 5.2)."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class Message(NamedTuple):
    """A message, decoded. One larger than the limit has no ``data``, only its beginning."""

    opcode: Opcode
    data: bytes | None
    size: int
    head: bytes = b""


@dataclass(slots=True)
class _Frame:
    opcode: Opcode
    is_final: bool
    is_compressed: bool
    mask: bytes
    remaining: int


class UnreadableError(Exception):
    """The bytes are no frames, or frames that cannot be decoded."""


class FrameScanner:
    """Takes the pieces of one direction and gives the messages that each piece completed."""

    def __init__(self, *, message_bytes_max: int, is_deflated: bool) -> None:
        """``is_deflated`` tells that permessage-deflate was negotiated."""
        self.failure: str | None = None
        """Why no more messages are read, once that is so."""
        self._bytes_max = message_bytes_max
        self._inflater = _new_inflater() if is_deflated else None
        self._buffer = bytearray()
        self._frame: _Frame | None = None
        # The message that is being put together from its frames.
        self._opcode: Opcode | None = None
        self._is_compressed = False
        self._payload = bytearray()
        self._size = 0
        self._control = bytearray()

    @property
    def is_between_frames(self) -> bool:
        """Whether a frame of ours could be put in here without breaking one."""
        return self.failure is None and self._frame is None and not self._buffer

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that ``data`` completed, control frames included, in order."""
        if self.failure is not None:
            return []
        messages: list[Message] = []
        try:
            self._scan(data, messages)
        except UnreadableError as error:
            self.failure = str(error)
            self._buffer.clear()
            self._payload.clear()
        return messages

    def _scan(self, data: bytes, messages: list[Message]) -> None:
        buffer = self._buffer
        if buffer:
            buffer += data
            data = bytes(buffer)
            buffer.clear()
        at = 0
        if self._frame is None and self._opcode is None:
            at = self._take_whole(data, messages)
            if at == len(data):
                return
        while True:
            if self._frame is None:
                at, self._frame = _read_header(data, at, deflated=self._inflater is not None)
                if self._frame is None:
                    buffer += data[at:]
                    return
                self._begin(self._frame)
            frame = self._frame
            piece = data[at : at + frame.remaining]
            at += len(piece)
            self._add(frame, piece)
            if frame.remaining:
                return
            self._frame = None
            if frame.is_final:
                messages.append(self._finish(frame))

    def _take_whole(self, data: bytes, messages: list[Message]) -> int:
        """Take the whole text messages at the beginning; return where something else follows.

        It is a shortcut for nearly all that upstream sends: one message in one frame in one piece.
        """
        at = 0
        while len(data) - at > 3:
            first, length, start = data[at], data[at + 1], at + 2
            if first != _WHOLE_TEXT and (first != _WHOLE_COMPRESSED_TEXT or self._inflater is None):
                break
            if length == _LENGTH_IN_16_BITS:
                length, start = data[at + 2] << 8 | data[at + 3], at + 4
            elif length > _LENGTH_IN_16_BITS:
                break
            end = start + length
            if end > len(data) or length > self._bytes_max:
                break
            payload = data[start:end]
            if first == _WHOLE_COMPRESSED_TEXT:
                payload = self._inflate(payload)
            messages.append(Message(Opcode.TEXT, payload, len(payload)))
            at = end
        return at

    def _begin(self, frame: _Frame) -> None:
        match frame.opcode:
            case Opcode.CONTINUATION:
                if self._opcode is None:
                    raise UnreadableError("a continuation of no message")
            case Opcode.TEXT | Opcode.BINARY:
                if self._opcode is not None:
                    raise UnreadableError("a message begins within another")
                self._opcode = frame.opcode
                self._is_compressed = frame.is_compressed
                self._size = 0
            case _:
                if not frame.is_final or frame.remaining > _CONTROL_BYTES_MAX:
                    raise UnreadableError("a control frame that is not one")

    def _add(self, frame: _Frame, piece: bytes) -> None:
        if not piece:
            return
        frame.remaining -= len(piece)
        if frame.mask:
            piece, frame.mask = _unmask(piece, frame.mask)
        if frame.opcode >= Opcode.CLOSE:
            self._control += piece
            return
        self._size += len(piece)
        if self._size <= self._bytes_max:
            self._payload += piece
        elif self._is_compressed:
            # It would have to be inflated all the same, since the next one builds on it.
            raise UnreadableError(f"a compressed message of more than {self._bytes_max} bytes")
        else:
            self._payload += piece[:HEAD_BYTES]
            del self._payload[HEAD_BYTES:]

    def _finish(self, frame: _Frame) -> Message:
        if frame.opcode >= Opcode.CLOSE:
            data, self._control = bytes(self._control), bytearray()
            return Message(frame.opcode, data, len(data))
        assert self._opcode is not None
        opcode, self._opcode = self._opcode, None
        data, self._payload = bytes(self._payload), bytearray()
        if self._is_compressed:
            data = self._inflate(data)
            return Message(opcode, data, len(data))
        if self._size > self._bytes_max:
            return Message(opcode, None, self._size, data)
        return Message(opcode, data, self._size)

    def _inflate(self, payload: bytes) -> bytes:
        data, rest = b"", payload + _INFLATE_TAIL
        for _ in range(_FINAL_BLOCKS_MAX):
            assert self._inflater is not None
            try:
                data += self._inflater.decompress(rest, self._bytes_max + 1 - len(data))
            except zlib.error as error:
                raise UnreadableError("a message that cannot be inflated") from error
            if len(data) > self._bytes_max:
                raise UnreadableError(f"a compressed message of more than {self._bytes_max} bytes")
            if not self._inflater.eof:
                return data
            # A sender may end the compression and begin anew, even within one message (7.2.3.5).
            rest = self._inflater.unused_data
            self._inflater = _new_inflater()
            if rest == _INFLATE_TAIL:
                return data
        raise UnreadableError("a message whose compression ends again and again")


def close_reason(data: bytes | None) -> tuple[int | None, str]:
    """Return the code and the reason of a close frame (RFC 6455, 7.1.5 and 7.1.6)."""
    if data is None or len(data) < 2:
        return None, ""
    return int.from_bytes(data[:2]), data[2:].decode(errors="replace")


def _read_header(data: bytes, at: int, *, deflated: bool) -> tuple[int, _Frame | None]:
    """Read a frame's header; without a frame where it is not whole yet."""
    left = len(data) - at
    if left < 2:
        return at, None
    first, second = data[at], data[at + 1]
    length = second & 0x7F
    extended = {_LENGTH_IN_16_BITS: 2, _LENGTH_IN_64_BITS: 8}.get(length, 0)
    masked = 4 if second & 0x80 else 0
    header = 2 + extended + masked
    if left < header:
        return at, None
    if extended:
        length = int.from_bytes(data[at + 2 : at + 2 + extended])
    is_compressed = bool(first & 0x40)
    try:
        opcode = Opcode(first & 0x0F)
    except ValueError:
        raise UnreadableError("a frame of an unknown opcode") from None
    # Only the first frame of a message tells that it is compressed (RFC 7692, 6).
    may_be_compressed = deflated and opcode in {Opcode.TEXT, Opcode.BINARY}
    if first & 0x30 or (is_compressed and not may_be_compressed):
        raise UnreadableError("a frame with reserved bits")
    frame = _Frame(
        opcode=opcode,
        is_final=bool(first & 0x80),
        is_compressed=is_compressed,
        mask=data[at + header - masked : at + header],
        remaining=length,
    )
    return at + header, frame


def _unmask(data: bytes, mask: bytes) -> tuple[bytes, bytes]:
    """Return the data unmasked, and the mask as it continues after it (RFC 6455, 5.3)."""
    turn = len(data) % 4
    following = mask[turn:] + mask[:turn]
    if mask == b"\0\0\0\0":
        return data, following
    plain = bytearray(data)
    for place in range(4):
        plain[place::4] = plain[place::4].translate(_MASK_TABLES[mask[place]])
    return bytes(plain), following


def _new_inflater() -> "zlib._Decompress":
    # The largest window reads what any smaller one wrote.
    return zlib.decompressobj(wbits=-zlib.MAX_WBITS)
