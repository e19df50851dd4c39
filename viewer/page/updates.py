"""`/updates`: tells whoever looks which calls changed, as server-sent events."""

import asyncio
import json

from aiohttp import web

from .freshness import CHANGES_NAMED_MAX, Change, Freshness

KEEP_ALIVE_SECONDS = 15.0
"""Between two signs of life: what is between us and a browser may close what is silent."""

STREAMS_MAX = 64
"""Open at a time. A page that nobody sees closes its own, so that these are screens."""

_RETRY_MS = 2000


class Updates:
    """The open streams. What a slow one has not taken yet is merged, so that none grows."""

    def __init__(self, freshness: Freshness) -> None:
        self._freshness = freshness
        self._open: set[Stream] = set()
        self._is_ended = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer with a stream that ends when the client leaves, or we do."""
        if len(self._open) >= STREAMS_MAX or self._is_ended:
            return web.Response(status=503, text="too many streams are open\n")
        response = web.StreamResponse(headers={"X-Accel-Buffering": "no"})
        response.content_type = "text/event-stream"
        response.charset = "utf-8"
        stream = Stream()
        known = _version(request)
        if known is not None and known != self._freshness.version:
            stream.note(Change(version=self._freshness.version, calls=None))
        self._open.add(stream)
        self._freshness.listen(stream.note)
        try:
            await response.prepare(request)
            await response.write(f"retry: {_RETRY_MS}\n\n".encode())
            while not self._is_ended:
                await response.write(await stream.next_message())
            await response.write_eof()
        except ConnectionResetError:
            pass  # it left
        finally:
            self._freshness.unlisten(stream.note)
            self._open.discard(stream)
        return response

    def end(self) -> None:
        """End all streams, and take no more."""
        self._is_ended = True
        for stream in self._open:
            stream.wake()


class Stream:
    """What one client has not been told yet."""

    def __init__(self) -> None:
        self._change: Change | None = None
        self._woken = asyncio.Event()

    def note(self, change: Change) -> None:
        """Tell it of a change, when it takes one."""
        calls = change.calls
        if self._change is not None:
            before = self._change.calls
            calls = None if before is None or calls is None else before | calls
        if calls is not None and len(calls) > CHANGES_NAMED_MAX:
            calls = None
        self._change = Change(version=change.version, calls=calls)
        self._woken.set()

    def take(self) -> Change | None:
        """All that it was not told yet, as one change."""
        change, self._change = self._change, None
        return change

    def wake(self) -> None:
        """Let it see that nothing more comes."""
        self._woken.set()

    async def next_message(self) -> bytes:
        """An event, or a comment where there has been none for long, or nothing at the end."""
        try:
            await asyncio.wait_for(self._woken.wait(), KEEP_ALIVE_SECONDS)
        except TimeoutError:
            return b":\n\n"
        self._woken.clear()
        change = self.take()
        if change is None:
            return b""
        calls = None if change.calls is None else sorted(change.calls)
        data = json.dumps({"version": change.version, "calls": calls})
        return f"id: {change.version}\ndata: {data}\n\n".encode()


def _version(request: web.Request) -> int | None:
    """What the page that asks was made from; after a break, what it was told last."""
    told = request.headers.get("Last-Event-ID") or request.query.get("since", "")
    return int(told) if told.isascii() and told.isdigit() and len(told) < 20 else None
