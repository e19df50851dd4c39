"""What the journal writes, the reducers read: Codex's and ours, whole and cut off anywhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from reducer import reduce_bundle
from tests.support import events as wire
from tests.support.killed_recorder import BODY
from tests.support.parity import assert_parity
from tests.support.recording import JSON_HEAD, Recording, answer, only_bundle, recording
from tracing.call import Waits
from tracing.redaction import RawHeaders
from tracing.scope import Scope
from tracing.terminal import TransportEnd

STREAM = wire.sse_pieces(*wire.text_stream("Hel", "lo"))
GONE = TransportEnd.CLIENT_CLOSED


def chained(record: Recording) -> None:
    """Two calls of a thread; Codex takes one child of a response."""
    record.call(*STREAM, body=BODY)
    record.call(
        wire.sse(*wire.text_stream("x", response_id="resp_2", item_id="msg_2")),
        body=BODY | {"previous_response_id": "resp_1"},
    )


def every_ending(record: Recording) -> None:
    """Completed, failed, incomplete, cancelled with an item in progress, refused, unanswered."""
    record.call(*STREAM, body=BODY)
    for last in (wire.ev_failed(), wire.ev_incomplete(), wire.ev_error()):
        record.call(*STREAM[:6], wire.sse(last), body=BODY)
    answer(record.ask(BODY), STREAM[:6], end=GONE)
    answer(record.ask(BODY), [orjson.dumps(wire.error_body())], status=429, headers=JSON_HEAD)
    record.ask(BODY).ended(GONE, None, Waits())


def overlapping_turns(record: Recording) -> None:
    """Named turns, one of them claimed by two threads, with calls at the same time."""
    traces = [
        record.ask(BODY | {"client_metadata": {"thread_id": thread, "turn_id": "turn-a"}})
        for thread in ("thread-a", "thread-b", "thread-a")
    ]
    for trace in reversed(traces):
        answer(trace, STREAM)


def compaction(record: Recording) -> None:
    """A compaction that succeeds and one that fails."""
    body = {"id": "resp_c", "object": "response.compaction", "output": []}
    for status in (200, 500):
        trace = record.ask(BODY, scope=Scope.COMPACTION)
        answer(trace, [orjson.dumps(body)], status=status, headers=JSON_HEAD)


def exchange_alone(record: Recording) -> None:
    """No call at all: the thread that the manifest names is never started."""
    record.begin_exchange(method="GET").ended(TransportEnd.EOF, None, Waits())


def prewarm_and_loss(record: Recording) -> None:
    """Our own notices, before, between and after calls."""
    record.call(wire.sse(wire.ev_completed("resp_0")), body=BODY | {"generate": False})
    record.journal.note_loss({"capture_bytes": 1})
    record.call(*STREAM, body=BODY)
    exchange_alone(record)


def requests_that_are_lost(record: Recording) -> None:
    """Bodies that cannot be read, kept or decoded; their calls are there."""
    for body in (b"torn {", b"\xff", b"[" * 200 + b"]" * 200, b'{"input":"\\ud800"}'):
        record.call(*STREAM, body=body)
    record.call(*STREAM, body=b"no gzip", headers=((b"content-encoding", b"gzip"),))
    record.request_bytes_max = 1
    record.call(*STREAM, body=BODY)


def odd_secrets(record: Recording) -> None:
    """Keys that are words of the format, and a key that is the thread's name."""
    for word in (
        "inference_started",
        "output_items",
        "codex_turn_id",
        "response_payload",
        "tailrace",
    ):
        headers: RawHeaders = ((b"Authorization", f"Bearer {word}".encode()),)
        record.call(*STREAM, body=BODY, headers=headers)
    headers = ((b"api-key", b"0123456789"), (b"session-id", b"0123456789"))
    record.call(*STREAM, body=BODY, headers=headers)


SCENARIOS = [
    chained,
    every_ending,
    overlapping_turns,
    compaction,
    exchange_alone,
    prewarm_and_loss,
    requests_that_are_lost,
    odd_secrets,
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
@pytest.mark.parametrize("closed", [True, False])
def test_codex_reads_what_we_write(
    tmp_path: Path, scenario: Callable[[Recording], None], closed: bool
) -> None:
    """Codex's reducer takes the bundle, closed or live, and ours says the same of it."""
    with recording(tmp_path) as record:
        scenario(record)
        bundle = only_bundle(record.close() if closed else record.crash())
    state: Any = assert_parity(bundle)
    assert state["status"] == ("completed" if closed else "running")
    assert state["recording_complete"] is closed


def test_every_beginning_of_a_bundle_replays(tmp_path: Path) -> None:
    """A log cut at any byte is read up to there: the state never has more than the whole's."""
    with recording(tmp_path) as record:
        answer(record.ask(BODY), [*STREAM[:9], STREAM[2]], end=GONE)
        bundle = only_bundle(record.close())
    log = bundle / "trace.jsonl"
    whole = log.read_bytes()
    sizes = []
    for size in range(len(whole) + 1):
        log.write_bytes(whole[:size])
        state: dict[str, Any] = reduce_bundle(bundle)
        sizes.append((len(state["inference_calls"]), len(state["conversation_items"])))
    assert sizes == sorted(sizes)
    assert sizes[-1] == (1, 2)
