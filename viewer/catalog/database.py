"""Opens the catalog's file, and makes it anew where it is of another version or damaged.

All in it was read from bundles, so that nothing is lost with it.
"""

import os
import sqlite3
import stat
import time
from contextlib import suppress
from pathlib import Path

from .schema import TABLES, VERSION

APPLICATION_ID = 0x74_72_61_63
"""Tells that a SQLite file is a catalog: "trac"."""

BUSY_SECONDS = 60
"""How long SQLite waits for its own locks: another process may be writing back a large log."""

CACHE_KIB = 32 * 1024
"""Of pages in memory. Digests and ids fall anywhere in their indexes, and 100,000 calls have
about this much of them."""

LOG_BYTES_MAX = 64 * 1024 * 1024
"""Of the write-ahead log, before it is written back: what is written often is written back once."""

PAGE_BYTES = 8192
"""So that a text of some thousand characters is not spread over pages."""

TEXT_BUFFER_BYTES = 8 * 1024 * 1024
"""New words that wait in memory for their place in the index: fewer and larger pieces to merge."""

DAMAGED = frozenset(
    {
        *(sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB),
        *(sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT),
    }
)
"""What SQLite says where a file is none of its own, or what is in it not what it should be."""

NO_PLACE = frozenset(
    {
        *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR),
        *(sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOLFS),
    }
)
"""What it says where the file cannot be written."""


def is_one_of(error: sqlite3.Error, codes: frozenset[int]) -> bool:
    """Whether an error is of one of these kinds, or a finer one of it."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in codes


def connect(path: Path) -> sqlite3.Connection:
    """Open a catalog's file. Transactions are begun and ended by whoever writes.

    Raises sqlite3.Error, and OSError where no plain file is there.
    """
    # Looked at and not opened: closing it would let go of the locks that SQLite has on it.
    if not stat.S_ISREG(path.lstat().st_mode):
        raise PermissionError(f"{path} is no plain file")
    place = f"{path.absolute().as_uri()}?mode=rw"  # none is made
    connection = sqlite3.connect(place, timeout=BUSY_SECONDS, isolation_level=None, uri=True)
    try:
        # A loss of power may cost the latest slices, which are read again, and damages nothing.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_BYTES_MAX // PAGE_BYTES}")
        connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES_MAX}")
    except BaseException:
        connection.close()
        raise
    return connection


def is_current(connection: sqlite3.Connection) -> bool:
    """Whether the file is a catalog of this version. Raises sqlite3.Error."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return (application_id, version) == (APPLICATION_ID, VERSION)


def make_anew(path: Path) -> sqlite3.Connection:
    """Throw away what is there, and make an empty catalog. Raises sqlite3.Error and OSError.

    It gets its name when it is whole, so that nobody opens it before. Whoever has the old one open
    goes on with it until it looks at the file's name again.
    """
    made = path.with_name(f"{path.name}-new")
    remove(made)
    try:
        _make(made)
        remove(path)
        made.rename(path)
    except BaseException:
        with suppress(OSError):
            remove(made)
        raise
    return connect(path)


def remove(path: Path) -> None:
    """Remove a database with what SQLite has beside it. Raises OSError."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)


def _make(path: Path) -> None:
    """Make an empty catalog that only its owner can read."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    connection = connect(path)
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        # By the clock, so that who asks what changed since a version of the old one hears of all.
        first_version = time.time_ns() // 1_000_000
        connection.executescript(
            f"BEGIN; {TABLES}"
            f"INSERT INTO catalog (version, is_linked) VALUES ({first_version}, 1);"
            f"INSERT INTO texts (texts, rank) VALUES ('hashsize', {TEXT_BUFFER_BYTES});"
            f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; COMMIT;"
        )
    finally:
        connection.close()  # what it logged is written back then
