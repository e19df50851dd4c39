"""What is captured of a call, read back from its segment: the bytes, the hashes, and no secret."""

import gzip
import hashlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import events as wire
from tests.support import raw_bundle
from tests.support.recording import (
    BODY,
    JSON_HEAD,
    SSE_HEAD,
    Recording,
    answer,
    call_id,
    only_bundle,
    recording,
)
from tracing.call import Waits
from tracing.capture import Direction, Kind, Piece, scan
from tracing.redaction import RawHeaders
from tracing.terminal import TransportEnd

KEY = "sk-proj-0123456789abcdef"
AUTH: RawHeaders = ((b"Authorization", f"Bearer {KEY}".encode()),)
STREAM = wire.sse_pieces(*wire.text_stream("Hel", "lo"))


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Recording]:
    """A recording that captures 4000 bytes of a call at most."""
    with recording(tmp_path, capture_bytes_max=4000) as made:
        yield made


def captured(bundle: Path, number: int = 1) -> tuple[list[Piece], int | None]:
    """The pieces of a call in the segment, and the offset of the first."""
    found = [
        (offset, piece)
        for offset, piece in scan(bundle / "streams/1.cap")
        if piece.call == call_id(number)
    ]
    return [piece for _, piece in found], found[0][0] if found else None


def checked_body(bundle: Path, number: int = 1) -> tuple[bytes, dict[str, Any]]:
    """The captured body of a call and what its terminal says of it, once the two agree."""
    terminal = next(
        event
        for event in raw_bundle.events(bundle)
        if event["type"] in raw_bundle.TERMINALS
        and event["inference_call_id"] == str(call_id(number))
    )
    capture = terminal["proxy"]["capture"]
    pieces, offset = captured(bundle, number)
    body = b"".join(piece.data for piece in pieces if piece.kind is Kind.BODY)
    assert capture["file"] == "streams/1.cap"
    assert capture["offset"] == offset
    assert capture["bytes"] == len(body)
    assert capture["sha256"] == hashlib.sha256(body).hexdigest()
    assert all(set(body[a:b]) == {ord("*")} for a, b in capture["redacted"])
    return body, capture


def everything(bundle: Path) -> bytes:
    """All the bytes of a bundle."""
    return b"".join(path.read_bytes() for path in bundle.rglob("*") if path.is_file())


def test_pieces_as_they_came(record: Recording) -> None:
    """The head, then each piece with its time; two calls share the segment."""
    first, second = record.ask(), record.ask()
    for trace in (first, second):
        trace.response_started(200, (*SSE_HEAD, (b"set-cookie", b"s=0123456789")))
    for piece in STREAM:
        record.clock.advance(7)
        first.response_piece(piece)
        second.response_piece(piece)
    for trace in (first, second):
        trace.ended(TransportEnd.EOF, None, Waits())
    bundle = only_bundle(record.close())
    for number in (1, 2):
        body, capture = checked_body(bundle, number)
        assert body == b"".join(STREAM)
        assert capture["wire_sha256"] == hashlib.sha256(body).hexdigest()
    (head, *bodies), _ = captured(bundle, 2)
    assert head.kind is Kind.HEAD
    assert json.loads(head.data) == {
        "status": 200,
        "headers": {
            "content-type": "text/event-stream; charset=utf-8",
            "x-request-id": "req_1",
        },
    }
    assert [piece.data for piece in bodies] == [*STREAM]
    assert {piece.direction for piece in bodies} == {Direction.DOWN}
    times = [piece.at_unix_ns for piece in bodies]
    assert [time - head.at_unix_ns for time in times] == [
        7_000_000 * count for count in range(1, len(STREAM) + 1)
    ]


def test_encoded_stream_is_kept_decoded(record: Recording) -> None:
    """The capture is what the codings hid; the hash of the wire's bytes is told beside its own."""
    plain = b"".join(STREAM)
    encoded = gzip.compress(plain)
    pieces = [encoded[:9], encoded[9:40], encoded[40:]]
    answer(record.ask(), pieces, headers=(*SSE_HEAD, (b"Content-Encoding", b"gzip")))
    bundle = only_bundle(record.close())
    body, capture = checked_body(bundle)
    assert body == plain
    assert capture["wire_sha256"] == hashlib.sha256(encoded).hexdigest()
    assert raw_bundle.only_terminal(bundle)["proxy"]["bytes_down"] == len(encoded)
    assert raw_bundle.response_payload(bundle)["response_id"] == "resp_1"


@pytest.mark.parametrize(
    ("coding", "pieces"),
    [(b"unheard-of", [b"abcdef"]), (b"gzip", [b"no gzip", b" at all"])],
)
def test_stream_that_cannot_be_decoded(
    record: Recording, coding: bytes, pieces: list[bytes]
) -> None:
    """It is lost to the trace, which says so; the call is there with its facts."""
    answer(record.ask(), pieces, headers=(*SSE_HEAD, (b"Content-Encoding", coding)))
    bundle = only_bundle(record.close())
    body, capture = checked_body(bundle)
    size = sum(map(len, pieces))
    assert (body, capture["lost_bytes"]) == (b"", size)
    terminal = raw_bundle.only_terminal(bundle)
    assert terminal["upstream_request_id"] == "req_1"
    (note,) = terminal["proxy"]["notes"]
    assert note.startswith("not decoded: ")
    assert record.lost == {"capture_bytes": size}


def test_capture_ends_at_its_limit(record: Recording) -> None:
    """Past the limit nothing more is kept, small pieces included: a capture has no hole."""
    pieces = [b": " + b"x" * 1497 + b"\n", *STREAM]
    answer(record.ask(), pieces * 2)
    bundle = only_bundle(record.close())
    body, capture = checked_body(bundle)
    whole = b"".join(pieces * 2)
    assert whole.startswith(body)
    assert len(body) <= 4000
    assert capture["lost_bytes"] == len(whole) - len(body)
    assert capture["wire_sha256"] == hashlib.sha256(whole).hexdigest()
    assert raw_bundle.only_terminal(bundle)["type"] == "inference_completed"


def test_without_memory_content_is_lost_and_the_outcome_is_not(record: Recording) -> None:
    """What could not be kept is counted by kind and told in the payload."""
    trace = record.ask()
    record.has_memory = False
    answer(trace, STREAM)
    bundle = only_bundle(record.close())
    terminal, payload = raw_bundle.only_terminal(bundle), raw_bundle.response_payload(bundle)
    assert terminal["type"] == "inference_completed"
    assert (payload["response_id"], payload["output_items"]) == ("resp_1", [])
    assert payload["proxy"]["lost"].endswith(" bytes, for want of memory")
    assert set(record.lost) == {"capture_bytes", "response_bytes"}
    assert terminal["proxy"]["capture"]["wire_sha256"] is None


def test_secret_in_a_stream_is_masked_everywhere(record: Recording) -> None:
    """Upstream repeats the client's key: in an item, an id, an error; nothing on disk has it."""
    item = wire.message_item(f"your key is {KEY}")
    events = (
        wire.ev_created(f"resp_{KEY}"),
        wire.ev_item_done(item),
        wire.ev_failed(message=f"bad key {KEY}", response_id=f"resp_{KEY}"),
    )
    headers = (*SSE_HEAD[:1], (b"x-request-id", f"req_{KEY}".encode()))
    prompt = BODY | {"input": f"is {KEY} my key?"}
    answer(record.ask(prompt, headers=AUTH), wire.sse_pieces(*events), headers=headers)
    bundle = only_bundle(record.close())
    assert KEY.encode() not in everything(bundle)
    body, capture = checked_body(bundle)
    assert body == wire.sse(*events).replace(KEY.encode(), b"*" * len(KEY))
    assert len(capture["redacted"]) == 4
    terminal = raw_bundle.only_terminal(bundle)
    assert terminal["error"] == f"server_error: bad key {'*' * len(KEY)}"
    assert terminal["upstream_request_id"] == f"req_{'*' * len(KEY)}"
    assert KEY not in repr(record.summaries)


@given(st.lists(st.integers(0, 700), max_size=12))
def test_masks_reach_across_pieces(
    tmp_path_factory: pytest.TempPathFactory, places: list[int]
) -> None:
    """However a stream is cut, its capture is the same, masked, and as long as it was."""
    stream = wire.sse(wire.ev_created(), wire.ev_text_delta(f"{KEY} {KEY[:-1]} {KEY}{KEY}"))
    at = sorted({0, len(stream), *(min(place, len(stream)) for place in places)})
    pieces = [stream[a:b] for a, b in itertools.pairwise(at)]
    with recording(tmp_path_factory.mktemp("traces")) as record:
        answer(record.ask(headers=AUTH), pieces, end=TransportEnd.CLIENT_CLOSED)
        bundle = only_bundle(record.close())
    body, capture = checked_body(bundle)
    assert body == stream.replace(KEY.encode(), b"*" * len(KEY))
    assert len(body) == len(stream)
    assert len(capture["redacted"]) == 2
    assert capture["wire_sha256"] == hashlib.sha256(stream).hexdigest()


@pytest.mark.parametrize("keep_bodies", [True, False])
def test_cookie_that_the_response_sets_is_a_secret(tmp_path: Path, keep_bodies: bool) -> None:
    """It is never kept, nor where the body repeats it."""
    cookie = "cf-cookie-0123456789"
    body = wire.error_body(f"blocked: {cookie}")
    headers = (*JSON_HEAD, (b"Set-Cookie", f"__cf={cookie}; Path=/; Secure".encode()))
    with recording(tmp_path, keep_bodies=keep_bodies) as record:
        answer(record.ask(), [orjson.dumps(body)], status=403, headers=headers)
        bundle = only_bundle(record.close())
    assert cookie.encode() not in everything(bundle)
    assert raw_bundle.only_terminal(bundle)["error"] == f"http 403: blocked: {'*' * len(cookie)}"


@pytest.mark.parametrize(
    "secret", ["inference_completed", "output_items", "1700000000", "payloads"]
)
def test_secret_that_is_a_word_of_the_format(record: Recording, secret: str) -> None:
    """A client with an odd key does not make the bundle unreadable."""
    headers = ((b"Authorization", f"Bearer {secret}".encode()),)
    record.call(*STREAM, headers=headers)
    bundle = only_bundle(record.close())
    assert raw_bundle.only_terminal(bundle)["type"] == "inference_completed"
    assert raw_bundle.response_payload(bundle)["output_items"] == [wire.message_item("Hello")]
    assert raw_bundle.request_payload(bundle) == BODY
