"""The least that a relay can do on asyncio: bytes from one socket to the other, unread.

A process of its own: `python -m bench.bare_splice UPSTREAM_PORT`, which prints its port. It knows
no HTTP, so it is no proxy: it shows what the event loop alone costs.
"""

import asyncio
import sys
from collections.abc import Callable
from functools import partial


class Side(asyncio.Protocol):
    """One connection of a pair; `on_made` is told when it is there."""

    def __init__(self, on_made: Callable[["Side"], None]) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: Side | None = None
        self._on_made = on_made
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._on_made(self)

    def data_received(self, data: bytes) -> None:
        """Pass it on, or keep it until there is somebody to pass it to."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)
        else:
            self._early.append(data)

    def join(self, other: "Side") -> None:
        """Pass on to ``other`` from now on, and what came before."""
        self.other, early = other, self._early
        for data in early:
            self.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """End the other side as well."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


async def _serve(upstream_port: int) -> None:
    loop = asyncio.get_running_loop()
    making: set[asyncio.Task[None]] = set()

    async def connect(client: Side) -> None:
        _, upstream = await loop.create_connection(
            partial(Side, lambda _: None), "127.0.0.1", upstream_port
        )
        upstream.join(client)
        client.join(upstream)

    def on_client(client: Side) -> None:
        task = loop.create_task(connect(client))
        making.add(task)
        task.add_done_callback(making.discard)

    server = await loop.create_server(partial(Side, on_client), "127.0.0.1", 0, backlog=1024)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
