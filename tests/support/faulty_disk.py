"""A disk that refuses or hangs when it is told to, by way of the calls that reach it."""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .script import GUARD_S

CALLS = ("open", "write", "pwritev", "mkdir", "fsync", "fdatasync")


class FaultyDisk:
    """Stands before the calls of `os` that write, and counts them."""

    def __init__(self) -> None:
        self.calls = 0
        self._refuses: Callable[[str, int], bool] = lambda _name, _number: False
        self._error = errno.ENOSPC
        self._holds = False
        self._is_held = threading.Event()
        self._let_go = threading.Event()

    def refuse_all(self, *names: str, error: int = errno.ENOSPC) -> None:
        """From now on refuse these calls, or every one, with this error number."""
        self._error = error
        self._refuses = lambda name, _: not names or name in names

    def refuse_only(self, number: int) -> None:
        """Refuse the call of this number alone, counted from 1 since the disk was made."""
        self._refuses = lambda _, at: at == number

    def hang(self) -> None:
        """From now on no call returns before the disk accepts all again."""
        self._is_held.clear()
        self._let_go.clear()
        self._holds = True

    def wait_until_it_hangs(self) -> None:
        """Wait until a call does not return."""
        assert self._is_held.wait(GUARD_S), "nothing was written to the disk that hangs"

    def accept_all(self) -> None:
        """From now on refuse nothing, and let go of what hangs."""
        self._refuses = lambda _name, _number: False
        self._holds = False
        self._let_go.set()

    def wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        """`real`, which may refuse or hang."""

        def call(*args: Any, **kwargs: Any) -> Any:
            if _is_reading(name, args):
                return real(*args, **kwargs)
            self.calls += 1
            if self._holds:
                self._is_held.set()
                self._let_go.wait()
            if self._refuses(name, self.calls):
                raise OSError(self._error, f"{name}: {os.strerror(self._error)}")
            return real(*args, **kwargs)

        return call


def _is_reading(name: str, args: tuple[Any, ...]) -> bool:
    return name == "open" and args[1] & (os.O_WRONLY | os.O_RDWR) == 0


@contextmanager
def failing_close(path: Path) -> Iterator[None]:
    """Every close of the file that has this path now fails, and frees the descriptor: as on NFS."""
    file, real = path.stat(), os.close

    def close(fd: int) -> None:
        is_it = os.path.samestat(os.fstat(fd), file)
        real(fd)
        if is_it:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "close", close)
        yield


@contextmanager
def faulty_disk() -> Iterator[FaultyDisk]:
    """A disk that refuses nothing yet."""
    disk = FaultyDisk()
    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, disk.wrap(name, getattr(os, name)))
        try:
            yield disk
        finally:
            disk.accept_all()
