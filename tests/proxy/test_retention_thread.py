"""Retention while the proxy serves: beside open streams, and in each way that a pass can end."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from proxy import retention_thread
from proxy.retention_thread import applied_retention
from proxy.settings import Settings
from tests.support.captured_log import captured_log
from tests.support.differential import call
from tests.support.events import ev_created, ev_text_delta, sse, text_stream
from tests.support.raw_http import BodyReader, RawConnection
from tests.support.recording import recording
from tests.support.reduced import only_call, reduced
from tests.support.running_proxy import RunningProxy
from tests.support.script import GUARD_S, Gate, stream_reply
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.serve_process import ServeProcess
from tests.support.waiting import wait_until
from tracing.retention import Outcome, Retention, RetentionBusy
from tracing.verify import verify

STREAM = sse(*text_stream("Hel", "lo"))
BEGUN = sse(ev_created("resp_1"), ev_text_delta("Hel"))


class Passes:
    """Stands before `Retention.apply`: each pass waits for its turn, and is told when it ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ended = threading.Semaphore(0)
        self.outcomes: list[Outcome | BaseException] = []
        real = Retention.apply

        def apply(retention: Retention, now_unix: float) -> Outcome:
            try:
                outcome = real(retention, now_unix)
                self.outcomes.append(outcome)
                return outcome
            except BaseException as error:
                self.outcomes.append(error)
                raise
            finally:
                self.ended.release()

        monkeypatch.setattr(Retention, "apply", apply)

    def wait(self, count: int = 1) -> None:
        """Wait until so many more passes have ended."""
        for _ in range(count):
            assert self.ended.acquire(timeout=GUARD_S), "no pass came to its end"


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Passes:
    """Passes one right after the other."""
    monkeypatch.setattr(retention_thread, "RETENTION_SECONDS", 0.001)
    return Passes(monkeypatch)


def record_ended(trace_dir: Path, count: int = 2) -> list[Path]:
    """Bundles that nobody has open."""
    with recording(trace_dir, bundle_bytes_max=1) as made:
        for _ in range(count):
            made.call(STREAM)
        return made.close()


def settings(trace_dir: Path, **changes: Any) -> Settings:
    """Settings by which nothing is kept that is not in use."""
    return Settings(trace_dir=trace_dir, **{"kept_bytes_max": 1, **changes})


def test_open_streams_are_left_alone(
    upstream: ScriptedUpstream, trace_dir: Path, passes: Passes
) -> None:
    """Pass after pass: what has ended goes, the bundle of an open stream stays and ends whole."""
    old = record_ended(trace_dir)
    gate = Gate()
    upstream.enqueue(stream_reply(BEGUN, gate, STREAM))
    with (
        RunningProxy(f"{upstream.url}/v1", trace_dir, flush_interval=0.001) as proxy,
        RawConnection(proxy.port) as connection,
    ):
        connection.send(call())
        body = BodyReader(connection, connection.read_head())
        assert body.read_until(BEGUN) == BEGUN
        wait_until(lambda: len(proxy.bundles()) == len(old) + 1, "the stream's bundle")
        with applied_retention(settings(trace_dir)):
            passes.wait(5)
        (bundle,) = proxy.bundles()
        gate.open()
        assert (body.read_all(), body.end) == (STREAM, "complete")
    assert verify(bundle).is_whole
    assert only_call(reduced([bundle]))["execution"]["status"] == "completed"


@pytest.mark.parametrize("workers", [1, 2])
def test_serve_applies_it_at_start(
    upstream: ScriptedUpstream, tmp_path: Path, workers: int
) -> None:
    """One line of log for each bundle that goes, with the limit that it was over."""
    old = record_ended(tmp_path / "traces")
    with ServeProcess(
        f"{upstream.url}/v1", tmp_path / "traces", tmp_path, kept_bytes_max=1, workers=workers
    ) as process:
        wait_until(lambda: not any((tmp_path / "traces").iterdir()), "the old bundles gone")
        assert process.terminate() == 0
        lines = [json.loads(line) for line in process.log_path.read_text().splitlines()]
    told = [
        (line["level"], line["bundle"], line["limit"])
        for line in lines
        if line["event"] == "removed a bundle"
    ]
    assert told == [("info", str(bundle), "kept_bytes_max") for bundle in old]


@pytest.mark.parametrize("changes", [{"kept_bytes_max": 0}, {"capture": "off"}])
def test_nothing_is_done_where_nothing_is_asked(
    trace_dir: Path, passes: Passes, changes: dict[str, object]
) -> None:
    """Without a limit, or without traces, no thread looks at the directory."""
    with applied_retention(settings(trace_dir, **changes)):
        assert "tailrace-retention" not in {thread.name for thread in threading.enumerate()}
    assert passes.outcomes == []


def test_end_amid_a_removal(
    trace_dir: Path, passes: Passes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy does not wait for a long removal; the next start finishes it."""
    monkeypatch.setattr(retention_thread, "_FILES_AT_ONCE", 1)
    (bundle,) = record_ended(trace_dir, 1)
    is_stopped = threading.Event()
    real = os.rename

    def rename(source: Path, target: Path) -> None:
        real(source, target)
        thread = threading.current_thread()
        assert isinstance(thread, retention_thread._RetentionThread)
        thread._is_stopping.set()
        is_stopped.set()

    monkeypatch.setattr(os, "rename", rename)
    with applied_retention(settings(trace_dir)):
        assert is_stopped.wait(GUARD_S)
    assert [path.name for path in trace_dir.iterdir()] == [f".removed-{bundle.name}"]
    with applied_retention(settings(trace_dir)):
        passes.wait(2)
    assert list(trace_dir.iterdir()) == []


def test_disk_that_hangs_is_left_behind(trace_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy ends, whatever a pass waits for."""
    monkeypatch.setattr(retention_thread, "STOP_SECONDS", 0.01)
    hangs, disk_is_back, has_ended = threading.Event(), threading.Event(), threading.Event()

    def apply(_retention: Retention, _now_unix: float) -> Outcome:
        hangs.set()
        disk_is_back.wait(GUARD_S)
        has_ended.set()
        return Outcome()

    monkeypatch.setattr(Retention, "apply", apply)
    with applied_retention(settings(trace_dir)):
        assert hangs.wait(GUARD_S)
    assert not has_ended.is_set()
    disk_is_back.set()
    assert has_ended.wait(GUARD_S)


def test_faults_are_told_and_the_next_pass_comes(
    trace_dir: Path, passes: Passes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug, a second process at it, a bundle that cannot go: none ends the thread."""
    record_ended(trace_dir, 2)
    bugs = iter([RuntimeError("a bug"), RetentionBusy("busy")])
    monkeypatch.setattr(Retention, "_finish_removals", lambda _: _raise(next(bugs, None)))
    monkeypatch.setattr(os, "rename", lambda *_: _raise(PermissionError(13, "Permission denied")))
    with captured_log() as log:
        with applied_retention(settings(trace_dir)):
            passes.wait(5)
        lines = [json.loads(line) for line in log.text().splitlines()]
    assert [line["event"] for line in lines] == [
        "retention failed",
        *["cannot remove a bundle"] * 2,
    ]
    assert [line["error"] for line in lines] == ["RuntimeError", *["Permission denied"] * 2]


def _raise(error: BaseException | None) -> None:
    if error is not None:
        raise error
