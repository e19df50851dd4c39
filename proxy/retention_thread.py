"""Applies retention while the proxy serves: at its start, then every minute, in a thread.

It takes its time, so that no exchange has to wait for it.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from tracing.retention import Limits, Outcome, Retention, RetentionBusy

from .settings import Settings

RETENTION_SECONDS = 60.0
"""Between two passes: what a minute of traffic writes may be over the limit meanwhile."""

STOP_SECONDS = 1.0
"""How long its end is waited for: it comes within milliseconds, unless the disk hangs."""

_FILES_AT_ONCE = 64
_PAUSE_SECONDS = 0.01
"""So long the thread rests after so many files, which take less than a millisecond: a directory of
a million files is walked in three minutes, at a few percent of a core."""

_log = structlog.get_logger()


@contextmanager
def applied_retention(settings: Settings) -> Iterator[None]:
    """Apply the settings' retention, as long as the context is open."""
    limits = Limits(bytes_max=settings.kept_bytes_max, age_max=settings.kept_age_max)
    if settings.capture == "off" or limits == Limits(bytes_max=0, age_max=0):
        yield
        return
    thread = _RetentionThread(settings.trace_dir, limits)
    thread.start()
    try:
        yield
    finally:
        thread.stop()


class _Stopped(Exception):
    """The proxy ends; what is half removed is removed the next time."""


class _RetentionThread(threading.Thread):
    def __init__(self, trace_dir: Path, limits: Limits) -> None:
        super().__init__(name="tailrace-retention", daemon=True)
        self._retention = Retention(trace_dir, limits, pause=self._rest)
        self._is_stopping = threading.Event()
        self._files = 0
        self._told: set[tuple[Path, int | None]] = set()

    def stop(self) -> None:
        """End it, at the file that it is at; a disk that hangs there is left behind."""
        self._is_stopping.set()
        self.join(STOP_SECONDS)

    def run(self) -> None:
        """Apply retention until it is stopped."""
        while not self._is_stopping.is_set():
            try:
                self._tell(self._retention.apply(time.time()))
            except _Stopped:
                return
            except RetentionBusy:
                pass  # it is being done
            except Exception:  # noqa: BLE001 - told; the next pass may fare better
                _log.exception("retention failed")
            self._is_stopping.wait(RETENTION_SECONDS)

    def _rest(self) -> None:
        self._files += 1
        if self._files % _FILES_AT_ONCE == 0 and self._is_stopping.wait(_PAUSE_SECONDS):
            raise _Stopped

    def _tell(self, outcome: Outcome) -> None:
        for removal in outcome.removed:
            _log.info(
                "removed a bundle",
                bundle=str(removal.bundle),
                bytes=removal.bytes,
                limit="kept_age_max" if removal.is_old else "kept_bytes_max",
            )
        for path, error in outcome.failed:
            if (path, error.errno) not in self._told:
                self._told.add((path, error.errno))
                _log.error("cannot remove a bundle", bundle=str(path), error=error.strerror)
