"""One bundle as it is written, on a good disk and on a bad one."""

import fcntl
import json
import os
import stat
import zlib
from pathlib import Path

import pytest

from tests.support import raw_bundle
from tests.support.faulty_disk import faulty_disk
from tests.support.recording import STARTED_UNIX_MS, bundle_id
from tracing.bundle_writer import BundleWriter, write_file
from tracing.events import PayloadKind


def new_bundle(trace_dir: Path) -> BundleWriter:
    """A bundle of thread `root`."""
    return BundleWriter(
        trace_dir,
        bundle_id(1),
        root_thread_id="root",
        started_unix_ms=STARTED_UNIX_MS,
        producer={"name": "tailrace"},
    )


def open_descriptors() -> int:
    """How many files this process has open."""
    return len([*Path("/proc/self/fd").iterdir()])


def test_new_bundle_whole(tmp_path: Path) -> None:
    """A new bundle's manifest and first event, and nothing else."""
    writer = new_bundle(tmp_path / "traces")
    writer.flush()
    writer.close()
    assert writer.path == tmp_path / "traces" / f"trace-{bundle_id(1)}"
    assert json.loads((writer.path / "manifest.json").read_bytes()) == {
        "schema_version": 2,
        "trace_id": str(bundle_id(1)),
        "rollout_id": "root",
        "root_thread_id": "root",
        "started_at_unix_ms": STARTED_UNIX_MS,
        "raw_event_log": "trace.jsonl",
        "payloads_dir": "payloads",
        "producer": {"name": "tailrace"},
    }
    (line,) = (writer.path / "trace.jsonl").read_bytes().splitlines()
    manifest_crc32 = zlib.crc32((writer.path / "manifest.json").read_bytes())
    unsummed, _, checksum = line.rpartition(b',"proxy":')
    assert json.loads(line) == {
        "schema_version": 2,
        "seq": 1,
        "wall_time_unix_ms": STARTED_UNIX_MS,
        "rollout_id": "root",
        "thread_id": None,
        "codex_turn_id": None,
        "payload": {
            "type": "rollout_started",
            "trace_id": str(bundle_id(1)),
            "root_thread_id": "root",
            "proxy": {"manifest_crc32": manifest_crc32},
        },
        "proxy": {"crc32": zlib.crc32(unsummed + b"}")},
    }
    assert checksum.startswith(b'{"crc32":')
    names = {str(path.relative_to(writer.path)) for path in writer.path.rglob("*")}
    assert names == {"manifest.json", "trace.jsonl", "payloads", "streams", "streams/1.cap"}


def test_modes(tmp_path: Path) -> None:
    """Directories are 0700 and files 0600, whatever the umask lets through."""
    before = os.umask(0)
    try:
        writer = new_bundle(tmp_path)
        writer.add_payload(PayloadKind.INFERENCE_REQUEST, b"{}")
        writer.close()
    finally:
        os.umask(before)
    for path in (writer.path, *writer.path.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_lock_is_held_while_it_is_open(tmp_path: Path) -> None:
    """Nobody else gets the manifest's lock until the bundle is closed."""
    writer = new_bundle(tmp_path)
    with (writer.path / "manifest.json").open("rb") as manifest:
        with pytest.raises(BlockingIOError):
            fcntl.flock(manifest, fcntl.LOCK_EX | fcntl.LOCK_NB)
        writer.close()
        fcntl.flock(manifest, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_payloads_are_on_disk_before_events_are_flushed(tmp_path: Path) -> None:
    """A payload's file is there as soon as it has its reference."""
    writer = new_bundle(tmp_path)
    reference = writer.add_payload(PayloadKind.INFERENCE_RESPONSE, b'{"a":1}')
    assert reference == {
        "raw_payload_id": "raw_payload:1",
        "kind": {"type": "inference_response"},
        "path": "payloads/1.json",
        "proxy": {"bytes": 7, "crc32": zlib.crc32(b'{"a":1}')},
    }
    assert (writer.path / "payloads/1.json").read_bytes() == b'{"a":1}'
    assert (writer.path / "trace.jsonl").read_bytes() == b""
    writer.close()


def test_size_counts_everything(tmp_path: Path) -> None:
    """Events that wait, payloads and captures all count."""
    writer = new_bundle(tmp_path)
    before = writer.size
    writer.add_payload(PayloadKind.INFERENCE_REQUEST, b"x" * 100)
    writer.capture.append(b"y" * 50)
    assert writer.size == before + 150
    writer.append({"type": "recording_completed"}, at_unix_ms=0)
    assert writer.size > before + 150
    writer.close()


def test_secrets_of_an_event_are_masked_in_its_payload_alone(tmp_path: Path) -> None:
    """What came from the wire is masked; the envelope, even where it looks like one, is not."""
    writer = new_bundle(tmp_path)
    writer.append(
        {"type": "inference_failed", "error": f"bad key root_thread at {STARTED_UNIX_MS}"},
        at_unix_ms=STARTED_UNIX_MS,
        thread_id="root_thread",
        secrets=(b"root_thread", b"inference_failed", str(STARTED_UNIX_MS).encode()),
    )
    writer.flush()
    writer.close()
    line = json.loads((writer.path / "trace.jsonl").read_bytes().splitlines()[1])
    assert (line["wall_time_unix_ms"], line["thread_id"]) == (STARTED_UNIX_MS, "root_thread")
    assert line["payload"] == {
        "type": "inference_failed",
        "error": f"bad key {'*' * 11} at {'*' * 13}",
    }


def test_any_refusal_while_it_is_made_leaves_nothing(tmp_path: Path) -> None:
    """Whichever call the disk refuses, neither a bundle nor a descriptor is left of it."""
    for name in ("count", "traces"):
        (tmp_path / name).mkdir()
    with faulty_disk() as disk:
        new_bundle(tmp_path / "count").close()
        calls = disk.calls
        descriptors = open_descriptors()
        for number in range(1, calls + 1):
            disk.refuse_only(disk.calls + number)
            with pytest.raises(OSError, match="No space"):
                new_bundle(tmp_path / "traces")
            assert list(tmp_path.glob("traces/*")) == []
        disk.accept_all()
        assert open_descriptors() == descriptors
        new_bundle(tmp_path / "traces").close()


def test_a_lock_that_is_refused_leaks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system without locks is asked again and again: it may not cost a descriptor a time."""

    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("tracing.bundle_writer.fcntl.flock", refuse)
    descriptors = open_descriptors()
    with pytest.raises(OSError, match="No locks"):
        new_bundle(tmp_path)
    assert open_descriptors() == descriptors


@pytest.mark.parametrize("name", ["open", "write"])
def test_refused_payload_takes_no_number(tmp_path: Path, name: str) -> None:
    """After a refusal the payload is written whole, under the number that it would have had."""
    writer = new_bundle(tmp_path)
    with faulty_disk() as disk:
        disk.refuse_all(name)
        with pytest.raises(OSError, match=name):
            writer.add_payload(PayloadKind.INFERENCE_REQUEST, b"{}")
        assert raw_bundle.payload_names(writer.path) == []
        disk.accept_all()
        assert writer.add_payload(PayloadKind.INFERENCE_REQUEST, b"{}")["path"] == "payloads/1.json"
    writer.close()


def test_what_a_refused_write_left_is_written_over(tmp_path: Path) -> None:
    """A disk that refuses even the removal of half a file does not block its number for ever."""
    path = tmp_path / "1.json"
    path.write_bytes(b"half of something longer")
    write_file(path, b"{}")
    assert path.read_bytes() == b"{}"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """A payload is never written through a link that somebody put in its place."""
    (tmp_path / "1.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        write_file(tmp_path / "1.json", b"{}")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("what", ["trace.jsonl", "streams/1.cap"])
def test_tells_when_it_was_deleted(tmp_path: Path, what: str) -> None:
    """A bundle that lacks its log or its capture is deleted."""
    writer = new_bundle(tmp_path)
    assert not writer.is_deleted()
    (writer.path / what).unlink()
    assert writer.is_deleted()
    writer.close()


def test_payloads_directory_is_made_again(tmp_path: Path) -> None:
    """One who deletes the payloads alone loses those that there were, and no later one."""
    writer = new_bundle(tmp_path)
    (writer.path / "payloads").rmdir()
    writer.add_payload(PayloadKind.INFERENCE_REQUEST, b"{}")
    assert raw_bundle.payload_names(writer.path) == ["1.json"]
    writer.close()
