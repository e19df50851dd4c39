"""What the load over HTTP is asked for, and what it saw."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace

import orjson

from .script import Script, full_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one run asks for.

    Each connection makes ``warm`` calls before the clock starts, then call after call for
    ``seconds``, but at most ``calls`` and at most one each ``interval`` seconds. The first ones are
    spread over ``spread`` seconds. With a ``window``, in seconds from the start, only deltas that
    come within it are counted and timed, and no calls.
    """

    port: int
    run: str
    connections: int
    script: Script
    seconds: float
    warm: int = 1
    calls: int | None = None
    spread: float = 0.0
    interval: float = 0.0
    window: tuple[float, float] | None = None

    @classmethod
    def from_json(cls, text: str) -> "Work":
        """Read it back."""
        fields = orjson.loads(text)
        window = fields["window"]
        return cls(
            **{
                **fields,
                "script": Script(**fields["script"]),
                "window": window and (window[0], window[1]),
            }
        )

    def to_json(self) -> str:
        """Write it for another process."""
        return orjson.dumps(asdict(self)).decode()

    @property
    def warm_script(self) -> Script:
        """What warm-up calls ask for: the same, but a paced stream comes at once."""
        return replace(self.script, pace=0.0, deltas=min(self.script.deltas, 200))

    def name(self, connection: int, call: int) -> bytes:
        """The response id that upstream is asked to give."""
        return full_name(f"{self.run}_{connection}_{call}")

    def calls_of(self, counts: list[int]) -> Iterator[tuple[bytes, Script]]:
        """Every call that was made, by the counts of each connection, the warm-up's first."""
        for connection, count in enumerate(counts):
            for call in range(count):
                script = self.warm_script if call < self.warm else self.script
                yield self.name(connection, call), script


@dataclass(slots=True, kw_only=True)
class Seen:
    """What came, over all connections; warm-up calls only in ``calls_of`` and in the faults.

    Times in ns: first events and whole calls from the request's write, deltas from upstream's.
    """

    calls: int = 0
    events: int = 0
    wall: float = 0.0
    calls_of: list[int] = field(default_factory=list)
    """How many calls each connection made whole, the warm-up's among them."""
    first_events: list[int] = field(default_factory=list)
    whole_calls: list[int] = field(default_factory=list)
    deltas: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
