"""Reads bundles line by line, says what is damaged, and stays inside the bundle."""

import json
import os
from pathlib import Path

import pytest

from tests.support.bundles import BundleBuilder
from tracing.bundle_reader import (
    BundleReader,
    DamagedLine,
    DamagedPayload,
    NotABundle,
    PayloadFault,
    PayloadRef,
    RawEvent,
    TornTail,
)


@pytest.fixture
def bundle(tmp_path: Path) -> BundleBuilder:
    """A bundle with two events."""
    return BundleBuilder(tmp_path / "bundle")


def ref(path: str) -> PayloadRef:
    """A reference to a payload at a path."""
    return PayloadRef(raw_payload_id="raw_payload:1", kind="protocol_event", path=path)


def test_events_come_in_file_order(bundle: BundleBuilder) -> None:
    """Each line is an event with its envelope; blank lines are left out."""
    bundle.lines.insert(1, b"  \r")
    bundle.turn("t")
    events = list(BundleReader(bundle.write()).events())
    assert [event.type for event in events if isinstance(event, RawEvent)] == [
        "rollout_started",
        "thread_started",
        "codex_turn_started",
    ]
    last = events[-1]
    assert isinstance(last, RawEvent)
    assert (last.line_number, last.seq, last.schema_version) == (4, 3, 2)
    assert (last.thread_id, last.codex_turn_id, last.rollout_id) == ("root", "t", "rollout-1")
    assert last.wall_time_unix_ms == 1_700_000_000_030
    assert last.is_strict


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seq", "1"),
        ("seq", -1),
        ("seq", True),
        ("seq", 2**64),
        ("schema_version", None),
        ("wall_time_unix_ms", 1.5),
        ("rollout_id", None),
        ("thread_id", 5),
        ("codex_turn_id", []),
        ("payload", []),
        ("payload", {"type": None}),
    ],
)
def test_line_with_an_odd_envelope_is_damaged(
    bundle: BundleBuilder, key: str, value: object
) -> None:
    """A line that lacks what every event has is no event; the lines around it are."""
    first_size = len(bundle.lines[0]) + 1
    bundle.turn("t")
    bundle.lines[1] = json.dumps({**json.loads(bundle.lines[1]), key: value}).encode()
    lines = list(BundleReader(bundle.write()).events())
    assert [type(line) for line in lines] == [RawEvent, DamagedLine, RawEvent]
    damaged = lines[1]
    assert isinstance(damaged, DamagedLine)
    assert (damaged.line_number, damaged.offset) == (2, first_size)


@pytest.mark.parametrize("line", [b"{", b"5", b"\xff\xfe", b"[" * 100_000, b'"\\ud83d'])
def test_line_that_is_no_json_object_is_damaged(bundle: BundleBuilder, line: bytes) -> None:
    """Whatever a line holds, the next one is read."""
    bundle.raw_line(line)
    bundle.turn("t")
    kinds = [type(line) for line in BundleReader(bundle.write()).events()]
    assert kinds == [RawEvent, RawEvent, DamagedLine, RawEvent]


def test_line_that_only_lenient_parsers_take(bundle: BundleBuilder) -> None:
    """A lone surrogate does not cost the event; it is replaced, and the event says so."""
    bundle.event("codex_turn_started", codex_turn_id="ODD", thread_id="root")
    bundle.lines[-1] = bundle.lines[-1].replace(b"ODD", b"\\ud83d")
    event = list(BundleReader(bundle.write()).events())[-1]
    assert isinstance(event, RawEvent)
    assert event.payload["codex_turn_id"] == "\ufffd"
    assert not event.is_strict


def test_torn_tail_is_no_error(bundle: BundleBuilder) -> None:
    """A last line that a crash cut off is reported with its place and size."""
    path = bundle.write()
    log = path / "trace.jsonl"
    data = log.read_bytes()
    log.write_bytes(data + b'{"seq": 3, "pay')
    tail = list(BundleReader(path).events())[-1]
    assert tail == TornTail(offset=len(data), size=15)


def test_last_event_needs_no_newline(bundle: BundleBuilder) -> None:
    """An event that is whole but for its newline is an event."""
    path = bundle.write()
    log = path / "trace.jsonl"
    log.write_bytes(log.read_bytes().removesuffix(b"\n"))
    assert [type(line) for line in BundleReader(path).events()] == [RawEvent, RawEvent]


def test_payloads(bundle: BundleBuilder) -> None:
    """A payload is its bytes, or its JSON."""
    found = PayloadRef.parse(bundle.payload("protocol_event", {"a": [1]}))
    assert found is not None
    reader = BundleReader(bundle.write())
    assert reader.payload_bytes(found) == b'{"a": [1]}'
    assert reader.payload(found) == {"a": [1]}


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("payloads/9.json", PayloadFault.MISSING),
        ("", PayloadFault.OUTSIDE),
        ("../secret.json", PayloadFault.OUTSIDE),
        ("payloads/../../secret.json", PayloadFault.OUTSIDE),
        ("/etc/hostname", PayloadFault.OUTSIDE),
        ("link.json", PayloadFault.OUTSIDE),
        ("linked/secret.json", PayloadFault.OUTSIDE),
        ("loop", PayloadFault.UNREADABLE),
        ("payloads", PayloadFault.UNREADABLE),
        ("fifo", PayloadFault.UNREADABLE),
        ("a\0b", PayloadFault.OUTSIDE),
        ("x" * 5000, PayloadFault.UNREADABLE),
        ("bad.json", PayloadFault.NOT_JSON),
        ("large.json", PayloadFault.TOO_LARGE),
    ],
    ids=lambda value: str(value)[:30].replace("\0", "NUL"),
)
def test_payloads_that_cannot_be_had(bundle: BundleBuilder, path: str, fault: PayloadFault) -> None:
    """Missing, unreadable or outside: the fault is told and no other file is opened."""
    root = bundle.write()
    secret = root.parent / "secret.json"
    secret.write_text("{}")
    (root / "link.json").symlink_to(secret)
    (root / "linked").symlink_to(root.parent)
    (root / "loop").symlink_to(root / "loop")
    (root / "bad.json").write_text("{")
    os.mkfifo(root / "fifo")
    (root / "large.json").touch()
    os.truncate(root / "large.json", 1 << 40)
    damaged = BundleReader(root).payload(ref(path))
    assert isinstance(damaged, DamagedPayload)
    assert damaged.fault == fault


@pytest.mark.parametrize(
    "value",
    [
        None,
        "payloads/1.json",
        {},
        {"raw_payload_id": 1, "kind": {"type": "x"}, "path": "p"},
        {"raw_payload_id": "i", "kind": "x", "path": "p"},
        {"raw_payload_id": "i", "kind": {"type": "x"}},
    ],
    ids=str,
)
def test_what_is_no_reference(value: object) -> None:
    """A field that names no payload gives none."""
    assert PayloadRef.parse(value) is None


def test_manifest_is_read_as_it_is(bundle: BundleBuilder) -> None:
    """Our own keys of the manifest are there too."""
    bundle.manifest["producer"] = {"name": "tailrace"}
    manifest = BundleReader(bundle.write()).manifest
    assert manifest["producer"] == {"name": "tailrace"}


@pytest.mark.parametrize("manifest", [b"", b"[]", b"{"])
def test_unparseable_manifest_is_no_bundle(bundle: BundleBuilder, manifest: bytes) -> None:
    """Without a manifest that is a JSON object there is nothing to read by."""
    path = bundle.write()
    (path / "manifest.json").write_bytes(manifest)
    with pytest.raises(NotABundle, match=r"manifest\.json"):
        BundleReader(path)


def test_manifest_beyond_all_bounds_is_not_read(bundle: BundleBuilder) -> None:
    """A file may be sparse and claim any size: it must not fill the memory."""
    path = bundle.write()
    os.truncate(path / "manifest.json", 1 << 40)
    with pytest.raises(NotABundle, match="too large"):
        BundleReader(path)


def test_other_directories_are_no_bundles(bundle: BundleBuilder, tmp_path: Path) -> None:
    """Missing directories, files and bundles without an event log are no bundles."""
    path = bundle.write()
    (path / "trace.jsonl").unlink()
    for place in (path, tmp_path, tmp_path / "nowhere", path / "manifest.json"):
        with pytest.raises(NotABundle):
            BundleReader(place)
