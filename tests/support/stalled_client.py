"""A client that does not read, felt after some ten kilobytes instead of megabytes."""

import socket
from collections.abc import Callable
from typing import Any

import pytest

from proxy.downstream import DownstreamProtocol

from .raw_http import RawConnection, request_bytes
from .script import GUARD_S

_LOOKS = 20


def shrink_send_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kernel hold next to nothing of what the proxies of this test send to clients."""
    made: Callable[..., None] = DownstreamProtocol.connection_made

    def connection_made(self: DownstreamProtocol, transport: Any) -> None:
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        made(self, transport)

    monkeypatch.setattr(DownstreamProtocol, "connection_made", connection_made)


class StalledConnection(RawConnection):
    """A connection whose kernel takes next to nothing until it is read."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(GUARD_S)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self.socket.connect(("127.0.0.1", port))
        self._buffer = bytearray()


def wait_until_read(port: int) -> None:
    """Wait until the proxy has read what its sockets hold, as far as it wants to.

    Its loop looks at every socket before it reads one of these requests, and again before the
    next.
    """
    health = request_bytes("GET", f"http://127.0.0.1:{port}/-/healthz")
    with RawConnection(port) as connection:
        for _ in range(_LOOKS):
            connection.send(health)
            assert connection.read_exchange().head.status == 200
