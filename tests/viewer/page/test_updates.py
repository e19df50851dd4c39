"""The stream that tells an open page what changed, and the end of it."""

import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.bundles import BundleBuilder, message
from tests.support.running_page import RunningPage
from tests.support.waiting import wait_until
from viewer.catalog.catalog import Catalog
from viewer.page import updates
from viewer.page.freshness import CHANGES_NAMED_MAX, Change


@pytest.fixture
def bundle(tmp_path: Path) -> BundleBuilder:
    """A bundle with one call that runs."""
    builder = BundleBuilder(tmp_path / "trace-1")
    builder.turn("t")
    builder.start("call-1", "t", [message("user", "Hi")])
    builder.write()
    return builder


def version_of(page: RunningPage) -> str:
    """What the page that is rendered now was made from."""
    return page.get("/").text.partition('data-version="')[2].partition('"')[0]


def test_changed_calls_are_named(bundle: BundleBuilder) -> None:
    """What is appended to a bundle is told, with the calls that it is about."""
    with RunningPage(bundle.path.parent) as page:
        since = version_of(page)
        with page.updates(f"?since={since}") as stream:
            bundle.complete("call-1")
            bundle.write()
            change = stream.next_change()
            assert change is not None
            assert change["calls"] == ["trace-1/call-1"]
            assert change["version"] > int(since)
            bundle.start("call/2 ", "t", [])
            bundle.write()
            change = stream.next_change()
            assert change is not None
            assert change["calls"] == ["trace-1/call%2F2%20"]


def test_page_that_is_behind_is_told_at_once(bundle: BundleBuilder) -> None:
    """What changed between a page and its stream is not missed; nor what did during a break."""
    with RunningPage(bundle.path.parent) as page:
        since = version_of(page)
        bundle.complete("call-1")
        bundle.write()
        with page.updates("?since=0") as stream:
            assert stream.next_change() == {"version": int(since), "calls": None}


@pytest.mark.parametrize("since", ["", "x", "-1", "9" * 30, "%D9%A3"])
def test_version_that_is_none_is_passed_over(bundle: BundleBuilder, since: str) -> None:
    """An address that somebody mangled is answered."""
    with RunningPage(bundle.path.parent) as page:
        page.get("/")
        with page.updates(f"?since={since}") as stream:
            assert stream.status == 200


def test_many_watchers_cost_one_refresh(
    bundle: BundleBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many look, the bundles are read once."""
    lock, reading, most = threading.Lock(), 0, 0
    refresh = Catalog.refresh

    def counted(self: Catalog, *arguments: object) -> None:
        nonlocal reading, most
        with lock:
            reading += 1
            most = max(most, reading)
        refresh(self, *arguments)  # type: ignore[arg-type]  # passed on as they came
        with lock:
            reading -= 1

    monkeypatch.setattr(Catalog, "refresh", counted)
    with RunningPage(bundle.path.parent) as page, ExitStack() as stack:
        since = version_of(page)
        streams = [stack.enter_context(page.updates(f"?since={since}")) for _ in range(8)]
        bundle.complete("call-1")
        bundle.write()
        changes = [stream.next_change() for stream in streams]
    assert changes == [changes[0]] * 8
    assert most == 1


def test_streams_are_bounded(bundle: BundleBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is refused; when one closes, another may come."""
    monkeypatch.setattr(updates, "STREAMS_MAX", 2)
    with RunningPage(bundle.path.parent) as page:
        with page.updates(), page.updates():
            with page.updates() as refused:
                assert refused.status == 503
            assert page.get("/").status == 200

        def comes() -> bool:
            with page.updates() as stream:
                return stream.status == 200

        wait_until(comes, "a place that was left")


def test_open_streams_do_not_hold_the_end_up(bundle: BundleBuilder) -> None:
    """A shutdown ends each stream cleanly, so that a browser comes back by itself."""
    page = RunningPage(bundle.path.parent)
    with page, ExitStack() as stack:
        streams = [stack.enter_context(page.updates()) for _ in range(3)]
        page.stop()
        for stream in streams:
            while stream.next_change() is not None:
                pass


def test_nothing_is_told_where_nothing_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that waits for the first call is told of it alone: it would load itself each time."""
    looks: list[Path] = []
    opened = Catalog.open

    def counted(trace_dir: Path) -> Catalog:
        looks.append(trace_dir)
        return opened(trace_dir)

    monkeypatch.setattr(Catalog, "open", counted)
    with RunningPage(tmp_path / "traces") as page:
        page.get("/")
        with page.updates("?since=0") as stream:
            before = len(looks)
            wait_until(lambda: len(looks) >= before + 3, "it looked in vain")
            bundle = BundleBuilder(tmp_path / "traces" / "trace-1")
            bundle.turn("t")
            bundle.start("call-1", "t", [])
            bundle.write()
            change = stream.next_change()
            assert change is not None
            assert change["version"] > 0


def test_changes_are_merged_for_who_is_slow() -> None:
    """What one stream has not been told yet does not grow with what happens."""
    stream = updates.Stream()
    stream.note(Change(version=1, calls=frozenset({"a"})))
    stream.note(Change(version=2, calls=frozenset({"b"})))
    assert stream.take() == Change(version=2, calls=frozenset({"a", "b"}))
    stream.note(Change(version=3, calls=None))
    stream.note(Change(version=4, calls=frozenset({"c"})))
    assert stream.take() == Change(version=4, calls=None)
    assert stream.take() is None
    for number in range(2 * CHANGES_NAMED_MAX):
        stream.note(Change(version=number, calls=frozenset({str(number)})))
    assert stream.take() == Change(version=2 * CHANGES_NAMED_MAX - 1, calls=None)
