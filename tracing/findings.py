"""What a check of a bundle can find."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is. Only damage makes a bundle one that is not whole."""

    DAMAGE = "damage"
    WARNING = "warning"
    NOTE = "note"


class Code(StrEnum):
    """What was found. The values are printed for programs, so they do not change."""

    # The bundle and its manifest.
    NOT_A_BUNDLE = "not_a_bundle"
    UNREADABLE = "unreadable"
    MANIFEST_DAMAGED = "manifest_damaged"
    MANIFEST_FIELD = "manifest_field"
    MANIFEST_CHECKSUM = "manifest_checksum"
    RENAMED = "renamed"
    NOT_SEALED = "not_sealed"
    MODE = "mode"
    NOT_A_FILE = "not_a_file"
    UNKNOWN_FILE = "unknown_file"
    TORN_TAIL_KEPT = "torn_tail_kept"
    # The event log.
    TORN_TAIL = "torn_tail"
    DAMAGED_LINE = "damaged_line"
    LINE_CHECKSUM = "line_checksum"
    NOT_STRICT_JSON = "not_strict_json"
    SCHEMA_VERSION = "schema_version"
    SEQ_GAP = "seq_gap"
    SEQ_DUPLICATE = "seq_duplicate"
    FOREIGN_EVENT = "foreign_event"
    AFTER_END = "after_end"
    NO_RECORDING_COMPLETED = "no_recording_completed"
    # Calls.
    SECOND_START = "second_start"
    SECOND_TERMINAL = "second_terminal"
    TERMINAL_WITHOUT_START = "terminal_without_start"
    NO_TERMINAL = "no_terminal"
    # Payloads.
    REFERENCE = "reference"
    PAYLOAD_OUTSIDE = "payload_outside"
    PAYLOAD_MISSING = "payload_missing"
    PAYLOAD_UNREADABLE = "payload_unreadable"
    PAYLOAD_NOT_JSON = "payload_not_json"
    PAYLOAD_CHECKSUM = "payload_checksum"
    PAYLOAD_EXTRA = "payload_extra"
    # Captures.
    CAPTURE_MISSING = "capture_missing"
    CAPTURE_OUTSIDE = "capture_outside"
    CAPTURE_RECORD = "capture_record"
    CAPTURE_TORN = "capture_torn"
    CAPTURE_MISMATCH = "capture_mismatch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found: in which file of the bundle, and at which event, if at one."""

    severity: Severity
    code: Code
    file: str
    seq: int | None
    message: str


def damage(code: Code, file: str, message: str, seq: int | None = None) -> Finding:
    """Return a finding of damage."""
    return Finding(severity=Severity.DAMAGE, code=code, file=file, seq=seq, message=message)


def note(code: Code, file: str, message: str) -> Finding:
    """Return a finding that is no damage, but good to know."""
    return Finding(severity=Severity.NOTE, code=code, file=file, seq=None, message=message)
