"""Reads the events that a bundle's log gained since it was read last."""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tracing.bundle_reader import DamagedLine, RawEvent, TornTail, read_line

LINE_BYTES_MAX = 64 * 1024 * 1024
"""Of an event. Ours have some thousands: content is in payloads. A longer line is damage, which
must not fill the memory."""

HEAD_BYTES = 256
"""Of the log, to know it again: its first event holds the trace's id."""


class LogUnreadable(Exception):
    """The log cannot be read on; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A whole line of the log, from its first byte to behind its last."""

    offset: int
    end: int
    event: RawEvent | str
    """The event, or why it is none."""


def open_log(path: Path) -> BinaryIO:
    """Open a log for reading. Raises OSError, also where it is no plain file."""
    # Without waiting: it may be a FIFO.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError("it is a link, which is not followed") from None
        raise
    try:
        _check_plain(descriptor)
        return os.fdopen(descriptor, "rb", buffering=1 << 18)
    except BaseException:
        os.close(descriptor)
        raise


def _check_plain(descriptor: int) -> None:
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        raise OSError("it is a directory" if stat.S_ISDIR(mode) else "it is no plain file")


def lines(log: BinaryIO, offset: int, size: int) -> Iterator[Line]:
    """The whole lines that begin from an offset on and before a size, but blank ones.

    What follows the last line end is left: its writer may not have written all of it yet. Raises
    LogUnreadable.
    """
    log.seek(offset)
    while offset < size and (line := _next_piece(log)):
        end = offset + len(line)
        if not line.endswith(b"\n"):
            rest = _to_line_end(log) if len(line) == LINE_BYTES_MAX else None
            if rest is None:
                return
            end += rest
            yield Line(offset=offset, end=end, event=f"it is longer than {LINE_BYTES_MAX} bytes")
        elif not line.isspace():
            yield Line(offset=offset, end=end, event=_event_of(line))
        offset = end


def _next_piece(log: BinaryIO) -> bytes:
    """A line, or as much of it as is taken at once."""
    try:
        return log.readline(LINE_BYTES_MAX)
    except OSError as error:
        raise LogUnreadable(error.strerror) from error


def _event_of(line: bytes) -> RawEvent | str:
    match read_line(line, line_number=0, offset=0):
        case RawEvent() as event:
            return event
        case DamagedLine(reason=reason):
            return reason
        case TornTail():
            return "it is cut off"


def _to_line_end(log: BinaryIO) -> int | None:
    """Go on behind the next line end; how far that was, or None where there is none."""
    size = 0
    while piece := _next_piece(log):
        size += len(piece)
        if piece.endswith(b"\n"):
            return size
    return None
