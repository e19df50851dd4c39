"""Relays a WebSocket as bytes: what comes from one side goes to the other at once.

Frames are neither parsed nor made here, so that extensions, masks, fragments, pings and close codes
are the client's and upstream's own, from the handshake on. The trace reads a copy.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import StreamWriter

from tracing.call import RequestHead
from tracing.interface import NULL_SOCKET_TRACE, NULL_TRACE, Recorder, SocketTrace
from tracing.redaction import RawHeaders
from tracing.scope import Scope
from tracing.terminal import TransportEnd

from .downstream import DownstreamProtocol, RelayedResponse
from .forward import Forwarding
from .headers import Framing, request_head, response_head
from .reset import reset
from .upstream import Upstream, UpstreamHead
from .upstream_protocol import BUFFER_BYTES_MAX, SWITCHING_PROTOCOLS

_GOING_AWAY_TO_CLIENT = b"\x88\x02\x03\xe9"
_GOING_AWAY_TO_UPSTREAM = b"\x88\x82\x00\x00\x00\x00\x03\xe9"
"""Close frames with code 1001, after which clients connect anew (RFC 6455, 7.4.1)."""


def asks_for_websocket(headers: RawHeaders) -> bool:
    """Tell whether a request asks to become a WebSocket (RFC 6455, 4.1).

    To the letter as aiohttp's parser does, which takes what follows for frames or for a request.
    """
    protocols = [value.lower() for name, value in headers if name.lower() == b"upgrade"]
    if protocols[:1] != [b"websocket"]:
        return False
    options = {
        option.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for option in value.split(b",")
    }
    return b"upgrade" in options


class _Flow:
    """One direction, as a parser that aiohttp hands the bytes of an upgraded connection to."""

    def __init__(
        self,
        source: BaseProtocol,
        sink: BaseProtocol,
        observe: Callable[[bytes], None],
        on_end: Callable[[], None],
    ) -> None:
        self._source = source
        self._sink = sink
        self._observe = observe
        self._on_end = on_end
        self._waiting: asyncio.Task[None] | None = None

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Pass on what came, then let it be seen."""
        if not data:
            return False, b""
        sink = self._sink.transport
        if sink is not None and not sink.is_closing():
            sink.write(data)
            if sink.get_write_buffer_size() > BUFFER_BYTES_MAX and self._waiting is None:
                self._waiting = asyncio.create_task(self._wait_for_sink())
        self._observe(data)
        return False, b""

    def feed_eof(self) -> None:
        """Note that the source has closed."""
        self._on_end()

    async def _wait_for_sink(self) -> None:
        if self._source.transport is not None:
            self._source.transport.pause_reading()
        try:
            await StreamWriter(self._sink, asyncio.get_running_loop()).drain()
        except ConnectionError:
            pass  # The sink has gone; its own end tells the rest.
        finally:
            self._waiting = None
            if self._source.transport is not None:
                self._source.transport.resume_reading()


class SocketForwarding(Forwarding):
    """A WebSocket on its way; where upstream refuses the handshake, an exchange like any other."""

    may_switch = True

    def __init__(
        self, request: web.BaseRequest, target: str, head: RequestHead, recorder: Recorder
    ) -> None:
        super().__init__(request, target, replace(head, scope=Scope.EXCHANGE), recorder)
        self._socket_head = head
        self._recorder = recorder
        self._socket: SocketTrace = NULL_SOCKET_TRACE
        self._is_switched = self._is_leaving = self._is_draining = self._is_closed = False
        self._settled = asyncio.Event()

    @property
    def may_drain(self) -> bool:
        """Whether responses go on that the client asked for before it left."""
        return bool(self._socket.open_calls)

    async def drain(self) -> None:
        """Read on until the open responses have ended, although the client has left."""
        if self.may_drain and not self._is_closed:
            self._is_draining = True
            await self._settled.wait()

    def leave(self) -> None:
        """End the socket as soon as no response is open on it.

        Where nobody knows, it goes on as long as it may.
        """
        self._is_leaving = True
        self._leave_if_idle()

    def close(self) -> None:
        """Close the connection to upstream, then tell the trace of the end."""
        self._pass_reset_on()
        super().close()
        self._socket.ended(self.end, self.end_text)

    def _outgoing_head(self, upstream: Upstream) -> bytes:
        return request_head(
            method=self._request.method,
            target=upstream.target(self._target),
            own_fields=upstream.own_fields,
            headers=self._request.raw_headers,
            is_chunked=False,
            upgrade=b"websocket",
        )

    async def run(self, upstream: Upstream, *, keep_alive: bool) -> web.StreamResponse:
        """Relay the socket until it ends."""
        response = await super().run(upstream, keep_alive=keep_alive)
        if self._is_switched:
            exchange = self._exchange
            assert isinstance(response, RelayedResponse)
            assert exchange is not None
            if exchange.was_reset and self._request.transport is not None:
                reset(self._request.transport)
            response.cut_off(self._request)
        return response

    def _begin_response(self, head: UpstreamHead) -> None:
        if head.status != SWITCHING_PROTOCOLS:
            super()._begin_response(head)
            return
        self._is_switched = True
        # What was begun for the handshake is dropped: it became a socket, with calls on it.
        self._trace = NULL_TRACE
        self._socket = self._recorder.begin_socket(self._socket_head, head.status, head.headers)
        self._response = RelayedResponse(head.status, keep_alive=False)
        _write(self._request.protocol, _head_of(head))
        self._join()
        if self._is_leaving:
            self._leave_if_idle()

    def _join(self) -> None:
        exchange = self._exchange
        assert exchange is not None
        downstream = self._request.protocol
        assert isinstance(downstream, DownstreamProtocol)
        upstream = exchange.protocol
        up = _Flow(downstream, upstream, self._socket.up, lambda: None)
        down = _Flow(upstream, downstream, self._down, self._upstream_closed)
        upstream.switch_to(down)
        downstream.switch_to(up)

    def _down(self, data: bytes) -> None:
        self._socket.down(data)
        if self._is_leaving or self._is_draining:
            self._leave_if_idle()

    def _upstream_closed(self) -> None:
        exchange = self._exchange
        assert exchange is not None
        if not self._is_closed:
            self.end = TransportEnd.UPSTREAM_ERROR if exchange.was_reset else TransportEnd.EOF
        self._close_socket()

    def _leave_if_idle(self) -> None:
        if self._socket.open_calls != 0:
            return
        self._settled.set()
        if not self._is_leaving or self._is_closed:
            return
        self.cut(TransportEnd.SHUTDOWN)
        if self._socket.is_between_frames and self._exchange is not None:
            _write(self._exchange.protocol, _GOING_AWAY_TO_UPSTREAM)
            _write(self._request.protocol, _GOING_AWAY_TO_CLIENT)
        self._close_socket()

    def _close_socket(self) -> None:
        self._is_closed = True
        self._settled.set()
        if self._exchange is not None:
            self._exchange.finish(None)

    def _pass_reset_on(self) -> None:
        """Pass a client's abrupt end on as one; any other end is a close."""
        downstream = self._request.protocol
        is_abrupt = isinstance(downstream, DownstreamProtocol) and downstream.was_reset
        if is_abrupt and self._exchange is not None and self.end is TransportEnd.CLIENT_CLOSED:
            self._exchange.reset()


def _head_of(head: UpstreamHead) -> bytes:
    return response_head(
        status=head.status,
        reason=head.reason,
        headers=head.headers,
        framing=Framing.NONE,
        connection=b"Upgrade",
        upgrade=b"websocket",
    )


def _write(protocol: BaseProtocol, data: bytes) -> None:
    if protocol.transport is not None and not protocol.transport.is_closing():
        protocol.transport.write(data)
