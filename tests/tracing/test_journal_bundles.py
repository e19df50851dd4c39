"""When bundles are made, rotated, closed, and what becomes of one that is deleted under us."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import events as wire
from tests.support import raw_bundle
from tests.support.faulty_disk import failing_close, faulty_disk
from tests.support.recording import (
    BODY,
    SSE_HEAD,
    Recording,
    answer,
    bundle_id,
    call_id,
    only_bundle,
    recording,
)
from tracing.bundle_lock import bundle_lock
from tracing.call import Waits
from tracing.terminal import TransportEnd

STREAM = wire.sse_pieces(*wire.text_stream("Hel", "lo"))
_CHECKSUM = re.compile(rb'"(manifest_)?crc32":[0-9]+')
ENDS = ["thread_ended", "rollout_ended", "recording_completed"]


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Recording]:
    """A recording whose bundles are full at 3000 bytes and old at 60 s."""
    with recording(tmp_path / "traces", bundle_bytes_max=3000, bundle_age_max=60.0) as made:
        yield made


def calls(bundle: Path, *types: str) -> list[str]:
    """The calls that have events of these types in a bundle."""
    return [
        event["inference_call_id"] for event in raw_bundle.events(bundle) if event["type"] in types
    ]


def test_no_call_no_bundle(record: Recording) -> None:
    """The first call makes the bundle; without one there is none."""
    assert record.close() == []


def test_full_bundle_is_closed_and_the_next_call_begins_another(record: Recording) -> None:
    """By size: a bundle that is full takes no more calls."""
    for _ in range(3):
        record.call(*STREAM)
    bundles = record.close()
    assert [bundle.name for bundle in bundles] == [
        f"trace-{bundle_id(number)}" for number in (1, 2, 3)
    ]
    for number, bundle in enumerate(bundles, start=1):
        assert calls(bundle, "inference_started") == [str(call_id(number))]
        assert raw_bundle.event_types(bundle)[-3:] == ENDS


@pytest.mark.parametrize(("seconds", "bundles"), [(59, 1), (60, 2)])
def test_old_bundle_takes_no_more_calls(tmp_path: Path, seconds: int, bundles: int) -> None:
    """By age, to the second."""
    with recording(tmp_path, bundle_age_max=60.0) as record:
        record.call(*STREAM)
        record.clock.advance(seconds * 1000)
        record.call(*STREAM)
        assert len(record.close()) == bundles


def test_call_stays_in_the_bundle_that_it_began_in(record: Recording) -> None:
    """A bundle that is rotated out is closed when its last call has ended, and not before."""
    slow = record.ask(BODY)
    slow.response_started(200, SSE_HEAD)
    record.clock.advance(60_000)
    record.call(*STREAM)
    record.journal.flush()
    first, second = record.bundles()
    assert "rollout_ended" not in raw_bundle.event_types(first)
    for piece in STREAM:
        slow.response_piece(piece)
    slow.ended(TransportEnd.EOF, None, Waits())
    record.journal.flush()
    assert raw_bundle.event_types(first)[-5:] == ["inference_completed", "codex_turn_ended", *ENDS]
    assert calls(first, *raw_bundle.TERMINALS) == [str(call_id(1))]
    assert calls(second, *raw_bundle.TERMINALS) == [str(call_id(2))]
    assert raw_bundle.event_types(second)[-1] == "codex_turn_ended"


def test_thread_goes_on_in_the_next_bundle(record: Recording) -> None:
    """A chained call in another bundle has the thread of its parent, started there again."""
    first = wire.sse(wire.ev_created("resp_1"), wire.ev_completed("resp_1"))
    record.call(first)
    record.clock.advance(60_000)
    record.call(*STREAM, body=BODY | {"previous_response_id": "resp_1"})
    threads = [
        raw_bundle.only_event(bundle, "thread_started")["thread_id"] for bundle in record.close()
    ]
    assert threads == [f"thread:{call_id(1)}"] * 2


def test_close_leaves_open_calls_to_recovery(record: Recording) -> None:
    """A bundle with an open call gets no end: what was open in it would look complete."""
    record.ask(BODY)
    (bundle,) = record.close()
    assert raw_bundle.event_types(bundle)[-1] == "inference_started"


def test_refused_close_is_done_again(record: Recording) -> None:
    """Where the disk refuses the last write, the next close ends the bundle, once."""
    record.call(*STREAM)
    with faulty_disk() as disk:
        disk.refuse_all()
        with pytest.raises(OSError, match="No space"):
            record.close()
        disk.accept_all()
        bundle = only_bundle(record.close())
    assert raw_bundle.event_types(bundle)[-3:] == ENDS
    assert raw_bundle.event_types(bundle).count("rollout_ended") == 1


@pytest.mark.parametrize("name", ["trace.jsonl", "streams/1.cap", "manifest.json"])
def test_failed_close_is_told_and_not_repeated(record: Recording, name: str) -> None:
    """Whichever descriptor's close fails, the bundle is whole and free, and the next goes on."""
    record.call(*STREAM, *[b":" + b"x" * 3000 + b"\n\n"])
    record.call(*STREAM)
    full, _ = record.bundles()
    with failing_close(full / name), pytest.raises(OSError, match="quota"):
        record.journal.flush()
    assert raw_bundle.event_types(full)[-3:] == ENDS
    with bundle_lock(full) as is_free:
        assert is_free
    record.call(*STREAM)
    assert raw_bundle.event_types(record.close()[-1])[-3:] == ENDS


def test_close_that_fails_leaves_no_other_bundle_open(record: Recording) -> None:
    """At shutdown all bundles are ended, though the disk tells of an error at the first one."""
    record.call(*STREAM, *[b":" + b"x" * 3000 + b"\n\n"])
    record.call(*STREAM)
    full, last = record.bundles()
    with failing_close(full / "trace.jsonl"), pytest.raises(OSError, match="quota"):
        record.close()
    assert raw_bundle.event_types(last)[-3:] == ENDS
    with bundle_lock(last) as is_free:
        assert is_free


def test_failed_close_of_a_deleted_bundle(record: Recording) -> None:
    """It is let go as any other; its open call goes on in another one."""
    trace = record.ask(BODY)
    record.journal.flush()
    old = only_bundle(record.bundles())
    with failing_close(old / "trace.jsonl"):
        shutil.rmtree(old)
        record.journal.flush()
        answer(trace, STREAM)
        bundle = only_bundle(record.close())
    assert calls(bundle, "inference_completed") == [str(call_id(1))]


def all_written(trace_dir: Path, refused: int) -> tuple[int, dict[str, bytes]]:
    """A bundle of every kind of record, from a disk that refuses the write of this number.

    Returns how many writes there were, and the files.
    """
    trace_dir.mkdir()
    with recording(trace_dir) as record, faulty_disk() as disk:
        disk.refuse_only(refused)
        record.survives_refusals = True
        record.call(*STREAM)
        answer(record.ask(), STREAM[:6], end=TransportEnd.CLIENT_CLOSED)
        record.call(STREAM[-1], body=BODY | {"generate": False})
        record.begin_exchange().ended(TransportEnd.EOF, None, Waits())
        bundle = only_bundle(record.close())
        # A bundle whose making was refused costs the next one its number.
        files = {
            str(path.relative_to(bundle)): _CHECKSUM.sub(
                b'"crc32":0',
                path.read_bytes().replace(str(bundle_id(2)).encode(), str(bundle_id(1)).encode()),
            )
            for path in bundle.rglob("*")
            if path.is_file()
        }
        return disk.calls, files


def test_every_refusal_of_the_disk(tmp_path: Path) -> None:
    """Whichever single write is refused, each operation tried again leaves the same bundle."""
    writes, expected = all_written(tmp_path / "0", 0)
    assert b'"type":"recording_completed"' in expected["trace.jsonl"].splitlines()[-1]
    for number in range(1, writes + 1):
        assert all_written(tmp_path / str(number), number)[1] == expected, number


@pytest.mark.parametrize("how", ["deleted", "moved", "streams"])
def test_bundle_that_is_deleted_is_replaced(record: Recording, tmp_path: Path, how: str) -> None:
    """Open calls go on in another bundle, with a stub for the request that is gone."""
    trace = record.ask(BODY)
    trace.response_started(200, SSE_HEAD)
    trace.response_piece(b"".join(STREAM[:5]))
    record.journal.flush()
    (old,) = record.bundles()
    match how:
        case "deleted":
            shutil.rmtree(old)
        case "moved":
            old.rename(tmp_path / "moved")
        case "streams":
            shutil.rmtree(old / "streams")
    record.journal.flush()
    rest = b"".join(STREAM[5:])
    trace.response_piece(rest)
    trace.ended(TransportEnd.EOF, None, Waits())
    bundle = record.close()[-1]
    assert bundle.name != old.name
    assert calls(bundle, "inference_started") == [str(call_id(1))]
    assert calls(bundle, *raw_bundle.TERMINALS) == [str(call_id(1))]
    started, terminal = (
        next(event for event in raw_bundle.events(bundle) if event["type"] == kind)
        for kind in ("inference_started", "inference_completed")
    )
    assert raw_bundle.payload(bundle, started["request_payload"]) == {
        "input": [],
        "proxy": {"lost": "the bundle was deleted while in use"},
    }
    capture = terminal["proxy"]["capture"]
    assert (capture["bytes"], capture["lost_bytes"]) == (
        len(rest),
        sum(map(len, STREAM)) - len(rest),
    )
    assert capture["wire_sha256"] is None


def test_deleted_bundle_is_replaced_when_the_disk_takes_writes_again(record: Recording) -> None:
    """A disk that refuses the new bundle at first does not leave calls in the deleted one."""
    traces = [record.ask(BODY) for _ in range(2)]
    record.journal.flush()
    shutil.rmtree(only_bundle(record.bundles()))
    with faulty_disk() as disk:
        disk.refuse_all("mkdir")
        for _ in range(2):
            with pytest.raises(OSError, match="mkdir"):
                record.journal.flush()
        disk.accept_all()
        record.journal.flush()
    for trace in traces:
        answer(trace, STREAM)
    bundle = only_bundle(record.close())
    assert calls(bundle, "inference_completed") == [str(call_id(1)), str(call_id(2))]
    assert raw_bundle.event_types(bundle)[-1] == "recording_completed"


def test_deleted_bundle_without_open_calls_is_let_go(record: Recording) -> None:
    """Nothing is made anew for calls that have ended."""
    record.call(*STREAM)
    record.journal.flush()
    shutil.rmtree(only_bundle(record.bundles()))
    assert record.close() == []


def test_payloads_deleted(record: Recording) -> None:
    """The call goes on where it began; the payloads from then on are kept."""
    trace = record.ask(BODY)
    record.journal.flush()
    shutil.rmtree(only_bundle(record.bundles()) / "payloads")
    answer(trace, STREAM)
    bundle = only_bundle(record.close())
    assert raw_bundle.payload_names(bundle) == ["2.json"]
    assert raw_bundle.response_payload(bundle)["response_id"] == "resp_1"


def test_loss_is_noted_in_the_bundle(record: Recording) -> None:
    """Where a bundle is open the loss is told in it; elsewhere it has to wait."""
    assert record.journal.note_loss({"capture_bytes": 5}) is False
    record.call(*STREAM)
    assert record.journal.note_loss({"capture_bytes": 5}) is True
    bundle = only_bundle(record.close())
    note = raw_bundle.only_event(bundle, "protocol_event_observed")
    assert note["event_type"] == "tailrace.loss"
    assert raw_bundle.payload(bundle, note["event_payload"]) == {"lost": {"capture_bytes": 5}}
