"""The parent of the workers: it starts them, starts them anew when they die, and stops them.

It does nothing else, so that nothing else can bring it down: it has no thread and no event loop,
and reads nothing that comes from the network.
"""

import os
import signal
import time
from dataclasses import dataclass
from typing import Protocol

import structlog

from .forks import STOP_SIGNALS, Signals, ended_children, fork
from .listening import CannotServeError, SharedPort
from .worker_link import ParentEnd, WorkerEnd, new_link

STEADY_SECONDS = 10.0
"""A worker that lived so long is no sign that the next will die at once."""

DELAY_SECONDS_MIN = 0.5
DELAY_SECONDS_MAX = 30.0
"""How long a worker that keeps dying waits for its next start."""

_log = structlog.get_logger()


class Tasks(Protocol):
    """What is done for the workers; ``work`` and ``seal`` in processes of their own."""

    def work(self, worker: int, link: WorkerEnd) -> int:
        """Be the worker of this number, from 1; return the exit code."""
        ...

    def seal(self) -> int:
        """Seal the bundles of the dead; return the exit code."""
        ...

    def all_started(self) -> None:
        """Be told, once, when every worker is ready or has failed, and one is ready."""
        ...

    def died(self, worker: int) -> None:
        """Be told of a worker that died."""
        ...

    def restarted(self) -> None:
        """Be told that a worker was started in the place of one that died."""
        ...


@dataclass(slots=True, kw_only=True)
class _Process:
    pid: int
    link: ParentEnd
    started: float


@dataclass(slots=True, kw_only=True)
class _Worker:
    number: int
    process: _Process | None = None
    start_at: float = 0.0
    deaths: int = 0
    """In a row, each soon after its start."""
    failure: str | None = None
    """Why it did not become ready, the last time."""

    @property
    def is_ready(self) -> bool:
        return self.process is not None and self.process.link.is_ready


class Workers:
    """So many workers on one port, from ``run``'s begin to its end."""

    def __init__(self, count: int, port: SharedPort, tasks: Tasks) -> None:
        self._port = port
        self._tasks = tasks
        self._workers = [_Worker(number=number) for number in range(1, count + 1)]
        self._sealer: int | None = None
        self._is_seal_due = True
        self._is_told = False
        self._is_stopping = False
        self._have_all_ended_well = True

    def run(self) -> bool:
        """Keep the workers running until SIGTERM or SIGINT has ended them.

        Return whether all ended well then. Raises CannotServeError, with the reason of a worker,
        where none can start.
        """
        try:
            with Signals.caught() as signals:
                while not self._is_over():
                    self._take_turn(signals)
        finally:
            self._end_sealing()
        return self._have_all_ended_well

    def _take_turn(self, signals: Signals) -> None:
        if not self._is_stopping:
            self._start_what_is_due()
        arrived = signals.wait(self._open_links(), self._seconds_to_next_start())
        for link in self._open_links():
            link.hear()
        for pid, code in ended_children():
            self._ended(pid, code)
        if not STOP_SIGNALS.isdisjoint(arrived):
            self._stop()
        self._tell_when_started()

    def _end_sealing(self) -> None:
        """Cut sealing off, as its disk may hang: the next start finishes it."""
        if self._sealer is not None:
            os.kill(self._sealer, signal.SIGKILL)

    def _is_over(self) -> bool:
        if any(worker.process for worker in self._workers):
            return False
        if self._is_stopping:
            return True
        failures = [worker.failure for worker in self._workers if worker.failure]
        if len(failures) < len(self._workers):
            return False
        raise CannotServeError(failures[0])

    def _start_what_is_due(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.process is None and worker.start_at <= now:
                self._start(worker)
        if self._is_seal_due and self._sealer is None:
            self._is_seal_due = False
            try:
                self._sealer = fork(self._seal)
            except OSError as error:
                _log.error("could not seal what a crash left", how=error.strerror)

    def _start(self, worker: _Worker) -> None:
        try:
            self._port.listeners(worker.number)
            ours, theirs = new_link()
            pid = fork(lambda: self._work(worker.number, ours, theirs))
        except OSError as error:
            self._died(worker, f"it could not be forked: {error.strerror}", was_ready=False)
            return
        theirs.close()
        worker.process = _Process(pid=pid, link=ours, started=time.monotonic())
        _log.info("a worker starts", worker=worker.number, pid=pid)
        if worker.deaths:
            self._tasks.restarted()

    def _work(self, number: int, ours: ParentEnd, theirs: WorkerEnd) -> int:
        ours.close()
        self._drop_what_is_others(number)
        return self._tasks.work(number, theirs)

    def _seal(self) -> int:
        self._drop_what_is_others(None)
        return self._tasks.seal()

    def _drop_what_is_others(self, number: int | None) -> None:
        """Close what a child has by inheritance: it would hold links and listeners open."""
        self._port.keep_only(number)
        for worker in self._workers:
            if worker.process is not None:
                worker.process.link.close()

    def _open_links(self) -> list[ParentEnd]:
        links = [worker.process.link for worker in self._workers if worker.process is not None]
        return [link for link in links if link.is_open]

    def _seconds_to_next_start(self) -> float | None:
        waiting = [worker.start_at for worker in self._workers if worker.process is None]
        if self._is_stopping or not waiting:
            return None
        return max(0.0, min(waiting) - time.monotonic())

    def _ended(self, pid: int, code: int) -> None:
        if pid == self._sealer:
            self._sealer = None
            if code != 0:
                _log.error("could not seal what a crash left", how=_how(code))
            return
        for worker in self._workers:
            process = worker.process
            if process is not None and process.pid == pid:
                worker.process = None
                process.link.hear()
                process.link.close()
                self._worker_ended(worker, process, code)

    def _worker_ended(self, worker: _Worker, process: _Process, code: int) -> None:
        self._tasks.died(worker.number)
        if self._is_stopping:
            if code != 0:
                self._have_all_ended_well = False
                _log.error("a worker died", worker=worker.number, pid=process.pid, how=_how(code))
            return
        if time.monotonic() - process.started >= STEADY_SECONDS:
            worker.deaths = 0
        self._is_seal_due = True
        self._died(worker, _how(code), was_ready=process.link.is_ready, said=process.link.failure)

    def _died(self, worker: _Worker, how: str, *, was_ready: bool, said: str | None = None) -> None:
        worker.deaths += 1
        worker.failure = None if was_ready else said or f"a worker cannot start: {how}"
        delay = delay_of_start(worker.deaths, was_ready=was_ready)
        worker.start_at = time.monotonic() + delay
        if delay:
            self._port.leave_to_others(worker.number)
        _log.error(
            "a worker died", worker=worker.number, how=said or how, starts_anew_in_seconds=delay
        )

    def _stop(self) -> None:
        links = [worker.process.link for worker in self._workers if worker.process is not None]
        if self._is_stopping:
            for link in links:
                link.hurry()
            return
        self._is_stopping = True
        _log.info("shutting down")
        # Before the workers close theirs, so that nobody waits in a queue that none will take.
        self._port.close()
        for link in links:
            link.stop()

    def _tell_when_started(self) -> None:
        if self._is_told or not any(worker.is_ready for worker in self._workers):
            return
        if all(worker.is_ready or worker.failure for worker in self._workers):
            self._is_told = True
            self._tasks.all_started()


def delay_of_start(deaths: int, *, was_ready: bool) -> float:
    """Return the seconds until a worker is started anew that died so often in a row.

    One that was ready and dies once is started at once; one that keeps dying, ever later.
    """
    if was_ready and deaths == 1:
        return 0.0
    return min(DELAY_SECONDS_MAX, DELAY_SECONDS_MIN * 2.0 ** (min(deaths, 16) - 1))


def _how(code: int) -> str:
    """Say how a process ended that returned ``code``, or minus a signal's number."""
    if code >= 0:
        return f"it ended with exit code {code}"
    try:
        return f"it was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"it was killed by signal {-code}"
