"""Each kind of damage that a bundle can take is found, and told for what it is."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.harmed_bundle import (
    CAPTURE,
    LOG,
    edit_file,
    lines_of,
    overwrite,
    record_all_kinds,
    write_lines,
)
from tests.support.recording import only_bundle, recording
from tracing.findings import Code
from tracing.verify import verify


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A whole bundle, closed, of every kind of record."""
    with recording(tmp_path) as made:
        record_all_kinds(made)
        return only_bundle(made.close())


def log_without(kind: str) -> Callable[[Path], None]:
    """A damage: the first event of this type is gone, and the others are numbered anew."""

    def harm(bundle: Path) -> None:
        lines = lines_of(bundle)
        lines.remove(next(line for line in lines if line["payload"]["type"] == kind))
        write_lines(bundle, lines, renumber=True)

    return harm


def log_with_twice(kind: str) -> Callable[[Path], None]:
    """A damage: the first event of this type is there a second time, right after it."""

    def harm(bundle: Path) -> None:
        lines = lines_of(bundle)
        at = next(n for n, line in enumerate(lines) if line["payload"]["type"] == kind)
        write_lines(bundle, [*lines[: at + 1], *lines[at:]], renumber=True)

    return harm


def log_as(edit: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Callable[[Path], None]:
    """A damage: the events as this makes them."""
    return lambda bundle: write_lines(bundle, edit(lines_of(bundle)))


def log_bytes(edit: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """A damage: the log's bytes as this makes them."""
    return lambda bundle: edit_file(bundle / LOG, edit)


def manifest_with(**fields: Any) -> Callable[[Path], None]:
    """A damage: the manifest says otherwise."""
    return lambda bundle: edit_file(
        bundle / "manifest.json", lambda data: json.dumps(json.loads(data) | fields).encode()
    )


def replace_payload(make: Callable[[Path], object]) -> Callable[[Path], None]:
    """A damage: something else stands in the place of a payload, whose bytes are in state.json."""

    def harm(bundle: Path) -> None:
        payload = bundle / "payloads/2.json"
        payload.rename(bundle / "state.json")
        make(payload)

    return harm


def _with_reference(path: str) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    def edit(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        started = next(line for line in lines if line["payload"]["type"] == "inference_started")
        started["payload"]["request_payload"]["path"] = path
        return lines

    return edit


def _with_capture(**fields: Any) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    def edit(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        ended = next(line for line in lines if line["payload"]["type"] == "inference_completed")
        ended["payload"]["proxy"]["capture"].update(fields)
        return lines

    return edit


DAMAGES: list[tuple[str, Callable[[Path], object], tuple[Code, str, int | None]]] = [
    # The manifest.
    ("manifest gone", lambda b: (b / "manifest.json").unlink(), (Code.NOT_A_BUNDLE, ".", None)),
    (
        "manifest torn",
        lambda b: os.truncate(b / "manifest.json", 30),
        (Code.MANIFEST_DAMAGED, ".", None),
    ),
    (
        "manifest of another trace",
        manifest_with(trace_id="0"),
        (Code.MANIFEST_FIELD, "manifest.json", 1),
    ),
    (
        "another root thread",
        manifest_with(root_thread_id="0"),
        (Code.MANIFEST_FIELD, "manifest.json", 1),
    ),
    ("another rollout", manifest_with(rollout_id="0"), (Code.FOREIGN_EVENT, LOG, 1)),
    (
        "another schema",
        manifest_with(schema_version=1),
        (Code.MANIFEST_FIELD, "manifest.json", None),
    ),
    (
        "another log",
        manifest_with(raw_event_log="x"),
        (Code.MANIFEST_FIELD, "manifest.json", None),
    ),
    ("no thread", manifest_with(rollout_id=1), (Code.MANIFEST_FIELD, "manifest.json", None)),
    # The log.
    ("log gone", lambda b: (b / LOG).unlink(), (Code.NOT_A_BUNDLE, ".", None)),
    ("log empty", lambda b: os.truncate(b / LOG, 0), (Code.NOT_SEALED, LOG, None)),
    ("torn tail", log_bytes(lambda data: data[:-20]), (Code.TORN_TAIL, LOG, None)),
    (
        "line of noise",
        log_bytes(lambda data: data.replace(b'{"schema', b'\x00"schema', 1)),
        (Code.DAMAGED_LINE, LOG, None),
    ),
    (
        "no UTF-8",
        log_bytes(lambda data: data.replace(b"api.openai.com", b"api.open\xff.com", 1)),
        (Code.NOT_STRICT_JSON, LOG, 4),
    ),
    (
        "line of another schema",
        log_as(lambda lines: [lines[0], lines[1] | {"schema_version": 1}, *lines[2:]]),
        (Code.SCHEMA_VERSION, LOG, 2),
    ),
    (
        "line of another bundle",
        log_as(lambda lines: [lines[0], lines[1] | {"rollout_id": "x"}, *lines[2:]]),
        (Code.FOREIGN_EVENT, LOG, 2),
    ),
    ("lines lost", log_as(lambda lines: lines[:2] + lines[4:]), (Code.SEQ_GAP, LOG, 5)),
    ("first line lost", log_as(lambda lines: lines[1:]), (Code.SEQ_GAP, LOG, 2)),
    ("last lines lost", log_as(lambda lines: lines[:-2]), (Code.NOT_SEALED, LOG, None)),
    (
        "very last line lost",
        log_as(lambda lines: lines[:-1]),
        (Code.NO_RECORDING_COMPLETED, LOG, None),
    ),
    ("line twice", log_as(lambda lines: lines[:3] + lines[2:]), (Code.SEQ_DUPLICATE, LOG, 3)),
    (
        "lines swapped",
        log_as(lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]]),
        (Code.SEQ_DUPLICATE, LOG, 3),
    ),
    (
        "more after the end",
        log_as(lambda lines: [*lines, lines[1] | {"seq": len(lines) + 1}]),
        (Code.AFTER_END, LOG, None),
    ),
    # Calls.
    ("second start", log_with_twice("inference_started"), (Code.SECOND_START, LOG, 5)),
    ("second terminal", log_with_twice("inference_completed"), (Code.SECOND_TERMINAL, LOG, 6)),
    ("no terminal", log_without("inference_completed"), (Code.NO_TERMINAL, LOG, None)),
    ("no start", log_without("inference_started"), (Code.TERMINAL_WITHOUT_START, LOG, 4)),
    (
        "no start of a compaction",
        log_without("compaction_request_started"),
        (Code.TERMINAL_WITHOUT_START, LOG, None),
    ),
    # Payloads.
    (
        "payload gone",
        lambda b: (b / "payloads/2.json").unlink(),
        (Code.PAYLOAD_MISSING, "payloads/2.json", 5),
    ),
    (
        "payloads gone",
        lambda b: shutil.rmtree(b / "payloads"),
        (Code.PAYLOAD_MISSING, "payloads/1.json", 4),
    ),
    (
        "payload torn",
        lambda b: os.truncate(b / "payloads/2.json", 9),
        (Code.PAYLOAD_CHECKSUM, "payloads/2.json", 5),
    ),
    (
        "request altered",
        lambda b: edit_file(b / "payloads/1.json", lambda data: data.replace(b"user", b"uses")),
        (Code.PAYLOAD_CHECKSUM, "payloads/1.json", 4),
    ),
    (
        "payload no event names",
        lambda b: shutil.copy(b / "payloads/1.json", b / "payloads/99.json"),
        (Code.PAYLOAD_EXTRA, "payloads/99.json", None),
    ),
    (
        "reference to another payload",
        log_as(_with_reference("payloads/2.json")),
        (Code.PAYLOAD_CHECKSUM, "payloads/2.json", 4),
    ),
    (
        "reference that leaves the bundle",
        log_as(_with_reference("../secret.json")),
        (Code.PAYLOAD_OUTSIDE, "../secret.json", 4),
    ),
    (
        "reference that is none",
        log_bytes(lambda data: data.replace(b'"path":"payloads/1.json"', b'"paht":""')),
        (Code.REFERENCE, LOG, 4),
    ),
    (
        "no reference",
        log_bytes(lambda data: data.replace(b'"response_payload":{', b'"response_pyaload":{')),
        (Code.REFERENCE, LOG, 5),
    ),
    (
        "payload is a link",
        replace_payload(lambda path: path.symlink_to("../state.json")),
        (Code.NOT_A_FILE, "payloads/2.json", None),
    ),
    (
        "payload is a pipe",
        replace_payload(os.mkfifo),
        (Code.PAYLOAD_UNREADABLE, "payloads/2.json", 5),
    ),
    # Captures.
    (
        "streams gone",
        lambda b: shutil.rmtree(b / "streams"),
        (Code.CAPTURE_MISSING, "streams", None),
    ),
    ("segment gone", lambda b: (b / CAPTURE).unlink(), (Code.CAPTURE_MISSING, CAPTURE, 5)),
    (
        "segment torn",
        lambda b: os.truncate(b / CAPTURE, (b / CAPTURE).stat().st_size - 3),
        (Code.CAPTURE_TORN, CAPTURE, None),
    ),
    (
        "segment torn in a header",
        lambda b: edit_file(b / CAPTURE, lambda data: data + data[:39]),
        (Code.CAPTURE_TORN, CAPTURE, None),
    ),
    (
        "more in the segment",
        lambda b: edit_file(b / CAPTURE, lambda data: data + b"more"),
        (Code.CAPTURE_RECORD, CAPTURE, None),
    ),
    (
        "record altered",
        lambda b: overwrite(b / CAPTURE, 60, b"\0"),
        (Code.CAPTURE_RECORD, CAPTURE, None),
    ),
    (
        "last byte altered",
        lambda b: overwrite(b / CAPTURE, -1, b"\0"),
        (Code.CAPTURE_RECORD, CAPTURE, None),
    ),
    ("segment empty", lambda b: os.truncate(b / CAPTURE, 0), (Code.CAPTURE_MISMATCH, CAPTURE, 5)),
    (
        "records twice",
        lambda b: edit_file(b / CAPTURE, lambda data: data + data),
        (Code.CAPTURE_MISMATCH, CAPTURE, 5),
    ),
    ("another hash", log_as(_with_capture(sha256="0")), (Code.CAPTURE_MISMATCH, CAPTURE, 5)),
    ("another size", log_as(_with_capture(bytes=1)), (Code.CAPTURE_MISMATCH, CAPTURE, 5)),
    ("another offset", log_as(_with_capture(offset=None)), (Code.CAPTURE_MISMATCH, CAPTURE, 5)),
    (
        "capture without a size",
        log_as(_with_capture(bytes=None)),
        (Code.CAPTURE_MISMATCH, "streams", 5),
    ),
    (
        "capture elsewhere",
        log_as(_with_capture(file="../1.cap")),
        (Code.CAPTURE_OUTSIDE, "streams", 5),
    ),
    # What lies in the directory.
    ("open to others", lambda b: (b / LOG).chmod(0o644), (Code.MODE, LOG, None)),
    ("directory open to others", lambda b: b.chmod(0o750), (Code.MODE, ".", None)),
    ("a stranger's file", lambda b: (b / "x").touch(), (Code.UNKNOWN_FILE, "x", None)),
]


@pytest.mark.parametrize(
    ("harm", "expected"),
    [(harm, expected) for _, harm, expected in DAMAGES],
    ids=[name for name, *_ in DAMAGES],
)
def test_damage_is_found(
    bundle: Path, harm: Callable[[Path], object], expected: tuple[Code, str, int | None]
) -> None:
    """Each kind is told by its code, its file and, where there is one, its event."""
    harm(bundle)
    verdict = verify(bundle)
    code, file, seq = expected
    assert any(
        (finding.code, finding.file) == (code, file) and seq in (None, finding.seq)
        for finding in verdict.findings
    ), verdict.findings
    harmless = {Code.MODE, Code.UNKNOWN_FILE, Code.NO_RECORDING_COMPLETED}
    assert verdict.is_whole is (code in harmless)
