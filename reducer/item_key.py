"""Tells items apart by what the model is shown of them, however a client writes them down.

What a client may drop or respell when it sends an item back counts for nothing: ids, states, nulls,
annotations, phases, and whether text stands alone or in a part. Reasoning is passed over: many
clients do not send it back.
"""

import hashlib

from .exact_json import NotExactJson, canonical, parse_exact
from .fields import text_of

KEY_BYTES = 16

_NOT_SHOWN = frozenset({"id", "status"})
_TEXT_TYPES = frozenset({"input_text", "output_text", "text"})
_BEGINNING_ROLES = frozenset({"system", "developer"})


def item_key(item: object) -> bytes | None:
    """The key of an item, in KEY_BYTES bytes; None for what is passed over."""
    if not isinstance(item, dict):
        return _digest("value", canonical(item))
    if is_reference(item):
        return _digest("item_reference", text_of(item, "id") or "")
    kind = text_of(item, "type")
    if kind == "reasoning":
        return None
    if kind == "message" or (kind is None and "role" in item):
        return _digest("message", text_of(item, "role") or "", _content(item.get("content")))
    call_id = text_of(item, "call_id") or ""
    match kind:
        case "function_call" | "custom_tool_call":
            said = _arguments(item.get("arguments" if kind == "function_call" else "input"))
            return _digest(kind, call_id, text_of(item, "name") or "", said)
        case "function_call_output" | "custom_tool_call_output":
            return _digest(kind, call_id, _content(item.get("output")))
    return _digest("item", canonical(without_labels(item)))


def text_key(text: str) -> bytes:
    """The key of the user's message that a string `input` stands for."""
    return _digest("message", "user", text)


def without_labels(item: object) -> object:
    """An item without what the model is not shown of it in any case: its id, its state, nulls."""
    if not isinstance(item, dict) or is_reference(item):
        return item
    return {name: v for name, v in item.items() if name not in _NOT_SHOWN and v is not None}


def opens_a_conversation(item: object) -> bool:
    """Whether the item only sets the scene: many conversations may begin with the same one."""
    return isinstance(item, dict) and text_of(item, "role") in _BEGINNING_ROLES


def is_of_model(item: object) -> bool:
    """Whether the model said the item, as far as its type and role tell."""
    if not isinstance(item, dict):
        return False
    kind = text_of(item, "type")
    if kind == "message" or kind is None:
        return text_of(item, "role") == "assistant"
    return not is_output(item) and not is_reference(item)


def is_reference(item: dict[str, object]) -> bool:
    """Whether the item only names another one; the API takes that without a type, too."""
    kind = text_of(item, "type")
    return kind == "item_reference" or (kind is None and "role" not in item)


def is_output(item: object) -> bool:
    """Whether the item is what a tool gave back."""
    return isinstance(item, dict) and (text_of(item, "type") or "").endswith("_output")


def _content(value: object) -> str:
    """Content as one text where it is all text, and else its JSON without what is not shown."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return canonical(value)
    texts = [_part_text(part) for part in value]
    if all(text is not None for text in texts):
        return "".join(text for text in texts if text is not None)
    parts = [part if text is None else text for part, text in zip(value, texts, strict=True)]
    return canonical(parts)


def _part_text(part: object) -> str | None:
    if isinstance(part, dict) and text_of(part, "type") in _TEXT_TYPES:
        return text_of(part, "text")
    return None


def _arguments(value: object) -> str:
    """Arguments by their value: clients parse them and write them anew."""
    if not isinstance(value, str):
        return canonical(value)
    try:
        return canonical(parse_exact(value))
    except NotExactJson:
        return value


def _digest(*texts: str) -> bytes:
    data = "\0".join(texts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=KEY_BYTES).digest()
