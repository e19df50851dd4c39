"""When a piece came, in milliseconds from the request's arrival.

Pieces are timed by the wall clock, which may be set while a call runs; a call's timing by a
monotonic one, from the arrival. One moment that both noted joins them: the response's head, and on
a WebSocket, which has none, the first message. Without one, the start event's time has to do, which
is the arrival in whole milliseconds.
"""

import math
from collections.abc import Mapping, Sequence

from tracing.capture import Kind, Piece


def arrival_unix_ns(
    pieces: Sequence[Piece], timing: Mapping[str, object], started_at_unix_ms: int
) -> int:
    """When the request arrived, by the clock that the pieces are timed by."""
    joint = pieces[0] if pieces else None
    if joint is not None:
        at_ms = None
        if joint.kind is Kind.HEAD:
            at_ms = milliseconds(timing, "upstream_headers")
        elif joint.kind is Kind.MESSAGE:
            at_ms = milliseconds(timing, "first_event")
        if at_ms is not None:
            return joint.at_unix_ns - round(at_ms * 1e6)
    return started_at_unix_ms * 1_000_000


def milliseconds(timing: Mapping[str, object], name: str) -> float | None:
    """A figure of a call's timing; None where there is none, or none that can be."""
    value = timing.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        as_float = float(value)
    except OverflowError:
        return None
    return as_float if math.isfinite(as_float) and as_float >= 0 else None


def since(arrival_ns: int, at_unix_ns: int) -> float:
    """Milliseconds from the arrival to a piece; 0 at least, whatever the clock did."""
    return max(0.0, (at_unix_ns - arrival_ns) / 1e6)
