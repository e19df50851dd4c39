"""An item of a request or response, read but not yet placed in a conversation."""

from collections.abc import Hashable
from dataclasses import dataclass

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

    @property
    def is_reasoning(self) -> bool:
        """Reasoning is compared and merged by rules of its own."""
        return self.kind == "reasoning"


def head_of(item: ModelItem) -> Hashable:
    """What two sightings of one item have in common beside its body and its id."""
    return (item.role, item.channel, item.kind, item.call_id, item.agent_message)


def identity_of(parts: tuple[Part, ...]) -> Hashable:
    """What two sightings of one body have in common."""
    return tuple(part.identity for part in parts)


def same_content(one: ModelItem, other: ModelItem) -> bool:
    """Whether two sightings show the same item, their ids aside.

    Reasoning is the same where its encrypted content is, whatever readable text came with it.
    """
    if head_of(one) != head_of(other):
        return False
    if identity_of(one.parts) == identity_of(other.parts):
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
    if identity_of(known) == identity_of(seen) or (texts and summaries):
        return known
    texts = texts or _of_type(seen, "text")
    summaries = summaries or _of_type(seen, "summary")
    return (*texts, *summaries, *_of_type(known, "encoded"))


def _of_type(parts: tuple[Part, ...], kind: str) -> tuple[Part, ...]:
    return tuple(part for part in parts if part.type == kind)


def _encoded(parts: tuple[Part, ...]) -> Hashable:
    return next((part.identity for part in parts if part.type == "encoded"), None)
