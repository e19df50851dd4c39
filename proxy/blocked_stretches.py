"""Remembers when a client did not take what it was sent: how long in all, and the longest times."""

import heapq

STRETCHES_MAX = 32
"""More of them tell a reader nothing, and a slow client has thousands."""

STRETCH_NS_MIN = 10_000_000
"""Shorter ones, under 10 ms, nobody sees beside a stream's own pauses."""


class BlockedStretches:
    """The stretches of one response. Times are monotonic nanoseconds."""

    __slots__ = ("_longest", "_since_ns", "total_ns")

    def __init__(self) -> None:
        self._longest: list[tuple[int, int, int]] = []
        """A heap, the shortest first: length, beginning, end."""
        self._since_ns: int | None = None
        self.total_ns = 0

    @property
    def is_open(self) -> bool:
        """Whether the client is waited for now."""
        return self._since_ns is not None

    def begin(self, now_ns: int) -> None:
        """The client takes no more."""
        self._since_ns = now_ns

    def end(self, now_ns: int) -> None:
        """The client takes again, or nobody waits for it any more."""
        if self._since_ns is None:
            return
        began_ns, self._since_ns = self._since_ns, None
        length_ns = now_ns - began_ns
        self.total_ns += length_ns
        if length_ns < STRETCH_NS_MIN:
            return
        heapq.heappush(self._longest, (length_ns, began_ns, now_ns))
        if len(self._longest) > STRETCHES_MAX:
            heapq.heappop(self._longest)

    def longest(self) -> tuple[tuple[int, int], ...]:
        """The longest ones, beginning and end, in the order of time."""
        return tuple(sorted((began_ns, end_ns) for _, began_ns, end_ns in self._longest))
