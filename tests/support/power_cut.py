"""A disk that keeps what was synced and nothing else, as after a loss of power.

The worst that a disk may do: of a file it has the bytes of its last sync, of a directory the names
of its last sync, and the rest is gone. (A real disk may keep more, in any order.)
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Medium:
    """What of the files below `root` is on the medium."""

    def __init__(self, root: Path, on_sync: Callable[["Medium"], None]) -> None:
        self.syncs = 0
        self._root = root
        self._on_sync = on_sync
        self._bytes: dict[int, bytes] = {}
        self._names: dict[int, dict[str, int]] = {}

    def note_sync(self, fd: int) -> None:
        """Take in a file's bytes, or a directory's names, as they are now."""
        path = Path(f"/proc/self/fd/{fd}").readlink()
        if not path.is_relative_to(self._root):
            return
        self.syncs += 1
        inode = os.fstat(fd).st_ino
        if path.is_dir():
            self._names[inode] = {entry.name: entry.stat().st_ino for entry in path.iterdir()}
        else:
            self._bytes[inode] = path.read_bytes()
        self._on_sync(self)

    def restore(self, directory: Path) -> None:
        """Write what is left into an empty directory."""
        self._restore(self._root.stat().st_ino, directory)

    def _restore(self, inode: int, directory: Path) -> None:
        for name, held in self._names.get(inode, {}).items():
            if held in self._names:
                (directory / name).mkdir()
                self._restore(held, directory / name)
            else:
                (directory / name).write_bytes(self._bytes.get(held, b""))


@contextmanager
def medium(
    root: Path, on_sync: Callable[[Medium], None] = lambda _medium: None
) -> Iterator[Medium]:
    """Watch every sync below `root`; `on_sync` is called after each."""
    made = Medium(root, on_sync)

    def watched(real: Callable[[int], None]) -> Callable[[int], None]:
        def sync(fd: int) -> None:
            real(fd)
            made.note_sync(fd)

        return sync

    with pytest.MonkeyPatch.context() as patch:
        for name in ("fsync", "fdatasync"):
            patch.setattr(os, name, watched(getattr(os, name)))
        yield made
