"""The index of a trace directory: opened, brought up to date, and asked by `queries`."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from .bundle_rows import bundles_on_disk
from .database import DAMAGED, NO_PLACE, connect, is_current, is_one_of, make_anew, remove
from .place import Place, has_temporary_place, temporary_place
from .plan import Plan, make_plan


class NoTraces(Exception):
    """There is nothing to read; the message says what is missing, and what to do."""


class _CannotWrite(OSError):
    """A catalog's file or its lock cannot be made where it should be."""


class Catalog:
    """The catalog of one trace directory. One for each thread that asks.

    It lies in the trace directory, or in a temporary one where that cannot be written. Several
    processes may have it open; one at a time writes it.
    """

    def __init__(self, trace_dir: Path, place: Place, connection: sqlite3.Connection) -> None:
        self.trace_dir = trace_dir
        self.connection = connection
        self._place = place
        self._inode = _inode(place)

    @classmethod
    def open(cls, trace_dir: Path) -> Self:
        """Open the catalog as it is, or an empty one. Raises NoTraces."""
        _check_traces(trace_dir)
        place = Place(directory=trace_dir)
        try:
            return cls(trace_dir, place, _open(place))
        except (sqlite3.Error, _CannotWrite):
            place = _temporary(trace_dir)
            return cls(trace_dir, place, _open(place))

    @property
    def version(self) -> int:
        """The number of the latest change; `calls.changed` is the one that wrote a row last."""
        (version,) = self.connection.execute("SELECT version FROM catalog").fetchone()
        assert isinstance(version, int)
        return version

    def refresh(self, on_progress: Callable[[int, int], None] | None = None) -> None:
        """Read what the bundles gained; waits for another process that does.

        `on_progress` is told now and then how many bytes of event logs were read, and how many
        there are. Raises NoTraces where there is no room for a catalog anywhere.
        """
        try:
            self._refresh(on_progress)
        except _CannotWrite:
            is_damaged = False
        except sqlite3.Error as error:
            if not is_one_of(error, DAMAGED | NO_PLACE):
                raise
            is_damaged = is_one_of(error, DAMAGED)
        else:
            return
        # One that was deleted meanwhile cannot be written, either.
        if is_damaged or _inode(self._place) != self._inode:
            with suppress(sqlite3.Error, _CannotWrite):
                self._renew()
                self._refresh(on_progress)
                return
        self._refresh_elsewhere(on_progress)

    def forget_removed(self) -> None:
        """Drop what it holds of bundles that are gone, and read nothing.

        Raises sqlite3.Error and OSError.
        """
        self.follow()
        if not self._plan().gone:
            return
        from .refreshing import Refresh

        with _lock(self._place):
            removed = replace(self._plan(), to_read=[], died=[])
            Refresh(self.connection, self.trace_dir, None).run(removed)

    def close(self) -> None:
        """Let go of it. A temporary one is removed when nobody of this process has it open."""
        self.connection.close()
        self._place.release()

    def __enter__(self) -> Self:
        """Close it at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def _refresh(self, on_progress: Callable[[int, int], None] | None) -> None:
        self.follow()
        # Without the lock: as a rule there is nothing to do, and nobody to wait for.
        if self._plan().is_empty:
            return
        from .refreshing import Refresh  # only now: with the reducer, it takes long to load

        with _lock(self._place):
            Refresh(self.connection, self.trace_dir, on_progress).run(self._plan())

    def _plan(self) -> Plan:
        try:
            return make_plan(self.connection, self.trace_dir)
        except OSError as error:
            raise NoTraces(f"cannot read {self.trace_dir}: {error.strerror}") from error

    def _refresh_elsewhere(self, on_progress: Callable[[int, int], None] | None) -> None:
        """Once more, in a temporary directory."""
        try:
            self._move()
            self._refresh(on_progress)
        except (sqlite3.Error, _CannotWrite) as error:
            raise NoTraces(
                f"cannot index {self.trace_dir}: {error}; make room there or in the directory for"
                " temporary files (TMPDIR), and try again"
            ) from error

    def follow(self) -> None:
        """Open the file that goes by the name now: somebody may have deleted or renewed it.

        Where another thread had to go on in a temporary directory, that is the one. Raises
        NoTraces where the trace directory is gone, too.
        """
        if type(self._place) is Place and has_temporary_place(self.trace_dir):
            self._move()
        there = _inode(self._place)
        if there is None and not self.trace_dir.is_dir():
            _check_traces(self.trace_dir)
        if there != self._inode:
            try:
                self._reopen()
            except (sqlite3.Error, _CannotWrite):
                self._move()

    def _reopen(self) -> None:
        opened = _open(self._place)  # where that fails, what is open stays
        self.connection.close()
        self.connection = opened
        self._inode = _inode(self._place)

    def _renew(self) -> None:
        """Throw the damaged file away, unless it is gone already, and open another."""
        with _lock(self._place):
            if _inode(self._place) == self._inode:
                _make_anew(self._place).close()
        self._reopen()

    def _move(self) -> None:
        """Go on in a temporary directory."""
        place = _temporary(self.trace_dir)
        self.close()
        self._place = place
        self._reopen()


def _inode(place: Place) -> int | None:
    """Which file goes by the catalog's name."""
    try:
        return place.file.stat().st_ino
    except OSError:
        return None


def forget_removed(trace_dir: Path) -> None:
    """Drop what the catalog, if there is one, holds of bundles that are gone; it reads no bundle.

    Where no bundle is left, neither is the catalog. Raises sqlite3.Error and OSError.
    """
    place = Place(directory=trace_dir)
    if not place.file.exists():
        return
    try:
        with Catalog.open(trace_dir) as catalog:
            catalog.forget_removed()
    except NoTraces:
        remove(place.file)


def _check_traces(trace_dir: Path) -> None:
    advice = "start with `tailrace serve`, or name another directory with --trace-dir"
    try:
        found = next(bundles_on_disk(trace_dir), None)
    except FileNotFoundError:
        raise NoTraces(f"there is no trace directory {trace_dir} yet; {advice}") from None
    except OSError as error:
        raise NoTraces(f"cannot read {trace_dir}: {error.strerror}; {advice}") from None
    if found is None:
        raise NoTraces(f"no traces in {trace_dir} yet; {advice}")


def _temporary(trace_dir: Path) -> Place:
    try:
        return temporary_place(trace_dir)
    except OSError as error:
        raise NoTraces(
            f"cannot index {trace_dir}: neither it nor a temporary directory can be written"
            f" ({error.strerror})"
        ) from error


@contextmanager
def _lock(place: Place) -> Iterator[None]:
    """Be the only one that writes. Raises _CannotWrite."""
    try:
        descriptor = place.lock()
    except OSError as error:
        raise _CannotWrite(str(error)) from error
    with descriptor:
        yield


def _open(place: Place) -> sqlite3.Connection:
    """Open a catalog of this version, or make one. Raises sqlite3.Error and _CannotWrite."""
    connection = _connect_current(place)
    if connection is not None:
        return connection
    with _lock(place):
        # Another process may have made it meanwhile.
        return _connect_current(place) or _make_anew(place)


def _make_anew(place: Place) -> sqlite3.Connection:
    try:
        return make_anew(place.file)
    except OSError as error:
        raise _CannotWrite(str(error)) from error


def _connect_current(place: Place) -> sqlite3.Connection | None:
    """Open the catalog if it is there, of this version, and no damage shows."""
    connection = None
    try:
        connection = connect(place.file)
        if is_current(connection):
            return connection
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _CannotWrite(str(error)) from error
    except sqlite3.Error as error:
        if not is_one_of(error, DAMAGED):
            raise
    if connection is not None:
        connection.close()
    return None
