"""What the catalog says of a call, and how one asks it: plain data, without the database."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class CallKind(StrEnum):
    """What kind of request a call is."""

    INFERENCE = "inference"
    COMPACTION = "compaction"


STATUSES = ("running", "completed", "failed", "cancelled", "aborted", "lost")
"""What a call can be shown as, in the order of lists: `lost` runs, but its recorder is dead."""


RATE_STREAM_MS_MIN = 100
"""Of a stream that came faster, tokens per second would tell nothing of the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Milliseconds from the request's arrival; None is not known, or did not come to be."""

    upstream_headers: float | None = None
    first_event: float | None = None
    first_text: float | None = None
    last_event: float | None = None
    ended: float | None = None
    waited_on_upstream: float | None = None
    waited_on_client: float | None = None
    max_gap: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens, as upstream counted them."""

    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    reasoning_output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRow:
    """A call, as lists show it. `id` orders calls within this catalog and means nothing outside it.

    `start_offset` and `end_offset` are where its events stand in the bundle's event log, in bytes.
    """

    id: int
    kind: CallKind
    bundle: Path
    trace_id: str
    call_id: str
    thread_id: str
    turn_id: str | None
    status: str
    """running, completed, failed, cancelled, or aborted: its recorder died and nobody said how."""
    is_live: bool
    """Whether the recorder that writes it lives; a running call is lost where it does not."""
    started_at_unix_ms: int
    ended_at_unix_ms: int | None
    model: str
    transport: str
    http_status: int | None
    response_id: str | None
    upstream_request_id: str | None
    client_call_id: str | None
    previous_response_id: str | None
    retry_count: int
    protocol: str | None
    """The protocol's last word, and how the transport ended: `proxy.outcome`."""
    transport_end: str | None
    reason: str | None
    timing: Timing
    usage: Usage | None
    events: int
    bytes_up: int
    bytes_down: int
    lost_bytes: int
    """Of the capture."""
    has_partial: bool
    asked: str
    """The beginning of what was asked last, on one line."""
    answered: str
    """The beginning of what came, on one line: a text, or the tool that was called."""
    tools: tuple[str, ...]
    """The tools that the response called, by name."""
    continues: int | None
    """The call that it continues, by `id`, and what says so; and the one that it tries again."""
    continues_by: str | None
    retry_of: int | None
    attempt: int
    conversation: int
    """The call that its conversation began with, by `id`: itself, where it continues none."""
    start_offset: int
    end_offset: int | None
    request_path: str | None
    """Payloads, by their paths within the bundle."""
    response_path: str | None

    @property
    def is_lost(self) -> bool:
        """Whether its recorder died while it ran, so that nothing tells how it ended."""
        return self.status == "running" and not self.is_live

    @property
    def shown_status(self) -> str:
        """The status as a person is told it: one of STATUSES."""
        return "lost" if self.is_lost else self.status

    @property
    def duration_ms(self) -> float | None:
        """From the request's arrival to the call's end; of a call that Codex recorded itself, from
        the event that began it to the one that ended it."""
        return self.timing.ended

    @property
    def output_tokens_per_second(self) -> float | None:
        """Of the stream, from its first event to its last; None where it cannot be told.

        Nor is it of a stream that came within `RATE_STREAM_MS_MIN`: all of it was there before
        the first event came, so that this would be the speed of the network.
        """
        first, last = self.timing.first_event, self.timing.last_event
        if self.usage is None or first is None or last is None:
            return None
        if last - first < RATE_STREAM_MS_MIN:
            return None
        return self.usage.output_tokens / (last - first) * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """Which calls are meant; what is None or empty excludes none. All that is given must hold."""

    statuses: frozenset[str] = frozenset()
    """Running calls are those of a live recorder; those of a dead one are `lost`."""
    outcomes: frozenset[str] = frozenset()
    """The protocol's last word or the transport's end, such as incomplete or client_closed."""
    model: str | None = None
    """A name, or a pattern with `*`."""
    thread_id: str | None = None
    conversation: int | None = None
    since_unix_ms: int | None = None
    until_unix_ms: int | None = None
    slower_than_ms: float | None = None
    tokens_min: int | None = None
    text: str | None = None
    """Words that stand, in this order, in something new in the call's request or response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """A call's place in the order of beginning, to go on behind it."""

    started_at_unix_ms: int
    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A text that was searched for, where it was first seen.

    `id` is the text's, to go on behind it; later texts have higher ones. `side` is request or
    response, `label` what holds it: a role, or an item's type. `excerpt` has the words found
    between U+E000 and U+E001, which are taken out of the text itself.
    """

    id: int
    call: CallRow
    side: str
    label: str
    excerpt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A figure's distribution over some calls: how many told it, and percentiles."""

    count: int
    p50: float
    p90: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStats:
    """The calls of one model. Times in milliseconds."""

    model: str
    calls: int
    statuses: dict[str, int]
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    reasoning_output_tokens: int
    first_event_ms: Spread | None
    duration_ms: Spread | None
    output_tokens_per_second: Spread | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StripPoint:
    """A call on the strip over time. `duration_ms` is None while it runs, and where it is lost."""

    id: int
    trace_id: str
    call_id: str
    started_at_unix_ms: int
    duration_ms: float | None
    status: str
    model: str
