"""A call's waterfall as lines: what there is to see of it, and no more."""

import pytest

from viewer.call.story import Gap, Phase, Span, WaitedOn, Waterfall
from viewer.terminal.sheet import Sheet
from viewer.terminal.time_bars import SPANS_MAX, print_waterfall


def lines(capsys: pytest.CaptureFixture[str], *spans: Span, gaps: tuple[Gap, ...] = ()) -> str:
    """What is printed of a call of a second with these stretches."""
    fall = Waterfall(
        duration_ms=1000.0, is_running=False, spans=spans, ticks=(), chunks=1, gaps=gaps
    )
    print_waterfall(Sheet(), fall)
    return capsys.readouterr().out


def test_what_would_read_nothing_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """A stretch of microseconds says nothing; a short one stays."""
    shown = lines(
        capsys,
        Span(phase=Phase.HEADERS, start_ms=0.0, end_ms=0.2),
        Span(phase=Phase.OTHER, start_ms=0.2, end_ms=0.21),
        Span(phase=Phase.TEXT, start_ms=0.21, end_ms=1000.0),
        gaps=(Gap(start_ms=1.0, end_ms=501.0, waited_on=WaitedOn.CLIENT),),
    )
    assert [line.split("  ")[1] for line in shown.splitlines()] == [
        "headers",
        "text",
        "1.00 s in all, 1 chunk",
        "silent for 500 ms from 1.0 ms, waiting for the client",
    ]


def test_an_agents_call_is_cut_short(capsys: pytest.CaptureFixture[str]) -> None:
    """Of very many stretches the first are shown, and the rest counted."""
    spans = [
        Span(phase=Phase.TOOL, start_ms=n * 10.0, end_ms=n * 10.0 + 10.0, name=f"t{n}")
        for n in range(SPANS_MAX + 3)
    ]
    shown = lines(capsys, *spans)
    assert f"t{SPANS_MAX - 1} " in shown
    assert f"t{SPANS_MAX} " not in shown
    assert "and 3 more stretches" in shown
