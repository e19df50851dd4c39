"""The table of calls: what it shows in how much room."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from tests.support.call_rows import call_row
from viewer.catalog.rows import CallRow, Timing, Usage
from viewer.terminal.call_table import call_table, ended_how, said

pytestmark = pytest.mark.usefixtures("in_one_place")

ROWS = (
    call_row(
        7,
        started_at_unix_ms=1_700_000_000_000,
        status="completed",
        http_status=200,
        model="gpt-5.5-mini-2026-01-01",
        timing=Timing(first_event=210.0, ended=65_000.0),
        usage=Usage(
            input_tokens=12_345,
            cached_input_tokens=10_000,
            output_tokens=96,
            reasoning_output_tokens=0,
        ),
        asked="Where is 我们的包裹 and why does it take so long to get here",
        answered="On its way",
    ),
    call_row(
        8,
        started_at_unix_ms=1_699_990_000_000,
        status="failed",
        http_status=429,
        reason="http 429: rate limit",
        timing=Timing(ended=20.0),
        asked="Sum up",
        attempt=2,
    ),
    call_row(9, started_at_unix_ms=1_690_000_000_000, asked="Count", is_live=False),
)
NOW_UNIX_MS = 1_700_000_100_000.0


def table(*rows: CallRow, width: int, branched: frozenset[int] = frozenset()) -> str:
    """What a terminal of this width shows of the calls."""
    console = Console(file=io.StringIO(), width=width)
    console.print(call_table(rows, width=width, now_unix_ms=NOW_UNIX_MS, branched=branched))
    assert isinstance(console.file, io.StringIO)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())


WIDE = """\
when          status      model                  first      took    in (cached)  out  \
asked → answered                                     call
22:13:20      completed   gpt-5.5-mini-2026-0…  210 ms  1 m 05 s  12.3k (10.0k)   96  \
Where is 我们的包裹 and why does it t… → On its way  00000007 ├
19:26:40      failed 429  gpt-5.5                    -     20 ms              -    -  \
Sum up → http 429: rate limit                        00000008 ↻2
Jul 22 04:26  lost        gpt-5.5                    -         -              -    -  \
Count                                                00000009
"""
NARROW = """\
when          status          took  asked                               call
22:13:20      completed   1 m 05 s  Where is 我们的包裹 and why does …  00000007
19:26:40      failed 429     20 ms  http 429: rate limit                00000008
Jul 22 04:26  lost               -  Count                               00000009
"""


def test_wide_terminal_shows_all() -> None:
    """Times by how long ago they were, why a call failed, and marks of retries and branches."""
    assert table(*ROWS, width=150, branched=frozenset({7})) == WIDE


def test_narrow_terminal_leaves_columns_out() -> None:
    """What tells least goes first, and marks; the text keeps its room and the id is whole."""
    assert table(*ROWS, width=80, branched=frozenset({7})) == NARROW
    for width in range(30, 150):
        lines = table(*ROWS, width=width).splitlines()
        assert max(map(cell_len, lines)) <= width
        ids = [next(word for word in line.split() if word[:7] == "0" * 7) for line in lines[1:]]
        assert ids == ["00000007", "00000008", "00000009"]


@pytest.mark.parametrize(
    ("room", "row", "shown"),
    [
        (50, {"answered": "fine"}, "How are you today? → fine"),
        (30, {"answered": "fine"}, "How are you today?"),
        (30, {"answered": "fine", "asked": ""}, "fine"),
        (30, {"status": "failed", "reason": "http 500"}, "http 500"),
        (30, {"status": "cancelled", "reason": "client left", "answered": "f"}, "client left"),
        (30, {"status": "completed", "reason": "no matter"}, "How are you today?"),
    ],
)
def test_little_room_has_one_text(room: int, row: dict[str, object], shown: str) -> None:
    """What was asked, or why nothing came of it, rather than the beginnings of both."""
    asked = {"asked": "How are you today?"}
    assert said(call_row(1, **asked | row), room).plain == shown  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    ("told", "row"),
    [
        ("running", {}),
        ("lost", {"is_live": False}),
        ("aborted", {"status": "aborted"}),
        ("completed", {"status": "completed", "http_status": 200}),
        ("failed", {"status": "failed", "http_status": 200, "protocol": "failed"}),
        ("failed 503", {"status": "failed", "http_status": 503, "protocol": "none"}),
        ("incomplete", {"status": "failed", "http_status": 200, "protocol": "incomplete"}),
        ("timeout", {"status": "failed", "http_status": 200, "transport_end": "timeout"}),
        ("broken off", {"status": "failed", "http_status": 200, "transport_end": "eof"}),
        ("no answer", {"status": "failed", "transport_end": "upstream_error"}),
        ("cancelled", {"status": "cancelled", "transport_end": "client_closed"}),
        ("shut down", {"status": "cancelled", "transport_end": "shutdown"}),
    ],
)
def test_status_says_how_it_ended(told: str, row: dict[str, object]) -> None:
    """In two words at most."""
    assert ended_how(call_row(1, **row)) == told  # type: ignore[arg-type]  # fields by name
