"""What passes over an open WebSocket: the same bytes in the same order, both ways, at once."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.frames import (
    BINARY,
    DEFLATE,
    MASK,
    PING,
    PONG,
    TEXT,
    Deflater,
    cut,
    fragments,
    frame,
)
from tests.support.raw_http import BodyEnd
from tests.support.read_frames import Frame, closing, text
from tests.support.running_proxy import RunningProxy
from tests.support.script import RawHeaders
from tests.support.scripted_websocket import Joined, SocketEnd, WebSocketUpstream, joined

WAYS = ["up", "down"]


def sender_and_receiver(ends: Joined, way: str) -> tuple[SocketEnd, SocketEnd]:
    """Who says and who hears, on the way up or down."""
    return (ends.client, ends.upstream) if way == "up" else (ends.upstream, ends.client)


def streams(mask: bytes | None) -> dict[str, bytes]:
    """What one end may send, as a client with a mask and as a server without, and what none may."""
    deflater = Deflater()
    return {
        "text": frame(b'{"type":"response.create"}', mask=mask),
        "empty": frame(b"", mask=mask),
        "binary": frame(bytes(range(256)) * 300, opcode=BINARY, mask=mask),
        "sizes": b"".join(frame(b"x" * size, mask=mask) for size in (125, 126, 65535, 65536)),
        "fragments, a ping between": fragments(
            [b'{"type":', b"", b'"response.create"', b"}"],
            mask=mask,
            between=frame(b"?", opcode=PING, mask=mask),
        ),
        "ping and pong": frame(b"p" * 125, opcode=PING, mask=mask) + frame(opcode=PONG, mask=mask),
        "compressed": b"".join(deflater.message(b"again " * 50, mask=mask) for _ in range(3)),
        "compressed garbage": frame(b"\xff" * 9, reserved=4, mask=mask),
        "text that is no UTF-8": frame(b"\xc3\x28\xff", mask=mask),
        "overlong length": frame(b"Hi", length_bytes=8, mask=mask),
        "reserved bits": frame(b"Hi", reserved=3, mask=mask),
        "unknown opcode": frame(b"Hi", opcode=5, mask=mask),
        "long ping": frame(b"x" * 200, opcode=PING, mask=mask),
        "mask of the other side": frame(b"Hi", mask=None if mask else MASK),
        "no frames": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "close and more": frame(b"\x03\xe8", opcode=8, mask=mask) + frame(b"late", mask=mask),
    }


@pytest.mark.parametrize("offer", [(), DEFLATE], ids=["plain", "deflate"])
@pytest.mark.parametrize("name", streams(None))
@pytest.mark.parametrize("way", WAYS)
def test_bytes_are_relayed(
    socket_proxy: RunningProxy,
    socket_upstream: WebSocketUpstream,
    way: str,
    name: str,
    offer: RawHeaders,
) -> None:
    """Whatever one side says the other hears, and is heard itself afterwards."""
    with joined(socket_proxy.port, socket_upstream, offer=offer, answer=offer) as ends:
        sender, receiver = sender_and_receiver(ends, way)
        data = streams(sender.mask)[name]
        sender.send(data)
        assert receiver.take_exactly(len(data)) == data
        receiver.send_frames(text("answer"))
        assert sender.read_frame() == text("answer")


@contextmanager
def both_ways(proxy: RunningProxy, upstream: WebSocketUpstream) -> Iterator[tuple[Joined, Joined]]:
    """A WebSocket through the proxy, and one without it."""
    with (
        joined(proxy.port, upstream) as relayed,
        joined(upstream.port, upstream) as direct,
    ):
        yield relayed, direct


ANY_FRAME = st.builds(
    Frame,
    opcode=st.sampled_from([0, TEXT, BINARY, PING, PONG, 3]),
    payload=st.binary(max_size=300) | st.binary(min_size=65536, max_size=65536),
    is_final=st.booleans(),
    is_compressed=st.booleans(),
)


def test_frames_are_those_of_a_plain_connection(
    socket_proxy: RunningProxy, socket_upstream: WebSocketUpstream
) -> None:
    """Any frames, cut anywhere and said by both sides in turn, arrive as they would without us."""
    with both_ways(socket_proxy, socket_upstream) as connections:
        # Sockets take time, and one pair serves all examples.
        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        @given(
            st.lists(st.tuples(st.sampled_from(WAYS), st.lists(ANY_FRAME, max_size=4)), max_size=4),
            st.lists(st.integers(min_value=0), max_size=6),
        )
        def said_alike(turns: list[tuple[str, list[Frame]]], places: list[int]) -> None:
            heard = []
            for ends in connections:
                received = []
                for way, frames in turns:
                    sender, receiver = sender_and_receiver(ends, way)
                    data = b"".join(each.encode(sender.mask) for each in frames)
                    for piece in cut(data, places):
                        sender.send(piece)
                    received.append(receiver.take_exactly(len(data)))
                heard.append(received)
            assert heard[0] == heard[1]

        said_alike()


@pytest.mark.parametrize("way", WAYS)
def test_piece_is_passed_on_at_once(ends: Joined, way: str) -> None:
    """Each byte of a frame is there before the next is sent."""
    sender, receiver = sender_and_receiver(ends, way)
    for byte in frame(b'{"type":"response.create"}', mask=sender.mask):
        sender.send(bytes([byte]))
        assert receiver.take_exactly(1) == bytes([byte])


def test_pings_are_the_peers_own(ends: Joined) -> None:
    """A ping reaches the other side, whose pong it is that comes back; we say nothing."""
    for asking, asked in ((ends.client, ends.upstream), (ends.upstream, ends.client)):
        ping = Frame(opcode=PING, payload=b"there?")
        asking.send_frames(ping)
        assert asked.read_frame() == ping
        asked.send_frames(Frame(opcode=PONG, payload=b"there?"), text("and this"))
        assert asking.read_frame() == Frame(opcode=PONG, payload=b"there?")
        assert asking.read_frame() == text("and this")


CLOSES: dict[str, Frame] = {
    "1000": closing(1000),
    "1000 with a reason": closing(1000, "bye"),
    "1001": closing(1001, "going away"),
    "1005, empty": closing(),
    "1008": closing(1008, "policy"),
    "1009": closing(1009, "too big"),
    "1011": closing(1011, "keepalive ping timeout"),
    "4001": closing(4001, "é" * 61),
    "one byte": Frame(opcode=8, payload=b"\x03"),
}


@pytest.mark.parametrize("close", CLOSES.values(), ids=CLOSES.keys())
@pytest.mark.parametrize("way", WAYS)
def test_close_is_relayed(ends: Joined, way: str, close: Frame) -> None:
    """With its code and reason, or without; and so is its echo, and the end of the connection."""
    sender, receiver = sender_and_receiver(ends, way)
    sender.send_frames(close)
    assert receiver.read_frame() == close
    receiver.send_frames(close)
    assert sender.read_frame() == close
    ends.upstream.close()
    assert ends.client.read_rest() == (b"", "fin")


@pytest.mark.parametrize("way", WAYS)
def test_close_may_be_answered_with_another(ends: Joined, way: str) -> None:
    """Frames under way still pass before the answer, which has a code of its own."""
    sender, receiver = sender_and_receiver(ends, way)
    sender.send_frames(closing(1001))
    assert receiver.read_frame() == closing(1001)
    receiver.send_frames(text("under way"), closing(1000, "fine"))
    assert [sender.read_frame(), sender.read_frame()] == [text("under way"), closing(1000, "fine")]


DROPS = {"close": "fin", "abort": "rst"}


@pytest.mark.parametrize(("how", "end"), DROPS.items())
@pytest.mark.parametrize("last", [b"", frame(b"whole"), frame(b"halved")[:4]], ids=len)
@pytest.mark.parametrize("way", WAYS)
def test_abrupt_end_is_passed_on(
    ends: Joined, way: str, last: bytes, how: str, end: BodyEnd
) -> None:
    """What came before it arrives, and no close frame that nobody sent; a reset stays one."""
    sender, receiver = sender_and_receiver(ends, way)
    sender.send(last)
    assert receiver.take_exactly(len(last)) == last
    getattr(sender, how)()
    assert receiver.read_rest() == (b"", end)


@pytest.mark.parametrize("how", DROPS)
@pytest.mark.parametrize("way", WAYS)
def test_last_words_before_an_abrupt_end_arrive(ends: Joined, way: str, how: str) -> None:
    """Though the end was right behind them."""
    sender, receiver = sender_and_receiver(ends, way)
    sender.send(frame(b"x" * 60_000) + frame(b"last"))
    getattr(sender, how)()
    assert receiver.read_frame().payload == b"x" * 60_000
    assert receiver.read_frame() == text("last")
    assert receiver.read_rest()[0] == b""
