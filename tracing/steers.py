"""Keeps what a client sent to steer a response, until upstream begins the successor that it makes.

A steer names its response and no lane, and several may wait for one successor (OpenAI's WebSocket
mode). What cannot be applied comes back; what waits for a request of the client goes with that.
"""

from typing import Any

from .request import as_items
from .strict_json import NotStrictJson, dumps, loads_lenient

STEERS_MAX = 16
"""How many may wait on one WebSocket."""


class Steers:
    """The steers of one WebSocket whose successors have not begun, oldest first."""

    def __init__(self) -> None:
        self._waiting: list[tuple[bytes, dict[str, Any]]] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, data: bytes) -> None:
        """Note a steer that the client sent."""
        steer = _parse(data)
        if isinstance(steer, dict) and isinstance(steer.get("previous_response_id"), str):
            self._waiting.append((data, steer))
            del self._waiting[:-STEERS_MAX]

    def settle(self, data: bytes) -> None:
        """Forget the steers that upstream says will have no successor of their own."""
        match _parse(data):
            case {
                "type": "response.steer.failed",
                "steer": {"previous_response_id": str(parent), **returned},
            }:
                self._waiting = [
                    (sent, steer)
                    for sent, steer in self._waiting
                    if steer["previous_response_id"] != parent
                    or steer.get("input") != returned.get("input")
                ]
            case {
                "type": "response.steer.pending",
                "steer": {"previous_response_id": str(parent)},
            }:
                self._take(parent)

    def successor_of(self, created: bytes, likely_parent: str | None) -> bytes | None:
        """Return the steer that made this response, if one did; several are returned as one.

        ``likely_parent`` is the response that it continues if the event names none.
        """
        match _parse(created):
            case {"response": {"previous_response_id": str(parent)}}:
                steers = self._take(parent)
            case _:
                steers = self._take(likely_parent)
        match steers:
            case []:
                return None
            case [(sent, _)]:
                return sent
            case _:
                items = [item for _, steer in steers for item in as_items(steer.get("input"))]
                return dumps({**steers[0][1], "input": items})

    def _take(self, parent: str | None) -> list[tuple[bytes, dict[str, Any]]]:
        taken = [held for held in self._waiting if held[1]["previous_response_id"] == parent]
        self._waiting = [held for held in self._waiting if held not in taken]
        return taken


def _parse(data: bytes) -> object:
    try:
        return loads_lenient(data)
    except NotStrictJson:
        return None
