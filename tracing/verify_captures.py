"""Checks the captures of a bundle: each record's checksum, and what the calls' ends say of them."""

import hashlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from .capture import HEADER_BYTES, Kind, Piece, decode
from .events import STREAMS_NAME
from .findings import Code, Finding, Severity, damage
from .verify_log import CaptureClaim

_MAGIC = b"TRC1"
_LENGTH = struct.Struct("<32xI")
"""Where a record's header, laid out in ``capture``, has its piece's length."""

_SEARCH_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Bytes of a segment that are no record: ``is_torn`` where the segment ends within one."""

    offset: int
    size: int
    is_torn: bool


@dataclass(slots=True)
class _Kept:
    """What a segment holds of one call."""

    offset: int
    bytes: int = 0
    sha256: "hashlib._Hash" = field(default_factory=hashlib.sha256)


def read_segment(path: Path) -> Iterator[tuple[int, Piece] | Fault]:
    """The records of a segment with their offsets, and what lies between them and is none.

    Raises OSError.
    """
    with path.open("rb") as segment:
        end = segment.seek(0, 2)
        offset = 0
        while offset < end:
            record = _read_record(segment, offset, end)
            piece = decode(record)
            if piece is not None:
                yield offset, piece
                offset += len(record)
                continue
            after = _next_record(segment, offset + 1, end)
            is_torn = after == end and _is_cut(segment, offset, end)
            yield Fault(offset=offset, size=after - offset, is_torn=is_torn)
            offset = after


def _read_record(segment: BinaryIO, offset: int, end: int) -> bytes:
    """The bytes of the record at ``offset``; its header alone where the segment has no more."""
    segment.seek(offset)
    header = segment.read(HEADER_BYTES)
    size = _size(header)
    if size is None or offset + size > end:
        return header
    return header + segment.read(size - HEADER_BYTES)


def _is_cut(segment: BinaryIO, offset: int, end: int) -> bool:
    """Whether the segment ends within the record that begins at ``offset``."""
    segment.seek(offset)
    header = segment.read(HEADER_BYTES)
    size = _size(header)
    if size is not None:
        return offset + size > end
    return len(header) < HEADER_BYTES and _MAGIC.startswith(header[: len(_MAGIC)])


def _size(header: bytes) -> int | None:
    """The size of the record with this header; None where it is none."""
    if len(header) < HEADER_BYTES or not header.startswith(_MAGIC):
        return None
    (length,) = _LENGTH.unpack_from(header)
    return HEADER_BYTES + int(length)


def _next_record(segment: BinaryIO, offset: int, end: int) -> int:
    """Where the next whole record begins; the segment's end where none does."""
    while offset < end:
        segment.seek(offset)
        window = segment.read(_SEARCH_BYTES)
        found = window.find(_MAGIC)
        if found < 0:
            # The magic may begin in this window and end in the next.
            offset += max(len(window) - len(_MAGIC) + 1, 1)
        elif decode(_read_record(segment, offset + found, end)) is not None:
            return offset + found
        else:
            offset += found + 1
    return end


def verify_captures(
    bundle: Path, claims: Sequence[CaptureClaim], *, may_be_torn: bool
) -> list[Finding]:
    """Check every segment. ``may_be_torn``: the writer died, or writes on. Raises OSError."""
    findings: list[Finding] = []
    segments: dict[str, dict[UUID, _Kept]] = {}
    for path in sorted((bundle / STREAMS_NAME).glob("*.cap")):
        name = f"{STREAMS_NAME}/{path.name}"
        kept = segments.setdefault(name, {})
        for entry in read_segment(path):
            match entry:
                case Fault():
                    findings.append(_fault(name, entry, may_be_torn=may_be_torn))
                case (offset, piece):
                    _add(kept, offset, piece)
    for claim in claims:
        findings += _against_claim(claim, segments)
    return findings


def _fault(name: str, fault: Fault, *, may_be_torn: bool) -> Finding:
    code = Code.CAPTURE_TORN if fault.is_torn else Code.CAPTURE_RECORD
    what = "the segment ends within a record" if fault.is_torn else "no whole record"
    return Finding(
        severity=Severity.NOTE if fault.is_torn and may_be_torn else Severity.DAMAGE,
        code=code,
        file=name,
        seq=None,
        message=f"{what}: {fault.size} bytes at offset {fault.offset}",
    )


def _add(kept: dict[UUID, _Kept], offset: int, piece: Piece) -> None:
    call = kept.setdefault(piece.call, _Kept(offset))
    if piece.kind is not Kind.HEAD:
        call.bytes += len(piece.data)
        call.sha256.update(piece.data)


def _against_claim(
    claim: CaptureClaim, segments: dict[str, dict[UUID, _Kept]]
) -> Iterator[Finding]:
    """What a call's end says of its capture, against what there is."""
    match claim.capture:
        case {"file": str(name), "offset": int() | None as offset, "bytes": int(size), **rest}:
            pass
        case _:
            message = "the event's capture is not told as one"
            yield damage(Code.CAPTURE_MISMATCH, STREAMS_NAME, message, claim.seq)
            return
    directory, _, stem = name.rpartition("/")
    if directory != STREAMS_NAME or "\0" in stem:
        message = "the event's capture is no segment of this bundle"
        yield damage(Code.CAPTURE_OUTSIDE, STREAMS_NAME, message, claim.seq)
        return
    if name not in segments:
        yield damage(Code.CAPTURE_MISSING, name, "the segment is missing", claim.seq)
        return
    call = segments[name].get(_uuid(claim.call_id))
    found = (call.offset, call.bytes, call.sha256.hexdigest()) if call else (None, 0, _EMPTY)
    told = (offset, size, rest.get("sha256"))
    for what, is_there, was_told in zip(("offset", "bytes", "sha256"), found, told, strict=True):
        if is_there != was_told:
            message = f"call {claim.call_id}: {what} is {is_there}, and was {was_told} at its end"
            yield damage(Code.CAPTURE_MISMATCH, name, message, claim.seq)
            return


_EMPTY = hashlib.sha256().hexdigest()


def _uuid(call_id: str) -> UUID:
    try:
        return UUID(call_id)
    except ValueError:
        return UUID(int=0)
