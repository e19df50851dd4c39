"""A trace that fails never reaches the relay."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.recording import request_head
from tracing.call import Waits
from tracing.guard import GuardedSocketTrace, GuardedTrace
from tracing.interface import NULL_TRACE, NullRecorder, Trace
from tracing.scope import Scope
from tracing.terminal import TransportEnd

METHODS: dict[str, Callable[[Trace], None]] = {
    "request_piece": lambda trace: trace.request_piece(b"x"),
    "request_ended": lambda trace: trace.request_ended(),
    "response_started": lambda trace: trace.response_started(200, ()),
    "response_piece": lambda trace: trace.response_piece(b"x"),
    "ended": lambda trace: trace.ended(TransportEnd.EOF, None, Waits()),
}


class Fragile:
    """A trace that notes its methods' names, and fails in some of them."""

    def __init__(self, *fails_in: str) -> None:
        self.called: list[str] = []
        self._fails_in = fails_in

    def __getattr__(self, name: str) -> Any:
        def method(*_: object) -> None:
            self.called.append(name)
            if name in self._fails_in:
                raise RuntimeError(name)

        return method


@pytest.mark.parametrize("fails_in", METHODS)
def test_trace_that_failed_still_ends(fails_in: str) -> None:
    """Whichever method fails, it raises nothing, it is told once, and only the end is passed on."""
    trace, errors = Fragile(fails_in), list[Exception]()
    guarded = GuardedTrace(trace, errors.append)
    for _ in range(2):
        for method in METHODS.values():
            method(guarded)
    *names, end = METHODS
    assert trace.called == [*names[: [*METHODS].index(fails_in) + 1], end]
    assert [str(error) for error in errors] == [fails_in]


def test_trace_that_fails_twice_is_told_once() -> None:
    """A call is lost once, however much goes wrong with it."""
    trace, errors = Fragile("response_piece", "ended"), list[Exception]()
    guarded = GuardedTrace(trace, errors.append)
    for method in METHODS.values():
        method(guarded)
    assert trace.called == list(METHODS)
    assert [str(error) for error in errors] == ["response_piece"]


def test_passes_everything_on() -> None:
    """A trace that works gets every call."""
    trace, errors = Fragile("nothing"), list[Exception]()
    guarded = GuardedTrace(trace, errors.append)
    for method in METHODS.values():
        method(guarded)
    assert trace.called == list(METHODS)
    assert errors == []


def test_null_recorder_records_nothing() -> None:
    """Where nothing is traced, the handles take all there is and do nothing."""
    recorder = NullRecorder()
    trace = recorder.begin(request_head(scope=Scope.CALL))
    assert trace is NULL_TRACE
    for method in METHODS.values():
        method(trace)
    assert recorder.lost() == {}
    assert recorder.close(1.0)


@pytest.mark.parametrize("fails_in", ["up", "down"])
def test_socket_that_failed_still_ends(fails_in: str) -> None:
    """After a failure nothing more is read, and the calls that are open end with the socket."""
    trace, errors = Fragile(fails_in), list[Exception]()
    guarded = GuardedSocketTrace(trace, errors.append)
    for _ in range(2):
        getattr(guarded, fails_in)(b"x")
    assert (guarded.open_calls, guarded.is_between_frames) == (None, False)
    guarded.ended(TransportEnd.EOF, None)
    assert trace.called == [fails_in, "ended"]
    assert [str(error) for error in errors] == [fails_in]


def test_socket_that_fails_at_its_end_raises_nothing() -> None:
    """The end's own failure is told."""
    errors = list[Exception]()
    GuardedSocketTrace(Fragile("ended"), errors.append).ended(TransportEnd.EOF, None)
    assert [str(error) for error in errors] == ["ended"]
