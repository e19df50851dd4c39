"""What is kept of a WebSocket's messages: captures and their hashes, limits, and no secrets."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from reducer import reduce_bundle
from tests.support import events as wire
from tests.support import raw_bundle
from tests.support.frames import DEFLATE, Deflater
from tests.support.recording import Recording, only_bundle
from tests.support.socket_recording import (
    Socket,
    captured,
    closed,
    ended,
    requests,
    responses,
    socket_recording,
    started,
)
from tracing.recovery import recover
from tracing.terminal import TransportEnd

KEY = "sk-0123456789abcdef"
MASKED = "*" * len(KEY)
STREAM = wire.text_stream("Hel", "lo")
SMALL = 2048


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Recording]:
    """A journal that takes at once what the traces of WebSockets note."""
    with socket_recording(tmp_path) as recording:
        yield recording


@pytest.fixture
def socket(record: Recording) -> Socket:
    """A WebSocket on which nothing was said."""
    return Socket(record)


def everything(bundle: Path) -> bytes:
    """All bytes of the bundle."""
    return b"".join(path.read_bytes() for path in bundle.rglob("*") if path.is_file())


def test_capture_is_the_messages(record: Recording, socket: Socket) -> None:
    """Each call's messages are in the segment as they came, whatever came between them."""
    for lane in ("a", "b"):
        socket.create(stream_id=lane)
    for event in STREAM:
        for lane in ("a", "b"):
            socket.receive(event, stream_id=lane)
    bundle = closed(record)
    for lane, pieces, end in zip(("a", "b"), captured(bundle), ended(bundle), strict=True):
        assert pieces == [orjson.dumps(event | {"stream_id": lane}) for event in STREAM]
        whole = b"".join(pieces)
        capture = end["proxy"]["capture"]
        assert (capture["bytes"], capture["lost_bytes"]) == (len(whole), 0)
        assert capture["sha256"] == capture["wire_sha256"] == hashlib.sha256(whole).hexdigest()
        assert end["proxy"]["bytes_down"] == len(whole)


def test_compressed_messages_are_kept_decoded(record: Recording) -> None:
    """The handshake's answer tells that they may be compressed."""
    socket = Socket(record, handshake=DEFLATE)
    up, down = Deflater(), Deflater()
    asked = b'{"type":"response.create","model":"m","input":[]}'
    socket.trace.up(up.message(asked, mask=b"abcd"))
    for event in STREAM:
        socket.trace.down(down.message(orjson.dumps(event)))
    bundle = closed(record)
    assert requests(bundle) == [{"model": "m", "input": []}]
    assert captured(bundle) == [[orjson.dumps(event) for event in STREAM]]


def test_times_are_from_the_request(record: Recording, socket: Socket) -> None:
    """A call begins with its message, however old the connection is."""
    record.clock.advance(60_000)
    socket.create()
    for event in STREAM:
        record.clock.advance(10)
        socket.receive(event)
    (end,) = ended(closed(record))
    timing = end["proxy"]["timing"]
    assert timing["upstream_headers"] is None
    assert (timing["first_event"], timing["first_text"]) == (10.0, 50.0)
    assert (timing["last_event"], timing["ended"], timing["max_gap"]) == (100.0, 100.0, 10.0)


def test_metadata_alone(tmp_path: Path) -> None:
    """Without bodies nothing that was said is in the bundle, of prewarms neither."""
    with socket_recording(tmp_path, keep_bodies=False) as record:
        socket = Socket(record)
        socket.create("private words", generate=False)
        socket.receive(wire.ev_created("w"), wire.ev_completed("w"))
        socket.create("private words", previous_response_id="w")
        socket.receive(*wire.text_stream("private words"))
        bundle = closed(record)
    assert b"private words" not in everything(bundle)
    assert [end["type"] for end in ended(bundle)] == ["inference_completed"]


def test_secrets_of_handshake_and_messages_are_masked(record: Recording) -> None:
    """In requests, answers, prewarms and captures; secrets of a message are its own call's."""
    cookie = "cookie-0123456789"
    server = (("Set-Cookie", f"session={cookie}; Path=/"), ("x-request-id", "req_h"))
    socket = Socket(
        record,
        headers=((b"Authorization", f"Bearer {KEY}".encode()),),
        handshake=tuple((name.encode(), value.encode()) for name, value in server),
    )
    tool = {"type": "mcp", "server_label": "s", "authorization": "mcp-0123456789"}
    for number in (1, 2):
        socket.create(f"my key is {KEY}", tools=[tool], generate=number == 2)
        said = f"{KEY} and mcp-0123456789 and {cookie}"
        socket.receive(*wire.text_stream(said[:9], said[9:], response_id=f"resp_{number}"))
    socket.create("then", previous_response_id="resp_1")
    socket.receive(*wire.text_stream("ok", response_id="resp_3"))
    bundle = closed(record)
    held = everything(bundle)
    for secret in (KEY, "mcp-0123456789", cookie):
        assert secret.encode() not in held
    assert requests(bundle)[0]["input"][0]["content"][0]["text"] == f"my key is {MASKED}"
    first, _ = ended(bundle)
    whole = b"".join(captured(bundle)[0])
    assert first["proxy"]["capture"]["sha256"] == hashlib.sha256(whole).hexdigest()
    assert first["proxy"]["capture"]["wire_sha256"] != first["proxy"]["capture"]["sha256"]
    ranges = first["proxy"]["capture"]["redacted"]
    assert ranges
    assert all(set(whole[start:end]) == {ord("*")} for start, end in ranges)


def test_prewarm_s_secrets_are_masked_in_later_calls(record: Recording) -> None:
    """On another connection, too, which has secrets of its own."""
    first = Socket(record, headers=((b"Authorization", f"Bearer {KEY}".encode()),))
    first.create(f"my key is {KEY}", generate=False)
    first.receive(wire.ev_created("w"), wire.ev_completed("w"))
    second = Socket(record, connection_id="c2")
    second.create("then", previous_response_id="w")
    second.end()
    bundle = closed(record)
    assert requests(bundle)[0]["input"][0]["content"][0]["text"] == f"my key is {MASKED}"
    assert KEY.encode() not in everything(bundle)


def test_cookies_in_an_error_s_headers_are_masked(record: Recording, socket: Socket) -> None:
    """They are secrets from the message that brings them."""
    headers = {"set-cookie": f"session={KEY}; HttpOnly", "x-request-id": "req_e"}
    socket.create()
    socket.receive(wire.ev_error_nested(f"bad session {KEY}") | {"headers": headers})
    bundle = closed(record)
    assert KEY.encode() not in everything(bundle)
    (end,) = ended(bundle)
    assert end["upstream_request_id"] == "req_e"
    assert end["error"] == f"server_error: bad session {MASKED}"


def test_beginning_of_a_secret_at_the_end_of_a_message(record: Recording) -> None:
    """Nothing is held back: a message is whole, and the next one does not go on with it."""
    socket = Socket(record, headers=((b"Authorization", f"Bearer {KEY}".encode()),))
    socket.create()
    messages = [f'"not {KEY[:8]}'.encode(), f'{KEY[8:]} json"'.encode()]
    socket.receive(*messages)
    socket.end()
    assert captured(closed(record)) == [messages]


def test_request_that_is_too_large(record: Recording, socket: Socket) -> None:
    """It is a call with a stub for its payload, in the lane that its beginning names."""
    record.message_bytes_max = SMALL
    socket = Socket(record)
    socket.create("x" * SMALL, type="response.create")
    head = b'{"type":"response.create","stream_id":"a","input":"'
    socket.send(head + b"x" * SMALL)
    socket.send(b'{"type":"response.append","input":"' + b"x" * SMALL)
    assert socket.trace.open_calls == 2
    socket.receive(*wire.text_stream("ok", response_id="r_a"), stream_id="a")
    socket.receive(*wire.text_stream("ok", response_id="r_none"))
    bundle = closed(record)
    assert [request["proxy"]["lost"] for request in requests(bundle)] == [
        "the body is larger than what is kept of one"
    ] * 2
    assert [end["response_id"] for end in ended(bundle)] == ["r_none", "r_a"]
    assert started(bundle)[0]["proxy"]["request"]["bytes"] > SMALL
    assert record.lost["request_bytes"] > 2 * SMALL


def test_answer_that_is_too_large(record: Recording) -> None:
    """It is told from its beginning, which ends the call as it should; what is lost is counted."""
    record.message_bytes_max = SMALL
    socket = Socket(record)
    big = wire.message_item("x" * SMALL)
    for number in (1, 2):
        socket.create()
        response_id = f"resp_{number}"
        socket.receive(
            wire.ev_created(response_id, instructions="x" * SMALL),
            wire.ev_item_done(big),
            wire.ev_item_done(wire.message_item("small", "msg_2"), 1),
            wire.ev_completed(response_id, output=[big]),
        )
        assert socket.trace.open_calls == 0
    bundle = closed(record)
    for number, end in enumerate(ended(bundle), start=1):
        assert (end["type"], end["response_id"]) == ("inference_completed", f"resp_{number}")
        assert end["proxy"]["notes"] == ["larger than what is kept of an event: 3"]
        assert end["proxy"]["capture"]["lost_bytes"] > 3 * SMALL
        assert end["proxy"]["capture"]["wire_sha256"] is None
        assert end["proxy"]["bytes_down"] > 3 * SMALL
    assert [len(response["output_items"]) for response in responses(bundle)] == [1, 1]
    assert record.lost["capture_bytes"] > 6 * SMALL


def test_without_memory(record: Recording, socket: Socket) -> None:
    """Bodies go, and are counted; starts and terminals stay."""
    record.has_memory = False
    socket.create()
    socket.receive(*STREAM)
    bundle = closed(record)
    assert [end["type"] for end in ended(bundle)] == ["inference_completed"]
    assert captured(bundle) == [[]]
    assert record.lost.keys() == {"request_bytes", "capture_bytes", "response_bytes"}
    (end,) = ended(bundle)
    assert end["proxy"]["capture"]["lost_bytes"] == sum(map(len, map(orjson.dumps, STREAM)))


def test_capture_is_full(tmp_path: Path) -> None:
    """A call keeps so much of its capture and no more, message by message."""
    with socket_recording(tmp_path, capture_bytes_max=SMALL // 2) as record:
        socket = Socket(record)
        socket.create()
        socket.receive(*STREAM)
        bundle = closed(record)
    (pieces,) = captured(bundle)
    all_of_it = [orjson.dumps(event) for event in STREAM]
    assert 0 < len(pieces) < len(all_of_it)
    assert pieces == all_of_it[: len(pieces)]
    lost = sum(map(len, all_of_it[len(pieces) :]))
    assert ended(bundle)[0]["proxy"]["capture"]["lost_bytes"] == lost


def test_recovery_of_a_killed_recording(tmp_path: Path) -> None:
    """Each open call ends as aborted, with the partial output of its own lane."""
    with socket_recording(tmp_path) as record:
        socket = Socket(record)
        for lane in ("a", "b", "c"):
            socket.create(lane, stream_id=lane)
        socket.create("warm", generate=False)
        for event in STREAM[:6]:
            for lane in ("a", "b"):
                socket.receive(event, stream_id=lane)
        socket.receive(*wire.text_stream("ok", response_id="r_c"), stream_id="c")
        left = only_bundle(record.crash())
    (sealed,) = recover(tmp_path)
    assert (sealed.bundle, sealed.calls_aborted) == (left, 2)
    ends = ended(left)
    assert [end.get("error") for end in ends] == ["proxy terminated", "proxy terminated", None]
    for lane, pieces, end in zip(("a", "b"), captured(left)[:2], ends[:2], strict=True):
        assert [orjson.loads(piece)["stream_id"] for piece in pieces] == [lane] * 6
        whole = b"".join(pieces)
        assert end["proxy"]["capture"]["bytes"] == end["proxy"]["bytes_down"] == len(whole)
        assert end["proxy"]["capture"]["sha256"] == hashlib.sha256(whole).hexdigest()
    for response in responses(left)[:2]:
        (item,) = response["proxy"]["partial_items"]
        assert item["item"]["content"][0]["text"] == "Hello"
        assert response["response_id"] == "resp_1"
    state: Any = reduce_bundle(left)
    assert state["diagnostics"] == []
    statuses = [call["execution"]["status"] for call in state["inference_calls"].values()]
    assert sorted(statuses) == ["aborted", "aborted", "completed"]


def test_recovery_of_a_call_whose_error_had_come(record: Recording, socket: Socket) -> None:
    """The error's request id is kept, though the end was not recorded any more."""
    socket.create()
    journal_takes = record.journal.apply
    record.journal.apply = lambda operation: (  # type: ignore[method-assign]  # it died before the end
        None if type(operation).__name__ == "CallEnded" else journal_takes(operation)
    )
    socket.receive(*STREAM[:2], wire.ev_error() | {"headers": {"x-request-id": "req_e"}})
    left = only_bundle(record.crash())
    recover(record.trace_dir)
    (end,) = ended(left)
    assert (end["error"], end["upstream_request_id"]) == ("proxy terminated", "req_e")


def test_bundle_that_is_deleted_in_use(record: Recording, socket: Socket) -> None:
    """The connection's open and later calls go on in another bundle."""
    socket.create("one")
    record.journal.flush()
    (deleted,) = record.bundles()
    deleted.rename(record.trace_dir / "elsewhere")
    record.journal.flush()
    socket.receive(*wire.text_stream("ok"))
    socket.create("two")
    socket.receive(*wire.text_stream("ok", response_id="resp_2"))
    socket.end(TransportEnd.EOF)
    bundle = closed(record)
    assert [end["response_id"] for end in ended(bundle)] == ["resp_1", "resp_2"]
    assert requests(bundle)[0]["proxy"]["lost"] == "the bundle was deleted while in use"
    assert raw_bundle.event_types(bundle)[-1] == "recording_completed"
