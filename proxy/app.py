"""The proxy's application: what is answered here, what is refused, and what is forwarded."""

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine
from http import HTTPStatus
from typing import Any, Literal

from aiohttp import web

from tracing.call import RequestHead
from tracing.interface import Recorder
from tracing.json_masking import mask_text
from tracing.redaction import RawHeaders, header_secrets
from tracing.scope import scope_of, socket_scope_of
from tracing.terminal import TransportEnd

from . import exchange_log
from .access import refuse
from .downstream import DownstreamProtocol
from .errors import Refusal, error_response, refusal_response
from .forward import Forwarding
from .metrics import CONTENT_TYPE, Metrics
from .upstream import Upstream
from .websocket import SocketForwarding, asks_for_websocket

OWN_PREFIX = "/-/"
_BASE_SEGMENT = "/v1"
_BASE_SEGMENTS_MAX = 2
_HTTP_1_1 = (1, 1)


class App:
    """Handles requests, and knows which exchanges are open."""

    def __init__(
        self,
        *,
        upstream: Upstream,
        recorder: Recorder,
        metrics: Metrics,
        allowed_hosts: Collection[str],
        header_bytes_max: int,
        on_disconnect: Literal["abort", "drain"],
        takes_websockets: bool,
    ) -> None:
        self._upstream = upstream
        self._recorder = recorder
        self._metrics = metrics
        self._allowed_hosts = frozenset(host.lower() for host in allowed_hosts)
        self._header_bytes_max = header_bytes_max
        self._on_disconnect = on_disconnect
        self._takes_websockets = takes_websockets
        self._is_draining = False
        self._is_stopping = False
        self._open: set[asyncio.Task[object]] = set()
        self._busy: set[asyncio.Protocol] = set()
        self._sockets: set[SocketForwarding] = set()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        target = request.raw_path
        if target.startswith(OWN_PREFIX):
            return self._own_page(request.method, target.partition("?")[0])
        refusal = refuse(
            method=request.method,
            target=target,
            version=request.version,
            headers=request.raw_headers,
            allowed_hosts=self._allowed_hosts,
            header_bytes_max=self._header_bytes_max,
        )
        is_upgrade = asks_for_websocket(request.raw_headers)
        if refusal is None:
            refusal = _refuse_upgrade(
                request, is_upgrade=is_upgrade, takes_websockets=self._takes_websockets
            ) or _answer_expect(request)
        if refusal is not None:
            self._metrics.refused[refusal.code] += 1
            return refusal_response(refusal)
        return await self._forward(request, target, is_upgrade=is_upgrade)

    def begin_draining(self, connections: Collection[asyncio.Protocol]) -> None:
        """Take no more requests: idle connections close now, the others after their response."""
        self._is_draining = True
        for connection in connections:
            if connection not in self._busy and isinstance(connection, DownstreamProtocol):
                connection.force_close()
        for socket in self._sockets:
            socket.leave()

    async def finish(
        self, grace: float, hurry: asyncio.Event, connections_closed: Coroutine[Any, Any, None]
    ) -> None:
        """Let open exchanges end for ``grace`` seconds, then end them as cancelled.

        ``hurry`` ends the grace. A response has ended when its client has it all, and so its
        connection was closed.
        """
        hurried = asyncio.create_task(hurry.wait())
        ended = asyncio.create_task(self._all_ended(connections_closed))
        await asyncio.wait({hurried, ended}, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        ended.cancel()
        self._is_stopping = True
        for task in self._open:
            task.cancel()
        if self._open:
            await asyncio.wait(self._open)

    async def _all_ended(self, connections_closed: Coroutine[Any, Any, None]) -> None:
        await connections_closed
        while self._open:
            await asyncio.wait(self._open)

    async def _forward(
        self, request: web.BaseRequest, target: str, *, is_upgrade: bool
    ) -> web.StreamResponse:
        started_ns = time.monotonic_ns()
        protocol = request.protocol
        assert isinstance(protocol, DownstreamProtocol)
        path, _, query = target.partition("?")
        head = RequestHead(
            scope=socket_scope_of(path) if is_upgrade else scope_of(request.method, path),
            method=request.method,
            path=path,
            query=query,
            headers=request.raw_headers,
            connection_id=protocol.connection_id,
        )
        forwarding = self._forwarding(request, target, head, is_upgrade=is_upgrade)
        task = asyncio.current_task()
        assert task is not None
        self._begin(task, protocol, forwarding)
        try:
            return await self._run(forwarding)
        finally:
            self._end(task, protocol, forwarding)
            try:
                self._note_end(head, forwarding, started_ns)
            except Exception:
                # Raised on, it would be answered with a 500, behind a response that has been sent.
                protocol.logger.exception("the end of an exchange could not be noted")

    async def _run(self, forwarding: Forwarding) -> web.StreamResponse:
        try:
            response = await forwarding.run(self._upstream, keep_alive=not self._is_draining)
            if self._is_draining:
                response.force_close()
            return response
        except asyncio.CancelledError:
            stopping = self._is_stopping
            forwarding.cut(TransportEnd.SHUTDOWN if stopping else TransportEnd.CLIENT_CLOSED)
            raise
        finally:
            if self._drains(forwarding):
                self._read_on(forwarding, forwarding.drain)
            elif forwarding.end is TransportEnd.CLIENT_CLOSED and forwarding.is_behind:
                self._read_on(forwarding, forwarding.catch_up)
            else:
                forwarding.close()

    def _forwarding(
        self, request: web.BaseRequest, target: str, head: RequestHead, *, is_upgrade: bool
    ) -> Forwarding:
        path = upstream_path(target)
        if is_upgrade:
            return SocketForwarding(request, path, head, self._recorder)
        return Forwarding(request, path, head, self._recorder)

    def _begin(
        self, task: asyncio.Task[Any], protocol: DownstreamProtocol, forwarding: Forwarding
    ) -> None:
        self._open.add(task)
        self._busy.add(protocol)
        self._metrics.open_exchanges += 1
        if isinstance(forwarding, SocketForwarding):
            # WebSockets end when nothing is open on them, not by themselves.
            self._sockets.add(forwarding)

    def _end(
        self, task: asyncio.Task[Any], protocol: DownstreamProtocol, forwarding: Forwarding
    ) -> None:
        if isinstance(forwarding, SocketForwarding):
            self._sockets.discard(forwarding)
        self._metrics.open_exchanges -= 1
        self._busy.discard(protocol)
        self._open.discard(task)

    def _drains(self, forwarding: Forwarding) -> bool:
        return (
            self._on_disconnect == "drain"
            and forwarding.end is TransportEnd.CLIENT_CLOSED
            and forwarding.may_drain
        )

    def _read_on(
        self, forwarding: Forwarding, reading: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Read on without the client, and close then."""

        async def read() -> None:
            try:
                await reading()
            except asyncio.CancelledError:
                forwarding.cut(TransportEnd.SHUTDOWN)
                raise

        task = asyncio.create_task(read())
        # Not at the end of the task: one that is cancelled before it began does not come there.
        task.add_done_callback(lambda _: forwarding.close())
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    def _note_end(self, head: RequestHead, forwarding: Forwarding, started_ns: int) -> None:
        status = forwarding.status
        self._metrics.requests[f"{status // 100}xx" if status else "none"] += 1
        if status == HTTPStatus.UNAUTHORIZED and _has_chatgpt_login(head.headers):
            exchange_log.chatgpt_login_refused()
        if not forwarding.is_traced_call:
            exchange_log.exchange_ended(
                method=head.method,
                path=mask_text(head.path, header_secrets(head.headers)),
                status=status,
                end=forwarding.end,
                duration_ms=round((time.monotonic_ns() - started_ns) / 1e6, 3),
            )

    def _own_page(self, method: str, path: str) -> web.Response:
        if method not in {"GET", "HEAD"}:
            return _page(HTTPStatus.METHOD_NOT_ALLOWED, "method not allowed\n")
        match path:
            case "/-/healthz":
                return _page(HTTPStatus.OK, "ok\n")
            case "/-/readyz" if self._is_draining:
                return _page(HTTPStatus.SERVICE_UNAVAILABLE, "draining\n")
            case "/-/readyz":
                return _page(HTTPStatus.OK, "ready\n")
            case "/-/metrics":
                response = web.Response(body=self._metrics.exposition(self._recorder.lost()))
                response.headers["Content-Type"] = CONTENT_TYPE
                return response
            case _:
                return error_response(
                    404,
                    "tailrace: there is no such page",
                    error_type="invalid_request_error",
                    code="not_found",
                )


def upstream_path(target: str) -> str:
    """Return what follows upstream's base URL: the target without its leading ``/v1`` segments.

    There may be none, one or two: clients get their base URL wrong both ways.
    """
    for _ in range(_BASE_SEGMENTS_MAX):
        rest = target.removeprefix(_BASE_SEGMENT)
        if rest == target or (rest and rest[0] not in "/?"):
            break
        target = rest
    return target


def _page(status: HTTPStatus, text: str) -> web.Response:
    return web.Response(status=status, text=text, headers={"Server": "tailrace"})


def _refuse_upgrade(
    request: web.BaseRequest, *, is_upgrade: bool, takes_websockets: bool
) -> Refusal | None:
    if not is_upgrade:
        return None
    if not takes_websockets:
        # After a 426, and no other status, Codex falls back to HTTP.
        message = "WebSockets are declined here (websockets = false); use HTTP"
        return Refusal(status=426, code="websocket_declined", message=message)
    if request.method != "GET" or request.body_exists or request.version < _HTTP_1_1:
        message = "a WebSocket is asked for by a GET without a body, in HTTP/1.1"
        return Refusal(status=400, code="bad_upgrade", message=message)
    return None


def _answer_expect(request: web.BaseRequest) -> Refusal | None:
    """Ask for the body, as aiohttp's own router would (RFC 9110, 10.1.1)."""
    expected = request.headers.get("Expect")
    if expected is None or request.version < _HTTP_1_1:
        return None
    if expected.lower() != "100-continue":
        message = "100-continue is the only expectation that is understood"
        return Refusal(status=417, code="expectation_failed", message=message)
    if request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return None


def _has_chatgpt_login(headers: RawHeaders) -> bool:
    return any(name.lower() == b"chatgpt-account-id" for name, _ in headers)
