"""`tailrace serve` with several workers: what its parent and its workers have in common.

Workers are forks of a parent that has neither a thread nor an event loop. So what they have in
common is in memory once, one that takes a dead one's place is there in some 20 ms, and it runs the
code and the settings of the others, whatever has become of the files since.
"""

import gc
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TextIO

import structlog

from .listening import CannotServeError, SharedPort
from .logs import LineWriter, configure_logs, configure_logs_without_thread
from .metrics import Metrics, note_death, note_restart
from .retention_thread import applied_retention
from .sealing import seal_dead_bundles
from .serve import RunningProxy, serve_as_worker, tell_start
from .settings import Settings
from .shared_counts import SharedCounts
from .worker_link import WorkerEnd
from .workers import Workers

_PARENT_PAGE = 0
"""Of the counts; the workers are numbered from 1."""

_log = structlog.get_logger()


def serve_with_workers(
    settings: Settings, screen: TextIO, page: AbstractContextManager[None]
) -> bool:
    """Serve until SIGTERM or SIGINT; a second one ends open exchanges at once.

    ``screen`` gets the start screen; ``page`` is open while a worker serves. Return whether every
    worker ended well. Raises CannotServeError.
    """
    configure_logs_without_thread(
        settings.log_level, stream=sys.stderr, is_terminal=sys.stderr.isatty()
    )
    with SharedPort(settings) as port:
        serving = _Serving(
            settings=settings,
            screen=screen,
            page=page,
            port=port,
            counts=SharedCounts(1 + settings.workers),
        )
        # A collection in a worker would write to what it shares with the others.
        gc.collect()
        gc.freeze()
        return Workers(settings.workers, port, serving).run()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Serving:
    """See ``workers.Tasks``."""

    settings: Settings
    screen: TextIO
    page: AbstractContextManager[None]
    port: SharedPort
    counts: SharedCounts

    def work(self, worker: int, link: WorkerEnd) -> int:
        writer = self._configure_logs(worker)
        try:
            metrics = Metrics(self.counts, page=worker)
            # One is enough, and if it dies another takes its number.
            # Both have a thread, which the parent must not.
            is_first = worker == 1
            retention = applied_retention(self.settings) if is_first else nullcontext()
            with retention, self.page if is_first else nullcontext():
                serve_as_worker(self.settings, self.port.listeners(worker), link, metrics)
        except CannotServeError as error:
            link.say_failed(str(error))
            return 1
        except Exception:  # noqa: BLE001 - told, and the parent starts another
            _log.exception("the worker failed")
            return 1
        finally:
            writer.flush()
        return 0

    def seal(self) -> int:
        writer = self._configure_logs(None)
        try:
            seal_dead_bundles(self.settings)
        except Exception:  # noqa: BLE001 - told, and tried again after the next death
            _log.exception("sealing failed")
            return 1
        finally:
            writer.flush()
        return 0

    def all_started(self) -> None:
        host, port = self.port.address
        proxy = RunningProxy(host=host, port=port, trace_dir=self.settings.trace_dir)
        tell_start(proxy, self.settings, self.screen)

    def died(self, worker: int) -> None:
        note_death(self.counts, worker)

    def restarted(self) -> None:
        note_restart(self.counts, _PARENT_PAGE)

    def _configure_logs(self, worker: int | None) -> LineWriter:
        return configure_logs(
            self.settings.log_level,
            stream=sys.stderr,
            is_terminal=sys.stderr.isatty(),
            worker=worker,
        )
