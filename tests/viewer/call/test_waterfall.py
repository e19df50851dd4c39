"""A call laid out over its time, whatever the times that were noted."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from viewer.call.captured_events import CapturedEvent
from viewer.call.event_marks import marks_of
from viewer.call.story import Gap, Phase, WaitedOn
from viewer.call.waterfall import GAPS_MAX, TICKS_MAX, Course, Mark, waterfall

times = st.floats(-1e6, 1e9, allow_nan=False)
marks = st.builds(Mark, times, st.sampled_from(Phase), st.none() | st.just("tool"))
courses = st.builds(
    Course,
    duration_ms=times,
    is_running=st.booleans(),
    is_observed=st.booleans(),
    request_ms=st.none() | times,
    headers_ms=st.none() | times,
    first_event_ms=st.none() | times,
    last_event_ms=st.none() | times,
    marks=st.lists(marks, max_size=20),
    chunks=st.lists(times, max_size=40),
    client_blocked=st.none() | st.lists(st.tuples(times, times), max_size=4),
    waited_on_client_ms=times,
)


@given(courses)
def test_all_lies_in_order_within_the_call(course: Course) -> None:
    """Spans join from 0 to the end; ticks and gaps are in order and never outside."""
    fall = waterfall(course)
    assert fall.duration_ms >= 0
    edges = [0.0]
    for span in fall.spans:
        assert span.start_ms == edges[-1] < span.end_ms
        edges.append(span.end_ms)
    assert edges[-1] == fall.duration_ms
    for one in (fall.ticks, [t for gap in fall.gaps for t in (gap.start_ms, gap.end_ms)]):
        assert list(one) == sorted(one)
        assert all(0 <= time <= fall.duration_ms for time in one)
    assert fall.chunks == len(course.chunks)
    assert len(fall.gaps) <= GAPS_MAX


@given(st.integers(TICKS_MAX + 1, 3000), st.floats(0.01, 9))
def test_ticks_are_no_more_than_a_screen_shows(count: int, bend: float) -> None:
    """Of many chunks one tick stands for each place, and the first chunk keeps its own."""
    chunks = [1000.0 * (number / count) ** bend for number in range(count)]
    fall = waterfall(Course(duration_ms=1000.0, is_running=False, chunks=chunks))
    assert len(fall.ticks) <= TICKS_MAX
    assert fall.ticks[0] == chunks[0]
    assert fall.chunks == len(chunks)


def gaps(**course: Any) -> list[Gap]:
    """The gaps of a call of 10 s with these chunks."""
    return list(waterfall(Course(duration_ms=10_000.0, is_running=False, **course)).gaps)


def test_a_regular_stream_has_no_gaps() -> None:
    """Slow is no silence: a chunk every 600 ms is that stream's pace."""
    assert gaps(chunks=[600.0 * n for n in range(17)]) == []


def test_a_silence_is_upstreams_unless_the_client_was_blocked() -> None:
    """Half of a silence, in which the client took nothing, makes it the client's."""
    chunks = [0.0, 10.0, 2010.0, 2020.0, 4020.0, 9990.0]
    found = gaps(chunks=chunks, client_blocked=[(1000.0, 2010.0), (3100.0, 4020.0)])
    assert [gap.waited_on for gap in found] == [
        WaitedOn.CLIENT,
        WaitedOn.UPSTREAM,
        WaitedOn.UPSTREAM,
    ]


def test_without_stretches_the_clients_total_decides_only_for_all() -> None:
    """An old bundle tells how long the client was waited for, and not when."""
    chunks = [0.0, 10.0, 2010.0, 2020.0, 4020.0, 9990.0]
    assert {gap.waited_on for gap in gaps(chunks=chunks, waited_on_client_ms=9900.0)} == {
        WaitedOn.CLIENT
    }
    assert {gap.waited_on for gap in gaps(chunks=chunks, waited_on_client_ms=4000.0)} == {
        WaitedOn.UPSTREAM
    }


def event(kind: str, data: bytes = b"{}") -> CapturedEvent:
    """An event of a type."""
    return CapturedEvent(0, kind, data)


def test_time_goes_to_what_it_brought() -> None:
    """The wait for a delta is part of what the delta is of; until an item begins, all wait."""
    added = b'{"item":{"type":"%b","name":"get_weather"}}'
    stream = [
        (1.0, event("response.created")),
        (2.0, event("response.in_progress")),
        (5.0, event("response.output_item.added", added % b"reasoning")),
        (6.0, event("response.reasoning_summary_text.delta")),
        (7.0, event("keepalive")),
        (8.0, event("response.output_item.done", added % b"reasoning")),
        (9.0, event("response.output_item.added", added % b"function_call")),
        (12.0, event("response.function_call_arguments.delta")),
        (13.0, event("response.output_item.added", added % b"message")),
        (14.0, event("response.content_part.added")),
        (15.0, event("response.output_text.delta")),
        (16.0, event("response.completed")),
    ]
    course = Course(
        duration_ms=17.0,
        is_running=False,
        request_ms=0.25,
        headers_ms=0.5,
        first_event_ms=1.0,
        last_event_ms=16.0,
        marks=marks_of(stream),
    )
    spans = [(span.phase, span.name, span.end_ms) for span in waterfall(course).spans]
    assert spans == [
        (Phase.REQUEST, None, 0.25),
        (Phase.HEADERS, None, 0.5),
        (Phase.FIRST_EVENT, None, 1.0),
        (Phase.OUTPUT, None, 5.0),
        (Phase.REASONING, None, 8.0),
        (Phase.OUTPUT, None, 9.0),
        (Phase.TOOL, "get_weather", 12.0),
        (Phase.OUTPUT, None, 13.0),
        (Phase.TEXT, None, 15.0),
        (Phase.OTHER, None, 16.0),
        (Phase.END, None, 17.0),
    ]


def test_a_running_call_goes_on_with_what_came_last() -> None:
    """Until the next event comes, the time goes to what the last one was of."""
    course = Course(
        duration_ms=50.0,
        is_running=True,
        headers_ms=1.0,
        first_event_ms=2.0,
        marks=[Mark(2.0, Phase.OTHER), Mark(10.0, Phase.REASONING)],
    )
    last = waterfall(course).spans[-1]
    assert (last.phase, last.start_ms, last.end_ms) == (Phase.REASONING, 2.0, 50.0)
