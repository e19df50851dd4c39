"""The objects of the state while it is folded, each with its form in state.json.

Names and values are those of Codex's RolloutTrace (schema version 2); what is ours stands under
`proxy`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .model_item import ModelItem

if TYPE_CHECKING:
    from .tool_records import CodeCell


@dataclass(slots=True, kw_only=True)
class Execution:
    """When something ran, in Unix milliseconds and event seqs, and how it ended."""

    started_at_unix_ms: int
    started_seq: int
    ended_at_unix_ms: int | None = None
    ended_seq: int | None = None
    status: str = "running"

    @property
    def is_running(self) -> bool:
        """Whether no end was told of yet."""
        return self.status == "running"

    def end(self, *, at_unix_ms: int, seq: int, status: str) -> None:
        """Tell of the end."""
        self.ended_at_unix_ms = at_unix_ms
        self.ended_seq = seq
        self.status = status

    def as_json(self) -> dict[str, object]:
        """The form in state.json."""
        return {
            "started_at_unix_ms": self.started_at_unix_ms,
            "started_seq": self.started_seq,
            "ended_at_unix_ms": self.ended_at_unix_ms,
            "ended_seq": self.ended_seq,
            "status": self.status,
        }


@dataclass(slots=True, kw_only=True, eq=False)
class Item:
    """An item of a conversation. `content` holds what its sightings showed, merged."""

    ordinal: int
    thread_id: str
    codex_turn_id: str | None
    first_seen_at_unix_ms: int
    content: ModelItem
    produced_by: list[dict[str, object]]
    siblings: list["Item"]
    """All items of its thread."""
    position: int
    """Its place among them."""
    said_by: list["Call"] = field(default_factory=list)
    """The calls whose responses brought it."""
    seen: ModelItem | None = None
    """The latest sighting; the same one again tells nothing new."""
    item_id: str = field(init=False)
    """The id in the state."""
    is_in_history: bool = False
    """Whether a request showed it to the model, or the client accepted it into its history."""
    accepted_at_unix_ms: int | None = None
    accepted_seq: int | None = None

    def __post_init__(self) -> None:
        """Make the id, which every call that showed the item repeats."""
        self.item_id = f"conversation_item:{self.ordinal}"

    def as_json(self) -> dict[str, object]:
        """The form in state.json. What Codex leaves out where it is unknown is left out."""
        content = self.content
        state: dict[str, object] = {"item_id": self.item_id}
        if content.responses_item_id is not None:
            state["responses_item_id"] = content.responses_item_id
        if self.accepted_seq is not None:
            state["accepted_at_unix_ms"] = self.accepted_at_unix_ms
            state["accepted_seq"] = self.accepted_seq
        state |= {
            "thread_id": self.thread_id,
            "codex_turn_id": self.codex_turn_id,
            "first_seen_at_unix_ms": self.first_seen_at_unix_ms,
            "role": content.role,
            "channel": content.channel,
            "kind": content.kind,
        }
        if content.agent_message is not None:
            author, recipient = content.agent_message
            state["agent_message"] = {"author": author, "recipient": recipient}
        return state | {
            "body": {"parts": [part.as_json for part in content.parts]},
            "call_id": content.call_id,
            "produced_by": self.produced_by,
        }


def ids_of(items: Iterable[Item]) -> list[str]:
    """The ids of some items, in their order."""
    return [item.item_id for item in items]


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """One inference call. `proxy` holds our own reading of it."""

    inference_call_id: str
    thread_id: str
    codex_turn_id: str
    execution: Execution
    model: str
    provider_name: str
    request_items: Iterable[Item]
    """Kept as few runs of items, since each call of a conversation shows almost the same ones."""
    raw_request_payload_id: str | None
    proxy: dict[str, object]
    response_id: str | None = None
    upstream_request_id: str | None = None
    response_items: list[Item] = field(default_factory=list)
    tool_call_ids: list[str] = field(default_factory=list)
    """The tool calls that items of the response began."""
    usage: dict[str, int] | None = None
    raw_response_payload_id: str | None = None
    terminal_count: int = 0
    parent: "Call | None" = None
    """The call that its previous_response_id is of."""
    prewarm: str | None = None
    """The payload of the request without output that its previous_response_id is of."""

    @property
    def items(self) -> list[Item]:
        """The conversation after the call: what was sent, then what came."""
        return [*self.request_items, *self.response_items]

    def as_json(self) -> dict[str, object]:
        """The form in state.json."""
        return {
            "inference_call_id": self.inference_call_id,
            "thread_id": self.thread_id,
            "codex_turn_id": self.codex_turn_id,
            "execution": self.execution.as_json(),
            "model": self.model,
            "provider_name": self.provider_name,
            "response_id": self.response_id,
            "upstream_request_id": self.upstream_request_id,
            "request_item_ids": ids_of(self.request_items),
            "response_item_ids": ids_of(self.response_items),
            "tool_call_ids_started_by_response": self.tool_call_ids,
            "usage": self.usage,
            "raw_request_payload_id": self.raw_request_payload_id,
            "raw_response_payload_id": self.raw_response_payload_id,
            "proxy": self.proxy,
        }


@dataclass(slots=True, kw_only=True, eq=False)
class Thread:
    """One conversation."""

    thread_id: str
    agent_path: str
    nickname: str | None
    origin: dict[str, object]
    execution: Execution
    default_model: str | None
    items: list[Item] = field(default_factory=list)
    """All of its items, by ordinal."""
    latest_call: Call | None = None
    """The call that the next request is compared with; none after a compaction."""
    replacement: list[Item] | None = None
    """The history that a compaction installed and no full request has shown yet."""
    replaced: list[Item] = field(default_factory=list)
    """The conversation as it was when the latest compaction was installed."""

    @property
    def snapshot(self) -> list[Item]:
        """The conversation as the latest call left it, or as a compaction found it."""
        return self.replaced if self.latest_call is None else self.latest_call.items

    def replace_history(self, replacement: list[Item]) -> None:
        """Install another history. What a call says that still runs is no part of the old one."""
        self.replaced, self.latest_call = self.snapshot, None
        self.replacement = replacement

    def as_json(self) -> dict[str, object]:
        """The form in state.json."""
        return {
            "thread_id": self.thread_id,
            "agent_path": self.agent_path,
            "nickname": self.nickname,
            "origin": self.origin,
            "execution": self.execution.as_json(),
            "default_model": self.default_model,
            "conversation_item_ids": ids_of([item for item in self.items if item.is_in_history]),
        }


@dataclass(slots=True, kw_only=True, eq=False)
class Turn:
    """One round of a conversation."""

    codex_turn_id: str
    thread_id: str
    execution: Execution
    calls: list[Call] = field(default_factory=list)
    cells: list["CodeCell"] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """The form in state.json."""
        return {
            "codex_turn_id": self.codex_turn_id,
            "thread_id": self.thread_id,
            "execution": self.execution.as_json(),
            "input_item_ids": [],
        }


@dataclass(slots=True, kw_only=True)
class CompactionRequest:
    """One attempt to have a history compacted. `proxy` holds our own reading of it."""

    compaction_request_id: str
    compaction_id: str
    thread_id: str
    codex_turn_id: str
    execution: Execution
    model: str
    provider_name: str
    raw_request_payload_id: str | None
    proxy: dict[str, object]
    raw_response_payload_id: str | None = None

    def as_json(self) -> dict[str, object]:
        """The form in state.json."""
        return {
            "compaction_request_id": self.compaction_request_id,
            "compaction_id": self.compaction_id,
            "thread_id": self.thread_id,
            "codex_turn_id": self.codex_turn_id,
            "execution": self.execution.as_json(),
            "model": self.model,
            "provider_name": self.provider_name,
            "raw_request_payload_id": self.raw_request_payload_id,
            "raw_response_payload_id": self.raw_response_payload_id,
            "proxy": self.proxy,
        }


@dataclass(slots=True, kw_only=True)
class Compaction:
    """A history that took another's place."""

    compaction_id: str
    thread_id: str
    codex_turn_id: str
    installed_at_unix_ms: int
    marker: Item
    request_ids: list[str]
    input_items: list[Item]
    replacement_items: list[Item]

    def as_json(self) -> dict[str, object]:
        """The form in state.json."""
        return {
            "compaction_id": self.compaction_id,
            "thread_id": self.thread_id,
            "codex_turn_id": self.codex_turn_id,
            "installed_at_unix_ms": self.installed_at_unix_ms,
            "marker_item_id": self.marker.item_id,
            "request_ids": self.request_ids,
            "input_item_ids": ids_of(self.input_items),
            "replacement_item_ids": ids_of(self.replacement_items),
        }
