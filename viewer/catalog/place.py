"""Where the catalog of a trace directory lies, and the lock of the one process that writes it."""

import fcntl
import os
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

CATALOG_NAME = ".catalog.sqlite"
LOCK_NAME = ".catalog.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A directory that a catalog lies in: the trace directory, or a temporary one."""

    directory: Path

    @property
    def file(self) -> Path:
        """The catalog's file."""
        return self.directory / CATALOG_NAME

    def lock(self) -> BinaryIO:
        """Wait to be the only one that writes, until the file that is given is closed.

        A refresh is many transactions with memory between them, so SQLite's own lock is too short.
        This one ends with its process, however that ends. Raises OSError.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        file = os.fdopen(os.open(self.directory / LOCK_NAME, flags, 0o600), "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except BaseException:
            file.close()
            raise
        return file

    def release(self) -> None:
        """Say that one catalog less lies here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemporaryPlace(Place):
    """A place that lasts as long as somebody of this process uses it."""

    trace_dir: Path

    def release(self) -> None:
        """Remove it if nobody else uses it."""
        _TEMPORARY.release(self.trace_dir)


@dataclass(slots=True)
class _TemporaryDirectories:
    """One for each trace directory: the threads of a process share what was read."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    users: dict[Path, int] = field(default_factory=dict)
    directories: dict[Path, tempfile.TemporaryDirectory[str]] = field(default_factory=dict)

    def of(self, trace_dir: Path) -> Path:
        with self.lock:
            if trace_dir not in self.directories:
                made = tempfile.TemporaryDirectory(
                    prefix="tailrace-catalog-", ignore_cleanup_errors=True
                )
                self.directories[trace_dir] = made
            self.users[trace_dir] = self.users.get(trace_dir, 0) + 1
            return Path(self.directories[trace_dir].name)

    def release(self, trace_dir: Path) -> None:
        with self.lock:
            self.users[trace_dir] -= 1
            if not self.users[trace_dir]:
                del self.users[trace_dir]
                self.directories.pop(trace_dir).cleanup()


_TEMPORARY = _TemporaryDirectories()


def has_temporary_place(trace_dir: Path) -> bool:
    """Whether this process has a temporary catalog of a directory open."""
    return trace_dir in _TEMPORARY.directories


def temporary_place(trace_dir: Path) -> TemporaryPlace:
    """A place for the catalog of a directory that cannot be written. Raises OSError."""
    return TemporaryPlace(directory=_TEMPORARY.of(trace_dir), trace_dir=trace_dir)
