"""Opens files of a bundle, which anybody may have written: no link, no pipe, no device."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tracing.bundle_reader import RawEvent, read_line
from tracing.events import EVENT_LOG_NAME

LINE_BYTES_MAX = 64 * 1024 * 1024
"""An event has some kilobytes; one that has more than this is none of ours."""

_BLOCK_BYTES = 64 * 1024
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def opened(bundle: Path, path: str) -> Iterator[int]:
    """Open a file right in a bundle, or in a directory of it. Raises OSError.

    Also where a link stands on the way, where the path leads out of the bundle, and where it is
    none of a plain file.
    """
    directory, _, name = path.rpartition("/")
    if "/" in directory or {directory, name} & {".", ".."} or not name or "\0" in path:
        raise PermissionError(f"{path!r} leads out of the bundle")
    # The bundle itself may be a link: its owner put it there.
    flags = _FLAGS if directory else _FLAGS & ~os.O_NOFOLLOW
    place = os.open(bundle / directory, flags | os.O_DIRECTORY)
    try:
        # Without waiting: what stands there may be a FIFO.
        file = os.open(name, _FLAGS | os.O_NONBLOCK, dir_fd=place)
    finally:
        os.close(place)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise PermissionError(f"{path!r} is no plain file")
        yield file
    finally:
        os.close(file)


def event_at(bundle: Path, offset: int) -> RawEvent | None:
    """The event that begins at a place of the log; None where none does. Raises OSError."""
    with opened(bundle, EVENT_LOG_NAME) as log:
        line = _line(log, offset)
    event = read_line(line, line_number=0, offset=offset)
    return event if isinstance(event, RawEvent) else None


def _line(log: int, offset: int) -> bytes:
    line = b""
    while len(line) < LINE_BYTES_MAX:
        block = os.pread(log, _BLOCK_BYTES, offset + len(line))
        end = block.find(b"\n")
        line += block if end < 0 else block[:end]
        if end >= 0 or not block:
            break
    return line
