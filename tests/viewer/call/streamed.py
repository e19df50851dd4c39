"""Calls of the tests: what they ask, and streams whose events come at a pace."""

from pathlib import Path
from typing import Any

from tests.support.events import sse_pieces
from tests.support.recording import SSE_HEAD, Recording
from tests.viewer.call.rows import rows_of
from tracing.call import Waits
from tracing.terminal import TransportEnd
from viewer.catalog.rows import CallRow

ASKED = {"model": "gpt-5.5", "stream": True, "temperature": 0.5, "input": "Hi"}
"""What the test's calls ask, unless a test says otherwise."""


def streamed(record: Recording, *events: Any, every_ms: int = 10, **how: Any) -> None:
    """A call whose events come in a piece each, `every_ms` after one another."""
    trace = record.ask(ASKED)
    record.clock.advance(100)
    trace.response_started(200, SSE_HEAD)
    for piece in sse_pieces(*events):
        record.clock.advance(every_ms)
        trace.response_piece(piece)
    record.clock.advance(every_ms)
    trace.ended(how.get("end", TransportEnd.EOF), how.get("text"), Waits())


def only_row(bundle: Path, **how: Any) -> CallRow:
    """The one call's row."""
    (row,) = rows_of(bundle, **how)
    return row
