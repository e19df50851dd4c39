"""Forks a process without threads, and waits for what its children and signals bring."""

import os
import select
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})

_CAUGHT = frozenset({*STOP_SIGNALS, signal.SIGCHLD})


class HasFileno(Protocol):
    """What can be waited on."""

    def fileno(self) -> int:
        """Its descriptor."""
        ...


class Signals:
    """The signals that came, as something to wait for; made by ``caught``."""

    def __init__(self, arrivals: socket.socket) -> None:
        self._arrivals = arrivals

    @classmethod
    @contextmanager
    def caught(cls) -> Iterator["Signals"]:
        """Catch SIGTERM, SIGINT and SIGCHLD until the block ends; in the main thread."""
        arrivals, written = socket.socketpair()
        arrivals.settimeout(0)
        written.settimeout(0)
        before = {number: signal.signal(number, _do_nothing) for number in _CAUGHT}
        signal.set_wakeup_fd(written.fileno(), warn_on_full_buffer=False)
        try:
            yield cls(arrivals)
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            arrivals.close()
            written.close()

    def wait(self, others: Sequence[HasFileno], seconds: float | None) -> list[int]:
        """Wait for a signal, or for one of the others to be readable; return the signals."""
        readable, _, _ = select.select([self._arrivals, *others], [], [], seconds)
        return list(self._arrivals.recv(4096)) if self._arrivals in readable else []


def fork(run: Callable[[], int]) -> int:
    """Fork a child that ends with what ``run`` returns; return its process id. Raises OSError.

    A terminal and systemd send SIGINT and SIGTERM to all processes at once. A child ignores them:
    what they mean is its parent's to say.
    """
    # A lock that another thread holds would stay locked in the child.
    assert threading.active_count() == 1
    signal.pthread_sigmask(signal.SIG_BLOCK, _CAUGHT)
    try:
        pid = os.fork()
        if pid == 0:
            _run_as_child(run)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _CAUGHT)
    return pid


def ended_children() -> Iterator[tuple[int, int]]:
    """The children that have ended by now: process id, and exit code or minus the signal.

    Also those that are ours only since we are the first process of a container.
    """
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, os.waitstatus_to_exitcode(status)


def _run_as_child(run: Callable[[], int]) -> None:
    code = 1
    try:
        # Otherwise what arrives here would be told to the parent.
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _CAUGHT)
        code = run()
    finally:
        # Nothing of the parent's that is still on the stack may run here.
        os._exit(code)


def _do_nothing(_number: int, _frame: object) -> None:
    """Be told of a signal by the wakeup descriptor; its default would end the process."""
