"""The pieces of one call on their way to the capture, from the traffic's side to the recorder's.

A call stands in the recorder's queue once, however many pieces it has: they are recorded together.
"""

import time
from collections import deque
from typing import NamedTuple, Protocol
from uuid import UUID

from .capture import Kind
from .redaction import RawHeaders

PIECE_OVERHEAD_BYTES = 256
"""What a piece that waits for the disk takes beside its data: the objects, and later the record."""


class CapturedPiece(NamedTuple):
    """A piece for the capture, decoded where it was encoded.

    ``headers`` is set for a head, and for a message that holds headers: all of them as they came,
    since some hold secrets.
    """

    kind: Kind
    at_unix_ns: int
    data: bytes
    headers: RawHeaders


class PieceQueue(Protocol):
    """The recorder's queue, as far as pieces are concerned."""

    def put(self, operation: "CallPieces") -> None:
        """Hand the pieces over."""

    def reserve(self, size: int) -> bool:
        """Ask for ``size`` bytes of the memory that waits for the disk."""


class CallPieces:
    """What has come of a call and is not recorded yet. One thread adds, another one takes."""

    __slots__ = ("_is_queued", "_pieces", "_queue", "_taken_bytes", "call_id")

    def __init__(self, call_id: UUID, queue: PieceQueue) -> None:
        self.call_id = call_id
        self._queue = queue
        self._pieces: deque[CapturedPiece] = deque()
        self._is_queued = False
        self._taken_bytes = 0

    def add(self, kind: Kind, data: bytes, headers: RawHeaders = ()) -> bool:
        """Add a piece that came just now; False where there is no memory for it."""
        if not self._queue.reserve(len(data) + PIECE_OVERHEAD_BYTES):
            return False
        self._pieces.append(CapturedPiece(kind, time.time_ns(), data, headers))
        # In this order: a piece that is added while others are taken is taken with them, or asks
        # for another turn.
        if not self._is_queued:
            self._is_queued = True
            self._queue.put(self)
        return True

    def take(self) -> list[CapturedPiece]:
        """Take what has come, in order."""
        self._is_queued = False
        pieces = []
        while self._pieces:
            pieces.append(self._pieces.popleft())
        self._taken_bytes += sum(len(piece.data) + PIECE_OVERHEAD_BYTES for piece in pieces)
        return pieces

    def taken_bytes(self) -> int:
        """Return the memory of what was taken since this was asked last."""
        size, self._taken_bytes = self._taken_bytes, 0
        return size
