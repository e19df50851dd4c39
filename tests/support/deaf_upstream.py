"""An upstream that takes next to nothing of a request, answers all the same and half-closes."""

import socket
import ssl
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from .script import GUARD_S


class DeafUpstream:
    """`with DeafUpstream() as upstream:` takes one connection, with TLS where it has a certificate.

    The connection stays open until the block is left.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self._listener.settimeout(GUARD_S)
        scheme = "http" if certificate is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate)
        self._answer = b""
        self._may_answer = threading.Event()
        self._may_end = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="deaf-upstream", daemon=True)

    def answer(self, data: bytes) -> None:
        """Send these bytes, which may be none, and a FIN."""
        self._answer = data
        self._may_answer.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._may_answer.set()
        self._may_end.set()
        self._listener.close()
        self._thread.join(GUARD_S)

    def _serve(self) -> None:
        with ExitStack() as open_sockets, suppress(OSError):
            connection = open_sockets.enter_context(self._listener.accept()[0])
            if self._tls is not None:
                connection = open_sockets.enter_context(
                    self._tls.wrap_socket(connection, server_side=True)
                )
            connection.recv(100)
            self._may_answer.wait(GUARD_S)
            connection.sendall(self._answer)
            connection.shutdown(socket.SHUT_WR)
            self._may_end.wait(GUARD_S)
