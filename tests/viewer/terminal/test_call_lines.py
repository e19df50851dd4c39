"""A call on one line: what it tells, that it fits, and that nothing in it steers a terminal."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.support.call_rows import STARTED_UNIX_MS, call_row
from viewer.call.live import Progress
from viewer.catalog.rows import CallRow, Timing, Usage
from viewer.terminal.call_lines import ended_line, running_line

CALL = "7f3a9c1e5b2d4f60"
USAGE = Usage(
    input_tokens=18, cached_input_tokens=0, output_tokens=12_345, reasoning_output_tokens=0
)
COMPLETED = call_row(
    call_id=CALL,
    status="completed",
    http_status=200,
    timing=Timing(ended=1240.0),
    usage=USAGE,
    asked="What is a tailrace?",
    answered="A tailrace carries the water away.",
)
CANCELLED = call_row(
    call_id=CALL,
    status="cancelled",
    reason="client disconnected",
    timing=Timing(ended=125_000.0),
    asked="Tell me",
)
NOW = STARTED_UNIX_MS + 14_200


@pytest.fixture(autouse=True)
def utc() -> Iterator[None]:
    """The time of day is that of the place: here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def progress(text: str = "", *, silent_ms: int = 0, chunks: int = 42) -> Progress:
    """A call that said this, and was last heard of so long ago."""
    return Progress(chunks=chunks, bytes_down=9100, last_at_unix_ms=NOW - silent_ms, text=text)


def running(row: CallRow, made: Progress | None, width: int = 120) -> str:
    """The line of a running call."""
    return running_line(row, made, NOW, width).plain


def test_a_call_that_ended_is_told_on_one_line() -> None:
    """When, which, how it ended, the model, how long it took, what was asked and what came."""
    assert ended_line(COMPLETED, 120).plain == (
        "22:13:20 5b2d4f60 completed  gpt-5.5                 1.24 s 18→12.3k    "
        "  What is a tailrace? → A tailrace carries the …"
    )
    assert ended_line(CANCELLED, 100).plain == (
        "22:13:20 5b2d4f60 cancelled  gpt-5.5        2 m 05 s  Tell me → client disconnected"
    )


def test_in_little_room_what_is_said_is_worth_more_than_the_time() -> None:
    """The model is the first thing to go, then the time of day; then one text stands for both."""
    assert ended_line(COMPLETED, 89).plain == (
        "22:13:20 5b2d4f60 completed     1.24 s  What is a tailrace? → A tailrace carries the wat…"
    )
    assert ended_line(COMPLETED, 64).plain == ("5b2d4f60 completed     1.24 s  What is a tailrace?")


def test_what_is_lost_or_refused_says_so() -> None:
    """A recorder that died, and the status that upstream refused with."""
    assert " lost " in ended_line(call_row(is_live=False), 80).plain
    refused = call_row(status="failed", http_status=429, reason="http 429: slow down")
    assert " failed 429 " in ended_line(refused, 80).plain
    assert "http 429: slow down" in ended_line(refused, 80).plain
    broken = call_row(status="failed", http_status=200, reason="stream broke")
    assert " failed " in ended_line(broken, 80).plain


def test_a_running_call_tells_how_far_it_is() -> None:
    """What came, how long nothing has come, and the end of what the model says."""
    row = call_row(asked="What is a tailrace?")
    beginning = "22:13:20 00000001 running    gpt-5.5                 14.2 s  "
    assert running(row, None) == f"{beginning}waiting 14 s on upstream  What is a tailrace?"
    young = running_line(row, None, STARTED_UNIX_MS + 500, 120).plain
    assert young.endswith("500 ms  sent  What is a tailrace?")
    assert running(row, progress(chunks=0)) == f"{beginning}begun  What is a tailrace?"
    assert running(row, progress("Once\n upon")) == f"{beginning}42 chunks 9.1 kB  Once upon"
    silent = running(row, progress("Once", silent_ms=12_000))
    assert silent == f"{beginning}42 chunks 9.1 kB, silent for 12 s  Once"
    assert "silent" not in running(row, progress("Once", silent_ms=2000))
    assert "silent for 2 m 05 s" in running(row, progress(silent_ms=125_000))


def test_in_little_room_bytes_stand_for_chunks() -> None:
    """They tell as well that something comes."""
    line = running(call_row(), progress("Once", silent_ms=3000), width=90)
    assert line.endswith("14.2 s  9.1 kB, silent for 3 s  Once")


def test_of_a_long_text_the_end_is_shown() -> None:
    """That is where it grows."""
    line = running(call_row(), progress("word " * 30 + "end"), width=100)
    assert line.endswith("word word end")
    assert "  …" in line
    assert cell_len(line) == 100


TEXTS = st.text(max_size=40) | st.sampled_from(
    ["\x1b[2J\x07", "\u202eabc", "\ud800", "東京 \U0001f469\u200d\U0001f680"]
)


@given(texts=st.tuples(TEXTS, TEXTS, TEXTS, TEXTS), width=st.integers(1, 200))
def test_no_line_is_too_wide_or_steers_the_terminal(
    texts: tuple[str, str, str, str], width: int
) -> None:
    """Whatever a client, a model or a bundle's writer made up."""
    asked, answered, model, said = texts
    values: dict[str, Any] = {
        "asked": asked,
        "answered": answered,
        "model": model,
        "call_id": said,
        "status": said,
    }
    ended = call_row(**values, reason=asked)
    lines = [
        ended_line(ended, width).plain,
        ended_line(call_row(**(values | {"status": "completed"})), width).plain,
        running_line(call_row(asked=asked, model=model), progress(said), NOW, width).plain,
    ]
    for line in lines:
        assert line.replace("\u200c", "").replace("\u200d", "").isprintable()
    # However a terminal counts: joined, or each character for itself.
    assert max(max(cell_len(line), sum(map(cell_len, line))) for line in lines) <= width
