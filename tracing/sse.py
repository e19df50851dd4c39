"""Finds the events in a server-sent event stream, whatever the chunking.

The grammar is WHATWG HTML 9.2.5 and 9.2.6. The scanner reads a copy of what was relayed: it never
changes it, never raises, and past a limit it stops keeping an event, not the stream.
"""

import re
from typing import NamedTuple

EVENT_TYPE_BYTES_MAX = 512
"""How far into an event its type is looked for. OpenAI writes it first, before any content."""

_BOM = b"\xef\xbb\xbf"
# A line end, then the line end of the blank line. A CR that an LF follows is half of one line end.
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")
_LINE_END = re.compile(rb"\r\n|\n|\r")
# As OpenAI writes an event: its type in one line, its data in another one.
_USUAL_BLOCK = re.compile(rb"(?:event: ?([^\r\n]*)\n)?data: ?")
_TYPE_FIRST = re.compile(rb'\s*\{\s*"type"\s*:\s*"([^"\\]+)"')
_TYPE_LATER = re.compile(rb'"type"\s*:\s*"(response\.[a-z_.]+|error|keepalive)"')
# What is kept of the last event, to tell its sequence number.
_LAST_BYTES_MAX = 4096
# The longest start of a blank line that is not one yet: CR LF.
_PARTIAL_BLANK_LINE_BYTES = 2


LARGE_EVENT_BYTES = 128 * 1024
"""What is not copied once it has come: a copy of 10 MB into fresh memory took 5 ms, and every
stream waits for it."""


class SSEEvent(NamedTuple):
    """One dispatched event. ``data`` is None where the event was larger than the limit."""

    type: bytes
    data: bytes | bytearray | None


class SSEScanner:
    """Takes the pieces of one stream and gives the events that each piece completed.

    ``skip`` holds beginnings of events, as bytes on the wire, that are counted and not returned:
    deltas are most of a stream, and nobody waits for them here. ``once`` is one of them, of which
    the first is returned.

    ``last`` is the beginning of the last event. Events of up to ``event_bytes_max`` bytes are kept,
    or EVENT_TYPE_BYTES_MAX if that is more.
    """

    __slots__ = (
        "_at_start",
        "_buffer",
        "_bytes_max",
        "_once",
        "_oversize",
        "_skip",
        "count",
        "last",
    )

    def __init__(
        self, event_bytes_max: int, skip: tuple[bytes, ...] = (), once: bytes | None = None
    ) -> None:
        self._skip = skip
        self._once = once
        self.count = 0
        self.last = b""
        self._bytes_max = max(event_bytes_max, EVENT_TYPE_BYTES_MAX)
        self._buffer = bytearray()
        self._at_start = True
        # The beginning of the event that is too large to keep, while its end is awaited.
        self._oversize: bytes | None = None

    def feed(self, data: bytes) -> list[SSEEvent]:
        """Return the events that ``data`` completed, without those of ``skip``.

        In order, but the one of ``once`` comes last.
        """
        buffer = self._buffer
        if not buffer and self._is_one_delta(data):
            self.count += 1
            self.last = data[:-2][:_LAST_BYTES_MAX]
            return []
        if self._at_start and not buffer and data and data[0] != _BOM[0]:
            self._at_start = False
        searched = 0
        if buffer or self._at_start:
            # What was searched before has no blank line, but its end may be the start of one.
            searched = max(0, len(buffer) - _PARTIAL_BLANK_LINE_BYTES)
            buffer += data
            if self._at_start and not self._strip_bom():
                return []
            if len(buffer) >= LARGE_EVENT_BYTES and (large := self._take_large(searched)):
                events, rest = large
                return [*events, *self.feed(rest)]
            window: bytes | bytearray = buffer
        else:
            window = data
        events, consumed = self._take_events(window, searched)
        if window is buffer:
            del buffer[:consumed]
        else:
            buffer += memoryview(window)[consumed:]
        if self._oversize is not None or len(buffer) > self._bytes_max + _PARTIAL_BLANK_LINE_BYTES:
            self._drop_oversize()
        return events

    def finish(self) -> bytes | None:
        """Return what the stream left without its blank line, which is no event, if anything."""
        rest = bytes(self._buffer) if self._oversize is None else self._oversize
        self._buffer.clear()
        self._oversize = None
        return rest if rest.strip(b"\r\n") else None

    def _strip_bom(self) -> bool:
        """Drop one leading BOM; False while it cannot be told whether there is one."""
        buffer = self._buffer
        if len(buffer) < len(_BOM) and _BOM.startswith(buffer):
            return False
        if buffer.startswith(_BOM):
            del buffer[: len(_BOM)]
        self._at_start = False
        return True

    def _take_events(self, window: bytes | bytearray, searched: int) -> tuple[list[SSEEvent], int]:
        # From here on only: an event that grows piece by piece is not read again each time.
        has_cr = window.find(b"\r", searched) >= 0
        if not has_cr and self._oversize is None and len(window) <= self._bytes_max:
            end = window.find(b"\n\n", searched)
            if end < 0:
                return [], _skip_line_ends(window, 0)
            return self._take_plain_events(bytes(window), end)
        return self._walk_events(window, searched, has_cr=has_cr)

    def _take_large(self, searched: int) -> tuple[list[SSEEvent], bytes] | None:
        """Take the one event that ends in the buffer with the buffer itself, and what follows it.

        None where there is none, or it is not of the usual form.
        """
        buffer = self._buffer
        end = buffer.find(b"\n\n", searched)
        usual = _USUAL_BLOCK.match(buffer)
        if end < LARGE_EVENT_BYTES or usual is None or not self._may_be_kept(end):
            return None
        begin, event_line = usual.end(), bytes(usual[1] or b"")
        if begin == end or buffer.find(b"\n", begin, end) >= 0 or buffer.find(b"\r", begin) >= 0:
            return None
        is_skipped = self._is_skipped(buffer, 0)
        self.count += 1
        self.last = bytes(buffer[: min(end, _LAST_BYTES_MAX)])
        rest = bytes(buffer[end + 2 :])
        self._buffer = bytearray()
        if is_skipped:
            return [], rest
        del buffer[end:]
        del buffer[:begin]
        event_type = event_type_of(bytes(buffer[:EVENT_TYPE_BYTES_MAX]), event_line)
        return [SSEEvent(event_type, buffer)], rest

    def _may_be_kept(self, size: int) -> bool:
        return self._oversize is None and size <= self._bytes_max

    def _take_plain_events(self, window: bytes, end: int) -> tuple[list[SSEEvent], int]:
        """Take the events of a window without CR, all at once: most of them are skipped.

        ``end`` is where the first one ends.
        """
        blocks = [window[:end], *window[end + 2 :].split(b"\n\n")]
        rest = blocks.pop()
        # Line ends alone are no events, and may be many.
        blocks = [block for block in blocks if block]
        others = [_without_line_ends(block) for block in blocks if not block.startswith(self._skip)]
        unskipped = [block for block in others if not block.startswith(self._skip)]
        self.count += len(blocks) - len(unskipped)
        events = [event for block in unskipped if (event := _parse(block)) is not None]
        self.count += len(events)
        if self._once is not None:
            stripped = map(_without_line_ends, blocks)
            first = next((block for block in stripped if block.startswith(self._once)), None)
            if first is not None and (event := _parse(first)) is not None:
                self._once = None
                events.append(event)
        for block in map(_without_line_ends, reversed(blocks)):
            if block.startswith(self._skip) or _parse(block) is not None:
                self.last = block[:_LAST_BYTES_MAX]
                break
        return events, _skip_line_ends(window, len(window) - len(rest))

    def _walk_events(
        self, window: bytes | bytearray, searched: int, *, has_cr: bool
    ) -> tuple[list[SSEEvent], int]:
        events: list[SSEEvent] = []
        start = last_start = last_end = 0
        while True:
            if self._oversize is None:
                start = _skip_line_ends(window, start)
            end, following = _find_blank_line(window, max(start, searched), has_cr=has_cr)
            if end < 0:
                break
            if self._oversize is not None or end - start > self._bytes_max:
                events += self._end_oversize(window, start)
                last_end = 0
            elif self._is_skipped(window, start):
                self.count += 1
                last_start, last_end = start, end
            elif (event := _parse(bytes(window[start:end]))) is not None:
                self.count += 1
                last_start, last_end = start, end
                events.append(event)
            start = following
        if last_end:
            self.last = bytes(window[last_start : min(last_end, last_start + _LAST_BYTES_MAX)])
        return events, start

    def _end_oversize(self, window: bytes | bytearray, start: int) -> list[SSEEvent]:
        """Tell of an event that was too large, from its beginning."""
        head, self._oversize = self._oversize, None
        if head is None:
            head = bytes(window[start : start + EVENT_TYPE_BYTES_MAX])
        self.count += 1
        self.last = head
        return [] if self._is_skipped(head, 0) else [SSEEvent(_type_of_head(head), None)]

    def _is_skipped(self, window: bytes | bytearray, start: int) -> bool:
        if not window.startswith(self._skip, start):
            return False
        if self._once is None or not window.startswith(self._once, start):
            return True
        self._once = None
        return False

    def _is_one_delta(self, data: bytes) -> bool:
        """Tell whether the piece is one event of ``skip``, whole: nearly all are."""
        return (
            data.startswith(self._skip)
            and data.find(b"\n\n") == len(data) - 2
            and self._once is None
            and self._oversize is None
            and not self._at_start
            and len(data) <= self._bytes_max
            and b"\r" not in data
        )

    def _drop_oversize(self) -> None:
        if self._oversize is None:
            self._oversize = bytes(self._buffer[:EVENT_TYPE_BYTES_MAX])
        del self._buffer[:-_PARTIAL_BLANK_LINE_BYTES]


def _find_blank_line(window: bytes | bytearray, start: int, *, has_cr: bool) -> tuple[int, int]:
    """Return where the block ends and where the next one starts, or -1 for both."""
    if not has_cr:
        end = window.find(b"\n\n", start)
        return end, end + 2 if end >= 0 else -1
    match = _BLANK_LINE.search(window, start)
    return match.span() if match else (-1, -1)


def _skip_line_ends(window: bytes | bytearray, start: int) -> int:
    while start < len(window) and window[start] in b"\r\n":
        start += 1
    return start


def _without_line_ends(block: bytes) -> bytes:
    return block.lstrip(b"\n")


def _parse(block: bytes) -> SSEEvent | None:
    """Read one block; None where it has no data, which dispatches nothing."""
    usual = _USUAL_BLOCK.match(block)
    if usual and block.find(b"\n", usual.end()) < 0 and block.find(b"\r", usual.end()) < 0:
        # One copy instead of five: a block may have megabytes.
        only_line = block[usual.end() :]
        return SSEEvent(event_type_of(only_line, usual[1] or b""), only_line)
    event_line, data = _fields(block)
    if not data:
        return None
    joined = b"\n".join(data)
    return SSEEvent(event_type_of(joined, event_line), joined)


def _fields(block: bytes) -> tuple[bytes, list[bytes]]:
    """Return the last ``event`` and every ``data`` of a block's lines."""
    event_line = b""
    data: list[bytes] = []
    lines = _LINE_END.split(block) if b"\r" in block else block.split(b"\n")
    for line in lines:
        if line.startswith(b"data"):
            name, _, value = line.partition(b":")
            if name == b"data":
                data.append(value.removeprefix(b" "))
        elif line.startswith(b"event"):
            name, _, value = line.partition(b":")
            if name == b"event":
                event_line = value.removeprefix(b" ")
    return event_line, data


def event_type_of(data: bytes, event_line: bytes = b"") -> bytes:
    """Tell an event's type: the one in its data, which an ``event:`` line only repeats."""
    if match := _TYPE_FIRST.match(data, 0, EVENT_TYPE_BYTES_MAX):
        return match[1]
    if event_line:
        return event_line
    later = _TYPE_LATER.search(data, 0, EVENT_TYPE_BYTES_MAX)
    return later[1] if later else b""


def _type_of_head(head: bytes) -> bytes:
    """Tell the type of an event of which only the beginning was kept."""
    event_line, data = _fields(head)
    return event_type_of(b"\n".join(data), event_line)
