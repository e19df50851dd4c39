"""What a worker and its parent tell each other, over a pair of sockets.

That the other has gone is heard too: its end is closed.
"""

import contextlib
import socket
from enum import Enum, auto

_READY = b"ready\n"
_FAILED = b"failed "
_STOP = b"s"
_HURRY = b"h"


class Wish(Enum):
    """What a parent wants of its worker."""

    STOP = auto()
    HURRY = auto()
    GONE = auto()
    """It died, and wants nothing any more; nobody would stop the worker later."""


class ParentEnd:
    """The parent's end of the link to one worker."""

    def __init__(self, link: socket.socket) -> None:
        link.settimeout(0)
        self._link = link
        self._said = b""
        self.is_open = True

    def fileno(self) -> int:
        """The descriptor to wait on until the worker says something."""
        return self._link.fileno()

    @property
    def is_ready(self) -> bool:
        """Whether the worker has said that it takes connections."""
        return self._said.startswith(_READY)

    @property
    def failure(self) -> str | None:
        """Why the worker could not start, if it said so."""
        if not self._said.startswith(_FAILED):
            return None
        return self._said.removeprefix(_FAILED).decode(errors="replace")

    def hear(self) -> None:
        """Take what the worker has said by now."""
        with contextlib.suppress(BlockingIOError):
            try:
                while data := self._link.recv(4096):
                    self._said += data
            except ConnectionError:
                pass
            self.is_open = False

    def stop(self) -> None:
        """Have the worker end, once its exchanges have, within its grace."""
        self._tell(_STOP)

    def hurry(self) -> None:
        """Have the worker end its exchanges at once."""
        self._tell(_HURRY)

    def close(self) -> None:
        """Close this end; the worker takes it as a stop."""
        self._link.close()

    def _tell(self, word: bytes) -> None:
        with contextlib.suppress(OSError):  # it has gone, or has not read for long
            self._link.send(word)


class WorkerEnd:
    """The worker's end of the link to its parent."""

    def __init__(self, link: socket.socket) -> None:
        link.settimeout(0)
        self._link = link

    def fileno(self) -> int:
        """The descriptor to wait on until the parent says something."""
        return self._link.fileno()

    def say_ready(self) -> None:
        """Tell the parent that connections are taken."""
        self._say(_READY)

    def say_failed(self, reason: str) -> None:
        """Tell the parent why the worker cannot start."""
        self._say(_FAILED + reason.encode())

    def hear(self) -> Wish | None:
        """What the parent wants, the most urgent; None where it said nothing."""
        try:
            words = self._link.recv(16)
        except BlockingIOError:
            return None
        except ConnectionError:
            return Wish.GONE
        if not words:
            return Wish.GONE
        return Wish.HURRY if _HURRY in words else Wish.STOP

    def close(self) -> None:
        """Close this end."""
        self._link.close()

    def _say(self, words: bytes) -> None:
        with contextlib.suppress(OSError):  # the parent has gone
            self._link.send(words)


def new_link() -> tuple[ParentEnd, WorkerEnd]:
    """Both ends of a new link. Raises OSError."""
    parent, worker = socket.socketpair()
    return ParentEnd(parent), WorkerEnd(worker)
