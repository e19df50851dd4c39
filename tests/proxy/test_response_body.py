"""The framing of responses' bodies, whatever the segments in which they come."""

import itertools
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.response_body import (
    LINE_BYTES_MAX,
    BodyUntilClose,
    ChunkedBody,
    LengthBody,
    ResponseBody,
)

CHUNKS = st.lists(st.text("ab\r\n05;", min_size=1).map(str.encode), max_size=8)


def chunked(chunks: Iterable[bytes], *, extension: bytes = b"", trailers: bytes = b"") -> bytes:
    """A body in chunks, ended."""
    coded = b"".join(b"%x%b\r\n%b\r\n" % (len(chunk), extension, chunk) for chunk in chunks)
    return coded + b"0\r\n" + trailers + b"\r\n"


def segments(data: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    """The data in segments that end at these offsets, as far as it has them."""
    bounds = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(bounds):
        yield data[start:end]


def fed(body: ResponseBody, data: bytes, cuts: Iterable[int] = ()) -> tuple[bytes, bytes]:
    """What goes on of the data, and the body's own bytes in it."""
    wire, plain = b"", b""
    for segment in segments(data, cuts):
        came = body.feed(segment)
        wire, plain = wire + came[0], plain + came[1]
    return wire, plain


@given(CHUNKS, st.lists(st.integers(0)), st.sampled_from([b"", b";a=b", b" ;a"]))
def test_chunks_in_any_segments(chunks: list[bytes], cuts: list[int], extension: bytes) -> None:
    """The same chunks go on, without extensions and trailers, and the body is theirs joined."""
    body = ChunkedBody()
    came = chunked(chunks, extension=extension, trailers=b"A: b\r\nC: d\r\n")
    assert fed(body, came, cuts) == (chunked(chunks), b"".join(chunks))
    assert (body.is_ended, body.is_malformed, body.has_excess) == (True, False, False)


@given(CHUNKS, st.lists(st.integers(0)), st.integers(0))
def test_cut_chunks_are_not_ended(chunks: list[bytes], cuts: list[int], at: int) -> None:
    """Of a body that breaks off all its own bytes go on, at once, and it has no end."""
    whole = chunked(chunks)
    cut = whole[: at % len(whole)]
    body = ChunkedBody()
    wire, plain = fed(body, cut, cuts)
    assert whole.startswith(wire)
    assert b"".join(chunks).startswith(plain)
    assert (wire, plain) == fed(ChunkedBody(), cut)
    body.feed_eof()
    assert not body.is_ended
    assert not body.is_malformed


@given(CHUNKS, st.lists(st.integers(0)), st.binary(min_size=1, max_size=9))
def test_what_follows_the_last_chunk_is_excess(
    chunks: list[bytes], cuts: list[int], excess: bytes
) -> None:
    """It goes nowhere: it would be taken for the next response."""
    body = ChunkedBody()
    assert fed(body, chunked(chunks) + excess, cuts) == (chunked(chunks), b"".join(chunks))
    assert body.is_ended
    assert body.has_excess


@pytest.mark.parametrize(
    "broken",
    [
        b"x\r\n",
        b"-1\r\n",
        b"+5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"5_0\r\n",
        b"\r\n",
        b" 5\r\nhello\r\n",
        b"5\nhello\n",
        b"5\r\nhello6\r\n",
        b"5\r\nhello\n",
        b"5\r\nhello\rx",
        b"5\rx",
        b"12345678901234567\r\n",
        b"5;" + b"a" * LINE_BYTES_MAX,
        b"0\r\nA: " + b"b" * LINE_BYTES_MAX,
    ],
)
@pytest.mark.parametrize("before", [b"", b"3\r\nabc\r\n"])
def test_malformed_chunks(broken: bytes, before: bytes) -> None:
    """They are told as soon as they are, and what came before them goes on."""
    body = ChunkedBody()
    wire, _ = fed(body, before + broken)
    assert body.is_malformed
    assert not body.is_ended
    assert wire.startswith(before)
    bytewise = ChunkedBody()
    fed(bytewise, before + broken, range(len(before + broken)))
    assert bytewise.is_malformed


@given(st.binary(max_size=20), st.binary(max_size=5), st.lists(st.integers(0)))
def test_length(content: bytes, excess: bytes, cuts: list[int]) -> None:
    """A body of a known length ends there, and what follows is excess."""
    body = LengthBody(len(content))
    assert fed(body, content + excess, cuts) == (content, content)
    assert body.is_ended
    assert body.has_excess == bool(excess)


def test_length_that_does_not_come() -> None:
    """A body that is shorter than its length has not ended with the connection."""
    body = LengthBody(3)
    assert body.feed(b"ab") == (b"ab", b"ab")
    body.feed_eof()
    assert not body.is_ended


def test_until_close() -> None:
    """Only the connection's end ends it."""
    body = BodyUntilClose()
    assert body.feed(b"ab") == (b"ab", b"ab")
    assert not body.is_ended
    body.feed_eof()
    assert body.is_ended
