"""A real HTTP/1.1 server that plays one script for each request and can misbehave in every way.

It is written on raw asyncio streams and runs in a thread with a loop of its own, so that
blocking clients and other processes can use it. It does not judge what it is sent.
"""

import asyncio
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from .captured_request import CapturedRequest, read_body, read_head
from .script import (
    GUARD_S,
    AwaitPeerClose,
    Chunk,
    Close,
    Gate,
    Head,
    LastChunk,
    Raw,
    ReadBody,
    Reply,
    Reset,
    Step,
)
from .upstream_connection import PeerGoneError, UpstreamConnection

UNEXPECTED = Reply(
    status=599,
    reason=b"Unexpected Request",
    body=[b"the scripted upstream has no script for this request"],
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """A reply for every request to one target, however many come."""

    method: bytes
    path: bytes
    reply: Reply

    def answers(self, request: CapturedRequest) -> bool:
        return (request.method, request.path) == (self.method, self.path)


class ScriptedUpstream:
    """`with ScriptedUpstream() as upstream:` listens on 127.0.0.1, on a port of its own.

    Leaving the block fails if a script was not used, if a request came that no script was
    queued for, or if the server's thread met an error; all that unless the block itself failed.
    """

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[CapturedRequest] = []
        self._scripts: list[list[Step]] = []
        self._standing: list[_Standing] = []
        self._otherwise: Reply | None = None
        self._unexpected: list[bytes] = []
        self._errors: list[BaseException] = []
        self._changed = threading.Condition()
        self._connections = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scripted-upstream", daemon=True)

    @property
    def url(self) -> str:
        """The server's base URL, without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """How many connections were accepted so far."""
        return self._connections

    def enqueue(self, script: Reply | Sequence[Step]) -> None:
        """Queue the script for the next request that has none.

        A bare list of steps reads the request's body only where it says `ReadBody()`.
        """
        steps = script.steps() if isinstance(script, Reply) else list(script)
        with self._changed:
            self._scripts.append(steps)

    def always(self, method: str, path: str, reply: Reply) -> None:
        """Answer every request to this path so, beside the queue: for what a client polls."""
        standing = _Standing(method=method.encode(), path=path.encode(), reply=reply)
        with self._changed:
            self._standing.append(standing)

    def otherwise(self, reply: Reply) -> None:
        """Answer so whatever has no script: for requests that nobody can foresee."""
        with self._changed:
            self._otherwise = reply

    def request(self, index: int) -> CapturedRequest:
        """The request number `index`, once its head has come."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.requests) > index, GUARD_S)
            assert came, f"request {index} never came; there were {len(self.requests)}"
            return self.requests[index]

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(GUARD_S), "the scripted upstream did not start"
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(GUARD_S)
        assert not self._thread.is_alive(), "the scripted upstream did not stop"
        if exc is None:
            self._raise_for_misuse()

    def _raise_for_misuse(self) -> None:
        if self._errors:
            raise self._errors[0]
        assert not self._unexpected, f"requests without a script: {self._unexpected}"
        assert not self._scripts, f"{len(self._scripts)} scripts were never used"

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # noqa: BLE001 - handed to the test's thread
            self._errors.append(error)
        finally:
            self._loop.close()
            self._ready.set()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = listener.getsockname()[1]
        server = await asyncio.start_server(self._accept, sock=listener)
        self._ready.set()
        await self._stop.wait()
        server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        connection = UpstreamConnection(reader, writer, number=self._connections)
        task = asyncio.ensure_future(self._converse(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _converse(self, connection: UpstreamConnection) -> None:
        try:
            while not connection.closing:
                request = await read_head(connection)
                if request is None:
                    return
                await self._answer(connection, request)
        except PeerGoneError:
            return
        except Exception as error:  # noqa: BLE001 - handed to the test's thread
            self._errors.append(error)
        finally:
            await connection.close()

    async def _answer(self, connection: UpstreamConnection, request: CapturedRequest) -> None:
        script = self._script_for(request)
        watch = asyncio.ensure_future(_note_peer_close(connection, request))
        try:
            for step in script:
                await _play(step, connection, request)
        except PeerGoneError:
            request.closed_by_peer.set()
            raise
        finally:
            watch.cancel()
            request.answered.set()

    def _script_for(self, request: CapturedRequest) -> list[Step]:
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
            for standing in self._standing:
                if standing.answers(request):
                    return standing.reply.steps()
            if self._scripts:
                return self._scripts.pop(0)
            if self._otherwise is not None:
                return self._otherwise.steps()
        self._unexpected.append(request.line)
        return UNEXPECTED.steps()


async def _note_peer_close(connection: UpstreamConnection, request: CapturedRequest) -> None:
    await connection.peer_closed.wait()
    if not connection.closing:
        request.closed_by_peer.set()


async def _play(step: Step, connection: UpstreamConnection, request: CapturedRequest) -> None:
    match step:
        case Head() | Chunk() | LastChunk() | Raw():
            await connection.send(step.encode())
        case ReadBody():
            await read_body(connection, request)
        case Gate():
            await connection.wait_unless_peer_closes(step.passed())
        case AwaitPeerClose():
            await connection.peer_closed.wait()
            raise PeerGoneError
        case Close():
            await connection.finish()
        case Reset():
            await connection.reset()
