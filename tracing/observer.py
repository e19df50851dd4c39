"""Notes what one response said and when, as its bytes pass.

It runs on the hot path, so it keeps slices and times and parses no delta; ``answer`` reads the
slices when the call has ended. It knows nothing of disks, threads or sockets, which lets crash
recovery drive it from a capture in the same way.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from .sse import SSEScanner
from .strict_json import NotStrictJson, loads_lenient

TERMINAL_EVENTS = frozenset(
    {
        b"response.completed",
        b"response.failed",
        b"response.incomplete",
        b"response.cancelled",
    }
)
_LIFECYCLE_EVENTS = frozenset({b"response.created", b"response.queued", b"response.in_progress"})
ERROR_EVENTS = frozenset({b"error", b"response.error"})
_ITEM_DONE = b"response.output_item.done"
_TEXT_DELTA = b"response.output_text.delta"

_DELTA_TYPES = (
    b"response.function_call_arguments.delta",
    b"response.custom_tool_call_input.delta",
    b"response.reasoning_summary_text.delta",
    b"response.reasoning_text.delta",
    b"response.mcp_call_arguments.delta",
    b"response.code_interpreter_call_code.delta",
    b"response.refusal.delta",
)


def _on_wire(event_type: bytes) -> bytes:
    """The beginning of such an event as OpenAI writes it."""
    return b"event: %b\ndata: {" % event_type + b'"type":"%b",' % event_type


_TEXT_ON_WIRE = _on_wire(_TEXT_DELTA)
_SKIPPED = (_TEXT_ON_WIRE, *map(_on_wire, _DELTA_TYPES))

# A lifecycle event repeats the request's instructions and tools: what matters stands before them.
_LIFECYCLE_HEAD = re.compile(
    rb'\{"type":"[a-z._]+",(?:"sequence_number":\d+,)?"response":\{"id":"([^"\\]+)",'
    rb'"object":"response","created_at":[\d.]+,"status":"([a-z_]+)"'
)
_SEQUENCE_NUMBER = re.compile(rb'"sequence_number"\s*:\s*(\d+)')

# What is kept of the last message, to tell its sequence number.
_LAST_MESSAGE_BYTES_MAX = 4096

Reserve = Callable[[int], bool]
"""Asks for bytes of memory to keep something in; False means that it must be let go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was kept of a response: slices of it, in bytes as they came."""

    is_stream: bool
    response_id: str | None
    response_status: str | None
    terminal_type: bytes | None
    terminal_data: bytes | bytearray | None
    error: bytes | bytearray | None
    done_items: list[bytes | bytearray]
    body: list[bytes | bytearray]
    kept_bytes: int
    lost_bytes: int


class ResponseObserver:
    """One response as it was seen. Times are nanoseconds of one monotonic clock."""

    __slots__ = (
        "_last_message",
        "_messages",
        "_reserve",
        "_scanner",
        "body",
        "bytes_down",
        "done_items",
        "error",
        "first_event_ns",
        "first_text_ns",
        "is_stream",
        "kept_bytes",
        "last_event_ns",
        "lost_bytes",
        "lost_events",
        "max_gap_ns",
        "piece_ns",
        "response_id",
        "response_status",
        "terminal_data",
        "terminal_type",
        "unterminated_event",
    )

    def __init__(self, *, is_stream: bool, event_bytes_max: int, reserve: Reserve) -> None:
        self.is_stream = is_stream
        self.response_id: str | None = None
        self.response_status: str | None = None
        self.terminal_type: bytes | None = None
        self.terminal_data: bytes | bytearray | None = None
        self.error: bytes | bytearray | None = None
        self.done_items: list[bytes | bytearray] = []
        self.body: list[bytes | bytearray] = []
        self.unterminated_event = False
        self.bytes_down = 0
        self.kept_bytes = 0
        self.lost_bytes = 0
        self.lost_events = 0
        self.first_event_ns: int | None = None
        self.first_text_ns: int | None = None
        self.last_event_ns: int | None = None
        self.piece_ns: int | None = None
        self.max_gap_ns = 0
        self._reserve = reserve
        self._messages = 0
        self._last_message = b""
        self._scanner = SSEScanner(event_bytes_max, _SKIPPED, once=_TEXT_ON_WIRE)

    @property
    def events(self) -> int:
        """How many events the stream has had."""
        return self._scanner.count + self._messages

    def seen(self) -> Seen:
        """Return what was kept so far."""
        return Seen(
            is_stream=self.is_stream,
            response_id=self.response_id,
            response_status=self.response_status,
            terminal_type=self.terminal_type,
            terminal_data=self.terminal_data,
            error=self.error,
            done_items=self.done_items,
            body=self.body,
            kept_bytes=self.kept_bytes,
            lost_bytes=self.lost_bytes,
        )

    def last_sequence_number(self) -> int | None:
        """Return the ``sequence_number`` of the stream's last whole event, if it has one."""
        numbers = _SEQUENCE_NUMBER.findall(self._last_message or self._scanner.last)
        return int(numbers[0]) if numbers else None

    def piece(self, data: bytes, at_ns: int) -> None:
        """Note a piece of the body, decoded, that came at ``at_ns``."""
        if self.piece_ns is not None:
            self.max_gap_ns = max(self.max_gap_ns, at_ns - self.piece_ns)
        self.piece_ns = at_ns
        self.bytes_down += len(data)
        if not self.is_stream:
            self._keep(self.body, data)
            return
        count = self._scanner.count
        for event in self._scanner.feed(data):
            self._event(event.type, event.data, at_ns)
        if self._scanner.count != count:
            self.last_event_ns = at_ns
            if self.first_event_ns is None:
                self.first_event_ns = at_ns

    def message(self, event_type: bytes, data: bytes, at_ns: int) -> None:
        """Note an event that came as one WebSocket message at ``at_ns``."""
        if self.piece_ns is not None:
            self.max_gap_ns = max(self.max_gap_ns, at_ns - self.piece_ns)
        self.piece_ns = self.last_event_ns = at_ns
        if self.first_event_ns is None:
            self.first_event_ns = at_ns
        self.bytes_down += len(data)
        self._messages += 1
        self._last_message = data[:_LAST_MESSAGE_BYTES_MAX]
        self._event(event_type, data, at_ns)

    def finish(self) -> None:
        """Note that no more of the body comes."""
        self.unterminated_event = self._scanner.finish() is not None

    def _event(self, event_type: bytes, data: bytes | bytearray | None, at_ns: int) -> None:
        if event_type == _TEXT_DELTA:
            if self.first_text_ns is None:
                self.first_text_ns = at_ns
        elif event_type == _ITEM_DONE:
            if data is None:
                self.lost_events += 1
            else:
                self._keep(self.done_items, data)
        elif event_type in _LIFECYCLE_EVENTS:
            if data is not None:
                self._note_lifecycle(data)
        elif event_type in TERMINAL_EVENTS:
            # The first one decides; a second is an oddity of the stream.
            if self.terminal_type is None:
                self.terminal_type = event_type
                self.terminal_data = self._kept(data)
                self.lost_events += data is None
        elif event_type in ERROR_EVENTS and self.error is None:
            self.error = self._kept(data) or b""

    def _note_lifecycle(self, data: bytes | bytearray) -> None:
        if match := _LIFECYCLE_HEAD.match(data):
            response_id, status = match[1].decode(errors="replace"), match[2].decode()
        else:
            response_id, status = _parsed_lifecycle(data)
        self.response_id = self.response_id or response_id
        self.response_status = status or self.response_status

    def _kept(self, data: bytes | bytearray | None) -> bytes | bytearray | None:
        kept: list[bytes | bytearray] = []
        if data is not None:
            self._keep(kept, data)
        return kept[0] if kept else None

    def _keep(self, where: list[bytes | bytearray], data: bytes | bytearray) -> None:
        if self._reserve(len(data)):
            self.kept_bytes += len(data)
            where.append(data)
        else:
            self.lost_bytes += len(data)


def _parsed_lifecycle(data: bytes | bytearray) -> tuple[str | None, str | None]:
    try:
        event = loads_lenient(data)
    except NotStrictJson:
        return None, None
    match event:
        case {"response": {"id": str(response_id), **response}}:
            status = response.get("status")
            return response_id, status if isinstance(status, str) else None
        case _:
            return None, None
