"""The scanner against the grammar, against a real client's decoder, and against every chunking."""

import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai._streaming import SSEDecoder

from tests.support import events as wire
from tracing import sse
from tracing.sse import EVENT_TYPE_BYTES_MAX, SSEEvent, SSEScanner

MIB = 1024 * 1024
# The least limit there is; the filler is larger than what is kept of an event then.
LEAST = EVENT_TYPE_BYTES_MAX
FILLER = b"x" * 300

Seen = tuple[list[SSEEvent], int, bytes, bytes | None]

LINES = st.sampled_from(
    [
        b"data: one",
        b"data:two",
        b"data:  two spaces",
        b"data",
        b"data:",
        b"data: " + FILLER,
        b"data: \xff\xf0\x9f\x98\x80",
        b'data: {"type":"response.created","sequence_number":3}',
        b'data: {"sequence_number":4,"type":"error"}',
        b"event: named",
        b"event:",
        b"event",
        b"eventual: no field",
        b"database: no field",
        b" data: no field",
        b": comment",
        b":" + FILLER,
        b"id: 7",
        b"id: \x00",
        b"retry: 10",
        b"\x00",
        b"",
    ]
)
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r\n"])
STREAMS = st.tuples(
    st.sampled_from([b"", b"", b"\xef\xbb\xbf", b"\xef\xbb\xbf\xef\xbb\xbf", b"\xef\xbb"]),
    st.lists(st.tuples(LINES, ENDS).map(b"".join), max_size=12).map(b"".join),
    st.sampled_from([b"", b"data: no end", b"\r", b"dat"]),
).map(b"".join)
BYTES = st.lists(
    st.sampled_from([b"\r", b"\n", b":", b"data", b"event", b" ", b"a", b"\xef", b"\xbb", b"\xbf"])
    | st.binary(max_size=4),
    max_size=40,
).map(b"".join)


def seen(pieces: Iterable[bytes], event_bytes_max: int = MIB, skip: tuple[bytes, ...] = ()) -> Seen:
    """All that a scanner tells of a stream in these pieces: the same where they count as large."""
    pieces = list(pieces)
    told = _told(pieces, event_bytes_max, skip)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sse, "LARGE_EVENT_BYTES", 0)
        assert _told(pieces, event_bytes_max, skip) == told
    return told


def _told(pieces: list[bytes], event_bytes_max: int, skip: tuple[bytes, ...]) -> Seen:
    scanner = SSEScanner(event_bytes_max, skip)
    events = [event for piece in pieces for event in scanner.feed(piece)]
    return events, scanner.count, scanner.last, scanner.finish()


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    """The stream in pieces."""
    at = sorted(min(place, len(stream)) for place in places)
    return [stream[a:b] for a, b in zip([0, *at], [*at, len(stream)], strict=True)]


def bytewise(stream: bytes) -> list[bytes]:
    """The stream one byte at a time."""
    return [stream[at : at + 1] for at in range(len(stream))]


def by_the_grammar(stream: bytes) -> list[tuple[bytes, bytes]]:
    """WHATWG HTML 9.2.6 word for word, over the whole stream: `event` field and data."""
    lines = re.split(rb"\r\n|\n|\r", stream.removeprefix(b"\xef\xbb\xbf"))[:-1]
    dispatched: list[tuple[bytes, bytes]] = []
    event_type, data = b"", b""
    for line in lines:
        if not line:
            if data:
                dispatched.append((event_type, data[:-1]))
            event_type, data = b"", b""
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data += value + b"\n"
        elif field == b"event":
            event_type = value
    return dispatched


@given(STREAMS)
def test_events_are_those_of_the_grammar(stream: bytes) -> None:
    """Events, and their `event:` lines where the data names no type, are those of the standard."""
    found = [
        (event.type if b'"type"' not in (event.data or b"") else None, event.data)
        for event in seen([stream])[0]
    ]
    assert found == [
        (event_type if b'"type"' not in data else None, data)
        for event_type, data in by_the_grammar(stream)
    ]


@given(STREAMS | BYTES, st.lists(st.integers(0, 400), max_size=8), st.sampled_from([LEAST, MIB]))
def test_no_split_changes_anything(stream: bytes, places: list[int], limit: int) -> None:
    """However a stream is cut, all that the scanner tells of it is the same."""
    whole = seen([stream], limit)
    assert seen(cut(stream, places), limit) == whole
    assert seen(bytewise(stream), limit) == whole


@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("limit", [LEAST, MIB])
def test_every_two_way_cut(line_end: bytes, limit: int) -> None:
    """A real stream, with a comment and a large event in it, cut at every offset."""
    events = wire.text_stream("Hel", "lo", response_id="resp_1")
    stream = b": hi\n\n" + wire.sse(*events[:1], *events[4:7]) + b"data: " + FILLER * 2 + b"\n\n"
    stream = stream.replace(b"\n", line_end)
    whole = seen([stream], limit)
    for place in range(len(stream) + 1):
        assert seen([stream[:place], stream[place:]], limit) == whole


@given(st.binary(max_size=200), st.integers(0, 200))
def test_arbitrary_bytes(stream: bytes, place: int) -> None:
    """Any bytes are taken, and no cut of them changes what is told."""
    assert seen([stream[:place], stream[place:]]) == seen([stream])


@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, "named", "response.created"]),
            st.lists(st.text(max_size=8).map(lambda text: re.sub(r"[\r\n]", "", text)), min_size=1),
            st.sampled_from(["\n", "\r", "\r\n"]),
        )
    ),
    st.lists(st.integers(0, 200), max_size=4),
)
def test_as_the_sdk_decodes(
    blocks: list[tuple[str | None, list[str], str]], places: list[int]
) -> None:
    """On valid streams the events are those that openai-python's own decoder gives."""
    stream = b""
    for event_type, lines, line_end in blocks:
        block = [f"event: {event_type}"] if event_type else []
        block += [f"data: {line}" for line in lines]
        stream += "".join(line + line_end for line in [*block, ""]).encode()
    theirs = [
        ((event.event or "").encode(), event.data.encode())
        for event in SSEDecoder().iter_bytes(iter([stream]))
    ]
    assert [tuple(event) for event in seen(cut(stream, places))[0]] == theirs


DELTA = b'event: a.delta\ndata: {"type":"a.delta",'


@given(
    st.lists(
        st.sampled_from(
            [
                DELTA + b'"delta":"x"}\n\n',
                DELTA + b'"delta":"' + FILLER * 2 + b'"}\n\n',
                b"event: b\ndata: 1\n\n",
                b": comment\n\n",
                b"data: " + FILLER * 2 + b"\n\n",
            ]
        )
    ).map(b"".join),
    st.lists(st.integers(0, 2000), max_size=6),
    st.sampled_from([LEAST, MIB]),
)
def test_skip_changes_only_what_is_returned(stream: bytes, places: list[int], limit: int) -> None:
    """Skipped events are counted and remembered as the last one, and only not returned."""
    events, *told = seen([stream], limit)
    skipping_events, *skipping_told = seen(cut(stream, places), limit, skip=(DELTA,))
    assert skipping_told == told
    assert skipping_events == [event for event in events if event.type != b"a.delta"]


@given(st.integers(LEAST - 3, LEAST + 3), st.sampled_from([b"\n", b"\r", b"\r\n"]))
def test_the_limit_is_to_the_byte(size: int, line_end: bytes) -> None:
    """An event of as many bytes as the limit is kept, one more and it is not, whatever the cut."""
    block = b"data: " + b"x" * (size - 6)
    stream = block + line_end * 2
    kept = block[6:] if size <= LEAST else None
    for pieces in ([stream], bytewise(stream), [block, line_end * 2], [block + line_end, line_end]):
        (event,), *_ = seen(pieces, LEAST)
        assert event.data == kept


@pytest.mark.parametrize("piece", [1, 7, 4096])
def test_memory_is_bounded(piece: int) -> None:
    """An event without end costs no more than the limit, and the next event is found again."""
    scanner = SSEScanner(LEAST)
    stream = b"event: endless\ndata: " + b"x" * 50_000
    for at in range(0, len(stream), piece):
        assert scanner.feed(stream[at : at + piece]) == []
        assert len(scanner._buffer) <= LEAST + 2
    assert scanner.feed(b"\n\ndata: next\n\n") == [
        SSEEvent(b"endless", None),
        SSEEvent(b"", b"next"),
    ]


@pytest.mark.parametrize(
    ("block", "event_type"),
    [
        (b'data: {"type":"response.created","x":1}', b"response.created"),
        (b'event: line\ndata: {"type":"data"}', b"data"),
        (b'event: line\ndata: {"sequence_number":1,"type":"error"}', b"line"),
        (b'data: {"sequence_number":1,"type":"error"}', b"error"),
        (b'data: { "type" : "spaced" }', b"spaced"),
        (b"event: response.completed\ndata: [DONE]", b"response.completed"),
        (b"event: first\nevent: last\ndata: 1", b"last"),
        (b'data: {"text":"\\"type\\":\\"response.failed\\""}', b""),
        (b"data: [DONE]", b""),
        (b'data: {"pad":"' + b"x" * 600 + b'","type":"error"}', b""),
    ],
)
def test_type(block: bytes, event_type: bytes) -> None:
    """The type is the data's, else the `event:` line's; in the data it is looked for early only."""
    (event,), *_ = seen([block + b"\n\n"])
    assert event.type == event_type


@pytest.mark.parametrize(
    "head",
    [
        b"event: response.completed\ndata: ",
        b'data: {"type":"response.completed","response":',
        b'data: {"sequence_number":9,"type":"response.completed","response":',
        b"event: response.completed\nid: ",
    ],
)
def test_type_of_an_event_that_is_too_large(head: bytes) -> None:
    """Its beginning tells the type: the terminal decides, however large it is."""
    stream = head + b"x" * 2000 + b"\n\n"
    for pieces in ([stream], bytewise(stream)):
        assert seen(pieces, LEAST)[0] == [SSEEvent(b"response.completed", None)]


def test_last_is_the_last_event_and_not_a_comment() -> None:
    """A comment or a block without data after the last event does not hide it."""
    stream = b"data: 1\n\ndata: 2\n\n: ping\n\nevent: nothing\n\n"
    assert seen([stream])[2] == b"data: 2"


def test_rest_is_told() -> None:
    """What has no blank line after it is no event, and is told at the end."""
    assert seen([b"data: 1\n\ndata: 2\n"])[3] == b"data: 2\n"
    assert seen([b"data: 1\n\n\n\r\n"])[3] is None


SKIPPED, TEXT = b"event: d\ndata: {}\n\n", b"event: t\ndata: {}\n\n"


@given(
    st.lists(st.sampled_from([SKIPPED, TEXT, b"data: x\n\n", b"\n", b": c\n\n"])),
    st.lists(st.integers(0, 200)),
)
def test_skipped_events(blocks: list[bytes], places: list[int]) -> None:
    """They are counted and not returned, but for the first of those that are asked for once."""
    stream = b"".join(blocks)
    scanner = SSEScanner(MIB, (SKIPPED[:8], TEXT[:8]), once=TEXT[:8])
    events = [event for piece in cut(stream, places) for event in scanner.feed(piece)]
    whole = SSEScanner(MIB)
    every = whole.feed(stream)
    assert (scanner.count, scanner.last) == (whole.count, whole.last)
    others = [event for event in every if event.data == b"x"]
    assert [event for event in events if event.data == b"x"] == others
    assert [event.type for event in events if event.data != b"x"] == [b"t"] * (TEXT in blocks)
