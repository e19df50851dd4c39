"""Appends to one file, and after a failed write goes on at the byte where that one stopped."""

import os
from pathlib import Path

WRITE_BYTES_MAX = 256 * 1024
"""One write at the most: larger ones hold the file system, and with it the disk's other users."""

_BUFFERS_MAX = 512  # below IOV_MAX, which is 1024 on Linux


class Appender:
    """Buffers what is to be appended, and writes it when it is told to."""

    def __init__(self, path: Path, *, exists: bool = False) -> None:
        """Open ``path``, which only its owner can read. Raises OSError."""
        flags = os.O_RDWR | os.O_CLOEXEC | (0 if exists else os.O_CREAT | os.O_EXCL)
        self.path = path
        self._fd = os.open(path, flags, 0o600)
        self._written = os.lseek(self._fd, 0, os.SEEK_END)
        self._synced = self._written
        self._buffers: list[bytes] = []
        self._buffered = 0

    @property
    def size(self) -> int:
        """The file's length in bytes once all that is buffered is written."""
        return self._written + self._buffered

    def append(self, data: bytes) -> int:
        """Buffer ``data`` and return the offset that it will have."""
        offset = self.size
        self._buffers.append(data)
        self._buffered += len(data)
        return offset

    def flush(self) -> None:
        """Write what is buffered. Raises OSError; what is not written then stays buffered."""
        while self._buffers:
            batch = self._next_batch()
            done = os.pwritev(self._fd, batch, self._written)
            self._written += done
            self._buffered -= done
            self._buffers[: len(batch)] = _rest(batch, done)

    def sync(self) -> None:
        """Wait until what was written would survive a loss of power. Raises OSError."""
        if self._synced != self._written:
            os.fdatasync(self._fd)
            self._synced = self._written

    def read(self, offset: int, size: int) -> bytes:
        """Read what was written before. Raises OSError."""
        return os.pread(self._fd, size, offset)

    def is_gone(self) -> bool:
        """Tell whether the file was deleted or moved under us: writes would miss its place.

        Raises OSError where that cannot be told.
        """
        try:
            return not os.path.samestat(os.fstat(self._fd), self.path.stat())
        except (FileNotFoundError, NotADirectoryError):
            return True

    def close(self) -> None:
        """Close the file; what is still buffered is lost. Raises OSError, and it is closed then."""
        # Linux frees the number even where close fails: a second one would hit another's file.
        fd, self._fd = self._fd, -1
        os.close(fd)

    def _next_batch(self) -> list[bytes]:
        size = 0
        for count, data in enumerate(self._buffers[:_BUFFERS_MAX]):
            size += len(data)
            if size > WRITE_BYTES_MAX and count:
                return self._buffers[:count]
        return self._buffers[:_BUFFERS_MAX]


def _rest(batch: list[bytes], done: int) -> list[bytes]:
    """What a write of ``batch`` left unwritten."""
    if done == sum(map(len, batch)):
        return []
    return [b"".join(batch)[done:]]
