"""Runs what would hold the interpreter for long in a process of its own, at the caller's wait.

To parse 10 MB of JSON takes a thread 10 to 30 ms, and no other thread runs meanwhile: every stream
that is being relayed would stand still. Whoever calls here waits as long, but lets the others run.
What a body may make of the memory and the time that it is read in is bounded here as well.
"""

import io
import os
import pickle
import resource
import select
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

LARGE_BYTES = 2 * 1024 * 1024
"""What is worth sending: less is parsed in some milliseconds."""

ANSWER_SECONDS_MAX = 3.0
"""After which a process that says nothing is killed: other calls wait in memory meanwhile, and at
the end the recorder has 5 s for all of them. A text of 64 MiB takes it one second."""

MEMORY_BYTES_MAX = 1408 * 1024 * 1024
"""What the process may have of addresses. orjson asks for twelve times what it parses, and touches
little of it: a text of 64 MiB, the largest body that is kept by default, with a secret to be masked
takes 1296 MiB of addresses and 470 of memory; 16 MiB of empty objects would take 1100 of memory."""

_CHILD = """
import sys
sys.path[:] = sys.argv[2:]
from tracing.apart import answer
answer(int(sys.argv[1]))
"""

_READY = b"!"
"""What the process says first: from then on, where it fails, it failed on what it was asked."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


def is_large(size: int) -> bool:
    """Whether so many bytes take long to parse."""
    return size > LARGE_BYTES


class NotRead(Exception):
    """What was asked took too much time or memory, or failed. Its text holds no content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a question is about: what is counted as lost, and how much, if it is not answered."""

    call_id: str
    what: str
    size: int


class _NotStarted(Exception):
    """There is no process to ask."""


class Apart:
    """A process that is started when it is first needed. For one thread at a time."""

    def __init__(self, count_lost: Callable[[str, int], None]) -> None:
        self._count_lost = count_lost
        self._process: subprocess.Popen[bytes] | None = None
        self._unread: tuple[Content, str] | None = None

    def run(
        self, content: Content, function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs
    ) -> _R:
        """Return what ``function`` returns there, or here where no process can be started.

        The function is found by its name in its module; all that goes there and back is copied.
        Raises NotRead, and counts the content as lost, where the process fails on it: here it
        would take as much time and memory, and nobody could end it.
        """
        if self._unread is not None and self._unread[0] == content:
            # It comes again where the disk refused what was made of it. It is lost only once.
            raise NotRead(self._unread[1])
        try:
            return self._ask((function, args, kwargs))
        except _NotStarted:
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is, only this content is lost by it
            why = _why(error)
            self._unread = content, why
            self._count_lost(content.what, content.size)
            raise NotRead(why) from None
        return function(*args, **kwargs)

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
        deadline = time.monotonic() + ANSWER_SECONDS_MAX
        try:
            process = self._process or self._start(deadline)
            assert process.stdin is not None
            assert process.stdout is not None
            questions = _Questions(process.stdin.fileno(), deadline)
            answers = io.BufferedReader(_Answers(process.stdout.fileno(), deadline))
            pickle.dump(question, questions, protocol=pickle.HIGHEST_PROTOCOL)
            # From a process that we started, through a pipe that nobody else has.
            found: _R = pickle.load(answers)  # noqa: S301 - see above
        except BaseException:
            # What it still says would be taken for the answer to the next question.
            self.close()
            raise
        return found

    def _start(self, deadline: float) -> "subprocess.Popen[bytes]":
        try:
            process = self._process = subprocess.Popen(  # noqa: S603 (our own interpreter and code)
                [sys.executable, "-c", _CHILD, str(MEMORY_BYTES_MAX), *sys.path],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # What an exception there says may hold secrets, and is no line of our log.
                stderr=subprocess.DEVNULL,
                # A terminal's Ctrl-C is for the proxy, which then ends this process in its time.
                start_new_session=True,
            )
        except OSError as error:
            raise _NotStarted from error
        assert process.stdin is not None
        assert process.stdout is not None
        os.set_blocking(process.stdin.fileno(), False)
        if _Answers(process.stdout.fileno(), deadline).read(1) != _READY:
            raise _NotStarted
        return process


def _why(error: Exception) -> str:
    match error:
        case TimeoutError():
            return f"it took more than {ANSWER_SECONDS_MAX:g} s to read"
        case OSError() | EOFError() | pickle.UnpicklingError():
            mebibytes = MEMORY_BYTES_MAX // 1024**2
            return f"the process that read it ended, which may take {mebibytes} MiB of memory"
        case _:
            return f"it could not be read: {type(error).__name__}"


def _wait(fd: int, event: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(fd, event)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise TimeoutError


class _Questions:
    """The pipe to the process, which takes no more than there is room for."""

    def __init__(self, fd: int, deadline: float) -> None:
        self._fd = fd
        self._deadline = deadline

    def write(self, data: bytes) -> int:
        left = memoryview(data)
        while left:
            _wait(self._fd, select.POLLOUT, self._deadline)
            left = left[os.write(self._fd, left) :]
        return len(data)


class _Answers(io.RawIOBase):
    """The pipe from the process."""

    def __init__(self, fd: int, deadline: float) -> None:
        self._fd = fd
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    # mypy knows no other name for what is written into.
    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        _wait(self._fd, select.POLLIN, self._deadline)
        return os.readv(self._fd, [buffer])


def answer(memory_bytes_max: int) -> None:
    """Answer one question after the other, until the process that asks has ended."""
    _be_bounded(memory_bytes_max)
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    with suppress(EOFError, BrokenPipeError):
        answers.write(_READY)
        answers.flush()
        while True:
            function, args, kwargs = pickle.load(questions)  # noqa: S301 (our parent's)
            pickle.dump(function(*args, **kwargs), answers, protocol=pickle.HIGHEST_PROTOCOL)
            del args, kwargs  # while nothing is asked, nothing large is held
            answers.flush()


def _be_bounded(memory_bytes_max: int) -> None:
    # Parsers written in C may crash for want of memory: no secret may reach the disk by that.
    for what, most in ((resource.RLIMIT_AS, memory_bytes_max), (resource.RLIMIT_CORE, 0)):
        # Where that is refused, it is bounded as closely already.
        with suppress(OSError, ValueError):
            resource.setrlimit(what, (most, most))
    # Where the machine or the container has none left, this process ends, and not the proxy.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
