"""Log lines: for people on a terminal, as JSON otherwise, and safe to print in both.

What came from the wire cannot steer a terminal. No exception's text is shown, since it may hold
bytes of a request, so a secret. A stuck terminal or log collector does not hold up traffic: lines
that it does not take are dropped and counted.
"""

import atexit
import contextlib
import logging
import os
import select
import sys
import threading
import traceback
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TextIO

import orjson
import structlog

from tracing.visible_text import visible

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

LINES_WAITING_MAX = 1000
"""Lines that may wait for a slow stream: a burst of calls that end together, under a megabyte."""

TEXT_CHARS_MAX = 500
"""Of one value in a line, so that a header of 60 KiB does not become one."""

GATHER_SECONDS = 0.02
"""How long a line waits for others, to be written with them: nobody sees it."""

LINES_AT_ONCE_MAX = 1000
"""Lines in one write."""

FRAMES_MAX = 8
"""The innermost frames of an exception that a line names."""


def configure_logs(
    level: str, *, stream: TextIO, is_terminal: bool, worker: int | None = None
) -> "LineWriter":
    """Send lines from `level` up, and the warnings of other libraries, to `stream`.

    `worker` is told in each line. May be called again: the last call holds. Lines that still wait
    are written at exit.
    """
    writer = LineWriter(stream)
    _configure(level, writer, is_terminal=is_terminal, worker=worker)
    return writer


def configure_logs_without_thread(level: str, *, stream: TextIO, is_terminal: bool) -> None:
    """Do the same for a process that forks, so may have no thread; for few lines."""
    _configure(level, DirectWriter(stream), is_terminal=is_terminal, worker=None)


def _configure(
    level: str, writer: "LineWriter | DirectWriter", *, is_terminal: bool, worker: int | None
) -> None:
    def with_worker(_logger: "WrappedLogger", _method: str, event_dict: "EventDict") -> "EventDict":
        return event_dict if worker is None else {**event_dict, "worker": worker}

    lowest = logging.getLevelNamesMapping()[level.upper()]
    timestamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    renderer: Processor = structlog.processors.JSONRenderer(serializer=_json)
    if is_terminal:
        timestamp = structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)
        renderer = structlog.dev.ConsoleRenderer(colors=True)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            timestamp,
            writer.note_losses,
            with_worker,
            _without_exception_text,
            _with_visible_values,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
        logger_factory=lambda *_names: writer,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    others = [handler for handler in root.handlers if not isinstance(handler, _LibraryNotices)]
    root.handlers = [*others, _LibraryNotices()]
    root.setLevel(max(lowest, logging.WARNING))


def _json(line: object, **_: object) -> str:
    return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


class DirectWriter:
    """Writes a line when it is handed over, if the stream would take it at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lost = 0

    def msg(self, line: str) -> None:
        """Write one line. Where the stream is stuck it is dropped, and counted."""
        with contextlib.suppress(OSError, ValueError):
            _, writable, _ = select.select([], [self._stream], [], 0)
            if writable:
                self._stream.write(line + "\n")
                self._stream.flush()
                self._lost = 0
                return
        self._lost += 1

    debug = info = warning = error = critical = msg

    def note_losses(
        self, _logger: "WrappedLogger", _method: str, event_dict: "EventDict"
    ) -> "EventDict":
        """Tell how many lines were dropped before this one, which may be dropped too."""
        if self._lost:
            event_dict["log_lines_lost"] = self._lost
        return event_dict


class LineWriter:
    """Writes lines to a stream from a thread of its own; handing one over never blocks.

    Any thread may hand one over.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._waiting: SimpleQueue[str | threading.Event] = SimpleQueue()
        self._lost = 0
        self._hurry = threading.Event()
        threading.Thread(target=self._write, name="logs", daemon=True).start()
        atexit.register(self.flush)

    def msg(self, line: str) -> None:
        """Hand over one line. Where too many wait it is dropped, and counted."""
        if self._waiting.qsize() >= LINES_WAITING_MAX:
            self._lost += 1
            return
        self._waiting.put(line)

    debug = info = warning = error = critical = msg

    def note_losses(
        self, _logger: "WrappedLogger", _method: str, event_dict: "EventDict"
    ) -> "EventDict":
        """Tell, in the first line that gets through again, how many did not."""
        if self._lost and self._waiting.qsize() < LINES_WAITING_MAX:
            event_dict["log_lines_lost"] = self._lost
            self._lost = 0
        return event_dict

    def flush(self, seconds: float = 1.0) -> None:
        """Wait until what was handed over is written, but no longer than `seconds`."""
        written = threading.Event()
        self._waiting.put(written)
        self._hurry.set()
        written.wait(seconds)

    def _write(self) -> None:
        while True:
            waiting = [self._waiting.get()]
            # Each line alone would wake this thread, which costs the one that told it.
            self._hurry.wait(GATHER_SECONDS)
            self._hurry.clear()
            with contextlib.suppress(Empty):
                while len(waiting) < LINES_AT_ONCE_MAX:
                    waiting.append(self._waiting.get_nowait())
            lines = [line for line in waiting if isinstance(line, str)]
            # The reader may be gone (EPIPE), its disk full, the stream closed: there is nobody left
            # to tell.
            for line in lines:
                with contextlib.suppress(OSError, ValueError):
                    self._stream.write(line + "\n")
            with contextlib.suppress(OSError, ValueError):
                self._stream.flush()
            for written in waiting:
                if isinstance(written, threading.Event):
                    written.set()


class _LibraryNotices(logging.Handler):
    """Turns a line of another library into a neutral one: who spoke, where, and why.

    Never the text, which is made of request bytes at times (aiohttp echoes a bad header) or of an
    exception's text (asyncio): the place in the library's source says as much.
    """

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(
            record.levelno,
            "a library gave a warning",
            library=record.name,
            at=f"{_short_path(record.pathname)}:{record.lineno}",
            exc_info=record.exc_info,
        )


def _without_exception_text(
    _logger: "WrappedLogger", _method: str, event_dict: "EventDict"
) -> "EventDict":
    """Put an exception's type and its way through the code in the place of the exception."""
    error = _exception(event_dict.pop("exc_info", None))
    if error is not None:
        event_dict["error"] = " from ".join(_names(error))
        frames = traceback.extract_tb(error.__traceback__, limit=-FRAMES_MAX)
        event_dict["error_at"] = " > ".join(
            f"{_short_path(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames
        )
    return event_dict


def _exception(exc_info: object) -> BaseException | None:
    """What `exc_info` means in any of the forms that logging calls take."""
    match exc_info:
        case BaseException():
            return exc_info
        case (_, BaseException() as error, _):
            return error
        case True:
            return sys.exception()
        case _:
            return None


def _names(error: BaseException) -> list[str]:
    """The types of an exception and of what it was raised from; of an OSError its errno too."""
    names: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(names) < FRAMES_MAX:
        name = type(cause).__qualname__
        if isinstance(cause, OSError) and cause.errno is not None:
            name += f" ({os.strerror(cause.errno)})"
        names.append(name)
        cause = cause.__cause__
    return names


def _short_path(path: str) -> str:
    return "/".join(Path(path).parts[-2:])


def _with_visible_values(
    _logger: "WrappedLogger", _method: str, event_dict: "EventDict"
) -> "EventDict":
    return {key: _visible_value(value) for key, value in event_dict.items()}


def _visible_value(value: object) -> object:
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return visible(value[:TEXT_CHARS_MAX])
        case list() | tuple():
            return [_visible_value(part) for part in value]
        case _:
            return visible(repr(value)[:TEXT_CHARS_MAX])
