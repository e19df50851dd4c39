"""Builds WebSocket frames, well-formed and otherwise (RFC 6455, RFC 7692)."""

import zlib
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import orjson

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x37\xfa\x21\x3d"
DEFLATE = ((b"Sec-WebSocket-Extensions", b"permessage-deflate"),)


def frame(
    payload: bytes = b"",
    *,
    opcode: int = TEXT,
    final: bool = True,
    reserved: int = 0,
    mask: bytes | None = None,
    length_bytes: int | None = None,
) -> bytes:
    """One frame; `reserved` is the three bits (4 means compressed), `length_bytes` 0, 2 or 8."""
    size = len(payload)
    if length_bytes is None:
        length_bytes = 0 if size < 126 else 2 if size < 1 << 16 else 8
    short = {0: size, 2: 126, 8: 127}[length_bytes]
    head = bytes([final << 7 | reserved << 4 | opcode, (mask is not None) << 7 | short])
    head += size.to_bytes(length_bytes) if length_bytes else b""
    if mask is None:
        return head + payload
    key = int.from_bytes((mask * (size // 4 + 1))[:size])
    return head + mask + (int.from_bytes(payload) ^ key).to_bytes(size)


def fragments(
    parts: Iterable[bytes],
    *,
    opcode: int = TEXT,
    reserved: int = 0,
    mask: bytes | None = None,
    between: bytes = b"",
) -> bytes:
    """One message in as many frames as there are parts, with `between` after all but the last."""
    pieces = list(parts)
    last = len(pieces) - 1
    frames = [
        frame(
            part,
            opcode=CONTINUATION if place else opcode,
            reserved=0 if place else reserved,
            final=place == last,
            mask=mask,
        )
        for place, part in enumerate(pieces)
    ]
    return between.join(frames)


def message(value: Mapping[str, Any] | bytes, *, mask: bytes | None = None) -> bytes:
    """A text message in one frame; a mapping is written as JSON."""
    return frame(value if isinstance(value, bytes) else orjson.dumps(value), mask=mask)


def sent(value: Mapping[str, Any] | bytes) -> bytes:
    """A text message as a client sends it: masked."""
    return message(value, mask=MASK)


def close(code: int, reason: str = "", *, mask: bytes | None = None) -> bytes:
    """A close frame."""
    return frame(code.to_bytes(2) + reason.encode(), opcode=CLOSE, mask=mask)


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """The data in pieces, cut at these places; a place beyond the end wraps around."""
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


class Deflater:
    """The sender's side of permessage-deflate; gives payloads for frames with `reserved=4`."""

    def __init__(self, *, takes_over: bool = True, window_bits: int = 15) -> None:
        self._takes_over = takes_over
        self._window_bits = window_bits
        self._compressor = self._new()

    def payload(self, data: bytes) -> bytes:
        """A message's payload, as RFC 7692 7.2.1 makes it."""
        if not self._takes_over:
            self._compressor = self._new()
        compressed = self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)
        return compressed.removesuffix(b"\x00\x00\xff\xff") or b"\x00"

    def message(self, data: bytes, *, mask: bytes | None = None) -> bytes:
        """A compressed text message in one frame."""
        return frame(self.payload(data), reserved=4, mask=mask)

    def _new(self) -> "zlib._Compress":
        return zlib.compressobj(wbits=-self._window_bits)
