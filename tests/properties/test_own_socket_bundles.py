"""Whatever happens on a WebSocket: one terminal for each call, and bundles that reducers read."""

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reducer import reduce_bundle
from reducer.diagnostics import Code
from tests.support import events as wire
from tests.support import raw_bundle
from tests.support.frames import BINARY, MASK, PING, close, frame, message, sent
from tests.support.parity import assert_parity
from tests.support.recording import Recording, only_bundle
from tests.support.socket_recording import Socket, ended, socket_recording, user_message
from tracing.call import CallEnded, CallStarted, SocketEnded
from tracing.call_pieces import CallPieces
from tracing.terminal import TransportEnd

# What the API's own freedom makes odd: a chain from what failed, ended elsewhere, or forked.
OF_THE_CHAIN = {
    Code.UNKNOWN_PREVIOUS_RESPONSE,
    Code.CHAIN_OUTSIDE_CODEX,
    Code.FORKED_PREVIOUS_RESPONSE,
    Code.INPUT_NOT_ARRAY,
}
LANES = st.sampled_from([None, "a", "b"])
RESPONSES = st.integers(min_value=0, max_value=5)


@dataclass
class Talk:
    """Actions of both sides, applied to a socket; what they say is made from small numbers."""

    socket: Socket
    begun: int = 0
    lanes: dict[str | None, str] = field(default_factory=dict)

    def up(self, value: dict[str, Any], at: int) -> None:
        """The client's message, in two pieces."""
        data = sent(value)
        self.socket.trace.up(data[: at % len(data)])
        self.socket.trace.up(data[at % len(data) :])

    def down(self, value: wire.Event, lane: str | None, at: int) -> None:
        """Upstream's message, in two pieces."""
        data = message(value if lane is None else value | {"stream_id": lane})
        self.socket.trace.down(data[: at % len(data)])
        self.socket.trace.down(data[at % len(data) :])


Action = Callable[[Talk], None]


def _create(lane: str | None, parent: int, prewarm: bool, at: int) -> Action:
    def act(talk: Talk) -> None:
        asked: dict[str, Any] = {"model": "m", "input": [user_message("Hi")]}
        if lane is not None:
            asked["stream_id"] = lane
        if parent:
            asked["previous_response_id"] = f"r{parent}"
        if prewarm:
            asked["generate"] = False
        talk.up({"type": "response.create", **asked}, at)

    return act


def _steer(parent: int, at: int) -> Action:
    steer = {"type": "response.steer", "previous_response_id": f"r{parent}", "input": "x"}
    return lambda talk: talk.up(steer, at)


def _created(lane: str | None, at: int) -> Action:
    def act(talk: Talk) -> None:
        talk.begun += 1
        talk.lanes[lane] = f"r{talk.begun}"
        talk.down(wire.ev_created(talk.lanes[lane]), lane, at)

    return act


def _output(lane: str | None, kind: int, at: int) -> Action:
    event = wire.text_stream("Hel", "lo")[2:8][kind]
    return lambda talk: talk.down(event, lane, at)


def _last(lane: str | None, kind: int, at: int) -> Action:
    def act(talk: Talk) -> None:
        response_id = talk.lanes.get(lane, "r0")
        events = (
            wire.ev_completed(response_id),
            wire.ev_failed(response_id),
            wire.ev_incomplete(response_id, reason="steered"),
            wire.ev_error() | {"status": 400, "headers": {"x-request-id": "req_e"}},
            wire.ev_error_nested(),
        )
        talk.down(events[kind], lane, at)

    return act


def _raw(direction: str, data: bytes) -> Action:
    return lambda talk: getattr(talk.socket.trace, direction)(data)


AT = st.integers(min_value=0, max_value=200)
ACTIONS = st.one_of(
    st.builds(_create, LANES, RESPONSES, st.booleans(), AT),
    st.builds(_created, LANES, AT),
    st.builds(_output, LANES, st.integers(min_value=0, max_value=5), AT),
    st.builds(_last, LANES, st.integers(min_value=0, max_value=4), AT),
    st.builds(_steer, RESPONSES, AT),
    st.builds(
        _raw,
        st.sampled_from(["up", "down"]),
        st.sampled_from(
            [
                sent(b"no json {"),
                sent({"type": "response.append"}),
                sent({"type": "response.steer.failed", "steer": {"previous_response_id": "r1"}}),
                sent({"type": "response.steer.pending", "steer": {"previous_response_id": "r1"}}),
                frame(b"\0", opcode=BINARY, mask=MASK),
                frame(opcode=PING),
                close(1000),
            ]
        ),
    ),
)
WILD = st.builds(_raw, st.sampled_from(["up", "down"]), st.binary(min_size=1, max_size=8))


def play(record: Recording, actions: list[Action], end: TransportEnd) -> Socket:
    """Let both sides act on a new socket, and end it."""
    socket = Socket(record)
    talk = Talk(socket)
    for action in actions:
        action(talk)
    socket.end(end)
    return socket


def assert_each_call_ended_once(record: Recording) -> None:
    """Hold the order of what was noted: starts, pieces, one end, and the socket's end last."""
    begun = [op.call_id for op in record.operations if isinstance(op, CallStarted)]
    ends = Counter(op.call_id for op in record.operations if isinstance(op, CallEnded))
    assert len(set(begun)) == len(begun)
    assert ends == Counter(begun)
    open_now = set()
    for operation in record.operations:
        match operation:
            case CallStarted():
                open_now.add(operation.call_id)
            case CallPieces():
                assert operation.call_id in open_now
            case CallEnded():
                open_now.remove(operation.call_id)
            case _:
                assert operation is record.operations[-1]
    assert isinstance(record.operations[-1], SocketEnded)


@given(
    actions=st.lists(ACTIONS, max_size=30),
    wild=st.lists(WILD, max_size=2),
    end=st.sampled_from(TransportEnd),
)
def test_one_terminal_for_each_call(
    actions: list[Action], wild: list[Action], end: TransportEnd
) -> None:
    """Any interleaving of lanes, requests, errors, steers and drops; nothing is left open."""
    with tempfile.TemporaryDirectory() as trace_dir, socket_recording(Path(trace_dir)) as record:
        socket = play(record, [*actions, *wild, *actions[:5]], end)
        assert socket.trace.open_calls == 0
        assert_each_call_ended_once(record)
        for bundle in record.close():
            terminals = ended(bundle)  # one for each start
            prewarms = raw_bundle.event_types(bundle).count("protocol_event_observed")
            begun = sum(isinstance(op, CallStarted) for op in record.operations)
            assert len(terminals) + prewarms == begun
            state: Any = reduce_bundle(bundle)
            assert {found["code"] for found in state["diagnostics"]} <= OF_THE_CHAIN
            assert len(state["inference_calls"]) == len(terminals)


def lanes(socket: Socket) -> None:
    """Three lanes at once."""
    names = ("a", "b", None)
    for name in names:
        socket.create(**({"stream_id": name} if name else {}))
    streams = [wire.text_stream("Hi", str(name), response_id=f"r_{name}") for name in names]
    for events in zip(*streams, strict=True):
        for name, event in zip(names, events, strict=True):
            socket.receive(event, stream_id=name)


def codex_session(socket: Socket) -> None:
    """A prewarm, a turn that chains from it, and the next request of that turn."""
    metadata = {"thread_id": "thread-a", "turn_id": "turn-a"}
    socket.create("context", generate=False, client_metadata=metadata)
    socket.receive(wire.ev_created("w"), wire.ev_completed("w"))
    socket.create("do it", previous_response_id="w", client_metadata=metadata)
    tool_call = wire.function_call_item("shell", {"command": "ls"})
    socket.receive(*wire.function_call_stream(tool_call))
    output = {"type": "function_call_output", "call_id": "call_1", "output": "a file"}
    socket.create(input=[output], previous_response_id="resp_1", client_metadata=metadata)
    socket.receive(*wire.text_stream("done", response_id="resp_2", item_id="m2"))


def endings(socket: Socket) -> None:
    """Failed, incomplete, refused, and cut off with an item in progress."""
    begun = wire.text_stream("Hel", "lo")[:6]
    for last in (wire.ev_failed(), wire.ev_incomplete(), wire.ev_error()):
        socket.create()
        socket.receive(*begun, last)
    socket.create()
    socket.receive(wire.ev_error() | {"status": 429, "headers": {"x-request-id": "req_e"}})
    socket.create()
    socket.receive(*begun)
    socket.trace.down(close(1011, "bye"))


def prewarm_alone(socket: Socket) -> None:
    """No call at all."""
    socket.create(generate=False)
    socket.receive(wire.ev_created("w"), wire.ev_completed("w"))


def unasked(socket: Socket) -> None:
    """A response without a request, one after a steer, and requests that cannot be read."""
    socket.receive(*wire.text_stream("one"))
    steer = [user_message("rather")]
    socket.send({"type": "response.steer", "previous_response_id": "resp_1", "input": steer})
    socket.receive(*wire.text_stream("two", response_id="resp_2", item_id="m2"))
    socket.send(b'{"type":"response.create", torn')
    socket.receive(*wire.text_stream("three", response_id="resp_3", item_id="m3"))


@pytest.mark.parametrize(
    "scenario",
    [lanes, codex_session, endings, prewarm_alone, unasked],
    ids=lambda scenario: scenario.__name__,
)
@pytest.mark.parametrize("closed", [True, False])
def test_codex_reads_what_we_write(
    tmp_path: Path, scenario: Callable[[Socket], None], closed: bool
) -> None:
    """Codex's reducer takes the bundle, closed or live, and ours says the same of it."""
    with socket_recording(tmp_path) as record:
        socket = Socket(record)
        scenario(socket)
        if closed:
            socket.end(TransportEnd.EOF)
        bundle = only_bundle(record.close() if closed else record.crash())
    state: Any = assert_parity(bundle)
    assert state["status"] == ("completed" if closed else "running")
