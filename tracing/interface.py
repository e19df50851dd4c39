"""The narrow interface through which the proxy traces: it holds handles, and never asks ``if``.

Every method is synchronous, cheap and never raises. Where nothing is traced the handles do nothing.
"""

from typing import Protocol

from .call import RequestHead, Waits
from .redaction import RawHeaders
from .terminal import TransportEnd


class Trace(Protocol):
    """What the relay tells of one exchange. No method waits, and none raises."""

    def request_piece(self, data: bytes) -> None:
        """A piece of the request's body came."""

    def request_ended(self) -> None:
        """The request's body came to its end."""

    def response_started(self, status: int, headers: RawHeaders) -> None:
        """The response's head came."""

    def response_piece(self, data: bytes) -> None:
        """A piece of the response's body came, as it was on the wire."""

    def ended(self, end: TransportEnd, text: str | None, waits: Waits) -> None:
        """The exchange ended. Only the first word on it counts."""


class SocketTrace(Protocol):
    """What the relay tells of a WebSocket. No method waits, and none raises."""

    @property
    def open_calls(self) -> int | None:
        """How many responses are asked for and not ended; None where that is not known."""

    @property
    def is_between_frames(self) -> bool:
        """Whether a frame of ours could be put in, in either direction."""

    def up(self, data: bytes) -> None:
        """Bytes went from the client to upstream."""

    def down(self, data: bytes) -> None:
        """Bytes went from upstream to the client."""

    def ended(self, end: TransportEnd, text: str | None) -> None:
        """The socket ended. Only the first word on it counts."""


class Recorder(Protocol):
    """What the proxy needs of tracing."""

    def begin(self, head: RequestHead) -> Trace:
        """Begin the trace of an exchange."""

    def begin_socket(self, head: RequestHead, status: int, headers: RawHeaders) -> SocketTrace:
        """Begin the trace of a WebSocket, with the handshake's answer."""

    def lost(self) -> dict[str, int]:
        """Return what could not be kept so far, by kind."""

    def close(self, timeout: float) -> bool:
        """Record what waits and stop, within ``timeout`` seconds; False where that failed."""


class NullTrace:
    """The trace of an exchange that is not traced."""

    def request_piece(self, data: bytes) -> None:
        """Do nothing."""

    def request_ended(self) -> None:
        """Do nothing."""

    def response_started(self, status: int, headers: RawHeaders) -> None:
        """Do nothing."""

    def response_piece(self, data: bytes) -> None:
        """Do nothing."""

    def ended(self, end: TransportEnd, text: str | None, waits: Waits) -> None:
        """Do nothing."""


class NullSocketTrace:
    """The trace of a WebSocket that is not traced."""

    open_calls = None
    is_between_frames = False

    def up(self, data: bytes) -> None:
        """Do nothing."""

    def down(self, data: bytes) -> None:
        """Do nothing."""

    def ended(self, end: TransportEnd, text: str | None) -> None:
        """Do nothing."""


NULL_TRACE = NullTrace()
NULL_SOCKET_TRACE = NullSocketTrace()


class NullRecorder:
    """A recorder that records nothing."""

    def begin(self, head: RequestHead) -> Trace:  # noqa: ARG002 - the protocol's signature
        """Return a trace that does nothing."""
        return NULL_TRACE

    def begin_socket(
        self,
        head: RequestHead,  # noqa: ARG002 - the protocol's signature
        status: int,  # noqa: ARG002 - the same
        headers: RawHeaders,  # noqa: ARG002 - the same
    ) -> SocketTrace:
        """Return a trace that does nothing."""
        return NULL_SOCKET_TRACE

    def lost(self) -> dict[str, int]:
        """Return that nothing was lost."""
        return {}

    def close(self, timeout: float) -> bool:  # noqa: ARG002 - the protocol's signature
        """Do nothing."""
        return True
