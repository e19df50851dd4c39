"""What the proxy logs while a test runs, as one text."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from proxy.logs import LineWriter, configure_logs


class CapturedLog:
    """The log so far; a proxy in a thread of the test's process writes to it."""

    def __init__(self) -> None:
        self._stream = io.StringIO()
        self._writer: LineWriter = configure_logs("debug", stream=self._stream, is_terminal=False)

    def text(self) -> str:
        """Every line so far."""
        self._writer.flush()
        return self._stream.getvalue()


@contextmanager
def captured_log() -> Iterator[CapturedLog]:
    """Logging belongs to the process: it is as before when the block is left."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    try:
        yield CapturedLog()
    finally:
        root.handlers, root.level = handlers, level
        structlog.reset_defaults()
