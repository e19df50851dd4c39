"""What there is to tell of one call: plain data, that the terminal and the page both show."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ..catalog.rows import CallRow


class Phase(StrEnum):
    """What a stretch of a call's time went to."""

    REQUEST = "request"
    """The client's body was coming."""
    HEADERS = "headers"
    """Upstream had the request and had said nothing."""
    FIRST_EVENT = "first_event"
    """The response's head had come, and no event."""
    OUTPUT = "output"
    """Upstream had begun to answer, and no item of its output."""
    REASONING = "reasoning"
    TEXT = "text"
    TOOL = "tool"
    OTHER = "other"
    """Events of none of these kinds."""
    END = "end"
    """From the last event to the call's end."""


class WaitedOn(StrEnum):
    """Who was waited for. That we were is nothing that we could have noted."""

    UPSTREAM = "upstream"
    CLIENT = "client"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of time, in milliseconds from the request's arrival. `name` is a tool's."""

    phase: Phase
    start_ms: float
    end_ms: float
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A silence within the stream, and who was waited for."""

    start_ms: float
    end_ms: float
    waited_on: WaitedOn


@dataclass(frozen=True, slots=True, kw_only=True)
class Waterfall:
    """A call over its time. `ticks` are when chunks came, in order; of many, one for each place
    that a screen can show. `is_running` is whether `duration_ms` is only until now."""

    duration_ms: float
    is_running: bool
    spans: tuple[Span, ...]
    ticks: tuple[float, ...]
    chunks: int
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEvent:
    """One event of a stream, or message of a WebSocket. `index` counts from 0.

    `at_ms` is None where it cannot be told. `summary` is what it adds, on one line.
    """

    index: int
    at_ms: float | None
    type: str
    size: int
    sequence_number: int | None
    summary: str
    data: str


class EntryKind(StrEnum):
    """What kind of thing a readable entry is."""

    MESSAGE = "message"
    REASONING = "reasoning"
    TOOL_CALL = "tool_call"
    TOOL_OUTPUT = "tool_output"
    COMPACTION = "compaction"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One item of a request's input or a response's output, as a person would read it.

    `who` is a role, or what made it: user, assistant, developer, system, or a tool's name. `text`
    is all that can be read of it, in its own lines; `notes` tell of what cannot be: an image, a
    file, encrypted content. `pointer` is a JSON pointer into its payload.
    """

    kind: EntryKind
    who: str
    text: str
    notes: tuple[str, ...]
    call_id: str | None
    pointer: str
    is_partial: bool
    """Whether the call ended while it was still coming: the text ends where it was cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A member of a request's body that is not its input, such as temperature or tools."""

    name: str
    value: str
    """On one line, shortened where it is long."""
    pointer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One call, with what it was asked, what came and how it ended.

    `start` and `end` are the `proxy` members of its two events, `{}` where there is none.
    `missing` says, a sentence each, what could not be kept or cannot be read.
    """

    row: CallRow
    start: Mapping[str, object]
    end: Mapping[str, object]
    instructions: str
    settings: tuple[Setting, ...]
    tools: tuple[str, ...]
    """The tools that the request offered, by name."""
    input: tuple[Entry, ...]
    output: tuple[Entry, ...]
    error: str | None
    """What upstream answered in place of a response, or why none came."""
    waterfall: Waterfall
    missing: tuple[str, ...]
