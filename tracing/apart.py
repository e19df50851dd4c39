"""Runs what would hold the interpreter for long in a process of its own, at the caller's wait.

To parse 10 MB of JSON takes a thread 10 to 30 ms, and no other thread runs meanwhile: every stream
that is being relayed would stand still. Whoever calls here waits as long, but lets the others run.
"""

import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

LARGE_BYTES = 2 * 1024 * 1024
"""What is worth sending: less is parsed in some milliseconds."""

ANSWER_SECONDS_MAX = 60.0
"""After which a process that says nothing is killed. 64 MiB take it two seconds."""

_CHILD = "import sys; sys.path[:] = sys.argv[1:]; from tracing.apart import answer; answer()"

_P = ParamSpec("_P")
_R = TypeVar("_R")


def is_large(size: int) -> bool:
    """Whether so many bytes take long to parse."""
    return size > LARGE_BYTES


class Apart:
    """A process that is started when it is first needed. For one thread at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Return what ``function`` returns there; where that fails, it is called here.

        The function is found by its name in its module; all that goes there and back is copied.
        """
        try:
            found: _R = self._ask((function, args, kwargs))
        except (OSError, EOFError, pickle.PickleError):
            # It died, or could not be started. It is tried again with the next one.
            self.close()
            return function(*args, **kwargs)
        return found

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()  # it holds nothing that could be lost
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with suppress(OSError):
                pipe.close()
        process.wait()

    def _ask(self, question: tuple[Callable[..., _R], tuple[object, ...], object]) -> _R:
        process = self._process = self._process or _start()
        assert process.stdin is not None
        assert process.stdout is not None
        impatience = threading.Timer(ANSWER_SECONDS_MAX, process.kill)
        impatience.daemon = True
        impatience.start()
        try:
            pickle.dump(question, process.stdin, protocol=pickle.HIGHEST_PROTOCOL)
            process.stdin.flush()
            # From a process that we started, through a pipe that nobody else has.
            found: _R = pickle.load(process.stdout)  # noqa: S301 - see above
        finally:
            impatience.cancel()
        return found


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 (our own interpreter and code)
        [sys.executable, "-c", _CHILD, *sys.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # A terminal's Ctrl-C is for the proxy, which then ends this process in its own time.
        start_new_session=True,
    )


def answer() -> None:
    """Answer one question after the other, until the process that asks has ended."""
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    with suppress(EOFError, BrokenPipeError):
        while True:
            function, args, kwargs = pickle.load(questions)  # noqa: S301 (our parent's)
            pickle.dump(function(*args, **kwargs), answers, protocol=pickle.HIGHEST_PROTOCOL)
            del args, kwargs  # while nothing is asked, nothing large is held
            answers.flush()
