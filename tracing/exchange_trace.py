"""What the relay tells of an exchange: the traffic's side of the recorder's queue."""

import hashlib
import time
from typing import Protocol
from uuid import UUID

import orjson

from .call import (
    CallEnded,
    CallStarted,
    ExchangeEnded,
    Operation,
    RequestHead,
    Waits,
)
from .call_pieces import CallPieces
from .capture import Kind
from .decoding import GROWN_BYTES_MAX, DecodeError, Decoder, decoder_for
from .observer import ResponseObserver
from .redaction import RawHeaders, kept_headers
from .terminal import TransportEnd

TOO_LARGE = "the body is larger than what is kept of one"
NO_MEMORY = "there was no memory left for it, since the disk was slow"
_OK = range(200, 300)


class Queue(Protocol):
    """Where a trace puts what it noted."""

    event_bytes_max: int
    decoded_bytes_max: int
    request_bytes_max: int
    message_bytes_max: int
    keeps_bodies: bool

    def put(self, operation: Operation) -> None:
        """Hand an operation over."""

    def reserve(self, size: int) -> bool:
        """Ask for ``size`` bytes of the memory that waits for the disk."""

    def has_room(self, size: int) -> bool:
        """Tell whether there are ``size`` bytes left of that memory for a call."""

    def hold(self, size: int) -> None:
        """Take ``size`` bytes of that memory for what is handed over in any case."""

    def count_lost(self, what: str, amount: int) -> None:
        """Count what could not be kept."""


class CallTrace:
    """The trace of a call: it keeps the request until it is whole, and observes the response."""

    __slots__ = (
        "_arrived_ns",
        "_arrived_unix_ns",
        "_body",
        "_body_bytes",
        "_bytes_down",
        "_call_id",
        "_decode_error",
        "_decoder",
        "_ended",
        "_head",
        "_headers",
        "_headers_ns",
        "_held_bytes",
        "_lost_bytes",
        "_observer",
        "_pieces",
        "_queue",
        "_request_ended_ns",
        "_request_lost",
        "_started",
        "_status",
        "_wire_hash",
    )

    def __init__(self, call_id: UUID, head: RequestHead, queue: Queue, held_bytes: int = 0) -> None:
        """``held_bytes`` of memory are for the call's start, and as many for its end."""
        self._held_bytes = held_bytes
        self._call_id = call_id
        self._head = head
        self._queue = queue
        self._pieces = CallPieces(call_id, queue)
        self._arrived_ns = time.monotonic_ns()
        self._arrived_unix_ns = time.time_ns()
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._request_ended_ns: int | None = None
        self._request_lost: str | None = None
        self._started = False
        self._ended = False
        self._status: int | None = None
        self._headers: RawHeaders = ()
        self._headers_ns: int | None = None
        self._observer: ResponseObserver | None = None
        self._decoder: Decoder | None = None
        self._decode_error: str | None = None
        self._wire_hash = hashlib.sha256()
        self._bytes_down = 0
        self._lost_bytes = 0

    def request_piece(self, data: bytes) -> None:
        """A piece of the request's body came."""
        self._body_bytes += len(data)
        if self._request_lost or self._started:
            return
        if self._body_bytes > self._queue.request_bytes_max:
            self._request_lost = TOO_LARGE
        elif not self._queue.reserve(len(data)):
            self._request_lost = NO_MEMORY
        else:
            self._body.append(data)

    def request_ended(self) -> None:
        """The request's body came to its end."""
        self._request_ended_ns = time.monotonic_ns()
        self._start(is_whole=True)

    def response_started(self, status: int, headers: RawHeaders) -> None:
        """The response's head came."""
        self._start(is_whole=False)
        self._status = status
        self._headers = headers
        self._headers_ns = time.monotonic_ns()
        self._observer = ResponseObserver(
            is_stream=is_stream_head(status, headers),
            event_bytes_max=self._queue.event_bytes_max,
            reserve=self._queue.reserve,
        )
        try:
            encoding = _field(headers, b"content-encoding")
            bytes_max = self._queue.decoded_bytes_max
            self._decoder = decoder_for(encoding, bytes_max, GROWN_BYTES_MAX)
        except DecodeError as error:
            self._decode_error = str(error)
        kept = {"status": status, "headers": kept_headers(headers)}
        self._capture(Kind.HEAD, orjson.dumps(kept), headers)

    def response_piece(self, data: bytes) -> None:
        """A piece of the response's body came, as it was on the wire."""
        if self._ended or self._observer is None:
            return
        self._bytes_down += len(data)
        if self._decoder is not None:
            self._wire_hash.update(data)
        plain = self._decoded(data)
        if plain:
            self._observer.piece(plain, time.monotonic_ns())
            self._capture(Kind.BODY, plain)

    def ended(self, end: TransportEnd, text: str | None, waits: Waits) -> None:
        """The exchange ended. Only the first word on it counts."""
        if self._ended:
            return
        self._ended = True
        self._start(is_whole=False)
        try:
            if self._observer is not None:
                self._observer.finish()
                if self._observer.lost_bytes:
                    self._queue.count_lost("response_bytes", self._observer.lost_bytes)
        finally:
            # A bug there does not leave the call open, and its bundle with it.
            self._put_end(end, text, waits)

    def _put_end(self, end: TransportEnd, text: str | None, waits: Waits) -> None:
        self._queue.hold(self._held_bytes)
        self._queue.put(
            CallEnded(
                call_id=self._call_id,
                http_status=self._status,
                headers=self._headers,
                request_ended_ns=self._request_ended_ns,
                headers_ns=self._headers_ns,
                observer=self._observer,
                end=end,
                end_text=text,
                waits=waits,
                arrived_ns=self._arrived_ns,
                ended_ns=time.monotonic_ns(),
                ended_unix_ns=time.time_ns(),
                bytes_down=self._bytes_down,
                lost_bytes=self._lost_bytes,
                wire_sha256=self._wire_hash.hexdigest() if self._decoder else None,
                decode_error=self._decode_error,
                held_bytes=self._held_bytes,
            )
        )

    def _start(self, *, is_whole: bool) -> None:
        if self._started:
            return
        self._started = True
        if self._request_lost:
            self._queue.count_lost("request_bytes", self._body_bytes)
        self._queue.hold(self._held_bytes)
        self._queue.put(
            CallStarted(
                call_id=self._call_id,
                head=self._head,
                arrived_unix_ns=self._arrived_unix_ns,
                body=None if self._request_lost else self._body,
                body_bytes=self._body_bytes,
                kept_bytes=self._held_bytes + sum(map(len, self._body)),
                is_whole=is_whole,
                lost=self._request_lost,
            )
        )
        self._body = []

    def _decoded(self, data: bytes) -> bytes:
        """Decode a copy; what cannot be decoded is lost to the trace, and the trace says so."""
        if self._decode_error is None:
            if self._decoder is None:
                return data
            try:
                return self._decoder.feed(data)
            except DecodeError as error:
                self._decode_error = str(error)
        self._lost_bytes += len(data)
        self._queue.count_lost("capture_bytes", len(data))
        return b""

    def _capture(self, kind: Kind, data: bytes, headers: RawHeaders = ()) -> None:
        if not self._queue.keeps_bodies:
            return
        # A capture has an end and no hole: what stood in one could have been half of a secret.
        if self._lost_bytes or not self._pieces.add(kind, data, headers):
            self._lost_bytes += len(data)
            self._queue.count_lost("capture_bytes", len(data))


class ExchangeTrace:
    """The trace of an exchange that is no call: sizes, status and how it ended."""

    def __init__(self, head: RequestHead, queue: Queue, held_bytes: int = 0) -> None:
        """``held_bytes`` of the queue's memory are for the exchange."""
        self._held_bytes = held_bytes
        self._head = head
        self._queue = queue
        self._arrived_ns = time.monotonic_ns()
        self._arrived_unix_ns = time.time_ns()
        self._status: int | None = None
        self._headers: RawHeaders = ()
        self._bytes_up = 0
        self._bytes_down = 0
        self._ended = False

    def request_piece(self, data: bytes) -> None:
        """A piece of the request's body came."""
        self._bytes_up += len(data)

    def request_ended(self) -> None:
        """The request's body came to its end."""

    def response_started(self, status: int, headers: RawHeaders) -> None:
        """The response's head came."""
        self._status = status
        self._headers = headers

    def response_piece(self, data: bytes) -> None:
        """A piece of the response's body came."""
        self._bytes_down += len(data)

    def ended(
        self,
        end: TransportEnd,
        text: str | None,
        waits: Waits,  # noqa: ARG002 - the protocol's signature
    ) -> None:
        """The exchange ended. Only the first word on it counts."""
        if self._ended:
            return
        self._ended = True
        self._queue.hold(self._held_bytes)
        self._queue.put(
            ExchangeEnded(
                head=self._head,
                http_status=self._status,
                headers=self._headers,
                end=end,
                end_text=text,
                arrived_unix_ns=self._arrived_unix_ns,
                duration_ns=time.monotonic_ns() - self._arrived_ns,
                bytes_up=self._bytes_up,
                bytes_down=self._bytes_down,
                held_bytes=self._held_bytes,
            )
        )


def is_stream_head(status: int | None, headers: RawHeaders) -> bool:
    """Tell from a response's head whether its body is a stream of events."""
    content_type = _field(headers, b"content-type") or ""
    return status in _OK and content_type.lower().startswith("text/event-stream")


def _field(headers: RawHeaders, name: bytes) -> str | None:
    """Return a field's value, of several lines as one list (RFC 9110 section 5.3)."""
    values = [value.decode("latin-1") for header, value in headers if header.lower() == name]
    return ", ".join(values) if values else None
