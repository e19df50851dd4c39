"""A disk that refuses writes when it is told to, by way of the calls that reach it."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CALLS = ("open", "write", "pwritev", "mkdir")


class FaultyDisk:
    """Stands before `os.open`, `os.write`, `os.pwritev` and `os.mkdir`, and counts their calls."""

    def __init__(self) -> None:
        self.calls = 0
        self._refuses: Callable[[str, int], bool] = lambda _name, _number: False

    def refuse_all(self, *names: str) -> None:
        """From now on refuse these calls, or every one."""
        self._refuses = lambda name, _: not names or name in names

    def refuse_only(self, number: int) -> None:
        """Refuse the call of this number alone, counted from 1 since the disk was made."""
        self._refuses = lambda _, at: at == number

    def accept_all(self) -> None:
        """From now on refuse nothing."""
        self._refuses = lambda _name, _number: False

    def wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        """`real`, which may refuse."""

        def call(*args: Any, **kwargs: Any) -> Any:
            if _is_reading(name, args):
                return real(*args, **kwargs)
            self.calls += 1
            if self._refuses(name, self.calls):
                raise OSError(errno.ENOSPC, f"{name}: {os.strerror(errno.ENOSPC)}")
            return real(*args, **kwargs)

        return call


def _is_reading(name: str, args: tuple[Any, ...]) -> bool:
    return name == "open" and args[1] & (os.O_WRONLY | os.O_RDWR) == 0


@contextmanager
def faulty_disk() -> Iterator[FaultyDisk]:
    """A disk that refuses nothing yet."""
    disk = FaultyDisk()
    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, disk.wrap(name, getattr(os, name)))
        yield disk
