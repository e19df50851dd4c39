"""The load over HTTP: many connections, on each one call after the other, every response checked.

A process of its own. It prints `ready` when all connections are open and warm, begins at a line on
its standard input, prints what it saw as one JSON line, and stays until its input ends.
"""

import asyncio
import re
import sys
import time
from dataclasses import asdict
from functools import partial
from math import inf

import orjson

from . import script as scripts
from .http_check import fault_in
from .http_work import Seen, Work
from .script import END_OF_CHUNKS, STAMP_PATTERN

REQUEST_HEAD = (
    b"POST /v1/responses HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: application/json\r\n"
    b"Content-Type: application/json\r\nUser-Agent: OpenAI/Python 2.8.1\r\n"
    b"X-Stainless-Lang: python\r\nX-Stainless-Package-Version: 2.8.1\r\nX-Stainless-OS: Linux\r\n"
    b"X-Stainless-Arch: x64\r\nX-Stainless-Runtime: CPython\r\nx-stainless-retry-count: 0\r\n"
    b"Authorization: Bearer sk-bench-key-0123456789abcdef\r\nContent-Length: %d\r\n\r\n"
)
LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
CHUNKED = -1
STALL_SECONDS = 30.0
STAMP_ROOM = 40  # bytes: more than a stamp with its key, which two reads may share


class LoadConnection(asyncio.Protocol):
    """One connection of the load."""

    def __init__(self, work: Work, number: int, seen: Seen) -> None:
        self._loop = asyncio.get_running_loop()
        self.warmed: asyncio.Future[None] = self._loop.create_future()
        self.done: asyncio.Future[None] = self._loop.create_future()
        self.calls = 0
        self._work = work
        self._number = number
        self._seen = seen
        self._script = work.warm_script
        self._until = 0.0
        self._due = 0.0
        self._is_windowed = work.window is not None
        self._counts_from = self._counts_until = inf
        self._name = b""
        self._sent_at = 0
        self._parts: list[bytes] = []
        self._received = 0
        self._total: int | None = None
        self._last_bytes = b""
        self._unscanned = b""
        self._has_event = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Make the first call of the warm-up."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so, unless all had come."""
        self._fail(f"the connection was lost: {exc}")

    def begin(self, begun_ns: int) -> None:
        """Make calls; the clock of this run started at ``begun_ns``."""
        if self.done.done():
            return  # the warm-up failed
        start, end = self._work.window or (0.0, inf)
        self._counts_from = begun_ns + start * 1e9
        self._counts_until = begun_ns + end * 1e9
        self._script = self._work.script
        self._until = begun_ns / 1e9 + self._work.seconds
        self._due = self._loop.time()
        self._next()

    def _next(self) -> None:
        """Make a call, unless there were enough."""
        work = self._work
        if not self.warmed.done():
            if self.calls == work.warm:
                self.warmed.set_result(None)
                return
        elif self._loop.time() >= self._until or self.calls - work.warm == work.calls:
            if not self.done.done():
                self.done.set_result(None)
            return
        if self._due > self._loop.time():
            self._loop.call_at(self._due, self._send)
        else:
            self._send()

    def _send(self) -> None:
        work = self._work
        self._due += work.interval
        self._name = work.name(self._number, self.calls)
        self._parts = []
        self._received = 0
        self._total = None
        self._last_bytes = self._unscanned = b""
        self._has_event = False
        body = scripts.request_body(self._script, self._name)
        request = REQUEST_HEAD % (work.port, len(body)) + body
        assert self._transport is not None
        self._sent_at = time.monotonic_ns()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Note when it came; check the response once it is whole."""
        now = time.monotonic_ns()
        self._parts.append(data)
        self._received += len(data)
        self._last_bytes = (self._last_bytes + data[-5:])[-5:]
        if self.warmed.done() and (self._script.pace or not self._has_event):
            self._note_stamps(data, now)
        if self._is_whole():
            self._end_response(now)

    def _note_stamps(self, data: bytes, now: int) -> None:
        """Note how late a stream's events are; of a burst, whose events share a time, the first."""
        text = self._unscanned + data
        at = 0
        for found in STAMP_PATTERN.finditer(text):
            at = found.end()
            if self._counts_from <= now <= self._counts_until:
                self._seen.deltas.append(now - int(found[1]))
                self._seen.events += self._is_windowed
            if not self._has_event:
                self._has_event = True
                self._seen.first_events.append(now - self._sent_at)
                if not self._script.pace:
                    break
        self._unscanned = text[max(at, len(text) - STAMP_ROOM) :]

    def _is_whole(self) -> bool:
        if self._total is None:
            head, end, _ = b"".join(self._parts).partition(b"\r\n\r\n")
            if not end:
                return False
            length = LENGTH.search(head)
            self._total = len(head) + 4 + int(length[1]) if length else CHUNKED
        if self._total == CHUNKED:
            return self._last_bytes == END_OF_CHUNKS
        return self._received >= self._total

    def _end_response(self, now: int) -> None:
        fault = fault_in(b"".join(self._parts), self._script, self._name)
        if fault is not None:
            self._fail(f"{self._name.decode()}: {fault}")
            return
        self.calls += 1
        if self.warmed.done():
            if not self._is_windowed:
                self._seen.calls += 1
                self._seen.events += self._script.events
            self._seen.whole_calls.append(now - self._sent_at)
        self._next()

    def _fail(self, fault: str) -> None:
        if not self.done.done():
            self._seen.faults.append(f"connection {self._number}: {fault}")
            self.done.set_result(None)
        if not self.warmed.done():
            self.warmed.set_result(None)


async def _run(work: Work) -> None:
    loop = asyncio.get_running_loop()
    seen = Seen()
    connections: list[LoadConnection] = []
    for number in range(work.connections):
        _, connection = await loop.create_connection(
            partial(LoadConnection, work, number, seen), "127.0.0.1", work.port
        )
        connections.append(connection)
    await asyncio.wait([each.warmed for each in connections], timeout=STALL_SECONDS)
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    begun = time.monotonic_ns()  # which is the loop's clock too
    for number, connection in enumerate(connections):
        loop.call_later(work.spread * number / work.connections, connection.begin, begun)
    patience = STALL_SECONDS + work.seconds + work.script.seconds
    _, late = await asyncio.wait([each.done for each in connections], timeout=patience)
    seen.faults += [f"{len(late)} connections did not end in {patience:.0f} s"] if late else []
    seen.wall = (time.monotonic_ns() - begun) / 1e9
    seen.calls_of = [each.calls for each in connections]
    print(orjson.dumps(asdict(seen)).decode(), flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(_run(Work.from_json(sys.argv[1])))
