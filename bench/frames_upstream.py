"""A scripted upstream for WebSockets: answers each `response.create` with deltas at a fixed pace.

A process of its own: `python -m bench.frames_upstream`, which prints its port. Each frame carries
`sent_ns`, the time it was written on the monotonic clock that all processes of a machine share.
"""

import asyncio
import base64
import hashlib
import time
from dataclasses import dataclass

import orjson

from .frames import CHECK_FIELD, TextFrames, checksum, text_frame
from .process import serve_forever

ACCEPT_KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3


@dataclass(slots=True)
class _Response:
    name: str
    deltas: int
    pace: float
    begun: float
    sent: int = 0
    check: int = 0


class ScriptedUpstream(asyncio.Protocol):
    """One socket: the handshake, then responses one after the other."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._head = b""
        self._is_open = False
        self._frames = TextFrames()
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
        """Read the handshake, then requests."""
        if not self._is_open:
            self._head += data
            head, end, data = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            self._is_open = True
            self._shake_hands(head)
        if data and data[0] & 0x0F == 8:  # a close frame, or the end of what is ours to answer
            if self._transport is not None:
                self._transport.close()
            return
        for payload in self._frames.feed(data):
            self._begin(orjson.loads(payload))

    def _shake_hands(self, head: bytes) -> None:
        lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
        fields = {name.lower(): value.strip() for name, _, value in lines}
        key = hashlib.sha1(fields[b"sec-websocket-key"] + ACCEPT_KEY).digest()
        self._write(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
            b"sec-websocket-accept: " + base64.b64encode(key) + b"\r\n\r\n"
        )

    def _begin(self, request: dict[str, dict[str, str]]) -> None:
        wish = request["metadata"]
        response = _Response(
            name=wish["name"],
            deltas=int(wish["deltas"]),
            pace=float(wish["pace"]),
            begun=self._loop.time(),
        )
        shell = {"id": response.name, "object": "response", "created_at": 1, "output": []}
        self._send(response, "response.created", response={**shell, "status": "in_progress"})
        item = {"type": "message", "id": "msg_1", "role": "assistant", "content": []}
        self._send(response, "response.output_item.added", output_index=0, item=item)
        self._tick(response)

    def _tick(self, response: _Response) -> None:
        sent = response.sent - 2
        if sent == response.deltas:
            self._finish(response)
            return
        self._send(
            response,
            "response.output_text.delta",
            item_id="msg_1",
            output_index=0,
            content_index=0,
            delta=f" word{sent}",
            logprobs=[],
            obfuscation="hG7dW2qLx0",
        )
        due = response.begun + (sent + 1) * response.pace
        self._timer = self._loop.call_at(due, self._tick, response)

    def _finish(self, response: _Response) -> None:
        words = "".join(f" word{index}" for index in range(response.deltas))
        content = [{"type": "output_text", "text": words, "annotations": []}]
        item = {"type": "message", "id": "msg_1", "role": "assistant", "content": content}
        item["status"] = "completed"
        self._send(response, "response.output_item.done", output_index=0, item=item)
        usage = {"input_tokens": 9, "output_tokens": 9, "total_tokens": 18}
        whole = {"id": response.name, "object": "response", "created_at": 1, "status": "completed"}
        self._send(
            response,
            "response.completed",
            response={**whole, "output": [item], "usage": usage},
            **{CHECK_FIELD: response.check},
        )

    def _send(self, response: _Response, event_type: str, /, **fields: object) -> None:
        event = {"type": event_type, "sequence_number": response.sent, **fields}
        payload = orjson.dumps({**event, "sent_ns": time.monotonic_ns()})
        response.sent += 1
        response.check = checksum(payload, response.check)
        self._write(text_frame(payload, from_client=False))

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


if __name__ == "__main__":
    asyncio.run(serve_forever(ScriptedUpstream))
