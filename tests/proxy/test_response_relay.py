"""The relay of a response, where sockets cannot be made to stand as a test needs them."""

import asyncio
from typing import Any

from proxy.headers import Framing
from proxy.response_body import LengthBody
from proxy.response_relay import ResponseRelay
from proxy.upstream_protocol import UpstreamProtocol


class Transport:
    """A connection that notes what is done to it."""

    def __init__(self) -> None:
        self.written = b""
        self.is_paused = False

    def write(self, data: bytes) -> None:
        """Take bytes."""
        self.written += data

    def is_closing(self) -> bool:
        """Whether it is closing: never."""
        return False

    def pause_reading(self) -> None:
        """Read no more."""
        self.is_paused = True

    def resume_reading(self) -> None:
        """Read on."""
        self.is_paused = False


class Client:
    """A client's connection, on which nothing more is taken for now."""

    def __init__(self) -> None:
        self.transport = Transport()
        self.writing_paused = True
        self.on_blocked: Any = None
        self.on_free: Any = None


def test_client_that_has_not_taken_the_response_before() -> None:
    """It is waited for from the start, since its connection does not tell of it again."""

    async def relay() -> None:
        upstream: Any = UpstreamProtocol(asyncio.get_running_loop(), set())
        upstream.transport = Transport()
        client: Any = Client()
        ends: list[object] = []
        relay = ResponseRelay(
            LengthBody(2),
            Framing.LENGTH,
            upstream=upstream,
            client=client,
            idle_timeout=None,
            observe=lambda _: None,
            on_end=ends.append,
        )
        relay.start(b"head ")
        assert upstream.transport.is_paused
        assert relay.is_blocked
        client.on_free()
        assert not upstream.transport.is_paused
        relay.feed_data(b"{}")
        assert (client.transport.written, ends, relay.is_whole) == (b"head {}", [None], True)
        relay.feed_data(b"more")
        assert not relay.is_whole

    asyncio.run(relay())
