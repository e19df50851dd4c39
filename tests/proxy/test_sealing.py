"""Sealing beside the traffic; what a process shows of it is in tests/faults and test_crash."""

from pathlib import Path
from typing import NoReturn

import pytest

from proxy import sealing
from proxy.settings import Settings
from tests.support.bundles import write_dead_bundle
from tests.support.captured_log import captured_log
from tests.support.disk_trouble import assert_all_say_hello, one_call, proxy_before
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.waiting import wait_until


def test_bug_in_sealing_is_told(
    upstream: ScriptedUpstream, trace_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs no traffic."""

    def broken(_trace_dir: Path) -> NoReturn:
        raise RuntimeError("a bug")

    monkeypatch.setattr(sealing, "sealed_one_by_one", broken)
    with captured_log() as log, proxy_before(upstream, trace_dir) as proxy:
        one_call(upstream, proxy)
        wait_until(lambda: "sealing failed" in log.text(), "a line of log that tells of the bug")
    assert_all_say_hello(proxy.bundles(), 1)


def test_nothing_is_sealed_where_nothing_is_traced(trace_dir: Path) -> None:
    """With capture off the directory is left alone."""
    write_dead_bundle(trace_dir / "trace-a")
    log = trace_dir / "trace-a" / "trace.jsonl"
    before = log.read_bytes()
    sealing.seal_dead_bundles(Settings(trace_dir=trace_dir, capture="off"))
    assert log.read_bytes() == before
    with captured_log():
        sealing.seal_dead_bundles(Settings(trace_dir=trace_dir, capture="metadata"))
    assert log.read_bytes() != before
