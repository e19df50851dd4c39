"""An upstream in OpenAI's WebSocket mode that plays one script for each connection.

It is a well-behaved server on aiohttp, for real clients: frames and compression are aiohttp's.
It runs in a thread with a loop of its own. Prewarms it answers by itself, beside the script.
"""

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import orjson
from aiohttp import WSCloseCode, WSMsgType, web

from .events import Event, ev_completed, ev_created
from .script import GUARD_S, Gate

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Take:
    """Wait for the client's next message that is no prewarm."""


@dataclass(frozen=True, slots=True)
class Say:
    """Send one text frame."""

    text: str


@dataclass(frozen=True, slots=True)
class CloseWith:
    """Close with this code and reason, wherever the response stands."""

    code: int = WSCloseCode.OK
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Drop:
    """Abort the connection without a close frame."""


Step = Take | Say | Gate | CloseWith | Drop


def says(*events: Event, lane: str | None = None, first: int = 0) -> list[Say]:
    """One frame for each event, in the lane; `sequence_number` counts from `first`."""
    routing: dict[str, object] = {} if lane is None else {"stream_id": lane}
    return [
        Say(orjson.dumps({"sequence_number": number} | event | routing).decode())
        for number, event in enumerate(events, start=first)
    ]


@dataclass(slots=True)
class Connection:
    """What one client sent, and how it left."""

    headers: Mapping[str, str]
    target: str
    is_deflated: bool
    messages: list[Message] = field(default_factory=list)
    prewarms: list[Message] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)
    close_code: int | None = None

    def wait_until_closed(self) -> None:
        """Wait for the connection's end, at either side."""
        assert self.closed.wait(GUARD_S), "the connection was never closed"


class ResponsesSocket:
    """`with ResponsesSocket() as upstream:` listens on 127.0.0.1, on a port of its own.

    Leaving the block fails if a script was not played to its end, if a connection came that no
    script was queued for, or if a request was no WebSocket; all that unless the block failed.
    """

    def __init__(self, *, takes_compression: bool = False) -> None:
        self.port = 0
        self.connections: list[Connection] = []
        self.takes_compression = takes_compression
        self._scripts: list[list[Step]] = []
        self._misuse: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="responses-socket", daemon=True)

    @property
    def url(self) -> str:
        """The server's base URL, without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def messages(self) -> list[Message]:
        """What came over all connections, but for prewarms."""
        return [message for connection in self.connections for message in connection.messages]

    def enqueue(self, *steps: Step | Sequence[Step]) -> None:
        """Queue the script for the next connection that has none."""
        self._scripts.append(list(_flat(steps)))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(GUARD_S), "the WebSocket upstream did not start"
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(GUARD_S)
        assert not self._thread.is_alive(), "the WebSocket upstream did not stop"
        if exc is None:
            assert not self._misuse, self._misuse
            assert not self._scripts, f"{len(self._scripts)} scripts were never used"

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.path != "/v1/responses" or "upgrade" not in request.headers or not self._scripts:
            self._misuse.append(f"no script for {request.method} {request.path_qs}")
            return web.Response(status=400)  # Which no client tries again.
        socket = web.WebSocketResponse(max_msg_size=0, compress=self.takes_compression)
        script = self._scripts.pop(0)
        await socket.prepare(request)
        connection = Connection(
            headers=request.headers.copy(),
            target=request.path_qs,
            is_deflated="Sec-WebSocket-Extensions" in socket.headers,
        )
        self.connections.append(connection)
        try:
            await self._play(script, socket, request, connection)
        finally:
            connection.close_code = socket.close_code
            connection.closed.set()
        return socket

    async def _play(
        self,
        script: list[Step],
        socket: web.WebSocketResponse,
        request: web.Request,
        connection: Connection,
    ) -> None:
        for step in script:
            match step:
                case Take():
                    if not await _take(socket, connection):
                        self._misuse.append("the client left before its script's end")
                        return
                case Say():
                    await socket.send_str(step.text)
                case Gate():
                    await step.passed()
                case CloseWith():
                    await socket.close(code=step.code, message=step.reason.encode())
                    return
                case Drop():
                    assert request.transport is not None
                    request.transport.abort()
                    return
        if await _take(socket, connection):
            self._misuse.append(f"a message beyond the script: {connection.messages[-1]}")


async def _take(socket: web.WebSocketResponse, connection: Connection) -> bool:
    """Note the next message that is no prewarm; False if there is none to come."""
    async for frame in socket:
        assert frame.type is WSMsgType.TEXT, f"a client sent {frame.type}"
        message = orjson.loads(frame.data)
        if message.get("generate") is not False:
            connection.messages.append(message)
            return True
        connection.prewarms.append(message)
        response_id = f"resp_prewarm_{len(connection.prewarms)}"
        for answer in says(ev_created(response_id), ev_completed(response_id)):
            await socket.send_str(answer.text)
    return False


def _flat(steps: Sequence[Step | Sequence[Step]]) -> Iterator[Step]:
    for step in steps:
        if isinstance(step, Sequence):
            yield from step
        else:
            yield step
