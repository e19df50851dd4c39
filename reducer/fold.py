"""The state while it is folded, and how the folding modules read events and payloads into it."""

from dataclasses import dataclass, field

from tracing.bundle_reader import BundleReader, DamagedPayload, PayloadFault, PayloadRef, RawEvent
from tracing.events import PayloadKind

from .call_facts import FactsCollector
from .diagnostics import Code, Diagnostics
from .exact_json import NotExactJson, parse_payload
from .model_item import ModelItem
from .records import Call, Compaction, CompactionRequest, Item, Thread, Turn
from .runtime import Runtime
from .shared_json import SharingParser

EXECUTION_STATUSES = frozenset({"running", "completed", "failed", "cancelled", "aborted"})
ROLLOUT_STATUSES = EXECUTION_STATUSES - {"cancelled"}

PAYLOAD_KINDS = frozenset(PayloadKind) | {
    "compaction_checkpoint",
    "tool_invocation",
    "tool_result",
    "tool_runtime_event",
    "terminal_runtime_event",
    "session_metadata",
    "agent_result",
}
"""All that Codex knows."""

_UNREADABLE = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """A payload that an event names. `value` is an empty object where it could not be read."""

    raw_payload_id: str
    value: dict[str, object]
    is_read: bool


@dataclass(slots=True, kw_only=True)
class Fold:
    """All that was folded so far. Ids are the keys."""

    reader: BundleReader
    requests: SharingParser = field(default_factory=lambda: SharingParser({"input", "tools"}))
    schema_version: int
    """Of the manifest; each event's should be the same."""
    trace_id: str
    rollout_id: str
    root_thread_id: str
    started_at_unix_ms: int
    ended_at_unix_ms: int | None = None
    status: str = "running"
    recording_complete: bool = False
    diagnostics: Diagnostics = field(default_factory=Diagnostics)
    threads: dict[str, Thread] = field(default_factory=dict)
    turns: dict[str, Turn] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    compactions: dict[str, Compaction] = field(default_factory=dict)
    compaction_requests: dict[str, CompactionRequest] = field(default_factory=dict)
    runtime: Runtime = field(default_factory=Runtime)
    raw_payloads: dict[str, PayloadRef] = field(default_factory=dict)
    accepted: dict[tuple[str, str], RawEvent] = field(default_factory=dict)
    """The first acceptance of an item, by thread and the item's id."""
    received: dict[tuple[str, str], Item] = field(default_factory=dict)
    """Messages of other agents that no request showed yet, by thread and the item's id."""
    calls_by_response: dict[str, list[Call]] = field(default_factory=dict)
    """Calls that ever had a response id, on the wire or in Codex's sense, in order of start."""
    prewarms: dict[str, Payload] = field(default_factory=dict)
    """Requests that asked for no output, by response id."""
    tool_calls_seen: dict[tuple[str, str, str], ModelItem] = field(default_factory=dict)
    """What each tool call said first, by thread, kind and call id."""
    items_by_responses_id: dict[tuple[str, str], list[Item]] = field(default_factory=dict)
    """Items by their thread and their id in the Responses API."""
    facts: FactsCollector = field(default_factory=FactsCollector)
    """What links the calls, with each other and with those of other bundles."""

    def odd(self, code: Code, message: str) -> None:
        """Note something odd about the event being folded."""
        self.diagnostics.add(code, message)

    def text(self, event: RawEvent, name: str) -> str | None:
        """A field that must be a string; where it is none, that is noted."""
        value = event.payload.get(name)
        if isinstance(value, str):
            return value
        self.odd(Code.BAD_FIELD, f"{event.type}.{name} is no string")
        return None

    def optional_text(self, event: RawEvent, name: str) -> str | None:
        """A field that may be absent or null."""
        return None if event.payload.get(name) is None else self.text(event, name)

    def status_of(self, event: RawEvent, allowed: frozenset[str]) -> str | None:
        """The status that an event tells of; where it is none, that is noted."""
        status = self.text(event, "status")
        if status is None or status in allowed:
            return status
        self.odd(Code.BAD_FIELD, f"{event.type}.status is no status")
        return None

    def payload(self, event: RawEvent, name: str) -> Payload | None:
        """Read the payload that a field names; None where the field names none."""
        ref = PayloadRef.parse(event.payload.get(name))
        if ref is None:
            self.odd(Code.BAD_FIELD, f"{event.type}.{name} names no payload")
            return None
        return self.read(ref)

    def optional_payload(self, event: RawEvent, name: str) -> Payload | None:
        """Read the payload that a field may name."""
        return None if event.payload.get(name) is None else self.payload(event, name)

    def read(self, ref: PayloadRef) -> Payload:
        """Read a payload, and note it; what is wrong with it is noted too."""
        self.raw_payloads[ref.raw_payload_id] = ref
        if ref.kind not in PAYLOAD_KINDS:
            self.odd(Code.BAD_FIELD, f"{ref.raw_payload_id}: no payload kind {ref.kind}")
        value = self._parsed(ref)
        if isinstance(value, dict):
            return Payload(raw_payload_id=ref.raw_payload_id, value=value, is_read=True)
        if value is not _UNREADABLE and ref.kind != PayloadKind.PROTOCOL_EVENT:
            self.odd(Code.UNREADABLE_PAYLOAD, f"{ref.raw_payload_id}: it is no JSON object")
        return Payload(raw_payload_id=ref.raw_payload_id, value={}, is_read=False)

    def _parsed(self, ref: PayloadRef) -> object:
        data = self.reader.payload_bytes(ref)
        if isinstance(data, DamagedPayload):
            self.odd(Code.UNREADABLE_PAYLOAD, f"{ref.raw_payload_id}: {data.fault}")
            return _UNREADABLE
        try:
            is_request = ref.kind == PayloadKind.INFERENCE_REQUEST
            value, oddity = self.requests.parse(data) if is_request else parse_payload(data)
        except NotExactJson:
            self.odd(Code.UNREADABLE_PAYLOAD, f"{ref.raw_payload_id}: {PayloadFault.NOT_JSON}")
            return _UNREADABLE
        if oddity is not None:
            self.odd(Code.NOT_STRICT_JSON, f"{ref.raw_payload_id}: {oddity}")
        return value
