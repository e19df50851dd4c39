"""Reads what the runtime tells of agents, and which items show a message of one to another.

Forms are those that codex-cli 0.169.0 writes, and the older ones that it still reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from .exact_json import NotExactJson, parse_exact
from .fields import text_of
from .model_item import ModelItem


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A message of an agent to another, as its model was shown it. Agents go by their paths."""

    author: str
    recipient: str
    content: str


def thread_id_of(value: Mapping[str, object], key: str) -> str | None:
    """A thread's id in a runtime payload, in the one spelling that UUIDs have in a bundle."""
    text = text_of(value, key)
    try:
        return None if text is None else str(UUID(text))
    except ValueError:
        return text


def shown_by(item: ModelItem) -> Shown | None:
    """The message that an item shows; None where it shows none."""
    if item.role != "assistant" or item.kind != "message":
        return None
    parts = [(part.type, part.as_json) for part in item.parts]
    if item.agent_message is None:
        match parts:
            case [("text", {"text": str(text)})]:
                return _shown_as_json(text)
            case _:
                return None
    author, recipient = item.agent_message
    match parts:
        case [("text", {"text": str(content)})]:
            pass
        case [("encoded", {"value": str(content)})]:
            pass
        case [("text", _), ("encoded", {"value": str(content)})]:
            pass
        case _:
            return None
    return Shown(author=author, recipient=recipient, content=content)


def _shown_as_json(text: str) -> Shown | None:
    """A message as older versions of Codex showed it: JSON in an assistant's words."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = parse_exact(text)
    except NotExactJson:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("trigger_turn"), bool):
        return None
    author, recipient = text_of(value, "author"), text_of(value, "recipient")
    content = text_of(value, "content")
    if author is None or recipient is None or content is None:
        return None
    encrypted = text_of(value, "encrypted_content")
    shown = content if encrypted is None else encrypted
    return Shown(author=author, recipient=recipient, content=shown)
