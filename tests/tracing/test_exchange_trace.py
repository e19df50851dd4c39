"""What the traffic's side notes, whatever order the relay tells it in."""

import gzip
import hashlib
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.support import events as wire
from tests.support import raw_bundle
from tests.support.recording import (
    JSON_HEAD,
    SSE_HEAD,
    Recording,
    answer,
    only_bundle,
    recording,
)
from tracing.call import CallEnded, CallStarted, Waits
from tracing.capture import scan
from tracing.decoding import GROWN_BYTES_MAX
from tracing.exchange_trace import CallTrace, is_stream_head
from tracing.redaction import RawHeaders
from tracing.strict_json import dumps
from tracing.terminal import TerminalType, TransportEnd

STREAM = wire.sse_pieces(*wire.text_stream("Hel", "lo"))


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (200, ((b"content-type", b"text/event-stream"),), True),
        (206, ((b"Content-Type", b"Text/Event-Stream; charset=utf-8"),), True),
        (200, ((b"content-type", b"application/json"),), False),
        (200, (), False),
        (429, ((b"content-type", b"text/event-stream"),), False),
        (None, ((b"content-type", b"text/event-stream"),), False),
    ],
)
def test_which_heads_begin_a_stream(
    status: int | None, headers: RawHeaders, expected: bool
) -> None:
    """A stream is what a success of the right type brings."""
    assert is_stream_head(status, headers) is expected


def started(record: Recording) -> CallStarted:
    """The start that a trace put."""
    (operation,) = (op for op in record.operations if isinstance(op, CallStarted))
    return operation


def ended(record: Recording) -> CallEnded:
    """The end that a trace put."""
    (operation,) = (op for op in record.operations if isinstance(op, CallEnded))
    return operation


def test_request_is_kept_as_it_came(tmp_path: Path) -> None:
    """Its pieces are joined by nobody, and what comes after its end is not of it."""
    with recording(tmp_path) as record:
        trace = record.begin()
        for piece in (b'{"a"', b":1}"):
            trace.request_piece(piece)
        trace.request_ended()
        trace.request_piece(b"late")
        start = started(record)
    assert (start.body, start.body_bytes, start.kept_bytes) == ([b'{"a"', b":1}"], 7, 7)
    assert start.is_whole


@pytest.mark.parametrize("has_memory", [True, False])
def test_request_that_cannot_be_kept(tmp_path: Path, has_memory: bool) -> None:
    """Too large, or no memory for it: its size is known, counted as lost, and the call is there."""
    with recording(tmp_path) as record:
        record.request_bytes_max = 10 if has_memory else 1000
        record.has_memory = has_memory
        trace = record.begin()
        for _ in range(3):
            trace.request_piece(b"x" * 6)
        trace.request_ended()
        start = started(record)
        answer(trace, STREAM)
        bundle = only_bundle(record.close())
    assert (start.body, start.body_bytes) == (None, 18)
    assert start.kept_bytes == (6 if has_memory else 0)
    assert record.lost["request_bytes"] == 18
    why = "the body is larger than what is kept of one"
    if not has_memory:
        why = "there was no memory left for it, since the disk was slow"
    assert raw_bundle.request_payload(bundle) == {"input": [], "proxy": {"lost": why}}


def test_answer_before_the_request_has_ended(tmp_path: Path) -> None:
    """An early refusal starts the call with what had come, and says that it is not all."""
    with recording(tmp_path) as record:
        trace = record.begin()
        trace.request_piece(b'{"model": "m", "inp')
        trace.response_started(413, JSON_HEAD)
        trace.request_piece(b'ut": []}')
        trace.request_ended()
        trace.ended(TransportEnd.EOF, None, Waits())
        bundle = only_bundle(record.close())
    assert not started(record).is_whole
    assert raw_bundle.request_payload(bundle)["proxy"]["lost"]
    assert raw_bundle.only_terminal(bundle)["error"] == "http 413"


def test_only_the_first_end_counts(tmp_path: Path) -> None:
    """What is told after the end changes nothing."""
    with recording(tmp_path) as record:
        trace = record.ask()
        answer(trace, STREAM, end=TransportEnd.CLIENT_CLOSED)
        trace.response_piece(b"late")
        trace.ended(TransportEnd.SHUTDOWN, "late", Waits())
        end = ended(record)
    assert (end.end, end.bytes_down) == (TransportEnd.CLIENT_CLOSED, sum(map(len, STREAM)))


def test_encoded_in_several_lines(tmp_path: Path) -> None:
    """Codings may stand in several header lines, in the order in which they were applied."""
    plain = b"".join(STREAM)
    encoded = zlib.compress(zlib.compress(plain))
    headers = (*SSE_HEAD, (b"Content-Encoding", b"deflate"), (b"content-encoding", b"deflate"))
    with recording(tmp_path) as record:
        answer(record.ask(), [encoded[:30], encoded[30:]], headers=headers)
        end = ended(record)
        (bundle,) = record.close()
    pieces = [piece.data for _, piece in scan(bundle / "streams" / "1.cap")]
    assert b"".join(pieces[1:]) == plain
    assert end.wire_sha256 == hashlib.sha256(encoded).hexdigest()


def test_bomb_is_not_kept(tmp_path: Path) -> None:
    """A body that decodes to more than is allowed is lost to the trace, and said to be."""
    bomb = zlib.compress(b"\0" * 5_000_000)
    with recording(tmp_path) as record:
        answer(record.ask(), [bomb], headers=(*SSE_HEAD, (b"Content-Encoding", b"deflate")))
        end = ended(record)
    assert end.decode_error == "the decoded size passes the limit"
    assert (end.lost_bytes, end.bytes_down) == (len(bomb), len(bomb))


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": zstandard.compress,
    "gzip": gzip.compress,
}


def encoded_head(head: RawHeaders, coding: str) -> RawHeaders:
    """The head of a body in this content coding."""
    return (*head, (b"Content-Encoding", coding.encode()))


@pytest.mark.parametrize("coding", COMPRESS)
def test_piece_that_grows_too_much_at_once(tmp_path: Path, coding: str) -> None:
    """It would hold up every stream: it is lost to the trace, with all that follows it."""
    pieces = [
        COMPRESS[coding](plain) for plain in (b":\n\n", b"\0" * 2 * GROWN_BYTES_MAX, STREAM[-1])
    ]
    with recording(tmp_path) as record:
        record.decoded_bytes_max = 100 * GROWN_BYTES_MAX
        answer(record.ask(), pieces, headers=encoded_head(SSE_HEAD, coding))
        end = ended(record)
        bundle = only_bundle(record.close())
    lost = sum(map(len, pieces[1:]))
    assert (end.lost_bytes, record.lost["capture_bytes"]) == (lost, lost)
    note = "not decoded: a piece decodes to more than is decoded at once"
    assert note in raw_bundle.only_terminal(bundle)["proxy"]["notes"]
    assert end.wire_sha256 == hashlib.sha256(b"".join(pieces)).hexdigest()


@pytest.mark.parametrize("coding", COMPRESS)
def test_compressed_json_is_decoded(tmp_path: Path, coding: str) -> None:
    """A megabyte of an answer, in one piece, is small beside what a piece may grow to."""
    text = " ".join(f"word {number}" for number in range(100_000))
    plain = dumps(wire.response_object(output=[wire.message_item(text)]))
    assert len(plain) > 1_000_000
    encoded = COMPRESS[coding](plain)
    with recording(tmp_path) as record:
        record.decoded_bytes_max = 2 * len(plain)
        answer(record.ask(), [encoded], headers=encoded_head(JSON_HEAD, coding))
        end = ended(record)
        bundle = only_bundle(record.close())
    assert (end.decode_error, record.lost) == (None, {})
    assert raw_bundle.response_payload(bundle)["output_items"] == [wire.message_item(text)]


def test_memory_that_the_observer_lacks_is_counted(tmp_path: Path) -> None:
    """What the answer is read from is content too: its loss is counted by its own name."""
    with recording(tmp_path) as record:
        trace = record.ask()
        record.has_memory = False
        answer(trace, [b'{"id":', b'"x"}'], headers=JSON_HEAD)
        bundle = only_bundle(record.close())
    assert record.lost["response_bytes"] == 10
    assert raw_bundle.only_terminal(bundle)["type"] == "inference_completed"
    lost = raw_bundle.response_payload(bundle)["proxy"]["lost"]
    assert lost == "10 bytes, for want of memory"


# What a relay may tell, in whatever order races bring it.
Step = Callable[[CallTrace], None]
ENDS = {end: (lambda trace, end=end: trace.ended(end, None, Waits())) for end in TransportEnd}
TERMINALS = {
    "completed": wire.sse(wire.ev_completed()),
    "failed": wire.sse(wire.ev_failed()),
    "incomplete": wire.sse(wire.ev_incomplete()),
    "error": wire.sse(wire.ev_error()),
}


def piece_step(data: bytes) -> Step:
    """A piece of the response comes."""
    return lambda trace: trace.response_piece(data)


STEPS: Sequence[tuple[str, Step]] = [
    ("request", lambda trace: trace.request_piece(b'{"stream": true}')),
    ("request ended", lambda trace: trace.request_ended()),
    ("head", lambda trace: trace.response_started(200, SSE_HEAD)),
    ("refusal", lambda trace: trace.response_started(500, JSON_HEAD)),
    *[("piece", piece_step(piece)) for piece in STREAM[:-1]],
    *[(name, piece_step(data)) for name, data in TERMINALS.items()],
    *[(f"end {end}", step) for end, step in ENDS.items()],
]


def expected_types(names: list[str]) -> set[str]:
    """The terminal that the table of them gives for what was told before the end."""
    end = next(name for name in names if name.startswith("end "))
    told = names[: names.index(end)]
    heads = [name for name in told if name in {"head", "refusal"}]
    if not heads:
        words: list[str] = []
    elif heads[-1] == "refusal":
        return {TerminalType.FAILED}
    else:
        since = told[len(told) - told[::-1].index("head") :]
        words = [name for name in since if name in TERMINALS]
    lifecycle = [name for name in words if name != "error"]
    if lifecycle:
        return {TerminalType.COMPLETED if lifecycle[0] == "completed" else TerminalType.FAILED}
    if words:
        return {TerminalType.FAILED}
    gone = {f"end {TransportEnd.CLIENT_CLOSED}", f"end {TransportEnd.SHUTDOWN}"}
    return {TerminalType.CANCELLED if end in gone else TerminalType.FAILED}


@given(st.lists(st.sampled_from(STEPS), max_size=12), st.sampled_from(list(ENDS)))
def test_exactly_one_terminal_however_it_goes(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str, Step]],
    last: TransportEnd,
) -> None:
    """Any interleaving of pieces, terminal events and ends: one terminal, that of the table."""
    steps = [*steps, (f"end {last}", ENDS[last])]
    with recording(tmp_path_factory.mktemp("traces")) as record:
        trace: Any = record.begin()
        for _, step in steps:
            step(trace)
        bundle = only_bundle(record.close())
    terminal = raw_bundle.only_terminal(bundle)
    assert raw_bundle.event_types(bundle).count("inference_started") == 1
    assert {terminal["type"]} == expected_types([name for name, _ in steps])
    assert raw_bundle.event_types(bundle)[-1] == "recording_completed"
