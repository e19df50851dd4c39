"""A call over its time: what each stretch went to, when chunks came, and who was waited for.

Pure: it is given times in milliseconds from the request's arrival, in whatever order a clock that
was set meanwhile left them, and what it gives is in order and within the call.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .story import Gap, Phase, Span, WaitedOn, Waterfall

TICKS_MAX = 600
"""About as many places as a screen has for them."""

GAPS_MAX = 20
GAP_MS_MIN = 250.0
GAP_TIMES_USUAL = 4
"""How many times the usual distance of two chunks a silence is at least."""

CLIENT_SHARE_MIN = 0.5
"""The client kept the others waiting where it took nothing in this part of a silence."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An event, and what the time from the mark before it on went to. `name` is a tool's."""

    at_ms: float
    phase: Phase
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What is known of a call's time. None is not known, or did not come to be.

    `chunks` is when each piece of the response came. `client_blocked` holds stretches in which the
    client did not take what there was for it; None where it was not recorded, and then
    `waited_on_client` may tell how long they were in all. `is_observed` is False where the client
    itself recorded the call, and nobody noted when the response came.
    """

    duration_ms: float
    is_running: bool
    is_observed: bool = True
    request_ms: float | None = None
    """When the request's body had come."""
    headers_ms: float | None = None
    first_event_ms: float | None = None
    last_event_ms: float | None = None
    marks: Sequence[Mark] = ()
    chunks: Sequence[float] = ()
    client_blocked: Sequence[tuple[float, float]] | None = None
    waited_on_client_ms: float = 0.0


def waterfall(course: Course) -> Waterfall:
    """Lay a call out over its time."""
    chunks = list(_in_order(course.chunks, course.duration_ms))
    return Waterfall(
        duration_ms=max(course.duration_ms, 0.0),
        is_running=course.is_running,
        spans=tuple(_spans(course, chunks)),
        ticks=_ticks(chunks, course.duration_ms),
        chunks=len(chunks),
        gaps=tuple(_gaps(course, chunks)),
    )


def _in_order(times: Iterable[float], end: float) -> Iterable[float]:
    """The times, none before the one before it, all within the call."""
    latest = 0.0
    for time in times:
        latest = max(latest, min(time, end))
        yield latest


def _spans(course: Course, chunks: Sequence[float]) -> Iterable[Span]:
    """The stretches between the points that are known; each reaches to where the next begins."""
    stretches = list(_stretches(course, chunks))
    ends = _in_order((end for end, _, _ in stretches), course.duration_ms)
    begin, open_span = 0.0, None
    for (_, phase, name), end in zip(stretches, ends, strict=True):
        if end <= begin:
            continue
        if open_span is not None and (open_span.phase, open_span.name) == (phase, name):
            begin_of_open = open_span.start_ms
        else:
            if open_span is not None:
                yield open_span
            begin_of_open = begin
        open_span = Span(phase=phase, start_ms=begin_of_open, end_ms=end, name=name)
        begin = end
    if open_span is not None:
        yield open_span


def _stretches(
    course: Course, chunks: Sequence[float]
) -> Iterable[tuple[float, Phase, str | None]]:
    """Where each stretch ends, and what it went to."""
    headers, first = course.headers_ms, course.first_event_ms
    if course.request_ms is not None:
        yield course.request_ms, Phase.REQUEST, None
    if headers is not None:
        yield headers, Phase.HEADERS, None
    if first is not None:
        # On a WebSocket no head comes: upstream says nothing until its first event.
        yield first, Phase.HEADERS if headers is None else Phase.FIRST_EVENT, None
    for mark in course.marks:
        yield mark.at_ms, mark.phase, mark.name
    if first is not None and course.last_event_ms is not None:
        yield course.last_event_ms, Phase.OTHER, None
    elif first is None and headers is not None and chunks:
        yield chunks[-1], Phase.OTHER, None
    yield course.duration_ms, *_last(course, chunks)


def _last(course: Course, chunks: Sequence[float]) -> tuple[Phase, str | None]:
    """What the time until the call's end, or until now, went to."""
    if course.is_running and course.marks:
        return course.marks[-1].phase, course.marks[-1].name  # nobody knows yet what comes
    if course.headers_ms is None and course.first_event_ms is None:
        return (Phase.HEADERS if course.is_observed else Phase.OTHER), None
    has_begun = course.first_event_ms is not None or bool(chunks)
    return (Phase.END if has_begun else Phase.FIRST_EVENT), None


def _ticks(chunks: Sequence[float], duration_ms: float) -> tuple[float, ...]:
    if len(chunks) <= TICKS_MAX or duration_ms <= 0:
        return tuple(chunks[:TICKS_MAX])
    places = {min(int(at / duration_ms * TICKS_MAX), TICKS_MAX - 1): at for at in reversed(chunks)}
    return tuple(sorted(places.values()))


def _gaps(course: Course, chunks: Sequence[float]) -> Iterable[Gap]:
    """The longest silences, in order: between chunks, and from the last one to the end."""
    if not chunks:
        return []
    between = list(pairwise(chunks))
    distances = sorted(map(_length, between))
    # A quarter is shorter: of a short stream half may be silences.
    usual = distances[len(distances) // 4] if distances else 0.0
    shortest = max(GAP_MS_MIN, GAP_TIMES_USUAL * usual)
    silences = [*between, (chunks[-1], course.duration_ms)]
    long = [silence for silence in silences if _length(silence) > shortest]
    longest = sorted(long, key=_length, reverse=True)[:GAPS_MAX]
    client_by_total = course.client_blocked is None and _is_all_the_clients(course, longest)
    return [
        Gap(start_ms=begin, end_ms=end, waited_on=_waited_on(course, begin, end, client_by_total))
        for begin, end in sorted(longest)
    ]


def _waited_on(course: Course, begin: float, end: float, is_clients: bool) -> WaitedOn:  # noqa: FBT001 - a fact, no switch
    blocked = sum(
        max(0.0, min(end, until) - max(begin, since))
        for since, until in course.client_blocked or ()
    )
    if is_clients or blocked >= CLIENT_SHARE_MIN * (end - begin):
        return WaitedOn.CLIENT
    return WaitedOn.UPSTREAM


def _is_all_the_clients(course: Course, silences: Sequence[tuple[float, float]]) -> bool:
    """Whether the client alone can have made them all: then it is not known which, but these."""
    whole = sum(map(_length, silences))
    return 0 < (1 - CLIENT_SHARE_MIN / 2) * whole <= course.waited_on_client_ms


def _length(stretch: tuple[float, float]) -> float:
    return stretch[1] - stretch[0]
