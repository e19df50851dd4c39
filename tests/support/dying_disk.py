"""A process that dies at its n-th change of the disk, played in the test's own process.

The change at which it dies is not made, or in part if it is a write; none is made after it.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pytest

CHANGES = ("open", "write", "pwritev", "mkdir", "rename", "unlink", "rmdir", "truncate")


class ProcessDied(BaseException):
    """Not an error that code could handle: the process is gone."""


class DyingDisk:
    """Stands before the calls that change the disk, and counts them."""

    def __init__(self, dies_at: int | None, torn_bytes: int) -> None:
        self.changes = 0
        self.written: list[int] = []
        """For each change, how many bytes it was to write; 0 where it is no write."""
        self._dies_at = dies_at
        self._torn_bytes = torn_bytes

    def wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        """`real`, at which the process may die."""

        def call(*args: Any, **kwargs: Any) -> Any:
            if name == "open" and not args[1] & (os.O_CREAT | os.O_TRUNC):
                return real(*args, **kwargs)
            self.changes += 1
            self.written.append(len(_data(name, args)))
            if self._dies_at is not None and self.changes >= self._dies_at:
                if self.changes == self._dies_at and self._torn_bytes:
                    self._tear(name, real, args)
                raise ProcessDied
            return real(*args, **kwargs)

        return call

    def _tear(self, name: str, real: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Let the first bytes of a write reach the disk."""
        part = _data(name, args)[: self._torn_bytes]
        if name == "write":
            real(args[0], part)
        elif name == "pwritev":
            real(args[0], [part], args[2])


def _data(name: str, args: tuple[Any, ...]) -> bytes:
    match name:
        case "write":
            return bytes(args[1])
        case "pwritev":
            buffers: Sequence[bytes] = args[1]
            return b"".join(buffers)
        case _:
            return b""


@contextmanager
def dying_disk(dies_at: int | None = None, *, torn_bytes: int = 0) -> Iterator[DyingDisk]:
    """A disk at whose change of this number, from 1, the process dies; ends the block there."""
    disk = DyingDisk(dies_at, torn_bytes)
    with pytest.MonkeyPatch.context() as patch:
        for name in CHANGES:
            patch.setattr(os, name, disk.wrap(name, getattr(os, name)))
        with suppress(ProcessDied):
            yield disk
