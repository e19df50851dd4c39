"""Undo content codings (RFC 9110 section 8.4.1) on the copy of a body that is traced.

Piece by piece and bounded: a decompression bomb costs no more than its limit and one step.
"""

import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import brotli  # type: ignore[import-untyped]  # it has no stubs
import zstandard

CODINGS_MAX = 5
"""More codings on one body than curl takes are an attack, no compression."""

STEP_BYTES = 64 * 1024
"""Decoded at once: the limit is checked between steps."""

ZSTD_STEP_BYTES = 256
"""Encoded bytes handed to zstandard at once, since it cannot be told to stop: a block of four bytes
may stand for 128 KiB, so that a step decodes to 11 MB at worst."""

GROWN_BYTES_MAX = 4 * 1024 * 1024
"""What one piece of a stream may decode to: all other streams stand still meanwhile, 60 ms for this
much of deltas. The 64 KiB that are read at once are 1 MiB of JSON, 3 MiB of deltas at zstd's best.
"""

ZSTD_WINDOW_BYTES_MAX = 8 * 1024 * 1024
"""What RFC 9659 section 3 allows for the content coding."""


class DecodeError(Exception):
    """The body is corrupt, cut short, larger than allowed, or in a coding that is not known."""


class _Coding(Protocol):
    """One coding's decoder: bounded pieces, and whether the data may end here."""

    @property
    def is_whole(self) -> bool: ...

    def pieces(self, data: bytes) -> Iterator[bytes]: ...


class Decoder:
    """Decodes a body that comes in pieces; of no use any more after a DecodeError."""

    def __init__(self, codings: list[_Coding], bytes_max: int, piece_bytes_max: int) -> None:
        self._stages = [_Stage(coding, bytes_max, piece_bytes_max) for coding in codings]

    def feed(self, data: bytes) -> bytes:
        """Take the next piece and return all that it decodes to.

        Raises DecodeError if the data is corrupt or the decoded size passes a limit.
        """
        for stage in self._stages:
            data = stage.decoded(data)
        return data

    def finish(self) -> bytes:
        """Say that the body has ended; `feed` has returned everything by then.

        Raises DecodeError if the body was cut short; one without any bytes is whole.
        """
        for stage in self._stages:
            stage.check_whole()
        return b""


def decoder_for(
    content_encoding: str | None, bytes_max: int, piece_bytes_max: int | None = None
) -> Decoder | None:
    """Return a decoder for a Content-Encoding value, None for identity or no value.

    The value may be a list, in the order in which the codings were applied. `bytes_max` bounds the
    decoded size at each coding, `piece_bytes_max` that of each piece. Raises DecodeError for a
    coding that is not known.
    """
    names = [name.strip().lower() for name in (content_encoding or "").split(",")]
    codings = [name for name in names if name not in ("", "identity")]
    if len(codings) > CODINGS_MAX:
        raise DecodeError(f"{len(codings)} content codings")
    for name in codings:
        if name not in _CODINGS:
            raise DecodeError(f"unknown content coding {name[:40]!r}")
    if not codings:
        return None
    stages = [_CODINGS[name]() for name in reversed(codings)]
    return Decoder(stages, bytes_max, bytes_max if piece_bytes_max is None else piece_bytes_max)


def decode_body(body: bytes, content_encoding: str | None, bytes_max: int) -> bytes:
    """Decode a whole body, or return it as it is if it has no coding. Raises DecodeError."""
    decoder = decoder_for(content_encoding, bytes_max)
    if decoder is None:
        return body
    return decoder.feed(body) + decoder.finish()


class _Stage:
    """A coding with its limit, and one kind of error."""

    def __init__(self, coding: _Coding, bytes_max: int, piece_bytes_max: int) -> None:
        self._coding = coding
        self._bytes_left = bytes_max
        self._piece_bytes_max = piece_bytes_max
        self._begun = False

    def decoded(self, data: bytes) -> bytes:
        self._begun = self._begun or bool(data)
        decoded = []
        room = self._piece_bytes_max
        try:
            for piece in self._coding.pieces(data):
                self._bytes_left -= len(piece)
                room -= len(piece)
                if self._bytes_left < 0:
                    raise DecodeError("the decoded size passes the limit")
                if room < 0:
                    raise DecodeError("a piece decodes to more than is decoded at once")
                decoded.append(piece)
        except (zlib.error, brotli.error, zstandard.ZstdError) as error:
            raise DecodeError(str(error)) from None
        return b"".join(decoded)

    def check_whole(self) -> None:
        if self._begun and not self._coding.is_whole:
            raise DecodeError("the encoded data is cut short")


class _Gzip:
    """RFC 1952: members one after the other. Zero bytes after one are padding, as for gzip(1)."""

    def __init__(self) -> None:
        self._member: zlib._Decompress | None = None
        self._is_first = True

    @property
    def is_whole(self) -> bool:
        return self._member is None and not self._is_first

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._member is None:
                data = data if self._is_first else data.lstrip(b"\0")
                if not data:
                    return
                self._member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
                self._is_first = False
            yield from _inflated(self._member, data)
            data = self._member.unused_data
            if self._member.eof:
                self._member = None


class _Deflate:
    """RFC 1950, or the bare RFC 1951 that some servers send under that name."""

    def __init__(self) -> None:
        self._inflater: zlib._Decompress | None = None
        self._held = b""

    @property
    def is_whole(self) -> bool:
        return self._inflater is not None and self._inflater.eof

    def pieces(self, data: bytes) -> Iterator[bytes]:
        if self._inflater is None:
            self._held = data = self._held + data
            if len(data) < 2:
                return
            # RFC 1950 section 2.2: the low four bits of the first byte, and a checksum of the two.
            is_zlib = data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            self._inflater = zlib.decompressobj(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)
        yield from _inflated(self._inflater, data)
        if self._inflater.unused_data:
            raise DecodeError("data after the end of the encoded data")


def _inflated(inflater: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
    while True:
        piece = inflater.decompress(data, STEP_BYTES)
        yield piece
        data = inflater.unconsumed_tail
        # A full piece may have left decoded bytes inside, even when all input is taken.
        if inflater.eof or (not data and len(piece) < STEP_BYTES):
            return


class _Brotli:
    """RFC 7932."""

    def __init__(self) -> None:
        self._decompressor = brotli.Decompressor()

    @property
    def is_whole(self) -> bool:
        return bool(self._decompressor.is_finished())

    def pieces(self, data: bytes) -> Iterator[bytes]:
        piece = self._decompressor.process(data, output_buffer_limit=STEP_BYTES)
        # An empty piece ends it: only then has the decompressor seen the end, if it is there.
        while piece:
            yield piece
            piece = self._decompressor.process(b"", output_buffer_limit=STEP_BYTES)


class _Zstd:
    """RFC 8878: frames one after the other, within the window of RFC 9659."""

    def __init__(self) -> None:
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES_MAX)
        self._frame: zstandard.ZstdDecompressionObj | None = None

    @property
    def is_whole(self) -> bool:
        return self._frame is None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), ZSTD_STEP_BYTES):
            left = data[start : start + ZSTD_STEP_BYTES]
            while left:
                if self._frame is None:
                    self._frame = self._decompressor.decompressobj()
                yield self._frame.decompress(left)
                left = self._frame.unused_data
                if self._frame.eof:
                    self._frame = None


_CODINGS: dict[str, Callable[[], _Coding]] = {
    "gzip": _Gzip,
    "x-gzip": _Gzip,
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _Zstd,
}
