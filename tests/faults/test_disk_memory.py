"""A disk that takes nothing for long: memory stays bounded, and what was let go is told."""

import gc
import tracemalloc
from pathlib import Path

import pytest

from tests.support.differential import assert_same_answer, call
from tests.support.disk_trouble import (
    COMPLETED,
    STREAM,
    TROUBLES,
    Trouble,
    lost,
    one_call,
    proxy_before,
    told_losses,
    troubled_disk,
    wait_until_written,
)
from tests.support.events import ev_completed, ev_created, ev_text_delta, sse
from tests.support.raw_http import exchange
from tests.support.reduced import calls, only, reduced
from tests.support.script import stream_reply
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.terminals import assert_one_terminal_each
from tests.support.waiting import wait_until
from tracing import recorder

PENDING_BYTES_MAX = 256 * 1024
DELTAS = [sse(ev_text_delta("x" * 10_000), first=number) for number in range(2, 202)]
FLOOD = [sse(ev_created("resp_1")), *DELTAS, sse(ev_completed("resp_1"), first=202)]


@pytest.fixture(autouse=True)
def _tries_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "RETRY_SECONDS", 0.001)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_more_than_memory_may_hold(
    upstream: ScriptedUpstream, trace_dir: Path, trouble: Trouble
) -> None:
    """Content is lost, never a call's ends: counted, and told in the bundle to the byte."""
    with (
        troubled_disk(trouble) as disk,
        proxy_before(upstream, trace_dir, pending_bytes_max=PENDING_BYTES_MAX) as proxy,
    ):
        disk.begin()
        one_call(upstream, proxy)
        disk.wait_until_felt()
        for _ in range(2):
            assert_same_answer(upstream, proxy, stream_reply(*FLOOD))
        counted = lost(proxy)
        disk.end()
        wait_until_written(trace_dir, COMPLETED, 3)
        one_call(upstream, proxy)
        proxy.stop()
        disk.assert_told_once()
    bundle = only(proxy.bundles())
    assert_one_terminal_each(bundle)
    assert counted["capture_bytes"] > 2 * sum(map(len, DELTAS)) - PENDING_BYTES_MAX
    assert told_losses(bundle) == counted
    found = calls(reduced([bundle]))
    assert [call["response_id"] for call in found] == ["resp_1"] * 4
    lost_bytes = [call["proxy"]["capture"]["lost_bytes"] for call in found]
    assert sum(lost_bytes) == counted["capture_bytes"]
    assert lost_bytes[-1] == 0


def held_bytes() -> int:
    """What Python holds of memory now, in bytes."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def test_memory_is_bounded_while_the_disk_hangs(
    upstream: ScriptedUpstream, trace_dir: Path
) -> None:
    """Many times the limit passes; what is held of it, all told, stays near the limit."""
    flood = stream_reply(*FLOOD)
    with (
        troubled_disk("hangs") as disk,
        proxy_before(upstream, trace_dir, pending_bytes_max=PENDING_BYTES_MAX) as proxy,
    ):
        one_call(upstream, proxy)
        disk.begin()
        one_call(upstream, proxy)
        disk.wait_until_felt()
        tracemalloc.start()
        before = held_bytes()
        for _ in range(4):
            upstream.enqueue(flood)
            assert len(exchange(proxy.port, call()).body) == sum(map(len, FLOOD))
        held = held_bytes() - before
        tracemalloc.stop()
        disk.end()
    assert held < 2 * PENDING_BYTES_MAX


def test_heads_of_calls_are_bounded_too(upstream: ScriptedUpstream, trace_dir: Path) -> None:
    """A call costs memory beside its content: past the limit whole calls go untraced, counted."""
    large = call(headers=((b"X-Large", b"x" * 60_000),))
    with (
        troubled_disk("hangs") as disk,
        proxy_before(upstream, trace_dir, pending_bytes_max=PENDING_BYTES_MAX) as proxy,
    ):
        one_call(upstream, proxy)
        disk.begin()
        one_call(upstream, proxy)
        disk.wait_until_felt()
        tracemalloc.start()
        before = held_bytes()
        for _ in range(60):
            upstream.enqueue(stream_reply(STREAM))
            assert exchange(proxy.port, large).body == STREAM
        upstream.requests.clear()
        # The last connections may still be closing.
        wait_until(lambda: held_bytes() - before < 2 * PENDING_BYTES_MAX, "the heads' memory")
        tracemalloc.stop()
        assert lost(proxy)["calls"] > 0
        disk.end()


@pytest.mark.parametrize("trouble", TROUBLES)
def test_loss_is_logged_once(upstream: ScriptedUpstream, trace_dir: Path, trouble: Trouble) -> None:
    """One line when content begins to be lost, whatever the disk does, not one for each piece."""
    with (
        troubled_disk(trouble) as disk,
        proxy_before(upstream, trace_dir, pending_bytes_max=PENDING_BYTES_MAX) as proxy,
    ):
        disk.begin()
        one_call(upstream, proxy)
        disk.wait_until_felt()
        for _ in range(2):
            assert_same_answer(upstream, proxy, stream_reply(*FLOOD))
        assert disk.logged("content of traces is lost") == 1
        disk.end()
        wait_until_written(trace_dir, COMPLETED, 3)
