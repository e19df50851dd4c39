"""Checks a bundle's event log: each line, the sequence, and that each call has one terminal.

What the events say of payloads and captures is collected here, and checked elsewhere.
"""

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from .bundle_reader import BundleReader, DamagedLine, PayloadRef, RawEvent, TornTail
from .events import END_OF_CALL, EVENT_LOG_NAME, MANIFEST_NAME, SCHEMA_VERSION
from .findings import Code, Finding, damage

_STARTS = frozenset({"inference_started", "compaction_request_started"})
_REFERENCE_OF = {
    "inference_started": "request_payload",
    "inference_completed": "response_payload",
    "compaction_request_started": "request_payload",
    "compaction_request_completed": "response_payload",
    "protocol_event_observed": "event_payload",
}
"""The events that name a payload always, and the field that does."""

_LINE_CHECKSUM = re.compile(rb',"proxy":\{"crc32":(\d{1,10})\}\}\n?\Z')
_NO_CHECKSUM = "the line does not end in its checksum"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPayload:
    """A payload as an event names it, with the hashes that the event knows; None where not."""

    seq: int
    ref: PayloadRef
    size: int | None
    crc32: int | None
    sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureClaim:
    """What a terminal event says of its call's capture."""

    seq: int
    call_id: str
    capture: Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class LogFacts:
    """What a log holds, and what is wrong with it."""

    events: int = 0
    calls: set[str] = field(default_factory=set)
    ended_calls: set[str] = field(default_factory=set)
    end_status: str | None = None
    """The status of ``rollout_ended``; None where there is none."""
    is_recording_completed: bool = False
    torn: TornTail | None = None
    payloads: list[NamedPayload] = field(default_factory=list)
    captures: list[CaptureClaim] = field(default_factory=list)
    manifest_crc32: int | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def open_calls(self) -> set[str]:
        """The calls without a terminal event."""
        return self.calls - self.ended_calls


def read_log(reader: BundleReader) -> LogFacts:
    """Read the log to its end. Raises OSError."""
    log = _Log(reader)
    for event in reader.events():
        match event:
            case RawEvent():
                log.take(event)
            case DamagedLine():
                log.tell(Code.DAMAGED_LINE, f"line {event.line_number}: {event.reason}")
                log.expect_any()
            case TornTail():
                log.facts.torn = event
    log.check_checksums()
    return log.facts


class _Log:
    def __init__(self, reader: BundleReader) -> None:
        self.facts = LogFacts()
        self._reader = reader
        self._manifest = reader.manifest
        self._expected: int | None = 1
        self._seq_of_line: dict[int, int] = {}

    def tell(self, code: Code, message: str, seq: int | None = None) -> None:
        """Note damage."""
        self.facts.findings.append(damage(code, EVENT_LOG_NAME, message, seq))

    def expect_any(self) -> None:
        """Take any next sequence number: the line before could not be read."""
        self._expected = None

    def take(self, event: RawEvent) -> None:
        """Check one event."""
        facts, seq = self.facts, event.seq
        facts.events += 1
        self._seq_of_line[event.line_number] = seq
        self._check_sequence(seq)
        if not event.is_strict:
            self.tell(Code.NOT_STRICT_JSON, "strict parsers refuse the line", seq)
        if event.schema_version != SCHEMA_VERSION:
            self.tell(Code.SCHEMA_VERSION, f"schema_version {event.schema_version}", seq)
        if event.rollout_id != self._manifest.get("rollout_id"):
            self.tell(Code.FOREIGN_EVENT, "rollout_id is not the manifest's", seq)
        if facts.is_recording_completed:
            self.tell(Code.AFTER_END, f"{event.type} after recording_completed", seq)
        self._fold(event)
        facts.payloads += self._named(event)

    def _check_sequence(self, seq: int) -> None:
        expected, self._expected = self._expected, seq + 1
        if expected is None or seq == expected:
            return
        if seq > expected:
            self.tell(Code.SEQ_GAP, f"{seq - expected} events are missing before it", seq)
        else:
            self.tell(Code.SEQ_DUPLICATE, f"the number {expected} was expected", seq)
            self._expected = max(expected, seq + 1)

    def _fold(self, event: RawEvent) -> None:
        facts = self.facts
        match event.payload:
            case {"type": "rollout_started", **fields}:
                self._check_ids(event.seq, fields)
            case {"type": "rollout_ended", "status": str(status)}:
                facts.end_status = status
            case {"type": "recording_completed"}:
                facts.is_recording_completed = True
            case {"type": str(kind), **fields} if kind in _STARTS:
                self._start(event.seq, _call_id(fields))
            case {"type": str(kind), **fields} if kind in END_OF_CALL:
                self._end(event.seq, kind, fields)
            case _:
                pass

    def _check_ids(self, seq: int, fields: Mapping[str, object]) -> None:
        for name in ("trace_id", "root_thread_id"):
            if fields.get(name) != self._manifest.get(name):
                message = f"{name} is not the one of rollout_started"
                self.facts.findings.append(damage(Code.MANIFEST_FIELD, MANIFEST_NAME, message, seq))
        match fields:
            case {"proxy": {"manifest_crc32": int(checksum)}}:
                self.facts.manifest_crc32 = checksum

    def _start(self, seq: int, call_id: str) -> None:
        if call_id in self.facts.calls:
            self.tell(Code.SECOND_START, f"the call {call_id} was started before", seq)
        self.facts.calls.add(call_id)

    def _end(self, seq: int, kind: str, fields: Mapping[str, object]) -> None:
        call_id = _call_id(fields)
        if call_id not in self.facts.calls:
            self.tell(Code.TERMINAL_WITHOUT_START, f"{kind} of a call never started", seq)
        elif call_id in self.facts.ended_calls:
            self.tell(Code.SECOND_TERMINAL, f"the call {call_id} had ended before", seq)
        self.facts.ended_calls.add(call_id)
        match fields:
            case {"proxy": {"capture": dict(capture)}}:
                claim = CaptureClaim(seq=seq, call_id=_bare(call_id), capture=capture)
                self.facts.captures.append(claim)

    def _named(self, event: RawEvent) -> Iterator[NamedPayload]:
        """The payloads that an event names."""
        needed = _REFERENCE_OF.get(event.type)
        if needed is not None and not _is_reference(event.payload.get(needed)):
            self.tell(Code.REFERENCE, f"{event.type} names no {needed}", event.seq)
        sha256 = _request_sha256(event.payload)
        for name, value in _references(event.payload):
            ref = PayloadRef.parse(value)
            if ref is None:
                self.tell(Code.REFERENCE, f"{name} is no reference to a payload", event.seq)
                continue
            size, crc32 = _sums(value)
            yield NamedPayload(
                seq=event.seq,
                ref=ref,
                size=size,
                crc32=crc32,
                sha256=sha256 if name == "request_payload" else None,
            )

    def check_checksums(self) -> None:
        """Hold each event against the checksum that its line ends in, where lines have one."""
        with (self._reader.path / EVENT_LOG_NAME).open("rb") as log:
            sums = {
                seq: _checksum_fault(line)
                for line_number, line in enumerate(log, start=1)
                if (seq := self._seq_of_line.get(line_number)) is not None
            }
        if set(sums.values()) == {_NO_CHECKSUM}:
            return
        for seq, fault in sums.items():
            if fault is not None:
                self.tell(Code.LINE_CHECKSUM, fault, seq)


def _checksum_fault(line: bytes) -> str | None:
    found = _LINE_CHECKSUM.search(line)
    if found is None:
        return _NO_CHECKSUM
    if zlib.crc32(line[: found.start()] + b"}") != int(found[1]):
        return "the line was altered"
    return None


def _call_id(fields: Mapping[str, object]) -> str:
    return str(fields.get("inference_call_id") or fields.get("compaction_request_id"))


def _bare(call_id: str) -> str:
    return call_id.removeprefix("compaction_request:")


def _is_reference(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict) and "raw_payload_id" in value


def _references(payload: Mapping[str, object]) -> Iterator[tuple[str, dict[str, object]]]:
    """Whatever in an event refers to a payload, with the name of its field."""
    proxy = payload.get("proxy")
    for fields in (payload, proxy if isinstance(proxy, dict) else {}):
        for name, value in fields.items():
            for entry in value if isinstance(value, list) else [value]:
                if _is_reference(entry):
                    yield name, entry


def _request_sha256(payload: Mapping[str, object]) -> str | None:
    match payload:
        case {"proxy": {"request": {"kept_sha256": str(sha256)}}}:
            return sha256
        case _:
            return None


def _sums(reference: Mapping[str, object]) -> tuple[int | None, int | None]:
    match reference:
        case {"proxy": {"bytes": int(size), "crc32": int(crc32)}}:
            return size, crc32
        case _:
            return None, None
