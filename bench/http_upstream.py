"""A scripted upstream for HTTP: each request says in its `metadata` what it wants.

A process of its own: `python -m bench.http_upstream`, which prints its port. A request whose input
is not what the load sent is answered 422, so that the load sees it.
"""

import asyncio
import re
import time

import orjson

from . import script as scripts
from .process import serve_forever
from .script import END_OF_CHUNKS, EVENTS_FIRST, NAME, STAMP, Script, stamp

METADATA = re.compile(rb'"metadata":\s*(\{[^}]*\})')
METADATA_WITHIN = 65_536  # bytes: it is near the start, unless a relay wrote the JSON anew
LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)

HEAD = (
    b"HTTP/1.1 200 OK\r\ndate: Mon, 01 Jun 2026 10:00:00 GMT\r\nserver: bench\r\n"
    b"x-request-id: req_%b\r\nopenai-processing-ms: 198\r\nopenai-version: 2020-10-01\r\n"
    b"openai-organization: org-bench\r\nx-ratelimit-limit-requests: 10000\r\n"
    b"x-ratelimit-remaining-requests: 9999\r\n"
) % NAME
STREAM_HEAD = (
    HEAD + b"content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
JSON_HEAD = HEAD + b"content-type: application/json\r\ncontent-length: %d\r\n\r\n"
REFUSED = b"HTTP/1.1 422 Unprocessable Content\r\ncontent-length: 0\r\n\r\n"


class ScriptedUpstream(asyncio.Protocol):
    """One connection: requests one after the other."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parts: list[bytes] = []
        self._missing = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """Send no more."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Collect a request, then answer it."""
        self._parts.append(data)
        if self._missing:
            self._missing -= len(data)
            if self._missing:
                return
        whole = b"".join(self._parts)
        head_end = whole.find(b"\r\n\r\n")
        if head_end < 0:
            self._parts = [whole]
            return
        length = LENGTH.search(whole, 0, head_end + 2)
        if length is None:
            self._write(REFUSED)
            return
        self._missing = head_end + 4 + int(length[1]) - len(whole)
        self._parts = [whole]
        if self._missing == 0:
            self._parts = []
            self._answer(whole, head_end + 4)

    def _answer(self, request: bytes, body: int) -> None:
        found = METADATA.search(request, body, body + METADATA_WITHIN) or METADATA.search(request)
        if found is None:
            self._write(REFUSED)
            return
        script = Script.wished(found[1])
        name = orjson.loads(found[1])["name"].encode()
        sent = scripts.filler(script.request_bytes)
        if not request.endswith(sent + b'"}') and sent not in request:
            self._write(REFUSED)
        elif not script.stream:
            answer = scripts.json_body(script)
            now = stamp(time.monotonic_ns())
            head = (JSON_HEAD % len(answer)).replace(NAME, name)
            self._write(head + answer.replace(NAME, name).replace(STAMP, now))
        elif not script.pace:
            now = stamp(time.monotonic_ns())
            answer = STREAM_HEAD + scripts.framed_body(script)
            self._write(answer.replace(NAME, name).replace(STAMP, now))
        else:
            self._write(STREAM_HEAD.replace(NAME, name))
            self._pace(script, name, 0, self._loop.time())

    def _pace(self, script: Script, name: bytes, sent: int, begun: float) -> None:
        """Send what is due: the events before the deltas, or a delta, the rest with the last."""
        framed = scripts.framed_events(script)
        upto = sent + 1 if sent else EVENTS_FIRST
        is_last = upto == EVENTS_FIRST + script.deltas
        due = b"".join(framed[sent : None if is_last else upto])
        data = due.replace(NAME, name).replace(STAMP, stamp(time.monotonic_ns()))
        if is_last:
            self._write(data + END_OF_CHUNKS)
            return
        self._write(data)
        when = begun + (upto - EVENTS_FIRST + 1) * script.pace
        self._timer = self._loop.call_at(when, self._pace, script, name, upto, begun)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


if __name__ == "__main__":
    asyncio.run(serve_forever(ScriptedUpstream))
