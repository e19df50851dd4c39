"""Upstream's side of aiohttp's client: it parses the heads, and what follows one is handed on.

aiohttp is given the bytes of a head and no more. What comes behind goes to a flow as it came: a
response's body, or a connection that became a WebSocket. So a body costs one call a segment.
"""

import asyncio
import contextlib
import re
import select
import socket
import sys
import time
from collections.abc import Callable
from typing import Protocol, cast

from aiohttp import StreamReader
from aiohttp.client_proto import ResponseHandler
from aiohttp.helpers import _EXC_SENTINEL as _NO_CAUSE
from aiohttp.http import RawResponseMessage

BUFFER_BYTES_MAX = 64 * 1024
"""What may wait for one side before the other is not read any more: asyncio's own high water."""

READ_BYTES_MAX = 64 * 1024
"""What is read from upstream at once. Nobody else is served while the trace looks at it."""

HEADERS_MAX = 1024
"""Fields in a response head. aiohttp's default of 128 is fewer than some gateways send."""

SWITCHING_PROTOCOLS = 101
_INFORMATIONAL = range(100, 200)

# aiohttp takes a line feed alone for a line end, too (RFC 9112, 2.2).
_BLANK_LINE = re.compile(rb"\n\r?\n")
_BLANK_LINE_START_BYTES = 2

_BYTES_ACKED = slice(120, 128)
"""Where Linux' tcp_info (linux/tcp.h) has tcpi_bytes_acked."""


class Flow(Protocol):
    """Who takes what comes behind a head."""

    def feed_data(self, data: bytes) -> object:
        """Take what came: at once what came with the head, which may be nothing."""

    def feed_eof(self) -> None:
        """Note that the connection has ended."""


TakeHead = Callable[[RawResponseMessage], None]
"""Takes the response's head, and calls ``switch_to`` at once or later."""

TakeFailure = Callable[[BaseException], None]
"""Takes the error that came instead of a head, as aiohttp tells it."""


class UpstreamProtocol(ResponseHandler):
    """One connection to upstream."""

    def __init__(self, loop: asyncio.AbstractEventLoop, transports: set[asyncio.Transport]) -> None:
        """``transports`` holds those of all connections that have not ended."""
        super().__init__(loop)
        self._transports = transports
        self._made: asyncio.Transport | None = None
        self.was_reset = False
        """How a body ended that only the connection's end ends."""
        self.last_time = 0.0
        """When something came behind the head, by the loop's clock, in seconds."""
        self._head: RawResponseMessage | None = None
        self._head_end = b""
        self._was_kept = False
        self._is_switched = False
        self._take_head: TakeHead | None = None
        self._take_failure: TakeFailure | None = None
        self._flow: Flow | None = None

    def rest(self) -> None:
        """Get ready to be kept: whatever upstream says from now on, it says unasked."""
        self._was_kept = True
        self._take_head = self._take_failure = self._flow = None

    def expect_head(
        self,
        take_head: TakeHead,
        take_failure: TakeFailure,
        *,
        has_body: bool,
        read_timeout: float | None,
        line_bytes_max: int,
    ) -> None:
        """Get ready for the next response. The timeout is in seconds, None for none."""
        self._take_head = take_head
        self._take_failure = take_failure
        self._head_end = b""
        self.set_response_params(
            skip_payload=not has_body,
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=read_timeout,
            max_line_size=line_bytes_max,
            max_field_size=line_bytes_max,
            max_headers=HEADERS_MAX,
        )
        if self._exception is not None:
            # It died as it was taken from the pool.
            self.set_exception(self._exception)

    def switch_to(self, flow: Flow) -> None:
        """Hand what comes behind the head to ``flow``: to be called as the head is taken."""
        self._flow = flow

    def has_news(self) -> bool:
        """Tell whether upstream spoke or closed since the last response, unread so far."""
        if not self._was_kept or self.transport is None:
            # A new one may hold what belongs to its making: the session tickets of TLS.
            return False
        poller = select.poll()
        poller.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poller.poll(0))

    def taken_bytes(self) -> int:
        """Tell how much upstream's host has taken, to be compared while nothing is written.

        The kernel holds megabytes, and asks for more in large parts: through a slow line much is
        taken before the transport hears of it.
        """
        if self.transport is None:
            return 0
        info = b""
        connected: socket.socket = self.transport.get_extra_info("socket")
        # Where the kernel does not tell (it is Linux' word), the transport's must do.
        with contextlib.suppress(AttributeError, OSError):
            info = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED.stop)
        acked_bytes = int.from_bytes(info[_BYTES_ACKED], sys.byteorder)
        return acked_bytes - self.transport.get_write_buffer_size()

    def note_time(self) -> None:
        """Count the time in which upstream is silent from now on."""
        self.last_time = self._loop.time()

    def data_received(self, data: bytes) -> None:
        """Take what upstream sent."""
        if self._flow is not None:
            # As ``note_time`` does: the loop's clock is this one, and a call costs each delta.
            self.last_time = time.monotonic()
            self._flow.feed_data(data)
        elif self._take_head is None and self._parser is not None:
            # aiohttp asked for a tunnel through a proxy, and reads the answer itself.
            super().data_received(data)
        elif self._take_head is None:
            # A 408 for being idle, say: it would be taken for the next request's answer.
            self.close()
        else:
            self._read_head(data)

    def feed_data(
        self,
        data: tuple[RawResponseMessage, StreamReader],
        size: int = 0,
    ) -> None:
        """Note a head that aiohttp parsed. Informational ones are let go (RFC 9110, 15.2)."""
        if self._take_head is None:
            super().feed_data(data, size)
            return
        status = data[0].code
        if status == SWITCHING_PROTOCOLS or status not in _INFORMATIONAL:
            self._head = data[0]

    def set_exception(self, exc: BaseException, exc_cause: BaseException = _NO_CAUSE) -> None:
        """Note what comes instead of a head."""
        super().set_exception(exc, exc_cause)
        take_failure, self._take_failure = self._take_failure, None
        if take_failure is not None:
            take_failure(exc)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the connection until it has ended: aiohttp forgets it when it begins to close."""
        self._made = cast("asyncio.Transport", transport)
        # What one call of the loop may be busy with; asyncio's own is four times as much. The
        # attribute is asyncio's (selector_events), and in no stub.
        transport.max_size = READ_BYTES_MAX  # type: ignore[attr-defined]  # as said above
        self._transports.add(self._made)
        super().connection_made(transport)

    def eof_received(self) -> None:
        """End the connection now: upstream will say no more.

        asyncio would wait until upstream has taken what was written, which it may never do. That is
        no loss but to a WebSocket, whose last frames are its close.
        """
        super().eof_received()
        if self._take_head is not None and not self._is_switched and self.transport is not None:
            self.transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Note how the connection ended."""
        if self._made is not None:
            self._transports.discard(self._made)
        self.was_reset = exc is not None
        super().connection_lost(exc)
        if self._flow is not None:
            self._flow.feed_eof()

    def _read_head(self, data: bytes) -> None:
        """Give aiohttp what belongs to the head; what comes behind it goes to the flow."""
        while data and self._head is None:
            seen = self._head_end
            match = _BLANK_LINE.search(seen + data)
            end = match.end() - len(seen) if match else len(data)
            self._head_end = b"" if match else (seen + data)[-_BLANK_LINE_START_BYTES:]
            super().data_received(data[:end])
            data = data[end:]
            if self._exception is not None:
                return
        head, self._head = self._head, None
        if head is None or self._take_head is None:
            return
        # aiohttp's own parser would wait for the body for ever.
        self._parser = self._payload = None
        self._take_failure = None
        self._is_switched = head.code == SWITCHING_PROTOCOLS
        self._drop_timeout()
        self.note_time()
        self._take_head(head)
        if self._flow is not None:
            self._flow.feed_data(data)


def new_protocol(
    loop: asyncio.AbstractEventLoop, transports: set[asyncio.Transport]
) -> ResponseHandler:
    """Make the protocol of a new connection, as aiohttp's connector asks for it."""
    return UpstreamProtocol(loop, transports)
