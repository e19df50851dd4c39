"""Logs that cannot be read, or not whole, are told, and cost no other bundle anything."""

import os
from pathlib import Path
from typing import BinaryIO

import pytest

from viewer.catalog import event_log, refreshing
from viewer.catalog.catalog import Catalog

from .catalog_contents import calls_by_id, refreshed, rows
from .growing_bundles import a_bundle, add_call


def test_damaged_lines_are_passed_over_and_told(tmp_path: Path) -> None:
    """The rest of the log is read; the first damage is told, and how many lines are."""
    builder = a_bundle(tmp_path)
    builder.raw_line(b'{"schema_version": 2, "se')
    at = sum(len(line) + 1 for line in builder.lines[:-1])
    add_call(builder, "after")
    builder.raw_line(b"\xff\x00")
    builder.write()
    with refreshed(tmp_path) as catalog:
        assert "after" in calls_by_id(catalog)
        (bundle,) = rows(catalog, "bundles")
        assert bundle["damaged_lines"] == 2
        assert bundle["damage"] == f"the line at byte {at} of its event log: it is no JSON"


def test_line_without_end_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that is longer than any event is passed over in pieces."""
    monkeypatch.setattr(event_log, "LINE_BYTES_MAX", 4096)
    builder = a_bundle(tmp_path)
    builder.raw_line(b"[" + b" " * 10_000 + b"]")
    add_call(builder, "after")
    builder.write()
    with refreshed(tmp_path) as catalog:
        assert list(calls_by_id(catalog)) == ["c1.0", "after"]
        (bundle,) = rows(catalog, "bundles")
        assert bundle["damage"].endswith("it is longer than 4096 bytes")


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        ("fifo", "its event log cannot be read: it is no plain file"),
        ("directory", "its event log cannot be read: it is a directory"),
        ("link", "its event log cannot be read: it is a link, which is not followed"),
        ("nothing", "its event log, trace.jsonl, is missing"),
    ],
)
def test_what_is_no_log_is_told(tmp_path: Path, kind: str, damage: str) -> None:
    """It costs the other bundles nothing: a FIFO stops nobody, and a link is not followed."""
    a_bundle(tmp_path).write()
    odd = tmp_path / "trace-odd"
    odd.mkdir()
    (odd / "manifest.json").write_text("{}")
    match kind:
        case "fifo":
            os.mkfifo(odd / "trace.jsonl")
        case "directory":
            (odd / "trace.jsonl").mkdir()
        case "link":
            (odd / "trace.jsonl").symlink_to("../trace-1/trace.jsonl")
    with refreshed(tmp_path) as catalog:
        told = {row["name"]: row["damage"] for row in rows(catalog, "bundles")}
        assert told == {"trace-1": None, "trace-odd": damage}
        assert list(calls_by_id(catalog)) == ["c1.0"]
        version = catalog.version
        catalog.refresh()
        assert catalog.version == version


def test_what_is_no_bundle_is_passed_over(tmp_path: Path) -> None:
    """A bundle in the making, which has no manifest yet; what has another name; what is a file."""
    a_bundle(tmp_path).write()
    (tmp_path / "trace-new" / "payloads").mkdir(parents=True)
    (tmp_path / "an-app").mkdir()
    (tmp_path / "an-app" / "manifest.json").write_text("{}")
    (tmp_path / "trace-old.zip").touch()
    (tmp_path / os.fsdecode(b"trace-\xff")).mkdir()
    (tmp_path / os.fsdecode(b"trace-\xff") / "trace.jsonl").touch()
    with refreshed(tmp_path) as catalog:
        assert [row["name"] for row in rows(catalog, "bundles")] == ["trace-1"]


def test_log_that_goes_and_comes_back(tmp_path: Path) -> None:
    """What a bundle without its log held is forgotten, and read again when it is there."""
    log = a_bundle(tmp_path).write() / "trace.jsonl"
    (log.parent / "manifest.json").write_text("{}")
    with refreshed(tmp_path) as catalog:
        log.rename(tmp_path / "elsewhere")
        catalog.refresh()
        assert calls_by_id(catalog) == {}
        assert [row["damage"] for row in rows(catalog, "bundles")] != [None]
        (tmp_path / "elsewhere").rename(log)
        catalog.refresh()
        assert list(calls_by_id(catalog)) == ["c1.0"]
        assert [row["damage"] for row in rows(catalog, "bundles")] == [None]


def test_log_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other bundles are there, and this one comes when it can be read."""
    a_bundle(tmp_path, 1).write()
    a_bundle(tmp_path, 2).write()
    open_log = event_log.open_log

    def refuse(path: Path) -> object:
        if "trace-1" in str(path):
            raise PermissionError(13, "Permission denied")
        return open_log(path)

    with monkeypatch.context() as patch:
        patch.setattr(refreshing, "open_log", refuse)
        catalog = refreshed(tmp_path)
    with catalog:
        damage = [row["damage"] for row in rows(catalog, "bundles")]
        assert damage == ["its event log cannot be read: Permission denied", None]
        assert list(calls_by_id(catalog)) == ["c2.0"]
        (tmp_path / "trace-1" / "trace.jsonl").chmod(0o600)
        catalog.refresh()
        assert sorted(calls_by_id(catalog)) == ["c1.0", "c2.0"]
        assert [row["damage"] for row in rows(catalog, "bundles")] == [None, None]


def test_bundle_that_may_not_be_entered_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of another user is not passed over in silence; what is named otherwise is no bundle."""
    a_bundle(tmp_path, 1).write()
    (tmp_path / "lost+found").mkdir()
    stat = Path.stat

    def refused(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if path.parent.parent == tmp_path:
            raise PermissionError(13, "Permission denied")
        return stat(path, follow_symlinks=follow_symlinks)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", refused)
        patch.setattr(refreshing, "open_log", refused)
        catalog = refreshed(tmp_path)
    with catalog:
        (bundle,) = rows(catalog, "bundles")
        assert bundle["damage"] == "its event log cannot be read: Permission denied"
        catalog.refresh()
        assert list(calls_by_id(catalog)) == ["c1.0"]


def test_log_that_breaks_off_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read of a failing disk stays, and the other bundles are read."""
    builder = a_bundle(tmp_path, 1, calls=2)
    a_bundle(tmp_path, 2).write()
    builder.write()
    next_piece = event_log._next_piece
    taken = []

    def fail(log: BinaryIO) -> bytes:
        taken.append(log)
        if len(taken) > len(builder.lines) - 2:
            monkeypatch.setattr(event_log, "_next_piece", next_piece)
            raise event_log.LogUnreadable("Input/output error")
        return next_piece(log)

    monkeypatch.setattr(event_log, "_next_piece", fail)
    with refreshed(tmp_path) as catalog:
        damage = [row["damage"] for row in rows(catalog, "bundles")]
        assert damage == ["its event log cannot be read on: Input/output error", None]
        assert sorted(calls_by_id(catalog)) == ["c1.0", "c2.0"]
        (tmp_path / "trace-1" / "trace.jsonl").chmod(0o600)
        catalog.refresh()
        assert sorted(calls_by_id(catalog)) == ["c1.0", "c1.1", "c2.0"]
        assert [row["damage"] for row in rows(catalog, "bundles")] == [None, None]


def test_who_is_told_may_fail(tmp_path: Path) -> None:
    """A terminal that is gone is no fault of the catalog: what was committed stays."""
    a_bundle(tmp_path).write()

    def gone(_done: int, _total: int) -> None:
        raise BrokenPipeError

    with Catalog.open(tmp_path) as catalog:
        with pytest.raises(BrokenPipeError):
            catalog.refresh(gone)
        catalog.refresh()
        assert list(calls_by_id(catalog)) == ["c1.0"]
        assert (tmp_path / ".catalog.sqlite").exists()
