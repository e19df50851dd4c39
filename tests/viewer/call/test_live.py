"""The progress of running calls: what a capture tells of them while it grows."""

import itertools
import os
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.call_rows import STARTED_UNIX_MS, call_row
from tests.support.events import ev_created, ev_text_delta, sse, sse_pieces
from tracing.capture import Direction, Kind, encode
from viewer.call import live
from viewer.call.live import LiveCalls, Progress
from viewer.call.said import TEXT_CHARS_MAX, Said


def record(
    data: bytes,
    *,
    call: int = 1,
    kind: Kind = Kind.BODY,
    direction: Direction = Direction.DOWN,
    after_ms: int = 0,
) -> bytes:
    """The record of a piece that came `after_ms` after the call's start."""
    at_unix_ns = (STARTED_UNIX_MS + after_ms) * 1_000_000
    return encode(UUID(int=call).bytes, direction, kind, at_unix_ns, data)


def append(bundle: Path, *records: bytes, name: str = "1.cap") -> Path:
    """Append to a segment of a bundle as its writer does."""
    segment = bundle / "streams" / name
    segment.parent.mkdir(parents=True, exist_ok=True)
    with segment.open("ab") as file:
        file.writelines(records)
    return segment


def deltas(*texts: str, first: int = 0) -> list[bytes]:
    """The pieces of a stream that says these texts, an event each."""
    return sse_pieces(*(ev_text_delta(text) for text in texts), first=first)


def test_a_call_is_followed_piece_by_piece(tmp_path: Path) -> None:
    """Its chunks, bytes, the time of the latest one, and what the model says, look by look."""
    calls, row = LiveCalls(), call_row(1, tmp_path)
    assert calls.progress(row) is None
    append(tmp_path, record(b'{"status": 200}', kind=Kind.HEAD, after_ms=5))
    headers = Progress(chunks=0, bytes_down=0, last_at_unix_ms=STARTED_UNIX_MS + 5, text="")
    assert calls.progress(row) == headers
    pieces = deltas("Once ", "upon ", "a time")
    append(tmp_path, record(pieces[0], after_ms=10), record(pieces[1], after_ms=20))
    two = len(pieces[0]) + len(pieces[1])
    assert calls.progress(row) == Progress(
        chunks=2, bytes_down=two, last_at_unix_ms=STARTED_UNIX_MS + 20, text="Once upon "
    )
    append(tmp_path, record(pieces[2], after_ms=3000))
    assert calls.progress(row) == Progress(
        chunks=3,
        bytes_down=two + len(pieces[2]),
        last_at_unix_ms=STARTED_UNIX_MS + 3000,
        text="Once upon a time",
    )


def test_calls_that_share_a_segment_are_told_apart(tmp_path: Path) -> None:
    """One look for all of them; what went up counts for none, and one that ended is left out."""
    hello, bye = deltas("Hello"), deltas("Bye")
    append(tmp_path, record(hello[0]), record(bye[0], call=2))
    append(tmp_path, record(b"{}", call=2, direction=Direction.UP, kind=Kind.MESSAGE))
    rows = [call_row(1, tmp_path), call_row(2, tmp_path), call_row(3, tmp_path)]
    found = LiveCalls().progress_of([*rows, call_row(4, tmp_path, status="completed")])
    assert {row: (made.chunks, made.text) for row, made in found.items()} == {
        1: (1, "Hello"),
        2: (1, "Bye"),
    }
    ended = call_row(1, tmp_path, status="completed")
    assert LiveCalls().progress(ended) is None


@pytest.mark.parametrize("cut", [1, 39, 40, 41, -1])
def test_a_torn_record_waits_for_its_rest(tmp_path: Path, cut: int) -> None:
    """The writer is amid it: the next look finds it whole."""
    first, second = (record(piece) for piece in deltas("one", "two"))
    calls, row = LiveCalls(), call_row(1, tmp_path)
    append(tmp_path, first, second[:cut])
    before = calls.progress(row)
    append(tmp_path, second[cut:])
    after = calls.progress(row)
    assert before is not None
    assert after is not None
    assert (before.chunks, before.text) == (1, "one")
    assert (after.chunks, after.text) == (2, "onetwo")


def test_only_headers_are_read_of_what_others_received(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look at a large capture costs what its records cost, not what its bytes do."""
    read = 0
    pread = os.pread

    def counted(file: int, size: int, offset: int) -> bytes:
        nonlocal read
        data = pread(file, size, offset)
        read += len(data)
        return data

    append(tmp_path, *(record(bytes(10_000_000), call=2) for _ in range(4)))
    append(tmp_path, record(deltas("Hi")[0]))
    monkeypatch.setattr(os, "pread", counted)
    calls, row = LiveCalls(), call_row(1, tmp_path)
    found = calls.progress(row)
    assert found is not None
    assert found.text == "Hi"
    assert read < 1_000_000
    read = 0
    assert calls.progress(row) == found
    assert read == 0


def test_nothing_outside_the_bundle_is_read(tmp_path: Path) -> None:
    """No link, to a directory or a segment, and nothing that is no file: it might block."""
    elsewhere = tmp_path / "elsewhere"
    secret = append(elsewhere, record(deltas("secret")[0]))
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "streams").symlink_to(elsewhere / "streams")
    odd = tmp_path / "odd"
    (odd / "streams").mkdir(parents=True)
    (odd / "streams" / "1.cap").symlink_to(secret)
    os.mkfifo(odd / "streams" / "2.cap")
    (odd / "streams" / "3.cap").mkdir()
    calls = LiveCalls()
    for bundle in (linked, odd, tmp_path / "gone"):
        assert calls.progress(call_row(1, bundle)) is None
    append(odd, record(deltas("own")[0]), name="4.cap")
    own = calls.progress(call_row(1, odd))
    assert own is not None
    assert own.text == "own"


def test_damage_ends_what_is_told_of_a_segment(tmp_path: Path) -> None:
    """What came before it counts; nothing after it can be found."""
    append(tmp_path, record(deltas("one")[0]), bytes(50), record(deltas("two")[0]))
    calls, row = LiveCalls(), call_row(1, tmp_path)
    for _ in range(2):
        found = calls.progress(row)
        assert found is not None
        assert (found.chunks, found.text) == (1, "one")


def test_another_bundle_of_the_same_name_is_another(tmp_path: Path) -> None:
    """What was known of the one that is gone is forgotten."""
    calls, row = LiveCalls(), call_row(1, tmp_path)
    segment = append(tmp_path, record(deltas("one")[0]), record(deltas("two")[0]))
    assert calls.progress(row) is not None
    segment.rename(tmp_path / "kept")  # so that its inode is not given again
    append(tmp_path, record(deltas("new")[0]))
    found = calls.progress(row)
    assert found is not None
    assert (found.chunks, found.text) == (1, "new")


def test_a_compaction_is_a_call_too(tmp_path: Path) -> None:
    """Its id begins with what it is; one that holds no call's id has no progress."""
    append(tmp_path, record(b"{}"))
    compaction = call_row(1, tmp_path, call_id=f"compaction_request:{UUID(int=1)}")
    assert LiveCalls().progress(compaction) is not None
    assert LiveCalls().progress(call_row(1, tmp_path, call_id="call")) is None


def test_a_long_way_is_gone_in_several_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of what there is would be a wrong figure, so nothing is told until all was read."""
    monkeypatch.setattr(live, "BLOCKS_MAX", 2)
    append(tmp_path, *(record(bytes(live.BLOCK_BYTES)) for _ in range(5)))
    calls, row = LiveCalls(), call_row(1, tmp_path)
    looks = [calls.progress(row) for _ in range(4)]
    assert [found and found.chunks for found in looks] == [None, None, 5, 5]


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of calls that nobody asks for, those that were silent longest are forgotten."""
    monkeypatch.setattr(live, "CALLS_MAX", 10)
    monkeypatch.setattr(live, "BUNDLES_MAX", 2)
    calls = LiveCalls()
    for bundle in (tmp_path / "1", tmp_path / "2", tmp_path / "1", tmp_path / "3"):
        append(bundle, *(record(b"x", call=n, after_ms=n) for n in range(100)))
        assert calls.progress(call_row(99, bundle)) is not None
        assert calls.progress(call_row(1, bundle)) is None
    assert list(calls._bundles) == [tmp_path / "1", tmp_path / "3"]
    assert max(len(bundle._calls) for bundle in calls._bundles.values()) <= 10


def test_of_many_new_pieces_the_latest_are_read(tmp_path: Path) -> None:
    """The text has no hole: it begins anew behind what was not read."""
    calls, row = LiveCalls(), call_row(1, tmp_path)
    append(tmp_path, record(deltas("old ")[0]))
    calls.progress(row)
    texts = [f"{number} " for number in range(500)]
    append(tmp_path, *map(record, deltas(*texts)))
    found = calls.progress(row)
    assert found is not None
    assert found.chunks == 501
    assert found.text == "".join(texts[-live.NEW_PIECES_MAX :])[-TEXT_CHARS_MAX:]
    append(tmp_path, record(bytes(1_000_000) + b"\n" + deltas("end")[0]))
    found = calls.progress(row)
    assert found is not None
    assert found.text == "end"


def test_messages_of_a_websocket_are_events(tmp_path: Path) -> None:
    """Each is one, without the grammar of an event stream."""
    messages = [b'{"type": "response.output_text.delta", "delta": "%d"}' % n for n in range(3)]
    append(tmp_path, *(record(message, kind=Kind.MESSAGE) for message in messages))
    found = LiveCalls().progress(call_row(1, tmp_path, transport="websocket"))
    assert found is not None
    assert (found.chunks, found.text) == (3, "012")


def said(pieces: Iterable[bytes]) -> str:
    """What these pieces say."""
    made = Said()
    for piece in pieces:
        made.piece(piece)
    return made.text


STREAM = sse(ev_created(), *(ev_text_delta(text) for text in ("Grüße ", "\n", "\x1b[2J", "Ω")))


@given(st.lists(st.integers(0, len(STREAM)), max_size=8), st.sampled_from([b"\n", b"\r\n"]))
def test_the_text_is_the_same_wherever_a_stream_is_cut(cuts: list[int], line_end: bytes) -> None:
    """Pieces are what the network made of the events."""
    stream = STREAM.replace(b"\n", line_end)
    places = [0, *sorted(cuts), len(stream)]
    pieces = [stream[begin:end] for begin, end in itertools.pairwise(places)]
    assert said(pieces) == "Grüße \n\x1b[2JΩ"


def test_a_line_without_end_is_not_kept() -> None:
    """It could be a stream of anything."""
    made = Said()
    for _ in range(100):
        made.piece(bytes(10_000))
        assert len(made._line) <= 20_000
    made.piece(b"\n" + deltas("a")[0])
    assert made.text == "a"


@given(st.lists(st.binary(max_size=80) | st.sampled_from(deltas("a", "b")), max_size=8))
@settings(max_examples=50)
def test_any_bytes_say_something_or_nothing(pieces: list[bytes]) -> None:
    """What is no event stream raises nothing."""
    assert len(said(pieces)) <= TEXT_CHARS_MAX


@pytest.mark.parametrize(
    "data",
    [
        b'data: {"type": "response.output_text.delta", "delta": 1}\n\n',
        b'data: {"type": "response.output_text.delta", "delta": "\\ud800"}\n\n',
        b'data: ["response.output_text.delta"]\n\n',
        b'data: {"type": "response.output_text.delta", "delta": "%b"}\n\n' % (b"x" * 20_000),
        b'data: {"type": "response.reasoning_text.delta", "delta": "hm"}\n\n',
    ],
)
def test_what_is_no_delta_of_a_text_is_passed_over(data: bytes) -> None:
    """Odd, absurdly long, or nothing that is said."""
    assert said([*deltas("a"), data, *deltas("b")]) == "ab"
