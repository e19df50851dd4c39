"""Forwards one exchange: the request upstream, the response back, byte for byte and at once.

It tells the trace what it sees, and never waits for it.
"""

import time
from typing import Literal

from aiohttp import EMPTY_PAYLOAD, web

from tracing.call import RequestHead, Waits
from tracing.interface import NULL_TRACE, Recorder
from tracing.scope import Scope
from tracing.terminal import TransportEnd

from .downstream import RelayedResponse
from .errors import Refusal, UpstreamError, refusal_response, upstream_error_response
from .headers import Framing, request_head, response_framing, response_head
from .upstream import OutgoingRequest, Upstream, UpstreamExchange, UpstreamHead

_HTTP_1_1 = (1, 1)
_CALL_SCOPES = frozenset({Scope.CALL, Scope.COMPACTION})


class Forwarding:
    """One exchange on its way. Afterwards it tells how far it came."""

    may_switch = False
    """Whether the request asks for another protocol."""

    def __init__(
        self, request: web.BaseRequest, target: str, head: RequestHead, recorder: Recorder
    ) -> None:
        self.status: int | None = None
        self.end = TransportEnd.EOF
        self.end_text: str | None = None
        self._request = request
        self._target = target
        self._head = head
        self._trace = recorder.begin(head)
        self._upstream_ns = 0
        self._client_ns = 0
        self._exchange: UpstreamExchange | None = None

    async def run(self, upstream: Upstream, *, keep_alive: bool) -> web.StreamResponse:
        """Relay the exchange; ``close`` is to be called after it, however it ended.

        Raises CancelledError where the client left or the proxy shuts down.
        """
        started_ns = time.monotonic_ns()
        try:
            exchange = self._exchange = await upstream.connect()
            self._upstream_ns += time.monotonic_ns() - started_ns
            exchange.send(self._outgoing(upstream))
            head = await self._read_head(exchange)
            return await self._answer(exchange, head, keep_alive=keep_alive)
        except UpstreamError as error:
            self._note_failure(error)
            return self._own_error(error)

    async def _answer(
        self, exchange: UpstreamExchange, head: UpstreamHead, *, keep_alive: bool
    ) -> RelayedResponse:
        """Relay the response; one that breaks off on either side is cut off on the other."""
        response = _response_to(self._request, head, keep_alive=keep_alive)
        try:
            await self._relay_body(exchange, response)
        except UpstreamError as error:
            self._note_failure(error)
            response.cut_off(self._request)
        except ConnectionError:
            # A write found the client gone before its disconnect was told.
            self.cut(TransportEnd.CLIENT_CLOSED)
            response.cut_off(self._request)
        return response

    @property
    def is_traced_call(self) -> bool:
        """Whether the recorder tells of the exchange's end, once it is recorded."""
        return self._trace is not NULL_TRACE and self._head.scope in _CALL_SCOPES

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
        return OutgoingRequest(
            method=request.method,
            head=self._outgoing_head(upstream),
            body=request.content,
            is_chunked=_is_chunked(request),
            on_piece=self._trace.request_piece,
            on_end=self._trace.request_ended,
        )

    def _outgoing_head(self, upstream: Upstream) -> bytes:
        return request_head(
            method=self._request.method,
            target=upstream.target(self._target),
            own_fields=upstream.own_fields,
            headers=self._request.raw_headers,
            is_chunked=_is_chunked(self._request),
        )

    async def _read_head(self, exchange: UpstreamExchange) -> UpstreamHead:
        started_ns = time.monotonic_ns()
        head = await exchange.read_head(may_switch=self.may_switch)
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


def _is_chunked(request: web.BaseRequest) -> bool:
    return "Transfer-Encoding" in request.headers


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
