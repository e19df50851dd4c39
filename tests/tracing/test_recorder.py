"""The recorder's thread: bounded memory, a disk that refuses, and bugs of its own."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import events as wire
from tests.support import raw_bundle
from tests.support.faulty_disk import FaultyDisk, faulty_disk
from tests.support.recording import (
    BODY,
    JSON_HEAD,
    SSE_HEAD,
    journal_settings,
    only_bundle,
    request_head,
)
from tracing import recorder as recorder_module
from tracing.call import CallEnded, CallStarted, CallSummary, Operation, Waits
from tracing.call_pieces import CallPieces, CapturedPiece
from tracing.guard import NOT_SEEN
from tracing.interface import NULL_TRACE, Trace
from tracing.journal import Journal
from tracing.recorder import CALL_BYTES, CONTENT_SHARE, RecorderListeners, ThreadedRecorder
from tracing.redaction import RawHeaders
from tracing.scope import Scope
from tracing.strict_json import dumps
from tracing.terminal import TransportEnd

GUARD_S = 20
PENDING_BYTES_MAX = 64 * 1024
STREAM = wire.sse_pieces(*wire.text_stream("Hel", "lo"))
OBSERVER = "ResponseObserver"


class Told:
    """What the recorder told its listeners, each with an event to wait for."""

    def __init__(self) -> None:
        self.calls: list[CallSummary] = []
        self.refusals: list[OSError] = []
        self.resumed = 0
        self.losses: list[str] = []
        self.told: list[Mapping[str, int]] = []
        self.failures: list[Exception] = []
        self._changed = threading.Condition()

    def listeners(self) -> RecorderListeners:
        """The listeners that note it all."""
        return RecorderListeners(
            call_ended=lambda call: self._note(lambda: self.calls.append(call)),
            disk_refused=lambda error: self._note(lambda: self.refusals.append(error)),
            disk_resumed=lambda: self._note(self._count_resumed),
            loss_began=lambda what: self._note(lambda: self.losses.append(what)),
            loss_told=lambda lost: self._note(lambda: self.told.append(lost)),
            failed=lambda error: self._note(lambda: self.failures.append(error)),
        )

    def wait_for(self, is_so: Callable[[], bool]) -> None:
        """Wait until what was told makes this so."""
        with self._changed:
            assert self._changed.wait_for(is_so, GUARD_S), "the recorder told nothing of it"

    def _count_resumed(self) -> None:
        self.resumed += 1

    def _note(self, note: Callable[[], None]) -> None:
        with self._changed:
            note()
            self._changed.notify_all()


class Running:
    """A recorder, what it told, and its bundles."""

    def __init__(self, trace_dir: Path, *, flush_interval: float = 0.0, **settings: Any) -> None:
        self.told = Told()
        self.trace_dir = trace_dir
        self.recorder = ThreadedRecorder(
            journal_settings(trace_dir, **settings),
            self.told.listeners(),
            flush_interval=flush_interval,
            pending_bytes_max=PENDING_BYTES_MAX,
            request_bytes_max=PENDING_BYTES_MAX,
            message_bytes_max=PENDING_BYTES_MAX,
        )

    def ask(self, body: Any = BODY) -> Trace:
        """Begin a call and send its request."""
        trace = self.recorder.begin(request_head())
        trace.request_piece(dumps(body))
        trace.request_ended()
        return trace

    def call(self, *pieces: bytes, headers: RawHeaders = SSE_HEAD, status: int = 200) -> None:
        """A whole call."""
        trace = self.ask()
        trace.response_started(status, headers)
        for piece in pieces:
            trace.response_piece(piece)
        trace.ended(TransportEnd.EOF, None, Waits())

    def waiting_bytes(self) -> int:
        """What is reserved and not given back."""
        return self.recorder._reserved_bytes - self.recorder._released_bytes

    def close(self) -> bool:
        """Close the recorder."""
        return self.recorder.close(GUARD_S)

    def bundles(self) -> list[Path]:
        """The bundles, oldest first."""
        return sorted(self.trace_dir.glob("trace-*"))

    def bundle(self) -> Path:
        """The only bundle, closed without fault."""
        assert self.close()
        assert self.waiting_bytes() == 0
        return only_bundle(self.bundles())


@contextmanager
def running(trace_dir: Path, **settings: Any) -> Iterator[Running]:
    """A recorder whose thread is gone afterwards."""
    made = Running(trace_dir, **settings)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A recorder that tries a disk that refused again at once."""
    monkeypatch.setattr(recorder_module, "RETRY_SECONDS", 0.001)
    with running(tmp_path / "traces") as made:
        yield made


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    """A disk that refuses nothing yet."""
    with faulty_disk() as made:
        yield made


def test_records_in_its_thread(run: Running) -> None:
    """A call, told once, in a bundle that is whole when the recorder is closed."""
    run.call(*STREAM)
    bundle = run.bundle()
    assert raw_bundle.event_types(bundle) == [
        "rollout_started",
        "thread_started",
        "codex_turn_started",
        "inference_started",
        "inference_completed",
        "codex_turn_ended",
        "thread_ended",
        "rollout_ended",
        "recording_completed",
    ]
    assert [(call.terminal, call.response_id) for call in run.told.calls] == [
        ("completed", "resp_1")
    ]
    assert (run.recorder.lost(), run.told.failures, run.told.refusals) == ({}, [], [])


def test_all_memory_is_given_back(run: Running) -> None:
    """Whatever way a call goes, what was reserved for it is free when it is written."""
    run.call(*STREAM)
    run.call(dumps(wire.response_object()), headers=JSON_HEAD)
    run.call(dumps(wire.error_body()), headers=JSON_HEAD, status=500)
    run.call(b"no gzip", headers=(*SSE_HEAD, (b"content-encoding", b"gzip")))
    run.ask({"input": "x" * PENDING_BYTES_MAX}).ended(TransportEnd.CLIENT_CLOSED, None, Waits())
    run.recorder.begin(request_head()).ended(TransportEnd.CLIENT_CLOSED, None, Waits())
    run.recorder.begin(request_head(scope=Scope.EXCHANGE)).ended(TransportEnd.EOF, None, Waits())
    run.bundle()
    assert len(run.told.calls) == 6
    assert run.told.failures == []


def test_much_that_waits_is_recorded_before_its_time(tmp_path: Path) -> None:
    """Content is not let go for want of memory while nobody asked the disk to take some."""
    with running(tmp_path, flush_interval=3600.0) as run:
        run.call(*STREAM)
        trace = run.ask()
        trace.response_started(200, SSE_HEAD)
        trace.response_piece(b":" * (PENDING_BYTES_MAX // 2))
        run.told.wait_for(lambda: len(run.told.calls) == 1)
        assert run.recorder.lost() == {}


def test_what_open_calls_hold_is_not_urgent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No turn frees it: small pieces wait for the interval, and only much that comes does not."""
    monkeypatch.setattr(ThreadedRecorder, "_run", lambda _: None)  # the turns are the test's
    with running(tmp_path) as run:
        trace, recorder = run.ask(), run.recorder
        trace.response_started(200, SSE_HEAD)
        for _ in range(4):
            trace.response_piece(wire.sse(wire.ev_item_done(wire.message_item("x" * 8000))))
            assert recorder._record_waiting()
        assert run.waiting_bytes() > PENDING_BYTES_MAX * CONTENT_SHARE / 2
        recorder._hurry.clear()
        trace.response_piece(STREAM[2])
        assert not recorder._hurry.is_set()
        trace.response_piece(b":" * 9000)
        assert recorder._hurry.is_set()
        assert recorder.lost() == {}
        assert recorder._record_waiting()


def test_what_is_not_traced(run: Running) -> None:
    """What is out of scope costs nothing, and leaves nothing."""
    assert run.recorder.begin(request_head(scope=Scope.NOTHING)) is NULL_TRACE
    assert run.close()
    assert run.bundles() == []


def waiting_pieces(operations: Iterable[Operation]) -> list[CapturedPiece]:
    """The pieces that wait for the disk."""
    waiting = [op for op in operations if isinstance(op, CallPieces)]
    return [piece for pieces in waiting for piece in pieces._pieces]


def test_disk_that_refuses(run: Running, disk: FaultyDisk) -> None:
    """Memory is bounded, content is lost and counted, and each call's start and end are kept."""
    disk.refuse_all()
    first = run.ask()
    run.told.wait_for(lambda: len(run.told.refusals) == 1)
    first.response_started(200, SSE_HEAD)
    for number in range(100):
        first.response_piece(wire.sse(wire.ev_text_delta("x" * 2000), first=number))
        assert run.waiting_bytes() <= PENDING_BYTES_MAX
    first.response_piece(STREAM[-1])
    first.ended(TransportEnd.EOF, None, Waits())
    run.call(*STREAM)
    run.ask().ended(TransportEnd.CLIENT_CLOSED, None, Waits())
    held = sum(len(piece.data) for piece in waiting_pieces(run.recorder._operations))
    assert held <= PENDING_BYTES_MAX
    lost = run.recorder.lost()
    assert lost["capture_bytes"] > 100_000
    disk.accept_all()
    run.told.wait_for(lambda: len(run.told.calls) == 3)
    bundle = run.bundle()
    events = raw_bundle.events(bundle)
    started = [e["inference_call_id"] for e in events if e["type"] == "inference_started"]
    ended = [e["inference_call_id"] for e in events if e["type"] in raw_bundle.TERMINALS]
    assert len(started) == 3
    assert started == ended
    assert [call.terminal for call in run.told.calls] == ["completed", "completed", "cancelled"]
    assert raw_bundle.event_types(bundle)[-1] == "recording_completed"
    assert (len(run.told.refusals), run.told.resumed) == (1, 1)
    notes = [event for event in events if event.get("event_type") == "tailrace.loss"]
    told = [raw_bundle.payload(bundle, note["event_payload"])["lost"] for note in notes]
    assert told == [lost]


def test_small_pieces_are_bounded_too(run: Running, disk: FaultyDisk) -> None:
    """A piece costs more memory than its bytes: a stream of single bytes may not fill it."""
    disk.refuse_all()
    trace = run.ask()
    run.told.wait_for(lambda: len(run.told.refusals) == 1)
    trace.response_started(200, SSE_HEAD)
    for _ in range(5000):
        trace.response_piece(b":")
    assert len(run.recorder._operations) < 300
    assert run.recorder.lost()["capture_bytes"] > 4000
    disk.accept_all()


def test_loss_is_told_once(run: Running, disk: FaultyDisk) -> None:
    """Each loss is noted with its own amount, and together they are what the counters say."""
    for _ in range(2):
        disk.refuse_all()
        refusals = len(run.told.refusals)
        trace = run.ask({"input": "x" * (PENDING_BYTES_MAX + 1)})
        run.told.wait_for(lambda seen=refusals: len(run.told.refusals) == seen + 1)  # type: ignore[misc]  # the default binds the count
        trace.ended(TransportEnd.CLIENT_CLOSED, None, Waits())
        disk.accept_all()
        run.told.wait_for(lambda seen=refusals: run.told.resumed == seen + 1)  # type: ignore[misc]  # the default binds the count
    bundle = run.bundle()
    told = [
        raw_bundle.payload(bundle, event["event_payload"])["lost"]["request_bytes"]
        for event in raw_bundle.events(bundle)
        if event.get("event_type") == "tailrace.loss"
    ]
    assert len(told) == 2
    assert sum(told) == run.recorder.lost()["request_bytes"]


def test_close_on_a_disk_that_refuses(run: Running, disk: FaultyDisk) -> None:
    """It says that it failed, in its time, and raises nothing."""
    run.call(*STREAM)
    run.told.wait_for(lambda: len(run.told.calls) == 1)
    disk.refuse_all()
    assert not run.close()
    assert not run.recorder._thread.is_alive()


def failing(journal: type[Journal], method: str, fails: Callable[..., bool]) -> Any:
    """A method of the journal that has a bug: it raises where `fails` says so."""
    real = getattr(journal, method)

    def buggy(self: Journal, *args: Any) -> Any:
        if fails(*args):
            raise RuntimeError("a bug")
        return real(self, *args)

    return buggy


@pytest.mark.parametrize("kind", [CallStarted, CallPieces, CallEnded])
def test_bug_costs_what_it_hit(
    run: Running, monkeypatch: pytest.MonkeyPatch, kind: type[Operation]
) -> None:
    """A bug in one record is told and counted once; the next call is recorded as ever."""
    left = iter([True])

    def fails(operation: Operation) -> bool:
        return isinstance(operation, kind) and next(left, False)

    monkeypatch.setattr(Journal, "apply", failing(Journal, "apply", fails))
    run.call(*STREAM)
    run.call(*STREAM)
    assert run.close()
    assert [str(error) for error in run.told.failures] == ["a bug"]
    assert run.recorder.lost() == {"operations": 1}
    bundle = only_bundle(run.bundles())
    completed = raw_bundle.event_types(bundle).count("inference_completed")
    assert completed == (2 if kind is CallPieces else 1)


def test_bug_in_a_flush_does_not_end_the_thread(
    run: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told once, however often it comes, and all is recorded when it is over."""
    left = iter([True] * 3)
    monkeypatch.setattr(Journal, "flush", failing(Journal, "flush", lambda: next(left, False)))
    run.call(*STREAM)
    run.told.wait_for(lambda: len(run.told.calls) == 1)
    bundle = run.bundle()
    assert [str(error) for error in run.told.failures] == ["a bug"]
    assert "inference_completed" in raw_bundle.event_types(bundle)


@pytest.mark.parametrize(
    ("where", "error"),
    [(name, NOT_SEEN) for name in ("CallTrace.request_piece", "kept_headers", f"{OBSERVER}.piece")]
    + [(f"{OBSERVER}.finish", None)],
)
def test_bug_on_the_traffics_side(
    run: Running, monkeypatch: pytest.MonkeyPatch, where: str, error: str | None
) -> None:
    """A trace that fails is told, counted and ended; the relay sees nothing of it."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(f"tracing.exchange_trace.{where}", fail)
    run.call(*STREAM)
    bundle = run.bundle()
    assert raw_bundle.only_terminal(bundle).get("error") == error
    assert raw_bundle.event_types(bundle)[-1] == "recording_completed"
    assert [str(error) for error in run.told.failures] == ["a bug"]
    assert run.recorder.lost() == {"calls": 1}


def test_too_many_calls(run: Running, disk: FaultyDisk) -> None:
    """Where too much waits, whole calls go untraced, and are counted."""
    disk.refuse_all()
    run.ask()
    run.told.wait_for(lambda: len(run.told.refusals) == 1)
    while (waiting := run.waiting_bytes()) + CALL_BYTES <= PENDING_BYTES_MAX:
        run.ask()
        assert run.waiting_bytes() > waiting
    assert run.recorder.begin(request_head()) is NULL_TRACE
    assert run.recorder.begin(request_head(scope=Scope.EXCHANGE)) is NULL_TRACE
    assert run.recorder.lost()["calls"] == 2
    assert len(run.told.losses) == 1
    disk.accept_all()
    run.told.wait_for(lambda: bool(run.told.told))
    assert run.told.told[0]["calls"] == 2


def test_bundle_that_is_moved_away(run: Running, tmp_path: Path) -> None:
    """The next call is recorded in another bundle, without any fault."""
    run.call(*STREAM)
    run.told.wait_for(lambda: len(run.told.calls) == 1)
    only_bundle(run.bundles()).rename(tmp_path / "moved")
    run.call(*STREAM)
    bundle = run.bundle()
    assert raw_bundle.event_types(bundle).count("inference_completed") == 1
    assert (run.told.failures, run.told.refusals) == ([], [])
