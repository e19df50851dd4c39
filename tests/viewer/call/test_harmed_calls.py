"""One call, read from a bundle that is damaged, hostile or large."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.events import (
    sse_pieces,
    text_stream,
)
from tests.support.recording import (
    SSE_HEAD,
    only_bundle,
    recording,
)
from tests.viewer.call.rows import rows_of
from tests.viewer.call.streamed import ASKED, only_row, streamed
from tracing.call import Waits
from tracing.terminal import TransportEnd
from viewer.call import pieces as pieces_module
from viewer.call.reading import (
    CallUnreadable,
    raw_request,
    raw_response,
    raw_stream,
    read_story,
    stream_events,
)
from viewer.catalog.rows import CallRow


def recorded(tmp_path: Path) -> CallRow:
    """A completed call, whose bundle a test then damages."""
    with recording(tmp_path) as record:
        streamed(record, *text_stream("Hello"))
        return only_row(only_bundle(record.close()))


def remove(path: Path) -> None:
    """Take a file away."""
    path.unlink()


def cut(path: Path) -> None:
    """Leave half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def scramble(path: Path) -> None:
    """Change a byte in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes(data)


def replace_by_pipe(path: Path) -> None:
    """Put a FIFO in the place of a file: who opens it for reading waits for ever."""
    path.unlink()
    os.mkfifo(path)


def replace_by_link(path: Path) -> None:
    """Put a link to a file outside in the place of a file."""
    outside = path.parent.parent.parent / "outside"
    outside.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(outside)


@pytest.mark.parametrize("harm", [remove, cut, scramble, replace_by_pipe, replace_by_link])
@pytest.mark.parametrize("name", ["payloads/1.json", "payloads/2.json", "streams/1.cap"])
def test_a_damaged_file_is_told_and_the_rest_is_read(
    tmp_path: Path, name: str, harm: Callable[[Path], None]
) -> None:
    """What is gone or broken is missing; no link is followed, and no pipe waited for."""
    row = recorded(tmp_path)
    harm(row.bundle / name)
    story = read_story(row)
    if (name, harm) not in {("payloads/1.json", scramble), ("payloads/2.json", scramble)}:
        assert len(story.missing) == 1, story.missing
    assert bool(story.input) is (name != "payloads/1.json") or harm is scramble
    stream_events(row, start=0, limit=100)
    raw_request(row)
    raw_response(row)
    raw_stream(row)


def test_a_link_to_a_bundle_is_a_bundle(tmp_path: Path) -> None:
    """Who moves an old one to another disk leaves a link; the catalog lists what is there."""
    row = recorded(tmp_path)
    moved = row.bundle.rename(tmp_path / "moved")
    row.bundle.symlink_to(moved)
    assert read_story(row).missing == ()
    assert raw_stream(row)


@pytest.mark.parametrize("harm", [remove, cut, replace_by_pipe, replace_by_link])
def test_a_log_that_is_not_what_it_was_is_a_clear_error(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    """The catalog knew the call, and the bundle does not any more."""
    row = recorded(tmp_path)
    harm(row.bundle / "trace.jsonl")
    for read in (read_story, raw_request, raw_response, raw_stream):
        with pytest.raises(CallUnreadable, match="trace"):
            read(row)


def test_another_call_at_the_same_place_is_no_match(tmp_path: Path) -> None:
    """A row whose offset is of another call's event is not answered with that call."""
    with recording(tmp_path) as record:
        record.call(*sse_pieces(*text_stream("Hello")))
        record.call(*sse_pieces(*text_stream("Hello")))
        first, second = rows_of(only_bundle(record.close()))
    with pytest.raises(CallUnreadable, match="no event of call"):
        read_story(replace(first, start_offset=second.start_offset))


def test_only_the_calls_own_part_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle of a thousand calls costs no more to read one of than a bundle of one."""
    read_bytes = 0
    real = os.pread

    def counting(file: int, size: int, offset: int) -> bytes:
        nonlocal read_bytes
        data = real(file, size, offset)
        read_bytes += len(data)
        return data

    with recording(tmp_path) as record:
        for _ in range(1000):
            record.call(*sse_pieces(*text_stream("Hello", "there")))
        rows = rows_of(only_bundle(record.close()))
    monkeypatch.setattr(os, "pread", counting)
    read_story(rows[500])
    segment = rows[500].bundle / "streams" / "1.cap"
    assert segment.stat().st_size > 20 * pieces_module.BLOCK_BYTES
    assert read_bytes <= 4 * pieces_module.BLOCK_BYTES


def test_large_pieces_of_others_are_hopped_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the pieces of a call lie megabytes of another one's, which are not read."""
    large = b": " + b"x" * 900_000 + b"\n\n"
    with recording(tmp_path, capture_bytes_max=1 << 30) as record:
        mine, other = record.ask(ASKED), record.ask(ASKED)
        for trace in (mine, other):
            trace.response_started(200, SSE_HEAD)
        for piece in sse_pieces(*text_stream("a", "b")):
            mine.response_piece(piece)
            other.response_piece(large)
        for trace in (mine, other):
            trace.ended(TransportEnd.EOF, None, Waits())
        row, _ = rows_of(only_bundle(record.close()))
    sizes: list[int] = []
    real = os.pread

    def noting(file: int, size: int, offset: int) -> bytes:
        sizes.append(size)
        return real(file, size, offset)

    monkeypatch.setattr(os, "pread", noting)
    _, total = stream_events(row, start=0, limit=1)
    assert total == len(text_stream("a", "b"))
    assert sum(sizes) <= (total + 3) * pieces_module.BLOCK_BYTES


def test_a_payload_beyond_all_bounds_is_not_read(tmp_path: Path) -> None:
    """A file may be sparse and claim any size: it must not fill the memory."""
    row = recorded(tmp_path)
    os.truncate(row.bundle / "payloads" / "1.json", 1 << 40)
    assert any("too large" in sentence for sentence in read_story(row).missing)


def test_a_live_call_that_is_looked_at_again_is_not_searched_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands before a call's first piece is gone over once, and what came since is read."""
    large = b": " + b"x" * 900_000 + b"\n\n"
    pieces = sse_pieces(*text_stream("a", "b"))
    with recording(tmp_path, capture_bytes_max=1 << 30) as record:
        other, mine = record.ask(ASKED), record.ask(ASKED)
        other.response_started(200, SSE_HEAD)
        for _ in range(20):
            other.response_piece(large)
        mine.response_started(200, SSE_HEAD)
        mine.response_piece(pieces[0])
        record.journal.flush()
        _, row = rows_of(only_bundle(record.bundles()), is_live=True)
        assert stream_events(row, start=0, limit=9)[1] == 1
        other.response_piece(large)
        mine.response_piece(pieces[1])
        record.journal.flush()
        offsets: list[int] = []
        real = os.pread

        def noting(file: int, size: int, offset: int) -> bytes:
            offsets.append(offset)
            return real(file, size, offset)

        with monkeypatch.context() as patch:
            patch.setattr(os, "pread", noting)
            assert stream_events(row, start=0, limit=9)[1] == 2
        for trace in (other, mine):
            trace.ended(TransportEnd.EOF, None, Waits())
        record.close()
    assert len(offsets) <= 4  # of the event log, and of the segment from where it was found
