"""Forwards one exchange: the request upstream, the response back, byte for byte and at once.

It tells the trace what it sees, and never waits for it.
"""

import time
from typing import Literal

from aiohttp import EMPTY_PAYLOAD, web

from tracing.call import Waits
from tracing.interface import Trace
from tracing.terminal import TransportEnd

from .downstream import RelayedResponse
from .errors import Refusal, UpstreamError, refusal_response, upstream_error_response
from .headers import Framing, request_head, response_framing, response_head
from .upstream import OutgoingRequest, Upstream, UpstreamExchange, UpstreamHead

_HTTP_1_1 = (1, 1)


class Forwarding:
    """One exchange on its way. Afterwards it tells how far it came."""

    def __init__(self, request: web.BaseRequest, target: str, trace: Trace) -> None:
        self.status: int | None = None
        self.end = TransportEnd.EOF
        self.end_text: str | None = None
        self._request = request
        self._target = target
        self._trace = trace
        self._upstream_ns = 0
        self._client_ns = 0
        self._exchange: UpstreamExchange | None = None

    async def run(self, upstream: Upstream, *, keep_alive: bool) -> web.StreamResponse:
        """Relay the exchange; ``close`` is to be called after it, however it ended.

        Raises CancelledError where the client left or the proxy shuts down.
        """
        response: RelayedResponse | None = None
        started_ns = time.monotonic_ns()
        try:
            exchange = self._exchange = await upstream.connect()
            self._upstream_ns += time.monotonic_ns() - started_ns
            exchange.send(self._outgoing(upstream))
            head = await self._read_head(exchange)
            response = _response_to(self._request, head, keep_alive=keep_alive)
            await self._relay_body(exchange, response)
        except UpstreamError as error:
            self._note_failure(error)
            if response is None:
                return self._own_error(error)
            response.cut_off(self._request)
        except ConnectionError:
            # A write found the client gone before its disconnect was told.
            assert response is not None
            self.cut(TransportEnd.CLIENT_CLOSED)
            response.cut_off(self._request)
        return response

    async def drain(self) -> None:
        """Read the response to its end for the trace, although its client has left."""
        exchange = self._exchange
        assert exchange is not None
        try:
            if self.status is None:
                await self._read_head(exchange)
            async for data in exchange.pieces():
                self._trace.response_piece(data)
        except UpstreamError as error:
            # The client's leaving came first, and stays how the exchange ended.
            self.end_text = f"client disconnected, then {error}"

    @property
    def may_drain(self) -> bool:
        """Whether upstream has the whole request, and so goes on without the client."""
        return self._exchange is not None and self._exchange.is_sent

    def cut(self, end: Literal[TransportEnd.CLIENT_CLOSED, TransportEnd.SHUTDOWN]) -> None:
        """Note that the exchange ends here, and by whom."""
        self.end, self.end_text = end, None

    def close(self) -> None:
        """Close or give back the connection to upstream, then tell the trace of the end."""
        # Upstream first: its closing is what ends generation, and so its cost.
        if self._exchange is None:
            self._note_unsent()
        else:
            self._exchange.end()
            # What came from upstream was seen, also where no client was left to take it.
            for data in self._exchange.unread():
                self._trace.response_piece(data)
        waits = Waits(upstream_ns=self._upstream_ns, client_ns=self._client_ns)
        self._trace.ended(self.end, self.end_text, waits)

    def _outgoing(self, upstream: Upstream) -> OutgoingRequest:
        request = self._request
        is_chunked = "Transfer-Encoding" in request.headers
        head = request_head(
            method=request.method,
            target=upstream.target(self._target),
            own_fields=upstream.own_fields,
            headers=request.raw_headers,
            is_chunked=is_chunked,
        )
        return OutgoingRequest(
            method=request.method,
            head=head,
            body=request.content,
            is_chunked=is_chunked,
            on_piece=self._trace.request_piece,
            on_end=self._trace.request_ended,
        )

    async def _read_head(self, exchange: UpstreamExchange) -> UpstreamHead:
        started_ns = time.monotonic_ns()
        head = await exchange.read_head()
        self._upstream_ns += time.monotonic_ns() - started_ns
        self.status = head.status
        self._trace.response_started(head.status, head.headers)
        return head

    async def _relay_body(self, exchange: UpstreamExchange, response: RelayedResponse) -> None:
        await response.prepare(self._request)
        waiting_ns = time.monotonic_ns()
        async for data in exchange.pieces():
            came_ns = time.monotonic_ns()
            self._upstream_ns += came_ns - waiting_ns
            try:
                await response.send(data)
            finally:
                # What upstream sent was seen, whether or not the client could be given it.
                self._trace.response_piece(data)
            await response.drained()
            waiting_ns = time.monotonic_ns()
            self._client_ns += waiting_ns - came_ns
        await response.write_eof()

    def _note_unsent(self) -> None:
        """Tell the trace what came of a request for which no connection was made."""
        body = self._request.content
        # The public way would raise where the client has left meanwhile.
        if body is not EMPTY_PAYLOAD and (data := body._read_nowait(-1)):
            self._trace.request_piece(data)
        if body.is_eof():
            self._trace.request_ended()

    def _note_failure(self, error: UpstreamError) -> None:
        if self._request_is_malformed():
            self.end, self.end_text = TransportEnd.CLIENT_CLOSED, "the request's body is malformed"
        else:
            self.end, self.end_text = error.end, str(error)

    def _request_is_malformed(self) -> bool:
        return self._exchange is not None and self._exchange.request_failure is not None

    def _own_error(self, error: UpstreamError) -> web.Response:
        if self._request_is_malformed():
            message = "the request's body is not framed as its head says"
            response = refusal_response(Refusal(status=400, code="bad_body", message=message))
        else:
            response = upstream_error_response(error)
        self.status = response.status
        return response


def _response_to(
    request: web.BaseRequest, head: UpstreamHead, *, keep_alive: bool
) -> RelayedResponse:
    framing = response_framing(
        method=request.method,
        status=head.status,
        headers=head.headers,
        client_takes_chunks=request.version >= _HTTP_1_1,
    )
    keep_alive = keep_alive and request.keep_alive and framing is not Framing.CLOSE
    connection: bytes | None = None
    if not keep_alive:
        connection = b"close"
    elif request.version < _HTTP_1_1:
        connection = b"keep-alive"
    return RelayedResponse(
        head.status,
        response_head(
            status=head.status,
            reason=head.reason,
            headers=head.headers,
            framing=framing,
            connection=connection,
        ),
        is_chunked=framing is Framing.CHUNKED,
        keep_alive=keep_alive,
    )
