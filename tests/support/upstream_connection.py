"""One accepted connection of the scripted upstream: a reader that also sees the peer leave."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Coroutine

READ_AHEAD_BYTES_MAX = 256 * 1024
"""More than this unread stays in the kernel, so that a script can leave a request body unread."""


class PeerGoneError(Exception):
    """The peer closed the connection while a script still had something to say or to read."""


class UpstreamConnection:
    """Reads ahead in a task of its own, so that a close is noticed whatever the script does."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, number: int
    ) -> None:
        self.number = number
        self.closing = False
        self.peer_closed = asyncio.Event()
        self.buffer = bytearray()
        self._reader = reader
        self._writer = writer
        self._arrived = asyncio.Event()
        self._wanted = asyncio.Event()
        writer.transport.set_write_buffer_limits(high=0)  # sent means handed to the kernel
        # asyncio does so for its own sockets alone; each small piece waited 40 ms for an ACK.
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pump = asyncio.ensure_future(self._read_ahead())

    async def more(self) -> bool:
        """Wait for more bytes in `buffer`; False at the end of what the peer sends."""
        if self.peer_closed.is_set():
            return False
        size = len(self.buffer)
        self._arrived.clear()
        self._wanted.set()
        await self._arrived.wait()
        return len(self.buffer) > size or not self.peer_closed.is_set()

    def take(self, size: int) -> bytes:
        """Take at most so many bytes out of `buffer`."""
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        self._wanted.set()
        return data

    async def send(self, data: bytes) -> None:
        """Send the bytes, and wait while the peer does not read."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError as error:
            raise PeerGoneError from error

    async def wait_unless_peer_closes(self, event: Coroutine[None, None, None]) -> None:
        """Wait for the event; raise `PeerGoneError` where the peer closes first."""
        came = asyncio.ensure_future(event)
        closed = asyncio.ensure_future(self.peer_closed.wait())
        try:
            done, _ = await asyncio.wait({came, closed}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            came.cancel()
            closed.cancel()
        if came not in done:
            raise PeerGoneError

    async def finish(self) -> None:
        """Send a FIN, then read until the peer closes too: closing with bytes unread is an RST."""
        self.closing = True
        with contextlib.suppress(OSError):
            self._writer.write_eof()
        while await self.more():
            self.take(len(self.buffer))

    async def reset(self) -> None:
        """Close with an RST (SO_LINGER with no time), after what was sent has left.

        Once this returns the RST is on its way.
        """
        self.closing = True
        sock: socket.socket = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def close(self) -> None:
        """Let go of the connection."""
        self._pump.cancel()
        self._writer.close()
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._writer.wait_closed()

    async def _read_ahead(self) -> None:
        try:
            while True:
                if len(self.buffer) >= READ_AHEAD_BYTES_MAX:
                    self._wanted.clear()
                    await self._wanted.wait()
                data = await self._reader.read(65536)
                if not data:
                    break
                self.buffer += data
                self._arrived.set()
        except ConnectionError:
            pass
        finally:
            self.peer_closed.set()
            self._arrived.set()
