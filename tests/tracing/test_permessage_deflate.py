"""Reading compressed messages (RFC 7692), by any sender and up to a limit."""

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.frames import CONTINUATION, PING, TEXT, Deflater, cut, fragments, frame
from tests.support.scanned_frames import (
    KIB,
    LIMIT,
    PLACES,
    contents,
    failure_of,
    memory_for,
    read,
    scanner,
)
from tracing.websocket_frames import Opcode

FINAL_HELLO = bytes.fromhex("f348cdc9c9070000")  # RFC 7692, 7.2.3.4
TWO_BLOCKS_HELLO = bytes.fromhex("f24805000000ffffcac9c90700")  # 7.2.3.5


@given(
    texts=st.lists(st.binary(max_size=600), min_size=1, max_size=6),
    takes_over=st.booleans(),
    window_bits=st.integers(min_value=9, max_value=15),
    mask=st.none() | st.binary(min_size=4, max_size=4),
    parts=st.integers(min_value=1, max_value=3),
    places=PLACES,
)
def test_compressed_messages(
    texts: list[bytes],
    takes_over: bool,
    window_bits: int,
    mask: bytes | None,
    parts: int,
    places: list[int],
) -> None:
    """With and without context takeover, any window, fragmented, beside plain ones, any cut."""
    deflater = Deflater(takes_over=takes_over, window_bits=window_bits)
    data = b""
    for text in texts:
        payload = deflater.payload(text)
        step = len(payload) // parts + 1
        pieces = [payload[at : at + step] for at in range(0, len(payload), step)]
        data += fragments(pieces, reserved=4, mask=mask, between=frame(opcode=PING))
        data += frame(text, mask=mask)
    reader = scanner(deflated=True)
    found = [m for piece in cut(data, places) for m in reader.feed(piece)]
    assert reader.failure is None
    assert [m.data for m in found if m.opcode is Opcode.TEXT] == [t for t in texts for _ in (0, 1)]


def test_context_is_taken_over() -> None:
    """A message that repeats the one before it is a few bytes, which only make sense after it."""
    text = random.Random(1).randbytes(2 * KIB)
    deflater = Deflater()
    first, second = deflater.message(text), deflater.message(text)
    assert len(second) < 100
    assert contents(read(first + second, deflated=True)) == [(TEXT, text)] * 2
    assert failure_of(second, deflated=True) == "a message that cannot be inflated"


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (FINAL_HELLO, b"Hello"),
        (FINAL_HELLO.removesuffix(b"\0"), b"Hello"),
        (TWO_BLOCKS_HELLO, b"Hello"),
        (FINAL_HELLO.removesuffix(b"\0") + FINAL_HELLO, b"HelloHello"),
        (b"\0", b""),
        (b"\x02\0", b""),
    ],
)
def test_unusual_blocks(payload: bytes, text: bytes) -> None:
    """The RFC's examples: final blocks, two blocks, nothing; and the next message is read."""
    hello = Deflater().message(b"after")
    data = frame(payload, reserved=4) * 2 + hello
    assert contents(read(data, deflated=True)) == [(TEXT, text)] * 2 + [(TEXT, b"after")]


def test_compression_that_ends_again_and_again() -> None:
    """It costs a new decompressor each time, so it has an end."""
    blocks = FINAL_HELLO.removesuffix(b"\0") * 10_000
    why = "a message whose compression ends again and again"
    assert failure_of(frame(blocks, reserved=4), deflated=True, limit=10 * LIMIT) == why


def test_memory_for_a_bomb() -> None:
    """A small message that inflates to 64 MiB is given up at the limit."""
    compressor = zlib.compressobj(wbits=-15)
    bomb = b"".join(compressor.compress(bytes(KIB * KIB)) for _ in range(64))
    bomb += compressor.flush(zlib.Z_SYNC_FLUSH)
    reader = scanner(limit=64 * KIB, deflated=True)
    assert memory_for(reader, [frame(bomb, reserved=4)]) < KIB * KIB
    assert reader.failure == "a compressed message of more than 65536 bytes"


def test_compressed_message_at_the_limit() -> None:
    """The limit is of what is inflated; a message of just that size is whole."""
    text = bytes(KIB)
    data = Deflater().message(text)
    assert contents(read(data, limit=KIB, deflated=True)) == [(TEXT, text)]
    assert failure_of(data, limit=KIB - 1, deflated=True) is not None


def test_large_compressed_message_ends_the_reading() -> None:
    """What is not inflated leaves nothing for the next one to build on."""
    noise = random.Random(3).randbytes(4 * KIB)
    why = "a compressed message of more than 1024 bytes"
    assert failure_of(Deflater().message(noise), limit=KIB, deflated=True) == why


MALFORMED_COMPRESSED = {
    "continuation": (
        frame(b"\0", reserved=4, final=False) + frame(b"\0", opcode=CONTINUATION, reserved=4),
        "a frame with reserved bits",
    ),
    "ping": (frame(opcode=PING, reserved=4), "a frame with reserved bits"),
    "another bit": (frame(b"\0", reserved=6), "a frame with reserved bits"),
    "no compression": (frame(b"\xff" * 20, reserved=4), "a message that cannot be inflated"),
}


@pytest.mark.parametrize("case", MALFORMED_COMPRESSED)
def test_malformed_compression(case: str) -> None:
    """The bit of compression stands on the first frame of a message alone (RFC 7692, 6)."""
    bad, why = MALFORMED_COMPRESSED[case]
    assert failure_of(bad, deflated=True) == why
