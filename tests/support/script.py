"""What a scripted upstream does with one request, step by step, down to the bytes.

A script is plain data; `scripted_upstream` plays it.
"""

import asyncio
import contextlib
import gzip
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal

import orjson

RawHeaders = tuple[tuple[bytes, bytes], ...]
Framing = Literal["length", "chunked", "close", "none"]

GUARD_S = 10.0
"""How long a test waits for what must happen, before it fails; no behaviour depends on it."""

SSE_TYPE = (b"Content-Type", b"text/event-stream; charset=utf-8")
JSON_TYPE = (b"Content-Type", b"application/json")


class Gate:
    """Holds a script until the test opens it; any thread may open it, once or more."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._lock = threading.Lock()
        self._is_open = False
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def open(self) -> None:
        """Let the script go on, and any that comes to this gate later."""
        with self._lock:
            self._is_open = True
            for loop, passed in self._waiting:
                with contextlib.suppress(RuntimeError):  # the upstream has stopped meanwhile
                    loop.call_soon_threadsafe(passed.set)

    async def passed(self) -> None:
        """Stand at the gate until it opens (for the upstream)."""
        passed = asyncio.Event()
        with self._lock:
            self._reached.set()
            if self._is_open:
                return
            self._waiting.append((asyncio.get_running_loop(), passed))
        await passed.wait()

    def wait_until_reached(self) -> None:
        """Wait until the script stands here, so that all before it was sent."""
        assert self._reached.wait(GUARD_S), "the script never came to this gate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A response head, final or informational; names, values and reason go out as they stand."""

    status: int = 200
    headers: RawHeaders = ()
    reason: bytes | None = None
    version: bytes = b"HTTP/1.1"

    def encode(self) -> bytes:
        """The head's bytes, with its blank line."""
        reason = _standard_reason(self.status) if self.reason is None else self.reason
        lines = [b"%b %d %b\r\n" % (self.version, self.status, reason)]
        lines += [b"%b: %b\r\n" % header for header in self.headers]
        return b"".join([*lines, b"\r\n"])


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk of a chunked body."""

    data: bytes

    def encode(self) -> bytes:
        """The chunk with its size line."""
        return b"%x\r\n%b\r\n" % (len(self.data), self.data)


@dataclass(frozen=True, slots=True)
class LastChunk:
    """The end of a chunked body, with its trailers."""

    trailers: RawHeaders = ()

    def encode(self) -> bytes:
        """The zero chunk, the trailers and the blank line."""
        lines = [b"%b: %b\r\n" % trailer for trailer in self.trailers]
        return b"".join([b"0\r\n", *lines, b"\r\n"])


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes as they are: an unframed body, or garbage."""

    data: bytes

    def encode(self) -> bytes:
        """The bytes."""
        return self.data


@dataclass(frozen=True, slots=True)
class ReadBody:
    """Read the request's body to its end, here and not before the first step."""


@dataclass(frozen=True, slots=True)
class AwaitPeerClose:
    """Say nothing until the peer has closed the connection."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close with a FIN, wherever the response stands."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Close with an RST, wherever the response stands."""


Bytes = Head | Chunk | LastChunk | Raw
Step = Bytes | Gate | ReadBody | AwaitPeerClose | Close | Reset


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A well-formed response: a head, then body pieces and the gates between them.

    `framing` decides how the body is delimited; a Content-Length, Transfer-Encoding or
    Connection header is added to fit. `early` answers before the request's body was read.
    """

    status: int = 200
    headers: RawHeaders = ()
    reason: bytes | None = None
    body: Sequence[bytes | Gate] = ()
    framing: Framing = "length"
    early: bool = False
    informational: Sequence[Head] = field(default=())

    def steps(self) -> list[Step]:
        """The reply as steps; an early one closes its connection, since a body lies unread."""
        head = Head(
            status=self.status, headers=self.headers + self._framing_headers(), reason=self.reason
        )
        begin: list[Step] = [] if self.early else [ReadBody()]
        steps: list[Step] = [*begin, *self.informational, head]
        for part in self.body:
            if isinstance(part, Gate):
                steps.append(part)
            elif self.framing != "none":
                steps.append(Chunk(part) if self.framing == "chunked" else Raw(part))
        if self.framing == "chunked":
            steps.append(LastChunk())
        if self.framing == "close" or self.early:
            steps.append(Close())
        return steps

    def _framing_headers(self) -> RawHeaders:
        match self.framing:
            case "length":
                size = sum(len(part) for part in self.body if isinstance(part, bytes))
                return ((b"Content-Length", b"%d" % size),)
            case "chunked":
                return ((b"Transfer-Encoding", b"chunked"),)
            case "close":
                return ((b"Connection", b"close"),)
            case "none":
                return ()


def stream_reply(*body: bytes | Gate, request_id: str = "req_1", headers: RawHeaders = ()) -> Reply:
    """A chunked SSE response, one chunk for each piece."""
    own = (SSE_TYPE, (b"x-request-id", request_id.encode()))
    return Reply(headers=own + headers, body=body, framing="chunked")


def json_reply(
    value: Mapping[str, object],
    *,
    status: int = 200,
    request_id: str = "req_1",
    headers: RawHeaders = (),
) -> Reply:
    """A JSON response with a Content-Length."""
    own = (JSON_TYPE, (b"x-request-id", request_id.encode()))
    return Reply(status=status, headers=own + headers, body=[orjson.dumps(value)])


def gzip_reply(reply: Reply) -> Reply:
    """The same reply, its whole body gzip-coded as one piece."""
    plain = b"".join(part for part in reply.body if isinstance(part, bytes))
    return Reply(
        status=reply.status,
        headers=(*reply.headers, (b"Content-Encoding", b"gzip")),
        reason=reply.reason,
        body=[gzip.compress(plain, mtime=0)],
        framing=reply.framing,
    )


def _standard_reason(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""
