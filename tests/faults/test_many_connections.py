"""More connections than there is room for: those inside are served, the rest are told, all ends."""

import resource
import selectors
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.bystander import bystander, without_bystander
from tests.support.differential import call
from tests.support.events import sse, sse_pieces, text_stream
from tests.support.peak_memory import MIB, forget_peak, peak_bytes
from tests.support.raw_http import BodyReader, RawConnection, exchange, request_bytes
from tests.support.reduced import only, reduced
from tests.support.script import GUARD_S, Gate, stream_reply
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.serve_process import ServeProcess
from tests.support.terminals import assert_one_terminal_each

WANTED = 5000
LEAST = 2000
CONNECTION_BYTES_MAX = 28 * 1024
"""What settings say that a connection may take."""

STREAM = sse(*text_stream("Hel", "lo"))
HEALTH = request_bytes("GET", "http://127.0.0.1/-/healthz")
TOO_MANY = b"HTTP/1.1 503 "


@contextmanager
def room_for_connections() -> Iterator[int]:
    """Raise our limit on open files as far as it goes; gives how many connections that allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield min(WANTED, hard - 200)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_thousands_of_connections(
    upstream: ScriptedUpstream, trace_dir: Path, tmp_path: Path
) -> None:
    """Silent or amid a request: `connections_max` are held, the rest get a 503; nobody notices."""
    with ExitStack() as stack:
        count = stack.enter_context(room_for_connections())
        assert count >= LEAST, "the limit on open files is too low to show anything"
        held_max = count - 1000
        process = stack.enter_context(
            ServeProcess(f"{upstream.url}/v1", trace_dir, tmp_path, connections_max=held_max + 1)
        )
        with bystander(upstream, process.port) as other:
            idle = forget_peak(process.pid)
            connections = [connect(process.port, call()[: 30 * (n % 2)]) for n in range(count)]
            stack.callback(close_all, connections)
            turned_away = wait_for_answers(connections, count - held_max)
            other.go_on()
            assert set(turned_away) == {TOO_MANY}
            assert len(turned_away) == count - held_max
            assert peak_bytes(process.pid) - idle < held_max * CONNECTION_BYTES_MAX + 32 * MIB
            close_all(connections)
            make_room(process.port)
            upstream.enqueue(stream_reply(STREAM))
            assert exchange(process.port, call()).body == STREAM
        assert process.terminate() == 0
        assert_one_terminal_each(only(process.bundles()))
        (served,) = without_bystander(reduced(process.bundles()))
        assert served["execution"]["status"] == "completed"


def connect(port: int, says: bytes) -> socket.socket:
    """A connection that says so much and no more."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=GUARD_S)
    connection.sendall(says)
    connection.setblocking(False)
    return connection


def close_all(connections: list[socket.socket]) -> None:
    """Close them; again does nothing."""
    for connection in connections:
        connection.close()


def wait_for_answers(connections: list[socket.socket], count: int) -> list[bytes]:
    """The beginnings of what so many of the connections are told, all those that are told any."""
    answers: list[bytes] = []
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ)
        while len(answers) < count:
            ready = selector.select(GUARD_S)
            assert ready, f"{len(answers)} of {count} were answered"
            for key, _ in ready:
                assert isinstance(key.fileobj, socket.socket)
                answers.append(key.fileobj.recv(4096)[: len(TOO_MANY)])
                selector.unregister(key.fileobj)
        answers += [b"more" for _ in selector.select(0)]
    return answers


def make_room(port: int) -> None:
    """Wait until the proxy has seen that clients left."""
    for _ in range(WANTED):
        if exchange(port, HEALTH).head.status == 200:
            return
    raise AssertionError("the proxy did not make room")


def test_hundreds_of_calls_at_once(
    upstream: ScriptedUpstream, trace_dir: Path, tmp_path: Path
) -> None:
    """Each of 500 open streams gets one response, whole, and is a completed call of its own."""
    count = 500
    gate = Gate()
    streams = [sse_pieces(*text_stream("Hi", response_id=f"resp_{n}")) for n in range(count)]
    with ServeProcess(f"{upstream.url}/v1", trace_dir, tmp_path) as process:
        with bystander(upstream, process.port) as other, ExitStack() as stack:
            for number, (first, *rest) in enumerate(streams):
                reply = stream_reply(first, gate, *rest, request_id=f"req_{number}")
                upstream.enqueue(reply)
            connections = [stack.enter_context(RawConnection(process.port)) for _ in range(count)]
            for connection in connections:
                connection.send(call())
            bodies = [BodyReader(connection, connection.read_head()) for connection in connections]
            begun = [body.read_until(b"\n\n") for body in bodies]
            other.go_on()
            gate.open()
            whole = [first + body.read_all() for first, body in zip(begun, bodies, strict=True)]
        assert sorted(whole) == sorted(b"".join(stream) for stream in streams)
        assert process.terminate() == 0
        assert_one_terminal_each(only(process.bundles()))
        ended = without_bystander(reduced(process.bundles()))
    assert {call_["execution"]["status"] for call_ in ended} == {"completed"}
    ids = sorted((call_["response_id"], call_["upstream_request_id"]) for call_ in ended)
    assert ids == sorted((f"resp_{n}", f"req_{n}") for n in range(count))
