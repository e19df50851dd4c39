"""The client's side of aiohttp's server: connections, and responses whose head we write ourselves.

aiohttp would answer a malformed request by echoing a part of it, into the body and into the log.
"""

import asyncio
import itertools
import select
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import EMPTY_PAYLOAD, StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.web_protocol import RequestHandler, RequestPayloadError, _ErrInfo

from .errors import error_response

_TOO_MANY_CONNECTIONS = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n"
    b"Server: tailrace\r\n\r\n"
)

LOOK_SECONDS = 1.0
"""How often we look whether a client that we do not read from is still there. It is rare, and what
the client asked for costs until it is seen to have left."""

# Poll tells of a reset unasked. Where it cannot tell of a FIN (macOS), that is met when the client
# is read from again.
_HAS_SENT_FIN = getattr(select, "POLLRDHUP", 0)


class DownstreamProtocol(RequestHandler):
    """One connection from a client."""

    __slots__ = ("_body", "_looking", "connection_id", "on_blocked", "on_free", "was_reset")

    def __init__(self, connection_id: str, manager: web.Server, **settings: Any) -> None:
        super().__init__(manager, **settings)
        self.connection_id = connection_id
        self.was_reset = False
        """Whether the client ended the connection abruptly."""
        self.on_blocked: Callable[[], None] | None = None
        """Called when the client takes less than it is given, until ``on_free`` is."""
        self.on_free: Callable[[], None] | None = None
        self._body = EMPTY_PAYLOAD
        self._looking: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """Note that the client takes less than it is given."""
        super().pause_writing()
        if self.on_blocked is not None:
            self.on_blocked()

    def resume_writing(self) -> None:
        """Note that the client has taken what it was given, nearly."""
        super().resume_writing()
        if self.on_free is not None:
            self.on_free()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Note how the connection ended."""
        self.was_reset = exc is not None
        if self._looking is not None:
            self._looking.cancel()
        super().connection_lost(exc)

    def _pause_transport_reading(self) -> None:
        """Read no more for now, as aiohttp says, but look whether the client is still there."""
        super()._pause_transport_reading()
        if self._looking is None:
            self._looking = self._loop.call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """Close where the client has left, as asyncio does when it reads so; else look again."""
        self._looking = None
        transport = self.transport
        if transport is None or transport.is_closing() or transport.is_reading():
            return
        if self._payload_parser is not None:
            return  # A WebSocket by now: what its client sent before it left is passed on first.
        poller = select.poll()
        poller.register(transport.get_extra_info("socket").fileno(), _HAS_SENT_FIN)
        if poller.poll(0):
            transport.close()
        else:
            self._looking = self._loop.call_later(LOOK_SECONDS, self._look)

    def switch_to(self, flow: Any) -> None:
        """Hand what comes from now on to ``flow``: ``feed_data``, then ``feed_eof``."""
        self.set_parser(flow)

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        super().data_received(data)
        self._tell_if_broken()

    def begin_body(self, body: StreamReader) -> None:
        """Note the body of the request that is handled from now on."""
        self._body = body
        self._tell_if_broken()

    def _tell_if_broken(self) -> None:
        """Fail a body that was broken off by what cannot be parsed.

        aiohttp queues the error behind the request, whose handler would wait for its body forever.
        """
        is_broken = self._messages and isinstance(self._messages[-1][0], _ErrInfo)
        if is_broken and not self._body.is_eof():
            self._body.set_exception(RequestPayloadError("malformed"))

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 - aiohttp's signature
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it may hold bytes of the request
    ) -> web.StreamResponse:
        """Answer what aiohttp could not parse, or what raised, without a byte of either."""
        if status < 500:
            text = "tailrace: the request is not valid HTTP/1.1"
            return error_response(
                status, text, error_type="invalid_request_error", code="bad_request", close=True
            )
        self.logger.error("a request could not be handled", exc_info=exc)
        text = "tailrace: internal error"
        return error_response(
            status, text, error_type="server_error", code="internal_error", close=True
        )


class DownstreamServer(web.Server):
    """Makes a protocol for each connection, and names it: c1, c2, ..."""

    def __init__(
        self, handler: Any, *, connections_max: int, protocol_settings: dict[str, Any]
    ) -> None:
        super().__init__(handler, handler_cancellation=True)
        self._connections_max = connections_max
        self._protocol_settings = protocol_settings
        self._numbers = itertools.count(1)
        self._alive: dict[RequestHandler, asyncio.Transport] = {}
        self._all_gone: asyncio.Event | None = None

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Take a connection, or answer 503 at once where there are too many."""
        super().connection_made(handler, transport)
        self._alive[handler] = transport
        if self._all_gone is not None:
            transport.close()
        elif self._connections_max and len(self._connections) > self._connections_max:
            transport.write(_TOO_MANY_CONNECTIONS)
            transport.close()

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """Note that a connection has ended, and that its client has all that was sent on it."""
        super().connection_lost(handler, exc)
        self._alive.pop(handler, None)
        if self._all_gone is not None and not self._alive:
            self._all_gone.set()

    def connections_closed(self) -> Coroutine[Any, Any, None]:
        """Wait until every connection has ended; from now on one that comes is closed at once."""
        self._all_gone = asyncio.Event()
        if not self._alive:
            self._all_gone.set()
        return self._wait_for(self._all_gone)

    async def _wait_for(self, event: asyncio.Event) -> None:
        await event.wait()

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - aiohttp's
        """End every connection, also one whose client does not take what was sent."""
        await super().shutdown(timeout)
        for transport in self._alive.values():
            transport.abort()

    def _make_request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> web.BaseRequest:
        assert isinstance(protocol, DownstreamProtocol)
        protocol.begin_body(payload)
        return super()._make_request(message, payload, protocol, writer, task)

    def __call__(self) -> RequestHandler:
        """Make the protocol of a new connection."""
        return DownstreamProtocol(
            f"c{next(self._numbers)}", self, loop=self._loop, **self._protocol_settings
        )


class RelayedResponse(web.StreamResponse):
    """What aiohttp is told of a response that has been written past it, head and body."""

    def __init__(self, status: int, *, keep_alive: bool) -> None:
        super().__init__(status=status)
        self._keep_alive = keep_alive
        self._eof_sent = True

    def cut_off(self, request: web.BaseRequest) -> None:
        """End the response where it is: what was written goes out, then the connection closes.

        No final chunk is sent, so the client sees that it has not all (RFC 9112, 8).
        """
        self._keep_alive = False
        if request.transport is not None:
            request.transport.close()
