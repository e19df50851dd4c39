"""What went from one thread to another while it is folded, with its form in state.json.

Names and values are those of Codex's RolloutTrace (schema version 2).
"""

from dataclasses import dataclass, field

Anchor = dict[str, str]
"""What an edge begins or ends at: its type, and the id under a key named for the type."""


def spawn_edge_id(parent_thread_id: str, child_thread_id: str) -> str:
    """The id of the edge by which one thread spawned another."""
    return f"edge:spawn:{parent_thread_id}:{child_thread_id}"


@dataclass(slots=True, kw_only=True, eq=False)
class Edge:
    """A message, a task or a result that one thread gave another. Times are Unix milliseconds."""

    edge_id: str
    kind: str
    source: Anchor
    target: Anchor
    started_at_unix_ms: int
    ended_at_unix_ms: int | None
    carried_raw_payload_ids: list[str]
    carried_item_ids: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """The form in state.json."""
        return {
            "edge_id": self.edge_id,
            "kind": self.kind,
            "source": self.source,
            "target": self.target,
            "started_at_unix_ms": self.started_at_unix_ms,
            "ended_at_unix_ms": self.ended_at_unix_ms,
            "carried_item_ids": self.carried_item_ids,
            "carried_raw_payload_ids": self.carried_raw_payload_ids,
        }


@dataclass(slots=True, kw_only=True, eq=False)
class Delivery:
    """A message on its way: an edge whose target is the item that will show it to the model."""

    edge_id: str
    kind: str
    source: Anchor
    target_thread_id: str
    author: str
    content: str
    spawned_thread_id: str | None
    """What the edge ends at where no item ever shows the message; only for a spawn."""
    started_at_unix_ms: int
    ended_at_unix_ms: int | None
    raw_payload_ids: list[str]

    @property
    def identity(self) -> tuple[object, ...]:
        """What another notice of the same delivery says again."""
        source = tuple(self.source.values())
        route = (self.target_thread_id, self.author, self.spawned_thread_id)
        return (self.kind, *source, *route, self.content)
