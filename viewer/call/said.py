"""What the model of a running call says: the end of its text, from the newest of its stream.

It is for a glance. What a call came to is read from its payloads.
"""

import orjson

TEXT_CHARS_MAX = 200
"""A line or two; who wants more opens the call."""

_LINE_BYTES_MAX = 16 * 1024
"""An event that is longer is no delta of a text."""

_SAYS = (b'"response.output_text.delta"', b'"response.refusal.delta"')
_TYPE_BYTES_MAX = 256


class Said:
    """The end of what a model says so far. Takes the pieces of its stream, in order."""

    __slots__ = ("_line", "text")

    def __init__(self) -> None:
        self.text = ""
        self._line = b""

    def miss(self) -> None:
        """What came next was not read: what follows it continues nothing."""
        self.text = ""
        self._line = b""

    def message(self, data: bytes) -> None:
        """A message of a WebSocket, which is one event."""
        self._take_event(data)

    def piece(self, data: bytes) -> None:
        """A piece of an event stream, cut wherever it was."""
        *lines, rest = (self._line + data).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                self._take_event(line[5:])
        # What is left of a line that was too long begins with no name of a field.
        self._line = rest if len(rest) <= _LINE_BYTES_MAX else b""

    def _take_event(self, data: bytes) -> None:
        beginning = data[:_TYPE_BYTES_MAX]
        if len(data) > _LINE_BYTES_MAX or not any(name in beginning for name in _SAYS):
            return
        try:
            event = orjson.loads(data)
        except orjson.JSONDecodeError:
            return
        delta = event.get("delta") if isinstance(event, dict) else None
        if isinstance(delta, str):
            self.text = (self.text + delta)[-TEXT_CHARS_MAX:]
