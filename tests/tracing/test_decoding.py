"""Content codings undone in pieces, within limits."""

import gzip
import random
import tracemalloc
import zlib
from collections.abc import Callable
from itertools import pairwise

import brotli  # type: ignore[import-untyped]  # it has no stubs
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tracing.decoding import STEP_BYTES, DecodeError, Decoder, decode_body, decoder_for

BYTES_MAX = 1_000_000


def brotli_compress(data: bytes) -> bytes:
    """At a quality that does not take seconds for a bomb."""
    encoded: bytes = brotli.compress(data, quality=2)
    return encoded


def raw_deflate(data: bytes) -> bytes:
    """RFC 1951 without the RFC 1950 frame, as some servers send it."""
    return zlib.compress(data)[2:-4]


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "deflate (raw)": raw_deflate,
    "br": brotli_compress,
    "zstd": zstandard.compress,
    "gzip, br": lambda data: brotli_compress(gzip.compress(data)),
    "ZSTD ,identity,, deflate": lambda data: zlib.compress(zstandard.compress(data)),
}
CODINGS = sorted(ENCODERS)
CONTENT = st.binary(max_size=300) | st.binary(max_size=8).map(lambda unit: unit * 30_000)


def decoder_of(
    coding: str, bytes_max: int = BYTES_MAX, piece_bytes_max: int | None = None
) -> Decoder:
    """A decoder for a key of ENCODERS."""
    decoder = decoder_for(coding.removesuffix(" (raw)"), bytes_max, piece_bytes_max)
    assert decoder is not None
    return decoder


def decoded_in_pieces(coding: str, encoded: bytes, cuts: list[int]) -> bytes:
    """Feed `encoded` cut at `cuts`."""
    decoder = decoder_of(coding)
    edges = [0, *sorted(min(cut, len(encoded)) for cut in cuts), len(encoded)]
    pieces = [encoded[a:b] for a, b in pairwise(edges)]
    return b"".join([*map(decoder.feed, pieces), decoder.finish()])


@pytest.mark.parametrize("coding", CODINGS)
@given(content=CONTENT, cuts=st.lists(st.integers(0, 400), max_size=8))
def test_any_split_decodes_to_the_same(coding: str, content: bytes, cuts: list[int]) -> None:
    """However the encoded bytes come, what was encoded comes out."""
    assert decoded_in_pieces(coding, ENCODERS[coding](content), cuts) == content


@pytest.mark.parametrize("coding", CODINGS)
def test_byte_by_byte(coding: str) -> None:
    """Pieces of one byte, which cut every header and checksum."""
    content = bytes(range(256)) * 20
    encoded = ENCODERS[coding](content)
    assert decoded_in_pieces(coding, encoded, list(range(len(encoded)))) == content


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, br"])
@given(data=st.binary(max_size=200), cut=st.integers(0, 200))
def test_arbitrary_bytes_raise_only_decode_error(coding: str, data: bytes, cut: int) -> None:
    """Corrupt data is one kind of error, whole or in pieces."""
    outcomes = []
    for cuts in ([], [cut]):
        try:
            outcomes.append(decoded_in_pieces(coding, data, cuts))
        except DecodeError:
            outcomes.append(b"error")
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("coding", CODINGS)
@given(position=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_damaged_data_raises_only_decode_error(coding: str, position: int, flip: int) -> None:
    """A flipped byte decodes to something or is a DecodeError."""
    encoded = bytearray(ENCODERS[coding](b"some content, " * 20))
    encoded[position % len(encoded)] ^= flip
    try:
        decoded_in_pieces(coding, bytes(encoded), [])
    except DecodeError:
        return


@pytest.mark.parametrize("coding", CODINGS)
def test_cut_short(coding: str) -> None:
    """What came before the cut is returned by feed; finish says that the end is missing."""
    content = b"event: x\n\n" * 10_000
    decoder = decoder_of(coding)
    assert content.startswith(decoder.feed(ENCODERS[coding](content)[:-1]))
    with pytest.raises(DecodeError):
        decoder.finish()


@pytest.mark.parametrize("coding", CODINGS)
def test_a_body_without_bytes_is_whole(coding: str) -> None:
    """A 204 or the answer to HEAD may name a coding and carry nothing."""
    assert decode_body(b"", coding.removesuffix(" (raw)"), BYTES_MAX) == b""


@pytest.mark.parametrize("coding", CODINGS)
def test_the_limit_is_exact(coding: str) -> None:
    """A body of the limit's size passes, one of a byte more does not."""
    encoded = ENCODERS[coding](b"a" * 200_000)
    name = coding.removesuffix(" (raw)")
    assert len(decode_body(encoded, name, 200_000)) == 200_000
    with pytest.raises(DecodeError, match="limit"):
        decode_body(encoded, name, 199_999)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_bomb_is_stopped_before_it_is_decoded(coding: str) -> None:
    """A body that decodes to 40 MB costs little more than the limit and one step."""
    encoded = ENCODERS[coding](bytes(40_000_000))
    decoder = decoder_of(coding)
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError, match="limit"):
            decoder.feed(encoded)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000


@pytest.mark.parametrize("coding", CODINGS)
def test_no_byte_stays_behind_at_a_full_step(coding: str) -> None:
    """What is decoded by the bytes that came is returned at once, just past a step's size too."""
    for size in range(STEP_BYTES, STEP_BYTES + 300, 7):
        content = b"a" * size
        assert decoder_of(coding).feed(ENCODERS[coding](content)) == content


@pytest.mark.parametrize("coding", CODINGS)
def test_the_limit_of_a_piece(coding: str) -> None:
    """It holds for what each piece decodes to, and not for all of them together."""
    content = random.Random(1).randbytes(300_000)
    encoded = ENCODERS[coding](content)
    decoder = decoder_of(coding, piece_bytes_max=150_000)
    pieces = [encoded[at : at + 10_000] for at in range(0, len(encoded), 10_000)]
    assert b"".join(map(decoder.feed, pieces)) == content
    with pytest.raises(DecodeError, match="at once"):
        decoder_of(coding, piece_bytes_max=150_000).feed(encoded)


def test_a_bomb_at_an_inner_coding_is_stopped() -> None:
    """The limit holds at each coding of a list, not only for the last."""
    inner = zlib.compress(bytes(40_000_000))
    with pytest.raises(DecodeError, match="limit"):
        decode_body(zlib.compress(inner), "deflate, deflate", len(inner) - 1)


@pytest.mark.parametrize(
    ("coding", "encoded"),
    [
        ("gzip", gzip.compress(b"one") + gzip.compress(b"two")),
        ("gzip", gzip.compress(b"one") + bytes(20) + gzip.compress(b"two") + bytes(512)),
        ("zstd", zstandard.compress(b"one") + zstandard.compress(b"two")),
    ],
)
@given(cut=st.integers(0, 100))
def test_members_and_frames_follow_each_other(coding: str, encoded: bytes, cut: int) -> None:
    """gzip members and zstd frames join, wherever the pieces are cut."""
    assert decoded_in_pieces(coding, encoded, [cut]) == b"onetwo"


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("is_split", [False, True])
def test_data_after_the_end_is_corrupt(coding: str, is_split: bool) -> None:
    """What follows the encoded data is not silently dropped."""
    encoded = ENCODERS[coding](b"content")
    pieces = [encoded, b"junk"] if is_split else [encoded + b"junk"]
    decoder = decoder_of(coding)
    with pytest.raises(DecodeError):
        b"".join([*map(decoder.feed, pieces), decoder.finish()])


@pytest.mark.parametrize("value", [None, "", "identity", " Identity , ,identity"])
def test_no_coding_needs_no_decoder(value: str | None) -> None:
    """Identity, by whatever spelling, passes the body on."""
    assert decoder_for(value, 10) is None
    body = b"more than ten bytes"
    assert decode_body(body, value, 10) is body


@pytest.mark.parametrize("value", ["compress", "gzip, rot13", "gzip;q=1", "gzip, " * 5 + "gzip"])
def test_codings_that_are_not_known(value: str) -> None:
    """An unknown coding, and a list too long to be honest, are refused before any data."""
    with pytest.raises(DecodeError):
        decoder_for(value, BYTES_MAX)


def test_a_zstd_window_beyond_the_standard_is_refused() -> None:
    """A frame may not ask for more memory than RFC 9659 grants."""
    params = zstandard.ZstdCompressionParameters(window_log=26)
    encoder = zstandard.ZstdCompressor(compression_params=params).compressobj()
    encoded = encoder.compress(b"content") + encoder.flush()
    with pytest.raises(DecodeError):
        decode_body(encoded, "zstd", BYTES_MAX)
