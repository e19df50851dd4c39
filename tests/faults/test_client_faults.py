"""A client that goes wrong: what upstream is sent, what the trace says, and who else notices."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.support.bystander import bystander, without_bystander
from tests.support.differential import CALL, call
from tests.support.events import ev_created, ev_text_delta, sse, text_stream
from tests.support.raw_http import (
    BodyReader,
    ConnectionEndedError,
    RawConnection,
    request_bytes,
)
from tests.support.reduced import only, state_after
from tests.support.running_proxy import RunningProxy
from tests.support.script import SSE_TYPE, Chunk, Close, Gate, Head, ReadBody, Step, stream_reply
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.terminals import assert_one_terminal_each

PART = sse(ev_created(), ev_text_delta("Hel"))
STREAM = sse(*text_stream("Hel", "lo"))
HEALTH = request_bytes("GET", "http://127.0.0.1/-/healthz")

Leave = Callable[[RawConnection], None]
LEAVES: dict[str, Leave] = {
    "FIN": RawConnection.close,
    "RST": RawConnection.abort,
    "half-close": RawConnection.finish_sending,
}
"""A half-close counts as leaving, as it does for asyncio and for Envoy: no SDK half-closes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Where in an exchange a client goes: what it had sent, and what upstream was doing."""

    sent: bytes
    script: list[Step]
    reads: bytes = b""
    response_id: str | None = None


CHUNKED = Head(headers=(SSE_TYPE, (b"x-request-id", b"req_1"), (b"Transfer-Encoding", b"chunked")))


def moments(gate: Gate) -> dict[str, Moment]:
    """Each with upstream standing at the gate when the client goes."""
    half = call()[: -len(CALL) // 2]
    chunked = request_bytes(
        "POST", "http://127.0.0.1/v1/responses", headers=((b"Transfer-Encoding", b"chunked"),)
    )
    return {
        "within its body": Moment(sent=half, script=[gate]),
        "within a chunk": Moment(sent=chunked + b"40\r\n" + CALL, script=[gate]),
        "between chunks": Moment(sent=chunked + Chunk(CALL).encode(), script=[gate]),
        "before the head": Moment(sent=call(), script=[ReadBody(), gate]),
        "after the head": Moment(sent=call(), script=[ReadBody(), CHUNKED, gate]),
        "within the stream": Moment(
            sent=call(),
            script=[ReadBody(), CHUNKED, Chunk(PART), gate],
            reads=PART,
            response_id="resp_1",
        ),
        "within an early answer": Moment(
            sent=half, script=[CHUNKED, Chunk(PART), gate], reads=PART, response_id="resp_1"
        ),
    }


@pytest.mark.parametrize("how", LEAVES)
@pytest.mark.parametrize("when", moments(Gate()))
def test_client_that_leaves(
    upstream: ScriptedUpstream, proxy: RunningProxy, when: str, how: str
) -> None:
    """Upstream is let go at once, whatever it was doing; the call is cancelled, once."""
    moment = moments(gate := Gate())[when]
    with bystander(upstream, proxy.port) as other:
        upstream.enqueue(moment.script)
        leaver = RawConnection(proxy.port)
        leaver.send(moment.sent)
        gate.wait_until_reached()
        if moment.reads:
            BodyReader(leaver, leaver.read_head()).read_until(moment.reads)
        other.go_on()
        LEAVES[how](leaver)
        upstream.request(1).wait_until_closed_by_peer()
        leaver.close()
    (left,) = without_bystander(state_after(proxy))
    assert left["execution"]["status"] == "cancelled"
    assert left["proxy"]["outcome"]["transport"] == "client_closed"
    assert left["proxy"]["response_id"] == moment.response_id
    assert_one_terminal_each(only(proxy.bundles()))


def test_request_that_comes_byte_by_byte(upstream: ScriptedUpstream, proxy: RunningProxy) -> None:
    """It is a request as any other; meanwhile every other one is answered at once."""
    upstream.enqueue(stream_reply(STREAM))
    with RawConnection(proxy.port) as slow, RawConnection(proxy.port) as others:
        for byte in call():
            slow.send(bytes([byte]))
            others.send(HEALTH)
            assert others.read_exchange().head.status == 200
        assert slow.read_exchange().body == STREAM
    assert upstream.request(0).body == CALL
    (ended,) = state_after(proxy)["inference_calls"].values()
    assert ended["execution"]["status"] == "completed"


@pytest.mark.parametrize("count", [1, 300])
def test_requests_that_never_end(
    upstream: ScriptedUpstream, proxy: RunningProxy, count: int
) -> None:
    """Half a head holds a connection and nothing else: upstream and the trace see none of it."""
    slow = [RawConnection(proxy.port) for _ in range(count)]
    for number, connection in enumerate(slow):
        connection.send(call()[: 1 + number % 60])
    with bystander(upstream, proxy.port) as other:
        other.go_on()
    for connection in slow:
        connection.close()
    assert without_bystander(state_after(proxy)) == []
    assert upstream.connections == 1


@pytest.mark.parametrize("how", ["FIN", "RST"])
def test_client_that_leaves_with_more_requests_in_its_pipeline(
    upstream: ScriptedUpstream, proxy: RunningProxy, how: str
) -> None:
    """Upstream never sees those behind the one that was open."""
    with bystander(upstream, proxy.port):
        upstream.enqueue(stream_reply(PART, Gate()))
        connection = RawConnection(proxy.port)
        connection.send(call() * 5)
        BodyReader(connection, connection.read_head()).read_until(PART)
        LEAVES[how](connection)
        upstream.request(1).wait_until_closed_by_peer()
    (left,) = without_bystander(state_after(proxy))
    assert left["execution"]["status"] == "cancelled"
    assert len(upstream.requests) == 2


def test_pipeline_ends_with_a_response_that_was_cut(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """What comes after a cut body would be taken for the rest of it, so nothing does."""
    with bystander(upstream, proxy.port):
        upstream.enqueue([ReadBody(), CHUNKED, Chunk(PART), Close()])
        with RawConnection(proxy.port) as connection:
            connection.send(call() * 3)
            answer = connection.read_exchange()
            assert (answer.body, answer.end) == (PART, "fin")
            with pytest.raises(ConnectionEndedError):
                connection.read_head()
    (cut,) = without_bystander(state_after(proxy))
    assert cut["execution"]["status"] == "failed"
    assert len(upstream.requests) == 2


def test_pipeline_goes_on_after_an_error_of_ours(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """A 502 is a whole response, behind which the next one comes in its turn."""
    upstream.enqueue([ReadBody(), Close()])
    upstream.enqueue(stream_reply(STREAM))
    with RawConnection(proxy.port) as connection:
        connection.send(call() * 2)
        assert connection.read_exchange().head.status == 502
        assert connection.read_exchange().body == STREAM
    statuses = [
        ended["execution"]["status"] for ended in state_after(proxy)["inference_calls"].values()
    ]
    assert sorted(statuses) == ["completed", "failed"]
