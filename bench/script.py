"""What upstream answers with and the load expects: Responses API streams and JSON, as templates.

A template holds `NAME` where the response's id belongs and `STAMP` where a time does, both as wide
as what replaces them, so that lengths and chunk sizes do not depend on either.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import orjson

ITEM_ID = "msg_68af4030baa48193b0b43b4c2a176a1a0e7f2d3c4b5a6978"
NAME = b"resp_@NAME@".ljust(40, b"@")
STAMP = b"@".rjust(19, b"@")
STAMP_PATTERN = re.compile(rb'"sent_ns":"(\d{19})"')
EVENTS_FIRST = 4
"""Events of a stream before its deltas: created, in progress, the item, its part."""
EVENTS_LAST = 4
"""Events after them: the text, its part, the item, completed."""
END_OF_CHUNKS = b"0\r\n\r\n"

_WORDS = b"The water leaves the mill by the tailrace and joins the river below it. "


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What one call asks for; without ``stream`` a JSON answer. ``pace`` is in seconds."""

    stream: bool = False
    deltas: int = 0
    pace: float = 0.0
    delta_bytes: int = 6
    request_bytes: int = 600

    @property
    def events(self) -> int:
        """How many events a response has."""
        return EVENTS_FIRST + self.deltas + EVENTS_LAST if self.stream else 0

    @property
    def seconds(self) -> float:
        """How long a response takes, where nothing is late."""
        return self.deltas * self.pace

    def metadata(self, name: bytes) -> bytes:
        """Return the wish as the request's ``metadata``: names and texts, as the API wants it."""
        return orjson.dumps(
            {
                "name": name.decode(),
                "stream": str(int(self.stream)),
                "deltas": str(self.deltas),
                "pace": str(self.pace),
                "delta_bytes": str(self.delta_bytes),
                "request_bytes": str(self.request_bytes),
            }
        )

    @classmethod
    def wished(cls, text: bytes) -> "Script":
        """Read the wish back."""
        metadata: Mapping[str, str] = orjson.loads(text)
        return cls(
            stream=metadata["stream"] == "1",
            deltas=int(metadata["deltas"]),
            pace=float(metadata["pace"]),
            delta_bytes=int(metadata["delta_bytes"]),
            request_bytes=int(metadata["request_bytes"]),
        )


def stamp(now_ns: int) -> bytes:
    """Write a time of the monotonic clock as wide as the templates have room for."""
    return b"%019d" % now_ns


def full_name(name: str) -> bytes:
    """Return a response's id, as wide as the templates have room for."""
    return f"resp_{name}_".encode().ljust(len(NAME), b"0")


@lru_cache(maxsize=8)
def filler(size: int) -> bytes:
    """Text of so many bytes, that JSON takes as it is."""
    return (_WORDS * (size // len(_WORDS) + 1))[:size]


@lru_cache(maxsize=8)
def events(script: Script) -> tuple[bytes, ...]:
    """Return the events of a stream, each with its `event:` line and the empty line after it."""
    text = [
        filler(script.delta_bytes - 1).decode() + str(index % 10) for index in range(script.deltas)
    ]
    where = {"item_id": ITEM_ID, "output_index": 0, "content_index": 0}
    shell = {"id": NAME.decode(), "object": "response", "created_at": 1_700_000_000, "output": []}
    shell |= {"model": "bench", "status": "in_progress", "parallel_tool_calls": True, "usage": None}
    item = {"id": ITEM_ID, "type": "message", "role": "assistant", "content": []}
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    whole_part = {**part, "text": "".join(text)}
    whole_item = {**item, "status": "completed", "content": [whole_part]}
    usage = {"input_tokens": 90, "output_tokens": script.deltas, "total_tokens": 90 + script.deltas}
    whole = {**shell, "status": "completed", "output": [whole_item], "usage": usage}
    more = {"logprobs": [], "obfuscation": "hG7dW2qLx0Zr"}
    told: list[tuple[str, dict[str, object]]] = [
        ("response.created", {"response": shell}),
        ("response.in_progress", {"response": shell}),
        ("response.output_item.added", {"output_index": 0, "item": item}),
        ("response.content_part.added", {**where, "part": part}),
        *(("response.output_text.delta", {**where, "delta": word, **more}) for word in text),
        ("response.output_text.done", {**where, "text": whole_part["text"], "logprobs": []}),
        ("response.content_part.done", {**where, "part": whole_part}),
        ("response.output_item.done", {"output_index": 0, "item": whole_item}),
        ("response.completed", {"response": whole}),
    ]
    return tuple(_event(kind, number, fields) for number, (kind, fields) in enumerate(told))


def _event(kind: str, number: int, fields: dict[str, object]) -> bytes:
    data = {"type": kind, "sequence_number": number, "sent_ns": STAMP.decode(), **fields}
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps(data))


@lru_cache(maxsize=8)
def stream_body(script: Script) -> bytes:
    """Return a stream's body, without framing."""
    return b"".join(events(script))


@lru_cache(maxsize=8)
def framed_events(script: Script) -> tuple[bytes, ...]:
    """Return the events as upstream frames them: a chunk each."""
    return tuple(b"%x\r\n%b\r\n" % (len(event), event) for event in events(script))


@lru_cache(maxsize=8)
def framed_body(script: Script) -> bytes:
    """Return a stream's body as upstream frames it."""
    return b"".join(framed_events(script)) + END_OF_CHUNKS


@lru_cache(maxsize=8)
def json_body(script: Script) -> bytes:
    """Return a JSON answer, of some 1,100 bytes and ``delta_bytes``."""
    text = filler(400 + script.delta_bytes).decode()
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    item = {"id": ITEM_ID, "type": "message", "role": "assistant", "content": [part]}
    usage = {"input_tokens": 90, "output_tokens": 80, "total_tokens": 170}
    shell = {"id": NAME.decode(), "object": "response", "created_at": 1_700_000_000}
    shell |= {"status": "completed", "model": "bench", "sent_ns": STAMP.decode(), "error": None}
    shell |= {"incomplete_details": None, "instructions": None, "max_output_tokens": None}
    shell |= {"parallel_tool_calls": True, "temperature": 1.0, "tool_choice": "auto", "top_p": 1.0}
    return orjson.dumps({**shell, "output": [{**item, "status": "completed"}], "usage": usage})


def body_size(script: Script) -> int:
    """Return how long an answer is, without framing."""
    return len(stream_body(script) if script.stream else json_body(script))


def request_body(script: Script, name: bytes) -> bytes:
    """Return a request whose ``input`` has about as many bytes as wished."""
    flag = b"true" if script.stream else b"false"
    return b'{"model":"bench","stream":%b,"metadata":%b,"input":"%b"}' % (
        flag,
        script.metadata(name),
        filler(script.request_bytes),
    )
