"""The load for WebSockets: many sockets, on each one response after the other, every frame checked.

A process of its own. It prints `ready` when all sockets are open, begins at a line on its standard
input, prints what it saw as one JSON line, and keeps the sockets open until its input ends.
"""

import asyncio
import sys
import time
from dataclasses import asdict
from functools import partial

import orjson

from .frames import CHECK_FIELD, TextFrames, checksum, text_frame
from .frames_work import Seen, Work

HANDSHAKE = (
    b"GET /v1/responses HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer sk-bench-key\r\n\r\n"
)
STALL_SECONDS = 20.0
PROMPT = "How does water leave a mill? " * 30


class LoadSocket(asyncio.Protocol):
    """One socket of the load."""

    def __init__(self, work: Work, number: int, seen: Seen) -> None:
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.done: asyncio.Future[None] = loop.create_future()
        self._work = work
        self._number = number
        self._seen = seen
        self._head = b""
        self._frames = TextFrames()
        self._response = 0
        self._next = 0
        self._check = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the handshake."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(HANDSHAKE % self._work.port)

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so, unless all had come."""
        self._fail(f"the connection was lost: {exc}")

    def data_received(self, data: bytes) -> None:
        """Read the handshake's answer, then frames."""
        now = time.monotonic_ns()
        if not self.opened.done():
            self._head += data
            if not self._head.endswith(b"\r\n\r\n"):
                return
            if self._head.startswith(b"HTTP/1.1 101 "):
                self.opened.set_result(None)
            else:
                self._fail(f"the handshake was refused: {self._head[:60]!r}")
            return
        try:
            for payload in self._frames.feed(data):
                self._take(payload, now)
        except ValueError as error:
            self._fail(str(error))

    def ask(self) -> None:
        """Ask for the next response."""
        self._next = self._check = 0
        work = self._work
        name = work.name(self._number, self._response)
        metadata = {"name": name, "deltas": str(work.deltas), "pace": str(work.pace)}
        text = [{"type": "input_text", "text": PROMPT}]
        items = [{"type": "message", "role": "user", "content": text}]
        body = {"type": "response.create", "model": "bench", "input": items, "metadata": metadata}
        assert self._transport is not None
        self._transport.write(text_frame(orjson.dumps(body), from_client=True))

    def _take(self, payload: bytes, now: int) -> None:
        event = orjson.loads(payload)
        self._seen.frames += 1
        self._seen.payload_bytes += len(payload)
        self._seen.delays.append(now - event["sent_ns"])
        if event["sequence_number"] != self._next:
            self._fail(f"frame {event['sequence_number']} came in place of {self._next}")
        self._next += 1
        if event["type"] == "response.completed":
            self._end_response(event)
        self._check = checksum(payload, self._check)

    def _end_response(self, event: dict[str, object]) -> None:
        response = event["response"]
        name = self._work.name(self._number, self._response)
        if not isinstance(response, dict) or response["id"] != name:
            self._fail(f"another response than {name} ended")
        elif event[CHECK_FIELD] != self._check or self._next != self._work.frames_each:
            self._fail(f"{name} did not arrive as it was sent")
        else:
            self._seen.whole_responses += 1
        self._response += 1
        if self._response < self._work.responses:
            asyncio.get_running_loop().call_soon(self.ask)
        elif not self.done.done():
            self.done.set_result(None)

    def _fail(self, fault: str) -> None:
        if not self.done.done():
            self._seen.faults.append(f"socket {self._number}: {fault}")
            self.done.set_result(None)
        if not self.opened.done():
            self.opened.set_result(None)


async def _run(work: Work) -> None:
    loop = asyncio.get_running_loop()
    seen = Seen()
    sockets: list[LoadSocket] = []
    for number in range(work.sockets):
        _, socket = await loop.create_connection(
            partial(LoadSocket, work, number, seen), "127.0.0.1", work.port
        )
        await socket.opened
        sockets.append(socket)
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    begun = time.monotonic()
    for number, socket in enumerate(sockets):
        loop.call_later(work.pace * number / work.sockets, socket.ask)
    wait = STALL_SECONDS + work.responses * work.deltas * work.pace
    _, late = await asyncio.wait([socket.done for socket in sockets], timeout=wait)
    seen.faults += [f"{len(late)} sockets did not end in {wait:.0f} s"] if late else []
    seen.wall = time.monotonic() - begun
    print(orjson.dumps(asdict(seen)).decode(), flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(_run(Work(**orjson.loads(sys.argv[1]))))
