"""Traces that somebody deletes while they are written: the next ones stand in a new bundle."""

import shutil
from pathlib import Path

import pytest

from tests.support.captured_log import captured_log
from tests.support.disk_trouble import (
    BEGUN,
    COMPLETED,
    HELLO,
    REFUSED,
    STREAM,
    OpenStream,
    assert_all_say_hello,
    lost,
    one_call,
    proxy_before,
    told_losses,
    wait_until_written,
)
from tests.support.reduced import calls, only, reduced, said
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.terminals import assert_one_terminal_each
from tests.support.waiting import wait_until


def captured_bytes(trace_dir: Path) -> int:
    """The size of all captures so far."""
    return sum(path.stat().st_size for path in trace_dir.glob("trace-*/streams/*"))


def test_trace_dir_deleted_before_the_first_call(
    upstream: ScriptedUpstream, trace_dir: Path
) -> None:
    """It is made when it is needed."""
    trace_dir.mkdir()
    with captured_log() as log, proxy_before(upstream, trace_dir) as proxy:
        trace_dir.rmdir()
        one_call(upstream, proxy)
        proxy.stop()
        assert REFUSED not in log.text()
    assert_all_say_hello(proxy.bundles(), 1)


@pytest.mark.parametrize("what", ["the directory", "the bundle"])
def test_deleted_mid_stream(upstream: ScriptedUpstream, trace_dir: Path, what: str) -> None:
    """The open call and later ones go on in another bundle; what was deleted of it is told."""
    with captured_log() as log, proxy_before(upstream, trace_dir) as proxy:
        one_call(upstream, proxy)
        stream = OpenStream(upstream, proxy.port)
        wait_until_written(trace_dir, "inference_started", 2)
        wait_until(lambda: captured_bytes(trace_dir) > len(STREAM) + len(BEGUN), "its capture")
        shutil.rmtree(trace_dir if what == "the directory" else only(proxy.bundles()))
        assert stream.finish().cut is False
        one_call(upstream, proxy)
        wait_until_written(trace_dir, COMPLETED, 2)
        counted = lost(proxy)
        proxy.stop()
        assert REFUSED not in log.text()
    assert_one_terminal_each(only(proxy.bundles()))
    state = reduced(proxy.bundles())
    assert [said(state, call) for call in calls(state)] == [HELLO] * 2
    torn = calls(state)[0]["proxy"]
    assert torn["capture"]["lost_bytes"] == len(BEGUN)
    assert counted == {"capture_bytes": len(BEGUN), "request_bytes": torn["request"]["bytes"]}
    assert told_losses(only(proxy.bundles())) == counted


def test_trace_dir_deleted_at_the_end(upstream: ScriptedUpstream, trace_dir: Path) -> None:
    """There is nothing left to close, and the proxy ends as ever."""
    with captured_log() as log, proxy_before(upstream, trace_dir) as proxy:
        one_call(upstream, proxy)
        wait_until_written(trace_dir, COMPLETED, 1)
        shutil.rmtree(trace_dir)
        proxy.stop()
        assert "error" not in log.text()
    assert proxy.bundles() == []
