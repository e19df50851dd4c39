"""What the hot path notes of an exchange: the facts that the recorder is handed.

All of it is observation. Times are nanoseconds, of the wall clock where the name says unix and of
one monotonic clock elsewhere.
"""

from dataclasses import dataclass
from uuid import UUID

from .call_pieces import CallPieces
from .observer import ResponseObserver
from .redaction import RawHeaders
from .scope import Scope
from .terminal import TransportEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHead:
    """The head of a request as the client sent it. ``query`` has no question mark."""

    scope: Scope
    method: str
    path: str
    query: str
    headers: RawHeaders
    connection_id: str

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes."""
        return len(self.path) + len(self.query) + sum(len(n) + len(v) for n, v in self.headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How long the relay waited on each side, in nanoseconds.

    ``client_blocked_ns`` are the longest stretches in which the client took nothing, by the
    monotonic clock: beginning and end.
    """

    upstream_ns: int = 0
    client_ns: int = 0
    client_blocked_ns: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketCall:
    """What is particular to a call on a WebSocket: its lane, and the handshake of the socket.

    ``has_request`` is False for the successor that a steer makes upstream start by itself.
    """

    stream_id: str | None
    has_request: bool
    handshake_status: int
    handshake_headers: RawHeaders


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStarted:
    """A request whose body has come, or will not come any further.

    ``body`` is None where it was not kept, and ``lost`` says why. ``is_whole`` is False where the
    body broke off.
    """

    call_id: UUID
    head: RequestHead
    arrived_unix_ns: int
    body: list[bytes] | None
    body_bytes: int
    kept_bytes: int
    is_whole: bool
    lost: str | None = None
    socket: SocketCall | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded:
    """The end of an exchange, with all that was noted of its response.

    ``held_bytes`` is the memory that it takes beside its content.
    ``wire_sha256`` is set where the body came encoded: what is kept of it is decoded.
    """

    call_id: UUID
    http_status: int | None
    headers: RawHeaders
    request_ended_ns: int | None = None
    """When the request's body had come; None on a WebSocket, or where it never came to its end."""
    headers_ns: int | None
    observer: ResponseObserver | None
    end: TransportEnd
    end_text: str | None
    waits: Waits
    arrived_ns: int
    ended_ns: int
    ended_unix_ns: int
    bytes_down: int
    lost_bytes: int
    wire_sha256: str | None
    decode_error: str | None
    held_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeEnded:
    """An exchange of the family that is no call: it is noted, without bodies."""

    head: RequestHead
    http_status: int | None
    headers: RawHeaders
    end: TransportEnd
    end_text: str | None
    arrived_unix_ns: int
    duration_ns: int
    bytes_up: int
    bytes_down: int
    held_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketEnded:
    """The end of a WebSocket, after that of all its calls."""

    connection_id: str


Operation = CallStarted | CallPieces | CallEnded | ExchangeEnded | SocketEnded


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSummary:
    """What is told of a call when its terminal is recorded: one line of log."""

    call_id: str
    terminal: str
    text: str | None
    model: str
    response_id: str | None
    upstream_request_id: str | None
    http_status: int | None
    path: str
    duration_ms: float
    first_event_ms: float | None
    events: int
    bytes_up: int
    bytes_down: int
