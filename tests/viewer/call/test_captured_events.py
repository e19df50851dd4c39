"""The events of a stream, from its pieces: the same ones, wherever the stream was cut."""

from itertools import pairwise
from uuid import UUID

import orjson
from hypothesis import given
from hypothesis import strategies as st

from tests.support.events import sse_pieces, text_stream
from tracing.capture import Direction, Kind, Piece
from tracing.sse import SSEScanner
from viewer.call.captured_events import EVENT_BYTES_MAX, events_of

BLOCKS = [
    *sse_pieces(*text_stream("Hello", " \u00e4\n")),
    b'event: odd\ndata: {"a":\ndata: 1}\n\n',
    b"data: no type\n\n",
    b"event: no data\n\n",
    b": comment\n\n",
    b'data: {"type":"response.later"}\r\n\r\n',
    b'event: mac\rdata: {"type":"response.mac"}\r\r',
    b"event: empty\ndata: \n\n",
    b"\n\n",
    b"event: a\nid: 1\ndata: 2\n\n",
    b"\xef\xbb\xbfevent: marked\ndata: 3\n\n",
]
streams = st.lists(st.sampled_from(BLOCKS), max_size=12)


def body(data: bytes, at_unix_ns: int = 0, kind: Kind = Kind.BODY) -> Piece:
    """A piece that came at this time."""
    return Piece(
        call=UUID(int=1), direction=Direction.DOWN, kind=kind, at_unix_ns=at_unix_ns, data=data
    )


def scanned(stream: bytes) -> list[tuple[str, bytes | None]]:
    """The events of a stream that came at once."""
    found = SSEScanner(EVENT_BYTES_MAX).feed(stream)
    return [(e.type.decode(), None if e.data is None else bytes(e.data)) for e in found]


@given(streams)
def test_an_event_a_piece_is_read_as_any_stream_is(blocks: list[bytes]) -> None:
    """Most streams come so; what is told of them is what a scanner of the whole finds."""
    pieces = [body(block) for block in blocks]
    found = [(event.type, event.data) for event in events_of(pieces, "sse")]
    assert found == scanned(b"".join(blocks))


@given(streams, st.data())
def test_cuts_change_nothing_but_times(blocks: list[bytes], data: st.DataObject) -> None:
    """Wherever the pieces end, the events are the same; each came when its last byte did."""
    stream = b"".join(blocks)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    places = [0, *sorted(cuts), len(stream)]
    pieces = [body(stream[begin:end], at) for at, (begin, end) in enumerate(pairwise(places))]
    found = events_of(pieces, "sse")
    assert [(event.type, event.data) for event in found] == scanned(stream)
    times = [event.at_unix_ns for event in found]
    assert times == sorted(times)


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=5))
def test_any_bytes_are_read_as_something(data: list[bytes]) -> None:
    """A capture may hold anything: as a stream, as one body, as messages, with any head."""
    bodies = [body(piece) for piece in data]
    for pieces in (
        bodies,
        [body(piece, kind=Kind.MESSAGE) for piece in data],
        [body(data[0], kind=Kind.HEAD), *bodies],
    ):
        for transport in ("sse", "http", ""):
            events_of(pieces, transport)


def test_the_head_decides_what_a_response_is() -> None:
    """An error that answers the request for a stream is one event, and so is any JSON."""
    data = orjson.dumps({"error": {"message": "no"}})
    for status, kind in ((500, "text/event-stream"), (200, "application/json")):
        head = body(
            orjson.dumps({"status": status, "headers": {"Content-Type": kind}}), 1, Kind.HEAD
        )
        (event,) = events_of([head, body(data[:9], 2), body(data[9:], 3)], "sse")
        assert (event.type, event.data, event.at_unix_ns) == ("error", data, 3)
