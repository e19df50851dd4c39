"""A client with more to send than all buffers on the way to upstream hold."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

from .raw_http import RawConnection
from .script import GUARD_S

_PIECE = b"x" * 65536
_PIECES = 1024


class Uploading:
    """`with Uploading(port) as upload:` sends a call of 64 MiB, from a thread.

    Leaving the block ends it with an RST, wherever it stands.
    """

    def __init__(self, port: int) -> None:
        self.connection = RawConnection(port)
        self._thread = threading.Thread(target=self._send, name="uploading", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Closed alone, it would be open until the thread comes back from its wait to send.
        with contextlib.suppress(OSError):
            self.connection.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(GUARD_S)
        self.connection.abort()

    def _send(self) -> None:
        head = b"POST /v1/responses HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n"
        try:
            self.connection.send(head % (len(_PIECE) * _PIECES))
            for _ in range(_PIECES):
                self.connection.send(_PIECE)
        except OSError:
            return  # It was cut off, which is what most tests do to it.
