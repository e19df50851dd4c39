"""Following a trace directory: each call that ends is told once, and those that run are known."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bundles import BundleBuilder, message
from tests.support.events import ev_created, sse, text_stream
from tests.support.recording import SSE_HEAD, Recording, answer, call_id, recording
from tracing.exchange_trace import CallTrace
from tracing.terminal import TransportEnd
from viewer.catalog.catalog import Catalog
from viewer.catalog.rows import CallFilter
from viewer.terminal import following
from viewer.terminal.following import Following, News

ANSWER = [sse(*text_stream("Hi"))]


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Recording]:
    """A recorder whose first call has ended."""
    with recording(tmp_path) as made:
        made.call(*ANSWER)
        made.journal.flush()
        yield made


@pytest.fixture
def catalog(recorded: Recording) -> Iterator[Catalog]:
    """The catalog of what it wrote."""
    with Catalog.open(recorded.trace_dir) as opened:
        opened.refresh()
        yield opened


def begin(recorded: Recording) -> CallTrace:
    """Begin a call, and answer the beginning of a stream."""
    trace = recorded.ask()
    trace.response_started(200, SSE_HEAD)
    trace.response_piece(sse(ev_created()))
    recorded.journal.flush()
    return trace


def told(news: News) -> tuple[list[int], list[int]]:
    """The numbers of the calls that ended, and of those that run."""
    numbers = {str(call_id(number)): number for number in range(1, 20)}
    return (
        [numbers[row.call_id] for row in news.ended],
        [numbers[row.call_id] for row in news.running],
    )


def test_a_call_is_told_once_when_it_ended(recorded: Recording, catalog: Catalog) -> None:
    """It runs until then; what ended before, and is read again, is no news."""
    follow = Following(catalog, CallFilter())
    assert told(follow.last(10)) == ([1], [])
    assert told(follow.look()) == ([], [])
    trace = begin(recorded)
    assert told(follow.look()) == ([], [2])
    assert told(follow.look()) == ([], [2])
    answer(trace, ANSWER)
    recorded.call(*ANSWER)
    recorded.journal.flush()
    assert told(follow.look()) == ([2, 3], [])
    assert told(follow.look()) == ([], [])


def test_one_begins_with_the_last_calls(recorded: Recording, catalog: Catalog) -> None:
    """The oldest of them first, and with those that run, which are news when they end."""
    trace = begin(recorded)
    recorded.call(*ANSWER)
    recorded.call(*ANSWER)
    recorded.journal.flush()
    catalog.refresh()
    assert told(Following(catalog, CallFilter()).last(2)) == ([3, 4], [2])
    follow = Following(catalog, CallFilter())
    assert told(follow.last(0)) == ([], [2])
    answer(trace, ANSWER)
    recorded.journal.flush()
    assert told(follow.look()) == ([2], [])


def test_calls_that_are_not_wanted_are_not_told(recorded: Recording, catalog: Catalog) -> None:
    """What a filter says may only be known when a call ended."""
    failed = Following(catalog, CallFilter(statuses=frozenset({"failed"})))
    assert told(failed.last(10)) == ([], [])
    first, second = begin(recorded), begin(recorded)
    assert told(failed.look()) == ([], [])
    answer(first, [], status=500, end=TransportEnd.EOF)
    answer(second, ANSWER)
    recorded.journal.flush()
    assert told(failed.look()) == ([2], [])


def test_a_call_whose_recorder_died_has_ended(recorded: Recording, catalog: Catalog) -> None:
    """Once, as lost."""
    follow = Following(catalog, CallFilter())
    begin(recorded)
    follow.look()
    recorded.crash()
    news = follow.look()
    assert told(news) == ([2], [])
    assert news.ended[0].is_lost
    assert told(follow.look()) == ([], [])


def test_a_call_of_codex_may_still_end(tmp_path: Path) -> None:
    """Nothing tells whether the writer of its bundle lives, so it is not told to be lost."""
    builder = BundleBuilder(tmp_path / "trace-1")
    builder.turn("turn")
    builder.write()
    with Catalog.open(tmp_path) as catalog:
        catalog.refresh()
        follow = Following(catalog, CallFilter())
        builder.start(str(call_id(1)), "turn", [message("user", "Hi")])
        builder.write()
        assert told(follow.look()) == ([], [])
        builder.complete(str(call_id(1)))
        builder.write()
        assert told(follow.look()) == ([1], [])


def test_what_is_pruned_is_forgotten(recorded: Recording, catalog: Catalog) -> None:
    """It is not told that it ended, and what comes next is."""
    follow = Following(catalog, CallFilter())
    begin(recorded)
    assert told(follow.look()) == ([], [2])
    (bundle,) = recorded.bundles()
    shutil.rmtree(bundle)
    assert told(follow.look()) == ([], [])
    with recording(recorded.trace_dir) as other:
        other.call(*ANSWER)
        other.close()
    assert told(follow.look()) == ([1], [])


def test_many_new_calls_are_read_in_several_looks(
    recorded: Recording, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them, each once, though nothing changes on the disk meanwhile."""
    monkeypatch.setattr(following, "NEW_MAX", 2)
    follow = Following(catalog, CallFilter())
    for _ in range(5):
        recorded.call(*ANSWER)
    recorded.journal.flush()
    looks = [told(follow.look())[0] for _ in range(4)]
    assert looks == [[2, 3], [4, 5], [6], []]


def test_a_trace_dir_that_is_gone_is_waited_for(tmp_path: Path) -> None:
    """Who deletes all traces and begins again sees what is new."""
    traces = tmp_path / "traces"

    def bundle(call: str) -> None:
        builder = BundleBuilder(traces / f"trace-{call}", trace_id=call)
        builder.turn("t")
        builder.start(call, "t", [message("user", "Hi")])
        builder.complete(call)
        builder.write()

    bundle("first")
    with Catalog.open(traces) as catalog:
        catalog.refresh()
        follow = Following(catalog, CallFilter())
        shutil.rmtree(traces)
        assert follow.look() == News(ended=(), running=())
        traces.mkdir()
        assert follow.look().ended == []
        bundle("second")
        assert [row.call_id for row in follow.look().ended] == ["second"]
    assert (traces / ".catalog.sqlite").exists()


def test_a_catalog_that_was_deleted_is_followed_on(recorded: Recording, catalog: Catalog) -> None:
    """It is made anew, and numbers the calls anew: those there are now."""
    follow = Following(catalog, CallFilter())
    for _ in range(3):
        recorded.call(*ANSWER)
    (pruned,) = recorded.close()
    assert told(follow.look()) == ([2, 3, 4], [])
    shutil.rmtree(pruned)
    for file in recorded.trace_dir.glob(".catalog.*"):
        file.unlink()
    with recording(recorded.trace_dir) as other:
        other.call(*ANSWER)
        other.journal.flush()
        follow.look()
        other.call(*ANSWER)
        other.close()
    assert told(follow.look()) == ([2], [])
