"""What the page shows while, and where, the traces cannot be read at once."""

import logging
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.bundles import BundleBuilder, message
from tests.support.running_page import RunningPage
from tests.support.script import GUARD_S
from viewer.catalog.catalog import Catalog
from viewer.catalog.place import CATALOG_NAME

OnProgress = Callable[[int, int], None]


@pytest.fixture
def bundle(tmp_path: Path) -> BundleBuilder:
    """A bundle with one call."""
    builder = BundleBuilder(tmp_path / "trace-1")
    builder.turn("t")
    builder.start("call-1", "t", [message("user", "First.")])
    builder.write()
    return builder


def test_long_reading_is_told_and_holds_nothing_up(
    bundle: BundleBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page comes while the traces are still being read, and says how far that has come."""
    may_end = threading.Event()
    refresh = Catalog.refresh

    def slow(self: Catalog, on_progress: OnProgress | None = None) -> None:
        if on_progress is None:  # it is not the page that reads
            return
        on_progress(1_000_000, 4_000_000)
        assert may_end.wait(GUARD_S)
        refresh(self, on_progress)

    monkeypatch.setattr(Catalog, "refresh", slow)
    with RunningPage(bundle.path.parent) as page:
        early = page.get("/").text
        assert "Reading the traces: 1.0 MB of 4.0 MB" in early
        assert "No calls yet" not in early
        assert page.get("/call/trace-1/call-1").status == 503
        with page.updates() as stream:
            change = stream.next_change()
            assert change is not None
            assert change["calls"] == []
            assert "1.0 MB of 4.0 MB" in page.get("/?fragment=notices").text
            may_end.set()
            while change is not None and change["calls"] == []:
                change = stream.next_change()
        late = page.get("/").text
        assert page.get("/call/trace-1/call-1").status == 200
    assert "First." in late
    assert "Reading the traces" not in late


def test_end_cuts_a_long_reading_off(
    bundle: BundleBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever stops the page does not wait for an index of everything."""
    is_reading, turns = threading.Event(), []

    def endless(_: Catalog, on_progress: OnProgress | None = None) -> None:
        while on_progress is not None:
            is_reading.set()
            turns.append(1)
            on_progress(len(turns), 10**9)

    monkeypatch.setattr(Catalog, "refresh", endless)
    with RunningPage(bundle.path.parent) as page:
        page.get("/")
        assert is_reading.wait(GUARD_S)
    assert [t.name for t in threading.enumerate() if t.name.startswith("reader-")] == []


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (sqlite3.OperationalError("disk I/O error"), "disk I/O error"),
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (ValueError("what a bundle says"), "ValueError; the log"),
    ],
)
def test_failure_to_read_is_told(
    bundle: BundleBuilder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    told: str,
) -> None:
    """The page shows what it knew, says that it may be old, and why; the log has it once."""
    with RunningPage(bundle.path.parent) as page:
        with page.updates() as stream:
            assert stream.next_change() is not None

            def fail(*_: object) -> None:
                raise error

            monkeypatch.setattr(Catalog, "refresh", fail)
            assert stream.next_change() is not None
        html = page.get("/").text
        assert "First." in html
        assert "what is shown may be old" in html
        assert told in html
        assert "what a bundle says" not in html + caplog.text
        assert any(record.levelno == logging.ERROR for record in caplog.records)


def test_deleted_index_is_made_again(bundle: BundleBuilder) -> None:
    """The catalog may be deleted at any time: all that it holds is in the bundles."""
    with RunningPage(bundle.path.parent) as page:
        assert "First." in page.get("/").text
        with page.updates() as stream:
            for path in bundle.path.parent.glob(f"{CATALOG_NAME}*"):
                path.unlink()
            bundle.start("call-2", "t", [message("user", "Second.")])
            bundle.write()
            assert stream.next_change() is not None
        html = page.get("/").text
    assert "First." in html
    assert "Second." in html


def test_directory_that_was_away_for_a_moment(bundle: BundleBuilder, tmp_path: Path) -> None:
    """Where a disk is taken off and put back, the page says what is missing, and comes back."""
    traces = tmp_path / "mounted"
    bundle.path = traces / "trace-1"
    bundle.write()
    with RunningPage(traces) as page:
        assert "First." in page.get("/").text
        traces.rename(tmp_path / "elsewhere")
        away = page.get("/").text
        assert "There is no trace directory" in away
        assert "First." not in away
        (tmp_path / "elsewhere").rename(traces)
        assert "First." in page.get("/").text
        with page.updates() as stream:
            bundle.start("call-2", "t", [message("user", "Second.")])
            bundle.write()
            while "Second." not in page.get("/").text:
                assert stream.next_change() is not None
