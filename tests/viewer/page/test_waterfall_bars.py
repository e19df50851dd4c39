"""The waterfall's layout: where bars, marks and ticks stand on the time axis."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viewer.call.story import Gap, Phase, Span, WaitedOn, Waterfall
from viewer.page.waterfall_bars import MARKS_MAX, SPANS_MAX, chart_of, round_times

TIMES = st.floats(allow_nan=True, allow_infinity=True)


@st.composite
def waterfalls(draw: st.DrawFn) -> Waterfall:
    """Any waterfall, those that no clock could tell included."""
    spans = st.builds(
        Span, phase=st.sampled_from(Phase), start_ms=TIMES, end_ms=TIMES, name=st.none()
    )
    gaps = st.builds(Gap, start_ms=TIMES, end_ms=TIMES, waited_on=st.sampled_from(WaitedOn))
    return Waterfall(
        duration_ms=draw(TIMES),
        is_running=False,
        spans=tuple(draw(st.lists(spans, max_size=SPANS_MAX + 10))),
        ticks=tuple(draw(st.lists(TIMES))),
        chunks=0,
        gaps=tuple(draw(st.lists(gaps, max_size=20))),
    )


@given(waterfalls())
def test_everything_is_drawn_inside(waterfall: Waterfall) -> None:
    """Whatever a bundle tells of times, no bar, mark or tick is outside, and each can be seen."""
    chart = chart_of(waterfall)
    for bar in (*chart.bars, *chart.gaps):
        assert 0 <= bar.x <= bar.x + bar.width <= 100.001
        assert bar.width > 0
        assert bar.start_ms >= 0
        assert bar.length_ms >= 0
    assert all(0 <= mark.x <= 100 for mark in chart.marks)
    assert all(0 <= tick <= 100 for tick in chart.ticks)
    assert len(chart.bars) + chart.spans_left_out <= len(waterfall.spans)
    assert len(chart.gaps) + chart.gaps_left_out == len(waterfall.gaps)


@given(st.floats(min_value=0.001, max_value=1e9))
def test_marks_are_round_and_in_order(duration_ms: float) -> None:
    """The axis has a few marks, from nothing on, at equal distances."""
    times = round_times(duration_ms)
    assert times[0] == 0
    assert times[-1] <= duration_ms * 1.000001
    assert 1 < len(times) <= MARKS_MAX + 1
    steps = {round((later - sooner) / times[1], 6) for sooner, later in pairwise(times)}
    assert steps <= {1.0}


@pytest.mark.parametrize("duration_ms", [0.0, -5.0, math.inf, math.nan])
def test_no_time_has_one_mark(duration_ms: float) -> None:
    """A call that took no time, or an impossible one, has a beginning all the same."""
    assert round_times(duration_ms) == [0.0]


def test_bar_stands_where_its_time_does() -> None:
    """A quarter of the time is a quarter of the width."""
    span = Span(phase=Phase.TOOL, start_ms=500.0, end_ms=1000.0, name="shell")
    waterfall = Waterfall(
        duration_ms=2000.0, is_running=True, spans=(span,), ticks=(1500.0,), chunks=1, gaps=()
    )
    chart = chart_of(waterfall)
    (bar,) = chart.bars
    assert (bar.x, bar.width, bar.length_ms, bar.name) == (25.0, 25.0, 500.0, "shell")
    assert [mark.at_ms for mark in chart.marks] == [0.0, 500.0, 1000.0, 1500.0, 2000.0]
    assert chart.ticks == (75.0,)


def test_trifle_without_a_name_has_no_line() -> None:
    """Events of no kind that took next to no time do not crowd out what took some."""
    spans = (
        Span(phase=Phase.OTHER, start_ms=0.0, end_ms=9.0),
        Span(phase=Phase.TEXT, start_ms=9.0, end_ms=10.0),
        Span(phase=Phase.OTHER, start_ms=10.0, end_ms=1000.0),
    )
    waterfall = Waterfall(
        duration_ms=1000.0, is_running=False, spans=spans, ticks=(), chunks=0, gaps=()
    )
    chart = chart_of(waterfall)
    assert [(bar.kind, bar.length_ms) for bar in chart.bars] == [("text", 1.0), ("other", 990.0)]
    assert chart.spans_left_out == 0


def test_longest_spans_are_kept_in_order() -> None:
    """Of more spans than lines, the short ones are let go."""
    spans = [
        Span(phase=Phase.TEXT, start_ms=float(at), end_ms=at + 0.1 + at / 1000)
        for at in range(SPANS_MAX + 40)
    ]
    waterfall = Waterfall(
        duration_ms=200.0,
        is_running=False,
        spans=tuple(reversed(spans)),
        ticks=(),
        chunks=0,
        gaps=(),
    )
    chart = chart_of(waterfall)
    assert [bar.start_ms for bar in chart.bars] == [float(at) for at in range(40, SPANS_MAX + 40)]
    assert chart.spans_left_out == 40
