"""WebSocket frames for the two ends of the benchmark (RFC 6455, 5.2): text, whole, uncompressed."""

import zlib

TEXT = 0x81
MASKED = 0x80
CHECK_FIELD = "check"
"""Field of a response's last frame: a CRC-32 of all that went before it in this response."""


def text_frame(payload: bytes, *, from_client: bool) -> bytes:
    """Return a text frame; a client's is masked, with a mask of zeros, which costs nothing."""
    mask_bit = MASKED if from_client else 0
    size = len(payload)
    if size < 126:
        head = bytes((TEXT, mask_bit | size))
    elif size < 65_536:
        head = bytes((TEXT, mask_bit | 126)) + size.to_bytes(2)
    else:
        head = bytes((TEXT, mask_bit | 127)) + size.to_bytes(8)
    return head + (b"\0\0\0\0" if from_client else b"") + payload


class TextFrames:
    """Takes the bytes of one direction and gives the payloads of the frames they completed."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return what is whole now. Raises ValueError at any frame but a whole text frame."""
        if self._rest:
            data = self._rest + data
        at = 0
        payloads: list[bytes] = []
        while (bounds := _payload_bounds(data, at)) is not None:
            payloads.append(_payload(data, at, *bounds))
            at = bounds[1]
        self._rest = data[at:]
        return payloads


def _payload_bounds(data: bytes, at: int) -> tuple[int, int] | None:
    """Where the payload of the frame at ``at`` begins and ends, once all of it is there."""
    if len(data) - at < 2:
        return None
    if data[at] != TEXT:
        raise ValueError(f"a frame that begins with {data[at]:#x}")
    size = data[at + 1] & 0x7F
    start = at + 2
    if size >= 126:
        width = 2 if size == 126 else 8
        if len(data) < start + width:
            return None
        size = int.from_bytes(data[start : start + width])
        start += width
    if data[at + 1] & MASKED:
        start += 4
    return (start, start + size) if len(data) >= start + size else None


def _payload(data: bytes, at: int, start: int, end: int) -> bytes:
    payload = data[start:end]
    mask = data[start - 4 : start] if data[at + 1] & MASKED else b"\0\0\0\0"
    if mask == b"\0\0\0\0":
        return payload
    keys = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload) ^ int.from_bytes(keys)).to_bytes(len(payload))


def checksum(payload: bytes, before: int) -> int:
    """Continue the CRC-32 of a response's frames."""
    return zlib.crc32(payload, before)
