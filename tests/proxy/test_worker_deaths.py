"""Workers that die, and a parent that dies: what is started anew, sealed, and not disturbed."""

import os
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from proxy.workers import DELAY_SECONDS_MAX, delay_of_start
from reducer import reduce_bundle
from tests.support.raw_http import RawConnection, exchange
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.serve_process import ServeProcess
from tests.support.waiting import wait_until
from tests.support.worker_processes import (
    begun_bundles,
    bundles_by_writer,
    is_running,
    kill,
    log_lines,
    settled_workers,
    worker_of,
    workers,
)
from tests.support.worker_streams import (
    HEALTH,
    OPEN,
    RESTARTS,
    counted,
    finish,
    is_refused,
    serve_with_workers,
    statuses,
    stream_on_each,
    wait_until_counted,
)


def test_worker_that_is_killed_is_started_anew_and_its_siblings_feel_nothing(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """Its streams break, its bundle is sealed; theirs go on; no count goes back."""
    with serve_with_workers(upstream, tmp_path) as process:
        streams = stream_on_each(upstream, process)
        dead, alive = streams.values()
        wait_until(lambda: len(begun_bundles(process)) == 2, "both bundles")
        before = counted(process.port)
        assert before[OPEN] == 2
        kill(dead.worker)
        assert dead.body.read_all() == b""
        assert dead.body.end in {"fin", "rst"}
        dead.connection.close()
        wait_until_counted(process.port, RESTARTS, 1)
        after = settled_workers(process, 2)
        assert alive.worker in after
        assert dead.worker not in after
        written = bundles_by_writer(process)
        wait_until(lambda: "aborted" in statuses(written[dead.worker]), "sealed")
        assert "aborted" not in statuses(written[alive.worker])
        for _ in range(8):
            page = counted(process.port)
            assert page[OPEN] == 1
            assert {name for name in before if page[name] < before[name]} == {OPEN}
        finish(alive)
        assert process.terminate() == 0
    assert set(statuses(written[alive.worker])) == {"completed"}
    assert reduce_bundle(written[alive.worker])["recording_complete"] is True
    (line,) = log_lines(process, "sealed a bundle whose writer died")
    assert line["bundle"] == str(written[dead.worker])


def test_next_start_seals_once_what_a_crash_left(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """Of however many workers, nobody seals a bundle that another has sealed."""
    with serve_with_workers(upstream, tmp_path) as crashed:
        streams = stream_on_each(upstream, crashed)
        wait_until(
            lambda: (
                ["running" in statuses(path) for path in begun_bundles(crashed)] == [True, True]
            ),
            "both calls on disk",
        )
        os.kill(crashed.pid, signal.SIGSTOP)  # so that it starts none anew
        for stream in streams.values():
            kill(stream.worker)
        crashed.kill()
        left = begun_bundles(crashed)
        for stream in streams.values():
            stream.connection.close()
    with serve_with_workers(upstream, tmp_path, workers=3) as process:
        wait_until(lambda: all("aborted" in statuses(path) for path in left), "sealed")
        settled_workers(process, 3)
        assert process.terminate() == 0
        lines = log_lines(process, "sealed a bundle whose writer died")
    assert sorted(str(line["bundle"]) for line in lines) == [str(path) for path in left]


def test_workers_end_when_their_parent_is_killed(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """Nobody could stop them later, so they end as at a signal: gracefully."""
    with serve_with_workers(upstream, tmp_path) as process:
        streams = stream_on_each(upstream, process)
        process.kill()
        wait_until(lambda: is_refused(process.port), "the port is closed")
        for stream in streams.values():
            finish(stream)
        written = bundles_by_writer(process)
        wait_until(lambda: not any(map(is_running, streams)), "the workers ended")
    for bundle in written.values():
        assert reduce_bundle(bundle)["recording_complete"] is True


def test_connection_that_waits_for_a_dead_worker_is_served_by_the_next(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """Between a death and the next start nobody is refused."""
    with serve_with_workers(upstream, tmp_path) as process, ExitStack() as stack:
        pids = settled_workers(process, 2)
        os.kill(process.pid, signal.SIGSTOP)
        for pid in pids:
            kill(pid)
        waiting = [stack.enter_context(RawConnection(process.port)) for _ in range(8)]
        for connection in waiting:
            connection.send(HEALTH)
        os.kill(process.pid, signal.SIGCONT)
        for connection in waiting:
            assert connection.read_exchange().body == b"ok\n"
        assert process.terminate() == 0


def test_worker_that_keeps_dying_waits_and_leaves_the_port_to_the_others(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """From its second death in a row it is started later, and no connection waits for it."""
    with serve_with_workers(upstream, tmp_path) as process:
        steady, dying = settled_workers(process, 2)
        for deaths in (1, 2):
            kill(dying)
            wait_until_told(process, deaths)
            if deaths > 1:
                os.kill(process.pid, signal.SIGSTOP)  # so that it stays away
                for _ in range(12):
                    assert exchange(process.port, HEALTH).head.status == 200
                os.kill(process.pid, signal.SIGCONT)
            wait_until_counted(process.port, RESTARTS, deaths)
            # One that seals may be there as well for a while.
            (dying,) = settled_workers(process, 2) - {steady}
            wait_until_taking(process, dying)
        lines = log_lines(process, "a worker died")
        assert process.terminate() == 0
    assert [line["starts_anew_in_seconds"] for line in lines] == [0.0, 1.0]
    assert len({line["worker"] for line in lines}) == 1
    assert {line["how"] for line in lines} == {"it was killed by SIGKILL"}


def wait_until_told(process: ServeProcess, deaths: int) -> None:
    """Wait until the log tells of so many deaths."""
    wait_until(lambda: len(log_lines(process, "a worker died")) == deaths, f"{deaths} deaths")


def wait_until_taking(process: ServeProcess, pid: int) -> None:
    """Wait until this worker has taken a connection."""

    def takes() -> bool:
        with RawConnection(process.port) as connection:
            return worker_of(connection, workers(process)) == pid

    wait_until(takes, f"worker process {pid} takes a connection")


def test_start_is_delayed_ever_more_and_never_without_bound() -> None:
    """One death of a worker that was ready costs no time; each further one more, up to a bound."""
    assert delay_of_start(1, was_ready=True) == 0
    delays = [delay_of_start(deaths, was_ready=False) for deaths in range(1, 2000)]
    assert delays[0] > 0
    assert delays == sorted(delays)
    assert delays[-1] == DELAY_SECONDS_MAX


@pytest.mark.parametrize("count", [1, 2])
def test_second_serve_on_the_port_of_workers_is_refused(
    upstream: ScriptedUpstream, tmp_path: Path, count: int
) -> None:
    """The kernel would let processes of one user share it, all the workers dead included."""
    other = tmp_path / "other"
    other.mkdir()
    with serve_with_workers(upstream, tmp_path) as process:
        pids = settled_workers(process, 2)
        os.kill(process.pid, signal.SIGSTOP)
        for pid in pids:
            kill(pid)
        listen = f"127.0.0.1:{process.port}"
        second = serve_with_workers(upstream, other, workers=count, listen=listen)
        with pytest.raises(AssertionError, match=f"cannot listen on {listen}: Address already"):
            second.__enter__()
        os.kill(process.pid, signal.SIGCONT)
        assert exchange(process.port, HEALTH).head.status == 200
        assert process.terminate() == 0
