"""Reads a bundle: its manifest, its events one by one, and the payloads that they name.

It says what is damaged and reads on; it does not know what the events mean.
"""

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Self, TypeGuard

from .events import EVENT_LOG_NAME, MANIFEST_NAME
from .strict_json import NotStrictJson, dumps, loads_lenient, loads_strict

SEQ_MAX = 2**64 - 1
UNIX_MS_MAX = 2**63 - 1

MANIFEST_BYTES_MAX = 16 * 1024 * 1024
PAYLOAD_BYTES_MAX = 1024 * 1024 * 1024
"""Larger files are not read: a bound on memory, far beyond what a recorder keeps by default."""


class NotABundle(Exception):
    """The directory has no manifest that parses, or no event log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawEvent:
    """One line of the event log. `line_number` counts from 1.

    `is_strict` is False where Codex's parser refuses the line and we took it all the same.
    """

    line_number: int
    schema_version: int
    seq: int
    wall_time_unix_ms: int
    rollout_id: str
    thread_id: str | None
    codex_turn_id: str | None
    payload: dict[str, object]
    is_strict: bool

    @property
    def type(self) -> str:
        """The event's type; empty where it has none."""
        kind = self.payload.get("type")
        return kind if isinstance(kind, str) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedLine:
    """A line that is no event. `offset` is its first byte's place in the file."""

    line_number: int
    offset: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TornTail:
    """What follows the last newline and is no event: the write that a crash cut off. In bytes."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadRef:
    """What an event says of a payload: its id, its kind and its path within the bundle."""

    raw_payload_id: str
    kind: str
    path: str

    @classmethod
    def parse(cls, value: object) -> Self | None:
        """Read a reference from an event's field; None where it is none."""
        if not isinstance(value, dict):
            return None
        kind = value.get("kind")
        kind = kind.get("type") if isinstance(kind, dict) else None
        raw_payload_id, path = value.get("raw_payload_id"), value.get("path")
        if isinstance(raw_payload_id, str) and isinstance(kind, str) and isinstance(path, str):
            return cls(raw_payload_id=raw_payload_id, kind=kind, path=path)
        return None


class PayloadFault(StrEnum):
    """Why a payload cannot be had."""

    OUTSIDE = "its path leaves the bundle"
    MISSING = "its file is missing"
    UNREADABLE = "its file cannot be read"
    TOO_LARGE = "it is too large to be read"
    NOT_JSON = "it is no JSON"


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedPayload:
    """A payload that cannot be had."""

    ref: PayloadRef
    fault: PayloadFault


class BundleReader:
    """One bundle on disk. Raises NotABundle where the directory is none.

    An event log alone tells most of what happened: with `needs_manifest=False` a manifest that is
    missing or damaged is empty, and `manifest_fault` says what is wrong with it.
    """

    def __init__(self, path: Path, *, needs_manifest: bool = True) -> None:
        self.path = path
        self.manifest: dict[str, object] = {}
        self.manifest_fault: str | None = None
        try:
            self.manifest = _read_manifest(path)
        except NotABundle as error:
            if needs_manifest:
                raise
            self.manifest_fault = str(error).removeprefix(f"{path}: ")
        if not (path / EVENT_LOG_NAME).is_file():
            raise NotABundle(f"{path}: no {EVENT_LOG_NAME}")
        self._root = path.resolve()
        self._plain_directories: set[str] = set()
        """Directories of the bundle that are reached without a link."""

    def events(self) -> Iterator[RawEvent | DamagedLine | TornTail]:
        """The event log in file order, blank lines left out. Raises OSError."""
        offset = 0
        with (self.path / EVENT_LOG_NAME).open("rb") as log:
            for line_number, line in enumerate(log, start=1):
                if line.strip():
                    yield read_line(line, line_number=line_number, offset=offset)
                offset += len(line)

    def payload_bytes(self, ref: PayloadRef) -> bytes | DamagedPayload:
        """The bytes of a payload. A path that leaves the bundle is not followed."""
        if not _stays_inside(ref.path):
            return DamagedPayload(ref=ref, fault=PayloadFault.OUTSIDE)
        data = self._regular_file(ref.path)
        if data is not None:
            return data
        try:
            place = (self._root / ref.path).resolve()
            if not place.is_relative_to(self._root):
                return DamagedPayload(ref=ref, fault=PayloadFault.OUTSIDE)
            if not place.exists():
                return DamagedPayload(ref=ref, fault=PayloadFault.MISSING)
            # A FIFO or a device would block the reader.
            if not place.is_file():
                return DamagedPayload(ref=ref, fault=PayloadFault.UNREADABLE)
            if place.stat().st_size > PAYLOAD_BYTES_MAX:
                return DamagedPayload(ref=ref, fault=PayloadFault.TOO_LARGE)
            return place.read_bytes()
        except (OSError, ValueError, RuntimeError):  # RuntimeError: a loop of symlinks
            return DamagedPayload(ref=ref, fault=PayloadFault.UNREADABLE)

    def _regular_file(self, path: str) -> bytes | None:
        """The bytes of a file right in a directory of ours; None where there is more to it.

        Nearly every payload is such a file, and no link on the way to it need be looked for.
        """
        directory, _, name = path.rpartition("/")
        if directory not in self._plain_directories:
            place = self._root / directory
            if place.resolve() != place:
                return None
            self._plain_directories.add(directory)
        # Without waiting: what was named may be a FIFO.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(f"{self._root}/{directory}/{name}", flags)
        except (OSError, ValueError):
            return None
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_size > PAYLOAD_BYTES_MAX:
                return None
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read()
        finally:
            os.close(descriptor)

    def payload(self, ref: PayloadRef) -> object | DamagedPayload:
        """A payload, parsed leniently: what any reader of JSON takes is taken."""
        data = self.payload_bytes(ref)
        if isinstance(data, DamagedPayload):
            return data
        try:
            return loads_lenient(data)
        except NotStrictJson:
            return DamagedPayload(ref=ref, fault=PayloadFault.NOT_JSON)


def _read_manifest(path: Path) -> dict[str, object]:
    file = path / MANIFEST_NAME
    if file.exists() and not file.is_file():
        raise NotABundle(f"{path}: {MANIFEST_NAME} is no file")
    try:
        if file.stat().st_size > MANIFEST_BYTES_MAX:
            raise NotABundle(f"{path}: {MANIFEST_NAME} is too large to be read")
        manifest, _ = _loads(file.read_bytes())
    except OSError as error:
        raise NotABundle(f"{path}: no {MANIFEST_NAME} ({os.strerror(error.errno or 0)})") from None
    except NotStrictJson:
        raise NotABundle(f"{path}: {MANIFEST_NAME} is no JSON") from None
    if not isinstance(manifest, dict):
        raise NotABundle(f"{path}: {MANIFEST_NAME} is no JSON object")
    return manifest


def _stays_inside(path: str) -> bool:
    parts = PurePosixPath(path)
    return bool(path) and not parts.is_absolute() and ".." not in parts.parts and "\0" not in path


def read_line(line: bytes, *, line_number: int, offset: int) -> RawEvent | DamagedLine | TornTail:
    """What a line of the event log is; one without a line end that is no event is a torn tail."""
    try:
        value, is_strict = _loads(line)
        event = _event(value, line_number=line_number, is_strict=is_strict)
    except NotStrictJson:
        event = "it is no JSON"
    if isinstance(event, RawEvent):
        return event
    if not line.endswith(b"\n"):
        return TornTail(offset=offset, size=len(line))
    return DamagedLine(line_number=line_number, offset=offset, reason=event)


def _loads(line: bytes) -> tuple[object, bool]:
    try:
        value = loads_strict(line)
        return value, not _names_a_key_twice(line, value)
    except NotStrictJson:
        # What a lenient parser lets through must not reach what we write ourselves.
        return loads_strict(dumps(loads_lenient(line))), False


def _names_a_key_twice(line: bytes, value: object) -> bool:
    """Whether an object has two members of one name: Codex refuses such an event."""
    # Written without spaces, a line is as long as what it says, unless it says something twice.
    if len(line.rstrip()) == len(dumps(value)):
        return False
    found = False

    def check(pairs: list[tuple[str, object]]) -> None:
        nonlocal found
        found = found or len({name for name, _ in pairs}) < len(pairs)

    json.loads(line, object_pairs_hook=check)
    return found


def _event(value: object, *, line_number: int, is_strict: bool) -> RawEvent | str:
    """The event in a line's JSON, or why it is none."""
    if not isinstance(value, dict):
        return "it is no JSON object"
    version, seq, time = (value.get(k) for k in ("schema_version", "seq", "wall_time_unix_ms"))
    if not (_is_int(version) and _is_int(seq) and 0 <= seq <= SEQ_MAX):
        return "schema_version or seq is no whole number"
    if not (_is_int(time) and abs(time) <= UNIX_MS_MAX):
        return "wall_time_unix_ms is no whole number"
    rollout_id, payload = value.get("rollout_id"), value.get("payload")
    thread_id, turn_id = value.get("thread_id"), value.get("codex_turn_id")
    if not isinstance(rollout_id, str):
        return "rollout_id is no string"
    if not isinstance(thread_id, str | None) or not isinstance(turn_id, str | None):
        return "thread_id or codex_turn_id is neither string nor null"
    if not isinstance(payload, dict) or not isinstance(payload.get("type"), str):
        return "payload is no object with a type"
    return RawEvent(
        line_number=line_number,
        schema_version=version,
        seq=seq,
        wall_time_unix_ms=time,
        rollout_id=rollout_id,
        thread_id=thread_id,
        codex_turn_id=turn_id,
        payload=payload,
        is_strict=is_strict,
    )


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
