"""A disk that refuses or hangs changes nothing for traffic, and the trace is whole afterwards."""

import threading
from pathlib import Path

import pytest

from proxy import serve
from tests.support.captured_log import captured_log
from tests.support.disk_trouble import (
    COMPLETED,
    NOT_ALL,
    REFUSED,
    RESUMED,
    TROUBLES,
    OpenStream,
    Trouble,
    assert_all_say_hello,
    lost,
    one_call,
    proxy_before,
    troubled_disk,
    wait_until_written,
    written_events,
)
from tests.support.reduced import calls, reduced
from tests.support.script import GUARD_S
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.waiting import wait_until
from tracing import recorder


@pytest.fixture(autouse=True)
def _tries_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that refused is tried so often that a line of log for each try would show."""
    monkeypatch.setattr(recorder, "RETRY_SECONDS", 0.001)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_disk_in_trouble_from_the_start(
    upstream: ScriptedUpstream, trace_dir: Path, trouble: Trouble
) -> None:
    """Calls go through; when the disk is sound again they are all recorded, by themselves."""
    with troubled_disk(trouble) as disk:
        disk.begin()
        with proxy_before(upstream, trace_dir) as proxy:
            one_call(upstream, proxy)
            disk.wait_until_felt()
            one_call(upstream, proxy)
            assert written_events(trace_dir) == []
            disk.end()
            wait_until_written(trace_dir, COMPLETED, 2)
            assert lost(proxy) == {}
        disk.assert_told_once()
    assert_all_say_hello(proxy.bundles(), 2)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_disk_in_trouble_mid_stream(
    upstream: ScriptedUpstream, trace_dir: Path, trouble: Trouble
) -> None:
    """What memory could hold of the stream and of later calls is written when it can be."""
    with troubled_disk(trouble) as disk, proxy_before(upstream, trace_dir) as proxy:
        stream = OpenStream(upstream, proxy.port)
        wait_until_written(trace_dir, "inference_started", 1)
        disk.begin()
        assert stream.finish().cut is False
        disk.wait_until_felt()
        one_call(upstream, proxy)
        disk.end()
        wait_until_written(trace_dir, COMPLETED, 2)
        assert lost(proxy) == {}
        proxy.stop()
        disk.assert_told_once()
    assert_all_say_hello(proxy.bundles(), 2)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_disk_in_trouble_at_the_end(
    upstream: ScriptedUpstream, trace_dir: Path, trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not hold the shutdown up, which says that not all is there; what is can be read."""
    monkeypatch.setattr(serve, "RECORDER_CLOSE_SECONDS", 0.01)
    with troubled_disk(trouble) as disk, proxy_before(upstream, trace_dir) as proxy:
        one_call(upstream, proxy)
        stream = OpenStream(upstream, proxy.port)
        wait_until_written(trace_dir, COMPLETED, 1)
        wait_until_written(trace_dir, "inference_started", 2)
        disk.begin()
        assert stream.finish().cut is False
        disk.wait_until_felt()
        proxy.stop()
        assert disk.logged(NOT_ALL) == 1
        found = calls(reduced(proxy.bundles()))
        assert [call["execution"]["status"] for call in found] == ["completed", "running"]
        disk.end()
        _wait_until_recorders_have_ended()
    if trouble == "hangs":
        assert_all_say_hello(proxy.bundles(), 2)


def _wait_until_recorders_have_ended() -> None:
    """What a disk held goes on when the disk does; but for the test, its process would be gone."""
    for thread in threading.enumerate():
        if thread.name == "tailrace-recorder":
            thread.join(GUARD_S)
            assert not thread.is_alive()


def test_file_in_the_place_of_the_trace_dir(upstream: ScriptedUpstream, trace_dir: Path) -> None:
    """A real refusal, by the file system: told once, and over when the file is out of the way."""
    trace_dir.touch()
    with captured_log() as log, proxy_before(upstream, trace_dir) as proxy:
        one_call(upstream, proxy)
        wait_until(lambda: REFUSED in log.text(), "a line of log that tells of the file")
        trace_dir.unlink()
        wait_until_written(trace_dir, COMPLETED, 1)
        proxy.stop()
        assert (log.text().count(REFUSED), log.text().count(RESUMED)) == (1, 1)
    assert_all_say_hello(proxy.bundles(), 1)
