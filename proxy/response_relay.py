"""Relays a response by callback: what comes from upstream goes to the client at once.

Nothing waits here, and no task runs for a piece. A client that takes less than it is given makes
upstream wait; the trace is shown a copy after the client was given its own.
"""

import asyncio
import time
from collections.abc import Callable

from .blocked_stretches import BlockedStretches
from .downstream import DownstreamProtocol
from .errors import (
    UpstreamDisconnectedError,
    UpstreamError,
    UpstreamProtocolError,
    idle_timeout_error,
)
from .headers import Framing
from .response_body import LAST_CHUNK, ChunkedBody, ResponseBody
from .upstream_protocol import UpstreamProtocol


class ResponseRelay:
    """One response on its way to its client, as the flow of its connection to upstream."""

    def __init__(
        self,
        body: ResponseBody,
        framing: Framing,
        *,
        upstream: UpstreamProtocol,
        client: DownstreamProtocol,
        idle_timeout: float | None,
        observe: Callable[[bytes], None],
        on_end: Callable[[UpstreamError | None], None],
    ) -> None:
        """``framing`` is the client's. The timeout is in seconds, None for none.

        ``on_end`` is called once: with None where the body ended, else with how it was cut short.
        """
        self._body = body
        self._makes_chunks = framing is Framing.CHUNKED and not isinstance(body, ChunkedBody)
        self._passes_chunks = framing is Framing.CHUNKED and not self._makes_chunks
        self._upstream = upstream
        self._client: DownstreamProtocol | None = client
        self._idle_timeout = idle_timeout
        self._observe = observe
        self._on_end = on_end
        self._head = b""
        self._is_done = False
        self._timer: asyncio.TimerHandle | None = None
        self.bytes_seen = 0
        """How much came from upstream, framing included."""
        self.blocked = BlockedStretches()
        """When the client was waited for."""

    @property
    def is_whole(self) -> bool:
        """Whether the body came whole, and nothing behind it."""
        return self._body.is_ended and not self._body.has_excess

    @property
    def is_blocked(self) -> bool:
        """Whether the client is waited for."""
        return self.blocked.is_open

    def start(self, head: bytes) -> None:
        """Begin with the client's ``head``; it is written with what came of the body with it."""
        self._head = head
        if self._client is not None and self._client.transport is None:
            # It left before the head came (``drain``), and would never be free again.
            self._client = None
        if self._client is not None:
            self._client.on_blocked, self._client.on_free = self._block, self._free
            if self._client.writing_paused:
                # It has not taken the response before this one, which nobody waits for.
                self._block()
        self._upstream.switch_to(self)
        if self._idle_timeout is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._idle_timeout, self._check_idle, loop)

    def let_go_of_client(self) -> None:
        """Write nothing any more, but read on: the client has left."""
        client, self._client = self._client, None
        if client is not None:
            client.on_blocked = client.on_free = None
            self._free()

    def feed_data(self, data: bytes) -> None:
        """Pass on what came, then let it be seen."""
        if self._is_done:
            self._body.has_excess = True
            return
        self.bytes_seen += len(data)
        body = self._body
        wire, plain = body.feed(data)
        if self._passes_chunks and not self._head:
            self._send(wire)
        else:
            self._write(wire, plain)
        if plain:
            self._observe(plain)
        if body.is_ended:
            self.end(None)
        elif body.is_malformed:
            what = "upstream sent a body that is not framed as it says"
            self.end(UpstreamProtocolError(what))

    def feed_eof(self) -> None:
        """Note that the connection to upstream has ended."""
        if self._upstream.was_reset:
            self.end(UpstreamDisconnectedError("upstream reset the connection"))
            return
        self._body.feed_eof()
        if self._body.is_ended:
            self.end(None)
        else:
            self.end(UpstreamDisconnectedError("upstream cut the response short"))

    def end(self, error: UpstreamError | None) -> None:
        """Take nothing any more."""
        if self._is_done:
            return
        self._is_done = True
        if self._timer is not None:
            self._timer.cancel()
        if self._makes_chunks and self._body.is_ended:
            self._send(LAST_CHUNK)
        self.let_go_of_client()
        self._on_end(error)

    def _write(self, wire: bytes, plain: bytes) -> None:
        if self._makes_chunks:
            data = b"%x\r\n%b\r\n" % (len(plain), plain) if plain else b""
        else:
            data = wire if self._passes_chunks else plain
        if self._head:
            data, self._head = self._head + data, b""
        self._send(data)

    def _send(self, data: bytes) -> None:
        if not data:
            return
        transport = self._client.transport if self._client is not None else None
        if transport is not None and not transport.is_closing():
            transport.write(data)

    def _block(self) -> None:
        """Let upstream wait for the client."""
        self.blocked.begin(time.monotonic_ns())
        if self._upstream.transport is not None:
            self._upstream.transport.pause_reading()

    def _free(self) -> None:
        """Go on where the client was waited for."""
        if not self.blocked.is_open:
            return
        self.blocked.end(time.monotonic_ns())
        if self._upstream.transport is not None:
            self._upstream.note_time()
            self._upstream.transport.resume_reading()

    def _check_idle(self, loop: asyncio.AbstractEventLoop) -> None:
        """End a response that upstream let wait for too long; our own waiting does not count."""
        timeout = self._idle_timeout
        assert timeout is not None
        left = timeout
        if not self.blocked.is_open:
            left -= loop.time() - self._upstream.last_time
        if left <= 0:
            self.end(idle_timeout_error(timeout))
        else:
            self._timer = loop.call_later(left, self._check_idle, loop)
