"""Several workers on one port: real processes, that start, share the work, and end together."""

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from reducer import reduce_bundle
from tests.support.differential import call
from tests.support.raw_http import RawConnection
from tests.support.reduced import calls
from tests.support.script import stream_reply
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.waiting import wait_until
from tests.support.worker_processes import (
    bundles_by_writer,
    log_lines,
    settled_workers,
    worker_of,
)
from tests.support.worker_streams import (
    CANCELLED,
    COMPLETED,
    HEALTH,
    OPEN,
    RESTARTS,
    STREAM,
    counted,
    finish,
    is_refused,
    open_stream,
    serve_with_workers,
    statuses,
    stream_on_each,
    wait_until_counted,
)


def test_workers_share_the_port_and_every_call_is_accounted_for(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """Each worker has a bundle; any worker tells the sums; no call is missing or told twice."""
    with serve_with_workers(upstream, tmp_path, workers=3) as process:
        pids = settled_workers(process, 3)
        takers = set()
        for _ in range(24):
            upstream.enqueue(stream_reply(STREAM))
            with RawConnection(process.port) as connection:
                takers.add(worker_of(connection, pids))
                connection.send(call())
                assert connection.read_exchange().body == STREAM
        assert len(takers) > 1
        wait_until_counted(process.port, COMPLETED, 24)
        for _ in range(12):
            page = counted(process.port)
            assert (page[COMPLETED], page[OPEN], page[RESTARTS]) == (24, 0, 0)
            assert page['tailrace_requests_total{status="2xx"}'] == 24
        assert process.terminate() == 0
        written = bundles_by_writer(process)
    assert set(written) == takers
    states = [reduce_bundle(bundle) for bundle in written.values()]
    assert all(state["recording_complete"] for state in states)
    found = [found for state in states for found in calls(state)]
    assert [one["execution"]["status"] for one in found] == ["completed"] * 24
    assert len({one["inference_call_id"] for one in found}) == 24


def test_signal_to_all_processes_at_once_drains_every_worker(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """As a terminal and systemd send it: streams may end, and it counts as one signal."""
    with serve_with_workers(upstream, tmp_path, shutdown_grace=60) as process:
        streams = stream_on_each(upstream, process)
        for pid in streams:
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: is_refused(process.port), "the port is closed")
        for stream in streams.values():
            finish(stream)
        assert process.wait() == 0
        written = bundles_by_writer(process)
    for bundle in written.values():
        state = reduce_bundle(bundle)
        assert (state["status"], state["recording_complete"]) == ("completed", True)


def test_second_signal_ends_the_streams_of_every_worker(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """Within a grace of a minute it cuts them at once: cancelled calls, and exit code 0."""
    with serve_with_workers(upstream, tmp_path, shutdown_grace=60) as process:
        streams = stream_on_each(upstream, process)
        process.send_signal(signal.SIGINT)
        wait_until(lambda: is_refused(process.port), "the port is closed")
        process.send_signal(signal.SIGTERM)
        for stream in streams.values():
            assert stream.body.read_all() == b""
            stream.connection.close()
        assert process.wait() == 0
        written = bundles_by_writer(process)
    for bundle in written.values():
        assert statuses(bundle).count("cancelled") == 1
        assert reduce_bundle(bundle)["recording_complete"] is True


def test_reason_is_told_where_no_worker_can_start(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """The parent ends with what the workers say, as `serve` with one would."""
    no_pem = tmp_path / "no.pem"
    no_pem.write_text("this is no certificate")
    process = serve_with_workers(upstream, tmp_path, upstream_ca_file=no_pem)
    with pytest.raises(AssertionError, match=r"tailrace: upstream_ca_file: .*no\.pem cannot be"):
        process.__enter__()
    assert process.wait() == 1


def _plain(port: int) -> socket.socket:
    return socket.create_server(("127.0.0.1", port))


def _sharing(port: int) -> socket.socket:
    return socket.create_server(("127.0.0.1", port), reuse_port=True)


@pytest.mark.parametrize("holder", [_plain, _sharing])
def test_port_of_another_program_is_refused(
    upstream: ScriptedUpstream, tmp_path: Path, holder: Callable[[int], socket.socket]
) -> None:
    """Also one that would share it: half of the connections would go to the other program."""
    with holder(0) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        process = serve_with_workers(upstream, tmp_path, listen=listen)
        with pytest.raises(AssertionError, match=f"cannot listen on {listen}: Address already"):
            process.__enter__()
        assert process.wait() == 1


def test_parent_has_no_thread_and_each_worker_says_who_it_is(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """A fork of a process with threads may find a lock that nobody releases."""
    upstream.enqueue(stream_reply(STREAM))
    with serve_with_workers(upstream, tmp_path) as process:
        pids = settled_workers(process, 2)
        assert len(list(Path(f"/proc/{process.pid}/task").iterdir())) == 1
        with RawConnection(process.port) as connection:
            taker = worker_of(connection, pids)
            connection.send(call())
            assert connection.read_exchange().body == STREAM
        assert process.terminate() == 0
        started = {line["pid"]: line["worker"] for line in log_lines(process, "a worker starts")}
        (ended,) = log_lines(process, "call")
    assert started.keys() == pids
    assert ended["worker"] == started[taker]


def test_client_that_is_gone_from_its_worker_is_gone_for_all(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """A cancelled call is counted by its own worker, and told by each."""
    with serve_with_workers(upstream, tmp_path) as process:
        stream = open_stream(upstream, process.port, settled_workers(process, 2))
        stream.connection.abort()
        wait_until_counted(process.port, CANCELLED, 1)
        for _ in range(8):
            page = counted(process.port)
            assert (page[CANCELLED], page[OPEN]) == (1, 0)
        stream.gate.open()
        assert process.terminate() == 0


def test_request_in_a_queue_at_shutdown_is_not_left_waiting(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """Workers that are stuck take nothing; at the signal their queues end all the same."""
    with serve_with_workers(upstream, tmp_path, shutdown_grace=0) as process:
        pids = settled_workers(process, 2)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        with RawConnection(process.port) as connection:
            connection.send(HEALTH)
            process.send_signal(signal.SIGTERM)
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
            assert connection.wait_until_closed() in {"fin", "rst"}
        assert process.wait() == 0
