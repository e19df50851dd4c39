"""Masking in one piece and in a stream."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracing import masking
from tracing.masking import NEEDLE_BYTES_MAX, SECRET_BYTES_MIN, StreamMask, found_in, mask

# A small alphabet makes overlaps, near misses and secrets within secrets likely.
LETTERS = st.sampled_from([b"a", b"b", b"\n", b'"', b"\xff"])
SECRETS = st.lists(st.lists(LETTERS, min_size=8, max_size=12).map(b"".join), max_size=4)


@st.composite
def secrets_and_pieces(draw: st.DrawFn) -> tuple[list[bytes], list[bytes]]:
    """Secrets, and content that holds some of them, cut anywhere."""
    secrets = draw(SECRETS)
    parts = st.lists(LETTERS, max_size=12).map(b"".join)
    if secrets:
        parts |= st.sampled_from(secrets) | st.sampled_from(secrets).map(lambda s: s[:-1])
    content = b"".join(draw(st.lists(parts, max_size=8)))
    cuts = sorted(draw(st.lists(st.integers(0, len(content)), max_size=12)))
    pieces = [content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    return secrets, pieces


def naive(content: bytes, secrets: list[bytes]) -> bytes:
    """The definition: every byte of every occurrence of every form."""
    masked = bytearray(content)
    for secret in secrets:
        text = secret.decode("latin-1")
        for form in (
            secret,
            json.dumps(text)[1:-1].encode(),
            json.dumps(text, ensure_ascii=False)[1:-1].encode(),
        ):
            for at in range(len(content)):
                if content.startswith(form, at):
                    masked[at : at + len(form)] = b"*" * len(form)
    return bytes(masked)


@given(secrets_and_pieces())
def test_a_stream_is_masked_like_the_whole(case: tuple[list[bytes], list[bytes]]) -> None:
    """Whatever the pieces: same output, same ranges, same length, no secret left."""
    secrets, pieces = case
    whole = b"".join(pieces)
    at_once = StreamMask(secrets)
    expected = at_once.feed(whole) + at_once.finish()

    stream = StreamMask(secrets)
    output = b"".join([*map(stream.feed, pieces), stream.finish()])

    assert expected == output == mask(whole, secrets) == naive(whole, secrets)
    assert at_once.ranges == stream.ranges
    assert len(whole) == len(output)
    assert not any(secret in output for secret in secrets)
    rebuilt = bytearray(whole)
    for start, end in stream.ranges:
        rebuilt[start:end] = b"*" * (end - start)
    assert output == bytes(rebuilt)
    edges = [edge for span in stream.ranges for edge in span]
    assert edges == sorted(set(edges))


@given(st.lists(st.binary(min_size=8, max_size=20), max_size=4), st.lists(st.binary(max_size=40)))
def test_any_bytes_in_any_pieces(secrets: list[bytes], pieces: list[bytes]) -> None:
    """Arbitrary bytes are masked without error, and the cuts do not matter."""
    whole = b"".join(pieces)
    stream = StreamMask(secrets)
    assert mask(whole, secrets) == b"".join([*map(stream.feed, pieces), stream.finish()])


@pytest.mark.parametrize(
    ("secret", "written"),
    [
        ('quo"te-and\\slash', '"quo\\"te-and\\\\slash"'),
        ("base64/with+slash=", '"base64\\/with+slash="'),
        ("schl\N{LATIN SMALL LETTER U WITH DIAERESIS}ssel-1", '"schl\\u00fcssel-1"'),
        ("a&b<c>d&e", '"a\\u0026b\\u003cc\\u003ed\\u0026e"'),
        ("line\nfeed-1", '"line\\nfeed-1"'),
    ],
)
def test_json_escaped_forms_are_masked(secret: str, written: str) -> None:
    """A secret is found as JSON encoders of several languages write it."""
    data = written.encode()
    assert json.loads(data) == secret
    assert mask(data, [secret.encode()]) == b'"' + b"*" * (len(data) - 2) + b'"'


def test_short_values_are_left_alone() -> None:
    """A cookie of value 1 does not blank every 1 of a trace; a secret of the least length does."""
    short, least = b"1" * (SECRET_BYTES_MIN - 1), b"2" * SECRET_BYTES_MIN
    assert mask(short + least, [short, least]) == short + b"*" * SECRET_BYTES_MIN


def test_only_what_may_begin_a_secret_is_held_back() -> None:
    """An event goes on at once; the start of a secret waits for its next byte."""
    stream = StreamMask([b"secret-value"])
    assert stream.feed(b"data: secret\n\n") == b"data: secret\n\n"
    assert stream.feed(b"data: secret-v") == b"data: "
    assert stream.feed(b"alue.") == b"************."
    assert stream.feed(b"secret-") == b""
    assert stream.finish() == b"secret-"
    assert stream.ranges == [(20, 32)]


def test_without_secrets_the_pieces_pass_as_they_are() -> None:
    """No copy is made where there is nothing to look for."""
    stream = StreamMask([b"short"])
    piece = bytes(100)
    assert stream.feed(piece) is piece
    assert stream.finish() == b""
    assert stream.ranges == []


def test_secrets_may_be_added_before_the_stream_begins() -> None:
    """Secrets that the request's body carried join those of its head."""
    stream = StreamMask([b"first-secret"])
    stream.add([b"second-secret"])
    assert stream.feed(b"first-secret second-secret.") == b"************ *************."


def test_a_long_secret_is_masked_whole_but_held_back_in_pieces() -> None:
    """The bytes held back are bounded, whatever a client puts into a header."""
    secret = bytes(33 + index * 7 % 61 for index in range(5 * NEEDLE_BYTES_MAX + 13))
    stream = StreamMask([secret])
    emitted = 0
    for index, byte in enumerate(b"<" + secret + b">"):
        piece = stream.feed(bytes([byte]))
        assert set(piece) <= set(b"*<>")
        emitted += len(piece)
        assert index + 1 - emitted < NEEDLE_BYTES_MAX
    stream.finish()
    assert stream.ranges == [(1, 1 + len(secret))]


def test_repetitions_of_a_secret_cost_no_step_a_byte() -> None:
    """A secret that overlaps itself everywhere yields few spans, not one a byte."""
    spans = list(masking._spans_of(b"a" * 100, b"a" * 10_000))
    assert len(spans) <= 200
    assert spans[0][0] == 0
    assert spans[-1][1] == 10_000


def test_too_many_secrets_mask_everything() -> None:
    """Beyond what can be searched for in time, nothing of the content is kept."""
    stream = StreamMask([b"secret-%06d" % n for n in range(masking.NEEDLES_MAX + 1)])
    assert stream.feed(b"some") + stream.feed(b"thing") + stream.finish() == b"*********"
    assert stream.ranges == [(0, 9)]


def test_found_in_names_the_secrets_that_mask_would_find() -> None:
    """Only secrets that occur, in any form, and are long enough."""
    secrets = [b"absent-secret", b'quoted"secret', b"short"]
    assert found_in(b'{"a": "quoted\\"secret short"}', secrets) == (b'quoted"secret',)
