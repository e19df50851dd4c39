"""The pieces of one call, as its capture holds them: what came, in order, and when.

A segment holds the pieces of many calls. Those of others are hopped over by their headers.
"""

import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from tracing.capture import HEADER_BYTES, Direction, Kind, Piece, decode, header_at
from tracing.events import STREAMS_NAME

from .bundle_file import opened

BLOCK_BYTES = 64 * 1024
"""Records are small, as a rule, and a block holds hundreds."""

BYTES_MAX = 256 * 1024 * 1024
"""Of one call no more is read: a bound on memory, beyond what a recorder keeps by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """What a capture holds of a call. `fault` says why there may be more that cannot be read."""

    pieces: tuple[Piece, ...] = ()
    fault: str | None = None


class _Beginnings:
    """Up to where in a segment no piece of a call stands: a page looks at a live call often."""

    CALLS_MAX = 1024

    def __init__(self) -> None:
        self._offsets: dict[tuple[int, int, bytes], int] = {}
        self._lock = threading.Lock()

    def of(self, file: int, call: bytes) -> int:
        """Where to begin to look."""
        with self._lock:
            return self._offsets.get(self._key(file, call), 0)

    def note(self, file: int, call: bytes, offset: int) -> None:
        """Nothing of the call stands before this record."""
        with self._lock:
            self._offsets.pop(self._key(file, call), None)
            self._offsets[self._key(file, call)] = offset
            if len(self._offsets) > self.CALLS_MAX:
                del self._offsets[next(iter(self._offsets))]

    def _key(self, file: int, call: bytes) -> tuple[int, int, bytes]:
        found = os.fstat(file)
        return found.st_dev, found.st_ino, call


_beginnings = _Beginnings()


class _DamagedError(Exception):
    """Where a record should stand, none does."""


def pieces_of(bundle: Path, call_id: str, capture: Mapping[str, object]) -> Captured:
    """Read the pieces of a call that has ended; `capture` is what its end says of them."""
    name, offset, size = (capture.get(key) for key in ("file", "offset", "bytes"))
    if offset is None and size == 0:
        return Captured()
    if not isinstance(name, str) or not _is_natural(offset) or not _is_natural(size):
        return Captured(fault="the call's end does not say where its capture is")
    assert isinstance(offset, int)
    assert isinstance(size, int)
    return _read(bundle, name, call_id, offset, size)


def pieces_so_far(bundle: Path, call_id: str) -> Captured:
    """Read the pieces of a call that runs: there is nothing yet that says where they stand."""
    try:
        names = sorted(os.listdir(bundle / STREAMS_NAME))
    except FileNotFoundError:  # it is made with the bundle, but not where no bodies are kept
        return Captured()
    except OSError as error:
        return Captured(fault=f"{STREAMS_NAME} cannot be read: {error.strerror}")
    for name in names:
        if name.endswith(".cap"):
            captured = _read(bundle, f"{STREAMS_NAME}/{name}", call_id)
            if captured.pieces or captured.fault:
                return captured
    return Captured()


def _read(
    bundle: Path, name: str, call_id: str, offset: int | None = None, size: int | None = None
) -> Captured:
    """Read a call's pieces, `size` bytes of them from a record on; else all there are."""
    try:
        # A compaction's id is `compaction_request:` and the call's.
        call = UUID(call_id.rpartition(":")[2]).bytes
    except ValueError:
        return Captured(fault=f"no capture is of a call {call_id}")
    pieces: list[Piece] = []
    fault = None
    try:
        with opened(bundle, name) as file:
            begin = _beginnings.of(file, call) if offset is None else offset
            walk = _Walk(file, call, begin, size)
            pieces.extend(walk.pieces())
            if offset is None:
                _beginnings.note(file, call, walk.offset if walk.first is None else walk.first)
    except _DamagedError as error:
        fault = f"{name} is damaged at byte {error}"
    except FileNotFoundError:
        fault = f"{name} is missing"
    except OSError as error:
        fault = f"{name} cannot be read: {error.strerror or error}"
    found = sum(len(piece.data) for piece in pieces if piece.kind is not Kind.HEAD)
    if fault is None and size is not None and found < size:
        fault = f"{name} has {found:,} of the {size:,} bytes that were captured"
    return Captured(pieces=tuple(pieces), fault=fault)


class _Walk:
    """Goes over a segment from record to record. `first` is where the call's first one stands."""

    def __init__(self, file: int, call: bytes, offset: int, size: int | None) -> None:
        self.offset = offset
        self.first: int | None = None
        self._file = file
        self._call = call
        self._size = size
        self._segment_bytes = os.fstat(file).st_size

    def pieces(self) -> Iterator[Piece]:
        """Give the call's pieces, all where no size is known. Raises OSError, _DamagedError."""
        left = BYTES_MAX if self._size is None else min(self._size, BYTES_MAX)
        block, begin = b"", self.offset
        while self.offset + HEADER_BYTES <= self._segment_bytes:
            at = self.offset - begin
            if at + HEADER_BYTES > len(block):
                block, begin, at = os.pread(self._file, BLOCK_BYTES, self.offset), self.offset, 0
            header = header_at(block, at) if at + HEADER_BYTES <= len(block) else None
            if header is None:
                raise _DamagedError(self.offset)
            end = at + HEADER_BYTES + header.size
            if header.call == self._call and header.direction == Direction.DOWN:
                piece = self._piece(block[at:end] if end <= len(block) else None, header.size)
                if piece is None:
                    return
                yield piece
                left -= 0 if piece.kind is Kind.HEAD else header.size
                if left <= 0 and (self._size == 0 or piece.kind is not Kind.HEAD):
                    return
            self.offset = begin + end

    def _piece(self, record: bytes | None, size: int) -> Piece | None:
        """The piece at the offset; None where it is still being written, or was cut off."""
        record_bytes = HEADER_BYTES + size
        if self.offset + record_bytes > self._segment_bytes or size > BYTES_MAX:
            return None
        if self.first is None:
            self.first = self.offset
        piece = decode(record or os.pread(self._file, record_bytes, self.offset))
        if piece is None:
            raise _DamagedError(self.offset)
        return piece


def _is_natural(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
