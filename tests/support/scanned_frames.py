"""Reads frames with the scanner, as tests of whole messages want it."""

import tracemalloc

from hypothesis import strategies as st

from tracing.websocket_frames import FrameScanner, Message

KIB = 1024
LIMIT = 200 * KIB
PLACES = st.lists(st.integers(min_value=0, max_value=4096), max_size=12)
"""Where to cut what a scanner is fed; see `frames.cut`."""


def scanner(*, limit: int = LIMIT, deflated: bool = False) -> FrameScanner:
    """A scanner of one direction."""
    return FrameScanner(message_bytes_max=limit, is_deflated=deflated)


def read(data: bytes, *, limit: int = LIMIT, deflated: bool = False) -> list[Message]:
    """The messages of bytes that are well-formed and whole."""
    reader = scanner(limit=limit, deflated=deflated)
    messages = reader.feed(data)
    assert reader.failure is None
    assert reader.is_between_frames
    return messages


def contents(messages: list[Message]) -> list[tuple[int, bytes | None]]:
    """What the messages are and hold."""
    return [(int(message.opcode), message.data) for message in messages]


def failure_of(data: bytes, *, limit: int = LIMIT, deflated: bool = False) -> str | None:
    """Why the scanner gives up on these bytes."""
    reader = scanner(limit=limit, deflated=deflated)
    reader.feed(data)
    return reader.failure


def memory_for(reader: FrameScanner, pieces: list[bytes]) -> int:
    """The most memory that the scanner held while it read these pieces."""
    tracemalloc.start()
    try:
        for piece in pieces:
            reader.feed(piece)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
