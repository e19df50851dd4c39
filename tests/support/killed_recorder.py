"""A process that records two calls, one of them open, says so, and waits to be killed.

Run as `python -m tests.support.killed_recorder TRACE_DIR`; its standard output is the gate.
"""

import sys
from pathlib import Path

from tests.support import events as wire
from tests.support.recording import SSE_HEAD, Clock, Recording, answer
from tracing.redaction import RawHeaders

KEY = "sk-0123456789abcdef"
# Items as Codex's reducer takes them.
BODY = {
    "model": "gpt-5.5",
    "stream": True,
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
    ],
}
AUTH: RawHeaders = ((b"Authorization", f"Bearer {KEY}".encode()),)
WHOLE = wire.text_stream("Hel", "lo", response_id="resp_1")
BEGUN = (
    wire.ev_created("resp_2"),
    wire.ev_item_done(wire.message_item(f"Done, {KEY}", "msg_0")),
    wire.ev_item_added(wire.message_item("", "msg_1", status="in_progress"), 1),
    wire.ev_part_added("msg_1", 1),
    wire.ev_text_delta("Hel", "msg_1", 1),
)


def record(trace_dir: Path) -> Recording:
    """Record a whole call and the beginning of another, to the last byte on disk."""
    recording = Recording(trace_dir, Clock())
    answer(recording.ask(BODY, headers=AUTH), [wire.sse(*WHOLE)])
    chained = BODY | {"previous_response_id": "resp_1"}
    trace = recording.ask(chained, headers=AUTH)
    trace.response_started(200, SSE_HEAD)
    for piece in wire.sse_pieces(*BEGUN):
        trace.response_piece(piece)
    recording.journal.flush()
    return recording


if __name__ == "__main__":
    kept = record(Path(sys.argv[1]))
    sys.stdout.write("recorded\n")
    sys.stdout.flush()
    sys.stdin.read()
