"""Checks the files of a bundle: the payloads that events name, what else lies there, the modes."""

import hashlib
import re
import stat
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from .bundle_reader import BundleReader, DamagedPayload, PayloadFault
from .events import EVENT_LOG_NAME, MANIFEST_NAME, PAYLOADS_NAME, STATE_NAME, STREAMS_NAME
from .findings import Code, Finding, Severity, damage, note
from .strict_json import NotStrictJson, loads_strict
from .verify_log import NamedPayload

_CODE_OF = {
    PayloadFault.OUTSIDE: Code.PAYLOAD_OUTSIDE,
    PayloadFault.MISSING: Code.PAYLOAD_MISSING,
    PayloadFault.UNREADABLE: Code.PAYLOAD_UNREADABLE,
    PayloadFault.TOO_LARGE: Code.PAYLOAD_UNREADABLE,
    PayloadFault.NOT_JSON: Code.PAYLOAD_NOT_JSON,
}

_OWN_NAMES = frozenset({MANIFEST_NAME, EVENT_LOG_NAME, PAYLOADS_NAME, STREAMS_NAME, STATE_NAME})
_SEGMENT = re.compile(r"\d+\.cap")
_PAYLOAD = re.compile(r"([1-9]\d{0,17})\.json")
_TORN = re.compile(r"torn-\d+\.bin")

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def verify_payload(reader: BundleReader, named: NamedPayload) -> Finding | None:
    """Check a payload that an event names: that it is there, is JSON, and is what was written."""
    data = reader.payload_bytes(named.ref)
    path, seq = named.ref.path, named.seq
    if isinstance(data, DamagedPayload):
        return damage(_CODE_OF[data.fault], path, data.fault, seq)
    if named.size is not None and len(data) != named.size:
        message = f"it has {len(data)} bytes, and {named.size} were written"
        return damage(Code.PAYLOAD_CHECKSUM, path, message, seq)
    if named.crc32 is not None and zlib.crc32(data) != named.crc32:
        return damage(Code.PAYLOAD_CHECKSUM, path, "it was altered: its CRC-32 is another", seq)
    if named.sha256 is not None and hashlib.sha256(data).hexdigest() != named.sha256:
        return damage(Code.PAYLOAD_CHECKSUM, path, "it was altered: its SHA-256 is another", seq)
    try:
        loads_strict(data)
    except NotStrictJson as error:
        return damage(Code.PAYLOAD_NOT_JSON, path, f"no strict JSON: {error}", seq)
    return None


def verify_reference(named: NamedPayload) -> Finding | None:
    """Check that the two names of a payload, its id and its path, are of the same number."""
    number = named.ref.raw_payload_id.removeprefix("raw_payload:")
    if named.ref.path == f"{PAYLOADS_NAME}/{number}.json":
        return None
    message = f"{named.ref.raw_payload_id} is not the payload at that path"
    return damage(Code.REFERENCE, named.ref.path, message, named.seq)


def payload_numbers(names: Iterable[str]) -> set[int]:
    """The numbers of those of these file names that are payloads'."""
    return {int(found[1]) for name in names if (found := _PAYLOAD.fullmatch(name))}


def verify_directory(bundle: Path) -> Iterator[Finding]:
    """Check what lies in the bundle: nothing but what belongs there, for its owner only.

    Raises OSError.
    """
    if finding := _mode(bundle, ".", is_directory=True):
        yield finding
    for path in sorted(bundle.rglob("*")):
        name = str(path.relative_to(bundle))
        is_directory = name in {PAYLOADS_NAME, STREAMS_NAME}
        if not _belongs(name):
            yield note(Code.UNKNOWN_FILE, name, "tailrace does not write such a file")
        elif finding := _mode(path, name, is_directory=is_directory):
            yield finding
        if _TORN.fullmatch(name):
            message = "the end of a line that a crash cut off, kept when the bundle was sealed"
            yield note(Code.TORN_TAIL_KEPT, name, message)


def _belongs(name: str) -> bool:
    match name.split("/"):
        case [own]:
            return own in _OWN_NAMES or _TORN.fullmatch(own) is not None
        case [directory, own] if directory == PAYLOADS_NAME:
            return _PAYLOAD.fullmatch(own) is not None
        case [directory, own] if directory == STREAMS_NAME:
            return _SEGMENT.fullmatch(own) is not None
        case _:
            return False


def _mode(path: Path, name: str, *, is_directory: bool) -> Finding | None:
    mode = path.lstat().st_mode
    if not (stat.S_ISDIR(mode) if is_directory else stat.S_ISREG(mode)):
        kind = "directory" if is_directory else "regular file"
        return damage(Code.NOT_A_FILE, name, f"it is no {kind}")
    if not mode & _OTHERS:
        return None
    message = f"its mode is {stat.S_IMODE(mode):04o}: others than its owner have access"
    return Finding(severity=Severity.WARNING, code=Code.MODE, file=name, seq=None, message=message)
