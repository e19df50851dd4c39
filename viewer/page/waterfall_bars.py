"""Where the parts of a call stand on its time axis, in percent of its width."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from ..call.story import Gap, Phase, Span, WaitedOn, Waterfall

WIDTH_PERCENT_MIN = 0.4
"""What is shorter is drawn this wide, so that it can be seen: two pixels of a phone's screen."""

MARKS_MAX = 5
SHORTEST_MS = 1e-6
"""No clock tells less, and logarithms of next to nothing fail."""

SPANS_MAX = 60
"""Bars, each a line of its own; of more, the longest are drawn."""

GAPS_MAX = 12

LABELS = {
    Phase.REQUEST: "Request",
    Phase.HEADERS: "Waiting for headers",
    Phase.FIRST_EVENT: "Waiting for the first event",
    Phase.OUTPUT: "Waiting for output",
    Phase.REASONING: "Reasoning",
    Phase.TEXT: "Text",
    Phase.TOOL: "Tool call",
    Phase.OTHER: "Other events",
    Phase.END: "Until the end",
}

WAITED_ON = {
    WaitedOn.UPSTREAM: "upstream",
    WaitedOn.CLIENT: "the client",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A stretch of time: where it begins and how wide it is, and what it is."""

    x: float
    width: float
    kind: str
    """A class for its colour: a phase, or who was waited for."""
    label: str
    name: str | None
    """A tool's."""
    start_ms: float
    length_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A line across, at a round time."""

    x: float
    at_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A waterfall as it is drawn. What `spans_left_out` and `gaps_left_out` count is not."""

    duration_ms: float
    is_running: bool
    marks: tuple[Mark, ...]
    bars: tuple[Bar, ...]
    spans_left_out: int
    ticks: tuple[float, ...]
    chunks: int
    gaps: tuple[Bar, ...]
    gaps_left_out: int


def chart_of(waterfall: Waterfall) -> Chart:
    """Lay out a waterfall. Times that cannot be, such as before the call, are put at its ends."""
    whole = _Axis(waterfall.duration_ms)
    told = [span for span in waterfall.spans if not whole.is_trifle(span)]
    spans = _longest(told, SPANS_MAX)
    gaps = _longest(waterfall.gaps, GAPS_MAX)
    return Chart(
        duration_ms=whole.duration_ms,
        is_running=waterfall.is_running,
        marks=tuple(Mark(x=whole.place(at), at_ms=at) for at in round_times(whole.duration_ms)),
        bars=tuple(
            whole.bar(span.start_ms, span.end_ms, span.phase, LABELS[span.phase], span.name)
            for span in spans
        ),
        spans_left_out=len(told) - len(spans),
        ticks=tuple(dict.fromkeys(whole.place(tick) for tick in waterfall.ticks)),
        chunks=waterfall.chunks,
        gaps=tuple(
            whole.bar(gap.start_ms, gap.end_ms, gap.waited_on, WAITED_ON[gap.waited_on], None)
            for gap in gaps
        ),
        gaps_left_out=len(waterfall.gaps) - len(gaps),
    )


def round_times(duration_ms: float) -> list[float]:
    """Times such as 0, 200, 400 within a duration: no more than MARKS_MAX after 0."""
    if not duration_ms >= SHORTEST_MS or not math.isfinite(duration_ms):
        return [0.0]
    rough = duration_ms / MARKS_MAX
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10, 20) if power * factor >= rough)
    return [step * number for number in range(int(duration_ms / step) + 1)]


class _Axis:
    def __init__(self, duration_ms: float) -> None:
        is_length = math.isfinite(duration_ms) and duration_ms > 0
        self.duration_ms = duration_ms if is_length else 0.0

    def within(self, at_ms: float) -> float:
        return min(max(at_ms, 0.0), self.duration_ms) if math.isfinite(at_ms) else 0.0

    def place(self, at_ms: float) -> float:
        """Where a time stands, in percent; in steps of what a wide screen can show."""
        if not self.duration_ms:
            return 0.0
        return round(self.within(at_ms) / self.duration_ms * 100, 2)

    def is_trifle(self, span: Span) -> bool:
        """Whether it is nothing by name and next to nothing by length."""
        length = self.within(span.end_ms) - self.within(span.start_ms)
        return span.phase is Phase.OTHER and length < self.duration_ms / 100

    def bar(self, start_ms: float, end_ms: float, kind: str, label: str, name: str | None) -> Bar:
        start = self.within(start_ms)
        end = max(start, self.within(end_ms))
        x = self.place(start)
        width = max(self.place(end) - x, WIDTH_PERCENT_MIN)
        return Bar(
            x=round(min(x, 100 - width), 2),
            width=round(width, 2),
            kind=str(kind).replace("_", "-"),
            label=label,
            name=name,
            start_ms=start,
            length_ms=end - start,
        )


Stretch = TypeVar("Stretch", Span, Gap)


def _longest(stretches: Iterable[Stretch], count: int) -> list[Stretch]:
    """The longest of these, in the order in which they began."""
    found = sorted(stretches, key=lambda stretch: stretch.start_ms - stretch.end_ms)[:count]
    return sorted(found, key=lambda stretch: (stretch.start_ms, stretch.end_ms))
