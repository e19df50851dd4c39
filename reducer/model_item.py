"""An item of a request or response, read but not yet placed in a conversation."""

from collections.abc import Hashable
from dataclasses import dataclass, field, replace

from .parts import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelItem:
    """What the model was shown or said. Names and values are those of Codex's ConversationItem.

    `refers_to` is the id of an earlier item that an item_reference stands for.
    """

    role: str
    kind: str
    parts: tuple[Part, ...]
    channel: str | None = None
    call_id: str | None = None
    responses_item_id: str | None = None
    agent_message: tuple[str, str] | None = None
    refers_to: str | None = None
    head: Hashable = field(init=False, compare=False)
    """What two sightings of one item have in common beside its body and its id."""
    body: Hashable = field(init=False, compare=False)
    """What two sightings of one item's body have in common."""

    def __post_init__(self) -> None:
        """Work out what items are compared by: an item is read once and compared often."""
        head = (self.role, self.channel, self.kind, self.call_id, self.agent_message)
        object.__setattr__(self, "head", head)
        object.__setattr__(self, "body", _identity_of(self.parts))

    @property
    def is_reasoning(self) -> bool:
        """Reasoning is compared and merged by rules of its own."""
        return self.kind == "reasoning"


def same_content(one: ModelItem, other: ModelItem) -> bool:
    """Whether two sightings show the same item, their ids aside.

    Reasoning is the same where its encrypted content is, whatever readable text came with it.
    """
    if one is other:
        return True
    if one.head != other.head:
        return False
    if one.body == other.body:
        return True
    if not one.is_reasoning:
        return False
    encoded = _encoded(one.parts)
    return encoded is not None and encoded == _encoded(other.parts)


def compatible_ids(one: ModelItem, other: ModelItem) -> bool:
    """Whether two sightings may be one item by their ids: an id may be dropped, never changed."""
    if one.responses_item_id is None or other.responses_item_id is None:
        return True
    return one.responses_item_id == other.responses_item_id


def merged_reasoning(known: tuple[Part, ...], seen: tuple[Part, ...]) -> tuple[Part, ...]:
    """The parts of one reasoning item after another sighting: text, summaries, encrypted content.

    What is known stays; a sighting only fills in the text or the summaries that were missing.
    """
    texts = _of_type(known, "text")
    summaries = _of_type(known, "summary")
    if _identity_of(known) == _identity_of(seen) or (texts and summaries):
        return known
    texts = texts or _of_type(seen, "text")
    summaries = summaries or _of_type(seen, "summary")
    return (*texts, *summaries, *_of_type(known, "encoded"))


def placed_in(item: ModelItem, raw_payload_id: str) -> ModelItem:
    """The item as it stands in a payload."""
    if not any(part.names_a_payload for part in item.parts):
        return item
    return replace(item, parts=tuple(part.placed_in(raw_payload_id) for part in item.parts))


def _identity_of(parts: tuple[Part, ...]) -> Hashable:
    return tuple(part.identity for part in parts)


def _of_type(parts: tuple[Part, ...], kind: str) -> tuple[Part, ...]:
    return tuple(part for part in parts if part.type == kind)


def _encoded(parts: tuple[Part, ...]) -> Hashable:
    return next((part.identity for part in parts if part.type == "encoded"), None)
