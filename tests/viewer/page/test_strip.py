"""Where calls stand on the strip over time, and what its axes say."""

import re
import time
from collections.abc import Iterator

import pytest

from viewer.catalog.rows import StripPoint
from viewer.page.strip import BOTTOM, POINTS_MAX, TOP, strip_of

NOON = 1_763_899_200_000
"""2025-11-23T12:00Z."""


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Here it is UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def point(number: int, at_s: float, ms: float | None, status: str = "completed") -> StripPoint:
    """A call so many seconds after noon."""
    return StripPoint(
        id=number,
        trace_id="t",
        call_id=f"call-{number}",
        started_at_unix_ms=NOON + round(at_s * 1000),
        duration_ms=ms,
        status=status,
        model="m",
    )


def test_no_calls_no_strip() -> None:
    """An empty one would say nothing."""
    assert strip_of([], NOON) is None


def test_time_goes_right_and_duration_up() -> None:
    """The first call is at the left, the slowest one higher than the others; both within."""
    strip = strip_of([point(2, 100, 9000), point(1, 0, 120)], NOON)
    assert strip is not None
    first, last = sorted(strip.marks, key=lambda mark: mark.x)
    assert (first.url, first.x) == ("/call/t/call-1", 0)
    assert (last.url, last.x) == ("/call/t/call-2", 100)
    assert TOP <= last.y < first.y <= BOTTOM
    assert [tick.label for tick in strip.durations] == ["100 ms", "1 s", "10 s"]
    assert [tick.label for tick in strip.times][:2] == ["12:00:00", "12:00:15"]


@pytest.mark.parametrize(
    ("durations", "labels"),
    [
        ([0.2], ["1 ms", "10 ms"]),
        ([300], ["100 ms", "1 s"]),
        ([1000], ["1 s", "10 s"]),
        ([50, 70_000], ["10 ms", "100 ms", "1 s", "10 s", "1 min", "10 min"]),
        ([0, 10**9], ["10 ms", "100 ms", "1 s", "10 s", "1 min", "10 min", "1 h", "10 h"]),
    ],
)
def test_scale_fits_what_is_there(durations: list[float], labels: list[str]) -> None:
    """From the line below all calls to the one above; what is beyond stands at the edge."""
    strip = strip_of([point(n, n, ms) for n, ms in enumerate(durations)], NOON)
    assert strip is not None
    assert [tick.label for tick in strip.durations] == labels
    assert all(TOP <= mark.y <= BOTTOM for mark in strip.marks)


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (3600, ["12:00", "12:15", "12:30", "12:45", "13:00"]),
        (86_400, ["12:00", "15:00", "18:00", "21:00", "11-24", "03:00", "06:00", "09:00", "12:00"]),
        (10 * 86_400, ["2025-11-24", "11-26", "11-28", "11-30", "12-02"]),
    ],
)
def test_time_is_told_in_steps_that_people_use(seconds: float, labels: list[str]) -> None:
    """Whole quarters, hours or days, and the day where one begins."""
    strip = strip_of([point(1, 0, 1000), point(2, seconds, 1000)], NOON)
    assert strip is not None
    assert [tick.label for tick in strip.times] == labels


def test_day_is_told_where_it_is_not_today() -> None:
    """Calls of last week are not taken for today's."""
    points = [point(1, 0, 1000), point(2, 3600, 1000)]
    strip = strip_of(points, NOON + 7 * 86_400_000)
    assert strip is not None
    assert [tick.label for tick in strip.times][:2] == ["2025-11-23 12:00", "12:15"]
    years = strip_of([*points, point(3, 900 * 86_400, 1000)], NOON)
    assert years is not None
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\d", tick.label) for tick in years.times)


def test_running_call_rises() -> None:
    """It has run until now, and the strip goes on until now."""
    at = NOON + 60_000
    strip = strip_of([point(2, 0, None, "running"), point(1, 0, 500)], at)
    assert strip is not None
    running, ended = (
        next(m for m in strip.marks if m.status == s) for s in ("running", "completed")
    )
    assert running.y < ended.y
    assert running.x == ended.x == 0
    assert "1 m 00 s" in running.title


def test_marks_that_would_cover_each_other_are_one() -> None:
    """The page stays light, however many calls there are; a failed one is never hidden."""
    points = [point(n, n * 0.01, 1000) for n in range(POINTS_MAX)]
    points.append(point(POINTS_MAX, 5, 1000, "failed"))
    strip = strip_of(points, NOON)
    assert strip is not None
    assert len(strip.marks) < 450
    assert strip.marks[-1].status == "failed"
    assert "more here" in strip.marks[0].title
    assert strip.summary == f"{POINTS_MAX + 1} calls over time: {POINTS_MAX} completed, 1 failed"


def test_clock_that_was_wrong_breaks_nothing() -> None:
    """A bundle may say that a call began at any time at all."""
    strip = strip_of([point(1, -1e15, 5), point(2, 1e15, 5), point(3, 0, 5)], NOON)
    assert strip is not None
    assert len(strip.times) <= 12
