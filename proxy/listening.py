"""Takes the port: the sockets that one process listens on, or several beside each other."""

import errno
import os
import socket
from types import TracebackType
from typing import Self

from .settings import Settings

BACKLOG = 1024
"""Connections that may wait until they are accepted."""

_NO_SUCH_ADDRESS_HERE = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


class CannotServeError(Exception):
    """The proxy cannot start; the message says why and what to do."""


def open_listeners(settings: Settings) -> list[socket.socket]:
    """Listen on every address of the host, and share none. Raises CannotServeError."""
    listeners: list[socket.socket] = []
    absent: OSError | None = None
    try:
        for family, address in _addresses(settings.listen_host, settings.listen_port):
            try:
                listeners.append(_listen(family, address, is_shared=False))
            except OSError as error:
                # A machine without IPv6 may still have an IPv6 address for localhost.
                if error.errno not in _NO_SUCH_ADDRESS_HERE:
                    raise
                absent = error
        if absent is not None and not listeners:
            raise absent
    except OSError as error:
        _close(listeners)
        raise _cannot_listen(settings, error) from error
    return listeners


class SharedPort:
    """The port of several workers, each with listeners of its own; the kernel spreads connections.

    This process holds all listeners, so that what waits in a worker's queue when it dies is there
    for the next, and nobody else can take the port meanwhile.
    """

    def __init__(self, settings: Settings) -> None:
        """Take the port. Raises CannotServeError."""
        if not hasattr(socket, "SO_REUSEPORT") or os.uname().sysname != "Linux":
            raise CannotServeError(_needs_linux(settings))
        # The first does not share: it is refused a port that anyone listens on, who shares it too.
        first = open_listeners(settings)
        try:
            for listener in first:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        except OSError as error:
            _close(first)
            raise CannotServeError(_needs_linux(settings)) from error
        self._addresses = [(listener.family, listener.getsockname()) for listener in first]
        self._listeners = {1: first}

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port of the first address."""
        host, port = self._addresses[0][1][:2]
        return str(host), int(port)

    def listeners(self, worker: int) -> list[socket.socket]:
        """Return the listeners of this worker, its old ones if it has any. Raises OSError."""
        if worker not in self._listeners:
            self._listeners[worker] = listeners = []
            try:
                for family, address in self._addresses:
                    listeners.append(_listen(family, address, is_shared=True))
            except OSError:
                self._close(worker)
                raise
        return self._listeners[worker]

    def leave_to_others(self, worker: int) -> None:
        """Let the others have the connections of a worker that will not be there for a while.

        Where it has no others they wait for it: somebody must hold the port.
        """
        if worker in self._listeners and len(self._listeners) > 1:
            self._close(worker)

    def keep_only(self, worker: int | None) -> None:
        """Close the listeners of all workers but this one, in this process."""
        for other in [number for number in self._listeners if number != worker]:
            self._close(other)

    def close(self) -> None:
        """Close all listeners, in this process."""
        self.keep_only(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _close(self, worker: int) -> None:
        _close(self._listeners.pop(worker))


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[object, ...]]]:
    found = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
    )
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _listen(
    family: socket.AddressFamily, address: tuple[object, ...], *, is_shared: bool
) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # What the connections of an earlier process left (TIME_WAIT) is in nobody's way.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _close(listeners: list[socket.socket]) -> None:
    for listener in listeners:
        listener.close()


def _cannot_listen(settings: Settings, error: OSError) -> CannotServeError:
    # The numbers of gaierror are its own.
    is_gai = isinstance(error, socket.gaierror)
    reason = os.strerror(error.errno) if error.errno and not is_gai else error.strerror
    return CannotServeError(
        f"cannot listen on {settings.listen}: {reason}; --listen HOST:PORT chooses another"
    )


def _needs_linux(settings: Settings) -> str:
    return (
        f"cannot run {settings.workers} workers: that several processes share a port"
        " (SO_REUSEPORT) needs Linux; --workers 1 needs nothing"
    )
