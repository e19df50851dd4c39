"""What the hot path notes of an exchange: the facts that the recorder is handed.

All of it is observation. Times are nanoseconds, of the wall clock where the name says unix and of
one monotonic clock elsewhere.
"""

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from .capture import Direction, Kind
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How long the relay waited on each side, in nanoseconds."""

    upstream_ns: int = 0
    client_ns: int = 0


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

    ``body`` is None where it was too large to keep. ``is_whole`` is False where the body broke off.
    """

    call_id: UUID
    head: RequestHead
    arrived_unix_ns: int
    body: list[bytes] | None
    body_bytes: int
    kept_bytes: int
    is_whole: bool
    socket: SocketCall | None = None


PIECE_OVERHEAD_BYTES = 256
"""What a piece that waits for the disk takes beside its data: the objects, and later the record."""


class PieceSeen(NamedTuple):
    """A piece for the capture, decoded where it was encoded.

    ``headers`` is set for a head, and for a message that holds headers: all of them as they came,
    since some hold secrets.
    """

    call_id: UUID
    kind: Kind
    at_unix_ns: int
    data: bytes
    direction: Direction = Direction.DOWN
    headers: RawHeaders = ()

    @property
    def held_bytes(self) -> int:
        """The memory that it takes while it waits."""
        return len(self.data) + PIECE_OVERHEAD_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded:
    """The end of an exchange, with all that was noted of its response.

    ``wire_sha256`` is set where the body came encoded: what is kept of it is decoded.
    """

    call_id: UUID
    http_status: int | None
    headers: RawHeaders
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketEnded:
    """The end of a WebSocket, after that of all its calls."""

    connection_id: str


Operation = CallStarted | PieceSeen | CallEnded | ExchangeEnded | SocketEnded


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
