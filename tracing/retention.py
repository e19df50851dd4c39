"""Keeps a trace directory within its limits: the bundles that were written longest ago go first.

What goes is a bundle of ours, whole, that nobody has open: only its lock tells. Nothing else that
lies in the directory is followed or touched.
"""

import fcntl
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from .bundle_lock import bundle_lock
from .events import EVENT_LOG_NAME, MANIFEST_NAME, STREAMS_NAME
from .strict_json import NotStrictJson, loads_strict

_BUNDLE = re.compile(r"trace-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")

_REMOVED = ".removed-"
"""Before the name of a bundle that is being removed: a crash amid that leaves no half bundle."""

_MANIFEST_BYTES_MAX = 1024 * 1024
"""Ours have a few hundred bytes: what is larger is none."""

_BLOCK_BYTES = 512  # the unit of st_blocks, whatever the file system's own


class RetentionBusy(Exception):
    """Another process applies retention to the directory right now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is kept. Bytes on the disk, and seconds since a bundle was last written; 0: no limit."""

    bytes_max: int
    age_max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A bundle that goes, or would go. ``is_old`` is False where it goes for want of room."""

    bundle: Path
    bytes: int
    written_unix: float
    is_old: bool


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What one pass came to."""

    removed: list[Removal] = field(default_factory=list)
    failed: list[tuple[Path, OSError]] = field(default_factory=list)
    """What should have gone and could not be removed."""
    kept: int = 0
    kept_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    name: str
    bytes: int
    written_unix: float


class Retention:
    """The retention of one trace directory. It remembers sizes from one pass to the next."""

    def __init__(
        self, trace_dir: Path, limits: Limits, *, pause: Callable[[], None] = lambda: None
    ) -> None:
        """``pause`` is called for every file; what it raises ends the pass, at any file."""
        self._trace_dir = trace_dir
        self._limits = limits
        self._pause = pause
        self._measured: dict[str, tuple[int, _Kept]] = {}

    def apply(self, now_unix: float, *, dry_run: bool = False) -> Outcome:
        """Remove what is over the limits; with ``dry_run`` only tell what that is.

        Raises RetentionBusy, and OSError where the directory cannot be read.
        """
        try:
            with _only_one(self._trace_dir):
                if not dry_run:
                    self._finish_removals()
                return self._apply(now_unix, dry_run=dry_run)
        except FileNotFoundError:  # it is made when the first call comes
            return Outcome()

    def _apply(self, now_unix: float, *, dry_run: bool) -> Outcome:
        bundles = self._bundles()
        outcome = Outcome(kept=len(bundles), kept_bytes=sum(bundle.bytes for bundle in bundles))
        for bundle in sorted(bundles, key=lambda bundle: (bundle.written_unix, bundle.name)):
            is_old = 0 < self._limits.age_max < now_unix - bundle.written_unix
            is_too_much = 0 < self._limits.bytes_max < outcome.kept_bytes
            if not (is_old or is_too_much):
                continue
            path = self._trace_dir / bundle.name
            try:
                is_removed = self._remove(path, dry_run=dry_run)
            except OSError as error:
                outcome.failed.append((path, error))
                continue
            if is_removed:
                outcome.kept -= 1
                outcome.kept_bytes -= bundle.bytes
                outcome.removed.append(
                    Removal(
                        bundle=path,
                        bytes=bundle.bytes,
                        written_unix=bundle.written_unix,
                        is_old=is_old,
                    )
                )
        return outcome

    def _bundles(self) -> list[_Kept]:
        """Our bundles. Raises OSError."""
        measured: dict[str, tuple[int, _Kept]] = {}
        for name in os.listdir(self._trace_dir):
            if not _is_own_bundle(self._trace_dir / name, name):
                continue
            with suppress(FileNotFoundError):  # deleted meanwhile
                measured[name] = self._measure(name)
        self._measured = measured
        return [kept for _, kept in measured.values()]

    def _measure(self, name: str) -> tuple[int, _Kept]:
        self._pause()
        bundle = self._trace_dir / name
        log = bundle / EVENT_LOG_NAME
        written_ns = (log if log.exists() else bundle).lstat().st_mtime_ns
        # A stream that goes on grows its capture alone.
        captures = [path.lstat().st_mtime_ns for path in (bundle / STREAMS_NAME).glob("*")]
        stamp = max(captures, default=0) + written_ns
        before = self._measured.get(name)
        if before is not None and before[0] == stamp:
            return before
        size = sum(self._bytes_of(path) for path in (bundle, *bundle.rglob("*")))
        return stamp, _Kept(name=name, bytes=size, written_unix=written_ns / 1e9)

    def _bytes_of(self, path: Path) -> int:
        """What a file takes of the disk, as `du` counts it."""
        self._pause()
        try:
            return path.lstat().st_blocks * _BLOCK_BYTES
        except FileNotFoundError:
            return 0

    def _remove(self, bundle: Path, *, dry_run: bool) -> bool:
        """Remove a bundle; False where it is in use. Raises OSError."""
        with bundle_lock(bundle) as is_ours:
            if is_ours and not dry_run:
                hidden = bundle.with_name(_REMOVED + bundle.name)
                bundle.rename(hidden)
                self._delete(hidden)
            return is_ours

    def _finish_removals(self) -> None:
        """Delete what a crash left of bundles that were being removed."""
        for name in os.listdir(self._trace_dir):
            hidden = self._trace_dir / name
            if not name.startswith(_REMOVED) or not _BUNDLE.fullmatch(name[len(_REMOVED) :]):
                continue
            with suppress(OSError):  # it is tried again in the next pass
                if _is_own_bundle(hidden, name[len(_REMOVED) :]):
                    self._delete(hidden)
                else:
                    hidden.rmdir()  # its manifest goes last, so what is left of ours is empty

    def _delete(self, hidden: Path) -> None:
        """Delete a directory that has its hidden name, the manifest last. Raises OSError."""
        directory = os.open(hidden, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            emptied = []
            for at, directories, files, at_fd in os.fwalk(".", dir_fd=directory):
                emptied.append(at)
                for name in [*files, *_links(directories, at_fd)]:
                    self._pause()
                    if (at, name) != (".", MANIFEST_NAME):
                        os.unlink(name, dir_fd=at_fd)
            for at in reversed(emptied[1:]):
                os.rmdir(at, dir_fd=directory)
            os.unlink(MANIFEST_NAME, dir_fd=directory)
        finally:
            os.close(directory)
        hidden.rmdir()


def _links(names: Iterable[str], at_fd: int) -> list[str]:
    """Which of these names in a directory are symlinks."""
    modes = ((name, os.lstat(name, dir_fd=at_fd).st_mode) for name in names)
    return [name for name, mode in modes if stat.S_ISLNK(mode)]


@contextmanager
def _only_one(trace_dir: Path) -> Iterator[None]:
    """Hold the directory against others that apply retention to it."""
    fd = os.open(trace_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RetentionBusy(f"another process applies retention to {trace_dir} now") from None
        yield
    finally:
        os.close(fd)


def _is_own_bundle(path: Path, name: str) -> bool:
    """Whether this is provably a bundle of ours: a directory whose manifest says that name."""
    trace_id = _BUNDLE.fullmatch(name)
    try:
        if trace_id is None or not stat.S_ISDIR(path.lstat().st_mode):
            return False
        manifest = loads_strict(_read_file(path / MANIFEST_NAME))
    except (OSError, NotStrictJson):
        return False
    match manifest:
        case {"producer": {"name": "tailrace"}, "trace_id": str(told)}:
            return told == trace_id[1]
        case _:
            return False


def _read_file(path: Path) -> bytes:
    # A pipe would block, and a link may lead anywhere.
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        return file.read(_MANIFEST_BYTES_MAX)
