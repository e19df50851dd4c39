"""The clients of a soak: they send calls of every kind, and check each byte that they get."""

import asyncio
import gzip
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress

import aiohttp
import orjson

from tests.support.script import GUARD_S

from .calls import Kind, SoakCall

RESPONSES_OF_A_SOCKET = 3

THINKING_SECONDS = 0.04
"""Between a client's calls: flat out, it would show which of two processes gets the CPU."""

ROUND = (
    Kind.STREAM,
    Kind.JSON,
    Kind.SOCKET,
    Kind.DROPPED,
    Kind.STREAM,
    Kind.REFUSED,
    Kind.COMPRESSED,
    Kind.RESET,
    Kind.SOCKET_DROPPED,
    Kind.STREAM,
    Kind.BIG,
    Kind.SOCKET_RESET,
    Kind.COMPRESSED,
    Kind.STREAM,
    Kind.JSON,
    Kind.SOCKET,
)
"""What each client does, over and over, each beginning elsewhere."""


class Load:
    """Clients that go on until they are told to stop."""

    def __init__(self, base_url: str, clients: int, on_begun: Callable[[SoakCall], None]) -> None:
        """``on_begun`` is told of a call that has got all that comes before it breaks off."""
        self.sent: Counter[SoakCall] = Counter()
        self.faults: list[str] = []
        self._url = f"{base_url}/responses"
        self._clients = clients
        self._on_begun = on_begun
        self._numbers = itertools.count(1)
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Let every client end what it does, and do no more."""
        self._stop.set()

    async def run(self) -> None:
        """Run the clients to their end."""
        # A proxy answers a connection that is closed under it with an error or another one; here
        # each is used once, so that what fails is the proxy's.
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with (
            aiohttp.ClientSession(
                connector=connector, auto_decompress=False, timeout=aiohttp.ClientTimeout(GUARD_S)
            ) as session,
            asyncio.TaskGroup() as tasks,
        ):
            for place in range(self._clients):
                tasks.create_task(self._client(session, place))

    async def _client(self, session: aiohttp.ClientSession, place: int) -> None:
        kinds: Iterator[Kind] = itertools.islice(itertools.cycle(ROUND), place, None)
        while not self._stop.is_set():
            kind = next(kinds)
            try:
                await self._one(session, kind)
            except (aiohttp.ClientError, AssertionError, TimeoutError) as error:
                self.faults.append(f"{kind}: {error!r}")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), THINKING_SECONDS)

    async def _one(self, session: aiohttp.ClientSession, kind: Kind) -> None:
        match kind:
            case Kind.SOCKET:
                await self._socket(session)
            case Kind.SOCKET_DROPPED | Kind.SOCKET_RESET:
                await self._broken_socket(session, kind)
            case Kind.DROPPED | Kind.RESET:
                await self._broken(session, kind)
            case Kind.REFUSED:
                await self._whole(session, self._new(kind))
                await self._whole(session, self._new(Kind.STREAM))
            case _:
                await self._whole(session, self._new(kind))

    def _new(self, kind: Kind) -> SoakCall:
        call = SoakCall(kind, next(self._numbers))
        self.sent[call] += 1
        return call

    def _post(
        self, session: aiohttp.ClientSession, call: SoakCall
    ) -> "aiohttp.client._RequestContextManager":
        headers = {"Content-Type": "application/json", "Authorization": "Bearer sk-soak-0123456789"}
        data = orjson.dumps(call.request())
        if call.kind is Kind.COMPRESSED:
            headers["Content-Encoding"] = "gzip"
            data = gzip.compress(data, mtime=0)
        return session.post(self._url, data=data, headers=headers)

    async def _whole(self, session: aiohttp.ClientSession, call: SoakCall) -> None:
        async with self._post(session, call) as response:
            body = await response.read()
        if call.kind is Kind.COMPRESSED:
            body = gzip.decompress(body)
        assert body == call.body(), f"{len(body)} bytes came for {call}"
        assert response.headers["x-request-id"] == f"req_{call.number}"

    async def _broken(self, session: aiohttp.ClientSession, kind: Kind) -> None:
        call = self._new(kind)
        data = b""
        async with self._post(session, call) as response:
            while data != call.body():
                assert call.body().startswith(data), f"other bytes came for {call}"
                data += await response.content.readany()
            if kind is Kind.DROPPED:
                response.close()
                return
            self._on_begun(call)
            with suppress(aiohttp.ClientError):
                assert not await response.content.read(), "a reset came as an end"
                raise AssertionError("a stream that was cut came as a whole one")

    async def _socket(self, session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(self._url, max_msg_size=0) as socket:
            for _ in range(RESPONSES_OF_A_SOCKET):
                call = self._new(Kind.SOCKET)
                await _ask(socket, call)
                await _expect_events(socket, call)

    async def _broken_socket(self, session: aiohttp.ClientSession, kind: Kind) -> None:
        async with session.ws_connect(self._url, max_msg_size=0, autoclose=False) as socket:
            call = self._new(kind)
            await _ask(socket, call)
            await _expect_events(socket, call)
            if kind is Kind.SOCKET_RESET:
                self._on_begun(call)
                message = await socket.receive(GUARD_S)
                assert message.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}, message
            elif socket._response.connection is not None:
                # Without a close frame, as a process that is killed leaves it.
                transport = socket._response.connection.transport
                assert transport is not None
                transport.abort()


async def _ask(socket: aiohttp.ClientWebSocketResponse, call: SoakCall) -> None:
    message = call.request() | {"type": "response.create"}
    await socket.send_str(orjson.dumps(message).decode())


async def _expect_events(socket: aiohttp.ClientWebSocketResponse, call: SoakCall) -> None:
    for number, event in enumerate(call.events()):
        message = await socket.receive(GUARD_S)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        assert orjson.loads(message.data) == {"sequence_number": number} | event
