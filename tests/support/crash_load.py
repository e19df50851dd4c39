"""A light load of streams through a proxy that may die at any moment, and what was seen of each.

Upstream and clients stand outside of the proxy, on both sides of it, in one event loop: their clock
says what had reached upstream, and what a client had got, by when.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import web

from . import events as wire
from .codex_cli import REPO_ROOT
from .script import GUARD_S

CLIENTS = 4
WORDS = 12
WORD_S = 0.002
"""Between two words of a stream: a call takes some 25 ms."""


@dataclass(slots=True)
class SeenCall:
    """A call as both sides of the proxy saw it; times in ns, None where it did not come so far."""

    number: int
    received_ns: int | None = None
    pieces: list[tuple[int, bytes]] = field(default_factory=list)
    """What the client got, and when."""
    ended_ns: int | None = None

    @property
    def prompt(self) -> str:
        """What is asked: no two calls ask the same."""
        return f"call {self.number}."

    def words(self) -> list[str]:
        """The words of the answer."""
        return [f"{self.number}.{word} " for word in range(WORDS)]

    def text_seen_by(self, deadline_ns: int) -> str:
        """The text that the client had by then."""
        seen = b"".join(data for at_ns, data in self.pieces if at_ns < deadline_ns)
        return "".join(word for word in self.words() if f'"delta":"{word}"'.encode() in seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Killed:
    """When a process was killed, and when the recorder's last whole pass had begun; in ns."""

    killed_ns: int
    flushed_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A proxy that listens."""

    pid: int
    base_url: str


class ServeForks:
    """`async with ServeForks(upstream_url, flush_interval) as forks:` starts and kills proxies."""

    def __init__(self, upstream_url: str, flush_interval: float) -> None:
        self._arguments = (upstream_url, str(flush_interval))

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.serve_forks", *self._arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=REPO_ROOT,
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await asyncio.wait_for(self._process.wait(), GUARD_S)

    async def start(self, trace_dir: Path, log: Path) -> Started:
        """Start a proxy; it listens when this returns."""
        return Started(**await self._ask(start=str(trace_dir), log=str(log)))

    async def kill(self, pid: int) -> Killed:
        """Kill it; it is gone when this returns."""
        return Killed(**await self._ask(kill=pid))

    async def stop(self, pid: int) -> int:
        """End it in order; its exit code."""
        exit_code: int = (await self._ask(stop=pid))["exit_code"]
        return exit_code

    async def _ask(self, **command: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        line = await asyncio.wait_for(self._process.stdout.readline(), GUARD_S)
        answer: dict[str, Any] = json.loads(line)
        return answer


class Load:
    """Upstream and the clients. `calls` are those since the load began."""

    def __init__(self) -> None:
        self.url = ""
        self.calls: dict[int, SeenCall] = {}
        self._numbers = 0

    async def run(self, base_url: str, stop: asyncio.Event) -> None:
        """Call until told to stop, or until the proxy is gone."""
        async with aiohttp.ClientSession() as session:
            clients = [
                asyncio.create_task(self._be_client(session, base_url)) for _ in range(CLIENTS)
            ]
            await stop.wait()
            for client in clients:
                client.cancel()
            await asyncio.gather(*clients, return_exceptions=True)

    async def _be_client(self, session: aiohttp.ClientSession, base_url: str) -> None:
        while True:
            self._numbers += 1
            call = self.calls[self._numbers] = SeenCall(self._numbers)
            content = [{"type": "input_text", "text": call.prompt}]
            body = {
                "model": wire.MODEL,
                "stream": True,
                "input": [{"type": "message", "role": "user", "content": content}],
            }
            try:
                async with session.post(f"{base_url}/responses", json=body) as response:
                    async for data in response.content.iter_any():
                        call.pieces.append((time.monotonic_ns(), data))
                call.ended_ns = time.monotonic_ns()
            except aiohttp.ClientError:
                return

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Be upstream: the words one by one."""
        (item,) = (await request.json())["input"]
        number = int(item["content"][0]["text"].removeprefix("call ").removesuffix("."))
        call = self.calls[number]
        call.received_ns = time.monotonic_ns()
        response_id, item_id = f"resp_{number}", f"msg_{number}"
        response = web.StreamResponse(
            headers={"content-type": "text/event-stream", "x-request-id": f"req_{number}"}
        )
        await response.prepare(request)
        words = call.words()
        pieces = wire.sse_pieces(
            *wire.text_stream(*words, response_id=response_id, item_id=item_id)
        )
        with suppress(ConnectionError):  # the proxy is gone
            for piece in pieces:
                await response.write(piece)
                await asyncio.sleep(WORD_S)
        return response


@asynccontextmanager
async def running_load() -> AsyncIterator[Load]:
    """The load, with its upstream listening."""
    load = Load()
    app = web.Application()
    app.router.add_post("/v1/responses", load.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    load.url = f"http://{host}:{port}/v1"
    try:
        yield load
    finally:
        await runner.cleanup()
