"""Upstream's side of aiohttp's client: connections that tell more of how they go and end."""

import asyncio
from typing import Any

from aiohttp import http
from aiohttp.client_proto import ResponseHandler


class UpstreamProtocol(ResponseHandler):
    """aiohttp's side of a connection, with what it does not tell of a broken body."""

    def __init__(self, loop: asyncio.AbstractEventLoop, transports: set[asyncio.Transport]) -> None:
        """``transports`` holds those of all connections that have not ended."""
        super().__init__(loop)
        self._transports = transports
        self._made: asyncio.Transport | None = None
        self.was_reset = False
        """How a body ended that only the connection's end ends."""
        self._awaits_body = True
        self._is_resting = False
        self._flow: Any = None

    def rest(self) -> None:
        """Get ready to be kept: whatever upstream says from now on, it says unasked."""
        self._is_resting = self._awaits_body = True

    def set_response_params(self, **params: Any) -> None:
        """Get ready for the next response."""
        self._awaits_body, self._is_resting = True, False
        super().set_response_params(**params)

    def switch_to(self, flow: Any) -> None:
        """Hand what comes from now on to ``flow``: it has no head to look for."""
        self._awaits_body = False
        self.set_parser(flow, None)
        self._flow = flow

    def data_received(self, data: bytes) -> None:
        """Take what upstream sent."""
        if self._flow is not None:
            self._flow.feed_data(data)
            return
        if self._awaits_body:
            if self._is_resting:
                # A 408 for being idle, say: it would be taken for the next request's answer.
                self.close()
                return
            # In one piece with a chunk that is none, aiohttp would forget the head and the body.
            end = data.find(b"\r\n\r\n") + 4
            if 4 <= end < len(data):
                self._awaits_body = False
                super().data_received(data[:end])
                data = data[end:]
        super().data_received(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the connection until it has ended: aiohttp forgets it when it begins to close."""
        assert isinstance(transport, asyncio.Transport)
        self._made = transport
        self._transports.add(transport)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Note how the connection ended."""
        if self._made is not None:
            self._transports.discard(self._made)
        self.was_reset = exc is not None
        super().connection_lost(exc)

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        if exc_cause is None:
            super().set_exception(exc)
        else:
            super().set_exception(exc, exc_cause)
        # aiohttp tells of a chunk that is none to who waits for a head alone: a body would hang.
        body = self._payload
        if isinstance(exc, http.HttpProcessingError) and body is not None and not body.is_eof():
            body.set_exception(exc)


def new_protocol(
    loop: asyncio.AbstractEventLoop, transports: set[asyncio.Transport]
) -> ResponseHandler:
    """Make the protocol of a new connection, as aiohttp's connector asks for it."""
    return UpstreamProtocol(loop, transports)
