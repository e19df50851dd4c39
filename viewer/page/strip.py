"""The strip of calls over time: where each one's mark stands, and what the axes say."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from .. import figures
from ..catalog.rows import StripPoint
from . import formats
from .links import call_url

POINTS_MAX = 2000
"""Of more calls the newest: a screen is about so many dots wide."""

TOP, BOTTOM = 10.0, 116.0
"""Where the slowest and the fastest stand, in pixels from the strip's top."""

_CELL_PERCENT, _CELL_PIXELS = 0.25, 2.0
"""Marks of one status within a cell are one: they would cover each other."""

_SCALE_MS = (1, 10, 100, 1000, 10_000, 60_000, 600_000, 3_600_000, 36_000_000)
_DAY_S = 86_400
_STEPS_S = (1, 5, 15, 30, 60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, _DAY_S)
_YEARS_S = 60 * _DAY_S
"""A step after which a day alone would be told for several years' one."""
_TICKS_MAX = 9
_SPAN_S_MIN = 30.0
"""A few calls in one second shall not look like an hour's."""

_DRAWN_LAST = ("completed", "cancelled", "lost", "aborted", "running", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A call on the strip, or several that stand in one place. `x` in percent, `y` in pixels."""

    x: float
    y: float
    status: str
    url: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A line of an axis and its words. `at` in percent (time) or pixels (duration)."""

    at: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """The strip, and in `summary` what it shows in words. It is rising while a call runs."""

    marks: tuple[Mark, ...]
    times: tuple[Tick, ...]
    durations: tuple[Tick, ...]
    summary: str
    is_rising: bool


def strip_of(points: Sequence[StripPoint], now_unix_ms: int) -> Strip | None:
    """The strip of these calls; None where there is none. A running call's mark rises."""
    if not points:
        return None
    durations = {point.id: _duration_ms(point, now_unix_ms) for point in points}
    first, last = _span(points, now_unix_ms)
    scale = _scale(list(durations.values()))
    marks: dict[tuple[str, int, int], list[StripPoint]] = {}
    for point in points:
        x = (point.started_at_unix_ms - first) / (last - first) * 100
        y = _y(durations[point.id], scale)
        cell = (point.status, round(x / _CELL_PERCENT), round(y / _CELL_PIXELS))
        marks.setdefault(cell, []).append(point)
    order = {status: place for place, status in enumerate(_DRAWN_LAST)}
    cells = sorted(marks.items(), key=lambda cell: (order.get(cell[0][0], 0), cell[0]))
    return Strip(
        marks=tuple(
            Mark(
                x=round(x * _CELL_PERCENT, 2),
                y=y * _CELL_PIXELS,
                status=status,
                url=call_url(found[0]),
                title=_title(found, durations[found[0].id]),
            )
            for (status, x, y), found in cells
        ),
        times=tuple(_times(first, last, now_unix_ms)),
        durations=tuple(Tick(at=_y(ms, scale), label=_scale_label(ms)) for ms in scale),
        summary=_summary(points),
        is_rising=any(point.status == "running" for point in points),
    )


def _duration_ms(point: StripPoint, now_unix_ms: int) -> float:
    if point.duration_ms is not None:
        return point.duration_ms
    return max(0, now_unix_ms - point.started_at_unix_ms) if point.status == "running" else 0.0


def _span(points: Sequence[StripPoint], now_unix_ms: int) -> tuple[float, float]:
    """From the first call to the last; to now, where one runs."""
    first = min(point.started_at_unix_ms for point in points)
    last = max(point.started_at_unix_ms for point in points)
    if any(point.status == "running" for point in points):
        last = max(last, now_unix_ms)
    spare = max(_SPAN_S_MIN * 1000 - (last - first), 0)
    return first - spare / 2, last + spare / 2


def _scale(durations: Sequence[float]) -> list[int]:
    """The lines of the scale: from the one below all to the one above all, two at least."""
    low = max((ms for ms in _SCALE_MS if ms <= min(durations)), default=_SCALE_MS[0])
    high = min((ms for ms in _SCALE_MS if ms >= max(durations)), default=_SCALE_MS[-1])
    low = min(low, _SCALE_MS[-2])
    high = max(high, _SCALE_MS[_SCALE_MS.index(low) + 1])
    low = max(low, 10) if high > 10 else low
    return [ms for ms in _SCALE_MS if low <= ms <= high]


def _y(ms: float, scale: Sequence[int]) -> float:
    low, high = math.log(scale[0]), math.log(scale[-1])
    share = (math.log(max(ms, 0.001)) - low) / (high - low)
    return round(BOTTOM - min(max(share, 0.0), 1.0) * (BOTTOM - TOP), 1)


def _scale_label(ms: int) -> str:
    if ms < 1000:
        return f"{ms} ms"
    seconds = ms // 1000
    if seconds < 60:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 3600 else f"{seconds // 3600} h"


def _times(first: float, last: float, now_unix_ms: int) -> list[Tick]:
    """Whole times of day, as many as one can read; the first with its day, if that is not today."""
    seconds = (last - first) / 1000
    step = next((step for step in _STEPS_S if seconds / step <= _TICKS_MAX), None)
    if step is None:
        step = math.ceil(seconds / _TICKS_MAX / _DAY_S) * _DAY_S
    offset = _utc_offset_s(first)
    at = math.ceil((first / 1000 + offset) / step) * step - offset
    today = formats.day(now_unix_ms)
    ticks: list[Tick] = []
    while at * 1000 <= last:
        is_dated = not ticks and formats.day(round(at * 1000)) != today
        label = _time(round(at * 1000), step, is_dated=is_dated)
        ticks.append(Tick(at=round((at * 1000 - first) / (last - first) * 100, 2), label=label))
        at += step
    return ticks


def _utc_offset_s(unix_ms: float) -> float:
    try:
        offset = datetime.fromtimestamp(unix_ms / 1000, UTC).astimezone().utcoffset()
    except (OverflowError, ValueError, OSError):
        return 0.0
    return offset.total_seconds() if offset is not None else 0.0


def _time(unix_ms: int, step_s: int, *, is_dated: bool) -> str:
    day, clock = formats.day(unix_ms), figures.clock(unix_ms)
    if step_s >= _YEARS_S:
        return day
    if step_s >= _DAY_S or (clock == "00:00:00" and step_s >= 60):
        return day if is_dated else day[5:]
    shown = clock if step_s < 60 else clock[:5]
    return f"{day} {shown}" if is_dated else shown


def _title(points: Sequence[StripPoint], duration_ms: float) -> str:
    point = points[0]
    told = f"{figures.clock(point.started_at_unix_ms)}  {formats.legible(point.model)}"
    told += f"  {point.status}"
    if duration_ms:
        told += f"  {figures.duration(duration_ms)}"
    return told if len(points) == 1 else f"{told}  (and {len(points) - 1} more here)"


def _summary(points: Sequence[StripPoint]) -> str:
    statuses = Counter(point.status for point in points)
    counts = ", ".join(f"{count} {status}" for status, count in statuses.most_common())
    calls = "1 call" if len(points) == 1 else f"{len(points)} calls"
    return f"{calls} over time: {counts}"
