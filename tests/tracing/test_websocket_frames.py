"""Finding the messages in one direction of a WebSocket, however it is cut and whatever it holds."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MASK,
    PING,
    PONG,
    TEXT,
    close,
    cut,
    fragments,
    frame,
)
from tests.support.scanned_frames import KIB, LIMIT, PLACES, contents, memory_for, read, scanner
from tracing.websocket_frames import HEAD_BYTES, Message, Opcode, close_reason


@pytest.mark.parametrize("size", [0, 1, 2, 125, 126, 127, 65_535, 65_536, LIMIT])
@pytest.mark.parametrize("mask", [None, MASK, b"\0\0\0\0"])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_every_length(size: int, mask: bytes | None, opcode: int) -> None:
    """A frame's length stands in 7, 16 or 64 bits, and every edge between them is read."""
    data = random.Random(size).randbytes(size)
    assert read(frame(data, opcode=opcode, mask=mask)) == [Message(Opcode(opcode), data, size)]


@pytest.mark.parametrize("length_bytes", [2, 8])
def test_length_in_more_bits_than_it_needs(length_bytes: int) -> None:
    """It is read all the same: endpoints differ in whether they take it."""
    assert read(frame(b"{}", length_bytes=length_bytes)) == [Message(Opcode.TEXT, b"{}", 2)]


@pytest.mark.parametrize("parts", [[b""], [b"", b""], [b"Hel", b"lo"], [b"", b"Hello", b""]])
@pytest.mark.parametrize("mask", [None, MASK])
def test_fragments(parts: list[bytes], mask: bytes | None) -> None:
    """The parts of a message come as one, empty parts included."""
    whole = b"".join(parts)
    data = fragments(parts, mask=mask)
    assert contents(read(data + data)) == [(TEXT, whole)] * 2


def test_control_frames_between_fragments() -> None:
    """They come before the message that they interrupt, which they do not touch (5.4)."""
    between = frame(b"still there?", opcode=PING) + frame(opcode=PONG, mask=MASK)
    data = fragments([b"Hel", b"l", b"o"], opcode=BINARY, between=between)
    controls = [(PING, b"still there?"), (PONG, b"")]
    assert contents(read(data)) == [*controls, *controls, (BINARY, b"Hello")]


def test_several_messages_in_one_piece() -> None:
    """They come in order, among them the short ones and those of other kinds."""
    parts = [b"", b"1", b"22", b"x" * 300]
    data = b"".join(frame(part) for part in parts) + close(1001) + frame(b"late")
    texts = [(TEXT, part) for part in parts]
    assert contents(read(data)) == [*texts, (CLOSE, b"\x03\xe9"), (TEXT, b"late")]


FRAMES = st.one_of(
    st.builds(
        frame,
        st.binary(max_size=300),
        opcode=st.sampled_from([TEXT, BINARY]),
        mask=st.none() | st.binary(min_size=4, max_size=4),
    ),
    st.builds(
        frame,
        st.binary(max_size=125),
        opcode=st.sampled_from([CLOSE, PING, PONG]),
        mask=st.none() | st.binary(min_size=4, max_size=4),
    ),
    st.builds(
        fragments,
        st.lists(st.binary(max_size=40), min_size=2, max_size=5),
        opcode=st.sampled_from([TEXT, BINARY]),
        mask=st.none() | st.binary(min_size=4, max_size=4),
        between=st.sampled_from([b"", frame(b"?", opcode=PING)]),
    ),
)


@given(frames=st.lists(FRAMES, max_size=6), places=PLACES)
def test_any_cut_gives_the_same_messages(frames: list[bytes], places: list[int]) -> None:
    """How the bytes are cut changes nothing, and each piece gives what it completed."""
    data = b"".join(frames)
    whole = read(data)
    reader = scanner()
    assert [m for piece in cut(data, places) for m in reader.feed(piece)] == whole
    assert reader.is_between_frames


@given(frames=st.lists(FRAMES, min_size=1, max_size=4))
def test_byte_by_byte(frames: list[bytes]) -> None:
    """Every header and every mask is read across any border."""
    data = b"".join(frames)
    reader = scanner()
    assert [m for at in range(len(data)) for m in reader.feed(data[at : at + 1])] == read(data)


@pytest.mark.parametrize("fragmented", [False, True])
def test_large_messages_leave_their_beginning(fragmented: bool) -> None:
    """What is larger than the limit is told with its size and beginning, and the next one whole."""
    large = random.Random(2).randbytes(10 * KIB)
    parts = [large[:1], large[1:4000], large[4000:]]
    data = fragments(parts) if fragmented else frame(large)
    found = read(data + frame(b"next"), limit=KIB)
    assert found == [
        Message(Opcode.TEXT, None, len(large), large[:HEAD_BYTES]),
        Message(Opcode.TEXT, b"next", 4),
    ]


def test_limit_is_of_the_message() -> None:
    """Neither one frame nor a control frame counts by itself."""
    data = fragments([b"x" * 600, b"x" * 425], between=frame(b"?" * 100, opcode=PING))
    assert [m.size for m in read(data, limit=1025)] == [100, 1025]
    assert [m.data is None for m in read(data, limit=1024)] == [False, True]


def test_memory_for_an_endless_message() -> None:
    """A message of which no end comes is held up to the limit."""
    piece = b"x" * (16 * KIB)
    reader = scanner(limit=64 * KIB)
    begin = b"\x81\x7f" + (1 << 40).to_bytes(8)
    assert memory_for(reader, [begin, *[piece] * 256]) < 256 * KIB
    assert reader.failure is None


def test_memory_for_tiny_fragments() -> None:
    """A message in frames of a byte takes what it holds, not what its frames are."""
    reader = scanner(limit=8 * KIB)
    reader.feed(frame(b"x", final=False))
    piece = frame(b"x", opcode=CONTINUATION, final=False) * 1000
    assert memory_for(reader, [piece] * 8) < 40 * KIB


RESERVED = "a frame with reserved bits"
UNKNOWN = "a frame of an unknown opcode"
NO_CONTROL = "a control frame that is not one"
WITHIN = "a message begins within another"
OF_NONE = "a continuation of no message"

# Named for the cases of the Autobahn test suite that they are like.
MALFORMED = {
    "2.5 ping of 126 bytes": (frame(b"x" * 126, opcode=PING), NO_CONTROL),
    **{f"3 reserved {bits}": (frame(b"x", reserved=bits), RESERVED) for bits in range(1, 8)},
    **{
        f"3 reserved {bits} on a control frame": (frame(opcode=PING, reserved=bits), RESERVED)
        for bits in range(1, 8)
    },
    **{
        f"4 opcode {opcode}": (frame(b"x", opcode=opcode), UNKNOWN)
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    },
    "5.1 ping in fragments": (frame(opcode=PING, final=False), NO_CONTROL),
    "5.2 pong in fragments": (frame(opcode=PONG, final=False), NO_CONTROL),
    "5.9 continuation of nothing": (frame(opcode=CONTINUATION), OF_NONE),
    "5.11 unfinished continuation of nothing": (frame(opcode=CONTINUATION, final=False), OF_NONE),
    "5.12 continuation after the end": (
        fragments([b"a", b"b"]) + frame(opcode=CONTINUATION),
        OF_NONE,
    ),
    "5.18 text within a text": (frame(b"a", final=False) + frame(b"b"), WITHIN),
    "5.18 binary within a text": (frame(b"a", final=False) + frame(b"b", opcode=BINARY), WITHIN),
    "7.3 close of 126 bytes": (frame(b"x" * 126, opcode=CLOSE), NO_CONTROL),
}


@pytest.mark.parametrize("case", MALFORMED)
@pytest.mark.parametrize("one_by_one", [False, True])
def test_malformed_frames(case: str, one_by_one: bool) -> None:
    """What came before is read, the failure told, and nothing after it is read or kept."""
    bad, why = MALFORMED[case]
    reader = scanner()
    data = frame(b"before") + bad + frame(b"after")
    pieces = cut(data, range(len(data))) if one_by_one else [data]
    found = [m for piece in pieces for m in reader.feed(piece)]
    assert found[0] == Message(Opcode.TEXT, b"before", 6)
    assert b"after" not in [m.data for m in found]
    assert reader.failure == why
    assert reader.feed(frame(b"later")) == []
    assert not reader.is_between_frames


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_message_within_another_in_a_piece_of_its_own(opcode: int) -> None:
    """It is malformed as well where it would be a whole message by itself."""
    reader = scanner()
    reader.feed(frame(b"Hel", final=False))
    assert reader.feed(frame(b"lo and more", opcode=opcode)) == []
    assert reader.failure == WITHIN


WELL_FORMED = {
    "2.1 ping without payload": (frame(opcode=PING), [(PING, b"")]),
    "2.4 ping of 125 bytes": (frame(b"\xfe" * 125, opcode=PING), [(PING, b"\xfe" * 125)]),
    "2.7 unasked pong": (frame(b"x", opcode=PONG), [(PONG, b"x")]),
    "2.10 ten pings": (frame(b"x", opcode=PING) * 10, [(PING, b"x")] * 10),
    "6 no utf-8": (frame(b"\xce\xba\xff"), [(TEXT, b"\xce\xba\xff")]),
    "7.1 text after the close": (
        close(1000) + frame(b"x"),
        [(CLOSE, b"\x03\xe8"), (TEXT, b"x")],
    ),
    "7.3 close without a code": (frame(opcode=CLOSE), [(CLOSE, b"")]),
    "9.3 fragments of 64 bytes": (fragments([b"x" * 64] * 100), [(TEXT, b"x" * 6400)]),
}


@pytest.mark.parametrize("case", WELL_FORMED)
def test_well_formed_frames(case: str) -> None:
    """What an endpoint would refuse for its content alone is read: that is not for us to judge."""
    data, found = WELL_FORMED[case]
    assert contents(read(data)) == found


@given(data=st.binary(max_size=400), deflated=st.booleans(), places=PLACES)
def test_arbitrary_bytes(data: bytes, deflated: bool, places: list[int]) -> None:
    """Nothing raises, and how the bytes are cut changes neither messages nor failure."""
    whole, pieced = (scanner(limit=64, deflated=deflated) for _ in range(2))
    found = whole.feed(data)
    assert [m for piece in cut(data, places) for m in pieced.feed(piece)] == found
    assert pieced.failure == whole.failure
    assert pieced.is_between_frames == whole.is_between_frames


@given(
    frames=st.lists(FRAMES, max_size=4),
    at=st.integers(min_value=0),
    value=st.integers(min_value=0, max_value=255),
)
def test_damaged_frames(frames: list[bytes], at: int, value: int) -> None:
    """One byte that is another does not raise, either."""
    data = bytearray(b"".join(frames) or b"\x81\x00")
    data[at % len(data)] = value
    assert len(scanner(deflated=True).feed(bytes(data))) <= len(data)


def test_between_frames() -> None:
    """So it is before and after each frame, fragments included, and never within one."""
    reader = scanner()
    assert reader.is_between_frames
    for part in (frame(b"Hel", final=False), frame(b"lo", opcode=CONTINUATION), frame(b"x" * 200)):
        for at in range(len(part) - 1):
            reader.feed(part[at : at + 1])
            assert not reader.is_between_frames
        reader.feed(part[-1:])
        assert reader.is_between_frames


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (None, (None, "")),
        (b"", (None, "")),
        (b"\x03", (None, "")),
        (b"\x03\xe8", (1000, "")),
        (b"\x0f\xa1bye", (4001, "bye")),
        (b"\x03\xf0\xff", (1008, "\ufffd")),
    ],
)
def test_close_reason(data: bytes | None, told: tuple[int | None, str]) -> None:
    """A close frame has a code and a reason, or only a code, or nothing."""
    assert close_reason(data) == told
