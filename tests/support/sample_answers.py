"""What the upstream of the sample traces says: event streams as a reasoning model has them."""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from .events import (
    Event,
    Item,
    ev_arguments_delta,
    ev_completed,
    ev_created,
    ev_in_progress,
    ev_item_added,
    ev_item_done,
    ev_part_added,
    ev_part_done,
    ev_text_delta,
    ev_text_done,
    function_call_item,
    message_item,
    sse_pieces,
    usage,
)
from .script import Gate, ReadBody, Reply, Step, stream_reply

BEFORE_FIRST_S = 0.35
BETWEEN_PARTS_S = 0.18
HESITATION_S = 0.12
LONG_TEXT = 100_000


def id_of(prefix: str, name: str) -> str:
    """An id as the API makes them, the same each time for a name."""
    return f"{prefix}_{sha256(name.encode()).hexdigest()[:32]}"


@dataclass(frozen=True, slots=True)
class Thinking:
    """A summary of reasoning."""

    text: str


@dataclass(frozen=True, slots=True)
class Saying:
    """A message."""

    text: str


@dataclass(frozen=True, slots=True)
class Calling:
    """A function call. `call_id` is made of the answer's name where it is not given."""

    tool: str
    arguments: Mapping[str, object]
    call_id: str | None = None


Part = Thinking | Saying | Calling


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole response. Its ids come from its name; tokens are in, cached, out, reasoning."""

    name: str
    parts: Sequence[Part]
    tokens: tuple[int, int, int, int] = (420, 0, 96, 0)
    fields: Mapping[str, object] = field(default_factory=dict)

    @property
    def response_id(self) -> str:
        """The id of the response."""
        return id_of("resp", self.name)

    @property
    def request_id(self) -> str:
        """The id of the upstream request."""
        return id_of("req", self.name)

    def call_id(self, part: int = -1) -> str:
        """The id of the function call at this place."""
        called = self.parts[part]
        assert isinstance(called, Calling)
        return called.call_id or id_of("call", f"{self.name} {part % len(self.parts)}")

    def items(self) -> list[Item]:
        """The response's output."""
        return [self._item(index) for index in range(len(self.parts))]

    def begun(self) -> tuple[Event, ...]:
        """The events before any output."""
        return (
            ev_created(self.response_id, **self.fields),
            ev_in_progress(self.response_id, **self.fields),
        )

    def part_events(self, index: int) -> tuple[Event, ...]:
        """The events of one item of the output."""
        item = self._item(index)
        match self.parts[index]:
            case Thinking(text):
                return _thinking_events(item, text, index)
            case Saying(text):
                return _saying_events(item, text, index)
            case Calling():
                return _calling_events(item, index)

    def events(self) -> list[Event]:
        """Every event of the response."""
        events = [*self.begun()]
        for index in range(len(self.parts)):
            events += self.part_events(index)
        return [*events, self.completed()]

    def completed(self) -> Event:
        """The terminal event."""
        return ev_completed(
            self.response_id, output=self.items(), usage=self.usage(), **self.fields
        )

    def response(self) -> dict[str, object]:
        """The response as a JSON answer holds it."""
        response = self.completed()["response"]
        assert isinstance(response, dict)
        return response

    def usage(self) -> dict[str, object]:
        """The tokens that it took."""
        given, cached, made, reasoned = self.tokens
        return usage(given, made, cached_tokens=cached, reasoning_tokens=reasoned)

    def _item(self, index: int) -> Item:
        name = f"{self.name} {index}"
        match self.parts[index]:
            case Thinking(text):
                summary = [{"type": "summary_text", "text": text}]
                return {"id": id_of("rs", name), "type": "reasoning", "summary": summary}
            case Saying(text):
                return message_item(text, id_of("msg", name))
            case Calling(tool, arguments):
                return function_call_item(
                    tool, arguments, call_id=self.call_id(index), item_id=id_of("fc", name)
                )


class Pause(Gate):
    """Opens by itself, after so many seconds: it makes times to look at, and orders nothing."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    async def passed(self) -> None:
        """Let time pass, for the upstream."""
        await asyncio.sleep(self._seconds)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the upstream of the samples is: 1 as a model is, 0 as fast as it can."""

    factor: float

    def pause(self, seconds: float) -> list[Gate]:
        """A pause of so many seconds, at this pace."""
        return [Pause(seconds * self.factor)] if self.factor else []

    def pieces(self, events: Iterable[Event]) -> list[bytes | Gate]:
        """The events one at a time, with the pauses that a model makes."""
        pieces: list[bytes | Gate] = []
        deltas = 0
        for event, piece in zip(events := list(events), sse_pieces(*events), strict=True):
            kind = str(event["type"])
            if kind == "response.output_item.added":
                is_first = event["output_index"] == 0
                pieces += self.pause(BEFORE_FIRST_S if is_first else BETWEEN_PARTS_S)
            if kind.endswith(".delta"):
                deltas += 1
                pieces += self.pause(
                    HESITATION_S if deltas % 29 == 0 else 0.003 * (1 + deltas * 7 % 5)
                )
            pieces.append(piece)
        return pieces

    def stream(self, answer: Answer) -> Reply:
        """The answer as a stream."""
        return stream_reply(
            *self.pieces(answer.events()),
            request_id=answer.request_id,
            headers=RESPONSE_HEADERS,
        )

    def later(self, reply: Reply, seconds: float) -> list[Step]:
        """The reply, whose head comes this much later than the request."""
        first, *rest = reply.steps()
        assert first == ReadBody()
        return [first, *self.pause(seconds), *rest]


RESPONSE_HEADERS = (
    (b"openai-processing-ms", b"212"),
    (b"openai-version", b"2020-10-01"),
    (b"x-ratelimit-limit-requests", b"10000"),
    (b"x-ratelimit-remaining-requests", b"9981"),
)


def deltas_of(text: str) -> list[str]:
    """The text in pieces of about a token each, or whole where these were too many."""
    if len(text) > LONG_TEXT:
        return [text]
    return re.findall(r"\s*\S{1,6}|\s+$", text)


def _thinking_events(item: Item, text: str, index: int) -> tuple[Event, ...]:
    place: Event = {"item_id": item["id"], "output_index": index, "summary_index": 0}
    part = {"type": "summary_text", "text": text}
    kind = "response.reasoning_summary"
    return (
        ev_item_added({**item, "summary": []}, index),
        {"type": f"{kind}_part.added", **place, "part": part | {"text": ""}},
        *({"type": f"{kind}_text.delta", **place, "delta": delta} for delta in deltas_of(text)),
        {"type": f"{kind}_text.done", **place, "text": text},
        {"type": f"{kind}_part.done", **place, "part": part},
        ev_item_done(item, index),
    )


def _saying_events(item: Item, text: str, index: int) -> tuple[Event, ...]:
    item_id = str(item["id"])
    return (
        ev_item_added(message_item("", item_id, status="in_progress"), index),
        ev_part_added(item_id, index),
        *(ev_text_delta(delta, item_id, index) for delta in deltas_of(text)),
        ev_text_done(text, item_id, index),
        ev_part_done(text, item_id, index),
        ev_item_done(item, index),
    )


def _calling_events(item: Item, index: int) -> tuple[Event, ...]:
    item_id, arguments = str(item["id"]), str(item["arguments"])
    done = {"item_id": item_id, "output_index": index, "arguments": arguments}
    return (
        ev_item_added({**item, "status": "in_progress", "arguments": ""}, index),
        *(ev_arguments_delta(delta, item_id, index) for delta in deltas_of(arguments)),
        {"type": "response.function_call_arguments.done", **done, "name": item["name"]},
        ev_item_done(item, index),
    )
