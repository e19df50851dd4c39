"""Sealing what a crash left: by a process that is killed, and by every place it can break off."""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reducer import reduce_bundle
from tests.support import events as wire
from tests.support import raw_bundle
from tests.support.codex_cli import REPO_ROOT
from tests.support.faulty_disk import faulty_disk
from tests.support.killed_recorder import BEGUN, BODY, KEY
from tests.support.killed_recorder import record as record_two_calls
from tests.support.parity import assert_parity
from tests.support.recording import JSON_HEAD, SSE_HEAD, call_id, only_bundle, recording
from tracing.bundle_reader import BundleReader, RawEvent
from tracing.recovery import Sealed, recover
from tracing.scope import Scope

FIRST, SECOND = str(call_id(1)), str(call_id(2))
THREAD = f"thread:{FIRST}"
MASKED = "*" * len(KEY)


@contextmanager
def recorder_process(trace_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has two calls on disk, and holds its bundle."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.killed_recorder", trace_dir],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=REPO_ROOT,
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"recorded\n"
            yield process
        finally:
            process.kill()


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trace directory of a process that was killed. To be copied, not changed."""
    trace_dir = tmp_path_factory.mktemp("killed")
    with recorder_process(trace_dir) as process:
        process.send_signal(signal.SIGKILL)
    return trace_dir


@pytest.fixture
def left(killed: Path, tmp_path: Path) -> Path:
    """A bundle as the killed process left it."""
    shutil.copytree(killed, tmp_path / "traces")
    return only_bundle([*(tmp_path / "traces").iterdir()])


def files(bundle: Path) -> dict[str, bytes]:
    """All that is in a bundle."""
    return {
        str(path.relative_to(bundle)): path.read_bytes()
        for path in bundle.rglob("*")
        if path.is_file()
    }


def assert_whole(bundle: Path) -> list[dict[str, Any]]:
    """Hold that a sealed bundle reads without damage, with one end for whatever began."""
    events = list(BundleReader(bundle).events())
    assert all(isinstance(event, RawEvent) for event in events)
    payloads = raw_bundle.events(bundle)
    started = [e["inference_call_id"] for e in payloads if e["type"] == "inference_started"]
    ended = [e["inference_call_id"] for e in payloads if e["type"] in raw_bundle.TERMINALS]
    assert sorted(started) == sorted(ended)
    turns = [e["codex_turn_id"] for e in payloads if e["type"] == "codex_turn_started"]
    ended_turns = [e["codex_turn_id"] for e in payloads if e["type"] == "codex_turn_ended"]
    assert sorted(turns) == sorted(ended_turns)
    assert [e["type"] for e in payloads].count("rollout_ended") == 1
    return payloads


def test_killed_process(left: Path) -> None:
    """The open call ends as aborted, with all that was captured of it; nothing else is changed."""
    before = files(left)
    assert recover(left.parent) == [Sealed(bundle=left, calls_aborted=1, torn_bytes=0)]
    after = files(left)
    assert after["trace.jsonl"].startswith(before["trace.jsonl"])
    assert set(after) - set(before) == {"payloads/4.json"}
    events = assert_whole(left)[-3:]
    capture_body = wire.sse(*BEGUN).replace(KEY.encode(), MASKED.encode())
    assert events == [
        {"type": "codex_turn_ended", "codex_turn_id": f"turn:{SECOND}", "status": "aborted"},
        {
            "type": "inference_failed",
            "inference_call_id": SECOND,
            "upstream_request_id": "req_1",
            "error": "proxy terminated",
            "partial_response_payload": {
                "raw_payload_id": "raw_payload:4",
                "kind": {"type": "inference_response"},
                "path": "payloads/4.json",
            },
            "proxy": events[1]["proxy"],
        },
        {"type": "rollout_ended", "status": "aborted"},
    ]
    proxy = events[1]["proxy"]
    assert (proxy["http_status"], proxy["response_id"]) == (200, "resp_2")
    assert proxy["outcome"] == {
        "protocol": "none",
        "transport": "shutdown",
        "reason": "proxy terminated",
    }
    assert (proxy["events"], proxy["last_sequence_number"]) == (5, 4)
    assert proxy["capture"] | {"offset": 0} == {
        "file": "streams/1.cap",
        "offset": 0,
        "bytes": len(capture_body),
        "sha256": hashlib.sha256(capture_body).hexdigest(),
        "wire_sha256": None,
        "lost_bytes": 0,
        "redacted": [],
    }
    assert json.loads(after["payloads/4.json"]) == {
        "response_id": "resp_2",
        "upstream_request_id": "req_1",
        "token_usage": None,
        "output_items": [wire.message_item(f"Done, {MASKED}", "msg_0")],
        "proxy": {
            "partial_items": [
                {
                    "output_index": 1,
                    "item": {
                        "id": "msg_1",
                        "type": "message",
                        "status": "incomplete",
                        "role": "assistant",
                        "content": [{"type": "output_text", "text": "Hel", "annotations": []}],
                    },
                }
            ]
        },
    }
    assert all(KEY.encode() not in data for data in after.values())


def test_second_time_does_nothing(left: Path) -> None:
    """A bundle that is sealed stays as it is."""
    recover(left.parent)
    before = files(left)
    assert recover(left.parent) == []
    assert files(left) == before


def test_torn_tail_is_moved(left: Path) -> None:
    """A line that was cut off is kept beside the log, under its offset."""
    log = left / "trace.jsonl"
    offset = log.stat().st_size
    torn = b'{"schema_version":2,"seq":9,"pay'
    log.write_bytes(log.read_bytes() + torn)
    (sealed,) = recover(left.parent)
    assert sealed.torn_bytes == len(torn)
    assert (left / f"torn-{offset}.bin").read_bytes() == torn
    assert (left / f"torn-{offset}.bin").stat().st_mode & 0o777 == 0o600
    assert_whole(left)


def test_last_line_without_its_line_end_is_whole(left: Path) -> None:
    """Only the line end was cut off: the event counts, and nothing is moved."""
    log = left / "trace.jsonl"
    log.write_bytes(log.read_bytes()[:-1])
    (sealed,) = recover(left.parent)
    assert (sealed.torn_bytes, sealed.calls_aborted) == (0, 1)
    assert_whole(left)


def test_torn_tail_after_the_end_is_moved(tmp_path: Path) -> None:
    """A crash in the very last line leaves an ended bundle, which is made whole."""
    with recording(tmp_path) as record:
        record.call(wire.sse(*wire.text_stream("x")))
        bundle = only_bundle(record.close())
    log = bundle / "trace.jsonl"
    whole = log.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    log.write_bytes(whole[: last + 20])
    assert recover(tmp_path) == [Sealed(bundle=bundle, calls_aborted=0, torn_bytes=20)]
    assert log.read_bytes() == whole[:last]
    assert recover(tmp_path) == []


def test_living_bundle_is_not_touched(tmp_path: Path) -> None:
    """One whose lock another process holds is alive, whatever it looks like."""
    with recorder_process(tmp_path) as process:
        bundle = only_bundle([*tmp_path.iterdir()])
        before = files(bundle)
        assert recover(tmp_path) == []
        assert files(bundle) == before
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert len(recover(tmp_path)) == 1


def test_own_living_bundle_is_not_touched(tmp_path: Path) -> None:
    """Nor one that this very process writes."""
    with recording(tmp_path) as record:
        record.ask()
        record.journal.flush()
        assert recover(tmp_path) == []


@pytest.mark.parametrize(
    "damage",
    ["foreign", "no manifest", "no log", "manifest is no json", "odd call id"],
)
def test_what_cannot_be_sealed_is_left(left: Path, damage: str) -> None:
    """What is not ours, or no bundle, is left as it is; another bundle beside it is sealed."""
    shutil.copytree(left, left.parent / "trace-zzz")
    manifest, log = left / "manifest.json", left / "trace.jsonl"
    match damage:
        case "foreign":
            manifest.write_text('{"schema_version": 2, "rollout_id": "r"}')
        case "no manifest":
            manifest.unlink()
        case "no log":
            log.unlink()
        case "manifest is no json":
            manifest.write_text("{")
        case "odd call id":
            log.write_bytes(log.read_bytes().replace(SECOND.encode(), b"no-uuid"))
    before = files(left)
    sealed = {found.bundle.name for found in recover(left.parent)}
    assert "trace-zzz" in sealed
    if left.name in sealed:
        assert_whole(left)
    else:
        assert files(left) == before


def test_nothing_to_seal(tmp_path: Path) -> None:
    """No directory, or an empty one, is no error."""
    assert recover(tmp_path / "none") == []
    assert recover(tmp_path) == []


def test_named_turns_are_aborted(tmp_path: Path) -> None:
    """A turn that the client named was open, even where all its calls had ended."""
    named = BODY | {"client_metadata": {"thread_id": "thread-a", "turn_id": "turn-a"}}
    with recording(tmp_path) as record:
        record.call(wire.sse(*wire.text_stream("x")), body=named)
        bundle = only_bundle(record.crash())
    recover(tmp_path)
    types = [event["type"] for event in assert_whole(bundle)]
    assert types[-2:] == ["codex_turn_ended", "rollout_ended"]


def test_open_compaction(tmp_path: Path) -> None:
    """A compaction that was open has failed."""
    with recording(tmp_path) as record:
        trace = record.ask(BODY, scope=Scope.COMPACTION)
        trace.response_started(200, JSON_HEAD)
        bundle = only_bundle(record.crash())
    (sealed,) = recover(tmp_path)
    assert sealed.calls_aborted == 1
    assert raw_bundle.only_event(bundle, "compaction_request_failed") == {
        "type": "compaction_request_failed",
        "compaction_id": f"compaction:{FIRST}",
        "compaction_request_id": f"compaction_request:{FIRST}",
        "error": "proxy terminated",
    }


def test_refusal_that_was_not_ended_is_no_stream(tmp_path: Path) -> None:
    """A refusal under the content type of a stream is read as what it is."""
    with recording(tmp_path) as record:
        trace = record.ask()
        trace.response_started(429, SSE_HEAD)
        trace.response_piece(b'{"error": {"message": "no"}}')
        bundle = only_bundle(record.crash())
    recover(tmp_path)
    payload = raw_bundle.response_payload(bundle)
    assert payload["proxy"] == {"body": {"error": {"message": "no"}}}


def test_call_without_a_capture(tmp_path: Path) -> None:
    """A call whose answer had not begun, in a bundle whose payloads somebody deleted."""
    with recording(tmp_path) as record:
        record.ask()
        bundle = only_bundle(record.crash())
    shutil.rmtree(bundle / "payloads")
    shutil.rmtree(bundle / "streams")
    assert len(recover(tmp_path)) == 1
    assert raw_bundle.response_payload(bundle) == {
        "response_id": None,
        "upstream_request_id": None,
        "token_usage": None,
        "output_items": [],
        "proxy": {},
    }


def test_disk_that_refuses_is_tried_the_next_time(left: Path) -> None:
    """Whichever write is refused, what is left can still be sealed, and comes to one end."""
    log = left / "trace.jsonl"
    log.write_bytes(log.read_bytes() + b"torn")
    sealed_at_once = []
    with faulty_disk() as disk:
        for number in range(1, 9):
            attempt = left.parent.parent / str(number)
            shutil.copytree(left.parent, attempt)
            disk.refuse_only(disk.calls + number)
            sealed = recover(attempt)
            disk.accept_all()
            sealed_at_once.append(bool(sealed))
            assert len(sealed or recover(attempt)) == 1
            assert_whole(only_bundle([*attempt.iterdir()]))
    # The torn tail's file, the payload's, the log; the payloads' directory need not be made.
    assert sealed_at_once == [False, False, True, *[False] * 4, True]


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of two calls, one open, in this process; no lock is held."""
    return only_bundle(record_two_calls(tmp_path_factory.mktemp("crashed")).crash())


@given(st.data())
def test_any_beginning_of_the_files_can_be_sealed(
    crashed: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Log and capture, cut anywhere: a bundle that is whole, replays, and is sealed once."""
    bundle = tmp_path_factory.mktemp("cut") / "trace-cut"
    shutil.copytree(crashed, bundle)
    for name in ("trace.jsonl", "streams/1.cap"):
        size = (bundle / name).stat().st_size
        os.truncate(bundle / name, data.draw(st.integers(0, size)))
    (sealed,) = recover(bundle.parent)
    assert_whole(bundle)
    state: dict[str, Any] = reduce_bundle(bundle)
    statuses = [call["execution"]["status"] for call in state["inference_calls"].values()]
    assert statuses.count("aborted") == sealed.calls_aborted
    assert "running" not in statuses
    assert recover(bundle.parent) == []


def test_sealed_bundle_reduces_to_aborted(left: Path) -> None:
    """As found the call is running; sealed, it is aborted, with its id and its partial item."""
    found: dict[str, Any] = reduce_bundle(left)
    assert found["inference_calls"][SECOND]["execution"]["status"] == "running"
    recover(left.parent)
    state: dict[str, Any] = reduce_bundle(left)
    call = state["inference_calls"][SECOND]
    assert (call["execution"]["status"], call["upstream_request_id"]) == ("aborted", "req_1")
    assert call["proxy"]["partial_items"][0]["item"]["content"][0]["text"] == "Hel"
    assert state["status"] == "aborted"


def test_codex_reads_what_was_sealed(left: Path) -> None:
    """Codex's own reducer takes the sealed bundle, and says the same of it as ours."""
    recover(left.parent)
    state: Any = assert_parity(left)
    assert state["inference_calls"][SECOND]["execution"]["status"] == "aborted"


def test_codex_reads_a_bundle_without_any_event(left: Path) -> None:
    """A crash before the first flush leaves an empty log, which is sealed to a valid one."""
    os.truncate(left / "trace.jsonl", 0)
    recover(left.parent)
    assert_parity(left)


def test_lock_is_free_afterwards(left: Path) -> None:
    """Sealing holds the lock only while it lasts."""
    recover(left.parent)
    with (left / "manifest.json").open("rb") as manifest:
        fcntl.flock(manifest, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_recording_is_as_the_process_made_it(killed: Path, crashed: Path) -> None:
    """The process that is killed and the recording in this one leave the same kinds of events."""
    left = only_bundle([*killed.iterdir()])
    assert raw_bundle.event_types(left) == raw_bundle.event_types(crashed)
