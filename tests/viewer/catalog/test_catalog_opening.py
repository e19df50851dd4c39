"""Wherever a catalog can or cannot lie, and whatever lies there, one that works is opened."""

import os
import sqlite3
import stat
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.support.bundles import BundleBuilder, message
from viewer.catalog import refreshing
from viewer.catalog.catalog import Catalog, NoTraces
from viewer.catalog.place import CATALOG_NAME, LOCK_NAME, Place

from .catalog_contents import calls_by_id, refreshed, rows


@pytest.fixture
def trace_dir(tmp_path: Path) -> Path:
    """A trace directory with one call in it."""
    add_bundle(tmp_path / "traces", "c")
    return tmp_path / "traces"


def add_bundle(trace_dir: Path, call: str) -> None:
    """A bundle of one call."""
    builder = BundleBuilder(trace_dir / f"trace-{call}", trace_id=call)
    builder.turn("t")
    builder.start(call, "t", [message("user", f"ask {call}")])
    builder.complete(call)
    builder.write()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary directories are made."""
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def test_no_trace_dir(tmp_path: Path) -> None:
    """Who has not traced yet is told how to begin."""
    with pytest.raises(NoTraces, match=r"there is no trace directory .*nowhere yet; start with"):
        Catalog.open(tmp_path / "nowhere")


def test_no_bundle(tmp_path: Path) -> None:
    """An empty directory gets no catalog."""
    (tmp_path / "other").mkdir()
    with pytest.raises(NoTraces, match=r"no traces in .* yet; start with `tailrace serve`"):
        Catalog.open(tmp_path)
    assert os.listdir(tmp_path) == ["other"]


def test_no_directory(tmp_path: Path) -> None:
    """A file is no trace directory."""
    (tmp_path / "file").touch()
    with pytest.raises(NoTraces, match=r"cannot read .*file: Not a directory"):
        Catalog.open(tmp_path / "file")


def test_only_its_owner_can_read_it(trace_dir: Path) -> None:
    """It holds what the bundles hold; so do the files that SQLite has beside it."""
    before = os.umask(0)
    try:
        with refreshed(trace_dir):
            made = [path for path in trace_dir.iterdir() if path.is_file()]
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in made}
    finally:
        os.umask(before)
    names = (LOCK_NAME, CATALOG_NAME, f"{CATALOG_NAME}-shm", f"{CATALOG_NAME}-wal")
    assert modes == dict.fromkeys(sorted(names), 0o600)


def another_version(file: Path) -> None:
    """As an older tailrace left it."""
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 77")
    connection.execute("DROP TABLE calls")
    connection.close()


def no_database(file: Path) -> None:
    """Something else under its name."""
    file.write_bytes(b"no database at all " * 1000)


def empty(file: Path) -> None:
    """As a crash before the first write leaves it."""
    file.write_bytes(b"")


def cut_off(file: Path) -> None:
    """As a full disk may leave a copy."""
    with file.open("r+b") as data:
        data.truncate(file.stat().st_size // 2)


def scrambled(file: Path) -> None:
    """Pages that are none, behind a head that is in order."""
    data = bytearray(file.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    file.write_bytes(data)


def without_a_table(file: Path) -> None:
    """As somebody who tries things out leaves it."""
    connection = sqlite3.connect(file)
    connection.execute("DROP TABLE names")
    connection.close()


def without_rows(file: Path) -> None:
    """What is written anew is there already, in part."""
    connection = sqlite3.connect(file)
    connection.executescript("DELETE FROM items; DELETE FROM bundles")
    connection.close()


@pytest.mark.parametrize(
    "harm", [another_version, no_database, empty, cut_off, scrambled, without_a_table, without_rows]
)
def test_harmed_catalog_is_made_again(trace_dir: Path, harm: Callable[[Path], None]) -> None:
    """All in it was read from the bundles, and is read again."""
    with refreshed(trace_dir):
        pass
    harm(trace_dir / CATALOG_NAME)
    add_bundle(trace_dir, "new")
    with refreshed(trace_dir) as catalog:
        assert sorted(calls_by_id(catalog)) == ["c", "new"]
        assert catalog.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert not (trace_dir / f"{CATALOG_NAME}-wal").exists()


def test_deleted_while_it_is_open(trace_dir: Path) -> None:
    """It may be deleted at any time: who has it open makes another, with a higher version."""
    with refreshed(trace_dir) as catalog:
        version = catalog.version
        (trace_dir / CATALOG_NAME).unlink()
        catalog.refresh()
        assert list(calls_by_id(catalog)) == ["c"]
        assert (trace_dir / CATALOG_NAME).exists()
        assert catalog.version > version
        assert all(row["changed"] > version for row in rows(catalog))


def test_deleted_amid_a_refresh(
    trace_dir: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite takes a file that was deleted for one that cannot be written; another is made."""
    run = refreshing.Refresh.run

    def delete(*_: object) -> None:
        monkeypatch.setattr(refreshing.Refresh, "run", run)
        (trace_dir / CATALOG_NAME).unlink()
        error = sqlite3.OperationalError("attempt to write a readonly database")
        error.sqlite_errorcode = sqlite3.SQLITE_READONLY_DBMOVED
        raise error

    with Catalog.open(trace_dir) as catalog:
        monkeypatch.setattr(refreshing.Refresh, "run", delete)
        catalog.refresh()
        assert list(calls_by_id(catalog)) == ["c"]
        assert (trace_dir / CATALOG_NAME).exists()
        assert list(temporary.iterdir()) == []


def test_it_is_whole_when_it_is_there(trace_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing goes by its name before the lock is taken: two would get in each other's way."""
    lock, names = Place.lock, []

    def locked(place: Place) -> BinaryIO:
        names.append(sorted(path.name for path in trace_dir.iterdir() if path.is_file()))
        return lock(place)

    monkeypatch.setattr(Place, "lock", locked)
    Catalog.open(trace_dir).close()
    assert names == [[]]
    left = sorted(path.name for path in trace_dir.iterdir() if path.is_file())
    assert left == [LOCK_NAME, CATALOG_NAME]


def test_link_in_its_place(trace_dir: Path, temporary: Path) -> None:
    """Another database, that a link leads to, is neither opened nor made."""
    (trace_dir / CATALOG_NAME).symlink_to("elsewhere")
    with refreshed(trace_dir) as catalog:
        assert list(calls_by_id(catalog)) == ["c"]
        assert len(list(temporary.iterdir())) == 1
    assert not (trace_dir / "elsewhere").exists()


def test_place_that_cannot_be_written_any_more(trace_dir: Path, temporary: Path) -> None:
    """Who only looks goes on in a temporary directory, too."""
    with refreshed(trace_dir) as catalog:
        (trace_dir / CATALOG_NAME).unlink()
        (trace_dir / CATALOG_NAME).mkdir()
        catalog.follow()
        assert rows(catalog) == []
        assert len(list(temporary.iterdir())) == 1
        catalog.refresh()
        assert list(calls_by_id(catalog)) == ["c"]


def test_trace_dir_that_was_away(trace_dir: Path, temporary: Path) -> None:
    """A disk that was unmounted for a moment; meanwhile one is told that nothing is there."""
    away = trace_dir.with_name("away")
    with refreshed(trace_dir) as catalog:
        trace_dir.rename(away)
        for look in (catalog.refresh, catalog.follow):
            with pytest.raises(NoTraces, match="there is no trace directory"):
                look()
        away.rename(trace_dir)
        catalog.follow()
        assert list(calls_by_id(catalog)) == ["c"]
    assert list(temporary.iterdir()) == []


def test_trace_dir_that_cannot_be_written(trace_dir: Path, temporary: Path) -> None:
    """The catalog lies in a temporary directory until it is closed."""
    (trace_dir / CATALOG_NAME).mkdir()
    with refreshed(trace_dir) as catalog:
        assert list(calls_by_id(catalog)) == ["c"]
        assert len(list(temporary.iterdir())) == 1
    assert list(temporary.iterdir()) == []


def test_lock_that_cannot_be_made(trace_dir: Path, temporary: Path) -> None:
    """A lock file of another kind is a directory that cannot be written, too."""
    (trace_dir / LOCK_NAME).symlink_to("elsewhere")
    with refreshed(trace_dir) as catalog:
        assert list(calls_by_id(catalog)) == ["c"]
    assert not (trace_dir / "elsewhere").exists()
    assert list(temporary.iterdir()) == []


def test_threads_share_a_temporary_catalog(trace_dir: Path, temporary: Path) -> None:
    """A page's threads do not each read all bundles, and the last one to leave cleans up."""
    (trace_dir / CATALOG_NAME).mkdir()
    seen = []

    def read() -> None:
        with Catalog.open(trace_dir) as catalog:
            seen.append(list(calls_by_id(catalog)))

    with refreshed(trace_dir):
        reader = threading.Thread(target=read)
        reader.start()
        reader.join()
        assert len(list(temporary.iterdir())) == 1
    assert seen == [["c"]]
    assert list(temporary.iterdir()) == []


def test_full_disk(trace_dir: Path, temporary: Path) -> None:
    """A catalog that cannot grow is left, and one in a temporary directory takes over."""
    with Catalog.open(trace_dir) as catalog:
        for number in range(50):
            add_bundle(trace_dir, f"n{number}")
        (pages,) = catalog.connection.execute("PRAGMA page_count").fetchone()
        catalog.connection.execute(f"PRAGMA max_page_count = {pages}")
        catalog.refresh()
        assert len(rows(catalog)) == 51
        assert len(list(temporary.iterdir())) == 1
        add_bundle(trace_dir, "later")
        catalog.refresh()
        assert len(rows(catalog)) == 52
    assert list(temporary.iterdir()) == []


def test_no_room_anywhere(
    trace_dir: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has no room for an index at all is told so."""
    with Catalog.open(trace_dir) as catalog:

        def fail(*_: object) -> None:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error

        monkeypatch.setattr(refreshing.Refresh, "run", fail)
        with pytest.raises(NoTraces, match=r"cannot index .*: database or disk is full; make room"):
            catalog.refresh()
    assert list(temporary.iterdir()) == []


def test_readers_go_on_while_another_writes(trace_dir: Path) -> None:
    """A list is answered in the middle of a refresh, from what was committed."""
    with Catalog.open(trace_dir) as writer, Catalog.open(trace_dir) as reader:
        writer.connection.execute("BEGIN IMMEDIATE")
        writer.connection.execute("UPDATE catalog SET version = 0")
        assert reader.version > 0
        assert rows(reader) == []
        writer.connection.execute("ROLLBACK")


def test_trace_dir_that_cannot_be_read_any_more(trace_dir: Path) -> None:
    """Who has it open is told why, and not that there is no room."""
    with refreshed(trace_dir) as catalog:
        trace_dir.rename(trace_dir.with_name("moved"))
        trace_dir.touch()
        with pytest.raises(NoTraces, match=r"cannot read .*traces: Not a directory"):
            catalog.refresh()
