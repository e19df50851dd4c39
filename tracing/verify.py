"""Checks a bundle: whether it is whole, and if not, what is damaged and where. It mends nothing.

A live bundle is checked as far as it is written.
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .bundle_lock import bundle_lock
from .bundle_reader import BundleReader, NotABundle
from .events import (
    EVENT_LOG_NAME,
    MANIFEST_NAME,
    PAYLOADS_NAME,
    SCHEMA_VERSION,
    STREAMS_NAME,
)
from .findings import Code, Finding, Severity, damage, note
from .verify_captures import verify_captures
from .verify_files import payload_numbers, verify_directory, verify_payload, verify_reference
from .verify_log import LogFacts, read_log


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a check came to. The counts are of what could be read."""

    bundle: Path
    is_live: bool
    events: int
    calls: int
    findings: tuple[Finding, ...]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is damaged, in a live bundle so far."""
        return all(finding.severity is not Severity.DAMAGE for finding in self.findings)


def verify(bundle: Path) -> Verdict:
    """Check a bundle, ours in full and another producer's as far as the format is Codex's.

    While it lasts nobody else seals or removes the bundle. It does not raise.
    """
    try:
        with bundle_lock(bundle, shared=True) as is_ours:
            return _verify(bundle, is_live=not is_ours)
    except NotABundle as error:
        code = Code.MANIFEST_DAMAGED if (bundle / EVENT_LOG_NAME).exists() else Code.NOT_A_BUNDLE
        finding = damage(code, ".", f"{error}; nothing else was checked")
    except FileNotFoundError:
        finding = damage(Code.NOT_A_BUNDLE, ".", f"there is no {MANIFEST_NAME}")
    except OSError as error:
        finding = damage(Code.UNREADABLE, ".", f"cannot be read: {error.strerror}")
    return Verdict(bundle=bundle, is_live=False, events=0, calls=0, findings=(finding,))


def _verify(bundle: Path, *, is_live: bool) -> Verdict:
    reader = BundleReader(bundle)
    facts = read_log(reader)
    is_own = _producer(reader.manifest) == "tailrace"
    findings = [
        *_verify_manifest(reader, facts, is_own=is_own),
        *facts.findings,
        *_verify_end(facts, is_live=is_live, is_own=is_own),
        *_verify_payloads(reader, facts, is_live=is_live, is_own=is_own),
    ]
    if is_own:
        is_clean = facts.end_status == "completed"
        if not (bundle / STREAMS_NAME).is_dir():
            findings.append(damage(Code.CAPTURE_MISSING, STREAMS_NAME, "the directory is missing"))
        else:
            findings += verify_captures(bundle, facts.captures, may_be_torn=not is_clean)
        findings += verify_directory(bundle)
    return Verdict(
        bundle=bundle,
        is_live=is_live,
        events=facts.events,
        calls=len(facts.calls),
        findings=tuple(findings),
    )


def _producer(manifest: Mapping[str, object]) -> object:
    match manifest:
        case {"producer": {"name": name}}:
            return name
        case _:
            return None


def _verify_manifest(reader: BundleReader, facts: LogFacts, *, is_own: bool) -> Iterator[Finding]:
    manifest, bundle = reader.manifest, reader.path
    fixed = {
        "schema_version": SCHEMA_VERSION,
        "raw_event_log": EVENT_LOG_NAME,
        "payloads_dir": PAYLOADS_NAME,
    }
    for name, value in fixed.items():
        if manifest.get(name) != value:
            yield damage(Code.MANIFEST_FIELD, MANIFEST_NAME, f"{name} is not {value!r}")
    for name in ("trace_id", "rollout_id", "root_thread_id"):
        if not isinstance(manifest.get(name), str):
            yield damage(Code.MANIFEST_FIELD, MANIFEST_NAME, f"{name} is no string")
    if is_own and bundle.resolve().name != f"trace-{manifest.get('trace_id')}":
        yield note(Code.RENAMED, MANIFEST_NAME, "trace_id is not the one in the directory's name")
    if facts.manifest_crc32 is not None:
        checksum = zlib.crc32((bundle / MANIFEST_NAME).read_bytes())
        if checksum != facts.manifest_crc32:
            yield damage(Code.MANIFEST_CHECKSUM, MANIFEST_NAME, "it was altered")


def _verify_end(facts: LogFacts, *, is_live: bool, is_own: bool) -> Iterator[Finding]:
    """Check how the log ends: what is open in a live bundle is as it should be."""
    if is_live:
        return
    if facts.torn is not None:
        message = f"{facts.torn.size} bytes at offset {facts.torn.offset} are no whole line"
        yield damage(Code.TORN_TAIL, EVENT_LOG_NAME, message)
    if facts.end_status is None:
        if is_own:
            message = (
                "it has no end and its writer is gone; `tailrace recover` seals it"
                f" (open calls: {len(facts.open_calls)})"
            )
            yield damage(Code.NOT_SEALED, EVENT_LOG_NAME, message)
        return
    for call_id in sorted(facts.open_calls):
        yield damage(Code.NO_TERMINAL, EVENT_LOG_NAME, f"the call {call_id} has no terminal event")
    if is_own and facts.end_status == "completed" and not facts.is_recording_completed:
        message = "its last line, recording_completed, is missing"
        yield note(Code.NO_RECORDING_COMPLETED, EVENT_LOG_NAME, message)


def _verify_payloads(
    reader: BundleReader, facts: LogFacts, *, is_live: bool, is_own: bool
) -> Iterator[Finding]:
    for named in facts.payloads:
        finding = verify_payload(reader, named)
        if finding is None and is_own:
            finding = verify_reference(named)
        if finding is not None:
            yield finding
    there = payload_numbers(path.name for path in (reader.path / PAYLOADS_NAME).glob("*"))
    names = payload_numbers(Path(named.ref.path).name for named in facts.payloads)
    for number in sorted(there - names):
        path = f"{PAYLOADS_NAME}/{number}.json"
        if is_live and number > max(names, default=0):
            continue  # the event that names it is still to be written
        if is_own and facts.end_status == "completed":
            yield damage(Code.PAYLOAD_EXTRA, path, "no event names it")
        else:
            message = "no event names it: its writer died before one could"
            yield note(Code.PAYLOAD_EXTRA, path, message)
