"""Forwards one exchange: the request upstream, the response back, byte for byte and at once.

It tells the trace what it sees, and never waits for it.
"""

import asyncio
import time
from typing import Literal

from aiohttp import EMPTY_PAYLOAD, web

from tracing.call import RequestHead, Waits
from tracing.interface import NULL_TRACE, Recorder
from tracing.scope import Scope
from tracing.terminal import TransportEnd

from .blocked_stretches import BlockedStretches
from .downstream import DownstreamProtocol, RelayedResponse
from .errors import Refusal, UpstreamError, refusal_response, upstream_error_response
from .headers import Framing, request_head, response_framing, response_head
from .response_body import BodyUntilClose, ChunkedBody, LengthBody, ResponseBody
from .response_relay import ResponseRelay
from .upstream import OutgoingRequest, Upstream, UpstreamExchange, UpstreamHead

CATCH_UP_BYTES_MAX = 1024 * 1024
"""What is read at most when a client leaves that was waited for: what sockets buffer, mostly. An
upstream that sends without end must not keep its connection by that."""

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
        self._started_ns = time.monotonic_ns()
        self._keep_alive = True
        self._exchange: UpstreamExchange | None = None
        self._relay: ResponseRelay | None = None
        self._response: RelayedResponse | None = None

    async def run(self, upstream: Upstream, *, keep_alive: bool) -> web.StreamResponse:
        """Relay the exchange; ``close`` is to be called after it, however it ended.

        Raises CancelledError where the client left or the proxy shuts down.
        """
        self._keep_alive = keep_alive
        try:
            exchange = self._exchange = await upstream.connect()
            exchange.send(self._outgoing(upstream))
            await exchange.finished()
        except UpstreamError as error:
            self._note_failure(error)
            if self._response is None:
                return self._own_error(error)
            # One that breaks off on either side is cut off on the other.
            self._response.cut_off(self._request)
        assert self._response is not None
        return self._response

    @property
    def is_traced_call(self) -> bool:
        """Whether the recorder tells of the exchange's end, once it is recorded."""
        return self._trace is not NULL_TRACE and self._head.scope in _CALL_SCOPES

    async def drain(self) -> None:
        """Read the response to its end for the trace, although its client has left."""
        exchange = self._exchange
        assert exchange is not None
        if self._relay is not None:
            self._relay.let_go_of_client()
        try:
            await exchange.finished()
        except UpstreamError as error:
            # The client's leaving came first, and stays how the exchange ended.
            self.end_text = f"client disconnected, then {error}"

    @property
    def is_behind(self) -> bool:
        """Whether upstream's bytes wait to be read, since the client did not take its own."""
        return self._relay is not None and self._relay.is_blocked

    async def catch_up(self) -> None:
        """Read what has come from upstream by now, for the trace."""
        relay = self._relay
        assert relay is not None
        enough = relay.bytes_seen + CATCH_UP_BYTES_MAX
        relay.let_go_of_client()
        while (before := relay.bytes_seen) < enough:
            # The loop reads after it has run what is ready: one round may pass in between.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if relay.bytes_seen == before:
                return

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
            self._exchange.end(is_whole=self._relay is not None and self._relay.is_whole)
        self._trace.ended(self.end, self.end_text, self._waits())

    def _waits(self) -> Waits:
        """How long each side was waited for, once nothing is waited for any more."""
        blocked = BlockedStretches()
        if self._relay is not None:
            self._relay.end(None)
            blocked = self._relay.blocked
        return Waits(
            upstream_ns=time.monotonic_ns() - self._started_ns - blocked.total_ns,
            client_ns=blocked.total_ns,
            client_blocked_ns=blocked.longest(),
        )

    def _outgoing(self, upstream: Upstream) -> OutgoingRequest:
        request = self._request
        return OutgoingRequest(
            method=request.method,
            head=self._outgoing_head(upstream),
            body=request.content,
            is_chunked=_is_chunked(request),
            on_piece=self._trace.request_piece,
            on_end=self._trace.request_ended,
            on_head=self._head_came,
            may_switch=self.may_switch,
        )

    def _outgoing_head(self, upstream: Upstream) -> bytes:
        return request_head(
            method=self._request.method,
            target=upstream.target(self._target),
            own_fields=upstream.own_fields,
            headers=self._request.raw_headers,
            is_chunked=_is_chunked(self._request),
        )

    def _head_came(self, head: UpstreamHead) -> None:
        """Begin the response."""
        self.status = head.status
        self._trace.response_started(head.status, head.headers)
        self._begin_response(head)

    def _begin_response(self, head: UpstreamHead) -> None:
        exchange = self._exchange
        downstream = self._request.protocol
        assert exchange is not None
        assert isinstance(downstream, DownstreamProtocol)
        framing = response_framing(
            method=self._request.method,
            status=head.status,
            headers=head.headers,
            client_takes_chunks=self._request.version >= _HTTP_1_1,
        )
        keep_alive = self._keep_alive and self._request.keep_alive and framing is not Framing.CLOSE
        self._response = RelayedResponse(head.status, keep_alive=keep_alive)
        self._relay = ResponseRelay(
            _body_of(head, framing),
            framing,
            upstream=exchange.protocol,
            client=downstream,
            idle_timeout=exchange.idle_timeout,
            observe=self._trace.response_piece,
            on_end=exchange.finish,
        )
        self._relay.start(_head_to_client(self._request, head, framing, keep_alive=keep_alive))

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


def _body_of(head: UpstreamHead, framing: Framing) -> ResponseBody:
    if framing is Framing.NONE:
        return LengthBody(0)
    if head.is_chunked:
        return ChunkedBody()
    return BodyUntilClose() if head.length is None else LengthBody(head.length)


def _head_to_client(
    request: web.BaseRequest, head: UpstreamHead, framing: Framing, *, keep_alive: bool
) -> bytes:
    connection: bytes | None = None
    if not keep_alive:
        connection = b"close"
    elif request.version < _HTTP_1_1:
        connection = b"keep-alive"
    return response_head(
        status=head.status,
        reason=head.reason,
        headers=head.headers,
        framing=framing,
        connection=connection,
    )
