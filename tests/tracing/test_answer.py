"""What the API's last word was, read from what an observer kept."""

import itertools
import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import events as wire
from tracing.answer import Answer, partial_items, read_answer
from tracing.capture import Direction, Kind, Piece
from tracing.observer import ResponseObserver, Seen
from tracing.terminal import ProtocolWord as Word

MIB = 1 << 20
ITEM = wire.message_item("Hi")
USAGE = {
    "input_tokens": 11,
    "cached_input_tokens": 3,
    "cache_write_input_tokens": 0,
    "output_tokens": 7,
    "reasoning_output_tokens": 2,
    "total_tokens": 18,
}


def observed(body: bytes, *, is_stream: bool) -> Seen:
    """What is seen of the whole of a body."""
    observer = ResponseObserver(is_stream=is_stream, event_bytes_max=MIB, reserve=lambda _: True)
    observer.piece(body, 0)
    observer.finish()
    return observer.seen()


def streamed(*events: wire.Event) -> Answer:
    """The answer that these events give."""
    return read_answer(observed(wire.sse(*events), is_stream=True), 200, is_whole=True)


def replied(body: object, status: int = 200) -> Answer:
    """The answer that a body gives; bytes are as they are, all else is JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_answer(observed(data, is_stream=False), status, is_whole=True)


def test_no_response_is_no_word() -> None:
    """Where no head came there is nothing to read."""
    assert read_answer(None, None, is_whole=False) == Answer()


def test_completed_stream() -> None:
    """The whole of a completed response: items of the stream, usage by Codex's names."""
    usage = wire.usage(cached_tokens=3, reasoning_tokens=2)
    answer = streamed(
        wire.ev_created(), wire.ev_item_done(ITEM), wire.ev_completed(output=[], usage=usage)
    )
    assert answer == Answer(
        word=Word.COMPLETED,
        response_id="resp_1",
        response_status="completed",
        usage=USAGE,
        output_items=[ITEM],
    )


def test_output_of_the_response_where_no_item_was_done() -> None:
    """A stream that skips the items' events has them in its terminal response."""
    assert streamed(wire.ev_completed(output=[ITEM])).output_items == [ITEM]


@pytest.mark.parametrize(
    ("event", "word", "text"),
    [
        (
            wire.ev_incomplete(reason="content_filter"),
            Word.INCOMPLETE,
            "Incomplete response returned, reason: content_filter",
        ),
        (
            wire.ev_incomplete() | {"response": {"id": "resp_1", "status": "incomplete"}},
            Word.INCOMPLETE,
            "Incomplete response returned, reason: unknown",
        ),
        (wire.ev_failed(code="c", message="m"), Word.FAILED, "c: m"),
        (
            wire.ev_failed() | {"response": {"id": "resp_1"}},
            Word.FAILED,
            "response.failed event received",
        ),
        (
            {"type": "response.cancelled", "response": {"id": "resp_1"}},
            Word.CANCELLED,
            None,
        ),
        (wire.ev_error("m", "c"), Word.ERROR, "c: m"),
        (wire.ev_error("m", None), Word.ERROR, "m"),
        (wire.ev_error_nested("m", "c"), Word.ERROR, "c: m"),
        ({"type": "error"}, Word.ERROR, "error event"),
        (wire.ev_keepalive(), Word.NONE, None),
        (
            {"type": "response.in_progress", "response": {"id": "resp_1", "status": "cancelled"}},
            Word.CANCELLED,
            None,
        ),
    ],
)
def test_words_of_a_stream(event: wire.Event, word: Word, text: str | None) -> None:
    """Each way in which a stream ends, with the items that were done and the id."""
    answer = streamed(wire.ev_created(), wire.ev_item_done(ITEM), event)
    assert (answer.word, answer.text) == (word, text)
    assert (answer.response_id, answer.output_items) == ("resp_1", [ITEM])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_lifecycle_wins_over_an_error_event(order: tuple[int, int]) -> None:
    """An `error` decides only where no lifecycle terminal comes, before or after."""
    events = (wire.ev_error(), wire.ev_completed())
    assert streamed(*(events[at] for at in order)).word is Word.COMPLETED


def test_terminal_event_that_cannot_be_read_is_a_word() -> None:
    """Its type decides; what it held is unknown, and the id is that of `response.created`."""
    body = wire.sse(wire.ev_created()) + b"event: response.completed\ndata: {torn\n\n"
    answer = read_answer(observed(body, is_stream=True), 200, is_whole=True)
    assert (answer.word, answer.response_id, answer.usage) == (Word.COMPLETED, "resp_1", None)


def test_items_that_are_none_are_left_out() -> None:
    """An item event without an item adds nothing that a reducer would stumble over."""
    odd: list[wire.Event] = [
        {"type": "response.output_item.done", "item": None},
        {"type": "response.output_item.done"},
    ]
    assert streamed(*odd, wire.ev_item_done(ITEM)).output_items == [ITEM]


@pytest.mark.parametrize(
    ("status", "word", "text"),
    [
        ("completed", Word.COMPLETED, None),
        ("failed", Word.FAILED, "response.failed event received"),
        ("incomplete", Word.INCOMPLETE, "Incomplete response returned, reason: unknown"),
        ("cancelled", Word.CANCELLED, None),
        ("queued", Word.COMPLETED, None),
        ("in_progress", Word.COMPLETED, None),
    ],
)
def test_json_answer_goes_by_its_status(status: str, word: Word, text: str | None) -> None:
    """A response object that comes as JSON says in its status how it stands."""
    answer = replied(wire.response_object(status=status, output=[ITEM]))
    assert (answer.word, answer.text, answer.response_status) == (word, text, status)
    assert (answer.response_id, answer.output_items) == ("resp_1", [ITEM])


def test_compaction() -> None:
    """A compaction has no status, and is complete."""
    body = {
        "id": "resp_c",
        "object": "response.compaction",
        "output": [ITEM],
        "usage": wire.usage(),
    }
    answer = replied(body)
    assert (answer.word, answer.response_id, answer.output_items) == (
        Word.COMPLETED,
        "resp_c",
        [ITEM],
    )


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"status": "completed"'])
def test_answer_that_is_no_json(body: bytes) -> None:
    """It has no word: how the transport ended decides, and the text says what was wrong."""
    answer = replied(body)
    assert (answer.word, answer.text) == (Word.NONE, "http 200: the answer is no response object")


@pytest.mark.parametrize("body", [{}, [], {"status": "unheard of"}, "text"])
def test_json_that_is_no_response(body: object) -> None:
    """An answer of another kind is an error, and kept."""
    answer = replied(body)
    assert (answer.word, answer.body) == (Word.ERROR, body)


def test_json_answer_that_could_not_be_kept() -> None:
    """How a call ended does not depend on memory; of a broken one the trace says what it lacks."""
    observer = ResponseObserver(is_stream=False, event_bytes_max=MIB, reserve=lambda _: False)
    observer.piece(b'{"status":"completed"}', 0)
    seen = observer.seen()
    assert read_answer(seen, 200, is_whole=True) == Answer(word=Word.COMPLETED)
    assert read_answer(seen, 200, is_whole=False).text == "http 200: the answer could not be kept"


@pytest.mark.parametrize(
    ("body", "text", "kept"),
    [
        (wire.error_body("Slow down", code="rate"), "http 429: rate: Slow down", ...),
        (wire.error_body("Slow down"), "http 429: Slow down", ...),
        ({"error": "text"}, "http 429: text", ...),
        ({"message": "flat", "code": "c"}, "http 429: c: flat", ...),
        ({"unheard": "of"}, "http 429", ...),
        (b"<html>no</html>", "http 429", "<html>no</html>"),
        (b"\xff", "http 429", "\ufffd"),
        (b"", "http 429", None),
    ],
)
def test_refusal(body: Any, text: str, kept: Any) -> None:
    """Status and message are the text, in any error shape; the body is kept, JSON or not."""
    answer = replied(body, 429)
    assert (answer.word, answer.text) == (Word.ERROR, text)
    assert answer.body == (body if kept is ... else kept)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ([], None),
        ({"input_tokens": 1, "output_tokens": None}, {"input_tokens": 1}),
        ({"input_tokens": "1"}, {}),
        ({"input_tokens_details": {"cached_tokens": None}}, {"cached_input_tokens": None}),
    ],
)
def test_odd_usage(usage: Any, expected: Any) -> None:
    """Counts that are no numbers are left out."""
    answer = replied(wire.response_object() | {"usage": usage})
    if expected is None:
        assert answer.usage is None
        return
    zeros = ("cached_input_tokens", "cache_write_input_tokens", "reasoning_output_tokens")
    assert answer.usage == {
        name: count
        for name, count in (dict.fromkeys(zeros, 0) | expected).items()
        if count is not None
    }


def body_pieces(*datas: bytes) -> list[Piece]:
    """A capture with these pieces of a body."""
    return [
        Piece(call=UUID(int=1), direction=Direction.DOWN, kind=Kind.BODY, at_unix_ns=0, data=data)
        for data in datas
    ]


@given(st.integers(0, 3000))
def test_partial_items_of_any_beginning(size: int) -> None:
    """Read back in any pieces, a stream's beginning gives what its whole events say of an item."""
    events = wire.text_stream("Hel", "lo")[:6]
    ends = list(itertools.accumulate(map(len, wire.sse_pieces(*events))))
    stream = wire.sse(*events)
    whole = sum(end <= size for end in ends)
    items = partial_items(body_pieces(stream[:100], stream[100:size]), MIB)
    if whole < 3 or size < 100:
        assert items == []
        return
    (partial,) = items
    assert partial["item"]["status"] == "incomplete"
    text = "".join(part["text"] for part in partial["item"]["content"])
    assert text == {5: "Hel", 6: "Hello"}.get(whole, "")


@given(st.binary(max_size=200), st.booleans(), st.sampled_from([200, 204, 302, 429, 500]))
def test_any_body_is_read(body: bytes, is_stream: bool, status: int) -> None:
    """Nothing that an upstream sends raises."""
    read_answer(observed(body, is_stream=is_stream), status, is_whole=True)
    partial_items(body_pieces(body), MIB)
