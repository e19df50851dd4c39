"""What comes is passed on as it comes, and a client's leaving is noticed."""

import pytest

from tests.support.differential import (
    call,
)
from tests.support.events import (
    ev_created,
    ev_text_delta,
    sse,
    text_stream,
)
from tests.support.raw_http import (
    BodyReader,
    RawConnection,
)
from tests.support.running_proxy import (
    RunningProxy,
)
from tests.support.script import (
    SSE_TYPE,
    Framing,
    Gate,
    ReadBody,
    Reply,
)
from tests.support.scripted_upstream import (
    ScriptedUpstream,
)

STREAM = sse(*text_stream("Hel", "lo"))
PART = sse(ev_created("resp_1"), ev_text_delta("Hel"))


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_piece_is_passed_on_while_the_next_is_awaited(
    upstream: ScriptedUpstream, proxy: RunningProxy, framing: Framing
) -> None:
    """The client has each piece, and the head, before upstream sends the next."""
    gates = [Gate() for _ in range(3)]
    body: list[bytes | Gate] = [gates[0], b"one", gates[1], b"two", gates[2], b"three"]
    upstream.enqueue(Reply(headers=(SSE_TYPE,), body=body, framing=framing))
    with RawConnection(proxy.port) as connection:
        connection.send(call())
        reader = BodyReader(connection, connection.read_head())
        for gate, piece in zip(gates, (b"one", b"two", b"three"), strict=True):
            gate.open()
            assert reader.read_until(piece) == piece
        assert reader.read_all() == b""


@pytest.mark.parametrize("how", ["close", "abort"])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_client_that_leaves_ends_the_upstream_request(
    upstream: ScriptedUpstream, proxy: RunningProxy, framing: Framing, how: str
) -> None:
    """A client that leaves while upstream is silent takes the upstream connection with it."""
    upstream.enqueue(Reply(headers=(SSE_TYPE,), body=[PART, Gate(), b"never"], framing=framing))
    connection = RawConnection(proxy.port)
    connection.send(call())
    BodyReader(connection, connection.read_head()).read_until(PART)
    getattr(connection, how)()
    upstream.request(0).wait_until_closed_by_peer()


@pytest.mark.parametrize("how", ["close", "abort"])
def test_client_that_leaves_before_the_head_ends_the_upstream_request(
    upstream: ScriptedUpstream, proxy: RunningProxy, how: str
) -> None:
    """A client that leaves before any byte of the response takes the upstream connection along."""
    gate = Gate()
    upstream.enqueue([ReadBody(), gate])
    connection = RawConnection(proxy.port)
    connection.send(call())
    gate.wait_until_reached()
    getattr(connection, how)()
    upstream.request(0).wait_until_closed_by_peer()
