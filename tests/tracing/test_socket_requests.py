"""What is recorded of the requests on a WebSocket: payloads, chains, steers and whose they are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from reducer import reduce_bundle
from tests.support import events as wire
from tests.support import raw_bundle
from tests.support.recording import Recording, call_id, only_bundle
from tests.support.socket_recording import (
    MODEL,
    Socket,
    closed,
    ended,
    requests,
    socket_recording,
    started,
    user_message,
)
from tracing import steers as steers_module
from tracing.terminal import TransportEnd


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Recording]:
    """A journal that takes at once what the traces of WebSockets note."""
    with socket_recording(tmp_path) as recording:
        yield recording


@pytest.fixture
def socket(record: Recording) -> Socket:
    """A WebSocket on which nothing was said."""
    return Socket(record)


def prewarm(socket: Socket, response_id: str, text: str, **fields: Any) -> None:
    """A whole prewarm."""
    socket.create(text, generate=False, **fields)
    socket.receive(wire.ev_created(response_id), wire.ev_completed(response_id))


def call(socket: Socket, response_id: str, text: str = "Hi", **fields: Any) -> None:
    """A whole call that says a message named for its response."""
    socket.create(text, **fields)
    socket.receive(*wire.text_stream("Hello", response_id=response_id, item_id=f"m_{response_id}"))


def codes(bundle: Path) -> list[str]:
    """What the reducer finds odd."""
    state: Any = reduce_bundle(bundle)
    return [found["code"] for found in state["diagnostics"]]


def test_payload_is_the_message_without_its_frame(record: Recording, socket: Socket) -> None:
    """`type`, `stream_id` and `generate` are of the message; all else is the request's."""
    fields = {"tools": [], "client_metadata": {"a": "b"}, "previous_response_id": "resp_0"}
    socket.create("Hi", stream_id="a", generate=True, **fields)
    socket.end()
    bundle = closed(record)
    assert requests(bundle) == [{"model": MODEL, "input": [user_message("Hi")]} | fields]
    assert started(bundle)[0]["proxy"]["request"]["form"] == "wire"


@pytest.mark.parametrize("kind", ["torn", "not strict"])
def test_request_that_cannot_be_read(record: Recording, socket: Socket, kind: str) -> None:
    """It is kept in base64, as over HTTP."""
    rest = b'"input":[' if kind == "torn" else b'"input":["\\ud800"]}'
    socket.send(b'{"type":"response.create",' + rest)
    socket.receive(*wire.text_stream("ok"))
    (request,) = requests(closed(record))
    assert request["input"] == []
    assert request["proxy"].keys() == {"body_base64", "unreadable"}


def test_prewarm_is_no_call(record: Recording, socket: Socket) -> None:
    """It leaves a note alone, and no thread or turn."""
    prewarm(socket, "resp_w", "context")
    assert socket.trace.open_calls == 0
    socket.end()
    bundle = closed(record)
    assert raw_bundle.event_types(bundle) == [
        "rollout_started",
        "protocol_event_observed",
        "rollout_ended",
        "recording_completed",
    ]
    note = raw_bundle.only_event(bundle, "protocol_event_observed")
    assert note["event_type"] == "tailrace.prewarm"
    told = raw_bundle.payload(bundle, note["event_payload"])
    assert record.summaries == []
    assert (told["response_id"], told["input"]) == ("resp_w", [user_message("context")])


def test_call_after_a_prewarm_is_the_logical_request(record: Recording, socket: Socket) -> None:
    """What the prewarm sent comes first, and nothing names it; the thread is the prewarm's."""
    prewarm(socket, "resp_w", "context")
    call(socket, "resp_1", "question", previous_response_id="resp_w", tools=[])
    socket.end()
    bundle = closed(record)
    assert requests(bundle) == [
        {
            "model": MODEL,
            "input": [user_message("context"), user_message("question")],
            "tools": [],
        }
    ]
    (start,) = started(bundle)
    assert start["proxy"]["request"]["form"] == "logical"
    assert start["thread_id"] == f"thread:{call_id(1)}"
    assert codes(bundle) == []


@pytest.mark.parametrize("is_text", [False, True])
def test_redactions_are_named_where_they_stand(
    record: Recording, socket: Socket, is_text: bool
) -> None:
    """What the prewarm sent comes before the request's own items."""
    secret = "https://user:password-0123@example.com/"
    prewarm(socket, "resp_w", "context")
    fields: dict[str, Any] = {"input": secret} if is_text else {}
    tool = {"type": "mcp", "server_url": secret}
    socket.create(secret, previous_response_id="resp_w", tools=[tool], **fields)
    bundle = only_bundle(record.crash())
    (start,) = started(bundle)
    pointers = start["proxy"]["request"]["redacted"]
    assert sorted(pointers) == ["/input/1/content/0/text", "/tools/0/server_url"]
    assert b"password-0123" not in orjson.dumps(requests(bundle))


def test_input_that_is_no_list(record: Recording, socket: Socket) -> None:
    """It is no items, and what was redacted in it stands nowhere."""
    prewarm(socket, "resp_w", "context")
    secret = "https://user:password-0123@example.com/"
    socket.create(previous_response_id="resp_w", input={"url": secret})
    assert requests(only_bundle(record.crash()))[0]["input"] == [user_message("context")]


def test_output_of_a_prewarm_is_part_of_the_logical_request(
    record: Recording, socket: Socket
) -> None:
    """Where a prewarm has any."""
    socket.create("context", generate=False)
    socket.receive(wire.ev_created("resp_w"), wire.ev_item_done(wire.message_item("ready")))
    socket.receive(wire.ev_completed("resp_w"))
    socket.create("question", previous_response_id="resp_w")
    (request,) = requests(only_bundle(record.crash()))
    assert request["input"][1] == wire.message_item("ready")


def test_prewarm_from_a_prewarm(record: Recording, socket: Socket) -> None:
    """A call has the inputs of all of them, strings included."""
    prewarm(socket, "w1", "", input="one")
    prewarm(socket, "w2", "two", previous_response_id="w1")
    call(socket, "resp_1", "three", previous_response_id="w2")
    (request,) = requests(closed(record))
    assert request["input"] == [user_message(text) for text in ("one", "two", "three")]
    assert "previous_response_id" not in request


def test_prewarm_from_a_call(record: Recording, socket: Socket) -> None:
    """The next call chains from that call, and what the prewarm sent is new input of its own."""
    call(socket, "resp_1", "one")
    prewarm(socket, "w1", "two", previous_response_id="resp_1")
    call(socket, "resp_2", "three", previous_response_id="w1")
    socket.end()
    bundle = closed(record)
    second = requests(bundle)[1]
    assert second["previous_response_id"] == "resp_1"
    assert second["input"] == [user_message("two"), user_message("three")]
    assert len({start["thread_id"] for start in started(bundle)}) == 1
    assert codes(bundle) == []


def test_chain_from_a_call_stays_as_it_is_on_the_wire(record: Recording, socket: Socket) -> None:
    """The bundle has what the message leaves out; the thread is the same, on another socket too."""
    call(socket, "resp_1", "one")
    call(socket, "resp_2", "two", previous_response_id="resp_1")
    call(Socket(record, connection_id="c2"), "resp_3", "three", previous_response_id="resp_2")
    bundle = closed(record)
    assert [request.get("previous_response_id") for request in requests(bundle)] == [
        None,
        "resp_1",
        "resp_2",
    ]
    assert [start["proxy"]["request"]["form"] for start in started(bundle)] == ["wire"] * 3
    assert len({start["thread_id"] for start in started(bundle)}) == 1
    assert codes(bundle) == []


def test_prewarm_on_another_socket(record: Recording, socket: Socket) -> None:
    """It is remembered across sockets."""
    prewarm(socket, "w1", "one")
    socket.end()
    call(Socket(record, connection_id="c2"), "resp_1", "two", previous_response_id="w1")
    assert requests(closed(record))[0]["input"] == [user_message("one"), user_message("two")]


def steer(socket: Socket, parent: str, value: object) -> None:
    """The client steers a response."""
    socket.send({"type": "response.steer", "previous_response_id": parent, "input": value})


def test_steer_begins_a_call_of_its_own(record: Recording, socket: Socket) -> None:
    """The successor's request is the steer; model, lane and thread are those of its parent."""
    socket.create("one", stream_id="a", model="m", client_metadata={"thread_id": "t"})
    socket.receive(wire.ev_created("resp_1"), stream_id="a")
    steer(socket, "resp_1", [user_message("rather")])
    socket.receive(wire.ev_incomplete("resp_1", reason="steered"), stream_id="a")
    assert socket.trace.open_calls == 0
    socket.receive(*wire.text_stream("ok", response_id="resp_2"), stream_id="a")
    bundle = closed(record)
    assert requests(bundle)[1] == {
        "previous_response_id": "resp_1",
        "input": [user_message("rather")],
    }
    first, second = started(bundle)
    assert second["thread_id"] == first["thread_id"] == "t"
    assert (second["model"], second["proxy"]["stream_id"]) == ("m", "a")
    assert [end["proxy"]["response_id"] for end in ended(bundle)] == ["resp_1", "resp_2"]


def test_several_steers_for_one_successor(record: Recording, socket: Socket) -> None:
    """Their inputs follow each other, as they were sent."""
    call(socket, "resp_1")
    steer(socket, "resp_1", "one")
    steer(socket, "resp_1", [user_message("two")])
    socket.receive(wire.ev_created("resp_2"))
    request = requests(only_bundle(record.crash()))[1]
    assert request["input"] == [user_message("one"), user_message("two")]
    assert request["previous_response_id"] == "resp_1"


def test_steer_that_failed_has_no_successor(record: Recording, socket: Socket) -> None:
    """Its input came back; the other one still has."""
    call(socket, "resp_1")
    steer(socket, "resp_1", "bad")
    steer(socket, "resp_1", "good")
    returned = {"previous_response_id": "resp_1", "input": "bad"}
    socket.receive({"type": "response.steer.failed", "steer": returned})
    socket.receive(wire.ev_created("resp_2"))
    assert requests(only_bundle(record.crash()))[1]["input"] == "good"


def test_steer_that_waits_for_a_request(record: Recording, socket: Socket) -> None:
    """The client's own request follows, and is the one whose response begins."""
    call(socket, "resp_1")
    steer(socket, "resp_1", "more")
    pending: wire.Event = {
        "type": "response.steer.pending",
        "steer": {"previous_response_id": "resp_1"},
    }
    socket.receive(pending | {"required_input": []})
    socket.create("tool result", previous_response_id="resp_1")
    socket.receive(*wire.text_stream("ok", response_id="resp_2"))
    bundle = closed(record)
    assert len(started(bundle)) == 2
    assert requests(bundle)[1]["input"] == [user_message("tool result")]


def test_steer_before_a_request_that_waits(record: Recording, socket: Socket) -> None:
    """The response's own parent tells which of the two it answers."""
    call(socket, "resp_1")
    steer(socket, "resp_1", "rather")
    socket.create("another")
    steered = wire.text_stream("steered", response_id="resp_2")
    socket.receive(wire.ev_created("resp_2", previous_response_id="resp_1"), *steered[1:])
    asked = wire.text_stream("asked", response_id="resp_3")
    socket.receive(wire.ev_created("resp_3", previous_response_id=None), *asked[1:])
    bundle = closed(record)
    said = {
        orjson.dumps(request["input"]): end["response_id"]
        for request, end in zip(requests(bundle), ended(bundle), strict=True)
    }
    assert said[b'"rather"'] == "resp_2"
    assert said[orjson.dumps([user_message("another")])] == "resp_3"


def test_request_that_waits_before_a_steer(record: Recording, socket: Socket) -> None:
    """A response that names no parent is the one that was asked for, where one was."""
    call(socket, "resp_1")
    steer(socket, "resp_1", "rather")
    socket.create("another")
    socket.receive(*wire.text_stream("asked", response_id="resp_2"))
    socket.receive(wire.ev_created("resp_3", previous_response_id="resp_1"))
    socket.end()
    bundle = closed(record)
    assert [request["input"] for request in requests(bundle)[1:]] == [
        [user_message("another")],
        "rather",
    ]
    assert [end["proxy"]["response_id"] for end in ended(bundle)[1:]] == ["resp_2", "resp_3"]


def test_steers_are_bounded(
    record: Recording, socket: Socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest is forgotten first; odd ones are not kept at all."""
    monkeypatch.setattr(steers_module, "STEERS_MAX", 2)
    call(socket, "resp_1")
    for value in ("one", "two", "three"):
        steer(socket, "resp_1", value)
    for odd in (b'{"type":"response.steer"}', b'{"type":"response.steer",'):
        socket.send(odd)
    socket.receive(wire.ev_created("resp_2"))
    request = requests(only_bundle(record.crash()))[1]
    assert request["input"] == [user_message("two"), user_message("three")]


def test_response_that_nobody_asked_for(record: Recording, socket: Socket) -> None:
    """It is a call all the same, whose payload says why it has no request."""
    socket.receive(*wire.text_stream("surprise"))
    bundle = closed(record)
    assert requests(bundle) == [
        {"input": [], "proxy": {"lost": "upstream began this response without a request"}}
    ]
    assert started(bundle)[0]["model"] == "unknown"
    assert [end["type"] for end in ended(bundle)] == ["inference_completed"]


def test_identity_is_each_message_s(record: Recording) -> None:
    """Thread and turn are those of its own metadata, and the handshake's where it has none."""
    socket = Socket(record, headers=((b"thread-id", b"t0"),))
    for thread, turn in (("t1", "u1"), ("t2", "u2"), ("t1", "u3")):
        metadata = {"x-codex-turn-metadata": f'{{"thread_id":"{thread}","turn_id":"{turn}"}}'}
        call(socket, f"r_{turn}", client_metadata=metadata)
    call(socket, "r_4")
    socket.end()
    places = [(start["thread_id"], start["codex_turn_id"]) for start in started(closed(record))]
    assert places == [
        ("t1", "u1"),
        ("t2", "u2"),
        ("t1", "u3"),
        ("t0", f"turn:{call_id(4)}"),
    ]


def test_calls_of_a_connection_share_a_bundle(tmp_path: Path) -> None:
    """A socket stays in the bundle where it began; others go on in the next one."""
    with socket_recording(tmp_path, bundle_age_max=1.0) as record:
        first = Socket(record)
        call(first, "resp_1")
        record.clock.advance(2_000)
        second = Socket(record, connection_id="c2")
        call(second, "resp_2")
        record.journal.flush()
        assert raw_bundle.event_types(record.bundles()[0])[-1] == "codex_turn_ended"
        call(first, "resp_3", previous_response_id="resp_1")
        first.end()
        record.journal.flush()
        assert raw_bundle.event_types(record.bundles()[0])[-1] == "recording_completed"
        second.end()
        old, new = record.close()
    assert [end["response_id"] for end in ended(old)] == ["resp_1", "resp_3"]
    assert [end["response_id"] for end in ended(new)] == ["resp_2"]


def test_lane_s_model_is_of_its_connection(record: Recording, socket: Socket) -> None:
    """A successor on another socket, or after the end of this one, does not inherit it."""
    call(socket, "resp_1", model="m")
    other = Socket(record, connection_id="c2")
    other.receive(*wire.text_stream("x", response_id="resp_2"))
    socket.end(TransportEnd.EOF)
    again = Socket(record)
    again.receive(*wire.text_stream("x", response_id="resp_3"))
    models = [start["model"] for start in started(closed(record))]
    assert models == ["m", "unknown", "unknown"]
