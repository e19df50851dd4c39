"""WebSockets through the recorder's own thread, as the relay drives it."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reducer import reduce_bundle
from tests.support import events as wire
from tests.support.frames import message, sent
from tests.support.recording import MIB, journal_settings, only_bundle, request_head
from tests.support.socket_recording import captured, ended, user_message
from tracing.call import CallSummary
from tracing.interface import SocketTrace
from tracing.recorder import RecorderListeners, ThreadedRecorder
from tracing.scope import Scope
from tracing.terminal import TransportEnd

GUARD_S = 20
SOCKETS = 20


class Told:
    """What the recorder told its listeners."""

    def __init__(self) -> None:
        self.calls: list[CallSummary] = []
        self.failures: list[Exception] = []

    def listeners(self) -> RecorderListeners:
        """The listeners that note it."""
        return RecorderListeners(
            call_ended=self.calls.append,
            disk_refused=lambda _: None,
            disk_resumed=lambda: None,
            loss_began=lambda _: None,
            loss_told=lambda _: None,
            failed=self.failures.append,
        )


@contextmanager
def running(trace_dir: Path, told: Told) -> Iterator[ThreadedRecorder]:
    """A recorder that is closed at the end, and then has written everything."""
    recorder = ThreadedRecorder(
        journal_settings(trace_dir),
        told.listeners(),
        flush_interval=0.0,
        pending_bytes_max=16 * MIB,
        request_bytes_max=MIB,
        message_bytes_max=MIB,
    )
    try:
        yield recorder
    finally:
        assert recorder.close(GUARD_S)


def begin(recorder: ThreadedRecorder, number: int, scope: Scope = Scope.CALL) -> SocketTrace:
    """Begin the trace of the connection of this number."""
    head = replace(request_head(method="GET", scope=scope), connection_id=f"c{number}")
    return recorder.begin_socket(head, 101, ())


def create(text: str) -> bytes:
    """A request, as a client sends it."""
    asked = {"type": "response.create", "model": "m", "input": [user_message(text)]}
    return sent(asked)


def test_many_sockets_at_once(tmp_path: Path) -> None:
    """Two calls on each, one of them cut off; every call has its own messages and one terminal."""
    told = Told()
    with running(tmp_path, told) as recorder:
        sockets = [begin(recorder, number) for number in range(SOCKETS)]
        for number, socket in enumerate(sockets):
            socket.up(create(f"question {number}"))
            socket.up(create("and another"))
        streams = [
            wire.text_stream("Hello ", str(number), response_id=f"r{number}")
            for number in range(SOCKETS)
        ]
        for events in zip(*streams, strict=True):
            for socket, event in zip(sockets, events, strict=True):
                socket.down(message(event))
        for socket in sockets:
            assert socket.open_calls == 1
            socket.ended(TransportEnd.CLIENT_CLOSED, None)
            assert socket.open_calls == 0
        assert recorder.lost() == {}
    assert recorder._waiting_bytes() == 0
    assert told.failures == []
    assert len(told.calls) == 2 * SOCKETS
    bundle = only_bundle([*tmp_path.glob("trace-*")])
    for pieces, end in zip(captured(bundle), ended(bundle), strict=True):
        capture = end["proxy"]["capture"]
        assert capture["sha256"] == hashlib.sha256(b"".join(pieces)).hexdigest()
        assert capture["bytes"] == sum(map(len, pieces))
    completed = [end["response_id"] for end in ended(bundle)[::2]]
    assert completed == [f"r{number}" for number in range(SOCKETS)]
    state: Any = reduce_bundle(bundle)
    assert state["diagnostics"] == []
    assert state["status"] == "completed"


@pytest.mark.parametrize("scope", [Scope.NOTHING, Scope.EXCHANGE])
def test_socket_of_another_path(tmp_path: Path, scope: Scope) -> None:
    """Nothing is traced of it, and nobody knows what is open on it."""
    with running(tmp_path, Told()) as recorder:
        socket = begin(recorder, 1, scope)
        socket.up(create("Hi"))
        assert socket.open_calls is None
        socket.ended(TransportEnd.EOF, None)
    assert [*tmp_path.iterdir()] == []


def test_bug_of_a_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told and counted, once, and ends the tracing of that socket alone."""

    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    told = Told()
    with running(tmp_path, told) as recorder:
        broken, sound = begin(recorder, 1), begin(recorder, 2)
        with monkeypatch.context() as patch:
            patch.setattr("tracing.socket_trace.event_type_of", fail)
            broken.up(create("Hi"))
        broken.up(create("Hi"))
        broken.ended(TransportEnd.EOF, None)
        sound.up(create("Hi"))
        sound.ended(TransportEnd.EOF, None)
        assert recorder.lost() == {"calls": 1}
    assert [str(failure) for failure in told.failures] == ["a bug"]
    assert len(told.calls) == 1
