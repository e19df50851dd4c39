"""What an observer notes of a response, and that its short cuts change nothing of it."""

import itertools
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import events as wire
from tracing.observer import ResponseObserver

STREAM = wire.text_stream("Hel", "lo", response_id="resp_1")
NOTED = [name for name in ResponseObserver.__slots__ if not name.startswith("_")]


def observer(*, is_stream: bool = True, event_bytes_max: int = 1 << 20) -> ResponseObserver:
    """An observer with all the memory that it asks for."""
    return ResponseObserver(
        is_stream=is_stream, event_bytes_max=event_bytes_max, reserve=lambda _: True
    )


def as_openai_writes(*events: wire.Event) -> list[bytes]:
    """The events with the type first and no spaces: the form that the short cuts know."""
    pieces = []
    for number, event in enumerate(events):
        body = {"type": event["type"], "sequence_number": number} | event
        pieces.append(
            b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), orjson.dumps(body))
        )
    return pieces


def observed(pieces: list[bytes], **settings: Any) -> ResponseObserver:
    """An observer of these pieces, one a nanosecond."""
    seen = observer(**settings)
    for at_ns, piece in enumerate(pieces):
        seen.piece(piece, at_ns)
    seen.finish()
    return seen


def noted(seen: ResponseObserver) -> dict[str, Any]:
    """All that it noted but the times."""
    facts = {name: getattr(seen, name) for name in NOTED if not name.endswith("_ns")}
    return facts | {"events": seen.events, "last": seen.last_sequence_number()}


def test_completed_stream() -> None:
    """Ids, status, the items' and the terminal event's bytes, and when what came."""
    pieces = as_openai_writes(*STREAM)
    seen = observed(pieces)
    assert (seen.response_id, seen.response_status) == ("resp_1", "in_progress")
    assert seen.terminal_type == b"response.completed"
    assert seen.terminal_data == pieces[-1].split(b"data: ")[1].strip()
    assert seen.done_items == [pieces[8].split(b"data: ")[1].strip()]
    assert (seen.events, seen.last_sequence_number()) == (len(STREAM), len(STREAM) - 1)
    assert (seen.first_event_ns, seen.first_text_ns, seen.last_event_ns) == (0, 4, len(STREAM) - 1)
    assert (seen.bytes_down, seen.error) == (sum(map(len, pieces)), None)
    assert (seen.lost_bytes, seen.lost_events, seen.unterminated_event) == (0, 0, False)


@given(st.lists(st.integers(0, 4000), max_size=10))
def test_no_split_changes_what_is_noted(places: list[int]) -> None:
    """Any cut of the stream, and either form of it, is noted alike."""
    for pieces in (as_openai_writes(*STREAM), wire.sse_pieces(*STREAM)):
        stream = b"".join(pieces)
        at = sorted({0, len(stream), *(min(place, len(stream)) for place in places)})
        cut = [stream[a:b] for a, b in itertools.pairwise(at)]
        assert noted(observed(cut)) == noted(observed(pieces))


def test_lifecycle_in_another_order_is_parsed() -> None:
    """An upstream that writes its fields in another order tells the same."""
    data = b'{"response": {"status": "queued", "id": "resp_9"}, "type": "response.queued"}'
    seen = observed([b"event: response.queued\ndata: " + data + b"\n\n"])
    assert (seen.response_id, seen.response_status) == ("resp_9", "queued")


@pytest.mark.parametrize(
    "data", [b"no json", b"[1]", b'{"response":null}', b'{"response":{"id":1}}']
)
def test_odd_lifecycle_is_taken(data: bytes) -> None:
    """What has no id gives none, and raises nothing."""
    assert observed([b"event: response.created\ndata: " + data + b"\n\n"]).response_id is None


def test_first_terminal_event_decides() -> None:
    """A second one is an oddity of the stream."""
    seen = observed(as_openai_writes(wire.ev_failed(), wire.ev_completed()))
    assert seen.terminal_type == b"response.failed"


@pytest.mark.parametrize("error", [wire.ev_error("one"), wire.ev_error_nested("one")])
def test_first_error_is_kept(error: wire.Event) -> None:
    """An error is kept beside the terminal event, which may follow it."""
    seen = observed(as_openai_writes(error, wire.ev_error("two"), wire.ev_completed()))
    assert seen.error is not None
    assert b'"one"' in seen.error
    assert seen.terminal_type == b"response.completed"


def test_comments_are_no_events() -> None:
    """A heartbeat changes the gap between pieces, and neither count, times nor last number."""
    seen = observed([*as_openai_writes(*STREAM[:2]), b": ping\n\n"])
    assert (seen.events, seen.last_event_ns, seen.last_sequence_number()) == (2, 1, 1)


def test_longest_gap() -> None:
    """The longest time between two pieces is known."""
    seen = observer()
    for at_ns in (100, 150, 400, 420):
        seen.piece(b": ping\n\n", at_ns)
    assert seen.max_gap_ns == 250


def test_unterminated_event_is_noted() -> None:
    """An event without its blank line is none, and the note says that there was one."""
    seen = observed([b"".join(as_openai_writes(wire.ev_completed()))[:-1]])
    assert (seen.terminal_type, seen.unterminated_event) == (None, True)


def test_without_memory_the_types_still_tell() -> None:
    """What cannot be kept is counted; that the response completed, and its id, is known."""
    seen = ResponseObserver(is_stream=True, event_bytes_max=1 << 20, reserve=lambda _: False)
    for piece in as_openai_writes(*STREAM):
        seen.piece(piece, 0)
    assert (seen.terminal_type, seen.response_id) == (b"response.completed", "resp_1")
    assert (seen.terminal_data, seen.done_items, seen.kept_bytes) == (None, [], 0)
    assert seen.lost_bytes > 0


def test_events_larger_than_the_limit_are_counted() -> None:
    """An item and a terminal event too large to keep are lost, and said to be."""
    item = wire.message_item("x" * 5000)
    pieces = as_openai_writes(
        wire.ev_created(), wire.ev_item_done(item), wire.ev_completed(output=[item])
    )
    seen = observed(pieces, event_bytes_max=2000)
    assert (seen.terminal_type, seen.terminal_data, seen.done_items) == (
        b"response.completed",
        None,
        [],
    )
    assert (seen.lost_events, seen.response_id) == (2, "resp_1")


def test_body_that_is_no_stream_is_kept() -> None:
    """The pieces of a JSON answer are kept as they are, and no event is looked for in them."""
    seen = observed([b'{"a":', b"1}\n\n"], is_stream=False)
    assert (seen.body, seen.events, seen.first_event_ns) == ([b'{"a":', b"1}\n\n"], 0, None)


@given(st.lists(st.binary(max_size=30), max_size=10), st.booleans())
def test_any_bytes_are_taken(pieces: list[bytes], is_stream: bool) -> None:
    """Nothing that an upstream sends raises."""
    assert observed(pieces, is_stream=is_stream).bytes_down == sum(map(len, pieces))
