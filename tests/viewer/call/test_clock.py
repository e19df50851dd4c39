"""Pieces, timed by the wall clock, placed in a call that is timed by a monotonic one."""

from collections.abc import Mapping
from uuid import UUID

import pytest

from tracing.capture import Direction, Kind, Piece
from viewer.call.clock import arrival_unix_ns, milliseconds, since

STARTED_MS = 1_700_000_000_000


def piece(kind: Kind, at_unix_ns: int) -> Piece:
    """A piece of this kind that came then."""
    return Piece(
        call=UUID(int=1), direction=Direction.DOWN, kind=kind, at_unix_ns=at_unix_ns, data=b"{}"
    )


@pytest.mark.parametrize(
    ("kind", "timing"),
    [(Kind.HEAD, {"upstream_headers": 10.25}), (Kind.MESSAGE, {"first_event": 10.25})],
)
def test_what_both_clocks_noted_joins_them(kind: Kind, timing: Mapping[str, object]) -> None:
    """The arrival is told to the microsecond, also where the clock was set before the head came."""
    set_forward_ns = 3_600_000_000_000
    joint = piece(kind, STARTED_MS * 1_000_000 + 10_750_000 + set_forward_ns)
    arrival_ns = arrival_unix_ns([joint], timing, STARTED_MS)
    assert arrival_ns == STARTED_MS * 1_000_000 + 500_000 + set_forward_ns
    assert since(arrival_ns, joint.at_unix_ns) == 10.25


@pytest.mark.parametrize(
    ("pieces", "timing"),
    [
        ([], {"upstream_headers": 10.0}),
        ([piece(Kind.HEAD, 7)], {}),
        ([piece(Kind.BODY, 7)], {"upstream_headers": 10.0, "first_event": 11.0}),
        ([piece(Kind.HEAD, 7)], {"upstream_headers": float("nan")}),
    ],
)
def test_without_such_a_moment_the_start_events_time_has_to_do(
    pieces: list[Piece], timing: Mapping[str, object]
) -> None:
    """It is the arrival, in whole milliseconds."""
    assert arrival_unix_ns(pieces, timing, STARTED_MS) == STARTED_MS * 1_000_000


@pytest.mark.parametrize("value", [None, "1", True, -1.0, float("inf"), 10**400, [1]])
def test_what_is_no_time_is_none(value: object) -> None:
    """A bundle's timing may hold anything."""
    assert milliseconds({"ended": value}, "ended") is None


def test_a_piece_before_the_arrival_came_with_it() -> None:
    """A clock that went back gives no negative times."""
    assert since(1_000_000, 0) == 0.0
