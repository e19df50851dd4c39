"""The catalog's rows of bundles: which are there on disk, and what was read of each."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tracing.events import EVENT_LOG_NAME, MANIFEST_NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class LogState:
    """An event log as it lies on disk. Where it is unchanged, nothing was written to it."""

    inode: int
    size: int
    ctime_ns: int

    @classmethod
    def of(cls, log: os.stat_result) -> Self:
        """What its status tells."""
        return cls(inode=log.st_ino, size=log.st_size, ctime_ns=log.st_ctime_ns)


UNSEEN = LogState(inode=0, size=0, ctime_ns=0)
"""Of a log that cannot be had: once it can, it is another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleRow:
    """What the catalog knows of a bundle."""

    id: int
    name: str
    log: LogState
    log_offset: int
    log_head: bytes
    is_live: bool


def bundles_on_disk(trace_dir: Path) -> Iterator[tuple[str, LogState]]:
    """The directories with an event log, or with something in its place. Raises OSError where the
    trace directory cannot be read.

    A name with a dot is that of a bundle which is being removed. What cannot be looked into is
    taken for a bundle by its name, and one without an event log by its name and its manifest.
    """
    with os.scandir(trace_dir) as entries:
        for entry in entries:
            name = entry.name
            if name.startswith(".") or not _is_unicode(name):
                continue
            try:
                log = Path(entry.path, EVENT_LOG_NAME).stat(follow_symlinks=False)
            except NotADirectoryError:
                pass
            except FileNotFoundError:
                # The manifest is written last: without both, it is only being made.
                if name.startswith("trace-") and Path(entry.path, MANIFEST_NAME).is_file():
                    yield name, UNSEEN
            except OSError:
                if name.startswith("trace-"):
                    yield name, UNSEEN
            else:
                yield name, LogState.of(log) if stat.S_ISREG(log.st_mode) else UNSEEN


def _is_unicode(name: str) -> bool:
    """Whether a name is what it is in a database; that of no bundle is anything else."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def known_bundles(connection: sqlite3.Connection) -> dict[str, BundleRow]:
    """The bundles in the catalog, by name."""
    rows = connection.execute(
        "SELECT id, name, log_inode, log_size, log_ctime_ns, log_offset, log_head, is_live"
        " FROM bundles"
    )
    return {
        row[1]: BundleRow(
            id=row[0],
            name=row[1],
            log=LogState(inode=row[2], size=row[3], ctime_ns=row[4]),
            log_offset=row[5],
            log_head=row[6],
            is_live=bool(row[7]),
        )
        for row in rows
    }


def add_bundle(
    connection: sqlite3.Connection, name: str, trace_id: str, log: LogState
) -> BundleRow:
    """Add a bundle of which nothing was read yet."""
    cursor = connection.execute(
        "INSERT INTO bundles (name, trace_id, log_inode, log_size, log_ctime_ns, log_offset,"
        " log_head, is_live, is_ended, damaged_lines) VALUES (?, ?, ?, 0, 0, 0, x'', 0, 0, 0)",
        (name, trace_id, log.inode),
    )
    assert cursor.lastrowid is not None
    return BundleRow(
        id=cursor.lastrowid,
        name=name,
        log=LogState(inode=log.inode, size=0, ctime_ns=0),
        log_offset=0,
        log_head=b"",
        is_live=False,
    )


def note_read(
    connection: sqlite3.Connection, bundle: int, log: LogState, log_offset: int, log_head: bytes
) -> None:
    """Note how far a log was read, and what it was then."""
    connection.execute(
        "UPDATE bundles SET log_inode = ?, log_size = ?, log_ctime_ns = ?, log_offset = ?,"
        " log_head = ? WHERE id = ?",
        (log.inode, log.size, log.ctime_ns, log_offset, log_head, bundle),
    )


def note_damage(connection: sqlite3.Connection, bundle: int, damage: str | None) -> None:
    """Note why a log cannot be opened, or that it can; what is wrong in it stays told."""
    connection.execute(
        "UPDATE bundles SET damage = ?1 WHERE id = ?2 AND damaged_lines = 0 AND damage IS NOT ?1",
        (damage, bundle),
    )


def note_liveness(connection: sqlite3.Connection, bundle: int, *, is_live: bool) -> bool:
    """Note whether a bundle is written; one that has ended is not. Tell whether that is news."""
    return (
        connection.execute(
            "UPDATE bundles SET is_live = ?1 AND NOT is_ended"
            " WHERE id = ?2 AND is_live <> (?1 AND NOT is_ended)",
            (is_live, bundle),
        ).rowcount
        > 0
    )
