"""Records of a segment, written, torn and read again."""

import itertools
import zlib
from array import array
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracing.capture import (
    HEADER_BYTES,
    CaptureWriter,
    Direction,
    Kind,
    Piece,
    decode,
    encode,
    header_at,
    scan,
)

PIECES = st.builds(
    Piece,
    call=st.uuids(),
    direction=st.sampled_from(Direction),
    kind=st.sampled_from(Kind),
    at_unix_ns=st.integers(0, 2**64 - 1),
    data=st.binary(max_size=64),
)
PIECE = Piece(call=UUID(int=1), direction=Direction.DOWN, kind=Kind.BODY, at_unix_ns=2, data=b"abc")


def record_of(piece: Piece) -> bytes:
    """The record that a piece becomes."""
    return encode(piece.call.bytes, piece.direction, piece.kind, piece.at_unix_ns, piece.data)


def test_record_is_as_documented() -> None:
    """The format is fixed to the byte: other programs read it."""
    header = b"TRC1" + b"\x02\x02\0\0" + bytes(15) + b"\x01" + b"\x02" + bytes(7) + b"\x03\0\0\0"
    checksum = zlib.crc32(header + b"abc").to_bytes(4, "little")
    assert record_of(PIECE) == header + checksum + b"abc"
    assert len(header + checksum) == HEADER_BYTES == 40


@given(PIECES, st.binary(max_size=8))
def test_a_header_tells_of_its_piece(piece: Piece, before: bytes) -> None:
    """Without the piece itself; what does not begin as one does is none."""
    data = before + record_of(piece)[:HEADER_BYTES]
    header = header_at(data, len(before))
    assert header == (
        *(piece.direction, piece.kind, piece.call.bytes),
        *(piece.at_unix_ns, len(piece.data)),
    )
    assert header_at(bytes(HEADER_BYTES)) is None


@given(PIECES, st.binary(max_size=8))
def test_round_trip(piece: Piece, before: bytes) -> None:
    """What is encoded is decoded, wherever it stands."""
    assert decode(before + record_of(piece), len(before)) == piece


@given(PIECES, st.data())
def test_damage_is_found(piece: Piece, data: st.DataObject) -> None:
    """A record with any one bit changed, or cut anywhere, is none."""
    record = bytearray(record_of(piece))
    bit = data.draw(st.integers(0, len(record) * 8 - 1))
    record[bit // 8] ^= 1 << bit % 8
    assert decode(bytes(record)) is None
    assert decode(record_of(piece)[: data.draw(st.integers(0, len(record) - 1))]) is None


@given(st.lists(PIECES, max_size=4), st.data())
def test_scan_stops_where_a_segment_is_torn(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[Piece], data: st.DataObject
) -> None:
    """Every record before the tear is given with its offset, and nothing after it."""
    records = [record_of(piece) for piece in pieces]
    segment = b"".join(records)
    size = data.draw(st.integers(0, len(segment)))
    path = tmp_path_factory.mktemp("segment") / "1.cap"
    path.write_bytes(segment[:size])
    ends = list(itertools.accumulate(map(len, records)))
    whole = sum(end <= size for end in ends)
    assert list(scan(path)) == list(zip([0, *ends][:whole], pieces[:whole], strict=True))


def test_unknown_kind_is_no_record() -> None:
    """A record of a later version, whole as it is, is not taken for one of ours."""
    header = b"TRC1" + b"\x02\x63\0\0" + bytes(28)
    assert decode(header + zlib.crc32(header).to_bytes(4, "little")) is None


def test_offsets_find_records_again(tmp_path: Path) -> None:
    """A writer reads what it wrote by its offsets, in their order."""
    writer = CaptureWriter(tmp_path)
    offsets = array("Q", [writer.append(record_of(PIECE)) for _ in range(3)])
    assert list(offsets) == [0, HEADER_BYTES + 3, 2 * (HEADER_BYTES + 3)]
    writer.flush()
    assert list(writer.read(offsets)) == [PIECE] * 3
    assert writer.name == f"{tmp_path.name}/1.cap"
    writer.close()
