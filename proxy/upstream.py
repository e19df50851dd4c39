"""Exchanges requests and responses with the one upstream, over aiohttp's pool of connections.

The head goes out as the bytes that it is given and comes back as the bytes that were sent.
aiohttp's ``ClientSession`` would rewrite both: it re-encodes the target, adds fields, drops bytes
that are no UTF-8, keeps cookies, follows redirects, and sends an idempotent request again.
This is the only module that knows aiohttp's client errors.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import aiohttp
from aiohttp import StreamReader, hdrs, http
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage, StreamWriter
from yarl import URL

from tracing.redaction import RawHeaders

from .errors import (
    UpstreamConnectError,
    UpstreamConnectTimeoutError,
    UpstreamDisconnectedError,
    UpstreamError,
    UpstreamProtocolError,
    idle_timeout_error,
)
from .reset import reset
from .upstream_protocol import SWITCHING_PROTOCOLS, UpstreamProtocol, new_protocol

KEEPALIVE_SECONDS = 4.0
"""How long an idle connection is kept: less than servers keep theirs, since a request that meets
a close is answered with an error and never sent again."""

_CODING = hdrs.TRANSFER_ENCODING


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamHead:
    """The head of a response, as upstream sent it."""

    status: int
    reason: bytes
    headers: RawHeaders
    is_chunked: bool
    length: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSettings:
    """Where upstream is and how it is reached. Timeouts are in seconds, None for none."""

    base_url: URL
    proxy: URL | None
    ca_file: str | None
    connect_timeout: float
    idle_timeout: float | None
    header_bytes_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingRequest:
    """A request to send.

    ``on_piece`` is told each piece of its body, ``on_end`` of their end, and ``on_head`` of the
    response's head. ``may_switch`` tells that it asks for another protocol.
    """

    method: str
    head: bytes
    body: StreamReader
    is_chunked: bool
    on_piece: Callable[[bytes], None]
    on_end: Callable[[], None]
    on_head: Callable[[UpstreamHead], None]
    may_switch: bool


class Upstream:
    """The upstream, with its pool of connections. To be made and closed inside the event loop."""

    def __init__(self, settings: UpstreamSettings) -> None:
        self._settings = settings
        self._base = settings.base_url
        self._connector = aiohttp.TCPConnector(
            limit=0, keepalive_timeout=KEEPALIVE_SECONDS, ssl=_tls(settings.ca_file)
        )
        loop = asyncio.get_running_loop()
        self._transports: set[asyncio.Transport] = set()
        self._connector._factory = partial(new_protocol, loop, self._transports)
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_timeout)
        # The pool asks a request where to connect; one stands for all, since all go to one place.
        self._destination = ClientRequest("GET", self._base, loop=loop, proxy=settings.proxy)
        self.own_fields = _own_fields(self._base, settings.proxy)

    def target(self, path_and_query: str) -> bytes:
        """Return the request target: the base URL's path, then what the client asked for."""
        raw = path_and_query.encode(errors="surrogateescape")
        target = self._base.raw_path.rstrip("/").encode() + raw
        if not target.startswith(b"/"):
            target = b"/" + target
        if self._settings.proxy is not None and self._base.scheme == "http":
            return str(self._base.origin()).encode() + target
        return target

    async def connect(self) -> "UpstreamExchange":
        """Open an exchange. Raises UpstreamError."""
        while True:
            try:
                connection = await self._connector.connect(self._destination, [], self._timeout)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise _mapped_connect_error(
                    error, self._base, self._settings.connect_timeout
                ) from error
            protocol = connection.protocol
            assert isinstance(protocol, UpstreamProtocol)
            # One that was kept may have ended, or hold what would be taken for the next answer.
            if not protocol.has_news():
                return UpstreamExchange(connection, protocol, self._settings)
            connection.close()

    async def close(self) -> None:
        """Close all connections, also one where upstream does not take what was sent."""
        await self._connector.close()
        for transport in self._transports:
            transport.abort()


class UpstreamExchange:
    """One request and its response, on one connection."""

    def __init__(
        self, connection: Connection, protocol: UpstreamProtocol, settings: UpstreamSettings
    ) -> None:
        self._connection = connection
        self._settings = settings
        self.protocol = protocol
        """The connection."""
        self._request: OutgoingRequest | None = None
        self._has_head = False
        self._upload: asyncio.Task[None] | None = None
        self._taking: asyncio.TimerHandle | None = None
        self._is_done = False
        self._error: UpstreamError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.request_failure: Exception | None = None
        """What broke the request's body on the client's side, if anything did."""

    def send(self, request: OutgoingRequest) -> None:
        """Send the head, and the body as it comes, in a task of its own."""
        self._request = request
        self.protocol.expect_head(
            self._head_came,
            self._head_failed,
            has_body=request.method != "HEAD",
            read_timeout=self._settings.idle_timeout,
            line_bytes_max=self._settings.header_bytes_max,
        )
        if not request.body.is_eof():
            self._write(request.head)
            self._upload = asyncio.create_task(self._send_body(request))
            return
        data = request.body.read_nowait(-1)
        if data:
            request.on_piece(data)
        request.on_end()
        if request.is_chunked:
            data = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n"
        self._write(request.head + data)
        self.protocol.start_timeout()

    def _write(self, data: bytes) -> None:
        # A connection that is closing is noticed where its answer is waited for.
        if self.protocol.transport is not None:
            self.protocol.transport.write(data)

    async def _send_body(self, request: OutgoingRequest) -> None:
        writer = StreamWriter(self.protocol, asyncio.get_running_loop())
        if request.is_chunked:
            writer.enable_chunking()
        while True:
            try:
                data = await request.body.readany()
            except Exception as error:  # noqa: BLE001 - aiohttp raises what broke the body
                self.request_failure = error
                self.protocol.abort()
                return
            if not data:
                break
            request.on_piece(data)
            await writer.write(data, drain=False)
            if self.protocol.writing_paused:
                await self._drain(writer)
        request.on_end()
        await writer.write_eof()
        if not self._has_head:
            self.protocol.start_timeout()

    async def _drain(self, writer: StreamWriter) -> None:
        """Wait until upstream has taken what it was given, nearly; not for one that takes nothing.

        The protocol's own timeout is for an answer, which may come while nothing is taken.
        """
        self._await_taking(asyncio.get_running_loop())
        try:
            await writer.drain()
        finally:
            if self._taking is not None:
                self._taking.cancel()

    def _await_taking(self, loop: asyncio.AbstractEventLoop) -> None:
        timeout = self._settings.idle_timeout
        if timeout is not None and not self._has_head:
            taken = self.protocol.taken_bytes()
            self._taking = loop.call_later(timeout, self._check_taking, loop, timeout, taken)

    def _check_taking(self, loop: asyncio.AbstractEventLoop, timeout: float, before: int) -> None:
        self._taking = None
        if self.protocol.taken_bytes() > before:
            self._await_taking(loop)
        elif not self._has_head:
            self.finish(idle_timeout_error(timeout))

    @property
    def is_sent(self) -> bool:
        """Whether the whole request has been sent."""
        return self._upload is None or (self._upload.done() and self.request_failure is None)

    @property
    def idle_timeout(self) -> float | None:
        """How long upstream may be silent, in seconds; None for as long as it likes."""
        return self._settings.idle_timeout

    def finish(self, error: UpstreamError | None) -> None:
        """Note that the response has ended. Only the first word on it counts."""
        if self._is_done:
            return
        self._is_done = True
        self._error = error
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def finished(self) -> None:
        """Wait until the response has ended. Raises UpstreamError where it was cut short."""
        if not self._is_done:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self._error is not None:
            raise self._error

    def _head_came(self, message: RawResponseMessage) -> None:
        """Hand the head on, unless it is none that can be relayed."""
        request = self._request
        assert request is not None
        if message.code == SWITCHING_PROTOCOLS and not request.may_switch:
            self.finish(UpstreamProtocolError("upstream switched protocols, unasked"))
        elif any(coding.lower() != "chunked" for coding in message.headers.getall(_CODING, ())):
            what = "upstream coded its body for the transfer, unasked"
            self.finish(UpstreamProtocolError(what))
        else:
            self._has_head = True
            request.on_head(_head_of(message))

    def _head_failed(self, error: BaseException) -> None:
        self.finish(_mapped_head_error(error, self._settings.idle_timeout))

    @property
    def was_reset(self) -> bool:
        """Whether the connection ended abruptly."""
        return self.protocol.was_reset

    def reset(self) -> None:
        """End the connection abruptly."""
        if self.protocol.transport is not None:
            reset(self.protocol.transport)

    def end(self, *, is_whole: bool) -> None:
        """Give the connection back to the pool if the exchange is whole, else close it."""
        upload = self._upload
        if upload is not None and not upload.done():
            upload.cancel()
            is_whole = False
        elif upload is not None and upload.exception() is not None:
            is_whole = False
        if is_whole:
            self.protocol.rest()
            self._connection.release()
        else:
            self._drop_unsent()
            self._connection.close()

    def _drop_unsent(self) -> None:
        """Leave a request unsent, for which a close would wait: upstream may never take it.

        A WebSocket's last frames are its close, and worth waiting for.
        """
        transport = self.protocol.transport
        is_socket = self._request is not None and self._request.may_switch
        if transport is not None and not is_socket and transport.get_write_buffer_size():
            transport.abort()


def _head_of(message: RawResponseMessage) -> UpstreamHead:
    length = message.headers.get(hdrs.CONTENT_LENGTH)
    return UpstreamHead(
        status=message.code,
        reason=message.reason.encode(errors="surrogateescape"),
        headers=message.raw_headers,
        is_chunked=message.chunked,
        length=None if length is None else int(length),
    )


def _mapped_head_error(error: BaseException, idle_timeout: float | None) -> UpstreamError:
    match error:
        case aiohttp.SocketTimeoutError():
            return idle_timeout_error(idle_timeout)
        case http.HttpProcessingError():
            return UpstreamProtocolError("upstream sent no valid HTTP response")
        case _:
            return UpstreamDisconnectedError("upstream closed the connection before it answered")


def _mapped_connect_error(error: Exception, base: URL, timeout: float) -> UpstreamError:
    where = f"{base.host}:{base.port}"
    match error:
        case aiohttp.ServerTimeoutError() | TimeoutError():
            what = f"no connection to {where} within {timeout:g} s (upstream_connect_timeout)"
            return UpstreamConnectTimeoutError(what)
        case aiohttp.ClientConnectorCertificateError():
            what = f"the certificate of {where} is not trusted: {error.certificate_error}"
            return UpstreamConnectError(what)
        case _:
            reason = getattr(error, "os_error", None) or error
            return UpstreamConnectError(f"cannot connect to {where}: {reason}")


def _tls(ca_file: str | None) -> ssl.SSLContext | bool:
    return ssl.create_default_context(cafile=ca_file) if ca_file else True


def _own_fields(base: URL, proxy: URL | None) -> RawHeaders:
    """Return the fields that name upstream, and where a proxy is asked for it, who asks."""
    host = base.host_subcomponent or ""
    host_field = (b"Host", (host if base.is_default_port() else f"{host}:{base.port}").encode())
    # Through a tunnel (https) only the proxy itself is told: aiohttp does it.
    login = aiohttp.BasicAuth.from_url(proxy) if proxy and base.scheme == "http" else None
    if login is None:
        return (host_field,)
    return (host_field, (hdrs.PROXY_AUTHORIZATION.encode(), login.encode().encode()))
