"""The upstream of a soak: it answers each call as its kind says, and notes which ones came."""

import asyncio
import gzip
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from aiohttp import WSMsgType, web

from .calls import UNFINISHED, Kind, SoakCall, call_of

REQUEST_BYTES_MAX = 8 * 1024 * 1024


class SoakUpstream:
    """Serves `/v1/responses` over HTTP and as a WebSocket, on a port of its own."""

    def __init__(self) -> None:
        self.received: Counter[SoakCall] = Counter()
        self._seen: defaultdict[SoakCall, asyncio.Event] = defaultdict(asyncio.Event)
        self.port = 0

    def begun(self, call: SoakCall) -> None:
        """Take note that the client has seen all that comes before the call breaks off."""
        self._seen[call].set()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Listen while the context is open."""
        app = web.Application(client_max_size=REQUEST_BYTES_MAX)
        app.router.add_post("/v1/responses", self._answer)
        app.router.add_get("/v1/responses", self._converse)
        runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        try:
            yield
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        call = call_of(orjson.loads(await request.read()))
        self.received[call] += 1
        headers = {"x-request-id": f"req_{call.number}"}
        if call.kind in {Kind.JSON, Kind.BIG, Kind.REFUSED}:
            status = 500 if call.kind is Kind.REFUSED else 200
            headers["Content-Type"] = "application/json"
            return web.Response(status=status, body=call.body(), headers=headers)
        headers["Content-Type"] = "text/event-stream"
        body = call.body()
        if call.kind is Kind.COMPRESSED:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, mtime=0)
        response = web.StreamResponse(headers=headers)
        response.enable_chunked_encoding()
        await response.prepare(request)
        for start in range(0, len(body), 1000):
            await response.write(body[start : start + 1000])
        if call.kind in UNFINISHED:
            await self._break_off(call, request)
        return response

    async def _break_off(self, call: SoakCall, request: web.Request) -> None:
        """Reset the connection, or wait for the client's leaving, which cancels this."""
        if call.kind not in {Kind.RESET, Kind.SOCKET_RESET}:
            await asyncio.Event().wait()
        await self._seen[call].wait()
        del self._seen[call]
        if request.transport is not None:
            request.transport.abort()

    async def _converse(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=REQUEST_BYTES_MAX, compress=False)
        await socket.prepare(request)
        async for message in socket:
            assert message.type is WSMsgType.TEXT
            call = call_of(orjson.loads(message.data))
            self.received[call] += 1
            for number, event in enumerate(call.events()):
                await socket.send_str(orjson.dumps({"sequence_number": number} | event).decode())
            if call.kind is Kind.SOCKET_RESET:
                await self._break_off(call, request)
                break
        return socket
