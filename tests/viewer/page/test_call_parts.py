"""What of a call is shown at once: what is new, how much of each text, and its events in rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.stories import said, story
from viewer.call.story import StreamEvent
from viewer.page.call_parts import TEXT_MIN, Limits, parts_of
from viewer.page.event_table import event_page
from viewer.page.texts import as_text, excerpt


@given(st.lists(st.integers(0, 2000), max_size=20), st.integers(1, 4000), st.integers(1, 30))
def test_parts_stay_small(lengths: list[int], part: int, entries: int) -> None:
    """However much was said, what is shown is bounded, and what is left out is counted."""
    output = [said("assistant", "x" * length) for length in lengths]
    limits = Limits(text=1000, part=part, entries=entries)
    shown = parts_of(story(output=output), limits).output
    assert shown.count == len(output)
    assert len(shown.shown) == min(len(output), entries)
    texts = sum(len(each.excerpt.text) for each in shown.shown)
    assert texts <= part + TEXT_MIN * len(shown.shown)
    for each in shown.shown:
        assert len(each.excerpt.text) <= limits.text
        assert len(each.excerpt.text) + each.excerpt.left_out == len(each.entry.text)
        number = int(each.place.removeprefix("output."))
        assert each.entry is output[number]


def test_excerpt_ends_with_a_line_where_one_is_near() -> None:
    """A line that would be cut short at the very end is left out whole."""
    assert excerpt("a" * 95 + "\n" + "b" * 50, 100).text == "a" * 95 + "\n"
    assert excerpt("a\n" + "b" * 200, 100).text == "a\n" + "b" * 98
    assert excerpt("short", 100).left_out == 0


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a<b>&'\"", "a&lt;b&gt;&amp;&#39;&#34;"),
        ("two\r\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[2J", '<span class="esc">\\x1b</span>[2J'),
        ("\u202e\u2066", '<span class="esc">\\u202e\\u2066</span>'),
        ("tag\U000e0041", 'tag<span class="esc">\\U000e0041</span>'),
        ("\ud83d", '<span class="esc">\\ud83d</span>'),
        ("\ufeff\u200b\xad", '<span class="esc">\\ufeff\\u200b\\xad</span>'),
        ("👨\u200d👩 \u0645\u06cc\u200c\u062e", "👨\u200d👩 \u0645\u06cc\u200c\u062e"),
    ],
)
def test_nothing_in_a_text_is_hidden(text: str, shown: str) -> None:
    """Markup is escaped, what steers, reorders or cannot be seen is shown; writing stays."""
    assert str(as_text(text)) == shown


def event(index: int, at_ms: float | None) -> StreamEvent:
    """An event of a stream."""
    return StreamEvent(
        index=index, at_ms=at_ms, type="t", size=1, sequence_number=None, summary="", data="{}"
    )


def test_events_tell_how_long_after_each_other_they_came() -> None:
    """From the one before, which may be on another page; unknown where a time is."""
    events = [event(200, 50.0), event(201, 60.0), event(202, None), event(203, 90.0)]
    page = event_page(events, start=200, limit=200, total=204, before_ms=20.0)
    assert [each.since_before_ms for each in page.rows] == [30.0, 10.0, None, None]
    assert (page.previous, page.next, page.last) == (0, None, 200)
    first = event_page(events, start=0, limit=4, total=9, before_ms=None)
    assert first.rows[0].since_before_ms is None
    assert (first.previous, first.next, first.last) == (None, 4, 8)
