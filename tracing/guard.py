"""Keeps a bug of tracing away from the traffic: a trace that fails only ends, the relay goes on."""

from collections.abc import Callable

from .call import Waits
from .interface import NULL_TRACE, SocketTrace, Trace
from .redaction import RawHeaders
from .terminal import TransportEnd

NOT_SEEN = "the trace failed, and did not see how the response ended"
"""The error of a call whose stream came to its end unseen: it was not closed early."""


class GuardedSocketTrace:
    """A WebSocket's trace none of whose methods raises. After its first failure it only ends."""

    __slots__ = ("_has_failed", "_on_failure", "_trace")

    def __init__(self, trace: SocketTrace, on_failure: Callable[[Exception], None]) -> None:
        self._trace = trace
        self._on_failure = on_failure
        self._has_failed = False

    @property
    def open_calls(self) -> int | None:
        """How many responses are asked for and not ended; None where that is not known."""
        return None if self._has_failed else self._trace.open_calls

    @property
    def is_between_frames(self) -> bool:
        """Whether a frame of ours could be put in, in either direction."""
        return not self._has_failed and self._trace.is_between_frames

    def up(self, data: bytes) -> None:
        """Bytes went from the client to upstream."""
        if not self._has_failed:
            try:
                self._trace.up(data)
            except Exception as error:  # noqa: BLE001 - see the module
                self._fail(error)

    def down(self, data: bytes) -> None:
        """Bytes went from upstream to the client."""
        if not self._has_failed:
            try:
                self._trace.down(data)
            except Exception as error:  # noqa: BLE001 - see the module
                self._fail(error)

    def ended(self, end: TransportEnd, text: str | None) -> None:
        """The socket ended. Only the first word on it counts."""
        # Also after a failure: the calls that were open then end with the socket, as any others.
        try:
            self._trace.ended(end, text)
        except Exception as error:  # noqa: BLE001 - see the module
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._has_failed = True
        self._on_failure(error)


class GuardedTrace:
    """A trace none of whose methods raises. After its first failure it only ends."""

    __slots__ = ("_ending", "_on_failure", "_trace")

    def __init__(self, trace: Trace, on_failure: Callable[[Exception], None]) -> None:
        self._trace = self._ending = trace
        self._on_failure = on_failure

    def request_piece(self, data: bytes) -> None:
        """A piece of the request's body came."""
        try:
            self._trace.request_piece(data)
        except Exception as error:  # noqa: BLE001 - see the module
            self._let_go(error)

    def request_ended(self) -> None:
        """The request's body came to its end."""
        try:
            self._trace.request_ended()
        except Exception as error:  # noqa: BLE001 - see the module
            self._let_go(error)

    def response_started(self, status: int, headers: RawHeaders) -> None:
        """The response's head came."""
        try:
            self._trace.response_started(status, headers)
        except Exception as error:  # noqa: BLE001 - see the module
            self._let_go(error)

    def response_piece(self, data: bytes) -> None:
        """A piece of the response's body came, as it was on the wire."""
        try:
            self._trace.response_piece(data)
        except Exception as error:  # noqa: BLE001 - see the module
            self._let_go(error)

    def ended(self, end: TransportEnd, text: str | None, waits: Waits) -> None:
        """The exchange ended. Only the first word on it counts."""
        ending, self._ending = self._ending, NULL_TRACE
        if self._trace is NULL_TRACE and end is TransportEnd.EOF:
            text = text or NOT_SEEN
        # Also after a failure: its start is recorded, maybe, and it holds memory and its bundle.
        try:
            ending.ended(end, text, waits)
        except Exception as error:  # noqa: BLE001 - see the module
            self._let_go(error)

    def _let_go(self, error: Exception) -> None:
        if self._trace is not NULL_TRACE:
            self._trace = NULL_TRACE
            self._on_failure(error)
