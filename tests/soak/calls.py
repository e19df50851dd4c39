"""The calls of a soak: what each kind sends, gets and comes to in the trace."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from tests.support.events import (
    ev_created,
    ev_text_delta,
    message_item,
    response_object,
    sse,
    text_stream,
)

BIG_BYTES = 512 * 1024
"""Of a large request, and a quarter of it of its answer."""

DELTAS = 24


class Kind(StrEnum):
    """What a call does, or what is done to it."""

    STREAM = "stream"
    COMPRESSED = "compressed"
    """A stream whose request and response are compressed."""
    JSON = "json"
    BIG = "big"
    REFUSED = "refused"
    """Answered 500, and then tried again as another call."""
    DROPPED = "dropped"
    """The client leaves after the first events."""
    RESET = "reset"
    """Upstream resets the connection after the first events."""
    SOCKET = "socket"
    SOCKET_DROPPED = "socket dropped"
    SOCKET_RESET = "socket reset"


TERMINALS = {
    Kind.REFUSED: "inference_failed",
    Kind.RESET: "inference_failed",
    Kind.SOCKET_RESET: "inference_failed",
    Kind.DROPPED: "inference_cancelled",
    Kind.SOCKET_DROPPED: "inference_cancelled",
}
"""The terminal event of each kind; that of the others is inference_completed."""

UNFINISHED = frozenset({Kind.DROPPED, Kind.RESET, Kind.SOCKET_DROPPED, Kind.SOCKET_RESET})


@dataclass(frozen=True, slots=True)
class SoakCall:
    """One attempt to get a response, known by a number of its own wherever it is seen."""

    kind: Kind
    number: int

    @property
    def terminal(self) -> str:
        """The event that ends it in the trace."""
        return TERMINALS.get(self.kind, "inference_completed")

    @property
    def text(self) -> str:
        """What its response says."""
        return "".join(self._deltas())

    def request(self) -> dict[str, Any]:
        """Its request, on a WebSocket without the type."""
        padding = "x" * BIG_BYTES if self.kind is Kind.BIG else "Hi"
        metadata = {"soak_kind": self.kind.value, "soak_number": str(self.number)}
        stream = self.kind not in {Kind.JSON, Kind.BIG}
        return {"model": "m", "stream": stream, "input": padding, "metadata": metadata}

    def events(self) -> list[dict[str, object]]:
        """The events of its response: all of them, or those that come before it breaks off."""
        response_id = f"resp_{self.number}"
        if self.kind in UNFINISHED:
            return [ev_created(response_id), *map(ev_text_delta, self._deltas()[:3])]
        return list(text_stream(*self._deltas(), response_id=response_id))

    def body(self) -> bytes:
        """The body of its response, as far as it goes."""
        if self.kind is Kind.REFUSED:
            return b'{"error":{"message":"Try again","type":"server_error","code":null}}'
        if self.kind in {Kind.JSON, Kind.BIG}:
            item = message_item(self.text)
            return orjson.dumps(response_object(f"resp_{self.number}", output=[item]))
        return sse(*self.events())

    def _deltas(self) -> list[str]:
        size = BIG_BYTES // 4 // DELTAS if self.kind is Kind.BIG else 20
        return [f"{self.number} {place} ".ljust(size, ".") for place in range(DELTAS)]


def call_of(request: Any) -> SoakCall:
    """The call that a request belongs to, wherever the request was read."""
    metadata = request["metadata"]
    return SoakCall(Kind(metadata["soak_kind"]), int(metadata["soak_number"]))
