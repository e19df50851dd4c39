"""Streams in single bytes, without end, or that nobody reads: in time, in order, and not kept."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bystander import bystander, without_bystander
from tests.support.differential import call
from tests.support.events import ev_completed, ev_created, ev_text_delta, sse
from tests.support.peak_memory import MIB, forget_peak, peak_bytes
from tests.support.raw_http import BodyReader, RawConnection, request_bytes
from tests.support.reduced import Call, only, only_call, reduced, state_after
from tests.support.running_proxy import RunningProxy
from tests.support.script import (
    SSE_TYPE,
    Chunk,
    Framing,
    Gate,
    Head,
    ReadBody,
    Reply,
    stream_reply,
)
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.serve_process import ServeProcess
from tests.support.stalled_client import wait_until_read
from tests.support.terminals import assert_one_terminal_each

MEMORY_MAX = 64 * MIB
"""More than what waits for the disk (8 MiB below) and all that Python keeps; far below what
passes, so that a stream which is kept anywhere shows."""

CHUNKED = Head(headers=(SSE_TYPE, (b"x-request-id", b"req_1"), (b"Transfer-Encoding", b"chunked")))
FIRST = sse(ev_created())
DELTA = sse(ev_text_delta("x" * (64 * 1024)))


@pytest.fixture
def process(upstream: ScriptedUpstream, trace_dir: Path, tmp_path: Path) -> Iterator[ServeProcess]:
    """A proxy whose memory is its own, and is bounded tightly."""
    with ServeProcess(
        f"{upstream.url}/v1",
        trace_dir,
        tmp_path,
        pending_bytes_max=8 * MIB,
        capture_bytes_max=16 * MIB,
        event_bytes_max=MIB,
    ) as running:
        yield running


def read_so_many(body: BodyReader, size: int) -> None:
    """Read so many bytes of a body that goes on, and hold none of them."""
    while size:
        piece = body.read_piece()
        assert piece, f"the body ended ({body.end}) too early"
        size -= len(piece)


def call_after(process: ServeProcess) -> Call:
    """The one call beside the bystander's, once the process has ended in order."""
    assert process.terminate() == 0
    assert_one_terminal_each(only(process.bundles()))
    (call_,) = without_bystander(reduced(process.bundles()))
    return call_


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_stream_that_drips(
    upstream: ScriptedUpstream, proxy: RunningProxy, framing: Framing
) -> None:
    """Each byte is there before the next is sent, and the events are read all the same."""
    stream = sse(ev_created(), ev_completed(output=[]))
    gates = [Gate() for _ in stream]
    drops = [stream[at : at + 1] for at in range(len(stream))]
    body = [part for pair in zip(gates, drops, strict=True) for part in pair]
    upstream.enqueue(Reply(headers=(SSE_TYPE,), body=body, framing=framing))
    with RawConnection(proxy.port) as connection:
        connection.send(call())
        reader = BodyReader(connection, connection.read_head())
        for gate, drop in zip(gates, drops, strict=True):
            gate.open()
            assert reader.read_piece() == drop
        assert reader.read_all() == b""
    ended = only_call(state_after(proxy))
    assert (ended["execution"]["status"], ended["response_id"]) == ("completed", "resp_1")


def test_stream_that_never_ends(upstream: ScriptedUpstream, process: ServeProcess) -> None:
    """160 MiB pass, of which what the settings say is kept, and little held."""
    count = 2500
    with bystander(upstream, process.port) as other:
        upstream.enqueue([ReadBody(), CHUNKED, Chunk(FIRST), *[Chunk(DELTA)] * count, Gate()])
        with RawConnection(process.port) as connection:
            connection.send(call())
            body = BodyReader(connection, connection.read_head())
            idle = forget_peak(process.pid)
            read_so_many(body, len(FIRST) + count * len(DELTA))
            other.go_on()
            assert peak_bytes(process.pid) - idle < MEMORY_MAX
        upstream.request(1).wait_until_closed_by_peer()
    left_early = call_after(process)
    assert left_early["execution"]["status"] == "cancelled"
    assert left_early["proxy"]["response_id"] == "resp_1"
    assert left_early["proxy"]["bytes_down"] == len(FIRST) + count * len(DELTA)


def test_event_that_never_ends(upstream: ScriptedUpstream, process: ServeProcess) -> None:
    """One line of a hundred megabytes: relayed, counted, and held by nobody."""
    count = 1600
    line = b"x" * 65536
    with bystander(upstream, process.port) as other:
        begun = FIRST + b"data: "
        upstream.enqueue([ReadBody(), CHUNKED, Chunk(begun), *[Chunk(line)] * count, Gate()])
        with RawConnection(process.port) as connection:
            connection.send(call())
            body = BodyReader(connection, connection.read_head())
            idle = forget_peak(process.pid)
            read_so_many(body, len(begun) + count * len(line))
            other.go_on()
            assert peak_bytes(process.pid) - idle < MEMORY_MAX
        upstream.request(1).wait_until_closed_by_peer()
    left_early = call_after(process)
    assert left_early["execution"]["status"] == "cancelled"
    assert left_early["proxy"]["response_id"] == "resp_1"


def test_client_that_stops_reading(upstream: ScriptedUpstream, process: ServeProcess) -> None:
    """Upstream is held back, at a gigabyte to come; what is held is small; nobody else waits."""
    upstream_pieces = 16_000
    with bystander(upstream, process.port) as other:
        upstream.enqueue([ReadBody(), CHUNKED, Chunk(FIRST), *[Chunk(DELTA)] * upstream_pieces])
        with RawConnection(process.port) as stalled:
            stalled.send(call())
            stalled.read_head()
            idle = forget_peak(process.pid)
            other.go_on()
            for number in range(50):
                upstream.enqueue(stream_reply(FIRST, request_id=f"req_{number}"))
                with RawConnection(process.port) as quick:
                    quick.send(request_bytes("GET", "http://127.0.0.1/v1/models"))
                    assert quick.read_exchange().body == FIRST
            assert not upstream.request(1).answered.is_set()
            assert peak_bytes(process.pid) - idle < MEMORY_MAX
        upstream.request(1).wait_until_closed_by_peer()
    stopped = call_after(process)
    assert stopped["execution"]["status"] == "cancelled"
    assert stopped["proxy"]["bytes_down"] < MEMORY_MAX


def test_upstream_that_stops_reading(upstream: ScriptedUpstream, process: ServeProcess) -> None:
    """A client that uploads is held back as well, at what the sockets hold."""
    body_size = 1024 * MIB
    head = request_bytes("POST", "http://127.0.0.1/v1/responses").removesuffix(b"\r\n")
    with bystander(upstream, process.port) as other:
        upstream.enqueue([gate := Gate(), ReadBody()])
        with RawConnection(process.port) as uploader:
            uploader.send(head + b"Content-Length: %d\r\n\r\n" % body_size)
            gate.wait_until_reached()
            idle = forget_peak(process.pid)
            sent = send_until_held_back(uploader, process.port)
            other.go_on()
            assert sent < MEMORY_MAX
            assert peak_bytes(process.pid) - idle < MEMORY_MAX
        gate.open()
        upstream.request(1).wait_until_closed_by_peer()
    unsent = call_after(process)
    assert unsent["execution"]["status"] == "cancelled"


def send_until_held_back(connection: RawConnection, port: int) -> int:
    """Send until the proxy reads no more of it; how many bytes that were."""
    piece = b" " * 65536
    sent = refusals = 0
    connection.socket.setblocking(False)
    while refusals < 3 and sent < 1024 * MIB:
        try:
            sent += connection.socket.send(piece)
            refusals = 0
        except BlockingIOError:
            refusals += 1
            wait_until_read(port)
    return sent
