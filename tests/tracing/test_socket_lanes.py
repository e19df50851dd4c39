"""Which call of a WebSocket an event is of: lanes run in parallel, and in a lane one by one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import events as wire
from tests.support.recording import Recording
from tests.support.socket_recording import (
    Socket,
    closed,
    outcomes,
    requests,
    responses,
    socket_recording,
    started,
)


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Recording]:
    """A journal that takes at once what the traces of WebSockets note."""
    with socket_recording(tmp_path) as recording:
        yield recording


@pytest.fixture
def socket(record: Recording) -> Socket:
    """A WebSocket on which nothing was said."""
    return Socket(record)


def test_one_after_the_other_without_lanes(record: Recording, socket: Socket) -> None:
    """Without a stream id, responses come in the order of their requests."""
    socket.create("first")
    socket.create("second")
    assert socket.trace.open_calls == 2
    for number in (1, 2):
        socket.receive(*wire.text_stream(f"answer {number}", response_id=f"resp_{number}"))
    bundle = closed(record)
    asked = [request["input"][0]["content"][0]["text"] for request in requests(bundle)]
    said = [response["output_items"][0]["content"][0]["text"] for response in responses(bundle)]
    assert list(zip(asked, said, strict=True)) == [("first", "answer 1"), ("second", "answer 2")]


def test_three_lanes_interleaved(record: Recording, socket: Socket) -> None:
    """Events go to the call of their lane, the unnamed one too, in whatever order they come."""
    lanes = ("a", "b", None)
    for lane in lanes:
        socket.create(str(lane), **({"stream_id": lane} if lane else {}))
    streams = [wire.text_stream("Hello ", str(lane), response_id=f"r_{lane}") for lane in lanes]
    for events in zip(*streams, strict=True):
        for lane, event in reversed(list(zip(lanes, events, strict=True))):
            socket.receive(event, stream_id=lane)
    assert socket.trace.open_calls == 0
    bundle = closed(record)
    assert [start["proxy"]["stream_id"] for start in started(bundle)] == list(lanes)
    assert [request["input"][0]["content"][0]["text"] for request in requests(bundle)] == [
        str(lane) for lane in lanes
    ]
    assert [
        (response["response_id"], response["output_items"][0]["content"][0]["text"])
        for response in responses(bundle)
    ] == [(f"r_{lane}", f"Hello {lane}") for lane in lanes]


def test_error_ends_its_lane_alone(record: Recording, socket: Socket) -> None:
    """The others go on."""
    for lane in ("a", "b"):
        socket.create(stream_id=lane)
        socket.receive(wire.ev_created(f"r_{lane}"), stream_id=lane)
    socket.receive(wire.ev_error(), stream_id="a")
    assert socket.trace.open_calls == 1
    socket.receive(wire.ev_completed("r_b"), stream_id="b")
    assert [kind for kind, _ in outcomes(closed(record))] == [
        "inference_failed",
        "inference_completed",
    ]


def test_two_responses_at_once_in_a_lane(record: Recording, socket: Socket) -> None:
    """Upstream does not do that; if it did, each terminal would be that of its own response."""
    for number in (1, 2):
        socket.create(str(number))
        socket.receive(wire.ev_created(f"resp_{number}"))
    socket.receive(wire.ev_failed("resp_1"), wire.ev_completed("resp_2"))
    bundle = closed(record)
    assert [kind for kind, _ in outcomes(bundle)] == ["inference_failed", "inference_completed"]
    assert [response["response_id"] for response in responses(bundle)] == ["resp_1", "resp_2"]


def test_second_terminal_of_a_response(record: Recording, socket: Socket) -> None:
    """The first one counts, and the request that waits by then is untouched."""
    socket.create("one")
    socket.create("two")
    socket.receive(wire.ev_created(), wire.ev_completed(), wire.ev_failed())
    assert socket.trace.open_calls == 1
    socket.receive(wire.ev_created("resp_2"), wire.ev_completed("resp_2"))
    assert outcomes(closed(record)) == [("inference_completed", None)] * 2


def test_stream_id_in_content_is_no_lane(record: Recording, socket: Socket) -> None:
    """Only that of the message itself counts, not one within it."""
    socket.create(stream_id="a", metadata={"stream_id": "b"})
    tool = {"type": "function", "name": "f", "stream_id": "b"}
    socket.receive(wire.ev_created(tools=[tool]), wire.ev_completed(tools=[tool]), stream_id="a")
    assert outcomes(closed(record)) == [("inference_completed", None)]
