"""Large messages, compression and slow readers: all passes, and little is held."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from proxy.websocket import _Flow
from tests.support.frames import BINARY, DEFLATE, Deflater, frame
from tests.support.read_frames import text
from tests.support.running_proxy import RunningProxy
from tests.support.script import GUARD_S, RawHeaders
from tests.support.scripted_websocket import Joined, SocketEnd, WebSocketUpstream, joined
from tests.support.stalled_client import wait_until_read

MIB = 1024 * 1024
HELD_BYTES_MAX = 512 * 1024
"""What may wait in one direction: asyncio's high water, and one read of its."""


def large_text(size: int) -> str:
    """A text that compresses, though not to nothing."""
    return "".join(f"{number:x}" for number in range(size // 5))[:size]


LARGE = large_text(20 * MIB)


async def with_aiohttp(
    trace_dir: Path,
    talk: Callable[[aiohttp.ClientWebSocketResponse], Awaitable[None]],
    *,
    client_compresses: bool,
    server_compresses: bool,
) -> None:
    """Talk through the proxy to a server that sends back each message, with real libraries."""

    async def echo(request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse(max_msg_size=0, compress=server_compresses)
        await response.prepare(request)
        async for message in response:
            await response.send_str(message.data)
        return response

    app = web.Application()
    app.router.add_get("/v1/responses", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        with RunningProxy(f"http://127.0.0.1:{port}/v1", trace_dir) as proxy:
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(
                    f"{proxy.base_url}/responses",
                    compress=15 if client_compresses else 0,
                    max_msg_size=0,
                ) as client,
            ):
                assert bool(client.compress) == (client_compresses and server_compresses)
                await talk(client)
                await client.close(code=4001, message=b"done")
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("server_compresses", [True, False])
@pytest.mark.parametrize("client_compresses", [True, False])
def test_large_message_passes_both_ways(
    trace_dir: Path, *, client_compresses: bool, server_compresses: bool
) -> None:
    """Of 20 MB, compressed where both sides want that, and small ones after it."""

    async def talk(client: aiohttp.ClientWebSocketResponse) -> None:
        for message in ("before", LARGE, "after"):
            await client.send_str(message)
            assert await client.receive_str() == message

    asyncio.run(
        with_aiohttp(
            trace_dir,
            talk,
            client_compresses=client_compresses,
            server_compresses=server_compresses,
        )
    )


COMPRESSIONS: dict[str, tuple[RawHeaders, RawHeaders]] = {
    "offered and taken": (DEFLATE, DEFLATE),
    "offered and declined": (DEFLATE, ()),
    "not offered": ((), ()),
    "taken unasked": ((), DEFLATE),
    "with parameters": (
        ((b"Sec-WebSocket-Extensions", b"permessage-deflate; client_max_window_bits=9"),),
        (
            (
                b"Sec-WebSocket-Extensions",
                b"permessage-deflate; client_max_window_bits=9; server_no_context_takeover",
            ),
        ),
    ),
}


@pytest.mark.parametrize(("offer", "answer"), COMPRESSIONS.values(), ids=COMPRESSIONS.keys())
def test_compression_is_between_client_and_upstream(
    socket_proxy: RunningProxy,
    socket_upstream: WebSocketUpstream,
    offer: RawHeaders,
    answer: RawHeaders,
) -> None:
    """We neither offer nor take it for them, nor touch what they compressed."""
    with joined(socket_proxy.port, socket_upstream, offer=offer, answer=answer) as ends:
        name = "sec-websocket-extensions"
        assert ends.upstream.request.values(name) == [value for _, value in offer]
        assert ends.answer.values(name) == [value for _, value in answer]
        deflater = Deflater(window_bits=9)
        data = b"".join(deflater.message(b"again and again " * 9) for _ in range(3))
        ends.upstream.send(data)
        assert ends.client.take_exactly(len(data)) == data


class Held:
    """The most that waited for one side, of all that the proxies of this test relayed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bytes_max = 0
        self.bytes_written = 0
        self.waits = threading.Event()
        feed, wait = _Flow.feed_data, _Flow._wait_for_sink

        def feed_data(flow: Any, data: bytes) -> tuple[bool, bytes]:
            is_open = flow._sink.transport is not None and not flow._sink.transport.is_closing()
            self.bytes_written += len(data) if is_open else 0
            fed = feed(flow, data)
            if flow._sink.transport is not None:
                held = flow._sink.transport.get_write_buffer_size()
                self.bytes_max = max(self.bytes_max, held)
            return fed

        async def wait_for_sink(flow: Any) -> None:
            self.waits.set()
            await wait(flow)

        monkeypatch.setattr(_Flow, "feed_data", feed_data)
        monkeypatch.setattr(_Flow, "_wait_for_sink", wait_for_sink)


def pair(ends: Joined, way: str) -> tuple[SocketEnd, SocketEnd]:
    """Who sends and who is to read."""
    return (ends.client, ends.upstream) if way == "up" else (ends.upstream, ends.client)


@pytest.mark.parametrize("capture", ["full", "off"])
@pytest.mark.parametrize("way", ["up", "down"])
def test_slow_reader_holds_the_sender_back(
    socket_upstream: WebSocketUpstream,
    trace_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    capture: str,
) -> None:
    """Little waits with us, the other direction goes on, and all of it arrives in the end."""
    held = Held(monkeypatch)
    pieces = 1024
    with (
        RunningProxy(socket_upstream.url, trace_dir, capture=capture) as proxy,
        joined(proxy.port, socket_upstream) as ends,
    ):
        sender, reader = pair(ends, way)
        piece = frame(b"x" * 65536, opcode=BINARY, mask=b"\0\0\0\0" if way == "up" else None)
        sending = threading.Thread(target=sender.send, args=(piece * pieces,), daemon=True)
        sending.start()
        assert held.waits.wait(GUARD_S)
        wait_until_read(proxy.port)
        assert sending.is_alive()
        reader.send_frames(text("meanwhile"))
        assert sender.read_frame() == text("meanwhile")
        for _ in range(pieces):
            assert reader.take_exactly(len(piece)) == piece
        sending.join(GUARD_S)
        sender.send_frames(text("after"))
        assert reader.read_frame() == text("after")
    assert held.bytes_max <= HELD_BYTES_MAX


def test_slow_reader_gets_all_of_a_sender_that_left(
    socket_proxy: RunningProxy, socket_upstream: WebSocketUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Upstream's close waits its turn behind what upstream said before."""
    held = Held(monkeypatch)
    with joined(socket_proxy.port, socket_upstream) as ends:
        data = frame(b"x" * (32 * MIB))

        def send_and_leave() -> None:
            ends.upstream.send(data)
            ends.upstream.close()

        sending = threading.Thread(target=send_and_leave, daemon=True)
        sending.start()
        assert held.waits.wait(GUARD_S)
        rest, end = ends.client.read_rest()
        assert (len(rest), end) == (len(data), "fin")
        sending.join(GUARD_S)
    assert held.bytes_max <= HELD_BYTES_MAX


def test_upstream_that_half_closes_gets_what_was_on_its_way(
    socket_proxy: RunningProxy, socket_upstream: WebSocketUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last that a client said may be its close frame: what was taken of it goes out."""
    held = Held(monkeypatch)
    with joined(socket_proxy.port, socket_upstream) as ends:

        def send_until_it_fails() -> None:
            with suppress(OSError):
                ends.client.send(b"x" * (32 * MIB))

        sending = threading.Thread(target=send_until_it_fails, daemon=True)
        sending.start()
        assert held.waits.wait(GUARD_S)
        wait_until_read(socket_proxy.port)
        ends.upstream.finish_sending()
        wait_until_read(socket_proxy.port)
        rest, end = ends.upstream.read_rest()
        assert (len(rest), end) == (held.bytes_written, "fin")
        sending.join(GUARD_S)
