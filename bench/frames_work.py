"""What the load for WebSockets is asked for, and what it saw."""

from dataclasses import dataclass, field

EVENTS_BESIDE_DELTAS = 4
"""Of each response: created, the item's beginning and end, completed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one run asks for; ``pace`` is in seconds."""

    port: int
    run: str
    sockets: int
    responses: int
    deltas: int
    pace: float

    @property
    def frames_each(self) -> int:
        """How many frames a response has."""
        return self.deltas + EVENTS_BESIDE_DELTAS

    @property
    def names(self) -> list[str]:
        """The ids of all responses that are asked for."""
        return [
            self.name(socket, response)
            for socket in range(self.sockets)
            for response in range(self.responses)
        ]

    def name(self, socket: int, response: int) -> str:
        """The response id that upstream is asked to give."""
        return f"resp_{self.run}_{socket}_{response}"


@dataclass(slots=True)
class Seen:
    """What came, over all sockets; delays in ns from upstream's write to our read."""

    frames: int = 0
    payload_bytes: int = 0
    whole_responses: int = 0
    wall: float = 0.0
    faults: list[str] = field(default_factory=list)
    delays: list[int] = field(default_factory=list)
