"""The trace of one WebSocket: each response on it is a call of its own.

It reads copies of the bytes of both directions. Responses run in lanes: those that a ``stream_id``
names run in parallel, the others one after the other, and within a lane the order of the requests
is that of the responses (OpenAI's WebSocket mode).
"""

import re
import time
from collections import deque
from dataclasses import dataclass, field
from uuid import UUID

from .answer import error_headers
from .call import CallEnded, CallStarted, RequestHead, SocketCall, SocketEnded, Waits
from .call_pieces import CallPieces
from .capture import Kind
from .exchange_trace import NO_MEMORY, TOO_LARGE, Queue
from .ids import new_id
from .observer import ERROR_EVENTS, TERMINAL_EVENTS, ResponseObserver
from .redaction import RawHeaders
from .sse import event_type_of
from .steers import Steers
from .strict_json import NotStrictJson, loads_lenient
from .terminal import TransportEnd
from .websocket_frames import FrameScanner, Message, Opcode, close_reason

_CREATE = b"response.create"
_STEER = b"response.steer"
_CREATED = b"response.created"
_STEER_NEWS = frozenset({b"response.steer.failed", b"response.steer.pending"})

_STREAM_ID = re.compile(rb'"stream_id"\s*:')
_STREAM_ID_TEXT = re.compile(rb'"stream_id"\s*:\s*"([^"\\]+)"')
_RESPONSE_ID = re.compile(rb'"response"\s*:\s*\{\s*"id"\s*:\s*"([^"\\]+)"')


@dataclass(slots=True, kw_only=True, eq=False)
class _Call:
    """A call on the socket, begun by its request or, after a steer, by its response."""

    call_id: UUID
    stream_id: str | None
    observer: ResponseObserver
    pieces: CallPieces
    arrived_ns: int
    is_traced: bool
    """False where there was no memory even for its start and end."""
    lost_bytes: int = 0
    response_id: str | None = None


def _keep_nothing(_size: int) -> bool:
    return False


@dataclass(slots=True)
class _Lane:
    waiting: deque[_Call] = field(default_factory=deque)
    """Calls whose response has not begun, oldest first."""
    running: list[_Call] = field(default_factory=list)
    """Calls whose response has begun; one, unless upstream surprises us."""
    latest: str | None = None
    """The id of the response that began last."""

    def let_go(self, call: _Call) -> None:
        """Forget a call that has ended."""
        if call in self.running:
            self.running.remove(call)
        else:
            self.waiting.remove(call)


class WebSocketTrace:
    """The trace of a WebSocket that was accepted."""

    def __init__(
        self,
        head: RequestHead,
        status: int,
        headers: RawHeaders,
        queue: Queue,
        held_bytes: int = 0,
    ) -> None:
        """``status`` and ``headers`` are of the handshake's answer.

        ``held_bytes`` of memory are for the start of each call, and as many for its end.
        """
        self._held_bytes = held_bytes
        self._head = head
        self._handshake = (status, headers)
        self._queue = queue
        is_deflated = any(
            name.lower() == b"sec-websocket-extensions" and b"permessage-deflate" in value.lower()
            for name, value in headers
        )
        self._up = FrameScanner(message_bytes_max=queue.message_bytes_max, is_deflated=is_deflated)
        self._down = FrameScanner(
            message_bytes_max=queue.message_bytes_max, is_deflated=is_deflated
        )
        self._lanes: dict[str | None, _Lane] = {}
        self._has_named_lanes = False
        self._open_calls = 0
        self._steers = Steers()
        # Whose close frame came first, and what it said.
        self._closed_by: TransportEnd | None = None
        self._close_text: str | None = None
        self._is_ended = False

    @property
    def open_calls(self) -> int | None:
        """How many responses are asked for and not ended; None where that is not known."""
        if self._failure and not self._is_ended:
            return None
        return self._open_calls

    @property
    def _failure(self) -> str | None:
        return self._down.failure or self._up.failure

    @property
    def is_between_frames(self) -> bool:
        """Whether a frame of ours could be put in, in either direction."""
        return self._up.is_between_frames and self._down.is_between_frames

    def up(self, data: bytes) -> None:
        """Bytes went from the client to upstream."""
        if self._is_ended:
            return
        for message in self._up.feed(data):
            match message.opcode:
                case Opcode.TEXT:
                    self._from_client(message)
                case Opcode.CLOSE:
                    self._note_close(TransportEnd.CLIENT_CLOSED, "the client", message)
                case _:
                    pass

    def down(self, data: bytes) -> None:
        """Bytes went from upstream to the client."""
        if self._is_ended:
            return
        for message in self._down.feed(data):
            match message.opcode:
                case Opcode.TEXT:
                    self._from_upstream(message)
                case Opcode.CLOSE:
                    self._note_close(TransportEnd.EOF, "upstream", message)
                case _:
                    pass

    def ended(self, end: TransportEnd, text: str | None) -> None:
        """The socket ended, and with it the calls that were open on it."""
        if self._is_ended:
            return
        self._is_ended = True
        if end is not TransportEnd.SHUTDOWN and self._closed_by is not None:
            # The side that answers a close frame may be the first to close the connection.
            end = self._closed_by
        for lane in self._lanes.values():
            for call in [*lane.running, *lane.waiting]:
                self._end(call, end, text or self._end_text(end))
        self._lanes.clear()
        self._queue.put(SocketEnded(connection_id=self._head.connection_id))

    def _end_text(self, end: TransportEnd) -> str | None:
        if end is TransportEnd.SHUTDOWN:
            return None
        closed = self._close_text
        if end is TransportEnd.CLIENT_CLOSED:
            return f"client disconnected before the response ended: {closed}" if closed else None
        # Codex's text (codex-rs, responses_websocket.rs), and how it was closed.
        text = "websocket closed by server before response.completed"
        return f"{text}: {closed}" if closed else text

    def _note_close(self, end: TransportEnd, who: str, message: Message) -> None:
        if self._closed_by is None:
            self._closed_by = end
            code, reason = close_reason(message.data)
            said = f"{code} {reason}".strip() if code is not None else "no code"
            self._close_text = f"{who} closed the websocket with {said}"

    def _from_client(self, message: Message) -> None:
        data = message.data
        # One that is too large to keep is most likely a request with files in it.
        event_type = event_type_of(message.head) or _CREATE if data is None else event_type_of(data)
        if event_type == _CREATE:
            stream_id = _stream_id(message)
            self._has_named_lanes = self._has_named_lanes or stream_id is not None
            if data is None:
                self._queue.count_lost("request_bytes", message.size)
            self._start(stream_id, data, message.size, has_request=True)
        elif event_type == _STEER and data is not None:
            self._steers.add(data)

    def _from_upstream(self, message: Message) -> None:
        # Of a message that is too large to keep the beginning tells what it is.
        data = message.head if message.data is None else message.data
        event_type = event_type_of(data)
        stream_id = _stream_id(message) if self._has_named_lanes else None
        if event_type in _STEER_NEWS:
            self._steers.settle(data)
        if event_type == _CREATED:
            call: _Call | None = self._begin(stream_id, data)
        else:
            call = _call_of(self._lanes.get(stream_id), event_type, data)
        if call is None:
            return
        call.observer.message(event_type, data, time.monotonic_ns())
        is_error = event_type in ERROR_EVENTS
        if message.data is None:
            self._lose(call, message)
        else:
            self._capture(call, data, _error_headers_in(data) if is_error else ())
        if is_error or event_type in TERMINAL_EVENTS:
            self._lanes[stream_id].let_go(call)
            self._end(call, TransportEnd.EOF, None)

    def _lose(self, call: _Call, message: Message) -> None:
        call.lost_bytes += message.size
        call.observer.lost_events += 1
        call.observer.bytes_down += message.size - len(message.head)
        self._queue.count_lost("capture_bytes", message.size)

    def _begin(self, stream_id: str | None, data: bytes) -> _Call:
        """Take a response that begins: the oldest request's, or the successor of a steer."""
        lane = self._lane(stream_id)
        steer = None
        if self._steers:
            likely_parent = None if lane.waiting else lane.latest
            steer = self._steers.successor_of(data, likely_parent)
        if steer is not None or not lane.waiting:
            call = self._start(stream_id, steer, len(steer or b""), has_request=False)
            lane.waiting.remove(call)
        else:
            call = lane.waiting.popleft()
        call.response_id = lane.latest = _response_id(data)
        lane.running.append(call)
        return call

    def _start(
        self, stream_id: str | None, data: bytes | None, size: int, *, has_request: bool
    ) -> _Call:
        kept, lost = data, None if data is not None else TOO_LARGE
        if data is not None and not self._queue.reserve(len(data)):
            self._queue.count_lost("request_bytes", len(data))
            kept, lost = None, NO_MEMORY
        is_traced = self._queue.has_room(self._held_bytes)
        call_id = new_id()
        call = _Call(
            call_id=call_id,
            stream_id=stream_id,
            observer=ResponseObserver(
                is_stream=True,
                event_bytes_max=self._queue.event_bytes_max,
                reserve=self._queue.reserve if is_traced else _keep_nothing,
            ),
            pieces=CallPieces(call_id, self._queue),
            arrived_ns=time.monotonic_ns(),
            is_traced=is_traced,
        )
        self._lane(stream_id).waiting.append(call)
        self._open_calls += 1
        if not is_traced:
            self._queue.count_lost("calls", 1)
            return call
        status, headers = self._handshake
        self._queue.hold(self._held_bytes)
        self._queue.put(
            CallStarted(
                call_id=call.call_id,
                head=self._head,
                arrived_unix_ns=time.time_ns(),
                body=None if kept is None else [kept],
                body_bytes=size,
                kept_bytes=self._held_bytes + len(kept or b""),
                is_whole=True,
                lost=lost,
                socket=SocketCall(
                    stream_id=stream_id,
                    has_request=has_request,
                    handshake_status=status,
                    handshake_headers=headers,
                ),
            )
        )
        return call

    def _capture(self, call: _Call, data: bytes, headers: RawHeaders) -> None:
        if not self._queue.keeps_bodies or not call.is_traced:
            return
        if not call.pieces.add(Kind.MESSAGE, data, headers):
            call.lost_bytes += len(data)
            self._queue.count_lost("capture_bytes", len(data))

    def _end(self, call: _Call, end: TransportEnd, text: str | None) -> None:
        self._open_calls -= 1
        if not call.is_traced:
            return
        if call.observer.lost_bytes:
            self._queue.count_lost("response_bytes", call.observer.lost_bytes)
        self._queue.hold(self._held_bytes)
        self._queue.put(
            CallEnded(
                call_id=call.call_id,
                http_status=None,
                headers=(),
                headers_ns=None,
                observer=call.observer,
                end=end,
                end_text=text,
                waits=Waits(),
                arrived_ns=call.arrived_ns,
                ended_ns=time.monotonic_ns(),
                ended_unix_ns=time.time_ns(),
                bytes_down=call.observer.bytes_down,
                lost_bytes=call.lost_bytes,
                wire_sha256=None,
                decode_error=self._failure,
                held_bytes=self._held_bytes,
            )
        )

    def _lane(self, stream_id: str | None) -> _Lane:
        lane = self._lanes.get(stream_id)
        if lane is None:
            lane = self._lanes[stream_id] = _Lane()
        return lane


def _call_of(lane: _Lane | None, event_type: bytes, data: bytes) -> _Call | None:
    """Tell whose an event is: lifecycle events name the response, others belong to the latest."""
    if lane is None:
        return None
    if len(lane.running) > 1 and event_type in TERMINAL_EVENTS:
        response_id = _response_id(data)
        for call in lane.running:
            if call.response_id == response_id:
                return call
    if lane.running:
        return lane.running[-1]
    if lane.latest and event_type in TERMINAL_EVENTS and _response_id(data) == lane.latest:
        # It is of a response that has ended, and not of the one that is awaited.
        return None
    # Before a response began there may be an error instead of it, or news of the connection.
    return lane.waiting[0] if lane.waiting else None


def _response_id(data: bytes) -> str | None:
    match = _RESPONSE_ID.search(data)
    return match[1].decode(errors="replace") if match else None


def _error_headers_in(data: bytes) -> RawHeaders:
    """Return the headers that an error carries, since some hold secrets."""
    try:
        return error_headers(loads_lenient(data))
    except NotStrictJson:
        return ()


def _stream_id(message: Message) -> str | None:
    """Return the lane that a message names; the message is parsed only if it may name one."""
    if message.data is None:
        named = _STREAM_ID_TEXT.search(message.head)
        return named[1].decode(errors="replace") if named else None
    if _STREAM_ID.search(message.data) is None:
        return None
    try:
        value = loads_lenient(message.data)
    except NotStrictJson:
        return None
    match value:
        case {"stream_id": str(stream_id)}:
            return stream_id
        case _:
            return None
