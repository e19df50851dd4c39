"""`tailrace serve` as a process: how it starts, how signals end it, and what a crash leaves."""

import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.support.bundles import write_dead_bundle
from tests.support.differential import call
from tests.support.events import ev_created, ev_text_delta, sse, text_stream
from tests.support.raw_http import BodyReader, RawConnection, exchange, request_bytes
from tests.support.reduced import only, only_call, reduced
from tests.support.script import Gate, stream_reply
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.serve_process import ServeProcess
from tests.support.waiting import wait_until
from tracing.recovery import recover

STREAM = sse(*text_stream("Hel", "lo"))
BEGUN = sse(ev_created("resp_1"), ev_text_delta("Hel"))
SEALED = "sealed a bundle whose writer died"
LAST = "trace-z"
"""A bundle that is looked at after all that a proxy writes: those have hexadecimal names."""


def serve(upstream: ScriptedUpstream, tmp_path: Path, **settings: Any) -> ServeProcess:
    """The process before the scripted upstream."""
    return ServeProcess(f"{upstream.url}/v1", tmp_path / "traces", tmp_path, **settings)


def open_stream(port: int) -> tuple[RawConnection, BodyReader]:
    """A call whose first part has reached the client."""
    connection = RawConnection(port)
    connection.send(call())
    body = BodyReader(connection, connection.read_head())
    assert body.read_until(BEGUN) == BEGUN
    return connection, body


def wait_until_on_disk(process: ServeProcess, wanted: bytes, *, bundles: int = 1) -> None:
    """Wait until so many bundles are there and the newest holds these bytes."""

    def holds() -> bool:
        found = process.bundles()
        files = [path for path in found[-1].rglob("*") if path.is_file()] if found else []
        return len(found) == bundles and any(wanted in path.read_bytes() for path in files)

    wait_until(holds, f"{wanted!r} on disk")


def refuses(port: int) -> bool:
    """Whether nothing listens on the port any more."""
    try:
        RawConnection(port).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_an_idle_process_with_its_bundle_closed(
    upstream: ScriptedUpstream, tmp_path: Path, number: signal.Signals
) -> None:
    """SIGTERM and Ctrl-C end the process with exit code 0 and a whole bundle."""
    upstream.enqueue(stream_reply(STREAM))
    with serve(upstream, tmp_path) as process:
        assert exchange(process.port, call()).body == STREAM
        process.send_signal(number)
        assert process.wait() == 0
        state = reduced(process.bundles())
    assert only_call(state)["execution"]["status"] == "completed"
    assert state["recording_complete"] is True
    assert state["status"] == "completed"


def test_process_without_a_call_leaves_no_bundle(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """A bundle is made by its first call."""
    with serve(upstream, tmp_path) as process:
        health = request_bytes("GET", f"http://127.0.0.1:{process.port}/-/healthz")
        assert exchange(process.port, health).head.status == 200
        assert process.terminate() == 0
        assert process.bundles() == []


def test_open_stream_may_end_after_sigterm(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    """A stream that ends within the grace is whole for the client and completed in the trace."""
    gate = Gate()
    upstream.enqueue(stream_reply(BEGUN, gate, STREAM))
    with serve(upstream, tmp_path) as process:
        connection, body = open_stream(process.port)
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses(process.port), "the listener closed")
        gate.open()
        assert (body.read_all(), body.end) == (STREAM, "complete")
        connection.close()
        assert process.wait() == 0
        state = reduced(process.bundles())
    assert only_call(state)["execution"]["status"] == "completed"


def test_stream_beyond_the_grace_is_cancelled(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    """At the end of the grace a stream is cut, upstream's too, and recorded as cancelled."""
    upstream.enqueue(stream_reply(BEGUN, Gate()))
    with serve(upstream, tmp_path, shutdown_grace=0) as process:
        connection, body = open_stream(process.port)
        assert process.terminate() == 0
        assert body.read_all() == b""
        assert body.end in {"fin", "rst"}
        connection.close()
        upstream.request(0).wait_until_closed_by_peer()
        only_one: dict[str, Any] = only_call(reduced(process.bundles()))
    assert only_one["execution"]["status"] == "cancelled"
    assert only_one["proxy"]["outcome"]["transport"] == "shutdown"
    assert only_one["proxy"]["response_id"] == "resp_1"


def test_crash_leaves_a_bundle_that_can_be_read_and_sealed(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """After SIGKILL an open call is running as found, and aborted with its text once sealed."""
    upstream.enqueue(stream_reply(STREAM))
    upstream.enqueue(stream_reply(BEGUN, Gate()))
    with serve(upstream, tmp_path) as process:
        assert exchange(process.port, call()).body == STREAM
        connection, _ = open_stream(process.port)
        wait_until_on_disk(process, BEGUN)
        process.kill()
        connection.close()
        bundle = only(process.bundles())
    found = reduced([bundle])["inference_calls"].values()
    assert sorted(call["execution"]["status"] for call in found) == ["completed", "running"]
    (sealed,) = recover(process.trace_dir)
    assert (sealed.bundle, sealed.calls_aborted) == (bundle, 1)
    state = reduced([bundle])
    (aborted,) = (
        call
        for call in state["inference_calls"].values()
        if call["execution"]["status"] == "aborted"
    )
    assert aborted["proxy"]["response_id"] == "resp_1"
    assert aborted["proxy"]["partial_items"][0]["item"]["content"][0]["text"] == "Hel"
    assert recover(process.trace_dir) == []


def test_next_start_seals_what_a_crash_left(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    """Every `serve` at start seals the bundles of the dead, and touches none of the living."""
    upstream.enqueue(stream_reply(BEGUN, Gate()))
    with serve(upstream, tmp_path) as crashed:
        connection, _ = open_stream(crashed.port)
        wait_until_on_disk(crashed, BEGUN)
        crashed.kill()
        connection.close()
    upstream.enqueue(stream_reply(BEGUN, gate := Gate(), STREAM))
    with serve(upstream, tmp_path) as first:
        connection, body = open_stream(first.port)
        wait_until_on_disk(first, BEGUN, bundles=2)
        wait_until(lambda: SEALED in first.log_path.read_text(), "the first is done with sealing")
        write_dead_bundle(tmp_path / "traces" / LAST)
        with serve(upstream, tmp_path) as second:
            wait_until(lambda: LAST in second.log_path.read_text(), "all others were looked at")
            gate.open()
            assert body.read_all() == STREAM
        connection.close()
        assert first.terminate() == 0
        statuses = [
            call["execution"]["status"]
            for bundle in first.bundles()
            for call in reduced([bundle])["inference_calls"].values()
        ]
    assert sorted(statuses) == ["aborted", "completed"]


def test_port_in_use_is_told(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    """A port that is taken ends the process at once, and it says so."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        process = ServeProcess(upstream.url, tmp_path / "traces", tmp_path, listen=listen)
        with pytest.raises(AssertionError, match=f"cannot listen on {listen}"):
            process.__enter__()


@pytest.mark.parametrize(
    ("listen", "is_warned"), [("127.0.0.1:0", False), ("localhost:0", False), ("0.0.0.0:0", True)]
)
def test_open_port_is_warned_of(
    upstream: ScriptedUpstream, tmp_path: Path, listen: str, is_warned: bool
) -> None:
    """Where others can reach the port the log says so, and clients here are told a usable URL."""
    with ServeProcess(
        f"{upstream.url}/v1", tmp_path / "traces", tmp_path, listen=listen
    ) as process:
        assert process.base_url.startswith("http://127.0.0.1:")
        assert process.terminate() == 0
        assert (b"whoever can reach this port" in process.log_path.read_bytes()) is is_warned
