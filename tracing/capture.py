"""The capture of streams: what came, piece by piece, in segments that many calls share.

A segment is a sequence of records and nothing else. A record is a header of 40 bytes, little
endian, and the piece itself:

    magic "TRC1" | direction u8 | kind u8 | 0 u16 | call uuid 16 bytes | unix time ns u64
    | length u32 | crc32 u32 of the header's first 36 bytes and the piece
"""

import struct
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from .appender import Appender

_MAGIC = b"TRC1"
_HEADER = struct.Struct("<4sBBH16sQI")
_CHECKSUM = struct.Struct("<I")
HEADER_BYTES = _HEADER.size + _CHECKSUM.size


class Direction(IntEnum):
    """Which way a piece went."""

    UP = 1
    DOWN = 2


class Kind(IntEnum):
    """What a piece is."""

    HEAD = 1
    """A response head: JSON with ``status`` and ``headers``, the kept ones."""
    BODY = 2
    """Bytes of a body, decoded where they were encoded."""
    MESSAGE = 3
    """A WebSocket text message, whole and decoded."""


# A look-up takes a tenth of what the enumeration's own takes, and streams have thousands of pieces.
_DIRECTIONS = {int(direction): direction for direction in Direction}
_KINDS = {int(kind): kind for kind in Kind}


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One record of a segment."""

    call: UUID
    direction: Direction
    kind: Kind
    at_unix_ns: int
    data: bytes


def encode(call: bytes, direction: Direction, kind: Kind, at_unix_ns: int, data: bytes) -> bytes:
    """Return the record of a piece. ``call`` is the 16 bytes of its id."""
    header = _HEADER.pack(_MAGIC, direction, kind, 0, call, at_unix_ns, len(data))
    return header + _CHECKSUM.pack(zlib.crc32(data, zlib.crc32(header))) + data


def decode(record: bytes, offset: int = 0) -> Piece | None:
    """Read the record at ``offset``; None where none stands there whole."""
    if len(record) < offset + HEADER_BYTES:
        return None
    magic, direction, kind, _, call, at_unix_ns, size = _HEADER.unpack_from(record, offset)
    data = record[offset + HEADER_BYTES : offset + HEADER_BYTES + size]
    (checksum,) = _CHECKSUM.unpack_from(record, offset + _HEADER.size)
    expected = zlib.crc32(data, zlib.crc32(record[offset : offset + _HEADER.size]))
    if magic != _MAGIC or len(data) != size or checksum != expected:
        return None
    if direction not in _DIRECTIONS or kind not in _KINDS:
        return None
    return Piece(
        call=_uuid(call),
        direction=_DIRECTIONS[direction],
        kind=_KINDS[kind],
        at_unix_ns=at_unix_ns,
        data=data,
    )


@lru_cache(maxsize=1024)
def _uuid(call: bytes) -> UUID:
    return UUID(bytes=call)


class Header(NamedTuple):
    """What stands before a piece. ``call`` is the 16 bytes of its id, ``size`` the piece's."""

    direction: int
    kind: int
    call: bytes
    at_unix_ns: int
    size: int


def header_at(data: bytes, offset: int = 0) -> Header | None:
    """Read the header at ``offset``, which stands there whole; None where none does.

    For those who go from one record to the next: whether the piece is undamaged is not looked at.
    """
    magic, direction, kind, _, call, at_unix_ns, size = _HEADER.unpack_from(data, offset)
    return Header(direction, kind, call, at_unix_ns, size) if magic == _MAGIC else None


def scan(path: Path) -> Iterator[tuple[int, Piece]]:
    """Give the records of a segment with their offsets, up to the first that is torn or damaged.

    Raises OSError.
    """
    offset = 0
    with path.open("rb") as segment:
        while header := segment.read(HEADER_BYTES):
            size = _HEADER.unpack(header[: _HEADER.size])[-1] if len(header) == HEADER_BYTES else 0
            piece = decode(header + segment.read(size))
            if piece is None:
                return
            yield offset, piece
            offset += HEADER_BYTES + size


class CaptureWriter:
    """Appends records to a segment; a position finds one again while the bundle is open."""

    def __init__(self, directory: Path) -> None:
        """Make the first segment in ``directory``. Raises OSError."""
        self._segment = Appender(directory / "1.cap")
        self.name = f"{directory.name}/1.cap"
        """The segment's path in the bundle."""

    @property
    def size(self) -> int:
        """Bytes in the segment, those included that wait for a flush."""
        return self._segment.size

    def append(self, record: bytes) -> int:
        """Buffer a record and return its offset."""
        return self._segment.append(record)

    def flush(self) -> None:
        """Write what is buffered. Raises OSError."""
        self._segment.flush()

    def sync(self) -> None:
        """Wait until what was written would survive a loss of power. Raises OSError."""
        self._segment.sync()

    def read(self, offsets: "array[int]") -> Iterator[Piece]:
        """Read records again, in the order of ``offsets``. Raises OSError."""
        self.flush()
        for offset in offsets:
            header = self._segment.read(offset, HEADER_BYTES)
            size = _HEADER.unpack(header[: _HEADER.size])[-1] if len(header) == HEADER_BYTES else 0
            piece = decode(header + self._segment.read(offset + HEADER_BYTES, size))
            if piece is not None:
                yield piece

    def is_gone(self) -> bool:
        """Tell whether the segment was deleted or moved under us. Raises OSError."""
        return self._segment.is_gone()

    def close(self) -> None:
        """Close the segment. Raises OSError, and it is closed then."""
        self._segment.close()
