"""Frames as values, read from a connection and compared with what was sent.

Nothing is judged: any bytes that can be read as a frame are one. `frames` has the bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass

from .frames import CLOSE, TEXT, frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame, unmasked; `is_compressed` is its first reserved bit."""

    opcode: int
    payload: bytes = b""
    is_final: bool = True
    is_compressed: bool = False

    def encode(self, mask: bytes | None) -> bytes:
        """The frame's bytes, with this key where it is masked."""
        return frame(
            self.payload,
            opcode=self.opcode,
            final=self.is_final,
            reserved=4 if self.is_compressed else 0,
            mask=mask,
        )


def text(data: str | bytes) -> Frame:
    """A text message in one frame."""
    return Frame(opcode=TEXT, payload=data.encode() if isinstance(data, str) else data)


def closing(code: int | None = None, reason: str = "") -> Frame:
    """A close frame; without a code it is empty."""
    payload = b"" if code is None else code.to_bytes(2) + reason.encode()
    return Frame(opcode=CLOSE, payload=payload)


def read_frame(take: Callable[[int], bytes]) -> Frame:
    """Read one frame with a function that takes exactly so many bytes."""
    first, second = take(2)
    size = second & 0x7F
    if size >= 126:
        size = int.from_bytes(take(2 if size == 126 else 8))
    mask = take(4) if second & 0x80 else b""
    payload = take(size)
    return Frame(
        opcode=first & 0x0F,
        payload=_unmasked(payload, mask),
        is_final=bool(first & 0x80),
        is_compressed=bool(first & 0x40),
    )


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    if not mask:
        return payload
    return bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
