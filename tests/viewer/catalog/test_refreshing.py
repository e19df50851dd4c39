"""A refresh reads what bundles gained, and forgets what is gone."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.support.bundles import BundleBuilder, message
from tracing.bundle_lock import bundle_lock
from viewer.catalog import bundle_index, event_log, refreshing
from viewer.catalog.catalog import Catalog, forget_removed
from viewer.catalog.place import LOCK_NAME
from viewer.catalog.plan import make_plan

from .catalog_contents import (
    assert_whole,
    calls_by_id,
    contents,
    found,
    refreshed,
    rows,
    texts,
)
from .growing_bundles import a_bundle, add_call, append


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """A catalog of one bundle with one call, up to date."""
    a_bundle(tmp_path).write()
    with refreshed(tmp_path) as catalog:
        yield catalog


def is_up_to_date(catalog: Catalog) -> bool:
    """Whether the next refresh has nothing to do."""
    return make_plan(catalog.connection, catalog.trace_dir).is_empty


def test_nothing_new_is_not_read_again(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle that did not change costs a look at its log's status."""
    version = catalog.version
    monkeypatch.setattr(refreshing, "Refresh", None)
    monkeypatch.setattr(refreshing, "open_log", None)
    catalog.refresh()
    assert catalog.version == version
    assert len(rows(catalog)) == 1


def test_only_what_is_new_is_read(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that grew is read from where it ended."""
    builder = a_bundle(catalog.trace_dir, calls=2)
    offsets = []
    lines = event_log.lines

    def noted(log: BinaryIO, offset: int, size: int) -> Iterator[event_log.Line]:
        offsets.append(offset)
        return lines(log, offset, size)

    monkeypatch.setattr(refreshing, "lines", noted)
    size = (catalog.trace_dir / "trace-1" / "trace.jsonl").stat().st_size
    append(builder)
    catalog.refresh()
    assert offsets == [size]
    assert list(calls_by_id(catalog)) == ["c1.0", "c1.1"]
    assert is_up_to_date(catalog)


def test_rows_that_changed_have_the_version_that_changed_them(catalog: Catalog) -> None:
    """Whoever asks what changed since a version finds the new call and the one that ended."""
    builder = a_bundle(catalog.trace_dir)
    builder.start("running", "t", [])
    append(builder)
    catalog.refresh()
    before = catalog.version
    builder.cancel("running")
    add_call(builder, "new")
    append(builder)
    catalog.refresh()
    changed = {row["call_id"] for row in rows(catalog) if row["changed"] > before}
    assert changed == {"running", "new"}
    assert max(row["changed"] for row in rows(catalog)) == catalog.version


def test_torn_tail_is_left_for_the_next_time(catalog: Catalog) -> None:
    """A line that is being written is no damage, and is read when it is whole."""
    log = catalog.trace_dir / "trace-1" / "trace.jsonl"
    builder = a_bundle(catalog.trace_dir)
    builder.start("c", "t", [message("user", "ask")])
    for name, data in builder.files.items():
        (builder.path / name).write_bytes(data)
    begun, rest = builder.lines[-1][:40], builder.lines[-1][40:]
    with log.open("ab") as file:
        file.write(begun)
        file.flush()
        catalog.refresh()
        assert list(calls_by_id(catalog)) == ["c1.0"]
        assert is_up_to_date(catalog)
        file.write(rest + b"\n")
    catalog.refresh()
    assert list(calls_by_id(catalog)) == ["c1.0", "c"]
    assert rows(catalog, "bundles")[0]["damage"] is None


def test_removed_bundle_is_forgotten(catalog: Catalog) -> None:
    """Nothing of it is left in any table, and readers hear of it."""
    a_bundle(catalog.trace_dir, 2, calls=2).write()
    catalog.refresh()
    version = catalog.version
    shutil.rmtree(catalog.trace_dir / "trace-1")
    catalog.refresh()
    assert list(calls_by_id(catalog)) == ["c2.0", "c2.1"]
    assert found(catalog, "c1of0") == []
    assert found(catalog, "c2of1") == ["c2.1", "c2.1"]
    assert_whole(catalog)
    assert catalog.version > version
    shutil.rmtree(catalog.trace_dir / "trace-2")
    catalog.refresh()
    assert all(not held for held in contents(catalog).values())
    assert_whole(catalog)


def test_what_is_gone_can_be_forgotten_without_reading_the_rest(catalog: Catalog) -> None:
    """As `tailrace prune` does it; what is new waits for whoever reads."""
    a_bundle(catalog.trace_dir, 2).write()
    catalog.refresh()
    a_bundle(catalog.trace_dir, 3).write()
    shutil.rmtree(catalog.trace_dir / "trace-1")
    forget_removed(catalog.trace_dir)
    assert list(calls_by_id(catalog)) == ["c2.0"]
    assert found(catalog, "c1of0") == []
    assert_whole(catalog)
    shutil.rmtree(catalog.trace_dir / "trace-2")
    shutil.rmtree(catalog.trace_dir / "trace-3")
    forget_removed(catalog.trace_dir)
    assert [path.name for path in catalog.trace_dir.iterdir()] == [".catalog.lock"]


def test_what_cannot_be_forgotten_is_an_error(catalog: Catalog) -> None:
    """Who removes bundles is told that the catalog still holds their texts."""
    a_bundle(catalog.trace_dir, 2).write()
    shutil.rmtree(catalog.trace_dir / "trace-1")
    (catalog.trace_dir / LOCK_NAME).unlink()
    (catalog.trace_dir / LOCK_NAME).mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        forget_removed(catalog.trace_dir)


def test_nothing_is_made_in_order_to_forget(tmp_path: Path) -> None:
    """Who never reads traces has no catalog."""
    a_bundle(tmp_path).write()
    forget_removed(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["trace-1"]


def test_ids_of_removed_calls_are_not_given_again(catalog: Catalog) -> None:
    """A page that is open names calls by them."""
    (before,) = rows(catalog)
    shutil.rmtree(catalog.trace_dir / "trace-1")
    a_bundle(catalog.trace_dir, 2).write()
    catalog.refresh()
    (after,) = rows(catalog)
    assert after["id"] > before["id"]


def renamed_over(builder: BundleBuilder) -> None:
    """Another file under the log's name."""
    log = builder.path / "trace.jsonl"
    data = log.read_bytes()
    builder.write()
    aside = builder.path / "aside"
    aside.write_bytes(log.read_bytes())
    log.write_bytes(data)
    aside.rename(log)


def cut_first(builder: BundleBuilder) -> None:
    """The same file, emptied and written again; it is longer than before."""
    builder.write()


def shortened(builder: BundleBuilder) -> None:
    """The same file, cut off."""
    del builder.lines[-1:]
    builder.write()


@pytest.mark.parametrize("replace", [renamed_over, cut_first, shortened])
def test_replaced_bundle_is_read_anew(catalog: Catalog, replace: object) -> None:
    """What was read of another log under the same name is forgotten."""
    builder = a_bundle(catalog.trace_dir, 1)
    if replace is not shortened:
        builder = BundleBuilder(catalog.trace_dir / "trace-1", trace_id="another")
        builder.turn("t")
        for call in ("n1", "n2", "n3"):
            add_call(builder, call)
    assert callable(replace)
    replace(builder)
    catalog.refresh()
    if replace is shortened:
        assert [row["status"] for row in rows(catalog)] == ["running"]
    else:
        assert list(calls_by_id(catalog)) == ["n1", "n2", "n3"]
        assert rows(catalog, "bundles")[0]["trace_id"] == "another"
        assert found(catalog, "c1of0") == []
    assert_whole(catalog)


def test_sealed_bundle_goes_on(catalog: Catalog) -> None:
    """Sealing moves a torn tail away and appends; what was read before stays."""
    log = catalog.trace_dir / "trace-1" / "trace.jsonl"
    whole = log.read_bytes()
    log.write_bytes(whole + b'{"torn')
    catalog.refresh()
    (before,) = rows(catalog)
    builder = a_bundle(catalog.trace_dir)
    builder.end_turn("t", "aborted")
    builder.end("aborted")
    with log.open("r+b") as file:
        file.truncate(len(whole))
        file.seek(len(whole))
        file.write(b"".join(line + b"\n" for line in builder.lines)[len(whole) :])
    catalog.refresh()
    assert rows(catalog) == [before]
    assert rows(catalog, "bundles")[0]["is_ended"] == 1


def test_a_bundle_that_is_being_removed_counts_as_gone(catalog: Catalog) -> None:
    """Its name gets a dot first."""
    bundle = catalog.trace_dir / "trace-1"
    bundle.rename(bundle.with_name(f".removed-{bundle.name}"))
    catalog.refresh()
    assert rows(catalog) == []


def test_missing_trace_dir_has_no_calls(catalog: Catalog) -> None:
    """Who deletes all traces while somebody looks at them sees them go."""
    for path in catalog.trace_dir.glob("trace-*"):
        shutil.rmtree(path)
    catalog.refresh()
    assert rows(catalog) == []


def test_writer_that_dies_is_noticed(tmp_path: Path) -> None:
    """A running call is live while the lock is held, and counts as changed when it is not."""
    builder = a_bundle(tmp_path)
    builder.start("open", "t", [])
    bundle = builder.write()
    with bundle_lock(bundle), refreshed(tmp_path) as catalog:
        assert rows(catalog, "bundles")[0]["is_live"] == 1
        version = catalog.version
        catalog.refresh()
        assert catalog.version == version
    with Catalog.open(tmp_path) as catalog:
        catalog.refresh()
        assert rows(catalog, "bundles")[0]["is_live"] == 0
        changed = {row["call_id"] for row in rows(catalog) if row["changed"] > version}
        assert changed == {"open"}
        assert is_up_to_date(catalog)


def test_looking_does_not_take_the_lock(tmp_path: Path) -> None:
    """Whoever seals or prunes right after a refresh gets the lock."""
    bundle = a_bundle(tmp_path).write()
    with refreshed(tmp_path), bundle_lock(bundle) as is_ours:
        assert is_ours


def test_ended_bundle_is_not_live(tmp_path: Path) -> None:
    """A bundle whose recording is complete is written by nobody, whoever has its lock."""
    builder = a_bundle(tmp_path)
    builder.end()
    bundle = builder.write()
    with bundle_lock(bundle), refreshed(tmp_path) as catalog:
        (row,) = rows(catalog, "bundles")
        assert (row["is_live"], row["is_ended"]) == (0, 1)
        assert is_up_to_date(catalog)


def test_each_name_once(tmp_path: Path) -> None:
    """A call goes by its own id, its response's, its upstream request's and its client's."""
    builder = BundleBuilder(tmp_path / "trace-1")
    builder.turn("t")
    builder.start("c", "t", [], proxy={"client_call_id": "client"})
    builder.cancel("c", upstream_request_id="req", proxy={"response_id": "resp"})
    builder.cancel("c", upstream_request_id="req", proxy={"response_id": "resp"})
    builder.write()
    with refreshed(tmp_path) as catalog:
        names = [(row["name"], row["reversed"]) for row in rows(catalog, "names")]
        assert names == [("c", "c"), ("client", "tneilc"), ("req", "qer"), ("resp", "pser")]


def test_slices_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many transactions leave what one leaves, and each is told."""
    at_once, in_slices = tmp_path / "a", tmp_path / "b"
    a_bundle(at_once, calls=5).write()
    shutil.copytree(at_once, in_slices)
    told = []
    with refreshed(at_once) as expected:
        monkeypatch.setattr(refreshing, "SLICE_LINES", 3)
        with Catalog.open(in_slices) as catalog:
            catalog.refresh(lambda done, total: told.append((done, total)))
            assert contents(catalog) == contents(expected)
    size = (in_slices / "trace-1" / "trace.jsonl").stat().st_size
    assert len(told) == 5
    assert told == sorted(told)
    assert told[-1] == (size, size)


def test_requests_are_forgotten_and_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is held of requests to know it again is bounded, and makes no difference."""
    builder = BundleBuilder(tmp_path / "trace-1")
    builder.turn("t")
    history = [message("user", f"word{number}") for number in range(6)]
    for number in range(1, 7):
        builder.start(f"c{number}", "t", history[:number])
    builder.write()
    monkeypatch.setattr(bundle_index, "SHARED_CHARS_MAX", 100)
    with refreshed(tmp_path) as catalog:
        expected = [(f"c{n + 1}", "request", "user", f"word{n}") for n in range(6)]
        assert texts(catalog) == expected
