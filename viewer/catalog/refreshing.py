"""Brings the catalog up to what lies on disk: reads what bundles gained, and no more."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from reducer.fields import text_of
from tracing.bundle_reader import BundleReader, NotABundle
from tracing.events import EVENT_LOG_NAME

from .bundle_index import BundleIndex
from .bundle_rows import (
    BundleRow,
    LogState,
    add_bundle,
    note_damage,
    note_liveness,
    note_read,
)
from .call_table import CallTable
from .event_log import HEAD_BYTES, Line, LogUnreadable, lines, open_log
from .linking import forget_bundle, link_new
from .liveness import is_written
from .plan import Plan
from .text_index import NewTexts

SLICE_CHARS = 8 * 1024 * 1024
SLICE_LINES = 10_000
"""New text and events in one transaction: what a crash costs at most, and what waits in memory."""

Progress = Callable[[int, int], None]


class Refresh:
    """One refresh. Whoever runs it is the catalog's only writer meanwhile."""

    def __init__(
        self, connection: sqlite3.Connection, trace_dir: Path, on_progress: Progress | None
    ) -> None:
        self._connection = connection
        self._trace_dir = trace_dir
        self._on_progress = on_progress
        self._version = 0
        """That of the transaction that is open."""
        self._is_changed = False
        self._lines = 0
        """Since the transaction began."""
        self._texts = NewTexts(connection)
        self._bytes_done = 0
        self._bytes_to_do = 0

    def run(self, plan: Plan) -> None:
        """Do all that is to do. Raises sqlite3.Error; what was committed stays."""
        if plan.is_empty:
            return
        self._bytes_to_do = plan.bytes_to_read
        try:
            self._begin()
            for row in plan.gone:
                _remove(self._connection, row.id)
                self._is_changed = True
            for row in plan.died:
                self._note_liveness(row, is_live=False)
            for name, log, known in plan.to_read:
                self._read(name, log, known)
            self._is_changed |= link_new(self._connection, self._version)
            self._commit(is_linked=True)
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _begin(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        (version,) = self._connection.execute("SELECT version FROM catalog").fetchone()
        self._version = version + 1
        self._is_changed = False
        self._lines = 0

    def _commit(self, *, is_linked: bool) -> None:
        self._texts.write()
        if self._is_changed:
            self._connection.execute("UPDATE catalog SET version = ?", (self._version,))
        self._connection.execute("UPDATE catalog SET is_linked = ?", (is_linked,))
        self._connection.execute("COMMIT")
        if self._on_progress is not None:
            # A bundle that was replaced has more to read than it seemed to have gained.
            self._on_progress(self._bytes_done, max(self._bytes_to_do, self._bytes_done))

    def _read(self, name: str, log: LogState, row: BundleRow | None) -> None:
        path = self._trace_dir / name
        try:
            file, head, log = _opened(path / EVENT_LOG_NAME)
        except OSError as error:
            self._note_unreadable(name, log, row, error)
            return
        with file:
            try:
                reader = BundleReader(path, needs_manifest=False)
            except OSError as error:
                self._note_unreadable(name, log, row, error)
                return
            except NotABundle:
                return  # removed just now: the next refresh sees that
            if row is not None and not _goes_on(row, log, head):
                _remove(self._connection, row.id)
                self._is_changed, row = True, None
            if row is None:
                row = self._add(name, text_of(reader.manifest, "trace_id") or name, log)
            # Looked at first: a writer that ends meanwhile is seen to have ended the next time.
            is_live = is_written(path)
            note_damage(self._connection, row.id, None)
            self._read_lines(
                BundleIndex(self._connection, row.id, reader, self._texts), row, file, head, log
            )
            self._note_liveness(row, is_live=is_live)

    def _note_unreadable(
        self, name: str, log: LogState, row: BundleRow | None, error: OSError
    ) -> None:
        """Note why a log cannot be opened; what was read of one that is gone is forgotten."""
        damage = f"its event log cannot be read: {error.strerror or error}"
        if isinstance(error, FileNotFoundError):
            if not (self._trace_dir / name).is_dir():
                return  # removed just now: the next refresh sees that
            damage = f"its event log, {EVENT_LOG_NAME}, is missing"
            if row is not None:
                _remove(self._connection, row.id)
                row = None
        row = row or self._add(name, name, log)
        note_damage(self._connection, row.id, damage)
        note_read(self._connection, row.id, log, row.log_offset, row.log_head)
        self._is_changed = True

    def _add(self, name: str, trace_id: str, log: LogState) -> BundleRow:
        self._is_changed = True
        return add_bundle(self._connection, name, trace_id, log)

    def _read_lines(
        self, index: BundleIndex, row: BundleRow, file: BinaryIO, head: bytes, log: LogState
    ) -> None:
        """Read on from where the log was read; what cannot be read is left for the next time."""
        offset = row.log_offset
        for line in self._lines_of(row, file, log):
            index.take(line, self._version)
            self._bytes_done += line.end - offset
            offset = line.end
            self._is_changed |= index.is_changed
            self._lines += 1
            if self._lines >= SLICE_LINES or self._texts.chars >= SLICE_CHARS:
                # As if the log ended here: the next refresh goes on, if this one does not.
                until_here = LogState(inode=log.inode, size=offset, ctime_ns=0)
                note_read(self._connection, row.id, until_here, offset, head[:offset])
                self._commit(is_linked=False)
                self._begin()
                index.is_changed = False
        note_read(self._connection, row.id, log, offset, head[:offset])

    def _lines_of(self, row: BundleRow, file: BinaryIO, log: LogState) -> Iterator[Line]:
        try:
            yield from lines(file, row.log_offset, log.size)
        except LogUnreadable as error:
            damage = f"its event log cannot be read on: {error}"
            note_damage(self._connection, row.id, damage)
            self._is_changed = True

    def _note_liveness(self, row: BundleRow, *, is_live: bool) -> None:
        """Note whether a bundle that did not end is still written."""
        if note_liveness(self._connection, row.id, is_live=is_live):
            self._is_changed = True
            CallTable(self._connection, row.id).touch_running(self._version)


def _opened(path: Path) -> tuple[BinaryIO, bytes, LogState]:
    """A log, its first bytes, and what it is now. Raises OSError."""
    file = open_log(path)
    try:
        return file, file.read(HEAD_BYTES), LogState.of(os.fstat(file.fileno()))
    except BaseException:
        file.close()
        raise


def _goes_on(row: BundleRow, log: LogState, head: bytes) -> bool:
    """Whether a log is the one that was read, with more behind it."""
    if row.log.inode != log.inode or log.size < row.log_offset:
        return False
    return head.startswith(row.log_head)


def _remove(connection: sqlite3.Connection, bundle: int) -> None:
    """Remove a bundle, and all that was read from it."""
    forget_bundle(connection, bundle)
    of_bundle = "(SELECT id FROM {} WHERE bundle = ?)"
    for statement in (
        f"DELETE FROM texts WHERE rowid IN {of_bundle.format('items')}",
        "DELETE FROM items WHERE bundle = ?",
        f"DELETE FROM names WHERE call IN {of_bundle.format('calls')}",
        "DELETE FROM calls WHERE bundle = ?",
        "DELETE FROM bundles WHERE id = ?",
    ):
        connection.execute(statement, (bundle,))
